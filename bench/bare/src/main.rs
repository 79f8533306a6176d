//! Bare smoltcp as a contender of `cygnet-bench`, and its commands for it:
//!
//! `bare count MODE N BUFFER UNITS` is to be counted by callgrind; `bare serve
//! MODE N BUFFER` does what its standard input asks for.

mod bare;

use std::process::ExitCode;

use contest::plan::Plan;
use contest::world::{self, World};
use contest::{link, remote};

fn run(arguments: &[&str]) -> Option<()> {
    let (command, plan, units) = match *arguments {
        ["count", mode, connections, buffer, units] => {
            ("count", Plan::parse(mode, connections, buffer)?, units)
        }
        ["serve", mode, connections, buffer] => {
            ("serve", Plan::parse(mode, connections, buffer)?, "")
        }
        _ => return None,
    };
    let (mut here, there) = link::link();
    let server = bare::Bare::new(plan, &mut here);
    let mut world = World::new(plan, (server, here), there);
    match command {
        "count" => println!("{}", world::count(&mut world, plan, units.parse().ok()?)),
        _ => remote::serve(&mut world),
    }
    Some(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Some(()) => ExitCode::SUCCESS,
        None => {
            eprintln!("usage: bare count MODE N BUFFER UNITS\n       bare serve MODE N BUFFER");
            ExitCode::from(2)
        }
    }
}
