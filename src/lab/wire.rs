//! A wire between two stacks, in memory and on virtual time, that loses, delays,
//! duplicates, reorders and damages what it carries. Tests of the core run on it
//! and need no operating system and no simulator.
//!
//! The rule: what happens to a frame depends on the seed, its direction and its
//! number in that direction, and on nothing else. Each kind of fault has its own
//! draws, so switching one off never changes what another does. A fault that
//! took effect is counted; a fault that has no count has not happened.
//!
//! Frames of one direction arrive by time, then in the order sent. A direction
//! with no place left refuses to transmit; nothing is dropped for lack of room.
//!
//! Not here: more than two ends, partitions, bandwidth: those are the world's.

use core::cell::RefCell;

pub use crate::lab::faults::{Direction, DirectionStats, Faults, WireStats};
use heapless::binary_heap::{BinaryHeap, Min};
use siphasher::sip::SipHasher13;
use smoltcp::phy::{self, Device, DeviceCapabilities};
use smoltcp::time::Instant;

/// The longest frame the wire carries: 1500 bytes of IP and the Ethernet header.
pub const FRAME_BYTES: usize = 1514;

/// A frame taken off the wire.
pub type Frame = heapless::Vec<u8, FRAME_BYTES>;

/// A wire with two ends and at most `FRAMES` frames in flight per direction.
///
/// ```
/// use cygnet::lab::wire::{Faults, Wire};
/// use smoltcp::time::{Duration, Instant};
///
/// let wire = Wire::<8>::new(Faults { latency: Duration::from_millis(5), ..Faults::NONE });
/// let (mut first, mut second) = wire.ends();
/// assert!(first.inject(Instant::ZERO, b"a frame"));
/// assert_eq!(second.take(Instant::from_millis(4)), None);
/// assert_eq!(second.take(Instant::from_millis(5)).as_deref(), Some(&b"a frame"[..]));
/// ```
pub struct Wire<const FRAMES: usize> {
    inner: RefCell<Inner<FRAMES>>,
}

impl<const FRAMES: usize> Wire<FRAMES> {
    /// A wire with nothing in flight. About 3 KiB per frame of capacity: put a
    /// long one in a static (`std::sync::Mutex` makes it `Sync`).
    pub const fn new(faults: Faults) -> Self {
        Self {
            inner: RefCell::new(Inner {
                faults,
                lanes: [Lane::EMPTY; 2],
            }),
        }
    }

    /// The two ends.
    pub fn ends(&self) -> (WireEnd<'_, FRAMES>, WireEnd<'_, FRAMES>) {
        (self.end(Direction::Forth), self.end(Direction::Back))
    }

    /// When the next frame arrives, at either end.
    pub fn next_delivery(&self) -> Option<Instant> {
        let inner = self.inner.borrow();
        let heads = inner.lanes.iter().filter_map(|lane| lane.queue.peek());
        heads
            .map(|queued| queued.deliver_at)
            .min()
            .map(Instant::from_micros)
    }

    /// What happened so far.
    pub fn stats(&self) -> WireStats {
        let [forth, back] = &self.inner.borrow().lanes;
        WireStats {
            forth: forth.stats,
            back: back.stats,
        }
    }

    /// Changes the faults for frames sent from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.inner.borrow_mut().faults = faults;
    }

    fn end(&self, sends: Direction) -> WireEnd<'_, FRAMES> {
        WireEnd {
            wire: self,
            sends,
            filter: None,
        }
    }

    fn is_full(&self, direction: Direction) -> bool {
        self.inner.borrow().lanes[direction as usize].queue.len() == FRAMES
    }

    fn refuse(&self, direction: Direction) {
        self.inner.borrow_mut().lanes[direction as usize]
            .stats
            .refused += 1;
    }

    fn send(&self, now: Instant, direction: Direction, frame: &[u8], passes: bool) -> bool {
        let inner = &mut *self.inner.borrow_mut();
        let draws = Draws::new(&inner.faults, direction);
        inner.lanes[direction as usize].send(now, &inner.faults, &draws, frame, passes)
    }

    fn deliver(&self, now: Instant, direction: Direction) -> Option<Frame> {
        self.inner.borrow_mut().lanes[direction as usize].deliver(now)
    }

    fn is_due(&self, now: Instant, direction: Direction) -> bool {
        let inner = self.inner.borrow();
        let head = inner.lanes[direction as usize].queue.peek();
        head.is_some_and(|queued| queued.deliver_at <= now.total_micros())
    }
}

/// What a filter is: false drops the frame.
type Filter<'w> = dyn Fn(&[u8]) -> bool + 'w;

/// One end of a [`Wire`]: a device for a stack, or the hands of a test.
#[derive(Clone, Copy)]
pub struct WireEnd<'w, const FRAMES: usize> {
    wire: &'w Wire<FRAMES>,
    sends: Direction,
    filter: Option<&'w Filter<'w>>,
}

