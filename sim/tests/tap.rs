//! A TAP for real, each test in a network namespace of its own. They need root;
//! see `netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

mod netns;

use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cygnet::Platform;
use cygnet_sim::capture::{Capture, CaptureFile, Epoch};
use cygnet_sim::host::HostPlatform;
use cygnet_sim::offload::Offload;
use cygnet_sim::tap::{Tap, TapError};
use netns::Netns;
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Device, RxToken};
use smoltcp::time::{Duration as Micros, Instant};
use smoltcp::wire::{EthernetAddress, EthernetFrame, IpCidr, Ipv4Packet, TcpPacket};

fn ip(command: &str) {
    let done = Command::new("ip")
        .args(command.split(' '))
        .status()
        .unwrap();
    assert!(done.success(), "ip {command}");
}

fn cidrs(list: &[&str]) -> Vec<IpCidr> {
    list.iter().map(|cidr| cidr.parse().unwrap()).collect()
}

#[test]
fn ping_is_answered_over_both_versions_of_ip() {
    let Some(netns) = Netns::new(&["ping"]) else {
        return;
    };
    netns.inside(ping_is_answered);
}

fn ping_is_answered() {
    let hosts = cidrs(&["192.168.69.1/24", "fd69::1/64"]);
    let tap = Tap::create("cygping", &hosts, Offload::On).unwrap();
    let path = std::env::var("CYGNET_PCAP").unwrap_or("/dev/null".into());
    let file = CaptureFile::create(Path::new(&path), "cygping", Epoch::wall_now()).unwrap();
    let mut host = HostPlatform::new(Capture::new(tap, file)).unwrap();

    let mac = EthernetAddress([2, 0x63, 0x79, 0x67, 0, 1]);
    let now = host.now();
    let mut interface = Interface::new(Config::new(mac.into()), host.device(), now);
    interface.update_ip_addrs(|ips| {
        ips.extend(cidrs(&["192.168.69.2/24", "fd69::2/64"]));
    });
    for address in ["192.168.69.2", "fd69::2"] {
        let mut ping = Command::new("ping")
            .args(["-c", "5", "-i", "0.05", "-W", "1", "-s", "1400", address])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut turns = 0;
        let status = loop {
            let now = host.now();
            let mut sockets = SocketSet::new(&mut [][..]);
            while interface.poll_ingress_single(now, host.device(), &mut sockets)
                != smoltcp::iface::PollIngressSingleResult::None
            {}
            interface.poll_egress(now, host.device(), &mut sockets);
            if let Some(status) = ping.try_wait().unwrap() {
                break status;
            }
            turns += 1;
            assert!(turns < 1_000, "waiting does not wait");
            host.wait(Some(now + Micros::from_millis(50)));
        };
        assert!(status.success(), "ping {address}");
    }
    let mut capture = host.into_device();
    assert!(capture.finish().unwrap() >= 20);
    let stats = capture.get_ref().stats();
    assert!(
        stats.rx_frames >= 10 && stats.tx_frames >= 10 && stats.tx_dropped == 0,
        "{stats:?}"
    );
    assert!(matches!(
        Tap::attach("cygping", &[], Offload::On),
        Err(TapError::Busy { .. })
    ));
    assert!(matches!(
        Tap::create("cygping", &[], Offload::On),
        Err(TapError::Exists { .. })
    ));
    let twice = Tap::create("cygtwice", &hosts, Offload::On);
    assert!(matches!(twice, Err(TapError::AddressInUse { .. })));
    drop(capture);
    for name in ["cygping", "cygtwice"] {
        assert!(is_gone(name), "{name} is left");
    }
}

/// A client that comes the moment a TAP was made speaks from the address it was given.
#[test]
fn an_address_of_the_host_can_be_used_at_once() {
    let Some(netns) = Netns::new(&[]) else {
        return;
    };
    netns.inside(|| {
        let hosts = cidrs(&["192.168.69.1/24", "fd69::1/64"]);
        for round in 0..50 {
            let tap = Tap::create("cygonce", &hosts, Offload::On).unwrap();
            let client = UdpSocket::bind("[::]:0").unwrap();
            client.connect("[fd69::2]:7").unwrap();
            let from = client.local_addr().unwrap().ip();
            assert_eq!(from.to_string(), "fd69::1", "round {round}");
            drop(tap);
            assert!(is_gone("cygonce"));
        }
    });
}

/// Whether a TAP went with its last descriptor. A program that another test is
/// just starting has a copy of it for a moment, between fork and exec.
fn is_gone(name: &str) -> bool {
    (0..1000).any(|_| {
        let again = Tap::attach(name, &[], Offload::On);
        let gone = matches!(again, Err(TapError::NotFound(_)));
        if !gone {
            std::thread::sleep(Duration::from_millis(5));
        }
        gone
    })
}

/// Attaches to a TAP that was open just now, once nobody has it open: see
/// [`is_gone`].
fn attach_again(name: &str, offload: Offload) -> Tap {
    for _ in 0..4000 {
        match Tap::attach(name, &[], offload) {
            Err(TapError::Busy { .. }) => std::thread::sleep(Duration::from_millis(5)),
            attached => return attached.unwrap(),
        }
    }
    panic!("{name} stays busy");
}

#[test]
fn each_refusal_says_what_it_is() {
    let Some(netns) = Netns::new(&[]) else {
        return;
    };
    netns.inside(each_refusal);
}

