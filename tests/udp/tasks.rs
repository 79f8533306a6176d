//! Tasks that wait: who is woken, what a dropped future leaves, and what a reboot ends.

#[cfg(feature = "observer")]
use cygnet::event::{Event, Observer};
use cygnet::{RecvError, SendError};
use futures_util::FutureExt;
#[cfg(feature = "observer")]
use smoltcp::time::Instant;
use std::cell::RefCell;
use std::rc::Rc;

use crate::hands::{Packet, by_hand, datagrams};
use crate::harness::{give_up_after, v4};

type Seen = Rc<RefCell<Vec<(u8, u8)>>>;

/// Each datagram wakes the task that has waited longest.
#[test]
fn several_tasks_take_turns() {
    udp_host!(node, 1);
    let (socket, seen) = (Rc::new(node.bind(7).unwrap()), Seen::default());
    for task in 0..3 {
        let (socket, seen) = (socket.clone(), seen.clone());
        node.spawn(Box::pin(async move {
            let mut buf = [0; 9];
            while let Ok((1, _)) = socket.recv_from(&mut buf).await {
                seen.borrow_mut().push((task, buf[0]));
                node.yield_now().await;
            }
        }))
        .unwrap();
    }
    by_hand(node, |hands| {
        for number in 0..4 {
            hands.say(&Packet::to_port(7, &[number]));
            hands.settle();
        }
        // Two at once: two are woken.
        for number in 4..6 {
            hands.say(&Packet::to_port(7, &[number]));
        }
        hands.settle();
    });
    assert_eq!(
        *seen.borrow(),
        [(0, 0), (1, 1), (2, 2), (0, 3), (1, 4), (2, 5)]
    );
}

/// A future that is dropped after it was woken, and before it looked, passes the wake on.
#[test]
fn a_dropped_receive_leaves_its_datagram_to_the_next() {
    for waits in [false, true] {
        udp_host!(node, 1, sockets: 1, datagrams: 4, bytes: 16, waiters: 2);
        let (socket, seen) = (Rc::new(node.bind(7).unwrap()), Seen::default());
        let first = socket.clone();
        node.spawn(Box::pin(async move {
            let mut buf = [0; 9];
            let mut receive = Box::pin(first.recv_from(&mut buf));
            let mut is_first = waits;
            std::future::poll_fn(|cx| match std::mem::take(&mut is_first) {
                true => receive.as_mut().poll(cx).map(|_| ()),
                false => std::task::Poll::Ready(()),
            })
            .await;
            drop(receive);
            std::future::pending::<()>().await;
        }))
        .unwrap();
        let out = seen.clone();
        node.spawn(Box::pin(async move {
            let mut buf = [0; 9];
            while let Ok((_, _)) = socket.recv_from(&mut buf).await {
                out.borrow_mut().push((1, buf[0]));
            }
        }))
        .unwrap();
        by_hand(node, |hands| {
            hands.settle();
            for payload in [b"a", b"b"] {
                hands.say(&Packet::to_port(7, payload));
                hands.settle();
            }
        });
        assert_eq!(*seen.borrow(), [(1, b'a'), (1, b'b')], "{waits}");
    }
}

#[test]
fn a_receive_can_be_dropped_at_any_poll_and_loses_nothing() {
    for polls in 0..4 {
        udp_host!(node, 1, sockets: 1, datagrams: 4, bytes: 16, waiters: 1);
        let seen = Seen::default();
        let (socket, out) = (node.bind(7).unwrap(), seen.clone());
        node.spawn(Box::pin(async move {
            let mut buf = [0; 9];
            loop {
                // Places are given back, or the second would find none.
                let got = give_up_after(polls, socket.recv_from(&mut buf)).await;
                if let Some(got) = got {
                    got.unwrap();
                    out.borrow_mut().push((0, buf[0]));
                }
                let (_, _) = socket.recv_from(&mut buf).await.unwrap();
                out.borrow_mut().push((0, buf[0]));
            }
        }))
        .unwrap();
        by_hand(node, |hands| {
            for number in 0..6 {
                hands.say(&Packet::to_port(7, &[number]));
                hands.settle();
            }
        });
        let numbers: Vec<u8> = seen.borrow().iter().map(|it| it.1).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5], "{polls} polls");
    }
}

