//! What a connection costs a server: everything the server does for it and
//! nothing else. The same client talks to cygnet, to smoltcp's own loop and to
//! embassy-net over an in-memory Ethernet link, in virtual time.
//!
//! `cygnet-bench count STACK MODE N BUFFER UNITS` opens N connections, uses each
//! once, and then does UNITS requests (bytes in bulk) more; under callgrind with
//! `--toggle-collect=*server_turn*` only those are counted. `wall MODE N BUFFER`
//! measures the same in nanoseconds, all contenders in turn. `ram` prints bytes
//! per connection, `report` makes tables of it all, `check` also wants every
//! ratio within its limit. See `bench/run`.

mod bare;
mod client;
mod cygnet;
mod embassy;
mod flood;
mod link;
#[path = "../../sim/src/memory.rs"]
#[allow(dead_code, reason = "the bench does not need all of it")]
mod memory;
mod plan;
mod plot;
mod ram;
mod ratios;
mod report;
mod table;
mod wall;
mod world;

use std::process::ExitCode;

use ::cygnet::turns;
use client::Progress;
use plan::{Mode, Plan};
use smoltcp::wire::{IpAddress, IpCidr};
use world::{Host, Watch, World};

/// Bytes of a request.
pub const REQUEST: usize = 64;

/// Bytes a program moves at a time in bulk.
pub const CHUNK: usize = 1024;

pub fn address(number: u8) -> IpCidr {
    IpCidr::new(IpAddress::v4(10, 0, 0, number), 24)
}

/// Runs `f` in a world with this server in it and all connections open.
pub fn with_client<S: Host, R>(
    plan: Plan,
    server: (S, link::End),
    end: link::End,
    f: impl FnOnce(&mut dyn Contest) -> R,
) -> R {
    let progress: &'static Progress = Box::leak(Box::default());
    // A few slots more for connections that are closing.
    let slots = plan.connections + 64;
    let node = cygnet::host(2, slots, plan.buffer, 1, size_of::<usize>() * 2);
    let client = Box::pin(client::client(node, plan, progress));
    assert!(node.spawn(client).is_ok(), "a client");
    turns(node, |client| {
        let mut world = World::new(server, (client, end), progress);
        world.open();
        f(&mut world)
    })
}

/// A world whatever its server is.
pub trait Contest {
    /// See [`World::advance`].
    fn advance(&mut self, units: u64, watch: Watch) -> u64;
    /// Nanoseconds in timed turns, and their number, since the last call.
    fn spent(&mut self) -> (f64, u32);
}

impl<S: Host, C: Host> Contest for World<S, C> {
    fn advance(&mut self, units: u64, watch: Watch) -> u64 {
        World::advance(self, units, watch)
    }

    fn spent(&mut self) -> (f64, u32) {
        let spent = std::mem::take(&mut self.spent);
        (spent.as_nanos() as f64, std::mem::take(&mut self.turns))
    }
}

/// Runs `f` against the contender of this name.
pub fn with_contender<R>(
    stack: &str,
    plan: Plan,
    f: impl FnOnce(&mut dyn Contest) -> R,
) -> Option<R> {
    let (mut here, there) = link::link();
    Some(match stack {
        "cygnet" => turns(cygnet::server(plan), |server| {
            with_client(plan, (server, here), there, f)
        }),
        "bare" => {
            let server = bare::Bare::new(plan, &mut here);
            with_client(plan, (server, here), there, f)
        }
        "embassy" => {
            let server = embassy::Embassy::new(plan, &here);
            with_client(plan, (server, here), there, f)
        }
        _ => return None,
    })
}

const USAGE: &str = "usage: cygnet-bench count cygnet|bare|embassy MODE N BUFFER UNITS
       cygnet-bench wall MODE N BUFFER
       cygnet-bench flood SLOTS cookie|drop SYNS
       cygnet-bench ram
       cygnet-bench report [RUSTC-VERSION] <MEASUREMENTS
       cygnet-bench check <MEASUREMENTS
MODE: active, round, all, churn, bulk-down, bulk-up";

/// What the command line asks for; `None` when it makes no sense.
fn run(arguments: &[&str]) -> Option<ExitCode> {
    let plan = |mode, connections: &str, buffer: &str| {
        Some(Plan {
            mode: Mode::parse(mode)?,
            connections: connections.parse().ok()?,
            buffer: buffer.parse().ok()?,
        })
    };
    match arguments {
        ["count", stack, mode, connections, buffer, units] => {
            let plan = plan(mode, connections, buffer)?;
            let units = units.parse().ok()?;
            let counted = with_contender(stack, plan, |world| {
                world.advance(wall::warm_up(plan), Watch::Nothing);
                world.advance(units, Watch::Count)
            })?;
            println!("{counted}");
        }
        ["wall", mode, connections, buffer] => wall::print(plan(mode, connections, buffer)?),
        ["flood", slots, how @ ("cookie" | "drop"), syns] => {
            let (slots, syns) = (slots.parse().ok()?, syns.parse().ok()?);
            let (given, dropped) = flood::count(slots, *how == "cookie", syns);
            println!("{given} {dropped}");
        }
        ["ram"] => ram::print(),
        ["report"] => return Some(report::report(None, false)),
        ["check"] => return Some(report::report(None, true)),
        ["report", rustc] => return Some(report::report(Some(rustc), false)),
        _ => return None,
    }
    Some(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run(&arguments).unwrap_or_else(|| {
        eprintln!("{USAGE}");
        ExitCode::from(2)
    })
}
