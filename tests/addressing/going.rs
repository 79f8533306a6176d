//! Addresses that go: retired, and removed with what is open from them.

use super::*;
use cygnet::ReadError;
use harness::peer::answer;
use harness::v4;
use smoltcp::wire::TcpControl;

/// Serves one connection of port 7 with what it reads, for ever.
fn echoes(node: Node<'_>) -> Log<Result<usize, ReadError>> {
    let log = Log::default();
    let theirs = log.clone();
    let part = async move {
        let listener = node.listen(7, Backlog(2)).unwrap();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let log = theirs.clone();
            let serve = async move {
                let mut buf = [0; 64];
                loop {
                    let got = stream.read(&mut buf).await;
                    log.borrow_mut().push((node.now(), got));
                    let Ok(count @ 1..) = got else { return };
                    if stream.write_all(&buf[..count]).await.is_err() {
                        return;
                    }
                }
            };
            node.spawn(Box::pin(serve)).unwrap();
        }
    };
    node.spawn(Box::pin(part)).unwrap();
    log
}

/// A connection of a retired address goes on; nothing new begins; with its last connection
/// the address is gone.
#[test]
fn what_is_open_from_a_retired_address_ends_in_order() {
    host!(node, 1, slots: 3, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    echoes(node);
    by_hand(node, |hands| {
        hands.pass(TICK);
        let reply = hands.open(&syn(9, 1000, 7, 1));
        assert!(node.retire_address(HOST.into()));
        assert!(!node.retire_address(HOST.into()), "twice");
        // Nothing new.
        hands.send(&syn(9, 1001, 7, 1));
        assert_eq!(hands.pass(TICK), []);
        // The old one goes on, and is still found by who asks.
        hands.send(&answer(&reply, TcpControl::Psh, b"still here"));
        let seen = hands.pass(TICK * 20);
        let echo = seen.iter().find(|seg| !seg.payload.is_empty()).unwrap();
        assert_eq!(echo.payload, b"still here");
        let before = hands.arps;
        hands.send_frame(&arp(
            ArpOperation::Request,
            Ipv4Address::new(10, 0, 0, 9),
            OTHER,
        ));
        hands.pass(TICK);
        assert_eq!(hands.arps, before + 1, "its neighbors find it");
        // The peer closes; that was the last.
        hands.send(&answer(echo, TcpControl::Fin, b""));
        let seen = hands.pass(TICK * 20);
        let fin = seen
            .iter()
            .find(|seg| seg.control == TcpControl::Fin)
            .unwrap();
        hands.send(&answer(fin, TcpControl::None, b""));
        hands.pass(SEC);
        let before = hands.arps;
        hands.send_frame(&arp(
            ArpOperation::Request,
            Ipv4Address::new(10, 0, 0, 9),
            OTHER,
        ));
        hands.pass(TICK);
        assert_eq!(hands.arps, before, "forgotten with its last connection");
    });
}

/// RFC 5227, 2.4: "hosts SHOULD actively attempt to reset any existing connections using
/// that address" when they give it up; the program hears of it.
#[test]
fn what_is_open_from_a_removed_address_is_reset() {
    host!(node, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = echoes(node);
    by_hand(node, |hands| {
        hands.pass(TICK);
        hands.open(&syn(9, 1000, 7, 1));
        // Another one is still shaking hands.
        hands.send(&syn(9, 1001, 7, 1));
        hands.pass(TICK);
        assert!(node.remove_address(HOST.into()));
        assert!(!node.remove_address(HOST.into()), "twice");
        let seen = hands.pass(TICK * 5);
        let resets: Vec<_> = seen.iter().filter(|seg| seg.is_rst()).collect();
        assert!(resets.iter().any(|seg| seg.to_port == 1000), "{seen:?}");
        let ends: Vec<_> = log.borrow().iter().map(|(_, got)| *got).collect();
        assert_eq!(ends, [Err(ReadError::TimedOut)]);
        // Nothing is left of either, and nothing more is said from the address.
        hands.send(&syn(9, 1002, 7, 1));
        assert_eq!(hands.pass(SEC * 60), []);
        assert_eq!(node.counters().slots_used, 0);
    });
}

/// Both retired and then removed: its connections are reset, it is gone.
#[test]
fn a_retired_address_can_be_removed() {
    host!(node, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = echoes(node);
    by_hand(node, |hands| {
        hands.pass(TICK);
        hands.open(&syn(9, 1000, 7, 1));
        assert!(node.retire_address(HOST.into()));
        hands.pass(SEC);
        assert!(log.borrow().is_empty());
        assert!(node.remove_address(HOST.into()));
        hands.pass(SEC);
        assert!(matches!(log.borrow()[..], [(_, Err(ReadError::TimedOut))]));
        assert_eq!(node.counters().slots_used, 0);
    });
}

/// A connection of ours that nobody has answered ends with an error when its address goes.
#[test]
fn a_connect_from_an_address_that_goes_says_so() {
    host!(node, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = Log::default();
    let theirs = log.clone();
    let part = async move {
        let got = node.connect(v4(9, 80)).await;
        theirs.borrow_mut().push((node.now(), got.map(|_| ())));
    };
    node.spawn(Box::pin(part)).unwrap();
    by_hand(node, |hands| {
        hands.pass(SEC);
        node.remove_address(HOST.into());
        hands.pass(SEC);
        assert!(matches!(log.borrow()[..], [(_, Err(_))]), "{log:?}");
        assert_eq!(node.counters().slots_used, 0);
    });
}
