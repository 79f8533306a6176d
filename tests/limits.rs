//! Peers that do as little as they can: rows 11, 12, 13 and 15 of the table of
//! hostile behaviours, and the limits that a service sets against them.
#![cfg(feature = "lab")]
mod harness;

use std::cell::Cell;

use cygnet::{Backlog, Node, ReadError, TimeLimits, WriteError};
use harness::peer::{Hands, Seg, answer, by_hand, syn};
use harness::*;
use smoltcp::time::Duration;
use smoltcp::wire::TcpControl;

const TICK: Duration = Duration::from_millis(10);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

async fn echo_server(node: Node<'_>, limits: TimeLimits, reclaim: Option<Duration>) {
    let listener = node.listen(7, Backlog(4)).unwrap();
    listener.set_limits(limits);
    listener.reclaim_idle(reclaim);
    while let Ok((stream, _)) = listener.accept().await {
        let _ = node.spawn(Box::pin(echo(stream)));
    }
}

/// Sends bytes and acknowledges what comes back; gives the next exact segment.
fn converse(hands: &mut Hands<'_>, exact: &Seg, bytes: &[u8]) -> Seg {
    hands.send(&Seg {
        control: TcpControl::Psh,
        payload: bytes.to_vec(),
        ..exact.clone()
    });
    let seen = hands.pass(TICK * 2);
    let echoed = seen.iter().find(|seg| seg.payload == bytes);
    let exact = answer(echoed.unwrap(), TcpControl::None, b"");
    hands.send(&exact);
    hands.pass(TICK);
    exact
}

fn opened(hands: &mut Hands<'_>, port: u16) -> Seg {
    let reply = hands.open(&syn(9, port, 7, 1));
    answer(&reply, TcpControl::None, b"")
}

/// Finishes a handshake with a host that speaks at once; gives its SYN-ACK.
fn greeted(hands: &mut Hands<'_>) -> Seg {
    hands.send(&syn(9, 1000, 7, 1));
    let reply = hands.pass(TICK).pop().unwrap();
    assert!(reply.is_answer());
    hands.send(&answer(&reply, TcpControl::None, b""));
    reply
}

/// Lets time pass until the host resets somebody; gives how long it took.
fn until_reset(hands: &mut Hands<'_>, limit: Duration) -> Option<Duration> {
    let from = hands.now;
    while hands.now < from + limit {
        if hands.pass(TICK * 10).iter().any(Seg::is_rst) {
            return Some(hands.now - from);
        }
    }
    None
}

fn about(took: Option<Duration>, secs: u64) {
    let millis = took.expect("a reset").total_millis();
    let wanted = secs * 1000;
    assert!(
        (wanted..=wanted + 200).contains(&millis),
        "{millis} ms, not {secs} s"
    );
}

/// Row 11.
#[test]
fn slowloris_is_over_with_the_exchange() {
    let limits = TimeLimits {
        first_byte: Some(secs(10)),
        exchange: Some(secs(60)),
        ..TimeLimits::DEFAULT
    };
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server
        .spawn(Box::pin(echo_server(server, limits, None)))
        .unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        let mut exact = opened(hands, 1000);
        let from = hands.now;
        // A byte every five seconds, for ever.
        let took = loop {
            exact = converse(hands, &exact, b"x");
            if until_reset(hands, secs(5)).is_some() {
                break hands.now - from;
            }
        };
        about(Some(took), 60);
        assert_eq!(server.counters().expired, 1);
        assert_eq!(server.counters().slots_used, 0);
    });
}

#[test]
fn who_says_nothing_at_first_is_cut_and_who_speaks_in_time_is_not() {
    let limits = TimeLimits {
        first_byte: Some(secs(10)),
        ..TimeLimits::DEFAULT
    };
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server
        .spawn(Box::pin(echo_server(server, limits, None)))
        .unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        opened(hands, 1000);
        about(until_reset(hands, secs(100)), 10);
        let exact = opened(hands, 1001);
        hands.pass(secs(9));
        converse(hands, &exact, b"in time");
        assert_eq!(until_reset(hands, secs(10_000)), None);
        assert_eq!(server.counters().slots_used, 1);
    });
}

#[test]
fn an_idle_limit_counts_from_the_last_byte() {
    let limits = TimeLimits {
        idle: Some(secs(30)),
        ..TimeLimits::DEFAULT
    };
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server
        .spawn(Box::pin(echo_server(server, limits, None)))
        .unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        let mut exact = opened(hands, 1000);
        for _ in 0..5 {
            exact = converse(hands, &exact, b"still there");
            // Segments without bytes do not count.
            hands.pass(secs(9));
            hands.send(&exact);
            hands.pass(secs(20));
        }
        about(until_reset(hands, secs(100)), 1);
    });
}

