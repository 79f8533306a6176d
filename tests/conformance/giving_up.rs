//! When a connection is given up, and what a reset cuts at its end.

use super::*;

/// RFC 9293, 3.10.7.4, second, of a reset in CLOSING and LAST-ACK: "enter the CLOSED
/// state". Users are told of a reset in the states before. Bytes that nobody has taken are
/// lost all the same.
#[test]
fn a_reset_when_only_our_end_is_left_cuts_nothing() {
    for (ends_first, taken) in [(false, 100), (false, 99), (true, 100), (true, 99)] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        let log = Log::default();
        let theirs = log.clone();
        serve(server, move |mut stream| async move {
            if !ends_first {
                read_all(&mut stream, &theirs).await;
            }
            stream.write_all(&[b'y'; 100]).await.unwrap();
            let told = stream.close().await;
            theirs.borrow_mut().push(format!("{told:?}"));
        });
        by_hand(server, |hands| {
            let (reply, _) = open_with(hands, &syn(9, 1000, 7, 1), 1000);
            if ends_first {
                hands.pass(SEC / 2);
            }
            let end = piece(
                &reply,
                TcpControl::Fin,
                0,
                b"",
                if ends_first { taken } else { 0 },
            );
            hands.send(&end);
            hands.pass(SEC / 10);
            // Behind bytes that nobody has taken the end of LAST-ACK has not left yet.
            hands.send(&piece(&reply, TcpControl::None, 1, b"", taken));
            hands.pass(SEC / 10);
            hands.send(&piece(&reply, TcpControl::Rst, 1, b"", taken));
            hands.pass(SEC);
        });
        let (resets, told) = match taken {
            100 => (0, "Ok(())"),
            _ => (1, "Err(Reset)"),
        };
        assert_eq!(server.counters().resets, resets, "{ends_first} {taken}");
        assert_eq!(log.borrow().last().map(String::as_str), Some(told));
    }
}

/// RFC 9293, 3.8.3, (a): "R1 ... SHOULD correspond to at least 3 retransmissions". The path
/// loses so much that smoltcp's timer has backed off, and few tries are left before the
/// deadline of a close: until our end has left five times that is given once more, and not
/// again, whatever the peer says meanwhile.
#[test]
fn an_end_leaves_five_times_or_a_close_has_twice_as_long() {
    // Text leaves so often in these seconds, then the end, and then it is given up.
    let table = [(35, 6, 2, 60), (2, 2, 5, 60), (0, 1, 5, 30)];
    for ((seconds, texts, ends, over), talks) in table
        .into_iter()
        .flat_map(|row| [(row, false), (row, true)])
    {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        serve(server, move |mut stream| async move {
            stream.read(&mut [0; 8]).await.unwrap();
            stream.write_all(&[b'y'; 100]).await.unwrap();
            stream.acknowledged().await.unwrap();
        });
        by_hand(server, |hands| {
            let reply = hands.open(&syn(9, 1000, 7, 1));
            hands.send(&answer(&reply, TcpControl::Psh, b"get"));
            let sent = hands.pass(SEC * seconds + TICK);
            assert_eq!(bytes_of(&sent), texts * 100);
            let said = piece(&reply, TcpControl::None, 3, b"", 100);
            hands.send(&said);
            let (mut sent, mut ended) = (Vec::new(), 0);
            for second in 0..200 {
                sent.extend(hands.pass(SEC));
                if talks {
                    hands.send(&said);
                }
                if server.counters().expired == 0 {
                    ended = second + 1;
                }
            }
            let fins = sent.iter().filter(|seg| seg.control == TcpControl::Fin);
            assert_eq!(fins.count(), ends, "{talks}: {sent:?}");
            assert!(sent.iter().any(Seg::is_rst), "{talks}: {sent:?}");
            assert!((over - 1..=over + 1).contains(&ended), "{talks}: {ended}");
        });
        assert_eq!(server.counters().expired, 1, "{talks}");
        assert_eq!(server.counters().slots_used, 0, "{talks}");
    }
}

/// Who says nothing any more, or nothing new, is given up when the deadline says so: with
/// nothing of ours in flight, and with bytes.
#[test]
fn a_close_that_gets_nowhere_is_given_up_in_time() {
    for (text, acked, talks, seconds) in [
        (&b""[..], 0, false, 30),
        (b"", 1, false, 30),
        (b"what nobody takes", 0, true, 60),
    ] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        serve(server, move |mut stream| async move {
            stream.write_all(text).await.unwrap();
        });
        by_hand(server, |hands| {
            let (reply, _) = open_with(hands, &syn(9, 1000, 7, 1), 1000);
            let said = piece(&reply, TcpControl::None, 0, b"", acked);
            hands.send(&said);
            for _ in 0..=10 * seconds {
                hands.pass(SEC / 10);
                if talks {
                    hands.send(&said);
                }
            }
            assert_eq!(server.counters().expired, 1, "{text:?} {acked}");
        });
    }
}
