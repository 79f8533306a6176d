//! Timeouts at both ends of what a `Duration` can say: for ever is not at once,
//! nothing wraps on the way there, and no time at all is only soon over.
#![cfg(feature = "lab")]
mod harness;

use std::cell::Cell;

use cygnet::lab::audit;
use cygnet::lab::wire::Wire;
use cygnet::{Backlog, Config, ConnectError, Node, ReadError, TimeLimits};
use embedded_io_async::Read;
use harness::peer::{Hands, Seg, answer, by_hand, syn};

use harness::*;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::TcpControl;

const TICK: Duration = Duration::from_millis(10);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// For ever, as people write it, and as close to where sums wrap as can be.
const FOREVER: [Duration; 4] = [
    Duration::MAX,
    Duration::from_micros(i64::MAX as u64 + 1),
    Duration::from_micros(i64::MAX as u64),
    Duration::from_micros(i64::MAX as u64 - 1),
];

fn patient(number: u8, timeout: Duration) -> Config {
    let mut config = config(number);
    config.handshake_timeout = timeout;
    config.connect_timeout = timeout;
    config.close_timeout = timeout;
    config
}

async fn server(node: Node<'_>, patience: Option<Duration>) {
    let listener = node.listen(7, Backlog(4)).unwrap();
    listener.reclaim_idle(patience);
    while let Ok((stream, _)) = listener.accept().await {
        node.spawn(Box::pin(echo(stream))).unwrap();
    }
}

/// Finishes a handshake with a host that may speak at once; gives its SYN-ACK.
fn opened(hands: &mut Hands<'_>) -> Seg {
    hands.send(&syn(9, 1000, 7, 1));
    let reply = hands.pass(TICK).pop().unwrap();
    assert!(reply.is_answer());
    hands.send(&answer(&reply, TcpControl::None, b""));
    reply
}

#[test]
fn a_handshake_that_may_take_for_ever_is_waited_for() {
    for timeout in FOREVER {
        for cookies in [false, true] {
            let mut config = patient(1, timeout);
            config.cookies = cookies;
            host!(node, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 1024, parked: 2, config: config);
            node.spawn(Box::pin(server(node, None))).unwrap();
            by_hand(node, |hands| {
                hands.pass(TICK);
                hands.send(&syn(9, 1000, 7, 1));
                let reply = hands.pass(TICK).pop().unwrap();
                // Those that find no place look at the clock, too.
                for other in 0..8 {
                    hands.send(&syn(20 + other, 1, 7, 1));
                    hands.pass(TICK * 30);
                }
                hands.pass(DAY);
                assert_eq!(node.counters().expired, 0, "{timeout} {cookies}");
                hands.send(&answer(&reply, TcpControl::Psh, b"late"));
                let seen = hands.pass(TICK * 2);
                assert!(seen.iter().any(|seg| seg.payload == b"late"), "{timeout}");
            });
        }
    }
}

#[test]
fn a_connect_that_may_take_for_ever_is_waited_for() {
    for timeout in FOREVER {
        host!(node, 1, slots: 2, tasks: 2, bytes: 64, rx: 1024, tx: 1024, parked: 0, config: patient(1, timeout));
        let ended = &Cell::new(None);
        node.spawn(Box::pin(async move {
            let stream = node.connect(v4(9, 7)).await;
            ended.set(Some(stream.map(drop)));
        }))
        .unwrap();
        by_hand(node, |hands| {
            let seen = hands.pass(TICK);
            hands.pass(DAY);
            assert_eq!(ended.get(), None, "{timeout}");
            let asked = seen.iter().find(|seg| seg.control == TcpControl::Syn);
            hands.send(&answer(asked.unwrap(), TcpControl::Syn, b""));
            hands.pass(TICK);
            assert_eq!(ended.get(), Some(Ok(())), "{timeout}");
        });
    }
}

