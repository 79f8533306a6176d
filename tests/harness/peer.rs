//! A peer without a stack: frames made and read by hand, for what no honest
//! stack would send.

use std::cell::Cell;

use cygnet::lab::wire::{Wire, WireEnd};
use cygnet::{Node, Turn, turns};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, IpAddress, IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket,
    TcpRepr, TcpSeqNumber, TcpTimestampRepr,
};

/// The address of the host under test: number 1 of the harness.
pub const HOST: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
pub const HOST_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);

/// One segment, ours or the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seg {
    pub from: Ipv4Address,
    pub to: Ipv4Address,
    pub from_port: u16,
    pub to_port: u16,
    pub control: TcpControl,
    pub seq: TcpSeqNumber,
    pub ack: Option<TcpSeqNumber>,
    pub window: u16,
    pub scale: Option<u8>,
    pub mss: Option<u16>,
    pub sack: bool,
    pub timestamp: bool,
    pub payload: Vec<u8>,
}

impl Seg {
    pub fn is_rst(&self) -> bool {
        self.control == TcpControl::Rst
    }

    /// SYN and ACK.
    pub fn is_answer(&self) -> bool {
        self.control == TcpControl::Syn && self.ack.is_some()
    }

    fn repr(&self) -> TcpRepr<'_> {
        TcpRepr {
            src_port: self.from_port,
            dst_port: self.to_port,
            control: self.control,
            seq_number: self.seq,
            ack_number: self.ack,
            window_len: self.window,
            window_scale: self.scale,
            max_seg_size: self.mss,
            sack_permitted: self.sack,
            sack_ranges: [None; 3],
            timestamp: self.timestamp.then(|| TcpTimestampRepr::new(1, 0)),
            payload: &self.payload,
        }
    }

    /// The Ethernet frame.
    pub fn frame(&self) -> Vec<u8> {
        let tcp = self.repr();
        let ip = Ipv4Repr {
            src_addr: self.from,
            dst_addr: self.to,
            next_header: IpProtocol::Tcp,
            payload_len: tcp.buffer_len(),
            hop_limit: 64,
        };
        let link = EthernetRepr {
            src_addr: mac(self.from),
            dst_addr: HOST_MAC,
            ethertype: EthernetProtocol::Ipv4,
        };
        let mut bytes = vec![0; link.buffer_len() + ip.buffer_len() + tcp.buffer_len()];
        let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
        link.emit(&mut frame);
        let checksums = ChecksumCapabilities::default();
        let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
        ip.emit(&mut packet, &checksums);
        let (from, to) = (IpAddress::from(self.from), IpAddress::from(self.to));
        let mut segment = TcpPacket::new_unchecked(packet.payload_mut());
        tcp.emit(&mut segment, &from, &to, &checksums);
        bytes
    }

    /// Reads a frame of the host; `None` when it is not TCP.
    pub fn read(frame: &[u8]) -> Option<Seg> {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        if frame.ethertype() != EthernetProtocol::Ipv4 {
            return None;
        }
        let checksums = ChecksumCapabilities::default();
        let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
        let ip = Ipv4Repr::parse(&packet, &checksums).ok()?;
        let (from, to) = (IpAddress::from(ip.src_addr), IpAddress::from(ip.dst_addr));
        let segment = TcpPacket::new_checked(packet.payload()).ok()?;
        let tcp = TcpRepr::parse(&segment, &from, &to, &checksums).ok()?;
        Some(Seg {
            from: ip.src_addr,
            to: ip.dst_addr,
            from_port: tcp.src_port,
            to_port: tcp.dst_port,
            control: tcp.control,
            seq: tcp.seq_number,
            ack: tcp.ack_number,
            window: tcp.window_len,
            scale: tcp.window_scale,
            mss: tcp.max_seg_size,
            sack: tcp.sack_permitted,
            timestamp: tcp.timestamp.is_some(),
            payload: tcp.payload.to_vec(),
        })
    }
}

/// The hardware address of a peer.
pub fn mac(ip: Ipv4Address) -> EthernetAddress {
    let [_, b, c, d] = ip.octets();
    EthernetAddress([2, 1, 0, b, c, d])
}

