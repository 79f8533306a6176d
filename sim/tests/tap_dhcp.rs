//! `sim tap --dhcp` in a namespace of the test's own: with dnsmasq and kea it takes the address that
//! it is given and serves there; without a server it takes the one it was told.
//!
//! Needs root; see `netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

mod folder;
mod netns;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use folder::Folder;
use netns::{Ends, LONG, Netns, Sim, connect, echo, frames_in, no_tap_is_left};

/// Waits until `sim` says which address it has, other than what it said before.
fn address(sim: &Sim, not: &str) -> String {
    let start = Instant::now();
    loop {
        let said = sim.stdout() + &sim.stderr();
        let mut lines = said
            .lines()
            .filter_map(|line| line.split_once("the address is "));
        if let Some((_, rest)) = lines.rfind(|(_, rest)| !rest.starts_with(not)) {
            return rest.split('/').next().unwrap().to_owned();
        }
        assert!(start.elapsed() < LONG, "no address: {said}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_address_from_dnsmasq_is_served_and_known_by_its_name() {
    let Some(netns) = Netns::patient(&["dnsmasq", "dig"], 15) else {
        return;
    };
    let folder = Folder::new("dhcp");
    let sim = Sim::start(
        &netns,
        "--dhcp --hostname kettle --serve echo:7 --format json",
    );
    let leases = folder.0.join("leases");
    let server = netns
        .command("dnsmasq")
        .args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--user=root",
        ])
        .args([
            "--no-resolv",
            "--no-hosts",
            "--interface=cyg0",
            "--bind-interfaces",
        ])
        .args([
            "--dhcp-range=192.168.69.50,192.168.69.60,2m",
            "--dhcp-authoritative",
        ])
        .args(["--domain=example", "--pid-file="])
        .arg(format!("--dhcp-leasefile={}", leases.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _server = Ends(server.unwrap());
    let leased = address(&sim, "192.168.69.2/");
    assert!(
        leased.starts_with("192.168.69.5") || leased == "192.168.69.60",
        "{leased}"
    );
    netns.inside(|| {
        let mut stream = connect(&leased, 7).unwrap();
        echo(&mut stream, b"swan").unwrap();
    });
    let known = std::fs::read_to_string(&leases).unwrap();
    assert!(
        known.contains(" kettle ") && known.contains(&leased),
        "{known}"
    );
    let found = netns.does("dig +short @192.168.69.1 kettle.example");
    assert_eq!(found.trim(), leased);
    sim.finish();
    no_tap_is_left(&netns);
}

#[test]
fn without_a_server_the_fallback_is_served() {
    let Some(netns) = Netns::patient(&[], 10) else {
        return;
    };
    let sim = Sim::start(&netns, "--dhcp --serve echo:7 --format json");
    assert_eq!(address(&sim, "nothing"), "192.168.69.2");
    netns.inside(|| {
        let mut stream = connect("192.168.69.2", 7).unwrap();
        echo(&mut stream, b"swan").unwrap();
    });
    sim.finish();
    no_tap_is_left(&netns);
}

/// kea, with leases of twelve seconds: renewed after four, rebound after eight.
fn kea(netns: &Netns, folder: &Folder) -> Ends {
    kea_of(netns, folder, "192.168.69.50 - 192.168.69.60")
}

/// The same with addresses of another pool; it refuses all others.
fn kea_of(netns: &Netns, folder: &Folder, pool: &str) -> Ends {
    let leases = folder.0.join("leases.csv");
    let config = format!(
        r#"{{ "Dhcp4": {{
            "interfaces-config": {{ "interfaces": ["cyg0"] }},
            "lease-database": {{ "type": "memfile", "name": "{}" }},
            "valid-lifetime": 12, "renew-timer": 4, "rebind-timer": 8,
            "authoritative": true,
            "subnet4": [ {{ "subnet": "192.168.69.0/24",
                "pools": [ {{ "pool": "{pool}" }} ] }} ],
            "loggers": [ {{ "name": "kea-dhcp4", "severity": "WARN",
                "output_options": [ {{ "output": "stderr" }} ] }} ] }} }}"#,
        leases.display()
    );
    folder.write("kea.json", &config);
    let server = netns
        .command("kea-dhcp4")
        .arg("-c")
        .arg(folder.0.join("kea.json"))
        .env("KEA_PIDFILE_DIR", &folder.0)
        .env("KEA_LOCKFILE_DIR", &folder.0)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Ends(server.unwrap())
}

