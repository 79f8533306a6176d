//! Demultiplexing. A frame must find its connection without asking every
//! connection, so its headers are read once, here, and answered with a
//! [`Route`]: TCP for a flow, something for the whole host, or refused with a
//! reason. Only headers are read; the cost does not depend on the payload or on
//! the number of connections.
//!
//! The rule: whatever must never reach a TCP socket is refused here. That is a
//! segment to or from an address that is no single peer's (RFC 9293, MUST-57 and
//! RFC 1122, 3.2.1.3), and every fragment of one: later fragments carry no ports,
//! and reassembly would let one stray fragment block it.
//!
//! The other direction reads the same headers: [`outgoing`] tells what a frame
//! of ours says about its flow.
//!
//! Not here: checksums (`checksum.rs`) and TCP options (smoltcp), whether the
//! flow is known (`flows.rs`), whether it may have a slot (`guard.rs`).

use smoltcp::wire::{
    EthernetAddress, EthernetProtocol, IpAddress, IpCidr, IpEndpoint, IpProtocol, Ipv4Address,
    TcpSeqNumber,
};
#[cfg(feature = "ipv6")]
use smoltcp::wire::{Ipv6Address, Ipv6Packet};

use crate::event::DropReason;

/// The 4-tuple, seen from this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    /// Our address and port.
    pub local: IpEndpoint,
    /// The peer's address and port.
    pub remote: IpEndpoint,
}

/// What a segment wants, as far as routing cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// SYN, no ACK, no RST: a new connection, or a duplicate of one.
    Syn,
    /// RST, with whatever else.
    Rst,
    /// Everything else.
    Other,
}

/// A TCP segment, as its headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Whose it is.
    pub flow: Flow,
    /// What it wants.
    pub control: Control,
    /// Its sequence number.
    pub seq: TcpSeqNumber,
    /// What it acknowledges; means nothing without `has_ack`.
    pub ack: TcpSeqNumber,
    /// Whether it acknowledges anything.
    pub has_ack: bool,
    /// Bytes of payload.
    pub payload: u16,
    /// The hardware address it came from: the peer's, or a router's.
    pub remote_hardware: EthernetAddress,
    /// Where its header begins in the frame, and where its last byte ends.
    pub span: (u16, u16),
}

impl Segment {
    /// The segment in the frame it came in, and the two addresses before it.
    pub(crate) fn bytes<'f>(&self, frame: &'f [u8]) -> (&'f [u8], &'f [u8]) {
        let (start, end) = (usize::from(self.span.0), usize::from(self.span.1));
        let (from, to) = addresses(self.flow.local.addr);
        let part = |start, end| frame.get(start..end).unwrap_or_default();
        (part(from, to), part(start, end))
    }

    /// Why it may not begin or end anything here, if so: a segment that belongs
    /// to no flow must come from a peer that can have one, to an address of
    /// ours. Flows are made of such segments only, so a known flow need not be
    /// asked again.
    pub(crate) fn refusal(&self, addrs: &[IpCidr]) -> Option<DropReason> {
        refusal(self.flow.local.addr, self.flow.remote.addr, addrs)
    }
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// To the slot of this flow; to a listener, or to nobody, only if
    /// [`refusal`](Segment::refusal) has no objection.
    Tcp(Segment),
    /// To the host.
    General {
        /// It may answer who owns an address: ARP, or neighbor discovery.
        neighbor: bool,
    },
    /// Nowhere.
    Refuse(DropReason),
}

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// What is known of a packet before its transport header is looked at.
#[derive(Clone, Copy)]
struct Packet<'f> {
    frame: &'f [u8],
    to_us_alone: bool,
    remote_hardware: EthernetAddress,
    addrs: &'f [IpCidr],
}

/// Where the two addresses lie in a frame, by their family.
fn addresses(family: IpAddress) -> (usize, usize) {
    match family {
        IpAddress::Ipv4(_) => (ETHERNET + 12, ETHERNET + 20),
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(_) => (ETHERNET + 8, ETHERNET + 40),
    }
}

/// Says where `frame` goes on a host with this hardware address and these IP
/// addresses.
pub(crate) fn demux(frame: &[u8], hardware: EthernetAddress, addrs: &[IpCidr]) -> Route {
    let Some((header, packet)) = frame.split_first_chunk::<ETHERNET>() else {
        return Route::Refuse(DropReason::Malformed);
    };
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, kind @ ..] = *header;
    let to_us_alone = [d0, d1, d2, d3, d4, d5] == hardware.0;
    // The group bit is set in the broadcast address too.
    if !to_us_alone && d0 & 1 == 0 {
        return Route::Refuse(DropReason::NotOurs);
    }
    let link = Packet {
        frame,
        to_us_alone,
        remote_hardware: EthernetAddress([s0, s1, s2, s3, s4, s5]),
        addrs,
    };
    match EthernetProtocol::from(u16::from_be_bytes(kind)) {
        EthernetProtocol::Ipv4 => demux_ipv4(&link, packet),
        EthernetProtocol::Arp => Route::General { neighbor: true },
        #[cfg(feature = "ipv6")]
        EthernetProtocol::Ipv6 => demux_ipv6(&link, packet),
        _ => Route::Refuse(DropReason::NotOurs),
    }
}

