//! The program `sim` as a person uses it: what it prints, what it exits with,
//! what it refuses.

use std::process::{Command, Output};

use serde_json::Value;

fn sim(words: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(words.split_whitespace())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// Runs a loopback in which everything must go well, and gives its table.
fn table(words: &str) -> Value {
    let output = sim(&format!("loopback --log warn --format json {words}"));
    assert!(output.status.success(), "{words}: {}", stderr(&output));
    serde_json::from_str(stdout(&output)).unwrap()
}

#[test]
fn alone_it_serves_eight_clients_and_says_so() {
    let output = sim("");
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert_eq!(text.matches("Connection from 10.0.0.2:").count(), 8);
    assert!(text.contains("\nloopback: hello on virtual time\n"));
    let rows: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for row in [
        "connections 8",
        "requests 800 of 800, verified",
        "failures 0",
        "slots high 8 of 64",
        "latency p50 100 us virtual clock",
    ] {
        assert!(rows.iter().any(|is| is == row), "{row:?} is not in\n{text}");
    }
    assert!(
        !text.contains("client resets"),
        "a row of zero says nothing"
    );
    assert!(text.contains("wall clock"));
    assert_eq!(stderr(&output), "");
}

#[test]
fn every_service_is_verified() {
    for (service, connections, resets) in [
        ("hello", 3, 0),
        ("echo", 3, 0),
        ("discard", 3, 0),
        // It goes on and on, until it is told that nobody reads.
        ("chargen", 3, 3),
        ("daytime", 60, 0),
    ] {
        let table = table(&format!("--service {service} --clients 3 --requests 20"));
        assert_eq!(table["requests"], 60, "{service}");
        assert_eq!(table["connections"], connections, "{service}");
        assert_eq!(table["resets"], resets, "{service}");
    }
}

#[test]
fn more_clients_than_slots_are_all_served() {
    let table = table("--clients 200 --requests 5 --slots 16 --backlog 4");
    assert_eq!(table["requests"], 1000);
    assert_eq!(table["client_resets"], 0);
    assert_eq!(table["failures"], 0);
    assert!(table["slots_high"].as_u64() <= Some(16));
    // Most of the burst waits for a slot instead of trying again.
    assert!(
        table["syns_parked"].as_u64() > Some(100),
        "there was no overload"
    );
}

#[test]
fn a_thousand_clients_on_64_slots_are_all_answered() {
    let words = "--clients 1000 --requests 20 --slots 64 --tasks 66 --backlog 8";
    let table = table(words);
    assert_eq!(table["requests"], 20_000);
    assert_eq!(
        (&table["client_resets"], &table["resets"]),
        (&0.into(), &0.into())
    );
    assert!(table["slots_high"].as_u64() <= Some(64));
    assert!(table["tasks_high"].as_u64() <= Some(66));
}

#[test]
fn a_client_that_finds_no_task_tries_again() {
    let table = table("--clients 20 --requests 5 --tasks 3");
    assert_eq!(table["requests"], 100);
    assert!(table["spawns_refused"].as_u64() > Some(0), "{table}");
}

#[test]
fn a_bad_wire_changes_no_byte() {
    for service in ["hello", "echo", "discard", "chargen", "daytime"] {
        let words =
            format!("--service {service} --loss 5% --seed 7 --requests 20 --rx 512 --tx 512");
        let table = table(&words);
        assert_eq!(table["requests"], 160, "{service}");
        assert!(table["lost_on_the_wire"].as_u64() > Some(0));
    }
}

#[test]
fn the_same_run_has_the_same_digest_whoever_watches() {
    let words = "loopback --clients 5 --requests 10 --loss 2% --seed 3 --digest";
    let digest = |more: &str| {
        let output = sim(&format!("{words} {more}"));
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output).to_owned()
    };
    let first = digest("");
    // It alone, as `sim world` prints it.
    assert!(first.len() == 33 && first.ends_with('\n'), "{first}");
    assert_eq!(digest("--format json"), first);
    assert_eq!(digest(""), first);
    assert_eq!(digest("--trace"), first);
    assert_eq!(digest("--log off"), first);
    let other = sim(&words.replace("--seed 3", "--seed 4"));
    assert!(!stdout(&other).contains(&first));
}

#[test]
fn the_trace_shows_who_waits_for_what() {
    let output = sim("loopback --clients 1 --requests 1 --trace");
    let text = stdout(&output);
    let mut at = 0;
    for line in [
        "time/s  host    what     who",
        "server  spawn    0 hello",
        "server  yield    0 hello  (accept, :5000)",
        "client  yield    0 client  (connect, #0)",
        "10.0.0.1:5000  SYN ",
        "server  accept   #0 Connection from 10.0.0.2:",
        "server  spawn    1 hello",
        "server  wake     1 hello",
        "server  resume   1 hello",
        "server  write    #0 12 bytes \"Hello World\\n\"",
        "server  yield    1 hello  (read, #0)",
        "client  wake     0 client",
        "client  done     0 client",
        "server  done     0 hello",
    ] {
        let found = text[at..].find(line);
        at += found.unwrap_or_else(|| panic!("no {line:?} after byte {at} of\n{text}"));
    }
}

#[test]
fn a_capture_is_written_and_repeats() {
    let path = |n: u32| std::env::temp_dir().join(format!("cygnet-lo-{}-{n}", std::process::id()));
    let files = [1, 2].map(|n| {
        let words = format!("--clients 2 --requests 3 --pcap {}", path(n).display());
        table(&words);
        let bytes = std::fs::read(path(n)).unwrap();
        std::fs::remove_file(path(n)).unwrap();
        bytes
    });
    assert!(files[0].len() > 2_000);
    assert!(files[0] == files[1], "the same run gives the same file");
}

