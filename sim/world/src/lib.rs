//! A deterministic network: hosts with real stacks and tasks, links and
//! switches between them, and faults, on virtual time. One seed decides every
//! loss, delay, duplicate and flipped bit; the same seed gives the same run, on
//! every machine.
//!
//! A host is the core as it runs on a board, stepped turn by turn; its frames
//! are real Ethernet frames with checksums on. The world's queue orders what
//! happens by time, then faults before deliveries before turns, then host, then
//! age, and time jumps from one event to the next.
//!
//! ```
//! use cygnet::{Backlog, service};
//! use cygnet_world::{Fault, Link, World};
//! use smoltcp::time::{Duration, Instant};
//!
//! let mut world = World::new(7);
//! let server = world.host("server", |node| {
//!     node.spawn(service::echo(node, 7, Backlog(4))).expect("a free task");
//! });
//! let target = world.endpoint(server, 7);
//! let client = world.host("client", move |node| {
//!     let visit = async move {
//!         let mut stream = node.connect(target).await.expect("a connection");
//!         stream.write_all(b"swan").await.expect("room");
//!         let mut answer = [0; 4];
//!         assert_eq!(stream.read(&mut answer).await, Ok(4));
//!         stream.close().await.expect("an orderly end");
//!     };
//!     node.spawn(visit).expect("a free task");
//! });
//! world.connect(server, client, Link { loss: 200_000, ..Link::LAN });
//! world.run_until(Instant::from_secs(600), |world| world.is_done(client));
//! assert!(world.is_done(client));
//! assert!(world.untouched().is_empty(), "a fault without effect proves nothing");
//! ```
//!
//! # A test of your own service
//!
//! [`check()`] runs such a test with many seeds, on all cores, and is strict: a panic in
//! a task, a task that fails, a slot that is left, a second run that differs, a fault
//! without effect all fail it. What fails is shrunk to the facts that matter and said
//! with the command that does it again. [`test!`] declares one:
//!
//! ```
//! use cygnet::{Backlog, service};
//! use cygnet_world::{Faults, Link, World, percent, secs};
//!
//! cygnet_world::test! { seeds = 0..200, fn an_echo_survives_a_reboot(world: &mut World) {
//!     let server = world.host("server", |node| {
//!         node.spawn(service::echo(node, 7, Backlog(4))).expect("a free task");
//!     });
//!     let target = world.endpoint(server, 7);
//!     let client = world.host("client", move |node| {
//!         let talk = async move {
//!             while let Err(_) | Ok(0) = async {
//!                 let mut stream = node.connect(target).await.map_err(drop)?;
//!                 stream.set_read_timeout(Some(secs(5)));
//!                 stream.write_all(b"swan").await.map_err(drop)?;
//!                 stream.read(&mut [0; 4]).await.map_err(drop)
//!             }.await {
//!                 node.sleep(secs(1)).await; // the server was away
//!             }
//!         };
//!         node.spawn(talk).expect("a free task");
//!     });
//!     world.connect(client, server, Link { loss: percent(5), ..Link::LAN });
//!     world.faults(Faults::reboots().on(server).within(secs(0)..secs(1)));
//!     world.until_done(secs(600));
//! }}
//! # fn main() {} // A doctest runs no tests; `cargo test` does.
//! ```
//!
//! Faults are drawn from the seed ([`Faults`]) or strike when the test says
//! ([`World::at`]); claims are [`always`](World::always), [`eventually`](World::eventually),
//! [`sometimes`](World::sometimes) and [`reachable`](World::reachable). A plan that once
//! failed and is kept as `tests/corpus/NAME/*.plan` is run before any seed.
//!
//! # Other machines
//!
//! A host can be anything that is stepped: a [`Machine`]. `Bare` (feature `bare`)
//! is a loop around smoltcp, [`Process`] a program that is in lock step with the world;
//! [`World::machine`] adds them. They meet the same links and faults; what they do is told,
//! hashed, captured, shrunk and replayed in the same way.
//!
//! # Scenarios
//!
//! [`scenario`] makes plans from seeds, [`plan`] is what a run consists of, [`plan_text`]
//! its text, with a grammar for who writes one, [`stage`] runs it and says what came of it,
//! [`cursor`] goes through it event by event.
//!
//! Not here: an operating system, and a command line: `sim` in the repository has one.
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod asked;
pub mod attack;
mod audit;
#[cfg(feature = "bare")]
mod bare;
mod blows;
mod board;
pub mod capture;
mod card;
mod caught;
mod cause;
mod check;
#[cfg(unix)]
mod child;
mod claims;
mod clock;
mod course;
pub mod crew;
pub mod cursor;
mod dhcp_client;
mod dhcp_message;
mod dhcp_server;
pub mod diff;
mod dns_client;
mod dns_message;
mod dns_server;
mod draws;
mod effects;
mod facts;
mod fate;
mod fault;
mod faults;
pub mod files;
mod finding;
pub mod frame;
mod host;
mod identity;
mod ids;
mod lanes;
mod learned;
mod leases;
mod ledger;
pub mod lie;
mod link;
mod log;
mod machine;
mod merge;
mod names;
mod network;
pub mod page;
pub mod pair;
mod parts;
mod passage;
mod perfetto;
pub mod plan;
pub mod plan_text;
mod play;
#[cfg(unix)]
mod process;
mod queue;
mod router;
mod run;
pub mod scenario;
mod scene;
mod scenes;
mod scenes_net;
mod segment;
mod setting;
pub mod shard;
pub mod shrink;
mod spare;
pub mod stage;
pub mod story;
mod stranger;
mod strict;
mod summary;
mod tally;
pub mod timeline;
mod trial;
mod turns;
mod units;
mod verdicts;
mod visit;
mod wheel;
pub mod words;

#[cfg(feature = "bare")]
pub use bare::{Bare, Step, Wait};
pub use board::Size;
pub use card::{Card, Received, Room};
pub use check::check;
pub use claims::Reached;
pub use effects::Effects;
pub use fate::{Fates, FrameId, Lost, Twist, Way};
pub use fault::Fault;
pub use faults::{Faults, Struck};
pub use identity::Identity;
pub use ids::{AttackerId, End, HostId, LinkId, SwitchId};
pub use link::{Link, Ppm, Rule, Verdict};
pub use log::{Arrival, CHECKPOINT_EVENTS, Happening, Violation, Watch, Witness};
pub use machine::{Broken, Entropy, Machine};
pub use network::{Ended, World};
#[cfg(unix)]
pub use process::Process;
pub use smoltcp::time::{Duration, Instant};
pub use trial::Allow;
pub use units::{millis, percent, secs};
