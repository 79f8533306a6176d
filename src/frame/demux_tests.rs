//! Every rule of `demux.rs`, on frames written by smoltcp.

extern crate std;

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use smoltcp::phy::{Checksum, ChecksumCapabilities};
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetRepr, IpRepr, TcpControl, TcpPacket, TcpRepr,
    TcpSeqNumber,
};

use super::*;
use crate::frame::sent::{Outgoing, outgoing};

const OURS: Hardware = [2, 0, 0, 0, 0, 1];
const PEER: Hardware = [2, 0, 0, 0, 0, 2];
const GROUP: Hardware = [1, 0, 0x5e, 0, 0, 1];

const LOCAL: IpAddress = IpAddress::v4(10, 0, 0, 1);
const REMOTE: IpAddress = IpAddress::v4(10, 0, 0, 2);

#[cfg(feature = "ipv6")]
const LOCAL6: IpAddress = IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 1);
#[cfg(feature = "ipv6")]
const REMOTE6: IpAddress = IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 2);

fn addrs() -> Vec<IpCidr> {
    vec![
        IpCidr::new(LOCAL, 24),
        IpCidr::new(IpAddress::v4(172, 16, 0, 9), 31),
        #[cfg(feature = "ipv6")]
        IpCidr::new(LOCAL6, 64),
    ]
}

/// Where a frame goes whose flow is not known.
fn route(frame: &[u8]) -> Route {
    let ours = Checks {
        ipv4: Checksum::None,
        tcp: Checksum::None,
    };
    let route = demux(frame, OURS, &addrs(), &ours);
    if let Route::Tcp(segment) = route
        && let Some(reason) = segment.refusal(&addrs())
    {
        return Route::Refuse(reason);
    }
    route
}

fn link(source: Hardware, destination: Hardware, kind: u16, body: &[u8]) -> Vec<u8> {
    let repr = EthernetRepr {
        src_addr: EthernetAddress(source),
        dst_addr: EthernetAddress(destination),
        ethertype: kind.into(),
    };
    let mut frame = vec![0; repr.buffer_len()];
    repr.emit(&mut EthernetFrame::new_unchecked(&mut frame));
    frame.extend_from_slice(body);
    frame
}

fn ip(source: IpAddress, destination: IpAddress, protocol: IpProtocol, body: &[u8]) -> Vec<u8> {
    let repr = IpRepr::new(source, destination, protocol, body.len(), 64);
    let mut packet = vec![0; repr.header_len()];
    repr.emit(&mut packet[..], &ChecksumCapabilities::default());
    packet.extend_from_slice(body);
    let kind = if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
    link(PEER, OURS, kind, &packet)
}

fn repr(control: TcpControl, ack: Option<i32>) -> TcpRepr<'static> {
    TcpRepr {
        src_port: 40000,
        dst_port: 5000,
        control,
        seq_number: TcpSeqNumber(1234),
        ack_number: ack.map(TcpSeqNumber),
        window_len: 1000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: b"hello",
    }
}

fn tcp(source: IpAddress, destination: IpAddress, repr: TcpRepr<'_>) -> Vec<u8> {
    let mut segment = vec![0; repr.buffer_len()];
    let mut packet = TcpPacket::new_unchecked(&mut segment);
    // The pseudo header needs one family; tests of checksums are smoltcp's.
    repr.emit(
        &mut packet,
        &LOCAL,
        &REMOTE,
        &ChecksumCapabilities::ignored(),
    );
    ip(source, destination, IpProtocol::Tcp, &segment)
}

fn syn(source: IpAddress, destination: IpAddress) -> Vec<u8> {
    tcp(source, destination, repr(TcpControl::Syn, None))
}

/// The frame with a byte changed; 14 is the first of the IP header.
fn with(mut frame: Vec<u8>, index: usize, byte: u8) -> Vec<u8> {
    frame[index] = byte;
    frame
}

fn refused(frame: &[u8]) -> Option<DropReason> {
    match route(frame) {
        Route::Refuse(reason) => Some(reason),
        _ => None,
    }
}

