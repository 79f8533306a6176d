//! A host with memory for datagrams, and hands that send frames to it and see what it sends.

use cygnet::event::DropReason;
use cygnet::lab::wire::{Faults, Wire, WireEnd};
use cygnet::{Node, Turns, turns};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, Icmpv4Packet, IpAddress, IpEndpoint, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket,
    UdpRepr,
};
#[cfg(feature = "ipv6")]
use smoltcp::wire::{Icmpv6Packet, Ipv6Packet, Ipv6Repr};

use crate::harness::audit;

/// Makes one host as locals of the calling function: `$node` is its handle, `$number` the
/// last byte of its addresses.
#[macro_export]
macro_rules! udp_host {
    ($node:ident, $number:literal) => {
        udp_host!($node, $number, sockets: 4, datagrams: 4, bytes: 1472, waiters: 8)
    };
    ($node:ident, $number:literal, sockets: $sockets:literal, datagrams: $datagrams:literal,
     bytes: $bytes:literal, waiters: $waiters:literal) => {
        udp_host!($node, $number, sockets: $sockets, datagrams: $datagrams, bytes: $bytes,
            waiters: $waiters, addresses: $crate::harness::addresses($number))
    };
    ($node:ident, $number:literal, sockets: $sockets:literal, datagrams: $datagrams:literal,
     bytes: $bytes:literal, waiters: $waiters:literal, addresses: $addresses:expr) => {
        let mut storage: cygnet::Storage<'_, 2, 1024, 1024> = cygnet::Storage::new();
        let mut datagrams: Box<cygnet::UdpStorage<$sockets, $datagrams, $bytes, $waiters>> =
            Box::default();
        let mut task_storage: cygnet::TaskStorage<20, 64> = cygnet::TaskStorage::new();
        let stack = cygnet::Stack::new(
            &mut storage,
            &$crate::harness::config($number),
            $crate::harness::capabilities(),
        )
        .unwrap();
        for address in $addresses {
            stack.add_address(address).unwrap();
        }
        stack
            .set_gateway($crate::harness::GATEWAY.into())
            .unwrap();
        stack.add_datagrams(&mut datagrams).unwrap();
        let ready = $crate::harness::leak(cygnet::ReadySet::<20>::new());
        let tasks = cygnet::Tasks::new(&mut task_storage, ready);
        let $node = cygnet::Node::new(&stack, &tasks);
    };
}

pub type Hardware = [u8; 6];

pub const fn hardware(number: u8) -> Hardware {
    [2, 0, 0, 0, 0, number]
}

pub const EVERYBODY: Hardware = [0xff; 6];

/// A datagram on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub from: Hardware,
    pub to: Hardware,
    pub source: IpEndpoint,
    pub destination: IpEndpoint,
    pub hops: u8,
    pub payload: Vec<u8>,
}

impl Packet {
    /// From port 4000 of host 9 to a port of host 1.
    pub fn to_port(port: u16, payload: &[u8]) -> Packet {
        Packet::between(
            crate::harness::v4(9, 4000),
            crate::harness::v4(1, port),
            payload,
        )
    }

    /// Both versions of IP, of the same.
    pub fn each(port: u16, payload: &[u8]) -> Vec<Packet> {
        let sources = crate::harness::targets(9, 4000);
        let ends = sources.into_iter().zip(crate::harness::targets(1, port));
        ends.map(|(from, to)| Packet::between(from, to, payload))
            .collect()
    }

    pub fn between(source: IpEndpoint, destination: IpEndpoint, payload: &[u8]) -> Packet {
        Packet {
            from: hardware(9),
            to: hardware(1),
            source,
            destination,
            hops: 64,
            payload: payload.to_vec(),
        }
    }

