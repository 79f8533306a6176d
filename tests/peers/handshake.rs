//! Handshakes that are no use to anybody.

use super::*;

/// Row 2.
#[test]
fn a_duplicate_syn_reaches_no_second_slot_and_resets_nobody() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server.spawn(Box::pin(echo_server(server, 2))).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        let first = syn(9, 1000, 7, 1);
        hands.send(&first);
        hands.send(&first);
        let seen = hands.pass(TICK);
        assert!(
            seen.iter()
                .all(|seg| seg.is_answer() && seg.seq == seen[0].seq)
        );
        assert_eq!(server.counters().slots_used, 1);
        hands.send(&answer(&seen[0], TcpControl::None, b""));
        hands.send(&first);
        let late = hands.pass(TICK);
        assert!(
            late.iter().all(|seg| seg.control == TcpControl::None),
            "{late:?}"
        );
        hands.send(&answer(&seen[0], TcpControl::Psh, b"hello"));
        let seen = hands.pass(TICK);
        assert_eq!(seen.last().unwrap().payload, b"hello");
        assert_eq!(server.counters().syns_admitted, 1);
        assert_eq!(server.counters().resets, 0);
    });
}

#[test]
fn a_duplicate_syn_does_not_make_the_answer_wait() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server.spawn(Box::pin(echo_server(server, 2))).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        // The duplicate arrives while the host asks for our hardware address.
        hands.send(&syn(9, 1000, 7, 1));
        assert_eq!(hands.pass(TICK / 10), []);
        hands.send(&syn(9, 1000, 7, 1));
        assert!(hands.pass(TICK).iter().any(Seg::is_answer));
    });
}

/// Row 3.
#[test]
fn a_syn_to_many_is_dropped_and_hurts_no_listener() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server.spawn(Box::pin(echo_server(server, 2))).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        let broadcast = EthernetAddress::BROADCAST;
        let group = EthernetAddress([1, 0, 0x5e, 0, 0, 1]);
        let mut expected = 0;
        for port in [7, 99] {
            for (to, link) in [
                (Ipv4Address::BROADCAST, broadcast),
                (Ipv4Address::new(10, 0, 0, 255), broadcast),
                (Ipv4Address::new(10, 0, 0, 255), HOST_MAC),
                (Ipv4Address::new(224, 0, 0, 1), group),
                (HOST, broadcast),
            ] {
                let mut frame = Seg {
                    to,
                    ..syn(9, 1000, port, 1)
                }
                .frame();
                frame[..6].copy_from_slice(link.as_bytes());
                hands.send_frame(&frame);
                assert_eq!(hands.pass(TICK), [], "{to} {link} {port}");
                expected += 1;
            }
        }
        assert_eq!(server.counters().dropped(DropReason::NotUnicast), expected);
        assert_eq!(server.counters().slots_used, 0);
        hands.open(&syn(9, 1001, 7, 1));
    });
}

/// Row 4.
#[test]
fn a_reset_in_the_handshake_leaves_no_trace() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server.spawn(Box::pin(echo_server(server, 1))).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        let strange = Seg {
            scale: Some(14),
            mss: Some(100),
            sack: true,
            timestamp: true,
            ..syn(9, 1000, 7, 1)
        };
        hands.send(&strange);
        let reply = hands.pass(secs(8)).remove(0);
        assert!(reply.is_answer() && reply.scale.is_some() && reply.sack);
        hands.send(&Seg {
            ack: None,
            ..answer(&reply, TcpControl::Rst, b"")
        });
        assert_eq!(hands.pass(TICK), []);
        assert_eq!(server.counters().slots_used, 0);
        assert_eq!(server.counters().resets, 1);
        let reply = hands.open(&syn(8, 1000, 7, 1));
        assert!(reply.scale.is_none() && !reply.sack && !reply.timestamp);
        // The next one's MSS is 536, and it is asked again after one second.
        hands.send(&answer(&reply, TcpControl::Psh, &[1; 256]));
        let seen = hands.pass(Duration::from_millis(1500));
        let sent: Vec<_> = seen.iter().filter(|seg| !seg.payload.is_empty()).collect();
        assert_eq!(sent.len(), 2, "and once more: {seen:?}");
        assert!(sent.iter().all(|seg| seg.payload.len() == 256));
    });
}

/// Row 8.
#[test]
fn a_half_open_connection_is_freed_within_twenty_seconds() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server.spawn(Box::pin(echo_server(server, 2))).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        hands.send(&syn(9, 1000, 7, 1));
        hands.send(&syn(8, 1000, 7, 1));
        hands.pass(secs(1));
        assert_eq!(server.counters().slots_used, 2);
        hands.send(&syn(7, 1000, 7, 1));
        assert!(hands.pass(secs(1)).iter().all(|seg| seg.to_port == 1000));
        let seen = hands.pass(Duration::from_millis(18_100));
        assert!(
            seen.iter().all(Seg::is_answer) && seen.len() < 20,
            "{}",
            seen.len()
        );
        assert_eq!(server.counters().slots_used, 0);
        assert_eq!(server.counters().expired, 2);
        hands.open(&syn(7, 1000, 7, 1));
    });
}
