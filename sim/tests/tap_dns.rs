//! `sim dig` in a namespace of the test's own, with dnsmasq: addresses of both versions, an
//! alias, more than fits in a datagram, a server that is not there, and no such name.
//!
//! Needs root; see `netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

mod folder;
mod netns;

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use folder::Folder;
use netns::{Ends, LONG, Netns, Sim, no_tap_is_left};

fn dnsmasq(netns: &Netns, folder: &Folder) -> Ends {
    let mut hosts = String::from("10.9.9.7 swan.example\nfd09::7 swan.example\n");
    for last in 1..=60 {
        let _ = writeln!(hosts, "10.9.8.{last} many.example");
    }
    folder.write("hosts", &hosts);
    // On `lo`, so that it is there before any TAP is.
    let server = netns
        .command("dnsmasq")
        .args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--user=root",
        ])
        .args(["--no-resolv", "--no-hosts", "--pid-file=", "--bind-dynamic"])
        .args(["--cname=alias.example,swan.example", "--local=/example/"])
        .arg(format!("--addn-hosts={}", folder.0.join("hosts").display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Ends(server.unwrap())
}

/// What `sim dig` says of a name, and whether it ended well.
fn dig(netns: &Netns, words: &str) -> (Vec<String>, bool, Duration) {
    let start = Instant::now();
    let mut sim = Sim::spawn(netns, &format!("dig --create {words}"));
    let status = sim.end(LONG);
    let said = sim.stdout() + &sim.stderr();
    let lines = said.lines().filter_map(|line| line.split_once(".example"));
    let lines = lines.map(|(_, rest)| rest.trim().to_owned()).collect();
    (lines, status.success(), start.elapsed())
}

#[test]
fn names_are_found_by_dnsmasq() {
    let Some(netns) = Netns::new(&["dnsmasq"]) else {
        return;
    };
    let folder = Folder::new("dig");
    let _server = dnsmasq(&netns, &folder);
    let at = "--ipv6 fd69::2/64 --dns 192.168.69.1";
    for (name, found) in [
        ("swan", &["is fd09::7", "is 10.9.9.7"][..]),
        ("alias", &["is fd09::7", "is 10.9.9.7"]),
    ] {
        let (said, is_good, _) = dig(&netns, &format!("{name}.example {at}"));
        assert!(is_good && said == found, "{name}: {said:?}");
    }
    // Sixty addresses do not fit: they come by TCP, and the first four are kept.
    let (said, is_good, _) = dig(&netns, &format!("many.example {at}"));
    let all_of_it = said.iter().all(|line| line.starts_with("is 10.9.8."));
    assert!(is_good && said.len() == 4 && all_of_it, "{said:?}");
    let (said, is_good, _) = dig(&netns, &format!("none.example {at}"));
    assert!(
        !is_good && said[0].contains("there is no such name"),
        "{said:?}"
    );
    // Nobody is at the first address: the second server is asked after three seconds.
    let words = "swan.example --dns 192.168.69.77 --dns 192.168.69.1";
    let (said, is_good, took) = dig(&netns, words);
    assert!(is_good && said.len() == 2, "{said:?}");
    assert!(took > Duration::from_secs(2), "{took:?}");
    no_tap_is_left(&netns);
}
