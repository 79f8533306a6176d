//! A loan is a state: what holds a socket by `fill_buf` or in a closure while its
//! slot is wanted for another connection, by `reclaim_idle` or a reboot. And what an
//! earlier boot or listener leaves behind, which is nothing.
#![cfg(feature = "lab")]
mod harness;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use cygnet::lab::audit;
use cygnet::{AcceptError, Backlog, Node, ReadError, TcpStream, WriteError};
use harness::peer::{Hands, Seg, answer, by_hand, syn};
use smoltcp::time::Duration;
use smoltcp::wire::TcpControl;

const TICK: Duration = Duration::from_millis(10);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Accepts one connection after another; each is lent as soon as it has bytes, for
/// so long, and then closed.
async fn lend_each(node: Node<'_>, port: u16, reclaim: Option<Duration>, long: Duration) {
    let listener = node.listen(port, Backlog(4)).unwrap();
    listener.reclaim_idle(reclaim);
    while let Ok((stream, _)) = listener.accept().await {
        let _ = node.spawn(Box::pin(lend(node, stream, long)));
    }
}

async fn lend(node: Node<'_>, mut stream: TcpStream<'_>, long: Duration) {
    if let Ok([_, ..]) = stream.fill_buf().await {
        node.sleep(long).await;
    }
    stream.consume(1);
}

/// Opens a connection and says something on it.
fn speak(hands: &mut Hands<'_>, from_port: u16, to_port: u16) -> Seg {
    let reply = hands.open(&syn(9, from_port, to_port, 1));
    hands.send(&answer(&reply, TcpControl::Psh, b"hello"));
    hands.pass(TICK);
    reply
}

/// Whether a SYN gets its answer at once.
fn gets_in(hands: &mut Hands<'_>, from_port: u16, to_port: u16) -> bool {
    hands.send(&syn(9, from_port, to_port, 1));
    let seen = hands.pass(TICK);
    seen.iter()
        .any(|seg| seg.is_answer() && seg.to_port == from_port)
}

#[test]
fn a_lent_connection_does_not_give_way_and_another_does() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let serve = lend_each(server, 7, Some(secs(1)), secs(5));
    server.spawn(Box::pin(serve)).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        speak(hands, 1000, 7); // lent, and idle for longer
        hands.open(&syn(9, 1001, 7, 1));
        hands.pass(secs(2));
        assert!(gets_in(hands, 1002, 7));
        assert_eq!(server.counters().reclaimed, 1);
        hands.pass(secs(60));
        assert_eq!(server.counters().slots_used, 0);
        assert!(gets_in(hands, 1003, 7));
    });
}

#[test]
fn a_loan_that_outlasts_reclaim_leaves_the_listener_hearing() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let serve = lend_each(server, 7, Some(secs(1)), secs(5));
    server.spawn(Box::pin(serve)).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        speak(hands, 1000, 7);
        hands.pass(secs(2));
        assert!(!gets_in(hands, 1001, 7), "its only slot is lent");
        hands.pass(secs(60));
        assert_eq!(server.counters().slots_used, 0);
        for port in 1002..1010 {
            assert!(gets_in(hands, port, 7), "{port}");
            hands.pass(secs(30)); // it says nothing
        }
        assert_eq!(server.counters().slots_used, 0);
    });
}

#[test]
fn a_loan_that_outlasts_a_reboot_comes_back_into_nobodys_life() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let serve = lend_each(server, 7, None, secs(5));
    server.spawn(Box::pin(serve)).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        speak(hands, 1000, 7);
        server.reboot([9; 16]);
        audit(server).unwrap();
        assert_eq!(server.counters().slots_used, 1, "the slot is lent");
        hands.pass(TICK);
        let serve = lend_each(server, 7, None, secs(20));
        server.spawn(Box::pin(serve)).unwrap();
        hands.pass(TICK);
        speak(hands, 1000, 7); // the same flow
        assert!(!gets_in(hands, 1001, 7), "one slot is lent, one is taken");
        hands.pass(secs(6));
        assert!(gets_in(hands, 1002, 7), "the loan has come back");
        hands.pass(secs(60));
        assert_eq!(server.counters().slots_used, 0);
        server.reboot([10; 16]);
        let serve = lend_each(server, 7, None, secs(1));
        server.spawn(Box::pin(serve)).unwrap();
        hands.pass(TICK);
        for port in 1003..1005 {
            assert!(gets_in(hands, port, 7), "both slots are free");
        }
    });
}

