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
//! Not here: checksums and TCP options (smoltcp verifies them), whether the flow
//! is known (`flows.rs`), whether it may have a slot (`guard.rs`).

use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress, IpCidr, IpEndpoint, IpProtocol,
    Ipv4Address, Ipv4Packet, TcpPacket, TcpSeqNumber,
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

/// A TCP segment from one peer to one of our addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Whose it is.
    pub flow: Flow,
    /// What it wants.
    pub control: Control,
    /// Its sequence number.
    pub seq: TcpSeqNumber,
    /// The hardware address it came from: the peer's, or a router's.
    pub remote_hardware: EthernetAddress,
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// To the slot of this flow, or to a listener.
    Tcp(Segment),
    /// To the host.
    General {
        /// It may answer who owns an address: ARP, or neighbor discovery.
        neighbor: bool,
    },
    /// Nowhere.
    Refuse(DropReason),
}

/// What the link layer said; TCP rules need it after the IP header is known.
struct Link {
    to_us_alone: bool,
    source: EthernetAddress,
}

/// Says where `frame` goes on a host with this hardware address and these IP
/// addresses.
pub(crate) fn demux(frame: &[u8], hardware: EthernetAddress, addrs: &[IpCidr]) -> Route {
    let Ok(ethernet) = EthernetFrame::new_checked(frame) else {
        return Route::Refuse(DropReason::Malformed);
    };
    let destination = ethernet.dst_addr();
    let link = Link {
        to_us_alone: destination == hardware,
        source: ethernet.src_addr(),
    };
    // The group bit is set in the broadcast address too.
    if !link.to_us_alone && !destination.is_multicast() {
        return Route::Refuse(DropReason::NotOurs);
    }
    match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => demux_ipv4(&link, ethernet.payload(), addrs),
        EthernetProtocol::Arp => Route::General { neighbor: true },
        #[cfg(feature = "ipv6")]
        EthernetProtocol::Ipv6 => demux_ipv6(&link, ethernet.payload(), addrs),
        _ => Route::Refuse(DropReason::NotOurs),
    }
}

fn demux_ipv4(link: &Link, packet: &[u8], addrs: &[IpCidr]) -> Route {
    let Some(packet) = ipv4_packet(packet) else {
        return Route::Refuse(DropReason::Malformed);
    };
    if packet.next_header() != IpProtocol::Tcp {
        return Route::General { neighbor: false };
    }
    if packet.more_frags() || packet.frag_offset() != 0 {
        return Route::Refuse(DropReason::Fragment);
    }
    let (source, destination) = (packet.src_addr(), packet.dst_addr());
    let broadcast = |address: Ipv4Address| {
        address.is_broadcast()
            || addrs
                .iter()
                .any(|cidr| matches!(cidr, IpCidr::Ipv4(cidr) if cidr.broadcast() == Some(address)))
    };
    let ours = |address: Ipv4Address| {
        addrs
            .iter()
            .any(|cidr| matches!(cidr, IpCidr::Ipv4(cidr) if cidr.address() == address))
    };
    // An address of ours is no group, so most frames need no look for one.
    if !link.to_us_alone {
        return Route::Refuse(DropReason::NotUnicast);
    }
    if !ours(destination) {
        let group = destination.is_multicast() || broadcast(destination);
        return Route::Refuse(match group {
            true => DropReason::NotUnicast,
            false => DropReason::NotOurs,
        });
    }
    let impossible = source.is_loopback()
        || source.is_unspecified()
        || source.is_multicast()
        || broadcast(source)
        || ours(source);
    demux_tcp(
        link,
        source.into(),
        destination.into(),
        impossible,
        packet.payload(),
    )
}

#[cfg(feature = "ipv6")]
fn demux_ipv6(link: &Link, packet: &[u8], addrs: &[IpCidr]) -> Route {
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
    let (source, destination): (Ipv6Address, Ipv6Address) = (packet.src_addr(), packet.dst_addr());
    if !link.to_us_alone || destination.is_multicast() {
        return Route::Refuse(DropReason::NotUnicast);
    }
    let ours = |address: Ipv6Address| {
        addrs
            .iter()
            .any(|cidr| matches!(cidr, IpCidr::Ipv6(cidr) if cidr.address() == address))
    };
    if !ours(destination) {
        return Route::Refuse(DropReason::NotOurs);
    }
    let impossible =
        source.is_loopback() || source.is_unspecified() || source.is_multicast() || ours(source);
    demux_tcp(link, source.into(), destination.into(), impossible, payload)
}

/// The rules that both IP versions share, after the destination is known to be
/// an address of ours. `impossible`: the source cannot be a peer of ours.
fn demux_tcp(
    link: &Link,
    source: IpAddress,
    destination: IpAddress,
    impossible: bool,
    segment: &[u8],
) -> Route {
    if impossible || link.source.is_multicast() {
        return Route::Refuse(DropReason::BadSource);
    }
    let Ok(tcp) = TcpPacket::new_checked(segment) else {
        return Route::Refuse(DropReason::Malformed);
    };
    if tcp.src_port() == 0 || tcp.dst_port() == 0 {
        return Route::Refuse(DropReason::Malformed);
    }
    let control = match (tcp.rst(), tcp.syn(), tcp.ack()) {
        (true, _, _) => Control::Rst,
        (false, true, false) => Control::Syn,
        _ => Control::Other,
    };
    Route::Tcp(Segment {
        flow: Flow {
            local: IpEndpoint::new(destination, tcp.dst_port()),
            remote: IpEndpoint::new(source, tcp.src_port()),
        },
        control,
        seq: tcp.seq_number(),
        remote_hardware: link.source,
    })
}

/// What a frame of ours, on its way out, says about its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// Whose it is.
    pub flow: Flow,
    /// It opens the connection.
    pub syn: bool,
    /// It closes our direction.
    pub fin: bool,
    /// It resets the connection.
    pub rst: bool,
    /// Bytes of payload.
    pub payload: usize,
    /// What it acknowledges, if it does.
    pub ack: Option<TcpSeqNumber>,
    /// Its sequence number.
    pub seq: TcpSeqNumber,
}

/// Reads a frame that this host sends; `None` if it is not TCP.
pub(crate) fn outgoing(frame: &[u8]) -> Option<Outgoing> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let (source, destination, segment): (IpAddress, IpAddress, &[u8]) = match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => {
            let packet = ipv4_packet(ethernet.payload())?;
            if packet.next_header() != IpProtocol::Tcp || packet.frag_offset() != 0 {
                return None;
            }
            let (source, destination) = (packet.src_addr(), packet.dst_addr());
            (source.into(), destination.into(), packet.payload())
        }
        #[cfg(feature = "ipv6")]
        EthernetProtocol::Ipv6 => {
            let packet = ipv6_packet(ethernet.payload())?;
            if packet.next_header() != IpProtocol::Tcp {
                return None;
            }
            let (source, destination) = (packet.src_addr(), packet.dst_addr());
            (source.into(), destination.into(), packet.payload())
        }
        _ => return None,
    };
    let tcp = TcpPacket::new_checked(segment).ok()?;
    Some(Outgoing {
        flow: Flow {
            local: (source, tcp.src_port()).into(),
            remote: (destination, tcp.dst_port()).into(),
        },
        syn: tcp.syn(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        payload: tcp.payload().len(),
        ack: tcp.ack().then(|| tcp.ack_number()),
        seq: tcp.seq_number(),
    })
}

fn ipv4_packet(packet: &[u8]) -> Option<Ipv4Packet<&[u8]>> {
    Ipv4Packet::new_checked(packet)
        .ok()
        .filter(|packet| packet.version() == 4)
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
