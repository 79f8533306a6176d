//! An end whose text has no place, and what comes after an end (RFC 9293,
//! 3.10.7.4).

use std::cell::Cell;

use super::*;

/// What a peer that ignores windows gets: all of it, or no end.
fn no_end_without_its_bytes(log: &Log, sent: usize) {
    let log = log.borrow();
    let clean = log.ends.iter().any(|end| end == "Ok(0)");
    assert!(
        !clean || log.bytes.len() == sent,
        "a clean end after {} of {sent} bytes",
        log.bytes.len()
    );
}

#[test]
fn c003_an_end_beyond_the_window_is_no_end() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 64, tx: 1024);
    let log = Log::default();
    let theirs = log.clone();
    serve(server, move |mut stream| {
        let log = theirs.clone();
        async move {
            server.sleep(SEC).await;
            read_all(&mut stream, 256, &log).await;
        }
    });
    by_hand(server, |hands| {
        let reply = hands.open(&syn(9, 1000, 7, 1));
        let seg = answer(&reply, TcpControl::Fin, &[b'x'; 70]);
        hands.send(&seg);
        let seen = hands.pass(SEC * 3);
        // It is told where we stand.
        assert!(matches!(&seen[..], [seg] if seg.ack == Some(reply.ack.unwrap())));
        no_end_without_its_bytes(&log, 70);
        assert_eq!(server.counters().dropped(DropReason::PastEdge), 1);
        // In two pieces there is a place for it.
        hands.send(&piece(&reply, TcpControl::None, 0, &[b'x'; 64]));
        hands.pass(TICK * 5);
        hands.send(&piece(&reply, TcpControl::Fin, 64, &[b'x'; 6]));
        hands.pass(SEC * 3);
    });
    assert_eq!(log.borrow().bytes, [b'x'; 70]);
    assert_eq!(log.borrow().ends, ["Ok(0)"]);
}

/// smoltcp counts the window of our SYN from the SYN-ACK's own number.
#[test]
fn an_end_right_behind_a_syn_ack_is_no_end_without_its_bytes() {
    for (len, taken) in [(1023, true), (1024, false), (1025, false)] {
        host!(client, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        let log = Log::default();
        connects(client, &log);
        by_hand(client, |hands| {
            let reply = syn_ack(hands, None);
            hands.send(&reply);
            hands.send(&after(&reply, TcpControl::Fin, 0, &text(0, len)));
            hands.pass(SEC);
            no_end_without_its_bytes(&log, len);
            assert_eq!(!log.borrow().ends.is_empty(), taken);
            // The peer repeats it.
            if len <= 1024 {
                hands.send(&after(&reply, TcpControl::Fin, 0, &text(0, len)));
                hands.pass(SEC);
                assert!(log.borrow().bytes == text(0, len));
                assert_eq!(log.borrow().ends, ["Ok(0)"]);
            }
        });
    }
}

#[test]
fn an_end_past_the_edge_of_a_cookie_is_no_end() {
    let mut config = with_cookies(1);
    config.half_open_limit = 1;
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 65536, tx: 1024, parked: 0, config: config);
    let log = Log::default();
    let theirs = log.clone();
    serve(server, move |mut stream| {
        let log = theirs.clone();
        async move {
            server.sleep(SEC * 2).await;
            read_all(&mut stream, 4_000, &log).await;
        }
    });
    by_hand(server, |hands| {
        hands.pass(TICK);
        hands.send(&syn(200, 1, 7, 1));
        hands.pass(TICK * 30);
        let mut first = syn(9, 1000, 7, 1);
        first.scale = Some(7);
        hands.send(&first);
        let seen = hands.pass(TICK);
        let reply = seen.iter().find(|seg| seg.to_port == 1000).unwrap();
        assert_eq!((reply.window, reply.scale), (0, None));
        assert_eq!(server.counters().cookies_given, 1);
        // It takes the window for a scaled one.
        hands.send(&answer(reply, TcpControl::None, b""));
        for at in [66_000, 131_000, 65_536] {
            hands.send(&piece(reply, TcpControl::None, at, &[0x55; 100]));
        }
        for at in (0..65_000).step_by(1_000) {
            hands.send(&piece(reply, TcpControl::None, at, &text(at, 1_000)));
            hands.pass(TICK);
        }
        assert_eq!(server.counters().cookies_taken, 1);
        for len in [537, 1_000] {
            hands.send(&piece(reply, TcpControl::Fin, 65_000, &text(65_000, len)));
            hands.pass(TICK);
        }
        hands.pass(SEC * 5);
        no_end_without_its_bytes(&log, 66_000);
        assert_eq!(log.borrow().ends.len(), 0);
        hands.send(&piece(reply, TcpControl::Fin, 65_000, &text(65_000, 1_000)));
        hands.pass(SEC);
    });
    assert!(log.borrow().bytes == text(0, 66_000));
    assert_eq!(log.borrow().ends, ["Ok(0)"]);
}

