//! Frames of strangers, made and read by hand.
//!
//! Not here: what is in them.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    Icmpv6Packet, Icmpv6Repr, IpAddress, IpProtocol, IpRepr, Ipv4Packet, Ipv6Packet,
    NdiscNeighborFlags, NdiscRepr, RawHardwareAddress, TcpControl, TcpPacket, TcpRepr,
    TcpSeqNumber, UdpPacket, UdpRepr,
};

/// Who somebody is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) hardware: EthernetAddress,
    pub(super) ip: IpAddress,
}

/// A TCP segment. Numbers are those of the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) from_port: u16,
    pub(super) to_port: u16,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    pub(super) seq: u32,
    pub(super) ack: Option<u32>,
    pub(super) window: u16,
    pub(super) mss: Option<u16>,
    pub(super) shift: Option<u8>,
    /// SACK is permitted.
    pub(super) may_sack: bool,
    /// What came out of order.
    pub(super) sacks: [Option<(u32, u32)>; 3],
    pub(super) text: Vec<u8>,
}

/// What a frame says.
#[derive(Debug)]
pub(super) enum Heard {
    /// Somebody asks which hardware address this address of ours has.
    Asked(Address, IpAddress),
    Segment(Address, Segment),
    /// An ICMP message that is an error.
    Error,
}

impl Segment {
    /// The frame that carries it.
    pub(super) fn frame(&self, from: Address, to: Address) -> Vec<u8> {
        let tcp = TcpRepr {
            src_port: self.from_port,
            dst_port: self.to_port,
            control: match (self.rst, self.syn, self.fin) {
                (true, ..) => TcpControl::Rst,
                (_, true, _) => TcpControl::Syn,
                (.., true) => TcpControl::Fin,
                _ if !self.text.is_empty() => TcpControl::Psh,
                _ => TcpControl::None,
            },
            seq_number: TcpSeqNumber(self.seq as i32),
            ack_number: self.ack.map(|ack| TcpSeqNumber(ack as i32)),
            window_len: self.window,
            window_scale: self.shift,
            max_seg_size: self.mss,
            sack_permitted: self.may_sack,
            sack_ranges: self.sacks,
            timestamp: None,
            payload: &self.text,
        };
        let bytes = tcp.buffer_len();
        packet(from, to, IpProtocol::Tcp, bytes, |payload, checksums| {
            let mut segment = TcpPacket::new_unchecked(payload);
            tcp.emit(&mut segment, &from.ip, &to.ip, checksums);
            segment.set_fin(self.fin);
            segment.fill_checksum(&from.ip, &to.ip);
        })
    }

    fn read(payload: &[u8], from: IpAddress, to: IpAddress) -> Option<Segment> {
        let packet = TcpPacket::new_checked(payload).ok()?;
        let tcp = TcpRepr::parse(&packet, &from, &to, &ChecksumCapabilities::default()).ok()?;
        Some(Segment {
            from_port: tcp.src_port,
            to_port: tcp.dst_port,
            syn: packet.syn(),
            fin: packet.fin(),
            rst: packet.rst(),
            seq: tcp.seq_number.0 as u32,
            ack: tcp.ack_number.map(|ack| ack.0 as u32),
            window: tcp.window_len,
            mss: tcp.max_seg_size,
            shift: tcp.window_scale,
            may_sack: tcp.sack_permitted,
            sacks: tcp.sack_ranges,
            text: tcp.payload.to_vec(),
        })
    }
}

