//! The time of `embassy_time`: what the last turn said it is. Whoever waits for a moment
//! is woken in the first turn at or after it, the earliest first, and among those of one
//! moment who asked first.

use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use embassy_time_driver::{Driver, TICK_HZ};

/// See the [module](self).
pub(super) struct Clock(Mutex<State>);

struct State {
    /// Microseconds.
    now: u64,
    /// Ticks, and who waits for them.
    waiting: Vec<(u64, Waker)>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock::new());

/// The one clock of the program.
pub(super) fn clock() -> &'static Clock {
    &CLOCK
}

const MILLION: u128 = 1_000_000;

/// Ticks that have passed by then.
fn ticks(micros: u64) -> u64 {
    let ticks = u128::from(micros) * u128::from(TICK_HZ) / MILLION;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// The first microsecond at which so many ticks have passed.
fn micros(ticks: u64) -> u64 {
    let micros = (u128::from(ticks) * MILLION).div_ceil(TICK_HZ.into());
    u64::try_from(micros).unwrap_or(u64::MAX)
}

impl Clock {
    const fn new() -> Clock {
        Clock(Mutex::new(State {
            now: 0,
            waiting: Vec::new(),
        }))
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// It is so late now: wakes whoever waits for that.
    pub(super) fn set(&self, now: u64) {
        let due = self.with(|state| {
            state.now = state.now.max(now);
            let reached = ticks(state.now);
            let (mut due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut state.waiting)
                .into_iter()
                .partition(|(at, _)| *at <= reached);
            state.waiting = later;
            due.sort_by_key(|(at, _)| *at);
            due
        });
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// The next moment that somebody waits for, in microseconds.
    pub(super) fn next(&self) -> Option<u64> {
        let next = self.with(|state| state.waiting.iter().map(|(at, _)| *at).min());
        next.map(micros)
    }
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        self.with(|state| ticks(state.now))
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        let is_due = self.with(|state| {
            if at <= ticks(state.now) {
                return true;
            }
            let known = state.waiting.iter_mut();
            match known.into_iter().find(|(_, known)| known.will_wake(waker)) {
                Some((known, _)) => *known = at.min(*known),
                None => state.waiting.push((at, waker.clone())),
            }
            false
        });
        if is_due {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;

    struct Named(u8, Arc<Mutex<Vec<u8>>>);

    impl Wake for Named {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    #[test]
    fn who_waits_is_woken_at_its_time_the_earliest_first() {
        let (clock, woken) = (Clock::new(), Arc::<Mutex<Vec<u8>>>::default());
        let waker = |name| Waker::from(Arc::new(Named(name, Arc::clone(&woken))));
        let per_milli = TICK_HZ / 1000;
        let [a, b, c] = [1, 2, 3].map(waker);
        for (at, waker) in [(30, &a), (10, &b), (30, &c), (20, &a), (40, &a)] {
            clock.schedule_wake(at * per_milli, waker);
        }
        assert_eq!(clock.next(), Some(10_000));
        clock.set(9_999);
        assert_eq!(*woken.lock().unwrap(), []);
        clock.set(35_000);
        assert_eq!(*woken.lock().unwrap(), [2, 1, 3]);
        assert_eq!(clock.next(), None);
        // What has passed is woken at once, and time does not go back.
        clock.set(0);
        clock.schedule_wake(35 * per_milli, &b);
        assert_eq!(*woken.lock().unwrap(), [2, 1, 3, 2]);
    }

    #[test]
    fn a_tick_is_reached_at_the_first_microsecond_that_has_it() {
        for tick in [0, 1, 2, 3, 32_767, 1_000_001] {
            let at = micros(tick);
            assert!(ticks(at) >= tick);
            assert!(at == 0 || ticks(at - 1) < tick);
        }
    }
}
