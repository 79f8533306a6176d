//! A bridge that listens to who hears which group (RFC 4541), and delivers no other: a
//! neighbor that asks for `sim` asks in a group of it. Needs root; see `netns/mod.rs` for
//! what happens without.
#![cfg(target_os = "linux")]

mod netns;

use std::time::{Duration, Instant};

use netns::{Netns, Sim, V6, connect, echo, text};

/// Runs `ip` in a namespace.
fn ip(netns: &Netns, words: &str) {
    let done = netns.command("ip").args(words.split(' ')).output().unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "ip {words}: {errors}");
}

/// Waits until the bridge knows that `cyg0` hears the group of [`V6`].
fn until_known(switch: &Netns) {
    let start = Instant::now();
    loop {
        let mut shows = switch.command("bridge");
        let known = text(&shows.args(["mdb", "show", "dev", "br0"]).output().unwrap());
        let ours = |line: &str| line.contains("cyg0") && line.contains("ff02::1:ff00:2");
        if known.lines().any(ours) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{known}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_bridge_that_snoops_delivers_what_neighbors_ask() {
    let Some(switch) = Netns::new(&["bridge", "ping"]) else {
        return;
    };
    let Some(client) = Netns::new(&[]) else {
        return;
    };
    for words in [
        // Asks once a second, and takes half a second for an answer.
        "link add br0 type bridge mcast_snooping 1 mcast_querier 1 mcast_query_interval 100 \
         mcast_query_response_interval 50 mcast_startup_query_interval 50",
        "tuntap add dev cyg0 mode tap",
        "link set cyg0 master br0 up",
        &format!(
            "link add port0 type veth peer name eth0 netns {}",
            client.name()
        ),
        "link set port0 master br0 up",
        "link set br0 up",
    ] {
        ip(
            &switch,
            &words.split_whitespace().collect::<Vec<_>>().join(" "),
        );
    }
    ip(&client, "link set eth0 up");
    ip(&client, "addr add fd69::1/64 dev eth0 nodad");
    let words = "tap --name cyg0 --ipv6 fd69::2/64 --serve echo:7 --format json --log warn";
    let sim = Sim::spawn(&switch, words).serving();
    until_known(&switch);
    // Two more query intervals: what was said at first would be forgotten.
    std::thread::sleep(Duration::from_secs(3));
    let ping = client
        .command("ping")
        .args("-6 -c 20 -i 0.05 -W 1".split(' '))
        .arg(V6)
        .output();
    let ping = text(&ping.unwrap());
    assert!(ping.contains("20 received"), "{ping}");
    for _ in 0..20 {
        ip(&client, "-6 neigh flush dev eth0");
        client.inside(|| echo(&mut connect(V6, 7).unwrap(), b"swan").unwrap());
    }
    sim.finish();
}
