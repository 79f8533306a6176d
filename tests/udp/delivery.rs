//! Which socket has a datagram, and what is said of it.

use cygnet::event::DropReason;
use cygnet::{BindError, Node, Peer};
use smoltcp::wire::IpEndpoint;
use std::cell::RefCell;
use std::rc::Rc;

use crate::hands::{Packet, Said, by_hand, datagrams, hardware};
use crate::harness::{targets, v4};

/// What a socket has received.
type Seen = Rc<RefCell<Vec<(Vec<u8>, Peer)>>>;

/// Receives into `room` bytes for ever.
pub fn receive<'a>(
    node: Node<'a>,
    local: impl Into<smoltcp::wire::IpListenEndpoint>,
    room: usize,
) -> Seen {
    let seen = Seen::default();
    let (socket, out) = (node.bind(local).unwrap(), seen.clone());
    node.spawn(Box::pin(async move {
        let mut buf = vec![0; room];
        while let Ok((len, peer)) = socket.recv_from(&mut buf).await {
            out.borrow_mut().push((buf[..len].to_vec(), peer));
        }
    }))
    .unwrap();
    seen
}

/// Sends back what comes, for ever.
pub fn echo(node: Node<'_>, port: u16) {
    let socket = node.bind(port).unwrap();
    node.spawn(Box::pin(async move {
        let mut buf = [0; 1472];
        while let Ok((len, peer)) = socket.recv_from(&mut buf).await {
            let _ = socket.send_to(&buf[..len], peer).await;
        }
    }))
    .unwrap();
}

/// Both versions of IP on one socket; an echo needs no question, and goes where the datagram
/// came from, also if that was a router.
#[test]
fn an_echo_goes_back_on_the_way_it_came() {
    udp_host!(node, 1);
    echo(node, 7);
    by_hand(node, |hands| {
        for payload in [&b""[..], b"swan", &[7; 1452]] {
            for mut packet in Packet::each(7, payload) {
                packet.from = hardware(77);
                hands.say(&packet);
                let back = Packet {
                    from: hardware(1),
                    to: hardware(77),
                    source: packet.destination,
                    destination: packet.source,
                    hops: 64,
                    payload: payload.to_vec(),
                };
                assert_eq!(hands.datagrams(), [back]);
            }
        }
        assert_eq!(hands.asked, []);
        let counters = hands.node.counters();
        assert_eq!(counters.datagrams_in, counters.datagrams_out);
        assert_eq!(counters.dropped.iter().sum::<u64>(), 0);
    });
}

#[test]
fn a_reader_knows_where_a_datagram_was_sent() {
    udp_host!(node, 1, sockets: 4, datagrams: 4, bytes: 64, waiters: 8,
        addresses: ["10.0.0.1/24", "10.0.0.3/24"].map(|it| it.parse().unwrap()));
    let (all, one) = (receive(node, 7, 64), receive(node, v4(3, 7), 64));
    let other = receive(node, v4(1, 9), 64);
    by_hand(node, |hands| {
        for (last, port) in [(1, 7), (3, 7), (1, 9), (3, 9)] {
            hands.say(&Packet::between(v4(9, 4000), v4(last, port), &[last]));
        }
        let said = hands.settle();
        assert!(matches!(said[..], [Said::Unreachable(..)]), "{said:?}");
        for (seen, last) in [(&all, 1), (&one, 3), (&other, 1)] {
            let seen = seen.borrow();
            let [(payload, peer)] = &seen[..] else {
                panic!("{seen:?}")
            };
            assert_eq!(payload, &[last]);
            assert_eq!(peer.endpoint, v4(9, 4000));
            assert_eq!(peer.local, v4(last, 0).addr);
            assert_eq!((peer.hardware, peer.is_cut), (hardware(9), false));
        }
    });
}

#[test]
fn a_datagram_that_a_buffer_does_not_hold_is_cut_and_says_so() {
    udp_host!(node, 1);
    let seen = receive(node, 7, 3);
    by_hand(node, |hands| {
        for payload in [&b"swan"[..], b"pen", b""] {
            hands.say(&Packet::to_port(7, payload));
        }
        hands.settle();
        let seen = seen.borrow().clone();
        let each: Vec<_> = seen
            .iter()
            .map(|(it, peer)| (&it[..], peer.is_cut))
            .collect();
        assert_eq!(each, [(&b"swa"[..], true), (b"pen", false), (b"", false)]);
    });
}

#[test]
fn a_full_ring_takes_no_more_and_no_places_of_others() {
    udp_host!(node, 1, sockets: 2, datagrams: 3, bytes: 16, waiters: 2);
    let lazy = node.bind(8).unwrap();
    let busy = receive(node, 7, 64);
    by_hand(node, |hands| {
        for number in 0..10 {
            hands.say(&Packet::to_port(8, &[number]));
        }
        hands.settle();
        assert_eq!(hands.dropped(DropReason::Unread), 7);
        // More than the storage has places for is dropped for another reason.
        hands.say(&Packet::to_port(7, &[7; 17]));
        hands.say(&Packet::to_port(7, &[7; 16]));
        hands.settle();
        assert_eq!(hands.dropped(DropReason::TooLong), 1);
        assert_eq!(busy.borrow().len(), 1);
        assert_eq!(hands.node.counters().datagrams_in, 3 + 1);
        // What it had not read goes with it, and is counted; the port is free.
        drop(lazy);
        assert_eq!(hands.dropped(DropReason::Unread), 10);
        let seen = receive(node, 8, 64);
        hands.say(&Packet::to_port(8, b"swan"));
        hands.settle();
        assert_eq!(seen.borrow().len(), 1);
    });
}

