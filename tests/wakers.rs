//! Wakers that are not a task's own, of a combinator or another executor, may run any
//! code when they are woken or dropped, also code that calls the node.
#![cfg(feature = "lab")]
mod harness;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use cygnet::lab::wire::Wire;
use cygnet::{AcceptError, Backlog, Node, ReadError, TcpListener};
use harness::peer::{Hands, Seg, answer, by_hand, syn};
use harness::*;
use smoltcp::time::Duration;
use smoltcp::wire::TcpControl;

thread_local! {
    /// Whom wakers call, and how often they did.
    static NODE: Cell<Option<Node<'static>>> = const { Cell::new(None) };
    static CALLS: Cell<[u32; 2]> = const { Cell::new([0; 2]) };
}

/// Calls the node when it is woken and when it is dropped.
struct Nosy(Waker);

fn call(kind: usize) {
    if let Some(node) = NODE.get() {
        let _ = (node.counters(), node.waiting().count());
        node.listen(99, Backlog(1)).map(drop).unwrap();
        let mut calls = CALLS.get();
        calls[kind] += 1;
        CALLS.set(calls);
    }
}

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {
        call(0);
        self.0.wake_by_ref();
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        call(1);
    }
}

/// Each poll has a waker of its own, so that each takes the place of the last.
async fn nosily<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let waker = Waker::from(Arc::new(Nosy(cx.waker().clone())));
        future.as_mut().poll(&mut Context::from_waker(&waker))
    })
    .await
}

/// A host whose wakers call it.
fn host() -> Node<'static> {
    let node = lasting(1);
    NODE.set(Some(node));
    CALLS.set([0; 2]);
    node
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Polls a few times before there is anything to see.
async fn impatiently<F: Future>(node: Node<'_>, future: F) -> F::Output {
    let polls = async {
        for _ in 0..3 {
            node.yield_now().await;
        }
    };
    futures_util::join!(nosily(future), polls).0
}

#[test]
fn wakers_that_call_the_node_serve_conversations() {
    let (server, client) = (host(), lasting(2));
    let wire: Wire<32> = Wire::new(LAN);
    let serve = async move {
        let listener = server.listen(7, Backlog(4)).unwrap();
        for _ in 0..2 {
            let (mut stream, _) = impatiently(server, listener.accept()).await.unwrap();
            let mut buf = [0; 300];
            while let Ok(n @ 1..) = impatiently(server, stream.read(&mut buf)).await {
                let all = stream.write_all(&buf[..n]);
                impatiently(server, all).await.unwrap();
                impatiently(server, stream.acknowledged()).await.unwrap();
                nosily(server.sleep(Duration::from_millis(1))).await;
            }
            let _ = impatiently(server, stream.close()).await;
        }
        let refused = impatiently(server, server.connect(v4(2, 9))).await;
        assert!(refused.is_err());
        drop(impatiently(server, server.connect(v4(2, 7))).await.unwrap());
    };
    let ask = async move {
        for _ in 0..2 {
            let mut stream = client.connect(v4(1, 7)).await.unwrap();
            for _ in 0..5 {
                stream.write_all(&[7; 500]).await.unwrap();
                let mut left = 500;
                while left > 0 {
                    left -= stream.read(&mut [0; 500]).await.unwrap();
                }
            }
        }
        let listener = client.listen(7, Backlog(1)).unwrap();
        drop(listener.accept().await.unwrap());
    };
    play(&wire, server, client, serve, ask);
    let [wakes, drops] = CALLS.get();
    assert!(wakes > 40 && drops > wakes, "{wakes} wakes, {drops} drops");
}

/// Opens a connection on which the host may speak at once; gives its SYN-ACK.
fn open(hands: &mut Hands<'_>, port: u16) -> Seg {
    hands.send(&syn(9, port, 7, 1));
    let seen = hands.pass(Duration::from_millis(10));
    let reply = seen.into_iter().find(Seg::is_answer).unwrap();
    hands.send(&answer(&reply, TcpControl::None, b""));
    reply
}

/// A stream in which a reader and a writer wait with such wakers, and how that ends.
fn cut_by(cut: impl FnOnce(&mut Hands<'_>, Node<'static>)) {
    let node = host();
    let ends = Rc::new(Cell::new(None));
    let told = ends.clone();
    let serve = async move {
        let listener = node.listen(7, Backlog(4)).unwrap();
        let (mut stream, _) = nosily(listener.accept()).await.unwrap();
        while stream.write(&[7; 100]).await.unwrap() == 100 {}
        stream.set_limits(cygnet::TimeLimits {
            exchange: Some(secs(100)),
            ..cygnet::TimeLimits::DEFAULT
        });
        let (reader, writer) = stream.split();
        let mut byte = [0];
        let both = async { futures_util::join!(reader.read(&mut byte), writer.write(&[7; 2000])) };
        told.set(Some(nosily(both).await.0));
    };
    node.spawn(Box::pin(serve)).unwrap();
    by_hand(node, |hands| {
        hands.pass(secs(1));
        let reply = open(hands, 1000);
        hands.pass(secs(1));
        let before = CALLS.get();
        cut(hands, node);
        hands.send(&Seg {
            control: TcpControl::Rst,
            ..answer(&reply, TcpControl::None, b"")
        });
        hands.pass(secs(300));
        let after = CALLS.get();
        assert!(
            after[0] > before[0] && after[1] > before[1],
            "{before:?} {after:?}"
        );
        assert_eq!(node.counters().slots_used, 0);
    });
    let end = ends.take().expect("the task has ended");
    assert!(
        matches!(end, Err(ReadError::Reset | ReadError::TimedOut)),
        "{end:?}"
    );
}

