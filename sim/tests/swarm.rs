//! `sim swarm` as a person and as a cluster use it: whatever happens on the way,
//! the summary is the same bytes.
#![cfg(unix)]

use std::hash::Hasher;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use siphasher::sip::SipHasher13;

/// Runs of a few milliseconds.
const SHORT: &str = "--scenario calm reboot --for 200ms";

/// What schedulers set, which a test must not inherit.
const SCHEDULER: [&str; 6] = [
    "SLURM_ARRAY_TASK_ID",
    "SLURM_ARRAY_TASK_MIN",
    "SLURM_ARRAY_TASK_STEP",
    "SLURM_ARRAY_TASK_COUNT",
    "JOB_COMPLETION_INDEX",
    "SWARM_SHARDS",
];

fn command(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.args(words.split_whitespace());
    for name in SCHEDULER {
        command.env_remove(name);
    }
    command
}

fn sim(words: &str) -> Output {
    command(words).output().unwrap()
}

/// Runs what must go well, and gives what it prints.
fn stdout(words: &str) -> String {
    let output = sim(words);
    assert!(output.status.success(), "{words}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// A folder that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let name = format!("cygnet-swarm-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A swarm under way that would take long, with this many chunks finished.
struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Running {
    fn with_chunks(chunks: usize, words: &str) -> Running {
        let mut child = command(&format!("{words} --log debug"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut finished = 0;
        while finished < chunks {
            let mut line = String::new();
            let read = stderr.read_line(&mut line).unwrap();
            assert!(read > 0, "it ended after {finished} chunks");
            finished += usize::from(line.ends_with("done\n"));
        }
        Running { child, stderr }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Its exit status, what it printed, and the rest of what it said.
    fn end(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.stderr.read_to_string(&mut err).unwrap();
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut out).unwrap();
        (self.child.wait().unwrap().code(), out, err)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn chunks_in(file: &str) -> usize {
    let text = std::fs::read_to_string(file).unwrap();
    text.matches("\"chunk\":").count()
}

#[test]
fn the_summary_does_not_depend_on_jobs() {
    let words = format!("swarm --seeds 0..12 {SHORT}");
    let one = stdout(&format!("{words} --jobs 1"));
    assert_eq!(one, stdout(&format!("{words} --jobs 2")));
    assert_eq!(one, stdout(&words));
    assert!(one.starts_with("swarm: calm reboot, seeds 0..12, faults for 200ms\n"));
    let runs = one
        .lines()
        .find(|line| line.starts_with("  runs "))
        .unwrap();
    assert_eq!(runs.split_whitespace().nth(1), Some("24"), "{one}");
    // Other seeds are other runs, and a second time each is no other run.
    assert_ne!(one, stdout(&format!("swarm --seeds 1..13 {SHORT}")));
    let twice = stdout(&format!("{words} --twice"));
    assert_eq!(one, twice.replacen(", each twice", "", 1));
}

/// As processes, and as two kinds of scheduler would start them.
#[test]
fn four_shards_merge_to_the_summary_of_one() {
    let scratch = Scratch::new("shards");
    let words = format!("swarm --seeds 5..16 {SHORT}");
    let files: Vec<String> = (1..=4).map(|k| scratch.file(&k.to_string())).collect();
    let shards: Vec<Child> = (1..=4)
        .map(|k| {
            let mut command = command(&format!("{words} --results {}", files[k - 1]));
            match k {
                1 => command.args(["--shard", "1/4"]),
                2 => command
                    .env("SLURM_ARRAY_TASK_ID", "11")
                    .env("SLURM_ARRAY_TASK_MIN", "10")
                    .env("SLURM_ARRAY_TASK_COUNT", "4"),
                _ => command
                    .env("JOB_COMPLETION_INDEX", (k - 1).to_string())
                    .env("SWARM_SHARDS", "4"),
            };
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for shard in shards {
        let output = shard.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let merge = |files: &[String]| sim(&format!("swarm-merge {}", files.join(" ")));
    let whole = stdout(&words);
    let merged = merge(&files);
    assert_eq!(String::from_utf8(merged.stdout.clone()).unwrap(), whole);
    assert_eq!(merged.status.code(), Some(0));
    let backwards: Vec<String> = files.iter().rev().cloned().collect();
    assert_eq!(merge(&backwards).stdout, merged.stdout);

    // Without a shard there is no sum.
    let output = merge(&files[..3]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    let says = stderr(&output);
    assert!(says.contains("shard 4/4 has no file"), "{says}");
    let missing = "4 of 22 runs are missing: seeds 8..9, 12..13";
    assert!(says.contains(missing), "{says}");

    // Nor with one of them twice, nor with somebody else's.
    let output = merge(&[files[0].clone(), files[1].clone(), files[0].clone()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("are both shard 1/4"));
    let other = scratch.file("other");
    stdout(&format!(
        "swarm --seeds 5..17 {SHORT} --shard 4/4 --results {other}"
    ));
    let output = merge(&[files[0].clone(), other]);
    assert_eq!(output.status.code(), Some(2));
    let says = stderr(&output);
    assert!(
        says.contains("seeds are 5..16 there and 5..17 here"),
        "{says}"
    );
}

#[test]
fn after_sigkill_it_goes_on_to_the_same_summary() {
    let scratch = Scratch::new("killed");
    let file = scratch.file("results");
    let words = format!("swarm --seeds 0..40 {SHORT} --jobs 1");
    let running = Running::with_chunks(3, &format!("{words} --results {file}"));
    running.signal(Signal::KILL);
    assert_eq!(running.end().0, None);
    let before = chunks_in(&file);
    assert!((3..40).contains(&before), "{before} chunks");
    // The kill may come in the middle of a line.
    let mut text = std::fs::read(&file).unwrap();
    text.truncate(text.len() - 9);
    std::fs::write(&file, text).unwrap();

    let output = sim(&format!("{words} --results {file}"));
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("1 torn lines are ignored"));
    let done = format!("{} runs were done before", 2 * (before - 1));
    assert!(stderr(&output).contains(&done), "{}", stderr(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), stdout(&words));
    // Once more there is nothing left to do, and the summary is still the same.
    let again = stdout(&format!("{words} --results {file}"));
    assert_eq!(again, stdout(&words));
}

/// The shell's limit on the length of files is as good as a full disk.
#[test]
fn a_full_disk_loses_only_the_line_that_did_not_fit() {
    let scratch = Scratch::new("full");
    let file = scratch.file("results");
    let words = format!("swarm --seeds 0..20 {SHORT} --jobs 1");
    let program = env!("CARGO_BIN_EXE_sim");
    let limited = format!("trap '' XFSZ; ulimit -f 1; exec {program} {words} --results {file}");
    let mut shell = Command::new("bash");
    let output = shell.args(["-c", &limited]).output().unwrap();
    let line = stderr(&output).lines().last().unwrap();
    assert_eq!(output.status.code(), Some(2), "{line}");
    let says = format!("sim: error: cannot write to {file}: File too large");
    assert!(line.starts_with(&says), "{line}");
    assert_eq!(output.stdout, b"");
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 1024);
    let output = sim(&format!("{words} --results {file}"));
    assert!(stderr(&output).contains("torn lines are ignored"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), stdout(&words));
}

#[test]
fn after_ctrl_c_it_says_how_to_go_on() {
    let scratch = Scratch::new("stopped");
    let file = scratch.file("results");
    let words = format!("swarm --seeds 0..4000 {SHORT} --results {file}");
    let running = Running::with_chunks(2, &words);
    running.signal(Signal::INT);
    let (status, out, err) = running.end();
    assert_eq!((status, out.as_str()), (Some(130), ""), "{err}");
    let line = err.lines().last().unwrap();
    assert!(
        line.contains(" of 8000 runs done, 0 violations; "),
        "{line}"
    );
    let again = format!("; to go on: {} {words}", env!("CARGO_BIN_EXE_sim"));
    assert!(line.contains(&again), "{line}");
    assert!(chunks_in(&file) >= 2);

    // Without a file it says that nothing is left.
    let running = Running::with_chunks(1, &format!("swarm --seeds 0..4000 {SHORT}"));
    running.signal(Signal::TERM);
    let (status, out, err) = running.end();
    assert_eq!((status, out.as_str()), (Some(130), ""), "{err}");
    assert!(err.contains("they are lost; --results FILE"), "{err}");
}

/// The file says that seed 1 broke a rule: so does the summary, and the status.
#[test]
fn a_violation_is_told_with_its_command_and_status_1() {
    let scratch = Scratch::new("violated");
    let file = scratch.file("results");
    let words = format!("swarm --seeds 0..3 --scenario calm --for 200ms --results {file}");
    stdout(&words);
    let broken: String = std::fs::read_to_string(&file)
        .unwrap()
        .lines()
        .map(|line| {
            let (_, json) = line.split_once(' ').unwrap();
            let mut json: Value = serde_json::from_str(json).unwrap();
            if json["chunk"] == 1 {
                json["violations"] = json!({"bytes": 1});
                json["failures"] = json!([[1, 0, "bytes", "bytes at 3.000000 s"]]);
            }
            let json = json.to_string();
            let mut sum = SipHasher13::new();
            sum.write(json.as_bytes());
            format!("{:016x} {json}\n", sum.finish())
        })
        .collect();
    std::fs::write(&file, broken).unwrap();
    let command = "sim world --scenario calm --seed 1 --for 200ms";
    for words in [words, format!("swarm-merge {file}")] {
        let output = sim(&words);
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("\n  violation bytes "), "{text}");
        let line = text.lines().find(|row| row.contains("failure 1")).unwrap();
        assert!(
            line.ends_with(&format!("{command}  # bytes at 3.000000 s")),
            "{line}"
        );
    }
    // And it is one that works.
    stdout(command.strip_prefix("sim ").unwrap());
}

#[test]
fn a_file_has_one_writer_and_one_order() {
    let scratch = Scratch::new("writer");
    let file = scratch.file("results");
    let refused = |words: &str, says: &str| {
        let before = std::fs::read(&file).unwrap();
        let output = sim(&format!("swarm {words} --results {file}"));
        let line = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(
            line.starts_with("sim: error: ") && line.contains(says),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1, "{line}");
        assert_eq!(output.stdout, b"");
        before
    };
    let words = format!("--seeds 0..4000 {SHORT}");
    let running = Running::with_chunks(1, &format!("swarm {words} --results {file}"));
    refused(&words, "another sim swarm writes");
    drop(running);

    for (words, says) in [
        (
            format!("--seeds 0..5000 {SHORT}"),
            "seeds are 0..4000 there and 0..5000 here",
        ),
        (
            "--seeds 0..4000 --scenario calm --for 200ms".into(),
            "scenarios are calm reboot there and calm here",
        ),
        (
            "--seeds 0..4000 --scenario calm reboot".into(),
            "--for is 200ms there and as shipped here",
        ),
        (
            format!("{words} --shard 1/2"),
            "shard is 1/1 there and 1/2 here",
        ),
        (
            format!("{words} --twice"),
            "--twice is false there and true here",
        ),
    ] {
        let before = refused(&words, says);
        assert!(before == std::fs::read(&file).unwrap(), "it was changed");
    }
    std::fs::write(&file, "my diary\n").unwrap();
    refused(&words, "its first line is no header of a swarm");
}

#[test]
fn every_mistake_is_one_line_and_status_2() {
    for (words, says) in [
        ("swarm", "--seeds <A..B>"),
        ("swarm --seeds 9..5", "has no seed"),
        ("swarm --seeds 0..2 --scenario storm", "known: calm, lossy"),
        ("swarm --seeds 0..2 --shard 3/2", "say K/N"),
        (
            "swarm --seeds 0..2 --results /",
            "cannot use the results file /",
        ),
        (
            "swarm --seeds 0..2 --results /dev/zero",
            "/dev/zero is no file",
        ),
        (
            "swarm --seeds 0..2 --results /nowhere/r",
            "cannot use the results file",
        ),
        ("swarm-merge /nowhere/r", "/nowhere/r: No such file"),
        ("swarm-merge /dev/null", "no header of a swarm"),
    ] {
        let output = sim(words);
        let line = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{words}: {line}");
        assert!(line.starts_with("sim: error: "), "{words}: {line}");
        assert!(line.contains(says), "{words}: {line}");
        assert_eq!(line.lines().count(), 1, "{words}: {line}");
        assert_eq!(output.stdout, b"", "{words}");
    }
    let half = command("swarm --seeds 0..2")
        .env("JOB_COMPLETION_INDEX", "0")
        .output()
        .unwrap();
    assert_eq!(half.status.code(), Some(2));
    assert!(stderr(&half).contains("set SWARM_SHARDS"));
}

/// A kind of fault that stops having effect makes every green run worth less.
#[test]
fn every_kind_of_fault_has_an_effect_in_chaos() {
    let table = stdout("swarm --seeds 0..100 --scenario chaos --format json --log error");
    let table: Value = serde_json::from_str(&table).unwrap();
    let effects = table.as_object().unwrap().iter();
    let effects = effects.filter(|(key, _)| key.starts_with("effect_"));
    let mut kinds = 0;
    for (name, count) in effects {
        assert!(count.as_u64() > Some(0), "{name} in no run");
        kinds += 1;
    }
    assert_eq!(kinds, 14);
    assert_eq!(table["never_in_effect"], "none");
    assert_eq!(table["runs"], 100);
    assert_eq!(table["violations"], 0);
}

/// The files that ship are what the tests above are about.
#[test]
fn cluster_files_name_options_that_exist() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let help = stdout("swarm --help");
    for file in ["slurm-array.sh", "k8s-indexed-job.yaml"] {
        let text = read(file);
        for option in ["--seeds", "--scenario", "--results"] {
            assert!(
                text.contains(option) && help.contains(option),
                "{file}: {option}"
            );
        }
    }
    assert!(read("k8s-indexed-job.yaml").contains("SWARM_SHARDS"));
    for (file, who) in [
        ("slurm-test-array.sh", "SLURM_ARRAY_TASK_ID"),
        ("k8s-test-job.yaml", "SWARM_SHARDS"),
    ] {
        let text = read(file);
        for name in [
            who,
            "CYGNET_SEEDS",
            "CYGNET_RESULTS",
            "CYGNET_MERGE",
            "CYGNET_OUT",
        ] {
            assert!(text.contains(name), "{file}: {name}");
        }
    }
}
