//! Who takes a node's turns in another's executor. Between the turns others of that executor
//! touch sockets, begin sleeps and spawn tasks: then there is something to do earlier than the
//! driver knew when it went to sleep, so it is woken; and what they ask for "in a second" is
//! counted from the driver's clock, because the last turn may have been an hour ago.
//!
//! Not here: turns (`drive.rs`), and tasks that an interrupt wakes (`waker.rs`).

use core::cell::Cell;
use core::task::Waker;

use smoltcp::time::Instant;

/// Who drives a node, while it rests between two turns.
pub(crate) struct Driver {
    pub(crate) drives: Cell<bool>,
    waker: Cell<Option<Waker>>,
    /// It sleeps until then.
    until: Cell<Instant>,
    /// `None`: it does not rest.
    clock: Cell<Option<fn() -> Instant>>,
}

impl Driver {
    pub(crate) const fn new() -> Self {
        Driver {
            drives: Cell::new(false),
            waker: Cell::new(None),
            until: Cell::new(Instant::ZERO),
            clock: Cell::new(None),
        }
    }

    /// A turn is over, and there is nothing to do before `until`.
    pub(crate) fn rest(&self, waker: &Waker, until: Instant, clock: fn() -> Instant) {
        self.until.set(until);
        self.clock.set(Some(clock));
        // Another's waker runs any code when it is dropped: here nothing is in use.
        drop(self.waker.replace(Some(waker.clone())));
    }

    /// A turn begins; or there will be none.
    pub(crate) fn rise(&self) {
        self.clock.set(None);
        drop(self.waker.take());
    }

    /// The time, between two turns.
    pub(crate) fn now(&self) -> Option<Instant> {
        self.clock.get().map(|clock| clock())
    }

    /// Until when it sleeps, between two turns.
    pub(crate) fn rests_until(&self) -> Option<Instant> {
        self.clock.get().map(|_| self.until.get())
    }

    /// There is something to do now.
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