/// A second of a connection: what is said comes back.
fn speaks(stream: &mut TcpStream) {
    echo(stream, b"swan").unwrap();
    std::thread::sleep(Duration::from_secs(1));
}

/// A lease is renewed again and again; its server dies, and another of the same leases is
/// found when all are asked; when there is none any more, the address is given up in time,
/// and the one that was told is used.
#[test]
fn a_lease_of_kea_is_renewed_rebound_and_given_up() {
    let Some(netns) = Netns::patient(&["kea-dhcp4"], 50) else {
        return;
    };
    let folder = Folder::new("kea");
    let sim = Sim::start(&netns, "--dhcp --serve echo:7 --format json");
    let server = kea(&netns, &folder);
    let leased = address(&sim, "192.168.69.2/");
    netns.inside(|| {
        let mut stream = connect(&leased, 7).unwrap();
        // Longer than one lifetime, over one connection.
        (0..14).for_each(|_| speaks(&mut stream));
        drop(server);
        // Longer than the lease would last without anybody.
        (0..5).for_each(|_| speaks(&mut stream));
        let server = kea(&netns, &folder);
        (0..8).for_each(|_| speaks(&mut stream));
        drop(server);
        let gone = Instant::now();
        let mut last = gone;
        while echo(&mut stream, b"swan").is_ok() {
            last = Instant::now();
            assert!(gone.elapsed() < LONG, "it is used for ever");
            std::thread::sleep(Duration::from_millis(100));
        }
        let used = last - gone;
        assert!(
            used < Duration::from_secs(13),
            "used for {used:?} without a server"
        );
    });
    let again = address(&sim, "192.168.69.5");
    assert_eq!(again, "192.168.69.2");
    sim.finish();
    no_tap_is_left(&netns);
}

/// Somebody else has the address that the server gives: it is declined, and another used.
#[test]
fn an_address_that_somebody_has_is_declined() {
    let Some(netns) = Netns::patient(&["kea-dhcp4"], 20) else {
        return;
    };
    let folder = Folder::new("declined");
    let sim = Sim::start(&netns, "--dhcp --serve echo:7 --format json");
    netns.does("ip addr add 192.168.69.50/32 dev cyg0");
    let _server = kea(&netns, &folder);
    let leased = address(&sim, "192.168.69.2/");
    assert_ne!(leased, "192.168.69.50");
    netns.inside(|| {
        let mut stream = connect(&leased, 7).unwrap();
        echo(&mut stream, b"swan").unwrap();
    });
    // kea marks it: nobody gets it for a day.
    let known = std::fs::read_to_string(folder.0.join("leases.csv")).unwrap();
    let declined = known
        .lines()
        .rfind(|line| line.starts_with("192.168.69.50,"));
    assert!(
        declined.is_some_and(|line| line.ends_with(",1,") || line.contains(",1,")),
        "{known}"
    );
    sim.finish();
    no_tap_is_left(&netns);
}

/// What a client of DHCP says in a frame, if it is one's: the kind of its message, whether it
/// has an address, and whether it names a server.
fn said(frame: &[u8]) -> Option<(u8, bool, bool)> {
    // Ethernet 14, IPv4 20, UDP 8, DHCP 240 before its options.
    let is_clients = frame.get(34..38)? == [0, 68, 0, 67] && frame[23] == 17;
    let (mut options, mut kind, mut names_server) = (frame.get(282..)?, 0, false);
    while let [option @ 1..=254, length, rest @ ..] = options {
        let (value, rest) = rest.split_at(usize::from(*length));
        match option {
            53 => kind = value[0],
            54 => names_server = true,
            _ => (),
        }
        options = rest;
    }
    is_clients.then_some((kind, frame[54..58] != [0; 4], names_server))
}

