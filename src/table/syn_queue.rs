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

use crate::frame::build::segment_at;
use crate::initial::initial;
use crate::time::after;

/// The longest SYN frame that can wait: Ethernet, IP without options, TCP with 40
/// bytes of them.
const FRAME_BYTES: usize = 14 + if cfg!(feature = "ipv6") { 40 } else { 20 } + 60;

initial! {
    /// A SYN, or the acknowledgement of a cookie, that waits. Lives in
    /// [`Storage`](crate::Storage).
    #[derive(Clone, Copy, Debug)]
    pub struct Parked: EMPTY {
        frame: [u8; FRAME_BYTES] = [0; FRAME_BYTES],
        len: u8 = 0,
        since: Instant = Instant::ZERO,
    }
}

impl Parked {
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
pub(crate) struct SynQueue<'a> {
    ring: &'a mut [Parked],
    first: usize,
    /// How many wait.
    pub(crate) len: usize,
}

impl<'a> SynQueue<'a> {
    pub(crate) fn new(ring: &'a mut [Parked]) -> Self {
        SynQueue {
            ring,
            first: 0,
            len: 0,
        }
    }

    /// Whether nobody else can wait. Where nobody can wait ever, nobody is missing.
    pub(crate) fn is_full(&self) -> bool {
        self.len > 0 && self.len == self.ring.len()
    }

    /// Whether the sender of this frame waits.
    pub(crate) fn holds(&self, frame: &[u8]) -> bool {
        let ends = ends(frame);
        self.iter().any(|parked| self::ends(parked.frame()) == ends)
    }

    /// Those that wait, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Parked> {
        (0..self.len).map(|nth| &self.ring[(self.first + nth) % self.ring.len()])
    }

    /// Lets a frame wait. False when there is no place for it: most often in a
    /// flood, and for next to nothing.
    #[inline]
    pub(crate) fn park(&mut self, frame: &[u8], now: Instant) -> bool {
        self.len < self.ring.len() && self.keep(frame, now)
    }

    #[cold]
    #[inline(never)]
    fn keep(&mut self, frame: &[u8], now: Instant) -> bool {
        let mut parked = Parked {
            len: frame.len() as u8,
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
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
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

/// The addresses and ports of a segment's frame.
fn ends(frame: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = segment_at(frame)?;
    let addresses = match frame.get(12..14)? {
        [0x08, 0x00] => frame.get(26..34)?,
        _ => frame.get(22..54)?,
    };
    Some((addresses, frame.get(start..start + 4)?))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// Of a peer with this number, filled up with it to `len` bytes.
    fn frame(number: u8, len: usize) -> Vec<u8> {
        let mut frame = vec![number; len];
        frame[12..15].copy_from_slice(&[0x08, 0x00, 0x45]);
        frame
    }

    #[test]
    fn the_oldest_leaves_first_and_full_is_full() {
        let mut ring = [Parked::EMPTY; 2];
        let mut queue = SynQueue::new(&mut ring);
        for round in 0..5u8 {
            assert!(queue.park(&frame(round, 60), Instant::from_secs(1)));
            assert!(queue.park(&frame(round + 100, FRAME_BYTES), Instant::from_secs(2)));
            assert!(!queue.park(&frame(200, 60), Instant::from_secs(3)), "N + 1");
            assert!(
                [round, round + 100]
                    .iter()
                    .all(|&number| queue.holds(&frame(number, 60)))
            );
            assert!(queue.is_full() && !queue.holds(&frame(200, 60)));
            let first = queue.pop().unwrap();
            assert!(!queue.is_full() && !queue.holds(&frame(round, 60)));
            assert_eq!(first.frame(), frame(round, 60));
            assert!(first.is_stale(Instant::from_secs(21), Duration::from_secs(20)));
            assert!(!first.is_stale(Instant::from_secs(20), Duration::from_secs(20)));
            assert_eq!(
                queue.pop().unwrap().frame(),
                frame(round + 100, FRAME_BYTES)
            );
            assert!(queue.pop().is_none());
        }
    }

    #[test]
    fn a_place_takes_what_the_readme_says() {
        let bytes = if cfg!(feature = "ipv6") { 128 } else { 104 };
        assert_eq!(size_of::<Parked>(), bytes);
    }

    #[test]
    fn a_frame_too_long_and_a_queue_of_none_refuse() {
        let mut ring = [Parked::EMPTY; 1];
        assert!(!SynQueue::new(&mut ring).park(&frame(0, FRAME_BYTES + 1), Instant::ZERO));
        assert!(!SynQueue::new(&mut []).park(&frame(0, 60), Instant::ZERO));
        assert!(SynQueue::new(&mut []).pop().is_none());
        assert!(!SynQueue::new(&mut []).is_full(), "nobody is missing");
    }
}