#[test]
fn a_segment_to_us_is_tcp_with_its_flow() {
    let expected = |control, fin, ack: Option<i32>| {
        Route::Tcp(Segment {
            flow: Flow::new((LOCAL, 5000).into(), (REMOTE, 40000).into()),
            control,
            seq: TcpSeqNumber(1234),
            ack: TcpSeqNumber(ack.unwrap_or(0)),
            has_ack: ack.is_some(),
            fin,
            payload: 5,
            window: 1000,
            remote_hardware: PEER,
        })
    };
    for (control, ack, want) in [
        (TcpControl::Syn, None, Control::Syn),
        (TcpControl::Syn, Some(1), Control::SynAck),
        (TcpControl::Rst, None, Control::Rst),
        (TcpControl::Rst, Some(1), Control::Rst),
        (TcpControl::Fin, Some(1), Control::Other),
        (TcpControl::None, None, Control::Other),
    ] {
        let fin = control == TcpControl::Fin;
        let mut frame = tcp(REMOTE, LOCAL, repr(control, ack));
        assert_eq!(
            route(&frame),
            expected(want, fin, ack),
            "{control:?} {ack:?}"
        );
        // Padding to the Ethernet minimum is nobody's.
        frame.extend_from_slice(&[0; 20]);
        assert_eq!(route(&frame), expected(want, fin, ack));
    }
    let both = with(syn(REMOTE, LOCAL), 14 + 20 + 13, 0x06);
    assert_eq!(
        route(&both),
        expected(Control::Rst, false, None),
        "SYN and RST"
    );
}

#[test]
fn the_link_layer_decides_first() {
    let good = syn(REMOTE, LOCAL);
    for len in 0..14 {
        assert_eq!(refused(&good[..len]), Some(DropReason::Malformed));
    }
    let arp = |destination| link(PEER, destination, 0x0806, &[0; 28]);
    for destination in [OURS, GROUP, [0xff; 6]] {
        assert_eq!(route(&arp(destination)), Route::Neighbor);
    }
    assert_eq!(refused(&arp(PEER)), Some(DropReason::NotOurs));
    let vlan = link(PEER, OURS, 0x8100, &[0; 28]);
    assert_eq!(refused(&vlan), Some(DropReason::NotOurs));
    if cfg!(not(feature = "ipv6")) {
        let ipv6 = link(PEER, OURS, 0x86dd, &[0x60; 60]);
        assert_eq!(refused(&ipv6), Some(DropReason::NotOurs));
    }
}

#[test]
fn other_protocols_are_the_hosts_if_they_are_from_one_to_us_alone() {
    let from_to = |from, to| ip(from, to, IpProtocol::Icmp, &[8; 8]);
    for protocol in [IpProtocol::Udp, IpProtocol::Icmp, IpProtocol::Igmp] {
        let frame = ip(REMOTE, LOCAL, protocol, &[135; 8]);
        assert_eq!(route(&frame), Route::Host(PEER));
        let fragment = with(frame, 14 + 6, 0x20);
        assert_eq!(route(&fragment), Route::Host(PEER));
    }
    for (group, reason) in [
        (IpAddress::v4(255, 255, 255, 255), DropReason::NotUnicast),
        (IpAddress::v4(10, 0, 0, 255), DropReason::NotUnicast),
        (IpAddress::v4(224, 0, 0, 1), DropReason::NotUnicast),
        (IpAddress::v4(10, 0, 0, 77), DropReason::NotOurs),
    ] {
        assert_eq!(refused(&from_to(REMOTE, group)), Some(reason), "{group}");
    }
    for source in [LOCAL, IpAddress::v4(10, 0, 0, 255)] {
        let frame = from_to(source, LOCAL);
        assert_eq!(refused(&frame), Some(DropReason::BadSource), "{source}");
    }
    let mut frame = from_to(REMOTE, LOCAL);
    frame[6..12].fill(0);
    assert_eq!(refused(&frame), Some(DropReason::BadSource));
    frame[..6].copy_from_slice(&GROUP);
    assert_eq!(refused(&frame), Some(DropReason::NotUnicast));
}

#[test]
fn fragments_of_tcp_are_refused() {
    let good = || syn(REMOTE, LOCAL);
    let dont_fragment = with(good(), 14 + 6, 0x40);
    assert!(matches!(route(&dont_fragment), Route::Tcp(_)));
    for frame in [with(good(), 14 + 6, 0x20), with(good(), 14 + 7, 1)] {
        assert_eq!(refused(&frame), Some(DropReason::Fragment));
    }
}

