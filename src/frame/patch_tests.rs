//! Copies against what smoltcp reads in them.
extern crate std;

use std::vec::Vec;

use proptest::prelude::*;
use smoltcp::phy::{Checksum, ChecksumCapabilities};
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetRepr, IpAddress, IpCidr, IpProtocol, IpRepr,
    Ipv4Packet, TcpControl, TcpPacket, TcpRepr,
};

use super::*;
use crate::frame::checksum::Checks;
use crate::frame::demux::{Route, Segment, demux};

const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];

pub(crate) fn ends(ipv4: bool) -> (IpAddress, IpAddress) {
    match ipv4 {
        #[cfg(feature = "ipv6")]
        false => (
            IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 9),
            IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 1),
        ),
        _ => (IpAddress::v4(10, 0, 0, 9), IpAddress::v4(10, 0, 0, 1)),
    }
}

/// A packet to us with this payload, in its frame.
pub(crate) fn frame(ipv4: bool, protocol: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let (from, to) = ends(ipv4);
    let ip = IpRepr::new(from, to, protocol, payload.len(), 64);
    let link = EthernetRepr {
        src_addr: EthernetAddress([2, 0, 0, 0, 0, 9]),
        dst_addr: EthernetAddress(OURS),
        ethertype: if ipv4 { 0x0800 } else { 0x86dd }.into(),
    };
    let mut bytes = std::vec![0; 14 + ip.header_len()];
    link.emit(&mut EthernetFrame::new_unchecked(&mut bytes));
    ip.emit(&mut bytes[14..], &ChecksumCapabilities::default());
    bytes.extend_from_slice(payload);
    bytes
}

pub(crate) fn repr(payload: &[u8]) -> TcpRepr<'_> {
    TcpRepr {
        src_port: 40000,
        dst_port: 7,
        control: TcpControl::Fin,
        seq_number: TcpSeqNumber(1234),
        ack_number: Some(TcpSeqNumber(5)),
        window_len: 1000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload,
    }
}

pub(crate) fn tcp(ipv4: bool, repr: &TcpRepr<'_>) -> Vec<u8> {
    let (from, to) = ends(ipv4);
    let mut bytes = std::vec![0; repr.buffer_len()];
    let mut packet = TcpPacket::new_unchecked(&mut bytes);
    repr.emit(&mut packet, &from, &to, &ChecksumCapabilities::default());
    bytes
}

/// What the demux reads in a frame, whose segment's checksum need not be right.
pub(crate) fn read(frame: &[u8]) -> Segment {
    let checks = Checks {
        ipv4: Checksum::None,
        tcp: Checksum::None,
    };
    let us = IpCidr::new(ends(frame[12] == 8).1, 24);
    match demux(frame, OURS, &[us], &checks) {
        Route::Tcp(segment) => segment,
        other => panic!("{other:?}"),
    }
}

/// The segment in a frame, as smoltcp sees it: the packet must be whole.
fn segment(frame: &[u8]) -> Vec<u8> {
    let packet = &frame[14..];
    match frame[12] {
        8 => Ipv4Packet::new_checked(packet).unwrap().payload().to_vec(),
        #[cfg(feature = "ipv6")]
        0x86 => {
            let packet = smoltcp::wire::Ipv6Packet::new_checked(packet).unwrap();
            packet.payload().to_vec()
        }
        other => panic!("a frame of kind {other:#x}"),
    }
}

fn families() -> &'static [bool] {
    if cfg!(feature = "ipv6") {
        &[true, false]
    } else {
        &[true]
    }
}

fn said(ack: i32, window: u16) -> Bare {
    Bare {
        ack: TcpSeqNumber(ack),
        window,
        ..Bare::default()
    }
}

#[test]
fn a_copy_has_other_numbers_and_the_same_text() {
    for &ipv4 in families() {
        for padding in [0, 10] {
            let mut frame = frame(ipv4, IpProtocol::Tcp, &tcp(ipv4, &repr(b"text")));
            frame.resize(frame.len() + padding, 0xee);
            let mut copy = [0; COPY];
            let copy = renumbered(&frame, &said(-6, 77), &mut copy).unwrap();
            let (before, after) = (read(&frame), read(copy));
            let expected = Segment {
                ack: TcpSeqNumber(-6),
                window: 77,
                ..before
            };
            assert_eq!(after, expected);
            assert!(segment(copy).ends_with(b"text"));
        }
    }
}

#[test]
fn a_frame_that_is_longer_than_ethernets_is_not_copied() {
    for &ipv4 in families() {
        let header = if ipv4 { 54 } else { 74 };
        for (len, fits) in [(COPY, true), (COPY + 1, false), (9014, false)] {
            let text = std::vec![7; len - header];
            let frame = frame(ipv4, IpProtocol::Tcp, &tcp(ipv4, &repr(&text)));
            assert_eq!(frame.len(), len);
            let copy = &mut [0; COPY];
            let copied = renumbered(&frame, &said(6, 77), copy).map(read);
            let text = copied.map(|seen| usize::from(seen.payload));
            assert_eq!(text, fits.then_some(len - header));
        }
    }
}

#[test]
fn a_number_is_written_where_it_belongs() {
    for &ipv4 in families() {
        let mut bytes = frame(ipv4, IpProtocol::Tcp, &tcp(ipv4, &repr(b"")));
        let sent = crate::frame::sent::outgoing(&bytes).unwrap();
        set_seq(&mut bytes, &sent, TcpSeqNumber(-9));
        let expected = Outgoing {
            seq: TcpSeqNumber(-9),
            ..sent
        };
        assert_eq!(crate::frame::sent::outgoing(&bytes), Some(expected));
    }
}

proptest! {
    #[test]
    fn arbitrary_frames_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..1600), kind in 0u8..3) {
        if let Some(place) = bytes.get_mut(12..15) {
            place.copy_from_slice(&[[8, 0, 0x45], [8, 0, 0x4f], [0x86, 0xdd, 0x60]][usize::from(kind)]);
        }
        let mut copy = [0; COPY];
        let copied = renumbered(&bytes, &said(1, 2), &mut copy);
        prop_assert!(copied.is_none_or(|copy| copy.len() == bytes.len()));
        #[cfg(feature = "ipv6")]
        let _ = without_headers(&bytes, &mut copy);
        let _ = crate::frame::icmp::too_big(&bytes);
    }
}
