//! The last bytes and the FIN: whoever reads slowly gets them, whoever is gone is
//! given up, and whoever sends to a program that is gone is told.

use super::*;

/// How long after its window opened a client that has ended its side gets the next
/// byte of a response of 3,000, how many of them in a minute, and whether it is reset.
/// Its buffer of 1,000 bytes was full for `shut`.
fn last_ack(shut: Duration) -> (Option<Duration>, usize, bool) {
    let mut result = (None, 0, false);
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
    serve(server, move |mut stream| async move {
        let _ = stream.read(&mut [0; 8]).await;
        stream.write_all(&[b'y'; 3000]).await.unwrap();
        drop(stream);
    });
    by_hand(server, |hands| {
        let reply = hands.open(&syn(9, 1000, 7, 1));
        hands.send(&answer(&reply, TcpControl::Fin, b"get"));
        let at = |got: usize, window| Seg {
            window,
            ..piece(&reply, TcpControl::None, 4, b"", got)
        };
        let got = Cell::new(0);
        let take = |seg: &Seg, room: usize| {
            let from = seg.seq.0.wrapping_sub(reply.seq.0 + 1) as usize;
            if from == got.get() {
                got.set((from + seg.payload.len()).min(room));
            }
        };
        hands.pass_with(TICK * 20, |seg| {
            take(seg, 1000);
            let window = 1000 - got.get() as u16;
            (!seg.payload.is_empty()).then(|| at(got.get(), window))
        });
        assert_eq!(got.get(), 1000);
        hands.pass_with(shut, |seg| (!seg.payload.is_empty()).then(|| at(1000, 0)));
        hands.send(&at(1000, 1000));
        let began = hands.now;
        while hands.now < began + SEC * 60 {
            for seg in hands.pass(TICK) {
                result.2 |= seg.is_rst();
                if seg.payload.is_empty() && seg.control != TcpControl::Fin {
                    continue;
                }
                result.0.get_or_insert(hands.now - began);
                take(&seg, 5000);
                let fin = usize::from(seg.control == TcpControl::Fin);
                hands.send(&at(got.get() + fin, 1000));
            }
        }
        result.1 = got.get();
    });
    result
}

/// RFC 9293, 3.10.7.4, fifth, LAST-ACK among the states: "the send window should be
/// updated". The client has ended its side; the server writes and drops the stream.
#[test]
fn c085_a_window_that_opens_is_believed_in_last_ack() {
    for shut in [1, 3, 5, 8, 14, 16, 25] {
        let (first, bytes, reset) = last_ack(SEC * shut);
        let soon = first.is_some_and(|first| first < SEC);
        assert!(
            soon && bytes == 3000 && !reset,
            "{shut} s: {first:?} {bytes} {reset}"
        );
    }
}

/// A client that half-closes and reads fifty bytes a second takes a minute for the
/// answer, longer than a close may take without progress, and gets all of it.
#[test]
fn a_live_slow_reader_is_no_close_that_gets_nowhere() {
    for half_closed in [false, true] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
        serve(server, move |mut stream| async move {
            let _ = stream.read(&mut [0; 8]).await;
            stream.write_all(&[b'y'; 3000]).await.unwrap();
            drop(stream);
        });
        by_hand(server, |hands| {
            let reply = hands.open(&syn(9, 1000, 7, 1));
            let control = if half_closed {
                TcpControl::Fin
            } else {
                TcpControl::Psh
            };
            hands.send(&answer(&reply, control, b"get"));
            let next = 3 + i32::from(half_closed);
            let (mut got, mut read) = (0, 0);
            let mut ended = false;
            for _ in 0..200 {
                for seg in hands.pass(SEC) {
                    assert!(!seg.is_rst(), "reset after {got} bytes at {}", hands.now);
                    let from = seg.seq.0.wrapping_sub(reply.seq.0 + 1) as usize;
                    let room: usize = 1000 - (got - read);
                    if from <= got {
                        let new = (from + seg.payload.len()).saturating_sub(got);
                        let all = new <= room;
                        got += new.min(room);
                        ended |= all && seg.control == TcpControl::Fin;
                    }
                }
                read = (read + 50).min(got);
                if ended && half_closed {
                    break; // both sides have said all
                }
                let control = match ended && read == got && !half_closed {
                    true => TcpControl::Fin,
                    false => TcpControl::None,
                };
                hands.send(&Seg {
                    window: (1000 - (got - read)) as u16,
                    ..piece(&reply, control, next, b"", got + usize::from(ended))
                });
            }
            assert!(ended && got == 3000, "{got} bytes");
        });
    }
}

