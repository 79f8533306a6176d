//! `sim tap --dhcp` in a namespace of the test's own: with dnsmasq it takes the address that
//! it is given and serves there; without a server it takes the one it was told.
//!
//! Needs root; see `netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

mod folder;
mod netns;

use std::process::{Child, Stdio};
use std::time::Instant;

use folder::Folder;
use netns::{LONG, Netns, Sim, connect, echo, no_tap_is_left};

/// A program that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

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
        std::thread::sleep(std::time::Duration::from_millis(20));
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