#[test]
fn a_service_decides_per_stream_and_is_told() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let told = Cell::new(None);
    let serve = async {
        let listener = server.listen(7, Backlog(4)).unwrap();
        listener.set_limits(TimeLimits {
            between_reads: Some(secs(3)),
            ..TimeLimits::DEFAULT
        });
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buf = [0; 8];
        // A read that waits too long can be tried again.
        assert_eq!(stream.read(&mut buf).await, Err(ReadError::TimedOut));
        assert_eq!(server.now().total_millis() / 1000, 3);
        stream.set_read_timeout(None);
        stream.set_limits(TimeLimits {
            exchange: Some(secs(5)),
            ..TimeLimits::NONE
        });
        assert_eq!(stream.read(&mut buf).await, Err(ReadError::TimedOut));
        assert_eq!(server.now().total_millis() / 1000, 8);
        told.set(Some(stream.write(b"x").await));
    };
    server.spawn(Box::pin(serve)).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        opened(hands, 1000);
        about(until_reset(hands, secs(100)), 8);
        hands.pass(secs(1));
        assert_eq!(told.get(), Some(Err(WriteError::TimedOut)));
        assert_eq!(server.counters().slots_used, 0);
    });
}

/// Row 12.
#[test]
fn whoever_goes_silent_holds_no_slot_that_is_closed_and_no_bytes_for_ever() {
    for stage in ["established", "fin-wait-1", "fin-wait-2", "unacknowledged"] {
        host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        let serve = async {
            let listener = server.listen(7, Backlog(4)).unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            match stage {
                "established" => server.sleep(secs(1_000_000)).await,
                "unacknowledged" => {
                    stream.write_all(b"anybody there?").await.unwrap();
                    let mut buf = [0; 8];
                    assert_eq!(stream.read(&mut buf).await, Err(ReadError::TimedOut));
                }
                _ => (),
            }
        };
        server.spawn(Box::pin(serve)).unwrap();
        by_hand(server, |hands| {
            hands.pass(TICK);
            let reply = greeted(hands);
            if stage == "fin-wait-2" {
                let fin = Seg {
                    seq: reply.seq + 1,
                    control: TcpControl::Fin,
                    ..reply
                };
                hands.send(&answer(&fin, TcpControl::None, b""));
            }
            let within = if stage == "unacknowledged" { 122 } else { 32 };
            hands.pass(secs(within));
            let open = u32::from(stage == "established");
            assert_eq!(server.counters().slots_used, open, "{stage}");
            assert_eq!(server.counters().expired, 1 - u64::from(open), "{stage}");
        });
    }
}

/// Row 13.
#[test]
fn a_window_shut_for_ever_ends_the_connection_and_a_slow_reader_does_not() {
    for slow in [false, true] {
        host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        let written = Cell::new(Ok(()));
        let serve = async {
            let listener = server.listen(7, Backlog(4)).unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            for _ in 0..40 {
                written.set(stream.write_all(&[b'x'; 100]).await);
                if written.get().is_err() {
                    return;
                }
            }
            written.set(stream.acknowledged().await);
        };
        server.spawn(Box::pin(serve)).unwrap();
        by_hand(server, |hands| {
            hands.pass(TICK);
            let reply = greeted(hands);
            let mut next = reply.seq + 1;
            let start = hands.now;
            while hands.now < start + secs(if slow { 5000 } else { 125 }) {
                // Every minute it takes what one segment held, or never.
                let seen = hands.pass_with(secs(60), |seg| {
                    let mut ack = answer(seg, TcpControl::None, b"");
                    (ack.ack, ack.window) = (Some(next), 0);
                    (seg.control != TcpControl::Rst).then_some(ack)
                });
                if slow
                    && let Some(seg) = seen
                        .iter()
                        .find(|seg| seg.seq == next && !seg.payload.is_empty())
                {
                    next += seg.payload.len();
                    let mut ack = answer(seg, TcpControl::None, b"");
                    (ack.ack, ack.window) = (Some(next), 100);
                    hands.send(&ack);
                }
            }
            let expired = server.counters().expired;
            match slow {
                false => assert_eq!((expired, written.get()), (1, Err(WriteError::TimedOut))),
                true => assert_eq!(written.get(), Ok(())),
            }
        });
    }
}

#[test]
fn without_limits_a_quiet_client_is_left_alone_for_a_year() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server
        .spawn(Box::pin(echo_server(server, TimeLimits::DEFAULT, None)))
        .unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        let exact = opened(hands, 1000);
        let exact = converse(hands, &exact, b"hello");
        assert_eq!(hands.pass(secs(365 * 86_400)), []);
        converse(hands, &exact, b"a year later");
    });
}

