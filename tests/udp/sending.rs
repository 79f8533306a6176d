//! What leaves, when, and what does not: nobody waits for somebody else's neighbor.

use cygnet::event::DropReason;
use cygnet::{Node, SendError, UdpSocket};
use futures_util::FutureExt;
use smoltcp::time::Duration;
use smoltcp::wire::{IpAddress, IpEndpoint};
use std::cell::Cell;
use std::rc::Rc;

use crate::hands::{Packet, Said, by_hand, hardware};
use crate::harness::{GATEWAY, targets, v4};

const MILLI: Duration = Duration::from_millis(1);

fn sends(socket: &UdpSocket<'_>, payload: &[u8], to: IpEndpoint) -> Option<Result<(), SendError>> {
    socket.send_to(payload, to).now_or_never()
}

#[test]
fn a_neighbor_is_asked_once_and_a_gateway_for_what_is_further() {
    udp_host!(node, 1, sockets: 1, datagrams: 16, bytes: 64, waiters: 2);
    let socket = node.bind(5000).unwrap();
    by_hand(node, |hands| {
        for target in targets(9, 7) {
            for number in 0..3 {
                assert_eq!(sends(&socket, &[number], target), Some(Ok(())));
            }
            let sent = hands.datagrams();
            let each: Vec<_> = sent.iter().map(|it| (it.to, it.payload[0])).collect();
            assert_eq!(
                each,
                [0, 1, 2].map(|number| (hardware(9), number)),
                "in order"
            );
            assert_eq!(hands.asked, [target.addr]);
            hands.asked.clear();
        }
        let far = IpEndpoint::new(IpAddress::v4(192, 0, 2, 1), 53);
        assert_eq!(sends(&socket, b"far", far), Some(Ok(())));
        let sent = hands.datagrams();
        assert_eq!((sent[0].to, sent[0].destination), (hardware(254), far));
        assert_eq!(hands.asked, [IpAddress::from(GATEWAY)]);
    });
}

#[test]
fn what_cannot_be_sent_says_so_at_once() {
    udp_host!(node, 1);
    udp_host!(small, 2, sockets: 1, datagrams: 2, bytes: 16, waiters: 1);
    let [socket, little] = [node.bind(5000).unwrap(), small.bind(5000).unwrap()];
    by_hand(node, |hands| {
        // The longest that the link carries, and one byte more.
        for (target, most) in targets(9, 7).into_iter().zip([1472, 1452]) {
            assert_eq!(
                sends(&socket, &vec![7; most + 1], target),
                Some(Err(SendError::TooLong))
            );
            assert_eq!(sends(&socket, &vec![7; most], target), Some(Ok(())));
            assert_eq!(hands.datagrams()[0].payload.len(), most);
        }
        assert_eq!(
            sends(&little, &[7; 17], v4(9, 7)),
            Some(Err(SendError::TooLong))
        );
        assert_eq!(sends(&little, &[7; 16], v4(9, 7)), Some(Ok(())));
        for target in [v4(9, 0), v4(1, 7), (IpAddress::v4(127, 0, 0, 1), 7).into()] {
            assert_eq!(
                sends(&socket, b"", target),
                Some(Err(SendError::Unaddressable))
            );
        }
        let unconnected = socket.send(b"swan").now_or_never();
        assert_eq!(unconnected, Some(Err(SendError::NotConnected)));
        assert_eq!(hands.settle(), []);
    });
}

/// RFC 1122, 2.3.2.2: the latest for a neighbor that has not answered yet is kept; and after
/// three questions it is given up.
#[test]
fn a_silent_neighbor_is_asked_three_times() {
    udp_host!(node, 1, sockets: 1, datagrams: 8, bytes: 16, waiters: 2);
    let socket = node.bind(5000).unwrap();
    by_hand(node, |hands| {
        hands.answers = |_| false;
        for target in targets(9, 7) {
            let before = hands.dropped(DropReason::NoNeighbor);
            for number in 0..5 {
                assert_eq!(sends(&socket, &[number], target), Some(Ok(())));
                hands.settle();
            }
            // A quarter of eight are kept.
            assert_eq!(hands.dropped(DropReason::NoNeighbor) - before, 3);
            assert_eq!(hands.pass(MILLI * 2900), []);
            assert_eq!(hands.dropped(DropReason::NoNeighbor) - before, 3);
            assert_eq!(hands.asked, [target.addr; 3]);
            assert_eq!(hands.pass(MILLI * 300), []);
            assert_eq!(hands.dropped(DropReason::NoNeighbor) - before, 5);
            hands.asked.clear();
            assert_eq!(hands.pass(MILLI * 3000), [], "nothing is left to ask for");
            assert_eq!(hands.asked, []);
        }
        // Answers late, and has what is kept.
        for number in 0..5 {
            assert_eq!(sends(&socket, &[number], v4(9, 7)), Some(Ok(())));
        }
        hands.pass(MILLI * 500);
        hands.answers = |_| true;
        let sent = crate::hands::datagrams(hands.pass(MILLI * 700));
        let kept: Vec<_> = sent.iter().map(|it| it.payload[0]).collect();
        assert_eq!(kept, [3, 4]);
    });
}

