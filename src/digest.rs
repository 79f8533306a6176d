//! A digest of everything that happened. Two runs with the same digest did the
//! same things in the same order at the same times; the same run gives the
//! same digest on every architecture, because every event is hashed as a
//! record of fixed-width little-endian fields, and no name, pointer or `usize`
//! is among them.
//!
//! Not here: which events there are. A new kind takes a new number at the end.

use core::cell::{Cell, RefCell};
use core::hash::Hasher as _;

use siphasher::sip128::{Hasher128, SipHasher13};
use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::event::{Event, Observer, Source};

/// An [`Observer`] that hashes every event into 128 bits with SipHash-1-3
/// under a fixed key.
///
/// ```
/// use cygnet::event::{Event, Observer};
/// use smoltcp::time::Instant;
/// let digest = cygnet::Digest::new();
/// digest.event(Instant::from_millis(5), &Event::Done { task: 3, failed: false });
/// assert_eq!(digest.events(), 1);
/// assert_eq!(digest.value(), 0xd2f2_2292_1391_f53d_e31b_3310_f40d_05ed);
/// ```
#[derive(Debug, Default)]
pub struct Digest {
    text: RefCell<Text>,
    events: Cell<u64>,
}

impl Digest {
    /// The digest of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The digest of all events so far.
    pub fn value(&self) -> u128 {
        let text = self.text.borrow();
        let mut hasher = text.hasher;
        hasher.write(&text.bytes[..text.len]);
        hasher.finish128().as_u128()
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.events.get()
    }

    /// Hashes an event of one of several hosts; the number says which.
    pub fn event_of(&self, host: u64, now: Instant, event: &Event<'_>) {
        let both = u128::from(host) | u128::from(now.total_micros() as u64) << 64;
        self.record(|record| record.put(&both.to_le_bytes()).event(event));
    }

    /// Hashes an event that cygnet does not know, as numbers.
    pub fn numbers(&self, numbers: &[u64]) {
        self.record(|record| {
            for &number in numbers {
                record.u64(number);
            }
        });
    }

    fn record(&self, fill: impl FnOnce(&mut Text)) {
        self.events.set(self.events.get() + 1);
        let mut text = self.text.borrow_mut();
        fill(&mut text);
        if text.len >= ROOM {
            text.hash();
        }
    }
}

impl Observer for Digest {
    fn event(&self, now: Instant, event: &Event<'_>) {
        self.record(|record| record.u64(now.total_micros() as u64).event(event));
    }
}

/// How many bytes are put together before they are hashed.
const ROOM: usize = 512;

/// And how many more there is room for, so that most records fit in whole.
const MORE: usize = 128;

/// Events on their way into the hash. They are put together first: a hasher that is
/// given a few bytes at a time takes three times as long.
#[derive(Debug)]
struct Text {
    hasher: SipHasher13,
    bytes: [u8; ROOM + MORE],
    len: usize,
}

impl Default for Text {
    fn default() -> Self {
        Text {
            hasher: SipHasher13::new(),
            bytes: [0; ROOM + MORE],
            len: 0,
        }
    }
}

