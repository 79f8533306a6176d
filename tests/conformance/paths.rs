//! A path narrower than the link. Segments are never fragmented on the way, so
//! what a router cannot pass on must be sent in smaller pieces, and what it says
//! is believed only if it quotes something that is on its way.

use super::packets::{ipv4, packet_of, too_big};
use super::*;

const ROUTER: Ipv4Address = Ipv4Address::new(10, 0, 0, 254);

/// A server that writes this much to a peer with an MSS of 1,460; gives the SYN-ACK
/// and what it sends at once.
fn pours(hands: &mut Hands<'_>, number: u8) -> (Seg, Vec<Seg>) {
    let mut first = syn(number, 1000, 7, 1);
    first.mss = Some(1460);
    open_with(hands, &first, 8000)
}

fn writer(node: Node<'_>, bytes: usize) {
    let task = async move {
        let listener = node.listen(7, Backlog(2)).unwrap();
        while let Ok((mut stream, _)) = listener.accept().await {
            let task = async move {
                let _ = stream.write_all(&vec![b'y'; bytes]).await;
                node.sleep(SEC * 1000).await;
            };
            let _ = node.spawn(Box::pin(task));
        }
    };
    node.spawn(Box::pin(task)).unwrap();
}

/// The same for each that comes, and holds no stream.
fn drops(node: Node<'_>) {
    let task = async move {
        let listener = node.listen(7, Backlog(2)).unwrap();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(&[b'y'; 3000]).await;
        }
    };
    node.spawn(Box::pin(task)).unwrap();
}

fn big(seen: &[Seg]) -> &Seg {
    seen.iter().find(|seg| seg.payload.len() == 1460).unwrap()
}

/// RFC 1191, 3: a host that gets "fragmentation needed" reduces its estimate for the
/// path; RFC 1122, 3.2.2.1: "A Destination Unreachable message that is received MUST be
/// reported to the transport layer."
#[test]
fn c030_a_narrower_path_is_learned() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
    writer(server, 3000);
    by_hand(server, |hands| {
        let (reply, seen) = pours(hands, 9);
        hands.send_frame(&ipv4(ROUTER, 1, &too_big(&packet_of(big(&seen)), 1280)));
        let again = hands.pass(SEC * 30);
        assert!(!again.is_empty());
        let fits = again.iter().all(|seg| seg.payload.len() <= 1240);
        assert!(fits, "{}", show(&again, reply.seq));
        // All of it gets there.
        hands.pass_with(SEC * 30, |seg| {
            let at = seg.seq.0.wrapping_sub(reply.seq.0 + 1) as usize;
            Some(piece(
                &reply,
                TcpControl::None,
                0,
                b"",
                at + seg.payload.len(),
            ))
        });
        hands.send(&piece(&reply, TcpControl::None, 0, b"", 3000));
        assert_eq!(hands.pass(SEC * 5), []);
    });
}

/// The next flow to that peer knows it, one to another peer does not.
#[test]
fn a_narrower_path_is_known_to_the_next_connection() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
    writer(server, 3000);
    by_hand(server, |hands| {
        let (_, seen) = pours(hands, 9);
        hands.send_frame(&ipv4(ROUTER, 1, &too_big(&packet_of(big(&seen)), 1280)));
        hands.pass(TICK);
        let mut first = syn(9, 1001, 7, 1);
        first.mss = Some(1460);
        let (_, seen) = open_with(hands, &first, 8000);
        assert!(
            seen.iter()
                .all(|seg| seg.to_port != 1001 || seg.payload.len() <= 1240)
        );
        let (_, seen) = pours(hands, 8);
        assert!(seen.iter().any(|seg| seg.payload.len() == 1460));
    });
}

