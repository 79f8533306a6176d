//! Row 18: more peers than smoltcp's cache of neighbors holds, strangers who
//! ask and answer, and a peer that moves.
mod harness;

use cygnet::event::DropReason;
use harness::echo_server;
use harness::peer::{Hands, Seg, answer, arp, by_hand, mac, syn};
use smoltcp::time::Duration;
use smoltcp::wire::{ArpOperation, EthernetAddress, Ipv4Address, TcpControl};

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

/// Strangers may fill the cache of neighbors once a minute, and no more: a host
/// that connects asks at most once more for an address it knew.
#[test]
fn strangers_fill_the_cache_once_a_minute() {
    host!(client, 1, slots: 4, tasks: 8, bytes: 64, rx: 256, tx: 256);
    let refused_thrice = async move {
        for _ in 0..3 {
            let peer = (Ipv4Address::new(10, 0, 0, 250), 7);
            assert!(client.connect(peer).await.is_err());
            client.sleep(Duration::from_secs(3)).await;
        }
    };
    client.spawn(Box::pin(refused_thrice)).unwrap();
    let refuse = |seg: &Seg| Some(answer(seg, TcpControl::Rst, b""));
    by_hand(client, |hands| {
        let (mut syns, mut strangers) = (0, 0);
        for _ in 0..3 {
            syns += hands.pass_with(Duration::from_secs(1), refuse).len();
            for n in 0..100 {
                let stranger = Ipv4Address::new(10, 0, 0, 2 + n);
                hands.send_frame(&arp(ArpOperation::Request, stranger, mac(stranger)));
                strangers += 1;
                syns += hands.pass_with(TICK * 2, refuse).len();
            }
        }
        assert_eq!(syns, 3);
        let questions = hands.arps - strangers;
        assert!((1..=2).contains(&questions), "{questions}");
    });
}

#[test]
fn a_frame_from_no_address_at_all_does_not_move_the_peer() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 256, tx: 256);
    server.spawn(Box::pin(echo_server(server, 64))).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        let reply = hands.open(&syn(9, 1000, 7, 1));
        let mut frame = answer(&reply, TcpControl::Psh, b"request").frame();
        frame[6..12].fill(0);
        hands.send_frame(&frame);
        let seen = hands.pass(TICK);
        assert!(seen.iter().any(|seg| seg.payload == b"request"), "{seen:?}");
        let peer = mac(Ipv4Address::new(10, 0, 0, 9));
        assert!(hands.sent_to.iter().all(|&to| to == peer));
    });
}
