//! An end that comes early or with bytes that were there before is an end all the
//! same, and need not be repeated.

use super::*;

/// The peer's segments, each with its place in the stream, and then nothing for a
/// minute. What they give is read to the end.
fn ends_with(pieces: &[(TcpControl, i32, &[u8])], text: &str) {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = reads_all(server);
    by_hand(server, |hands| {
        let reply = hands.open(&syn(9, 1000, 7, 1));
        let mut seen = Vec::new();
        for &(control, at, bytes) in pieces {
            hands.send(&piece(&reply, control, at, bytes, 0));
            seen.extend(hands.pass(TICK * 5));
        }
        seen.extend(hands.pass(SEC * 60));
        let behind = piece(&reply, TcpControl::None, text.len() as i32 + 1, b"", 0);
        let told = seen.iter().any(|seg| seg.ack == Some(behind.seq));
        assert!(told, "{pieces:?}: the end is not acknowledged");
    });
    assert_ended_after(&log, text);
}

/// RFC 9293, 3.4: "SEG.LEN = the number of octets occupied by the data in the
/// segment (counting SYN and FIN)": so a segment whose text is old and whose FIN is
/// not occupies a place in the window.
#[test]
fn c266_an_end_that_comes_with_old_bytes_is_seen() {
    use TcpControl::{Fin, None};
    ends_with(&[(None, 0, b"all"), (Fin, 0, b"all")], "all");
    ends_with(&[(None, 0, b"all"), (Fin, 2, b"l")], "all");
    ends_with(
        &[(None, 0, b"all"), (Fin, 0, b"all"), (Fin, 0, b"all")],
        "all",
    );
}

/// The same before our acknowledgement has left.
#[test]
fn an_end_with_bytes_that_are_not_acknowledged_yet_is_seen() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = reads_all(server);
    by_hand(server, |hands| {
        let reply = hands.open(&syn(9, 1000, 7, 1));
        hands.send(&piece(&reply, TcpControl::None, 0, b"all", 0));
        hands.send(&piece(&reply, TcpControl::Fin, 0, b"all", 0));
        hands.pass(SEC * 10);
    });
    assert_ended_after(&log, "all");
}

/// RFC 9293, 3.10.7.4: "If a segment's contents straddle the boundary between old and
/// new, only the new parts are processed."
#[test]
fn an_end_with_some_old_bytes_is_seen() {
    use TcpControl::{Fin, None};
    ends_with(&[(None, 0, b"al"), (Fin, 0, b"all")], "all");
    ends_with(&[(None, 0, b"al"), (Fin, 1, b"ll")], "all");
}

/// RFC 9293, 3.10.7.4: "Segments with higher beginning sequence numbers SHOULD be held
/// for later processing (SHLD-31)": their FIN too.
#[test]
fn an_end_that_comes_early_is_remembered() {
    use TcpControl::{Fin, None, Psh};
    ends_with(&[(Fin, 3, b""), (None, 0, b"all")], "all");
    ends_with(&[(Fin, 1, b"ll"), (Psh, 0, b"a")], "all");
    // The hole is filled in one piece and more, from its end, and twice.
    ends_with(&[(Fin, 2, b"l"), (None, 0, b"all")], "all");
    ends_with(&[(Fin, 2, b"l"), (None, 1, b"l"), (None, 0, b"a")], "all");
    let holes = [
        (Fin, 6, &b"gh"[..]),
        (None, 4, b"e"),
        (None, 2, b"c"),
        (None, 0, b"ab"),
        (None, 0, b"abcdef"),
    ];
    ends_with(&holes, "abcdefgh");
}

/// Held or not, it is told once only, and nothing follows it.
#[test]
fn an_early_end_is_the_end() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = reads_all(server);
    by_hand(server, |hands| {
        let reply = hands.open(&syn(9, 1000, 7, 1));
        hands.send(&piece(&reply, TcpControl::Fin, 3, b"", 0));
        hands.pass(TICK);
        // RFC 9293, 3.10.7.4, seventh: "This should not occur since a FIN has been
        // received from the remote side. Ignore the segment text."
        for _ in 0..2 {
            hands.send(&piece(&reply, TcpControl::None, 3, b"more", 0));
            hands.pass(TICK * 10);
            hands.send(&piece(&reply, TcpControl::None, 0, b"all", 0));
            hands.pass(TICK * 10);
        }
        hands.pass(SEC * 5);
    });
    assert_ended_after(&log, "all");
}

/// An end past the edge of what we offered has no place to be remembered in, and
/// neither has one so far away that it cannot be this stream's.
#[test]
fn an_early_end_past_the_edge_is_not_remembered() {
    for (at, bytes) in [(60, &b"12345"[..]), (65, b""), (1_000_000, b"")] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 64, tx: 1024);
        let log = reads_all(server);
        by_hand(server, |hands| {
            let reply = hands.open(&syn(9, 1000, 7, 1));
            hands.send(&piece(&reply, TcpControl::Fin, at, bytes, 0));
            hands.pass(TICK * 5);
            for part in 0..10 {
                hands.send(&piece(&reply, TcpControl::None, part * 10, &[b'x'; 10], 0));
                hands.pass(TICK * 5);
            }
            hands.pass(SEC * 5);
        });
        assert_eq!(log.borrow().concat(), "x".repeat(100));
        assert!(log.borrow().iter().all(|text| !text.is_empty()), "an end");
    }
}

