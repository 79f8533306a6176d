//! Datagrams that are to leave: in the order in which they were given, but none waits for
//! another's neighbor. One whose neighbor has not answered is parked. So that a silent one
//! costs nobody else anything, at most half of the places are taken by parked ones, and of one
//! destination a quarter; beyond that the oldest goes, because the latest says most (RFC 1122,
//! 2.3.2.2).
//!
//! Not here: how a neighbor is asked (`datagrams.rs`).

use smoltcp::time::Instant;

use crate::frame::flow::Flow;
use crate::frame::link::{Hardware, NOBODY};
use crate::initial::initial;
use crate::table::line::Line;

initial! {
    /// A datagram on its way out. Lives in [`UdpStorage`](crate::UdpStorage).
    #[derive(Clone, Copy, Debug)]
    pub struct Outgoing: EMPTY {
        pub(crate) flow: Flow = Flow::ZERO,
        /// Where it goes; nobody: its neighbor has to be asked for.
        pub(crate) hardware: Hardware = NOBODY,
        pub(crate) bytes: u16 = 0,
        /// Whose it is: the number of the socket and its generation.
        pub(crate) of: (u32, u32) = (0, 0),
        /// Over how many hops it may go; zero: what is usual.
        pub(crate) hops: u8 = 0,
        /// It is an echo request.
        pub(crate) pings: bool = false,
        pub(crate) parked: bool = false,
        pub(crate) since: Instant = Instant::ZERO,
    }
}

/// Datagrams that are to leave.
pub(crate) struct Outbox<'a> {
    pub(crate) cells: &'a mut [Outgoing],
    pub(crate) links: &'a mut [u32],
    bytes: &'a mut [u8],
    /// Bytes that a place holds.
    pub(crate) room: usize,
    pub(crate) line: Line,
    pub(crate) free: Line,
    /// Tasks that wait for a place.
    pub(crate) senders: Line,
    /// When parked ones are looked at again, unless a neighbor answers before.
    pub(crate) due: Option<Instant>,
    /// The last answer of a neighbor that was looked at.
    pub(crate) epoch: u8,
}

impl<'a> Outbox<'a> {
    pub(crate) fn new(
        cells: &'a mut [Outgoing],
        links: &'a mut [u32],
        bytes: &'a mut [u8],
        room: usize,
    ) -> Self {
        Outbox {
            free: Line::of_all(links),
            cells,
            links,
            bytes,
            room,
            line: Line::EMPTY,
            senders: Line::EMPTY,
            due: None,
            epoch: 0,
        }
    }

    /// Takes a datagram in. False: every place is taken.
    pub(crate) fn push(&mut self, outgoing: Outgoing, payload: &[u8]) -> bool {
        let Some(place) = self.free.pop(self.links) else {
            return false;
        };
        let start = place as usize * self.room;
        let room = self.bytes.get_mut(start..start + payload.len());
        if let (Some(cell), Some(room)) = (self.cells.get_mut(place as usize), room) {
            *cell = outgoing;
            room.copy_from_slice(payload);
        }
        self.line.push(self.links, place);
        true
    }

    /// A datagram in line, and what it carries.
    pub(crate) fn at(&self, place: u32) -> Option<(&Outgoing, &[u8])> {
        let cell = self.cells.get(place as usize)?;
        let start = place as usize * self.room;
        let payload = self.bytes.get(start..start + usize::from(cell.bytes))?;
        Some((cell, payload))
    }

    /// It has left, or was given up.
    pub(crate) fn remove(&mut self, place: u32) {
        self.line.unlink(self.links, place);
        self.free.push(self.links, place);
    }

    /// Parks a datagram, unless it is; and says which other one has to go for it.
    pub(crate) fn park(&mut self, place: u32, now: Instant) -> Option<u32> {
        let cell = self.cells.get(place as usize).filter(|cell| !cell.parked)?;
        let remote = cell.flow.remote;
        let (mut all, mut same) = ((0, None), (0, None));
        let mut next = self.line.first();
        while let Some(at) = next {
            let cell = self.cells.get(at as usize)?;
            if cell.parked {
                all = (all.0 + 1, all.1.or(Some(at)));
                if cell.flow.remote == remote {
                    same = (same.0 + 1, same.1.or(Some(at)));
                }
            }
            next = Line::behind(self.links, at);
        }
        let cell = self.cells.get_mut(place as usize)?;
        (cell.parked, cell.since) = (true, now);
        let most = self.cells.len();
        match (same, all) {
            ((count, oldest), _) if count >= (most / 4).max(1) => oldest,
            (_, (count, oldest)) if count >= (most / 2).max(1) => oldest,
            _ => None,
        }
    }

    pub(crate) fn reset(&mut self) {
        self.free = Line::of_all(self.links);
        (self.line, self.senders) = (Line::EMPTY, Line::EMPTY);
        self.due = None;
    }
}
