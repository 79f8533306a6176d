//! Slots whose wakers are to be woken and are not ours. Such a waker may run any
//! code, also some that calls the node, so it is woken as soon as the stack is free:
//! first come, first woken, whichever direction of the slot it waits in. To wake one
//! for nothing is allowed.
//!
//! Not here: our own wakers, which are woken at once, and those that wait in
//! `accept`, which [`Listeners`](crate::table::listeners) keeps.

/// The end of the lists of [`Woken`].
pub(crate) const END: u32 = u32::MAX;

/// Slots with wakers that are not ours and are to be woken.
pub(crate) struct Woken {
    /// The last one that came, and those before it.
    pub(crate) last: u32,
    /// Those that came before these, the first one first.
    pub(crate) first: u32,
}

impl Woken {
    pub(crate) const NONE: Woken = Woken {
        last: END,
        first: END,
    };

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.last == END
    }

    #[cold]
    pub(crate) fn add(&mut self, index: u32, next: &mut u32) {
        if *next == 0 {
            *next = core::mem::replace(&mut self.last, index + 1);
        }
    }
}