/// The link was down: the lease is asked for again as one that may still hold (RFC 2131,
/// 3.2), and what is open goes on.
#[test]
fn a_lease_of_kea_is_confirmed_when_the_link_comes_up() {
    let Some(netns) = Netns::patient(&["kea-dhcp4"], 10) else {
        return;
    };
    let folder = Folder::new("confirmed");
    let capture = folder.0.join("run.pcapng");
    let words = "--dhcp --serve echo:7 --format json --log info --pcap";
    let sim = Sim::start(&netns, &format!("{words} {}", capture.display()));
    let _server = kea(&netns, &folder);
    let leased = address(&sim, "192.168.69.2/");
    netns.inside(|| {
        let mut stream = connect(&leased, 7).unwrap();
        for _ in 0..2 {
            echo(&mut stream, b"swan").unwrap();
            netns.does("ip link set cyg0 down");
            std::thread::sleep(Duration::from_millis(300));
            netns.does("ip link set cyg0 up");
        }
        speaks(&mut stream);
    });
    sim.finish();
    let frames = frames_in(&capture);
    let said: Vec<_> = frames.iter().filter_map(|frame| said(frame)).collect();
    let (discover, request) = (1, 3);
    let confirms = said
        .iter()
        .filter(|it| **it == (request, false, false))
        .count();
    assert_eq!(confirms, 2, "{said:?}");
    let first = said.iter().position(|it| *it == (request, false, true));
    let behind = &said[first.expect("it has asked one server")..];
    assert!(behind.iter().all(|it| it.0 != discover), "{said:?}");
    no_tap_is_left(&netns);
}

/// A download from one address, while the host gets another: what is open goes on from the
/// old one, to its last byte.
#[test]
fn a_download_outlives_a_change_of_address() {
    let Some(netns) = Netns::patient(&["kea-dhcp4"], 20) else {
        return;
    };
    let folder = Folder::new("download");
    let sim = Sim::start(&netns, "--dhcp --serve echo:7 --format json");
    assert_eq!(address(&sim, "nothing"), "192.168.69.2");
    netns.inside(|| {
        let byte = |at: u32| (at.wrapping_mul(at) >> 7) as u8;
        let sent: Vec<u8> = (0..8 << 20).map(byte).collect();
        let mut stream = connect("192.168.69.2", 7).unwrap();
        std::thread::scope(|scope| {
            let mut there = stream.try_clone().unwrap();
            let sent = &sent;
            scope.spawn(move || {
                there.write_all(sent).unwrap();
                there.shutdown(Shutdown::Write).unwrap();
            });
            let mut heard = vec![0; 4 << 20];
            stream.read_exact(&mut heard).unwrap();
            let _server = kea(&netns, &folder);
            let leased = address(&sim, "192.168.69.2/");
            // Who comes now is served at the new one.
            echo(&mut connect(&leased, 7).unwrap(), b"swan").unwrap();
            stream.read_to_end(&mut heard).unwrap();
            assert!(heard == *sent, "{} of {} bytes", heard.len(), sent.len());
            // And nobody any more at the old one.
            let gone = Instant::now();
            let old = SocketAddr::from(([192, 168, 69, 2], 7));
            while TcpStream::connect_timeout(&old, Duration::from_millis(300)).is_ok() {
                assert!(gone.elapsed() < LONG, "the old address is used for ever");
            }
        });
    });
    sim.finish();
    no_tap_is_left(&netns);
}

/// A server that refuses to renew a lease takes its address at once (RFC 2131, 3.2): what is
/// open from it is reset (RFC 5227, 2.4), and a new address is asked for.
#[test]
fn a_lease_that_is_refused_ends_at_once() {
    let Some(netns) = Netns::patient(&["kea-dhcp4"], 30) else {
        return;
    };
    let folder = Folder::new("refused");
    let sim = Sim::start(&netns, "--dhcp --serve echo:7 --format json");
    let server = kea(&netns, &folder);
    let leased = address(&sim, "192.168.69.2/");
    netns.inside(|| {
        let mut stream = connect(&leased, 7).unwrap();
        echo(&mut stream, b"swan").unwrap();
        drop(server);
        let _server = kea_of(&netns, &folder, "192.168.69.150 - 192.168.69.160");
        let error = loop {
            std::thread::sleep(Duration::from_millis(50));
            if let Err(error) = echo(&mut stream, b"swan") {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
        let start = Instant::now();
        let again = loop {
            let again = address(&sim, &leased);
            if again.starts_with("192.168.69.15") || again == "192.168.69.160" {
                break again;
            }
            assert!(start.elapsed() < LONG, "{again}");
        };
        echo(&mut connect(&again, 7).unwrap(), b"swan").unwrap();
    });
    sim.finish();
    no_tap_is_left(&netns);
}
