//! Where a peer is: it may move while we send, say so or not, and somebody may have
//! lied about it. And whose our own address is.

use super::*;

const NINE: Ipv4Address = Ipv4Address::new(10, 0, 0, 9);
const EVERYBODY: EthernetAddress = EthernetAddress::BROADCAST;
const NEW: EthernetAddress = EthernetAddress([2, 9, 9, 9, 9, 9]);

fn writes(node: Node<'_>) {
    serve(node, move |mut stream| async move {
        stream.write_all(&[b'y'; 100]).await.unwrap();
        node.sleep(SEC * 1000).await;
    });
}

/// RFC 1122, 2.3.2.1: "An implementation of the Address Resolution Protocol (ARP) MUST
/// provide a mechanism to flush out-of-date cache entries." The peer's, or the gateway's,
/// hardware address changes, and it says so.
#[test]
fn c239_a_peer_that_moves_and_says_so_is_followed() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    writes(server);
    by_hand(server, |hands| {
        open_with(hands, &syn(9, 1000, 7, 1), 1000);
        hands.send_frame(&arp(ArpOperation::Reply, NINE, NEW));
        hands.send_frame(&arp(ArpOperation::Request, NINE, NEW));
        answer_from(hands, NEW, SEC * 20);
        assert!(hands.sent_to.contains(&NEW), "{:?}", hands.sent_to);
    });
}

/// One that says nothing is asked after it has been silent for two timeouts, and answers.
#[test]
fn a_peer_that_moves_silently_is_asked_for() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    writes(server);
    by_hand(server, |hands| {
        open_with(hands, &syn(9, 1000, 7, 1), 1000);
        hands.asked.clear();
        answer_from(hands, NEW, SEC * 20);
        assert!(hands.asked.contains(&NINE), "nobody asked");
        assert!(hands.sent_to.contains(&NEW), "{:?}", hands.sent_to);
    });
}

/// RFC 1122, 2.3.2.1: "Actively poll the remote host by periodically sending a point-to-point
/// ARP Request to it"; "The recommended maximum rate is 1 per second per destination". First
/// the peer itself is asked, and a second later everybody, so that not all of a network hears
/// of a peer that is only slow; at each repetition after that everybody, twice, because a
/// question may be lost. Of an end alone it is asked at its first repetition.
#[test]
fn a_silent_peer_is_asked_itself_and_then_everybody() {
    // It repeats text after 1, 3, 7, 15 seconds, an end after 1, 3, 7.
    let (of_text, of_an_end) = (&[3, 4, 7, 8, 15, 16][..], &[1, 2, 4, 7, 8, 15, 16][..]);
    for (text, seconds) in [(&b"text"[..], of_text), (b"", of_an_end)] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        serve(server, move |mut stream| async move {
            stream.write_all(text).await.unwrap();
            stream.shutdown();
            server.sleep(SEC * 1000).await;
        });
        by_hand(server, |hands| {
            open_with(hands, &syn(9, 1000, 7, 1), 1000);
            hands.mute = true;
            let began = hands.now;
            let asked = questions(hands, began + SEC * 16 + TICK * 50);
            let at = |(at, _): &(Instant, _)| (*at - began).secs();
            assert!(
                asked.iter().map(at).eq(seconds.iter().copied()),
                "{asked:?}"
            );
            assert_eq!(asked[0].1, mac(NINE));
            assert!(asked[1..].iter().all(|(_, whom)| *whom == EVERYBODY));

            hands.send_frame(&arp(ArpOperation::Reply, NINE, NEW));
            hands.sent_to.clear();
            let now = hands.now;
            assert_eq!(questions(hands, now + SEC), [], "{text:?}");
            hands.pass(SEC * 20);
            assert_eq!(hands.sent_to.first(), Some(&NEW), "{text:?}");
        });
    }
}

