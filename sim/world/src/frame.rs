//! A frame in one line: who to whom, flags, numbers, length. Sequence numbers
//! count from the first one of their direction, as Wireshark shows them. And how
//! long a frame may be.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetFrame, EthernetProtocol, Icmpv6Packet, IpAddress,
    IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket,
};

/// The longest frame on a wire: 1500 bytes of IP and 14 of Ethernet header.
pub const MTU: usize = 1514;

/// How many directions are remembered.
const FLOWS_MAX: usize = 1 << 16;

/// The first sequence number of each direction of each connection, by sender
/// and receiver. Only looked up, never walked through, so order is no matter.
#[derive(Debug, Default)]
pub struct Sequences(HashMap<(SocketAddr, SocketAddr), i32>);

impl Sequences {
    /// The distance of `number` from the first one seen; a SYN is the first.
    fn relative(&mut self, way: (SocketAddr, SocketAddr), number: i32, syn: bool) -> u32 {
        if self.0.len() > FLOWS_MAX {
            self.0.clear(); // numbers start again; a trace may run for days
        }
        let first = self.0.entry(way).or_insert(number);
        if syn {
            *first = number;
        }
        number.wrapping_sub(*first) as u32
    }
}

/// One line about `frame`.
pub fn summary(frame: &[u8], sequences: &mut Sequences) -> String {
    let other = || format!("{} bytes", frame.len());
    let Ok(ethernet) = EthernetFrame::new_checked(frame) else {
        return other();
    };
    let payload = ethernet.payload();
    let line = match ethernet.ethertype() {
        EthernetProtocol::Arp => arp(payload),
        EthernetProtocol::Ipv4 => Ipv4Packet::new_checked(payload).ok().and_then(|packet| {
            let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
            ip(packet.next_header(), from, to, packet.payload(), sequences)
        }),
        EthernetProtocol::Ipv6 => Ipv6Packet::new_checked(payload).ok().and_then(|packet| {
            let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
            ip(packet.next_header(), from, to, packet.payload(), sequences)
        }),
        EthernetProtocol::Unknown(_) => None,
    };
    line.unwrap_or_else(other)
}

fn arp(payload: &[u8]) -> Option<String> {
    let packet = ArpPacket::new_checked(payload).ok()?;
    let ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: mac,
        source_protocol_addr: from,
        target_protocol_addr: to,
        ..
    } = ArpRepr::parse(&packet).ok()?
    else {
        return None;
    };
    Some(match operation {
        ArpOperation::Request => format!("{from} > {to}  ARP who has {to}?"),
        _ => format!("{from} > {to}  ARP {from} is at {mac}"),
    })
}

fn ip(
    protocol: IpProtocol,
    from: IpAddr,
    to: IpAddr,
    payload: &[u8],
    sequences: &mut Sequences,
) -> Option<String> {
    if protocol != IpProtocol::Tcp {
        return Some(format!("{from} > {to}  {protocol}"));
    }
    let tcp = TcpPacket::new_checked(payload).ok()?;
    let from = SocketAddr::new(from, tcp.src_port());
    let to = SocketAddr::new(to, tcp.dst_port());
    let mut flags = String::new();
    for (set, name) in [
        (tcp.syn(), "SYN"),
        (tcp.fin(), "FIN"),
        (tcp.rst(), "RST"),
        (tcp.psh(), "PSH"),
        (tcp.ack(), "ACK"),
    ] {
        if set {
            let comma = if flags.is_empty() { "" } else { "," };
            let _ = write!(flags, "{comma}{name}");
        }
    }
    let seq = sequences.relative((from, to), tcp.seq_number().0, tcp.syn());
    let mut line = format!("{from} > {to}  {flags:<7}  seq {seq}");
    if tcp.ack() {
        let ack = sequences.relative((to, from), tcp.ack_number().0, false);
        let _ = write!(line, " ack {ack}");
    }
    let (len, window) = (tcp.payload().len(), tcp.window_len());
    let _ = write!(line, " len {len} win {window}");
    Some(line)
}

/// Whether a frame's headers make no sense, or one of its checksums is wrong.
pub fn is_damaged(frame: &[u8]) -> bool {
    let Ok(ethernet) = EthernetFrame::new_checked(frame) else {
        return true;
    };
    let payload = ethernet.payload();
    match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => match Ipv4Packet::new_checked(payload) {
            Ok(packet) if packet.verify_checksum() => {
                let (from, to) = (packet.src_addr(), packet.dst_addr());
                packet.next_header() == IpProtocol::Tcp
                    && is_damaged_tcp(packet.payload(), from.into(), to.into())
            }
            _ => true,
        },
        EthernetProtocol::Ipv6 => match Ipv6Packet::new_checked(payload) {
            Ok(packet) if packet.version() == 6 => {
                let (from, to) = (packet.src_addr(), packet.dst_addr());
                match packet.next_header() {
                    IpProtocol::Tcp => is_damaged_tcp(packet.payload(), from.into(), to.into()),
                    IpProtocol::Icmpv6 => Icmpv6Packet::new_checked(packet.payload())
                        .map_or(true, |icmp| !icmp.verify_checksum(&from, &to)),
                    _ => false,
                }
            }
            _ => true,
        },
        _ => false,
    }
}

fn is_damaged_tcp(segment: &[u8], from: IpAddress, to: IpAddress) -> bool {
    TcpPacket::new_checked(segment).map_or(true, |tcp| !tcp.verify_checksum(&from, &to))
}
