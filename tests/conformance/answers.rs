//! Exact answers: what is answered by a reset, by an acknowledgement, or not at all, and
//! with which numbers.

use super::*;

/// A segment with these flags, whether or not anybody sends such ones.
fn with_flags(seg: &Seg, flags: u8) -> Vec<u8> {
    let mut frame = seg.frame();
    frame[14 + 20 + 13] = flags;
    mend(&mut frame);
    frame
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// RFC 9293, 3.5.2: "the reset has sequence number zero and the ACK field is set to the sum
/// of the sequence number and segment length of the incoming segment"; and 3.4: the length
/// counts SYN and FIN.
#[test]
fn c351_a_reset_for_a_bare_fin_acknowledges_the_fin() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    by_hand(server, |hands| {
        for (flags, text, length) in [
            (FIN, &b""[..], 1),
            (FIN | PSH, b"four", 5),
            (SYN, b"", 1),
            (SYN, b"four", 5),
            (PSH, b"four", 4),
            (0, b"", 0),
        ] {
            let mut seg = syn(9, 1000, 99, i32::MAX);
            seg.payload = text.to_vec();
            hands.send_frame(&with_flags(&seg, flags));
            let seen = hands.pass(TICK);
            let [reset] = &seen[..] else {
                panic!("{flags:#x}: {seen:?}");
            };
            assert!(reset.is_rst() && reset.seq == TcpSeqNumber(0), "{reset:?}");
            assert_eq!(reset.ack, Some(seg.seq + length), "{flags:#x}");
        }
    });
}

/// The same: "If the incoming segment has the ACK bit set, the reset takes its sequence
/// number from the ACK field of the segment"; and a reset is never answered.
#[test]
fn a_reset_for_an_acknowledgement_takes_its_number_and_none_answers_a_reset() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    by_hand(server, |hands| {
        let mut seg = syn(9, 1000, 99, 5);
        seg.ack = Some(TcpSeqNumber(-7));
        for flags in [ACK, ACK | FIN, ACK | PSH, ACK | SYN] {
            hands.send_frame(&with_flags(&seg, flags));
            let seen = hands.pass(TICK);
            let [reset] = &seen[..] else {
                panic!("{flags:#x}: {seen:?}");
            };
            assert!(reset.is_rst(), "{flags:#x}");
            assert_eq!((reset.seq, reset.ack), (TcpSeqNumber(-7), None));
        }
        for flags in [RST, RST | ACK, RST | FIN, RST | SYN] {
            hands.send_frame(&with_flags(&seg, flags));
            assert_eq!(hands.pass(TICK), [], "{flags:#x}");
        }
    });
}

/// RFC 9293, 3.10.7.2, second: "Any acknowledgment is bad if it arrives on a connection
/// still in the LISTEN state."
#[test]
fn a_listener_resets_whatever_acknowledges_something() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server.spawn(Box::pin(echo_server(server, 2))).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        for flags in [ACK, ACK | FIN, ACK | SYN] {
            let mut seg = syn(9, 1000, 7, 5);
            seg.ack = Some(TcpSeqNumber(77));
            hands.send_frame(&with_flags(&seg, flags));
            let seen = hands.pass(TICK);
            assert!(
                matches!(&seen[..], [seg] if seg.is_rst()),
                "{flags:#x}: {seen:?}"
            );
            assert_eq!(seen[0].seq, TcpSeqNumber(77));
        }
        assert_eq!(server.counters().slots_used, 0);
    });
}

/// RFC 9293, 3.10.7.4, fourth: "if the SYN bit is set, irrespective of the sequence number,
/// TCP endpoints MUST send a "challenge ACK" to the remote peer"; an acknowledgement beside
/// it changes nothing.
#[test]
fn a_syn_with_an_acknowledgement_for_an_open_connection_gets_a_challenge() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = reads_all(server);
    by_hand(server, |hands| {
        let reply = hands.open(&syn(9, 1000, 7, 1));
        for at in [0, -1, 10, 5000, -5000] {
            for flags in [SYN | ACK, SYN | ACK | PSH] {
                let seg = piece(&reply, TcpControl::Syn, at, b"", 0);
                hands.send_frame(&with_flags(&seg, flags));
                let seen = hands.pass(SEC * 2);
                let [challenge] = &seen[..] else {
                    panic!("{at}: {seen:?}");
                };
                assert_eq!(challenge.ack, reply.ack, "{at}");
                assert_eq!(challenge.seq, reply.seq + 1, "{at}");
                assert_eq!(challenge.control, TcpControl::None);
            }
        }
        hands.send(&piece(&reply, TcpControl::Fin, 0, b"text", 0));
        hands.pass(SEC);
    });
    assert_ended_after(&log, "text");
}

