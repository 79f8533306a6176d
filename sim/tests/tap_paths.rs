//! Paths narrower than the link: two routers, which are namespaces, whose links take
//! 1,400 and 1,280 bytes, between `sim tap` and clients that believe in 1,500. What is
//! too big is told, or swallowed; downloads of 10 MiB finish. And 100,000 messages about
//! a narrow path that nobody sent for a reason change nothing.
//!
//! Needs root and nft; see `netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

mod netns;
mod transfers;

use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use netns::{Netns, Sim, V4, V6, connect, connect_narrow, echo, no_tap_is_left};
use transfers::{Server, Transfer};

const DOWNLOAD: usize = 10 << 20;

/// Three namespaces in a row. The first has the TAP and passes on what fits into 1,400
/// bytes, the second what fits into 1,280; a client in the second has the first between
/// itself and `sim`, one in the third has both.
fn routers() -> Option<[Netns; 3]> {
    let first = Netns::patient(&["nft"], 10)?;
    let all = [first, Netns::new(&[])?, Netns::new(&[])?];
    for (number, mtu) in [(1, 1400), (2, 1280)] {
        let (near, far) = (&all[number - 1], &all[number]);
        near.does(&format!(
            "ip link add south type veth peer name north netns {}",
            far.name()
        ));
        for (netns, link, end) in [(near, "south", 1), (far, "north", 2)] {
            netns.does(&format!("ip addr add 10.69.{number}.{end}/24 dev {link}"));
            let six = format!("fd69:{number}::{end}/64");
            netns.does(&format!("ip addr add {six} dev {link} nodad"));
            netns.does(&format!("ip link set {link} up"));
        }
        // The other end goes on believing in 1,500.
        near.does(&format!("ip link set south mtu {mtu}"));
        far.does(&format!("ip route add default via 10.69.{number}.1"));
        far.does(&format!("ip route add default via fd69:{number}::1"));
        near.inside(|| {
            for forward in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                std::fs::write(format!("/proc/sys/net/{forward}"), "1").unwrap();
            }
        });
    }
    all[0].does("ip route add 10.69.2.0/24 via 10.69.1.2");
    all[0].does("ip route add fd69:2::/64 via fd69:1::2");
    Some(all)
}

fn start(netns: &Netns, offload: &str) -> Sim {
    let words = format!(
        "--slots 8 --rx 64KiB --tx 64KiB --ipv6 fd69::2/64 --gateway 192.168.69.1 \
         --gateway fd69::1 --offload {offload} --serve echo:7 discard:9 chargen:19 \
         --format json --log warn"
    );
    Sim::start(netns, &words)
}

/// 10 MiB from behind one router and from behind both, over both versions of IP.
fn downloads_finish(all: &[Netns; 3], offload: &str) {
    let sim = start(&all[0], offload);
    let download = &|routers: usize, ip: &str| {
        let begun = Instant::now();
        let got = all[routers].inside(|| {
            let server = Server {
                ips: &[ip],
                ports: [7, 9, 19],
                rx: 64 << 10,
                clients: 1,
            };
            Transfer::download(DOWNLOAD).run(&server)
        });
        let case = format!("offload {offload}, {routers} routers, {ip}");
        let got = got.unwrap_or_else(|why| panic!("{case}: {why}"));
        println!("{case}: {got} bytes in {:.1?}", begun.elapsed());
        assert!(got >= DOWNLOAD, "{case}: {got} bytes");
    };
    std::thread::scope(|scope| {
        for routers in [1, 2] {
            for ip in [V4, V6] {
                scope.spawn(move || download(routers, ip));
            }
        }
    });
    let table = sim.finish();
    assert_eq!(table["connections"], 4);
    assert_eq!(table["resets"], 0);
    no_tap_is_left(&all[0]);
}

