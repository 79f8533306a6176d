//! A link: what happens to a frame between two ends. One direction at a time,
//! because a network can be bad one way and good the other.
//!
//! The rules are applied in this order: partition, the test's own rule, length,
//! loss, queue and bandwidth, delay, corruption, duplication. Each that takes effect
//! is counted ([`Effects`]): a fault that touched no frame proved nothing.

use std::rc::Rc;

use smoltcp::time::{Duration, Instant};

use super::course::{Course, Fate};
use super::draws::{Draws, Kind, Stream};
use super::effects::Effects;
use super::fate::{Fates, FrameId, Lost, Twist, Twists, Way};

/// Where fates come from.
pub(super) enum Chance {
    /// From a seed and the link's rates.
    Drawn(Draws),
    /// From a plan; nothing is drawn.
    Told(Fates),
}

/// Parts per million.
pub type Ppm = u32;

/// How a link behaves, both ways. Start from [`Link::LAN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The least a frame takes.
    pub latency: Duration,
    /// At most this much more, uniformly; frames may overtake.
    pub jitter: Duration,
    /// Bytes a second; 0 is no limit.
    pub bytes_per_second: u64,
    /// Bytes that may wait for their turn; what does not fit is dropped.
    pub queue_bytes: u64,
    /// The longest frame, Ethernet header included; longer ones are dropped.
    pub mtu: usize,
    /// Who sends a longer one is told so, as by a router (RFC 1191, RFC 8201).
    pub tells: bool,
    /// Frames that never arrive.
    pub loss: Ppm,
    /// Frames that arrive twice.
    pub duplicate: Ppm,
    /// Frames that are held back for `hold`.
    pub reorder: Ppm,
    /// How long those are held back.
    pub hold: Duration,
    /// Frames in which one bit flips after they were written.
    pub corrupt: Ppm,
    /// Frames that take `spike_delay` longer, and all that come after them on
    /// this link wait behind.
    pub spike: Ppm,
    /// How long that is.
    pub spike_delay: Duration,
}

impl Link {
    /// A healthy local network: 50 µs, no limit, no fault.
    pub const LAN: Link = Link {
        latency: Duration::from_micros(50),
        jitter: Duration::ZERO,
        bytes_per_second: 0,
        queue_bytes: 256 << 10,
        mtu: 1514,
        tells: false,
        loss: 0,
        duplicate: 0,
        reorder: 0,
        hold: Duration::ZERO,
        corrupt: 0,
        spike: 0,
        spike_delay: Duration::ZERO,
    };

    /// The same link without faults: what is left after [`heal`](super::World::heal).
    pub fn healed(self) -> Link {
        Link {
            loss: 0,
            duplicate: 0,
            reorder: 0,
            corrupt: 0,
            spike: 0,
            ..self
        }
    }
}

/// What a test's own rule makes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As the link sees fit.
    Pass,
    /// Lost.
    Drop,
    /// Later by this much.
    Delay(Duration),
    /// Twice.
    Duplicate,
}

/// A test's own rule: the time, the frame, and what to do with it.
pub type Rule = Rc<dyn Fn(Instant, &[u8]) -> Verdict>;

/// One direction of a link. What every frame looks at lies together, and comes first: a
/// world has many of these, and each is looked at now and then.
#[repr(C)]
pub(super) struct Direction {
    id: FrameId,
    pub(super) blocked: bool,
    /// Its cable is pulled.
    pub(super) unplugged: bool,
    pub(super) rule: Option<Rule>,
    /// Nothing arrives before this.
    not_before: Instant,
    /// When the last byte accepted so far has left.
    busy_until: Instant,
    pub(super) link: Link,
    /// What its frames draw from, once one has.
    stream: Option<Stream>,
    pub(super) effects: Effects,
    /// As it was built; [`heal`](super::World::heal) goes back to it.
    built: Link,
}

/// What happens to a frame that is not lost, in the order in which it is applied.
#[inline(always)]
fn draw(stream: &Stream, link: &Link, number: u64, bits: u64, mut meets: impl FnMut(Twist)) {
    let jitter = link.jitter.total_micros();
    if jitter > 0 {
        match stream.below(Kind::Jitter, number, jitter + 1) {
            0 => (),
            late => meets(Twist::Late(Duration::from_micros(late))),
        }
    }
    if stream.happens(Kind::Spike, number, link.spike) {
        meets(Twist::Spike(link.spike_delay));
    }
    if stream.happens(Kind::Reorder, number, link.reorder) {
        meets(Twist::Hold(link.hold));
    }
    if stream.happens(Kind::Corrupt, number, link.corrupt) {
        meets(Twist::Flip(stream.below(Kind::Bit, number, bits)));
    }
    if stream.happens(Kind::Duplicate, number, link.duplicate) {
        meets(Twist::Twice(link.latency));
    }
}

