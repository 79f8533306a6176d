//! `sim tap --top` as a person sees it: in a real terminal (tmux), in a network namespace,
//! with clients. Needs root, see `netns/mod.rs`; and tmux.
#![cfg(target_os = "linux")]

mod folder;
mod netns;
mod tmux;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use netns::{Netns, V4, connect, echo, no_tap_is_left};
use rustix::process::Signal;
use tmux::Tmux;

/// A terminal whose shell is in the namespace.
fn terminal(netns: &Netns, name: &str) -> Option<Tmux> {
    netns.inside(|| Tmux::new(name, 100, 30))
}

/// Starts `sim` there and waits for its screen.
fn starts(tmux: &Tmux, before: &str, options: &str) {
    let sim = env!("CARGO_BIN_EXE_sim");
    tmux.types(&format!(
        "{before}'{sim}' tap --create --serve hello:5000 echo:7 --top {options}; echo status $?\n"
    ));
    tmux.until(|rows| has(rows, &["cyg0  up "]) && has(rows, &["hello", "accept", ":5000"]));
}

/// Whether one row has all these words.
fn has(rows: &[String], words: &[&str]) -> bool {
    rows.iter()
        .any(|row| words.iter().all(|word| row.contains(word)))
}

fn resize(tmux: &Tmux, width: u32, height: u32) {
    let (width, height) = (width.to_string(), height.to_string());
    tmux.does(&["resize-window", "-x", &width, "-y", &height]);
}

#[test]
fn twenty_clients_are_seen_and_get_their_answers_after_q() {
    let Some(netns) = Netns::new(&["tmux"]) else {
        return;
    };
    let Some(tmux) = terminal(&netns, "top-clients") else {
        return;
    };
    starts(&tmux, "", "--drain 60s");
    let mut clients: Vec<TcpStream> = netns.inside(|| {
        let clients = (0..20).map(|_| {
            let mut client = connect(V4, 7).unwrap();
            echo(&mut client, b"before").unwrap();
            client
        });
        clients.collect()
    });
    // Each connection with its peer, its service, its state, and what a task waits for there.
    resize(&tmux, 100, 60);
    let ports: Vec<u16> = clients
        .iter()
        .map(|client| client.local_addr().unwrap().port())
        .collect();
    tmux.until(|rows| {
        ports.iter().all(|port| {
            let peer = format!("192.168.69.1:{port} ");
            has(rows, &[&peer, "echo", "open", "read"])
        })
    });
    tmux.until(|rows| has(rows, &["slots 20/64", "tasks 22/"]));
    tmux.until(|rows| has(rows, &["[connections 20]"]) && has(rows, &[" tasks 22"]));
    tmux.until(|rows| has(rows, &["echo", "read", "#19"]) && has(rows, &["echo", "accept", ":7"]));
    tmux.until(|rows| has(rows, &["frames in ", "accepts 20 ("]));

    // Keys: a filter, another list, a pause.
    resize(&tmux, 80, 24);
    tmux.types(&format!("/:{}\n", ports[3]));
    tmux.until(|rows| has(rows, &["[connections 1] with"]));
    // The one that is left is aborted, when that was confirmed, and no other; also while the
    // screen stands still.
    tmux.types("pa");
    tmux.until(|rows| has(rows, &["abort #", "y resets it"]));
    tmux.types("y");
    let aborted = clients.remove(3).read(&mut [0; 8]);
    assert!(aborted.is_err(), "{aborted:?}");
    tmux.types("p");
    tmux.until(|rows| has(rows, &["slots 19/64"]));
    tmux.keys(&["Escape"]);
    tmux.until(|rows| has(rows, &["[connections 19]"]));
    tmux.types("p");
    tmux.until(|rows| has(rows, &["PAUSED  cyg0"]));
    tmux.types("p?");
    tmux.until(|rows| has(rows, &["choose another row"]));
    // Any size, and back.
    tmux.types("?");
    resize(&tmux, 40, 24);
    tmux.until(|rows| rows.len() == 24 && has(rows, &["192.168.69.1:", "echo"]));
    resize(&tmux, 10, 3);
    tmux.until(|rows| rows.len() == 3 && rows[2] == "q quit  ta");
    tmux.types("jks\tr");
    resize(&tmux, 80, 24);
    tmux.until(|rows| rows.len() == 24 && has(rows, &["[tasks 21]"]));

    // The terminal is as it was while the clients still get their answers.
    tmux.types("q");
    tmux.until(|rows| has(rows, &["draining 19 streams"]));
    let start = Instant::now();
    netns.inside(|| {
        while connect(V4, 7).is_ok() {
            assert!(start.elapsed() < netns::LONG, "it goes on accepting");
        }
        for client in &mut clients {
            echo(client, b"after").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
        }
    });
    let end = tmux.until_row("status 0");
    assert!(has(&end, &["tap cyg0"]), "{end:#?}");
    tmux.is_sane("status 0");
    no_tap_is_left(&netns);
}