/// A small generator, so that a seed tells a story again.
struct Draws(u64);

impl Draws {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(99);
        (self.0 >> 33) as usize % most
    }
}

/// A peer that sends up to the farthest edge it was ever offered, in pieces as
/// they come, and its FIN with the last byte. What is not acknowledged it sends
/// again.
fn honest(hands: &mut Hands<'_>, reply: &Seg, total: usize, draws: &mut Draws) -> bool {
    let base = answer(reply, TcpControl::None, b"").seq;
    let (mut sent, mut acked, mut edge) = (0, 0, usize::from(reply.window));
    let scale = reply.scale.unwrap_or(0);
    let give_up = hands.now + SEC * 300;
    let mut quiet = 0;
    while hands.now < give_up {
        for _ in 0..1 + draws.below(6) {
            let len = match draws.below(2) {
                0 => 1 + draws.below(1_400),
                // The edge is farthest where nothing of a window is rounded off.
                _ => 64 * (1 + draws.below(20)) - sent % 64,
            };
            let len = len.min(edge - sent).min(total - sent);
            // All but its FIN has come.
            if len > 0 || (acked == total && quiet == 0) {
                let control = match sent + len == total {
                    true => TcpControl::Fin,
                    false => TcpControl::Psh,
                };
                hands.send(&piece(reply, control, sent, &text(sent, len)));
                sent += len;
            }
        }
        let before = acked;
        for seg in hands.pass(Duration::from_millis(5 + draws.below(30) as u64)) {
            if seg.is_rst() {
                return false;
            }
            let ack = seg.ack.unwrap().0.wrapping_sub(base.0) as usize;
            if ack == total + 1 {
                return true;
            }
            acked = acked.max(ack);
            edge = edge.max(ack + (usize::from(seg.window) << scale));
        }
        quiet = if acked > before { 0 } else { quiet + 1 };
        if quiet > 20 {
            (sent, quiet) = (acked, 0);
        }
    }
    panic!("{acked} of {total} bytes after 300 s");
}

/// Transfers of about as much as the buffer holds to a reader that comes late and
/// takes its time: the edge moves back as a window is rounded down to its scale.
macro_rules! every_byte_or_an_error {
    ($rx:literal, $seeds:expr, $totals:expr) => {
        with_a_deep_stack(|| {
            let mut ended = 0;
            for seed in $seeds {
                host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: $rx, tx: 1024);
                let log = Log::default();
                let theirs = log.clone();
                let mut draws = Draws(seed);
                let (late, pause) = ($rx / 100 + draws.below(3_000), draws.below(20));
                let most = 1 + draws.below(6_000);
                serve(server, move |mut stream| {
                    let log = theirs.clone();
                    async move {
                        server.sleep(Duration::from_millis(late as u64)).await;
                        let mut buf = vec![0; most];
                        loop {
                            match stream.read(&mut buf).await {
                                Ok(n @ 1..) => log.borrow_mut().bytes.extend(&buf[..n]),
                                end => break log.borrow_mut().ends.push(format!("{end:?}")),
                            }
                            server.sleep(Duration::from_millis(pause as u64)).await;
                        }
                    }
                });
                let total = $totals[draws.below($totals.len())] - draws.below(3);
                by_hand(server, |hands| {
                    let mut first = syn(9, 1000, 7, seed as i32);
                    first.scale = Some(draws.below(15) as u8);
                    let reply = hands.open(&first);
                    assert!(honest(hands, &reply, total, &mut draws), "seed {seed}");
                    hands.pass(SEC * 100);
                });
                let log = log.borrow();
                let all = log.bytes == text(0, total);
                assert!(all, "seed {seed}: {} of {total} bytes", log.bytes.len());
                assert_eq!(log.ends, ["Ok(0)"], "seed {seed}");
                ended += server.counters().dropped(DropReason::PastEdge);
            }
            assert!(ended > 0, "nothing was close");
        })
    };
}