#[test]
fn a_send_can_be_dropped_at_any_poll_and_has_sent_nothing() {
    for polls in 1..4 {
        udp_host!(node, 1, sockets: 1, datagrams: 2, bytes: 16, waiters: 1);
        let (socket, gone) = (node.bind(5000).unwrap(), Rc::new(RefCell::new(Vec::new())));
        let out = gone.clone();
        node.spawn(Box::pin(async move {
            for number in 0..9 {
                let given = give_up_after(polls, socket.send_to(&[number], v4(9, 7))).await;
                match given {
                    Some(given) => given.unwrap(),
                    None => {
                        out.borrow_mut().push(number);
                        node.yield_now().await;
                    }
                }
            }
        }))
        .unwrap();
        by_hand(node, |hands| {
            let mut left = datagrams(hands.settle());
            left.append(&mut datagrams(hands.settle()));
            let numbers: Vec<u8> = left.iter().map(|it| it.payload[0]).collect();
            let dropped = hands.dropped(cygnet::event::DropReason::NoNeighbor) as usize;
            let gone = gone.borrow();
            assert_eq!(
                numbers.len() + gone.len() + dropped,
                9,
                "{numbers:?} {gone:?}"
            );
            assert!(numbers.iter().all(|number| !gone.contains(number)));
            assert!(numbers.is_sorted());
        });
        assert_eq!(node.waiting().count(), 0);
    }
}

/// Whoever waits for a datagram without taking it keeps it from nobody.
#[test]
fn a_socket_is_readable_for_all_who_wait() {
    udp_host!(node, 1, sockets: 1, datagrams: 4, bytes: 16, waiters: 3);
    let (socket, seen) = (Rc::new(node.bind(7).unwrap()), Seen::default());
    for task in 0..2 {
        let (socket, seen) = (socket.clone(), seen.clone());
        node.spawn(Box::pin(async move {
            while socket.readable().await.is_ok() {
                seen.borrow_mut().push((task, 0));
                std::future::pending::<()>().await;
            }
        }))
        .unwrap();
    }
    let (reader, out) = (socket.clone(), seen.clone());
    node.spawn(Box::pin(async move {
        let mut buf = [0; 9];
        while let Ok((1, _)) = reader.recv_from(&mut buf).await {
            out.borrow_mut().push((2, buf[0]));
        }
    }))
    .unwrap();
    by_hand(node, |hands| {
        hands.settle();
        let full = socket.readable().now_or_never();
        assert_eq!(full, Some(Err(RecvError::TooManyWaiting)));
        for number in [7, 8] {
            hands.say(&Packet::to_port(7, &[number]));
        }
        hands.settle();
        let mut seen = seen.borrow().clone();
        seen.sort_unstable();
        assert_eq!(seen, [(0, 0), (1, 0), (2, 7), (2, 8)]);
    });
}

#[test]
fn more_waiting_tasks_than_places_are_told() {
    udp_host!(node, 1, sockets: 1, datagrams: 2, bytes: 16, waiters: 1);
    let socket = node.bind(7).unwrap();
    let (mut a, mut b) = ([0; 9], [0; 9]);
    let first = socket.recv_from(&mut a);
    let mut first = Box::pin(first);
    assert!(first.as_mut().now_or_never().is_none());
    let second = socket.recv_from(&mut b).now_or_never();
    assert_eq!(second, Some(Err(RecvError::TooManyWaiting)));
    drop(first);
    assert!(socket.recv_from(&mut b).now_or_never().is_none());
}

