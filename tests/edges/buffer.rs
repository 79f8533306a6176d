//! Text past the receive buffer (RFC 7323, 2.2: the window of a SYN is never
//! scaled), in either role.

use super::*;

/// Text all around the places where an edge could be taken to be, before our
/// first scaled window, while the first byte is missing; then all there is to
/// send. The program must get that, and nothing may be acknowledged before it came.
fn far_text(hands: &mut Hands<'_>, reply: &Seg, rx: usize, number: usize, log: &Log) {
    let mut edges = [rx, 65_535, 65_536, 2 * rx, 65_535 << 5, 65_535 << 14];
    // The first is answered, and the answer has a scaled window.
    edges.rotate_left(number % 6);
    for edge in edges {
        for at in [edge - 50, edge - 1, edge, edge + 1] {
            hands.send(&piece(reply, TcpControl::None, at, &[0x55; 100]));
        }
        hands.pass(TICK);
    }
    let base = answer(reply, TcpControl::None, b"").seq;
    let total = 2 * rx + 10_000;
    let (mut at, mut acked) = (0, 0);
    let began = log.borrow().bytes.len();
    while acked < total {
        let before = hands.now;
        while at < total && at < acked + 40_000 {
            let len = (total - at).min(1_400);
            hands.send(&piece(reply, TcpControl::None, at, &text(at, len)));
            at += len;
        }
        for seg in hands.pass(TICK * 2) {
            let ack = seg.ack.unwrap().0.wrapping_sub(base.0) as usize;
            assert!(ack <= at, "{ack} acknowledged, and {at} sent");
            acked = acked.max(ack);
        }
        assert!(hands.now < before + SEC);
        // As after a timeout.
        at = acked;
    }
    hands.pass(TICK * 20);
    let log = log.borrow();
    assert!(log.bytes[began..] == text(0, total), "other bytes");
    drop(log);
    close_by_reset(hands, reply, total);
}

macro_rules! accepting {
    ($rx:literal, $scales:expr) => {
        with_a_deep_stack(|| {
            host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: $rx, tx: 1024);
            let log = Log::default();
            let theirs = log.clone();
            serve(server, move |mut stream| {
                let log = theirs.clone();
                async move { read_all(&mut stream, 4_000, &log).await }
            });
            by_hand(server, |hands| {
                for (number, scale) in $scales.into_iter().enumerate() {
                    let mut first = syn(9, 1000 + number as u16, 7, 1);
                    first.scale = scale;
                    let reply = hands.open(&first);
                    assert_eq!(reply.scale.is_some(), scale.is_some());
                    far_text(hands, &reply, $rx, number, &log);
                    log.borrow_mut().ends.clear();
                }
            });
            let dropped = server.counters().dropped(DropReason::PastEdge);
            assert!(dropped > 0);
        })
    };
}

#[test]
fn text_past_the_buffer_does_no_harm_at_64_kib() {
    accepting!(65_536, [None].into_iter().chain((0..=14).map(Some)));
}

#[test]
fn text_past_the_buffer_does_no_harm_at_1_mib() {
    accepting!(1_048_576, [Some(0), Some(7)]);
}

#[test]
fn c002_bytes_beyond_the_receive_buffer_do_no_harm() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 65536, tx: 1024);
    serve(server, move |mut stream| async move {
        server.sleep(SEC * 100).await;
        let _ = stream.read(&mut [0; 128]).await;
    });
    by_hand(server, |hands| {
        let mut first = syn(9, 1000, 7, 1);
        first.scale = Some(0);
        hands.send(&first);
        let reply = hands.pass(TICK).pop().unwrap();
        hands.send(&piece(&reply, TcpControl::None, 65536, &[0x55; 100]));
        hands.pass(TICK);
        for at in (0..65536).step_by(1024) {
            hands.send(&piece(&reply, TcpControl::None, at, &[1; 1024]));
            hands.pass(TICK);
        }
        hands.pass(SEC);
    });
}

/// Text around where an edge could be taken to be, and then all there is, with a
/// FIN behind it, to a host that connected. `number` says what comes first.
fn to_who_connects(hands: &mut Hands<'_>, rx: usize, number: u32, total: usize) {
    let scale = [None, Some(0), Some(3), Some(14)][number as usize % 4];
    let at_once = number < 8;
    let reply = syn_ack(hands, scale);
    hands.send(&reply);
    if !at_once {
        hands.pass(TICK);
    }
    let mut edges = [rx, 65_535, 65_536, 2 * rx, 65_535 << 1, 65_535 << 7];
    edges.rotate_left(number as usize % 6);
    for edge in edges {
        for at in [edge - 50, edge - 1, edge, edge + 1] {
            hands.send(&after(&reply, TcpControl::None, at, &[0x55; 100]));
        }
    }
    hands.pass(TICK);
    let mut at = 0;
    while at < total {
        let len = (total - at).min(1_400);
        let control = match at + len == total {
            true => TcpControl::Fin,
            false => TcpControl::None,
        };
        hands.send(&after(&reply, control, at, &text(at, len)));
        at += len;
        let seen = hands.pass(TICK * 2);
        let ack = |seg: &Seg| seg.ack.unwrap() - (reply.seq + 1);
        assert!(seen.iter().all(|seg| ack(seg) <= at + 1), "{seen:?}");
    }
    hands.pass(SEC);
}

