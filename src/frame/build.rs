//! Frames made by hand. A few things can only be said to smoltcp in its own
//! language: a challenge is drawn out of it by a segment that it must answer, a
//! connection that nobody remembers begins again with the SYN it began with. And
//! one answer is given without smoltcp, because nothing may be kept for it. All
//! of these are short.
//!
//! TCP's checksum is left open: smoltcp does not look at it here, and what goes
//! out gets it on the way (`one_shot.rs`).
//!
//! Not here: when they are needed.

use heapless::Vec;
use smoltcp::wire::{IpAddress, IpProtocol, Ipv4Address, TcpSeqNumber};
#[cfg(feature = "ipv6")]
use smoltcp::wire::{IpEndpoint, Ipv6Address};

use crate::frame::checksum;
pub(crate) use crate::frame::demux::{ACK, RST, SYN};
use crate::frame::flow::Flow;
use crate::frame::link::{ARP, Hardware, IPV4, NOBODY};
#[cfg(feature = "ipv6")]
use crate::frame::link::{EVERYBODY, IPV6, group, solicited_node};

/// The longest frame made or copied here: a SYN with all the options there can
/// be.
pub(crate) const FRAME_BYTES: usize = 14 + 40 + 60;

pub(crate) type Frame = Vec<u8, FRAME_BYTES>;

/// A segment without payload.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bare {
    pub(crate) flags: u8,
    pub(crate) seq: TcpSeqNumber,
    pub(crate) ack: TcpSeqNumber,
    pub(crate) window: u16,
    pub(crate) mss: Option<u16>,
}

/// Who sends a frame, and to whom.
pub(crate) type Link<'a> = (&'a Hardware, &'a Hardware);

/// The frame of a segment of this flow, from its peer.
pub(crate) fn segment(link: Link<'_>, flow: &Flow, bare: &Bare) -> Frame {
    let (mss, scale, sack) = (bare.mss, None, false);
    opening(link, flow, bare, &Offer { mss, scale, sack })
}

/// What a SYN offers in options that smoltcp reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) mss: Option<u16>,
    pub(crate) scale: Option<u8>,
    pub(crate) sack: bool,
}

/// The frame of a SYN with these options.
#[inline(never)]
pub(crate) fn opening(link: Link<'_>, flow: &Flow, bare: &Bare, offer: &Offer) -> Frame {
    let sack = if offer.sack { 0x0402_0101 } else { 0x0101_0101 };
    let options = [
        0x0204_0000 | u32::from(offer.mss.unwrap_or(0)),
        sack,
        0x0103_0300 | u32::from(offer.scale.unwrap_or(0)),
    ];
    let most = match *offer {
        Offer { mss: None, .. } => 0,
        Offer { scale: Some(_), .. } => 3,
        Offer { sack: true, .. } => 2,
        _ => 1,
    };
    let header = 20 + 4 * most as u16;
    let mut frame = packet(link, flow, IpProtocol::Tcp, header);
    let flags = u32::from(header) << 26 | u32::from(bare.flags) << 16;
    let tcp = [
        flow.ports.rotate_left(16),
        bare.seq.0 as u32,
        bare.ack.0 as u32,
        flags | u32::from(bare.window),
        // No checksum, nothing urgent.
        0,
    ];
    put_words(&mut frame, &tcp);
    put_words(&mut frame, &options[..most]);
    frame
}

/// A hardware address and the IP address that is there.
type Neighbor = (Hardware, IpAddress);

/// The answer to whoever asks for our hardware address.
pub(crate) fn here(us: Neighbor, peer: Neighbor) -> Option<Frame> {
    match (us.1, peer.1) {
        (IpAddress::Ipv4(ours), IpAddress::Ipv4(theirs)) => {
            arp(2, peer.0, (us.0, ours), (peer.0, theirs))
        }
        #[cfg(feature = "ipv6")]
        (IpAddress::Ipv6(ours), IpAddress::Ipv6(theirs)) => {
            // Override, and solicited unless everybody is told (RFC 4861, 4.4).
            let flags = if theirs.is_multicast() { 0x20 } else { 0x60 };
            ndisc([136, flags], (us.0, peer.0), (ours, theirs), ours, 2)
        }
        #[cfg(feature = "ipv6")]
        _ => None,
    }
}