/// What was known of a path goes with its connection, and with the host's memory.
#[test]
fn another_connection_in_the_same_slot_and_another_boot_know_nothing_of_it() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
    drops(server);
    by_hand(server, |hands| {
        let (reply, seen) = pours(hands, 9);
        hands.send_frame(&ipv4(ROUTER, 1, &too_big(&packet_of(big(&seen)), 1280)));
        hands.pass(TICK);
        hands.send(&piece(&reply, TcpControl::Rst, 0, b"", 0));
        hands.pass(TICK);
        big(&pours(hands, 8).1);
        server.reboot([7; 16]);
        hands.pass(TICK);
        drops(server);
        hands.pass(TICK);
        big(&pours(hands, 9).1);
    });
}

/// A handshake has nothing on its way that could be too big.
#[test]
fn a_message_about_a_handshake_is_not_believed() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
    writer(server, 3000);
    by_hand(server, |hands| {
        let mut first = syn(9, 1000, 7, 1);
        first.mss = Some(1460);
        hands.send(&first);
        let reply = hands.pass(TICK).into_iter().find(Seg::is_answer).unwrap();
        for seq in [0, reply.seq.0] {
            let mut quoted = reply.clone();
            quoted.seq = smoltcp::wire::TcpSeqNumber(seq);
            hands.send_frame(&ipv4(ROUTER, 1, &too_big(&packet_of(&quoted), 576)));
            hands.pass(TICK);
        }
        let third = Seg {
            window: 8000,
            ..answer(&reply, TcpControl::None, b"")
        };
        hands.send(&third);
        big(&hands.pass(TICK));
    });
}

/// RFC 1191, 5: an old router says 0; "if the Next-Hop MTU field is zero", a host
/// searches, by a table or otherwise.
#[test]
fn a_router_that_says_no_number_is_understood() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
    writer(server, 3000);
    by_hand(server, |hands| {
        let (reply, seen) = pours(hands, 9);
        hands.send_frame(&ipv4(ROUTER, 1, &too_big(&packet_of(big(&seen)), 0)));
        let again = hands.pass(SEC * 30);
        let fits = again.iter().all(|seg| seg.payload.len() < 1460);
        assert!(!again.is_empty() && fits, "{}", show(&again, reply.seq));
    });
}

/// RFC 5927, 4.1: "TCP SHOULD check that the TCP sequence number contained in the
/// payload of the ICMP error message is within the range SND.UNA =< SEG.SEQ <
/// SND.NXT." And one path's trouble is no other's.
#[test]
fn a_message_that_quotes_nothing_in_flight_is_not_believed() {
    let lies: [fn(&mut Vec<u8>); 6] = [
        |packet| packet[24] ^= 0x40, // sequence number
        |packet| packet[20] ^= 1,    // our port
        |packet| packet[23] ^= 1,    // the peer's
        |packet| packet[19] ^= 1,    // the peer
        |packet| packet[15] ^= 1,    // us
        |packet| packet[9] = 17,     // UDP
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
        writer(server, 3000);
        by_hand(server, |hands| {
            let (_, seen) = pours(hands, 9);
            let mut packet = packet_of(big(&seen));
            lie(&mut packet);
            hands.send_frame(&ipv4(ROUTER, 1, &too_big(&packet, 576)));
            let again = hands.pass(SEC * 5);
            let full = again.iter().any(|seg| seg.payload.len() == 1460);
            assert!(full, "lie {number}: believed");
        });
    }
}

/// A message that is damaged, or lies about its numbers, makes nothing smaller than
/// sense allows: RFC 1191, 3: "A host MUST never reduce its estimate of the Path MTU
/// below 68 octets"; and RFC 5927 reckons with hosts that keep to 552 or so.
#[test]
fn a_message_makes_nothing_tiny_and_a_damaged_one_nothing_at_all() {
    for (mtu, damaged) in [(68, false), (1, false), (1280, true)] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
        writer(server, 3000);
        by_hand(server, |hands| {
            let (reply, seen) = pours(hands, 9);
            let mut message = too_big(&packet_of(big(&seen)), mtu);
            message[7] ^= u8::from(damaged);
            hands.send_frame(&ipv4(ROUTER, 1, &message));
            let again = hands.pass(SEC * 5);
            let least = if damaged { 1460 } else { 500 };
            let large = again.iter().any(|seg| seg.payload.len() >= least);
            assert!(large, "{mtu}: {}", show(&again, reply.seq));
        });
    }
}

