//! Datagrams that nobody takes, and the word that one of ours was not taken.

use cygnet::event::DropReason;
use cygnet::{RecvError, SendError};
use futures_util::FutureExt;
use smoltcp::time::Duration;

use crate::hands::{Packet, Said, by_hand, datagrams, unreachable};
use crate::harness::v4;

/// RFC 1122, 4.1.3.1: "If a datagram arrives addressed to a UDP port for which there is no
/// pending LISTEN call, UDP SHOULD send an ICMP Port Unreachable message."
#[test]
fn a_datagram_to_a_closed_port_is_answered() {
    udp_host!(node, 1);
    by_hand(node, |hands| {
        for bytes in [0, 4, 1400] {
            for packet in Packet::each(7, &vec![7; bytes]) {
                hands.say(&packet);
                let said = hands.settle();
                let [Said::Unreachable(from, to, quote)] = &said[..] else {
                    panic!("{said:?}")
                };
                assert_eq!((*from, *to), (packet.destination.addr, packet.source.addr));
                assert!(packet.frame()[14..].starts_with(quote));
                // RFC 4443, 2.4 (c); RFC 1812, 4.3.2.3.
                let is_v4 = packet.frame()[14] >> 4 == 4;
                let most = if is_v4 { 576 - 28 } else { 1280 - 48 };
                assert_eq!(quote.len(), most.min(packet.frame().len() - 14));
            }
        }
    });
}

/// RFC 4443, 2.4 (f): "MUST limit the rate of ICMPv6 error messages it originates".
#[test]
fn a_flood_to_closed_ports_gets_few_answers_and_all_are_counted() {
    udp_host!(node, 1);
    by_hand(node, |hands| {
        let mut answers = 0;
        for round in 0..1000 {
            for packet in Packet::each(1 + round, b"swan") {
                hands.say(&packet);
            }
            answers += hands.settle().len() as u64;
        }
        assert!((5..=10).contains(&answers), "{answers}");
        let sent = 1000 * Packet::each(1, b"").len() as u64;
        assert_eq!(hands.dropped(DropReason::Throttled), sent - answers);
    });
}

#[test]
fn damaged_datagrams_and_pieces_reach_nobody() {
    udp_host!(node, 1);
    let socket = node.bind(7).unwrap();
    by_hand(node, |hands| {
        for packet in Packet::each(7, b"swan") {
            let fine = packet.frame();
            for at in 34..fine.len() {
                let mut frame = fine.clone();
                frame[at] ^= 4;
                hands.send(&frame);
                // A header of IPv6 has no checksum: another address is somebody else's.
                let said = hands.settle();
                assert!(said.is_empty(), "{at}: {said:?}");
            }
        }
        assert_eq!(hands.node.counters().datagrams_in, 0);
        let mut piece = Packet::to_port(7, b"swan").frame();
        piece[20] = 0x20;
        piece[24..26].fill(0);
        let sum = !smoltcp::wire::Ipv4Packet::new_unchecked(&piece[14..]).header_sum();
        piece[24..26].copy_from_slice(&sum.to_be_bytes());
        hands.send(&piece);
        assert_eq!(hands.settle(), []);
        assert_eq!(hands.dropped(DropReason::Fragment), 1);
        drop(socket);
    });
}

trait HeaderSum {
    fn header_sum(&self) -> u16;
}

impl HeaderSum for smoltcp::wire::Ipv4Packet<&[u8]> {
    /// The ones' complement sum of the header.
    fn header_sum(&self) -> u16 {
        let bytes = self.clone().into_inner();
        let words = bytes[..20].chunks_exact(2);
        let sum: u32 = words
            .map(|it| u32::from(u16::from_be_bytes([it[0], it[1]])))
            .sum();
        ((sum & 0xffff) + (sum >> 16)) as u16
    }
}

