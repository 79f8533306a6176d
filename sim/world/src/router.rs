//! What a router says of a frame that is too long for the link behind it:
//! "fragmentation needed" (RFC 1191) or "packet too big" (RFC 4443), with the beginning
//! of the packet. A narrow link that [tells](super::Link::tells) says it for the router
//! that a flat network does not have.

use smoltcp::wire::{EthernetAddress, Icmpv6Message, Icmpv6Packet, Ipv6Address};
use smoltcp::wire::{EthernetFrame, EthernetProtocol, Ipv4Address, Ipv4Packet, Ipv6Packet};
use smoltcp::wire::{Icmpv4DstUnreachable, Icmpv4Message, Icmpv4Packet, IpAddress, IpProtocol};

use crate::segment::{Address, packet};

const HARDWARE: EthernetAddress = EthernetAddress([2, 0x68, 0, 0, 0, 1]);
const V4: Ipv4Address = Ipv4Address::new(10, 0, 255, 254);
const V6: Ipv6Address = Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, 0xfffe);

/// The answer to `frame`, which does not fit into an Ethernet frame of `mtu` bytes;
/// `None` when none is due.
pub(super) fn too_big(frame: &[u8], mtu: usize) -> Option<Vec<u8>> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let hardware = ethernet.src_addr();
    let mtu = mtu.checked_sub(14)?;
    match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => {
            let long = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
            if !long.dont_frag() || long.next_header() == IpProtocol::Icmp {
                return None;
            }
            let quoted = &ethernet.payload()[..usize::from(long.header_len()) + 8];
            let (from, to) = addresses(V4.into(), hardware, long.src_addr().into());
            let bytes = 8 + quoted.len();
            Some(packet(from, to, IpProtocol::Icmp, bytes, |payload, _| {
                let mut message = Icmpv4Packet::new_unchecked(payload);
                message.set_msg_type(Icmpv4Message::DstUnreachable);
                message.set_msg_code(Icmpv4DstUnreachable::FragRequired.into());
                message.data_mut().copy_from_slice(quoted);
                let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
                let bytes = message.into_inner();
                bytes[6..8].copy_from_slice(&mtu.to_be_bytes());
                Icmpv4Packet::new_unchecked(bytes).fill_checksum();
            }))
        }
        EthernetProtocol::Ipv6 => {
            let long = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
            if long.next_header() == IpProtocol::Icmpv6 {
                return None;
            }
            let packet_bytes = ethernet.payload();
            let quoted = &packet_bytes[..packet_bytes.len().min(1232)];
            let (from, to) = addresses(V6.into(), hardware, long.src_addr().into());
            let source = long.src_addr();
            let bytes = 8 + quoted.len();
            Some(packet(from, to, IpProtocol::Icmpv6, bytes, |payload, _| {
                let mut message = Icmpv6Packet::new_unchecked(payload);
                message.set_msg_type(Icmpv6Message::PktTooBig);
                message.set_msg_code(0);
                message.set_pkt_too_big_mtu(mtu as u32);
                message.payload_mut().copy_from_slice(quoted);
                message.fill_checksum(&V6, &source);
            }))
        }
        _ => None,
    }
}

fn addresses(router: IpAddress, hardware: EthernetAddress, ip: IpAddress) -> (Address, Address) {
    let from = Address {
        hardware: HARDWARE,
        ip: router,
    };
    (from, Address { hardware, ip })
}
