//! What the guard does for an open connection: rows 6, 9, 10 and 19 of the
//! table of hostile behaviours. Rows 1 to 4, 8, 16, 17 and 21 are in
//! `peers.rs`.
#![cfg(feature = "lab")]
mod harness;

use cygnet::event::DropReason;
use cygnet::{Backlog, Node};
use harness::echo_server;
use harness::peer::{Hands, Seg, answer, by_hand, syn};
use smoltcp::time::Duration;
use smoltcp::wire::{TcpControl, TcpSeqNumber};

const TICK: Duration = Duration::from_millis(10);

/// Opens a connection and uses it once; gives what an exact segment looks like.
fn opened(hands: &mut Hands<'_>) -> Seg {
    hands.pass(TICK);
    let reply = hands.open(&syn(9, 1000, 7, 1));
    hands.send(&answer(&reply, TcpControl::Psh, b"hello"));
    let seen = hands.pass(TICK * 2);
    let echoed = seen.last().unwrap();
    assert_eq!(echoed.payload, b"hello");
    let exact = answer(echoed, TcpControl::None, b"");
    hands.send(&exact);
    assert_eq!(hands.pass(TICK), []);
    exact
}

fn still_works(hands: &mut Hands<'_>, exact: &Seg) {
    hands.send(&Seg {
        control: TcpControl::Psh,
        payload: b"still".to_vec(),
        ..exact.clone()
    });
    let seen = hands.pass(TICK * 2);
    assert!(seen.iter().any(|seg| seg.payload == b"still"), "{seen:?}");
}

/// Row 6.
#[test]
fn a_peer_that_rebooted_gets_in_again_from_the_same_port() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server.spawn(Box::pin(echo_server(server, 4))).unwrap();
    by_hand(server, |hands| {
        let exact = opened(hands);
        for seq in [77_777, exact.seq.0, exact.seq.0 - 1, 1] {
            let newborn = syn(9, 1000, 7, seq);
            hands.send(&newborn);
            let seen = hands.pass(Duration::from_secs(2));
            let [challenge] = &seen[..] else {
                panic!("one challenge: {seen:?}");
            };
            assert_eq!(challenge.control, TcpControl::None);
            assert_eq!(challenge.ack, Some(exact.seq));
            assert_eq!(server.counters().slots_used, 1);
        }
        assert_eq!(server.counters().dropped(DropReason::OpenFlow), 4);
        // It knows nothing of such a connection, says so, and tries again.
        hands.send(&Seg {
            seq: exact.seq,
            control: TcpControl::Rst,
            ..syn(9, 1000, 7, 0)
        });
        hands.pass(TICK);
        assert_eq!(server.counters().resets, 1);
        hands.open(&syn(9, 1000, 7, 77_777));
    });
}

/// Row 9.
#[test]
fn a_blind_reset_sweep_cuts_nobody() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 4096, tx: 1024);
    server.spawn(Box::pin(echo_server(server, 4))).unwrap();
    by_hand(server, |hands| {
        let exact = opened(hands);
        let (mut seen, mut sent) = (0, 0);
        // Every other sequence number around the window, and a coarse sweep of
        // all of them, as an attacker does who cannot see the connection.
        let near = (-3000..5000).filter(|off| off % 2 == 1);
        let far = (0..2000_i64).map(|n| (8192 + n * 2_147_483) as i32);
        for off in near.chain(far) {
            hands.send(&Seg {
                control: TcpControl::Rst,
                seq: TcpSeqNumber(exact.seq.0.wrapping_add(off)),
                ack: None,
                ..exact.clone()
            });
            sent += 1;
            seen += hands.pass(Duration::from_millis(2)).len();
        }
        let counters = server.counters();
        assert_eq!(counters.dropped(DropReason::InexactReset), sent);
        assert_eq!(counters.resets, 0);
        // 12 s: a challenge a second while it went through the window.
        assert!((1..=6).contains(&seen), "{seen} challenges");
        still_works(hands, &exact);
        let mut now = exact.clone();
        now.seq += 5;
        hands.send(&Seg {
            control: TcpControl::Rst,
            ack: None,
            ..now
        });
        hands.pass(TICK);
        assert_eq!(server.counters().resets, 1, "the exact one");
    });
}

