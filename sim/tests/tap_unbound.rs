//! `sim dig` in a namespace of the test's own, with unbound, which asks small name servers of
//! this test: one that fails, one that is silent, one whose answers do not fit a datagram.
//!
//! Needs root; see `netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

mod folder;
mod nameserver;
mod netns;

use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use folder::Folder;
use nameserver::{Ways, serve};
use netns::{Ends, LONG, Netns, Sim, no_tap_is_left};

/// unbound, at an address that this side of the TAP will have, with a zone for each server: its name, and the port of 127.0.0.1 where it is.
fn unbound(netns: &Netns, folder: &Folder, zones: &[(&str, u16)]) -> Ends {
    let mut config = format!(
        "server:\n  interface: 192.168.69.1\n  interface: 127.0.0.1\n  ip-freebind: yes\n  access-control: 0.0.0.0/0 allow\n  \
         do-not-query-localhost: no\n  chroot: \"\"\n  username: \"\"\n  pidfile: \"\"\n  \
         directory: \"{}\"\n  use-syslog: no\n  module-config: iterator\n\
         remote-control:\n  control-enable: no\n",
        folder.0.display()
    );
    for (zone, port) in zones {
        config += &format!("forward-zone:\n  name: {zone}\n  forward-addr: 127.0.0.1@{port}\n");
    }
    folder.write("unbound.conf", &config);
    let server = netns
        .command("unbound")
        .args(["-d", "-c"])
        .arg(folder.0.join("unbound.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let server = Ends(server.unwrap());
    let start = Instant::now();
    netns.inside(|| {
        while TcpStream::connect("127.0.0.1:53").is_err() {
            assert!(start.elapsed() < LONG, "unbound does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    server
}

/// What `sim dig` says of a name, and whether it ended well.
fn dig(netns: &Netns, name: &str, servers: &[&str]) -> (Vec<String>, bool) {
    let servers: String = servers.iter().map(|ip| format!(" --dns {ip}")).collect();
    let mut sim = Sim::spawn(netns, &format!("dig --create {name}{servers}"));
    let status = sim.end(LONG);
    let said = sim.stdout() + &sim.stderr();
    let lines = said.lines().filter_map(|line| line.strip_prefix(name));
    let lines = lines.map(|rest| rest.trim_start_matches([':', ' ']).to_owned());
    (lines.collect(), status.success())
}

#[test]
fn names_are_found_by_unbound_whatever_becomes_of_its_servers() {
    let Some(netns) = Netns::patient(&["unbound"], 40) else {
        return;
    };
    let folder = Folder::new("unbound");
    // Two more servers for `sim`, at addresses of their own: one that knows, one that is silent.
    netns.does("ip addr add 192.168.69.3/32 dev lo");
    netns.does("ip addr add 192.168.69.4/32 dev lo");
    let [good, fails, silent, truncates, second, mute] = netns.inside(|| {
        [
            ("127.0.0.1:5301", Ways::Knows(Ipv4Addr::new(10, 9, 9, 1))),
            ("127.0.0.1:5302", Ways::Fails),
            ("127.0.0.1:5303", Ways::Silent),
            ("127.0.0.1:5304", Ways::Truncates),
            ("192.168.69.3:53", Ways::Knows(Ipv4Addr::new(10, 9, 9, 3))),
            ("192.168.69.4:53", Ways::Silent),
        ]
        .map(|(at, ways)| serve(at, ways))
    });
    let zones = [
        ("good.", 5301),
        ("bad.", 5302),
        ("mute.", 5303),
        ("long.", 5304),
    ];
    let _server = unbound(&netns, &folder, &zones);
    let (first, both) = (&["192.168.69.1"][..], &["192.168.69.1", "192.168.69.3"][..]);

    let (said, is_good) = dig(&netns, "swan.good", both);
    assert!(is_good && said == ["is 10.9.9.1"], "{said:?}");
    assert!(good.udp() > 0);
    assert_eq!(second.udp(), 0, "the first server knows");

    // SERVFAIL of the first server does not end it.
    let (said, is_good) = dig(&netns, "swan.bad", both);
    assert!(is_good && said == ["is 10.9.9.3"], "{said:?}");
    assert!(fails.udp() > 0 && second.udp() > 0);
    let (said, is_good) = dig(&netns, "swan.bad", first);
    assert!(
        !is_good && said[0].starts_with("no server knows"),
        "{said:?}"
    );

    // unbound waits for the silent one for long: the second server is asked meanwhile.
    let (said, is_good) = dig(&netns, "swan.mute", both);
    assert!(is_good && said == ["is 10.9.9.3"], "{said:?}");
    assert!(silent.udp() > 0);
    // How long unbound itself waits before it says SERVFAIL is unbound's affair, so this one
    // asks a server that never says anything.
    let (said, is_good) = dig(&netns, "goose.good", &["192.168.69.4"]);
    assert!(
        !is_good && said[0].starts_with("no server answered"),
        "{said:?}"
    );
    assert!(mute.udp() > 1, "asked more than once");

    // unbound has asked by TCP, and is asked so: four of sixty addresses are kept.
    let (said, is_good) = dig(&netns, "swan.long", first);
    let all_of_it = said.iter().all(|line| line.starts_with("is 10.9.8."));
    assert!(is_good && said.len() == 4 && all_of_it, "{said:?}");
    assert!(truncates.udp() > 0 && truncates.tcp() > 0);
    no_tap_is_left(&netns);
}