    pub fn frame(&self) -> Vec<u8> {
        let udp = UdpRepr {
            src_port: self.source.port,
            dst_port: self.destination.port,
        };
        let bytes = udp.header_len() + self.payload.len();
        let sums = ChecksumCapabilities::default();
        let mut body = vec![0; bytes];
        udp.emit(
            &mut UdpPacket::new_unchecked(&mut body),
            &self.source.addr,
            &self.destination.addr,
            self.payload.len(),
            |room| room.copy_from_slice(&self.payload),
            &sums,
        );
        match (self.source.addr, self.destination.addr) {
            (IpAddress::Ipv4(src_addr), IpAddress::Ipv4(dst_addr)) => {
                let ip = Ipv4Repr {
                    src_addr,
                    dst_addr,
                    next_header: IpProtocol::Udp,
                    payload_len: bytes,
                    hop_limit: 64,
                };
                let mut packet = vec![0; 20];
                ip.emit(&mut Ipv4Packet::new_unchecked(&mut packet), &sums);
                packet.extend(body);
                self.ethernet(EthernetProtocol::Ipv4, &packet)
            }
            #[cfg(feature = "ipv6")]
            (IpAddress::Ipv6(src_addr), IpAddress::Ipv6(dst_addr)) => {
                let ip = Ipv6Repr {
                    src_addr,
                    dst_addr,
                    next_header: IpProtocol::Udp,
                    payload_len: bytes,
                    hop_limit: 64,
                };
                let mut packet = vec![0; 40];
                ip.emit(&mut Ipv6Packet::new_unchecked(&mut packet));
                packet.extend(body);
                self.ethernet(EthernetProtocol::Ipv6, &packet)
            }
            #[cfg(feature = "ipv6")]
            _ => panic!("two versions of IP"),
        }
    }

    fn ethernet(&self, ethertype: EthernetProtocol, packet: &[u8]) -> Vec<u8> {
        ethernet(self.from, self.to, ethertype, packet)
    }
}

pub fn ethernet(
    from: Hardware,
    to: Hardware,
    ethertype: EthernetProtocol,
    packet: &[u8],
) -> Vec<u8> {
    let mut frame = vec![0; 14];
    let repr = EthernetRepr {
        src_addr: EthernetAddress(from),
        dst_addr: EthernetAddress(to),
        ethertype,
    };
    repr.emit(&mut EthernetFrame::new_unchecked(&mut frame));
    frame.extend_from_slice(packet);
    frame
}

/// What a host said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Datagram(Packet),
    /// "Port unreachable", from one address to another, and the packet that it quotes.
    Unreachable(IpAddress, IpAddress, Vec<u8>),
    /// It asks where this one is.
    WhoHas(IpAddress),
    Other(Vec<u8>),
}

/// Reads a frame; what it says in it is right, or this panics.
pub fn read(bytes: &[u8]) -> Said {
    let frame = EthernetFrame::new_checked(bytes).unwrap();
    let (from, to) = (frame.src_addr().0, frame.dst_addr().0);
    let (source, destination, hops, protocol, body) = match frame.ethertype() {
        EthernetProtocol::Arp => {
            let arp = ArpPacket::new_checked(frame.payload()).unwrap();
            let ArpRepr::EthernetIpv4 {
                operation: ArpOperation::Request,
                target_protocol_addr,
                ..
            } = ArpRepr::parse(&arp).unwrap()
            else {
                return Said::Other(bytes.to_vec());
            };
            return Said::WhoHas(target_protocol_addr.into());
        }
        EthernetProtocol::Ipv4 => {
            let packet = Ipv4Packet::new_checked(frame.payload()).unwrap();
            assert!(packet.verify_checksum());
            let ends = (packet.src_addr().into(), packet.dst_addr().into());
            let hops = packet.hop_limit();
            (ends.0, ends.1, hops, packet.next_header(), packet.payload())
        }
        #[cfg(feature = "ipv6")]
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(frame.payload()).unwrap();
            let ends = (packet.src_addr().into(), packet.dst_addr().into());
            let hops = packet.hop_limit();
            (ends.0, ends.1, hops, packet.next_header(), packet.payload())
        }
        _ => return Said::Other(bytes.to_vec()),
    };
    match (protocol, source, destination) {
        (IpProtocol::Udp, ..) => {
            let udp = UdpPacket::new_checked(body).unwrap();
            assert!(udp.checksum() != 0 && udp.verify_checksum(&source, &destination));
            Said::Datagram(Packet {
                from,
                to,
                source: (source, udp.src_port()).into(),
                destination: (destination, udp.dst_port()).into(),
                hops,
                payload: udp.payload().to_vec(),
            })
        }
        (IpProtocol::Icmp, ..) if body[..2] == [3, 3] => {
            assert!(Icmpv4Packet::new_checked(body).unwrap().verify_checksum());
            Said::Unreachable(source, destination, body[8..].to_vec())
        }
        #[cfg(feature = "ipv6")]
        (IpProtocol::Icmpv6, IpAddress::Ipv6(from), IpAddress::Ipv6(to)) if body[..2] == [1, 4] => {
            let icmp = Icmpv6Packet::new_checked(body).unwrap();
            assert!(icmp.verify_checksum(&from, &to));
            Said::Unreachable(source, destination, body[8..].to_vec())
        }
        #[cfg(feature = "ipv6")]
        (IpProtocol::Icmpv6, ..) if body[0] == 135 => {
            let target: [u8; 16] = body[8..24].try_into().unwrap();
            Said::WhoHas(smoltcp::wire::Ipv6Address::from(target).into())
        }
        _ => Said::Other(bytes.to_vec()),
    }
}

