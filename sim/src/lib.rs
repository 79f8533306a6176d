//! The host side of cygnet: what attaches the core to a TAP interface, and
//! what shows people what it does.
//!
//! ```text
//!   cli        words to a checked structure for each command
//!   level      how much to say on the way
//!   report     the table at the end; totals: a host's rows in it; stdout: where it goes
//!   observe    lines while it runs; log: what a person wants to know; trace: every event
//!   capture    frames to a file for Wireshark
//!   tap        a TAP interface as a device; offload: what it leaves to the kernel
//!   host       clock, readiness, signals
//!   services   the core's services by name
//!   explore    `sim world`, `replay`, `plan`, `shrink`, `diff`: one run, looked at closely
//!   loopback   `sim loopback`: two hosts, one wire, virtual time
//!   swarm      `sim swarm`: many seeds of worlds, on all cores and machines
//!   step       `sim step`: a run, event by event
//!   selftest   `sim selftest`: planted bugs, found
//!   neighborhood  what is wrong on the host's side; greeting: how to talk to a server
//!   terminal   a terminal as it was, however a screen on it ends
//!   top        a host that is watched while it runs: `sim tap --top`
//!   serve      `sim tap`: one host, this machine's programs, real time
//! ```
//!
//! Not here: networks of hosts under faults, repeatable from a seed, and everything
//! about them that needs no command line. That is the package `cygnet-world`.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod capture;
pub mod cli;
pub mod explore;
pub mod greeting;
pub mod host;
pub mod level;
pub mod log;
pub mod loopback;
pub mod neighborhood;
pub mod observe;
pub mod offload;
pub mod report;
pub mod selftest;
pub mod serve;
pub mod services;
pub mod stdout;
pub mod step;
pub mod swarm;
pub mod tap;
mod tap_error;
mod terminal;
pub mod top;
pub mod totals;
pub mod trace;

pub use cygnet_world::{self as world, frame};
