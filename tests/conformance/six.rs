//! IPv6: headers in front of TCP, errors, narrow paths, and neighbors that must not be
//! answered.

use super::*;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{Icmpv6Packet, Ipv6Address, TcpPacket, TcpRepr};

const US: Ipv6Address = Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
const PEER: Ipv6Address = Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, 9);
/// The solicited-node group of our address.
const GROUP: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 1);

/// The segment of a peer at [`PEER`], checksummed.
fn segment(seg: &Seg) -> Vec<u8> {
    let tcp = TcpRepr {
        src_port: seg.from_port,
        dst_port: seg.to_port,
        control: seg.control,
        seq_number: seg.seq,
        ack_number: seg.ack,
        window_len: seg.window,
        window_scale: seg.scale,
        max_seg_size: seg.mss,
        sack_permitted: seg.sack,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &seg.payload,
    };
    let mut bytes = vec![0; tcp.buffer_len()];
    let mut packet = TcpPacket::new_unchecked(&mut bytes[..]);
    let checksums = ChecksumCapabilities::default();
    tcp.emit(&mut packet, &PEER.into(), &US.into(), &checksums);
    bytes
}

/// A packet from `from` to `to` in its frame.
pub fn packet(
    (from, to): (Ipv6Address, Ipv6Address),
    (next, hops): (u8, u8),
    body: &[u8],
) -> Vec<u8> {
    let mut frame = HOST_MAC.as_bytes().to_vec();
    if to.is_multicast() {
        frame = vec![
            0x33,
            0x33,
            to.octets()[12],
            to.octets()[13],
            to.octets()[14],
            to.octets()[15],
        ];
    }
    frame.extend([2, 1, 0, 0, 0, 9, 0x86, 0xdd, 0x60, 0, 0, 0]);
    frame.extend((body.len() as u16).to_be_bytes());
    frame.extend([next, hops]);
    frame.extend(from.octets());
    frame.extend(to.octets());
    frame.extend(body);
    frame
}

fn to_us(next: u8, body: &[u8]) -> Vec<u8> {
    packet((PEER, US), (next, 64), body)
}

fn icmp6((from, to): (Ipv6Address, Ipv6Address), body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    Icmpv6Packet::new_unchecked(&mut body[..]).fill_checksum(&from, &to);
    packet((from, to), (58, 255), &body)
}

/// What the host answers: flags of a segment, or type and code of an ICMPv6 message.
fn kinds(frames: &[Vec<u8>]) -> Vec<String> {
    let one = |frame: &Vec<u8>| match frame[20] {
        6 => format!("TCP {:#04x}", frame[54 + 13]),
        58 => format!("ICMPv6 {} {}", frame[54], frame[55]),
        other => format!("protocol {other}"),
    };
    frames.iter().map(one).collect()
}

fn answers(frames: &[Vec<u8>]) -> Vec<String> {
    let mut all = Vec::new();
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    serve(server, |_stream| async {});
    by_hand(server, |hands| {
        hands.pass(TICK);
        for frame in frames {
            hands.send_frame(frame);
        }
        hands.pass(TICK);
        all = kinds(&hands.others);
    });
    all
}

/// A hop-by-hop header, destination options, a routing header with no segments left, an
/// atomic fragment: each with TCP's number, 6, for the next.
const HOP: [u8; 8] = [6, 0, 1, 4, 0, 0, 0, 0];
const ROUTING: [u8; 8] = [6, 0, 253, 0, 0, 0, 0, 0];
const ATOMIC: [u8; 8] = [6, 0, 0, 0, 0, 0, 0, 1];

fn behind(number: u8, headers: &[&[u8]], body: &[u8]) -> Vec<u8> {
    to_us(number, &[&headers.concat()[..], body].concat())
}

