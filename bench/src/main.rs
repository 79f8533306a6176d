//! What a connection costs a server: everything the server does for it and
//! nothing else. The same client talks to cygnet, to smoltcp's own loop and to
//! embassy-net over an in-memory Ethernet link, in virtual time.
//!
//! `cygnet-bench count STACK MODE N BUFFER UNITS` opens N connections, uses each
//! once, and then does UNITS requests (bytes in bulk) more; under callgrind with
//! `--toggle-collect=*server_turn*` only those are counted. `wall MODE N BUFFER`
//! measures the same in nanoseconds, all contenders in turn; they are processes
//! that `serve`. Bare smoltcp is the program `bare`, of a build of its own. `ram`
//! prints bytes per connection, `report` makes tables of it all, `check` also
//! wants every ratio within its limit. See `bench/run`.

mod cygnet;
mod embassy;
mod flood;
mod plot;
mod ram;
mod ratios;
mod report;
mod results;
mod table;
mod wall;

use std::process::ExitCode;

use ::cygnet::turns;
use contest::plan::Plan;
use contest::world::{self, Contest, World};
use contest::{link, remote};

/// Runs `f` against the contender of this name.
pub fn with_contender<R>(
    stack: &str,
    plan: Plan,
    f: impl FnOnce(&mut dyn Contest) -> R,
) -> Option<R> {
    let (here, there) = link::link();
    Some(match stack {
        "cygnet" => turns(cygnet::server(plan).expect("memory"), |server| {
            f(&mut World::new(plan, (cygnet::Server(server), here), there))
        }),
        "embassy" => {
            let server = embassy::Embassy::new(plan, &here);
            f(&mut World::new(plan, (server, here), there))
        }
        _ => return None,
    })
}

const USAGE: &str = "usage: cygnet-bench count cygnet|embassy MODE N BUFFER UNITS
       cygnet-bench serve cygnet|embassy MODE N BUFFER
       cygnet-bench wall MODE N BUFFER
       cygnet-bench flood SLOTS cookie|drop SYNS
       cygnet-bench ram
       cygnet-bench report [RUSTC-VERSION] <MEASUREMENTS
       cygnet-bench check <MEASUREMENTS
MODE: active, round, all, churn, bulk-down, bulk-up";

/// What the command line asks for; `None` when it makes no sense.
fn run(arguments: &[&str]) -> Option<ExitCode> {
    match arguments {
        ["count", stack, mode, connections, buffer, units] => {
            let plan = Plan::parse(mode, connections, buffer)?;
            let units = units.parse().ok()?;
            let counted = with_contender(stack, plan, |world| world::count(world, plan, units))?;
            println!("{counted}");
        }
        ["serve", stack, mode, connections, buffer] => {
            let plan = Plan::parse(mode, connections, buffer)?;
            with_contender(stack, plan, remote::serve)?;
        }
        ["wall", mode, connections, buffer] => {
            let plan = Plan::parse(mode, connections, buffer)?;
            wall::print(plan, [mode, connections, buffer]);
        }
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
