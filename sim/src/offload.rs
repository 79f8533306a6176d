//! What the kernel and we leave to each other on a TAP. With `IFF_VNET_HDR`
//! every frame has a header in front (virtio 1.2, 5.1.6) that says two things:
//! the checksum is not finished, because it never left this machine; and this
//! frame is one segment of up to 64 KiB, to be cut into pieces of `gso_size`
//! bytes by whoever puts it on a wire. Nobody does here, and that is the gain:
//! one system call and one pass through both stacks for 45 segments.
//!
//! The rule for a frame that came in: the kernel vouches for its checksum, or it
//! is verified here, because smoltcp is told not to look. A frame whose header
//! asks for what was not agreed on is refused.
//!
//! For a frame that goes out: smoltcp leaves the TCP checksum open, and the sum
//! over the pseudo-header is put in its place, which is what the kernel expects
//! where a checksum is to be finished.
//!
//! What it does not do: segments of more than one packet over IPv6 on the way
//! out. smoltcp 0.14.0 drops an IPv6 packet longer than the MTU even when the
//! device is to cut it, so those leave one by one, with their checksums open.
//! On the way in both are taken.
//!
//! Pure: no descriptor here (`tap.rs`).

use std::num::{NonZeroU16, NonZeroUsize};

use cygnet_world::frame::MTU;
use smoltcp::phy::{Checksum, DeviceCapabilities};
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket,
    UdpPacket,
};
use tun_rs::{VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6, VirtioNetHdr};

/// Whether the kernel and we leave checksums and segmentation to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Offload {
    /// Yes: frames of up to 64 KiB, checksums that are never computed.
    #[default]
    On,
    /// No: frames as they are on a wire.
    Off,
}

/// The longest frame with offload: what an IP header can say, and Ethernet's.
pub const FRAME_MAX: usize = ETHERNET + u16::MAX as usize;

const ETHERNET: usize = 14;
const NEEDS_CHECKSUM: u8 = 1;
const CHECKSUM_IS_VALID: u8 = 2;
const WITH_ECN: u8 = 0x80;
/// Where the checksum is in a TCP header.
const TCP_CHECKSUM: usize = 16;

/// What a device with offload can do.
pub(crate) fn add(capabilities: &mut DeviceCapabilities) {
    capabilities.checksum.tcp = Checksum::None;
    capabilities.checksum.udp = Checksum::Tx;
    capabilities.segmentation.tcpv4 = NonZeroUsize::new(FRAME_MAX);
}

/// Why a frame from the kernel is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Longer than the MTU, and not to be cut into pieces that fit.
    Oversized,
    /// Nobody vouched for its checksum, and it is wrong.
    Checksum,
}

/// Whether a frame with this header may go to the stack.
pub(crate) fn inspect(header: &VirtioNetHdr, frame: &[u8]) -> Result<(), Refused> {
    let fits = match header.gso_type & !WITH_ECN {
        0 => frame.len() <= MTU,
        VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_TCPV6 => header.gso_size as usize <= MTU,
        // UDP in pieces: to us that would be one datagram, which it is not.
        _ => false,
    };
    if !fits {
        return Err(Refused::Oversized);
    }
    if header.flags & (NEEDS_CHECKSUM | CHECKSUM_IS_VALID) == 0 && !checksum_is_right(frame) {
        return Err(Refused::Checksum);
    }
    Ok(())
}

/// The header for a frame of ours, whose checksum is left to the kernel; a TCP
/// frame with `segment` is to be cut into pieces of so many bytes.
pub(crate) fn describe(frame: &mut [u8], segment: Option<NonZeroU16>) -> VirtioNetHdr {
    let Some(tcp) = find_tcp(frame) else {
        return VirtioNetHdr::default();
    };
    let Tcp { start, sum, ipv6 } = tcp;
    frame[start + TCP_CHECKSUM..][..2].copy_from_slice(&sum.to_be_bytes());
    let mut header = VirtioNetHdr {
        flags: NEEDS_CHECKSUM,
        csum_start: start as u16,
        csum_offset: TCP_CHECKSUM as u16,
        ..VirtioNetHdr::default()
    };
    if let Some(size) = segment {
        let tcp_bytes = usize::from(frame[start + 12] >> 4) * 4;
        header.gso_type = match ipv6 {
            false => VIRTIO_NET_HDR_GSO_TCPV4,
            true => VIRTIO_NET_HDR_GSO_TCPV6,
        };
        header.hdr_len = (start + tcp_bytes) as u16;
        header.gso_size = size.get();
    }
    header
}