#[test]
fn every_byte_or_an_error_with_a_buffer_of_64_kib() {
    every_byte_or_an_error!(65_536, 0..60, [65_536, 65_535, 131_072, 70_000]);
}

#[test]
fn every_byte_or_an_error_with_a_buffer_of_128_kib() {
    every_byte_or_an_error!(131_072, 0..60, [131_072, 131_071]);
}

#[test]
fn every_byte_or_an_error_with_a_buffer_of_100_000() {
    every_byte_or_an_error!(100_000, 0..60, [100_000, 131_072, 99_999]);
}

#[test]
fn every_byte_or_an_error_with_a_buffer_of_1_mib() {
    every_byte_or_an_error!(1_048_576, 0..6, [1_048_576]);
}

/// smoltcp forgets the window that goes with a keep-alive, or with a probe of the
/// peer's window. A peer believes it.
#[test]
fn an_edge_that_a_keep_alive_or_a_probe_told_is_kept() {
    for probe in [false, true] {
        host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        let log = Log::default();
        let theirs = log.clone();
        serve(server, move |mut stream| {
            let log = theirs.clone();
            async move {
                match probe {
                    true => stream.write_all(b"question").await.unwrap(),
                    false => stream.set_keep_alive(Some(SEC)),
                }
                // The acknowledgement leaves before that, and no other one after it.
                server.sleep(TICK * 5).await;
                let mut buf = [0; 300];
                let n = stream.read(&mut buf).await.unwrap();
                log.borrow_mut().bytes.extend_from_slice(&buf[..n]);
                server.sleep(SEC * 3).await;
                read_all(&mut stream, 256, &log).await;
            }
        });
        by_hand(server, |hands| {
            hands.send(&syn(9, 1000, 7, 1));
            let reply = hands.pass(TICK).pop().unwrap();
            let seg = |control, at, len| Seg {
                window: if probe { 0 } else { 1000 },
                ..piece(&reply, control, at, &text(at, len))
            };
            hands.send(&seg(TcpControl::None, 0, 300));
            let seen = hands.pass(Duration::from_millis(1_500));
            let [.., before, told] = &seen[..] else {
                panic!("{seen:?}");
            };
            assert_eq!((told.payload.len(), told.window), (1, 1024), "{seen:?}");
            assert_eq!(before.window, 724, "{seen:?}");
            for _ in 0..3 {
                hands.send(&seg(TcpControl::Fin, 300, 1024));
                hands.pass(SEC);
            }
            hands.pass(SEC * 5);
        });
        let log = log.borrow();
        assert!(log.bytes == text(0, 1324), "{} bytes", log.bytes.len());
        assert_eq!(log.ends, ["Ok(0)"]);
    }
}

/// Two of us, at a distance, and a reader that takes its time.
#[test]
fn every_byte_or_an_error_between_two_of_us() {
    for (round, target) in targets(1, 7).into_iter().enumerate() {
        for seed in 0..6 {
            between_two(target, seed + 100 * round as u64);
        }
    }
}

fn between_two(target: IpEndpoint, seed: u64) {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 65536, tx: 1024);
    host!(client, 2, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 65536);
    let mut draws = Draws(seed);
    let total = 131_072 + draws.below(9);
    let (late, most) = (draws.below(2_000), 1 + draws.below(3_000));
    let wire: Wire<64> = Wire::new(LAN);
    let log = Log::default();
    let reads = async {
        let listener = server.listen(7, Backlog(2)).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        server.sleep(Duration::from_millis(late as u64)).await;
        read_all(&mut stream, most, &log).await;
    };
    let writes = async {
        let mut stream = client.connect(target).await.unwrap();
        stream.write_all(&text(0, total)).await.unwrap();
        stream.close().await.unwrap();
    };
    play(&wire, server, client, reads, writes);
    let log = log.borrow();
    assert!(log.bytes == text(0, total), "seed {seed}");
    assert_eq!(log.ends, ["Ok(0)"], "seed {seed}");
}

// ---- after the end (RFC 9293, 3.10.7.4, seventh) ---------------------------