/// A SYN of 10.0.0.`number`, without options.
pub fn syn(number: u8, from_port: u16, to_port: u16, seq: i32) -> Seg {
    Seg {
        from: Ipv4Address::new(10, 0, 0, number),
        to: HOST,
        from_port,
        to_port,
        control: TcpControl::Syn,
        seq: TcpSeqNumber(seq),
        ack: None,
        window: 1000,
        scale: None,
        mss: None,
        sack: false,
        timestamp: false,
        payload: Vec::new(),
    }
}

/// What answers `seen` with these flags: everything acknowledged, in order.
pub fn answer(seen: &Seg, control: TcpControl, payload: &[u8]) -> Seg {
    Seg {
        from: seen.to,
        to: seen.from,
        from_port: seen.to_port,
        to_port: seen.from_port,
        control,
        seq: seen.ack.unwrap_or_default(),
        ack: Some(seen.seq + seen.repr().segment_len()),
        window: 1000,
        scale: None,
        mss: None,
        sack: false,
        timestamp: false,
        payload: payload.to_vec(),
    }
}

/// Writes the checksums of a frame that was damaged on purpose, as far as it is
/// IP and TCP: without them nothing but a checksum would be tested.
pub fn mend(frame: &mut [u8]) {
    let Ok(mut frame) = EthernetFrame::new_checked(frame) else {
        return;
    };
    match frame.ethertype() {
        EthernetProtocol::Ipv4 => {
            let Ok(mut packet) = Ipv4Packet::new_checked(frame.payload_mut()) else {
                return;
            };
            packet.fill_checksum();
            let ends = (packet.src_addr().into(), packet.dst_addr().into());
            mend_tcp(packet.next_header(), ends, packet.payload_mut())
        }
        #[cfg(feature = "ipv6")]
        EthernetProtocol::Ipv6 => {
            let Ok(mut packet) = smoltcp::wire::Ipv6Packet::new_checked(frame.payload_mut()) else {
                return;
            };
            let ends = (packet.src_addr().into(), packet.dst_addr().into());
            mend_tcp(packet.next_header(), ends, packet.payload_mut())
        }
        _ => (),
    }
}

fn mend_tcp(protocol: IpProtocol, (from, to): (IpAddress, IpAddress), segment: &mut [u8]) {
    if protocol == IpProtocol::Tcp
        && let Ok(mut segment) = TcpPacket::new_checked(segment)
    {
        segment.fill_checksum(&from, &to);
    }
}

/// An ARP packet to the host in which `from` says that it is at `hardware`.
pub fn arp(operation: ArpOperation, from: Ipv4Address, hardware: EthernetAddress) -> Vec<u8> {
    let packet = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: hardware,
        source_protocol_addr: from,
        target_hardware_addr: HOST_MAC,
        target_protocol_addr: HOST,
    };
    let mut bytes = vec![0; 14 + packet.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_src_addr(hardware);
    frame.set_dst_addr(EthernetAddress::BROADCAST);
    frame.set_ethertype(EthernetProtocol::Arp);
    packet.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    bytes
}

/// Whose hardware address a frame asks for.
pub fn asked_for(frame: &[u8]) -> Option<Ipv4Address> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    let packet = ArpPacket::new_checked(frame.payload()).ok()?;
    match ArpRepr::parse(&packet) {
        Ok(ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            target_protocol_addr,
            ..
        }) if frame.dst_addr().is_broadcast() => Some(target_protocol_addr),
        _ => None,
    }
}

/// The hands of a test on the other end of a host's wire.
pub struct Hands<'h> {
    turn: &'h mut dyn FnMut(Instant) -> Turn,
    wire: &'h Wire<64>,
    peer: WireEnd<'h, 64>,
    pub now: Instant,
    /// Turns taken so far.
    pub turns: u64,
    /// The most frames that one turn received, and the most that one sent.
    pub busiest: &'h Cell<(u64, u64)>,
    /// The hardware address that each segment of the host was sent to.
    pub sent_to: Vec<EthernetAddress>,
    /// ARP packets of the host.
    pub arps: u64,
    /// The addresses that the host asked for.
    pub asked: Vec<Ipv4Address>,
    /// Nobody answers them.
    pub mute: bool,
    /// Everything else that the host sent.
    pub others: Vec<Vec<u8>>,
    /// Every frame that the host sent, for a test that puts a list here.
    pub raw: Option<Vec<Vec<u8>>>,
}