/// The silent neighbor of smoltcp#594.
#[test]
fn of_sixteen_destinations_one_is_silent_and_the_others_have_every_datagram() {
    udp_host!(node, 1, sockets: 1, datagrams: 16, bytes: 16, waiters: 2);
    let socket = node.bind(5000).unwrap();
    const ROUNDS: usize = 1000;
    node.spawn(Box::pin(async move {
        for number in 0..ROUNDS {
            for last in 0..16 {
                let to = v4(100 + last, 7);
                socket.send_to(&number.to_le_bytes(), to).await.unwrap();
            }
            node.sleep(Duration::from_millis(10)).await;
        }
        node.sleep(Duration::from_secs(4)).await;
        drop(socket);
    }))
    .unwrap();
    let mut count = [0; 16];
    by_hand(node, |hands| {
        hands.answers = |addr| addr != v4(103, 0).addr;
        for _ in 0..ROUNDS * 10 + 4500 {
            hands.now += MILLI;
            for packet in hands.datagrams() {
                let last = (0..16).position(|last| v4(100 + last, 7) == packet.destination);
                count[last.unwrap()] += 1;
            }
        }
        assert_eq!(std::mem::replace(&mut count[3], ROUNDS), 0);
        // At first all are asked for, and half of the places are for those who have answered.
        assert!(count.iter().all(|it| *it >= ROUNDS - 1), "{count:?}");
        let gone = hands.dropped(DropReason::NoNeighbor);
        assert_eq!(
            hands.node.counters().datagrams_out + gone,
            16 * ROUNDS as u64
        );
        // Once a second and not more, and everybody else once a minute.
        let asked = hands.asked.iter().filter(|it| **it == v4(103, 0).addr);
        assert!(asked.count() <= 15);
        assert!(hands.asked.len() <= 15 + 15);
    });
    assert_eq!(node.waiting().count(), 0);
}

/// More cold destinations at once than the host asks for at a time.
#[test]
fn many_cold_destinations_are_asked_for_one_after_the_other() {
    udp_host!(node, 1, sockets: 1, datagrams: 128, bytes: 16, waiters: 2);
    let socket = node.bind(5000).unwrap();
    by_hand(node, |hands| {
        for last in 0..60 {
            assert_eq!(sends(&socket, &[last], v4(100 + last, 7)), Some(Ok(())));
        }
        let sent = hands.pass(MILLI * 100);
        assert_eq!(sent.len(), 60, "{:?}", hands.node.counters());
    });
}

/// A task that sends more than there is room for waits for it, and is woken.
#[test]
fn who_finds_no_room_waits_for_it() {
    udp_host!(node, 1, sockets: 1, datagrams: 2, bytes: 16, waiters: 3);
    let socket = node.bind(5000).unwrap();
    let sent = Rc::new(Cell::new(0));
    let out = sent.clone();
    node.spawn_named(
        "sender",
        Box::pin(async move {
            for number in 0..9u8 {
                socket.send_to(&[number], v4(9, 7)).await.unwrap();
                out.set(number + 1);
            }
        }),
    )
    .unwrap();
    by_hand(node, |hands| {
        // One is asked for, and the other of the two places is free again and again.
        let said = hands.pass(MILLI);
        let each: Vec<_> = crate::hands::datagrams(said)
            .iter()
            .map(|it| it.payload[0])
            .collect();
        assert_eq!(each.len() as u64 + hands.dropped(DropReason::NoNeighbor), 9);
        assert_eq!((sent.get(), each.last()), (9, Some(&8)));
    });
}

#[test]
fn it_says_what_it_waits_for() {
    udp_host!(node, 1, sockets: 1, datagrams: 2, bytes: 16, waiters: 3);
    let socket = node.bind(5000).unwrap();
    let words = |node: Node<'_>| node.waiting().map(|it| it.to_string()).collect::<Vec<_>>();
    node.spawn_named(
        "reader",
        Box::pin(async move {
            let mut buf = [0; 9];
            let _ = socket.recv_from(&mut buf).await;
            for _ in 0..3 {
                let _ = socket.send_to(b"swan", v4(9, 7)).await;
            }
        }),
    )
    .unwrap();
    by_hand(node, |hands| {
        hands.turn();
        assert_eq!(words(node), ["0 reader (receive, udp:5000)"]);
        hands.say(&Packet::to_port(5000, b""));
        hands.answers = |_| false;
        hands.turn();
        assert_eq!(words(node), ["0 reader (send, udp:5000)"]);
    });
}

/// What was sent leaves although its socket is gone.
#[test]
fn a_dropped_socket_has_its_last_word() {
    udp_host!(node, 1);
    by_hand(node, |hands| {
        let socket = node.bind(5000).unwrap();
        assert_eq!(sends(&socket, b"swan", v4(9, 7)), Some(Ok(())));
        drop(socket);
        let said = hands.settle();
        assert!(matches!(&said[..], [Said::Datagram(it)] if it.payload == b"swan"));
    });
}
