//! What a server costs, measured from outside.
//!
//! ```text
//!   client     many kernel connections, one request each under way
//!   bulk       one kernel connection, as fast as it goes
//!   churn      short kernel connections, one after the other
//!   place      a network namespace to measure in
//!   server     who is measured, each a process
//!   mirror     the least that a server on a TAP can do
//!   line       what a server did, and what that is beside another
//!   tap        `sim bench tap`: rounds, and a table
//!   crowd      a hundred thousand clients that cost next to nothing
//!   scale      `sim bench scale`: all of them open at once
//!   world      `sim bench world`: how fast worlds run
//! ```

pub mod bulk;
pub mod churn;
pub mod client;
pub mod crowd;
mod line;
pub mod mirror;
pub mod place;
pub mod scale;
pub mod server;
pub mod tap;
pub mod world;