/// Runs `f` with hands on the other end of `node`'s wire; after every turn the
/// tables of the host are checked.
pub fn by_hand(node: Node<'_>, f: impl FnOnce(&mut Hands<'_>)) {
    let wire: Wire<64> = Wire::new(super::LAN);
    let (mut host, peer) = wire.ends();
    let busiest = Cell::new((0, 0));
    turns(node, |turns| {
        let mut turn = |now| {
            let before = node.counters();
            let left = turns.turn(&mut host, now);
            super::audit(node);
            let after = node.counters();
            let (received, sent) = busiest.get();
            busiest.set((
                received.max(after.frames_in - before.frames_in),
                sent.max(after.frames_out - before.frames_out),
            ));
            left
        };
        f(&mut Hands {
            turn: &mut turn,
            wire: &wire,
            peer,
            now: Instant::ZERO,
            turns: 0,
            busiest: &busiest,
            sent_to: Vec::new(),
            arps: 0,
            asked: Vec::new(),
            mute: false,
            others: Vec::new(),
            raw: None,
        });
    });
}

impl Hands<'_> {
    pub fn send(&mut self, seg: &Seg) {
        self.send_frame(&seg.frame());
    }

    pub fn send_frame(&mut self, frame: &[u8]) {
        assert!(self.try_send_frame(frame));
    }

    /// False when the wire is full and the frame lost.
    pub fn try_send_frame(&mut self, frame: &[u8]) -> bool {
        self.peer.inject(self.now, frame)
    }

    /// Lets time pass. Every ARP request is answered. Returns what the host
    /// sent, in order.
    pub fn pass(&mut self, time: Duration) -> Vec<Seg> {
        self.pass_with(time, |_| None)
    }

    /// The same; each segment of the host is answered by `answer`.
    pub fn pass_with(
        &mut self,
        time: Duration,
        mut answer: impl FnMut(&Seg) -> Option<Seg>,
    ) -> Vec<Seg> {
        let until = self.now + time;
        let most = self.turns + 1_000_000;
        let mut seen = Vec::new();
        loop {
            let left = (self.turn)(self.now);
            self.turns += 1;
            assert!(self.turns < most, "it spins at {}", self.now);
            while let Some(frame) = self.peer.take(self.now) {
                if let Some(raw) = &mut self.raw {
                    raw.push(frame.to_vec());
                }
                if let Some(addr) = asked_for(&frame) {
                    self.asked.push(addr);
                    if !self.mute {
                        self.try_send_frame(&arp(ArpOperation::Reply, addr, mac(addr)));
                    }
                }
                let is_arp = frame[12..14] == [8, 6];
                self.arps += u64::from(is_arp);
                let seg = Seg::read(&frame);
                if seg.is_none() && !is_arp {
                    self.others.push(frame.to_vec());
                }
                if let Some(seg) = seg {
                    self.sent_to.push(EthernetAddress::from_bytes(&frame[..6]));
                    if let Some(reply) = answer(&seg) {
                        self.send(&reply);
                    }
                    seen.push(seg);
                }
            }
            let at = super::next(left, Turn::Done, self.wire.next_delivery());
            let at = at.unwrap_or(until).max(self.now + Duration::from_micros(1));
            if at > until {
                self.now = until;
                return seen;
            }
            self.now = at;
        }
    }

    /// Sends a SYN and finishes the handshake; gives the host's SYN-ACK.
    pub fn open(&mut self, syn: &Seg) -> Seg {
        self.send(syn);
        let seen = self.pass(Duration::from_millis(10));
        let [reply] = &seen[..] else {
            panic!("expected one answer to {syn:?}: {seen:?}");
        };
        assert!(reply.is_answer());
        self.send(&answer(reply, TcpControl::None, b""));
        assert_eq!(self.pass(Duration::from_millis(10)), []);
        reply.clone()
    }
}
