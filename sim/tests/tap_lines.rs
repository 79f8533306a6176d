//! What `sim tap` says while it serves: who came to which service, which limit cut somebody
//! off, how each connection ended and what it carried, and what the end waits for. They need
//! root; see `netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

mod netns;

use std::io::Read;
use std::time::{Duration, Instant};

use netns::{LONG, Netns, Sim, V4, connect, echo, no_tap_is_left};
use rustix::process::Signal;

/// Waits until `sim` has said this.
fn says(sim: &Sim, words: &str) {
    let start = Instant::now();
    while !sim.stdout().contains(words) {
        assert!(start.elapsed() < LONG, "no {words:?} in\n{}", sim.stdout());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_connection_is_told_with_its_service_its_bytes_and_its_end() {
    let Some(netns) = Netns::new(&[]) else { return };
    let words = "-v --limit first-byte=1s --serve echo:7 hello:5000";
    let mut sim = Sim::start(&netns, words);
    netns.inside(|| {
        let mut stream = connect(V4, 7).unwrap();
        let port = stream.local_addr().unwrap().port();
        echo(&mut stream, b"swan").unwrap();
        drop(stream);
        says(
            &sim,
            &format!("  Connection from 192.168.69.1:{port} to echo:7\n"),
        );
        says(
            &sim,
            &format!("  192.168.69.1:{port} to echo:7 closed after "),
        );
        says(&sim, ": 4 bytes in, 4 bytes out\n");

        // Who says nothing is cut off, and by what.
        let mut silent = connect(V4, 5000).unwrap();
        let port = silent.local_addr().unwrap().port();
        assert!(silent.read(&mut [0]).is_err());
        says(
            &sim,
            &format!(
                "  192.168.69.1:{port} to hello:5000 said nothing at first in time: \
                 the limit first-byte=1s passed\n"
            ),
        );
        says(
            &sim,
            &format!("{port} to hello:5000 was cut off by a limit after 1"),
        );
    });
    sim.signal(Signal::INT);
    assert!(sim.end(Duration::from_secs(20)).success());
    // This machine's kernel speaks to groups at once, and it is no news.
    let out = sim.stdout();
    assert!(out.contains("dropped not unicast"), "it was there: {out}");
    assert!(!out.contains("a frame was dropped: not unicast"), "{out}");
    assert!(
        !out.contains("draining"),
        "there was nothing to wait for: {out}"
    );
    no_tap_is_left(&netns);
}

#[test]
fn the_end_says_what_it_waits_for_and_how_not_to() {
    let Some(netns) = Netns::new(&[]) else { return };
    let mut sim = Sim::start(&netns, "--drain 10m");
    netns.inside(|| {
        let mut streams: Vec<_> = (0..3).map(|_| connect(V4, 7).unwrap()).collect();
        for stream in &mut streams {
            echo(stream, b"swan").unwrap();
        }
        sim.signal(Signal::INT);
        says(&sim, "draining 3 streams for at most 10m; again to quit\n");
        sim.signal(Signal::INT);
        assert_eq!(sim.end(Duration::from_secs(20)).code(), Some(130));
    });
    no_tap_is_left(&netns);
}