fn demux_ipv4(link: &Packet<'_>, packet: &[u8]) -> Route {
    const MORE_OR_OFFSET: u16 = 0x3fff;
    let Some(header) = packet.first_chunk::<20>() else {
        return Route::Refuse(DropReason::Malformed);
    };
    let [
        first,
        _,
        l0,
        l1,
        _,
        _,
        f0,
        f1,
        _,
        protocol,
        _,
        _,
        source @ ..,
        d0,
        d1,
        d2,
        d3,
    ] = *header;
    let start = usize::from(first & 15) * 4;
    let end = usize::from(u16::from_be_bytes([l0, l1]));
    if first >> 4 != 4 || start < header.len() || start > end || end > packet.len() {
        return Route::Refuse(DropReason::Malformed);
    }
    if IpProtocol::from(protocol) != IpProtocol::Tcp {
        return Route::General { neighbor: false };
    }
    if u16::from_be_bytes([f0, f1]) & MORE_OR_OFFSET != 0 {
        return Route::Refuse(DropReason::Fragment);
    }
    let source = Ipv4Address::from(source).into();
    let destination = Ipv4Address::from([d0, d1, d2, d3]).into();
    demux_tcp(link, source, destination, ETHERNET + start, ETHERNET + end)
}

#[cfg(feature = "ipv6")]
fn demux_ipv6(link: &Packet<'_>, packet: &[u8]) -> Route {
    let Some(packet) = ipv6_packet(packet) else {
        return Route::Refuse(DropReason::Malformed);
    };
    let payload = packet.payload();
    match packet.next_header() {
        IpProtocol::Tcp => {}
        // Router solicitations and advertisements (133, 134) name no neighbor
        // that a slot could be waiting for.
        IpProtocol::Icmpv6 => {
            let neighbor = matches!(payload.first(), Some(135 | 136));
            return Route::General { neighbor };
        }
        // The first byte of a fragment header is the next header's number.
        IpProtocol::Ipv6Frag if payload.first() == Some(&IpProtocol::Tcp.into()) => {
            return Route::Refuse(DropReason::Fragment);
        }
        // smoltcp would look behind these options and reset what it finds.
        IpProtocol::HopByHop if payload.first() == Some(&IpProtocol::Tcp.into()) => {
            return Route::Refuse(DropReason::Fragment);
        }
        _ => return Route::General { neighbor: false },
    }
    let start = ETHERNET + packet.header_len();
    let (source, destination): (Ipv6Address, Ipv6Address) = (packet.src_addr(), packet.dst_addr());
    let end = start + payload.len();
    demux_tcp(link, source.into(), destination.into(), start, end)
}

/// The rules that both IP versions share.
fn demux_tcp(
    link: &Packet<'_>,
    source: IpAddress,
    destination: IpAddress,
    start: usize,
    end: usize,
) -> Route {
    if !link.to_us_alone {
        return Route::Refuse(DropReason::NotUnicast);
    }
    let segment = read_tcp(link, source, destination, start, end);
    let reason = match segment {
        Some(segment) if !link.remote_hardware.is_multicast() => return Route::Tcp(segment),
        Some(_) => DropReason::BadSource,
        None => DropReason::Malformed,
    };
    Route::Refuse(refusal(destination, source, link.addrs).unwrap_or(reason))
}

/// The segment, if its header can be one.
fn read_tcp(
    link: &Packet<'_>,
    source: IpAddress,
    destination: IpAddress,
    start: usize,
    end: usize,
) -> Option<Segment> {
    let segment = link.frame.get(start..end)?;
    let [
        s0,
        s1,
        d0,
        d1,
        q0,
        q1,
        q2,
        q3,
        a0,
        a1,
        a2,
        a3,
        length,
        flags,
        ..,
    ] = *segment.first_chunk::<20>()?;
    let ports = [[s0, s1], [d0, d1]].map(u16::from_be_bytes);
    let length = usize::from(length >> 4) * 4;
    if length < 20 || length > segment.len() || ports.contains(&0) {
        return None;
    }
    Some(Segment {
        flow: Flow {
            local: IpEndpoint::new(destination, ports[1]),
            remote: IpEndpoint::new(source, ports[0]),
        },
        control: match flags & (SYN | RST | ACK) {
            SYN => Control::Syn,
            flags if flags & RST != 0 => Control::Rst,
            _ => Control::Other,
        },
        seq: TcpSeqNumber(i32::from_be_bytes([q0, q1, q2, q3])),
        ack: TcpSeqNumber(i32::from_be_bytes([a0, a1, a2, a3])),
        has_ack: flags & ACK != 0,
        payload: (segment.len() - length) as u16,
        remote_hardware: link.remote_hardware,
        span: (u16::try_from(start).ok()?, u16::try_from(end).ok()?),
    })
}

