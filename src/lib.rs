//! A TCP server runtime for machines with 64 KiB of RAM: tasks are `async fn`s,
//! memory is fixed at compile time, the network is smoltcp, and every run can
//! be repeated exactly.
//!
//! Start with the [README](https://docs.rs/crate/cygnet/latest), then
//! `examples/hello.rs`. A program needs three things: a [`Stack`] in a
//! [`Storage`], [`Tasks`] in a [`TaskStorage`], and a [`Platform`]; a [`Node`]
//! is the handle to the first two, and [`event_loop`] drives all three. Where sizes are
//! decided at run time, the feature `alloc` has `HeapStorage` and `HeapTaskStorage`.
//!
//! # The map
//!
//! A file imports from its own floor and from those below, which stand above it here.
//! `tests/house.rs` sees to it.
//!
//! | floor | room | what it is for |
//! |---:|---|---|
//! | 0 | [`event`], `counters`, [`digest`], `time`, `scheduler`, `driver`, `prefetch` | what can happen, who is told, and a hash of it all |
//! | 1 | `frame` | bytes and values: demux, flow, what is made by hand, checksums |
//! | 2 | `rules` | what is decided: guard, life cycle, admission, limits, addresses, sequence numbers, cookies |
//! | 3 | `table` | what is held: the host, slots, flows, deadlines, listeners, who waits, neighbors, buffers |
//! | 4 | `stack` | where rules and tables meet, and the only caller of smoltcp's `Interface` |
//! | 4 | [`task`] | who runs: wakers, futures in fixed bytes, timers |
//! | 5 | `socket` | what tasks hold: [`TcpListener`], [`TcpStream`], halves; with the feature `udp` `UdpSocket` |
//! | 6 | [`Node`], [`Error`] | the handle that programs hold, and all that can go wrong |
//! | 7 | [`event_loop()`], `drive` | one turn: expire, receive, resume, transmit; in another's executor, too |
//! | 8 | [`service`] | ready-made servers |
//! | 9 | `lab` | with the feature `lab`: two hosts on a wire, in virtual time, and the audit of a node's tables |
//!
//! # The life of a frame
//!
//! <!-- way: frame to read -->
//! 1. `stack/core.rs`: the device gives a frame and a token to answer with. The demux
//!    (`frame/demux.rs`) reads the headers: a TCP segment with a 4-tuple, something for
//!    the host (a ping, or who owns an address), or something to refuse, with a reason
//!    that is counted (`table/host.rs`). The flow table finds the slot of the 4-tuple in
//!    constant time (`table/slots.rs`, `table/flows.rs`).
//! 2. `stack/engine.rs`: the guard (`rules/guard.rs`) holds the segment against what our
//!    own frames say of the flow, and the packet in it is handed to smoltcp with a socket
//!    set in which only that slot's socket is (`frame/one_shot.rs`). No other connection
//!    is looked at. Answers go back to where the frame came from. What the slot does now
//!    is a rule (`rules/lifecycle.rs`): bytes wake the reader, acknowledgements the
//!    writer.
//! 3. `task/tasks.rs` queues the reader's task, if it is a task of ours, and the slot is
//!    dirty. `stack/stack.rs` is free again, and in `event_loop.rs` the turn goes on with
//!    the tasks that were woken, in wake order: `task/slot.rs` resumes a future in its
//!    bytes.
//! 4. `socket/read.rs`: the read asks again, through the one way in which all sockets
//!    wait (`socket/handle.rs`), and copies its bytes.
//! <!-- end of way -->
//!
//! At the end of the turn, after tasks ran, every dirty slot transmits in a bounded
//! number of passes, and its next deadline is kept: answers ride on the acknowledgement
//! they cause.
//!
//! # The life of a SYN
//!
//! <!-- way: SYN to accept -->
//! 1. `stack/core.rs` finds no flow, and a listener on the port
//!    (`table/listeners.rs`).
//! 2. `stack/gate.rs` looks what there is for it; what becomes of it is a rule
//!    (`rules/admit.rs`): a slot, a place in line, a cookie, or nothing.
//! 3. `stack/connections.rs` takes a slot, with a fresh socket on the slot's two buffers
//!    (`table/buffers.rs`), and keeps every table of it.
//! 4. `stack/engine.rs` lets smoltcp answer, from a throw-away interface that draws the
//!    sequence number we wish for (`rules/isn.rs`). The SYN-ACK leaves at the end of the
//!    turn, when `stack/stack.rs` is asked to transmit by `event_loop.rs`.
//! 5. The acknowledgement comes as any frame does; the slot joins the listener's queue,
//!    and the task that has waited longest is woken: `task/tasks.rs`, `task/slot.rs`.
//! 6. `socket/listener.rs`: `accept` takes the slot out of the queue and makes a stream
//!    of it, `socket/stream.rs`.
//! <!-- end of way -->
//!
//! # The life of a datagram
//!
//! With the feature `udp`. `stack/core.rs` sees by three bytes that a frame is one, and
//! `stack/datagrams.rs` has it: `frame/udp.rs` reads it, `table/binds.rs` finds the socket
//! that fits best and puts it into that one's ring, and whoever has waited longest in
//! `table/waiters.rs` is woken. smoltcp does not see it. `socket/udp.rs` copies it into the
//! reader's buffer. One that a task sends waits in `table/outbox.rs` for the end of the turn,
//! and parks there while its neighbor is asked for.
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
//!
//! # What is kept of RFC 9293
//!
//! Sentence by sentence, and by which test, or why not: [`tcp`].
//!
//! # Coming from elsewhere
//!
//! A table of their calls and ours, and the differences that bite: [`from_embassy_net`],
//! [`from_smoltcp`]. Work that an interrupt has for a task: [`interrupts`].
//!
//! # Further pages
//!
//! - [`boards`]: three in QEMU, and a port to one of your own.
//! - [`tap`]: the server among your own tools, its page, and what it gives beside others.
//! - [`worlds`]: deterministic tests, of a service and of firmware; [`runs`]: plans, pages, a
//!   debugger, millions of seeds.
//! - [`costs`]: instructions, time, bytes, and what each feature adds.
//! - [`hostile`]: what peers can do; [`limits`]: what cannot be done.
#![no_std]
#[cfg(feature = "alloc")]
extern crate alloc;

