//! The small services of 1983, by datagrams.

use crate::hands::{Packet, by_hand};
use crate::harness::v4;

#[test]
fn they_answer_clients_and_nobody_who_would_answer_them() {
    udp_host!(node, 1, sockets: 4, datagrams: 4, bytes: 64, waiters: 4);
    node.spawn(Box::pin(cygnet::service::echo_datagrams::<16>(node, 7)))
        .unwrap();
    node.spawn(Box::pin(cygnet::service::discard_datagrams(node, 9)))
        .unwrap();
    let daytime = cygnet::service::daytime_datagrams(node, 13, 1_795_401_900);
    node.spawn(Box::pin(daytime)).unwrap();
    by_hand(node, |hands| {
        hands.settle();
        let says = |port: u16, payload: &[u8]| Packet::between(v4(9, 1024), v4(1, port), payload);
        hands.say(&says(7, b"swan"));
        hands.say(&says(9, b"swan"));
        hands.say(&says(13, b""));
        // Longer than it sends back.
        hands.say(&says(7, &[7; 17]));
        let answers: Vec<_> = hands.datagrams().into_iter().map(|it| it.payload).collect();
        assert_eq!(answers, [&b"swan"[..], b"2026-11-23 02:45:00 UTC\r\n"]);
        for port in [7, 13, 19, 1023, 0] {
            hands.say(&Packet::between(v4(9, port), v4(1, 7), b"swan"));
            hands.say(&Packet::between(v4(9, port), v4(1, 13), b"swan"));
            assert_eq!(hands.datagrams(), [], "from port {port}");
        }
        // A port that is taken ends the service.
        assert_eq!(node.bind(7).err(), Some(cygnet::BindError::InUse));
        let second = cygnet::service::discard_datagrams(node, 9);
        node.spawn(Box::pin(async move {
            assert_eq!(second.await, Err(cygnet::BindError::InUse));
        }))
        .unwrap();
        hands.settle();
        assert_eq!(node.waiting().count(), 3);
    });
}