/// "Port unreachable" of a datagram that a host has sent, by whom it was sent to.
pub fn unreachable(sent: &Packet) -> Vec<u8> {
    let quoted = &sent.frame()[14..];
    let addresses = (sent.destination.addr, sent.source.addr);
    match addresses {
        (IpAddress::Ipv4(src_addr), IpAddress::Ipv4(dst_addr)) => {
            let mut body = vec![3, 3, 0, 0, 0, 0, 0, 0];
            body.extend_from_slice(quoted);
            Icmpv4Packet::new_unchecked(&mut body).fill_checksum();
            let ip = Ipv4Repr {
                src_addr,
                dst_addr,
                next_header: IpProtocol::Icmp,
                payload_len: body.len(),
                hop_limit: 64,
            };
            let mut packet = vec![0; 20];
            let sums = ChecksumCapabilities::default();
            ip.emit(&mut Ipv4Packet::new_unchecked(&mut packet), &sums);
            packet.extend(body);
            ethernet(sent.to, sent.from, EthernetProtocol::Ipv4, &packet)
        }
        #[cfg(feature = "ipv6")]
        (IpAddress::Ipv6(src_addr), IpAddress::Ipv6(dst_addr)) => {
            let mut body = vec![1, 4, 0, 0, 0, 0, 0, 0];
            body.extend_from_slice(quoted);
            Icmpv6Packet::new_unchecked(&mut body).fill_checksum(&src_addr, &dst_addr);
            let ip = Ipv6Repr {
                src_addr,
                dst_addr,
                next_header: IpProtocol::Icmpv6,
                payload_len: body.len(),
                hop_limit: 64,
            };
            let mut packet = vec![0; 40];
            ip.emit(&mut Ipv6Packet::new_unchecked(&mut packet));
            packet.extend(body);
            ethernet(sent.to, sent.from, EthernetProtocol::Ipv6, &packet)
        }
        #[cfg(feature = "ipv6")]
        _ => panic!("two versions of IP"),
    }
}

/// The other end of the wire, and a clock.
pub struct Hands<'h, 't, 'a> {
    pub node: Node<'a>,
    turns: &'h mut Turns<'t, 'a>,
    host: WireEnd<'h, 64>,
    other: WireEnd<'h, 64>,
    pub now: Instant,
    /// Who answers when the host asks where they are.
    pub answers: fn(IpAddress) -> bool,
    /// How often it asked.
    pub asked: Vec<IpAddress>,
}

