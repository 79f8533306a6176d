//! Row 18: more peers than the host remembers neighbors, strangers who ask and
//! answer, and a peer that moves.
#![cfg(feature = "lab")]
mod harness;

use cygnet::event::DropReason;
use cygnet::lab::wire::Wire;
use cygnet::{ConnectError, Node, turns};
#[cfg(feature = "ipv6")]
use harness::peer::HOST_MAC;
use harness::peer::{Hands, Seg, answer, arp, asked_for, by_hand, mac, syn};
use harness::{GATEWAY, LAN, echo_server, ms};
#[cfg(feature = "ipv6")]
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::Duration;
use smoltcp::wire::{ArpOperation, EthernetAddress, Ipv4Address, TcpControl};
#[cfg(feature = "ipv6")]
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv6Address, Ipv6Packet,
    Ipv6Repr, NdiscNeighborFlags, NdiscRepr,
};

const TICK: Duration = Duration::from_millis(10);
const ELSEWHERE: EthernetAddress = EthernetAddress([2, 6, 6, 6, 6, 6]);

/// `peers` peers, each from an address of its own or all from one, open
/// connections and send one request after another for a second; strangers
/// ask for the host. Gives the requests that were answered.
fn answered(peers: u16, addresses: u16, strangers: u32) -> u64 {
    host!(server, 1, slots: 64, tasks: 80, bytes: 64, rx: 256, tx: 256);
    server.spawn(Box::pin(echo_server(server, 64))).unwrap();
    let mut answers = 0;
    by_hand(server, |hands| {
        hands.pass(TICK);
        for n in 0..peers {
            let number = 100 + (n % addresses) as u8;
            hands.send(&syn(number, 1000 + n, 7, 1));
            hands.pass(Duration::from_micros(100));
        }
        let until = hands.now + Duration::from_secs(1);
        let mut asked = 0;
        while hands.now < until {
            let seen = hands.pass_with(TICK, |seg| {
                let reply = answer(seg, TcpControl::Psh, b"request");
                (seg.is_answer() || !seg.payload.is_empty()).then_some(reply)
            });
            answers += seen.iter().filter(|seg| !seg.payload.is_empty()).count() as u64;
            for _ in 0..strangers / 100 {
                asked += 1;
                let stranger = Ipv4Address::new(10, 0, 0, 2 + (asked % 90) as u8);
                hands.send_frame(&arp(ArpOperation::Request, stranger, mac(stranger)));
            }
        }
        assert!(
            hands.sent_to.iter().all(|to| to.0[1] == 1),
            "to nobody else"
        );
    });
    answers
}

#[test]
fn sixty_four_peers_are_served_as_fast_as_one_with_sixty_four_connections() {
    let ideal = answered(64, 1, 0);
    let distinct = answered(64, 64, 0);
    let flooded = answered(64, 64, 1000);
    println!("{ideal} answers from one address, {distinct} from 64, {flooded} with strangers");
    assert!(ideal > 5_000);
    assert!(distinct * 10 >= ideal * 9, "{distinct} of {ideal}");
    assert!(flooded * 10 >= ideal * 9, "{flooded} of {ideal}");
}

fn opened(hands: &mut Hands<'_>) -> Seg {
    hands.pass(TICK);
    let reply = hands.open(&syn(9, 1000, 7, 1));
    answer(&reply, TcpControl::Psh, b"x")
}

/// Where the answer to a byte is sent to.
fn sent_to(hands: &mut Hands<'_>, exact: &mut Seg, from: EthernetAddress) -> EthernetAddress {
    let mut frame = exact.frame();
    frame[6..12].copy_from_slice(from.as_bytes());
    hands.send_frame(&frame);
    hands.sent_to.clear();
    let seen = hands.pass(TICK * 2);
    let echoed = seen.iter().find(|seg| !seg.payload.is_empty()).unwrap();
    *exact = answer(echoed, TcpControl::Psh, b"x");
    hands.sent_to[0]
}