/// The question where `whose` address is, to everybody or to whoever had it (RFC 1122,
/// 2.3.2.1; RFC 4861, 7.3.3).
pub(crate) fn who_has(us: Neighbor, whose: IpAddress, to: Hardware) -> Option<Frame> {
    match (us.1, whose) {
        (IpAddress::Ipv4(ours), IpAddress::Ipv4(whose)) => {
            arp(1, to, (us.0, ours), (NOBODY, whose))
        }
        #[cfg(feature = "ipv6")]
        (IpAddress::Ipv6(ours), IpAddress::Ipv6(whose)) => {
            let group_of = solicited_node(whose);
            let (to, asked) = match to == EVERYBODY {
                true => (group(group_of), group_of),
                false => (to, whose),
            };
            ndisc([135, 0], (us.0, to), (ours, asked), whose, 1)
        }
        #[cfg(feature = "ipv6")]
        _ => None,
    }
}

/// An ARP packet (RFC 826).
fn arp(
    operation: u8,
    to: Hardware,
    us: (Hardware, Ipv4Address),
    peer: (Hardware, Ipv4Address),
) -> Option<Frame> {
    let mut frame = link(&us.0, &to, ARP);
    put(&mut frame, &[0, 1, 8, 0, 6, 4, 0, operation]);
    for (hardware, addr) in [&us, &peer] {
        put(&mut frame, hardware);
        put(&mut frame, &addr.octets());
    }
    Some(frame)
}

/// A neighbor solicitation or advertisement, with the option that says where we
/// are (RFC 4861, 4.3 and 4.4).
#[cfg(feature = "ipv6")]
fn ndisc(
    [kind, flags]: [u8; 2],
    link: (Hardware, Hardware),
    (from, to): (Ipv6Address, Ipv6Address),
    target: Ipv6Address,
    option: u8,
) -> Option<Frame> {
    let mut frame = message((&link.0, &link.1), (from, to), 32);
    put(&mut frame, &[kind, 0, 0, 0, flags, 0, 0, 0]);
    put(&mut frame, &target.octets());
    put(&mut frame, &[option, 1]);
    put(&mut frame, &link.0);
    sealed(frame, 54)
}

/// A frame for an ICMPv6 message of `bytes` between these two.
#[cfg(feature = "ipv6")]
pub(crate) fn message(link: Link<'_>, (from, to): (Ipv6Address, Ipv6Address), bytes: u16) -> Frame {
    let end = |addr: Ipv6Address| IpEndpoint::new(addr.into(), 0);
    let flow = Flow::new(end(to), end(from));
    packet(link, &flow, IpProtocol::Icmpv6, bytes)
}

/// With the checksum of the ICMPv6 message that begins there.
#[cfg(feature = "ipv6")]
pub(crate) fn sealed(mut frame: Frame, start: usize) -> Option<Frame> {
    let (head, message) = frame.split_at_mut_checked(start)?;
    let sum = checksum::of_icmpv6(head.get(22..54)?.first_chunk()?, message);
    message.get_mut(2..4)?.copy_from_slice(&sum.to_ne_bytes());
    Some(frame)
}

/// Where in a frame its segment begins.
pub(crate) fn segment_at(frame: &[u8]) -> Option<usize> {
    Some(match frame.get(12..15)? {
        [0x08, 0x00, version] => 14 + usize::from(version & 15) * 4,
        _ => 14 + 40,
    })
}

/// The window of a segment, as it stands in the header.
pub(crate) fn window_of(frame: &[u8]) -> u16 {
    let window = segment_at(frame).and_then(|start| frame.get(start + 14..)?.first_chunk());
    window.map_or(0, |bytes| u16::from_be_bytes(*bytes))
}