/// When the host asked for 10.0.0.9, and whom.
fn questions(hands: &mut Hands<'_>, until: Instant) -> Vec<(Instant, EthernetAddress)> {
    let mut asked = Vec::new();
    hands.raw = Some(Vec::new());
    while hands.now < until {
        hands.pass(TICK);
        let frames = hands.raw.as_mut().unwrap().drain(..);
        let questions = frames.filter(|frame| frame[12..14] == [8, 6] && frame[20..22] == [0, 1]);
        asked.extend(questions.map(|frame| {
            assert_eq!(frame[38..42], NINE.octets());
            (hands.now, EthernetAddress::from_bytes(&frame[..6]))
        }));
    }
    hands.raw = None;
    asked
}

/// Lets time pass; whoever asks for 10.0.0.9 is told that it is at `hardware`.
fn answer_from(hands: &mut Hands<'_>, hardware: EthernetAddress, time: Duration) {
    hands.mute = true;
    let until = hands.now + time;
    let mut answered = hands.asked.len();
    hands.sent_to.clear();
    while hands.now < until {
        hands.pass(TICK * 10);
        if hands.asked.len() > answered {
            answered = hands.asked.len();
            hands.send_frame(&arp(ArpOperation::Reply, NINE, hardware));
        }
    }
    hands.mute = false;
}

/// A first answer that was wrong, or whose bits were flipped below every checksum, is not
/// kept for all of a connect.
#[test]
fn a_wrong_neighbor_is_not_kept_for_all_of_a_connect() {
    host!(client, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = Log::default();
    let theirs = log.clone();
    let part = async move {
        let got = client.connect(v4(9, 80)).await;
        theirs.borrow_mut().push(format!("{:?}", got.map(|_| ())));
    };
    client.spawn(Box::pin(part)).unwrap();
    by_hand(client, |hands| {
        answer_from(hands, EthernetAddress([2, 1, 0, 0, 0, 0x49]), TICK * 30);
        assert!(!hands.sent_to.is_empty());
        hands.sent_to.clear();
        hands.pass_with(SEC * 30, |seg| {
            let mut reply = answer(seg, TcpControl::Syn, b"");
            reply.seq = TcpSeqNumber(5);
            Some(reply)
        });
        assert!(hands.sent_to.contains(&mac(NINE)), "{:?}", hands.sent_to);
    });
    assert_eq!(*log.borrow(), ["Ok(())"]);
}

/// What nobody asked for is believed by no open connection that gets on.
#[test]
fn who_gets_on_is_not_moved_by_what_others_say() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    serve(server, echo);
    by_hand(server, |hands| {
        let (reply, _) = open_with(hands, &syn(9, 1000, 7, 1), 1000);
        let mut exact = answer(&reply, TcpControl::Psh, b"hello");
        for _ in 0..50 {
            hands.send_frame(&arp(ArpOperation::Reply, NINE, NEW));
            hands.send_frame(&arp(ArpOperation::Request, NINE, NEW));
            hands.sent_to.clear();
            hands.send(&exact);
            let seen = hands.pass(TICK * 5);
            let echoed = seen.iter().find(|seg| !seg.payload.is_empty()).unwrap();
            exact = answer(echoed, TcpControl::Psh, b"hello");
            assert!(!hands.sent_to.contains(&NEW));
        }
    });
}

/// RFC 5227, 2.1: "Before beginning to use an IPv4 address ... a host implementing this
/// specification MUST test to see if the address is already in use, by broadcasting ARP
/// Probe packets": questions from no address for ours.
#[test]
fn an_address_is_asked_for_before_it_is_used() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server.remove_address(HOST.into());
    let claims = async move {
        let ours = IpCidr::new(HOST.into(), 24);
        server.claim_address(ours).await.unwrap();
        server.sleep(SEC * 1000).await;
    };
    server.spawn(Box::pin(claims)).unwrap();
    by_hand(server, |hands| {
        hands.mute = true;
        hands.pass(SEC * 10);
        // Three questions, and two announcements, which ask for what they name.
        let asked = hands.asked.iter().filter(|&&addr| addr == HOST).count();
        assert_eq!(asked, 3 + 2);
    });
}