/// RFC 9293, 3.10.7.4, second, before the SYN and the FIN are looked at: "If the RST bit is
/// set and the sequence number exactly matches the next expected sequence number (RCV.NXT),
/// then TCP endpoints MUST reset the connection".
#[test]
fn a_reset_is_one_whatever_is_beside_it() {
    for (flags, text) in [
        (RST, &b""[..]),
        (RST | ACK, b""),
        (RST | FIN, b""),
        (RST | ACK | FIN | PSH, b""),
        (RST | SYN, b""),
        // RFC 9293, 3.5.3: "an RST segment could contain ... text".
        (RST | ACK, b"why"),
        (RST, &[b'x'; 200]),
    ] {
        // Our window is open, or shut.
        for fill in [0, 64] {
            host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 64, tx: 1024);
            serve(server, move |stream| async move {
                server.sleep(SEC * 100).await;
                drop(stream);
            });
            by_hand(server, |hands| {
                let reply = hands.open(&syn(9, 1000, 7, 1));
                if fill > 0 {
                    hands.send(&piece(&reply, TcpControl::None, 0, &[b'x'; 64], 0));
                    hands.pass(TICK * 5);
                }
                let seg = piece(&reply, TcpControl::Rst, fill, text, 0);
                hands.send_frame(&with_flags(&seg, flags));
                assert_eq!(hands.pass(TICK), []);
                assert_eq!(server.counters().resets, 1, "{flags:#x} {fill}");
            });
        }
    }
}

/// One that follows text which is not acknowledged yet is exact too.
#[test]
fn a_reset_right_behind_text_is_exact() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    serve(server, move |stream| async move {
        server.sleep(SEC * 100).await;
        drop(stream);
    });
    by_hand(server, |hands| {
        let reply = hands.open(&syn(9, 1000, 7, 1));
        hands.send(&piece(&reply, TcpControl::Psh, 0, b"text", 0));
        hands.send(&piece(&reply, TcpControl::Rst, 4, b"", 0));
        hands.pass(Duration::from_millis(3));
        assert_eq!(server.counters().resets, 1);
    });
}

/// RFC 9293, 3.10.7.3, first: "If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset (unless
/// the RST bit is set, if so drop the segment and return) <SEQ=SEG.ACK><CTL=RST>".
#[test]
fn c264_an_unacceptable_acknowledgement_of_a_syn_is_reset() {
    host!(client, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let part = async move {
        let _ = client.connect(v4(9, 80)).await;
    };
    client.spawn(Box::pin(part)).unwrap();
    by_hand(client, |hands| {
        let first = hands.pass(TICK).pop().unwrap();
        for (flags, text) in [
            (ACK, &b""[..]),
            (ACK | PSH, b"text"),
            (ACK | FIN, b""),
            (ACK | FIN | PSH, b"text"),
            (ACK | SYN, b""),
        ] {
            for ack in [first.seq + 100, first.seq, first.seq + 2] {
                let mut old = answer(&first, TcpControl::None, text);
                (old.seq, old.ack) = (TcpSeqNumber(5), Some(ack));
                hands.send_frame(&with_flags(&old, flags));
                let seen = hands.pass(TICK);
                let [reset] = &seen[..] else {
                    panic!("{flags:#x}: {seen:?}");
                };
                assert!(reset.is_rst() && reset.seq == ack, "{flags:#x}: {reset:?}");
                hands.send_frame(&with_flags(&old, flags | RST));
                assert_eq!(hands.pass(TICK), [], "{flags:#x}");
            }
        }
        // It is still being opened.
        let mut right = answer(&first, TcpControl::Syn, b"");
        right.seq = TcpSeqNumber(5);
        hands.send(&right);
        hands.pass(SEC);
        assert_eq!(client.counters().connects, 1);
    });
}

/// RFC 9293, 3.10.7.4: whatever is outside the window is answered by where we stand: every
/// probe, keep-alive and repeated FIN that comes as seldom as honest peers send them.
#[test]
fn probes_keep_alives_and_repeated_ends_are_answered() {
    for (at, text, fin) in [
        (-1, &b""[..], false),
        (-1, b"g", false),
        (1024, b"p", false),
        (-1, b"", true),
    ] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        serve(server, move |stream| async move {
            server.sleep(SEC * 1000).await;
            drop(stream);
        });
        by_hand(server, |hands| {
            let reply = hands.open(&syn(9, 1000, 7, 1));
            let full = piece(&reply, TcpControl::None, 0, &[b'x'; 1024], 0);
            let mut next = 1024;
            hands.send(&full);
            hands.pass(SEC);
            if fin {
                hands.send(&piece(&reply, TcpControl::Fin, next, b"", 0));
                hands.pass(SEC);
                next += 1;
            }
            let at = if at == 1024 { next } else { next + at };
            let control = if fin {
                TcpControl::Fin
            } else {
                TcpControl::None
            };
            for pause in [1000, 1500, 2000, 5000] {
                hands.send(&piece(&reply, control, at, text, 0));
                let seen = hands.pass(Duration::from_millis(pause));
                let told = seen
                    .iter()
                    .any(|seg| seg.ack == Some(full.seq + next as usize));
                assert!(told, "{at} {text:?} {fin}: {seen:?}");
            }
        });
    }
}

