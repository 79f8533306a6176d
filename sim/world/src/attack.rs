//! Attackers: what has no stack and means no good. An attacker sends frames made
//! by hand at a steady rate, and takes no answer. Each frame follows from the
//! attacker's secret and the frame's number, so nothing is drawn while it runs.
//!
//! Attackers are blind: they know addresses and the port, and guess everything
//! else. They cannot read what passes between others.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol,
    Ipv4Address, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

use super::draws::keyed;

/// What an attacker sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    /// SYNs from addresses that do not exist (RFC 4987).
    Syn,
    /// SYNs in the name of the clients, which will reset what they did not ask for.
    Borrowed,
    /// Resets in the name of the clients (RFC 5961).
    Rst,
    /// Acknowledgements and bytes in the name of the clients.
    Ack,
    /// Segments from addresses that cannot be: the server's own, loopback,
    /// broadcast, multicast, none; and to addresses that are no host's.
    Land,
    /// Pieces of TCP segments.
    Fragment,
    /// ARP requests and replies of strangers.
    Arp,
    /// Bytes without sense behind a right address.
    Junk,
}

impl Attack {
    /// All of them.
    pub const ALL: [Attack; 8] = [
        Attack::Syn,
        Attack::Borrowed,
        Attack::Rst,
        Attack::Ack,
        Attack::Land,
        Attack::Fragment,
        Attack::Arp,
        Attack::Junk,
    ];

    /// The word that plans use.
    pub fn word(self) -> &'static str {
        match self {
            Attack::Syn => "syn",
            Attack::Borrowed => "borrowed",
            Attack::Rst => "rst",
            Attack::Ack => "ack",
            Attack::Land => "land",
            Attack::Fragment => "fragment",
            Attack::Arp => "arp",
            Attack::Junk => "junk",
        }
    }
}

/// One attacker.
#[derive(Clone, Debug)]
pub struct Attacker {
    /// What it sends.
    pub attack: Attack,
    /// What its frames follow from.
    pub secret: u64,
    /// Time between two frames.
    pub every: Duration,
    /// It begins then.
    pub from: Instant,
    /// No frame at or after this.
    pub until: Instant,
    /// The target.
    pub target: Target,
}

/// What an attacker knows.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server's hardware address.
    pub hardware: EthernetAddress,
    /// The server's address.
    pub address: Ipv4Address,
    /// Where it listens.
    pub port: u16,
    /// Whose names it can use.
    pub clients: Vec<Ipv4Address>,
}

/// The hardware address that attackers send from.
const HARDWARE: EthernetAddress = EthernetAddress([2, 0x66, 0, 0, 0, 1]);

impl Attacker {
    /// Frame `number`.
    pub(super) fn frame(&self, number: u64) -> Vec<u8> {
        let word = |kind| keyed(self.secret, number, kind, 7);
        match self.attack {
            Attack::Syn => self.tcp(stranger(word(0)), TcpControl::Syn, word(1), b""),
            Attack::Borrowed => self.tcp(self.client(word(0)), TcpControl::Syn, word(1), b""),
            Attack::Rst => self.tcp(self.client(word(0)), TcpControl::Rst, word(1), b""),
            Attack::Ack => {
                let (control, payload): (_, &[u8]) = match word(2) % 3 {
                    0 => (TcpControl::None, b""),
                    1 => (TcpControl::Psh, b"swan"),
                    _ => (TcpControl::Fin, b""),
                };
                self.tcp(self.client(word(0)), control, word(1), payload)
            }
            Attack::Land => self.land(word(0), word(1)),
            Attack::Fragment => {
                let mut frame = self.tcp(self.client(word(0)), TcpControl::Psh, word(1), &[7; 64]);
                let mut packet = Ipv4Packet::new_unchecked(&mut frame[14..]);
                packet.set_dont_frag(false);
                packet.set_more_frags(word(2) & 1 == 0);
                packet.set_frag_offset((word(2) >> 8) as u16 & 0x1ff8);
                packet.fill_checksum();
                frame
            }
            Attack::Arp => self.arp(word(0), word(1)),
            Attack::Junk => {
                let bytes = (0..20 + word(0) % 80).map(|at| keyed(word(1), at, 8, 0) as u8);
                let kind = [
                    EthernetProtocol::Ipv4,
                    EthernetProtocol::Ipv6,
                    EthernetProtocol::Arp,
                ];
                let bytes: Vec<u8> = bytes.collect();
                ethernet(self.target.hardware, kind[word(2) as usize % 3], &bytes)
            }
        }
    }

    fn client(&self, word: u64) -> Ipv4Address {
        let clients = &self.target.clients;
        match clients.len() {
            0 => stranger(word),
            count => clients[(word % count as u64) as usize],
        }
    }

