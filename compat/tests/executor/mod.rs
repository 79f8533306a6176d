//! embassy's executor in virtual time: one of its tasks is the world. When no other was polled
//! for a while it moves the clock to where the next timer ends or the next frame arrives.
#![allow(dead_code)]

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Mutex;
use std::task::Waker;

use embassy_executor::{Executor, Spawner};
use embassy_futures::yield_now;
use embassy_time_queue_utils::queue_generic::ConstGenericQueue;

/// The time of embassy-time: what the world says. A program has one, so that tests take turns.
struct Clock(Mutex<(u64, ConstGenericQueue<64>)>);

embassy_time_driver::time_driver_impl!(
    static CLOCK: Clock = Clock(Mutex::new((0, ConstGenericQueue::new())))
);

static TURN: Mutex<()> = Mutex::new(());

impl embassy_time_driver::Driver for Clock {
    fn now(&self) -> u64 {
        self.0.lock().unwrap().0
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        self.0.lock().unwrap().1.schedule_wake(at, waker);
    }
}

impl Clock {
    /// Wakes whoever waits for this moment; gives the next one.
    fn set(&self, now: u64) -> u64 {
        let (clock, queue) = &mut *self.0.lock().unwrap();
        *clock = now;
        queue.next_expiration(now)
    }
}

thread_local! {
    static POLLS: Cell<u64> = const { Cell::new(0) };
    /// How often the clock was moved to where a timer ends.
    static TIMERS: Cell<u64> = const { Cell::new(0) };
}

pub fn timers() -> u64 {
    TIMERS.get()
}

/// A task whose polls are seen.
#[embassy_executor::task(pool_size = 64)]
async fn task(future: Pin<Box<dyn Future<Output = ()>>>) {
    let mut future = future;
    poll_fn(|cx| {
        POLLS.set(POLLS.get() + 1);
        future.as_mut().poll(cx)
    })
    .await;
}

pub fn spawn(spawner: Spawner, future: impl Future<Output = ()> + 'static) {
    spawner.spawn(task(Box::pin(future)).unwrap());
}

/// Until nobody else is polled. Who is woken is polled in this round or in the next.
async fn settle() {
    let mut quiet = 0;
    let mut polls = 0;
    while quiet < 3 {
        let before = POLLS.get();
        yield_now().await;
        quiet = if POLLS.get() == before { quiet + 1 } else { 0 };
        polls += 1;
        assert!(polls < 100_000, "somebody spins");
    }
}

/// When the next frame arrives, in microseconds, and who hears of it.
pub trait Interrupts {
    fn next(&self) -> Option<u64>;
    fn fire(&self);
}

#[embassy_executor::task(pool_size = 8)]
async fn world(interrupts: Box<dyn Interrupts>) {
    let mut stands = 0;
    loop {
        settle().await;
        let now = CLOCK.0.lock().unwrap().0;
        // Whoever is due is woken first.
        let timer = CLOCK.set(now);
        let frame = interrupts.next().map_or(u64::MAX, |at| at.max(now));
        let next = timer.min(frame);
        assert!(next < u64::MAX, "nothing is left to happen");
        stands = if next == now { stands + 1 } else { 0 };
        assert!(stands < 1_000, "nobody takes a frame");
        if timer < frame {
            TIMERS.set(TIMERS.get() + 1);
        }
        CLOCK.set(next);
        if frame == next {
            interrupts.fire();
        }
    }
}

/// Runs what `init` spawns until it is done, from time zero.
pub fn run<F: Future<Output = ()> + 'static>(
    interrupts: impl Interrupts + 'static,
    init: impl FnOnce(Spawner) -> F,
) {
    let _turn = TURN.lock().unwrap_or_else(|hurt| hurt.into_inner());
    *CLOCK.0.lock().unwrap_or_else(|hurt| hurt.into_inner()) = (0, ConstGenericQueue::new());
    let (done, executor) = (
        Rc::new(Cell::new(false)),
        Box::leak(Box::new(Executor::new())),
    );
    let says = Rc::clone(&done);
    executor.run_until(
        |spawner| {
            let future = init(spawner);
            spawn(spawner, async move {
                future.await;
                says.set(true);
            });
            spawner.spawn(world(Box::new(interrupts)).unwrap());
        },
        || done.get(),
    );
}
