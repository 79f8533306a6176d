//! How `sim tap` ends, and how it does not begin: in order, at once, or with one
//! line. Nothing is left behind. Needs root; see `netns/mod.rs`.
#![cfg(target_os = "linux")]

mod netns;

use std::io::{ErrorKind, Read};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use netns::{LONG, Netns, Sim, V4, connect, echo, no_tap_is_left, text};
use rustix::process::Signal;

#[test]
fn ctrl_c_lets_open_streams_finish_and_prints_the_table() {
    open_streams_finish_after(Signal::INT);
}

#[test]
fn a_terminal_that_goes_away_is_as_ctrl_c() {
    open_streams_finish_after(Signal::HUP);
}

fn open_streams_finish_after(signal: Signal) {
    let Some(netns) = Netns::new(&[]) else { return };
    let mut sim = Sim::start(&netns, "--drain 60s");
    netns.inside(|| {
        let mut open = connect(V4, 7).unwrap();
        echo(&mut open, b"before").unwrap();
        sim.signal(signal);
        // From some moment on, nobody new is let in.
        let start = Instant::now();
        let refused = loop {
            match connect(V4, 7) {
                Ok(_) => assert!(start.elapsed() < LONG, "it goes on accepting"),
                Err(error) => break error,
            }
        };
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        echo(&mut open, b"after").unwrap();
        open.shutdown(Shutdown::Write).unwrap();
        assert_eq!(open.read(&mut [0; 8]).unwrap(), 0);
    });
    let status = sim.end(Duration::from_secs(20));
    assert!(status.success(), "{status}");
    let out = sim.stdout();
    assert!(out.contains("nc 192.168.69.2 5000\n"), "{out}");
    assert!(out.contains("Connection from 192.168.69.1:"), "{out}");
    assert!(
        out.contains("tap cyg0\n") && out.contains("connections "),
        "{out}"
    );
    assert!(!out.contains("closed at the end"), "{out}");
    no_tap_is_left(&netns);
}

#[test]
fn a_stream_that_does_not_finish_is_closed_and_told() {
    let Some(netns) = Netns::new(&[]) else { return };
    let mut sim = Sim::start(&netns, "--drain 200ms");
    netns.inside(|| {
        let mut open = connect(V4, 7).unwrap();
        echo(&mut open, b"before").unwrap();
        sim.signal(Signal::TERM);
        assert_eq!(open.read(&mut [0; 8]).unwrap(), 0, "it is told");
    });
    assert!(sim.end(Duration::from_secs(20)).success());
    assert!(sim.stdout().contains("closed at the end"));
    // By itself, as Ctrl-C would.
    let mut sim = Sim::start(&netns, "--for 50ms");
    assert!(sim.end(Duration::from_secs(20)).success());
    assert!(sim.stdout().contains("tap cyg0\n"));
    no_tap_is_left(&netns);
}

#[test]
fn a_second_ctrl_c_quits_at_once() {
    let Some(netns) = Netns::new(&[]) else { return };
    for (signal, code) in [(Signal::INT, 130), (Signal::HUP, 129)] {
        let mut sim = Sim::start(&netns, "--drain 1000s");
        netns.inside(|| {
            let mut open = connect(V4, 7).unwrap();
            echo(&mut open, b"stay").unwrap();
            sim.signal(signal);
            while connect(V4, 7).is_ok() {} // the first one has arrived
            echo(&mut open, b"stay").unwrap();
            sim.signal(signal);
            let status = sim.end(Duration::from_secs(20));
            assert_eq!(status.code(), Some(code));
        });
        no_tap_is_left(&netns);
    }
}

#[test]
fn a_hangup_under_nohup_stops_nothing() {
    let Some(netns) = Netns::new(&["nohup"]) else {
        return;
    };
    let sim = Sim::start_under(&netns, "nohup", "--format json");
    sim.signal(Signal::HUP);
    netns.inside(|| {
        let mut open = connect(V4, 7).unwrap();
        echo(&mut open, b"stay").unwrap();
        echo(&mut connect(V4, 7).unwrap(), b"stay").unwrap();
    });
    assert!(sim.finish()["connections"].as_u64() >= Some(2));
    no_tap_is_left(&netns);
}

#[test]
fn what_cannot_be_had_is_one_line_and_leaves_nothing() {
    let Some(netns) = Netns::new(&[]) else { return };
    let refused = |words: &str, says: &str| {
        let mut sim = Sim::spawn(&netns, words);
        let status = sim.end(Duration::from_secs(20));
        let line = sim.stderr();
        assert_eq!(status.code(), Some(2), "{words}: {line}");
        assert!(
            line.starts_with("sim: error: ") && line.contains(says),
            "{line}"
        );
        line
    };
    let one_line = |words: &str, says: &str| {
        let line = refused(words, says);
        assert_eq!(line.lines().count(), 1, "{line}");
    };
    one_line(
        "tap --create --pcap /nowhere/x.pcapng",
        "cannot write the capture",
    );
    one_line("tap --create --ip 127.0.0.1/8", "no address that a host");
    one_line("tap --name lo", "not a single-queue TAP");
    one_line(
        "tap --create --slots 131072 --rx 16MiB --tx 16MiB",
        "no memory for",
    );
    no_tap_is_left(&netns);
    assert!(refused("tap", "there is no interface").contains("ip tuntap add dev cyg0"));

    let sim = Sim::start(&netns, "--format json");
    one_line("tap", "in use by another process");
    one_line("tap --create", "exists already");
    one_line(
        "tap --create --name cyg1 --ip 192.168.69.1/24",
        "already has the address",
    );
    one_line(
        "tap --create --name cyg1 --ip 192.168.69.9/24",
        "already has the address",
    );
    let links = text(&netns.command("ip").args(["link"]).output().unwrap());
    assert!(!links.contains("cyg1"), "{links}");
    sim.finish();
    no_tap_is_left(&netns);
}