/// What `frame` says to `me`, if it says something.
pub(super) fn hear(frame: &[u8], me: Address) -> Option<Heard> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let payload = ethernet.payload();
    let hardware = ethernet.src_addr();
    let is_for_me = ethernet.dst_addr() == me.hardware;
    match ethernet.ethertype() {
        EthernetProtocol::Arp => {
            let packet = ArpPacket::new_checked(payload).ok()?;
            match ArpRepr::parse(&packet).ok()? {
                ArpRepr::EthernetIpv4 {
                    operation: ArpOperation::Request,
                    source_protocol_addr,
                    target_protocol_addr,
                    ..
                } => {
                    let ip = source_protocol_addr.into();
                    Some(Heard::Asked(
                        Address { hardware, ip },
                        target_protocol_addr.into(),
                    ))
                }
                _ => None,
            }
        }
        EthernetProtocol::Ipv4 if is_for_me => {
            let packet = Ipv4Packet::new_checked(payload).ok()?;
            if !packet.verify_checksum() || me.ip != packet.dst_addr().into() {
                return None;
            }
            let ip = packet.src_addr().into();
            match packet.next_header() {
                IpProtocol::Tcp => Segment::read(packet.payload(), ip, me.ip)
                    .map(|segment| Heard::Segment(Address { hardware, ip }, segment)),
                IpProtocol::Icmp => Some(Heard::Error),
                _ => None,
            }
        }
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(payload).ok()?;
            let (from, to) = (packet.src_addr(), packet.dst_addr());
            match packet.next_header() {
                IpProtocol::Tcp if is_for_me && me.ip == to.into() => {
                    let ip = from.into();
                    Segment::read(packet.payload(), ip, me.ip)
                        .map(|segment| Heard::Segment(Address { hardware, ip }, segment))
                }
                IpProtocol::Icmpv6 => {
                    let message = Icmpv6Packet::new_checked(packet.payload()).ok()?;
                    let checksums = ChecksumCapabilities::default();
                    match Icmpv6Repr::parse(&from, &to, &message, &checksums).ok()? {
                        Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit { target_addr, .. }) => {
                            let ip = from.into();
                            Some(Heard::Asked(Address { hardware, ip }, target_addr.into()))
                        }
                        Icmpv6Repr::DstUnreachable { .. } if is_for_me => Some(Heard::Error),
                        _ => None,
                    }
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// The frame that says who `me` is: an answer to `to`, or to everybody when that is
/// `me`.
pub(super) fn here(me: Address, to: Address) -> Vec<u8> {
    let unasked = me == to;
    match (me.ip, to.ip) {
        (IpAddress::Ipv4(mine), IpAddress::Ipv4(theirs)) => {
            let repr = ArpRepr::EthernetIpv4 {
                operation: ArpOperation::Reply,
                source_hardware_addr: me.hardware,
                source_protocol_addr: mine,
                target_hardware_addr: to.hardware,
                target_protocol_addr: theirs,
            };
            let to = match unasked {
                true => EthernetAddress::BROADCAST,
                false => to.hardware,
            };
            let mut bytes = vec![0; repr.buffer_len()];
            repr.emit(&mut ArpPacket::new_unchecked(&mut bytes[..]));
            ethernet(me.hardware, to, EthernetProtocol::Arp, &bytes)
        }
        (IpAddress::Ipv6(mine), IpAddress::Ipv6(theirs)) => {
            let mut flags = NdiscNeighborFlags::OVERRIDE;
            flags.set(NdiscNeighborFlags::SOLICITED, !unasked);
            let repr = Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
                flags,
                target_addr: mine,
                lladdr: Some(RawHardwareAddress::from(me.hardware)),
            });
            let everybody = Address {
                hardware: EthernetAddress([0x33, 0x33, 0, 0, 0, 1]),
                ip: IpAddress::v6(0xff02, 0, 0, 0, 0, 0, 0, 1),
            };
            let (to, theirs) = match (unasked, everybody.ip) {
                (true, IpAddress::Ipv6(all)) => (everybody, all),
                _ => (to, theirs),
            };
            packet(
                me,
                to,
                IpProtocol::Icmpv6,
                repr.buffer_len(),
                |payload, checksums| {
                    let mut message = Icmpv6Packet::new_unchecked(payload);
                    repr.emit(&mine, &theirs, &mut message, checksums);
                },
            )
        }
        _ => Vec::new(),
    }
}

