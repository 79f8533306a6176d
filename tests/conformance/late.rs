//! A host that was late itself: its flash was being erased, a debugger stopped it, its
//! machine was paused. What had come by then counts before any deadline does.

use super::*;

/// The host does nothing for this long; what was sent waits in its device.
fn pause(hands: &mut Hands<'_>, time: Duration) {
    hands.now += time;
}

/// Whoever finished the handshake in time is let in.
#[test]
fn a_handshake_that_was_finished_while_we_slept_counts() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = reads_all(server);
    by_hand(server, |hands| {
        hands.send(&syn(9, 1000, 7, 1));
        let reply = hands.pass(TICK).pop().unwrap();
        hands.send(&answer(&reply, TcpControl::None, b""));
        hands.send(&answer(&reply, TcpControl::Fin, b"text"));
        pause(hands, SEC * 60);
        hands.pass(SEC);
    });
    assert_ended_after(&log, "text");
}

/// Nobody is silent whose text waits.
#[test]
fn text_that_came_while_we_slept_counts() {
    for what in [
        "read timeout",
        "idle",
        "first byte",
        "keep-alive",
        "writes",
        "close",
    ] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        let log = Log::default();
        let theirs = log.clone();
        serve(server, move |mut stream| async move {
            let mut limits = cygnet::TimeLimits::NONE;
            match what {
                "read timeout" => stream.set_read_timeout(Some(SEC * 10)),
                "keep-alive" => stream.set_keep_alive(Some(SEC * 5)),
                "idle" => limits.idle = Some(SEC * 10),
                "first byte" => limits.first_byte = Some(SEC * 10),
                _ => limits.write_progress = Some(SEC * 10),
            }
            stream.set_limits(limits);
            match what {
                "writes" => stream.write_all(b"answer").await.unwrap(),
                "close" => return drop(stream),
                _ => (),
            }
            read_all(&mut stream, &theirs).await;
        });
        by_hand(server, |hands| {
            hands.send(&syn(9, 1000, 7, 1));
            let reply = hands.pass(TICK).pop().unwrap();
            hands.send(&answer(&reply, TcpControl::None, b""));
            let sent = hands.pass(TICK * 5);
            // A keep-alive carries a byte too, which counts for nothing.
            let said = match what {
                "writes" => bytes_of(&sent),
                _ => usize::from(what == "close"),
            };
            hands.send(&piece(&reply, TcpControl::Fin, 0, b"", said));
            pause(hands, SEC * 100);
            let seen = hands.pass(SEC);
            let reset = seen.iter().any(Seg::is_rst);
            assert!(!reset, "{what}: {}", show(&seen, reply.seq));
        });
        if what != "close" {
            assert_eq!(*log.borrow(), [""], "{what}");
        }
    }
}

/// And a peer that said nothing has still been silent.
#[test]
fn who_was_silent_while_we_slept_was_silent() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = Log::default();
    let theirs = log.clone();
    serve(server, move |mut stream| async move {
        stream.set_read_timeout(Some(SEC * 10));
        read_all(&mut stream, &theirs).await;
        server.sleep(SEC * 1000).await;
    });
    by_hand(server, |hands| {
        hands.open(&syn(9, 1000, 7, 1));
        pause(hands, SEC * 100);
        hands.pass(TICK);
        assert_eq!(*log.borrow(), ["TimedOut"]);
        // Half open and silent as well.
        hands.send(&syn(9, 1001, 7, 1));
        hands.pass(TICK);
        pause(hands, SEC * 100);
        hands.pass(TICK);
        assert_eq!(server.counters().slots_used, 1);
    });
}
