//! What RFC 9293 asks of every TCP and no other file here is about: the page
//! "What this TCP does and does not" of the crate's documentation names each test.

use super::packets::{icmp, icmp_kind, ipv4, packet_of};
use super::*;
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint};

/// RFC 9293, 3.1: "The window size MUST be treated as an unsigned number (MUST-1)".
#[test]
fn a_window_of_more_than_half_of_a_field_is_used() {
    for window in [32_767, 32_768, 40_000, 65_535] {
        host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 65536);
        serve(server, move |mut stream| async move {
            while stream.write_all(&[b'y'; 10_000]).await.is_ok() {}
        });
        by_hand(server, |hands| {
            let (reply, seen) = open_with(hands, &ethernet_syn(), window);
            let (mut acked, mut sent) = (0, sent_up_to(&seen, &reply));
            // All that was sent is acknowledged, so more is sent, until the window is full.
            for _ in 0..40 {
                while acked < sent {
                    acked = sent.min(acked + 1460);
                    hands.send(&Seg {
                        window,
                        ..piece(&reply, TcpControl::None, 0, b"", acked)
                    });
                }
                sent = sent.max(sent_up_to(&hands.pass(TICK), &reply));
            }
            let flight = sent - acked;
            assert!(
                (usize::from(window) - 1460..=window.into()).contains(&flight),
                "{window}: {flight}"
            );
        });
    }
}

/// RFC 9293, 3.5: "a TCP implementation MUST keep track of whether a connection has reached
/// SYN-RECEIVED state as the result of a passive OPEN or an active OPEN (MUST-11)": after a
/// reset a listener goes on, and who connects is told (3.10.7.4).
#[test]
fn a_reset_behind_two_syns_is_told_to_who_connects() {
    host!(client, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = connects(client);
    by_hand(client, |hands| {
        let ours = hands.pass(TICK).pop().unwrap();
        let mut theirs = answer(&ours, TcpControl::Syn, b"");
        (theirs.seq, theirs.ack) = (TcpSeqNumber(77), None);
        hands.send(&theirs);
        let seen = hands.pass(TICK);
        assert!(seen.iter().any(Seg::is_answer), "{seen:?}");
        hands.send(&Seg {
            seq: TcpSeqNumber(78),
            ..answer(&ours, TcpControl::Rst, b"")
        });
        assert_eq!(hands.pass(TICK), []);
        assert_eq!(client.counters().slots_used, 0);
    });
    assert_eq!(*log.borrow(), ["Err(Refused)"]);
}

/// RFC 9293, 3.10.7.4: "if the TCP endpoint is processing a series of queued segments, it
/// MUST process them all before sending any ACK segments (MUST-59)", so that they are
/// aggregated (MUST-58); an answer of the program carries that acknowledgement.
#[test]
fn segments_that_wait_together_are_acknowledged_together() {
    for echoes in [false, true] {
        host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 4096, tx: 4096);
        serve(server, move |stream| async move {
            match echoes {
                true => echo(stream).await,
                false => server.sleep(SEC * 1000).await,
            }
        });
        by_hand(server, |hands| {
            let reply = hands.open(&ethernet_syn());
            for at in 0..8 {
                hands.send(&piece(&reply, TcpControl::None, at * 100, &[b'x'; 100], 0));
            }
            let seen = hands.pass(TICK * 2);
            assert_eq!(seen.len(), 1, "{}", show(&seen, reply.seq));
            assert_eq!(seen[0].ack, Some(TcpSeqNumber(802)));
            assert_eq!(seen[0].payload.len(), 800 * usize::from(echoes));
        });
    }
}

/// RFC 9293, 3.10.7.4: "Segments with higher beginning sequence numbers SHOULD be held for
/// later processing (SHLD-31)": the peer need not send them again.
#[test]
fn a_segment_that_comes_early_is_kept() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = reads_all(server);
    by_hand(server, |hands| {
        let reply = hands.open(&syn(9, 1000, 7, 1));
        for (at, text) in [(12, &b"last"[..]), (4, b"song"), (0, b"swan")] {
            hands.send(&piece(&reply, TcpControl::Psh, at, text, 0));
            hands.pass(TICK * 2);
        }
        hands.send(&piece(&reply, TcpControl::Psh, 8, b"-the", 0));
        let seen = hands.pass(TICK * 2);
        assert_eq!(seen.last().unwrap().ack, Some(TcpSeqNumber(18)));
        hands.send(&piece(&reply, TcpControl::Fin, 16, b"", 0));
        hands.pass(TICK);
    });
    assert_ended_after(&log, "swansong-thelast");
}

