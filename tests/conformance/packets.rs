//! IP packets and ICMP messages made by hand.

use super::*;

/// The checksum of the Internet, before it is turned around (RFC 1071).
pub fn sum(bytes: &[u8]) -> u16 {
    let mut sum = 0;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// An IPv4 packet to the host, in its frame.
pub fn ipv4(from: Ipv4Address, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut head = vec![0x45, 0];
    head.extend((20 + payload.len() as u16).to_be_bytes());
    head.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    head.extend(from.octets());
    head.extend(HOST.octets());
    let check = !sum(&head);
    head[10..12].copy_from_slice(&check.to_be_bytes());
    let mut frame = HOST_MAC.as_bytes().to_vec();
    frame.extend(mac(from).as_bytes());
    frame.extend([8, 0]);
    frame.extend(head);
    frame.extend(payload);
    frame
}

/// "Fragmentation needed and DF set" (RFC 792, RFC 1191) about a packet that the host
/// sent: its IP header and eight bytes more.
pub fn too_big(packet: &[u8], mtu: u16) -> Vec<u8> {
    let mut icmp = vec![3, 4, 0, 0, 0, 0];
    icmp.extend(mtu.to_be_bytes());
    icmp.extend(&packet[..28]);
    let check = !sum(&icmp);
    icmp[2..4].copy_from_slice(&check.to_be_bytes());
    icmp
}

/// The packet of a segment that the host sent, from its first byte of IP.
pub fn packet_of(seg: &Seg) -> Vec<u8> {
    seg.frame()[14..].to_vec()
}

/// An ICMPv4 message of this type, code and body.
pub fn icmp(kind: u8, code: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0];
    message.extend(body);
    let check = !sum(&message);
    message[2..4].copy_from_slice(&check.to_be_bytes());
    message
}

/// The type of an ICMPv4 message that the host sent.
pub fn icmp_kind(frame: &[u8]) -> Option<u8> {
    (frame[12..14] == [8, 0] && frame[23] == 1).then(|| frame[34])
}