impl<'w, const FRAMES: usize> WireEnd<'w, FRAMES> {
    /// Asks `filter` about each frame that a stack transmits here; false drops
    /// it, counted. A dropped frame keeps its number, so the faults of those
    /// that follow stay what they were. Injected frames are not asked about. Like a
    /// device, a filter must not call the node that transmits: see
    /// [`Platform::device`](crate::Platform::device).
    #[must_use]
    pub fn with_filter(self, filter: &'w dyn Fn(&[u8]) -> bool) -> Self {
        Self {
            filter: Some(filter),
            ..self
        }
    }

    /// Sends these bytes from this end, whatever they are. False, and counted,
    /// if the direction is full or the frame longer than [`FRAME_BYTES`].
    pub fn inject(&self, now: Instant, frame: &[u8]) -> bool {
        self.wire.send(now, self.sends, frame, true)
    }

    /// Takes the next frame that has arrived here, without a stack.
    pub fn take(&mut self, now: Instant) -> Option<Frame> {
        self.wire.deliver(now, self.sends.reverse())
    }
}

impl<const FRAMES: usize> Device for WireEnd<'_, FRAMES> {
    type RxToken<'t>
        = WireRxToken
    where
        Self: 't;
    type TxToken<'t>
        = WireTxToken<'t, FRAMES>
    where
        Self: 't;

    fn receive(&mut self, now: Instant) -> Option<(WireRxToken, WireTxToken<'_, FRAMES>)> {
        let receives = self.sends.reverse();
        if !self.wire.is_due(now, receives) {
            return None;
        }
        // No place for an answer: the frame waits.
        let answer = self.transmit(now)?;
        let frame = answer.end.wire.deliver(now, receives)?;
        Some((WireRxToken { frame }, answer))
    }

    fn transmit(&mut self, now: Instant) -> Option<WireTxToken<'_, FRAMES>> {
        if self.wire.is_full(self.sends) {
            self.wire.refuse(self.sends);
            return None;
        }
        Some(WireTxToken { end: self, now })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = FRAME_BYTES;
        capabilities
    }
}

/// A frame that arrived. It owns the bytes, so that the answer can be sent while
/// they are read.
pub struct WireRxToken {
    frame: Frame,
}

impl phy::RxToken for WireRxToken {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.frame)
    }
}

/// Leave to send one frame.
pub struct WireTxToken<'t, const FRAMES: usize> {
    end: &'t WireEnd<'t, FRAMES>,
    now: Instant,
}

impl<const FRAMES: usize> phy::TxToken for WireTxToken<'_, FRAMES> {
    /// # Panics
    /// If `len` is more than [`FRAME_BYTES`]: the stack ignored the device's MTU.
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut bytes = [0; FRAME_BYTES];
        let frame = &mut bytes[..len];
        let result = f(frame);
        let passes = self.end.filter.is_none_or(|filter| filter(frame));
        self.end.wire.send(self.now, self.end.sends, frame, passes);
        result
    }
}

struct Inner<const FRAMES: usize> {
    faults: Faults,
    lanes: [Lane<FRAMES>; 2],
}

/// A frame in flight, ordered by arrival, then by sending.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Queued {
    deliver_at: i64,
    sequence: u64,
    place: u32,
}

/// One direction.
struct Lane<const FRAMES: usize> {
    places: [FramePlace; FRAMES],
    queue: BinaryHeap<Queued, Min, FRAMES>,
    /// Places that were used and are free again.
    free: heapless::Vec<u32, FRAMES>,
    /// Places from here on were never used. A wire of zeros is an empty one.
    fresh: u32,
    /// Frames and copies put in flight.
    sequence: u64,
    /// One more than the highest sequence delivered.
    overtaken_below: u64,
    stats: DirectionStats,
}

#[derive(Clone, Copy)]
struct FramePlace {
    bytes: [u8; FRAME_BYTES],
    len: u16,
}

impl<const FRAMES: usize> Lane<FRAMES> {
    const EMPTY: Self = Self {
        places: [FramePlace {
            bytes: [0; FRAME_BYTES],
            len: 0,
        }; FRAMES],
        queue: BinaryHeap::new(),
        free: heapless::Vec::new(),
        fresh: 0,
        sequence: 0,
        overtaken_below: 0,
        stats: DirectionStats {
            sent: 0,
            filtered: 0,
            lost: 0,
            duplicated: 0,
            duplicates_skipped: 0,
            delayed: 0,
            reordered: 0,
            corrupted: 0,
            delivered: 0,
            refused: 0,
        },
    };

