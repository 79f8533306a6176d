//! When something is sent again, and how late an answer may be: timeouts that double, a
//! round trip that is learned, what is left of a flight behind a loss, keep-alives.

use super::*;

/// Writes to whoever connects, and waits without a limit.
fn asks_for_ever(node: Node<'_>) {
    serve(node, move |mut stream| async move {
        stream.set_limits(cygnet::TimeLimits::NONE);
        stream.write_all(b"anybody there?").await.unwrap();
        node.sleep(SEC * 1000).await;
    });
}

/// RFC 9293, 3.8.3: "SYN retransmissions MUST be handled in the general way just described
/// for data retransmissions, including notification of the application layer" (MUST-22).
#[test]
fn a_syn_that_nobody_answers_is_repeated_ever_more_seldom_and_told() {
    host!(client, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = connects(client);
    by_hand(client, |hands| {
        let waits = waits(hands, SEC * 74);
        assert!(waits.len() >= 4, "{waits:?}");
        assert_doubling(&waits);
        assert!(log.borrow().is_empty());
        hands.pass(SEC * 2);
    });
    assert_eq!(*log.borrow(), ["Err(TimedOut)"]);
}

/// How long it takes from each frame of TCP to the next, in milliseconds.
fn waits(hands: &mut Hands<'_>, time: Duration) -> Vec<i64> {
    let (mut times, until) = (Vec::new(), hands.now + time);
    while hands.now < until {
        times.extend(hands.pass(TICK).iter().map(|_| hands.now.total_millis()));
    }
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[track_caller]
fn assert_doubling(waits: &[i64]) {
    for pair in waits.windows(2) {
        // It is not more than a minute (RFC 6298, 2.5).
        let twice = (2 * pair[0]).min(60_000);
        assert!((pair[1] - twice).abs() <= 40, "{waits:?}");
    }
}

/// RFC 9293, 3.8.2: "A TCP endpoint MUST implement the basic congestion control algorithms
/// slow start, congestion avoidance, and exponential backoff of RTO (MUST-19)".
#[test]
fn each_timeout_is_twice_as_long_as_the_one_before() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    asks_for_ever(server);
    by_hand(server, |hands| {
        hands.send(&syn(9, 1000, 7, 1));
        let reply = hands.pass(TICK).pop().unwrap();
        hands.send(&answer(&reply, TcpControl::None, b""));
        let waits = waits(hands, SEC * 300);
        assert!(waits.len() >= 7, "{waits:?}");
        assert_doubling(&waits);
    });
}

/// RFC 9293, 3.8.6.1: "The transmitting host SHOULD send the first zero-window probe when a
/// zero window has existed for the retransmission timeout period (SHLD-29), and SHOULD
/// increase exponentially the interval between successive probes (SHLD-30)."
#[test]
fn a_shut_window_is_probed_after_a_timeout_and_ever_more_seldom() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    asks_for_ever(server);
    by_hand(server, |hands| {
        let (_, seen) = open_with(hands, &syn(9, 1000, 7, 1), 0);
        assert_eq!(seen, []);
        assert_eq!(hands.pass(Duration::from_millis(950)), []);
        let waits = waits(hands, SEC * 200);
        assert!(waits.len() >= 6, "{waits:?}");
        assert_doubling(&waits);
    });
}