#[test]
fn what_strangers_say_redirects_no_open_flow() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 256, tx: 256);
    server.spawn(Box::pin(echo_server(server, 64))).unwrap();
    by_hand(server, |hands| {
        let mut exact = opened(hands);
        let peer = exact.from;
        for operation in [ArpOperation::Reply, ArpOperation::Request] {
            for _ in 0..20 {
                hands.send_frame(&arp(operation, peer, ELSEWHERE));
                hands.pass(TICK);
                assert_eq!(sent_to(hands, &mut exact, mac(peer)), mac(peer));
            }
        }
        assert_eq!(server.counters().dropped(DropReason::Unsolicited), 20);
        // Nor does a segment from there that is not in the window.
        let mut forged = Seg {
            seq: exact.seq + 100_000,
            ..exact.clone()
        }
        .frame();
        forged[6..12].copy_from_slice(ELSEWHERE.as_bytes());
        hands.send_frame(&forged);
        hands.pass(TICK);
        assert_eq!(sent_to(hands, &mut exact, mac(peer)), mac(peer));
    });
}

#[test]
fn a_peer_that_moves_takes_its_connection_along() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 256, tx: 256);
    server.spawn(Box::pin(echo_server(server, 64))).unwrap();
    by_hand(server, |hands| {
        let mut exact = opened(hands);
        let peer = exact.from;
        assert_eq!(sent_to(hands, &mut exact, mac(peer)), mac(peer));
        assert_eq!(sent_to(hands, &mut exact, ELSEWHERE), ELSEWHERE);
        assert_eq!(sent_to(hands, &mut exact, ELSEWHERE), ELSEWHERE);
    });
}

#[test]
fn every_question_for_the_host_is_answered() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 256, tx: 256);
    server.spawn(Box::pin(echo_server(server, 64))).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        for n in 0..200 {
            let stranger = Ipv4Address::new(10, 0, 0, 2 + n);
            hands.send_frame(&arp(ArpOperation::Request, stranger, mac(stranger)));
            hands.pass(Duration::from_millis(2));
        }
        assert_eq!(hands.arps, 200);
        // And whoever was forgotten can still connect, at once.
        hands.open(&syn(199, 1000, 7, 1));
    });
}

/// The answer to a SYN that nobody wants.
fn refuse(seg: &Seg) -> Option<Seg> {
    Some(answer(seg, TcpControl::Rst, b""))
}

/// Tasks that connect to as many neighbors, which they are told.
fn connect_to(client: Node<'_>, count: u8) -> Vec<Ipv4Address> {
    let peers = (0..count).map(|n| Ipv4Address::new(10, 0, 0, 100 + n));
    let spawn = |peer| {
        let ask = async move { assert!(client.connect((peer, 7)).await.is_err()) };
        client.spawn(Box::pin(ask)).unwrap();
        peer
    };
    peers.map(spawn).collect()
}

/// Only the answer to a question is believed, and the first: whoever connects
/// is sent nowhere else, and need not ask twice in a minute.
#[test]
fn what_strangers_say_turns_no_connect_elsewhere() {
    host!(client, 1, slots: 4, tasks: 8, bytes: 64, rx: 256, tx: 256);
    let peer = Ipv4Address::new(10, 0, 0, 250);
    let refused_thrice = async move {
        for _ in 0..3 {
            assert!(client.connect((peer, 7)).await.is_err());
            client.sleep(Duration::from_secs(3)).await;
        }
    };
    client.spawn(Box::pin(refused_thrice)).unwrap();
    by_hand(client, |hands| {
        let mut syns = 0;
        for _ in 0..3 {
            syns += hands.pass_with(Duration::from_secs(1), refuse).len();
            for n in 0..100 {
                let stranger = Ipv4Address::new(10, 0, 0, 2 + n);
                for operation in [ArpOperation::Request, ArpOperation::Reply] {
                    hands.send_frame(&arp(operation, stranger, mac(stranger)));
                    hands.send_frame(&arp(operation, peer, ELSEWHERE));
                }
                syns += hands.pass_with(TICK * 2, refuse).len();
            }
        }
        assert_eq!(syns, 3);
        assert_eq!(hands.asked, [peer]);
        assert!(hands.sent_to.iter().all(|&to| to == mac(peer)));
        assert_eq!(client.counters().dropped(DropReason::Unsolicited), 600);
    });
}

