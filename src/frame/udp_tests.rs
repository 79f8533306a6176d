extern crate std;
use super::*;
use proptest::prelude::*;
use smoltcp::wire::{Icmpv4Message, Icmpv4Packet, IpAddress, IpEndpoint, Ipv4Packet, UdpPacket};
use std::vec::Vec;

const US: Hardware = [2, 0, 0, 0, 0, 1];
const PEER: Hardware = [2, 0, 0, 0, 0, 9];
const SUMS: (bool, bool) = (true, true);

fn ends() -> Vec<(IpAddress, IpAddress)> {
    std::vec![
        (IpAddress::v4(10, 0, 0, 9), IpAddress::v4(10, 0, 0, 1)),
        #[cfg(feature = "ipv6")]
        (
            IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 9),
            IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 1),
        ),
    ]
}

/// A datagram of the peer's to port 7 of ours, as it comes.
fn made((peer, us): (IpAddress, IpAddress), payload: &[u8]) -> Vec<u8> {
    let flow = Flow::new((peer, 4000).into(), (us, 7).into());
    written(&Message::datagram((PEER, US), &flow, payload))
}

fn written(message: &Message<'_>) -> Vec<u8> {
    let mut frame = std::vec![0xaa; message.len()];
    message.write(&mut frame, true).unwrap();
    if frame[12..14] == IPV4 {
        checksum::fill_header(frame[14..].first_chunk_mut().unwrap());
    }
    frame
}

/// Where the message begins.
fn start(frame: &[u8]) -> usize {
    if frame[12..14] == IPV4 { 34 } else { 54 }
}

fn heard(frame: &[u8]) -> Result<Heard<'_>, DropReason> {
    assert!(is_about_datagrams(frame));
    read(frame, US, SUMS)
}

#[test]
fn a_datagram_that_was_written_reads_as_one() {
    for (peer, us) in ends() {
        for payload in [&b""[..], b"s", b"swan", &[7; 1400]] {
            let frame = made((peer, us), payload);
            let local = IpEndpoint::new(us, 7);
            let expected = Heard {
                flow: Flow::new(local, (peer, 4000).into()),
                hardware: PEER,
                to_us_alone: true,
                said: Said::Datagram(payload),
            };
            assert_eq!(heard(&frame), Ok(expected));
            // And to others.
            let udp = UdpPacket::new_checked(&frame[start(&frame)..]).unwrap();
            assert!(udp.verify_checksum(&peer, &us));
            assert_eq!((udp.src_port(), udp.dst_port()), (4000, 7));
            assert_eq!(udp.payload(), payload);
            if frame[12..14] == IPV4 {
                let packet = Ipv4Packet::new_checked(&frame[14..]).unwrap();
                assert!(packet.verify_checksum() && packet.dont_frag());
                assert_eq!(packet.hop_limit(), 64);
            }
        }
    }
}

#[test]
fn a_sum_of_zero_is_written_as_all_ones() {
    // The payload that makes it zero is what the sum is without it.
    for (peer, us) in ends() {
        let frame = made((peer, us), &[0, 0]);
        let at = start(&frame) + 6;
        let frame = made((peer, us), &frame[at..at + 2]);
        assert_eq!(frame[at..at + 2], [0xff, 0xff]);
        assert!(heard(&frame).is_ok());
    }
}

/// RFC 768: "An all zero transmitted checksum value means that the transmitter generated no
/// checksum"; RFC 8200, 8.1: "IPv6 receivers must discard UDP packets containing a zero
/// checksum".
#[test]
fn no_checksum_is_fine_in_ipv4_alone() {
    for (peer, us) in ends() {
        let mut frame = made((peer, us), b"swan");
        let at = start(&frame) + 6;
        frame[at..at + 2].fill(0);
        let is_v4 = matches!(us, IpAddress::Ipv4(_));
        assert_eq!(heard(&frame).is_ok(), is_v4);
        // Also where the device looks at sums: zero is none that it could look at.
        assert_eq!(read(&frame, US, (true, false)).is_ok(), is_v4);
        frame[at] = 1;
        assert_eq!(heard(&frame), Err(DropReason::Checksum));
        assert!(read(&frame, US, (true, false)).is_ok(), "the device looks");
    }
}

#[test]
fn a_datagram_is_as_long_as_it_says_and_no_longer() {
    for (peer, us) in ends() {
        let fine = made((peer, us), b"swan");
        let at = start(&fine) + 4;
        for (length, is_fine) in [
            (0u16, false),
            (7, false),
            (8, true),
            (12, true),
            (13, false),
        ] {
            let mut frame = fine.clone();
            frame[at..at + 2].copy_from_slice(&length.to_be_bytes());
            let got = read(&frame, US, (true, false));
            assert_eq!(got.is_ok(), is_fine, "{length}");
            if let Ok(heard) = got {
                assert_eq!(
                    heard.said,
                    Said::Datagram(&b"swan"[..usize::from(length) - 8])
                );
            } else {
                assert_eq!(got, Err(DropReason::Malformed));
            }
        }
        // What a short frame is filled up with is none of it.
        let mut padded = fine.clone();
        padded.extend_from_slice(&[0; 30]);
        assert_eq!(heard(&padded), heard(&fine));
        for cut in 42..fine.len() {
            let got = read(&fine[..cut], US, SUMS);
            assert_eq!(got, Err(DropReason::Malformed), "{cut}");
        }
        let mut port_zero = fine.clone();
        port_zero[at - 2..at].fill(0);
        assert_eq!(heard(&port_zero), Err(DropReason::Malformed));
    }
}

