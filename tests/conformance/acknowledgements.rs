//! An acknowledgement that is good on its own counts, whatever becomes of the
//! segment that it came with; and so does the window beside it.

use super::*;

/// A server that has written 100 bytes while its own window, of 64 bytes, is full;
/// gives what the peer's next segment is made from.
fn both_in_flight(hands: &mut Hands<'_>) -> Seg {
    let reply = hands.open(&syn(9, 1000, 7, 1));
    hands.send(&piece(&reply, TcpControl::None, 0, &[b'x'; 64], 0));
    let seen = hands.pass(SEC);
    assert!(seen.iter().any(|seg| seg.payload.len() == 100));
    reply
}

fn writes_late(node: Node<'_>) {
    serve(node, move |mut stream| async move {
        node.sleep(TICK * 50).await;
        stream.write_all(&[b'y'; 100]).await.unwrap();
        node.sleep(SEC * 100).await;
    });
}

/// RFC 9293, 3.10.7.4: "If the RCV.WND is zero, no segments will be acceptable, but
/// special allowance should be made to accept valid ACKs, URGs, and RSTs."
#[test]
fn c267_an_acknowledgement_counts_while_our_window_is_shut() {
    // A probe of one byte, as smoltcp, lwIP and BSD send it; one of an old byte; an
    // empty one behind the window and, from a peer that counts probes as sent, past it.
    let probes = [
        (64, &b"p"[..]),
        (63, b"x"),
        (63, b""),
        (65, b""),
        (0, &[b'x'; 64]),
    ];
    for (at, bytes) in probes {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 64, tx: 1024);
        writes_late(server);
        by_hand(server, |hands| {
            let reply = both_in_flight(hands);
            hands.send(&piece(&reply, TcpControl::None, at, bytes, 100));
            let again = hands.pass(SEC * 3);
            let quiet = again.iter().all(|seg| seg.payload.is_empty());
            assert!(quiet, "{at}: sent again: {}", show(&again, reply.seq));
            // RFC 9293, 3.10.7.4: "If an incoming segment is not acceptable, an
            // acknowledgment should be sent in reply".
            let answer = again.first().unwrap();
            assert_eq!((answer.window, answer.seq), (0, reply.seq + 101), "{at}");
        });
    }
}

/// A part of what was sent, and all of it.
#[test]
fn an_acknowledgement_with_old_text_counts() {
    for acked in [40, 100] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        writes_late(server);
        by_hand(server, |hands| {
            let reply = both_in_flight(hands);
            // Our acknowledgement was lost; the peer's own text comes again.
            hands.send(&piece(&reply, TcpControl::Psh, 0, &[b'x'; 64], acked));
            let seen = hands.pass(SEC * 3);
            let from = reply.seq + 1 + acked;
            let all = seen.iter().filter(|seg| !seg.payload.is_empty());
            let all: Vec<_> = all.map(|seg| (seg.seq, seg.payload.len())).collect();
            let left = 100 - acked;
            assert!(all.iter().all(|&sent| sent == (from, left)), "{all:?}");
            assert_eq!(all.is_empty(), left == 0);
        });
    }
}

/// RFC 9293, 3.10.7.4: "If the ACK is a duplicate (SEG.ACK =< SND.UNA), it can be
/// ignored": the ACK, not the segment.
#[test]
fn text_with_an_older_acknowledgement_is_taken() {
    for fin in [false, true] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        let log = Log::default();
        let theirs = log.clone();
        serve(server, move |mut stream| async move {
            stream.write_all(&[b'y'; 900]).await.unwrap();
            read_all(&mut stream, &theirs).await;
            stream.write_all(&[b'z'; 900]).await.unwrap();
            server.sleep(SEC * 100).await;
        });
        by_hand(server, |hands| {
            let (reply, seen) = open_with(hands, &ethernet_syn(), 1000);
            assert_eq!(bytes_of(&seen), 900);
            hands.send(&piece(&reply, TcpControl::None, 0, b"", 900));
            hands.pass(TICK);
            // It was under way before that, and offered a thousand from there on.
            let control = if fin {
                TcpControl::Fin
            } else {
                TcpControl::Psh
            };
            hands.send(&piece(&reply, control, 0, b"text", 600));
            hands.pass(TICK * 5);
            if !fin {
                hands.send(&piece(&reply, TcpControl::Fin, 4, b"", 600));
                hands.pass(TICK * 5);
            }
            // The old window takes nothing back: there is room for all of it.
            let seen = hands.pass(SEC * 10);
            assert_eq!(
                sent_up_to(&seen, &reply),
                1800,
                "{}",
                show(&seen, reply.seq)
            );
        });
        assert_ended_after(&log, "text");
    }
}