#[test]
fn a_close_that_may_take_for_ever_is_waited_for() {
    // Dropped, and with `close` awaited: the deadline has two ways to be set.
    for timeout in FOREVER {
        for awaited in [false, true] {
            host!(node, 1, slots: 2, tasks: 2, bytes: 64, rx: 1024, tx: 1024, parked: 0, config: patient(1, timeout));
            let ended = &Cell::new(None);
            node.spawn(Box::pin(async move {
                let listener = node.listen(7, Backlog(4)).unwrap();
                let (mut stream, _) = listener.accept().await.unwrap();
                if awaited {
                    stream.set_limits(cygnet::TimeLimits::NONE);
                    ended.set(Some(stream.close().await));
                }
            }))
            .unwrap();
            by_hand(node, |hands| {
                hands.pass(TICK);
                let reply = opened(hands);
                hands.pass(DAY);
                assert_eq!(
                    (ended.get(), node.counters().expired),
                    (None, 0),
                    "{timeout}"
                );
                assert_eq!(node.counters().slots_used, 1, "{timeout}");
                let mut fin = answer(&reply, TcpControl::Fin, b"");
                fin.ack = fin.ack.map(|ack| ack + 1);
                hands.send(&fin);
                hands.pass(Duration::from_secs(60));
                assert_eq!(ended.get(), awaited.then_some(Ok(())), "{timeout}");
                assert_eq!(node.counters().slots_used, 0, "{timeout}");
            });
        }
    }
}

