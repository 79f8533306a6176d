//! Time-wait: who gives way to whom.

use super::*;

/// Connects, lets the host close first, and finishes: the host is in TIME-WAIT.
fn into_time_wait(hands: &mut Hands<'_>, syn: &Seg) -> Seg {
    hands.send(syn);
    let seen = hands.pass(TICK);
    let reply = seen.iter().find(|seg| seg.is_answer());
    let reply = reply
        .unwrap_or_else(|| panic!("no answer: {seen:?}"))
        .clone();
    hands.send(&answer(&reply, TcpControl::None, b""));
    let seen = hands.pass(TICK);
    let fin = seen
        .iter()
        .find(|seg| seg.control == TcpControl::Fin)
        .unwrap();
    hands.send(&answer(fin, TcpControl::Fin, b""));
    let seen = hands.pass(TICK * 3);
    assert!(!seen.iter().any(Seg::is_rst));
    answer(fin, TcpControl::Fin, b"")
}

#[test]
fn time_wait_gives_way_oldest_first() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server.spawn(Box::pin(greeter(server, false))).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        let mut fins = Vec::new();
        for port in 0..100 {
            fins.push(into_time_wait(hands, &syn(9, 2000 + port, 7, 1)));
        }
        assert_eq!(server.counters().reclaimed, 98);
        assert_eq!(server.counters().slots_used, 2);
        // The two youngest are still known: their FIN is acknowledged again.
        for (n, fin) in fins.iter().enumerate().skip(96) {
            hands.send(fin);
            let seen = hands.pass(TICK * 3);
            let known = seen.iter().any(|seg| seg.control == TcpControl::None);
            assert_eq!(known, n >= 98, "{n}: {seen:?}");
        }
        hands.pass(secs(11));
        assert_eq!(server.counters().slots_used, 0);
    });
}

#[test]
fn a_later_syn_ends_time_wait_and_an_earlier_one_does_not() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server.spawn(Box::pin(greeter(server, false))).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        let first = syn(9, 1000, 7, i32::MAX - 5);
        into_time_wait(hands, &first);
        // An old duplicate: acknowledged, and nothing else.
        hands.send(&first);
        let seen = hands.pass(TICK);
        assert!(
            seen.iter().all(|seg| seg.control == TcpControl::None),
            "{seen:?}"
        );
        assert_eq!(server.counters().reclaimed, 0);
        // Past the wrap.
        let next = Seg {
            seq: first.seq + 1000,
            ..first
        };
        assert!(next.seq > TcpSeqNumber(i32::MAX - 5));
        into_time_wait(hands, &next);
        assert_eq!(server.counters().reclaimed, 1);
        assert_eq!(server.counters().accepts, 2);
    });
}

#[test]
fn a_damaged_segment_does_not_make_time_wait_forget_who_is_newer() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server.spawn(Box::pin(greeter(server, false))).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        let first = syn(9, 1000, 7, 1);
        let fin = into_time_wait(hands, &first);
        // Its sequence number is far ahead, because a bit was flipped.
        let mut frame = fin.frame();
        frame[14 + 20 + 4] ^= 0x40;
        hands.send_frame(&frame);
        hands.pass(TICK);
        let next = Seg {
            seq: first.seq + 1000,
            ..first
        };
        into_time_wait(hands, &next);
        assert_eq!(server.counters().accepts, 2);
    });
}

#[test]
fn time_wait_after_connect_knows_nothing_of_the_peer_before() {
    host!(host, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    host.spawn(Box::pin(async {
        for _ in 0..2 {
            // Twice to the same port, which listens here too.
            let mut stream = host.connect(v4(9, 1000)).await.unwrap();
            stream.close().await.unwrap();
            drop(stream);
            host.sleep(secs(1)).await;
        }
    }))
    .unwrap();
    by_hand(host, |hands| {
        for isn in [i32::MAX / 2, 5] {
            let seen = hands.pass_with(Duration::from_millis(900), |seg| match seg.control {
                TcpControl::Syn => Some(Seg {
                    seq: TcpSeqNumber(isn),
                    ..answer(seg, TcpControl::Syn, b"")
                }),
                TcpControl::Fin => Some(answer(seg, TcpControl::Fin, b"")),
                _ => None,
            });
            let fin = seen
                .iter()
                .find(|seg| seg.control == TcpControl::Fin)
                .unwrap();
            // A new life on the same addresses: nobody listens, so a reset.
            let newer = answer(fin, TcpControl::Syn, b"");
            let seq = TcpSeqNumber(isn) + 1000;
            hands.send(&Seg {
                seq,
                ack: None,
                ..newer
            });
            let seen = hands.pass(TICK);
            assert!(seen.iter().any(Seg::is_rst), "{isn}: {seen:?}");
            hands.pass(TICK);
        }
    });
}
