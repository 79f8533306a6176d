//! Segments that come late: copies of the first one, and what a peer says that was put
//! out half-open.
use super::*;

/// Seen with seed 1435 of the world's chaos-syn: a copy of a first segment that
/// the network held back began a connection again that was over, and the program
/// read its bytes twice.
#[test]
fn a_late_copy_of_a_first_segment_begins_nothing_again() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 1024, parked: 0, config: one_half_open());
    server.spawn(Box::pin(echo_server(server, 8))).unwrap();
    by_hand(server, |hands| {
        crowded(hands);
        let reply = cookie(hands, server, &syn(9, 1000, 7, 1));
        let first = answer(&reply, TcpControl::Psh, b"once");
        let echoed = say(hands, &first).pop().unwrap();
        assert_eq!(echoed.payload, b"once");
        hands.send(&answer(&echoed, TcpControl::Fin, b""));
        let fin = hands.pass(TICK).pop().unwrap();
        assert_eq!(fin.control, TcpControl::Fin);
        hands.send(&answer(&fin, TcpControl::None, b""));
        hands.pass(TICK);
        let used = server.counters().slots_used;
        hands.send(&first);
        assert_eq!(hands.pass(TICK * 2), []);
        assert_eq!(server.counters().slots_used, used);
        assert_eq!(server.counters().dropped(DropReason::OldDuplicate), 1);
    });
}

/// Seen in 6 of 20,000 worlds: so many others were over since that nobody remembered
/// this one, or it was over before any cookie was given.
#[test]
fn a_late_copy_of_a_first_segment_is_never_read_as_another() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 1024, parked: 0, config: one_half_open());
    server.spawn(Box::pin(echo_server(server, 8))).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        // With a slot, and no cookie.
        let reply = hands.open(&syn(9, 1000, 7, 1));
        let first = answer(&reply, TcpControl::Psh, b"once");
        hands.send(&first);
        let echoed = hands.pass(TICK * 2).pop().unwrap();
        assert_eq!(echoed.payload, b"once");
        hands.send(&answer(&echoed, TcpControl::Rst, b""));
        hands.pass(TICK);
        crowded(hands);
        cookie(hands, server, &syn(9, 1001, 7, 1));
        hands.send(&first);
        // Whoever is there says more; who is not, resets.
        let seen = hands.pass_with(TICK * 2, |seg| {
            (seg.to_port == 1000).then(|| answer(seg, TcpControl::Rst, b""))
        });
        assert!(seen.iter().all(|seg| seg.payload.is_empty()), "{seen:?}");
        assert_eq!(server.counters().slots_used, 1, "the crowd's");
    });
}

/// Seen with seed 4763 of the world's churn: the SYN-ACK came late and twice, and the
/// second time the peer acknowledged it with what it had sent in between.
#[test]
fn whoever_was_put_out_and_has_sent_more_since_is_not_reset() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024, parked: 0, config: with_cookies(1));
    server.spawn(Box::pin(echo_server(server, 8))).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        hands.open(&syn(20, 1000, 7, 1));
        hands.send(&syn(9, 1000, 7, 1));
        let slow = hands.pass(Duration::from_millis(300)).pop().unwrap();
        let quick = cookie(hands, server, &syn(10, 1000, 7, 1));
        hands.send(&answer(&quick, TcpControl::None, b""));
        hands.pass(TICK);
        let first = answer(&slow, TcpControl::Psh, b"hello");
        let mut more = answer(&slow, TcpControl::None, b"");
        more.seq += 5;
        hands.send(&more);
        assert_eq!(hands.pass(TICK), [], "its first segment was lost");
        hands.send(&answer(&quick, TcpControl::Rst, b""));
        hands.pass(TICK);
        let seen = say(hands, &first);
        assert_eq!(seen.last().unwrap().payload, b"hello");
    });
}

#[test]
fn who_was_put_out_half_open_comes_back() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024, parked: 0, config: with_cookies(1));
    server.spawn(Box::pin(echo_server(server, 8))).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        hands.open(&syn(20, 1000, 7, 1));
        // Slow, but honest, and in the last slot.
        hands.send(&Seg {
            sack: true,
            scale: Some(3),
            ..syn(9, 1000, 7, 1)
        });
        let slow = hands.pass(Duration::from_millis(300)).pop().unwrap();
        let quick = cookie(hands, server, &syn(10, 1000, 7, 1));
        let seen = say(hands, &answer(&quick, TcpControl::Psh, b"quick"));
        assert_eq!(seen.last().unwrap().payload, b"quick");
        assert_eq!(
            (server.counters().reclaimed, server.counters().slots_used),
            (1, 2)
        );
        // The quick one leaves; the slow one speaks.
        hands.send(&Seg {
            ack: None,
            seq: answer(&quick, TcpControl::Rst, b"").seq + 5,
            ..answer(&quick, TcpControl::Rst, b"")
        });
        hands.pass(TICK);
        let seen = say(hands, &answer(&slow, TcpControl::Psh, b"slow"));
        assert_eq!(seen.last().unwrap().payload, b"slow");
        assert_eq!(server.counters().cookies_taken, 2);
    });
}
