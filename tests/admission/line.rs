//! Those who have proved that they are there, and wait in line for a place.
use super::*;

#[test]
fn those_who_proved_that_they_are_there_wait_in_the_order_of_proof() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 256, tx: 256, parked: 4, config: with_cookies(1));
    serve(server, 4);
    by_hand(server, |hands| {
        let leave = taken(hands, server);
        let early = ask(hands, &syn(9, 1001, 7, 5));
        let late = ask(hands, &syn(10, 1002, 7, 7));
        assert_eq!((early.window, late.window), (0, 0));
        // The second one is quicker.
        hands.send(&answer(&late, TcpControl::None, b""));
        hands.pass(TICK);
        hands.send(&answer(&early, TcpControl::None, b""));
        hands.pass(TICK);
        // Linux asks whether it may send: empty, and one too early. Others ask with
        // a byte. Nobody is reset for it, and nobody waits twice.
        for asks in 0..3 {
            let mut linux = answer(&late, TcpControl::None, b"");
            linux.seq = TcpSeqNumber(linux.seq.0 - 1);
            hands.send(&linux);
            hands.send(&answer(&late, TcpControl::None, b"h"));
            let mut more = hello(&late);
            more.seq += 100;
            hands.send(&more);
            assert_eq!(hands.pass(TICK), [], "{asks}");
        }
        assert_eq!(server.counters().syns_parked, 2);
        leave(hands);
        let seen = hands.pass(TICK);
        assert!(
            is_let_in(&seen, &late) && !is_let_in(&seen, &early),
            "{seen:?}"
        );
        hands.send(&hello(&late));
        let echoed = hands.pass(TICK * 2).pop().unwrap();
        assert_eq!(echoed.payload, b"hello");
        hands.send(&answer(&echoed, TcpControl::Rst, b""));
        assert!(is_let_in(&hands.pass(TICK), &early));
        hands.send(&hello(&early));
        assert_eq!(hands.pass(TICK * 2).pop().unwrap().payload, b"hello");
        assert_eq!(server.counters().cookies_taken, 3);
    });
}

/// What is lost on the way is asked for.
#[test]
fn whoever_was_not_told_that_it_may_send_asks() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 256, tx: 256, parked: 4, config: with_cookies(1));
    serve(server, 2);
    by_hand(server, |hands| {
        hands.pass(TICK);
        stale(hands, 1);
        stale(hands, 2);
        hands.pass(ROUND_TRIP + TICK);
        for (port, early) in [(1001, 1), (1002, 0)] {
            // Its acknowledgement is lost, and the first that comes is a question.
            let reply = ask(hands, &syn(9, port, 7, 5));
            let mut asks = answer(&reply, TcpControl::None, if early > 0 { b"" } else { b"h" });
            asks.seq = TcpSeqNumber(asks.seq.0 - early);
            hands.send(&asks);
            assert!(is_let_in(&hands.pass(TICK), &reply), "{early}");
            // Told, but not heard: the same question is answered by the connection.
            hands.send(&asks);
            assert!(is_let_in(&hands.pass(TICK * 2), &reply), "{early}");
        }
    });
}

#[test]
fn a_line_that_is_full_promises_nothing_and_resets_nobody() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 256, tx: 256, parked: 1, config: with_cookies(1));
    serve(server, 4);
    by_hand(server, |hands| {
        let leave = taken(hands, server);
        let first = ask(hands, &syn(9, 1001, 7, 5));
        let second = ask(hands, &syn(9, 1002, 7, 5));
        for reply in [&first, &second] {
            hands.send(&answer(reply, TcpControl::None, b""));
        }
        assert_eq!(hands.pass(TICK), []);
        assert_eq!(server.counters().syns_parked, 1);
        let given = server.counters().cookies_given;
        hands.send(&syn(9, 1003, 7, 5));
        // Perhaps of somebody who was promised a place: not reset either.
        let mut more = hello(&second);
        more.seq += 100;
        hands.send(&more);
        assert_eq!(hands.pass(TICK), []);
        assert_eq!(server.counters().cookies_given, given);
        leave(hands);
        assert!(is_let_in(&hands.pass(TICK), &first));
        // The one that found no place asks, and waits now.
        hands.send(&answer(&second, TcpControl::None, b""));
        assert_eq!(hands.pass(TICK), []);
        hands.send(&answer(&first, TcpControl::Rst, b""));
        assert!(is_let_in(&hands.pass(TICK), &second));
    });
}

/// Whoever waits while its listener goes away is told, and does not wait for ever.
#[test]
fn whoever_waits_for_a_listener_that_is_gone_is_reset() {
    let config: Config = with_cookies(1);
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 256, tx: 256, parked: 4, config: config);
    serve(server, 4);
    let rest = server.sleep(Duration::from_secs(60));
    server.spawn(Box::pin(rest)).unwrap();
    by_hand(server, |hands| {
        let leave = taken(hands, server);
        let reply = ask(hands, &syn(9, 1001, 7, 5));
        hands.send(&answer(&reply, TcpControl::None, b""));
        assert_eq!(hands.pass(TICK), []);
        server.close_listeners();
        leave(hands);
        let seen = hands.pass(TICK);
        assert!(to(&seen, 1001).iter().any(Seg::is_rst), "{seen:?}");
    });
}

/// A slot becomes free in the turn in which others come.
#[test]
fn nobody_overtakes_the_line() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 256, tx: 256, parked: 4, config: with_cookies(1));
    // A stream that was dropped gives its slot back as soon as its peer is gone.
    let drops = async {
        let listener = server.listen(7, Backlog(4)).unwrap();
        while listener.accept().await.is_ok() {}
    };
    server.spawn(Box::pin(drops)).unwrap();
    by_hand(server, |hands| {
        let leave = taken(hands, server);
        let waiting = ask(hands, &syn(9, 1001, 7, 5));
        let late = ask(hands, &syn(9, 1002, 7, 5));
        hands.send(&answer(&waiting, TcpControl::None, b""));
        assert_eq!(hands.pass(TICK), []);
        leave(hands);
        hands.send(&syn(9, 1003, 7, 5));
        hands.send(&answer(&late, TcpControl::None, b""));
        let seen = hands.pass(TICK);
        let [new] = &to(&seen, 1003)[..] else {
            panic!("{seen:?}");
        };
        assert_eq!((new.is_answer(), new.window), (true, 0), "a cookie");
        assert!(is_let_in(&seen, &waiting) && !is_let_in(&seen, &late));
        hands.send(&answer(&waiting, TcpControl::Rst, b""));
        assert!(is_let_in(&hands.pass(TICK), &late));
    });
}

/// Longer than a handshake may take, and than others are doubted.
#[test]
fn whoever_has_proved_itself_waits_as_long_as_its_cookie_is_good() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 256, tx: 256, parked: 4, config: with_cookies(1));
    serve(server, 4);
    by_hand(server, |hands| {
        let leave = taken(hands, server);
        let waiting = ask(hands, &syn(9, 1001, 7, 5));
        hands.send(&answer(&waiting, TcpControl::None, b""));
        hands.pass(Duration::from_secs(45));
        let mut more = hello(&waiting);
        more.seq += 100;
        hands.send(&more);
        assert_eq!(hands.pass(TICK), [], "no reset");
        leave(hands);
        assert!(is_let_in(&hands.pass(TICK), &waiting));
    });
}