/// RFC 8200, 4: "extension headers must be processed strictly in the order they appear in
/// the packet"; 4.4: "If Segments Left is zero, the node must ignore the Routing header";
/// 4.5: a fragment that is whole "should be processed as a fully reassembled packet".
#[test]
fn c070_headers_in_front_of_a_segment_are_read() {
    let first = segment(&syn(9, 1000, 7, 1));
    let plain = answers(&[to_us(6, &first)]);
    assert_eq!(plain, ["TCP 0x12"]);
    let mut long = vec![6, 2];
    long.extend([1, 20]);
    long.extend([0; 20]);
    let all: [(u8, &[&[u8]]); 8] = [
        (0, &[&HOP]),
        (60, &[&HOP]),
        (43, &[&ROUTING]),
        (44, &[&ATOMIC]),
        (0, &[&long]),
        (
            0,
            &[
                &[60, 0, 1, 4, 0, 0, 0, 0],
                &[43, 0, 0, 0, 0, 0, 0, 0],
                &ROUTING,
            ],
        ),
        (
            0,
            &[&[44, 0, 1, 4, 0, 0, 0, 0], &[60, 0, 0, 0, 0, 0, 0, 7], &HOP],
        ),
        // An option that nobody knows, to be skipped (RFC 8200, 4.2: "00").
        (60, &[&[6, 0, 0x1e, 4, 1, 2, 3, 4]]),
    ];
    for (number, headers) in all {
        let seen = answers(&[behind(number, headers, &first)]);
        assert_eq!(seen, plain, "{number} {headers:?}");
    }
}

/// A connection whose every segment comes behind headers is one like all others.
#[test]
fn a_connection_behind_headers_works() {
    for (number, header) in [(0, HOP), (60, HOP), (43, ROUTING), (44, ATOMIC)] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        let log = reads_all(server);
        by_hand(server, |hands| {
            hands.pass(TICK);
            let first = syn(9, 1000, 7, 1);
            hands.send_frame(&behind(number, &[&header], &segment(&first)));
            hands.pass(TICK);
            let reply = hands.others.pop().unwrap();
            let number_at = |at: usize| i32::from_be_bytes(reply[at..at + 4].try_into().unwrap());
            let next = Seg {
                control: TcpControl::Fin,
                seq: TcpSeqNumber(number_at(54 + 8)),
                ack: Some(TcpSeqNumber(number_at(54 + 4)) + 1),
                payload: b"text".to_vec(),
                ..first
            };
            hands.send_frame(&behind(number, &[&header], &segment(&next)));
            hands.pass(TICK * 5);
        });
        assert_ended_after(&log, "text");
    }
}

/// What the headers forbid stays forbidden: no TCP behind a fragment that is not whole, a
/// header with segments left, an option that says to discard, a hop-by-hop header that is
/// not the first, one that is cut off.
#[test]
fn segments_behind_headers_that_forbid_it_get_no_connection() {
    let first = segment(&syn(9, 1000, 7, 1));
    let all: [(u8, &[&[u8]]); 9] = [
        (44, &[&[6, 0, 0, 1, 0, 0, 0, 1]]),
        (44, &[&[6, 0, 0, 8, 0, 0, 0, 1]]),
        (43, &[&[6, 0, 253, 1, 0, 0, 0, 0]]),
        (43, &[&[6, 0, 0, 1, 0, 0, 0, 0]]),
        (0, &[&[6, 0, 0x5e, 4, 0, 0, 0, 0]]),
        (60, &[&[6, 0, 0x9e, 4, 0, 0, 0, 0]]),
        (60, &[&[0, 0, 1, 4, 0, 0, 0, 0], &HOP]),
        (60, &[&[6, 255, 1, 4, 0, 0, 0, 0]]),
        (60, &[&[6, 0, 1, 200, 0, 0, 0, 0]]),
    ];
    for (number, headers) in all {
        let seen = answers(&[behind(number, headers, &first)]);
        let tcp = seen.iter().any(|kind| kind.starts_with("TCP"));
        assert!(!tcp, "{number} {headers:?}: {seen:?}");
    }
}

/// RFC 8200, 4.7: "The value 59 in the Next Header field ... indicates that there is nothing
/// following that header": nothing to be answered either.
#[test]
fn nothing_answers_nothing() {
    assert!(answers(&[to_us(59, b"")]).is_empty());
    assert!(answers(&[to_us(59, &segment(&syn(9, 1000, 7, 1)))]).is_empty());
}

