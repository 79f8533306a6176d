//! Datagrams (RFC 768), read and written; and the word that nobody takes one, "port
//! unreachable" (RFC 792, RFC 4443), with the beginning of that datagram.
//!
//! The rule: what is damaged, cut off or in pieces is refused with a reason. A checksum of
//! zero is none, which IPv4 allows and IPv6 does not (RFC 8200, 8.1).
//!
//! With the feature `ping` an ICMP echo is a datagram, too: its identifier is our port, and its
//! sequence number the peer's.
//!
//! Not here: whose a datagram is (`binds.rs`), and who may speak to whom (`datagrams.rs`).

#[cfg(feature = "ipv6")]
use smoltcp::wire::{IpEndpoint, Ipv6Address};

use crate::counters::DropReason;
use crate::frame::checksum;
use crate::frame::flow::Flow;
use crate::frame::link::{ETHERNET, Hardware, IPV4};

/// Bytes of a header, of UDP and of ICMP.
pub(crate) const HEADER: usize = 8;

/// As the link's header says it.
const IPV6: [u8; 2] = [0x86, 0xdd];

/// As IP headers say it.
pub(crate) const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Whether we send echo requests.
const PINGS: bool = cfg!(feature = "ping");

/// The longest packet with such an error that every host takes, without its headers (RFC
/// 1812, 4.3.2.3: 576 bytes; RFC 4443, 2.4 (c): 1,280).
const QUOTE: [usize; 2] = [576 - 20 - HEADER, 1280 - 40 - HEADER];

/// What came, as its headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard<'f> {
    /// Where it was sent, which may be a group, and who sent it.
    pub(crate) flow: Flow,
    /// The hardware address it came from: the sender's, or a router's.
    pub(crate) hardware: Hardware,
    /// The frame was for this station, not for several.
    pub(crate) to_us_alone: bool,
    pub(crate) said: Said<'f>,
}