#[test]
fn a_listener_that_never_reclaims_keeps_who_is_idle() {
    for patience in FOREVER {
        host!(node, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        node.spawn(Box::pin(server(node, Some(patience)))).unwrap();
        by_hand(node, |hands| {
            hands.pass(TICK);
            for port in [1000, 1001] {
                hands.open(&syn(9, port, 7, 1));
            }
            hands.pass(DAY);
            hands.send(&syn(9, 1002, 7, 1));
            hands.pass(TICK);
            hands.send(&syn(9, 1002, 7, 1));
            let seen = hands.pass(TICK);
            assert!(!seen.iter().any(Seg::is_answer), "{patience}");
            assert_eq!(node.counters().reclaimed, 0, "{patience}");
        });
    }
}

#[test]
fn limits_waits_and_keep_alive_of_for_ever_end_nothing() {
    for forever in FOREVER {
        let limits = TimeLimits {
            first_byte: Some(forever),
            idle: Some(forever),
            between_reads: Some(forever),
            write_progress: Some(forever),
            exchange: Some(forever),
            close: Some(forever),
        };
        host!(node, 1, slots: 2, tasks: 2, bytes: 64, rx: 1024, tx: 1024, parked: 0, config: patient(1, forever));
        let ended = &Cell::new(None);
        node.spawn(Box::pin(async move {
            let listener = node.listen(7, Backlog(4)).unwrap();
            listener.set_limits(limits);
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_write_timeout(Some(forever));
            stream.set_keep_alive(Some(forever));
            let mut byte = [0];
            let read = node.timeout(forever, stream.read(&mut byte)).await;
            stream.write_all(&byte).await.unwrap();
            ended.set(read.ok());
            node.sleep(forever).await;
        }))
        .unwrap();
        by_hand(node, |hands| {
            hands.pass(TICK);
            let reply = opened(hands);
            // Nobody is asked whether it is there more than once.
            let seen = hands.pass(DAY);
            assert!(seen.len() <= 1, "{forever}: {}", seen.len());
            assert_eq!(ended.get(), None, "{forever}");
            assert_eq!(node.counters().expired, 0, "{forever}");
            hands.send(&answer(&reply, TcpControl::Psh, b"x"));
            let seen = hands.pass(TICK * 2);
            assert!(seen.iter().any(|seg| seg.payload == b"x"), "{forever}");
            assert_eq!(ended.get(), Some(Ok(1)), "{forever}");
        });
    }
}

/// Between two hosts of ours, with their own idea of how they end.
#[test]
fn both_roles_are_served_with_for_ever_everywhere() {
    for timeout in FOREVER {
        host!(a, 1, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024, parked: 2, config: patient(1, timeout));
        host!(b, 2, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024, parked: 2, config: patient(2, timeout));
        let wire: Wire<16> = Wire::new(LAN);
        let serve = async {
            let listener = a.listen(7, Backlog(1)).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            echo(stream).await;
        };
        let ask = async {
            let mut stream = b.connect(v4(1, 7)).await.unwrap();
            stream.write_all(b"swan").await.unwrap();
            let mut bytes = [0; 4];
            stream.read_exact(&mut bytes).await.unwrap();
            assert_eq!(&bytes, b"swan");
            stream.close().await.unwrap();
        };
        let end = play(&wire, a, b, serve, ask);
        assert!(end < seconds(5), "{timeout}: {end}");
        audit(a).unwrap();
        audit(b).unwrap();
    }
}

/// A clock may count from any moment; there are 150,000 years to begin in.
#[test]
fn a_clock_that_begins_late_wraps_nothing() {
    let config = patient(1, Duration::MAX);
    host!(node, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024, parked: 2, config: config);
    node.spawn(Box::pin(server(node, Some(Duration::MAX))))
        .unwrap();
    by_hand(node, |hands| {
        hands.now = Instant::from_micros(1_i64 << 62);
        hands.pass(TICK);
        let reply = opened(hands);
        hands.pass(DAY);
        hands.send(&answer(&reply, TcpControl::Psh, b"swan"));
        let seen = hands.pass(TICK * 2);
        assert!(seen.iter().any(|seg| seg.payload == b"swan"), "{seen:?}");
        assert_eq!(node.counters().expired, 0);
    });
}

#[test]
fn no_time_at_all_is_over_soon_and_no_panic() {
    let zero = Duration::ZERO;
    host!(node, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 1024, parked: 2, config: patient(1, zero));
    let ended = &Cell::new(None);
    node.spawn(Box::pin(server(node, Some(zero)))).unwrap();
    node.spawn(Box::pin(async move {
        ended.set(node.connect(v4(9, 7)).await.err());
    }))
    .unwrap();
    node.spawn(Box::pin(async move {
        let listener = node.listen(8, Backlog(4)).unwrap();
        listener.set_limits(TimeLimits {
            first_byte: Some(zero),
            idle: Some(zero),
            between_reads: Some(zero),
            write_progress: Some(zero),
            exchange: Some(zero),
            close: Some(zero),
        });
        // None of these handshakes can end in time.
        let _ = listener.accept().await;
    }))
    .unwrap();
    by_hand(node, |hands| {
        hands.pass(TICK);
        for port in 7..9 {
            hands.send(&syn(9, 1000, port, 1));
            hands.pass(TICK);
        }
        hands.pass(Duration::from_secs(60));
        assert_eq!(ended.get(), Some(ConnectError::TimedOut));
        assert_eq!(node.counters().slots_used, 0);
    });
}

#[test]
fn a_keep_alive_and_a_wait_of_no_time_are_no_panic() {
    host!(node, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let read = &Cell::new(None);
    node.spawn(Box::pin(async move {
        let listener = node.listen(7, Backlog(4)).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_read_timeout(Some(Duration::ZERO));
        stream.set_write_timeout(Some(Duration::ZERO));
        read.set(Some(stream.read(&mut [0]).await));
        stream.set_keep_alive(Some(Duration::ZERO));
        stream.set_read_timeout(None);
        let _ = stream.read(&mut [0]).await;
    }))
    .unwrap();
    by_hand(node, |hands| {
        hands.pass(TICK);
        opened(hands);
        let asked = hands.pass(Duration::from_secs(60)).len();
        assert!(asked <= 8, "{asked} questions in four milliseconds");
        assert_eq!(read.get(), Some(Err(ReadError::TimedOut)));
        assert_eq!(node.counters().slots_used, 0);
    });
}
