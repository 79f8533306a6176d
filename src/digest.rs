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
    hasher: RefCell<SipHasher13>,
    events: Cell<u64>,
}

impl Digest {
    /// The digest of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The digest of all events so far.
    pub fn value(&self) -> u128 {
        self.hasher.borrow().finish128().as_u128()
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.events.get()
    }

    /// Hashes an event of one of several hosts; the number says which.
    pub fn event_of(&self, host: u64, now: Instant, event: &Event<'_>) {
        self.record(|record| record.u64(host).event(now, event));
    }

    /// Hashes an event that cygnet does not know, as numbers.
    pub fn numbers(&self, numbers: &[u64]) {
        self.record(|record| {
            for &number in numbers {
                record.u64(number);
            }
        });
    }

    fn record(&self, fill: impl FnOnce(&mut Record<'_>)) {
        self.events.set(self.events.get() + 1);
        let mut record = Record {
            hasher: &mut self.hasher.borrow_mut(),
            fields: [0; Record::FIELDS],
            used: 0,
        };
        fill(&mut record);
        record.end();
    }
}

impl Observer for Digest {
    fn event(&self, now: Instant, event: &Event<'_>) {
        self.record(|record| record.event(now, event));
    }
}

/// One event on its way into the hash. Its fields are put together first: a
/// hasher that is given four bytes at a time takes three times as long.
struct Record<'h> {
    hasher: &'h mut SipHasher13,
    fields: [u8; Record::FIELDS],
    used: usize,
}

impl Record<'_> {
    const FIELDS: usize = 96;

    fn put<const N: usize>(&mut self, field: [u8; N]) -> &mut Self {
        if self.used + N > Record::FIELDS {
            self.end();
        }
        if let Some(place) = self.fields[self.used..].first_chunk_mut() {
            *place = field;
            self.used += N;
        }
        self
    }

    fn end(&mut self) {
        self.hasher.write(&self.fields[..self.used]);
        self.used = 0;
    }

    fn event(&mut self, now: Instant, event: &Event<'_>) {
        self.u64(now.total_micros() as u64);
        // The kind of event comes before what belongs to it.
        match *event {
            Event::FrameIn(frame) => self.u32(1).bytes(frame),
            Event::FrameOut(frame) => self.u32(2).bytes(frame),
            Event::Dropped(reason) => self.u32(3).u32(reason as u32),
            Event::Admitted {
                slot,
                local,
                remote,
            } => self.u32(4).u32(slot).endpoint(local).endpoint(remote),
            Event::Accepted { slot, remote } => self.u32(5).u32(slot).endpoint(remote),
            Event::Connecting {
                slot,
                local,
                remote,
            } => self.u32(6).u32(slot).endpoint(local).endpoint(remote),
            Event::Established { slot } => self.u32(7).u32(slot),
            Event::Read { slot, bytes } => self.u32(8).u32(slot).bytes(bytes),
            Event::Written { slot, bytes } => self.u32(9).u32(slot).bytes(bytes),
            Event::Reset { slot } => self.u32(10).u32(slot),
            Event::Expired { slot, deadline } => self.u32(11).u32(slot).u32(deadline as u32),
            Event::Reclaimed { slot } => self.u32(12).u32(slot),
            Event::Freed { slot } => self.u32(13).u32(slot),
            Event::Spawned { task, .. } => self.u32(14).u32(task),
            Event::Woken { task } => self.u32(15).u32(task),
            Event::Resumed { task } => self.u32(16).u32(task),
            Event::Yielded {
                task,
                reason,
                source,
            } => self.u32(17).u32(task).u32(reason as u32).source(source),
            Event::Conflict { addr, hardware } => self
                .u32(30)
                .endpoint(IpEndpoint::new(addr, 0))
                .put(hardware),
            Event::Bound { port } => self.u32(20).u32(port.into()),
            Event::Received {
                port,
                remote,
                bytes,
            } => {
                let record = self.u32(21).u32(port.into());
                record.endpoint(remote).bytes(bytes)
            }
            Event::Sent {
                port,
                remote,
                bytes,
            } => {
                let record = self.u32(22).u32(port.into());
                record.endpoint(remote).bytes(bytes)
            }
            Event::Leased { addr, until } => {
                let record = self.u32(31).endpoint(IpEndpoint::new(addr, 0));
                record.u64(until.total_micros() as u64)
            }
            Event::LeaseLost { addr } => self.u32(32).endpoint(IpEndpoint::new(addr, 0)),
            Event::Parked(reason) => self.u32(19).u32(reason as u32),
            Event::Done { task, failed } => self.u32(18).u32(task).u32(failed.into()),
        };
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.put(value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.put(value.to_le_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u64(bytes.len() as u64);
        self.end();
        self.hasher.write(bytes);
        self
    }

    fn endpoint(&mut self, endpoint: IpEndpoint) -> &mut Self {
        match endpoint.addr {
            IpAddress::Ipv4(addr) => self.u32(4).u64(4).put(addr.octets()),
            #[cfg(feature = "ipv6")]
            IpAddress::Ipv6(addr) => self.u32(6).u64(16).put(addr.octets()),
        };
        self.u32(endpoint.port.into())
    }

    fn source(&mut self, source: Source) -> &mut Self {
        match source {
            Source::None => self.u32(0).u32(0),
            Source::Listener(port) => self.u32(1).u32(port.into()),
            Source::Stream(slot) => self.u32(2).u32(slot),
            Source::Socket(port) => self.u32(3).u32(port.into()),
        }
    }
}
