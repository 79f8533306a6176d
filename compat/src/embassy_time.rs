//! A time driver for [embassy-time](https://docs.rs/embassy-time) 0.5 on the platform's clock,
//! so that `Timer`, `Ticker`, `with_timeout` and whoever uses them work in tasks of a node.
//!
//! ```
//! use cygnet::Node;
//! use cygnet_compat::embassy_time::{Driver, time_driver_impl};
//! # use smoltcp::time::Instant;
//! # fn micros_since_boot() -> i64 { 0 }
//!
//! /// The same clock as the platform's.
//! fn now() -> Instant {
//!     Instant::from_micros(micros_since_boot())
//! }
//!
//! // As many as the node has tasks.
//! time_driver_impl!(static TIME: Driver<16> = Driver::new(now));
//!
//! fn start(node: Node<'static>) {
//!     node.spawn_named("timers", TIME.run(node)).unwrap();
//! }
//! # let _ = start;
//! ```
//!
//! A program has one time driver: none is linked until a program declares one, and a chip's of
//! embassy's own must be off then. Its timers know no executor, so that `embassy-time` needs no
//! `generic-queue-…` feature. On a Cortex-M3 the first `Timer` takes 1.9 KiB more than a sleep of
//! the node's.

use core::cell::RefCell;
use core::future::poll_fn;
use core::pin::pin;
use core::task::{Poll, Waker};

use critical_section::Mutex;
use cygnet::Node;
use embassy_time_driver::TICK_HZ;
pub use embassy_time_driver::time_driver_impl;
use embassy_time_queue_utils::queue_generic::ConstGenericQueue;
use smoltcp::time::Instant;

/// A time driver with room for so many tasks that sleep: as many as the node has. If there are
/// more, one of them is woken in every turn, and asks again.
pub struct Driver<const TIMERS: usize> {
    clock: fn() -> Instant,
    state: Mutex<RefCell<State<TIMERS>>>,
}

struct State<const TIMERS: usize> {
    queue: ConstGenericQueue<TIMERS>,
    /// Whoever ends sleeps is asked for the next at this tick.
    until: u64,
    runner: Option<Waker>,
}

impl<const TIMERS: usize> Driver<TIMERS> {
    /// A driver on a clock that counts from where the platform's does, and never goes
    /// backwards.
    pub const fn new(clock: fn() -> Instant) -> Self {
        let state = State {
            queue: ConstGenericQueue::new(),
            until: u64::MAX,
            runner: None,
        };
        Driver {
            clock,
            state: Mutex::new(RefCell::new(state)),
        }
    }

    /// Ends sleeps: a task of the node whose loop is the program's.
    ///
    /// # Cancel safety
    /// **Safe.** Whoever sleeps goes on to, until it is run again.
    pub async fn run(&self, node: Node<'_>) -> ! {
        loop {
            let until = self.with(|state, now| {
                state.until = state.queue.next_expiration(now);
                state.until
            });
            let mut sleep = pin!(node.sleep_until(instant(until)));
            poll_fn(|cx| {
                let is_earlier = self.with(|state, _| {
                    match &mut state.runner {
                        Some(runner) => runner.clone_from(cx.waker()),
                        none => *none = Some(cx.waker().clone()),
                    }
                    state.until < until
                });
                match is_earlier {
                    true => Poll::Ready(()),
                    false => sleep.as_mut().poll(cx),
                }
            })
            .await;
        }
    }

    fn with<R>(&self, f: impl FnOnce(&mut State<TIMERS>, u64) -> R) -> R {
        let now = ticks((self.clock)());
        critical_section::with(|cs| f(&mut self.state.borrow_ref_mut(cs), now))
    }
}

impl<const TIMERS: usize> embassy_time_driver::Driver for Driver<TIMERS> {
    fn now(&self) -> u64 {
        ticks((self.clock)())
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        self.with(|state, _| {
            if state.queue.schedule_wake(at, waker) && at < state.until {
                state.until = at;
                if let Some(runner) = &state.runner {
                    runner.wake_by_ref();
                }
            }
        });
    }
}

impl<const TIMERS: usize> core::fmt::Debug for Driver<TIMERS> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

const MILLION: u64 = 1_000_000;

/// Ticks that have passed by then.
fn ticks(at: Instant) -> u64 {
    let micros = u64::try_from(at.total_micros()).unwrap_or(0);
    let seconds = (micros / MILLION).saturating_mul(TICK_HZ);
    seconds.saturating_add(micros % MILLION * TICK_HZ / MILLION)
}

/// The first microsecond at which so many ticks have passed.
fn instant(ticks: u64) -> Instant {
    let seconds = (ticks / TICK_HZ).saturating_mul(MILLION);
    let micros = seconds.saturating_add((ticks % TICK_HZ * MILLION).div_ceil(TICK_HZ));
    Instant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
