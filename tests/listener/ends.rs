//! How a listener ends, and what becomes of who waits there.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

#[test]
fn close_lets_the_queue_be_accepted_and_refuses_the_rest() {
    for target in targets(1, 7) {
        pair!(server, client);
        let wire: Wire<32> = Wire::new(LAN);
        let serve = async {
            let listener = server.listen(7, Backlog(4)).unwrap();
            server.sleep(secs(2)).await;
            listener.close();
            server.sleep(secs(2)).await;
            // The port may be listened on again while the queue is emptied.
            let again = server.listen(7, Backlog(1)).unwrap();
            drop(again);
            let mut held = Vec::new();
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                assert_eq!(stream.read(&mut [0; 9]).await, Ok(2));
                held.push(stream);
            }
            assert_eq!(listener.accept().await.err(), Some(AcceptError::Closed));
            assert_eq!(listener.accept().await.err(), Some(AcceptError::Closed));
        };
        let ask = async {
            let mut held = Vec::new();
            for _ in 0..2 {
                let mut stream = client.connect(target).await.unwrap();
                stream.write_all(b"hi").await.unwrap();
                held.push(stream);
            }
            client.sleep(secs(3)).await;
            let refused = client.connect(target).await.map(|_| ());
            assert_eq!(refused, Err(ConnectError::Refused));
            client.sleep(secs(3)).await;
        };
        play(&wire, server, client, serve, ask);
        assert_eq!(client.counters().resets, 0);
    }
}

#[test]
fn a_close_during_a_handshake_lets_it_finish_or_end() {
    for finishes in [true, false] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 512, tx: 512);
        let log = RefCell::new(Vec::new());
        server
            .spawn(Box::pin(async {
                let listener = server.listen(7, Backlog(4)).unwrap();
                let close = async {
                    server.sleep(secs(1)).await;
                    listener.close();
                };
                let accept = async {
                    loop {
                        match listener.accept().await {
                            Ok(_) => log.borrow_mut().push("accepted"),
                            Err(AcceptError::Closed) => return log.borrow_mut().push("closed"),
                            Err(error) => panic!("{error}"),
                        }
                    }
                };
                futures_util::future::join(close, accept).await;
            }))
            .unwrap();
        by_hand(server, |hands| {
            hands.pass(TICK);
            hands.send(&syn(9, 1000, 7, 1));
            let reply = hands.pass(TICK).pop().unwrap();
            hands.pass(secs(2));
            assert!(log.borrow().is_empty());
            if finishes {
                hands.send(&answer(&reply, TcpControl::None, b""));
            }
            hands.pass(secs(20));
        });
        let expected: &[&str] = if finishes {
            &["accepted", "closed"]
        } else {
            &["closed"]
        };
        assert_eq!(*log.borrow(), expected);
    }
}

#[test]
fn dropping_a_listener_resets_what_was_not_accepted() {
    for target in targets(1, 7) {
        pair!(server, client);
        let wire: Wire<32> = Wire::new(LAN);
        let serve = async {
            let listener = server.listen(7, Backlog(4)).unwrap();
            server.sleep(secs(2)).await;
            assert_eq!(server.counters().slots_used, 2);
            drop(listener);
            server.sleep(secs(2)).await;
            assert_eq!(server.counters().slots_used, 0);
            let again = server.listen(7, Backlog(4)).unwrap();
            again.accept().await.unwrap();
        };
        let ask = async {
            let mut one = client.connect(target).await.unwrap();
            let mut two = client.connect(target).await.unwrap();
            assert_eq!(one.read(&mut [0]).await, Err(ReadError::Reset));
            assert_eq!(two.read(&mut [0]).await, Err(ReadError::Reset));
            client.sleep(secs(3)).await;
            client.connect(target).await.unwrap();
        };
        play(&wire, server, client, serve, ask);
    }
}

#[test]
fn dropping_a_listener_resets_the_half_open() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 512, tx: 512);
    server
        .spawn(Box::pin(async {
            let listener = server.listen(7, Backlog(4)).unwrap();
            server.sleep(secs(2)).await;
            drop(listener);
            server.sleep(secs(60)).await;
        }))
        .unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        hands.send(&syn(9, 1000, 7, 1));
        assert!(hands.pass(secs(1)).iter().all(|seg| seg.is_answer()));
        assert!(hands.pass(secs(2)).last().unwrap().is_rst());
        assert_eq!(server.counters().slots_used, 0);
    });
}

#[test]
fn a_closed_port_resets() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 512, tx: 512);
    server.spawn(Box::pin(server.sleep(secs(60)))).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        hands.send(&syn(9, 1000, 7, 1));
        // The first reset meets an unknown neighbor and is lost.
        hands.pass(TICK);
        hands.send(&syn(9, 1000, 7, 1));
        assert!(hands.pass(TICK)[0].is_rst());
        assert_eq!(server.counters().slots_high, 0);
    });
}

/// Whoever has a handle keeps the port; a stale one of before a reboot has none.
#[test]
fn the_last_handle_frees_the_port() {
    pair!(server, client);
    let wire: Wire<32> = Wire::new(LAN);
    let target = targets(1, 7)[0];
    let serve = async {
        let first = server.listen(7, Backlog(4)).unwrap();
        let (second, third) = (first.clone(), first.clone());
        drop(first);
        for listener in [second, third] {
            let taken = server.listen(7, Backlog(1)).err();
            assert_eq!(taken, Some(ListenError::InUse));
            let (mut stream, _) = listener.accept().await.unwrap();
            assert_eq!(stream.read(&mut [0; 9]).await, Ok(2));
        }
        server.sleep(secs(1)).await;
        let stale = server.listen(7, Backlog(1)).unwrap();
        let other = stale.clone();
        stale.close();
        assert_eq!(other.accept().await.err(), Some(AcceptError::Closed));
        server.reboot([5; 16]);
        let listener = server.listen(7, Backlog(1)).unwrap();
        drop((stale.clone(), stale, other));
        let taken = server.listen(7, Backlog(1)).err();
        assert_eq!(taken, Some(ListenError::InUse));
        drop(listener);
        drop(server.listen(7, Backlog(1)).unwrap());
    };
    let ask = async {
        for _ in 0..2 {
            let mut stream = client.connect(target).await.unwrap();
            stream.write_all(b"hi").await.unwrap();
            stream.close().await.unwrap();
        }
    };
    play(&wire, server, client, serve, ask);
}

#[test]
fn a_handle_more_than_can_be_counted_is_closed() {
    pair!(server, _client);
    let first = server.listen(7, Backlog(1)).unwrap();
    let mut others = vec![first.clone(); usize::from(u16::MAX)];
    let more = first.clone();
    let mut cx = Context::from_waker(Waker::noop());
    let closed = pin!(more.accept()).poll(&mut cx);
    assert!(matches!(closed, Poll::Ready(Err(AcceptError::Closed))));
    assert!(pin!(first.accept()).poll(&mut cx).is_pending());
    drop((more, first));
    others.truncate(1);
    let taken = server.listen(7, Backlog(1)).err();
    assert_eq!(taken, Some(ListenError::InUse));
    drop(others);
    drop(server.listen(7, Backlog(1)).unwrap());
}