/// What a SYN offers.
#[cold]
pub(crate) fn offer_of(frame: &[u8]) -> Offer {
    let mut offer = Offer::default();
    let mut options = options_of(frame).unwrap_or_default();
    loop {
        match *options {
            [2, 4, a, b, ..] => offer.mss = Some(u16::from_be_bytes([a, b])),
            [3, 3, scale, ..] => offer.scale = Some(scale),
            [4, 2, ..] => offer.sack = true,
            _ => (),
        }
        let length = match *options {
            [1, ..] => 1,
            [] | [0, ..] | [_] => return offer,
            [_, length, ..] => usize::from(length).max(2),
        };
        options = options.get(length..).unwrap_or_default();
    }
}

/// The options in a segment's header.
fn options_of(frame: &[u8]) -> Option<&[u8]> {
    let start = segment_at(frame)?;
    let end = start + usize::from(frame.get(start + 12)? >> 4) * 4;
    frame.get(start + 20..end)
}

/// A frame with its IP header, for a payload of `bytes`, from a flow's peer to us.
pub(crate) fn packet((from, to): Link<'_>, flow: &Flow, protocol: IpProtocol, bytes: u16) -> Frame {
    let protocol = u32::from(u8::from(protocol));
    #[cfg(feature = "ipv6")]
    if flow.words == 4 {
        let mut frame = link(from, to, IPV6);
        // Neighbor discovery wants all the hops there are.
        let head = [0x6000_0000, u32::from(bytes) << 16 | protocol << 8 | 255];
        put_words(&mut frame, &head);
        put_words(&mut frame, &flow.remote);
        put_words(&mut frame, &flow.local);
        return frame;
    }
    let mut frame = link(from, to, IPV4);
    let words = [
        0x4500_0000 | u32::from(20 + bytes),
        // Never fragmented; 64 hops, and no checksum yet.
        0x4000,
        64 << 24 | protocol << 16,
        flow.remote[0],
        flow.local[0],
    ];
    put_words(&mut frame, &words);
    if let Some(header) = frame.last_chunk_mut() {
        checksum::fill_header(header);
    }
    frame
}

/// A frame of this kind that begins like this.
#[cfg(any(feature = "ipv6", feature = "groups"))]
pub(crate) fn raw((from, to): (Hardware, Hardware), kind: [u8; 2], begins: &[u8]) -> Option<Frame> {
    let mut frame = link(&from, &to, kind);
    frame.extend_from_slice(begins).ok()?;
    Some(frame)
}

fn link(from: &Hardware, to: &Hardware, kind: [u8; 2]) -> Frame {
    let mut frame = Frame::new();
    put(&mut frame, to);
    put(&mut frame, from);
    put(&mut frame, &kind);
    frame
}

/// In the order of the network.
fn put_words(frame: &mut Frame, words: &[u32]) {
    for word in words {
        put(frame, &word.to_be_bytes());
    }
}