impl Text {
    #[inline]
    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        match self.bytes.get_mut(self.len..self.len + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.put_long(bytes),
        }
        self
    }

    #[cold]
    #[inline(never)]
    fn put_long(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(ROOM) {
            self.hash();
            self.put(part);
        }
    }

    /// Hashes all but what is left of a last word, which comes to the front.
    #[inline(never)]
    fn hash(&mut self) {
        let words = self.len / 8 * 8;
        self.hasher.write(&self.bytes[..words]);
        self.bytes.copy_within(words..self.len, 0);
        self.len -= words;
    }

    #[inline(always)]
    fn event(&mut self, event: &Event<'_>) {
        // The kind of event comes before what belongs to it.
        match *event {
            Event::FrameIn(frame) => self.frame(1, frame),
            Event::FrameOut(frame) => self.frame(2, frame),
            Event::Dropped(reason) => self.pair(3, reason as u32),
            Event::Admitted {
                slot,
                local,
                remote,
            } => self.pair(4, slot).endpoint(local).endpoint(remote),
            Event::Accepted { slot, remote } => self.pair(5, slot).endpoint(remote),
            Event::Connecting {
                slot,
                local,
                remote,
            } => self.pair(6, slot).endpoint(local).endpoint(remote),
            Event::Established { slot } => self.pair(7, slot),
            Event::Read { slot, bytes } => self.pair(8, slot).bytes(bytes),
            Event::Written { slot, bytes } => self.pair(9, slot).bytes(bytes),
            Event::Reset { slot } => self.pair(10, slot),
            Event::Expired { slot, deadline } => self.pair(11, slot).u32(deadline as u32),
            Event::Reclaimed { slot } => self.pair(12, slot),
            Event::Freed { slot } => self.pair(13, slot),
            Event::Spawned { task, .. } => self.pair(14, task),
            Event::Woken { task } => self.pair(15, task),
            Event::Resumed { task } => self.pair(16, task),
            Event::Yielded {
                task,
                reason,
                source,
            } => self.pair(17, task).u32(reason as u32).source(source),
            Event::Conflict { addr, hardware } => self
                .u32(30)
                .endpoint(IpEndpoint::new(addr, 0))
                .put(&hardware),
            Event::Bound { port } => self.pair(20, port.into()),
            Event::Received {
                port,
                remote,
                bytes,
            } => {
                let record = self.pair(21, port.into());
                record.endpoint(remote).bytes(bytes)
            }
            Event::Sent {
                port,
                remote,
                bytes,
            } => {
                let record = self.pair(22, port.into());
                record.endpoint(remote).bytes(bytes)
            }
            Event::Leased { addr, until } => {
                let record = self.u32(31).endpoint(IpEndpoint::new(addr, 0));
                record.u64(until.total_micros() as u64)
            }
            Event::LeaseLost { addr } => self.u32(32).endpoint(IpEndpoint::new(addr, 0)),
            Event::Parked(reason) => self.pair(19, reason as u32),
            Event::Done { task, failed } => self.pair(18, task).u32(failed.into()),
        };
    }

    /// The kind and the length at once.
    #[inline]
    fn frame(&mut self, kind: u32, frame: &[u8]) -> &mut Self {
        let mut head = [0; 12];
        head[..4].copy_from_slice(&kind.to_le_bytes());
        head[4..].copy_from_slice(&(frame.len() as u64).to_le_bytes());
        self.put(&head).put(frame)
    }

    /// Two fields at once.
    fn pair(&mut self, first: u32, second: u32) -> &mut Self {
        self.u64(u64::from(first) | u64::from(second) << 32)
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u64(bytes.len() as u64).put(bytes)
    }

    fn endpoint(&mut self, endpoint: IpEndpoint) -> &mut Self {
        match endpoint.addr {
            IpAddress::Ipv4(addr) => self.u32(4).u64(4).put(&addr.octets()),
            #[cfg(feature = "ipv6")]
            IpAddress::Ipv6(addr) => self.u32(6).u64(16).put(&addr.octets()),
        };
        self.u32(endpoint.port.into())
    }

    fn source(&mut self, source: Source) -> &mut Self {
        match source {
            Source::None => self.pair(0, 0),
            Source::Listener(port) => self.pair(1, port.into()),
            Source::Stream(slot) => self.pair(2, slot),
            Source::Socket(port) => self.pair(3, port.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// The room changes nothing: it is the hash of all records behind each other.
    #[test]
    fn records_of_any_length_are_hashed_as_one_text() {
        let (digest, mut text) = (Digest::new(), Vec::new());
        let frame: Vec<u8> = (0..3 * ROOM).map(|at| at as u8).collect();
        for len in (0..frame.len()).step_by(7).chain([ROOM - 8, ROOM, 8]) {
            let now = Instant::from_micros(len as i64);
            digest.event(now, &Event::FrameIn(&frame[..len]));
            text.extend((len as u64).to_le_bytes());
            text.extend(1_u32.to_le_bytes());
            text.extend((len as u64).to_le_bytes());
            text.extend(&frame[..len]);
            let hash = SipHasher13::new().hash(&text).as_u128();
            assert_eq!(digest.value(), hash, "{len}");
        }
    }
}
