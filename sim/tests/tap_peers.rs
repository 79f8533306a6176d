//! Other people's TCP against `sim tap`: lwIP, and libslirp, which is the other end of
//! QEMU's user networking. Transfers drawn from a seed, bulk both ways, half-closes,
//! slow readers and random pauses; every byte comes back, and then a clean end. The
//! kernel's TCP: `tap_streams.rs`.
//!
//! Each has a TAP of its own, and a bridge joins it to that of `sim`. The seed is printed,
//! and another one is `CYGNET_SEED=N`. They need root, and a compiler with lwIP's headers
//! (Debian's `liblwip-dev`), or QEMU; see `netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

mod folder;
mod netns;
mod transfers;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use folder::Folder;
use netns::{LONG, Netns, Sim, connect, skip, text};
use transfers::{Server, asked};

const SERVE: &str = "--slots 16 --backlog 16 --serve echo:7 discard:9 chargen:19 \
    --format json --log warn";

/// Joins the TAP of `sim` to a new one of this name.
fn bridge(netns: &Netns, tap: &str) {
    netns.does(&format!("ip tuntap add dev {tap} mode tap"));
    netns.does("ip link add name bridge0 type bridge");
    for port in ["cyg0", tap] {
        netns.does(&format!("ip link set {port} master bridge0"));
        netns.does(&format!("ip link set {port} up"));
    }
    netns.does("ip link set bridge0 up");
}

/// `peers/lwip.c`, compiled into this folder. `None`, after [`skip`], where that is
/// impossible.
fn lwip(folder: &Folder) -> Option<String> {
    if !Path::new("/usr/include/lwip/netif/tapif.h").exists() {
        skip("it needs lwIP with netif/tapif.h, Debian's liblwip-dev");
        return None;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/lwip.c");
    let program = folder.0.join("lwip");
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-Wall", "-Werror", "-I/usr/include/lwip"]);
    let done = cc.arg(source).arg("-o").arg(&program);
    let done = done.args(["-llwip", "-lpthread"]).output();
    let Ok(done) = done else {
        skip("it needs the program cc");
        return None;
    };
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{errors}");
    Some(program.to_str().unwrap().into())
}

#[test]
fn lwip_gets_every_byte_and_a_clean_end() {
    const TRANSFERS: u64 = 150;
    let folder = Folder::new("lwip");
    let Some(netns) = Netns::patient(&["cc"], 15) else {
        return;
    };
    let Some(lwip) = lwip(&folder) else { return };
    for (number, (rx, tx, offload)) in [
        (4096, 4096, "on"),
        (536, 65536, "off"),
        (1 << 20, 3000, "on"),
    ]
    .into_iter()
    .enumerate()
    {
        let words = format!("{SERVE} --ipv6 fd69::2/64 --rx {rx} --tx {tx} --offload {offload}");
        let sim = Sim::start(&netns, &words);
        bridge(&netns, "lwip");
        let seed = asked("CYGNET_SEED", 1) + number as u64;
        let start = Instant::now();
        let mut client = netns.command(&lwip);
        client.env("PRECONFIGURED_TAPIF", "lwip");
        let done = client.args([seed, TRANSFERS].map(|word| word.to_string()));
        let done = done.output().unwrap();
        let errors = String::from_utf8_lossy(&done.stderr);
        let case = format!("seed {seed}, rx {rx}, tx {tx}, offload {offload}");
        assert!(done.status.success(), "{case}: {errors}");
        println!("{case}: {} in {:.1?}", text(&done).trim(), start.elapsed());
        let table = sim.finish();
        assert_eq!(table["connections"], TRANSFERS);
        assert_eq!(table["resets"], 0);
        netns.does("ip link del bridge0");
        netns.does("ip link del lwip");
    }
}

/// QEMU, until it is dropped.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A QEMU without a machine: its user networking, with `sim` at the other end of its TAP.
/// What comes to these ports of the loopback goes to echo, discard and chargen.
fn slirp(netns: &Netns, ports: [u16; 3]) -> Qemu {
    let forward = [7, 9, 19].into_iter().zip(ports);
    let forward = forward.map(|(to, at)| format!(",hostfwd=tcp:127.0.0.1:{at}-10.0.2.15:{to}"));
    let user = format!("user,id=user{}", forward.collect::<String>());
    let mut qemu = Command::new("qemu-system-arm");
    qemu.args("-M none -nodefaults -display none -monitor none".split(' '));
    qemu.args(["-netdev", &user]);
    for netdev in [
        "tap,id=tap,ifname=slirp,script=no,downscript=no,vnet_hdr=off",
        "hubport,id=one,hubid=0,netdev=user",
        "hubport,id=two,hubid=0,netdev=tap",
    ] {
        qemu.args(["-netdev", netdev]);
    }
    qemu.stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut qemu = Qemu(netns.inside(|| qemu.spawn().unwrap()));
    let start = Instant::now();
    while netns.inside(|| connect("127.0.0.1", ports[0])).is_err() {
        let ended = qemu.0.try_wait().unwrap();
        assert!(ended.is_none() && start.elapsed() < LONG, "{ended:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    qemu
}

#[test]
fn libslirp_passes_on_every_byte_and_a_clean_end() {
    const TRANSFERS: u32 = 100;
    let Some(netns) = Netns::new(&["qemu-system-arm"]) else {
        return;
    };
    let seed = asked("CYGNET_SEED", 1);
    for (number, (rx, tx, offload)) in (0..).zip([
        (4096, 4096, "on"),
        (536, 65536, "off"),
        (1 << 20, 3000, "on"),
    ]) {
        let words = format!(
            "{SERVE} --ip 10.0.2.15/24 --host-ip 10.0.2.99/24 --rx {rx} --tx {tx} \
             --offload {offload}"
        );
        let sim = Sim::start(&netns, &words);
        bridge(&netns, "slirp");
        let ports = [7007, 7009, 7019];
        let qemu = slirp(&netns, ports);
        let start = Instant::now();
        let sum = netns.inside(|| {
            let server = Server {
                ips: &["127.0.0.1"],
                ports,
                rx,
                // libslirp lets hardly any connection wait, and the kernel resets more.
                clients: 2,
            };
            transfers::run(&server, seed, number * TRANSFERS..(number + 1) * TRANSFERS)
        });
        let case = format!("seed {seed}, rx {rx}, tx {tx}, offload {offload}");
        println!("{case}: {sum:?} in {:.1?}", start.elapsed());
        let table = sim.finish();
        assert_eq!(sum.done + sum.given_up, TRANSFERS);
        let resets = table["resets"].as_u64();
        assert!(resets <= Some(sum.given_up.into()), "{table}");
        drop(qemu);
        netns.does("ip link del bridge0");
        netns.does("ip link del slirp");
    }
}
