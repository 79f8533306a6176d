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
//! [`scenario`] makes plans from seeds, [`plan`] is what a run consists of,
//! [`stage`] runs it and says what came of it.
//!
//! Not here: an operating system, and a command line: `sim` in the repository has one.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod attack;
pub mod capture;
mod caught;
pub mod crew;
pub mod diff;
mod draws;
mod fate;
mod fault;
pub mod files;
pub mod frame;
mod host;
mod ids;
mod ledger;
mod link;
mod log;
pub mod memory;
mod network;
pub mod plan;
pub mod plan_text;
mod queue;
mod run;
pub mod scenario;
mod scene;
pub mod shrink;
pub mod stage;
pub mod story;
mod tally;
mod visit;
pub mod words;

pub use fate::{Fates, FrameId, Twist, Way};
pub use fault::Fault;
pub use host::Size;
pub use ids::{AttackerId, End, HostId, LinkId, SwitchId};
pub use link::{Effects, Link, Ppm, Rule, Verdict};
pub use log::{CHECKPOINT_EVENTS, Happening, Violation, Watch, Witness};
pub use network::{Ended, World};