#[test]
fn the_longest_idle_gives_way_where_the_listener_wants_it() {
    for (reclaim, cookies) in [(None, false), (Some(secs(5)), false), (Some(secs(5)), true)] {
        let mut config = config(1);
        config.cookies = cookies;
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024, parked: 0, config: config);
        server
            .spawn(Box::pin(echo_server(server, TimeLimits::DEFAULT, reclaim)))
            .unwrap();
        by_hand(server, |hands| {
            hands.pass(TICK);
            let first = opened(hands, 1000);
            let second = opened(hands, 1001);
            let second = converse(hands, &second, b"soon quiet");
            hands.pass(secs(10));
            let first = converse(hands, &first, b"the first is busy");
            hands.send(&syn(9, 1002, 7, 1));
            let seen = hands.pass(TICK);
            let reply = seen.iter().find(|seg| seg.to_port == 1002);
            let Some(reply) = reply else {
                assert_eq!(reclaim, None);
                return;
            };
            // Nobody gives way to a peer that may not be there.
            assert_eq!(server.counters().reclaimed, u64::from(!cookies));
            let third = answer(reply, TcpControl::None, b"");
            hands.send(&third);
            hands.pass(TICK);
            assert_eq!(server.counters().reclaimed, 1);
            converse(hands, &third, b"third");
            converse(hands, &first, b"first");
            // The second one finds out when it speaks.
            hands.send(&Seg {
                payload: b"second".to_vec(),
                ..second.clone()
            });
            let seen = hands.pass(TICK * 2);
            assert!(
                seen.iter().any(Seg::is_rst),
                "{seen:?} {second:?} {:?}",
                server.counters()
            );
            // Nobody else is idle enough.
            hands.send(&syn(9, 1003, 7, 1));
            assert_eq!(hands.pass(TICK), []);
        });
    }
}

/// Row 15.
#[test]
fn a_floor_for_the_mss() {
    for (floor, offer, longest) in [(0, 1, 48), (0, 0, 256), (200, 1, 200), (200, 220, 220)] {
        let mut config = config(1);
        config.mss_floor = floor;
        host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 1024, tx: 1024, parked: 0, config: config);
        server
            .spawn(Box::pin(echo_server(server, TimeLimits::DEFAULT, None)))
            .unwrap();
        by_hand(server, |hands| {
            hands.pass(TICK);
            let reply = hands.open(&Seg {
                mss: Some(offer),
                ..syn(9, 1000, 7, 1)
            });
            hands.send(&answer(&reply, TcpControl::Psh, &[7; 256]));
            let seen = hands.pass_with(secs(1), |seg| {
                (!seg.payload.is_empty()).then(|| answer(seg, TcpControl::None, b""))
            });
            let sizes: Vec<_> = seen.iter().map(|seg| seg.payload.len()).collect();
            assert_eq!(sizes.iter().sum::<usize>(), 256, "{sizes:?}");
            assert_eq!(sizes.iter().max(), Some(&longest), "{floor} {offer}");
        });
    }
}

#[test]
fn the_limit_of_a_stream_that_is_held_when_it_is_cut_passes_once() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let hold = async {
        let listener = server.listen(7, Backlog(1)).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_limits(TimeLimits {
            idle: Some(secs(2)),
            ..TimeLimits::DEFAULT
        });
        server.sleep(secs(30)).await;
        assert_eq!(stream.read(&mut [0]).await, Err(ReadError::TimedOut));
    };
    server.spawn(Box::pin(hold)).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        opened(hands, 1000);
        let before = hands.turns;
        hands.pass(secs(60));
        assert!(hands.turns - before < 50, "{}", hands.turns - before);
        assert_eq!(server.counters().expired, 1);
    });
}

#[test]
fn the_limit_of_a_stream_that_is_held_in_time_wait_costs_no_turns() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let hold = async {
        let listener = server.listen(7, Backlog(1)).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_limits(TimeLimits {
            idle: Some(secs(2)),
            ..TimeLimits::DEFAULT
        });
        stream.shutdown();
        assert_eq!(stream.read(&mut [0]).await, Ok(0));
        server.sleep(secs(30)).await;
        drop(stream);
    };
    server.spawn(Box::pin(hold)).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        hands.send(&syn(9, 1000, 7, 1));
        let reply = hands.pass(TICK).pop().unwrap();
        hands.send(&answer(&reply, TcpControl::None, b""));
        let fin = hands.pass(TICK).pop().unwrap();
        assert_eq!(fin.control, TcpControl::Fin);
        hands.send(&answer(&fin, TcpControl::Fin, b""));
        let before = hands.turns;
        hands.pass(secs(60));
        assert!(hands.turns - before < 50, "{}", hands.turns - before);
        assert_eq!(server.counters().slots_used, 0);
    });
}