/// RFC 9293, 3.8.3: a procedure to handle excessive retransmissions MUST be used (MUST-20),
/// of a FIN as of text: it occupies a sequence number.
#[test]
fn c016_a_peer_that_is_gone_after_our_fin_is_given_up() {
    for half_closed in [false, true] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        let log = Log::default();
        let theirs = log.clone();
        serve(server, move |mut stream| async move {
            if half_closed {
                read_all(&mut stream, &theirs).await;
                theirs.borrow_mut().clear();
            }
            stream.shutdown();
            // Held meanwhile: what ends a close looks after those that were dropped.
            match half_closed {
                false => read_all(&mut stream, &theirs).await,
                true => {
                    let closed = stream.close().await;
                    theirs.borrow_mut().push(format!("{closed:?}"));
                }
            }
        });
        by_hand(server, |hands| {
            let reply = {
                hands.send(&syn(9, 1000, 7, 1));
                hands.pass(TICK).pop().unwrap()
            };
            let control = if half_closed {
                TcpControl::Fin
            } else {
                TcpControl::None
            };
            hands.send(&piece(&reply, control, 0, b"", 0));
            let seen = hands.pass(SEC * 3600);
            let fins = seen.iter().filter(|seg| seg.control == TcpControl::Fin);
            assert!(
                (2..=20).contains(&fins.clone().count()),
                "{} FINs",
                fins.count()
            );
            assert_eq!(server.counters().slots_used, 0, "its slot is held");
        });
        let told = if half_closed {
            "Err(TimedOut)"
        } else {
            "TimedOut"
        };
        assert_eq!(*log.borrow(), [told]);
    }
}

/// The acknowledgements stand ahead of a loss: RFC 9293, 3.10.7.4, says nothing of three
/// of them ending the repetition of a FIN.
#[test]
fn c091_a_fin_is_repeated_whatever_is_acknowledged_thrice() {
    for (at, window) in [(10, 1000), (0, 1000), (500, 1000), (10, 0)] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        serve(server, move |mut stream| async move {
            stream.shutdown();
            server.sleep(SEC * 1000).await;
        });
        by_hand(server, |hands| {
            hands.send(&syn(9, 1000, 7, 1));
            let reply = hands.pass(TICK).pop().unwrap();
            hands.send(&answer(&reply, TcpControl::None, b""));
            let seen = hands.pass(TICK);
            assert!(seen.iter().any(|seg| seg.control == TcpControl::Fin));
            for _ in 0..5 {
                hands.send(&Seg {
                    window,
                    ..piece(&reply, TcpControl::None, at, b"", 0)
                });
                hands.pass(TICK);
            }
            let seen = hands.pass(SEC * 20);
            let again = seen.iter().any(|seg| seg.control == TcpControl::Fin);
            assert!(again, "{at}: {}", show(&seen, reply.seq));
        });
    }
}