#[test]
fn pieces_and_what_is_for_others_is_refused() {
    let fine = made(ends()[0], b"swan");
    for (at, byte, reason) in [
        (20, 0x20, DropReason::Fragment), // more of them
        (21, 1, DropReason::Fragment),    // not the first
        (14, 0x44, DropReason::Malformed),
        (14, 0x65, DropReason::Malformed),
        (5, 7, DropReason::NotOurs),
        (24, 1, DropReason::Checksum),
    ] {
        let mut frame = fine.clone();
        frame[at] = byte;
        if at != 24 {
            checksum::fill_header(frame[14..].first_chunk_mut().unwrap());
        }
        assert_eq!(read(&frame, US, SUMS), Err(reason), "{at}");
    }
    let mut to_several = fine.clone();
    to_several[..6].fill(0xff);
    assert!(!heard(&to_several).unwrap().to_us_alone);
}

#[test]
fn the_answer_to_an_unwanted_datagram_is_known_again() {
    for (peer, us) in ends() {
        for bytes in [0, 4, 500, 1400] {
            let payload = std::vec![7; bytes];
            // Ours, that came to a peer where nobody listens, and its answer.
            let flow = Flow::new((us, 5000).into(), (peer, 7).into());
            let ours = written(&Message::datagram((US, PEER), &flow, &payload));
            let their = read(&ours, PEER, SUMS).unwrap();
            let answer = written(&Message::unreachable(&their, PEER, &ours));
            let back = heard(&answer).unwrap();
            let at = start(&ours);
            let mark = mark(ours[at..].first_chunk().unwrap());
            assert_eq!(back.said, Said::Unreachable(flow, mark));
            assert_eq!(
                (back.flow.local_addr(), back.flow.remote_addr()),
                (us, peer)
            );
            let most = if at == 34 { 576 } else { 1280 };
            let length = (14 + 8 + (at - 14) + ours.len() - 14).min(14 + most);
            assert_eq!(answer.len(), length);
            if answer[12..14] == IPV4 {
                let icmp = Icmpv4Packet::new_checked(&answer[34..]).unwrap();
                assert!(icmp.verify_checksum());
                assert_eq!(icmp.msg_type(), Icmpv4Message::DstUnreachable);
                assert_eq!(icmp.msg_code(), 3);
            }
            let mut damaged = answer.clone();
            *damaged.last_mut().unwrap() ^= 1;
            assert_eq!(read(&damaged, US, SUMS), Err(DropReason::Checksum));
            let cut = at + HEADER + (at - 14) + 7;
            let mut short = answer.clone();
            short.truncate(cut);
            assert_eq!(read(&short, US, SUMS), Err(DropReason::Malformed));
        }
    }
}

#[test]
fn other_messages_are_left_to_others() {
    let (peer, us) = ends()[0];
    let flow = Flow::new((us, 5000).into(), (peer, 7).into());
    let ours = written(&Message::datagram((US, PEER), &flow, b"swan"));
    let their = read(&ours, PEER, SUMS).unwrap();
    let answer = written(&Message::unreachable(&their, PEER, &ours));
    // A ping, another kind, about TCP, with options.
    for (at, byte) in [(34, 8), (35, 1), (51, 6), (14, 0x46)] {
        let mut frame = answer.clone();
        frame[at] = byte;
        assert!(!is_about_datagrams(&frame), "{at}");
    }
}

proptest! {
    #[test]
    fn arbitrary_frames_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..160), kind in 0..4,
    ) {
        let mut bytes = bytes;
        if bytes.len() > 70 {
            bytes[..6].copy_from_slice(&US);
            match kind {
                0 => (bytes[12], bytes[13], bytes[14], bytes[23]) = (8, 0, 0x45, 17),
                1 => (bytes[12], bytes[13], bytes[14], bytes[20]) = (0x86, 0xdd, 0x60, 17),
                2 => (bytes[12], bytes[13], bytes[14], bytes[23]) = (8, 0, 0x45, 1),
                _ => (),
            }
        }
        is_about_datagrams(&bytes);
        for sums in [SUMS, (false, false)] {
            if let Ok(heard) = read(&bytes, US, sums) {
                written(&Message::unreachable(&heard, US, &bytes));
            }
        }
    }
}