/// Row 10.
#[test]
fn an_ack_of_data_never_sent_loses_nothing() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
    let talk = async {
        let listener = server.listen(7, Backlog(2)).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&[b'a'; 1000]).await.unwrap();
        stream.write_all(&[b'b'; 2000]).await.unwrap();
        server.sleep(Duration::from_secs(60)).await;
    };
    server.spawn(Box::pin(talk)).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        let syn = Seg {
            mss: Some(500),
            ..syn(9, 1000, 7, 1)
        };
        hands.send(&syn);
        let reply = hands.pass(TICK).pop().unwrap();
        // A window for two of six segments: the rest is queued.
        let ack = answer(&reply, TcpControl::None, b"");
        hands.send(&ack);
        let first: Vec<_> = hands.pass(TICK);
        let sent: usize = first.iter().map(|seg| seg.payload.len()).sum();
        assert_eq!(sent, 1000, "{first:?}");
        for ahead in [1001, 1500, 3000, 4000] {
            hands.send(&Seg {
                ack: Some(reply.seq + 1 + ahead),
                ..ack.clone()
            });
            hands.pass(TICK);
        }
        assert_eq!(server.counters().dropped(DropReason::NeverSent), 4);
        let mut got = vec![0; 3000];
        let mut take = |seg: &Seg| {
            let at = seg.seq - (reply.seq + 1);
            got[at..at + seg.payload.len()].copy_from_slice(&seg.payload);
            (!seg.payload.is_empty()).then(|| answer(seg, TcpControl::None, b""))
        };
        let acks: Vec<_> = first.iter().filter_map(&mut take).collect();
        acks.iter().for_each(|ack| hands.send(ack));
        hands.pass_with(Duration::from_secs(5), take);
        let whole = [vec![b'a'; 1000], vec![b'b'; 2000]].concat();
        assert!(got == whole, "bytes were lost");
    });
}

/// Row 19.
#[test]
fn segments_outside_the_window_are_not_answered_one_for_one() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server.spawn(Box::pin(echo_server(server, 4))).unwrap();
    by_hand(server, |hands| {
        let exact = opened(hands);
        for (off, payload, limit) in [
            (-1, &b"x"[..], 18),   // already acknowledged
            (1024, &b"x"[..], 18), // beyond
            (-1, &b""[..], 2),     // keep-alives at speed
            (5000, &b""[..], 2),
            (0, &b""[..], 0), // nothing new at all
        ] {
            let mut seen = 0;
            for _ in 0..1000 {
                hands.send(&Seg {
                    seq: TcpSeqNumber(exact.seq.0 + off),
                    payload: payload.to_vec(),
                    ..exact.clone()
                });
                seen += hands.pass(Duration::from_millis(1)).len();
            }
            assert!(seen <= limit, "{off} {payload:?}: {seen} in a second");
        }
        assert!(server.counters().dropped(DropReason::Throttled) > 1900);
        still_works(hands, &exact);
    });
}

/// Seen with seed 512 of the world's churn: a half-closed connection stood still
/// for ever when its FIN was lost and old acknowledgements came in threes.
#[test]
fn a_lost_fin_is_sent_again_although_old_acknowledgements_repeat() {
    async fn half_close(node: Node<'_>) {
        let listener = node.listen(7, Backlog(4)).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.shutdown();
        let mut buf = [0; 16];
        while let Ok(1..) = stream.read(&mut buf).await {}
    }
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server.spawn(Box::pin(half_close(server))).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        hands.send(&syn(9, 1000, 7, 1));
        let reply = hands.pass(TICK).pop().unwrap();
        let exact = answer(&reply, TcpControl::None, b"");
        hands.send(&exact);
        let fins = |seen: &[Seg]| {
            let fins = seen.iter().filter(|seg| seg.control == TcpControl::Fin);
            fins.count()
        };
        assert_eq!(fins(&hands.pass(TICK)), 1);
        // It is lost. What the peer says next says nothing new.
        for _ in 0..5 {
            hands.send(&exact);
        }
        assert!(fins(&hands.pass(Duration::from_secs(20))) > 2);
        assert_eq!(server.counters().dropped(DropReason::RepeatedAck), 5);
        // A probe is answered all the same.
        hands.send(&Seg {
            seq: exact.seq - 1,
            ..exact.clone()
        });
        assert_ne!(hands.pass(TICK), []);
    });
}

/// Row 20.
#[test]
fn overlapping_and_swapped_segments_leave_the_bytes_intact() {
    for seed in 0..50u64 {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 512, tx: 512);
        let whole: Vec<u8> = (0..400u32).map(|at| (at * 7) as u8).collect();
        let got = std::cell::RefCell::new(Vec::new());
        let serve = async {
            let listener = server.listen(7, Backlog(2)).unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buf = [0; 64];
            while let Ok(n @ 1..) = stream.read(&mut buf).await {
                got.borrow_mut().extend_from_slice(&buf[..n]);
            }
        };
        server.spawn(Box::pin(serve)).unwrap();
        by_hand(server, |hands| {
            hands.pass(TICK);
            let reply = hands.open(&syn(9, 1000, 7, 1));
            let exact = answer(&reply, TcpControl::None, b"");
            // Pieces from anywhere, over one another, with more holes than
            // smoltcp remembers; then all of it in order.
            let mut dice = seed;
            let mut roll = |sides: u64| {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ((dice >> 33) % sides) as usize
            };
            let mut pieces: Vec<_> = (0..40).map(|_| (roll(400), 1 + roll(60))).collect();
            pieces.extend((0..400).step_by(50).map(|at| (at, 50)));
            for (at, length) in pieces {
                hands.send(&Seg {
                    seq: exact.seq + at,
                    payload: whole[at..(at + length).min(400)].to_vec(),
                    ..exact.clone()
                });
                hands.pass(Duration::from_millis(roll(100) as u64));
            }
            assert!(whole.starts_with(&got.borrow()), "seed {seed}");
            assert_eq!(got.borrow().len(), 400, "seed {seed}");
        });
    }
}