/// In the turn of the SYN-ACK, and in later ones.
macro_rules! connecting {
    ($rx:literal, $numbers:expr) => {
        with_a_deep_stack(|| {
            for number in $numbers {
                host!(client, 1, slots: 1, tasks: 8, bytes: 64, rx: $rx, tx: 1024);
                let log = Log::default();
                connects(client, &log);
                let total = $rx + 30_000;
                by_hand(client, |hands| to_who_connects(hands, $rx, number, total));
                let log = log.borrow();
                assert!(log.bytes == text(0, total), "{} bytes", log.bytes.len());
                assert_eq!(log.ends, ["Ok(0)"]);
            }
        })
    };
}

#[test]
fn text_past_the_buffer_does_no_harm_to_who_connects_at_64_kib() {
    connecting!(65_536, 0..16);
}

#[test]
fn text_past_the_buffer_does_no_harm_to_who_connects_at_1_mib() {
    connecting!(1_048_576, [6, 12]);
}

/// SYN against SYN, and the text comes with the acknowledgement, in the turn of
/// the peer's SYN and in a later one.
#[test]
fn text_past_the_buffer_does_no_harm_when_both_connect() {
    for at_once in [true, false] {
        host!(client, 1, slots: 1, tasks: 8, bytes: 64, rx: 65536, tx: 1024);
        let log = Log::default();
        connects(client, &log);
        by_hand(client, |hands| {
            let mut reply = syn_ack(hands, Some(2));
            let ack = reply.ack.take();
            hands.send(&reply);
            reply.ack = ack;
            if !at_once {
                let seen = hands.pass(TICK);
                assert!(matches!(&seen[..], [seg] if seg.is_answer()), "{seen:?}");
            }
            for at in [65_500, 65_536, 100_000] {
                hands.send(&after(&reply, TcpControl::None, at, &[0x55; 100]));
            }
            hands.pass(TICK);
            for at in (0..65_536).step_by(1_024) {
                hands.send(&after(&reply, TcpControl::None, at, &text(at, 1_024)));
                hands.pass(TICK);
            }
            hands.send(&after(&reply, TcpControl::Fin, 65_536, b""));
            hands.pass(SEC);
        });
        let log = log.borrow();
        assert!(log.bytes == text(0, 65_536), "{} bytes", log.bytes.len());
        assert_eq!(log.ends, ["Ok(0)"]);
    }
}

/// smoltcp does not count the window of a keep-alive: what it remembers is still
/// that of the SYN.
#[test]
fn text_past_the_buffer_does_no_harm_behind_a_keep_alive() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 65536, tx: 1024);
    serve(server, move |mut stream| async move {
        stream.set_keep_alive(Some(SEC));
        server.sleep(SEC * 100).await;
    });
    by_hand(server, |hands| {
        let mut first = syn(9, 1000, 7, 1);
        first.scale = Some(0);
        hands.send(&first);
        let reply = hands.pass(TICK).pop().unwrap();
        hands.send(&answer(&reply, TcpControl::None, b""));
        let seen = hands.pass(SEC * 2);
        assert!(seen.iter().any(|seg| seg.payload.len() == 1), "{seen:?}");
        hands.send(&piece(&reply, TcpControl::None, 65_500, &[0x55; 100]));
        hands.pass(SEC);
        assert_eq!(server.counters().dropped(DropReason::PastEdge), 1);
    });
}

/// A server that speaks first may do so in the turn of its SYN-ACK.
#[test]
fn text_right_behind_a_syn_ack_is_taken() {
    host!(client, 1, slots: 1, tasks: 8, bytes: 64, rx: 16384, tx: 1024);
    let log = Log::default();
    connects(client, &log);
    by_hand(client, |hands| {
        let reply = syn_ack(hands, None);
        hands.send(&reply);
        for at in (0..10_000).step_by(1_000) {
            hands.send(&after(&reply, TcpControl::None, at, &text(at, 1_000)));
        }
        hands.send(&after(&reply, TcpControl::Fin, 10_000, b"!"));
        hands.pass(SEC);
    });
    let log = log.borrow();
    assert!(log.bytes[..10_000] == text(0, 10_000) && log.bytes.len() == 10_001);
    assert_eq!(log.ends, ["Ok(0)"]);
    assert_eq!(client.counters().dropped(DropReason::Throttled), 0);
}
