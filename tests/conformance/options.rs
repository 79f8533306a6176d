//! Options of a segment's header, ours and the peer's, and how long segments are by
//! them; and the checksum in front of them.

use super::*;

/// A segment without options of its own, with these.
fn with_options(seg: &Seg, options: &[u8]) -> Vec<u8> {
    assert_eq!(options.len() % 4, 0);
    let mut frame = seg.frame();
    assert_eq!(frame[46], 5 << 4, "it has options already");
    frame.splice(54..54, options.iter().copied());
    frame[46] = (5 + options.len() as u8 / 4) << 4;
    let length = frame.len() as u16 - 14;
    frame[16..18].copy_from_slice(&length.to_be_bytes());
    mend(&mut frame);
    frame
}

/// A server that writes much to whoever connects.
fn pours(node: Node<'_>) {
    serve(node, move |mut stream| async move {
        let _ = stream.write_all(&[b'y'; 20_000]).await;
        node.sleep(SEC * 1000).await;
    });
}

/// How long the longest segment is that follows on a SYN with these options.
fn longest(options: &[u8]) -> usize {
    let mut longest = 0;
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 32768);
    pours(server);
    by_hand(server, |hands| {
        hands.send_frame(&with_options(&syn(9, 1000, 7, 1), options));
        let reply = hands.pass(TICK).into_iter().find(Seg::is_answer).unwrap();
        let third = answer(&reply, TcpControl::None, b"");
        hands.send(&Seg {
            window: 20_000,
            ..third
        });
        let seen = hands.pass(TICK);
        longest = seen.iter().map(|seg| seg.payload.len()).max().unwrap_or(0);
    });
    longest
}

/// RFC 9293, 3.7.1: "If an MSS Option is not received at connection setup, TCP
/// implementations MUST assume a default send MSS of 536 (MUST-15)"; "the "effective send
/// MSS" MUST be the smaller (MUST-16) of the send MSS and the largest transmission size
/// permitted by the IP layer".
#[test]
fn a_segment_is_as_long_as_both_ends_take() {
    for (options, expected) in [
        (&[][..], 536),
        (&[2, 4, 0x02, 0xbc], 700),
        (&[2, 4, 0x05, 0xb4], 1460),
        (&[2, 4, 0x23, 0x28], 1460), // 9,000: more than our link carries
    ] {
        assert_eq!(longest(options), expected, "{options:?}");
    }
}

/// RFC 9293, 3.2: "receivers MUST be prepared to process options even if they do not begin
/// on a word boundary (MUST-64)"; 3.1: NOP, EOL and MSS are the mandatory set (MUST-4), and
/// "A TCP implementation MUST (MUST-6) ignore without error any TCP Option it does not
/// implement".
#[test]
fn options_are_read_wherever_they_begin() {
    for options in [
        &[1, 2, 4, 0x02, 0xbc, 0, 0, 0][..],
        &[1, 1, 1, 2, 4, 0x02, 0xbc, 1],
        &[253, 5, 2, 4, 9, 2, 4, 0x02, 0xbc, 0, 2, 4], // of an experiment; past the end
        &[254, 2, 2, 4, 0x02, 0xbc, 78, 3, 7, 1, 1, 0],
    ] {
        assert_eq!(longest(options), 700, "{options:?}");
    }
}

/// RFC 9293, 3.1: "A TCP implementation MUST be able to receive a TCP Option in any segment
/// (MUST-5)", those that have no business there too.
#[test]
fn options_may_stand_in_any_segment() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = reads_all(server);
    by_hand(server, |hands| {
        let reply = hands.open(&syn(9, 1000, 7, 1));
        let mut at = 0;
        for options in [
            &[1, 1, 1, 1][..],
            &[0, 0, 0, 0],
            &[2, 4, 0, 48],
            &[1, 3, 3, 14],
            &[253, 6, 1, 2, 3, 4, 1, 0],
            &[4, 2, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1],
        ] {
            let text = piece(&reply, TcpControl::Psh, at, b"swan", 0);
            hands.send_frame(&with_options(&text, options));
            at += 4;
            let seen = hands.pass(TICK * 3);
            let ack = seen.last().and_then(|seg| seg.ack);
            assert_eq!(ack, Some(TcpSeqNumber(2 + at)), "{options:?}");
        }
        let end = piece(&reply, TcpControl::Fin, at, b"", 0);
        hands.send_frame(&with_options(&end, &[254, 4, 1, 2]));
        hands.pass(TICK);
    });
    assert_ended_after(&log, &"swan".repeat(6));
}