/// Nothing made here is too long.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(crate) fn put(frame: &mut Frame, bytes: &[u8]) {
    let _ = frame.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::frame::checksum::Checks;
    use crate::frame::demux::{Control, Route, demux};
    use proptest::prelude::*;
    use smoltcp::phy::Checksum;
    use smoltcp::wire::{IpCidr, IpEndpoint};

    const US: Hardware = [2, 0, 0, 0, 0, 1];
    const PEER: Hardware = [2, 0, 0, 0, 0, 9];

    fn check(us: IpAddress, peer: IpAddress) {
        for mss in [None, Some(1220)] {
            let bare = Bare {
                flags: ACK,
                seq: TcpSeqNumber(5),
                ack: TcpSeqNumber(-6),
                window: 7,
                mss,
            };
            let flow = Flow::new(IpEndpoint::new(us, 7), IpEndpoint::new(peer, 1000));
            let made = segment((&PEER, &US), &flow, &bare);
            // The segment's own is added up when it leaves.
            let checks = Checks {
                ipv4: Checksum::Both,
                tcp: Checksum::None,
            };
            let Route::Tcp(seen) = demux(&made, US, &[IpCidr::new(us, 24)], &checks) else {
                panic!("{made:?}");
            };
            assert_eq!(seen.flow.local(), IpEndpoint::new(us, 7));
            assert_eq!(seen.flow.remote(), IpEndpoint::new(peer, 1000));
            assert_eq!((seen.seq.0, seen.ack.0), (5, -6));
            assert_eq!((seen.control, seen.payload), (Control::Other, 0));
            assert_eq!(offer_of(&made).mss, mss);
            assert_eq!(window_of(&made), 7);
        }
    }

    #[test]
    fn a_segment_made_by_hand_reads_as_one() {
        check(IpAddress::v4(10, 0, 0, 1), IpAddress::v4(10, 0, 0, 9));
        #[cfg(feature = "ipv6")]
        check(
            IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 1),
            IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 9),
        );
    }

    #[test]
    fn the_mss_is_found_behind_other_options_and_not_past_the_end() {
        let with = |options: &[u8]| {
            let mut frame = std::vec![0; 54];
            (frame[12], frame[14]) = (8, 0x45);
            frame[34 + 12] = ((20 + options.len()) << 2) as u8;
            frame.extend_from_slice(options);
            offer_of(&frame).mss
        };
        assert_eq!(
            with(&[1, 1, 4, 2, 3, 3, 7, 1, 2, 4, 5, 180, 0, 0, 0, 0]),
            Some(1460)
        );
        assert_eq!(with(&[2, 4, 0, 0]), Some(0));
        assert_eq!(with(&[0, 0, 2, 4]), None);
        assert_eq!(with(&[1, 1, 1, 2]), None);
        assert_eq!(
            with(&[9, 0, 2, 4, 1, 0, 0, 0]),
            Some(256),
            "a length of nothing"
        );
        assert_eq!(with(&[]), None);
    }

    #[test]
    fn the_scale_is_found_behind_other_options_and_not_past_the_end() {
        for (options, scale) in [
            (&[2, 4, 5, 180, 1, 3, 3, 7][..], Some(7)),
            (&[3, 3, 0, 0], Some(0)),
            (&[3, 2, 3, 3, 9, 0, 0, 0], Some(9)),
            (&[0, 3, 3, 7], None),
            (&[1, 1, 3, 3], None),
            (&[2, 4, 3, 3], None),
            (&[], None),
        ] {
            let mut frame = std::vec![0; 54];
            (frame[12], frame[14]) = (8, 0x45);
            frame[34 + 12] = ((20 + options.len()) << 2) as u8;
            frame.extend_from_slice(options);
            assert_eq!(offer_of(&frame).scale, scale, "{options:?}");
        }
    }

    #[test]
    fn a_syn_made_anew_offers_the_same() {
        let end = |last| IpEndpoint::new(IpAddress::v4(10, 0, 0, last), 7);
        for scale in [None, Some(0), Some(14)] {
            for sack in [false, true] {
                let bare = Bare {
                    flags: SYN,
                    window: 99,
                    ..Bare::default()
                };
                let mss = Some(1400);
                let offer = Offer { mss, scale, sack };
                let frame = opening((&PEER, &US), &Flow::new(end(1), end(9)), &bare, &offer);
                assert_eq!(offer_of(&frame), offer);
                let packet = smoltcp::wire::TcpPacket::new_checked(&frame[34..]).unwrap();
                let ignored = smoltcp::phy::ChecksumCapabilities::ignored();
                let (from, to) = (end(9).addr, end(1).addr);
                let seen = smoltcp::wire::TcpRepr::parse(&packet, &from, &to, &ignored).unwrap();
                assert_eq!((seen.max_seg_size, seen.window_scale), (mss, scale));
                assert_eq!((seen.sack_permitted, seen.window_len), (sack, 99));
                assert!(seen.payload.is_empty());
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_segments_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), v4: bool) {
            let mut bytes = bytes;
            if v4 && bytes.len() > 14 {
                (bytes[12], bytes[13]) = (8, 0);
            }
            let _ = (window_of(&bytes), offer_of(&bytes));
        }
    }
}
