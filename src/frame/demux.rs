//! Demultiplexing. A frame must find its connection without asking every
//! connection, so its headers are read once, here, and answered with a
//! [`Route`]: TCP for a flow, something for the whole host, or refused with a
//! reason. Only headers are read, and a checksum is added up; the cost does not
//! depend on the number of connections.
//!
//! The rule: whatever must never reach a TCP socket is refused here. That is a
//! segment to or from an address that is no single peer's (RFC 9293, MUST-57 and
//! RFC 1122, 3.2.1.3), and every fragment of one: later fragments carry no ports,
//! and reassembly would let one stray fragment block it.
//!
//! Not here: frames of ours on their way out (`sent.rs`), how a checksum is added
//! up (`checksum.rs`), TCP options (smoltcp), whether the flow is known
//! (`flows.rs`), whether it may have a slot (`guard.rs`).

use smoltcp::wire::{IpAddress, IpCidr, IpProtocol, TcpSeqNumber};
#[cfg(feature = "ipv6")]
use smoltcp::wire::{IpEndpoint, Ipv6Address, Ipv6Packet};

use crate::counters::DropReason;
use crate::frame::checksum::{self, Checks};
use crate::frame::flow::Flow;
#[cfg(feature = "ipv6")]
use crate::frame::headers::segment_behind;
use crate::frame::link::{ARP, ETHERNET, Hardware, IPV4, is_unicast};
#[cfg(feature = "ipv6")]
use crate::frame::link::{IPV6, same};

/// What a segment wants, as far as routing cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// SYN, no ACK, no RST: a new connection, or a duplicate of one.
    Syn,
    /// SYN and ACK, no RST: the answer to a SYN of ours.
    SynAck,
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
    /// Whether it ends the peer's stream.
    pub fin: bool,
    /// Bytes of payload.
    pub payload: u16,
    /// The window it offers, as it stands in the header.
    pub window: u16,
    /// The hardware address it came from: the peer's, or a router's.
    pub remote_hardware: Hardware,
}

impl Segment {
    /// Why it may not begin or end anything here, if so: a segment that belongs
    /// to no flow must come from a peer that can have one, to an address of
    /// ours. Flows are made of such segments only, so a known flow need not be
    /// asked again.
    #[inline]
    pub(crate) fn refusal(&self, addrs: &[IpCidr]) -> Option<DropReason> {
        refusal(&self.flow, addrs)
    }
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// To the slot of this flow; to a listener, or to nobody, only if
    /// [`refusal`](Segment::refusal) has no objection.
    Tcp(Segment),
    /// To the host, from this hardware address: a ping, or what nobody here
    /// understands.
    Host(Hardware),
    /// To the host: it says or asks who owns an address, ARP or neighbor discovery.
    Neighbor,
    /// To the host: a router may be asking which groups it hears.
    #[cfg(feature = "ipv6")]
    Query,
    /// Nowhere.
    Refuse(DropReason),
}

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const PSH: u8 = 8;
pub(crate) const ACK: u8 = 16;

/// What is known before the IP header is looked at. Handed on by value, or it
/// would have to be written down for IPv6's sake in every IPv4 frame.
#[derive(Clone, Copy)]
struct Link<'f> {
    to_us_alone: bool,
    checks: &'f Checks,
    remote_hardware: Hardware,
    addrs: &'f [IpCidr],
}

/// Says where `frame` goes on a host with this hardware address and these IP
/// addresses. `checks`: which checksums are ours to look at.
pub(crate) fn demux(frame: &[u8], hardware: Hardware, addrs: &[IpCidr], checks: &Checks) -> Route {
    let Some((header, packet)) = frame.split_first_chunk::<ETHERNET>() else {
        return Route::Refuse(DropReason::Malformed);
    };
    let [.., s0, s1, s2, s3, s4, s5, kind0, kind1] = *header;
    let to_us_alone = header.first_chunk() == Some(&hardware);
    // The group bit is set in the broadcast address too.
    if !to_us_alone && header[0] & 1 == 0 {
        return Route::Refuse(DropReason::NotOurs);
    }
    let link = Link {
        to_us_alone,
        checks,
        remote_hardware: [s0, s1, s2, s3, s4, s5],
        addrs,
    };
    match [kind0, kind1] {
        IPV4 => demux_ipv4(link, packet),
        ARP => Route::Neighbor,
        #[cfg(feature = "ipv6")]
        IPV6 => demux_ipv6(link, packet),
        _ => Route::Refuse(DropReason::NotOurs),
    }
}

