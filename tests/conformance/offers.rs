//! Numbers that the peer chooses: how large its segments are, how wide its window is.
//! None of them makes a flood of ours, and none of an honest peer makes it wait.

use super::*;

fn pours(node: Node<'_>, bytes: usize) {
    serve(node, move |mut stream| async move {
        let _ = stream.write_all(&vec![b'y'; bytes]).await;
        node.sleep(SEC * 1000).await;
    });
}

/// The acknowledgement of everything up to the end of `seg`.
fn after(reply: &Seg, seg: &Seg, window: u16) -> Seg {
    Seg {
        ack: Some(seg.seq + seg.payload.len()),
        window,
        ..answer(reply, TcpControl::None, b"")
    }
}

/// RFC 9293, 3.8.6.2.1: "A TCP implementation MUST include a SWS avoidance algorithm in the
/// sender (MUST-38)."
#[test]
fn c092_a_tiny_window_is_not_filled_at_once() {
    for window in [1, 2, 50, 400] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
        pours(server, 4000);
        by_hand(server, |hands| {
            let (reply, seen) = open_with(hands, &syn(9, 1000, 7, 1), window);
            let mut tiny = seen.len();
            if let Some(first) = seen.first() {
                hands.send(&after(&reply, first, window));
            }
            let seen = hands.pass_with(SEC, |seg| {
                (!seg.payload.is_empty()).then(|| after(&reply, seg, window))
            });
            tiny += seen.iter().filter(|seg| !seg.payload.is_empty()).count();
            assert!(tiny <= 5, "{tiny} segments of {window} bytes in a second");
            // RFC 9293, 3.8.6.2.1, (4): "if the override timeout occurs": it gets on, by
            // more than a byte at a time.
            let seen = hands.pass_with(SEC * 60, |seg| {
                (!seg.payload.is_empty()).then(|| after(&reply, seg, window))
            });
            let (bytes, least) = (bytes_of(&seen), (20 * usize::from(window)).min(3000));
            assert!(
                bytes >= least,
                "{bytes} bytes in a minute by windows of {window}"
            );
        });
    }
}

/// (3) of the same: "min(D,U) >= Fs * Max(SND.WND)", with half for Fs: a peer that never
/// had more is served at once, however little it is.
#[test]
fn a_peer_with_small_buffers_is_served_at_full_speed() {
    for window in [1, 48, 500, 999] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
        pours(server, 4000);
        by_hand(server, |hands| {
            let first = Seg {
                window,
                ..syn(9, 1000, 7, 1)
            };
            let (reply, seen) = open_with(hands, &first, window);
            hands.send(&after(&reply, &seen[0], window));
            let seen = hands.pass_with(SEC, |seg| {
                (!seg.payload.is_empty()).then(|| after(&reply, seg, window))
            });
            let bytes = bytes_of(&seen);
            let most = (400 * usize::from(window)).min(4000 - usize::from(window));
            assert!(bytes >= most, "{bytes} bytes by windows of {window}");
        });
    }
}

/// A window that is a little more than half of the most there was, or a segment, is used
/// at once; it opens after it was shut, too.
#[test]
fn a_window_worth_it_is_used_at_once() {
    for window in [501, 536, 1000] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
        pours(server, 4000);
        by_hand(server, |hands| {
            let (reply, seen) = open_with(hands, &syn(9, 1000, 7, 1), 1000);
            let sent = sent_up_to(&seen, &reply);
            let at = |window| Seg {
                window,
                ..piece(&reply, TcpControl::None, 0, b"", sent)
            };
            hands.send(&at(0));
            hands.pass(TICK * 10);
            hands.send(&at(window));
            let seen = hands.pass(TICK);
            assert!(
                bytes_of(&seen) >= 501,
                "{window}: {}",
                show(&seen, reply.seq)
            );
        });
    }
}

/// RFC 5681, 2: "SENDER MAXIMUM SEGMENT SIZE (SMSS): The SMSS is the size of the largest
/// segment that the sender can transmit"; 3.1: after a timeout "cwnd MUST be set to no more
/// than the loss window, LW, which equals 1 full-sized segment".
#[test]
fn c083_a_timeout_leaves_one_segment_whatever_mss_was_offered() {
    for mss in [None, Some(536), Some(1460), Some(9000), Some(65535)] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 65536);
        pours(server, 60_000);
        by_hand(server, |hands| {
            let mut first = syn(9, 1000, 7, 1);
            (first.mss, first.scale) = (mss, Some(0));
            let (reply, seen) = open_with(hands, &first, 65_000);
            assert!(!seen.is_empty());
            let again = hands.pass(TICK * 120);
            assert!(again.len() <= 1, "{mss:?}: {}", show(&again, reply.seq));
        });
    }
}