impl Hands<'_, '_, '_> {
    pub fn send(&mut self, frame: &[u8]) {
        assert!(self.other.inject(self.now, frame));
    }

    pub fn say(&mut self, packet: &Packet) {
        self.send(&packet.frame());
    }

    /// One turn of the host, and what it said; who is asked for answers.
    pub fn turn(&mut self) -> Vec<Said> {
        self.turns.turn(&mut self.host, self.now);
        audit(self.node);
        let mut said = Vec::new();
        while let Some(frame) = self.other.take(self.now) {
            let one = read(&frame);
            if let Said::WhoHas(addr) = one {
                self.asked.push(addr);
                if (self.answers)(addr) {
                    let answer = here(addr, &frame);
                    assert!(self.other.inject(self.now, &answer));
                }
            }
            said.push(one);
        }
        said
    }

    /// Turns until nothing more happens now; what the host said but questions.
    pub fn settle(&mut self) -> Vec<Said> {
        let mut said = Vec::new();
        let mut idle = 0;
        while idle < 3 {
            let mut now = self.turn();
            let questions = now.len();
            now.retain(|one| !matches!(one, Said::WhoHas(_) | Said::Other(_)));
            idle = if questions == 0 { idle + 1 } else { 0 };
            said.append(&mut now);
        }
        said
    }

    /// The same, all through this time, a turn each millisecond.
    pub fn pass(&mut self, time: Duration) -> Vec<Said> {
        let mut said = self.settle();
        for _ in 0..time.total_millis() {
            self.now += Duration::from_millis(1);
            said.append(&mut self.settle());
        }
        said
    }

    /// Only datagrams, and nothing else may be there.
    pub fn datagrams(&mut self) -> Vec<Packet> {
        datagrams(self.settle())
    }

    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.node.counters().dropped(reason)
    }
}

pub fn datagrams(said: Vec<Said>) -> Vec<Packet> {
    let each = said.into_iter().map(|one| match one {
        Said::Datagram(packet) => packet,
        other => panic!("{other:?}"),
    });
    each.collect()
}

/// The answer to a question, of a host whose hardware address has the same last byte.
fn here(addr: IpAddress, question: &[u8]) -> Vec<u8> {
    let asker: Hardware = question[6..12].try_into().unwrap();
    match addr {
        IpAddress::Ipv4(addr) => {
            let us = hardware(addr.octets()[3]);
            let arp = ArpRepr::EthernetIpv4 {
                operation: ArpOperation::Reply,
                source_hardware_addr: EthernetAddress(us),
                source_protocol_addr: addr,
                target_hardware_addr: EthernetAddress(asker),
                target_protocol_addr: <[u8; 4]>::try_from(&question[28..32]).unwrap().into(),
            };
            let mut packet = vec![0; arp.buffer_len()];
            arp.emit(&mut ArpPacket::new_unchecked(&mut packet));
            ethernet(us, asker, EthernetProtocol::Arp, &packet)
        }
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(addr) => {
            let us = hardware(addr.octets()[15]);
            let to: [u8; 16] = question[22..38].try_into().unwrap();
            let to = smoltcp::wire::Ipv6Address::from(to);
            let mut body = vec![136, 0, 0, 0, 0x60, 0, 0, 0];
            body.extend_from_slice(&addr.octets());
            body.extend_from_slice(&[2, 1]);
            body.extend_from_slice(&us);
            Icmpv6Packet::new_unchecked(&mut body).fill_checksum(&addr, &to);
            let ip = Ipv6Repr {
                src_addr: addr,
                dst_addr: to,
                next_header: IpProtocol::Icmpv6,
                payload_len: body.len(),
                hop_limit: 255,
            };
            let mut packet = vec![0; 40];
            ip.emit(&mut Ipv6Packet::new_unchecked(&mut packet));
            packet.extend(body);
            ethernet(us, asker, EthernetProtocol::Ipv6, &packet)
        }
    }
}

/// Runs `f` with hands at the other end of a host's wire.
pub fn by_hand<'a, R>(node: Node<'a>, f: impl FnOnce(&mut Hands<'_, '_, 'a>) -> R) -> R {
    let wire: Wire<64> = Wire::new(Faults::default());
    let (host, other) = wire.ends();
    turns(node, |turns| {
        let mut hands = Hands {
            node,
            turns,
            host,
            other,
            now: Instant::ZERO,
            answers: |_| true,
            asked: Vec::new(),
        };
        f(&mut hands)
    })
}