#[test]
fn the_halves_of_a_lent_stream_end_in_any_order_over_a_reboot() {
    for reader_first in [true, false] {
        for reboots in [false, true] {
            host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
            let halves = Rc::new(RefCell::new(None));
            let keep = halves.clone();
            let serve = async move {
                let listener = server.listen(7, Backlog(4)).unwrap();
                let (stream, _) = listener.accept().await.unwrap();
                let (mut reader, writer) = stream.into_split();
                assert_eq!(reader.fill_buf().await.unwrap().len(), 5);
                *keep.borrow_mut() = Some((reader, writer));
            };
            server.spawn(Box::pin(serve)).unwrap();
            by_hand(server, |hands| {
                hands.pass(TICK);
                speak(hands, 1000, 7);
                let (mut reader, mut writer) = halves.take().unwrap();
                if reboots {
                    server.reboot([9; 16]);
                    audit(server).unwrap();
                    writer.shutdown();
                }
                assert_eq!(server.counters().slots_used, 1);
                match reader_first {
                    true => drop(reader),
                    false => {
                        drop(writer);
                        audit(server).unwrap();
                        assert_eq!(server.counters().slots_used, 1);
                        reader.consume(2);
                        drop(reader);
                        hands.pass(secs(60));
                        return assert_eq!(server.counters().slots_used, 0);
                    }
                }
                audit(server).unwrap();
                drop(writer);
                hands.pass(secs(60));
                assert_eq!(server.counters().slots_used, 0);
            });
        }
    }
}

#[test]
fn who_waits_for_a_lent_socket_gives_up_in_time() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let serve = async {
        let listener = server.listen(7, Backlog(4)).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_write_timeout(Some(secs(3)));
        // Its acknowledgement has a timer, which passes first.
        stream.write_all(b"hello").await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        assert_eq!(reader.fill_buf().await.unwrap().len(), 5);
        let began = server.now();
        assert_eq!(writer.write(b"hello").await, Err(WriteError::TimedOut));
        assert_eq!(server.now() - began, secs(3));
    };
    server.spawn(Box::pin(serve)).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        hands.send(&syn(9, 1000, 7, 1));
        let reply = &hands.pass(TICK)[0];
        hands.send(&answer(reply, TcpControl::None, b""));
        hands.pass(TICK);
        hands.send(&answer(reply, TcpControl::Psh, b"hello"));
        hands.pass(secs(100));
        assert_eq!(server.waiting().count(), 0);
    });
}

#[test]
fn a_loan_that_is_forgotten_costs_its_slot_and_nothing_else() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let forget = async {
        let listener = server.listen(7, Backlog(4)).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_eq!(stream.fill_buf().await.unwrap().len(), 5);
        std::mem::forget(stream);
    };
    server.spawn(Box::pin(forget)).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        speak(hands, 1000, 7);
        for boot in 0..3 {
            server.reboot([boot; 16]);
            audit(server).unwrap();
            let serve = lend_each(server, 7, Some(secs(1)), secs(2));
            server.spawn(Box::pin(serve)).unwrap();
            hands.pass(TICK);
            speak(hands, 1000, 7);
            assert!(!gets_in(hands, 1001, 7));
            hands.pass(secs(60));
            assert_eq!(server.counters().slots_used, 1);
        }
    });
}

#[test]
fn a_reboot_inside_a_closure_ends_the_connection_and_keeps_the_slot() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let ends = Cell::new(None);
    let serve = async {
        let listener = server.listen(7, Backlog(4)).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let read = stream
            .read_with(|bytes| {
                server.reboot([9; 16]);
                audit(server).unwrap();
                assert_eq!(server.counters().slots_used, 1);
                (bytes.len(), bytes.len())
            })
            .await;
        assert_eq!(server.counters().slots_used, 0);
        ends.set(Some((read, stream.read(&mut [0]).await)));
        assert_eq!(listener.accept().await.err(), Some(AcceptError::Closed));
    };
    server.spawn(Box::pin(serve)).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        speak(hands, 1000, 7);
        assert_eq!(ends.get(), Some((Ok(5), Err(ReadError::Reset))));
        assert_eq!(server.waiting().count(), 0);
    });
}

#[test]
fn a_listener_of_an_earlier_boot_kills_nothing_of_the_next() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    by_hand(server, |hands| {
        let old = server.listen(7, Backlog(4)).unwrap();
        server.reboot([9; 16]);
        let new = server.listen(7, Backlog(4)).unwrap();
        let reply = hands.open(&syn(9, 1000, 7, 1)); // in the queue
        hands.send(&syn(9, 1001, 7, 1)); // half open
        hands.pass(TICK);
        old.close();
        old.reclaim_idle(Some(secs(1)));
        drop(old);
        audit(server).unwrap();
        assert_eq!(hands.pass(TICK), []);
        assert_eq!(server.counters().slots_used, 2);
        hands.send(&answer(&reply, TcpControl::Psh, b"hello"));
        assert!(!hands.pass(secs(1)).iter().any(Seg::is_rst));
        drop(new);
        assert!(hands.pass(secs(1)).iter().any(Seg::is_rst));
    });
}

