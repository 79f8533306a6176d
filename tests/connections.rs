//! What `node.connections()` shows, and that `node.abort()` resets one of them.
#![cfg(feature = "lab")]
mod harness;

use std::cell::Cell;
use std::future::pending;

use cygnet::event::Deadline;
use cygnet::lab::wire::{Faults, Wire};
use cygnet::{Backlog, Connection, ConnectionState as State, Node, ReadError, TimeLimits};
use harness::peer::{Hands, Seg, answer, by_hand, syn};
use harness::*;
use smoltcp::socket::tcp;
use smoltcp::time::Duration;
use smoltcp::wire::TcpControl;

const TICK: Duration = Duration::from_millis(10);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn all(node: Node<'_>) -> Vec<Connection> {
    node.connections().collect()
}

/// The only one there is; a turn tells the host how late it is.
fn only(node: Node<'_>, hands: &mut Hands<'_>) -> Connection {
    hands.pass(Duration::ZERO);
    let all = all(node);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0]
}

/// What is left of a limit, in whole seconds; `None`: there is no such limit.
fn left(connection: &Connection, deadline: Deadline) -> Option<Option<u64>> {
    let mut limits = connection.limits();
    let limit = limits.find(|limit| limit.deadline == deadline)?;
    Some(limit.left.map(|left| left.secs()))
}

/// A handshake of a peer that goes on to do what the test likes.
fn opened(hands: &mut Hands<'_>, port: u16) -> Seg {
    let reply = hands.open(&syn(9, port, 7, 1));
    answer(&reply, TcpControl::None, b"")
}

#[test]
fn a_stream_shows_its_ends_its_listener_and_what_waits_in_its_buffers() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 256, rx: 1024, tx: 1024);
    let serve = async {
        let listener = server.listen(7, Backlog(4)).unwrap();
        listener.set_name("parrot");
        let (mut stream, _) = listener.accept().await.unwrap();
        server.sleep(secs(1)).await;
        stream.write_all(&[b'x'; 300]).await.unwrap();
        let mut buf = [0; 3];
        stream.read(&mut buf).await.unwrap();
        pending::<()>().await;
    };
    server.spawn(Box::pin(serve)).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        assert_eq!(all(server), []);
        let exact = opened(hands, 1000);
        hands.send(&Seg {
            control: TcpControl::Psh,
            payload: b"hello".to_vec(),
            window: 200,
            ..exact
        });
        hands.pass(TICK * 2);
        let one = only(server, hands);
        assert_eq!((one.slot, one.peer, one.local), (0, v4(9, 1000), v4(1, 7)));
        assert_eq!((one.listener, one.state), (Some("parrot"), State::Open));
        assert_eq!(one.tcp, Some(tcp::State::Established));
        assert_eq!((one.unread, one.unacknowledged, one.unsent), (5, 0, 0));
        assert_eq!((one.receive_window, one.send_window), (1024 - 5, 200));
        hands.pass(secs(2));
        let one = only(server, hands);
        // Three bytes were read, and 200 of 300 are as many as the peer takes.
        assert_eq!((one.unread, one.unacknowledged, one.unsent), (2, 300, 100));
        assert_eq!((one.age.secs(), one.idle.secs()), (2, 2));
    });
}

#[test]
fn each_step_of_a_life_has_a_name() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 256, rx: 1024, tx: 1024);
    let go = Cell::new(false);
    let serve = async {
        let listener = server.listen(7, Backlog(4)).unwrap();
        while !go.get() {
            server.sleep(TICK).await;
        }
        let (stream, _) = listener.accept().await.unwrap();
        while go.get() {
            server.sleep(TICK).await;
        }
        drop(stream);
        pending::<()>().await;
    };
    server.spawn(Box::pin(serve)).unwrap();
    let seen = |hands: &mut Hands<'_>, state, tcp, limit| {
        let one = only(server, hands);
        assert_eq!((one.state, one.tcp), (state, Some(tcp)));
        let deadlines: Vec<_> = one.limits().map(|limit| limit.deadline).collect();
        assert_eq!(deadlines, limit, "{state}");
    };
    by_hand(server, |hands| {
        hands.pass(TICK);
        hands.send(&syn(9, 1000, 7, 1));
        let reply = hands.pass(TICK).pop().unwrap();
        seen(
            hands,
            State::Handshake,
            tcp::State::SynReceived,
            &[Deadline::Handshake][..],
        );
        assert_eq!(
            left(&only(server, hands), Deadline::Handshake),
            Some(Some(19))
        );
        let exact = answer(&reply, TcpControl::None, b"");
        hands.send(&exact);
        hands.pass(TICK);
        seen(hands, State::Queued, tcp::State::Established, &[]);
        let queued = only(server, hands);
        assert_eq!(queued.listener, None);
        assert!(!server.abort(&queued), "nobody has it");
        go.set(true);
        hands.pass(TICK * 2);
        seen(
            hands,
            State::Open,
            tcp::State::Established,
            &[Deadline::Stalled],
        );
        // Nothing was written: its clock stands still.
        assert_eq!(left(&only(server, hands), Deadline::Stalled), Some(None));
        go.set(false);
        let fin = hands.pass(TICK * 2).pop().unwrap();
        assert_eq!(fin.control, TcpControl::Fin);
        seen(
            hands,
            State::Closing,
            tcp::State::FinWait1,
            &[Deadline::Close],
        );
        assert_eq!(left(&only(server, hands), Deadline::Close), Some(Some(29)));
        hands.send(&answer(&fin, TcpControl::Fin, b""));
        hands.pass(TICK);
        seen(hands, State::TimeWait, tcp::State::TimeWait, &[]);
        hands.pass(secs(20));
        assert_eq!(all(server), []);
    });
}

