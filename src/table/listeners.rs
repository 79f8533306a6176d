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

use crate::rules::limits::TimeLimits;
use crate::table::list::List;
use crate::table::slots::Slots;
use crate::task::waker::{Parking, wake_ours};

/// One listening port. Lives in [`Storage`](crate::Storage).
#[derive(Debug)]
pub struct Port {
    /// Zero: this place is free.
    number: u16,
    open: bool,
    limit: u16,
    /// Connections admitted and not yet accepted.
    pending: u16,
    queue: List,
    /// Those still shaking hands, oldest first.
    half_open: List,
    /// Of the connections that are accepted. No `Option`: its `None` would not be
    /// all zeros, and the storage lie in flash.
    pub(crate) limits: TimeLimits,
    /// How long an accepted connection must be idle to give way to a new one.
    reclaim: Option<Duration>,
    /// None of its connections is idle for that long before then.
    pub(crate) none_idle_before: Instant,
    generation: u32,
}

impl Port {
    /// A place for a listener.
    pub const EMPTY: Port = Port {
        number: 0,
        open: false,
        limit: 0,
        pending: 0,
        queue: List::EMPTY,
        half_open: List::EMPTY,
        limits: TimeLimits::NONE,
        reclaim: None,
        none_idle_before: Instant::ZERO,
        generation: 0,
    };

    /// Sets how long an accepted connection must be idle to give way.
    pub(crate) fn set_reclaim(&mut self, after: Option<Duration>) {
        self.reclaim = after;
        self.none_idle_before = Instant::ZERO;
    }
}

/// A task in line for a connection. Lives in [`Storage`](crate::Storage).
#[derive(Debug)]
pub struct Acceptor {
    port: u32,
    /// Zero: this place is free.
    ticket: u64,
    waker: Option<Waker>,
    /// It was woken, and keeps its place until it has looked. A waker that is not
    /// ours goes when the stack is free.
    woken: bool,
}

impl Acceptor {
    /// A place in no line.
    pub const EMPTY: Acceptor = Acceptor {
        port: 0,
        ticket: 0,
        waker: None,
        woken: false,
    };

    fn sleeps(&self) -> bool {
        self.waker.is_some() && !self.woken
    }
}

/// Names one listener; stale once that listener is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortId {
    index: u32,
    generation: u32,
}

impl PortId {
    pub(crate) fn index(self) -> u32 {
        self.index
    }
}

/// Every listener of a stack and every task that waits for one.
pub(crate) struct Ports<'a> {
    ports: &'a mut [Port],
    acceptors: &'a mut [Acceptor],
    tickets: u64,
    /// Half-open connections of all listeners.
    half_open: u32,
    /// Somebody was woken whose waker is not ours, and still here.
    woken: bool,
}

/// A backlog as `audit` sees it.
pub(crate) struct Backlog<'p> {
    pub(crate) queue: &'p List,
    pub(crate) half_open: &'p List,
    pub(crate) pending: u16,
    pub(crate) limit: u16,
    pub(crate) reclaim: Option<Duration>,
    pub(crate) none_idle_before: Instant,
    /// Somebody waits in `accept`, and nobody of those was woken.
    pub(crate) all_asleep: bool,
}

/// Why a port cannot be listened on.
pub(crate) enum OpenError {
    InUse,
    Full,
}

impl<'a> Ports<'a> {
    pub(crate) fn new(ports: &'a mut [Port], acceptors: &'a mut [Acceptor]) -> Self {
        ports.fill_with(|| Port::EMPTY);
        acceptors.fill_with(|| Acceptor::EMPTY);
        Ports {
            ports,
            acceptors,
            tickets: 0,
            half_open: 0,
            woken: false,
        }
    }

