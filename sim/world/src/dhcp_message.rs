//! DHCP messages in their frames, read and made with smoltcp's codec: not with the one of
//! the client that is tried.
//!
//! Not here: what is asked and answered (`dhcp_server`, `leases`).

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    IpAddress, IpProtocol, Ipv4Address, Ipv4Packet, UdpPacket, UdpRepr,
};

use crate::segment::{Address, packet};

/// Where servers and clients hear each other.
pub(super) const SERVER_PORT: u16 = 67;
pub(super) const CLIENT_PORT: u16 = 68;

/// What a message says, as far as anybody here cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: DhcpMessageType,
    pub(super) xid: u32,
    pub(super) hardware: EthernetAddress,
    /// The address that a client has, …
    pub(super) has: Option<Ipv4Address>,
    /// … wants, …
    pub(super) wants: Option<Ipv4Address>,
    /// … or is given.
    pub(super) yours: Ipv4Address,
    pub(super) server: Option<Ipv4Address>,
    /// It is to be answered to everybody.
    pub(super) to_all: bool,
}

/// The message of a frame to this port; `None` if it is none.
pub(super) fn read(frame: &[u8], port: u16) -> Option<Message> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    if ethernet.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
    if ip.next_header() != IpProtocol::Udp || !ip.verify_checksum() {
        return None;
    }
    let udp = UdpPacket::new_checked(ip.payload()).ok()?;
    let (from, to) = (ip.src_addr().into(), ip.dst_addr().into());
    let checksums = ChecksumCapabilities::default();
    let ends = UdpRepr::parse(&udp, &from, &to, &checksums).ok()?;
    if ends.dst_port != port {
        return None;
    }
    let message = DhcpPacket::new_checked(udp.payload()).ok()?;
    let said = DhcpRepr::parse(&message).ok()?;
    Some(Message {
        kind: said.message_type,
        xid: said.transaction_id,
        hardware: said.client_hardware_address,
        has: Some(said.client_ip).filter(|addr| !addr.is_unspecified()),
        wants: said.requested_ip,
        yours: said.your_ip,
        server: said.server_identifier,
        to_all: said.broadcast,
    })
}

/// What a server answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) kind: DhcpMessageType,
    pub(super) yours: Ipv4Address,
    /// Its time, and when it is to be renewed and rebound.
    pub(super) seconds: u32,
    pub(super) times: Option<(u32, u32)>,
}

impl Answer {
    /// Its frame, to everybody or to the client alone.
    pub(super) fn frame(&self, from: Address, asked: &Message, to_all: bool) -> Vec<u8> {
        let IpAddress::Ipv4(server) = from.ip else {
            return Vec::new();
        };
        let gives = self.kind != DhcpMessageType::Nak;
        let said = DhcpRepr {
            message_type: self.kind,
            transaction_id: asked.xid,
            secs: 0,
            client_hardware_address: asked.hardware,
            client_ip: asked.has.unwrap_or(Ipv4Address::UNSPECIFIED),
            your_ip: self.yours,
            server_ip: Ipv4Address::UNSPECIFIED,
            router: gives.then_some(server),
            subnet_mask: gives.then_some(Ipv4Address::new(255, 255, 0, 0)),
            relay_agent_ip: Ipv4Address::UNSPECIFIED,
            broadcast: asked.to_all,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(server),
            parameter_request_list: None,
            dns_servers: None,
            max_size: None,
            lease_duration: gives.then_some(self.seconds),
            renew_duration: self.times.map(|(renew, _)| renew),
            rebind_duration: self.times.map(|(_, rebind)| rebind),
            additional_options: &[],
        };
        let to = match (to_all, asked.has) {
            (true, _) => Address {
                hardware: EthernetAddress::BROADCAST,
                ip: Ipv4Address::BROADCAST.into(),
            },
            (false, has) => Address {
                hardware: asked.hardware,
                ip: has.unwrap_or(self.yours).into(),
            },
        };
        let ports = UdpRepr {
            src_port: SERVER_PORT,
            dst_port: CLIENT_PORT,
        };
        let bytes = ports.header_len() + said.buffer_len();
        packet(from, to, IpProtocol::Udp, bytes, |payload, checksums| {
            let mut datagram = UdpPacket::new_unchecked(payload);
            let fill = |payload: &mut [u8]| {
                let written = said.emit(&mut DhcpPacket::new_unchecked(payload));
                debug_assert!(written.is_ok());
            };
            ports.emit(
                &mut datagram,
                &from.ip,
                &to.ip,
                said.buffer_len(),
                fill,
                checksums,
            );
        })
    }
}