/// The same: slow start ends at half of what was on its way when a segment was lost, and
/// from there a round trip brings a segment (RFC 5681, 3.1).
#[test]
fn behind_a_loss_a_round_trip_brings_one_segment_more() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 65536);
    serve(server, move |mut stream| async move {
        while stream.write_all(&[b'y'; 10_000]).await.is_ok() {}
    });
    let mut flights = Vec::new();
    by_hand(server, |hands| {
        let first = Seg {
            scale: Some(0),
            ..ethernet_syn()
        };
        let (reply, mut seen) = open_with(hands, &first, 65_000);
        let at = |acked| Seg {
            window: 65_000,
            ..piece(&reply, TcpControl::None, 0, b"", acked)
        };
        let mut acked = 0;
        let lost_in = 4;
        for round in 0..14 {
            let top = sent_up_to(&seen, &reply).max(acked);
            if round == lost_in {
                // The first of this flight is lost: the others draw the same answer.
                (0..seen.len() - 1).for_each(|_| hands.send(&at(acked)));
                let again = hands.pass(TICK);
                assert!(again.iter().any(|seg| seg.seq == reply.seq + 1 + acked));
                let top = top.max(sent_up_to(&again, &reply));
                hands.send(&at(top));
                acked = top;
            } else {
                while acked < top {
                    acked = (acked + 1460).min(top);
                    hands.send(&at(acked));
                }
            }
            seen = hands.pass(Duration::from_millis(100));
            flights.push(sent_up_to(&seen, &reply).max(acked) - acked);
        }
    });
    let (before, after) = flights.split_at(4);
    assert!(
        before.windows(2).all(|pair| pair[1] > pair[0] * 3 / 2),
        "{flights:?}"
    );
    assert!(after[0] < before[3], "{flights:?}");
    for pair in after[1..].windows(2) {
        let more = pair[1] as i64 - pair[0] as i64;
        assert!((0..=2 * 1460).contains(&more), "{flights:?}");
    }
    let grown = after[after.len() - 1] - after[1];
    assert!((4 * 1460..=10 * 1460).contains(&grown), "{flights:?}");
}

/// RFC 9293, 3.8.1: "The RTO MUST be computed according to the algorithm in [RFC 6298],
/// including Karn's algorithm for taking RTT samples (MUST-18)": what takes three seconds is
/// repeated at first, and once that is known it is not; when it takes a hundredth of one,
/// that is learned too; and what was sent twice says nothing, so the timeout stays doubled.
#[test]
fn a_round_trip_is_learned_from_what_was_sent_once() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    serve(server, move |mut stream| async move {
        stream.set_limits(cygnet::TimeLimits::NONE);
        loop {
            stream.write_all(b"still there?").await.unwrap();
            stream.acknowledged().await.unwrap();
        }
    });
    by_hand(server, |hands| {
        let (reply, seen) = open_with(hands, &syn(9, 1000, 7, 1), 1000);
        let mut acked = 0;
        // Acknowledges it after so long; how often the host had sent it by then.
        let mut after = |hands: &mut Hands<'_>, sent: usize, time| {
            let again = hands.pass(time).len();
            acked += 12;
            hands.send(&piece(&reply, TcpControl::None, 0, b"", acked));
            (sent + again, hands.pass(TICK).len())
        };
        let (mut times, mut sent) = (Vec::new(), seen.len());
        for _ in 0..8 {
            let (all, next) = after(hands, sent, SEC * 3);
            times.push(all);
            sent = next;
        }
        assert!(times[0] > 1, "{times:?}");
        assert!(times[1..].iter().all(|&times| times == 1), "{times:?}");
        for _ in 0..100 {
            assert_eq!(after(hands, 1, Duration::ZERO), (1, 1));
        }
        for timeout in [1000, 2000, 4000, 8000] {
            let early = Duration::from_millis(timeout - 40);
            assert_eq!(hands.pass(early), [], "before {timeout} ms");
            assert_eq!(after(hands, 0, TICK * 6), (1, 1), "after {timeout} ms");
        }
    });
}

