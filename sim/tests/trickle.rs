//! SYNs that nobody completes, at every rate: a few at once, then 0.2 to 1,000 a
//! second, from addresses that never answer. There is no rate at which they keep
//! honest clients out, on the attacked port or on another one, and a burst of
//! honest clients is served as fast as its round trips allow, also meanwhile.
//!
//! Each case has a network namespace, a `sim tap` and a `trickle/traffic.py` of
//! its own, and all of a test run side by side: a minute of a slow attack costs a
//! minute once, and hardly any processor. They need root; see `netns/mod.rs` for
//! what happens without.
//!
//! SYNs are counted by the kernel that sent them, so that a slow machine changes
//! no count until it is late by a whole second. The times are printed, and held
//! to limits that only a client in a back-off exceeds. The precise ones, of this
//! build or of another:
//!
//! ```sh
//! [CYGNET_SIM=/path/to/sim] cargo test --release -p cygnet-sim --test trickle -- \
//!     --ignored --nocapture figures
//! ```
#![cfg(target_os = "linux")]

mod netns;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::time::Instant;

use netns::{Netns, Sim, V4, V6, connect, echo, no_tap_is_left, text};
use serde_json::Value;

/// How long every rate is held.
fn seconds() -> u32 {
    let asked = std::env::var("CYGNET_TRICKLE_SECONDS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(60)
}

/// Runs `trickle/traffic.py` beside a `sim` of its own and returns what the
/// clients found.
fn traffic(netns: &Netns, sim_words: &str, words: &str) -> Value {
    let serve = "--ipv6 fd69::2/64 --serve echo:7 echo:8 --format json --log warn";
    let sim = Sim::start(netns, &format!("{serve} {sim_words}"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trickle/traffic.py");
    let done = netns.inside(|| {
        // Whatever happens it ends, and what it made ends with the namespace.
        Command::new("timeout")
            .args(["-k", "1", "180", "python3"])
            .arg(script)
            .args(words.split(' '))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    });
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{words}: {errors}");
    let mut found: Value = serde_json::from_str(&text(&done)).unwrap();
    let table = sim.finish();
    for row in ["cookies_given", "cookies_taken", "syns_parked"] {
        found[row] = table[row].clone();
    }
    no_tap_is_left(netns);
    found
}

/// Runs all cases at the same time, each in its namespace. `None` where there
/// can be no namespaces.
fn side_by_side<C: Sync>(
    cases: &[C],
    run: impl Fn(&Netns, &C) -> Value + Sync,
) -> Option<Vec<Value>> {
    let places: Option<Vec<Netns>> = cases.iter().map(|_| Netns::new(&["python3"])).collect();
    let places = places?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (places.iter().zip(cases))
            .map(|(netns, case)| scope.spawn(|| run(netns, case)))
            .collect();
        let all = threads.into_iter().map(|thread| thread.join());
        // Every one has ended before the first that failed is told.
        let all: Vec<_> = all.collect();
        let result = |ended: std::thread::Result<Value>| {
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        Some(all.into_iter().map(result).collect())
    })
}

fn count(found: &Value, name: &str) -> u64 {
    found[name]
        .as_u64()
        .unwrap_or_else(|| panic!("no {name} in {found}"))
}

/// A row of the printed table.
fn row(found: &Value) -> String {
    let time = |name: &str| found[name].as_f64().unwrap_or(f64::NAN);
    format!(
        "{:>4} of {:>4} {:>9.1} {:>9.1} {:>9.1} {:>5} {:>5} {:>7}",
        count(found, "served"),
        count(found, "tried"),
        time("p50"),
        time("p99"),
        time("max"),
        count(found, "most_syns"),
        count(found, "second_syns"),
        count(found, "most_resends"),
    )
}

const HEAD: &str = "     served    p50 ms    p99 ms    max ms  SYNs twice resends";

/// An attack: SYNs a second, over which IP, and on how many parked places.
type Trickle = (f32, &'static str, u32);

const TRICKLES: [Trickle; 15] = [
    (0.2, V4, 256),
    (0.4, V4, 256),
    (1.0, V4, 256),
    (2.0, V4, 256),
    (5.0, V4, 256),
    (10.0, V4, 256),
    (20.0, V4, 256),
    (50.0, V4, 256),
    (1000.0, V4, 256),
    (0.4, V6, 256),
    (2.0, V6, 256),
    (10.0, V6, 256),
    (0.2, V4, 4),
    (2.0, V4, 4),
    (20.0, V4, 4),
];

fn trickle(netns: &Netns, (rate, ip, parked): &Trickle) -> Value {
    // 256 is the default; a build without the option can be measured, too.
    let parked = match parked {
        256 => String::new(),
        other => format!("--parked {other}"),
    };
    traffic(
        netns,
        &parked,
        &format!("trickle {ip} {rate} {}", seconds()),
    )
}

#[test]
fn no_rate_of_syns_that_nobody_completes_keeps_honest_clients_out() {
    let Some(all) = side_by_side(&TRICKLES, trickle) else {
        return;
    };
    println!(" SYNs/s  IP parked port {HEAD} cookies taken");
    let mut wrong = Vec::new();
    for ((rate, ip, parked), found) in TRICKLES.iter().zip(&all) {
        let version = if *ip == V6 { 6 } else { 4 };
        let case = format!("{rate:>7} {version:>3} {parked:>6}");
        for (port, syns, name) in [("first", 2, "7"), ("other", 1, "8")] {
            let clients = &found[port];
            println!(
                "{case} {name:>4} {} {:>7} {:>5}",
                row(clients),
                found["cookies_given"],
                found["cookies_taken"]
            );
            let (tried, served) = (count(clients, "tried"), count(clients, "served"));
            assert!(tried > 3 * u64::from(seconds()), "{case}: {clients}");
            if served < tried {
                wrong.push(format!(
                    "{case} port {name}: {served} of {tried} were served; \
                     [second, why, SYNs, resends]: {}",
                    clients["lost"]
                ));
            } else if count(clients, "most_syns") > syns {
                let most = &clients["most_syns"];
                wrong.push(format!("{case} port {name}: a client needed {most} SYNs"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A hundred clients at once.
struct Burst {
    slots: u32,
    /// Of the clients, in milliseconds; 0 for the kernel's own.
    round_trip: u32,
    /// After eight at once; 0 for no attack.
    syns_a_second: u32,
    /// How many must be served.
    served: u64,
    /// Within how many seconds, on any machine.
    within: u32,
}

const BURSTS: [Burst; 8] = [
    burst(8, 0, 0, 100, 20),
    burst(64, 0, 0, 100, 20),
    burst(8, 1, 0, 100, 20),
    burst(8, 50, 0, 100, 20),
    burst(64, 50, 0, 100, 20),
    burst(8, 300, 0, 100, 40),
    burst(64, 0, 1, 100, 20),
    burst(8, 0, 1, 90, 60),
];

const fn burst(slots: u32, round_trip: u32, rate: u32, served: u64, within: u32) -> Burst {
    Burst {
        slots,
        round_trip,
        syns_a_second: rate,
        served,
        within,
    }
}

impl Burst {
    fn name(&self) -> String {
        let Burst {
            slots,
            round_trip,
            syns_a_second,
            ..
        } = self;
        format!("{slots:>5} {round_trip:>9} {syns_a_second:>6}")
    }

    fn run(&self, netns: &Netns) -> Value {
        let (rate, within) = (self.syns_a_second, self.within);
        let (lead, trip) = (if rate > 0 { 5 } else { 0 }, self.round_trip);
        // The wire between the kernel and the TAP finishes no checksums.
        let offload = if trip > 0 { "--offload off" } else { "" };
        let words = format!("burst {V4} 100 {trip} {rate} {lead} {within}");
        traffic(netns, &format!("--slots {} {offload}", self.slots), &words)
    }
}

const BURST_HEAD: &str = "slots RTT in ms SYNs/s";

#[test]
fn a_hundred_clients_at_once_are_served_whatever_their_round_trip() {
    let Some(all) = side_by_side(&BURSTS, |netns, burst| burst.run(netns)) else {
        return;
    };
    println!("{BURST_HEAD} {HEAD}");
    let mut wrong = Vec::new();
    for (burst, found) in BURSTS.iter().zip(&all) {
        println!("{} {}", burst.name(), row(found));
        let served = count(found, "served");
        if served < burst.served {
            let lost = &found["lost"];
            wrong.push(format!("{}: {served} of 100: {lost}", burst.name()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Not a test: how long the last client of a burst takes, one burst at a time.
#[test]
#[ignore = "it measures for minutes"]
fn figures() {
    let runs = std::env::var("RUNS").ok();
    let runs = runs.and_then(|text| text.parse().ok()).unwrap_or(5);
    println!(
        "{BURST_HEAD}  served of 100, ms until the last, most SYNs, most resends; {runs} runs"
    );
    for burst in &FIGURES {
        print!("{}", burst.name());
        for _ in 0..runs {
            let Some(netns) = Netns::new(&["python3"]) else {
                return;
            };
            let found = burst.run(&netns);
            let (served, last) = (count(&found, "served"), &found["last"]);
            let (syns, resends) = (&found["most_syns"], &found["most_resends"]);
            print!(" | {served:>3} {last:>8} {syns} {resends}");
        }
        println!();
    }
    print!("    8   threads      0");
    for _ in 0..runs {
        let Some(netns) = Netns::new(&[]) else { return };
        let sim = Sim::start(&netns, "--slots 8 --format json --log warn");
        print!(" | 100 {:>8.1} ? ?", netns.inside(of_threads));
        sim.finish();
    }
    println!();
}

const FIGURES: [Burst; 12] = [
    burst(8, 0, 0, 100, 60),
    burst(8, 1, 0, 100, 60),
    burst(8, 50, 0, 100, 60),
    burst(8, 300, 0, 100, 60),
    burst(64, 0, 0, 100, 60),
    burst(64, 1, 0, 100, 60),
    burst(64, 50, 0, 100, 60),
    burst(64, 300, 0, 100, 60),
    burst(8, 0, 1, 90, 60),
    burst(64, 0, 1, 100, 60),
    burst(64, 50, 1, 100, 60),
    burst(64, 300, 1, 100, 60),
];

/// A hundred threads that wait for each other, and then connect. Milliseconds.
fn of_threads() -> f64 {
    let all = Barrier::new(101);
    let start = std::thread::scope(|scope| {
        for client in 0..100 {
            let all = &all;
            scope.spawn(move || {
                all.wait();
                let mut stream = connect(V4, 7).unwrap();
                echo(&mut stream, format!("client {client}").as_bytes()).unwrap();
            });
        }
        all.wait();
        Instant::now()
    });
    start.elapsed().as_secs_f64() * 1000.0
}
