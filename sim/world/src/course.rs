//! What becomes of a frame on a link, from what happens to it there.
//!
//! Not here: what happens to it, which is drawn, or told (`link`).

use smoltcp::time::{Duration, Instant};

use super::effects::Effects;
use super::fate::{FrameId, Lost, Twist};
use super::spare;

/// What becomes of a frame.
pub(super) struct Fate {
    pub(super) frame: FrameId,
    /// When it arrives, or why it never does.
    pub(super) at: Result<Instant, Lost>,
    /// When it arrives a second time.
    pub(super) again: Option<Instant>,
    /// A bit that flips on the way.
    pub(super) flip: Option<u64>,
}

impl Fate {
    /// How many copies arrive.
    pub(super) fn copies(&self) -> usize {
        match self.at {
            Ok(_) => 1 + usize::from(self.again.is_some()),
            Err(_) => 0,
        }
    }

    /// Why it never arrives.
    pub(super) fn lost(&self) -> Option<Lost> {
        self.at.err()
    }

    /// Gives `take` what arrives, and when. The copy is as it was sent.
    #[inline]
    pub(super) fn arrive(&self, mut frame: Vec<u8>, mut take: impl FnMut(Instant, Vec<u8>)) {
        let Ok(at) = self.at else {
            return spare::give(frame);
        };
        let copy = self.again.map(|again| (again, spare::copy(&frame)));
        if let Some(bit) = self.flip
            && let Some(byte) = frame.get_mut((bit / 8) as usize)
        {
            *byte ^= 1 << (bit % 8);
        }
        take(at, frame);
        if let Some((again, frame)) = copy {
            take(again, frame);
        }
    }
}

/// What becomes of a frame that is not lost.
pub(super) struct Course {
    pub(super) at: Instant,
    pub(super) hold: Duration,
    pub(super) twice: Option<Duration>,
    pub(super) flip: Option<u64>,
}

impl Course {
    /// Something happens to a frame of so many bits.
    #[inline(always)]
    pub(super) fn meet(
        &mut self,
        twist: Twist,
        bits: u64,
        not_before: &mut Instant,
        effects: &mut Effects,
    ) {
        match twist {
            Twist::Lose => (),
            Twist::Late(more) => self.at += more,
            Twist::Spike(more) => {
                effects.spiked += 1;
                *not_before = (*not_before).max(self.at + more);
            }
            Twist::Hold(more) => {
                effects.reordered += 1;
                self.hold = more;
            }
            Twist::Flip(bit) => {
                effects.corrupted += u64::from(bit < bits);
                self.flip = Some(bit).filter(|bit| *bit < bits);
            }
            Twist::Twice(after) => {
                effects.duplicated += 1;
                self.twice = Some(after);
            }
        }
    }
}