/// RFC 4443, 2.4 (f): "an IPv6 node MUST limit the rate of ICMPv6 error messages it
/// originates".
#[test]
fn c072_errors_are_limited() {
    let frames = vec![to_us(253, &[0; 8]); 60];
    let seen = answers(&frames);
    assert!((1..=10).contains(&seen.len()), "{} answers", seen.len());
}

/// RFC 4443, 2.4 (e): "An ICMPv6 error message MUST NOT be originated as a result of
/// receiving the following: (e.1) An ICMPv6 error message ... (e.3) A packet destined to an
/// IPv6 multicast address".
#[test]
fn no_error_answers_an_error_or_a_group() {
    let quoted = to_us(6, &segment(&syn(9, 1000, 7, 1)))[14..].to_vec();
    for kind in [1, 2, 3, 4, 100, 127] {
        let message = [&[kind, 0, 0, 0, 0, 0, 5, 0][..], &quoted].concat();
        assert_eq!(answers(&[icmp6((PEER, US), &message)]), [""; 0], "{kind}");
    }
    let all = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    for next in [17, 253] {
        assert_eq!(
            answers(&[packet((PEER, all), (next, 64), &[0; 8])]),
            [""; 0]
        );
    }
}

/// RFC 4861, 7.1.1: "A node MUST silently discard any received Neighbor Solicitation
/// messages that do not satisfy all of the following validity checks".
#[test]
fn solicitations_that_must_be_discarded_are_not_answered() {
    let asks_for = |target: Ipv6Address, ends, options: &[u8]| {
        let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
        message.extend(target.octets());
        message.extend(options);
        icmp6(ends, &message)
    };
    let solicitation = |ends, options: &[u8]| asks_for(US, ends, options);
    let nobody = Ipv6Address::UNSPECIFIED;
    let source = [1, 1, 2, 1, 0, 0, 0, 9];
    // As they should be.
    for (from, options) in [(PEER, &source[..]), (PEER, b""), (nobody, b"")] {
        let seen = answers(&[solicitation((from, GROUP), options)]);
        assert_eq!(seen, ["ICMPv6 136 0"], "{from} {options:?}");
    }
    let everybody = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    for (why, from, to, options) in [
        ("from nobody to us alone", nobody, US, &b""[..]),
        ("from nobody to all", nobody, everybody, b""),
        ("from nobody, who is there", nobody, GROUP, &source),
        ("to a group from a group", everybody, GROUP, b""),
        (
            "an option without length",
            PEER,
            GROUP,
            &[1, 0, 2, 1, 0, 0, 0, 9],
        ),
        (
            "one behind another",
            PEER,
            GROUP,
            &[14, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        ),
        (
            "an option that is cut off",
            PEER,
            GROUP,
            &[1, 2, 2, 1, 0, 0, 0, 9],
        ),
    ] {
        let seen = answers(&[solicitation((from, to), options)]);
        assert!(seen.is_empty(), "{why}: {seen:?}");
    }
    for target in [nobody, everybody, GROUP] {
        for from in [nobody, PEER] {
            let seen = answers(&[asks_for(target, (from, GROUP), b"")]);
            assert!(seen.is_empty(), "{target}: {seen:?}");
        }
    }
}

/// RFC 9293, 3.7.1: without an option MSS, "536 (576 - 40) for IPv4 or 1220 (1280 - 60) for
/// IPv6 (MUST-15)"; and what does not fit our own link is not believed.
#[test]
fn without_an_mss_segments_over_ipv6_have_1220_bytes() {
    for (mss, most) in [(None, 1220), (Some(65535), 1440)] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 65536);
        serve(server, move |mut stream| async move {
            let _ = stream.write_all(&[b'y'; 60_000]).await;
            server.sleep(SEC * 100).await;
        });
        by_hand(server, |hands| {
            hands.pass(TICK);
            let (seen, _) = pours(hands, mss);
            let longest = seen.iter().map(|frame| frame.len() - 74).max();
            assert_eq!(longest, Some(most));
            // RFC 5681, 3.1: one segment after a timeout.
            hands.others.clear();
            hands.pass(TICK * 120);
            assert!(hands.others.len() <= 1, "{} segments", hands.others.len());
        });
    }
}

