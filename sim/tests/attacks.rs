//! A hostile network over a TAP, with the tools that people attack with: hping3,
//! nmap, slowhttptest and scapy. After each attack, and during it, honest clients
//! of this machine's kernel are served, every slot is there, what was refused was
//! counted, and `sim` ends as it should.
//!
//! What peers do, where it is shown on the in-memory wire in virtual time, and
//! what of it is shown here:
//!
//! | row | the peer | `tests/`, `sim/tests/` | over a TAP |
//! |---|---|---|---|
//! | 1 | acknowledges with window 0 what was closed | `peers::a_zero_window_and_a_fin_cost_bounded_turns_and_the_slot_comes_back` | `attacks::a_zero_window_and_a_fin_are_not_answered_without_end` |
//! | 2 | repeats a SYN | `peers::a_duplicate_syn_reaches_no_second_slot_and_resets_nobody` | |
//! | 3 | sends SYNs to many | `peers::a_syn_to_many_is_dropped_and_hurts_no_listener` | `attacks::a_syn_to_many_is_dropped_and_counted` |
//! | 4 | resets a handshake | `peers::a_reset_in_the_handshake_leaves_no_trace` | |
//! | 5 | watches sequence numbers | `isn::ten_thousand_of_ours_give_nothing_away` | |
//! | 6 | reboots | `hostile::a_peer_that_rebooted_gets_in_again_from_the_same_port` | |
//! | 7 | floods with SYNs | `cookies::a_syn_flood_keeps_no_honest_peer_out`, `siege::a_flood_of_syns_costs_honest_visitors_nothing` | `attacks::a_hundred_of_a_hundred_connect_during_a_flood_of_syns` |
//! | 8 | leaves half-open | `peers::a_half_open_connection_is_freed_within_twenty_seconds` | `attacks::a_hundred_of_a_hundred_connect_during_a_flood_of_syns` |
//! | 9 | resets blindly | `hostile::a_blind_reset_sweep_cuts_nobody` | `attacks::a_sweep_of_resets_cuts_nobody` |
//! | 10 | acknowledges what was never sent | `hostile::an_ack_of_data_never_sent_loses_nothing` | |
//! | 11 | sends a byte now and then | `limits::slowloris_is_over_with_the_exchange` | `attacks::slowloris_holds_no_slot_longer_than_an_exchange` |
//! | 12 | goes silent | `limits::whoever_goes_silent_holds_no_slot_that_is_closed_and_no_bytes_for_ever` | |
//! | 13 | keeps its window shut | `limits::a_window_shut_for_ever_ends_the_connection_and_a_slow_reader_does_not` | |
//! | 14 | opens and closes at speed | `peers::time_wait_gives_way_oldest_first`, `peers::a_hundred_connects_in_a_row_need_two_slots` | `attacks::opening_and_closing_at_speed_waits_for_no_time_wait` |
//! | 15 | asks for tiny segments | `limits::a_floor_for_the_mss` | |
//! | 16 | has an impossible address | `peers::a_source_that_cannot_be_a_peer_gets_no_slot_and_no_answer` | `attacks::an_impossible_source_is_dropped_and_counted` |
//! | 17 | sends fragments | `peers::fragments_of_tcp_are_dropped_and_block_nothing` | `attacks::scans_of_every_kind_break_nothing` |
//! | 18 | fills the neighbor cache | `neighbors::sixty_four_peers_are_served_as_fast_as_one_with_sixty_four_connections`, `neighbors::what_strangers_say_redirects_no_open_flow`, `bench/neighbors/run` | |
//! | 19 | sends outside the window | `hostile::segments_outside_the_window_are_not_answered_one_for_one` | |
//! | 20 | overlaps and swaps | `hostile::overlapping_and_swapped_segments_leave_the_bytes_intact` | |
//! | 21 | closes in every way | `peers::a_fin_then_silence_a_reset_or_more_reading_lose_nothing` | |
//! | 22 | begins handshakes and completes none, at any rate | `admission::there_is_no_rate_of_syns_below_which_nobody_completes_them_unnoticed` | `trickle::no_rate_of_syns_that_nobody_completes_keeps_honest_clients_out` |
//!
//! They need root and the tools; see `netns/mod.rs` for what happens without.
//! Nothing here depends on how fast the machine is: floods go on until the
//! honest clients are through, and have an end of their own.
#![cfg(target_os = "linux")]