/// The peer's FIN overtakes its text in every state in which text is taken.
#[test]
fn an_early_end_is_remembered_in_every_state() {
    for state in ["half open", "established", "fin-wait-1", "fin-wait-2"] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        let log = Log::default();
        let theirs = log.clone();
        serve(server, move |mut stream| async move {
            if state.starts_with("fin") {
                stream.shutdown();
            }
            read_all(&mut stream, &theirs).await;
            server.sleep(SEC * 100).await;
        });
        by_hand(server, |hands| {
            hands.send(&syn(9, 1000, 7, 1));
            let reply = hands.pass(TICK).pop().unwrap();
            if state != "half open" {
                hands.send(&piece(&reply, TcpControl::None, 0, b"", 0));
                hands.pass(TICK * 5);
            }
            let acked = usize::from(state == "fin-wait-2");
            hands.send(&piece(&reply, TcpControl::Fin, 1, b"ll", acked));
            hands.pass(TICK * 5);
            hands.send(&piece(&reply, TcpControl::None, 0, b"a", acked));
            hands.pass(SEC);
            assert_eq!(log.borrow().concat(), "all", "{state}");
            let ended = log.borrow().last().is_some_and(String::is_empty);
            assert!(ended, "{state}: no end");
        });
    }
}

/// Of a connection of ours too, also when the end overtakes everything but the
/// SYN-ACK.
#[test]
fn an_early_end_is_remembered_by_who_connects() {
    host!(client, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = Log::default();
    let theirs = log.clone();
    let part = async move {
        let mut stream = client.connect(v4(9, 7)).await.unwrap();
        read_all(&mut stream, &theirs).await;
        client.sleep(SEC * 100).await;
    };
    client.spawn(Box::pin(part)).unwrap();
    by_hand(client, |hands| {
        let first = hands.pass(TICK).pop().unwrap();
        let mut reply = answer(&first, TcpControl::Syn, b"");
        reply.seq = TcpSeqNumber(-2);
        hands.send(&reply);
        let next = |control, at: usize, bytes: &[u8]| Seg {
            control,
            seq: reply.seq + 1 + at,
            payload: bytes.to_vec(),
            ..reply.clone()
        };
        hands.send(&next(TcpControl::Fin, 2, b"l"));
        hands.pass(TICK);
        hands.send(&next(TcpControl::Psh, 0, b"al"));
        hands.pass(SEC);
    });
    assert_ended_after(&log, "all");
}

/// RFC 7323, 2.4: a window is rounded down as it is scaled, so an edge moves back by a little,
/// or forth as the program reads; and smoltcp forgets an edge that went with a question, a
/// keep-alive here. All our frames have had one byte since our SYN: any of them may have
/// been one.
#[test]
fn an_end_at_an_edge_that_only_a_question_told_has_all_its_bytes() {
    const EDGE: usize = 9 + 65_536;
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 65536, tx: 1024);
    let read = Rc::new(Cell::new((0, false)));
    let theirs = read.clone();
    serve(server, move |mut stream| async move {
        // All but one of nine bytes; the answer acknowledges them.
        stream.readable().await.unwrap();
        let mut all = stream.read(&mut [0; 8]).await.unwrap();
        stream.write_all(b"a").await.unwrap();
        server.sleep(TICK).await;
        all += stream.read(&mut [0; 8]).await.unwrap();
        stream.set_keep_alive(Some(SEC));
        server.sleep(SEC * 2).await;
        let mut buf = [0; 4000];
        while let Ok(n @ 1..) = stream.read(&mut buf).await {
            all += n;
        }
        theirs.set((all, true));
    });
    by_hand(server, |hands| {
        let mut first = ethernet_syn();
        first.scale = Some(0);
        let reply = hands.open(&first);
        hands.send(&piece(&reply, TcpControl::Psh, 0, b"nine here", 0));
        let mut seen = hands.pass(TICK / 2);
        hands.send(&piece(&reply, TcpControl::None, 9, b"", 1));
        seen.extend(hands.pass(Duration::from_millis(1_500)));
        let told: Vec<_> = seen
            .iter()
            .map(|seg| (seg.payload.len(), seg.window))
            .collect();
        assert_eq!(told, [(1, 32_767), (1, 32_768), (1, 32_768)]);
        let part = |at: usize| {
            let len = 1_400.min(EDGE - at);
            let control = match at + len == EDGE {
                true => TcpControl::Fin,
                false => TcpControl::None,
            };
            piece(&reply, control, at as i32, &vec![b'x'; len], 1)
        };
        // All of it in one turn, and the last again.
        let parts: Vec<_> = (9..EDGE).step_by(1_400).collect();
        for &at in &parts {
            hands.send(&part(at));
        }
        hands.pass(SEC);
        hands.send(&part(parts[parts.len() - 1]));
        hands.pass(SEC * 3);
    });
    assert_eq!(read.get(), (EDGE, true));
}
