//! The self-test of the simulated networks: every bug has its place in the
//! sources, none is planted by accident, and where there are no sources it says so.

use std::path::Path;
use std::process::{Command, Output};

use cygnet_sim::selftest;
use cygnet_world::scenario::SCENARIOS;
use cygnet_world::stage::{Staging, run};
use smoltcp::time::Duration;

/// `sim selftest` with these words, which must fail: what it said.
fn refused(words: &[&str]) -> String {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_sim"))
        .arg("selftest")
        .args(words)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn every_patch_applies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    match selftest::check(&root) {
        Ok(bugs) => assert!(bugs >= 89, "{bugs} bugs"),
        Err(lost) => panic!("{lost}"),
    }
}

#[test]
fn nothing_planted_and_nothing_found() {
    for scenario in SCENARIOS {
        let plan = scenario.plan(3, Duration::from_secs(3));
        let staging = Staging {
            seed: Some(3),
            ..Staging::default()
        };
        assert_eq!(run(&plan, staging).violation, None, "{}", scenario.name);
    }
}

#[test]
fn a_program_without_its_sources_says_so() {
    let nowhere = env!("CARGO_TARGET_TMPDIR");
    let said = refused(&["--sources", nowhere]);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("there are none in") && said.contains(nowhere),
        "{said}"
    );
    assert!(said.contains("--sources DIR"), "{said}");
}

#[test]
fn a_program_that_is_not_the_copy_has_no_bugs() {
    let said = refused(&["--row", "--bug", "lost-wake"]);
    assert!(said.contains("no bugs in it"), "{said}");
}

#[test]
fn a_bug_that_is_none_is_refused_with_the_names_of_all() {
    let said = refused(&["--bug", "swan"]);
    assert!(said.contains("lost-wake"), "{said}");
}
