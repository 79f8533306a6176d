//! A window that shuts on what is on its way, or is shut when there is something to
//! send: it is asked for again and again, and whoever answers is alive.

use super::*;

/// A server that writes this much at once, and then waits until all is taken.
fn writes(node: Node<'_>, bytes: usize) -> Log {
    let log = Log::default();
    let theirs = log.clone();
    serve(node, move |mut stream| async move {
        // What is in flight is all there is to the limits of this test.
        stream.set_limits(cygnet::TimeLimits::NONE);
        stream.write_all(&vec![b'y'; bytes]).await.unwrap();
        let flushed = stream.acknowledged().await;
        theirs.borrow_mut().push(format!("{flushed:?}"));
        node.sleep(SEC * 100_000).await;
    });
    log
}

/// RFC 9293, 3.8.6: "A sending TCP peer MUST be robust against window shrinking, which may
/// cause the "usable window" to become negative (MUST-34). ... If the window shrinks to
/// zero, the TCP implementation MUST probe it in the standard way (MUST-35)."
#[test]
fn c090_a_window_shut_on_bytes_in_flight_is_probed() {
    for acked in [0, 1, 499] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        let log = writes(server, 500);
        by_hand(server, |hands| {
            let (reply, seen) = open_with(hands, &syn(9, 1000, 7, 1), 1000);
            assert_eq!(bytes_of(&seen), 500);
            let mut zero = piece(&reply, TcpControl::None, 0, b"", acked);
            zero.window = 0;
            hands.send(&zero);
            let seen = hands.pass(SEC * 100);
            // RFC 9293, 3.8.6.1: the first after a retransmission timeout, then ever
            // more seldom; each must draw an answer, so it has a byte.
            let probes: Vec<_> = seen.iter().filter(|seg| !seg.payload.is_empty()).collect();
            let first = reply.seq + 1 + acked;
            assert!(
                (4..=20).contains(&probes.len()),
                "{}",
                show(&seen, reply.seq)
            );
            assert!(
                probes
                    .iter()
                    .all(|seg| seg.seq == first && seg.payload.len() == 1)
            );
            // It is open again, and nobody says so but in answer to a probe.
            let open = |seg: &Seg| {
                let at = seg.seq.0.wrapping_sub(reply.seq.0 + 1) as usize;
                let end = (at + seg.payload.len()).max(acked);
                (!seg.payload.is_empty()).then(|| piece(&reply, TcpControl::None, 0, b"", end))
            };
            hands.pass_with(SEC * 70, open);
        });
        assert_eq!(*log.borrow(), ["Ok(())"], "{acked}");
    }
}

/// The same said with text, as a peer does whose buffer is full and who has something to
/// say.
#[test]
fn a_window_shut_on_bytes_in_flight_by_text_is_probed() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = writes(server, 500);
    by_hand(server, |hands| {
        let (reply, _) = open_with(hands, &syn(9, 1000, 7, 1), 1000);
        for (at, acked) in [(0, 100), (4, 100)] {
            let mut zero = piece(&reply, TcpControl::Psh, at, b"text", acked);
            zero.window = 0;
            hands.send(&zero);
            hands.pass(TICK);
        }
        let seen = hands.pass(SEC * 20);
        let probed = seen.iter().any(|seg| seg.payload.len() == 1);
        assert!(probed, "{}", show(&seen, reply.seq));
        hands.send(&piece(&reply, TcpControl::None, 8, b"", 500));
        hands.pass(TICK);
    });
    assert_eq!(*log.borrow(), ["Ok(())"]);
}

/// RFC 9293, 3.8.6.1: "Probing of zero (offered) windows MUST be supported (MUST-36)":
/// also when the window was shut before there was anything to send.
#[test]
fn a_window_that_was_shut_before_is_probed() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    serve(server, move |mut stream| async move {
        server.sleep(SEC).await;
        stream.write_all(&[b'y'; 10]).await.unwrap();
        server.sleep(SEC * 1000).await;
    });
    by_hand(server, |hands| {
        let (reply, seen) = open_with(hands, &syn(9, 1000, 7, 1), 0);
        assert_eq!(seen, []);
        let seen = hands.pass(SEC * 30);
        let probes = seen.iter().filter(|seg| !seg.payload.is_empty()).count();
        assert!(probes >= 2, "{probes} probes");
        assert!(seen.iter().all(|seg| seg.seq == reply.seq + 1));
    });
}

