//! What a router says of a packet of ours that did not fit: "fragmentation needed" (RFC
//! 792, RFC 1191) and "packet too big" (RFC 4443), with the beginning of that packet.
//!
//! Not here: what of it is believed (`pmtu.rs`), and all other messages.

use smoltcp::wire::TcpSeqNumber;
#[cfg(feature = "ipv6")]
use smoltcp::wire::{IpEndpoint, Ipv6Address};

use crate::frame::checksum;
use crate::frame::flow::Flow;
#[cfg(feature = "ipv6")]
use crate::frame::link::IPV6;
use crate::frame::link::{ETHERNET, IPV4};

/// A segment of ours was longer than what is behind this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooBig {
    /// Whose the segment was, seen from this host.
    pub(crate) flow: Flow,
    /// Its sequence number.
    pub(crate) seq: TcpSeqNumber,
    /// How long a packet may be; zero from a router that does not say. What is longer than
    /// any packet is cut off to that.
    pub(crate) mtu: u16,
    /// How long the packet was.
    pub(crate) length: u16,
}

/// Reads the frame of such a message about a TCP segment; `None` if it is another one, or
/// damaged.
#[cold]
pub(crate) fn too_big(frame: &[u8]) -> Option<TooBig> {
    let packet = frame.get(ETHERNET..)?;
    match *frame.get(12..14)?.first_chunk()? {
        IPV4 => too_big_v4(packet),
        #[cfg(feature = "ipv6")]
        IPV6 => too_big_v6(packet),
        _ => None,
    }
}

fn too_big_v4(packet: &[u8]) -> Option<TooBig> {
    let message = ipv4_payload(packet, 1)?;
    let (head, quoted) = message.split_first_chunk::<8>()?;
    if head[..2] != [3, 4] || !checksum::is_icmp_right(message) {
        return None;
    }
    // As little of it is quoted as must be: its header and eight bytes.
    let header = quoted.first_chunk::<20>()?;
    let segment = quoted.get(usize::from(header[0] & 15) * 4..)?;
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    let (us, peer) = ([s0, s1, s2, s3], [d0, d1, d2, d3]);
    if header[0] >> 4 != 4 || header[9] != 6 {
        return None;
    }
    let between = Flow::between_v4(u32::from_be_bytes(us), u32::from_be_bytes(peer));
    quote(
        between,
        segment,
        u16::from_be_bytes([head[6], head[7]]),
        u16::from_be_bytes([header[2], header[3]]),
    )
}

/// What an IPv4 packet carries, if it is whole and of this protocol.
fn ipv4_payload(packet: &[u8], protocol: u8) -> Option<&[u8]> {
    const MORE_OR_OFFSET: u16 = 0x3fff;
    let header = packet.first_chunk::<20>()?;
    let end = u16::from_be_bytes([header[2], header[3]]);
    let fragment = u16::from_be_bytes([header[6], header[7]]) & MORE_OR_OFFSET;
    if header[9] != protocol || fragment != 0 {
        return None;
    }
    packet.get(usize::from(header[0] & 15) * 4..usize::from(end))
}

/// The header and the message of an ICMPv6 packet that is whole, as its sender wrote it.
/// So many bytes of options are between them.
#[cfg(feature = "ipv6")]
#[cold]
#[inline(never)]
pub(crate) fn message_v6(packet: &[u8], options: usize) -> Option<(&[u8; 40], &[u8])> {
    let (header, rest) = packet.split_first_chunk::<40>()?;
    let message = rest.get(options..usize::from(u16::from_be_bytes([header[4], header[5]])))?;
    let next = if options > 0 { 0 } else { 58 };
    let is_one = header[0] >> 4 == 6 && header[6] == next;
    let sum = checksum::of_icmpv6(header.last_chunk()?, message);
    (is_one && sum == 0).then_some((header, message))
}

#[cfg(feature = "ipv6")]
fn too_big_v6(packet: &[u8]) -> Option<TooBig> {
    let (_, message) = message_v6(packet, 0)?;
    let (head, quoted) = message.split_first_chunk::<8>()?;
    let (kind, mtu) = head.split_first_chunk::<4>()?;
    if kind[..2] != [2, 0] {
        return None;
    }
    let (header, segment) = quoted.split_first_chunk::<40>()?;
    let (us, peer) = header.last_chunk::<32>()?.split_first_chunk::<16>()?;
    if header[0] >> 4 != 6 || header[6] != 6 {
        return None;
    }
    let end = |bytes: [u8; 16]| IpEndpoint::new(Ipv6Address::from(bytes).into(), 0);
    let between = Flow::new(end(*us), end(*peer.first_chunk()?));
    let mtu = u32::from_be_bytes(*mtu.first_chunk()?).min(u16::MAX.into());
    let length = u16::from_be_bytes([header[4], header[5]]).saturating_add(40);
    quote(between, segment, mtu as u16, length)
}

/// The ports and the number of a quoted segment.
fn quote(between: Flow, segment: &[u8], mtu: u16, length: u16) -> Option<TooBig> {
    let &[l0, l1, r0, r1, a, b, c, d] = segment.first_chunk()?;
    let port = |a, b| u16::from_be_bytes([a, b]);
    Some(TooBig {
        flow: between.with_ports(port(l0, l1), port(r0, r1)),
        seq: TcpSeqNumber(i32::from_be_bytes([a, b, c, d])),
        mtu,
        length,
    })
}

#[cfg(test)]
#[path = "icmp_tests.rs"]
mod tests;