#[inline]
fn demux_ipv4(link: Link<'_>, packet: &[u8]) -> Route {
    const MORE_OR_OFFSET: u16 = 0x3fff;
    let Some(header) = packet.first_chunk::<20>() else {
        return Route::Refuse(DropReason::Malformed);
    };
    let start = usize::from(header[0] & 15) * 4;
    let end = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] >> 4 != 4 || start < header.len() || start > end || end > packet.len() {
        return Route::Refuse(DropReason::Malformed);
    }
    let options = packet.get(header.len()..start).unwrap_or_default();
    if link.checks.ipv4.rx() && !checksum::header_is_right(header, options) {
        return Route::Refuse(DropReason::Checksum);
    }
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    let (source, destination) = ([s0, s1, s2, s3], [d0, d1, d2, d3]);
    let between = Flow::between_v4(u32::from_be_bytes(destination), u32::from_be_bytes(source));
    if header[9] != u8::from(IpProtocol::Tcp) {
        return demux_host(link, &between);
    }
    if u16::from_be_bytes([header[6], header[7]]) & MORE_OR_OFFSET != 0 {
        return Route::Refuse(DropReason::Fragment);
    }
    let pseudo = header.last_chunk::<8>().map_or(0, checksum::pseudo);
    let segment = packet.get(start..end).unwrap_or_default();
    demux_tcp(link, between, pseudo, segment)
}

#[cfg(feature = "ipv6")]
#[inline(never)]
fn demux_ipv6(link: Link<'_>, bytes: &[u8]) -> Route {
    let packet = Ipv6Packet::new_checked(bytes).ok();
    let Some(packet) = packet.filter(|packet| packet.version() == 6) else {
        return Route::Refuse(DropReason::Malformed);
    };
    let payload = packet.payload();
    let end = |addr: Ipv6Address| IpEndpoint::new(addr.into(), 0);
    let between = Flow::new(end(packet.dst_addr()), end(packet.src_addr()));
    match packet.next_header() {
        IpProtocol::Tcp => {}
        // Router solicitations and advertisements (133, 134) name no neighbor
        // that a slot could be waiting for.
        IpProtocol::Icmpv6 if matches!(payload.first(), Some(135 | 136)) => {
            return Route::Neighbor;
        }
        IpProtocol::HopByHop if matches!(payload, [58, _, _, _, _, _, _, _, 130, ..]) => {
            return Route::Query;
        }
        IpProtocol::Ipv6NoNxt => return Route::Refuse(DropReason::NotOurs),
        // The first byte of these headers is the next header's number. smoltcp would
        // look behind the options in the second and reset what it finds.
        IpProtocol::Ipv6Frag | IpProtocol::HopByHop
            if payload.first() == Some(&IpProtocol::Tcp.into()) =>
        {
            return Route::Refuse(DropReason::Fragment);
        }
        next if segment_behind(next.into(), payload).is_some() => {
            return Route::Refuse(DropReason::Fragment);
        }
        _ => return demux_host(link, &between),
    }
    let addresses = bytes.get(8..).and_then(|rest| rest.first_chunk::<32>());
    let pseudo = addresses.map_or(0, checksum::pseudo);
    demux_tcp(link, between, pseudo, payload)
}

/// What is no TCP is answered to where it came from, so it must have come from
/// one peer, to us alone (RFC 1122, 3.2.2).
#[cold]
fn demux_host(link: Link<'_>, between: &Flow) -> Route {
    if !link.to_us_alone {
        return Route::Refuse(DropReason::NotUnicast);
    }
    match refusal(between, link.addrs) {
        Some(reason) => Route::Refuse(reason),
        None if !is_unicast(link.remote_hardware) => Route::Refuse(DropReason::BadSource),
        None => Route::Host(link.remote_hardware),
    }
}