/// The same of a connection that we begin: the SYN-ACK says how large.
#[test]
fn a_timeout_leaves_one_segment_to_who_connects() {
    for mss in [None, Some(65535)] {
        host!(client, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 65536);
        let part = async move {
            let mut stream = client.connect(v4(9, 7)).await.unwrap();
            let _ = stream.write_all(&[b'y'; 60_000]).await;
        };
        client.spawn(Box::pin(part)).unwrap();
        by_hand(client, |hands| {
            let first = hands.pass(TICK).pop().unwrap();
            let mut reply = answer(&first, TcpControl::Syn, b"");
            (reply.seq, reply.mss, reply.window) = (TcpSeqNumber(77), mss, 65_000);
            hands.send(&reply);
            let seen = hands.pass(TICK);
            assert!(seen.len() > 1 && seen.iter().all(|seg| seg.payload.len() <= 1460));
            let again = hands.pass(TICK * 120);
            assert!(again.len() <= 1, "{mss:?}: {}", show(&again, first.seq));
        });
    }
}

/// RFC 6928, 2: "min (10*MSS, max (2*MSS, 14600))", until something is acknowledged.
#[test]
fn c075_a_first_flight_is_ten_segments_at_most() {
    // What a window is scaled by must not make it wider.
    let each = |mss| [None, Some(0), Some(6)].map(|scale| (mss, scale));
    for (mss, scale) in [1, 48, 100, 204, 536].into_iter().flat_map(each) {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 8192);
        pours(server, 8000);
        by_hand(server, |hands| {
            let mut first = syn(9, 1000, 7, 1);
            (first.mss, first.scale) = (Some(mss), scale);
            let all = 8000 >> scale.unwrap_or(0);
            let (reply, mut seen) = open_with(hands, &first, all);
            // Window updates open nothing before text was acknowledged, nor does text, whose
            // acknowledgement carries what there is.
            for (number, text) in [(1, &b""[..]), (2, b"x")] {
                let update = Seg {
                    window: all + number,
                    ..piece(&reply, TcpControl::None, 0, text, 0)
                };
                hands.send(&update);
                seen.extend(hands.pass(TICK * 20));
            }
            seen.retain(|seg| !seg.payload.is_empty());
            let count = seen.len();
            assert!(count <= 10, "{mss} {scale:?}: {count} segments");
            // All of it gets there when it is acknowledged.
            hands.send(&piece(
                &reply,
                TcpControl::None,
                1,
                b"",
                sent_up_to(&seen, &reply),
            ));
            let ack = |seg: &Seg| Some(after(&reply, seg, all));
            let seen = hands.pass_with(SEC * 5, ack);
            assert_eq!(sent_up_to(&seen, &reply), 8000, "{mss} {scale:?}");
        });
    }
}

/// The same of a connection that we begin.
#[test]
fn a_first_flight_of_who_connects_is_ten_segments_at_most() {
    host!(client, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 8192);
    let part = async move {
        let mut stream = client.connect(v4(9, 7)).await.unwrap();
        let _ = stream.write_all(&[b'y'; 8000]).await;
    };
    client.spawn(Box::pin(part)).unwrap();
    by_hand(client, |hands| {
        let first = hands.pass(TICK).pop().unwrap();
        let mut reply = answer(&first, TcpControl::Syn, b"");
        (reply.seq, reply.mss, reply.window) = (TcpSeqNumber(77), Some(48), 8000);
        hands.send(&reply);
        let seen = hands.pass(TICK * 50);
        let full = seen.iter().filter(|seg| !seg.payload.is_empty()).count();
        assert!((1..=10).contains(&full), "{full} segments");
    });
}

/// RFC 7323, 2.3: "the shift count MUST be limited to 14"; a peer that says more means 14.
#[test]
fn a_window_scale_above_fourteen_is_fourteen() {
    for scale in [14, 15, 16, 63, 64, 255] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
        pours(server, 4000);
        by_hand(server, |hands| {
            let mut first = syn(9, 1000, 7, 1);
            (first.mss, first.scale) = (Some(1460), Some(scale));
            let (reply, mut seen) = open_with(hands, &first, 1);
            let ack = |seg: &Seg| Some(after(&reply, seg, 1));
            let end = piece(&reply, TcpControl::None, 0, b"", sent_up_to(&seen, &reply));
            hands.send(&Seg { window: 1, ..end });
            seen.extend(hands.pass_with(SEC, ack));
            assert_eq!(sent_up_to(&seen, &reply), 4000, "{scale}");
        });
    }
}
