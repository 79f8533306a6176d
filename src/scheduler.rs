//! Who runs the tasks, as the stack knows it: a segment fetches and wakes a reader.

use core::task::Waker;

/// Who runs the tasks that wait for segments.
pub(crate) trait Scheduler {
    /// This one will be woken in this turn: what it needs to run is fetched meanwhile.
    fn fetch(&self, waker: &Waker);

    /// Wakes it, as [`Waker::wake`] would, before any task runs in this turn. Gives
    /// back one that is not ours.
    fn wake(&self, waker: Waker) -> Option<Waker>;
}