/// RFC 9293, 3.8.4: the program turns keep-alives "on or off for each TCP connection
/// (MUST-24), and they MUST default to off (MUST-25)"; they "MUST only be sent when no sent
/// data is outstanding, and no data or acknowledgment packets have been received for the
/// connection within an interval (MUST-26). This interval MUST be configurable (MUST-27)".
///
/// smoltcp sends the first as soon as it is asked for, whatever came lately, and one that is
/// due when it is asked for no more: those two this test does not count.
#[test]
fn keep_alives_are_sent_when_asked_for_and_only_into_silence() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    serve(server, move |mut stream| async move {
        server.sleep(SEC * 1000).await;
        for interval in [10, 20] {
            stream.set_keep_alive(Some(SEC * interval));
            server.sleep(SEC * 1000).await;
        }
        stream.set_keep_alive(None);
        server.sleep(SEC * 1000).await;
        stream.set_keep_alive(Some(SEC * 10));
        stream.write_all(b"on its way").await.unwrap();
        server.sleep(SEC * 1000).await;
    });
    by_hand(server, |hands| {
        let reply = hands.open(&syn(9, 1000, 7, 1));
        let alive = piece(&reply, TcpControl::None, 0, b"", 0);
        let count = |hands: &mut Hands<'_>, seconds| {
            let seen = hands.pass_with(SEC * seconds, |_| Some(alive.clone()));
            // Of a number that was acknowledged, so that it draws an answer.
            let old = seen.iter().filter(|seg| seg.seq == reply.seq);
            assert_eq!(old.count(), seen.len());
            seen.len()
        };
        assert_eq!(count(hands, 999), 0, "nobody has asked for it");
        hands.pass_with(SEC * 2, |_| Some(alive.clone()));
        assert!((98..=100).contains(&count(hands, 998)), "every ten seconds");
        hands.pass_with(SEC * 2, |_| Some(alive.clone()));
        assert!((48..=50).contains(&count(hands, 998)), "every twenty");
        // It is off again; one that was due still leaves.
        assert!(count(hands, 30) <= 1);
        assert_eq!(count(hands, 968), 0);
        hands.pass(SEC * 2);
        // Bytes are on their way: they are repeated, and nothing else is asked.
        let seen = hands.pass(SEC * 30);
        assert!(seen.len() > 2);
        assert!(
            seen.iter().all(|seg| seg.payload == b"on its way"),
            "{seen:?}"
        );
    });
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    serve(server, move |mut stream| async move {
        stream.set_keep_alive(Some(SEC * 10));
        while let Ok(1..) = stream.read(&mut [0; 8]).await {}
    });
    by_hand(server, |hands| {
        let (reply, _) = open_with(hands, &syn(9, 1000, 7, 1), 1000);
        for at in 0..20 {
            hands.send(&piece(&reply, TcpControl::Psh, at, b"x", 0));
            let seen = hands.pass(SEC * 8);
            assert!(
                seen.iter().all(|seg| seg.seq == reply.seq + 1),
                "{}",
                show(&seen, reply.seq)
            );
        }
    });
}

/// RFC 9293, 3.8.6.3: "A TCP endpoint SHOULD implement a delayed ACK (SHLD-18)", and "the
/// delay MUST be less than 0.5 seconds (MUST-40)"; every second segment is acknowledged at
/// once (SHLD-19).
#[test]
fn an_acknowledgement_is_less_than_half_a_second_late() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 4096, tx: 1024);
    serve(server, move |stream| async move {
        server.sleep(SEC * 1000).await;
        drop(stream);
    });
    by_hand(server, |hands| {
        let reply = hands.open(&ethernet_syn());
        let first = piece(&reply, TcpControl::Psh, 0, b"x", 0);
        hands.send(&first);
        assert_eq!(hands.pass(Duration::from_millis(5)), []);
        let seen = hands.pass(Duration::from_millis(400));
        assert!(seen.iter().any(|seg| seg.ack == Some(TcpSeqNumber(3))));
        for at in [1, 1461] {
            hands.send(&piece(&reply, TcpControl::None, at, &[b'x'; 1460], 0));
        }
        let seen = hands.pass(Duration::from_millis(3));
        assert!(seen.iter().any(|seg| seg.ack == Some(TcpSeqNumber(2923))));
    });
}