#[test]
fn tcp_to_a_group_is_refused() {
    for last in [1, 2] {
        let frame = syn(REMOTE, IpAddress::v4(10, 0, 0, last));
        for destination in [GROUP, [0xff; 6]] {
            let mut frame = frame.clone();
            frame[..6].copy_from_slice(&destination);
            assert_eq!(refused(&frame), Some(DropReason::NotUnicast));
        }
    }
    for destination in [
        IpAddress::v4(255, 255, 255, 255),
        IpAddress::v4(10, 0, 0, 255),
        IpAddress::v4(224, 0, 0, 1),
    ] {
        let frame = syn(REMOTE, destination);
        assert_eq!(
            refused(&frame),
            Some(DropReason::NotUnicast),
            "{destination}"
        );
    }
}

#[test]
fn tcp_to_another_host_is_refused() {
    for destination in [
        REMOTE,
        IpAddress::v4(10, 0, 1, 255),
        IpAddress::v4(172, 16, 0, 8),
        IpAddress::v4(127, 0, 0, 1),
    ] {
        let frame = syn(REMOTE, destination);
        assert_eq!(refused(&frame), Some(DropReason::NotOurs), "{destination}");
    }
    assert!(matches!(
        route(&syn(REMOTE, IpAddress::v4(172, 16, 0, 9))),
        Route::Tcp(_)
    ));
}

#[test]
fn impossible_sources_are_refused() {
    for source in [
        LOCAL,
        IpAddress::v4(172, 16, 0, 9),
        IpAddress::v4(127, 0, 0, 1),
        IpAddress::v4(127, 9, 9, 9),
        IpAddress::v4(0, 0, 0, 0),
        IpAddress::v4(255, 255, 255, 255),
        IpAddress::v4(10, 0, 0, 255),
        IpAddress::v4(239, 1, 2, 3),
    ] {
        let frame = syn(source, LOCAL);
        assert_eq!(refused(&frame), Some(DropReason::BadSource), "{source}");
    }
    for source in [GROUP, [0xff; 6], [0; 6]] {
        let mut frame = syn(REMOTE, LOCAL);
        frame[6..12].copy_from_slice(&source);
        assert_eq!(refused(&frame), Some(DropReason::BadSource));
    }
}

#[test]
fn damaged_headers_are_refused() {
    let good = || syn(REMOTE, LOCAL);
    for (index, byte, what) in [
        (14, 0x65, "version 6 in an IPv4 frame"),
        (14, 0x44, "header of 16 bytes"),
        (14, 0x4f, "header longer than the packet's TCP allows"),
        (14 + 2, 0xff, "total length beyond the frame"),
        (14 + 20 + 12, 0x40, "TCP header of 16 bytes"),
        (14 + 20 + 12, 0xf0, "TCP header beyond the packet"),
    ] {
        let frame = with(good(), index, byte);
        assert_eq!(refused(&frame), Some(DropReason::Malformed), "{what}");
    }
    for ports in [(0, 5000), (40000, 0)] {
        let mut repr = repr(TcpControl::Syn, None);
        (repr.src_port, repr.dst_port) = ports;
        let frame = tcp(REMOTE, LOCAL, repr);
        assert_eq!(refused(&frame), Some(DropReason::Malformed), "{ports:?}");
    }
    for len in 14..good().len() {
        assert_eq!(refused(&good()[..len]), Some(DropReason::Malformed));
    }
    // The order: where it was sent, who sent it, what it says.
    let broken = |source, destination| with(syn(source, destination), 14 + 20 + 12, 0);
    let broadcast = IpAddress::v4(10, 0, 0, 255);
    assert_eq!(
        refused(&broken(LOCAL, broadcast)),
        Some(DropReason::NotUnicast)
    );
    assert_eq!(refused(&broken(LOCAL, REMOTE)), Some(DropReason::NotOurs));
    assert_eq!(refused(&broken(LOCAL, LOCAL)), Some(DropReason::BadSource));
    assert_eq!(refused(&broken(REMOTE, LOCAL)), Some(DropReason::Malformed));
}

#[test]
fn an_outgoing_segment_says_what_it_carries() {
    let frame = tcp(LOCAL, REMOTE, repr(TcpControl::Fin, Some(77)));
    let expected = Outgoing {
        syn: false,
        fin: true,
        rst: false,
        psh: false,
        payload: 5,
        ack: Some(TcpSeqNumber(77)),
        seq: TcpSeqNumber(1234),
        window: 1000,
        start: 34,
        pseudo: checksum::pseudo(frame[26..].first_chunk::<8>().unwrap()),
    };
    assert_eq!(outgoing(&frame), Some(expected));
    let rst = outgoing(&tcp(LOCAL, REMOTE, repr(TcpControl::Rst, None)));
    assert!(rst.is_some_and(|rst| rst.rst && !rst.syn && !rst.fin && rst.ack.is_none()));
    let syn = outgoing(&syn(LOCAL, REMOTE));
    assert!(syn.is_some_and(|syn| syn.syn && !syn.rst));
    assert_eq!(
        outgoing(&ip(LOCAL, REMOTE, IpProtocol::Udp, &[0; 40])),
        None
    );
    assert_eq!(outgoing(&link(OURS, PEER, 0x0806, &[0; 28])), None);
    assert_eq!(outgoing(&[]), None);
}

