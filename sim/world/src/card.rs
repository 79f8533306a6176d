//! The network card of a host: a ring of frames that arrived, frames that are to
//! leave, and the lines that the machine behind it prints.
//!
//! Not here: what happens to a frame on its link.

use std::collections::VecDeque;

use smoltcp::phy::{Device, DeviceCapabilities, RxToken, TxToken};
use smoltcp::time::Instant;

use crate::frame::MTU;
use crate::spare;

/// Frames that a network card holds for a host that does not look.
const RING: usize = 16;

/// A network card: Ethernet frames in, Ethernet frames out. It holds up to 16 that
/// arrived; what arrives at a full one is gone.
///
/// It is a [`Device`] for smoltcp; others call [`receive`](Self::receive) and
/// [`send`](Self::send).
#[derive(Debug, Default)]
pub struct Card {
    inbox: VecDeque<Vec<u8>>,
    pub(super) outbox: Vec<Vec<u8>>,
    /// Frames that the host took in this turn.
    pub(super) taken: usize,
    /// The frames themselves, for a host that tells nobody what it takes.
    pub(super) seen: Option<Vec<Vec<u8>>>,
    pub(super) printed: Vec<String>,
    pub(super) link_is_down: bool,
}

impl Card {
    /// A card that remembers which frames are taken.
    pub(super) fn watched() -> Card {
        Card {
            seen: Some(Vec::new()),
            ..Card::default()
        }
    }

    /// Takes a frame from the link. False when nobody has emptied the ring.
    pub(super) fn deliver(&mut self, frame: Vec<u8>) -> bool {
        if self.inbox.is_empty() {
            // It begins where it began, in memory that was used a moment ago.
            self.inbox.clear();
        }
        let room = self.inbox.len() < RING;
        if room {
            self.inbox.push_back(frame);
        }
        room
    }

    /// Frames that arrived and were not taken yet.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.inbox.len()
    }

    /// The oldest frame that arrived and was not taken yet, without its checksum of
    /// four bytes.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        let frame = self.inbox.pop_front()?;
        self.taken += 1;
        if let Some(seen) = &mut self.seen {
            seen.push(frame.clone());
        }
        Some(frame)
    }

    /// Sends a frame at the end of this turn. It has 14 to 1514 bytes; a link loses one
    /// that is longer than its MTU.
    pub fn send(&mut self, frame: Vec<u8>) {
        self.outbox.push(frame);
    }

    /// Whether the cable is in, as a card can tell. It is not known whether anybody is at
    /// its other end.
    pub fn is_link_up(&self) -> bool {
        !self.link_is_down
    }

    /// Prints a line, as a board does on its serial port. It is an event of the world,
    /// and [`World::printed`](crate::World::printed) has it.
    pub fn print(&mut self, line: impl Into<String>) {
        self.printed.push(line.into());
    }
}

/// A frame that is being received.
#[derive(Debug)]
pub struct Received(Vec<u8>);

/// Room for a frame that is to be sent.
#[derive(Debug)]
pub struct Room<'c>(&'c mut Vec<Vec<u8>>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let done = f(&self.0);
        spare::give(self.0);
        done
    }
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = spare::zeros(len);
        let out = f(&mut frame);
        self.0.push(frame);
        out
    }
}

impl Device for Card {
    type RxToken<'a> = Received;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Room<'_>)> {
        let frame = Card::receive(self)?;
        Some((Received(frame), Room(&mut self.outbox)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Room<'_>> {
        Some(Room(&mut self.outbox))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}