    /// Whether the frame was accepted; what the faults make of it afterwards is
    /// not the sender's to know.
    fn send(
        &mut self,
        now: Instant,
        faults: &Faults,
        draws: &Draws,
        frame: &[u8],
        passes: bool,
    ) -> bool {
        if self.queue.len() == FRAMES || frame.len() > FRAME_BYTES {
            self.stats.refused += 1;
            return false;
        }
        let number = self.stats.sent;
        self.stats.sent += 1;
        if !passes {
            self.stats.filtered += 1;
            return true;
        }
        if draws.happens(Kind::Loss, number, 0, faults.loss_ppm) {
            self.stats.lost += 1;
            return true;
        }
        self.fly(now, faults, draws, frame, (number, 0));
        if draws.happens(Kind::Duplicate, number, 0, faults.duplicate_ppm) {
            if self.fly(now, faults, draws, frame, (number, 1)) {
                self.stats.duplicated += 1;
            } else {
                self.stats.duplicates_skipped += 1;
            }
        }
        true
    }

    /// Puts a frame (copy 0) or its duplicate (copy 1) in flight.
    fn fly(
        &mut self,
        now: Instant,
        faults: &Faults,
        draws: &Draws,
        frame: &[u8],
        (number, copy): (u64, u8),
    ) -> bool {
        let Some(place) = self.free.pop().or_else(|| self.fresh_place()) else {
            return false;
        };
        let jitter = draws.below(
            Kind::Jitter,
            number,
            copy,
            faults.jitter.total_micros().saturating_add(1),
        );
        let mut delay = faults.latency.total_micros().saturating_add(jitter);
        if draws.happens(Kind::Reorder, number, copy, faults.reorder_ppm) {
            self.stats.delayed += 1;
            delay = delay.saturating_add(faults.reorder_delay.total_micros());
        }
        let FramePlace { bytes, len } = &mut self.places[place as usize];
        bytes[..frame.len()].copy_from_slice(frame);
        *len = frame.len() as u16;
        let hit = draws.happens(Kind::Corrupt, number, copy, faults.corrupt_ppm);
        if hit && !frame.is_empty() {
            self.stats.corrupted += 1;
            let bit = draws.below(Kind::CorruptBit, number, copy, frame.len() as u64 * 8);
            bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        }
        let queued = Queued {
            deliver_at: now.total_micros().saturating_add_unsigned(delay),
            sequence: self.sequence,
            place,
        };
        self.sequence += 1;
        // There was a place, so there is room in the queue.
        self.queue.push(queued).is_ok()
    }

    fn fresh_place(&mut self) -> Option<u32> {
        let place = self.fresh;
        self.places.get(place as usize)?;
        self.fresh += 1;
        Some(place)
    }

    fn deliver(&mut self, now: Instant) -> Option<Frame> {
        if self.queue.peek()?.deliver_at > now.total_micros() {
            return None;
        }
        let Queued {
            sequence, place, ..
        } = self.queue.pop()?;
        let FramePlace { bytes, len } = self.places.get(place as usize)?;
        let frame = Frame::from_slice(bytes.get(..usize::from(*len))?).ok()?;
        // Every place is in the queue or here, never in both.
        self.free.push(place).ok()?;
        self.stats.delivered += 1;
        if sequence < self.overtaken_below {
            self.stats.reordered += 1;
        } else {
            self.overtaken_below = sequence + 1;
        }
        Some(frame)
    }
}

/// What is drawn. The numbers are part of every recorded seed: never reuse one.
#[derive(Clone, Copy)]
enum Kind {
    Loss = 0,
    Duplicate = 1,
    Jitter = 2,
    Reorder = 3,
    Corrupt = 4,
    CorruptBit = 5,
}

/// A generator without state: SipHash-1-3 of what is drawn, keyed by the seed.
struct Draws {
    hasher: SipHasher13,
    direction: Direction,
}

impl Draws {
    fn new(faults: &Faults, direction: Direction) -> Self {
        Self {
            hasher: SipHasher13::new_with_keys(faults.seed, 0),
            direction,
        }
    }

    fn draw(&self, kind: Kind, number: u64, copy: u8) -> u64 {
        let mut bytes = [
            self.direction as u8,
            kind as u8,
            copy,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        bytes[3..].copy_from_slice(&number.to_le_bytes());
        self.hasher.hash(&bytes)
    }

    /// Uniform from 0 to `bound`, without `bound`.
    fn below(&self, kind: Kind, number: u64, copy: u8, bound: u64) -> u64 {
        if bound <= 1 {
            return 0; // the only answer needs no draw
        }
        ((u128::from(self.draw(kind, number, copy)) * u128::from(bound)) >> 64) as u64
    }

    fn happens(&self, kind: Kind, number: u64, copy: u8, ppm: u32) -> bool {
        ppm > 0 && self.below(kind, number, copy, 1_000_000) < u64::from(ppm)
    }
}

#[cfg(any(test, feature = "on-target"))]
#[path = "wire_small_tests.rs"]
pub(crate) mod small_tests;
#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
