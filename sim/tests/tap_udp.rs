//! Datagrams between `sim tap` and the programs of this machine: echo, discard and daytime
//! over both versions of IP, ports that nobody has, and the accounts of many, in which none
//! is missing.
//!
//! ```sh
//! cargo test --release -p cygnet-sim --test tap_udp -- --ignored --nocapture of_a_million
//! ```
//!
//! Needs root; see `netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

mod netns;

use std::io::{ErrorKind, Write};
use std::net::{IpAddr, UdpSocket};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use netns::{LONG, Netns, Sim, V4, V6, no_tap_is_left, text};

const WORDS: &str = "--ipv6 fd69::2/64 --serve echo/udp:7 echo:7 daytime/udp:13 discard/udp:9 \
    --format json --log warn";

/// A socket that speaks to a port of ours.
fn socket(ip: &str, port: u16) -> UdpSocket {
    let ip: IpAddr = ip.parse().unwrap();
    let any = if ip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).unwrap();
    socket.connect((ip, port)).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket
}

#[test]
fn the_small_services_speak_by_datagrams() {
    let Some(netns) = Netns::new(&["nc"]) else {
        return;
    };
    let sim = Sim::start(&netns, WORDS);
    let said = sim.stderr();
    assert!(said.contains("echo/udp  nc -u 192.168.69.2 7"), "{said}");
    netns.inside(|| {
        let mut buf = [0; 2000];
        for (ip, most) in [(V4, 1472), (V6, 1452)] {
            let echo = socket(ip, 7);
            for bytes in [0, 1, 64, most] {
                let payload: Vec<u8> = (0..bytes).map(|at| at as u8).collect();
                echo.send(&payload).unwrap();
                let len = echo.recv(&mut buf).unwrap();
                assert_eq!(&buf[..len], payload);
            }
            let daytime = socket(ip, 13);
            daytime.send(b"").unwrap();
            let len = daytime.recv(&mut buf).unwrap();
            let said = std::str::from_utf8(&buf[..len]).unwrap();
            assert!(
                said.starts_with("20") && said.ends_with(" UTC\r\n"),
                "{said}"
            );
            // Nobody is there: the kernel says so, because we have told it.
            let nobody = socket(ip, 77);
            nobody.send(b"swan").unwrap();
            let error = nobody.recv(&mut buf).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            // Sends as much as it likes, and hears nothing.
            let discard = socket(ip, 9);
            discard.send(b"swan").unwrap();
            discard
                .set_read_timeout(Some(Duration::from_millis(50)))
                .unwrap();
            assert!(discard.recv(&mut buf).is_err());
        }
    });
    let nc = says(&netns, "nc -u -w 1 192.168.69.2 7", b"a swan");
    assert_eq!(nc, "a swan");
    let table = sim.finish();
    assert_eq!(table["datagrams_in"], 2 * (4 + 1 + 1) + 1, "{table}");
    assert_eq!(table["datagrams_out"], 2 * (4 + 1) + 1, "{table}");
    no_tap_is_left(&netns);
}

