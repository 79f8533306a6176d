//! A second of UDP at a port where nobody listens: 300,000 datagrams, over both versions
//! of IP. A thousand answers at most, and every honest request beside them is served.
//!
//! How long those take, alone and beside the datagrams, depends on the machine:
//!
//! ```sh
//! cargo test --release -p cygnet-sim --test tap_datagrams -- --nocapture
//! ```
//!
//! Needs root; see `netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

mod netns;

use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

use netns::{Netns, Sim, V4, V6, connect, echo, no_tap_is_left};

const DATAGRAMS: u32 = 300_000;

/// Sends them within a second, or as fast as this machine can. Gives how many left: what
/// finds no room in the queue of the TAP is lost without a word.
fn flood() -> u32 {
    let ips = [V4, V6].map(|ip| ip.parse::<IpAddr>().unwrap());
    let sockets = ["0.0.0.0:0", "[::]:0"].map(|any| UdpSocket::bind(any).unwrap());
    let (start, mut sent) = (Instant::now(), 0);
    for number in 0..DATAGRAMS {
        let at = number as usize % 2;
        sent += u32::from(sockets[at].send_to(b"swan", (ips[at], 9)).is_ok());
        let due = Duration::from_secs(1) * (number / 300) / (DATAGRAMS / 300);
        if let Some(early) = due.checked_sub(start.elapsed()) {
            std::thread::sleep(early);
        }
    }
    sent
}

/// Honest requests, one after the other, each on a connection of its own, until this
/// says that it is over. How long each took.
fn honest(is_over: impl Fn(usize) -> bool) -> Vec<Duration> {
    let mut all = Vec::new();
    while !is_over(all.len()) {
        let start = Instant::now();
        let ip = [V4, V6][all.len() % 2];
        let mut stream = connect(ip, 7).unwrap();
        echo(&mut stream, b"swan").unwrap();
        all.push(start.elapsed());
        std::thread::sleep(Duration::from_millis(2));
    }
    all
}

fn told(what: &str, mut all: Vec<Duration>) {
    all.sort_unstable();
    let at = |percent: usize| all[(all.len() * percent / 100).min(all.len() - 1)];
    println!(
        "{what}: {} honest requests, half within {:.1?}, 99 % within {:.1?}, all within {:.1?}",
        all.len(),
        at(50),
        at(99),
        at(100)
    );
}

#[test]
fn a_second_of_datagrams_to_a_closed_port_gets_a_thousand_answers_at_most() {
    let Some(netns) = Netns::new(&["nstat"]) else {
        return;
    };
    let words = "--slots 16 --ipv6 fd69::2/64 --serve echo:7 --format json --log warn";
    let sim = Sim::start(&netns, words);
    let (served, sent, took) = netns.inside(|| {
        let alone = honest(|count| count == 200);
        let start = Instant::now();
        let (beside, sent) = std::thread::scope(|scope| {
            let flood = scope.spawn(flood);
            let beside = honest(|_| flood.is_finished());
            (beside, flood.join().unwrap())
        });
        // Behind all datagrams that are still in the queue.
        let last = honest(|count| count == 2);
        let took = start.elapsed();
        let served = alone.len() + beside.len() + last.len();
        told("alone", alone);
        told("beside the datagrams", beside);
        (served, sent, took)
    });
    let table = sim.finish();
    let answers = netns.counted("IcmpInDestUnreachs") + netns.counted("Icmp6InDestUnreachs");
    println!("{sent} datagrams, {answers} answers in {took:.2?}; {table}");
    assert_eq!(table["connections"], served);
    assert_eq!(table["resets"], 0);
    // Some arrived, and each second may have a thousand answers.
    let seconds = took.as_secs_f64().max(1.0);
    assert!(answers > 100, "{answers} answers");
    assert!(
        answers as f64 <= 1_000.0 * seconds,
        "{answers} answers in {took:?}"
    );
    no_tap_is_left(&netns);
}