#[test]
fn ports_are_bound_once_for_each_address_and_free_again() {
    udp_host!(node, 1);
    let all = node.bind(7).unwrap();
    let error = |local: IpEndpoint| node.bind(local).err();
    assert_eq!(node.bind(7).err(), Some(BindError::InUse));
    let one = node.bind(v4(1, 7)).unwrap();
    assert_eq!(error(v4(1, 7)), Some(BindError::InUse));
    assert_eq!(error(v4(2, 7)), Some(BindError::NotOurs));
    assert_eq!(
        (all.local_addr(), one.local_addr()),
        (None, Some(v4(1, 0).addr))
    );
    all.connect(v4(9, 9)).unwrap();
    assert_eq!(
        all.local_addr(),
        Some(v4(1, 0).addr),
        "as it speaks to its peer"
    );
    drop(all);
    let all = node.bind(7).unwrap();
    let _more = [node.bind(8).unwrap(), node.bind(9).unwrap()];
    assert_eq!(node.bind(10).err(), Some(BindError::TooMany));
    drop((all, one));
    assert!(node.bind(10).is_ok());
    crate::harness::host_with(|node| {
        assert_eq!(node.bind(7).err(), Some(BindError::TooMany), "no memory");
    });
}

/// RFC 6056: "make it more difficult for an attacker to guess": of one port the next is not
/// known, and another host has others.
#[test]
fn ports_that_nobody_asked_for_are_not_foreseen() {
    let drawn = |node: Node<'_>| {
        let each = (0..200).map(|_| node.bind(0).unwrap().port());
        each.collect::<Vec<u16>>()
    };
    udp_host!(node, 1);
    udp_host!(other, 2);
    let (ports, others) = (drawn(node), drawn(other));
    assert!(ports.iter().all(|port| *port >= 49152));
    assert_ne!(ports, others);
    let steps: std::collections::BTreeSet<u16> = ports
        .windows(2)
        .map(|it| it[1].wrapping_sub(it[0]))
        .collect();
    assert!(steps.len() > 190, "{} steps between {ports:?}", steps.len());
    // Never one that is taken.
    let held: Vec<_> = (0..4).map(|_| node.bind(0).unwrap()).collect();
    let once: std::collections::BTreeSet<u16> = held.iter().map(|it| it.port()).collect();
    assert_eq!(once.len(), 4);
}

/// Nobody's word but its peer's is for a connected socket; others find the port closed, or
/// whoever has it at another address.
#[test]
fn a_connected_socket_hears_its_peer_alone() {
    udp_host!(node, 1);
    let socket = node.bind(7).unwrap();
    assert_eq!(
        socket.connect(v4(1, 9)),
        Err(cygnet::SendError::Unaddressable)
    );
    socket.connect(v4(9, 4000)).unwrap();
    let seen = Seen::default();
    let out = seen.clone();
    node.spawn(Box::pin(async move {
        let mut buf = [0; 64];
        loop {
            let (len, peer) = socket.recv_from(&mut buf).await.unwrap();
            socket.send(&buf[..len]).await.unwrap();
            out.borrow_mut().push((buf[..len].to_vec(), peer));
        }
    }))
    .unwrap();
    by_hand(node, |hands| {
        hands.say(&Packet::to_port(7, b"swan"));
        assert_eq!(hands.datagrams()[0].destination, v4(9, 4000));
        for stranger in [v4(9, 4001), v4(8, 4000)] {
            hands.say(&Packet::between(stranger, v4(1, 7), b"crow"));
            let said = hands.settle();
            assert!(matches!(said[..], [Said::Unreachable(..)]), "{said:?}");
        }
        assert_eq!(seen.borrow().len(), 1);
    });
}

/// Two hosts of ours, over a wire that loses, repeats and swaps: every datagram is one that
/// was sent, whole.
#[test]
fn two_hosts_speak_over_a_bad_wire() {
    use cygnet::lab::wire::{Faults, Wire};
    use smoltcp::time::Duration;
    let got = Rc::new(std::cell::Cell::new(0));
    for (round, target) in targets(1, 7).into_iter().enumerate() {
        udp_host!(server, 1);
        udp_host!(client, 2);
        let wire: Wire<64> = Wire::new(Faults {
            seed: 5 + round as u64,
            latency: Duration::from_millis(1),
            loss_ppm: 100_000,
            duplicate_ppm: 100_000,
            reorder_ppm: 100_000,
            reorder_delay: Duration::from_millis(9),
            corrupt_ppm: 50_000,
            ..Faults::NONE
        });
        echo(server, 7);
        let seen = got.clone();
        client
            .spawn(Box::pin(async move {
                let socket = client.bind(0).unwrap();
                socket.connect(target).unwrap();
                let mut buf = [0; 1472];
                for number in 0..200u32 {
                    let mut payload = vec![number as u8; 1 + number as usize * 7];
                    payload[0] = number as u8;
                    let _ = socket.send(&payload).await;
                    let wait = Duration::from_millis(30);
                    while let Ok(Ok(len)) = client.timeout(wait, socket.recv(&mut buf)).await {
                        let len = len.unwrap();
                        let number = usize::from(buf[0]);
                        assert_eq!(len, 1 + number * 7);
                        assert!(buf[..len].iter().all(|byte| usize::from(*byte) == number));
                        seen.set(seen.get() + 1);
                    }
                }
            }))
            .unwrap();
        crate::harness::run_until(&wire, server, client, crate::harness::seconds(60), |_| {
            client.waiting().count() == 0
        });
    }
    let each = 200 * targets(1, 7).len();
    assert!(got.get() > each * 6 / 10, "{} came back", got.get());
    let _ = datagrams;
}