    fn land(&self, word: u64, more: u64) -> Vec<u8> {
        let server = self.target.address;
        let froms = [
            server,
            Ipv4Address::LOCALHOST,
            Ipv4Address::BROADCAST,
            Ipv4Address::new(224, 0, 0, 1),
            Ipv4Address::UNSPECIFIED,
        ];
        let from = froms[(word % 5) as usize];
        let mut frame = self.tcp(from, TcpControl::Syn, more, b"");
        if word & 32 != 0 {
            // To a group or everybody, from an address that could be one.
            let to = [Ipv4Address::BROADCAST, Ipv4Address::new(10, 0, 255, 255)];
            let to = to[(word >> 6) as usize % 2];
            frame = self.segment(stranger(more), to, TcpControl::Syn, more, b"");
        }
        frame
    }

    fn arp(&self, word: u64, more: u64) -> Vec<u8> {
        let hardware = EthernetAddress([
            2,
            0x67,
            0,
            (more >> 16) as u8,
            (more >> 8) as u8,
            more as u8,
        ]);
        let reply = word & 1 == 0;
        let repr = ArpRepr::EthernetIpv4 {
            operation: if reply {
                ArpOperation::Reply
            } else {
                ArpOperation::Request
            },
            source_hardware_addr: hardware,
            source_protocol_addr: stranger(word),
            target_hardware_addr: if reply {
                self.target.hardware
            } else {
                EthernetAddress::default()
            },
            target_protocol_addr: self.target.address,
        };
        let mut bytes = vec![0; repr.buffer_len()];
        repr.emit(&mut ArpPacket::new_unchecked(&mut bytes[..]));
        let to = if reply {
            self.target.hardware
        } else {
            EthernetAddress::BROADCAST
        };
        ethernet(to, EthernetProtocol::Arp, &bytes)
    }

    fn tcp(&self, from: Ipv4Address, control: TcpControl, word: u64, payload: &[u8]) -> Vec<u8> {
        self.segment(from, self.target.address, control, word, payload)
    }

    fn segment(
        &self,
        from: Ipv4Address,
        to: Ipv4Address,
        control: TcpControl,
        word: u64,
        payload: &[u8],
    ) -> Vec<u8> {
        let syn = control == TcpControl::Syn;
        let tcp = TcpRepr {
            src_port: 1024 + (word >> 48) as u16 % 64_000,
            dst_port: self.target.port,
            control,
            seq_number: TcpSeqNumber(word as i32),
            ack_number: (!syn).then_some(TcpSeqNumber((word >> 16) as i32)),
            window_len: (word >> 24) as u16,
            window_scale: None,
            max_seg_size: syn.then_some(1460),
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload,
        };
        let ip = Ipv4Repr {
            src_addr: from,
            dst_addr: to,
            next_header: IpProtocol::Tcp,
            payload_len: tcp.buffer_len(),
            hop_limit: 64,
        };
        let checksums = ChecksumCapabilities::default();
        let mut bytes = vec![0; ip.buffer_len() + tcp.buffer_len()];
        let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
        ip.emit(&mut packet, &checksums);
        let mut segment = TcpPacket::new_unchecked(packet.payload_mut());
        tcp.emit(&mut segment, &from.into(), &to.into(), &checksums);
        ethernet(self.target.hardware, EthernetProtocol::Ipv4, &bytes)
    }
}

/// An address in the network that no host has.
fn stranger(word: u64) -> Ipv4Address {
    Ipv4Address::new(
        10,
        0,
        128 | (word >> 8) as u8 & 0x7f,
        (word % 254) as u8 + 1,
    )
}

fn ethernet(to: EthernetAddress, kind: EthernetProtocol, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 14 + payload.len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_dst_addr(to);
    frame.set_src_addr(HARDWARE);
    frame.set_ethertype(kind);
    frame.payload_mut().copy_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_what_they_are_and_repeat() {
        for attack in Attack::ALL {
            let attacker = Attacker {
                attack,
                secret: 3,
                every: Duration::from_micros(100),
                from: Instant::ZERO,
                until: Instant::from_secs(1),
                target: Target {
                    hardware: EthernetAddress([2, 0, 0, 0, 0, 1]),
                    address: Ipv4Address::new(10, 0, 0, 1),
                    port: 7,
                    clients: vec![Ipv4Address::new(10, 0, 0, 2)],
                },
            };
            let frames: Vec<_> = (0..50).map(|number| attacker.frame(number)).collect();
            for (number, frame) in (0..).zip(&frames) {
                assert_eq!(*frame, attacker.frame(number), "{attack:?}");
                let damaged = crate::frame::is_damaged(frame);
                assert!(!damaged || attack == Attack::Junk, "{attack:?} {number}");
            }
            let mut kinds = frames;
            kinds.sort();
            kinds.dedup();
            assert!(kinds.len() > 40, "{attack:?}");
        }
    }
}