impl Direction {
    pub(super) fn new(link: Link, number: u32, way: Way) -> Self {
        Direction {
            link,
            built: link,
            blocked: false,
            unplugged: false,
            rule: None,
            id: FrameId {
                link: number,
                way,
                number: 0,
            },
            stream: None,
            busy_until: Instant::ZERO,
            not_before: Instant::ZERO,
            effects: Effects::default(),
        }
    }

    /// As it was built.
    pub(super) fn built(&self) -> Link {
        self.built
    }

    /// How many frames were sent this way.
    pub(super) fn frames(&self) -> u64 {
        self.id.number
    }

    /// No fault any more, from the next frame on.
    pub(super) fn heal(&mut self) {
        self.link = self.built.healed();
        (self.blocked, self.unplugged) = (false, false);
        self.rule = None;
    }

    /// Takes a frame at `now` and says what becomes of it: it draws, or is told. What that
    /// was goes into `twists`.
    #[inline]
    pub(super) fn decide(
        &mut self,
        now: Instant,
        frame: &[u8],
        chance: &Chance,
        twists: &mut Twists,
    ) -> Fate {
        let id = self.id;
        self.id.number += 1;
        let mut fate = Fate {
            frame: id,
            at: Err(Lost::Cut),
            again: None,
            flip: None,
        };
        if self.blocked || self.unplugged {
            self.effects.partitioned += 1;
            return fate;
        }
        let verdict = match &self.rule {
            Some(rule) => rule(now, frame),
            None => Verdict::Pass,
        };
        self.effects.ruled += u64::from(verdict != Verdict::Pass);
        if verdict == Verdict::Drop {
            fate.at = Err(Lost::Ruled);
            return fate;
        }
        if frame.len() > self.link.mtu {
            self.effects.oversized += 1;
            fate.at = Err(Lost::TooLong);
            return fate;
        }
        if let Chance::Told(fates) = chance {
            *twists = fates.of(id);
        }
        // If it is lost, nothing is said before that.
        if self.loses(chance, id, twists) {
            self.effects.lost += 1;
            fate.at = Err(Lost::Chance);
            return fate;
        }
        let left = self.queue(now, frame.len() as u64);
        let mut course = Course {
            at: left.unwrap_or(now) + self.link.latency,
            hold: Duration::ZERO,
            twice: None,
            flip: None,
        };
        match verdict {
            Verdict::Delay(delay) => course.at += delay,
            Verdict::Duplicate => course.twice = Some(self.link.latency),
            _ => (),
        }
        let bits = frame.len() as u64 * 8;
        let (not_before, effects) = (&mut self.not_before, &mut self.effects);
        // What finds no place in the queue meets nothing, though it was drawn, or told.
        let goes = left.is_some();
        match (chance, &self.stream) {
            (Chance::Drawn(_), Some(stream)) => {
                draw(stream, &self.link, id.number, bits, |twist| {
                    // One of each kind: there is room.
                    let _ = twists.push(twist);
                    if goes {
                        course.meet(twist, bits, not_before, effects);
                    }
                })
            }
            _ => {
                for twist in twists.iter().filter(|_| goes) {
                    course.meet(*twist, bits, not_before, effects);
                }
            }
        }
        if !goes {
            self.effects.overflowed += 1;
            fate.at = Err(Lost::QueueFull);
            return fate;
        }
        let at = course.at.max(self.not_before) + course.hold;
        fate.at = Ok(at);
        fate.again = course.twice.map(|after| at + after);
        fate.flip = course.flip;
        fate
    }

    /// Whether it is lost by chance, which is drawn, or is the first that was told.
    #[inline]
    fn loses(&mut self, chance: &Chance, id: FrameId, twists: &mut Twists) -> bool {
        if let Chance::Drawn(draws) = chance {
            let stream = self.stream.get_or_insert_with(|| {
                let stream = 2 * u64::from(id.link) + u64::from(id.way == Way::Back);
                Stream::new(draws, stream)
            });
            if stream.happens(Kind::Loss, id.number, self.link.loss) {
                let _ = twists.push(Twist::Lose);
            }
        }
        matches!(twists.first(), Some(Twist::Lose))
    }

