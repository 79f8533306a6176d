//! What it costs to refuse: a flood of SYNs, 64 a turn, that are answered by a
//! cookie each or dropped.

use ::cygnet::event::Counters;
use ::cygnet::{Backlog, Config, Node, turns};
use smoltcp::phy::{ChecksumCapabilities, TxToken};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    IpAddress, IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr,
    TcpSeqNumber,
};

use crate::cygnet::{self, PARKED, Server};
use contest::link::link;
use contest::world::server_turn;

/// An Ethernet header: to the server, from elsewhere, IPv4.
const LINK: [u8; 14] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 254, 8, 0];

fn host(slots: usize, cookies: bool) -> Node<'static> {
    let mut config = Config::new([2, 0, 0, 0, 0, 1], [1; 16]);
    config.cookies = cookies;
    cygnet::host(&config, (slots, 256), (1, 1024)).expect("memory")
}

/// The `n`th SYN of the flood, from an address that does not exist.
fn syn(n: u32) -> Vec<u8> {
    let source = Ipv4Address::new(198, 18 + (n >> 16 & 1) as u8, (n >> 8) as u8, n as u8);
    let destination = Ipv4Address::new(10, 0, 0, 1);
    let tcp = TcpRepr {
        src_port: 1024 + n as u16 % 40_000,
        dst_port: 7,
        control: TcpControl::Syn,
        seq_number: TcpSeqNumber(n as i32),
        ack_number: None,
        window_len: 64_240,
        window_scale: Some(7),
        max_seg_size: Some(1460),
        sack_permitted: true,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let ip = Ipv4Repr {
        src_addr: source,
        dst_addr: destination,
        next_header: IpProtocol::Tcp,
        payload_len: tcp.buffer_len(),
        hop_limit: 64,
    };
    let mut bytes = LINK.to_vec();
    bytes.resize(14 + ip.buffer_len() + tcp.buffer_len(), 0);
    let checksums = ChecksumCapabilities::default();
    ip.emit(&mut Ipv4Packet::new_unchecked(&mut bytes[14..]), &checksums);
    let (from, to) = (IpAddress::from(source), IpAddress::from(destination));
    tcp.emit(
        &mut TcpPacket::new_unchecked(&mut bytes[34..]),
        &from,
        &to,
        &checksums,
    );
    bytes
}

/// Fills the slots and the queue of SYNs that wait for one, and then counts `syns`
/// more. Gives how many
/// were answered by a cookie, and how many were dropped.
pub fn count(slots: usize, cookies: bool, syns: u32) -> (u64, u64) {
    let node = host(slots, cookies);
    let listen = async move {
        let listener = node.listen(7, Backlog(u16::MAX)).expect("port 7");
        while listener.accept().await.is_ok() {}
    };
    assert!(node.spawn(listen).is_ok(), "a task");
    let (mut here, mut there) = link();
    let mut now = Instant::ZERO;
    turns(node, |turns| {
        let crowd = slots as u32 + PARKED as u32;
        for n in 0..crowd {
            let frame = syn(n);
            there
                .sender()
                .consume(frame.len(), |room| room.copy_from_slice(&frame));
            turns.turn(&mut here, now);
            while let Some((seen, _)) = there.tokens() {
                seen.take(|_| ());
            }
        }
        now += Duration::from_secs(1);
        turns.turn(&mut here, now);
        while let Some((seen, _)) = there.tokens() {
            seen.take(|_| ());
        }
        let before = node.counters();
        for first in (crowd..crowd + syns).step_by(64) {
            for n in first..first + 64 {
                let frame = syn(n);
                there
                    .sender()
                    .consume(frame.len(), |room| room.copy_from_slice(&frame));
            }
            now += Duration::from_micros(1);
            server_turn(&mut Server(turns), &mut here, now);
            while let Some((seen, _)) = there.tokens() {
                seen.take(|_| ());
            }
        }
        let after = node.counters();
        let dropped = |counters: Counters| counters.dropped.iter().sum::<u64>();
        (
            after.cookies_given - before.cookies_given,
            dropped(after) - dropped(before),
        )
    })
}
