//! What a host has beside its connections: sockets for datagrams, names that were asked for,
//! and tasks that wait for its link or its addresses. Which of that there is depends on the
//! features, and nowhere else need it be known.

use core::task::Waker;

use smoltcp::time::Instant;

#[cfg(feature = "udp")]
use crate::table::binds::Binds;
#[cfg(feature = "dns")]
use crate::table::names::Names;
#[cfg(feature = "addressing")]
use crate::table::watchers::Watchers;

/// What a host has beside its connections.
#[derive(Default)]
pub(crate) struct Beside<'a> {
    #[cfg(feature = "udp")]
    pub(crate) binds: Binds<'a>,
    #[cfg(feature = "dns")]
    pub(crate) names: Names<'a>,
    #[cfg(feature = "addressing")]
    pub(crate) watchers: Watchers,
    memory: core::marker::PhantomData<&'a ()>,
}

impl Beside<'_> {
    /// Whether somebody was woken whose waker is not ours.
    #[inline(always)]
    pub(crate) fn is_woken(&self) -> bool {
        let woken = false;
        #[cfg(feature = "udp")]
        let woken = woken || self.binds.waiters.woken;
        #[cfg(feature = "addressing")]
        let woken = woken || self.watchers.woken;
        woken
    }

    /// One of those that are to be woken when the stack is free.
    pub(crate) fn take_woken(&mut self) -> Option<Waker> {
        let waker = None;
        #[cfg(feature = "udp")]
        let waker = waker.or_else(|| self.binds.waiters.take_woken());
        #[cfg(feature = "addressing")]
        let waker = waker.or_else(|| self.watchers.take_woken());
        waker
    }

    /// Whether datagrams wait to leave.
    #[inline(always)]
    pub(crate) fn sends(&self) -> bool {
        #[cfg(feature = "udp")]
        return self.binds.outbox.line.head != 0;
        #[cfg(not(feature = "udp"))]
        false
    }

    /// When a datagram that waits is looked at again.
    #[inline(always)]
    pub(crate) fn due(&self) -> Option<Instant> {
        #[cfg(feature = "udp")]
        return self.binds.outbox.due;
        #[cfg(not(feature = "udp"))]
        None
    }

    /// The addresses or the link are others than before: who waits for that looks.
    pub(crate) fn wake_watchers(&mut self) {
        #[cfg(feature = "addressing")]
        self.watchers.wake();
    }

    /// Forgets what a power cycle forgets.
    pub(crate) fn reset(&mut self) {
        #[cfg(feature = "udp")]
        self.binds.reset();
        #[cfg(feature = "dns")]
        self.names.forget();
    }
}
