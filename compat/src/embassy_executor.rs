//! A node in [embassy-executor](https://docs.rs/embassy-executor): its turns are one task
//! there, which sleeps by [embassy-time](https://docs.rs/embassy-time) 0.5, and the firmware's
//! other tasks hold its sockets.
//!
//! ```
//! # use cygnet::lab::wire::WireEnd;
//! use cygnet::{Backlog, Node};
//! use cygnet_compat::embassy_executor::drive;
//! use embassy_executor::Spawner;
//!
//! # type Device = WireEnd<'static, 8>;
//! #[embassy_executor::task]
//! async fn network(node: Node<'static>, device: Device) -> ! {
//!     drive(node, device).await
//! }
//!
//! #[embassy_executor::task]
//! async fn greet(node: Node<'static>) {
//!     let listener = node.listen(5000, Backlog(2)).unwrap();
//!     while let Ok((mut stream, _)) = listener.accept().await {
//!         let _ = stream.write_all(b"Hello World\n").await;
//!     }
//! }
//!
//! // `node` and what it is made of are in statics.
//! fn start(spawner: Spawner, node: Node<'static>, device: Device) {
//!     spawner.spawn(network(node, device).unwrap());
//!     spawner.spawn(greet(node).unwrap());
//! }
//! # let _ = start;
//! ```
//!
//! With a driver of embassy-net's, all of it comes from one static: the feature `embassy`.
//!
//! What a task does with a socket between two turns begins the next turn at once, because it
//! wakes the one that drives. A device must do the same when a frame comes: a driver that was
//! written for embassy-net does, through the task of its bell (the feature
//! `embassy-net-driver`); for any other there is [`drive_with`].
//!
//! embassy-time cancels no timer: one that is waited for no more costs a turn when it ends.
//!
//! **In an interrupt** it is the same, but a [`Node`] stays there: it is not `Send`, because its
//! tables are cells without locks. Spawn one task without arguments by the `SendSpawner` that
//! an `InterruptExecutor` gives; it makes the node, and spawns the others by
//! `Spawner::for_current_executor().await`. Tasks of other executors hand their work over
//! through a channel, such as embassy-sync's.

use core::future::{pending, poll_fn};
use core::pin::pin;
use core::task::Poll;

use cygnet::{Node, Sleeper};
use embassy_time::{TICK_HZ, Timer};
use smoltcp::phy::Device;
use smoltcp::time::Instant;

/// Takes the node's turns for ever: see [`cygnet::drive`]. The device, or a task of the node's,
/// wakes it when a frame has come.
///
/// # Panics
/// When the node is being stepped already.
///
/// # Cancel safety
/// **Safe, and the end of the node's tasks.** Streams and listeners of others wait until
/// somebody drives the node again.
pub async fn drive<D: Device>(node: Node<'static>, device: D) -> ! {
    cygnet::drive(node, device, now, Timers).await
}

/// The same with a device that wakes nobody: `arrival` is ready when a frame may have come,
/// such as the `wait` of an embassy-sync `Signal` that an interrupt gives.
///
/// # Panics
/// When the node is being stepped already.
///
/// # Cancel safety
/// As [`drive`]; `arrival` is dropped whenever there is something to do before.
pub async fn drive_with<D: Device>(
    node: Node<'static>,
    device: D,
    arrival: impl AsyncFnMut(),
) -> ! {
    cygnet::drive(node, device, now, TimersAnd(arrival)).await
}

/// The time of embassy-time.
pub fn now() -> Instant {
    let micros = embassy_time::Instant::now().as_micros();
    Instant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// Sleeps by embassy-time.
#[derive(Clone, Copy, Debug)]
pub struct Timers;

impl Sleeper for Timers {
    async fn sleep(&mut self, until: Option<Instant>) {
        match until {
            Some(at) => Timer::at(embassy_time::Instant::from_ticks(ticks(at))).await,
            None => pending().await,
        }
    }
}

/// Sleeps until a frame comes, too.
struct TimersAnd<F>(F);

impl<F: AsyncFnMut()> Sleeper for TimersAnd<F> {
    async fn sleep(&mut self, until: Option<Instant>) {
        let mut arrival = pin!((self.0)());
        let mut timers = Timers;
        let mut timer = pin!(timers.sleep(until));
        poll_fn(|cx| match arrival.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => timer.as_mut().poll(cx),
        })
        .await;
    }
}

/// The first tick at which it is so late. One that is earlier would wake the node for nothing,
/// until that one.
fn ticks(at: Instant) -> u64 {
    const MILLION: u64 = 1_000_000;
    let micros = u64::try_from(at.total_micros()).unwrap_or(0);
    let seconds = (micros / MILLION).saturating_mul(TICK_HZ);
    seconds.saturating_add((micros % MILLION * TICK_HZ).div_ceil(MILLION))
}