/// What was said in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said<'f> {
    /// A datagram, which carries this.
    Datagram(&'f [u8]),
    /// The answer to an echo request of ours, which carries this.
    Echo(&'f [u8]),
    /// Nobody takes datagrams of this flow, seen from here; one that had this [`mark`] did
    /// not arrive.
    Unreachable(Flow, u32),
}

/// What tells a datagram that left from others of its flow: its length and its checksum, out
/// of its header.
pub(crate) fn mark(header: &[u8; HEADER]) -> u32 {
    let [.., a, b, c, d] = *header;
    u32::from_be_bytes([a, b, c, d])
}

/// Whether a frame is a datagram, or the word that one was not taken.
#[inline]
pub(crate) fn is_about_datagrams(frame: &[u8]) -> bool {
    let Some(head) = frame.first_chunk::<42>() else {
        return false;
    };
    match [head[12], head[13]] {
        IPV4 => head[23] == UDP || head[23] == ICMP && is_word(frame, 34, [3, 3], [0, 0]),
        #[cfg(feature = "ipv6")]
        IPV6 => head[20] == UDP || head[20] == ICMPV6 && is_word(frame, 54, [1, 4], [129, 0]),
        _ => false,
    }
}

/// Whether the message that begins there says that a datagram was not taken, with that type and
/// code, or is the answer to an echo request, with this one.
#[cold]
fn is_word(frame: &[u8], at: usize, unreachable: [u8; 2], echo: [u8; 2]) -> bool {
    let is_kind = |kind: [u8; 2]| frame.get(at..at + 2) == Some(&kind[..]);
    // Of what it quotes it is the protocol, in headers without options as ours are; and there
    // are none before it.
    let quoted = if at == 34 { at + 17 } else { at + 14 };
    let is_whole = at != 34 || frame.get(14) == Some(&0x45);
    let is_echo = PINGS && is_kind(echo);
    is_whole && (is_echo || is_kind(unreachable) && frame.get(quoted) == Some(&UDP))
}

/// Reads such a frame. `us`: our hardware address; and which checksums are ours to look at,
/// of IPv4 headers and of datagrams.
pub(crate) fn read(
    frame: &[u8],
    us: Hardware,
    (sums_ipv4, sums_udp): (bool, bool),
) -> Result<Heard<'_>, DropReason> {
    let malformed = DropReason::Malformed;
    let (link, bytes) = frame.split_first_chunk::<ETHERNET>().ok_or(malformed)?;
    let [.., s0, s1, s2, s3, s4, s5, _, _] = *link;
    let to_us_alone = link.first_chunk() == Some(&us);
    // The group bit is set in the broadcast address too.
    if !to_us_alone && link[0] & 1 == 0 {
        return Err(DropReason::NotOurs);
    }
    let packet = match link[12..] {
        #[cfg(feature = "ipv6")]
        [0x86, ..] => packet_v6(bytes).ok_or(malformed)?,
        _ => packet_v4(bytes, sums_ipv4)?,
    };
    let head = packet.payload.split_first_chunk::<HEADER>();
    let (&[r0, r1, l0, l1, a, b, sum @ ..], rest) = head.ok_or(malformed)?;
    let heard = |flow, said| Heard {
        flow,
        hardware: [s0, s1, s2, s3, s4, s5],
        to_us_alone,
        said,
    };
    let is_right = |message| checksum::of_message(packet.pseudo, packet.protocol, message) == 0;
    let number = |a, b| u16::from_be_bytes([a, b]);
    if PINGS && packet.protocol != UDP && matches!(r0, 0 | 129) {
        let flow = packet.flow.with_ports(number(a, b), number(sum[0], sum[1]));
        return match is_right(packet.payload) {
            true => Ok(heard(flow, Said::Echo(rest))),
            false => Err(DropReason::Checksum),
        };
    }
    if packet.protocol != UDP {
        let (flow, mark) = quoted(rest, packet.flow.words).ok_or(malformed)?;
        return match is_right(packet.payload) {
            true => Ok(heard(packet.flow, Said::Unreachable(flow, mark))),
            false => Err(DropReason::Checksum),
        };
    }
    // What is behind it in the packet is none of it.
    let length = usize::from(number(a, b));
    let message = packet.payload.get(..length).ok_or(malformed)?;
    let (payload, local) = (message.get(HEADER..).ok_or(malformed)?, number(l0, l1));
    if local == 0 {
        return Err(malformed);
    }
    let unsummed = sum == [0, 0] && packet.flow.words == 1;
    if sum == [0, 0] && !unsummed || sums_udp && !unsummed && !is_right(message) {
        return Err(DropReason::Checksum);
    }
    let flow = packet.flow.with_ports(local, number(r0, r1));
    Ok(heard(flow, Said::Datagram(payload)))
}

/// What an IP header says.
struct Packet<'f> {
    /// Without ports.
    flow: Flow,
    protocol: u8,
    payload: &'f [u8],
    /// What the addresses add to a checksum.
    pseudo: usize,
}

fn packet_v4(bytes: &[u8], sums: bool) -> Result<Packet<'_>, DropReason> {
    const MORE_OR_OFFSET: u16 = 0x3fff;
    let header = bytes.first_chunk::<20>().ok_or(DropReason::Malformed)?;
    let start = usize::from(header[0] & 15) * 4;
    let end = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let (options, payload) = (bytes.get(20..start), bytes.get(start..end));
    let (Some(options), Some(payload), 4) = (options, payload, header[0] >> 4) else {
        return Err(DropReason::Malformed);
    };
    if sums && !checksum::header_is_right(header, options) {
        return Err(DropReason::Checksum);
    }
    // All but the first carry no ports.
    if u16::from_be_bytes([header[6], header[7]]) & MORE_OR_OFFSET != 0 {
        return Err(DropReason::Fragment);
    }
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    let (source, destination) = ([s0, s1, s2, s3], [d0, d1, d2, d3]);
    Ok(Packet {
        flow: Flow::between_v4(u32::from_be_bytes(destination), u32::from_be_bytes(source)),
        protocol: header[9],
        payload,
        pseudo: header.last_chunk::<8>().map_or(0, checksum::pseudo),
    })
}