/// By a key, by a signal, and in the middle of a drain.
#[test]
fn ctrl_c_ends_it_in_order_and_twice_at_once_and_the_terminal_is_as_it_was() {
    let Some(netns) = Netns::new(&["tmux"]) else {
        return;
    };
    let Some(tmux) = terminal(&netns, "top-ends") else {
        return;
    };
    starts(&tmux, "", "");
    tmux.keys(&["C-c"]);
    tmux.is_sane("status 0");
    tmux.types("clear\n");
    starts(&tmux, "", "");
    tmux.types("q");
    tmux.is_sane("status 0");
    // A stream is open: it drains, and a second Ctrl-C is a signal.
    tmux.types("clear\n");
    starts(&tmux, "", "--drain 60s");
    let mut client = netns.inside(|| connect(V4, 7).unwrap());
    echo(&mut client, b"hello").unwrap();
    tmux.keys(&["C-c"]);
    tmux.until(|_| tmux.does(&["display-message", "-p", "#{alternate_on}"]) == "0\n");
    tmux.keys(&["C-c"]);
    tmux.is_sane("status 130");
    no_tap_is_left(&netns);
}

#[test]
fn a_signal_ends_it_and_usr1_prints_the_same_as_text() {
    let Some(netns) = Netns::new(&["tmux"]) else {
        return;
    };
    let Some(tmux) = terminal(&netns, "top-signals") else {
        return;
    };
    tmux.folder
        .write("top.sh", "echo $$ >pid; exec \"$1\" tap --create --top\n");
    let sim = env!("CARGO_BIN_EXE_sim");
    tmux.types(&format!("sh top.sh '{sim}'; echo status $?\n"));
    tmux.until(|rows| has(rows, &["[connections 0]"]));
    let pid = tmux.folder.text("pid");
    let kill = |signal: &str| {
        let line = format!("kill -{signal} {}", pid.trim());
        assert!(
            Command::new("sh")
                .args(["-c", &line])
                .status()
                .unwrap()
                .success()
        );
    };
    // On a screen there is nothing to print.
    kill("USR1");
    let before = tmux.rows();
    tmux.until(|rows| rows[0] != before[0] && has(rows, &["[connections 0]"]));
    let mut client = netns.inside(|| connect(V4, 7).unwrap());
    echo(&mut client, b"hello").unwrap();
    kill("TERM");
    // Also what was said before the screen had heard of it.
    tmux.until(|rows| has(rows, &["draining 1 stream"]));
    drop(client);
    tmux.is_sane("status 0");

    let mut sim = netns::Sim::start(&netns, "--limit idle=50s");
    let mut client = netns.inside(|| connect(V4, 7).unwrap());
    echo(&mut client, b"hello").unwrap();
    sim.signal(Signal::USR1);
    let start = Instant::now();
    let limits = "limits of #0: write 2m00s";
    while !sim.stdout().contains(limits) {
        assert!(start.elapsed() < netns::LONG, "{}", sim.stdout());
        std::thread::sleep(Duration::from_millis(5));
    }
    let said = sim.stdout();
    for words in [
        "cyg0  up ",
        "accept",
        "slots 1/64",
        "192.168.69.1:",
        "its window",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    sim.signal(Signal::INT);
    drop(client);
    assert!(sim.end(Duration::from_secs(20)).success());
}

#[test]
fn a_panic_leaves_the_terminal_as_it_was() {
    let Some(tmux) = Tmux::new("top-panic", 80, 24) else {
        return;
    };
    let test = std::env::current_exe().unwrap();
    let test = test.display();
    tmux.types(&format!(
        "clear; '{test}' --ignored --exact --nocapture panics_under_a_screen; echo status $?\n"
    ));
    tmux.until(|rows| has(rows, &["a swan sinks"]));
    tmux.is_sane("status 101");
}

/// Is run in a terminal by the test above.
#[test]
#[ignore = "panics"]
fn panics_under_a_screen() {
    cygnet_sim::top::panic_under_a_screen();
}

/// Also when hangups are ignored: nobody could end it any more.
#[test]
fn a_terminal_that_is_gone_ends_it() {
    let Some(netns) = Netns::new(&["tmux"]) else {
        return;
    };
    let Some(tmux) = terminal(&netns, "top-hung-up") else {
        return;
    };
    tmux.folder.write(
        "top.sh",
        "trap '' HUP; echo $$ >pid; exec \"$1\" tap --create --top\n",
    );
    tmux.types(&format!("sh top.sh '{}'\n", env!("CARGO_BIN_EXE_sim")));
    tmux.until(|rows| has(rows, &["[connections 0]"]));
    let pid = tmux.folder.text("pid");
    let of_it = format!("/proc/{}/cmdline", pid.trim());
    let runs = || std::fs::read(&of_it).is_ok_and(|words| !words.is_empty());
    assert!(runs(), "{of_it}");
    tmux.does(&["kill-server"]);
    let start = Instant::now();
    while runs() {
        assert!(start.elapsed() < netns::LONG, "it still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
    no_tap_is_left(&netns);
}

#[test]
fn without_colors_there_are_none() {
    let Some(netns) = Netns::new(&["tmux"]) else {
        return;
    };
    let Some(tmux) = terminal(&netns, "top-color") else {
        return;
    };
    for (before, colored) in [("", true), ("NO_COLOR=1 ", false)] {
        starts(&tmux, before, "");
        // The log is colored, and so is what was dropped.
        tmux.until(|rows| has(rows, &["Ctrl-C stops."]));
        let screen = tmux.does(&["capture-pane", "-p", "-e"]);
        let has_colors = ["\x1b[36m", "\x1b[38;5;6m", "\x1b[31m", "\x1b[38;5;1m"]
            .iter()
            .any(|color| screen.contains(color));
        assert_eq!(has_colors, colored, "{screen}");
        tmux.types("q");
        tmux.is_sane("status 0");
        tmux.types("clear\n");
        tmux.until(|rows| rows.first().is_some_and(|row| row == "ready>"));
    }
}

/// How much processor a screen takes, and an open page beside it, and how often they look:
/// `cargo test --release -p cygnet-sim --test tap_top -- --ignored --nocapture costs`.
#[test]
#[ignore = "takes three minutes"]
fn a_screen_costs_little_and_looks_four_times_a_second_at_most() {
    const SECONDS: u64 = 60;
    let Some(netns) = Netns::new(&["tmux"]) else {
        return;
    };
    let Some(tmux) = terminal(&netns, "top-costs") else {
        return;
    };
    let sim = env!("CARGO_BIN_EXE_sim");
    for (what, options, has_page) in [
        ("idle, no screen", ">out", false),
        ("idle, a screen", "--top", false),
        ("ten messages a second, no screen", ">out", false),
        ("ten messages a second, a screen and a page", "--top", true),
    ] {
        let speaks = what.starts_with("ten");
        let script = format!("echo $$ >pid; exec '{sim}' tap --create {options}\n");
        tmux.folder.write("top.sh", &script);
        tmux.types("clear; sh top.sh\n");
        let start = Instant::now();
        while !netns.does("ip link").contains("cyg0") {
            assert!(start.elapsed() < netns::LONG, "it does not start");
        }
        // Until the kernel has said what it says to a new interface.
        std::thread::sleep(Duration::from_secs(5));
        let mut page = has_page.then(|| netns.inside(|| connect(V4, 80).unwrap()));
        let mut client = speaks.then(|| netns.inside(|| connect(V4, 7).unwrap()));
        if let Some(page) = &mut page {
            let ask = format!("GET /events HTTP/1.1\r\nHost: {V4}\r\n\r\n");
            page.write_all(ask.as_bytes()).unwrap();
            page.set_nonblocking(true).unwrap();
        }
        let pid: u32 = tmux.folder.text("pid").trim().parse().unwrap();
        let (before, start) = (ticks(pid), Instant::now());
        let mut seen = Vec::new();
        while start.elapsed() < Duration::from_secs(SECONDS) {
            std::thread::sleep(Duration::from_millis(100));
            if let Some(client) = &mut client {
                echo(client, b"hello").unwrap();
            }
            if let Some(page) = &mut page {
                // It ends with what would block.
                assert!(page.read_to_end(&mut seen).is_err(), "the page is over");
            }
        }
        // Of a hundred ticks a second.
        let percent = (ticks(pid) - before) as f64 / SECONDS as f64;
        drop((page, client));
        tmux.keys(&["C-c"]);
        let start = Instant::now();
        let turns = loop {
            let told = match options {
                "--top" => tmux.rows().join("\n"),
                _ => tmux.folder.text("out"),
            };
            let mut lines = told.lines().map(str::trim);
            if let Some(turns) = lines.find_map(|line| line.strip_prefix("turns ")) {
                break turns.trim().replace(',', "");
            }
            assert!(start.elapsed() < netns::LONG, "{told}");
            std::thread::sleep(Duration::from_millis(20));
        };
        let turns: u64 = turns.parse().unwrap();
        let seen = String::from_utf8_lossy(&seen).matches("data:").count() as u64;
        println!(
            "{what}: {percent:.2} % of a processor in {SECONDS} s, {turns} turns, \
             {seen} refreshes of the page"
        );
        assert!(seen <= 4 * SECONDS + 4, "{seen}");
        if !speaks {
            assert!(turns <= 4 * (SECONDS + 6) + 60, "{turns}");
        }
    }
}

/// How much processor a process has used, in ticks (`proc_pid_stat(5)`).
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let words: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    words[11].parse::<u64>().unwrap() + words[12].parse::<u64>().unwrap()
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let output = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(["tap", "--top"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        said,
        "sim: error: --top needs a terminal; without one, kill -USR1 prints the same\n"
    );
}