#[test]
fn a_connection_that_is_cut_wakes_them() {
    cut_by(|_, _| ()); // by the peer
    cut_by(|hands, _| drop(hands.pass(secs(200)))); // by a limit
    cut_by(|_, node| node.reboot([9; 16]));
}

#[test]
fn who_waits_for_a_listener_that_ends_is_woken() {
    type End = fn(Node<'static>, &TcpListener<'static>);
    let ends: [End; 3] = [
        |_, listener| listener.close(),
        |node, _| node.close_listeners(),
        |node, _| node.reboot([9; 16]),
    ];
    for end in ends {
        let node = host();
        let listener: &'static TcpListener<'static> = leak(node.listen(7, Backlog(4)).unwrap());
        let closed = Rc::new(Cell::new(0));
        for _ in 0..3 {
            let closed = closed.clone();
            let wait = async move {
                let end = nosily(listener.accept()).await;
                assert_eq!(end.err(), Some(AcceptError::Closed));
                closed.set(closed.get() + 1);
            };
            node.spawn(Box::pin(wait)).unwrap();
        }
        by_hand(node, |hands| {
            hands.pass(secs(1));
            end(node, listener);
            hands.pass(secs(1));
        });
        assert_eq!((closed.get(), CALLS.get()[0]), (3, 3));
    }
}

#[test]
fn those_in_line_are_woken_one_by_one_and_hand_it_on() {
    let node = host();
    let listener: &'static TcpListener<'static> = leak(node.listen(7, Backlog(4)).unwrap());
    let order = Rc::new(RefCell::new(Vec::new()));
    for number in 0..3 {
        let order = order.clone();
        let wait = async move {
            let mut accept = Box::pin(nosily(listener.accept()));
            let mut polls = 0;
            let accepted = poll_fn(|cx| {
                polls += 1;
                match number == 0 && polls == 2 {
                    // Woken, it looks no more.
                    true => Poll::Ready(None),
                    false => accept.as_mut().poll(cx).map(Some),
                }
            });
            let accepted = accepted.await;
            drop(accept);
            order.borrow_mut().push((number, accepted.is_some()));
        };
        node.spawn(Box::pin(wait)).unwrap();
    }
    by_hand(node, |hands| {
        hands.pass(secs(1));
        for port in 1000..1002 {
            open(hands, port);
        }
        hands.pass(secs(60));
        assert_eq!(*order.borrow(), [(0, false), (1, true), (2, true)]);
        assert_eq!(node.waiting().count(), 0);
    });
}

#[test]
fn both_are_woken_whose_connections_come_in_one_turn() {
    let node = host();
    let listener: &'static TcpListener<'static> = leak(node.listen(7, Backlog(4)).unwrap());
    let accepted = Rc::new(Cell::new(0));
    for _ in 0..2 {
        let accepted = accepted.clone();
        let wait = async move {
            let stream = nosily(listener.accept()).await;
            accepted.set(accepted.get() + 1);
            node.sleep(secs(1)).await;
            drop(stream);
        };
        node.spawn(Box::pin(wait)).unwrap();
    }
    by_hand(node, |hands| {
        hands.pass(secs(1));
        for port in 1000..1002 {
            hands.send(&syn(9, port, 7, 1));
        }
        for reply in hands.pass(Duration::from_millis(10)) {
            hands.send(&answer(&reply, TcpControl::None, b""));
        }
        hands.pass(Duration::from_millis(10));
        assert_eq!(accepted.get(), 2);
    });
}

/// More wait for a change of the host than there are places for, with wakers that call it.
#[test]
fn wakers_that_call_the_node_wait_for_a_change_of_the_host() {
    let node = host();
    let mut waits: Vec<_> = (0..12).map(|_| Box::pin(node.wait_link_down())).collect();
    let mut look = || {
        let mut ready = 0;
        for wait in &mut waits {
            // Each has a waker of its own.
            let waker = Waker::from(Arc::new(Nosy(Waker::noop().clone())));
            let mut cx = Context::from_waker(&waker);
            ready += u32::from(wait.as_mut().poll(&mut cx).is_ready());
        }
        ready
    };
    assert_eq!(look(), 0);
    assert!(CALLS.get()[0] > 0, "who has no place is woken at once");
    node.set_link(false);
    assert_eq!(look(), 12);
    NODE.set(None);
}