/// Wakers of a combinator, which are not a task's own, are woken too.
#[test]
fn wakers_of_others_are_woken() {
    udp_host!(node, 1);
    let seen = Seen::default();
    let (one, other, out) = (node.bind(7).unwrap(), node.bind(8).unwrap(), seen.clone());
    node.spawn(Box::pin(async move {
        use futures_util::StreamExt;
        let receive = async |socket: &cygnet::UdpSocket<'_>| {
            let mut buf = [0; 9];
            socket.recv_from(&mut buf).await.unwrap();
            (socket.port() as u8, buf[0])
        };
        let both = [receive(&one), receive(&other)];
        let mut both: futures_util::stream::FuturesUnordered<_> = both.into_iter().collect();
        while let Some(got) = both.next().await {
            out.borrow_mut().push(got);
        }
    }))
    .unwrap();
    by_hand(node, |hands| {
        hands.say(&Packet::to_port(8, b"a"));
        hands.settle();
        hands.say(&Packet::to_port(7, b"b"));
        hands.settle();
    });
    assert_eq!(*seen.borrow(), [(8, b'a'), (7, b'b')]);
}

#[test]
fn a_reboot_closes_every_socket_and_who_waits_sees_it() {
    udp_host!(node, 1);
    let (socket, old) = (node.bind(7).unwrap(), node.bind(8).unwrap());
    let ended = Rc::new(RefCell::new(None));
    let out = ended.clone();
    node.spawn(Box::pin(async move {
        let mut buf = [0; 9];
        let got = socket.recv_from(&mut buf).await;
        *out.borrow_mut() = Some(got);
    }))
    .unwrap();
    by_hand(node, |hands| {
        assert_eq!(old.send_to(b"swan", v4(9, 7)).now_or_never(), Some(Ok(())));
        node.reboot([8; 16]);
        assert_eq!(
            datagrams(hands.settle()),
            [],
            "what it had to send is forgotten"
        );
        assert_eq!(*ended.borrow(), Some(Err(RecvError::Closed)));
        let mut buf = [0; 9];
        assert_eq!(
            old.recv_from(&mut buf).now_or_never(),
            Some(Err(RecvError::Closed))
        );
        let send = old.send_to(b"swan", v4(9, 7)).now_or_never();
        assert_eq!(send, Some(Err(SendError::Closed)));
        // Its port is free, and what is left of it frees nothing that is another's.
        let [_seven, new] = [7, 8].map(|port| node.bind(port).unwrap());
        drop(old);
        hands.say(&Packet::to_port(8, b"swan"));
        hands.settle();
        let got = new.recv_from(&mut buf).now_or_never();
        assert!(matches!(got, Some(Ok((4, _)))));
    });
}

/// What a task takes and gives is told, and only that.
#[cfg(feature = "observer")]
#[test]
fn datagrams_are_events() {
    struct Told(RefCell<Vec<String>>);
    impl Observer for Told {
        fn event(&self, _: Instant, event: &Event<'_>) {
            match event {
                Event::Bound { .. } | Event::Received { .. } | Event::Sent { .. } => {
                    self.0.borrow_mut().push(format!("{event:?}"));
                }
                _ => (),
            }
        }
    }
    let told = Told(RefCell::default());
    udp_host!(node, 1);
    node.set_observer(Some(&told));
    crate::delivery::echo(node, 7);
    by_hand(node, |hands| {
        hands.say(&Packet::to_port(7, b"a"));
        hands.settle();
    });
    node.set_observer(None);
    let remote = v4(9, 4000);
    let expected = [
        "Bound { port: 7 }".to_owned(),
        format!("Received {{ port: 7, remote: {remote:?}, bytes: [97] }}"),
        format!("Sent {{ port: 7, remote: {remote:?}, bytes: [97] }}"),
    ];
    assert_eq!(*told.0.borrow(), expected);
    let digest = |bytes: &[u8]| {
        let digest = cygnet::Digest::new();
        let port = 7;
        let event = Event::Received {
            port,
            remote,
            bytes,
        };
        digest.event(Instant::ZERO, &event);
        digest.value()
    };
    assert_ne!(digest(b"a"), digest(b"b"));
}
