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

use std::io::Write;
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
    let mac = "--mac 02:63:79:67:00:01"; // where the script finds it
    let sim = Sim::start(netns, &format!("{serve} {mac} {sim_words}"));
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
        found[row] = table[row].as_u64().unwrap_or(0).into(); // no row for none
    }
    no_tap_is_left(netns);
    found
}

/// Runs all cases at the same time, each in its namespace. `None` where there
/// can be no namespaces.
fn side_by_side<C: Sync>(
    seconds: u32,
    cases: &[C],
    run: impl Fn(&Netns, &C) -> Value + Sync,
) -> Option<Vec<Value>> {
    let first = Netns::patient(&["python3"], seconds)?;
    let others = cases.iter().skip(1).map(|_| Netns::new(&[]));
    let places = std::iter::once(Some(first)).chain(others);
    let places = places.collect::<Option<Vec<Netns>>>()?;
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

/// An attack, and who comes meanwhile.
struct Trickle {
    /// SYNs a second.
    rate: f32,
    ip: &'static str,
    /// Places for SYNs that wait; 256 are the default.
    parked: u32,
    /// Seconds between two honest clients of a port.
    gap: f32,
}

#[rustfmt::skip]
const TRICKLES: [Trickle; 17] = [
    Trickle { rate: 0.2, ..Trickle::DEFAULT },
    Trickle { rate: 0.4, ..Trickle::DEFAULT },
    Trickle { rate: 1.0, ..Trickle::DEFAULT },
    Trickle { rate: 2.0, ..Trickle::DEFAULT },
    Trickle { rate: 5.0, ..Trickle::DEFAULT },
    Trickle { rate: 10.0, ..Trickle::DEFAULT },
    Trickle { rate: 20.0, ..Trickle::DEFAULT },
    Trickle { rate: 50.0, ..Trickle::DEFAULT },
    Trickle { rate: 1000.0, ..Trickle::DEFAULT },
    Trickle { rate: 0.4, ip: V6, ..Trickle::DEFAULT },
    Trickle { rate: 2.0, ip: V6, ..Trickle::DEFAULT },
    Trickle { rate: 10.0, ip: V6, ..Trickle::DEFAULT },
    Trickle { rate: 0.2, parked: 4, ..Trickle::DEFAULT },
    Trickle { rate: 2.0, parked: 4, ..Trickle::DEFAULT },
    Trickle { rate: 20.0, parked: 4, ..Trickle::DEFAULT },
    // Hardly anybody comes: honest clients do not fill the places by themselves.
    Trickle { rate: 0.4, gap: 2.0, ..Trickle::DEFAULT },
    Trickle { rate: 2.0, gap: 2.0, ..Trickle::DEFAULT },
];

impl Trickle {
    const DEFAULT: Trickle = Trickle {
        rate: 1.0,
        ip: V4,
        parked: 256,
        gap: 0.2,
    };

    fn name(&self) -> String {
        let version = if self.ip == V6 { 6 } else { 4 };
        let Trickle {
            rate, parked, gap, ..
        } = self;
        format!("{rate:>6} {version:>3} {parked:>6} {:>5}", 1.0 / gap)
    }

    fn run(&self, netns: &Netns) -> Value {
        // So that a build without the option can be measured, too.
        let parked = match self.parked {
            256 => String::new(),
            other => format!("--parked {other}"),
        };
        let Trickle { rate, ip, gap, .. } = self;
        let words = format!("trickle {ip} {rate} {} {gap}", seconds());
        traffic(netns, &parked, &words)
    }
}

#[test]
fn no_rate_of_syns_that_nobody_completes_keeps_honest_clients_out() {
    let Some(all) = side_by_side(60, &TRICKLES, |netns, trickle| trickle.run(netns)) else {
        return;
    };
    println!("SYNs/s  IP parked  hon./s port {HEAD} cookies taken");
    let mut wrong = Vec::new();
    for (trickle, found) in TRICKLES.iter().zip(&all) {
        let case = trickle.name();
        for (port, syns, name) in [("first", 2, "7"), ("other", 1, "8")] {
            let clients = &found[port];
            let (given, taken) = (&found["cookies_given"], &found["cookies_taken"]);
            println!("{case} {name:>5} {} {given:>7} {taken:>5}", row(clients));
            let (tried, served) = (count(clients, "tried"), count(clients, "served"));
            assert!(
                tried as f32 > 0.5 * seconds() as f32 / trickle.gap,
                "{case}"
            );
            if served < tried {
                let lost = &clients["lost"];
                wrong.push(format!(
                    "{case} port {name}: {served} of {tried} were served; \
                     second, why, SYNs, resends: {lost}"
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
    trip: u32,
    /// How often a SYN is repeated before its time-out doubles: 0 as ever, 4 by
    /// Linux since 6.5.
    linear: u32,
    /// SYNs a second, after eight at once; 0 for no attack.
    rate: u32,
    /// For how many seconds, before the clients come.
    lead: u32,
    /// How many must be served.
    served: u64,
    /// The most SYNs that one may need.
    syns: u64,
    /// Within how many seconds, on any machine.
    within: u32,
}

#[rustfmt::skip]
const BURSTS: [Burst; 10] = [
    Burst { slots: 8, ..Burst::DEFAULT },
    Burst { slots: 64, ..Burst::DEFAULT },
    Burst { slots: 8, trip: 1, ..Burst::DEFAULT },
    Burst { slots: 8, trip: 50, ..Burst::DEFAULT },
    Burst { slots: 64, trip: 50, ..Burst::DEFAULT },
    Burst { slots: 8, trip: 300, ..Burst::DEFAULT },
    Burst { slots: 8, trip: 300, linear: 4, ..Burst::DEFAULT },
    Burst { slots: 64, trip: 300, ..Burst::DEFAULT },
    Burst { slots: 64, rate: 1, syns: 2, ..Burst::DEFAULT },
    Burst { slots: 8, rate: 1, served: 90, within: 60, ..Burst::DEFAULT },
];

impl Burst {
    const DEFAULT: Burst = Burst {
        slots: 8,
        trip: 0,
        linear: 0,
        rate: 0,
        lead: 5,
        served: 100,
        syns: u64::MAX,
        within: 40,
    };
    const FIGURE: Burst = Burst {
        within: 60,
        ..Burst::DEFAULT
    };

    fn name(&self) -> String {
        let Burst {
            slots,
            trip,
            linear,
            rate,
            lead,
            ..
        } = self;
        let lead = if *rate > 0 { *lead } else { 0 };
        format!("{slots:>5} {trip:>9} {linear:>6} {rate:>6} {lead:>5}")
    }

    fn run(&self, netns: &Netns) -> Value {
        let Burst {
            slots,
            trip,
            linear,
            rate,
            lead,
            within,
            ..
        } = self;
        let lead = if *rate > 0 { *lead } else { 0 };
        // The wire between the kernel and the TAP finishes no checksums.
        let offload = if *trip > 0 { "--offload off" } else { "" };
        let words = format!("burst {V4} 100 {trip} {linear} {rate} {lead} {within}");
        traffic(netns, &format!("--slots {slots} {offload}"), &words)
    }
}

const BURST_HEAD: &str = "slots RTT in ms linear SYNs/s after";

#[test]
fn a_hundred_clients_at_once_are_served_whatever_their_round_trip() {
    let Some(all) = side_by_side(15, &BURSTS, |netns, burst| burst.run(netns)) else {
        return;
    };
    println!("{BURST_HEAD} {HEAD}");
    let mut wrong = Vec::new();
    for (burst, found) in BURSTS.iter().zip(&all) {
        let case = burst.name();
        println!("{case} {}", row(found));
        let served = count(found, "served");
        if served < burst.served {
            wrong.push(format!("{case}: {served} of 100: {}", found["lost"]));
        } else if count(found, "most_syns") > burst.syns {
            let most = &found["most_syns"];
            wrong.push(format!("{case}: a client needed {most} SYNs"));
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
        "of {runs} runs: how many of 100 were served, seconds until the last was, most SYNs of one, most resends"
    );
    println!("{BURST_HEAD}");
    // Which ones: all that begin so, such as `8/300`.
    let asked = std::env::var("FIGURES").unwrap_or_default();
    let name = |burst: &Burst| {
        burst
            .name()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join("/")
    };
    for burst in FIGURES
        .iter()
        .filter(|burst| name(burst).starts_with(&asked))
    {
        print!("{}", burst.name());
        let mut lasts = Vec::new();
        for _ in 0..runs {
            let Some(netns) = Netns::new(&["python3"]) else {
                return;
            };
            let found = burst.run(&netns);
            let last = found["last"].as_f64().unwrap() / 1000.0;
            let (served, syns) = (count(&found, "served"), count(&found, "most_syns"));
            let resends = count(&found, "most_resends");
            print!(" | {served:>3} {last:>6.3} {syns} {resends}");
            let _ = std::io::stdout().flush();
            lasts.push(last);
        }
        lasts.sort_by(f64::total_cmp);
        println!(" | median {:.3}", lasts[lasts.len() / 2]);
    }
    if !asked.is_empty() {
        return;
    }
    print!("    8   threads      0      0     0");
    for _ in 0..runs {
        let Some(netns) = Netns::new(&[]) else { return };
        let sim = Sim::start(&netns, "--slots 8 --format json --log warn");
        print!(" | 100 {:>6.3} ? ?", netns.inside(of_threads));
        sim.finish();
    }
    println!();
}

#[rustfmt::skip]
const FIGURES: [Burst; 21] = [
    Burst { slots: 8, ..Burst::FIGURE },
    Burst { slots: 8, trip: 1, ..Burst::FIGURE },
    Burst { slots: 8, trip: 50, ..Burst::FIGURE },
    Burst { slots: 8, trip: 50, linear: 4, ..Burst::FIGURE },
    Burst { slots: 8, trip: 300, ..Burst::FIGURE },
    Burst { slots: 8, trip: 300, linear: 4, ..Burst::FIGURE },
    Burst { slots: 64, ..Burst::FIGURE },
    Burst { slots: 64, trip: 1, ..Burst::FIGURE },
    Burst { slots: 64, trip: 50, ..Burst::FIGURE },
    Burst { slots: 64, trip: 300, ..Burst::FIGURE },
    Burst { slots: 64, rate: 1, lead: 1, ..Burst::FIGURE },
    Burst { slots: 64, rate: 1, lead: 5, ..Burst::FIGURE },
    Burst { slots: 64, rate: 1, lead: 15, ..Burst::FIGURE },
    Burst { slots: 64, rate: 1, linear: 4, ..Burst::FIGURE },
    Burst { slots: 64, rate: 1, trip: 50, ..Burst::FIGURE },
    Burst { slots: 64, rate: 1, trip: 300, ..Burst::FIGURE },
    Burst { slots: 8, rate: 1, lead: 1, ..Burst::FIGURE },
    Burst { slots: 8, rate: 1, lead: 5, ..Burst::FIGURE },
    Burst { slots: 8, rate: 1, lead: 15, ..Burst::FIGURE },
    Burst { slots: 8, rate: 1, linear: 4, ..Burst::FIGURE },
    Burst { slots: 8, rate: 1, trip: 50, ..Burst::FIGURE },
];

/// A hundred threads that wait for each other, and then connect. Seconds.
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
    start.elapsed().as_secs_f64()
}
