//! The self-test of the simulated networks: every bug has its site, none is
//! planted by accident, and a program that can plant none says so.

use std::fs;
use std::path::Path;
use std::process::Command;

use cygnet::planted::{Planted, planted};
use cygnet_sim::world::scenario::SCENARIOS;
use cygnet_sim::world::stage::{Staging, run};
use smoltcp::time::Duration;

/// Every Rust file below a folder, one after the other.
fn source(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *text += &fs::read_to_string(path).unwrap();
        }
    }
}

#[test]
fn every_bug_has_a_site() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    source(&here.join("../src"), &mut text);
    source(&here.join("src/world"), &mut text);
    for bug in Planted::ALL {
        let site = format!("planted(Planted::{bug:?})");
        assert!(text.contains(&site), "{site} is nowhere");
    }
    assert!(Planted::ALL.len() >= 20);
}

#[test]
fn nothing_planted_and_nothing_found() {
    assert!(Planted::ALL.iter().all(|&bug| !planted(bug)));
    for scenario in SCENARIOS {
        let plan = scenario.plan(3, Duration::from_secs(3));
        let staging = Staging {
            seed: Some(3),
            ..Staging::default()
        };
        assert_eq!(run(&plan, staging).violation, None, "{}", scenario.name);
    }
}

#[cfg(not(feature = "selftest"))]
#[test]
fn a_program_without_bugs_says_how_to_build_one_with() {
    let output = Command::new(env!("CARGO_BIN_EXE_sim"))
        .arg("selftest")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("--features selftest -- selftest"), "{said}");
}

#[cfg(feature = "selftest")]
#[test]
fn a_planted_bug_is_found() {
    let output = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(["selftest", "--bug", "task-row-leaked", "--seeds", "10"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 of 1 bugs found"), "{said}");
}

#[test]
fn a_bug_that_is_none_is_refused_with_the_names_of_all() {
    let output = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(["selftest", "--bug", "swan"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("lost-wake"), "{said}");
}
