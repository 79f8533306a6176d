//! Timers on virtual time: when a sleep ends, in which order, and what a
//! future that was dropped half way leaves behind.
#![cfg(feature = "lab")]
mod harness;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use cygnet::task::FOREIGN_TIMERS;
use cygnet::{Elapsed, Node, Turn};
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{future, join};
use harness::*;
use smoltcp::time::{Duration, Instant};

macro_rules! node {
    ($node:ident, $tasks:literal) => {
        host!($node, 1, slots: 1, tasks: $tasks, bytes: 2048, rx: 64, tx: 64)
    };
}

/// Runs one future as the only task, on the event loop. Gives what it gave,
/// and the time of the end.
macro_rules! alone {
    (let $out_and_end:pat = $node:ident, $future:expr) => {
        let wire = cygnet::lab::wire::Wire::new(Default::default());
        let out = Cell::new(None);
        let future = $future;
        $node.spawn(async { out.set(Some(future.await)) }).unwrap();
        let end = Alone::new(&wire).run($node);
        let $out_and_end = (out.take().expect("the task ended"), end);
    };
}

// Behind the macros, which they use.
#[path = "timers/foreign.rs"]
mod foreign;
#[path = "timers/leaks.rs"]
mod leaks;
#[path = "timers/shared.rs"]
mod shared;
#[path = "timers/sleeps.rs"]
mod sleeps;
#[path = "timers/timeouts.rs"]
mod timeouts;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A waker that is not a task's: it passes the wake on, as combinators do.
struct Foreign(Waker);

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
    }
}

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Polls with a foreign waker.
fn poll_foreign<F: Future>(future: Pin<&mut F>, cx: &Context<'_>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::new(Foreign(cx.waker().clone())));
    future.poll(&mut Context::from_waker(&waker))
}
