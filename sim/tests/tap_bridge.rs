//! A bridge that listens to who hears which group (RFC 4541), and delivers no other: a
//! neighbor that asks for `sim` asks in a group of it, and sockets hear others. Needs root;
//! see `netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

mod folder;
mod netns;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use folder::Folder;
use netns::{Netns, Sim, V6, connect, echo, frames_in, text};

/// Runs `ip` in a namespace.
fn ip(netns: &Netns, words: &str) {
    let done = netns
        .command("ip")
        .args(words.split_whitespace())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "ip {words}: {errors}");
}

/// Waits until the bridge knows that `cyg0` hears this group.
fn until_known(switch: &Netns, group: &str) {
    let start = Instant::now();
    loop {
        let mut shows = switch.command("bridge");
        let known = text(&shows.args(["mdb", "show", "dev", "br0"]).output().unwrap());
        let ours = |line: &str| line.contains("cyg0") && line.contains(&format!("{group} "));
        if known.lines().any(ours) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{known}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A bridge with `cyg0`, and with a client at `eth0` of its own namespace. It asks once a
/// second, takes half a second for an answer, forgets after two and a half, and speaks these
/// versions of IGMP and MLD.
fn bridge(switch: &Netns, client: &Netns, igmp: u8, mld: u8) {
    for words in [
        &format!(
            "link add br0 type bridge mcast_snooping 1 mcast_query_interval 100 \
             mcast_query_response_interval 50 mcast_startup_query_interval 50 \
             mcast_membership_interval 250 mcast_igmp_version {igmp} mcast_mld_version {mld}"
        ),
        // For so long as an answer may take everything is delivered: half a second, not the
        // ten that it may take at first.
        "link set br0 type bridge mcast_querier 1",
        "tuntap add dev cyg0 mode tap",
        "link set cyg0 master br0 up",
        &format!(
            "link add port0 type veth peer name eth0 netns {}",
            client.name()
        ),
        "link set port0 master br0 up",
        "link set br0 up",
    ] {
        ip(switch, words);
    }
    ip(client, "link set eth0 up");
    ip(client, "addr add 192.168.69.1/24 dev eth0");
    ip(client, "route add 224.0.0.0/4 dev eth0");
    ip(client, "addr add fd69::1/64 dev eth0 nodad");
}

#[test]
fn a_bridge_that_snoops_delivers_what_neighbors_ask() {
    let Some(switch) = Netns::new(&["bridge", "ping"]) else {
        return;
    };
    let Some(client) = Netns::new(&[]) else {
        return;
    };
    bridge(&switch, &client, 2, 1);
    let words = "tap --name cyg0 --ipv6 fd69::2/64 --serve echo:7 --format json --log warn";
    let sim = Sim::spawn(&switch, words).serving();
    until_known(&switch, "ff02::1:ff00:2");
    // Longer than what was said at first is known.
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

/// What sockets hear: the bridge is told, again and again, and at last that it is over. What
/// nobody hears comes no further than the bridge.
fn groups_are_delivered(igmp: u8, mld: u8, is_end: fn(&[u8]) -> bool) {
    let Some(switch) = Netns::new(&["bridge"]) else {
        return;
    };
    let Some(client) = Netns::new(&[]) else {
        return;
    };
    bridge(&switch, &client, igmp, mld);
    let folder = Folder::new(&format!("bridge-{igmp}"));
    let capture = folder.0.join("run.pcapng");
    let words = "tap --name cyg0 --ipv6 fd69::2/64 --hear 239.1.2.3:9 --hear [ff15::123]:10 \
        --format json --log warn --pcap";
    let sim = Sim::spawn(&switch, &format!("{words} {}", capture.display())).serving();
    for group in ["239.1.2.3", "ff15::123"] {
        until_known(&switch, group);
    }
    std::thread::sleep(Duration::from_secs(4));
    client.inside(|| {
        let sockets = ["192.168.69.1:0", "[fd69::1]:0"].map(|at| UdpSocket::bind(at).unwrap());
        for _ in 0..20 {
            sockets[0].send_to(b"swan", "239.1.2.3:9").unwrap();
            sockets[0].send_to(b"swan", "239.1.2.4:9").unwrap();
            sockets[1].send_to(b"swan", "[ff15::123]:10").unwrap();
            sockets[1].send_to(b"swan", "[ff15::124]:10").unwrap();
        }
        // Behind all of them.
        std::thread::sleep(Duration::from_millis(200));
    });
    let table = sim.finish();
    assert_eq!(table["datagrams_in"], 40, "{table}");
    let frames = frames_in(&capture);
    let to = |group: &[u8]| frames.iter().filter(|it| it.starts_with(group)).count();
    let theirs = [[1, 0, 0x5e, 1, 2, 4], [0x33, 0x33, 0, 0, 1, 0x24]];
    assert_eq!(theirs.map(|group| to(&group)), [0, 0]);
    assert!(frames.iter().any(|frame| is_end(frame)), "of 239.1.2.3");
}

#[test]
fn a_bridge_that_snoops_delivers_what_sockets_hear() {
    groups_are_delivered(3, 2, |frame| {
        frame[23] == 2 && frame[38] == 0x22 && frame[46..] == [3, 0, 0, 0, 239, 1, 2, 3]
    });
}

#[test]
fn a_bridge_that_speaks_older_versions_delivers_what_sockets_hear() {
    groups_are_delivered(2, 1, |frame| {
        frame[23] == 2 && frame[38] == 0x17 && frame[42..] == [239, 1, 2, 3]
    });
}
