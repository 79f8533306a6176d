//! A node that another's executor drives, in virtual time. Everything here is in tasks of that
//! executor, unless it says that a task is the node's.
mod harness;
#[path = "drive/host.rs"]
mod host;
#[path = "drive/rests.rs"]
mod rests;
#[path = "drive/talks.rs"]
mod talks;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use cygnet::lab::wire::{Faults, Wire};
use cygnet::{Backlog, Node, ReadError, Sleeper, drive};
use harness::{lasting, leak, pattern, seconds, v4};
use host::{Executor, Timer, moments, now, pair};
use smoltcp::time::{Duration, Instant};

const LATENCY: Duration = Duration::from_millis(5);

fn wire() -> Wire<64> {
    Wire::new(Faults {
        latency: LATENCY,
        ..Faults::NONE
    })
}

/// How many turns a node takes while a future runs to its end.
async fn turns_of<F: Future>(node: Node<'_>, future: F) -> (u64, F::Output) {
    let before = node.counters().turns;
    let out = future.await;
    (node.counters().turns - before, out)
}