/// RFC 9293, 3.9.1.2: without a PUSH flag a sender "(1) MUST NOT buffer data indefinitely
/// (MUST-60), and (2) MUST set the PSH bit in the last buffered segment (MUST-61)".
#[test]
fn the_last_segment_says_push_and_nothing_is_kept_back() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 8192);
    serve(server, move |mut stream| async move {
        stream.write_all(&[b'y'; 4000]).await.unwrap();
        server.sleep(SEC).await;
        // The first is on its way while the second is written (RFC 896).
        stream.write_all(b"one").await.unwrap();
        server.sleep(TICK).await;
        stream.write_all(b"two").await.unwrap();
        server.sleep(SEC * 1000).await;
    });
    by_hand(server, |hands| {
        let (reply, mut seen) = open_with(hands, &ethernet_syn(), 8000);
        let acked = |upto| Seg {
            window: 8000,
            ..piece(&reply, TcpControl::None, 0, b"", upto)
        };
        hands.send(&acked(sent_up_to(&seen, &reply)));
        seen.extend(hands.pass_with(TICK * 20, |seg| {
            Some(acked(sent_up_to(std::slice::from_ref(seg), &reply)))
        }));
        let pushed = |seg: &Seg| seg.control == TcpControl::Psh;
        let pushed: Vec<bool> = seen.iter().map(pushed).collect();
        assert_eq!(pushed, [false, false, true], "{}", show(&seen, reply.seq));
        let seen = hands.pass(TICK * 110);
        let [one] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(
            (&one.payload[..], one.control),
            (&b"one"[..], TcpControl::Psh)
        );
        hands.send(&piece(&reply, TcpControl::None, 0, b"", 4003));
        let seen = hands.pass(TICK);
        let [two] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(
            (&two.payload[..], two.control),
            (&b"two"[..], TcpControl::Psh)
        );
    });
}

/// RFC 9293, 3.9.1.1: an OPEN call that lets a program "LISTEN on a port while a connection
/// block with the same local port is in SYN-SENT or SYN-RECEIVED state" MUST be provided
/// (MUST-42), and a passive OPEN "MUST NOT affect any previously created connection record
/// (MUST-41)".
#[test]
fn a_port_is_listened_on_beside_connections_that_have_it() {
    host!(node, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = connects(node);
    by_hand(node, |hands| {
        let ours = hands.pass(TICK).pop().unwrap();
        let listener = node.listen(ours.from_port, Backlog(4)).unwrap();
        let answers = |hands: &mut Hands<'_>, number| {
            hands.send(&syn(number, 1000, ours.from_port, 1));
            hands.pass(TICK).into_iter().find(Seg::is_answer).unwrap()
        };
        // SYN-SENT, then also SYN-RECEIVED.
        let first = answers(hands, 7);
        answers(hands, 8);
        hands.send(&answer(&first, TcpControl::None, b""));
        hands.send(&answer(&ours, TcpControl::Syn, b""));
        let seen = hands.pass(TICK);
        assert!(seen.iter().all(|seg| !seg.is_rst()), "{seen:?}");
        assert_eq!(*log.borrow(), ["Ok(())"]);
        assert_eq!(node.counters().slots_used, 3);
        drop(listener);
    });
}

/// RFC 9293, 3.9.1.1: "the TCP implementation MUST ask the IP layer to select a local IP
/// address before sending the (first) SYN (MUST-44)"; at all other times it "MUST use the
/// same local address that was used in those previous segments (MUST-45)".
#[test]
fn a_connection_keeps_the_address_it_began_with() {
    let mut storage: cygnet::Storage<'_, 2, 1024, 1024> = cygnet::Storage::new();
    let mut futures: cygnet::TaskStorage<8, 64> = cygnet::TaskStorage::new();
    let stack = cygnet::Stack::new(&mut storage, &config(1), capabilities()).unwrap();
    let second = Ipv4Address::new(10, 1, 0, 1);
    for address in [HOST, second] {
        stack.add_address(IpCidr::new(address.into(), 24)).unwrap();
    }
    let tasks = cygnet::Tasks::new(&mut futures, leak(cygnet::ReadySet::<8>::new()));
    let node = Node::new(&stack, &tasks);
    serve(node, echo);
    let connect = async move {
        let target = IpAddress::v4(10, 1, 0, 9);
        let _ = node.connect(IpEndpoint::new(target, 80)).await;
    };
    node.spawn(Box::pin(connect)).unwrap();
    by_hand(node, |hands| {
        let asked = hands.pass(SEC * 5);
        assert!(
            asked.len() > 1 && asked.iter().all(|seg| seg.from == second),
            "{asked:?}"
        );
        let mut first = syn(9, 1000, 7, 1);
        first.to = second;
        hands.send(&first);
        let seen = hands.pass(TICK);
        let reply = seen.iter().find(|seg| seg.is_answer()).unwrap().clone();
        hands.send(&answer(&reply, TcpControl::Psh, b"hello"));
        let seen = hands.pass(SEC * 10);
        let mine: Vec<_> = seen.iter().filter(|seg| seg.to_port == 1000).collect();
        assert!(mine.len() > 2, "it is sent again: {seen:?}");
        assert!(mine.iter().all(|seg| seg.from == second));
    });
}