/// RFC 9293, 3.1: "TCP implementations MUST be prepared to handle an illegal option length
/// (e.g., zero)" (MUST-7): what has one is dropped, and what is right goes on.
#[test]
fn an_illegal_length_of_an_option_does_no_harm() {
    for options in [
        &[253, 0, 1, 1][..],
        &[253, 1, 1, 1],
        &[1, 253, 40, 1],
        &[1, 1, 1, 253],
        &[2, 0, 5, 180],
        &[2, 3, 5, 180],
        &[1, 2, 4, 5],
        &[3, 0, 7, 1],
        &[5, 0, 1, 1],
        &[8, 2, 1, 1],
    ] {
        host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        let log = reads_all(server);
        by_hand(server, |hands| {
            // At a listener: nobody is kept out by it.
            hands.send_frame(&with_options(&syn(8, 1000, 7, 1), options));
            for seg in hands.pass(TICK) {
                assert!(seg.is_answer(), "{options:?}: {seg:?}");
                hands.send(&answer(&seg, TcpControl::Rst, b""));
                hands.pass(TICK);
            }
            let reply = hands.open(&syn(9, 1000, 7, 1));
            let before = hands.turns;
            let text = piece(&reply, TcpControl::Psh, 0, b"swan", 0);
            hands.send_frame(&with_options(&text, options));
            hands.pass(SEC);
            assert!(hands.turns < before + 50);
            hands.send(&text);
            hands.send(&piece(&reply, TcpControl::Fin, 4, b"song", 0));
            hands.pass(TICK);
        });
        assert_ended_after(&log, "swansong");
    }
}

/// What the host sends to a peer that offers `first`, and loses a segment on the way to it
/// if it takes SACK; from its first byte of TCP.
fn headers(first: &Seg) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 32768);
    pours(server);
    by_hand(server, |hands| {
        hands.raw = Some(Vec::new());
        let (reply, _) = open_with(hands, first, 20_000);
        hands.send(&piece(&reply, TcpControl::Psh, 10, b"early", 0));
        hands.send(&piece(&reply, TcpControl::Psh, 30, b"earlier", 0));
        hands.pass(SEC);
        hands.send(&piece(&reply, TcpControl::Rst, 0, b"", 0));
        hands.send(&piece(&reply, TcpControl::Psh, 0, b"late", 0)); // is reset
        hands.pass(TICK);
        let tcp = hands.raw.take().unwrap().into_iter();
        all.extend(tcp.filter(|frame| frame[12..14] == [8, 0] && frame[23] == 6));
        assert!(all.iter().all(|frame| Seg::read(frame).is_some()));
    });
    assert!(all.len() >= 4);
    all.into_iter().map(|frame| frame[34..].to_vec()).collect()
}

/// RFC 9293, 3.1: "All TCP Options except EOL and NOP MUST have length fields (MUST-68)";
/// "The content of the header beyond the End of Option List Option MUST be header padding
/// of zeros (MUST-69)"; 3.2: MSS "MUST NOT be sent in other segments (MUST-65)".
#[test]
fn options_of_ours_are_whole_and_end_in_zeros() {
    for (mss, scale, sack) in [
        (None, None, false),
        (Some(1460), None, false),
        (Some(536), Some(0), false),
        (None, Some(7), true),
        (Some(1460), Some(7), true),
    ] {
        let first = Seg {
            mss,
            scale,
            sack,
            ..syn(9, 1000, 7, 1)
        };
        for header in headers(&first) {
            let is_syn = header[13] & 2 != 0;
            let mut rest = &header[20..usize::from(header[12] >> 4) * 4];
            let mut had_mss = false;
            while let [kind, more @ ..] = rest {
                rest = match kind {
                    0 => {
                        assert!(more.iter().all(|&byte| byte == 0), "{header:x?}");
                        &[]
                    }
                    1 => more,
                    _ => {
                        had_mss |= *kind == 2;
                        let length = usize::from(more[0]);
                        assert!((2..=rest.len()).contains(&length), "{header:x?}");
                        &rest[length..]
                    }
                };
            }
            assert_eq!(had_mss, is_syn, "{header:x?}");
        }
    }
}

/// RFC 9293, 3.1: "The TCP checksum is never optional. The sender MUST generate it
/// (MUST-2)": also of what has an odd length, of resets and of what is sent again. Added up
/// here, by nobody's code but this test's.
#[test]
fn the_checksum_of_what_is_sent_is_right() {
    let headers = headers(&Seg {
        mss: Some(537),
        sack: true,
        ..syn(9, 1000, 7, 1)
    });
    assert!(headers.iter().any(|segment| segment.len() % 2 == 1));
    assert!(
        headers.iter().any(|segment| segment[13] & 4 != 0),
        "a reset"
    );
    for segment in headers {
        let mut all = vec![10, 0, 0, 1, 10, 0, 0, 9, 0, 6];
        all.extend((segment.len() as u16).to_be_bytes());
        all.extend(&segment);
        assert_eq!(packets::sum(&all), 0xffff, "{segment:x?}");
    }
}
