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
        hasher.write(&text.bytes);
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
        fill(&mut self.text.borrow_mut());
    }
}

impl Observer for Digest {
    fn event(&self, now: Instant, event: &Event<'_>) {
        self.record(|record| record.u64(now.total_micros() as u64).event(event));
    }
}

/// Events on their way into the hash. They are put together first: a hasher that is
/// given a few bytes at a time takes three times as long.
#[derive(Debug, Default)]
struct Text {
    hasher: SipHasher13,
    bytes: heapless::Vec<u8, 256>,
}

impl Text {
    #[inline]
    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        if self.bytes.extend_from_slice(bytes).is_err() {
            self.hasher.write(&self.bytes);
            self.hasher.write(bytes);
            self.bytes.clear();
        }
        self
    }

    fn event(&mut self, event: &Event<'_>) {
        // The kind of event comes before what belongs to it.
        match *event {
            Event::FrameIn(frame) => self.u32(1).bytes(frame),
            Event::FrameOut(frame) => self.u32(2).bytes(frame),
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