/// RFC 1122, 4.2.2.13: "if new data is received after CLOSE is called, its TCP SHOULD
/// send a RST to show that data was lost." A stream that was dropped was closed both ways.
#[test]
fn text_for_a_stream_that_was_dropped_is_answered_by_a_reset() {
    // Its FIN was acknowledged or not.
    for acked in [0, 1] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        serve(server, move |stream| async move { drop(stream) });
        by_hand(server, |hands| {
            hands.send(&syn(9, 1000, 7, 1));
            let reply = hands.pass(TICK).pop().unwrap();
            hands.send(&answer(&reply, TcpControl::None, b""));
            hands.pass(TICK);
            hands.send(&piece(
                &reply,
                TcpControl::Psh,
                0,
                b"who reads this?",
                acked,
            ));
            let seen = hands.pass(TICK * 5);
            let resets: Vec<_> = seen.iter().filter(|seg| seg.is_rst()).collect();
            assert_eq!(resets.len(), 1, "{acked}: {}", show(&seen, reply.seq));
            // Exactly where the peer expects it.
            assert_eq!(resets[0].seq, reply.seq + 2);
            assert_eq!(server.counters().slots_used, 0);
        });
    }
}

/// Text that came before the stream was dropped and was not read was lost too, and so is
/// what comes while the last bytes of ours are on their way.
#[test]
fn a_peer_that_pours_into_a_dropped_stream_is_stopped() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    serve(server, move |mut stream| async move {
        stream.write_all(b"bye").await.unwrap();
        drop(stream);
    });
    by_hand(server, |hands| {
        let (reply, _) = open_with(hands, &syn(9, 1000, 7, 1), 1000);
        let mut poured = 0;
        while poured < 100_000 {
            hands.send(&piece(&reply, TcpControl::None, poured, &[b'x'; 500], 0));
            poured += 500;
            if hands.pass(TICK).iter().any(Seg::is_rst) {
                break;
            }
        }
        assert!(poured <= 1000, "{poured} bytes were taken for nobody");
    });
}

/// A program that only shut its write side down reads on.
#[test]
fn text_for_a_stream_that_was_shut_down_is_read() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = Log::default();
    let theirs = log.clone();
    serve(server, move |mut stream| async move {
        stream.shutdown();
        read_all(&mut stream, &theirs).await;
    });
    by_hand(server, |hands| {
        hands.send(&syn(9, 1000, 7, 1));
        let reply = hands.pass(TICK).pop().unwrap();
        hands.send(&answer(&reply, TcpControl::None, b""));
        hands.pass(TICK);
        hands.send(&piece(&reply, TcpControl::Psh, 0, b"te", 0));
        hands.pass(TICK * 5);
        hands.send(&piece(&reply, TcpControl::Fin, 2, b"xt", 1));
        let seen = hands.pass(SEC);
        assert!(seen.iter().all(|seg| !seg.is_rst()));
    });
    assert_ended_after(&log, "text");
}

/// RFC 9293, 3.10.2 and 3.10.4: a SEND after a CLOSE is an error, also while the FIN waits
/// for bytes of ours; what was written before is not lost.
#[test]
fn nothing_is_written_behind_an_end_that_waits() {
    for split in [false, true] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
        let log = Log::default();
        let theirs = log.clone();
        serve(server, move |mut stream| async move {
            read_all(&mut stream, &theirs).await;
            stream.write_all(&[b'y'; 3000]).await.unwrap();
            stream.shutdown();
            let told = match split {
                false => stream.write(b"more").await,
                true => {
                    let (reader, mut writer) = stream.into_split();
                    let told = writer.write(b"more").await;
                    drop((reader, writer));
                    told
                }
            };
            theirs.borrow_mut().push(format!("{told:?}"));
        });
        by_hand(server, |hands| {
            let reply = hands.open(&syn(9, 1000, 7, 1));
            hands.send(&answer(&reply, TcpControl::Fin, b""));
            let (got, ended) = (Cell::new(0), Cell::new(false));
            hands.pass_with(SEC * 20, |seg| {
                let at = seg.seq.0.wrapping_sub(reply.seq.0 + 1) as usize;
                if at == got.get() {
                    got.set(at + seg.payload.len());
                    ended.set(ended.get() || seg.control == TcpControl::Fin);
                }
                let next = got.get() + usize::from(ended.get());
                Some(piece(&reply, TcpControl::None, 1, b"", next))
            });
            assert_eq!((got.get(), ended.get()), (3000, true), "{split}");
        });
        assert_eq!(*log.borrow(), ["", "Err(Closed)"], "{split}");
    }
}

