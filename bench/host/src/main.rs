//! What a host costs, measured on this machine: a server on a TAP beside others, a
//! server of very many connections, and whole worlds.
//!
//! ```text
//!   words      the options and their help
//!   progress   a bar, and Ctrl-C
//!   usage      what this process has had of the machine
//!   client     many kernel connections, one request each under way
//!   bulk       one kernel connection, as fast as it goes
//!   churn      short kernel connections, one after the other
//!   place      a network namespace to measure in
//!   server     who is measured, each a process
//!   mirror     the least that a server on a TAP can do
//!   line       what a server did, and what that is beside another
//!   tap        `bench/tap`: rounds, and a table
//!   crowd      a hundred thousand clients that cost next to nothing
//!   scale      `bench/scale`: all of them open at once
//!   world      `bench/world`: how fast worlds run
//!   versus     `bench/world --against`: and those of another build
//! ```
//!
//! Not here: instructions beside bare smoltcp and embassy-net. Those depend on the
//! features that a build has, and this one has all of the simulator's.
#![forbid(unsafe_code)]

mod bulk;
mod churn;
mod client;
mod crowd;
#[path = "../../src/cygnet.rs"]
#[allow(dead_code, reason = "its turns are taken here, and timed")]
mod cygnet;
mod line;
mod mirror;
mod place;
mod progress;
mod scale;
mod server;
mod tap;
mod usage;
mod versus;
mod words;
mod world;

use std::process::ExitCode;

use clap::Parser;

use words::{Cli, Command};

fn main() -> ExitCode {
    let status = match Cli::parse().command {
        Command::Tap(words) => tap::run(&words.config()),
        Command::Scale(config) => scale::run(&config),
        Command::World(config) => world::run(&config),
        Command::Mirror(config) => mirror::run(&config),
    };
    ExitCode::from(status.unwrap_or_else(|why| {
        eprintln!("bench: error: {why}");
        2
    }))
}
