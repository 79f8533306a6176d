//! The clock of a host: the time since it booted, which may run too fast or too
//! slow, and jump ahead. It never goes back.

use smoltcp::time::{Duration, Instant};

/// What a host believes the time to be: the time since it booted, drifting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    world: Instant,
    local: Instant,
    /// Parts per million too fast, or too slow.
    drift: i32,
}

impl Default for Clock {
    fn default() -> Self {
        Clock {
            world: Instant::ZERO,
            local: Instant::ZERO,
            drift: 0,
        }
    }
}

impl Clock {
    const MILLION: i128 = 1_000_000;

    pub(super) fn restart(&mut self, now: Instant) {
        (self.world, self.local) = (now, Instant::ZERO);
    }

    /// From `now` on it runs this much too fast.
    pub(super) fn set_drift(&mut self, now: Instant, drift: i32) {
        let local = self.local(now);
        *self = Clock {
            world: now,
            local,
            drift: drift.max(-900_000),
        };
    }

    /// It jumps ahead: the core's time never goes back.
    pub(super) fn jump(&mut self, now: Instant, ahead: Duration) {
        let local = self.local(now) + ahead;
        (self.world, self.local) = (now, local);
    }

    pub(super) fn local(&self, now: Instant) -> Instant {
        if self.drift == 0 {
            let passed = now.total_micros() - self.world.total_micros();
            return Instant::from_micros(self.local.total_micros().saturating_add(passed));
        }
        let passed = i128::from(now.total_micros() - self.world.total_micros());
        let local = passed * (Self::MILLION + i128::from(self.drift)) / Self::MILLION;
        Instant::from_micros(self.local.total_micros().saturating_add(clamp(local)))
    }

    /// When the world's time is such that this clock shows at least `local`.
    pub(super) fn world(&self, local: Instant) -> Instant {
        let ahead = local.total_micros().checked_sub(self.local.total_micros());
        if let (0, Some(ahead)) = (self.drift, ahead) {
            return Instant::from_micros(self.world.total_micros().saturating_add(ahead));
        }
        let rate = Self::MILLION + i128::from(self.drift);
        let ahead = i128::from(local.total_micros()) - i128::from(self.local.total_micros());
        let passed = (ahead * Self::MILLION + rate - 1).div_euclid(rate);
        Instant::from_micros(self.world.total_micros().saturating_add(clamp(passed)))
    }
}

fn clamp(micros: i128) -> i64 {
    micros.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_on_a_wrong_clock_comes_at_the_first_moment_it_is_reached() {
        let at = Instant::from_micros;
        for drift in [-900_000, -100_000, -1, 0, 1, 50_000, 3_000_000] {
            let mut clock = Clock::default();
            clock.restart(at(1000));
            clock.set_drift(at(5000), drift);
            for micros in [4001, 4999, 1_000_000, 123_456_789] {
                let world = clock.world(at(micros));
                assert!(clock.local(world) >= at(micros), "{drift} {micros}");
                let before = world - Duration::from_micros(1);
                assert!(clock.local(before) < at(micros), "{drift} {micros}");
            }
        }
    }

    #[test]
    fn a_jump_goes_ahead_and_time_never_back() {
        let mut clock = Clock::default();
        let mut last = clock.local(Instant::ZERO);
        for step in 1..100 {
            let now = Instant::from_micros(step * 1000);
            match step % 3 {
                0 => clock.set_drift(now, -500_000),
                1 => clock.jump(now, Duration::from_millis(step as u64)),
                _ => clock.set_drift(now, 200_000),
            }
            assert!(clock.local(now) >= last);
            last = clock.local(now);
        }
    }
}