#[test]
fn who_draws_a_run_changes_nothing_of_it() {
    let path = |end: &str| {
        let name = format!("cygnet-loopback-{}.{end}", std::process::id());
        std::env::temp_dir().join(name)
    };
    let digest = |more: &str| {
        let words = format!("loopback --clients 2 --requests 9 --loss 5% --digest{more}");
        stdout(&sim(&words)).to_owned()
    };
    let (page, trace) = (path("html"), path("pftrace"));
    let drawn = digest(&format!(
        " --page {} --perfetto {}",
        page.display(),
        trace.display()
    ));
    assert_eq!(drawn, digest(""));
    assert!(drawn.len() > 32, "{drawn}");
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains("<h1>loopback: hello</h1>"));
    assert!(html.ends_with("</html>\n") && html.len() > 50_000);
    assert!(std::fs::metadata(&trace).unwrap().len() > 10_000);
    std::fs::remove_file(page).unwrap();
    std::fs::remove_file(trace).unwrap();
}

#[test]
fn what_was_not_answered_is_status_1_and_one_line() {
    let output = sim("loopback --clients 2 --requests 3 --loss 100%");
    assert_eq!(output.status.code(), Some(1));
    let line = stderr(&output);
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(
        line.starts_with("sim: 0 of 6 requests were answered; client "),
        "{line}"
    );
    assert!(line.contains("nobody answered"), "{line}");
    assert!(stdout(&output).contains("failures "), "the table is there");
}

#[test]
fn every_mistake_is_one_line_and_status_2() {
    for (words, says) in [
        (
            "loopback --service ftp",
            "there is no service \"ftp\"; known: hello, echo",
        ),
        ("loopback --clients 0", "0 is too few; at least 1"),
        ("loopback --clients 16385", "at most 16384"),
        ("loopback --requests x", "\"x\" is no number"),
        ("loopback --slots 0", "0 is too few; at least 1"),
        ("loopback --tasks 1", "a connection needs one more"),
        ("loopback --latency 5x", "is no duration; say 50us"),
        ("loopback --loss 101%", "at most 100%"),
        (
            "loopback --slots 131072 --rx 16MiB",
            "no memory for 131072 receive buffers",
        ),
        (
            "loopback --pcap /nowhere/at/all.pcapng",
            "cannot write the capture /nowhere/at/all.pcapng",
        ),
        ("loopback --pcap /", "cannot write the capture /"),
        ("loopback --page /nowhere/run.html", "/nowhere/run.html: "),
        ("loopback --bogus", "unexpected argument '--bogus'"),
        ("fly", "unrecognized subcommand 'fly'"),
        ("--log loud", "invalid value 'loud'"),
        (
            "tap --name 1234567890123456",
            "has 16 bytes; 15 are allowed",
        ),
        ("tap --name a/b", "cannot be an interface name"),
        ("tap --serve ftp:21", "there is no service \"ftp\""),
        ("tap --serve echo", "say SERVICE:PORT"),
        ("tap --serve echo:0", "port 0 cannot be listened on"),
        ("tap --serve echo:70000", "is no port; choose 1 to 65535"),
        ("tap --serve echo:7 hello:7", "have the same port"),
        ("tap --slots 0", "0 is too few; at least 1"),
        ("tap --ip 192.168.69.2", "is no ADDRESS/BITS"),
        ("tap --ip 192.168.69.256/24", "is no ADDRESS/BITS"),
        ("tap --ip 192.168.69.255/24", "stands for the whole network"),
        (
            "tap --ip 127.0.0.1/8",
            "no address that a host on a link can have",
        ),
        ("tap --ipv6 10.0.0.1/8", "is IPv4; say --ip"),
        ("tap --gateway 10.0.0.1", "is in no network of --ip"),
        ("tap --mac 00:00:00:00:00:00", "is not one host's address"),
        (
            "tap --pcap /nowhere/at/all.pcapng",
            "cannot write the capture",
        ),
    ] {
        let output = sim(words);
        let line = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{words}: {line}");
        assert!(line.starts_with("sim: error: "), "{words}: {line}");
        assert!(line.contains(says), "{words}: {line}");
        assert_eq!(line.lines().count(), 1, "{words}: {line}");
        assert_eq!(stdout(&output), "", "{words}");
    }
}

#[test]
fn json_is_all_there_is_on_standard_output() {
    let output = sim("loopback --clients 2 --requests 2 --format json --trace");
    let table: Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!(table["requests"], 4);
    assert!(table["latency_p50_ns"].as_u64() > Some(0));
    assert!(table["throughput_per_second"].as_f64() > Some(0.0));
    assert!(stderr(&output).contains("(accept, :5000)"));
}

/// Ctrl-C ends a run that would take hours, and prints what was done.
#[cfg(unix)]
#[test]
fn ctrl_c_stops_early_and_prints_the_table() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;
    let mut child = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(["loopback", "--requests", "16000000", "--trace"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap(); // its handlers are set by now
    assert!(line.contains("time/s"), "{line}");
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut rest = Vec::new();
    out.read_to_end(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.contains("\nloopback: hello on virtual time\n"));
    let mut line = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut line)
        .unwrap();
    assert!(line.starts_with("sim: stopped after "), "{line}");
}

/// A reader who has seen enough ends the run.
#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_panic() {
    use std::process::Stdio;
    let mut child = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(["loopback", "--requests", "16000000", "--trace"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("sim: stopped after "),
        "{}",
        stderr(&output)
    );
}