/// RFC 9293, 3.8.6.1: "As long as the receiving TCP peer continues to send
/// acknowledgments in response to the probe segments, the sending TCP implementation MUST
/// allow the connection to stay open (MUST-37)": unless a limit that the program set, or
/// left, says otherwise.
#[test]
fn a_peer_that_answers_probes_keeps_its_connection() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = writes(server, 1000);
    by_hand(server, |hands| {
        let (reply, seen) = open_with(hands, &ethernet_syn(), 600);
        assert_eq!(bytes_of(&seen), 600);
        let shut = Seg {
            window: 0,
            ..piece(&reply, TcpControl::None, 0, b"", 600)
        };
        hands.send(&shut);
        let seen = hands.pass_with(SEC * 3600, |seg| {
            (!seg.payload.is_empty()).then(|| shut.clone())
        });
        assert!(seen.iter().all(|seg| !seg.is_rst()));
        assert!((60..200).contains(&seen.len()), "{} probes", seen.len());
    });
    assert!(log.borrow().is_empty());
}

/// RFC 9293, 3.8.4: "if a keep-alive mechanism is implemented it MUST NOT interpret failure
/// to respond to any specific probe as a dead connection (MUST-29)"; a peer that answers
/// all it is asked is alive, and one whose answer is lost now and then.
#[test]
fn c355_a_live_peer_behind_a_shut_window_is_kept() {
    (0..8).for_each(one_answer_is_lost);
}

/// The one with this number.
fn one_answer_is_lost(lost: usize) {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = Log::default();
    let theirs = log.clone();
    serve(server, move |mut stream| async move {
        stream.set_limits(cygnet::TimeLimits::NONE);
        stream.set_keep_alive(Some(SEC * 5));
        stream.write_all(&[b'y'; 10]).await.unwrap();
        read_all(&mut stream, &theirs).await;
    });
    by_hand(server, |hands| {
        let (reply, _) = open_with(hands, &syn(9, 1000, 7, 1), 9);
        let shut = Seg {
            window: 0,
            ..piece(&reply, TcpControl::None, 0, b"", 9)
        };
        hands.send(&shut);
        // An honest peer whose program does not read: it answers every byte it sees.
        let mut asked = 0;
        hands.pass_with(SEC * 300, |seg| {
            asked += usize::from(!seg.payload.is_empty());
            (!seg.payload.is_empty() && asked != lost).then(|| shut.clone())
        });
        assert!(
            asked > 8 && log.borrow().is_empty(),
            "{lost} {:?}",
            log.borrow()
        );
        // And one that is gone is found out.
        hands.pass(SEC * 130);
    });
    assert_eq!(*log.borrow(), ["TimedOut"], "{lost}");
}

/// A partial acknowledgement, a shut window, our FIN behind the rest: the peer gets all of
/// it once it takes something.
#[test]
fn a_window_shut_on_bytes_and_a_fin_is_probed() {
    for acked in [0, 100] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        serve(server, move |mut stream| async move {
            stream.set_limits(cygnet::TimeLimits::NONE);
            stream.write_all(&[b'y'; 500]).await.unwrap();
            stream.shutdown();
            server.sleep(SEC * 1000).await;
        });
        by_hand(server, |hands| {
            let (reply, seen) = open_with(hands, &syn(9, 1000, 7, 1), 1000);
            assert!(seen.iter().any(|seg| seg.control == TcpControl::Fin));
            let mut zero = piece(&reply, TcpControl::None, 0, b"", acked);
            zero.window = 0;
            hands.send(&zero);
            let seen = hands.pass(SEC * 20);
            assert!(!seen.is_empty(), "{acked}: silence");
            let seen = hands.pass_with(SEC * 70, |seg| {
                let end = seg.seq + seg.payload.len();
                let ack = end + usize::from(seg.control == TcpControl::Fin);
                let opened = piece(&reply, TcpControl::None, 0, b"", 0);
                Some(Seg {
                    ack: Some(ack),
                    ..opened
                })
            });
            let fin = seen.iter().find(|seg| seg.control == TcpControl::Fin);
            let fin = fin.unwrap_or_else(|| panic!("{}", show(&seen, reply.seq)));
            assert_eq!(fin.seq + fin.payload.len(), reply.seq + 501);
        });
    }
}

