//! A SYN flood from addresses that never answer: the board's own answers go to
//! the gateway, which is this machine, and are dropped there.

use std::net::SocketAddrV4;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{self, AddressFamily, SendFlags, SocketType, ipproto};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

/// Sends `per_second` SYNs to `target` for that long, each from an address and a
/// port of its own out of 198.18.0.0/15, which is kept for such tests
/// (RFC 2544).
pub fn flood(target: SocketAddrV4, per_second: u32, time: Duration) -> u32 {
    let socket = net::socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::RAW));
    let socket = socket.expect("root");
    let (start, mut sent) = (Instant::now(), 0_u32);
    let whole = per_second * time.as_secs() as u32;
    while sent < whole {
        let due = (start.elapsed().as_micros() as u64 * u64::from(per_second) / 1_000_000) as u32;
        while sent < due.min(whole) {
            let packet = syn(target, sent);
            // A full queue loses some, like any network.
            let _ = net::sendto(&socket, &packet, SendFlags::empty(), &target);
            sent += 1;
        }
        thread::sleep(Duration::from_millis(1));
    }
    sent
}

fn syn(target: SocketAddrV4, number: u32) -> Vec<u8> {
    let [_, high, middle, low] = number.to_be_bytes();
    let source = Ipv4Address::new(198, 18 + (high & 1), middle, low);
    let tcp = TcpRepr {
        src_port: 1024 + (number % 60_000) as u16,
        dst_port: target.port(),
        control: TcpControl::Syn,
        seq_number: TcpSeqNumber(number as i32),
        ack_number: None,
        window_len: 65_535,
        window_scale: Some(7),
        max_seg_size: Some(1460),
        sack_permitted: true,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let ip = Ipv4Repr {
        src_addr: source,
        dst_addr: *target.ip(),
        next_header: IpProtocol::Tcp,
        payload_len: tcp.buffer_len(),
        hop_limit: 64,
    };
    let sums = ChecksumCapabilities::default();
    let mut bytes = vec![0; ip.buffer_len() + tcp.buffer_len()];
    ip.emit(&mut Ipv4Packet::new_unchecked(&mut bytes), &sums);
    tcp.emit(
        &mut TcpPacket::new_unchecked(&mut bytes[ip.buffer_len()..]),
        &source.into(),
        &(*target.ip()).into(),
        &sums,
    );
    bytes
}