/// RFC 9293, 3.10.5: in the ESTABLISHED, FIN-WAIT and CLOSE-WAIT states an ABORT sends a
/// reset; in TIME-WAIT there is nothing to send.
#[test]
fn a_host_that_goes_away_resets_each_connection_once() {
    host!(server, 1, slots: 8, tasks: 16, bytes: 64, rx: 1024, tx: 4096);
    let log = Log::default();
    let theirs = log.clone();
    let serve = async move {
        let listener = server.listen(7, Backlog(8)).unwrap();
        while let Ok((mut stream, _)) = listener.accept().await {
            let log = theirs.clone();
            let client = async move {
                let mut kind = [0];
                stream.read(&mut kind).await.unwrap();
                match kind[0] {
                    b'r' => read_all(&mut stream, &log).await,
                    b'w' => {
                        let told = stream.write_all(&[0; 9000]).await;
                        log.borrow_mut().push(format!("{told:?}"));
                    }
                    b'l' => {
                        stream.fill_buf().await.unwrap();
                        server.sleep(SEC).await;
                        stream.consume(1);
                        read_all(&mut stream, &log).await;
                    }
                    b'c' => stream.write_all(&[0; 3000]).await.unwrap(),
                    _ => (),
                }
            };
            server.spawn(Box::pin(client)).unwrap();
        }
    };
    server.spawn(Box::pin(serve)).unwrap();
    by_hand(server, |hands| {
        let open = |hands: &mut Hands<'_>, port, text: &[u8], control, acked: Option<usize>| {
            hands.send(&syn(9, port, 7, 1));
            let seen = hands.pass(TICK);
            let reply = seen.iter().find(|seg| seg.is_answer()).unwrap();
            hands.send(&piece(reply, control, 0, text, 0));
            hands.pass(TICK);
            let after = text.len() as i32 + i32::from(control == TcpControl::Fin);
            if let Some(acked) = acked {
                hands.send(&piece(reply, TcpControl::None, after, b"", acked));
                hands.pass(TICK);
            }
            reply.clone()
        };
        open(hands, 1001, b"r", TcpControl::Psh, None); // somebody reads
        open(hands, 1002, b"w", TcpControl::Psh, None); // somebody writes
        open(hands, 1003, b"ll", TcpControl::Psh, None); // its bytes are lent
        open(hands, 1004, b"c", TcpControl::Fin, Some(1000)); // CLOSE-WAIT, dropped
        open(hands, 1005, b"d", TcpControl::Psh, None); // FIN-WAIT-1
        open(hands, 1006, b"d", TcpControl::Psh, Some(1)); // FIN-WAIT-2
        let over = open(hands, 1007, b"d", TcpControl::Psh, Some(1)); // TIME-WAIT
        hands.send(&piece(&over, TcpControl::Fin, 1, b"", 1));
        hands.pass(TICK);
        assert_eq!(server.counters().slots_used, 7);
        server.abort_all();
        let seen = hands.pass(SEC * 5);
        let resets = seen.iter().filter(|seg| seg.is_rst());
        let mut told: Vec<u16> = resets.map(|seg| seg.to_port).collect();
        told.sort();
        assert_eq!(told, [1001, 1002, 1003, 1004, 1005, 1006]);
        assert_eq!(server.counters().slots_used, 1, "TIME-WAIT");
        // The listener still listens.
        hands.open(&syn(9, 998, 7, 1));
    });
    log.borrow_mut().sort();
    assert_eq!(*log.borrow(), ["Err(TimedOut)", "TimedOut", "TimedOut"]);
}