#[cfg(feature = "ipv6")]
fn packet_v6(bytes: &[u8]) -> Option<Packet<'_>> {
    let (header, rest) = bytes.split_first_chunk::<40>()?;
    let payload = rest.get(..usize::from(u16::from_be_bytes([header[4], header[5]])))?;
    let (source, destination) = ends_v6(header)?;
    (header[0] >> 4 == 6).then_some(Packet {
        flow: Flow::new(destination, source),
        protocol: header[6],
        payload,
        pseudo: header.last_chunk::<32>().map_or(0, checksum::pseudo),
    })
}

/// Source and destination.
#[cfg(feature = "ipv6")]
fn ends_v6(header: &[u8; 40]) -> Option<(IpEndpoint, IpEndpoint)> {
    let (source, destination) = header.last_chunk::<32>()?.split_first_chunk::<16>()?;
    let end = |bytes: [u8; 16]| IpEndpoint::new(Ipv6Address::from(bytes).into(), 0);
    Some((end(*source), end(*destination.first_chunk()?)))
}

/// The flow of a datagram of ours that is quoted, and its mark. Of a header of ours that is
/// all: it has no options.
fn quoted(quote: &[u8], words: u32) -> Option<(Flow, u32)> {
    let (between, rest) = match words {
        1 => {
            let (header, rest) = quote.split_first_chunk::<20>()?;
            let [0x45, .., s0, s1, s2, s3, d0, d1, d2, d3] = *header else {
                return None;
            };
            let (us, peer) = ([s0, s1, s2, s3], [d0, d1, d2, d3]);
            let flow = Flow::between_v4(u32::from_be_bytes(us), u32::from_be_bytes(peer));
            (flow, rest)
        }
        #[cfg(feature = "ipv6")]
        _ => {
            let (header, rest) = quote.split_first_chunk::<40>()?;
            let (us, peer) = ends_v6(header)?;
            (Flow::new(us, peer), rest)
        }
        #[cfg(not(feature = "ipv6"))]
        _ => return None,
    };
    let header = rest.first_chunk::<HEADER>()?;
    let &[l0, l1, r0, r1, ..] = header;
    let (local, remote) = (u16::from_be_bytes([l0, l1]), u16::from_be_bytes([r0, r1]));
    Some((between.with_ports(local, remote), mark(header)))
}

/// A message on its way out: a datagram, or one of ICMP.
pub(crate) struct Message<'m> {
    from: Hardware,
    to: Hardware,
    /// Of ICMP without ports.
    flow: Flow,
    /// Over how many hops it may go; zero: as many as is usual.
    pub(crate) hops: u8,
    protocol: u8,
    head: [u8; HEADER],
    body: &'m [u8],
}

impl<'m> Message<'m> {
    /// A datagram of this flow, from that hardware address to this one.
    #[inline]
    pub(crate) fn datagram((from, to): (Hardware, Hardware), flow: &Flow, body: &'m [u8]) -> Self {
        let [l0, l1, r0, r1] = flow.ports.to_be_bytes();
        let [a, b] = ((HEADER + body.len()) as u16).to_be_bytes();
        Message {
            from,
            to,
            flow: *flow,
            hops: 0,
            protocol: UDP,
            head: [l0, l1, r0, r1, a, b, 0, 0],
            body,
        }
    }

    /// An echo request of this flow, as [`datagram`](Self::datagram).
    pub(crate) fn echo(ends: (Hardware, Hardware), flow: &Flow, body: &'m [u8]) -> Self {
        let (protocol, kind) = match flow.words {
            1 => (ICMP, 8),
            _ => (ICMPV6, 128),
        };
        let [i0, i1, s0, s1] = flow.ports.to_be_bytes();
        Message {
            protocol,
            head: [kind, 0, 0, 0, i0, i1, s0, s1],
            ..Message::datagram(ends, flow, body)
        }
    }