mod netns;

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use netns::{LONG, Netns, Sim, V4, connect, echo, no_tap_is_left, skip, text};
use serde_json::Value;

const SLOTS: usize = 8;
/// Where `attacks/peer.py` finds it.
const MAC: &str = "02:63:79:67:00:01";

/// A `sim` with eight slots under attack.
fn start(netns: &Netns, words: &str) -> Sim {
    let words = format!("--slots {SLOTS} --mac {MAC} --format json --log warn {words}");
    Sim::start(netns, &words)
}

/// A python that has scapy. Debian's has; another one may come first.
fn scapy() -> Option<&'static str> {
    let has_scapy = |python: &&str| {
        let mut import = Command::new(python);
        import.args(["-c", "import scapy"]).stderr(Stdio::null());
        import.status().is_ok_and(|status| status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has_scapy);
    if found.is_none() {
        skip("it needs scapy for python3");
    }
    found
}

/// One attack of `attacks/peer.py`, and what it saw.
fn peer(netns: &Netns, python: &str, words: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks/peer.py");
    let mut attack = netns.command(python);
    let done = attack.arg(script).args(words.split(' ')).output().unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{words}: {errors}");
    println!("{words}: {}", text(&done).trim());
    serde_json::from_str(&text(&done)).unwrap()
}

/// An honest client of the kernel.
fn honest() {
    let mut stream = connect(V4, 7).unwrap();
    echo(&mut stream, b"swan").unwrap();
}

