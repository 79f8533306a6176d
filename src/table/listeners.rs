//! Listening ports. A listener is a port, a limit and a queue: it holds no
//! slot until a SYN arrives. Connections that finished their handshake wait in
//! the queue for `accept`, oldest first; those still shaking hands count
//! against the limit too.
//!
//! Tasks that wait in `accept` stand in line, and one connection wakes one of
//! them. One that is dropped after it was woken passes the wake on.
//!
//! Not here: the slots in the queue. This file keeps their numbers linked
//! through [`Slots`].

use core::task::Waker;

use smoltcp::time::{Duration, Instant};

use crate::initial::initial;
use crate::rules::limits::Pace;
use crate::table::list::List;
use crate::table::slots::{SlotId, Slots};
use crate::task::waker::{Parking, wake_ours};

initial! {
    /// One listening port. Lives in [`Storage`](crate::Storage).
    #[derive(Debug)]
    pub struct Listener: EMPTY {
        /// Zero: this place is free.
        pub(crate) port: u16 = 0,
        open: bool = false,
        pub(crate) limit: u16 = 0,
        /// Connections admitted and not yet accepted.
        pub(crate) pending: u16 = 0,
        pub(crate) queue: List = List::EMPTY,
        /// Those still shaking hands, oldest first.
        pub(crate) half_open: List = List::EMPTY,
        /// Of the connections that are accepted; with how long a read may wait.
        pub(crate) limits: (Pace, Option<Duration>) = (Pace::EMPTY, None),
        /// How long an accepted connection must be idle to give way to a new one.
        pub(crate) reclaim: Option<Duration> = None,
        /// None of its connections is idle for that long before then.
        pub(crate) none_idle_before: Instant = Instant::ZERO,
        generation: u32 = 0,
    }
}

impl Listener {
    /// Whether it has no connection to give any more.
    fn is_over(&self) -> bool {
        !self.open && self.pending == 0
    }

    /// Makes the place free; who still names its listener is stale.
    fn vacate(&mut self) {
        let generation = self.generation.wrapping_add(1);
        *self = Listener::EMPTY;
        self.generation = generation;
    }
}

initial! {
    /// A task in line for a connection. Lives in [`Storage`](crate::Storage).
    #[derive(Debug)]
    pub struct Acceptor: EMPTY {
        pub(crate) listener: u32 = 0,
        /// Zero: this place is free.
        pub(crate) ticket: u32 = 0,
        waker: Option<Waker> = None,
        /// It was woken, and keeps its place until it has looked. A waker that is not
        /// ours goes when the stack is free.
        woken: bool = false,
    }
}

impl Acceptor {
    pub(crate) fn sleeps(&self) -> bool {
        self.waker.is_some() && !self.woken
    }
}

/// Names one listener; stale once that listener is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListenerId {
    pub(crate) index: u32,
    generation: u32,
}

/// Every listener of a stack and every task that waits for one.
pub(crate) struct Listeners<'a> {
    pub(crate) listeners: &'a mut [Listener],
    pub(crate) acceptors: &'a mut [Acceptor],
    tickets: u32,
    /// Half-open connections of all listeners.
    pub(crate) half_open: u32,
    /// Somebody was woken whose waker is not ours, and still here.
    pub(crate) woken: bool,
}

impl<'a> Listeners<'a> {
    pub(crate) fn new(listeners: &'a mut [Listener], acceptors: &'a mut [Acceptor]) -> Self {
        Listeners {
            listeners,
            acceptors,
            tickets: 0,
            half_open: 0,
            woken: false,
        }
    }

    /// Opens a port on which nobody listens. `None`: every place is taken.
    pub(crate) fn open(&mut self, port: u16, limit: u16) -> Option<ListenerId> {
        let mut all = self.listeners.iter();
        let index = all.position(|listener| listener.port == 0)?;
        let listener = &mut self.listeners[index];
        (listener.port, listener.open) = (port, true);
        listener.limit = limit.max(1);
        listener.limits.0 = Pace::DEFAULT;
        Some(ListenerId {
            index: index as u32,
            generation: listener.generation,
        })
    }

