//! A link: what happens to a frame between two ends. One direction at a time,
//! because a network can be bad one way and good the other.
//!
//! The rules are applied in this order: partition, the test's own rule, loss,
//! queue and bandwidth, delay, corruption, duplication. Each that takes effect
//! is counted ([`Effects`]): a fault that touched no frame proved nothing.

use std::rc::Rc;

use smoltcp::time::{Duration, Instant};

use super::draws::{Draws, Kind};

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

macro_rules! effects {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How many frames each fault has touched.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Effects { $($(#[$doc])* pub $name: u64,)* }

        impl Effects {
            /// Name and count of every fault.
            pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }

            pub(super) fn add(&mut self, other: &Effects) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

effects! {
    /// Lost by rate.
    lost,
    /// Delivered twice.
    duplicated,
    /// Held back.
    reordered,
    /// Delivered with a flipped bit.
    corrupted,
    /// Delayed by a spike.
    spiked,
    /// Dropped because the queue was full.
    overflowed,
    /// Dropped because it was longer than the link carries.
    oversized,
    /// Dropped by a partition.
    partitioned,
    /// Touched by the test's own rule.
    ruled,
    /// Dropped because the host was down.
    unheard,
    /// Dropped because a paused host's ring was full.
    overrun,
    /// Hosts that crashed.
    crashed,
    /// Hosts that came up again.
    rebooted,
    /// Hosts that were paused.
    paused,
    /// Clocks that were changed.
    clocked,
}

/// One direction of a link.
pub(super) struct Direction {
    pub(super) link: Link,
    pub(super) blocked: bool,
    pub(super) rule: Option<Rule>,
    stream: u64,
    frames: u64,
    /// When the last byte accepted so far has left.
    busy_until: Instant,
    /// Nothing arrives before this.
    not_before: Instant,
    pub(super) effects: Effects,
}

/// A frame on its way: when it arrives, and what arrives.
pub(super) type Arrival = (Instant, Vec<u8>);

impl Direction {
    pub(super) fn new(link: Link, stream: u64) -> Self {
        Direction {
            link,
            blocked: false,
            rule: None,
            stream,
            frames: 0,
            busy_until: Instant::ZERO,
            not_before: Instant::ZERO,
            effects: Effects::default(),
        }
    }

    /// Takes a frame at `now` and says what arrives, and when.
    pub(super) fn send(&mut self, now: Instant, frame: &[u8], draws: &Draws) -> Vec<Arrival> {
        let number = self.frames;
        self.frames += 1;
        let mut arrivals = Vec::with_capacity(1);
        if self.blocked {
            self.effects.partitioned += 1;
            return arrivals;
        }
        let verdict = match &self.rule {
            Some(rule) => rule(now, frame),
            None => Verdict::Pass,
        };
        self.effects.ruled += u64::from(verdict != Verdict::Pass);
        let Link { loss, mtu, .. } = self.link;
        if verdict == Verdict::Drop {
            return arrivals;
        }
        if frame.len() > mtu {
            self.effects.oversized += 1;
            return arrivals;
        }
        if draws.happens(self.stream, Kind::Loss, number, loss) {
            self.effects.lost += 1;
            return arrivals;
        }
        let Some(left) = self.queue(now, frame.len() as u64) else {
            self.effects.overflowed += 1;
            return arrivals;
        };
        let ruled = match verdict {
            Verdict::Delay(delay) => delay,
            _ => Duration::ZERO,
        };
        let at = self.arrives(left + ruled, number, draws);
        let mut bytes = frame.to_vec();
        self.corrupt(&mut bytes, number, draws);
        let twice = draws.happens(self.stream, Kind::Duplicate, number, self.link.duplicate);
        if twice || verdict == Verdict::Duplicate {
            self.effects.duplicated += u64::from(twice);
            arrivals.push((at + self.link.latency, frame.to_vec()));
        }
        arrivals.push((at, bytes));
        arrivals
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

    /// When a frame that left then arrives.
    fn arrives(&mut self, left: Instant, number: u64, draws: &Draws) -> Instant {
        let Link {
            latency,
            jitter,
            reorder,
            hold,
            spike,
            spike_delay,
            ..
        } = self.link;
        let spread = jitter.total_micros() + 1;
        let more = draws.below(self.stream, Kind::Jitter, number, spread);
        let mut at = left + latency + Duration::from_micros(more);
        if draws.happens(self.stream, Kind::Spike, number, spike) {
            self.effects.spiked += 1;
            self.not_before = self.not_before.max(at + spike_delay);
        }
        at = at.max(self.not_before);
        if draws.happens(self.stream, Kind::Reorder, number, reorder) {
            self.effects.reordered += 1;
            at += hold;
        }
        at
    }

    fn corrupt(&mut self, bytes: &mut [u8], number: u64, draws: &Draws) {
        if draws.happens(self.stream, Kind::Corrupt, number, self.link.corrupt) {
            let bits = bytes.len() as u64 * 8;
            let bit = draws.below(self.stream, Kind::Bit, number, bits);
            if let Some(byte) = bytes.get_mut((bit / 8) as usize) {
                *byte ^= 1 << (bit % 8);
                self.effects.corrupted += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Instant {
        Instant::from_micros(micros)
    }

    fn sent(direction: &mut Direction, frames: u64) -> Vec<Arrival> {
        let draws = Draws::new(3);
        let send = |number| direction.send(at(number as i64), &[number as u8; 60], &draws);
        (0..frames).flat_map(send).collect()
    }

    #[test]
    fn a_healthy_link_delivers_in_order_after_its_latency() {
        let arrivals = sent(&mut Direction::new(Link::LAN, 0), 100);
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
        let mut direction = Direction::new(all, 0);
        sent(&mut direction, 1000);
        let effects = direction.effects;
        let faults = [
            effects.lost,
            effects.duplicated,
            effects.reordered,
            effects.corrupted,
            effects.spiked,
        ];
        assert!(faults.iter().all(|&count| count > 5), "{effects:?}");
        // Without corruption the same frames are lost and doubled.
        let mut other = Direction::new(Link { corrupt: 0, ..all }, 0);
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
        let mut direction = Direction::new(slow, 0);
        let arrivals = sent(&mut direction, 100);
        assert_eq!(arrivals.len(), 10);
        assert_eq!(direction.effects.overflowed, 90);
        assert_eq!(arrivals[9].0, at(10_000 + 50));
    }

    #[test]
    fn a_partition_and_a_rule_stop_frames_and_are_counted() {
        let mut direction = Direction::new(Link::LAN, 0);
        direction.blocked = true;
        assert!(sent(&mut direction, 3).is_empty());
        direction.blocked = false;
        direction.rule = Some(Rc::new(|_, frame| match frame[0] {
            0 => Verdict::Drop,
            1 => Verdict::Duplicate,
            2 => Verdict::Delay(Duration::from_millis(9)),
            _ => Verdict::Pass,
        }));
        let arrivals = sent(&mut direction, 4);
        assert_eq!(arrivals.len(), 4, "one dropped, one doubled");
        assert_eq!(arrivals[2].0, at(2 + 9050));
        let Effects {
            partitioned, ruled, ..
        } = direction.effects;
        assert_eq!((partitioned, ruled), (3, 3));
    }
}
