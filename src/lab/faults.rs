//! What a wire does to frames, and what it has done.

use smoltcp::time::Duration;

/// What the wire does to frames. Probabilities are in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Decides every draw.
    pub seed: u64,
    /// How long every frame is under way.
    pub latency: Duration,
    /// The most that is added to it, uniformly. Overtaking follows.
    pub jitter: Duration,
    /// Frames that vanish.
    pub loss_ppm: u32,
    /// Frames that arrive twice; the copy has its own delay and damage.
    pub duplicate_ppm: u32,
    /// Frames that are delayed by `reorder_delay` more.
    pub reorder_ppm: u32,
    /// How long these are delayed.
    pub reorder_delay: Duration,
    /// Frames with one bit flipped, anywhere, after they were written.
    pub corrupt_ppm: u32,
}

impl Faults {
    /// A perfect wire: at once, in order, intact.
    pub const NONE: Self = Self {
        seed: 0,
        latency: Duration::ZERO,
        jitter: Duration::ZERO,
        loss_ppm: 0,
        duplicate_ppm: 0,
        reorder_ppm: 0,
        reorder_delay: Duration::ZERO,
        corrupt_ppm: 0,
    };
}

/// A way through the wire, named by the end that sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the first end to the second.
    Forth = 0,
    /// From the second end to the first.
    Back = 1,
}

impl Direction {
    pub(crate) fn reverse(self) -> Self {
        match self {
            Direction::Forth => Direction::Back,
            Direction::Back => Direction::Forth,
        }
    }
}

/// What happened in one direction. When no frame is in flight,
/// `delivered == sent - filtered - lost + duplicated`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectionStats {
    /// Frames handed to the wire.
    pub sent: u64,
    /// Frames that a filter dropped.
    pub filtered: u64,
    /// Frames lost.
    pub lost: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Copies not made because the direction was full.
    pub duplicates_skipped: u64,
    /// Frames and copies delayed by `reorder_delay`.
    pub delayed: u64,
    /// Frames and copies delivered after one that was sent later.
    pub reordered: u64,
    /// Frames and copies with a flipped bit.
    pub corrupted: u64,
    /// Frames and copies delivered.
    pub delivered: u64,
    /// Times that a full direction refused to transmit, or to deliver to the end
    /// that could not have answered; and frames too long for the wire.
    pub refused: u64,
}

/// What happened in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireStats {
    /// From the first end to the second.
    pub forth: DirectionStats,
    /// From the second end to the first.
    pub back: DirectionStats,
}