mod counters;
pub mod digest;
#[cfg(all(feature = "drive", not(loom)))]
mod drive;
#[cfg(feature = "drive")]
mod driver;
mod error;
pub mod event;
mod event_loop;
mod frame;
mod initial;
#[cfg(any(test, feature = "lab"))]
pub mod lab;
mod node;
mod prefetch;
mod rules;
mod scheduler;
pub mod service;
mod socket;
mod stack;
mod table;
pub mod task;
#[cfg(any(test, feature = "on-target"))]
mod test_list;
mod time;
mod worded;

pub use digest::Digest;
#[cfg(all(feature = "drive", not(loom)))]
pub use drive::{Sleeper, drive};
pub use error::Error;
pub use event_loop::{Platform, StaticTurns, Turn, Turns, event_loop, turns};
pub use node::Node;
#[cfg(feature = "addressing")]
pub use rules::addresses::NetworkConfig;
pub use rules::config::{Config, ConfigError};
pub use rules::limits::TimeLimits;
#[cfg(feature = "udp")]
pub use rules::peers::{Hears, Peer, Target};
#[cfg(feature = "addressing")]
pub use socket::ClaimError;
#[cfg(feature = "ping")]
pub use socket::PingSocket;
pub use socket::{
    AcceptError, Backlog, CloseError, ConnectError, Connection, ConnectionState, Limit,
    ListenError, OwnedReadHalf, OwnedWriteHalf, ReadError, ReadHalf, StreamError, TcpListener,
    TcpStream, ToEndpoint, WriteError, WriteHalf,
};
#[cfg(feature = "udp")]
pub use socket::{BindError, HearError, RecvError, SendError, UdpSocket};
#[cfg(feature = "dns")]
pub use socket::{ConnectToError, ResolveError};
pub use stack::stack::Stack;
#[cfg(feature = "alloc")]
pub use table::heap::{HeapError, HeapStorage, StorageSizes};
#[cfg(feature = "dns")]
pub use table::names::{Family, NameStorage};
pub use table::storage::{StackMemory, Storage};
#[cfg(feature = "udp")]
pub use table::udp_storage::UdpStorage;
#[cfg(feature = "alloc")]
pub use task::heap::HeapTaskStorage;
pub use task::{
    Elapsed, FuturePlaces, ReadySet, Sleep, SpawnError, SpawnRefused, TaskMemory, TaskStorage,
    Tasks,
};

#[cfg(doc)]
#[doc = include_str!("docs/boards.md")]
pub mod boards {}
#[cfg(doc)]
#[doc = include_str!("docs/costs.md")]
pub mod costs {}
#[cfg(doc)]
#[doc = include_str!("docs/from_embassy_net.md")]
pub mod from_embassy_net {}
#[cfg(doc)]
#[doc = include_str!("docs/from_smoltcp.md")]
pub mod from_smoltcp {}
#[cfg(doc)]
#[doc = include_str!("docs/hostile.md")]
pub mod hostile {}
#[cfg(doc)]
#[doc = include_str!("docs/interrupts.md")]
pub mod interrupts {}
#[cfg(doc)]
#[doc = include_str!("docs/limits.md")]
pub mod limits {}
#[cfg(doc)]
#[doc = include_str!("docs/runs.md")]
pub mod runs {}
#[cfg(doc)]
#[doc = include_str!("docs/tap.md")]
pub mod tap {}
#[cfg(doc)]
#[doc = include_str!("docs/tcp.md")]
pub mod tcp {}
#[cfg(doc)]
#[doc = include_str!("docs/worlds.md")]
pub mod worlds {}

/// The README's programs compile.
#[cfg(all(doctest, feature = "lab"))]
#[doc = include_str!("../README.md")]
#[doc = include_str!("docs/registry.md")]
struct Readme;
