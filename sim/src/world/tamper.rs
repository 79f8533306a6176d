//! A network card that spoils what is sent again: for the self-test's bugs that
//! cannot live in the core, because TCP's buffers are smoltcp's.

use std::collections::BTreeMap;

use cygnet::planted::{Planted, planted};
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpAddress, Ipv4Packet, Ipv6Packet, TcpPacket, TcpSeqNumber,
};

/// The highest sequence number that each connection has sent.
pub(super) type Sent = BTreeMap<(IpAddress, IpAddress, u16, u16), TcpSeqNumber>;

/// Spoils the payload of a segment that was sent before, checksum and all.
pub(super) fn retransmission(sent: &mut Sent, frame: &mut [u8]) -> Option<()> {
    let (from, to, start) = addresses(frame)?;
    let mut segment = TcpPacket::new_checked(frame.get_mut(start..)?).ok()?;
    let key = (from, to, segment.src_port(), segment.dst_port());
    let first = segment.seq_number();
    let end = first + segment.segment_len();
    let highest = sent.entry(key).or_insert(first);
    if segment.syn() {
        *highest = end;
        return None;
    }
    let again = first < *highest;
    *highest = end.max(*highest);
    let payload = segment.payload_mut();
    if !again || payload.is_empty() {
        return None;
    }
    if planted(Planted::ByteDroppedOnRetransmit) {
        payload.rotate_left(1);
    }
    if planted(Planted::RetransmitDiffers) {
        *payload.last_mut()? ^= 1;
    }
    segment.fill_checksum(&from, &to);
    Some(())
}

/// Where an IP packet comes from, goes to, and keeps its segment.
fn addresses(frame: &[u8]) -> Option<(IpAddress, IpAddress, usize)> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    let start = EthernetFrame::<&[u8]>::header_len();
    match frame.ethertype() {
        EthernetProtocol::Ipv4 => {
            let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
            let start = start + usize::from(packet.header_len());
            Some((packet.src_addr().into(), packet.dst_addr().into(), start))
        }
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(frame.payload()).ok()?;
            let start = start + packet.header_len();
            Some((packet.src_addr().into(), packet.dst_addr().into(), start))
        }
        _ => None,
    }
}