/// RFC 1122, 4.1.3.3: "UDP MUST pass to the application layer all ICMP error messages"; but
/// only of what left, or anybody could say so.
#[test]
fn a_connected_socket_is_told_once_that_nobody_takes_its_datagrams() {
    udp_host!(node, 1);
    let socket = node.bind(5000).unwrap();
    let mut buf = [0; 64];
    by_hand(node, |hands| {
        for (target, version) in crate::harness::targets(9, 7).into_iter().zip([4, 6]) {
            socket.connect(target).unwrap();
            let mut sent = Vec::new();
            for payload in [&b"swan"[..], b"cygnet"] {
                assert_eq!(socket.send(payload).now_or_never(), Some(Ok(())));
                sent.append(&mut datagrams(hands.settle()));
            }
            // Forged: another length, another sum, another port, of another peer.
            let unsent: [fn(&mut Packet); 4] = [
                |it| it.payload.push(7),
                |it| it.payload[0] ^= 1,
                |it| it.destination.port = 8,
                |it| it.source.port = 5001,
            ];
            let before = hands.dropped(DropReason::Unsolicited);
            for forge in unsent {
                let mut packet = sent[0].clone();
                forge(&mut packet);
                hands.send(&unreachable(&packet));
            }
            let mut damaged = unreachable(&sent[0]);
            *damaged.last_mut().unwrap() ^= 1;
            hands.send(&damaged);
            // Said to everybody.
            let mut shouted = unreachable(&sent[0]);
            shouted[..6].fill(0xff);
            hands.send(&shouted);
            assert_eq!(hands.settle(), []);
            assert_eq!(hands.dropped(DropReason::Unsolicited) - before, 5);
            assert_eq!(socket.recv(&mut buf).now_or_never(), None, "IPv{version}");
            // The first is true although the second has left since.
            hands.send(&unreachable(&sent[0]));
            assert_eq!(hands.settle(), []);
            let told = socket.recv(&mut buf).now_or_never();
            assert_eq!(told, Some(Err(RecvError::Refused)));
            assert_eq!(socket.recv(&mut buf).now_or_never(), None, "once");
            hands.send(&unreachable(&sent[1]));
            hands.settle();
            let told = socket.send(b"more").now_or_never();
            assert_eq!(told, Some(Err(SendError::Refused)));
            assert_eq!(hands.settle(), [], "nothing was sent");
            assert_eq!(socket.send(b"more").now_or_never(), Some(Ok(())));
            hands.settle();
        }
        assert_eq!(
            hands.dropped(DropReason::Checksum),
            Packet::each(7, b"").len() as u64
        );
    });
}

/// A socket that speaks to many is not told: it would not know of which.
#[test]
fn only_connected_sockets_are_told() {
    udp_host!(node, 1);
    let socket = node.bind(5000).unwrap();
    by_hand(node, |hands| {
        let sent = socket.send_to(b"swan", v4(9, 7)).now_or_never();
        assert_eq!(sent, Some(Ok(())));
        let sent = datagrams(hands.settle());
        hands.send(&unreachable(&sent[0]));
        assert_eq!(hands.settle(), []);
        assert_eq!(hands.dropped(DropReason::Unsolicited), 1);
        let mut buf = [0; 9];
        assert_eq!(socket.recv_from(&mut buf).now_or_never(), None);
        // It wakes who waits.
        socket.connect(v4(9, 7)).unwrap();
    });
    let told = std::rc::Rc::new(std::cell::Cell::new(None));
    let out = told.clone();
    node.spawn(Box::pin(async move {
        socket.send(b"swan").await.unwrap();
        let mut buf = [0; 9];
        out.set(Some(socket.recv(&mut buf).await));
    }))
    .unwrap();
    by_hand(node, |hands| {
        hands.now += Duration::from_secs(1);
        let frame = Packet {
            from: crate::hands::hardware(1),
            to: crate::hands::hardware(9),
            ..Packet::between(v4(1, 5000), v4(9, 7), b"swan")
        };
        hands.settle();
        hands.send(&unreachable(&frame));
        hands.settle();
    });
    assert_eq!(told.get(), Some(Err(RecvError::Refused)));
}