/// RFC 9293, 3.10.7.4, fifth: "If the ACK acks something not yet sent (SEG.ACK > SND.NXT),
/// then send an ACK, drop the segment, and return"; RFC 5961, 3.2: only an exact reset
/// counts.
#[test]
fn c082_only_an_exact_reset_counts_and_nothing_unsent_is_acknowledged() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
    let log = Log::default();
    let theirs = log.clone();
    serve(server, move |mut stream| async move {
        stream.write_all(&[b'y'; 4000]).await.unwrap();
        read_all(&mut stream, &theirs).await;
    });
    by_hand(server, |hands| {
        let (reply, _) = open_with(hands, &syn(9, 1000, 7, 1), 1000);
        hands.send(&piece(&reply, TcpControl::None, 0, b"", 4000));
        hands.pass(TICK);
        hands.send(&piece(&reply, TcpControl::Rst, 10, b"", 0));
        let mut again = syn(9, 1000, 7, 500_000);
        again.window = 1;
        hands.send(&again);
        let seen = hands.pass(SEC * 2);
        let first = |seg: &Seg| seg.seq == reply.seq + 1 && !seg.payload.is_empty();
        assert!(seen.iter().any(first), "{}", show(&seen, reply.seq));
    });
    assert!(log.borrow().is_empty());
}

/// RFC 9293, 3.9.2.3: "A TCP implementation MUST silently discard an incoming segment that
/// is addressed to a broadcast or multicast address (MUST-57)"; RFC 1122, 3.2.1.3: nor is
/// there a peer with such an address, or with ours.
#[test]
fn c066_groups_are_not_spoken_to() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    serve(server, |_stream| async {});
    by_hand(server, |hands| {
        let groups = [
            [255; 4],
            [10, 0, 0, 255],
            [224, 0, 0, 1],
            [127, 0, 0, 1],
            [0; 4],
        ];
        for to in groups {
            for port in [7, 8] {
                let mut seg = syn(9, 1000, port, 1);
                seg.to = Ipv4Address::from(to);
                hands.send(&seg);
            }
        }
        for from in groups.into_iter().chain([[10, 0, 0, 1]]) {
            let mut seg = syn(9, 1000, 7, 1);
            seg.from = Ipv4Address::from(from);
            hands.send(&seg);
        }
        assert_eq!(hands.pass(SEC), []);
    });
}

/// A SYN before our own has left makes no connection and takes no port.
#[test]
fn c001_a_syn_that_comes_before_ours_left_does_no_harm() {
    host!(client, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = Log::default();
    let theirs = log.clone();
    let part = async move {
        let got = client.connect(v4(9, 80)).await;
        theirs.borrow_mut().push(format!("{:?}", got.map(|_| ())));
    };
    client.spawn(Box::pin(part)).unwrap();
    by_hand(client, |hands| {
        hands.mute = true;
        hands.pass(TICK);
        for port in 49152..=65535 {
            let mut seg = syn(9, 80, port, 77);
            seg.window = 1000;
            hands.send(&seg);
            if port % 32 == 0 {
                hands.pass(TICK);
            }
        }
        hands.mute = false;
        let seen = hands.pass_with(SEC * 5, |seg| {
            let mut reply = answer(seg, TcpControl::Syn, b"");
            reply.seq = TcpSeqNumber(77);
            match seg.is_answer() {
                // It answers a SYN that came first: both connect.
                true => Some(answer(seg, TcpControl::None, b"")),
                false => (seg.control == TcpControl::Syn).then_some(reply),
            }
        });
        assert!(!seen.is_empty());
    });
    assert_eq!(*log.borrow(), ["Ok(())"]);
}

/// What answers a segment of no flow has the numbers that RFC 9293, 3.5.2, gives it,
/// whatever flow has sent something before: "the reset has sequence number zero".
#[test]
fn a_reset_for_nobody_has_its_own_number() {
    for number in 0..64 {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        reads_all(server);
        by_hand(server, |hands| {
            hands.open(&syn(9, 1000 + number, 7, 1)); // with another number of ours each
            hands.send(&syn(9, 2000, 99, 5));
            let seen = hands.pass(TICK);
            let reset = seen.iter().find(|seg| seg.is_rst()).unwrap();
            assert_eq!((reset.seq.0, reset.ack.unwrap().0), (0, 6), "{number}");
        });
    }
}
