//! Text past the receive buffer, over a TAP: a peer that scales windows sends it
//! before our first scaled window. `sim` lives, honest clients of this machine's
//! kernel are served meanwhile and after, and nothing is acknowledged that did not
//! come. The same in virtual time, and more of it, is in the core's `tests/edges.rs`.
//! Needs root; see `netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

mod netns;

use std::path::Path;
use std::time::Duration;

use netns::{Netns, Sim, V4, V6, connect, echo, no_tap_is_left, text};
use serde_json::Value;

/// The peer of `edges/peer.py`, and what it saw.
fn peer(netns: &Netns, words: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/edges/peer.py");
    let mut python = netns.command("python3");
    let done = python.arg(script).args(words.split(' ')).output().unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{words}: {errors}");
    println!("{words}: {}", text(&done).trim());
    serde_json::from_str(&text(&done)).unwrap()
}

/// An honest client of the kernel.
fn honest(ip: &str) {
    let mut stream = connect(ip, 7).unwrap();
    echo(&mut stream, b"swan").unwrap();
}

fn nobody_falls_over_the_edge(rx: usize) {
    let Some(netns) = Netns::new(&["python3"]) else {
        return;
    };
    let words = format!(
        "--slots 8 --rx {rx} --ipv6 fd69::2/64 --offload off --serve echo:7 discard:9 \
         --mac 02:63:79:67:00:01 --format json --log warn"
    );
    let sim = Sim::start(&netns, &words);
    for (version, ip) in [(4, V4), (6, V6)] {
        for (port, most) in [(7, 3 * rx), (9, rx + 200_000)] {
            let words = format!("{version} {port} {rx} {most}");
            let seen = std::thread::scope(|scope| {
                let peer = scope.spawn(|| peer(&netns, &words));
                netns.inside(|| {
                    while !peer.is_finished() {
                        honest(ip);
                        std::thread::sleep(Duration::from_millis(10));
                    }
                });
                peer.join().unwrap()
            });
            assert_eq!(seen["ahead"], false, "more was acknowledged than sent");
            for taken in seen["taken"].as_array().unwrap() {
                let taken = taken.as_u64().unwrap() as usize;
                match port {
                    // Nobody reads what it echoes, so it stops where it is full.
                    7 => assert!(taken >= rx - 64 && taken < 2 * rx, "{taken}"),
                    _ => assert_eq!(taken, most),
                }
            }
            netns.inside(|| honest(ip));
        }
    }
    let table = sim.finish();
    assert_eq!(table["slots_in_use"], 0);
    let dropped = table["dropped_past_the_window"].as_u64();
    assert!(dropped >= Some(12), "{table}");
    no_tap_is_left(&netns);
}

#[test]
fn nobody_falls_over_the_edge_of_64_kib() {
    nobody_falls_over_the_edge(64 << 10);
}

#[test]
fn nobody_falls_over_the_edge_of_1_mib() {
    nobody_falls_over_the_edge(1 << 20);
}