#[test]
fn a_connect_shows_how_long_it_waits() {
    host!(client, 1, slots: 4, tasks: 8, bytes: 256, rx: 1024, tx: 1024);
    let connect = async {
        let _ = client.connect(v4(9, 80)).await;
    };
    client.spawn(Box::pin(connect)).unwrap();
    by_hand(client, |hands| {
        hands.pass(secs(5));
        let one = only(client, hands);
        assert_eq!((one.state, one.peer), (State::Connecting, v4(9, 80)));
        assert_eq!((one.age.secs(), one.listener), (5, None));
        assert_eq!(left(&one, Deadline::Connect), Some(Some(70)));
    });
}

#[test]
fn limits_run_down_and_are_those_that_count() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 256, rx: 1024, tx: 1024);
    let serve = async {
        let listener = server.listen(7, Backlog(4)).unwrap();
        listener.set_limits(TimeLimits {
            first_byte: Some(secs(10)),
            idle: Some(secs(30)),
            between_reads: Some(secs(20)),
            exchange: Some(secs(100)),
            ..TimeLimits::DEFAULT
        });
        let (mut stream, _) = listener.accept().await.unwrap();
        server.sleep(TICK * 4).await;
        stream.set_keep_alive(Some(secs(60)));
        let mut buf = [0; 8];
        stream.read(&mut buf).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        assert_eq!(stream.read(&mut buf).await, Err(ReadError::TimedOut));
        pending::<()>().await;
    };
    server.spawn(Box::pin(serve)).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        let exact = opened(hands, 1000);
        hands.pass(secs(5));
        let one = only(server, hands);
        let of = |deadline| left(&one, deadline);
        assert_eq!(of(Deadline::FirstByte), Some(Some(4)));
        assert_eq!(of(Deadline::Idle), Some(Some(24)));
        // These two began a little later.
        assert_eq!(of(Deadline::Stream), Some(Some(15)));
        assert_eq!(of(Deadline::Silent), Some(Some(235)));
        assert_eq!(of(Deadline::Exchange), Some(Some(94)));
        assert_eq!(of(Deadline::Stalled), Some(None));
        assert_eq!(of(Deadline::Close), None);
        let idle = one.limits().find(|limit| limit.deadline == Deadline::Idle);
        assert_eq!(idle.unwrap().limit, Some(secs(30)));
        hands.send(&Seg {
            control: TcpControl::Psh,
            payload: b"y".to_vec(),
            ..exact
        });
        hands.pass(secs(1));
        let one = only(server, hands);
        assert_eq!(left(&one, Deadline::FirstByte), None);
        assert_eq!(left(&one, Deadline::Idle), Some(Some(29)));
        assert_eq!(left(&one, Deadline::Exchange), Some(Some(93)));
        assert_eq!(left(&one, Deadline::Stalled), Some(Some(119)));
    });
}

#[test]
fn what_a_task_has_borrowed_or_forgotten_is_shown_as_that() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 256, rx: 1024, tx: 1024);
    let serve = async {
        let listener = server.listen(7, Backlog(4)).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let bytes = stream.fill_buf().await.unwrap();
        assert_eq!(bytes, b"hello");
        server.sleep(secs(1)).await;
        assert_eq!(bytes.len(), 5);
        stream.consume(5);
        pending::<()>().await;
        drop(stream);
    };
    server.spawn(Box::pin(serve)).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        let exact = opened(hands, 1000);
        let bytes = Seg {
            control: TcpControl::Psh,
            payload: b"hello".to_vec(),
            ..exact
        };
        hands.send(&bytes);
        hands.pass(TICK * 2);
        let one = only(server, hands);
        assert_eq!((one.state, one.tcp, one.unread), (State::Open, None, 0));
        hands.pass(secs(2));
        hands.send(&Seg {
            control: TcpControl::Rst,
            payload: vec![],
            seq: bytes.seq + 5,
            ..bytes
        });
        hands.pass(TICK);
        let one = only(server, hands);
        assert_eq!(
            (one.state, one.tcp),
            (State::Over, Some(tcp::State::Closed))
        );
        assert_eq!(one.peer.port, 0);
    });
}

#[test]
fn an_aborted_connection_is_reset_and_only_that_one() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 256, rx: 1024, tx: 1024);
    host!(client, 2, slots: 4, tasks: 8, bytes: 256, rx: 1024, tx: 1024);
    let serve = async {
        let listener = server.listen(7, Backlog(4)).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            server.spawn(Box::pin(echo(stream))).unwrap();
        }
    };
    server.spawn(Box::pin(serve)).unwrap();
    let asks = async |aborts: bool| {
        let mut stream = client.connect(v4(1, 7)).await.unwrap();
        stream.write_all(b"a").await.unwrap();
        let mut buf = [0; 8];
        stream.read(&mut buf).await.unwrap();
        let mine = |one: &Connection| Some(one.peer) == stream.local_addr();
        let shown = server.connections().find(mine).unwrap();
        if aborts {
            assert!(server.abort(&shown));
            assert_eq!(stream.read(&mut buf).await, Err(ReadError::Reset));
            client.sleep(secs(1)).await;
            assert!(!server.abort(&shown), "it is gone");
        } else {
            client.sleep(secs(2)).await;
            stream.write_all(b"b").await.unwrap();
            assert_eq!(stream.read(&mut buf).await, Ok(1));
        }
    };
    client.spawn(Box::pin(asks(true))).unwrap();
    client.spawn(Box::pin(asks(false))).unwrap();
    let wire = Wire::<64>::new(Faults::default());
    run(&wire, server, client, seconds(30));
    assert_eq!(client.counters().resets, 1);
    assert_eq!(client.counters().tasks_used, 0);
}