/// What a program prints that reads this.
fn says(netns: &Netns, line: &str, input: &[u8]) -> String {
    let mut words = line.split_whitespace();
    let mut command = netns.command(words.next().unwrap());
    let command = command.args(words).stdin(Stdio::piped());
    let child = command.stdout(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    text(&child.wait_with_output().unwrap())
}

/// `socat` in both ways that it speaks by datagrams, and `dig`, which takes its own question
/// for an answer: the number of it is right, and everything in it.
#[test]
fn socat_and_dig_hear_what_they_have_said() {
    let Some(netns) = Netns::new(&["socat", "dig"]) else {
        return;
    };
    let sim = Sim::start(&netns, WORDS);
    for ip in [V4, "[fd69::2]"] {
        for kind in ["UDP", "UDP-SENDTO"] {
            let line = format!("socat -t 1 - {kind}:{ip}:7");
            assert_eq!(says(&netns, &line, b"a swan"), "a swan", "{line}");
        }
    }
    let daytime = says(&netns, "socat -t 1 - UDP:192.168.69.2:13", b"?");
    assert!(daytime.ends_with(" UTC\r\n"), "{daytime}");
    for ip in [V4, V6] {
        let line = format!("dig @{ip} -p 7 swan.example +tries=1 +time=30");
        let said = says(&netns, &line, b"");
        for part in [
            "query response not set",
            "QUERY: 1, ANSWER: 0",
            "(echoed)",
            ";swan.example.",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    sim.finish();
    no_tap_is_left(&netns);
}

/// The kernel answers an echo request of ours, and nobody answers for who is not there.
#[test]
fn a_ping_of_ours_is_answered() {
    let Some(netns) = Netns::new(&[]) else {
        return;
    };
    for (host, part) in [
        ("192.168.69.1", "192.168.69.1 answered 2: "),
        ("fd69::1", "fd69::1 answered 2: "),
        ("192.168.69.77", "192.168.69.77 did not answer 2"),
    ] {
        let words = format!("ping {host} --count 2 --create --ipv6 fd69::2/64 --log warn");
        let mut sim = Sim::spawn(&netns, &words);
        assert!(sim.end(LONG).success());
        assert!(sim.stdout().contains(part), "{}", sim.stdout());
    }
    no_tap_is_left(&netns);
}

/// Sends so many datagrams, in bursts that the sockets' buffers hold mostly, and counts what
/// comes back; gives both numbers.
fn echoes(count: u64) -> (u64, u64) {
    let [there, back] = [V4, V6].map(|ip| socket(ip, 7)).map(|echo| {
        let heard = echo.try_clone().unwrap();
        heard
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        (echo, heard)
    });
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let is_over = &is_over;
        let hear = |socket: UdpSocket| {
            scope.spawn(move || {
                let (mut buf, mut heard, mut quiet) = ([0; 2000], 0, 0);
                // Three silent tenths of a second behind the last one.
                while quiet < 3 {
                    match socket.recv(&mut buf) {
                        Ok(64) => (heard, quiet) = (heard + 1, 0),
                        Ok(other) => panic!("{other} bytes"),
                        Err(_) if is_over.load(Ordering::Relaxed) => quiet += 1,
                        Err(_) => (),
                    }
                }
                heard
            })
        };
        let heard = [hear(there.1), hear(back.1)];
        let mut sent = 0;
        for number in 0..count {
            let socket = if number % 2 == 0 { &there.0 } else { &back.0 };
            sent += u64::from(socket.send(&[number as u8; 64]).is_ok());
            if number % 64 == 63 {
                std::thread::yield_now();
            }
        }
        is_over.store(true, Ordering::Relaxed);
        (sent, heard.into_iter().map(|it| it.join().unwrap()).sum())
    })
}

/// Each that was sent came back, or was counted where it was lost: before us in the queue of
/// the TAP, here, or behind us in the buffer of the socket that sent it.
fn accounts_are_balanced(count: u64) {
    let Some(netns) = Netns::new(&["nstat", "cat"]) else {
        return;
    };
    let sim = Sim::start(&netns, WORDS);
    let (sent, echoed) = netns.inside(|| echoes(count));
    let file = "/sys/class/net/cyg0/statistics/tx_dropped";
    let in_queue: u64 = netns.does(&format!("cat {file}")).trim().parse().unwrap();
    let in_buffer = netns.counted("UdpRcvbufErrors") + netns.counted("Udp6RcvbufErrors");
    let table = sim.finish();
    let of = |row: &str| table[row].as_u64().unwrap_or(0);
    let here = of("dropped_unread_datagram") + of("frames_refused_by_the_kernel");
    println!(
        "{sent} sent, {echoed} echoed, {in_queue} lost in the queue of the TAP, {here} here, \
         {in_buffer} in the buffers of sockets"
    );
    assert_eq!(of("datagrams_in"), of("datagrams_out"), "{table}");
    // A queue that is full loses what the kernel says of its own accord as well: who is where,
    // which groups it hears. That is a few frames, and no datagrams.
    let few = 0..10;
    let found = echoed + in_queue + here + in_buffer;
    assert!(found >= sent && few.contains(&(found - sent)), "{table}");
    let came = of("datagrams_in") + of("dropped_unread_datagram") + in_queue;
    assert!(came >= sent && few.contains(&(came - sent)), "{table}");
    assert!(echoed > sent / 10, "{echoed} of {sent}");
    no_tap_is_left(&netns);
}

#[test]
fn of_twenty_thousand_datagrams_none_is_missing() {
    accounts_are_balanced(20_000);
}

#[test]
#[ignore = "half a minute; see the head of this file"]
fn of_a_million_datagrams_none_is_missing() {
    accounts_are_balanced(1_000_000);
}