/// A TCP header in a frame.
struct Tcp {
    start: usize,
    /// Over the pseudo-header, folded, not inverted (RFC 9293, 3.1).
    sum: u16,
    ipv6: bool,
}

/// Only headers that smoltcp writes: no options of IPv6.
fn find_tcp(frame: &[u8]) -> Option<Tcp> {
    let ip = frame.get(ETHERNET..)?;
    let (bytes, protocol, addresses) = match (frame[12], frame[13], ip.first()? >> 4) {
        (0x08, 0x00, 4) => (usize::from(ip[0] & 0xf) * 4, ip.get(9)?, ip.get(12..20)?),
        (0x86, 0xdd, 6) => (40, ip.get(6)?, ip.get(8..40)?),
        _ => return None,
    };
    let segment = ip.get(bytes..)?;
    if *protocol != u8::from(IpProtocol::Tcp) || segment.len() < 20 {
        return None;
    }
    let words = addresses.chunks_exact(2);
    let words = words.map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let mut sum = words.sum::<u32>() + u32::from(*protocol) + segment.len() as u32;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    Some(Tcp {
        start: ETHERNET + bytes,
        sum: sum as u16,
        ipv6: bytes == 40 && addresses.len() == 32,
    })
}

/// The addresses and the transport part of a frame that is a whole packet.
fn transport(frame: &[u8]) -> Option<(IpAddress, IpAddress, IpProtocol, std::ops::Range<usize>)> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => {
            let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
            if ip.more_frags() || ip.frag_offset() != 0 {
                return None; // a part of a sum says nothing
            }
            let start = ETHERNET + usize::from(ip.header_len());
            let range = start..ETHERNET + usize::from(ip.total_len());
            let (from, to) = (ip.src_addr().into(), ip.dst_addr().into());
            Some((from, to, ip.next_header(), range))
        }
        EthernetProtocol::Ipv6 => {
            let ip = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
            let range = ETHERNET + ip.header_len()..ETHERNET + ip.total_len();
            let (from, to) = (ip.src_addr().into(), ip.dst_addr().into());
            Some((from, to, ip.next_header(), range))
        }
        _ => None,
    }
}

/// False only for a TCP or UDP packet whose checksum is wrong.
fn checksum_is_right(frame: &[u8]) -> bool {
    let Some((from, to, protocol, range)) = transport(frame) else {
        return true;
    };
    let bytes = &frame[range];
    match protocol {
        IpProtocol::Tcp => match TcpPacket::new_checked(bytes) {
            Ok(tcp) => tcp.verify_checksum(&from, &to),
            Err(_) => true, // the demux refuses it, and counts it as what it is
        },
        IpProtocol::Udp => match UdpPacket::new_checked(bytes) {
            Ok(udp) => udp.verify_checksum(&from, &to),
            Err(_) => true,
        },
        _ => true,
    }
}