/// RFC 9293, 3.10.7.4: "If an incoming segment is not acceptable, an acknowledgment should
/// be sent in reply", and that comes before what it acknowledges is looked at. Our answer
/// was lost; the peer repeats what it said, with what it knew when it said it first.
#[test]
fn old_text_with_an_older_acknowledgement_is_answered() {
    for control in [TcpControl::Psh, TcpControl::Fin] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        serve(server, move |mut stream| async move {
            stream.write_all(&[b'y'; 900]).await.unwrap();
            stream.read(&mut [0; 8]).await.unwrap();
            server.sleep(SEC * 100).await;
        });
        by_hand(server, |hands| {
            let (reply, _) = open_with(hands, &ethernet_syn(), 1000);
            hands.send(&piece(&reply, control, 0, b"text", 900));
            hands.pass(SEC);
            let end = 6 + i32::from(control == TcpControl::Fin);
            for _ in 0..3 {
                hands.send(&piece(&reply, control, 0, b"text", 600));
                let seen = hands.pass(SEC * 2);
                let said: Vec<_> = seen.iter().map(|seg| (seg.seq, seg.ack)).collect();
                let expected = (reply.seq + 901, Some(TcpSeqNumber(end)));
                assert_eq!(said, [expected], "{}", show(&seen, reply.seq));
            }
        });
    }
}

/// RFC 5961, 5.2: "The ACK value is considered acceptable only if it is in the range of
/// ((SND.UNA - MAX.SND.WND) <= SEG.ACK <= SND.NXT). All incoming segments whose ACK
/// value doesn't satisfy the above condition MUST be discarded and an ACK sent back."
#[test]
fn text_with_an_acknowledgement_from_long_ago_is_refused() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = reads_all(server);
    by_hand(server, |hands| {
        let reply = hands.open(&syn(9, 1000, 7, 1));
        for (before, taken) in [(1_000_000, false), (2_000, false), (900, true)] {
            let mut forged = piece(&reply, TcpControl::Psh, 0, b"forged", 0);
            let ack = forged.ack.unwrap().0.wrapping_sub(before);
            forged.ack = Some(TcpSeqNumber(ack));
            hands.send(&forged);
            let seen = hands.pass(SEC * 2);
            assert!(!seen.is_empty(), "{before}: no answer");
            assert_eq!(!log.borrow().is_empty(), taken, "{before}");
        }
    });
}

/// A window that opens counts wherever the segment is that says so (RFC 9293, 3.10.7.4,
/// as above): both ends are full, and the peer counts its probe as sent.
#[test]
fn a_window_that_opens_counts_while_ours_is_shut() {
    for (at, bytes) in [(64, &b"p"[..]), (65, b""), (63, b"")] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 64, tx: 1024);
        serve(server, move |mut stream| async move {
            server.sleep(TICK * 50).await;
            stream.write_all(&[b'y'; 1000]).await.unwrap();
            server.sleep(SEC * 100).await;
        });
        by_hand(server, |hands| {
            let (reply, _) = open_with(hands, &ethernet_syn(), 100);
            let full = Seg {
                window: 100,
                ..piece(&reply, TcpControl::None, 0, &[b'x'; 64], 0)
            };
            hands.send(&full);
            let shut = |seg: &Seg| {
                let all = (seg.payload.len() == 100).then_some(100)?;
                Some(Seg {
                    window: 0,
                    ..piece(&reply, TcpControl::None, 64, b"", all)
                })
            };
            hands.pass_with(SEC, shut);
            let probe = piece(&reply, TcpControl::None, at, bytes, 100);
            let began = hands.now;
            hands.send(&probe);
            let seen = hands.pass(TICK * 5);
            let more = sent_up_to(&seen, &reply);
            assert!(more >= 1000, "{at}: {more} at {}", hands.now - began);
        });
    }
}

