//! A TCP server runtime for machines with 64 KiB of RAM: tasks are `async fn`s,
//! memory is fixed at compile time, the network is smoltcp, and every run can
//! be repeated exactly.
//!
//! Start with the [README](https://docs.rs/crate/cygnet/latest), then
//! `examples/hello.rs`. A program needs three things: a [`Stack`] in a
//! [`Storage`], [`Tasks`] in a [`TaskStorage`], and a [`Platform`]; a [`Node`]
//! is the handle to the first two, and [`event_loop`] drives all three.
//!
//! # The map
//!
//! A file imports only from rooms above it.
//!
//! | room | what it is for |
//! |---|---|
//! | [`event`], [`digest`] | what can happen, who is told, and a hash of it all |
//! | [`net`] | how frames move: demux, flows, slots, deadlines, stack, wire |
//! | [`task`] | who runs: wakers, futures in fixed bytes, timers |
//! | sockets | what tasks hold: [`TcpListener`], [`TcpStream`], halves |
//! | [`Node`] | the handle that programs hold |
//! | [`event_loop()`] | one turn: expire, receive, resume, transmit |
//! | [`pair`] | two hosts on a wire, in virtual time |
//! | [`service`] | ready-made servers |
//!
//! # The life of a frame
//!
//! 1. The device gives a frame and a token to answer with. The demux reads the
//!    headers: a TCP segment with a 4-tuple, something for the host (a ping,
//!    or who owns an address), or something to refuse, with a reason that is
//!    counted.
//! 2. The flow table finds the slot of the 4-tuple in constant time. An unknown
//!    4-tuple may reach a listener if it is a SYN; then a slot is taken, with a
//!    fresh socket on the slot's two buffers.
//! 3. The packet in it is handed to smoltcp with a socket set in which only that
//!    slot's socket is. No other connection is looked at. Answers go back to
//!    where the frame came from.
//! 4. What changed is settled: a handshake that finished joins the accept
//!    queue, bytes wake the reader, acknowledgements wake the writer.
//! 5. The slot is dirty now. At the end of the turn, after tasks ran, every
//!    dirty slot transmits in a bounded number of passes, and its next deadline
//!    is kept.
//!
//! # The life of a wake
//!
//! 1. A task's future returns `Pending` after it left its waker in a slot, a
//!    timer or a foreign channel, and a note: the reason and the socket.
//! 2. Somebody wakes: the stack, a timer, another task, an interrupt handler,
//!    another thread. The task's flag is set and linked onto a list, once.
//! 3. At the next turn the list is taken whole and turned around: first woken,
//!    first run. Each task is resumed once; what is woken meanwhile waits for
//!    the next turn.
#![no_std]

pub mod digest;
pub mod event;
mod event_loop;
pub mod net;
mod node;
#[cfg(any(test, feature = "on-target"))]
pub mod on_target;
pub mod pair;
pub mod service;
mod socket;
pub mod task;

pub use digest::Digest;
pub use event_loop::{Platform, StaticTurns, Turn, Turns, event_loop, turns};
pub use net::{Config, ConfigError, Stack, Storage, TimeLimits};
pub use node::Node;
pub use socket::{
    AcceptError, Backlog, CloseError, ConnectError, ListenError, OwnedReadHalf, OwnedWriteHalf,
    ReadError, ReadHalf, StreamError, TcpListener, TcpStream, WriteError, WriteHalf,
};
pub use task::{Elapsed, ReadySet, Sleep, SpawnError, SpawnRefused, TaskStorage, Tasks};

/// The README's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