#[test]
fn more_neighbors_than_there_are_places_are_each_asked_for_once() {
    host!(client, 1, slots: 32, tasks: 40, bytes: 64, rx: 256, tx: 256);
    let peers = connect_to(client, 30);
    by_hand(client, |hands| {
        let syns = hands.pass_with(Duration::from_millis(100), refuse);
        assert_eq!(syns.len(), 30);
        hands.asked.sort();
        assert_eq!(hands.asked, peers);
        assert_eq!(client.counters().slots_used, 0);
    });
}

/// Silent neighbors are asked for again once a second, and are in nobody's way.
#[test]
fn a_question_is_asked_again_until_somebody_answers() {
    host!(client, 1, slots: 64, tasks: 72, bytes: 64, rx: 256, tx: 256);
    // For connections, which know where their peers are.
    let places = 4;
    let peers = connect_to(client, 40);
    by_hand(client, |hands| {
        hands.mute = true;
        assert_eq!(hands.pass(Duration::from_secs(30)), []);
        // Each place for a second.
        let asked = hands.asked.len();
        assert!((places * 27..=places * 33).contains(&asked), "{asked}");
        let last = peers.last().unwrap();
        let times = hands.asked.iter().filter(|&addr| addr == last).count();
        let turns = places * 30 / peers.len();
        assert!(
            (turns / 2..=turns * 2).contains(&times),
            "{times} times in turn"
        );
        hands.mute = false;
        let syns = hands.pass_with(Duration::from_secs(12), refuse);
        assert_eq!(syns.len(), peers.len());
        assert_eq!(client.counters().slots_used, 0);
    });
}

/// A device that has no room for a question is asked again.
#[test]
fn a_question_for_which_there_is_no_room_is_asked_later() {
    host!(client, 1, slots: 8, tasks: 16, bytes: 64, rx: 256, tx: 256);
    let peers = connect_to(client, 3);
    let wire: Wire<1> = Wire::new(LAN);
    let (mut host, mut peer) = wire.ends();
    let mut asked = Vec::new();
    turns(client, |turns| {
        for millis in 0..50 {
            turns.turn(&mut host, ms(millis));
            cygnet::lab::audit(client).unwrap();
            while let Some(frame) = peer.take(ms(millis)) {
                asked.extend(asked_for(&frame));
            }
        }
    });
    asked.sort();
    assert_eq!(asked, peers);
}

#[test]
fn a_new_boot_knows_no_neighbor() {
    host!(client, 1, slots: 4, tasks: 8, bytes: 64, rx: 256, tx: 256);
    by_hand(client, |hands| {
        for (connects, questions) in [(1, 1), (2, 1), (3, 2)] {
            if connects == 3 {
                client.reboot([9; 16]);
            }
            connect_to(client, 1);
            assert_eq!(hands.pass_with(TICK, refuse).len(), 1);
            assert_eq!(hands.asked.len(), questions);
        }
    });
}

#[test]
fn what_is_far_goes_to_the_gateway() {
    host!(client, 1, slots: 4, tasks: 8, bytes: 64, rx: 256, tx: 256);
    let far = Ipv4Address::new(192, 0, 2, 7);
    let refused = async move {
        let outcome = client.connect((far, 7)).await.map(|_| ());
        assert_eq!(outcome, Err(ConnectError::Refused));
    };
    client.spawn(Box::pin(refused)).unwrap();
    by_hand(client, |hands| {
        let syns = hands.pass_with(TICK, refuse);
        assert_eq!(hands.asked, [GATEWAY]);
        assert_eq!((syns.len(), syns[0].to), (1, far));
        assert_eq!(hands.sent_to, [mac(GATEWAY)]);
    });
}

