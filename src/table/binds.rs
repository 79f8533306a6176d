//! Bound ports, and a ring of datagrams for each. Which socket a datagram is for must cost
//! the same for one and for a thousand, so there are buckets by port, in which sockets are
//! chained. Ports are chosen here or by the program, never by a peer: no secret is needed.
//!
//! The rule: of sockets on one port the one that fits best has the datagram: connected to its
//! sender, then bound to its destination, then bound to every address. A ring that is full
//! takes nothing more, and no ring takes another's places.
//!
//! Not here: what may come at all (`datagrams.rs`), and what leaves (`outbox.rs`).

use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::counters::DropReason;
use crate::frame::flow::{Flow, WORDS};
use crate::frame::link::{Hardware, NOBODY};
use crate::initial::initial;
use crate::table::line::Line;
use crate::table::outbox::Outbox;
use crate::table::waiters::Waiters;

/// How many groups one socket hears.
pub(crate) const GROUPS: usize = 2;

/// How many of its last datagrams a connected socket knows again.
const MARKS: usize = 4;

/// An address in words, and how many of them count.
pub(crate) type Words = (u32, [u32; WORDS]);

pub(crate) fn words(addr: IpAddress) -> Words {
    let end = IpEndpoint::new(addr, 0);
    let flow = Flow::new(end, end);
    (flow.words, flow.local)
}

initial! {
    /// A bound port. Lives in [`UdpStorage`](crate::UdpStorage).
    #[derive(Debug)]
    pub struct Bind: EMPTY {
        /// Zero: this place is free.
        pub(crate) port: u16 = 0,
        /// Its port is the identifier of echo requests.
        pub(crate) pings: bool = false,
        /// It is bound to one address: the flow's local one.
        pub(crate) is_narrow: bool = false,
        /// It hears nobody but the flow's peer, at the flow's local address.
        pub(crate) is_connected: bool = false,
        pub(crate) flow: Flow = Flow::ZERO,
        /// It hears whatever comes to its port.
        pub(crate) hears_anything: bool = false,
        /// Over how many hops what it sends may go; zero: what is usual.
        pub(crate) hops: u8 = 0,
        pub(crate) groups: [Words; GROUPS] = [(0, [0; WORDS]); GROUPS],
        /// The peer's host has said that nobody takes its datagrams.
        pub(crate) refused: bool = false,
        marks: [u32; MARKS] = [0; MARKS],
        /// Where the next of them goes.
        mark_at: u8 = 0,
        /// The next socket of its bucket, counted from one.
        next: u32 = 0,
        /// The oldest datagram of its ring, and how many there are.
        first: u16 = 0,
        pub(crate) count: u16 = 0,
        pub(crate) readers: Line = Line::EMPTY,
        pub(crate) generation: u32 = 0,
    }
}

impl Bind {
    /// Speaks to one peer alone.
    pub(crate) fn connect(&mut self, flow: Flow) {
        self.is_connected = true;
        (self.flow, self.refused, self.marks) = (flow, false, [0; MARKS]);
    }

    /// The one address that it is bound to.
    pub(crate) fn bound(&self) -> Option<IpAddress> {
        self.is_narrow.then(|| self.flow.local_addr())
    }

    /// How well a flow fits, if it does.
    fn fit(&self, flow: &Flow) -> Option<u8> {
        if cfg!(feature = "ping") && self.pings {
            return None;
        }
        let is_here = (self.flow.words, self.flow.local) == (flow.words, flow.local);
        match (self.is_connected, self.is_narrow) {
            (true, _) => (self.flow == *flow).then_some(2),
            (_, true) => is_here.then_some(1),
            _ => Some(0),
        }
    }

    /// Whether it asked for what is sent there, which is no address of ours.
    fn hears(&self, flow: &Flow) -> bool {
        self.hears_anything || self.groups.contains(&(flow.words, flow.local))
    }
}

initial! {
    /// A datagram in a ring. Lives in [`UdpStorage`](crate::UdpStorage).
    #[derive(Clone, Copy, Debug)]
    pub struct Incoming: EMPTY {
        pub(crate) flow: Flow = Flow::ZERO,
        pub(crate) hardware: Hardware = NOBODY,
        pub(crate) bytes: u16 = 0,
    }
}

/// Names one socket; stale once that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BindId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// Every bound port of a stack, with what came for it.
pub(crate) struct Binds<'a> {
    pub(crate) binds: &'a mut [Bind],
    buckets: &'a mut [u32],
    cells: &'a mut [Incoming],
    bytes: &'a mut [u8],
    /// Places of a ring.
    pub(crate) depth: usize,
    pub(crate) waiters: Waiters<'a>,
    pub(crate) outbox: Outbox<'a>,
}

impl Default for Binds<'_> {
    /// Nothing can be bound.
    fn default() -> Self {
        Binds::new(
            (&mut [], &mut []),
            (&mut [], &mut []),
            Waiters::new(&mut [], &mut []),
            Outbox::new(&mut [], &mut [], &mut [], 0),
        )
    }
}

