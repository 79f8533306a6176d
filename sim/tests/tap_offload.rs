//! What the kernel and we leave to each other on a TAP, against the real kernel:
//! that it happens, that no byte suffers, and that a TAP which stays behind
//! remembers nothing of it. They need root; see `netns/mod.rs`.
#![cfg(target_os = "linux")]

#[path = "../../bench/host/src/bulk.rs"]
#[allow(dead_code, reason = "how fast it was is not asked")]
mod bulk;
mod netns;

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use cygnet::Platform;
use cygnet_sim::host::HostPlatform;
use cygnet_sim::offload::Offload;
use cygnet_sim::tap::Tap;
use netns::{Netns, Sim, V4, V6, connect, echo};
use smoltcp::phy::{Device, RxToken};
use smoltcp::time::{Duration as Micros, Instant};
use smoltcp::wire::{EthernetFrame, Ipv4Packet, TcpPacket};

fn ip(command: &str) {
    let done = Command::new("ip")
        .args(command.split(' '))
        .status()
        .unwrap();
    assert!(done.success(), "ip {command}");
}

const SERVE: &str = "--ipv6 fd69::2/64 --rx 256KiB --tx 256KiB --format json \
    --serve echo:7 discard:9 chargen:19";
const LITTLE: Duration = Duration::from_millis(50);

/// Bytes of both directions over both versions of IP, compared one by one.
fn move_bytes(netns: &Netns) -> u64 {
    netns.inside(|| {
        let mut moved = 0;
        for ip in [V4, V6] {
            let server = |port| SocketAddr::new(ip.parse().unwrap(), port);
            moved += bulk::down(server(19), LITTLE).unwrap().bytes;
            moved += bulk::up(server(9), LITTLE).unwrap().bytes;
            let mut stream = connect(ip, 7).unwrap();
            for len in [1, 2, 1459, 1460, 1461, 4097, 100_001] {
                let message: Vec<u8> = (0..len).map(|i| (i * 7 + len) as u8).collect();
                echo(&mut stream, &message).unwrap();
            }
        }
        moved
    })
}

#[test]
fn segments_of_many_packets_pass_both_ways_with_the_right_bytes() {
    let Some(netns) = Netns::new(&[]) else {
        return;
    };
    let sim = Sim::start(&netns, SERVE);
    let moved = move_bytes(&netns);
    let table = sim.finish();
    for what in ["segments_in", "segments_out"] {
        assert!(table[what].as_u64() > Some(10), "{table}");
    }
    let frames = table["frames_in"].as_u64().unwrap() + table["frames_out"].as_u64().unwrap();
    assert!(moved / frames > 2 * 1460, "{moved} bytes in {table}");
    assert!(table["frames_with_a_bad_checksum"].is_null(), "{table}");
    assert!(table["frames_oversized"].is_null(), "{table}");
}

#[test]
fn without_offload_frames_are_as_on_a_wire() {
    let Some(netns) = Netns::new(&[]) else {
        return;
    };
    let sim = Sim::start(&netns, &format!("{SERVE} --offload off"));
    move_bytes(&netns);
    let table = sim.finish();
    assert!(table["segments_in"].is_null(), "{table}");
    assert!(table["segments_out"].is_null(), "{table}");
    assert!(table["frames_oversized"].is_null(), "{table}");
}

/// A TAP that stays, and a kernel that thinks it knows who is there.
fn persistent(name: &str) {
    ip(&format!("tuntap add dev {name} mode tap"));
    ip(&format!("addr add 10.8.0.1/24 dev {name}"));
    ip(&format!("link set {name} up"));
    ip(&format!(
        "neigh add 10.8.0.2 lladdr 02:63:79:67:00:01 dev {name}"
    ));
}

/// The kernel tries to connect to us, in vain.
fn knock() -> std::thread::JoinHandle<()> {
    std::thread::spawn(|| {
        let peer = "10.8.0.2:7".parse().unwrap();
        TcpStream::connect_timeout(&peer, Duration::from_millis(300)).unwrap_err();
    })
}

/// Reads a TAP as a program that knows nothing of offload does, until a SYN
/// comes, and says whether its checksum is right.
const PLAIN_READER: &str = r#"
import fcntl, os, socket, struct, time
tap = os.open("/dev/net/tun", os.O_RDWR)
while True:
    try:  # TUNSETIFF: TAP, NO_PI
        fcntl.ioctl(tap, 0x400454ca, struct.pack("16sH22x", b"cygstay", 0x1002))
        break
    except OSError as error:
        if error.errno != 16:  # EBUSY: a test beside us starts a process
            raise
        time.sleep(0.01)
knock = socket.socket()
knock.setblocking(False)
knock.connect_ex(("10.8.0.2", 7))
while True:
    ip = os.read(tap, 65536)[14:]
    if ip[0] == 0x45 and ip[9] == 6:
        break
tcp = ip[20:]
data = ip[12:20] + struct.pack("!HH", 6, len(tcp)) + tcp
total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
while total > 0xffff:
    total = (total & 0xffff) + (total >> 16)
print("right" if total == 0xffff else "wrong")
"#;

#[test]
fn a_tap_that_stays_is_left_without_offload() {
    let Some(netns) = Netns::new(&["python3"]) else {
        return;
    };
    netns.inside(|| {
        persistent("cygstay");
        let tap = Tap::attach("cygstay", &[], Offload::On).unwrap();
        assert_eq!(tap.offload(), Offload::On);
        drop(tap);
        let mut reader = Command::new("timeout");
        let reader = reader.args(["20", "python3", "-c", PLAIN_READER]).output();
        let reader = reader.unwrap();
        assert_eq!(netns::text(&reader), "right\n", "{reader:?}");
        ip("link del cygstay");
    });
}

/// Makes the header in front of frames 12 bytes long, as a hypervisor does, and
/// goes.
const LONGER_HEADER: &str = r#"
import fcntl, os, struct
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, 0x400454ca, struct.pack("16sH22x", b"cyghdr", 0x5002))  # TAP, NO_PI, VNET_HDR
fcntl.ioctl(tap, 0x400454d8, struct.pack("i", 12))  # TUNSETVNETHDRSZ
"#;

#[test]
fn a_longer_header_that_a_tap_remembers_is_found_out() {
    let Some(netns) = Netns::new(&["python3"]) else {
        return;
    };
    netns.inside(|| {
        persistent("cyghdr");
        let before = Command::new("python3").args(["-c", LONGER_HEADER]).status();
        assert!(before.unwrap().success());
        let tap = Tap::attach("cyghdr", &[], Offload::On).unwrap();
        let mut host = HostPlatform::new(tap).unwrap();
        let kernel = knock();
        let seen = |frame: &[u8]| {
            let ethernet = EthernetFrame::new_checked(frame).ok()?;
            let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
            Some(TcpPacket::new_checked(ip.payload()).ok()?.syn())
        };
        loop {
            let now = host.now();
            let frame = host.device().receive(now);
            match frame.map(|(rx, _tx)| rx.consume(seen)) {
                Some(Some(syn)) => break assert!(syn),
                Some(None) => {}
                None => {
                    host.wait(Some(now + Micros::from_millis(100)));
                    assert!(now < Instant::from_secs(60), "no SYN is seen");
                }
            }
        }
        kernel.join().unwrap();
        ip("link del cyghdr");
    });
}
