//! Listeners: backlog, queue, line of acceptors, and how they end.
#![cfg(feature = "lab")]
#[path = "listener/backlog.rs"]
mod backlog;
#[path = "listener/ends.rs"]
mod ends;
mod harness;
#[path = "listener/many.rs"]
mod many;
#[path = "listener/syn_queue.rs"]
mod syn_queue;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use cygnet::event::DropReason;
use cygnet::lab::wire::Wire;
use cygnet::{AcceptError, Backlog, ConnectError, ListenError, Node, ReadError, TcpListener};
use harness::peer::{answer, by_hand, syn};
use harness::*;
use smoltcp::time::Duration;
use smoltcp::wire::{IpEndpoint, TcpControl};

const TICK: Duration = Duration::from_millis(10);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
