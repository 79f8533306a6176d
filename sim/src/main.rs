//! `sim`: reads the command line, runs what it says, exits with its status.

use std::process::ExitCode;

use cygnet_sim::cli::{Command, parse};
use cygnet_sim::{explore, loopback, selftest, serve, stdout, step, swarm};

fn main() -> ExitCode {
    let invocation = match parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(exit) if exit.status == 0 => {
            stdout::line(format_args!("{}", exit.text.trim_end()));
            return ExitCode::from(stdout::end(0));
        }
        Err(exit) => {
            eprintln!("sim: {}", exit.text);
            return ExitCode::from(exit.status);
        }
    };
    let status = match &invocation.command {
        Command::Loopback(config) => loopback::run(config, invocation.level),
        Command::Tap(config) => serve::run(config, invocation.level),
        Command::World(config) => explore::world(config, invocation.level),
        Command::Replay(config) => explore::replay(config, invocation.level),
        Command::Plan(config) => explore::plan(config),
        Command::Step(config) => step::step(config),
        Command::Shrink(config) => explore::shrink(config),
        Command::Diff(config) => explore::diff(config),
        Command::Swarm(config) => swarm::run(config, invocation.level),
        Command::SwarmMerge(config) => swarm::merge(config, invocation.level),
        Command::Selftest(config) => selftest::run(config),
    };
    let status = status.unwrap_or_else(|why| {
        // One line for each mistake; below it commands, to copy and paste.
        for line in why.lines() {
            match line.starts_with("  ") {
                true => eprintln!("{line}"),
                false => eprintln!("sim: error: {line}"),
            }
        }
        2
    });
    ExitCode::from(stdout::end(status))
}