/// RFC 5227, 2.4: whoever is about to take our address is told.
#[test]
fn c068_our_address_is_defended() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    by_hand(server, |hands| {
        hands.send_frame(&arp(ArpOperation::Request, Ipv4Address::UNSPECIFIED, NEW));
        hands.pass(TICK);
        assert_eq!(hands.arps, 1);
    });
}

/// A bit of a frame's source was flipped, where no checksum is. What the peer then says
/// again shows where it is, also when nothing of it is new.
#[test]
fn an_end_said_again_is_answered_to_where_it_came_from() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = reads_all(server);
    by_hand(server, |hands| {
        let (reply, _) = open_with(hands, &syn(9, 1000, 7, 1), 1000);
        let end = piece(&reply, TcpControl::Fin, 0, b"", 0);
        let mut damaged = end.frame();
        damaged[6..12].copy_from_slice(NEW.as_bytes());
        hands.sent_to.clear();
        hands.send_frame(&damaged);
        hands.pass(TICK * 20);
        assert!(hands.sent_to.contains(&NEW), "{:?}", hands.sent_to);
        hands.sent_to.clear();
        hands.send(&end);
        hands.pass(TICK * 20);
        assert!(
            !hands.sent_to.is_empty() && !hands.sent_to.contains(&NEW),
            "{:?}",
            hands.sent_to
        );
    });
    assert_ended_after(&log, "");
}

/// Somebody who does not know the numbers turns nothing elsewhere by a segment that is old.
#[test]
fn an_old_segment_of_somebody_else_turns_nothing_elsewhere() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = reads_all(server);
    by_hand(server, |hands| {
        let (reply, _) = open_with(hands, &syn(9, 1000, 7, 1), 1000);
        let text = piece(&reply, TcpControl::None, 0, b"abcd", 0);
        hands.send(&text);
        hands.pass(TICK * 20);
        for (at, acked, text) in [(-1, 0, &b"abcd"[..]), (0, -1, b"abcd"), (0, 0, b"abc")] {
            let mut old = piece(&reply, TcpControl::None, at, text, 0);
            old.ack = old.ack.map(|ack| TcpSeqNumber(ack.0.wrapping_add(acked)));
            let mut theirs = old.frame();
            theirs[6..12].copy_from_slice(NEW.as_bytes());
            hands.send_frame(&theirs);
            hands.sent_to.clear();
            hands.pass(SEC * 2);
            assert!(!hands.sent_to.contains(&NEW), "{at} {acked}");
        }
        hands.send(&piece(&reply, TcpControl::Fin, 4, b"", 0));
        hands.pass(TICK * 20);
    });
    assert_ended_after(&log, "abcd");
}

/// Before our SYN is answered there are no numbers that only the peer knows, and zero is
/// none.
#[test]
fn nothing_turns_a_connect_elsewhere_before_it_is_answered() {
    host!(client, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let part = async move {
        let _ = client.connect(v4(9, 80)).await;
    };
    client.spawn(Box::pin(part)).unwrap();
    by_hand(client, |hands| {
        let asks = hands.pass(TICK).pop().unwrap();
        let mut zeros = answer(&asks, TcpControl::None, b"");
        (zeros.seq, zeros.ack) = (TcpSeqNumber(0), Some(TcpSeqNumber(0)));
        let mut theirs = zeros.frame();
        theirs[6..12].copy_from_slice(NEW.as_bytes());
        hands.sent_to.clear();
        hands.send_frame(&theirs);
        hands.pass(SEC * 2);
        assert!(!hands.sent_to.is_empty());
        assert!(!hands.sent_to.contains(&NEW), "{:?}", hands.sent_to);
    });
}
