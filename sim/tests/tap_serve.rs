//! `sim tap` and the programs of this machine: ping, nc, curl, python3 and the
//! kernel's own TCP, each test in a network namespace of its own. They need
//! root; see `netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

mod netns;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::time::Duration;

use netns::{
    Netns, Sim, V4, V6, connect, echo, no_tap_is_left, require_all, resets_in, skip, text,
};

/// Feeds `input` to a program in the namespace and returns what it prints.
fn pipe(netns: &Netns, program: &str, words: &[&str], input: &str) -> String {
    let mut child = netns
        .command(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    text(&child.wait_with_output().unwrap())
}

#[test]
fn ping_nc_curl_and_python_talk_over_both_versions_of_ip() {
    let Some(netns) = Netns::new(&["ping", "nc", "curl", "python3"]) else {
        return;
    };
    let sim = Sim::start(
        &netns,
        "--ipv6 fd69::2/64 --serve hello:5000 echo:7 daytime:13 --format json",
    );
    for ip in [V4, V6] {
        let words = ["-c", "3", "-i", "0.05", "-W", "5", ip];
        let ping = netns.command("ping").args(words).output().unwrap();
        assert!(ping.status.success(), "ping {ip}: {}", text(&ping));

        // `nc -N` closes its side after its input: a half-close, answered.
        assert_eq!(
            pipe(&netns, "nc", &["-N", ip, "5000"], "hi\n"),
            "Hello World\n"
        );
        let long = "0123456789abcdef".repeat(1000);
        assert_eq!(pipe(&netns, "nc", &["-N", ip, "7"], &long), long);
        let daytime = pipe(&netns, "nc", &["-d", ip, "13"], "");
        assert!(daytime.ends_with(" UTC\r\n"), "{daytime:?}");

        let host = if ip == V6 { "[fd69::2]" } else { ip };
        // curl goes on listening after its input ends; a second is enough.
        for (port, answer) in [(5000, "Hello World\n"), (7, "hi\n")] {
            let url = format!("telnet://{host}:{port}");
            let words = ["-s", "-N", "--max-time", "1", &url];
            assert_eq!(pipe(&netns, "curl", &words, "hi\n"), answer, "{url}");
        }

        let python = format!(
            "import socket\n\
             s = socket.create_connection(('{ip}', 5000), 30)\n\
             for n in range(3):\n\
             \x20   s.send(b'%d' % n)\n\
             \x20   assert s.recv(100) == b'Hello World\\n'\n\
             e = socket.create_connection(('{ip}', 7), 30)\n\
             e.sendall(b'swan'); e.shutdown(socket.SHUT_WR)\n\
             print(e.makefile('rb').read().decode())\n"
        );
        assert_eq!(pipe(&netns, "python3", &["-"], &python), "swan\n");
    }
    let table = sim.finish();
    assert_eq!(table["connections"], 14);
    assert_eq!(table["resets"], 0);
    no_tap_is_left(&netns);
}

#[test]
fn two_hundred_kernel_clients_echo_a_mebibyte_each() {
    const CLIENTS: u64 = 200;
    let Some(netns) = Netns::new(&[]) else { return };
    let sim = Sim::start(
        &netns,
        "--slots 200 --backlog 200 --rx 16KiB --tx 16KiB --format json --log warn",
    );
    // Every client sends another window of the same bytes.
    let mut state = 1u64;
    let pattern: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (state >> 56) as u8
    })
    .take((1 << 20) + CLIENTS as usize)
    .collect();
    netns.inside(|| {
        let all = Barrier::new(CLIENTS as usize);
        std::thread::scope(|scope| {
            for client in 0..CLIENTS as usize {
                let (all, bytes) = (&all, &pattern[client..][..1 << 20]);
                scope.spawn(move || {
                    let mut stream = connect(V4, 7).unwrap();
                    all.wait(); // all of them are connected now
                    let mut writer = stream.try_clone().unwrap();
                    std::thread::scope(|scope| {
                        scope.spawn(|| {
                            writer.write_all(bytes).unwrap();
                            writer.shutdown(Shutdown::Write).unwrap();
                        });
                        let mut back = Vec::with_capacity(bytes.len());
                        stream.read_to_end(&mut back).unwrap();
                        assert!(back == bytes, "client {client}: the echo differs");
                    });
                });
            }
        });
    });
    let table = sim.finish();
    assert_eq!(table["connections"], CLIENTS);
    assert_eq!(table["slots_high"], CLIENTS);
    assert_eq!(table["resets"], 0);
}