    /// The answer to a datagram that came in this frame to a port of nobody's.
    pub(crate) fn unreachable(heard: &Heard<'_>, us: Hardware, frame: &'m [u8]) -> Self {
        let packet = frame.get(ETHERNET..).unwrap_or_default();
        let (protocol, kind, code, most) = match heard.flow.words {
            1 => (ICMP, 3, 3, QUOTE[0]),
            _ => (ICMPV6, 1, 4, QUOTE[1]),
        };
        Message {
            from: us,
            to: heard.hardware,
            flow: heard.flow,
            hops: 0,
            protocol,
            head: [kind, code, 0, 0, 0, 0, 0, 0],
            body: packet.get(..most).unwrap_or(packet),
        }
    }

    /// Bytes of the headers of the link and of IP.
    fn start(&self) -> usize {
        if self.flow.words == 1 { 34 } else { 54 }
    }

    /// Bytes of the frame.
    pub(crate) fn len(&self) -> usize {
        self.start() + HEADER + self.body.len()
    }

    /// Writes it into a frame of its length, and gives the mark of a datagram. The checksum of
    /// an IPv4 header is left open; `sums`: that of the message is ours to write.
    pub(crate) fn write(&self, frame: &mut [u8], sums: bool) -> Option<u32> {
        let (head, message) = frame.split_at_mut_checked(self.start())?;
        let pseudo = self.write_ip(head, message.len() as u16)?;
        let (header, payload) = message.split_first_chunk_mut::<HEADER>()?;
        *header = self.head;
        payload
            .get_mut(..self.body.len())?
            .copy_from_slice(self.body);
        if sums {
            let sum = checksum::of_message(pseudo, self.protocol, message).to_ne_bytes();
            // RFC 768: "If the computed checksum is zero, it is transmitted as all ones".
            let sum = if sum == [0, 0] { [0xff; 2] } else { sum };
            let at = if self.protocol == UDP { 6 } else { 2 };
            *message.get_mut(at..)?.first_chunk_mut()? = sum;
        }
        message.first_chunk().map(mark)
    }

    /// Writes the headers before a message of that many bytes; gives what its addresses add to
    /// its checksum.
    fn write_ip(&self, room: &mut [u8], bytes: u16) -> Option<usize> {
        let Flow { local, remote, .. } = &self.flow;
        let (link, header) = room.split_first_chunk_mut::<ETHERNET>()?;
        let is_v4 = self.flow.words == 1;
        // RFC 1112, 6.1: to a group no router takes it further, unless somebody says so.
        let is_group = match is_v4 {
            true => remote[0] >> 28 == 0xe,
            false => remote[0] >> 24 == 0xff,
        };
        let hops = match self.hops {
            0 if is_group => 1,
            0 => 64,
            hops => hops,
        };
        let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (self.to, self.from);
        let kind = if is_v4 { IPV4 } else { IPV6 };
        *link = [a, b, c, d, e, f, g, h, i, j, k, l, kind[0], kind[1]];
        if is_v4 {
            let header = header.first_chunk_mut::<20>()?;
            let [l0, l1] = (bytes + 20).to_be_bytes();
            let [s0, s1, s2, s3] = local[0].to_be_bytes();
            let [d0, d1, d2, d3] = remote[0].to_be_bytes();
            // Never fragmented.
            *header = [
                0x45,
                0,
                l0,
                l1,
                0,
                0,
                0x40,
                0,
                hops,
                self.protocol,
                0,
                0, // no checksum yet
                s0,
                s1,
                s2,
                s3,
                d0,
                d1,
                d2,
                d3,
            ];
            return header.last_chunk::<8>().map(checksum::pseudo);
        }
        let (fixed, addresses) = header.split_first_chunk_mut::<8>()?;
        let [l0, l1] = bytes.to_be_bytes();
        *fixed = [0x60, 0, 0, 0, l0, l1, self.protocol, hops];
        let (places, _) = addresses.as_chunks_mut();
        for (place, word) in places.iter_mut().zip(local.iter().chain(remote)) {
            *place = word.to_be_bytes();
        }
        addresses.first_chunk::<32>().map(checksum::pseudo)
    }
}

#[cfg(test)]
#[path = "udp_tests.rs"]
mod tests;