    /// The open listener on a port.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn find(&self, port: u16) -> Option<u32> {
        let mut all = self.listeners.iter();
        let found = all.position(|listener| listener.open && listener.port == port);
        found.map(|index| index as u32)
    }

    pub(crate) fn has_room(&self, index: u32) -> bool {
        let all = &self.listeners;
        all.get(index as usize)
            .is_some_and(|listener| listener.pending < listener.limit)
    }

    /// A SYN for this listener took a slot.
    pub(crate) fn admitted(&mut self, index: u32, slots: &mut Slots<'_>, slot: SlotId) {
        if let Some(listener) = self.listeners.get_mut(index as usize) {
            listener.pending += 1;
            listener.half_open.push(slots.all(), slot.number());
            self.half_open += 1;
        }
    }

    /// The listener of this number.
    pub(crate) fn at(&mut self, index: u32) -> Option<&mut Listener> {
        self.listeners.get_mut(index as usize)
    }

    /// The connection of this listener that has been half-open longest.
    pub(crate) fn oldest_half_open(&self, index: u32) -> Option<u32> {
        self.listeners.get(index as usize)?.half_open.first()
    }

    /// A connection that was admitted is gone before it was accepted. One that
    /// stands in the queue has `queued` set.
    pub(crate) fn left(&mut self, index: u32, slots: &mut Slots<'_>, slot: SlotId, queued: bool) {
        if let Some(listener) = self.listeners.get_mut(index as usize) {
            listener.pending = listener.pending.saturating_sub(1);
            if queued {
                listener.queue.unlink(slots.all(), slot.number());
            } else {
                listener.half_open.unlink(slots.all(), slot.number());
                self.half_open -= 1;
            }
        }
    }

    /// A handshake finished: the slot joins the queue, the first in line wakes.
    pub(crate) fn enqueue(&mut self, index: u32, slots: &mut Slots<'_>, slot: SlotId) {
        if let Some(listener) = self.listeners.get_mut(index as usize) {
            listener.half_open.unlink(slots.all(), slot.number());
            self.half_open -= 1;
            listener.queue.push(slots.all(), slot.number());
            self.wake_one(index);
        }
    }

    /// Takes the oldest connection. `None`: there is none yet.
    pub(crate) fn dequeue(&mut self, id: ListenerId, slots: &mut Slots<'_>) -> Option<SlotId> {
        let listener = self.get(id)?;
        let slot = listener.queue.pop(slots.all())?;
        listener.pending = listener.pending.saturating_sub(1);
        Some(slots.id(slot))
    }

    /// Refuses new SYNs from now on; wakes everyone in line.
    pub(crate) fn close(&mut self, id: ListenerId) {
        if let Some(listener) = self.get(id) {
            listener.open = false;
            self.wake_all(id.index);
        }
    }

    /// Refuses new SYNs on every port.
    pub(crate) fn close_all(&mut self) {
        for index in 0..self.listeners.len() {
            self.listeners[index].open = false;
            self.wake_all(index as u32);
        }
    }

    /// Whether `accept` can never succeed again.
    pub(crate) fn is_over(&mut self, id: ListenerId) -> bool {
        self.get(id).is_none_or(|listener| listener.is_over())
    }

    /// Wakes everyone in line of a closed listener whose last connection left.
    pub(crate) fn wake_if_over(&mut self, index: u32) {
        let over = |listener: &Listener| listener.port != 0 && listener.is_over();
        if self.listeners.get(index as usize).is_some_and(over) {
            self.wake_all(index);
        }
    }

    /// How many listeners there may be.
    pub(crate) fn len(&self) -> u32 {
        self.listeners.len() as u32
    }

    /// Forgets every listener and everyone in line, who is woken to see it.
    pub(crate) fn reset(&mut self) {
        self.listeners.iter_mut().for_each(Listener::vacate);
        for one in &mut *self.acceptors {
            self.woken |= !wake_ours(&mut one.waker);
            *one = Acceptor {
                woken: one.waker.is_some(),
                waker: one.waker.take(),
                ..Acceptor::EMPTY
            };
        }
        self.half_open = 0;
    }

    /// Forgets a listener whose slots have been freed.
    pub(crate) fn remove(&mut self, id: ListenerId) {
        if let Some(listener) = self.get(id) {
            listener.vacate();
            self.wake_all(id.index);
        }
    }

    /// Joins the line, or keeps the place that `ticket` names. False when the
    /// line is full.
    pub(crate) fn wait(
        &mut self,
        id: ListenerId,
        ticket: &mut u32,
        parking: &mut Parking<'_>,
    ) -> bool {
        let Some(place) = self.place(*ticket).or_else(|| self.place(0)) else {
            return false;
        };
        if *ticket == 0 {
            self.tickets = self.tickets.wrapping_add(1).max(1);
            *ticket = self.tickets;
        }
        let one = &mut self.acceptors[place];
        (one.listener, one.ticket, one.woken) = (id.index, *ticket, false);
        parking.park(&mut one.waker);
        true
    }

    /// Leaves the line. One that was already woken hands the wake to the next
    /// if a connection still waits. Its waker is to be dropped when the stack is
    /// free.
    pub(crate) fn leave(&mut self, id: ListenerId, ticket: u32) -> Option<Waker> {
        let place = self.place(ticket).filter(|_| ticket != 0)?;
        let left = core::mem::replace(&mut self.acceptors[place], Acceptor::EMPTY);
        let waits = |listener: &mut Listener| !listener.queue.is_empty();
        if !left.sleeps() && self.get(id).is_some_and(waits) {
            self.wake_one(id.index);
        }
        left.waker
    }

    /// Takes one of those.
    #[cold]
    pub(crate) fn take_woken(&mut self) -> Option<Waker> {
        let woken = |one: &&mut Acceptor| one.woken && one.waker.is_some();
        let mut waker = None;
        if let Some(one) = self.acceptors.iter_mut().find(woken) {
            waker = one.waker.take();
        }
        self.woken = waker.is_some();
        waker
    }

    /// A listener that is still there.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn get(&mut self, id: ListenerId) -> Option<&mut Listener> {
        let listener = self.listeners.get_mut(id.index as usize)?;
        (listener.generation == id.generation && listener.port != 0).then_some(listener)
    }

    fn place(&self, ticket: u32) -> Option<usize> {
        self.acceptors.iter().position(|one| one.ticket == ticket)
    }

    /// Wakes the first in line, if anybody sleeps there.
    fn wake_one(&mut self, index: u32) -> bool {
        let (last, line) = (self.tickets, self.acceptors.iter_mut());
        let waiting = line.filter(|one| one.sleeps() && one.listener == index);
        let Some(first) = waiting.max_by_key(|one| last.wrapping_sub(one.ticket)) else {
            return false;
        };
        first.woken = true;
        self.woken |= !wake_ours(&mut first.waker);
        true
    }

    fn wake_all(&mut self, index: u32) {
        while self.wake_one(index) {}
    }
}