#[test]
fn ten_thousand_connects_in_a_row_on_sixteen_slots() {
    let Some(netns) = Netns::new(&[]) else { return };
    let pcap = std::env::temp_dir().join(format!("cygnet-{}.pcapng", std::process::id()));
    let words = format!(
        "--slots 16 --serve hello:5000 daytime:13 --format json --log warn --pcap {}",
        pcap.display()
    );
    let sim = Sim::start(&netns, &words);
    netns.inside(|| {
        for round in 0..10_000 {
            if round % 2 == 0 {
                // The server closes first, and its slot is in TIME-WAIT.
                let mut line = String::new();
                connect(V4, 13).unwrap().read_to_string(&mut line).unwrap();
                assert!(line.ends_with(" UTC\r\n"), "{round}: {line:?}");
            } else {
                let mut stream = connect(V4, 5000).unwrap();
                stream.write_all(b"hi").unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                assert_eq!(answer, "Hello World\n", "{round}");
            }
        }
    });
    let table = sim.finish();
    let (frames, resets) = resets_in(&pcap);
    std::fs::remove_file(&pcap).unwrap();
    assert!(frames > 60_000, "{frames} frames");
    assert_eq!(table["connections"], 10_000);
    assert_eq!((table["resets"].as_u64(), resets.len()), (Some(0), 0));
    assert!(table["slots_reclaimed"].as_u64() > Some(4_900), "{table}");
    assert_eq!(table["slots_high"], 16);
}

#[test]
fn a_hundred_clients_at_once_on_eight_slots_are_all_served() {
    let Some(netns) = Netns::new(&[]) else { return };
    let sim = Sim::start(&netns, "--slots 8 --format json --log warn");
    netns.inside(|| {
        let all = Barrier::new(100);
        std::thread::scope(|scope| {
            for client in 0..100 {
                let all = &all;
                scope.spawn(move || {
                    all.wait();
                    let mut stream = connect(V4, 7).unwrap();
                    echo(&mut stream, format!("client {client}").as_bytes()).unwrap();
                });
            }
        });
    });
    let table = sim.finish();
    assert_eq!(table["connections"], 100);
    assert!(table["slots_high"].as_u64() <= Some(8));
}

#[test]
fn killed_clients_and_clients_that_reset_free_their_slots() {
    const SLOTS: usize = 8;
    let Some(netns) = Netns::new(&["nc"]) else {
        return;
    };
    let sim = Sim::start(&netns, "--slots 8 --format json --log warn");
    for _ in 0..5 {
        let mut clients: Vec<_> = (0..SLOTS)
            .map(|_| {
                let mut nc = Command::new("nc");
                nc.args([V4, "7"])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped());
                let mut nc = netns.inside(|| nc.spawn()).unwrap();
                nc.stdin.as_mut().unwrap().write_all(b"swan").unwrap();
                let mut answer = [0; 4];
                nc.stdout.as_mut().unwrap().read_exact(&mut answer).unwrap();
                assert_eq!(&answer, b"swan");
                nc
            })
            .collect();
        for nc in &mut clients {
            nc.kill().unwrap(); // SIGKILL
            nc.wait().unwrap();
        }
    }
    netns.inside(|| {
        for _ in 0..5 * SLOTS {
            let mut stream = connect(V4, 7).unwrap();
            echo(&mut stream, b"swan").unwrap();
            // Closing with a linger time of zero resets.
            let now = Some(Duration::ZERO);
            rustix::net::sockopt::set_socket_linger(&stream, now).unwrap();
        }
        // All eight places at the same time: none was lost.
        let mut all: Vec<_> = (0..SLOTS).map(|_| connect(V4, 7).unwrap()).collect();
        for stream in &mut all {
            echo(stream, b"swan").unwrap();
        }
    });
    let table = sim.finish();
    assert_eq!(table["connections"], 11 * SLOTS);
    assert_eq!(table["resets"], 5 * SLOTS);
    assert_eq!(table["slots_in_use"], 0);
}

#[test]
fn a_hundred_idle_connections_use_no_processor() {
    if !require_all() {
        return skip("it measures this machine for ten seconds; CI does");
    }
    let Some(netns) = Netns::new(&[]) else { return };
    let sim = Sim::start(&netns, "--slots 128 --backlog 128 --format json --log warn");
    let ticks = || -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", sim.pid())).unwrap();
        let after_name = stat.rsplit_once(')').unwrap().1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    netns.inside(|| {
        let mut idle: Vec<_> = (0..100).map(|_| connect(V4, 7).unwrap()).collect();
        for stream in &mut idle {
            echo(stream, b"swan").unwrap();
        }
        let before = ticks();
        std::thread::sleep(Duration::from_secs(10));
        let used = ticks() - before;
        println!("{used} ticks of 10 ms in 10 s");
        assert!(used < 10, "{used} ticks of 10 ms in 10 s are 1 % or more");
    });
    sim.finish();
}