/// Opens a connection with this MSS; what the host sends then, and its SYN-ACK's number.
fn pours(hands: &mut Hands<'_>, mss: Option<u16>) -> (Vec<Vec<u8>>, TcpSeqNumber) {
    let first = Seg {
        mss,
        window: 60_000,
        ..syn(9, 1000, 7, 1)
    };
    hands.send_frame(&to_us(6, &segment(&first)));
    hands.pass(TICK);
    let reply = hands.others.pop().unwrap();
    let seq = TcpSeqNumber(i32::from_be_bytes(reply[58..62].try_into().unwrap()));
    let third = Seg {
        control: TcpControl::None,
        seq: TcpSeqNumber(2),
        ack: Some(seq + 1),
        mss: None,
        ..first
    };
    hands.send_frame(&to_us(6, &segment(&third)));
    hands.others.clear();
    hands.pass(TICK);
    (hands.others.clone(), seq)
}

/// RFC 8201, 4: "When a node receives a Packet Too Big message, it MUST reduce its estimate
/// of the PMTU for the relevant path"; and "A node MUST NOT reduce its estimate of the Path
/// MTU below the IPv6 minimum link MTU".
#[test]
fn a_narrower_path_is_learned() {
    for (mtu, right, most) in [
        (1400, true, 1340),
        (1280, true, 1220),
        (100, true, 1220),
        (1400, false, 1440),
    ] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
        serve(server, move |mut stream| async move {
            stream.write_all(&[b'y'; 3000]).await.unwrap();
            server.sleep(SEC * 100).await;
        });
        by_hand(server, |hands| {
            hands.pass(TICK);
            let (seen, _) = pours(hands, Some(1440));
            let full = seen.iter().find(|frame| frame.len() == 1514).unwrap();
            let mut quoted = full[14..14 + 40 + 20].to_vec();
            quoted[40 + 4] ^= u8::from(!right) << 6; // the sequence number
            let mut message = vec![2, 0, 0, 0];
            message.extend(u32::to_be_bytes(mtu));
            message.extend(quoted);
            let router = Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, 0xfe);
            hands.others.clear();
            hands.send_frame(&icmp6((router, US), &message));
            hands.pass(SEC * 5);
            let longest = hands.others.iter().map(|frame| frame.len() - 74).max();
            assert_eq!(longest, Some(most), "{mtu} {right}");
        });
    }
}

/// RFC 9293, 3.9.2.2: soft errors "MUST NOT abort the connection (MUST-56)"; "This applies
/// to ICMPv6 in addition to IPv4 ICMP": unreachable, time exceeded, parameter problem.
#[test]
fn no_message_about_what_is_on_its_way_ends_a_connection() {
    let after = |message: Option<[u8; 2]>| {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
        serve(server, move |mut stream| async move {
            stream.write_all(&[b'y'; 3000]).await.unwrap();
            server.sleep(SEC * 100).await;
        });
        let mut sent = Vec::new();
        by_hand(server, |hands| {
            hands.pass(TICK);
            let (seen, _) = pours(hands, Some(1440));
            if let Some(message) = message {
                let mut message = message.to_vec();
                message.resize(8, 0);
                message.extend(&seen[0][14..14 + 40 + 20]);
                let router = Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, 0xfe);
                hands.send_frame(&icmp6((router, US), &message));
            }
            hands.others.clear();
            hands.pass(SEC * 5);
            sent = hands.others.clone();
            assert_eq!(server.counters().slots_used, 1);
        });
        sent
    };
    let without = after(None);
    assert!(!without.is_empty());
    for message in [[1, 0], [1, 3], [3, 0], [3, 1], [4, 0], [4, 1], [4, 2]] {
        assert_eq!(after(Some(message)), without, "{message:?}");
    }
}