    pub(crate) fn open(&mut self, number: u16, limit: u16) -> Result<PortId, OpenError> {
        if self.find(number).is_some() {
            return Err(OpenError::InUse);
        }
        let free = self.ports.iter().position(|port| port.number == 0);
        let index = free.ok_or(OpenError::Full)?;
        let port = &mut self.ports[index];
        let generation = port.generation;
        *port = Port {
            number,
            open: true,
            limit: limit.max(1),
            limits: TimeLimits::DEFAULT,
            generation,
            ..Port::EMPTY
        };
        Ok(PortId {
            index: index as u32,
            generation,
        })
    }

    /// The open listener on a port.
    pub(crate) fn find(&self, number: u16) -> Option<u32> {
        let found = self
            .ports
            .iter()
            .position(|port| port.open && port.number == number);
        found.map(|index| index as u32)
    }

    pub(crate) fn has_room(&self, index: u32) -> bool {
        self.ports
            .get(index as usize)
            .is_some_and(|port| port.pending < port.limit)
    }

    /// A SYN for this listener took a slot.
    pub(crate) fn admitted(&mut self, index: u32, slots: &mut Slots<'_>, slot: u32) {
        if let Some(port) = self.ports.get_mut(index as usize) {
            port.pending += 1;
            slots.push(&mut port.half_open, slot);
            self.half_open += 1;
        }
    }

    /// A listener that is still there.
    pub(crate) fn port(&mut self, id: PortId) -> Option<&mut Port> {
        self.get(id)
    }

    /// How long an accepted connection of this listener must be idle to give
    /// way to a new one.
    pub(crate) fn reclaim(&self, index: u32) -> Option<Duration> {
        self.ports.get(index as usize)?.reclaim
    }

    /// The same listener by its number.
    pub(crate) fn at(&mut self, index: u32) -> Option<&mut Port> {
        self.ports.get_mut(index as usize)
    }

    /// Half-open connections of all listeners.
    pub(crate) fn half_open(&self) -> u32 {
        self.half_open
    }

    /// The connection of this listener that has been half-open longest.
    pub(crate) fn oldest_half_open(&self, index: u32) -> Option<u32> {
        self.ports.get(index as usize)?.half_open.first()
    }

    /// A connection that was admitted is gone before it was accepted. One that
    /// stands in the queue has `queued` set.
    pub(crate) fn left(&mut self, index: u32, slots: &mut Slots<'_>, slot: u32, queued: bool) {
        if let Some(port) = self.ports.get_mut(index as usize) {
            port.pending = port.pending.saturating_sub(1);
            if queued {
                slots.unlink(&mut port.queue, slot);
            } else {
                slots.unlink(&mut port.half_open, slot);
                self.half_open -= 1;
            }
        }
    }

    /// A handshake finished: the slot joins the queue, the first in line wakes.
    pub(crate) fn enqueue(&mut self, index: u32, slots: &mut Slots<'_>, slot: u32) {
        if let Some(port) = self.ports.get_mut(index as usize) {
            slots.unlink(&mut port.half_open, slot);
            self.half_open -= 1;
            slots.push(&mut port.queue, slot);
            self.wake_one(index);
        }
    }

    /// Takes the oldest connection. `None`: there is none yet.
    pub(crate) fn dequeue(&mut self, id: PortId, slots: &mut Slots<'_>) -> Option<u32> {
        let port = self.get(id)?;
        let slot = slots.pop(&mut port.queue)?;
        port.pending = port.pending.saturating_sub(1);
        Some(slot)
    }

    /// Refuses new SYNs from now on; wakes everyone in line.
    pub(crate) fn close(&mut self, id: PortId) {
        if let Some(port) = self.get(id) {
            port.open = false;
            self.wake_all(id.index);
        }
    }

    /// Refuses new SYNs on every port.
    pub(crate) fn close_all(&mut self) {
        for index in 0..self.ports.len() {
            self.ports[index].open = false;
            self.wake_all(index as u32);
        }
    }

    /// Whether `accept` can never succeed again.
    pub(crate) fn is_over(&mut self, id: PortId) -> bool {
        self.get(id)
            .is_none_or(|port| !port.open && port.pending == 0)
    }