fn each_refusal() {
    assert!(matches!(
        Tap::attach("lo", &[], Offload::On),
        Err(TapError::NotATap { .. })
    ));
    ip("tuntap add dev cygdown mode tap");
    assert!(matches!(
        Tap::attach("cygdown", &[], Offload::On),
        Err(TapError::Down { .. })
    ));
    ip("link set cygdown up");
    let tap = attach_again("cygdown", Offload::On);
    let mut host = HostPlatform::new(tap).unwrap();
    // Taken away while open: one wait ends, later ones sleep.
    ip("link del cygdown");
    while !host.device_gone() {
        let now = host.now();
        while host.device().receive(now).is_some() {}
        host.wait(Some(now + Micros::from_secs(5)));
        assert!(host.now() < now + Micros::from_secs(5));
    }
    assert!(host.stop_flag().is_set());
    assert!(host.device().receive(Instant::ZERO).is_none());
    let two = cidrs(&["10.9.0.1/24", "10.9.1.1/24"]);
    assert!(matches!(
        Tap::create("cygtwo", &two, Offload::On),
        Err(TapError::AddressMalformed { .. })
    ));
    assert!(matches!(
        Tap::attach("cygtwo", &[], Offload::On),
        Err(TapError::NotFound(_))
    ));
}

/// A persistent TAP remembers which offloads its last user had. The same SYN of
/// the kernel, read with offload and then by us, has its checksum finished only
/// if we cleared them.
#[test]
fn a_tap_that_remembers_offloads_is_cleared() {
    let Some(netns) = Netns::new(&[]) else {
        return;
    };
    netns.inside(offloads_are_cleared);
}

fn offloads_are_cleared() {
    ip("tuntap add dev cygoff mode tap");
    ip("addr add 10.8.0.1/24 dev cygoff");
    ip("link set cygoff up");
    ip("neigh add 10.8.0.2 lladdr 02:63:79:67:00:01 dev cygoff");
    // Again and again: what the kernel sends before it has noticed that somebody
    // opened the interface is lost.
    let connect = || {
        let seen = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&seen);
        let kernel = std::thread::spawn(move || {
            let peer = "10.8.0.2:7".parse().unwrap();
            while !stop.load(Ordering::Relaxed) {
                TcpStream::connect_timeout(&peer, Duration::from_millis(300)).unwrap_err();
            }
        });
        (kernel, seen)
    };
    {
        let offload = tun_rs::DeviceBuilder::new()
            .name("cygoff")
            .layer(tun_rs::Layer::L2)
            .inherit_enable_state()
            .with(|linux| {
                linux.offload(true);
            })
            .build_sync()
            .unwrap();
        let (kernel, seen) = connect();
        let mut frame = [0; 2048];
        let needs_checksum = loop {
            let length = offload.recv(&mut frame).unwrap();
            if let Some(finished) = syn_checksum(&frame[10..length]) {
                assert!(
                    !finished,
                    "the kernel did not offload; this test shows nothing"
                );
                break frame[0] & 1 == 1; // VIRTIO_NET_HDR_F_NEEDS_CSUM
            }
        };
        assert!(needs_checksum);
        seen.store(true, Ordering::Relaxed);
        kernel.join().unwrap();
    }
    let tap = attach_again("cygoff", Offload::Off);
    let mut host = HostPlatform::new(tap).unwrap();
    let (kernel, seen) = connect();
    loop {
        let now = host.now();
        let frame = host
            .device()
            .receive(now)
            .map(|(rx, _tx)| rx.consume(syn_checksum));
        match frame {
            Some(Some(finished)) => break assert!(finished, "offload was left on"),
            Some(None) => {}
            None => host.wait(Some(now + Micros::from_millis(100))),
        }
    }
    seen.store(true, Ordering::Relaxed);
    kernel.join().unwrap();
    ip("link del cygoff");
}

/// Whether the checksum of a TCP segment is right; `None` for other frames.
fn syn_checksum(frame: &[u8]) -> Option<bool> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
    if ip.next_header() != smoltcp::wire::IpProtocol::Tcp {
        return None;
    }
    let (from, to) = (ip.src_addr().into(), ip.dst_addr().into());
    Some(
        TcpPacket::new_checked(ip.payload())
            .ok()?
            .verify_checksum(&from, &to),
    )
}

/// Runs itself again as nobody, who has neither the TAP nor the right to make one.
#[test]
fn without_permission_the_commands_are_shown() {
    if std::env::var_os("CYGNET_AS_NOBODY").is_some() {
        return as_nobody();
    }
    let Some(netns) = Netns::new(&["setpriv"]) else {
        return;
    };
    netns.inside(|| {
        ip("tuntap add dev cygroot mode tap user root");
        ip("tuntap add dev cyguser mode tap user nobody");
        ip("link set cyguser up");
        let user = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
        let again = Command::new("setpriv")
            .args(user)
            .arg("--bounding-set=-all")
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "without_permission_the_commands_are_shown"])
            .env("CYGNET_AS_NOBODY", "1")
            .output()
            .unwrap();
        assert!(again.status.success(), "{}", netns::text(&again));
    });
}

fn as_nobody() {
    let hosts = cidrs(&["192.168.69.1/24"]);
    for refused in [
        Tap::attach("cygroot", &hosts, Offload::On),
        Tap::create("cygnew", &hosts, Offload::On),
    ] {
        let text = refused.err().unwrap().to_string();
        println!("{text}");
        assert!(text.starts_with("no permission to use the TAP"), "{text}");
        assert!(text.contains("mode tap user nobody\n"), "{text}");
        assert!(
            text.contains("\n  sudo ip addr add 192.168.69.1/24 dev cyg"),
            "{text}"
        );
    }
    // With the driver open to everybody, as usual, one's own TAP needs no privilege.
    if std::fs::File::open("/dev/net/tun").is_ok() {
        assert!(Tap::attach("cyguser", &hosts, Offload::On).is_ok());
    }
    let missing = Tap::attach("cygnew", &hosts, Offload::On)
        .err()
        .unwrap()
        .to_string();
    println!("{missing}");
}