#[test]
fn ten_mebibytes_come_through_links_of_1400_and_1280_that_say_so() {
    for offload in ["on", "off"] {
        let Some(all) = routers() else { return };
        all[0].does("nft add table inet cygnet");
        all[0].does("nft add chain inet cygnet forward { type filter hook forward priority 0 ; }");
        all[0].does("nft add rule inet cygnet forward oifname south meta length 1281-1400 counter");
        downloads_finish(&all, offload);
        // What the first router says is believed exactly; a segment of many packets is
        // not seen by its length.
        let rules = all[0].does("nft list ruleset");
        let long = rules.split("counter packets ").nth(1);
        let long = long.and_then(|rest| rest.split(' ').next()?.parse::<u32>().ok());
        println!("{long:?} packets of 1,281 to 1,400 bytes");
        assert!(offload == "on" || long > Some(10_000), "{rules}");
        for netns in &all[..2] {
            for told in ["IcmpMsgOutType3", "Icmp6OutPktTooBigs"] {
                assert!(netns.counted(told) > 0, "nothing was too big: {told}");
            }
        }
    }
}

#[test]
fn ten_mebibytes_come_through_links_of_1400_and_1280_that_say_nothing() {
    let Some(all) = routers() else { return };
    for netns in &all[..2] {
        netns.does("nft add table inet cygnet");
        netns.does("nft add chain inet cygnet output { type filter hook output priority 0 ; }");
        for kind in [
            "icmp type destination-unreachable",
            "icmpv6 type packet-too-big",
        ] {
            netns.does(&format!(
                "nft add rule inet cygnet output {kind} counter drop"
            ));
        }
    }
    downloads_finish(&all, "on");
    // What is found out fits through the second one, too.
    let rules = all[0].does("nft list ruleset");
    assert_eq!(rules.matches("counter packets").count(), 2, "{rules}");
    let some = !rules.contains("counter packets 0 ");
    assert!(some, "nothing was swallowed: {rules}");
}

/// Messages about a flow that has nothing on its way, with sequence numbers from
/// everywhere, and about flows that are not. The flow sends segments as long as before.
#[test]
fn a_hundred_thousand_forged_messages_change_nothing() {
    const FORGED: u64 = 100_000;
    let Some(netns) = Netns::new(&["python3"]) else {
        return;
    };
    let sim = start(&netns, "off");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tap_paths/forge.py");
    netns.inside(|| {
        // What it may send at once has come, and nothing is read.
        let mut stuck = [V4, V6].map(|ip| connect_narrow(ip, 19, 16 << 10).unwrap());
        let mut first = [0; 74];
        for stream in &mut stuck {
            stream.read_exact(&mut first).unwrap();
        }
        let ports = stuck.each_ref().map(|it| it.local_addr().unwrap().port());
        let forged = std::thread::scope(|scope| {
            let forger = scope.spawn(|| {
                let words = format!("{} {} {} {FORGED}", script.display(), ports[0], ports[1]);
                netns.does(&format!("python3 {words}"))
            });
            let mut served = 0;
            while !forger.is_finished() {
                let mut honest = connect(V4, 7).unwrap();
                echo(&mut honest, b"swan").unwrap();
                served += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            println!("{served} honest clients were served meanwhile");
            forger.join().unwrap()
        });
        assert_eq!(forged.trim(), FORGED.to_string());
        for stream in &mut stuck {
            let mut left = DOWNLOAD;
            let mut piece = vec![0; 64 << 10];
            while left > 0 {
                let count = stream.read(&mut piece).unwrap();
                assert!(count > 0, "{left} bytes are missing");
                left = left.saturating_sub(count);
            }
            stream.write_all(b"enough").unwrap();
        }
    });
    let table = sim.finish();
    println!("{table}");
    assert!(
        table["frames_in"].as_u64() > Some(FORGED * 9 / 10),
        "{table}"
    );
    let bytes = table["bytes_out"].as_u64().unwrap();
    let frames = table["frames_out"].as_u64().unwrap();
    // Believed, most would be shorter than 600; those of the honest are short.
    assert!(bytes / frames > 1_000, "shorter segments: {table}");
    no_tap_is_left(&netns);
}