/// Runs an attack while honest clients come one after the other. Each is served,
/// or this fails; returns how many as well.
fn besieged<R: Send>(netns: &Netns, attack: impl FnOnce() -> R + Send) -> (R, u32) {
    std::thread::scope(|scope| {
        let attack = scope.spawn(attack);
        let served = netns.inside(|| {
            let mut served = 0;
            while !attack.is_finished() {
                honest();
                served += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            served
        });
        println!("{served} honest clients were served meanwhile");
        (attack.join().unwrap(), served)
    })
}

/// Honest clients take every slot at once, within the time in which half-open
/// connections are given up; `sim` ends in order, and its table is returned.
fn aftermath(netns: &Netns, sim: Sim) -> Value {
    netns.inside(|| {
        let start = Instant::now();
        let mut all: Vec<_> = (0..SLOTS).map(|_| connect(V4, 7).unwrap()).collect();
        for stream in &mut all {
            echo(stream, b"swan").unwrap();
        }
        let took = start.elapsed();
        assert!(took < Duration::from_secs(20), "a slot is held: {took:?}");
    });
    let table = sim.finish();
    println!("{table}");
    assert_eq!(table["slots_in_use"], 0);
    assert!(table["slots_high"].as_u64() <= Some(SLOTS as u64));
    no_tap_is_left(netns);
    table
}

fn count(table: &Value, key: &str) -> u64 {
    table.get(key).map_or(0, |value| value.as_u64().unwrap())
}

#[test]
fn a_zero_window_and_a_fin_are_not_answered_without_end() {
    let Some(netns) = Netns::new(&[]) else { return };
    let Some(python) = scapy() else { return };
    let sim = start(&netns, "--serve echo:7 daytime:13 --limit close=5s");
    // Half of the slots, so that there is room for honest clients.
    let (seen, _) = besieged(&netns, || peer(&netns, python, "zero_window_fin 4"));
    assert_eq!(seen["closed"], 4);
    // Bare smoltcp sends millions in three seconds, and nothing else.
    assert!(count(&seen, "segments") < 200, "{seen}");
    let table = aftermath(&netns, sim);
    // Honest clients close, or their close is not over when the table is made.
    assert!(count(&table, "deadlines_passed") >= 4, "{table}");
}

#[test]
fn a_syn_to_many_is_dropped_and_counted() {
    let Some(netns) = Netns::new(&[]) else { return };
    let Some(python) = scapy() else { return };
    let sim = start(&netns, "");
    let (seen, _) = besieged(&netns, || peer(&netns, python, "syn_to_many 10"));
    assert_eq!(seen["answers"], 0);
    let table = aftermath(&netns, sim);
    let (sent, dropped) = (count(&seen, "sent"), count(&table, "dropped_not_unicast"));
    // The kernel asks everybody on a new link a few things, too.
    let others = dropped.checked_sub(sent);
    assert!(others.is_some_and(|others| others < 30), "{table}");
    assert!(sent >= 100);
}

/// hping3 until it is dropped, or for a minute.
struct Flood(Child);

impl Flood {
    fn start(netns: &Netns, words: &str) -> Flood {
        let mut hping3 = Command::new("hping3");
        hping3.args(["-q", "-c", "60000", "-i", "u400"]);
        hping3.args(words.split(' ')).arg(V4);
        hping3.stdout(Stdio::null()).stderr(Stdio::null());
        Flood(netns.inside(|| hping3.spawn().unwrap()))
    }

    fn goes_on(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_hundred_of_a_hundred_connect_during_a_flood_of_syns() {
    let Some(netns) = Netns::patient(&["hping3"], 30) else {
        return;
    };
    let sim = start(&netns, "");
    let start = Instant::now();
    let mut flood = Flood::start(&netns, "-S -p 7 --rand-source");
    let mut slowest = Duration::ZERO;
    netns.inside(|| {
        for client in 0..100 {
            assert!(flood.goes_on(), "client {client} came after the flood");
            let began = Instant::now();
            honest();
            slowest = slowest.max(began.elapsed());
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    assert!(flood.goes_on(), "some came after the flood");
    let took = start.elapsed();
    drop(flood);
    // Now nobody needs to be put out for anybody.
    std::thread::sleep(Duration::from_secs(21));
    let table = aftermath(&netns, sim);
    assert_eq!(table["slots_reclaimed"], 0, "the flood holds a slot");
    let syns = ["cookies_given", "syns_parked", "dropped_bad_source"]
        .map(|key| count(&table, key))
        .iter()
        .sum::<u64>();
    let rate = syns as f64 / took.as_secs_f64();
    // Past the test runner's capture: the rate depends on the machine.
    let _ = writeln!(
        std::io::stderr(),
        "100 of 100 connected in {took:.1?} beside {syns} SYNs, {rate:.0}/s; {slowest:.0?} at most"
    );
    assert_eq!(table["connections"], 100 + SLOTS);
    // Both sides of it happened: SYNs were answered without a slot, and honest
    // clients came back with the answer.
    assert!(count(&table, "cookies_given") > 500, "{table}");
    assert!(count(&table, "cookies_taken") > 10, "{table}");
}

#[test]
fn a_sweep_of_resets_cuts_nobody() {
    let Some(netns) = Netns::new(&[]) else { return };
    let Some(python) = scapy() else { return };
    // A window of 64 KiB: wherever it is, a step of 32 KiB falls into it.
    let sim = start(&netns, "--rx 64KiB");
    let mut victim = netns.inside(|| connect(V4, 7).unwrap());
    echo(&mut victim, b"before").unwrap();
    let port = victim.local_addr().unwrap().port();
    let words = format!("reset_sweep {port} 32768");
    let (seen, _) = besieged(&netns, || peer(&netns, python, &words));
    echo(&mut victim, b"after").unwrap();
    drop(victim);
    let challenges = count(&seen, "challenges");
    assert!((1..100).contains(&challenges), "{seen}");
    let table = aftermath(&netns, sim);
    assert_eq!(table["resets"], 0);
    // Not all may have found room in the TAP's queue.
    let dropped = count(&table, "dropped_inexact_reset");
    assert!(dropped > count(&seen, "sent") / 2, "{table}");
}

#[test]
fn slowloris_holds_no_slot_longer_than_an_exchange() {
    let Some(netns) = Netns::patient(&["slowhttptest"], 15) else {
        return;
    };
    let sim = start(&netns, "--serve echo:7 discard:9 --limit exchange=3s");
    let words = "-H -c 40 -r 40 -i 1 -l 12 -p 3 -u http://192.168.69.2:9/";
    let (shown, served) = besieged(&netns, || {
        let mut slow = netns.command("slowhttptest");
        text(&slow.args(words.split(' ')).output().unwrap())
    });
    assert!(shown.contains("SLOW HEADERS"), "{shown}");
    let table = aftermath(&netns, sim);
    // It had every slot, and lost it while it went on: who comes to slots that are
    // held waits for its end, so without a limit one is served.
    assert!(served > 1);
    assert_eq!(table["slots_high"], SLOTS);
    assert!(count(&table, "deadlines_passed") >= SLOTS as u64, "{table}");
}

#[test]
fn opening_and_closing_at_speed_waits_for_no_time_wait() {
    let Some(netns) = Netns::new(&["nmap"]) else {
        return;
    };
    let sim = start(&netns, "--serve echo:7 daytime:13");
    besieged(&netns, || {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..20 {
                    let words = ["-n", "-Pn", "-sT", "-p", "7,13", V4];
                    let scan = netns.command("nmap").args(words).output().unwrap();
                    assert!(scan.status.success(), "{}", text(&scan));
                }
            });
            netns.inside(|| {
                let start = Instant::now();
                for _ in 0..500 {
                    assert!(start.elapsed() < LONG, "slots come back too late");
                    // The server closes first: its slot is in TIME-WAIT.
                    let line = connect(V4, 13).unwrap();
                    let line = std::io::read_to_string(line).unwrap();
                    assert!(line.ends_with(" UTC\r\n"), "{line:?}");
                }
            });
        });
    });
    let table = aftermath(&netns, sim);
    assert!(count(&table, "slots_reclaimed") > 400, "{table}");
}

#[test]
fn an_impossible_source_is_dropped_and_counted() {
    let Some(netns) = Netns::new(&["hping3"]) else {
        return;
    };
    let Some(python) = scapy() else { return };
    let sim = start(&netns, "");
    let (seen, _) = besieged(&netns, || {
        for source in [V4, "127.0.0.1", "224.0.0.1", "255.255.255.255"] {
            let land = "-q -c 20 -i u10000 -S -s 7 -k -p 7 -a";
            let mut hping3 = netns.command("hping3");
            hping3.args(land.split(' ')).args([source, V4]);
            // It fails when it is not answered.
            let sent = String::from_utf8(hping3.output().unwrap().stderr).unwrap();
            assert!(sent.contains("20 packets transmitted"), "{sent}");
        }
        peer(&netns, python, "bad_sources 10")
    });
    assert_eq!(seen["answers"], 0);
    let table = aftermath(&netns, sim);
    let sent = count(&seen, "sent") + 4 * 20;
    assert_eq!(table["dropped_bad_source"], sent);
}

#[test]
fn scans_of_every_kind_break_nothing() {
    let Some(netns) = Netns::patient(&["nmap"], 40) else {
        return;
    };
    let sim = start(&netns, "");
    let scan = |words: &str| {
        let words = format!("-n -Pn -T4 {words} {V4}");
        let mut nmap = netns.command("nmap");
        let done = nmap.args(words.split(' ')).output().unwrap();
        assert!(done.status.success(), "{words}: {}", text(&done));
        text(&done)
    };
    besieged(&netns, || {
        for how in ["-sS", "-sT"] {
            let found = scan(&format!("{how} -p 1-1024,5000"));
            for line in [
                "7/tcp    open",
                "80/tcp   open",
                "5000/tcp open",
                "1022 closed tcp ports",
            ] {
                assert!(found.contains(line), "{how}: {line}: {found}");
            }
        }
        for how in ["-sA", "-sW", "-sM", "-sN", "-sF", "-sX"] {
            scan(&format!("{how} -p 1-1024,5000"));
        }
        // Tiny fragments, what the system is, and what the services are.
        scan("-f -sS -p 7 --max-retries 1");
        scan("-O -p 7,8");
        scan("-sV --version-light -p 7");
    });
    let table = aftermath(&netns, sim);
    assert!(count(&table, "dropped_fragment") > 0, "{table}");
}

/// The code of a test of this name: its file, and those in its folder.
fn sources(tests: &Path, name: &str) -> impl Iterator<Item = String> {
    let folder = std::fs::read_dir(tests.join(name)).into_iter().flatten();
    let inside = folder.map(|entry| entry.unwrap().path());
    let all = std::iter::once(tests.join(format!("{name}.rs"))).chain(inside);
    all.filter_map(|path| std::fs::read_to_string(path).ok())
}

/// The table above names tests that exist, and every row has one.
#[test]
fn every_row_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut rows = 0;
    for line in include_str!("attacks.rs").lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, row, _, wire, tap, _] = cells[..] else {
            continue;
        };
        let Ok(row) = row.parse::<u32>() else {
            continue;
        };
        rows += 1;
        assert_eq!(row, rows);
        assert!(!wire.is_empty(), "row {row} is shown nowhere");
        for test in [wire, tap].into_iter().flat_map(|cell| cell.split('`')) {
            let Some((file, name)) = test.split_once("::") else {
                continue;
            };
            let found = sources(&root.join("../tests"), file)
                .chain(sources(&root.join("tests"), file))
                .any(|code| code.contains(&format!("#[test]\nfn {name}()")));
            assert!(found, "row {row}: there is no {test}");
        }
    }
    assert_eq!(rows, 22);
}
