//! Tasks: what `spawn` answers, what a node tells about its tasks, and the
//! order in which they run, written down as words.
#![cfg(feature = "lab")]
mod harness;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cygnet::event::{Reason, Source};
use cygnet::task::TaskState;
use cygnet::{Backlog, SpawnRefused, Turn};
use embassy_sync::blocking_mutex::raw::{CriticalSectionRawMutex, NoopRawMutex};
use embassy_sync::channel::Channel;
use embassy_sync::signal::Signal;
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{join, select_biased};
use harness::*;

/// A node that needs no network. `$tasks` tasks of 512 bytes.
macro_rules! node {
    ($node:ident, $tasks:literal) => {
        host!($node, 1, slots: 1, tasks: $tasks, bytes: 512, rx: 64, tx: 64)
    };
}

// Behind the macros, which they use.
#[path = "tasks/foreign.rs"]
mod foreign;
#[path = "tasks/order.rs"]
mod order;
#[path = "tasks/places.rs"]
mod places;
#[path = "tasks/spawn.rs"]
mod spawn;

type Words = RefCell<Vec<&'static str>>;
type Ring = Signal<NoopRawMutex, ()>;

fn words() -> Words {
    RefCell::default()
}

async fn say(words: &Words, word: &'static str) {
    words.borrow_mut().push(word);
}

/// Says `word` each time it is polled, for ever; wakes itself never.
async fn each_poll(words: &Words, word: &'static str) {
    poll_fn(|_| {
        words.borrow_mut().push(word);
        Poll::Pending
    })
    .await
}

/// What was said since the last time.
fn taken(words: &Words) -> Vec<&'static str> {
    words.take()
}

/// The waker of the task that asks.
async fn own_waker() -> Waker {
    poll_fn(|cx| Poll::Ready(cx.waker().clone())).await
}