    /// When the frame has left, or `None` when it found no place to wait.
    fn queue(&mut self, now: Instant, bytes: u64) -> Option<Instant> {
        let rate = self.link.bytes_per_second;
        if rate == 0 {
            return Some(now);
        }
        let start = self.busy_until.max(now);
        let waiting = (start - now).total_micros().saturating_mul(rate) / 1_000_000;
        if waiting + bytes > self.link.queue_bytes {
            return None;
        }
        self.busy_until = start + Duration::from_micros((bytes * 1_000_000).div_ceil(rate));
        Some(self.busy_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Instant {
        Instant::from_micros(micros)
    }

    fn direction(link: Link) -> Direction {
        Direction::new(link, 0, Way::Forth)
    }

    /// A frame on its way: when it arrives, and what arrives.
    type Arrival = (Instant, Vec<u8>);

    fn arrivals(fate: &Fate, frame: Vec<u8>) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        fate.arrive(frame, |at, frame| arrivals.push((at, frame)));
        arrivals
    }

    fn sent(direction: &mut Direction, frames: u64) -> Vec<Arrival> {
        let chance = Chance::Drawn(Draws::new(3));
        let send = |number| {
            let frame = vec![number as u8; 60];
            let fate = direction.decide(at(number as i64), &frame, &chance, &mut Twists::new());
            arrivals(&fate, frame)
        };
        (0..frames).flat_map(send).collect()
    }

    #[test]
    fn a_healthy_link_delivers_in_order_after_its_latency() {
        let arrivals = sent(&mut direction(Link::LAN), 100);
        for (number, (when, frame)) in arrivals.iter().enumerate() {
            assert_eq!(*when, at(number as i64 + 50));
            assert_eq!(frame[0] as usize, number);
        }
    }

    #[test]
    fn each_fault_has_an_effect_and_the_others_do_not_move() {
        let all = Link {
            loss: 100_000,
            duplicate: 100_000,
            reorder: 100_000,
            hold: Duration::from_millis(1),
            corrupt: 100_000,
            spike: 20_000,
            spike_delay: Duration::from_millis(5),
            ..Link::LAN
        };
        let mut way = direction(all);
        sent(&mut way, 1000);
        let effects = way.effects;
        let faults = [
            effects.lost,
            effects.duplicated,
            effects.reordered,
            effects.corrupted,
            effects.spiked,
        ];
        assert!(faults.iter().all(|&count| count > 5), "{effects:?}");
        // Without corruption the same frames are lost and doubled.
        let mut other = direction(Link { corrupt: 0, ..all });
        sent(&mut other, 1000);
        assert_eq!(
            Effects {
                corrupted: 0,
                ..effects
            },
            other.effects
        );
    }

    #[test]
    fn bandwidth_delays_and_a_full_queue_drops() {
        let slow = Link {
            bytes_per_second: 60_000, // a frame takes 1 ms
            queue_bytes: 600,
            ..Link::LAN
        };
        let mut way = direction(slow);
        let arrivals = sent(&mut way, 100);
        assert_eq!(arrivals.len(), 10);
        assert_eq!(way.effects.overflowed, 90);
        assert_eq!(arrivals[9].0, at(10_000 + 50));
    }

    #[test]
    fn a_partition_and_a_rule_stop_frames_and_are_counted() {
        let mut way = direction(Link::LAN);
        way.blocked = true;
        assert!(sent(&mut way, 3).is_empty());
        way.blocked = false;
        way.rule = Some(Rc::new(|_, frame| match frame[0] {
            0 => Verdict::Drop,
            1 => Verdict::Duplicate,
            2 => Verdict::Delay(Duration::from_millis(9)),
            _ => Verdict::Pass,
        }));
        let arrivals = sent(&mut way, 4);
        assert_eq!(arrivals.len(), 4, "one dropped, one doubled");
        assert_eq!(arrivals[2].0, at(2 + 9050));
        let Effects {
            partitioned, ruled, ..
        } = way.effects;
        assert_eq!((partitioned, ruled), (3, 3));
    }

    #[test]
    fn what_was_drawn_can_be_told_and_nothing_else_changes() {
        let all = Link {
            jitter: Duration::from_micros(700),
            loss: 100_000,
            duplicate: 100_000,
            reorder: 100_000,
            hold: Duration::from_millis(1),
            corrupt: 100_000,
            spike: 20_000,
            spike_delay: Duration::from_millis(5),
            bytes_per_second: 10_000_000,
            ..Link::LAN
        };
        let mut fates = Fates::default();
        let (mut drawn, mut told) = (direction(all), direction(all));
        let chance = Chance::Drawn(Draws::new(9));
        let mut all = Vec::new();
        for number in 0..1000 {
            let frame = vec![number as u8; 99];
            let mut twists = Twists::new();
            let fate = drawn.decide(at(number), &frame, &chance, &mut twists);
            for twist in &twists {
                assert!(fates.add(fate.frame, *twist));
            }
            all.push(arrivals(&fate, frame));
        }
        let chance = Chance::Told(fates);
        for (number, before) in (0..).zip(all) {
            let frame = vec![number as u8; 99];
            let fate = told.decide(at(number), &frame, &chance, &mut Twists::new());
            let now = arrivals(&fate, frame);
            assert_eq!(now, before, "frame {number}");
        }
        assert_eq!(drawn.effects, told.effects);
    }
}
