//! Listening ports. A listener is a port, a limit and a queue: it holds no
//! slot until a SYN arrives. Connections that finished their handshake wait in
//! the queue for `accept`, oldest first; those still shaking hands count
//! against the limit too.
//!
//! Tasks that wait in `accept` stand in line, and one connection wakes one of
//! them. A task has one place there, in however many futures it waits. One that is
//! dropped after it was woken passes the wake on.
//!
//! Not here: the slots in the queue. This file keeps their numbers linked
//! through [`Slots`].

use core::task::Waker;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpListenEndpoint;

use crate::frame::flow::{Flow, WORDS};
use crate::initial::initial;
use crate::rules::limits::Pace;
use crate::table::list::List;
use crate::table::slots::{SlotId, Slots};
use crate::task::waker::{Parking, is_ours, wake_ours};

initial! {
    /// One listening port. Lives in [`Storage`](crate::Storage).
    #[derive(Debug)]
    pub struct Listener: EMPTY {
        /// Zero: this place is free.
        pub(crate) port: u16 = 0,
        open: bool = false,
        /// Handles of it beyond the first.
        others: u16 = 0,
        /// Of which address, in so many words; of none: every one of the host's.
        words: u32 = 0,
        local: [u32; WORDS] = [0; WORDS],
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
        /// What a program calls it.
        pub(crate) name: Option<&'static str> = None,
    }
}

impl ListenerId {
    /// Of no listener.
    pub(crate) const NONE: Self = ListenerId {
        index: u32::MAX,
        generation: 0,
    };
}

impl Listener {
    /// Whether it is for the same address of ours, or either is for any.
    fn hears(&self, flow: &Flow) -> bool {
        let both = self.words > 0 && flow.words > 0;
        !both || (self.words, self.local) == (flow.words, flow.local)
    }

    /// Where it listens.
    pub(crate) fn local(&self) -> IpListenEndpoint {
        let flow = Flow {
            words: self.words,
            local: self.local,
            ..Flow::ZERO
        };
        IpListenEndpoint {
            addr: (self.words > 0).then(|| flow.local_addr()),
            port: self.port,
        }
    }

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
        /// Who has waited longer has a smaller number.
        since: u32 = 0,
        /// One of ours stays here when it is woken, so that its task is known by it.
        waker: Option<Waker> = None,
        /// How many futures of the task wait; zero: this place is free.
        pub(crate) waits: u16 = 0,
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
    pub(crate) fn open(&mut self, flow: &Flow, limit: u16) -> Option<ListenerId> {
        let mut all = self.listeners.iter();
        let index = all.position(|listener| listener.port == 0)?;
        let listener = &mut self.listeners[index];
        (listener.port, listener.open) = (flow.local_port(), true);
        (listener.words, listener.local) = (flow.words, flow.local);
        listener.limit = limit.max(1);
        listener.limits.0 = Pace::DEFAULT;
        Some(ListenerId {
            index: index as u32,
            generation: listener.generation,
        })
    }

    /// The open listener that a flow to our end of it is for; of a flow without addresses,
    /// any that has its port.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn find(&self, flow: &Flow) -> Option<u32> {
        let port = flow.local_port();
        for (listener, index) in self.listeners.iter().zip(0..) {
            if listener.open && listener.port == port && listener.hears(flow) {
                return Some(index);
            }
        }
        None
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

    /// One handle more. `None`: there are more than can be counted.
    pub(crate) fn share(&mut self, id: ListenerId) -> Option<ListenerId> {
        let listener = self.get(id)?;
        listener.others = listener.others.checked_add(1)?;
        Some(id)
    }

    /// One handle less. Whether it was the last.
    pub(crate) fn release(&mut self, id: ListenerId) -> bool {
        match self.get(id) {
            None => false,
            Some(Listener { others: 0, .. }) => true,
            Some(listener) => {
                listener.others -= 1;
                false
            }
        }
    }

    /// Forgets a listener whose slots have been freed.
    pub(crate) fn remove(&mut self, id: ListenerId) {
        if let Some(listener) = self.get(id) {
            listener.vacate();
            self.wake_all(id.index);
        }
    }

    /// Joins the line, or keeps the place that `held` names, counted from one. False when
    /// the line is full.
    pub(crate) fn wait(
        &mut self,
        id: ListenerId,
        held: &mut u32,
        parking: &mut Parking<'_>,
    ) -> bool {
        // A future that has moved to another task leaves the others of the last.
        let stays = |one: &mut Acceptor| one.waits == 1 || parking.wakes_as(&one.waker);
        if !self.held(*held).is_some_and(stays) {
            self.leave(id, held);
            for (one, place) in self.acceptors.iter().zip(1..) {
                let is_mine = one.listener == id.index && parking.wakes_as(&one.waker);
                if one.waits == 0 {
                    *held = place;
                } else if is_mine {
                    *held = place;
                    break;
                }
            }
            self.tickets = self.tickets.wrapping_add(1);
            let since = self.tickets;
            if let Some(one) = self.held(*held) {
                if one.waits == 0 {
                    (one.listener, one.since) = (id.index, since);
                }
                one.waits += 1;
            }
        }
        let Some(one) = self.held(*held) else {
            return false;
        };
        one.woken = false;
        parking.park(&mut one.waker);
        true
    }

    fn held(&mut self, held: u32) -> Option<&mut Acceptor> {
        self.acceptors.get_mut((held as usize).wrapping_sub(1))
    }

    /// A future leaves the line. If its task was already woken, the next one is, as long as
    /// a connection still waits. The task's waker is to be dropped when the stack is free.
    pub(crate) fn leave(&mut self, id: ListenerId, held: &mut u32) -> Option<Waker> {
        let held = core::mem::take(held);
        // A reboot has forgotten who stood in line.
        let has_more = !self.get(id)?.queue.is_empty();
        self.tickets = self.tickets.wrapping_add(1);
        let since = self.tickets;
        let one = self.held(held)?;
        let was_woken = !one.sleeps();
        // Who else of the task waits has waited from now on.
        one.since = since;
        one.waits -= 1;
        let left = match one.waits {
            0 => core::mem::replace(one, Acceptor::EMPTY).waker,
            _ => None,
        };
        if was_woken && has_more {
            self.wake_one(id.index);
        }
        left
    }

    /// Takes one of those.
    #[cold]
    pub(crate) fn take_woken(&mut self) -> Option<Waker> {
        for one in &mut *self.acceptors {
            if one.woken && one.waker.as_ref().is_some_and(|waker| !is_ours(waker)) {
                return one.waker.take();
            }
        }
        self.woken = false;
        None
    }

    /// A listener that is still there.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn get(&mut self, id: ListenerId) -> Option<&mut Listener> {
        let listener = self.listeners.get_mut(id.index as usize)?;
        (listener.generation == id.generation && listener.port != 0).then_some(listener)
    }

    /// Wakes the first in line, if anybody sleeps there.
    fn wake_one(&mut self, index: u32) -> bool {
        let last = self.tickets;
        let (mut first, mut longest) = (None, 0);
        for one in &mut *self.acceptors {
            let waited = last.wrapping_sub(one.since);
            if one.sleeps() && one.listener == index && waited >= longest {
                (first, longest) = (Some(one), waited);
            }
        }
        let Some(first) = first else {
            return false;
        };
        first.woken = true;
        match &first.waker {
            Some(ours) if is_ours(ours) => ours.wake_by_ref(),
            _ => self.woken = true,
        }
        true
    }

    fn wake_all(&mut self, index: u32) {
        while self.wake_one(index) {}
    }
}