/// See [`Segment::refusal`].
fn refusal(local: IpAddress, remote: IpAddress, addrs: &[IpCidr]) -> Option<DropReason> {
    let ours = |address| addrs.iter().any(|cidr| cidr.address() == address);
    let broadcast = |address| {
        addrs.iter().any(|cidr| match (cidr, address) {
            (IpCidr::Ipv4(cidr), IpAddress::Ipv4(address)) => cidr.broadcast() == Some(address),
            #[cfg(feature = "ipv6")]
            _ => false,
        })
    };
    let group =
        |address: IpAddress| address.is_multicast() || address.is_broadcast() || broadcast(address);
    // An address of ours is no group, so most frames need no look for one.
    if !ours(local) {
        return Some(match group(local) {
            true => DropReason::NotUnicast,
            false => DropReason::NotOurs,
        });
    }
    let impossible =
        is_loopback(remote) || remote.is_unspecified() || group(remote) || ours(remote);
    impossible.then_some(DropReason::BadSource)
}

/// Whether an address is this host under the name that every host has.
pub(crate) fn is_loopback(addr: IpAddress) -> bool {
    match addr {
        IpAddress::Ipv4(addr) => addr.is_loopback(),
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(addr) => addr.is_loopback(),
    }
}

/// What a frame of ours, on its way out, says about its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// It opens the connection.
    pub syn: bool,
    /// It closes our direction.
    pub fin: bool,
    /// It resets the connection.
    pub rst: bool,
    /// It carries the last byte there is to send.
    pub psh: bool,
    /// Bytes of payload.
    pub payload: usize,
    /// What it acknowledges, if it does.
    pub ack: Option<TcpSeqNumber>,
    /// Its sequence number.
    pub seq: TcpSeqNumber,
    /// The window it offers, as it stands in the header.
    pub window: u16,
    /// Where its header begins in the frame.
    pub start: usize,
    /// Where the two IP addresses lie before it.
    pub addresses: (usize, usize),
}

/// Reads a frame that this host sends; `None` if it is not TCP. smoltcp writes
/// neither IP options nor extension headers, so everything has its place.
#[inline]
pub(crate) fn outgoing(frame: &[u8]) -> Option<Outgoing> {
    if let Some(head) = frame.first_chunk::<54>()
        && [head[12], head[13], head[14], head[23]] == [0x08, 0x00, 0x45, 6]
    {
        return outgoing_tcp(frame.len(), head.last_chunk()?, 34, (26, 34));
    }
    #[cfg(feature = "ipv6")]
    if let Some(head) = frame.first_chunk::<74>()
        && [head[12], head[13], head[20]] == [0x86, 0xdd, 6]
    {
        return outgoing_tcp(frame.len(), head.last_chunk()?, 54, (22, 54));
    }
    None
}

#[inline]
fn outgoing_tcp(
    bytes: usize,
    tcp: &[u8; 20],
    start: usize,
    addresses: (usize, usize),
) -> Option<Outgoing> {
    let number = |a, b, c, d| TcpSeqNumber(i32::from_be_bytes([a, b, c, d]));
    let flags = tcp[13];
    Some(Outgoing {
        syn: flags & SYN != 0,
        fin: flags & FIN != 0,
        rst: flags & RST != 0,
        psh: flags & PSH != 0,
        payload: bytes.checked_sub(start + usize::from(tcp[12] >> 4) * 4)?,
        ack: (flags & ACK != 0).then(|| number(tcp[8], tcp[9], tcp[10], tcp[11])),
        seq: number(tcp[4], tcp[5], tcp[6], tcp[7]),
        window: u16::from_be_bytes([tcp[14], tcp[15]]),
        start,
        addresses,
    })
}

#[cfg(feature = "ipv6")]
fn ipv6_packet(packet: &[u8]) -> Option<Ipv6Packet<&[u8]>> {
    Ipv6Packet::new_checked(packet)
        .ok()
        .filter(|packet| packet.version() == 6)
}

#[cfg(test)]
#[path = "demux_tests.rs"]
mod tests;