/// The rules that both IP versions share. Inlined: a call would cost a tenth of
/// what a dropped SYN does.
#[cfg_attr(target_pointer_width = "64", inline(always))]
fn demux_tcp(link: Link<'_>, between: Flow, pseudo: usize, bytes: &[u8]) -> Route {
    if !link.to_us_alone {
        return Route::Refuse(DropReason::NotUnicast);
    }
    let refuse = |reason| refuse_tcp(between, link.addrs, reason);
    let Some(tcp) = bytes.first_chunk::<20>() else {
        return refuse(DropReason::Malformed);
    };
    let port = |a, b| u16::from_be_bytes([a, b]);
    let number = |a, b, c, d| TcpSeqNumber(i32::from_be_bytes([a, b, c, d]));
    let (remote, local) = (port(tcp[0], tcp[1]), port(tcp[2], tcp[3]));
    let (length, flags) = (usize::from(tcp[12] >> 4) * 4, tcp[13]);
    if !is_unicast(link.remote_hardware) {
        return refuse(DropReason::BadSource);
    }
    if length < 20 || length > bytes.len() || remote == 0 || local == 0 {
        return refuse(DropReason::Malformed);
    }
    if link.checks.tcp.rx() && !checksum::is_right(pseudo, bytes) {
        return refuse(DropReason::Checksum);
    }
    Route::Tcp(Segment {
        flow: between.with_ports(local, remote),
        control: match flags & (SYN | RST) {
            0 => Control::Other,
            _ => rare_control(flags),
        },
        seq: number(tcp[4], tcp[5], tcp[6], tcp[7]),
        ack: number(tcp[8], tcp[9], tcp[10], tcp[11]),
        has_ack: flags & ACK != 0,
        fin: flags & FIN != 0,
        payload: (bytes.len() - length) as u16,
        window: port(tcp[14], tcp[15]),
        remote_hardware: link.remote_hardware,
    })
}

#[inline(never)]
fn rare_control(flags: u8) -> Control {
    match flags & (SYN | RST | ACK) {
        SYN => Control::Syn,
        flags if flags & RST != 0 => Control::Rst,
        _ => Control::SynAck,
    }
}

/// For one of these reasons, or another that would have been enough already.
#[cold]
#[inline(never)]
fn refuse_tcp(between: Flow, addrs: &[IpCidr], reason: DropReason) -> Route {
    Route::Refuse(refusal(&between, addrs).unwrap_or(reason))
}

/// See [`Segment::refusal`].
#[inline(never)]
pub(crate) fn refusal(between: &Flow, addrs: &[IpCidr]) -> Option<DropReason> {
    #[cfg(feature = "ipv6")]
    if between.words != 1 {
        return refusal_v6(between.local_addr(), between.remote_addr(), addrs);
    }
    let (local, remote) = (between.local[0], between.remote[0]);
    let mut ours = false;
    let mut impossible = remote == 0 || remote >> 24 == 127 || is_group(remote);
    for (own, everybody) in networks(addrs) {
        ours |= own == local;
        impossible |= own == remote || everybody == remote;
    }
    if ours {
        return impossible.then_some(DropReason::BadSource);
    }
    // An address of ours is no group, so most frames need no look for one.
    let group = is_group(local) || networks(addrs).any(|(_, everybody)| everybody == local);
    Some(not_ours(group))
}

/// Multicast, or everybody on the link.
fn is_group(address: u32) -> bool {
    address >> 28 == 0xe || address == u32::MAX
}

/// Our IPv4 addresses, each with its network's broadcast address.
#[allow(clippy::unnecessary_filter_map, reason = "necessary with IPv6")]
fn networks(addrs: &[IpCidr]) -> impl Iterator<Item = (u32, u32)> {
    addrs.iter().filter_map(|cidr| match cidr {
        IpCidr::Ipv4(cidr) => {
            let own = cidr.address().to_bits();
            let hosts = u32::MAX.checked_shr(cidr.prefix_len().into()).unwrap_or(0);
            // A network of two has none (RFC 3021).
            let everybody = if hosts > 1 { own | hosts } else { u32::MAX };
            Some((own, everybody))
        }
        #[cfg(feature = "ipv6")]
        IpCidr::Ipv6(_) => None,
    })
}

#[cfg(feature = "ipv6")]
#[cold]
fn refusal_v6(local: IpAddress, remote: IpAddress, addrs: &[IpCidr]) -> Option<DropReason> {
    let ours = |address| addrs.iter().any(|cidr| same(&cidr.address(), &address));
    if !ours(local) {
        return Some(not_ours(local.is_multicast()));
    }
    let nobody = remote.is_unspecified() || remote.is_multicast() || is_loopback(remote);
    (nobody || ours(remote)).then_some(DropReason::BadSource)
}

fn not_ours(group: bool) -> DropReason {
    match group {
        true => DropReason::NotUnicast,
        false => DropReason::NotOurs,
    }
}

/// Whether an address is this host under the name that every host has.
pub(crate) fn is_loopback(addr: IpAddress) -> bool {
    match addr {
        IpAddress::Ipv4(addr) => addr.is_loopback(),
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(addr) => addr.is_loopback(),
    }
}

#[cfg(test)]
#[path = "demux_tests.rs"]
mod tests;