/// A datagram that nobody waits for.
pub(super) fn knock(from: Address, to: Address, port: u16) -> Vec<u8> {
    let repr = UdpRepr {
        src_port: 9999,
        dst_port: port,
    };
    let text = b"knock";
    let bytes = repr.header_len() + text.len();
    packet(from, to, IpProtocol::Udp, bytes, |payload, checksums| {
        let mut datagram = UdpPacket::new_unchecked(payload);
        repr.emit(
            &mut datagram,
            &from.ip,
            &to.ip,
            text.len(),
            |payload| payload.copy_from_slice(text),
            checksums,
        );
    })
}

/// An IP packet whose payload is written by `fill`, in its frame. Hop limits are those
/// of neighbors (RFC 4861, 7.1).
pub(super) fn packet(
    from: Address,
    to: Address,
    protocol: IpProtocol,
    bytes: usize,
    fill: impl FnOnce(&mut [u8], &ChecksumCapabilities),
) -> Vec<u8> {
    let checksums = ChecksumCapabilities::default();
    let ip = IpRepr::new(from.ip, to.ip, protocol, bytes, 255);
    let header = ip.header_len();
    let mut buffer = vec![0; header + bytes];
    ip.emit(&mut buffer[..], &checksums);
    fill(&mut buffer[header..], &checksums);
    let kind = match from.ip {
        IpAddress::Ipv4(_) => EthernetProtocol::Ipv4,
        IpAddress::Ipv6(_) => EthernetProtocol::Ipv6,
    };
    ethernet(from.hardware, to.hardware, kind, &buffer)
}

fn ethernet(
    from: EthernetAddress,
    to: EthernetAddress,
    kind: EthernetProtocol,
    payload: &[u8],
) -> Vec<u8> {
    let mut bytes = vec![0; 14 + payload.len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_dst_addr(to);
    frame.set_src_addr(from);
    frame.set_ethertype(kind);
    frame.payload_mut().copy_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: [Address; 2] = [
        Address {
            hardware: EthernetAddress([2, 0, 0, 0, 0, 1]),
            ip: IpAddress::v4(10, 0, 0, 1),
        },
        Address {
            hardware: EthernetAddress([2, 0, 0, 0, 0, 1]),
            ip: IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 1),
        },
    ];
    const YOU: [Address; 2] = [
        Address {
            hardware: EthernetAddress([2, 0, 0, 0, 0, 2]),
            ip: IpAddress::v4(10, 0, 0, 2),
        },
        Address {
            hardware: EthernetAddress([2, 0, 0, 0, 0, 2]),
            ip: IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 2),
        },
    ];

    #[test]
    fn a_segment_is_heard_as_it_was_said() {
        let said = Segment {
            from_port: 7,
            to_port: 8,
            fin: true,
            seq: 1 << 31,
            ack: Some(u32::MAX),
            window: 9,
            sacks: [Some((1, 5)), None, None],
            text: b"swan".to_vec(),
            ..Segment::default()
        };
        let syn = Segment {
            syn: true,
            mss: Some(48),
            shift: Some(15),
            may_sack: true,
            ..Segment::default()
        };
        let reset = Segment {
            rst: true,
            fin: false,
            ..said.clone()
        };
        for (me, you) in ME.into_iter().zip(YOU) {
            for said in [&said, &reset] {
                match hear(&said.frame(me, you), you) {
                    Some(Heard::Segment(_, heard)) => assert_eq!(heard, *said),
                    other => panic!("{other:?}"),
                }
                assert!(hear(&said.frame(me, you), me).is_none());
            }
            let both = Segment {
                rst: true,
                ..said.clone()
            };
            assert!(!crate::frame::is_damaged(&both.frame(me, you)));
            // smoltcp reads a shift of 15 as 14; the frame has what was said.
            let frame = syn.frame(me, you);
            assert!(frame.windows(3).any(|option| option == [3, 3, 15]));
        }
    }

    #[test]
    fn who_is_asked_answers_and_errors_are_errors() {
        for (me, you) in ME.into_iter().zip(YOU) {
            assert!(
                hear(&here(me, you), you).is_none(),
                "an answer is no question"
            );
            assert!(!here(me, me).is_empty());
            assert!(!crate::frame::is_damaged(&here(me, you)));
            assert!(!crate::frame::is_damaged(&knock(me, you, 9)));
        }
    }
}
