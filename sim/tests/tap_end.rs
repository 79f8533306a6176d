//! How `sim tap` ends, and how it does not begin: in order, at once, or with one
//! line. Nothing is left behind. Needs root; see `netns/mod.rs`.
#![cfg(target_os = "linux")]

mod netns;

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use netns::{LONG, Netns, Sim, V4, connect, echo, no_tap_is_left, resets_in, text};
use rustix::process::Signal;

#[test]
fn ctrl_c_lets_open_streams_finish_and_prints_the_table() {
    open_streams_finish_after(Signal::INT);
}

#[test]
fn a_terminal_that_goes_away_is_as_ctrl_c() {
    open_streams_finish_after(Signal::HUP);
}

/// Who runs these tests may have ignored a hangup, and `sim` would go on doing so.
const HEARS: &str = "env --default-signal=HUP";

fn open_streams_finish_after(signal: Signal) {
    let Some(netns) = Netns::new(&["env"]) else {
        return;
    };
    let mut sim = Sim::start_under(&netns, HEARS, "--drain 60s");
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
    assert!(!out.contains("reset at the end"), "{out}");
    no_tap_is_left(&netns);
}

/// An end in order would say that the stream is complete.
#[test]
fn what_is_left_at_the_end_of_a_drain_is_reset_once() {
    let Some(netns) = Netns::new(&[]) else { return };
    let name = format!("cygnet-end-{}.pcapng", std::process::id());
    let pcap = std::env::temp_dir().join(name);
    let words = format!(
        "--drain 300ms --serve echo:7 discard:9 daytime:13 chargen:19 --pcap {}",
        pcap.display()
    );
    let mut sim = Sim::start(&netns, &words);
    let ports = netns.inside(|| {
        let mut idle = connect(V4, 7).unwrap();
        echo(&mut idle, b"before").unwrap();
        // The server waits until more can be written.
        let mut full = connect(V4, 19).unwrap();
        full.read_exact(&mut [0; 100]).unwrap();
        // The server has closed, and this side does not.
        let mut told = connect(V4, 13).unwrap();
        told.read_to_end(&mut Vec::new()).unwrap();
        let mut over = connect(V4, 7).unwrap();
        echo(&mut over, b"in time").unwrap();
        over.shutdown(Shutdown::Write).unwrap();
        assert_eq!(over.read(&mut [0; 8]).unwrap(), 0);
        let mut pours = connect(V4, 9).unwrap();
        let mut ports = [&idle, &full, &told, &pours].map(|of| of.local_addr().unwrap().port());
        let ended = std::thread::spawn(move || {
            loop {
                if let Err(error) = pours.write_all(&[0; 4096]) {
                    return error.kind();
                }
            }
        });
        sim.signal(Signal::TERM);
        let error = idle.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(ended.join().unwrap(), ErrorKind::ConnectionReset);
        let status = sim.end(Duration::from_secs(20));
        assert!(status.success(), "{status}");
        // What Linux calls a reset behind an end.
        let error = told.take_error().unwrap().map(|error| error.kind());
        assert_eq!(error, Some(ErrorKind::BrokenPipe));
        ports.sort();
        ports
    });
    let (_, resets) = resets_in(&pcap);
    std::fs::remove_file(&pcap).unwrap();
    let mut reset: Vec<u16> = resets.iter().map(|&(_, client)| client).collect();
    reset.sort();
    assert_eq!(reset, ports);
    let out = sim.stdout();
    let row = out.lines().find(|line| line.contains("reset at the end"));
    assert!(row.is_some_and(|row| row.ends_with(" 4")), "{out}");
    // By itself, as Ctrl-C would.
    let mut sim = Sim::start(&netns, "--for 50ms");
    assert!(sim.end(Duration::from_secs(20)).success());
    assert!(sim.stdout().contains("tap cyg0\n"));
    no_tap_is_left(&netns);
}

#[test]
fn a_second_ctrl_c_quits_at_once() {
    let Some(netns) = Netns::new(&["env"]) else {
        return;
    };
    for (signal, code) in [(Signal::INT, 130), (Signal::HUP, 129)] {
        let mut sim = Sim::start_under(&netns, HEARS, "--drain 1000s");
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
