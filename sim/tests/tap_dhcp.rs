//! `sim tap --dhcp` in a namespace of the test's own: with dnsmasq and kea it takes the address that
//! it is given and serves there; without a server it takes the one it was told.
//!
//! Needs root; see `netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

mod folder;
mod netns;

use std::process::Stdio;
use std::time::{Duration, Instant};

use folder::Folder;
use netns::{Ends, LONG, Netns, Sim, connect, echo, no_tap_is_left};

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
    let Some(netns) = Netns::new(&["dnsmasq"]) else {
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
    sim.finish();
    no_tap_is_left(&netns);
}

#[test]
fn without_a_server_the_fallback_is_served() {
    let Some(netns) = Netns::new(&[]) else {
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
    let leases = folder.0.join("leases.csv");
    let config = format!(
        r#"{{ "Dhcp4": {{
            "interfaces-config": {{ "interfaces": ["cyg0"] }},
            "lease-database": {{ "type": "memfile", "name": "{}" }},
            "valid-lifetime": 12, "renew-timer": 4, "rebind-timer": 8,
            "subnet4": [ {{ "subnet": "192.168.69.0/24",
                "pools": [ {{ "pool": "192.168.69.50 - 192.168.69.60" }} ] }} ],
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
fn speaks(stream: &mut std::net::TcpStream) {
    echo(stream, b"swan").unwrap();
    std::thread::sleep(Duration::from_secs(1));
}

/// A lease is renewed again and again; its server dies, and another of the same leases is
/// found when all are asked; when there is none any more, the address is given up in time,
/// and the one that was told is used.
#[test]
fn a_lease_of_kea_is_renewed_rebound_and_given_up() {
    let Some(netns) = Netns::new(&["kea-dhcp4"]) else {
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
    let Some(netns) = Netns::new(&["kea-dhcp4"]) else {
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