/// RFC 1191, 3: a host "MUST NOT increase its estimate of the Path MTU in response to
/// the contents of a Datagram Too Big message".
#[test]
fn a_message_makes_nothing_larger() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
    writer(server, 3000);
    by_hand(server, |hands| {
        let mut first = syn(9, 1000, 7, 1);
        first.mss = Some(500);
        let (reply, seen) = open_with(hands, &first, 8000);
        hands.send_frame(&ipv4(ROUTER, 1, &too_big(&packet_of(&seen[0]), 1400)));
        let again = hands.pass(SEC * 5);
        let small = again.iter().all(|seg| seg.payload.len() <= 500);
        assert!(small, "{}", show(&again, reply.seq));
    });
}

/// What gets through a path that swallows packets longer than this, within two minutes.
fn through(widest: usize, config: impl Fn(&mut cygnet::Config)) -> (usize, usize) {
    let mut settings = harness::config(1);
    config(&mut settings);
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096, parked: 0, config: settings);
    writer(server, 3000);
    let (got, lost) = (Cell::new(0), Cell::new(0));
    by_hand(server, |hands| {
        let (reply, seen) = pours(hands, 9);
        let answer = |seg: &Seg| {
            if seg.payload.is_empty() {
                return None;
            }
            if seg.payload.len() + 40 > widest {
                lost.set(lost.get() + 1);
                return None;
            }
            let at = seg.seq.0.wrapping_sub(reply.seq.0 + 1) as usize;
            if at == got.get() {
                got.set(at + seg.payload.len());
            }
            Some(piece(&reply, TcpControl::None, 0, b"", got.get()))
        };
        for seg in &seen {
            if let Some(said) = answer(seg) {
                hands.send(&said);
            }
        }
        hands.pass_with(SEC * 120, answer);
    });
    (got.get(), lost.get())
}

/// RFC 4821, 3: a host has to find out for itself about a path on which too long packets
/// vanish without a word.
#[test]
fn a_path_that_swallows_without_a_word_is_found_out() {
    for widest in [1500, 1400, 1260, 1000, 576] {
        let (got, lost) = through(widest, |_| ());
        assert_eq!(got, 3000, "{widest}: {lost} lost");
        assert_eq!(lost > 0, widest < 1500, "{widest}");
    }
}

/// The peer may talk all the while: what it says acknowledges nothing. Three timeouts in
/// vain take 7 seconds, and two more 31.
#[test]
fn a_path_that_swallows_is_found_out_while_the_peer_talks() {
    for (widest, seconds) in [(1400, 8), (1000, 33)] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
        writer(server, 1460);
        by_hand(server, |hands| {
            let (reply, _) = pours(hands, 9);
            let got = Cell::new(0);
            let says = |acked| piece(&reply, TcpControl::None, 0, b"", acked);
            let answer = |seg: &Seg| {
                if seg.payload.is_empty() || seg.payload.len() + 40 > widest {
                    return None;
                }
                let at = seg.seq.0.wrapping_sub(reply.seq.0 + 1) as usize;
                if at == got.get() {
                    got.set(at + seg.payload.len());
                }
                Some(says(got.get()))
            };
            for second in 0..seconds {
                // One byte of text, and not the same again.
                let text = piece(&reply, TcpControl::Psh, second, b"t", got.get());
                hands.send(&text);
                hands.pass_with(SEC, answer);
            }
            assert_eq!(got.get(), 1460, "{widest}");
        });
    }
}

/// Whoever knows of it can say so.
#[test]
fn no_segment_is_longer_than_the_ceiling() {
    for (widest, ceiling) in [(1260, 1220), (576, 536), (1400, 1)] {
        let (got, lost) = through(widest, |config| config.mss_ceiling = ceiling);
        assert_eq!((got, lost), (3000, 0), "{widest} {ceiling}");
    }
}
