//! The page of `sim tap`: in a browser, read by Prometheus' own tool, and with more people
//! who look than it has places for. They need root; see `netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

mod browser;
mod netns;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, Instant};

use browser::Browser;
use netns::{LONG, Netns, Sim, V4, connect, echo, text};

/// What a page of 64 slots gives away.
const QUARTER: usize = 16;

/// With `CYGNET_PICTURE=FILE` it leaves a picture of the page there.
#[test]
fn a_browser_sees_itself_who_waits_and_who_comes() {
    let Some(netns) = Netns::new(&["chromium"]) else {
        return;
    };
    let sim = Sim::start(&netns, "--format json");
    let mut browser = Browser::open(netns.command("timeout"), &format!("http://{V4}/"));
    let is_itself = |row: &String| row.contains(" 192.168.69.1:") && row.contains(" http open ");
    browser.rows("connections", |rows| rows.iter().any(is_itself));
    let serves = |row: &String| row.contains(" http running ");
    browser.rows("tasks", |rows| rows.iter().any(serves));

    netns.inside(|| {
        let mut first = connect(V4, 7).unwrap();
        echo(&mut first, b"swan").unwrap();
        let waits = |rows: &[String], name: &str| {
            let words = format!(" {name} read #");
            rows.iter().filter(|row| row.contains(&words)).count()
        };
        browser.rows("tasks", |rows| waits(rows, "echo") == 1);
        let mut second = connect(V4, 5000).unwrap();
        let port = second.local_addr().unwrap().port();
        let peer = format!(" 192.168.69.1:{port} ");
        browser.rows("connections", |rows| {
            rows.iter().any(|row| row.contains(&peer))
        });
        browser.rows("tasks", |rows| {
            waits(rows, "hello") == 1 && waits(rows, "echo") == 1
        });
        if let Some(path) = std::env::var_os("CYGNET_PICTURE") {
            for _ in 0..60 {
                second.write_all(b"?\n").unwrap();
                second.read_exact(&mut [0; 12]).unwrap();
                echo(&mut first, &[b's'; 999]).unwrap();
                std::thread::sleep(Duration::from_millis(50));
            }
            browser.picture(Path::new(&path));
        }
        drop((first, second));
        browser.rows("connections", |rows| {
            !rows.iter().any(|row| row.contains(&peer))
        });
    });
    drop(browser);
    sim.finish();
}

#[test]
fn prometheus_has_nothing_to_say_against_the_metrics() {
    let Some(netns) = Netns::new(&["curl", "promtool"]) else {
        return;
    };
    let sim = Sim::start(&netns, "--ipv6 fd69::2/64 --format json");
    for url in [
        format!("http://{V4}/metrics"),
        "http://[fd69::2]/metrics".into(),
    ] {
        let metrics = netns.command("curl").args(["-sSf", &url]).output().unwrap();
        assert!(metrics.status.success(), "{metrics:?}");
        let mut check = netns.command("promtool");
        let check = check.args(["check", "metrics"]).stdin(Stdio::piped());
        let mut check = check
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        check
            .stdin
            .take()
            .unwrap()
            .write_all(&metrics.stdout)
            .unwrap();
        let said = check.wait_with_output().unwrap();
        let nothing = said.status.success() && said.stdout.is_empty() && said.stderr.is_empty();
        assert!(nothing, "{said:?}: {}", text(&metrics));
        assert!(
            text(&metrics).contains("cygnet_accepts_total "),
            "{}",
            text(&metrics)
        );
    }
    sim.finish();
}

/// A client of events: how it is answered.
fn ask() -> (String, TcpStream) {
    let mut stream = connect(V4, 80).unwrap();
    let words = format!("GET /events HTTP/1.1\r\nHost: {V4}\r\n\r\n");
    stream.write_all(words.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    (String::from_utf8(head).unwrap(), stream)
}

/// What a hundred who look are told, and when it is over.
#[derive(Default)]
struct Crowd {
    served: AtomicUsize,
    refused: AtomicUsize,
    is_over: AtomicBool,
}

impl Crowd {
    /// Looks until it is over, unless there is no place.
    fn look(&self) {
        let (head, mut stream) = ask();
        if head.starts_with("HTTP/1.1 200 ") {
            self.served.fetch_add(1, Relaxed);
            while !self.is_over.load(Relaxed) {
                assert!(stream.read(&mut [0; 4096]).unwrap() > 0, "an end");
            }
        } else {
            assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
            assert!(head.contains("\r\nRetry-After: 2\r\n"), "{head}");
            self.refused.fetch_add(1, Relaxed);
        }
    }

    /// Asks hello and echo until it is over, and gives how often.
    fn talk(&self) -> u32 {
        let (mut long, mut asked) = (connect(V4, 7).unwrap(), 0);
        while !self.is_over.load(Relaxed) {
            echo(&mut long, &[b's'; 100]).unwrap();
            let mut hello = connect(V4, 5000).unwrap();
            hello.write_all(b"?\n").unwrap();
            let mut answer = [0; 12];
            hello.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"Hello World\n");
            asked += 1;
        }
        asked
    }
}

#[test]
fn a_hundred_who_look_are_in_nobodys_way() {
    let Some(netns) = Netns::new(&[]) else {
        return;
    };
    let sim = Sim::start(&netns, "--slots 64 --format json");
    netns.inside(|| {
        let (crowd, begin) = (Crowd::default(), Instant::now());
        std::thread::scope(|scope| {
            let talks = scope.spawn(|| crowd.talk());
            let looks: Vec<_> = (0..100).map(|_| scope.spawn(|| crowd.look())).collect();
            let told = || crowd.served.load(Relaxed) + crowd.refused.load(Relaxed);
            while told() < 100 && begin.elapsed() < LONG {
                std::thread::sleep(Duration::from_millis(5));
            }
            // Until those who are served were told more than once.
            std::thread::sleep(Duration::from_secs(1));
            crowd.is_over.store(true, Relaxed);
            let asked = talks.join().unwrap();
            looks.into_iter().for_each(|one| one.join().unwrap());
            let (served, refused) = (crowd.served.load(Relaxed), crowd.refused.load(Relaxed));
            println!(
                "{asked} hellos and echoes in {:?}, none lost",
                begin.elapsed()
            );
            assert_eq!((served, refused), (QUARTER, 100 - QUARTER));
            assert!(asked > 20, "{asked}");
        });
        // A place is free again for who comes later.
        while ask().0.starts_with("HTTP/1.1 503 ") {
            assert!(begin.elapsed() < LONG);
        }
    });
    let table = sim.finish();
    assert_eq!(table["tasks failed"].as_u64().unwrap_or(0), 0, "{table}");
}