#[cfg(feature = "ipv6")]
#[test]
fn ipv6_follows_the_same_rules() {
    let v6 = |first, last| IpAddress::v6(first, 0, 0, 0, 0, 0, 0, last);
    let frame = syn(REMOTE6, LOCAL6);
    let Route::Tcp(segment) = route(&frame) else {
        panic!("{:?}", route(&frame));
    };
    assert_eq!(segment.flow.local(), (LOCAL6, 5000).into());
    assert_eq!(segment.flow.remote(), (REMOTE6, 40000).into());
    assert!(outgoing(&frame).is_some_and(|out| out.syn && out.payload == 5));

    let reason = |source, destination| refused(&syn(source, destination));
    assert_eq!(reason(REMOTE6, v6(0xff02, 1)), Some(DropReason::NotUnicast));
    assert_eq!(reason(REMOTE6, REMOTE6), Some(DropReason::NotOurs));
    for source in [LOCAL6, v6(0, 1), v6(0, 0), v6(0xff02, 1)] {
        assert_eq!(
            reason(source, LOCAL6),
            Some(DropReason::BadSource),
            "{source}"
        );
    }
    let version_4 = with(frame.clone(), 14, 0x40);
    assert_eq!(refused(&version_4), Some(DropReason::Malformed));
    let mut group = frame.clone();
    group[..6].copy_from_slice(&GROUP);
    assert_eq!(refused(&group), Some(DropReason::NotUnicast));
    for len in 14..frame.len() {
        assert_eq!(refused(&frame[..len]), Some(DropReason::Malformed));
    }
}

#[cfg(feature = "ipv6")]
#[test]
fn ipv6_headers_after_the_first() {
    let general = |protocol, body: &[u8]| match route(&ip(REMOTE6, LOCAL6, protocol, body)) {
        Route::Neighbor => Some(true),
        Route::Host(PEER) => Some(false),
        _ => None,
    };
    for (kind, neighbor) in [(134, false), (135, true), (136, true), (128, false)] {
        assert_eq!(general(IpProtocol::Icmpv6, &[kind; 24]), Some(neighbor));
    }
    assert_eq!(general(IpProtocol::Icmpv6, &[]), Some(false));
    assert_eq!(general(IpProtocol::Udp, &[135; 8]), Some(false));
    assert_eq!(general(IpProtocol::HopByHop, &[58; 8]), Some(false));
    let optioned = ip(REMOTE6, LOCAL6, IpProtocol::HopByHop, &[6; 8]);
    assert_eq!(refused(&optioned), Some(DropReason::Fragment));
    assert_eq!(general(IpProtocol::Ipv6Frag, &[17; 8]), Some(false));
    let fragment = ip(REMOTE6, LOCAL6, IpProtocol::Ipv6Frag, &[6; 8]);
    assert_eq!(refused(&fragment), Some(DropReason::Fragment));
}

fn both(frame: &[u8]) {
    let _ = route(frame);
    let _ = outgoing(frame);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        kind in prop::sample::select(vec![0x0800_u16, 0x86dd, 0x0806, 0]),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        both(&body);
        both(&link(PEER, OURS, kind, &body));
    }

    #[test]
    fn flipped_bits_never_panic(
        flips in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let frames = [
            syn(REMOTE, LOCAL),
            ip(REMOTE, LOCAL, IpProtocol::Udp, &[0; 30]),
            #[cfg(feature = "ipv6")]
            syn(REMOTE6, LOCAL6),
            #[cfg(feature = "ipv6")]
            ip(REMOTE6, LOCAL6, IpProtocol::Ipv6Frag, &[6; 30]),
        ];
        for mut frame in frames {
            for flip in &flips {
                let bit = flip.index(frame.len() * 8);
                frame[bit / 8] ^= 1 << (bit % 8);
            }
            both(&frame);
            both(&frame[..cut.index(frame.len())]);
        }
    }
}
