//! Small things that a person meets on the first day: a word left out, a pipe that closes,
//! a disk that is full, a run that fails.

mod folder;

use std::fs::File;
use std::process::{Command, Output, Stdio};

use folder::Folder;

/// `sim` with its standard output there.
fn sim_into(out: impl Into<Stdio>, line: &str) -> Output {
    let child = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(line.split_whitespace())
        .stdout(out)
        .stderr(Stdio::piped())
        .spawn();
    child.unwrap().wait_with_output().unwrap()
}

/// A pipe whose reader has gone.
fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// Commands that print and are over at once.
const PRINT: [&str; 7] = [
    "--help",
    "--version",
    "loopback --clients 2 --requests 2",
    "loopback --clients 2 --requests 2 --format json --log warn",
    "loopback --clients 2 --requests 2 --digest",
    "world --scenario calm --for 1s",
    "world --scenario calm --for 1s --digest",
];

#[test]
#[cfg(target_os = "linux")]
fn a_full_device_is_one_line_and_not_status_0() {
    for line in PRINT {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = sim_into(full, line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        let head = "sim: error: cannot write to standard output: No space left";
        assert!(said.starts_with(head), "{line}: {said}");
        assert_eq!(said.lines().count(), 1, "{line}: {said}");
    }
}

#[test]
#[cfg(unix)]
fn a_reader_who_goes_away_is_no_failure() {
    for line in PRINT {
        let output = sim_into(closed_pipe(), line);
        let said = String::from_utf8(output.stderr).unwrap();
        // Whoever shows lines while it runs ends with its reader, before the end.
        let stops = line.ends_with("--requests 2");
        assert!(output.status.success() || stops, "{line}: {said}");
        assert!(!said.contains("panicked"), "{line}: {said}");
    }
}

#[test]
fn options_without_a_command_are_for_loopback() {
    let folder = Folder::new("small-words");
    let whole = folder.said("loopback --clients 2 --requests 1 --digest");
    assert_eq!(folder.said("--clients 2 --requests 1 --digest"), whole);
    assert!(
        folder
            .said("--trace --clients 1 --requests 1")
            .contains("(accept, :5000)")
    );
    assert!(folder.said("-v --digest --clients 2 --requests 1") == whole);
    assert!(folder.said("--trace --help").contains("sim loopback"));
}

#[test]
fn sizes_and_times_are_what_a_person_types() {
    let folder = Folder::new("small-units");
    folder.said("loopback --clients 2 --requests 1 --rx 4k --tx 1m --latency 1");
    folder.said("world --scenario calm --for 1");
}

#[test]
fn a_world_tells_what_happens_in_it_and_is_the_same_run() {
    let folder = Folder::new("small-told");
    let words = "world --scenario churn --seed 3 --for 1s";
    let quiet = folder.said(&format!("{words} --plan-out plan.txt"));
    let told = folder.said(&format!("{words} -v"));
    assert!(told.ends_with(&quiet), "the table is below, the same");
    for line in [
        "  server  Connection from 10.",
        " bytes in, ",
        " to echo:7 closed after ",
        "  c1  to [fd00::1]:7 closed after ",
    ] {
        assert!(told.contains(line), "no {line:?} in {told}");
        assert!(!quiet.contains(line));
    }
    assert!(!told.contains("not unicast"));
    assert!(!told.contains(" server yield "));
    let again = folder.said("replay plan.txt -v");
    let lines = |text: &str| text.lines().filter(|it| it.contains("Connection")).count();
    assert_eq!(lines(&again), lines(&told));
    let all = folder.said("replay plan.txt -vv");
    assert!(all.contains(" server yield ") && all.len() > 5 * told.len());
    let digest = folder.said(&format!("{words} --digest"));
    assert_eq!(folder.said(&format!("{words} --digest -v")), digest);
    assert!(quiet.contains(digest.trim()));
}

/// The words of the violation are on standard error alone, above what to do next.
#[test]
fn a_violation_is_told_once() {
    let folder = Folder::new("small-violation");
    let output = folder.sim("world --scenario calm --for 1s --budget 100");
    assert_eq!(output.status.code(), Some(1));
    let (said, table) = (
        String::from_utf8(output.stderr).unwrap(),
        String::from_utf8(output.stdout).unwrap(),
    );
    assert_eq!(said.matches("violated: ").count(), 1, "{said}");
    let words = said.lines().next().unwrap();
    let words = words.strip_prefix("sim: violated: ").unwrap();
    assert!(!table.contains(words), "{table}");
    let json = folder.sim("world --scenario calm --for 1s --budget 100 --format json");
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(
        json["violation"].as_str().unwrap().starts_with(words),
        "{json}"
    );
}