/// A neighbor solicitation for `target`, from `source`.
#[cfg(feature = "ipv6")]
fn solicitation(source: Ipv6Address, target: Ipv6Address) -> Vec<u8> {
    let peer = EthernetAddress([2, 0, 0, 0, 0, 9]);
    let [.., a, b, c] = target.octets();
    let ends = [0xff00 | u16::from(a), u16::from_be_bytes([b, c])];
    let group = Ipv6Address::new(0xff02, 0, 0, 0, 0, 1, ends[0], ends[1]);
    let message = Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit {
        target_addr: target,
        lladdr: (!source.is_unspecified()).then_some(peer.into()),
    });
    let packet = Ipv6Repr {
        src_addr: source,
        dst_addr: group,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.buffer_len(),
        hop_limit: 255,
    };
    let mut bytes = vec![0; 14 + 40 + message.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_src_addr(peer);
    frame.set_dst_addr(EthernetAddress([0x33, 0x33, 0xff, a, b, c]));
    frame.set_ethertype(EthernetProtocol::Ipv6);
    packet.emit(&mut Ipv6Packet::new_unchecked(frame.payload_mut()));
    let sums = ChecksumCapabilities::default();
    let mut message_bytes = Icmpv6Packet::new_unchecked(&mut bytes[54..]);
    message.emit(&source, &group, &mut message_bytes, &sums);
    bytes
}

/// RFC 4861, 7.2.4, and RFC 4862, 5.4.3: who asks is told, and if it is about
/// to take our address, everybody is.
#[cfg(feature = "ipv6")]
#[test]
fn who_asks_for_an_ipv6_address_is_told_and_who_would_take_it_too() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 256, tx: 256);
    server.spawn(Box::pin(echo_server(server, 64))).unwrap();
    let ours = Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    let theirs = Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, 9);
    by_hand(server, |hands| {
        let mut told = |source, target, damage: Option<usize>| {
            let mut frame = solicitation(source, target);
            if let Some(at) = damage {
                frame[at] ^= 1;
            }
            hands.send_frame(&frame);
            hands.pass(TICK);
            let answer = hands.others.pop()?;
            assert!(hands.others.is_empty());
            let packet = Ipv6Packet::new_checked(&answer[14..]).unwrap();
            let ends = (packet.src_addr(), packet.dst_addr());
            let message = Icmpv6Packet::new_checked(packet.payload()).unwrap();
            let sums = ChecksumCapabilities::default();
            let repr = Icmpv6Repr::parse(&ends.0, &ends.1, &message, &sums).unwrap();
            let expected = Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
                flags: match ends.1.is_multicast() {
                    true => NdiscNeighborFlags::OVERRIDE,
                    false => NdiscNeighborFlags::OVERRIDE | NdiscNeighborFlags::SOLICITED,
                },
                target_addr: ours,
                lladdr: Some(HOST_MAC.into()),
            });
            assert_eq!((repr, packet.hop_limit(), ends.0), (expected, 255, ours));
            Some((EthernetAddress::from_bytes(&answer[..6]), ends.1))
        };
        let peer = EthernetAddress([2, 0, 0, 0, 0, 9]);
        assert_eq!(told(theirs, ours, None), Some((peer, theirs)));
        let nobody = Ipv6Address::UNSPECIFIED;
        let everybody = EthernetAddress([0x33, 0x33, 0, 0, 0, 1]);
        let all_nodes = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        assert_eq!(told(nobody, ours, None), Some((everybody, all_nodes)));
        let other = Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 1, 1);
        assert_eq!(told(theirs, other, None), None, "not ours");
        assert_eq!(told(theirs, ours, Some(14 + 7)), None, "through a router");
        assert_eq!(told(theirs, ours, Some(14 + 40 + 3)), None, "checksum");
        assert_eq!(server.counters().dropped(DropReason::Malformed), 2);
    });
}

#[test]
fn a_frame_from_no_address_at_all_is_refused() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 256, tx: 256);
    server.spawn(Box::pin(echo_server(server, 64))).unwrap();
    by_hand(server, |hands| {
        let mut exact = opened(hands);
        let mut frame = exact.frame();
        frame[6..12].fill(0);
        hands.send_frame(&frame);
        assert_eq!(hands.pass(TICK), []);
        assert_eq!(server.counters().dropped(DropReason::BadSource), 1);
        let peer = mac(exact.from);
        assert_eq!(sent_to(hands, &mut exact, peer), peer);
    });
}
