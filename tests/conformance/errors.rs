//! Errors and other answers that no socket sends: never to what may not be answered, and
//! never without limit.

use super::packets::{icmp, icmp_kind, ipv4, packet_of};
use super::*;

const NINE: Ipv4Address = Ipv4Address::new(10, 0, 0, 9);

/// A UDP datagram to a closed port.
fn udp(port: u16) -> Vec<u8> {
    let mut datagram = vec![0x30, 0x39];
    datagram.extend(port.to_be_bytes());
    datagram.extend([0, 12, 0, 0]); // no checksum
    datagram.extend(b"data");
    ipv4(NINE, 17, &datagram)
}

/// RFC 1122, 3.2.2: "An ICMP error message MUST NOT be sent as the result of receiving: ...
/// a datagram destined to an IP broadcast or IP multicast address, or a datagram sent as a
/// link-layer broadcast".
#[test]
fn c071_errors_go_to_nobody_who_was_not_alone() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    by_hand(server, |hands| {
        for protocol in [1, 2, 17, 253] {
            let mut frame = ipv4(NINE, protocol, &[8, 0, 0xf7, 0xff, 0, 0, 0, 0]);
            frame[..6].copy_from_slice(&[0xff; 6]);
            hands.send_frame(&frame);
        }
        hands.pass(TICK);
        assert!(hands.others.is_empty());
    });
}

/// The same: "an ICMP error message ... or a non-initial fragment".
#[test]
fn no_error_answers_an_error_or_a_later_fragment() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    by_hand(server, |hands| {
        let mut quoted = packet_of(&answer(&syn(9, 1000, 7, 1), TcpControl::None, b"12345678"));
        quoted.truncate(28);
        let body = [&[0; 4], &quoted[..]].concat();
        for (kind, code) in [(3, 3), (3, 4), (3, 2), (11, 0), (12, 0), (5, 1), (4, 0)] {
            hands.send_frame(&ipv4(NINE, 1, &icmp(kind, code, &body)));
        }
        let mut later = udp(9999);
        later[20] = 0; // a fragment that begins at byte 80
        later[21] = 10;
        later[24] = 0;
        later[25] = 0;
        let check = !super::packets::sum(&later[14..34]);
        later[24..26].copy_from_slice(&check.to_be_bytes());
        hands.send_frame(&later);
        hands.pass(TICK);
        let kinds: Vec<_> = hands.others.iter().map(|frame| icmp_kind(frame)).collect();
        assert!(kinds.is_empty(), "{kinds:?}");
    });
}

/// An error of ours may be answered by an error to the end of the world, if two hosts do not
/// know what they may not answer; an unknown message is no question either. RFC 1122,
/// 3.2.2: "If an ICMP message of unknown type is received, it MUST be silently discarded."
#[test]
fn an_unknown_message_is_discarded() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    by_hand(server, |hands| {
        for kind in [0, 1, 2, 7, 14, 18, 42, 255] {
            hands.send_frame(&ipv4(NINE, 1, &icmp(kind, 0, &[0; 20])));
        }
        hands.pass(TICK);
        assert!(hands.others.is_empty(), "{:?}", hands.others);
    });
}

/// RFC 1812, 4.3.2.8, and RFC 4443, 2.4 (f): "an IPv6 node MUST limit the rate of ICMPv6
/// error messages it originates"; what no socket sends draws on one bucket.
#[test]
fn errors_are_limited() {
    for what in ["udp", "protocol"] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        by_hand(server, |hands| {
            let mut answers = 0;
            for _ in 0..2000 {
                match what {
                    "udp" => hands.send_frame(&udp(9000)),
                    _ => hands.send_frame(&ipv4(NINE, 253, &[0; 8])),
                }
                answers += hands.pass(Duration::from_millis(1)).len();
            }
            answers += hands.others.len();
            assert!((1..=1_700).contains(&answers), "{what}: {answers} in 2 s");
        });
    }
}

/// How many of 320 SYNs to a closed port are answered, 16 in each millisecond.
fn resets(hands: &mut Hands<'_>) -> usize {
    let answers = (0..20).map(|millisecond| {
        let first = 2000 + 16 * millisecond;
        (first..first + 16).for_each(|port| hands.send(&syn(9, port, 99, 1)));
        hands.pass(Duration::from_millis(1)).len()
    });
    answers.sum()
}

/// Resets too: whoever scans is answered, whoever floods is not one for one: a hundred at
/// once, and eight in a millisecond. A host that begins anew has answered nobody yet.
#[test]
fn resets_for_nobody_are_limited() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    by_hand(server, |hands| {
        let counts = [(); 2].map(|()| resets(hands));
        server.reboot([7; 16]);
        for count in [counts[0], resets(hands)] {
            assert!((240..=260).contains(&count), "{count} at first");
        }
        assert!((150..=170).contains(&counts[1]), "{counts:?}");
    });
}

/// One after the other, as an honest host asks, each is answered.
#[test]
fn errors_to_who_asks_slowly_are_not_limited() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    by_hand(server, |hands| {
        for number in 0..20 {
            hands.send_frame(&udp(9000));
            hands.pass(SEC);
            assert_eq!(hands.others.len(), number + 1);
            hands.send(&syn(9, 1000, 99, 1));
            assert!(hands.pass(SEC).iter().any(Seg::is_rst));
        }
    });
}

/// Whoever is served beside such a flood does not notice it.
#[test]
fn honest_clients_keep_their_latency_beside_a_flood_of_datagrams() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server.spawn(Box::pin(echo_server(server, 4))).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        let reply = hands.open(&syn(8, 1000, 7, 1));
        let mut exact = answer(&reply, TcpControl::Psh, b"x");
        for _ in 0..50 {
            hands.send(&exact);
            let began = hands.now;
            let echoed = loop {
                for _ in 0..20 {
                    hands.try_send_frame(&udp(9000));
                }
                let seen = hands.pass(Duration::from_millis(1));
                if let Some(seg) = seen.into_iter().find(|seg| !seg.payload.is_empty()) {
                    break seg;
                }
                assert!(hands.now < began + TICK, "late");
            };
            exact = answer(&echoed, TcpControl::Psh, b"x");
        }
    });
}