impl<'a> Binds<'a> {
    /// Nothing is bound. Of cells there is the same number for each socket; of buckets any
    /// number but 0 works.
    pub(crate) fn new(
        (binds, buckets): (&'a mut [Bind], &'a mut [u32]),
        (cells, bytes): (&'a mut [Incoming], &'a mut [u8]),
        waiters: Waiters<'a>,
        outbox: Outbox<'a>,
    ) -> Self {
        binds.iter_mut().for_each(|bind| bind.port = 0);
        buckets.fill(0);
        Binds {
            depth: cells.len() / binds.len().max(1),
            binds,
            buckets,
            cells,
            bytes,
            waiters,
            outbox,
        }
    }

    /// Bytes of the longest datagram.
    pub(crate) fn room(&self) -> usize {
        self.outbox.room
    }

    /// How many sockets there may be.
    pub(crate) fn len(&self) -> u32 {
        self.binds.len() as u32
    }

    /// The bucket of a port: multiply-shift, twice.
    fn bucket(&self, port: u16) -> usize {
        let hash = u32::from(port).wrapping_mul(0x9e37_79b1);
        ((u64::from(hash) * self.buckets.len() as u64) >> 32) as usize
    }

    /// The sockets of a port, by their numbers.
    pub(crate) fn on(&self, port: u16) -> impl Iterator<Item = (u32, &Bind)> {
        let mut next = self.buckets.get(self.bucket(port)).copied().unwrap_or(0);
        core::iter::from_fn(move || {
            let number = next.checked_sub(1)?;
            let bind = self.binds.get(number as usize)?;
            next = bind.next;
            Some((number, bind))
        })
        .filter(move |(_, bind)| bind.port == port)
    }

    /// The socket whose echo request a flow's answer is to.
    pub(crate) fn find_who_pings(&self, flow: &Flow) -> Option<u32> {
        self.best(flow.local_port(), &|bind| bind.pings.then_some(0))
    }