/// Puts into a TCP frame the checksum that it would have on a wire.
pub(crate) fn finish_checksum(frame: &mut [u8]) {
    let Some((from, to, IpProtocol::Tcp, range)) = transport(frame) else {
        return;
    };
    if let Ok(mut tcp) = TcpPacket::new_checked(&mut frame[range]) {
        tcp.fill_checksum(&from, &to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{EthernetAddress, EthernetRepr, IpRepr, TcpControl, TcpRepr, TcpSeqNumber};

    /// A segment from one host to another, with its checksum finished.
    fn segment(from: &str, to: &str, payload: &[u8]) -> Vec<u8> {
        let (from, to): (IpAddress, IpAddress) = (from.parse().unwrap(), to.parse().unwrap());
        let tcp = TcpRepr {
            src_port: 7,
            dst_port: 49152,
            control: TcpControl::Psh,
            seq_number: TcpSeqNumber(1),
            ack_number: Some(TcpSeqNumber(2)),
            window_len: 1000,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload,
        };
        let ip = IpRepr::new(from, to, IpProtocol::Tcp, tcp.buffer_len(), 64);
        let ethernet = EthernetRepr {
            src_addr: EthernetAddress([2, 0, 0, 0, 0, 1]),
            dst_addr: EthernetAddress([2, 0, 0, 0, 0, 2]),
            ethertype: match from {
                IpAddress::Ipv4(_) => EthernetProtocol::Ipv4,
                IpAddress::Ipv6(_) => EthernetProtocol::Ipv6,
            },
        };
        let mut frame = vec![0; ETHERNET + ip.buffer_len()];
        let sums = ChecksumCapabilities::default();
        ethernet.emit(&mut EthernetFrame::new_unchecked(&mut frame));
        ip.emit(&mut frame[ETHERNET..], &sums);
        let at = ETHERNET + ip.header_len();
        tcp.emit(
            &mut TcpPacket::new_unchecked(&mut frame[at..]),
            &from,
            &to,
            &sums,
        );
        frame
    }

    const PAIRS: [(&str, &str); 2] = [("10.0.0.1", "10.255.0.254"), ("fd69::1", "fe80::ffff:2")];

    /// What the kernel does with a header that says so (virtio 1.2, 5.1.6.2).
    fn finish_as_the_kernel(frame: &mut [u8], header: &VirtioNetHdr) {
        assert_eq!(header.flags, NEEDS_CHECKSUM);
        let start = header.csum_start as usize;
        let words = frame[start..].chunks(2);
        let mut sum: u32 = words
            .map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)))
            .sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let at = start + header.csum_offset as usize;
        frame[at..at + 2].copy_from_slice(&(!sum as u16).to_be_bytes());
    }

    #[test]
    fn the_kernel_finishes_a_checksum_to_what_it_would_have_been() {
        for (from, to) in PAIRS {
            for payload in [&b""[..], b"x", b"swan", &[0xa5; 1400], &[7; 60_001]] {
                let whole = segment(from, to, payload);
                let mut frame = whole.clone();
                let header = describe(&mut frame, None);
                assert_eq!((header.gso_type, header.gso_size), (0, 0));
                assert_ne!(frame, whole, "the checksum was not touched");
                finish_as_the_kernel(&mut frame, &header);
                assert_eq!(frame, whole);
                // And for a capture we do it ourselves.
                describe(&mut frame, None);
                finish_checksum(&mut frame);
                assert_eq!(frame, whole);
            }
        }
    }

    #[test]
    fn a_segment_to_be_cut_says_where_its_headers_end() {
        for ((from, to), kind, bytes) in [
            (PAIRS[0], VIRTIO_NET_HDR_GSO_TCPV4, 54),
            (PAIRS[1], VIRTIO_NET_HDR_GSO_TCPV6, 74),
        ] {
            let mut frame = segment(from, to, &[7; 5000]);
            let header = describe(&mut frame, NonZeroU16::new(1400));
            assert_eq!(
                (header.gso_type, header.gso_size, header.hdr_len),
                (kind, 1400, bytes)
            );
            assert_eq!(inspect(&header, &frame), Ok(()));
        }
    }

    #[test]
    fn what_is_no_tcp_has_an_empty_header() {
        for mut frame in [vec![], vec![0; 13], vec![0; 14], vec![0xff; 60]] {
            let before = frame.clone();
            let header = describe(&mut frame, None);
            assert_eq!((header.flags, header.gso_type), (0, 0));
            assert_eq!(frame, before);
            assert_eq!(inspect(&header, &frame), Ok(()));
            finish_checksum(&mut frame);
            assert_eq!(frame, before);
        }
    }

    #[test]
    fn a_checksum_that_nobody_vouches_for_is_verified() {
        for (from, to) in PAIRS {
            let right = segment(from, to, b"swan");
            let mut wrong = right.clone();
            *wrong.last_mut().unwrap() ^= 1;
            let said = |flags| VirtioNetHdr {
                flags,
                ..VirtioNetHdr::default()
            };
            assert_eq!(inspect(&said(0), &right), Ok(()));
            assert_eq!(inspect(&said(0), &wrong), Err(Refused::Checksum));
            assert_eq!(inspect(&said(NEEDS_CHECKSUM), &wrong), Ok(()));
            assert_eq!(inspect(&said(CHECKSUM_IS_VALID), &wrong), Ok(()));
        }
    }

    #[test]
    fn what_was_not_agreed_on_is_refused() {
        let frame = segment(PAIRS[0].0, PAIRS[0].1, &[7; 5000]);
        let said = |gso_type, gso_size| VirtioNetHdr {
            flags: NEEDS_CHECKSUM,
            gso_type,
            gso_size,
            ..VirtioNetHdr::default()
        };
        let tcp = VIRTIO_NET_HDR_GSO_TCPV4;
        assert_eq!(inspect(&said(tcp, 1460), &frame), Ok(()));
        assert_eq!(inspect(&said(tcp | WITH_ECN, 1460), &frame), Ok(()));
        assert_eq!(inspect(&said(0, 0), &frame), Err(Refused::Oversized));
        assert_eq!(inspect(&said(tcp, 9000), &frame), Err(Refused::Oversized));
        let udp = tun_rs::VIRTIO_NET_HDR_GSO_UDP_L4;
        assert_eq!(inspect(&said(udp, 1460), &frame), Err(Refused::Oversized));
    }
}