#[test]
fn a_reboot_tells_who_waits_in_accept() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let closed = Rc::new(Cell::new(0));
    let told = closed.clone();
    let serve = async move {
        let listener = server.listen(7, Backlog(4)).unwrap();
        let wait = || async {
            assert_eq!(listener.accept().await.err(), Some(AcceptError::Closed));
            told.set(told.get() + 1);
        };
        futures_util::join!(wait(), wait());
    };
    server.spawn(Box::pin(serve)).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        server.reboot([9; 16]);
        hands.pass(TICK);
        assert_eq!((closed.get(), server.waiting().count()), (2, 0));
    });
}

#[test]
fn streams_outlive_their_listener_and_do_not_become_the_next_ones() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let kept = Rc::new(RefCell::new(None));
    let keep = kept.clone();
    let accept = async move {
        let listener = server.listen(7, Backlog(1)).unwrap();
        *keep.borrow_mut() = Some(listener.accept().await.unwrap().0);
    };
    server.spawn(Box::pin(accept)).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        speak(hands, 1000, 7);
        // It takes the place of the first.
        let next = server.listen(8, Backlog(1)).unwrap();
        next.reclaim_idle(Some(secs(1)));
        hands.pass(secs(5));
        assert!(!gets_in(hands, 1001, 8), "no connection of its own is idle");
        assert_eq!(server.counters().reclaimed, 0);
        drop(kept.take());
    });
}

/// Two listeners with a connection each; one waits for long, one does not.
fn with_two_patiences(cookies: bool) {
    let config = match cookies {
        true => harness::with_cookies(1),
        false => harness::config(1),
    };
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024, parked: 0,
        config: config);
    for (port, patience) in [(7, 1), (8, 3600)] {
        let serve = lend_each(server, port, Some(secs(patience)), Duration::ZERO);
        server.spawn(Box::pin(serve)).unwrap();
    }
    by_hand(server, |hands| {
        hands.pass(TICK);
        hands.open(&syn(9, 1000, 7, 1));
        hands.open(&syn(9, 1001, 8, 1));
        assert!(!gets_in(hands, 1002, 8), "nobody is idle for an hour");
        hands.pass(secs(2));
        assert!(gets_in(hands, 1003, 7), "somebody is for a second");
    });
}

#[test]
fn a_patient_listener_does_not_keep_another_from_reclaiming() {
    with_two_patiences(false);
    if cfg!(feature = "cookies") {
        with_two_patiences(true);
    }
}

#[test]
fn patience_ends_with_the_boot_and_when_it_is_set_anew() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    by_hand(server, |hands| {
        for boot in 0..2 {
            let listener = server.listen(7, Backlog(1)).unwrap();
            listener.reclaim_idle(Some(secs(3600)));
            let stream = RefCell::new(None);
            let accept = async { *stream.borrow_mut() = listener.accept().await.ok() };
            let mut accept = Box::pin(accept);
            hands.open(&syn(9, 1000, 7, 1));
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(accept.as_mut().poll(&mut cx).is_ready());
            hands.pass(secs(2));
            assert!(!gets_in(hands, 1001, 7), "nobody is idle for an hour");
            if boot == 0 {
                drop(accept);
                server.reboot([9; 16]);
                continue;
            }
            listener.reclaim_idle(Some(secs(1)));
            assert!(gets_in(hands, 1002, 7), "somebody is for a second");
            drop(accept);
        }
    });
}

/// Nothing comes from the peer meanwhile that could wake it instead.
#[test]
fn who_waits_for_a_lent_socket_goes_on_when_it_is_back() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let sent = Rc::new(Cell::new(None));
    let log = sent.clone();
    let serve = async move {
        let listener = server.listen(7, Backlog(4)).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let lend = async move {
            let _ = reader.fill_buf().await;
            server.sleep(secs(2)).await;
            reader.consume(1);
            server.sleep(secs(60)).await;
        };
        server.spawn(Box::pin(lend)).unwrap();
        server.sleep(secs(1)).await;
        writer.write_all(b"x").await.unwrap();
        log.set(Some(server.now()));
    };
    server.spawn(Box::pin(serve)).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        speak(hands, 1000, 7);
        hands.pass(secs(10));
    });
    let at = sent.get().expect("it was woken");
    assert!(at < smoltcp::time::Instant::from_secs(3), "{at}");
}