    /// Of the sockets of a port the one with the highest rank, if any has one.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn best(&self, port: u16, rank: &dyn Fn(&Bind) -> Option<u8>) -> Option<u32> {
        let mut best = (None, None);
        for (number, bind) in self.on(port) {
            let rank = rank(bind);
            if rank > best.0 {
                best = (rank, Some(number));
            }
        }
        best.1
    }

    /// The socket that has a datagram to an address of ours.
    #[inline]
    pub(crate) fn find(&self, flow: &Flow) -> Option<u32> {
        self.best(flow.local_port(), &|bind| bind.fit(flow))
    }

    /// The socket that asked for what is sent to this address, which is not ours.
    pub(crate) fn find_who_asked(&self, flow: &Flow) -> Option<u32> {
        self.best(flow.local_port(), &|bind| bind.hears(flow).then_some(0))
    }

    /// Whether a port is bound already: to this address, or, if there is none, to all.
    pub(crate) fn is_taken(&self, port: u16, local: Option<Words>) -> bool {
        let its = |bind: &Bind| bind.is_narrow.then_some((bind.flow.words, bind.flow.local));
        let same = |bind: &Bind| (its(bind) == local).then_some(0);
        self.best(port, &same).is_some()
    }

    /// Binds a port. `None`: every place is taken.
    pub(crate) fn open(&mut self, port: u16, local: Option<Words>) -> Option<BindId> {
        let bucket = self.bucket(port);
        let index = self.binds.iter().position(|bind| bind.port == 0)?;
        let bind = self.binds.get_mut(index)?;
        let head = self.buckets.get_mut(bucket)?;
        let generation = bind.generation;
        *bind = Bind {
            port,
            is_narrow: local.is_some(),
            next: core::mem::replace(head, index as u32 + 1),
            generation,
            ..Bind::EMPTY
        };
        (bind.flow.words, bind.flow.local) = local.unwrap_or_default();
        let index = index as u32;
        Some(BindId { index, generation })
    }

    /// A socket that is still there.
    pub(crate) fn get(&mut self, id: BindId) -> Option<&mut Bind> {
        let bind = self.binds.get_mut(id.index as usize)?;
        (bind.generation == id.generation && bind.port != 0).then_some(bind)
    }

    /// Forgets a socket; gives how many datagrams it had not read.
    pub(crate) fn close(&mut self, id: BindId) -> Option<u16> {
        let bind = self.get(id)?;
        let unread = bind.count;
        let (port, next) = (bind.port, bind.next);
        *bind = Bind {
            generation: bind.generation.wrapping_add(1),
            ..Bind::EMPTY
        };
        let bucket = self.bucket(port);
        let mut link = self.buckets.get_mut(bucket)?;
        while *link != id.index + 1 {
            let before = (*link as usize).checked_sub(1)?;
            link = &mut self.binds.get_mut(before)?.next;
        }
        *link = next;
        Some(unread)
    }

    /// Puts a datagram into a socket's ring and wakes who has waited longest for it.
    #[inline]
    pub(crate) fn push(
        &mut self,
        number: u32,
        mut cell: Incoming,
        payload: &[u8],
    ) -> Result<(), DropReason> {
        let (index, room) = (number as usize, self.outbox.room);
        let bind = self.binds.get_mut(index).ok_or(DropReason::Unread)?;
        if usize::from(bind.count) >= self.depth {
            return Err(DropReason::Unread);
        }
        let place = ring(self.depth, index, bind.first, bind.count);
        let bytes = self.bytes.get_mut(place * room..place * room + room);
        let bytes = bytes.and_then(|bytes| bytes.get_mut(..payload.len()));
        let (Some(bytes), Some(held)) = (bytes, self.cells.get_mut(place)) else {
            return Err(DropReason::TooLong);
        };
        bytes.copy_from_slice(payload);
        cell.bytes = payload.len() as u16;
        *held = cell;
        bind.count += 1;
        self.waiters.wake_one(&mut bind.readers);
        Ok(())
    }

    /// Takes the oldest datagram of a socket: what of it `buf` holds, and how many bytes that
    /// are.
    pub(crate) fn pop(&mut self, id: BindId, buf: &mut [u8]) -> Option<(Incoming, usize)> {
        let (depth, room) = (self.depth, self.outbox.room);
        let bind = self.get(id)?;
        let place = ring(depth, id.index as usize, bind.first, 0);
        bind.count = bind.count.checked_sub(1)?;
        bind.first += 1;
        if usize::from(bind.first) >= depth {
            bind.first = 0;
        }
        let cell = *self.cells.get(place)?;
        let payload = self.bytes.get(place * room..)?;
        let held = usize::from(cell.bytes).min(buf.len());
        buf.get_mut(..held)?.copy_from_slice(payload.get(..held)?);
        Some((cell, held))
    }

    /// A datagram of this socket has left, with this mark.
    pub(crate) fn left(&mut self, (index, generation): (u32, u32), mark: u32) {
        if let Some(bind) = self.get(BindId { index, generation }) {
            bind.marks[usize::from(bind.mark_at) % MARKS] = mark;
            bind.mark_at = bind.mark_at.wrapping_add(1);
        }
    }

    /// A datagram of this flow that had this mark was not taken by anybody. True: such a one
    /// has left lately, and the socket that is connected there is told.
    pub(crate) fn refuse(&mut self, flow: &Flow, mark: u32) -> bool {
        let Some(number) = self.find(flow) else {
            return false;
        };
        let Some(bind) = self.binds.get_mut(number as usize) else {
            return false;
        };
        // Where the device writes checksums, ours are not known.
        let known = |&left: &u32| left != 0 && [mark, mark & 0xffff_0000].contains(&left);
        if !bind.is_connected || !bind.marks.iter().any(known) {
            return false;
        }
        bind.refused = true;
        self.waiters.wake_one(&mut bind.readers);
        true
    }

    /// Stands in the line of a socket's readers, or of those who wait to send.
    pub(crate) fn line(
        &mut self,
        id: BindId,
        sends: bool,
    ) -> Option<(&mut Waiters<'a>, &mut Line)> {
        let bind = self.binds.get_mut(id.index as usize)?;
        if bind.generation != id.generation || bind.port == 0 {
            return None;
        }
        let line = match sends {
            true => &mut self.outbox.senders,
            false => &mut bind.readers,
        };
        Some((&mut self.waiters, line))
    }

    /// Somebody who was woken has gone without having looked: whoever is next is woken, if there
    /// still is a reason to.
    pub(crate) fn pass_on(&mut self, id: BindId, sends: bool) {
        if sends {
            return self.wake_sender();
        }
        if let Some(bind) = self.binds.get_mut(id.index as usize)
            && bind.generation == id.generation
            && (bind.count > 0 || bind.refused)
        {
            self.waiters.wake_one(&mut bind.readers);
        }
    }

    /// A place of the outbox is free: whoever has waited longest for one is woken.
    pub(crate) fn wake_sender(&mut self) {
        self.waiters.wake_one(&mut self.outbox.senders);
    }

    /// Forgets every socket and everybody who waits, who is woken to see it.
    pub(crate) fn reset(&mut self) {
        for bind in &mut *self.binds {
            let generation = bind.generation.wrapping_add(1);
            *bind = Bind {
                generation,
                ..Bind::EMPTY
            };
        }
        self.buckets.fill(0);
        self.waiters.reset();
        self.outbox.reset();
    }
}

/// A place of a socket's ring, so many behind its first.
fn ring(depth: usize, index: usize, first: u16, behind: u16) -> usize {
    let at = usize::from(first) + usize::from(behind);
    index * depth + if at >= depth { at - depth } else { at }
}

#[cfg(test)]
#[path = "binds_tests.rs"]
mod tests;
