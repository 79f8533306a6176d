//! Messages written byte by byte, and what is read in them.
extern crate std;

use std::vec::Vec;

use proptest::prelude::*;
#[cfg(feature = "ipv6")]
use smoltcp::wire::IpAddress;
use smoltcp::wire::IpProtocol;

use super::*;
use crate::frame::patch::tests::{ends, frame, repr, tcp};

/// The packet of a segment that we sent to the peer.
fn ours(ipv4: bool) -> Vec<u8> {
    let mut packet = frame(ipv4, IpProtocol::Tcp, &tcp(ipv4, &repr(&[0; 1400]))).split_off(14);
    let (at, len) = if ipv4 { (12, 4) } else { (8, 16) };
    let (from, to) = packet[at..].split_at_mut(len);
    from.swap_with_slice(&mut to[..len]);
    packet
}

/// What the message is about, seen from here.
fn expected(ipv4: bool, mtu: u16) -> TooBig {
    let (peer, us) = ends(ipv4);
    TooBig {
        flow: Flow::new((us, 40000).into(), (peer, 7).into()),
        seq: TcpSeqNumber(1234),
        mtu,
        length: if ipv4 { 1440 } else { 1460 },
    }
}

fn v4(head: [u8; 8], quoted: &[u8]) -> Vec<u8> {
    let mut message = [&head[..], quoted].concat();
    let mut sum: u32 = message
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    message[2..4].copy_from_slice(&(!sum as u16).to_be_bytes());
    frame(true, IpProtocol::Icmp, &message)
}

#[test]
fn fragmentation_needed_is_read_however_little_is_quoted() {
    for length in [28, 29, 40, 500] {
        let message = v4([3, 4, 0, 0, 0, 0, 5, 0x14], &ours(true)[..length]);
        assert_eq!(too_big(&message), Some(expected(true, 1300)), "{length}");
    }
    let old = v4([3, 4, 0, 0, 0, 0, 0, 0], &ours(true)[..28]);
    assert_eq!(too_big(&old), Some(expected(true, 0)));
    // Our packet had options, and the message's frame is padded.
    let mut options = ours(true);
    options[0] = 0x46;
    options.splice(20..20, [1; 4]);
    let mut padded = v4([3, 4, 0, 0, 0, 0, 5, 0x14], &options[..32]);
    padded.extend([0xee; 7]);
    assert_eq!(too_big(&padded), Some(expected(true, 1300)));
}

#[test]
fn what_says_something_else_or_too_little_is_not() {
    let quoted = &ours(true)[..28];
    for head in [
        [3, 3, 0, 0, 0, 0, 5, 0],
        [3, 0, 0, 0, 0, 0, 5, 0],
        [11, 0, 0, 0, 0, 0, 5, 0],
        [8, 4, 0, 0, 0, 0, 5, 0],
    ] {
        assert_eq!(too_big(&v4(head, quoted)), None, "{head:?}");
    }
    let right = [3, 4, 0, 0, 0, 0, 5, 0];
    for length in 0..28 {
        assert_eq!(too_big(&v4(right, &quoted[..length])), None, "{length}");
    }
    let changes: [fn(&mut Vec<u8>); 3] = [
        |packet| packet[0] = 0x65,
        |packet| packet[9] = 17,
        |packet| packet[0] = 0x4f, // a header longer than what is quoted
    ];
    for change in changes {
        let mut quoted = quoted.to_vec();
        change(&mut quoted);
        assert_eq!(too_big(&v4(right, &quoted)), None);
    }
    // A fragment of a message, and a damaged one.
    let whole = v4(right, quoted);
    for at in [14 + 6, 14 + 7, 14 + 20 + 7, 14 + 20 + 30] {
        let mut frame = whole.clone();
        frame[at] ^= 0x10;
        assert_eq!(too_big(&frame), None, "{at}");
    }
    assert!(too_big(&whole).is_some());
}

#[cfg(feature = "ipv6")]
fn v6(kind: [u8; 2], mtu: u32, quoted: &[u8]) -> Vec<u8> {
    let (from, to) = ends(false);
    let (IpAddress::Ipv6(from), IpAddress::Ipv6(to)) = (from, to) else {
        unreachable!();
    };
    let mut message = Vec::from([kind[0], kind[1], 0, 0]);
    message.extend(mtu.to_be_bytes());
    message.extend_from_slice(quoted);
    smoltcp::wire::Icmpv6Packet::new_unchecked(&mut message[..]).fill_checksum(&from, &to);
    frame(false, IpProtocol::Icmpv6, &message)
}

#[cfg(feature = "ipv6")]
#[test]
fn packet_too_big_is_read() {
    let quoted = ours(false);
    for length in [48, 49, 1000] {
        let message = v6([2, 0], 1300, &quoted[..length]);
        assert_eq!(too_big(&message), Some(expected(false, 1300)), "{length}");
    }
    let wide = v6([2, 0], 1 << 20, &quoted[..48]);
    assert_eq!(too_big(&wide), Some(expected(false, u16::MAX)));
    for kind in [[2, 1], [1, 0], [3, 0], [128, 0]] {
        assert_eq!(too_big(&v6(kind, 1300, &quoted[..48])), None, "{kind:?}");
    }
    for length in 0..48 {
        assert_eq!(too_big(&v6([2, 0], 1300, &quoted[..length])), None);
    }
    let mut damaged = v6([2, 0], 1300, &quoted[..60]);
    damaged[14 + 40 + 7] ^= 1;
    assert_eq!(too_big(&damaged), None);
    let mut udp = quoted.clone();
    udp[6] = 17;
    assert_eq!(too_big(&v6([2, 0], 1300, &udp[..60])), None);
    // What is in another protocol's packet, or in no packet of this version, is none.
    for (at, byte) in [(6, 17), (6, 0), (0, 0x40)] {
        let mut other = v6([2, 0], 1300, &quoted[..60]);
        other[14 + at] = byte;
        assert_eq!(too_big(&other), None, "{at}: {byte}");
    }
}

proptest! {
    #[test]
    fn a_message_that_is_cut_off_or_changed_never_panics(
        cut in 0usize..100, at in 0usize..90, byte: u8, ipv4: bool,
    ) {
        let mut frame = match ipv4 {
            true => v4([3, 4, 0, 0, 0, 0, 5, 0], &ours(true)[..48]),
            #[cfg(feature = "ipv6")]
            false => v6([2, 0], 1300, &ours(false)[..60]),
            #[cfg(not(feature = "ipv6"))]
            false => return Ok(()),
        };
        frame[at.min(20)] = byte;
        frame.truncate(cut);
        let _ = too_big(&frame);
    }
}
