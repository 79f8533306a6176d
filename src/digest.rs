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
#[derive(Debug)]
pub struct Digest {
    hasher: RefCell<SipHasher13>,
    events: Cell<u64>,
}

impl Digest {
    /// The digest of nothing.
    pub fn new() -> Self {
        Digest {
            hasher: RefCell::new(SipHasher13::new()),
            events: Cell::new(0),
        }
    }

    /// The digest of all events so far.
    pub fn value(&self) -> u128 {
        self.hasher.borrow().finish128().as_u128()
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.events.get()
    }

    /// Hashes a number that belongs to the next event: which host it is of, or
    /// what else is known about it.
    pub fn number(&self, number: u64) {
        self.hasher.borrow_mut().write(&number.to_le_bytes());
    }

    /// Counts an event whose [`number`](Self::number)s are all there is to it.
    pub fn count(&self) {
        self.events.set(self.events.get() + 1);
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for Digest {
    fn event(&self, now: Instant, event: &Event<'_>) {
        self.events.set(self.events.get() + 1);
        let mut hasher = self.hasher.borrow_mut();
        let mut record = Record(&mut hasher);
        record.u64(now.total_micros() as u64);
        record.event(event);
    }
}

/// One event on its way into the hash.
struct Record<'h>(&'h mut SipHasher13);

impl Record<'_> {
    fn event(&mut self, event: &Event<'_>) {
        match *event {
            Event::FrameIn(frame) => self.kind(1).bytes(frame),
            Event::FrameOut(frame) => self.kind(2).bytes(frame),
            Event::Dropped(reason) => self.kind(3).u32(reason as u32),
            Event::Admitted {
                slot,
                local,
                remote,
            } => self.kind(4).u32(slot).endpoint(local).endpoint(remote),
            Event::Accepted { slot, remote } => self.kind(5).u32(slot).endpoint(remote),
            Event::Connecting {
                slot,
                local,
                remote,
            } => self.kind(6).u32(slot).endpoint(local).endpoint(remote),
            Event::Established { slot } => self.kind(7).u32(slot),
            Event::Read { slot, bytes } => self.kind(8).u32(slot).bytes(bytes),
            Event::Written { slot, bytes } => self.kind(9).u32(slot).bytes(bytes),
            Event::Reset { slot } => self.kind(10).u32(slot),
            Event::Expired { slot, deadline } => self.kind(11).u32(slot).u32(deadline as u32),
            Event::Reclaimed { slot } => self.kind(12).u32(slot),
            Event::Freed { slot } => self.kind(13).u32(slot),
            Event::Spawned { task, .. } => self.kind(14).u32(task),
            Event::Woken { task } => self.kind(15).u32(task),
            Event::Resumed { task } => self.kind(16).u32(task),
            Event::Yielded {
                task,
                reason,
                source,
            } => self.kind(17).u32(task).u32(reason as u32).source(source),
            Event::Parked(reason) => self.kind(19).u32(reason as u32),
            Event::Done { task, failed } => self.kind(18).u32(task).u32(failed.into()),
        };
    }

    fn kind(&mut self, kind: u32) -> &mut Self {
        self.u32(kind)
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.0.write(&value.to_le_bytes());
        self
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.0.write(&value.to_le_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u64(bytes.len() as u64);
        self.0.write(bytes);
        self
    }

    fn endpoint(&mut self, endpoint: IpEndpoint) -> &mut Self {
        match endpoint.addr {
            IpAddress::Ipv4(addr) => self.u32(4).bytes(&addr.octets()),
            #[cfg(feature = "ipv6")]
            IpAddress::Ipv6(addr) => self.u32(6).bytes(&addr.octets()),
        };
        self.u32(endpoint.port.into())
    }

    fn source(&mut self, source: Source) -> &mut Self {
        match source {
            Source::None => self.u32(0).u32(0),
            Source::Listener(port) => self.u32(1).u32(port.into()),
            Source::Stream(slot) => self.u32(2).u32(slot),
        }
    }
}