/// RFC 9293, 3.8.6: if a window shrinks, "the sender SHOULD NOT send new data (SHLD-15), but
/// SHOULD retransmit normally the old unacknowledged data between SND.UNA and
/// SND.UNA+SND.WND (SHLD-16)".
#[test]
fn into_a_window_that_shrank_what_fits_is_repeated() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
    serve(server, move |mut stream| async move {
        stream.set_limits(cygnet::TimeLimits::NONE);
        stream.write_all(&[b'y'; 3000]).await.unwrap();
        server.sleep(SEC * 1000).await;
    });
    by_hand(server, |hands| {
        let (reply, seen) = open_with(hands, &syn(9, 1000, 7, 1), 1000);
        let sent = sent_up_to(&seen, &reply);
        assert!((500..=1000).contains(&sent), "{sent}");
        let shrunk = |acked, window| Seg {
            window,
            ..piece(&reply, TcpControl::None, 0, b"", acked)
        };
        hands.send(&shrunk(0, 300));
        let seen = hands.pass(SEC * 10);
        assert!(seen.len() >= 2, "{}", show(&seen, reply.seq));
        for seg in &seen {
            assert_eq!(seg.seq, reply.seq + 1);
            assert!(seg.payload.len() <= 300, "{}", show(&seen, reply.seq));
        }
        // And whoever takes it gets on.
        hands.send(&shrunk(300, 1000));
        let seen = hands.pass_with(SEC * 10, |seg| {
            Some(shrunk(sent_up_to(std::slice::from_ref(seg), &reply), 1000))
        });
        assert_eq!(sent_up_to(&seen, &reply), 3000);
    });
}

/// RFC 9293, 3.8.6: segments "fit the current window", also what three acknowledgements in
/// a row ask for again. What is past it would be thrown away, and counted as sent.
#[test]
fn what_is_asked_for_again_fits_the_window() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
    serve(server, move |mut stream| async move {
        stream.write_all(&[b'y'; 4096]).await.unwrap();
        while stream.read(&mut [0; 64]).await.is_ok() {}
    });
    by_hand(server, |hands| {
        let first = Seg {
            mss: Some(1024),
            window: 300,
            ..ethernet_syn()
        };
        let (reply, seen) = open_with(hands, &first, 300);
        assert_eq!(sent_up_to(&seen, &reply), 300);
        let says = |acked| Seg {
            window: 300,
            ..piece(&reply, TcpControl::None, 0, b"", acked)
        };
        for _ in 0..4 {
            hands.send(&says(0));
        }
        let seen = hands.pass(TICK * 10);
        assert!(bytes_of(&seen) <= 300, "{}", show(&seen, reply.seq));
        // What follows comes at once when there is room for it.
        hands.send(&says(300));
        let seen = hands.pass(TICK * 10);
        assert_eq!(sent_up_to(&seen, &reply), 600);
    });
}

/// RFC 9293, 3.8.6, MUST-34: a window that shrinks on what is in flight, though not to
/// nothing. What was sent past its new edge is no probe: it is sent again.
#[test]
fn what_a_smaller_window_cut_off_is_sent_again() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
    let _log = writes(server, 3000);
    by_hand(server, |hands| {
        let first = Seg {
            mss: Some(600),
            ..ethernet_syn()
        };
        let (reply, seen) = open_with(hands, &first, 1800);
        assert_eq!(sent_up_to(&seen, &reply), 1800);
        for acked in [600, 1200] {
            hands.send(&Seg {
                window: 100,
                ..piece(&reply, TcpControl::None, 0, b"", acked)
            });
        }
        let seen = hands.pass(SEC * 5);
        let again = seen
            .iter()
            .any(|seg| seg.seq == reply.seq + 1201 && !seg.payload.is_empty());
        assert!(again, "{}", show(&seen, reply.seq));
    });
}