/// Both ends are full, our program writes all before it reads, and the peer counts its probes
/// as sent, as some do: whatever it says carries the number behind them. It gets all of it
/// as soon as its own program reads.
#[test]
fn a_peer_that_counts_its_probes_gets_all_while_our_window_is_shut() {
    const ALL: usize = 3000;
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 256, tx: 256);
    let log = Log::default();
    let theirs = log.clone();
    serve(server, move |mut stream| async move {
        stream.write_all(&[b'y'; ALL]).await.unwrap();
        read_all(&mut stream, &theirs).await;
    });
    by_hand(server, |hands| {
        let (reply, mut seen) = open_with(hands, &ethernet_syn(), 256);
        hands.send(&piece(&reply, TcpControl::None, 0, &[b'x'; 256], 0));
        let (mut got, mut room) = (0, 256);
        let until = hands.now + SEC * 30;
        for tick in 0.. {
            for seg in &seen {
                let from = seg.seq.0.wrapping_sub(reply.seq.0 + 1) as usize;
                if from <= got {
                    let new = (from + seg.payload.len()).saturating_sub(got).min(room);
                    (got, room) = (got + new, room - new);
                }
            }
            if got == ALL || hands.now >= until {
                break;
            }
            // Its program reads after three seconds.
            room = if hands.now > seconds(3) { 256 } else { room };
            // A probe a second: the byte past the edge, which counts from then on.
            let (at, text) = match tick % 100 {
                99 => (256, &b"p"[..]),
                _ => (256 + i32::from(tick > 99), &b""[..]),
            };
            hands.send(&Seg {
                window: room as u16,
                ..piece(&reply, TcpControl::None, at, text, got)
            });
            seen = hands.pass(TICK);
        }
        assert_eq!(got, ALL, "at {}", hands.now);
        hands.send(&piece(&reply, TcpControl::None, 256, b"p", ALL));
        hands.pass(TICK * 5);
        hands.send(&piece(&reply, TcpControl::Fin, 256, b"p", ALL));
        hands.pass(TICK * 5);
    });
    assert_ended_after(&log, &("x".repeat(256) + "p"));
}

/// RFC 6582, 3.2: on a partial acknowledgement "retransmit the first unacknowledged
/// segment". Of what left again after a long silence the peer had a part: the rest leaves
/// at once, once, and not when a timer says so that has backed off. A part of what has left
/// only once says nothing.
#[test]
fn the_rest_of_what_left_again_leaves_at_once() {
    // What is acknowledged with which window, and how much leaves then.
    let fits = [
        (100, 1000, 200),
        (100, 1000, 0),
        (300, 1000, 300),
        (400, 1000, 0),
    ];
    // A window that does not take it.
    for cases in [&fits[..], &[(100, 150, 0)]] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        serve(server, move |mut stream| async move {
            stream.write_all(&[b'y'; 300]).await.unwrap();
            stream.acknowledged().await.unwrap();
            stream.write_all(&[b'y'; 300]).await.unwrap();
            server.sleep(SEC * 1000).await;
        });
        by_hand(server, |hands| {
            let (reply, _) = open_with(hands, &syn(9, 1000, 7, 1), 1000);
            let sent = hands.pass(SEC * 8);
            assert!(bytes_of(&sent) >= 3 * 300, "{sent:?}");
            for &(acked, window, expected) in cases {
                hands.send(&Seg {
                    window,
                    ..piece(&reply, TcpControl::None, 0, b"", acked)
                });
                let sent = hands.pass(SEC / 2);
                assert_eq!(bytes_of(&sent), expected, "{acked}: {sent:?}");
            }
        });
    }
}
