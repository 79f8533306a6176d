//! A frame's way through the files of cygnet: see `run`.
//!
//! `way echo N` and `way churn N` are what valgrind looks at: N echoes over one
//! connection, or N connections with an echo each. `way marks` tells where the
//! functions of [`marks`] lie, and `way report` reads what valgrind wrote.

mod calls;
#[path = "../../src/cygnet.rs"]
#[allow(dead_code, reason = "a server of its own, on the same host")]
mod cygnet;
mod docs;
mod marks;
mod path;
#[path = "../../../tests/house/plan.rs"]
#[allow(dead_code, reason = "only the floors are needed")]
mod plan;
mod report;
mod serve;

use std::process::ExitCode;

const USAGE: &str = "usage: way echo|churn N
       way marks
       way report FOLDER [--check]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let fine = match arguments[..] {
        [mode @ ("echo" | "churn"), units] => {
            units.parse().map(|units| serve::run(mode, units)).is_ok()
        }
        ["marks"] => {
            marks::print();
            true
        }
        ["report", folder, ref rest @ ..] => {
            let calls = calls::per_echo(folder, 20, 60);
            let ways = path::ways(folder);
            report::print(&calls, &ways);
            rest != ["--check"] || report::check(&calls, &ways)
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The path of a file below the root of the repository, if it is one of the core's.
pub fn of_core(path: &str) -> Option<&str> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let root = root.trim_end_matches("bench/way/");
    path.strip_prefix(root)
        .filter(|path| path.starts_with("src/"))
}