/// RFC 9293, 3.9.2: "a TCP implementation MUST ignore options that it does not understand
/// (MUST-50)", those of IP.
#[test]
fn options_of_ip_are_ignored() {
    for options in [
        &[1, 1, 1, 0][..],
        &[0x94, 4, 0, 0],                        // router alert (RFC 2113)
        &[7, 7, 4, 0, 0, 0, 0, 0],               // record route
        &[0x5e, 4, 9, 9],                        // of an experiment
        &[68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0], // timestamp
    ] {
        host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        let log = reads_all(server);
        let with = |seg: &Seg| {
            let mut frame = seg.frame();
            frame.splice(34..34, options.iter().copied());
            frame[14] = 0x45 + options.len() as u8 / 4;
            let length = frame.len() as u16 - 14;
            frame[16..18].copy_from_slice(&length.to_be_bytes());
            mend(&mut frame);
            frame
        };
        by_hand(server, |hands| {
            hands.send_frame(&with(&syn(9, 1000, 7, 1)));
            let seen = hands.pass(TICK);
            let reply = seen.iter().find(|seg| seg.is_answer());
            let reply = reply.unwrap_or_else(|| panic!("{options:?}: {seen:?}"));
            hands.send_frame(&with(&answer(reply, TcpControl::None, b"")));
            hands.send_frame(&with(&piece(reply, TcpControl::Psh, 0, b"swan", 0)));
            hands.send_frame(&with(&piece(reply, TcpControl::Fin, 4, b"", 0)));
            hands.pass(TICK);
        });
        assert_ended_after(&log, "swan");
    }
}

/// RFC 9293, 3.9.2.2: "TCP implementations MUST silently discard any received ICMP Source
/// Quench messages (MUST-55)"; soft errors "MUST NOT abort the connection (MUST-56)".
#[test]
fn no_message_about_what_is_on_its_way_ends_a_connection() {
    const ROUTER: Ipv4Address = Ipv4Address::new(10, 0, 0, 254);
    let messages = [
        (4, 0), // source quench
        (3, 0), // unreachable: network, host, source route failed
        (3, 1),
        (3, 5),
        (11, 0), // time exceeded
        (11, 1),
        (12, 0), // parameter problem
    ];
    // What is sent to whom acknowledges nothing for five seconds and then all of it.
    let run = |message: Option<(u8, u8)>| {
        let mut all = Vec::new();
        host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 8192);
        let log = Log::default();
        let theirs = log.clone();
        serve(server, move |mut stream| async move {
            stream.write_all(&[b'y'; 1400]).await.unwrap();
            let told = stream.acknowledged().await;
            theirs.borrow_mut().push(format!("{told:?}"));
            server.sleep(SEC * 1000).await;
        });
        by_hand(server, |hands| {
            let (reply, seen) = open_with(hands, &ethernet_syn(), 8000);
            if let Some((kind, code)) = message {
                let quoted = packet_of(&seen[0]);
                let mut body = vec![0; 4];
                body.extend(&quoted[..28]);
                hands.send_frame(&ipv4(ROUTER, 1, &icmp(kind, code, &body)));
            }
            all.extend(hands.pass(SEC * 5));
            hands.send(&piece(&reply, TcpControl::None, 0, b"", 1400));
            all.extend(hands.pass(SEC));
            assert!(hands.others.iter().all(|frame| icmp_kind(frame).is_none()));
        });
        assert_eq!(*log.borrow(), ["Ok(())"], "{message:?}");
        all
    };
    let without = run(None);
    for message in messages {
        assert_eq!(run(Some(message)), without, "{message:?}");
    }
}

/// No program is told what is urgent (RFC 9293, 3.8.5, MUST-30 to MUST-33, is not kept);
/// but it is text as all other, and nothing of it is lost, wherever the pointer leads.
#[test]
fn what_is_urgent_is_text() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = reads_all(server);
    by_hand(server, |hands| {
        let reply = hands.open(&syn(9, 1000, 7, 1));
        for (at, pointer) in [(0, 1u16), (4, 4), (8, 0), (12, 60_000)] {
            let mut frame = piece(&reply, TcpControl::Psh, at, b"swan", 0).frame();
            frame[47] |= 0x20;
            frame[52..54].copy_from_slice(&pointer.to_be_bytes());
            mend(&mut frame);
            hands.send_frame(&frame);
            hands.pass(TICK);
        }
        hands.send(&piece(&reply, TcpControl::Fin, 16, b"", 0));
        hands.pass(TICK);
    });
    assert_ended_after(&log, &"swan".repeat(4));
}
