//! Whoever found no place waits here, oldest first, until a slot or a place in a
//! backlog is free.
//!
//! Without it a burst is served at the pace of the peers' retries: a hundred
//! clients that connect in the same millisecond to eight slots come back
//! together after 1, 3, 7, … seconds, eight get in each time, and the last give
//! up after two minutes. One that waits costs a hundred bytes instead of a slot
//! and is admitted in the turn after one is free.
//!
//! It holds frames, not connections. A SYN's sender has been told nothing, so
//! nothing is owed; while handshakes do not get on there is none here, but the
//! acknowledgements of cookies (`cookie.rs`), whose senders may not send until
//! they are let in. Nobody waits twice. Full is full: then a SYN is dropped and
//! counted.

use smoltcp::time::{Duration, Instant};

use crate::net::deadlines::after;
use crate::net::flow::Flow;

/// The longest SYN frame that can wait: Ethernet, IP without options, TCP with 40
/// bytes of them.
const FRAME_BYTES: usize = 14 + if cfg!(feature = "ipv6") { 40 } else { 20 } + 60;

/// A SYN, or the acknowledgement of a cookie, that waits. Lives in
/// [`Storage`](crate::net::Storage).
#[derive(Clone, Copy, Debug)]
pub struct Parked {
    frame: [u8; FRAME_BYTES],
    len: u8,
    flow: Flow,
    since: Instant,
}

impl Parked {
    /// A place where nobody waits.
    pub const EMPTY: Parked = Parked {
        frame: [0; FRAME_BYTES],
        len: 0,
        flow: Flow::ZERO,
        since: Instant::ZERO,
    };

    /// The frame as it came.
    pub(crate) fn frame(&self) -> &[u8] {
        self.frame.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Whether it came too long ago for its sender still to wait.
    pub(crate) fn is_stale(&self, now: Instant, patience: Duration) -> bool {
        now >= after(self.since, patience)
    }
}

/// Those that wait: a ring.
pub(crate) struct Lobby<'a> {
    ring: &'a mut [Parked],
    first: usize,
    len: usize,
}

impl<'a> Lobby<'a> {
    pub(crate) fn new(ring: &'a mut [Parked]) -> Self {
        Lobby {
            ring,
            first: 0,
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody else can wait. Where nobody can wait ever, nobody is missing.
    pub(crate) fn is_full(&self) -> bool {
        self.len > 0 && self.len == self.ring.len()
    }

    /// Whether somebody of this flow waits.
    pub(crate) fn holds(&self, flow: &Flow) -> bool {
        self.iter().any(|parked| parked.flow == *flow)
    }

    /// Those that wait, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Parked> {
        (0..self.len).map(|nth| &self.ring[(self.first + nth) % self.ring.len()])
    }

    /// Lets a frame wait. False when there is no place for it: most often in a
    /// flood, and for next to nothing.
    #[inline]
    pub(crate) fn park(&mut self, frame: &[u8], flow: &Flow, now: Instant) -> bool {
        self.len < self.ring.len() && self.keep(frame, flow, now)
    }

    #[cold]
    #[inline(never)]
    fn keep(&mut self, frame: &[u8], flow: &Flow, now: Instant) -> bool {
        let mut parked = Parked {
            len: frame.len() as u8,
            flow: *flow,
            since: now,
            ..Parked::EMPTY
        };
        let Some(place) = parked.frame.get_mut(..frame.len()) else {
            return false;
        };
        place.copy_from_slice(frame);
        self.push(parked)
    }

    /// Puts one back behind all others.
    pub(crate) fn push(&mut self, parked: Parked) -> bool {
        if self.len == self.ring.len() {
            return false;
        }
        let end = (self.first + self.len) % self.ring.len();
        self.ring[end] = parked;
        self.len += 1;
        true
    }

    /// Takes the one that has waited longest.
    pub(crate) fn pop(&mut self) -> Option<Parked> {
        if self.len == 0 {
            return None;
        }
        let parked = self.ring[self.first];
        self.first = (self.first + 1) % self.ring.len();
        self.len -= 1;
        Some(parked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a peer with this number.
    fn flow(number: u32) -> Flow {
        Flow::between_v4(1, number)
    }

    #[test]
    fn the_oldest_leaves_first_and_full_is_full() {
        let mut ring = [Parked::EMPTY; 2];
        let mut lobby = Lobby::new(&mut ring);
        for round in 0..5u8 {
            assert!(lobby.park(&[round; 60], &flow(1), Instant::from_secs(1)));
            assert!(lobby.park(&[round + 100; FRAME_BYTES], &flow(2), Instant::from_secs(2)));
            assert!(
                !lobby.park(&[0; 60], &flow(3), Instant::from_secs(3)),
                "N + 1"
            );
            assert!([1, 2].iter().all(|&number| lobby.holds(&flow(number))));
            assert!(lobby.is_full() && !lobby.holds(&flow(3)));
            let first = lobby.pop().unwrap();
            assert!(!lobby.is_full() && !lobby.holds(&flow(1)));
            assert_eq!(first.frame(), [round; 60]);
            assert!(first.is_stale(Instant::from_secs(21), Duration::from_secs(20)));
            assert!(!first.is_stale(Instant::from_secs(20), Duration::from_secs(20)));
            assert_eq!(lobby.pop().unwrap().frame(), [round + 100; FRAME_BYTES]);
            assert!(lobby.pop().is_none());
        }
    }

    #[test]
    fn a_place_takes_what_the_readme_says() {
        let bytes = if cfg!(feature = "ipv6") { 168 } else { 120 };
        assert_eq!(size_of::<Parked>(), bytes);
    }

    #[test]
    fn a_frame_too_long_and_a_lobby_of_none_refuse() {
        let mut ring = [Parked::EMPTY; 1];
        assert!(!Lobby::new(&mut ring).park(&[0; FRAME_BYTES + 1], &flow(1), Instant::ZERO));
        assert!(!Lobby::new(&mut []).park(&[0; 60], &flow(1), Instant::ZERO));
        assert!(Lobby::new(&mut []).pop().is_none());
        assert!(!Lobby::new(&mut []).is_full(), "nobody is missing");
    }
}