    /// Wakes everyone in line of a closed listener whose last connection left.
    pub(crate) fn wake_if_over(&mut self, index: u32) {
        let over = |port: &Port| !port.open && port.number != 0 && port.pending == 0;
        if self.ports.get(index as usize).is_some_and(over) {
            self.wake_all(index);
        }
    }

    /// How many listeners there may be.
    pub(crate) fn len(&self) -> u32 {
        self.ports.len() as u32
    }

    /// The backlog of one, if there is one.
    pub(crate) fn look(&self, index: u32) -> Option<Backlog<'_>> {
        let port = self.ports.get(index as usize)?;
        let mine = |one: &&Acceptor| one.ticket != 0 && one.port == index;
        let mut line = self.acceptors.iter().filter(mine).peekable();
        let all_asleep = line.peek().is_some() && line.all(Acceptor::sleeps);
        (port.number != 0).then_some(Backlog {
            queue: &port.queue,
            half_open: &port.half_open,
            pending: port.pending,
            limit: port.limit,
            reclaim: port.reclaim,
            none_idle_before: port.none_idle_before,
            all_asleep,
        })
    }

    /// Forgets every listener and everyone in line, who is woken to see it.
    pub(crate) fn reset(&mut self) {
        for port in &mut *self.ports {
            *port = Port {
                generation: port.generation.wrapping_add(1),
                ..Port::EMPTY
            };
        }
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
    pub(crate) fn remove(&mut self, id: PortId) {
        if let Some(port) = self.get(id) {
            let generation = port.generation.wrapping_add(1);
            *port = Port {
                generation,
                ..Port::EMPTY
            };
            self.wake_all(id.index);
        }
    }

    /// Joins the line, or keeps the place that `ticket` names. False when the
    /// line is full.
    pub(crate) fn wait(
        &mut self,
        id: PortId,
        ticket: &mut Option<u64>,
        parking: &mut Parking<'_>,
    ) -> bool {
        let held = ticket.and_then(|ticket| self.place(ticket));
        let Some(place) = held.or_else(|| self.place(0)) else {
            return false;
        };
        let ticket = *ticket.get_or_insert_with(|| {
            self.tickets += 1;
            self.tickets
        });
        let one = &mut self.acceptors[place];
        (one.port, one.ticket, one.woken) = (id.index, ticket, false);
        parking.park(&mut one.waker);
        true
    }

    /// Leaves the line. One that was already woken hands the wake to the next
    /// if a connection still waits. Its waker is to be dropped when the stack is
    /// free.
    pub(crate) fn leave(&mut self, id: PortId, ticket: u64) -> Option<Waker> {
        let place = self.place(ticket)?;
        let left = core::mem::replace(&mut self.acceptors[place], Acceptor::EMPTY);
        if !left.sleeps() && self.get(id).is_some_and(|port| !port.queue.is_empty()) {
            self.wake_one(id.index);
        }
        left.waker
    }

    /// Whether wakers are here that are not ours and are to be woken.
    #[inline]
    pub(crate) fn has_woken(&self) -> bool {
        self.woken
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

    fn get(&mut self, id: PortId) -> Option<&mut Port> {
        let port = self.ports.get_mut(id.index as usize)?;
        (port.generation == id.generation && port.number != 0).then_some(port)
    }

    fn place(&self, ticket: u64) -> Option<usize> {
        self.acceptors.iter().position(|one| one.ticket == ticket)
    }

    fn wake_one(&mut self, index: u32) {
        let line = self.acceptors.iter_mut();
        let waiting = line.filter(|one| one.sleeps() && one.port == index);
        if let Some(first) = waiting.min_by_key(|one| one.ticket) {
            first.woken = true;
            self.woken |= !wake_ours(&mut first.waker);
        }
    }

    fn wake_all(&mut self, index: u32) {
        let waiting = |one: &Acceptor| one.sleeps() && one.port == index;
        for _ in 0..self.acceptors.iter().filter(|one| waiting(one)).count() {
            self.wake_one(index);
        }
    }
}
