//! What happens to one frame on one link. A [`Twist`] is one thing; a frame may
//! meet several. They are drawn from a seed, or told: read from a plan, by the
//! link, the way and the frame's number, without drawing anything.
//!
//! Not here: what a twist does to a frame. That is the link's.

use std::collections::BTreeMap;

use smoltcp::time::Duration;

/// Which way along a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// From the link's first end to its second.
    Forth,
    /// From the second to the first.
    Back,
}

/// One thing that happens to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Twist {
    /// It never arrives.
    Lose,
    /// It arrives this much later.
    Late(Duration),
    /// It arrives this much later, and those behind it wait.
    Spike(Duration),
    /// It is held back this long, and those behind it overtake.
    Hold(Duration),
    /// This bit flips after it was written.
    Flip(u64),
    /// It arrives a second time, this much after the first.
    Twice(Duration),
}

impl Twist {
    /// The word that plans use.
    pub fn word(self) -> &'static str {
        match self {
            Twist::Lose => "lose",
            Twist::Late(_) => "late",
            Twist::Spike(_) => "spike",
            Twist::Hold(_) => "hold",
            Twist::Flip(_) => "flip",
            Twist::Twice(_) => "twice",
        }
    }
}

/// Why a frame never arrives at the other end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lost {
    /// The link was cut that way.
    Cut,
    /// The test's own rule dropped it.
    Ruled,
    /// It was longer than the link carries.
    TooLong,
    /// By the link's rate of loss, or because the plan says so.
    Chance,
    /// It found no place in the link's queue.
    QueueFull,
}

impl Lost {
    /// Every reason.
    pub const ALL: [Lost; 5] = [
        Lost::Cut,
        Lost::Ruled,
        Lost::TooLong,
        Lost::Chance,
        Lost::QueueFull,
    ];

    /// The reason in a few words.
    pub fn words(self) -> &'static str {
        match self {
            Lost::Cut => "the link is cut",
            Lost::Ruled => "dropped by the test's rule",
            Lost::TooLong => "longer than the link's MTU",
            Lost::Chance => "lost",
            Lost::QueueFull => "the link's queue is full",
        }
    }
}

/// The twists of one frame, in the order in which they are applied.
pub(super) type Twists = heapless::Vec<Twist, 6>;

/// Names a frame: the link, the way along it, and how many went before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrameId {
    /// The link's number.
    pub link: u32,
    /// Which way.
    pub way: Way,
    /// How many frames were sent that way before, since the world began.
    pub number: u64,
}

/// What happens to which frame; everything else arrives as the link sees fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fates(BTreeMap<FrameId, Twists>);

impl Fates {
    /// Adds a twist. False when the frame has this kind already.
    pub fn add(&mut self, frame: FrameId, twist: Twist) -> bool {
        let twists = self.0.entry(frame).or_default();
        let fresh = twists.iter().all(|other| other.word() != twist.word());
        if fresh {
            // One of each kind: there is room. The order is that of the kinds.
            let _ = twists.push(twist);
            twists.sort_unstable();
        }
        fresh
    }

    /// Every frame and each of its twists, in order.
    pub fn iter(&self) -> impl Iterator<Item = (FrameId, Twist)> + '_ {
        let each = |(frame, twists): (&FrameId, &Twists)| {
            let frame = *frame;
            let twists = twists.clone();
            twists.into_iter().map(move |twist| (frame, twist))
        };
        self.0.iter().flat_map(each)
    }

    pub(super) fn of(&self, frame: FrameId) -> Twists {
        self.0.get(&frame).cloned().unwrap_or_default()
    }
}

impl FromIterator<(FrameId, Twist)> for Fates {
    fn from_iter<I: IntoIterator<Item = (FrameId, Twist)>>(facts: I) -> Self {
        let mut fates = Fates::default();
        for (frame, twist) in facts {
            fates.add(frame, twist);
        }
        fates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_twist_of_a_kind_in_the_order_of_the_kinds() {
        let frame = FrameId {
            link: 1,
            way: Way::Back,
            number: 7,
        };
        let mut fates = Fates::default();
        assert!(fates.add(frame, Twist::Flip(3)));
        assert!(fates.add(frame, Twist::Late(Duration::from_micros(9))));
        assert!(!fates.add(frame, Twist::Flip(4)));
        let all: Vec<_> = fates.iter().map(|(_, twist)| twist.word()).collect();
        assert_eq!(all, ["late", "flip"]);
        assert!(fates.of(FrameId { number: 8, ..frame }).is_empty());
    }
}