#[test]
fn c084_nothing_comes_after_the_end() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = Log::default();
    let theirs = log.clone();
    serve(server, move |mut stream| {
        let log = theirs.clone();
        async move {
            for _ in 0..3 {
                let before = log.borrow().ends.len();
                let mut buf = [0; 256];
                while let Ok(n @ 1..) = stream.read(&mut buf).await {
                    log.borrow_mut().bytes.extend_from_slice(&buf[..n]);
                }
                log.borrow_mut().ends.push(format!("end {before}"));
                server.sleep(SEC).await;
            }
        }
    });
    by_hand(server, |hands| {
        let reply = hands.open(&syn(9, 1000, 7, 1));
        let fin = answer(&reply, TcpControl::Fin, b"end");
        hands.send(&fin);
        hands.pass(TICK * 50);
        hands.send(&piece(&reply, TcpControl::None, 4, b"late!"));
        hands.pass(SEC * 5);
    });
    assert_eq!(log.borrow().bytes, b"end");
    assert_eq!(server.counters().dropped(DropReason::AfterEnd), 1);
}

/// Wherever our own side is when it comes, and whether it is the same turn.
#[test]
fn nothing_comes_after_the_end_in_any_state() {
    for state in [
        "half open",
        "close-wait",
        "last-ack",
        "closing",
        "time-wait",
    ] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        let log = Log::default();
        let (theirs, closed) = (log.clone(), Rc::new(Cell::new(Instant::ZERO)));
        serve(server, move |mut stream| {
            let (log, closed) = (theirs.clone(), closed.clone());
            async move {
                if matches!(state, "closing" | "time-wait") {
                    stream.shutdown();
                }
                server.sleep(TICK * 10).await;
                read_all(&mut stream, 256, &log).await;
                if state == "last-ack" {
                    stream.shutdown();
                }
                closed.set(server.now());
                for _ in 0..8 {
                    server.sleep(TICK * 10).await;
                    let got = stream.read(&mut [0; 9]).await;
                    assert!(!matches!(got, Ok(1..)), "{got:?} after the end");
                }
            }
        });
        by_hand(server, |hands| {
            hands.send(&syn(9, 1000, 7, 1));
            let reply = hands.pass(TICK).pop().unwrap();
            let mut ack = answer(&reply, TcpControl::None, b"");
            if state != "half open" {
                hands.send(&ack);
                hands.pass(TICK * 5);
            }
            if state == "time-wait" {
                ack.ack = ack.ack.map(|ack| ack + 1);
            }
            let seg = |control, at, bytes: &[u8]| Seg {
                control,
                seq: ack.seq + at,
                payload: bytes.to_vec(),
                ..ack.clone()
            };
            hands.send(&seg(TcpControl::Fin, 0, b"end"));
            // Before our acknowledgement has left, after it, and when all is read;
            // wholly behind the end, and across it.
            let sorry = [
                seg(TcpControl::None, 4, b"late!"),
                seg(TcpControl::Psh, 1, b"nd.late!"),
                seg(TcpControl::Fin, 4, b"late!"),
                seg(TcpControl::None, 900, &[b'l'; 1000]),
            ];
            for _ in 0..3 {
                for late in &sorry {
                    hands.send(late);
                }
                hands.pass(TICK * 15);
            }
            assert_eq!(
                server.counters().dropped(DropReason::AfterEnd),
                12,
                "{state}"
            );
            // What was there before is answered.
            for old in [
                seg(TcpControl::Fin, 0, b"end"),
                seg(TcpControl::None, 0, b"e"),
            ] {
                hands.send(&old);
                let seen = hands.pass(TICK * 10);
                let told = seen.iter().any(|seg| seg.ack == Some(ack.seq + 4));
                assert!(told, "{state}: {seen:?}");
            }
        });
        assert_eq!(log.borrow().bytes, b"end", "{state}");
        assert_eq!(log.borrow().ends, ["Ok(0)"], "{state}");
    }
}

/// A reset that comes right behind the FIN, before our acknowledgement has left,
/// is exactly where we expect the next byte.
#[test]
fn a_reset_right_behind_an_end_counts() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    serve(server, move |stream| async move {
        server.sleep(SEC * 10).await;
        drop(stream);
    });
    by_hand(server, |hands| {
        let reply = hands.open(&syn(9, 1000, 7, 1));
        hands.send(&piece(&reply, TcpControl::Fin, 0, b"end"));
        hands.send(&piece(&reply, TcpControl::Rst, 4, b""));
        hands.pass(TICK / 2);
        assert_eq!(server.counters().resets, 1);
    });
}
