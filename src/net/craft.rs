//! Frames that nobody sent. A few things can only be said to smoltcp in its own
//! language: a challenge is drawn out of it by a segment that it must answer.
//! They are made from the headers of a frame that the peer did send, with
//! checksums, and are short.
//!
//! Not here: when they are needed.

use heapless::Vec;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, Ipv4Packet, TcpPacket, TcpSeqNumber};
#[cfg(feature = "ipv6")]
use smoltcp::wire::{IPV6_HEADER_LEN, Ipv6Packet};

use crate::net::demux::Flow;

const ETHERNET_BYTES: usize = 14;
const IPV4_BYTES: usize = 20;
const TCP_BYTES: usize = 20;

/// The longest frame made here.
const FRAME_BYTES: usize = ETHERNET_BYTES + 40 + TCP_BYTES;

pub(super) type Frame = Vec<u8, FRAME_BYTES>;

/// The headers of `frame`, a segment of `flow`, as a bare acknowledgement with
/// other numbers and nothing after it.
pub(super) fn bare_ack(
    frame: &[u8],
    flow: &Flow,
    seq: TcpSeqNumber,
    ack: TcpSeqNumber,
) -> Option<Frame> {
    let mut made = headers(frame, TCP_BYTES)?;
    let segment = segment_of(&mut made)?;
    let mut tcp = TcpPacket::new_unchecked(segment);
    tcp.set_src_port(flow.remote.port);
    tcp.set_dst_port(flow.local.port);
    tcp.set_header_len(TCP_BYTES as u8);
    tcp.clear_flags();
    tcp.set_ack(true);
    tcp.set_seq_number(seq);
    tcp.set_ack_number(ack);
    tcp.set_window_len(0);
    tcp.set_urgent_at(0);
    tcp.fill_checksum(&flow.remote.addr, &flow.local.addr);
    Some(made)
}

/// A frame between the same hosts with room for `segment` bytes of TCP.
fn headers(frame: &[u8], segment: usize) -> Option<Frame> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let mut made = Frame::new();
    made.extend_from_slice(frame.get(..ETHERNET_BYTES)?).ok()?;
    match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => {
            let from = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
            let start = made.len();
            made.resize(start + IPV4_BYTES + segment, 0).ok()?;
            let mut packet = Ipv4Packet::new_unchecked(made.get_mut(start..)?);
            packet.set_version(4);
            packet.set_header_len(IPV4_BYTES as u8);
            packet.set_total_len((IPV4_BYTES + segment) as u16);
            packet.set_hop_limit(64);
            packet.set_next_header(from.next_header());
            packet.set_src_addr(from.src_addr());
            packet.set_dst_addr(from.dst_addr());
            packet.fill_checksum();
        }
        #[cfg(feature = "ipv6")]
        EthernetProtocol::Ipv6 => {
            let from = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
            let start = made.len();
            made.resize(start + IPV6_HEADER_LEN + segment, 0).ok()?;
            let mut packet = Ipv6Packet::new_unchecked(made.get_mut(start..)?);
            packet.set_version(6);
            packet.set_payload_len(segment as u16);
            packet.set_hop_limit(64);
            packet.set_next_header(from.next_header());
            packet.set_src_addr(from.src_addr());
            packet.set_dst_addr(from.dst_addr());
        }
        _ => return None,
    }
    Some(made)
}

/// The TCP segment in a frame made here.
fn segment_of(frame: &mut Frame) -> Option<&mut [u8]> {
    let start = match frame.get(12..14)? {
        [0x08, 0x00] => ETHERNET_BYTES + IPV4_BYTES,
        _ => ETHERNET_BYTES + 40,
    };
    frame.get_mut(start..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::demux::{Control, Route, demux};
    use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, IpEndpoint};

    #[test]
    fn a_bare_ack_is_a_segment_of_the_flow() {
        check(IpAddress::v4(10, 0, 0, 1), IpAddress::v4(10, 0, 0, 9));
        #[cfg(feature = "ipv6")]
        check(
            IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 1),
            IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 9),
        );
    }

    fn check(us: IpAddress, peer: IpAddress) {
        let flow = Flow {
            local: IpEndpoint::new(us, 7),
            remote: IpEndpoint::new(peer, 1000),
        };
        let mut seed = Frame::new();
        let mac = EthernetAddress([2, 0, 0, 0, 0, 1]);
        seed.extend_from_slice(mac.as_bytes()).unwrap();
        seed.extend_from_slice(&[2, 0, 0, 0, 0, 9]).unwrap();
        match (us, peer) {
            (IpAddress::Ipv4(us), IpAddress::Ipv4(peer)) => {
                seed.extend_from_slice(&[8, 0]).unwrap();
                seed.resize(54, 0).unwrap();
                let mut packet = Ipv4Packet::new_unchecked(&mut seed[14..]);
                packet.set_version(4);
                packet.set_header_len(20);
                packet.set_total_len(40);
                packet.set_next_header(smoltcp::wire::IpProtocol::Tcp);
                packet.set_src_addr(peer);
                packet.set_dst_addr(us);
            }
            #[cfg(feature = "ipv6")]
            (IpAddress::Ipv6(us), IpAddress::Ipv6(peer)) => {
                seed.extend_from_slice(&[0x86, 0xdd]).unwrap();
                seed.resize(74, 0).unwrap();
                let mut packet = Ipv6Packet::new_unchecked(&mut seed[14..]);
                packet.set_version(6);
                packet.set_payload_len(20);
                packet.set_next_header(smoltcp::wire::IpProtocol::Tcp);
                packet.set_src_addr(peer);
                packet.set_dst_addr(us);
            }
            #[cfg(feature = "ipv6")]
            _ => unreachable!(),
        }
        let made = bare_ack(&seed, &flow, TcpSeqNumber(5), TcpSeqNumber(-6)).unwrap();
        let Route::Tcp(segment) = demux(&made, mac, &[IpCidr::new(us, 24)], true) else {
            panic!("{made:?}");
        };
        assert_eq!((segment.flow, segment.control), (flow, Control::Other));
        assert_eq!((segment.seq.0, segment.ack.0), (5, -6));
        assert_eq!(segment.payload, 0);
    }

    #[test]
    fn what_is_no_segment_makes_none() {
        let flow = Flow {
            local: IpEndpoint::new(IpAddress::v4(10, 0, 0, 1), 7),
            remote: IpEndpoint::new(IpAddress::v4(10, 0, 0, 9), 7),
        };
        for len in 0..60 {
            let made = bare_ack(&[0x45; 60][..len], &flow, TcpSeqNumber(0), TcpSeqNumber(0));
            assert!(made.is_none());
        }
    }
}
