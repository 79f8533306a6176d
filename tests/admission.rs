//! Who gets a place when there are not enough: a SYN waits in line as long as
//! handshakes get on; once one does not, everybody has to prove that it is there,
//! and goes before whoever has not. There is no rate of SYNs at which those that
//! nobody completes keep others out.
#![cfg(feature = "lab")]
mod harness;
#[path = "admission/line.rs"]
mod line;

use std::cell::Cell;

use cygnet::event::DropReason;
use cygnet::{Backlog, Config, Node};
use harness::peer::{Hands, Seg, answer, by_hand, syn};
use harness::*;
use smoltcp::time::Duration;
use smoltcp::wire::{TcpControl, TcpSeqNumber};

const TICK: Duration = Duration::from_millis(10);
const ROUND_TRIP: Duration = Duration::from_millis(250);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A SYN that nobody will finish.
fn stale(hands: &mut Hands<'_>, number: u16) {
    hands.send(&syn(200, number, 7, number.into()));
}

/// What the host said to one port.
fn to(seen: &[Seg], port: u16) -> Vec<Seg> {
    let mine = seen.iter().filter(|seg| seg.to_port == port);
    mine.cloned().collect()
}

/// Sends a SYN and gives the answer to it.
fn ask(hands: &mut Hands<'_>, syn: &Seg) -> Seg {
    hands.send(syn);
    let seen = to(&hands.pass(TICK), syn.from_port);
    let [reply] = &seen[..] else {
        panic!("one answer to {syn:?}: {seen:?}");
    };
    assert!(reply.is_answer());
    reply.clone()
}

fn hello(reply: &Seg) -> Seg {
    answer(reply, TcpControl::Psh, b"hello")
}

/// Whether the host says in `seen` that the sender of `reply`'s SYN may send.
fn is_let_in(seen: &[Seg], reply: &Seg) -> bool {
    let mine = to(seen, reply.to_port);
    mine.iter()
        .any(|seg| !seg.is_answer() && !seg.is_rst() && seg.window > 0)
}

/// Serves echo on ports 7 and 8 to four connections at once at most.
fn serve(node: Node<'_>, backlog: u16) {
    for port in [7, 8] {
        node.spawn(Box::pin(async move {
            let listener = node.listen(port, Backlog(backlog)).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = node.spawn(Box::pin(echo(stream)));
            }
        }))
        .unwrap();
    }
}

/// One honest client, as the kernel's: it repeats its SYN after a second, and ends
/// in order. Gives how many SYNs it needed and how long it took to be answered.
fn visit(hands: &mut Hands<'_>, from_port: u16, to_port: u16) -> (u32, Duration) {
    let began = hands.now;
    let first = syn(9, from_port, to_port, 1);
    let mut seen = Vec::new();
    for syns in 1..=5 {
        hands.send(&first);
        for _ in 0..100 {
            seen.extend(to(&hands.pass(TICK), from_port));
            let Some(reply) = seen.iter().find(|seg| seg.is_answer()) else {
                continue;
            };
            let reply = reply.clone();
            hands.send(&answer(&reply, TcpControl::None, b""));
            while reply.window == 0 && !is_let_in(&seen, &reply) {
                seen.extend(to(&hands.pass(TICK), from_port));
                assert!(hands.now < began + millis(9000), "never let in");
            }
            hands.send(&hello(&reply));
            let seen = to(&hands.pass(TICK), from_port);
            let echoed = seen.iter().find(|seg| seg.payload == b"hello");
            let took = hands.now - began;
            hands.send(&answer(echoed.unwrap(), TcpControl::Fin, b""));
            let seen = to(&hands.pass(TICK), from_port);
            let fin = seen.iter().find(|seg| seg.control == TcpControl::Fin);
            hands.send(&answer(fin.unwrap(), TcpControl::None, b""));
            return (syns, took);
        }
    }
    panic!("a client of port {to_port} is not served after five SYNs");
}

/// Eight SYNs at once and then one every `gap`; honest clients of both ports.
fn trickle(gap: Duration, parked: bool) {
    let run = |server: Node<'_>| {
        serve(server, 8);
        by_hand(server, |hands| {
            hands.pass(TICK);
            let end = hands.now + Duration::from_secs(40);
            let mut number = 0;
            for _ in 0..8 {
                number += 1;
                stale(hands, number);
            }
            let (mut next, mut client) = (hands.now + gap, 20_000);
            while hands.now < end {
                while next <= hands.now {
                    number += 1;
                    stale(hands, number);
                    next += gap;
                }
                if (hands.now.total_millis() / 10) % 50 == 0 {
                    client += 1;
                    let (syns, took) = visit(hands, client, 7);
                    assert!(syns <= 2, "{gap}: {syns} SYNs");
                    let quick = took <= ROUND_TRIP * 2 || hands.now < seconds(2);
                    assert!(quick, "{gap}: {took} at {}", hands.now);
                    client += 1;
                    let (syns, took) = visit(hands, client, 8);
                    assert!(syns == 1 && took < TICK * 5, "{gap}: {syns} SYNs, {took}");
                }
                hands.pass(TICK);
            }
            assert_eq!(server.counters().resets, 0);
            hands.pass(Duration::from_secs(60));
            assert_eq!(server.counters().slots_used, 0);
        });
    };
    if parked {
        host!(server, 1, slots: 16, tasks: 24, bytes: 64, rx: 256, tx: 256, parked: 40, config: with_cookies(1));
        run(server);
    } else {
        host!(server, 1, slots: 16, tasks: 24, bytes: 64, rx: 256, tx: 256, parked: 4, config: with_cookies(1));
        run(server);
    }
}

/// Row 22.
#[test]
fn there_is_no_rate_of_syns_below_which_nobody_completes_them_unnoticed() {
    for gap in [5000, 2500, 1000, 500, 200, 100, 50, 20] {
        trickle(millis(gap), true);
        trickle(millis(gap), false);
    }
}

/// One slot, which is taken until its peer resets the connection; somebody who
/// does not answer is in doubt.
fn taken<'h>(hands: &mut Hands<'h>, server: Node<'_>) -> impl Fn(&mut Hands<'h>) + use<'h> {
    hands.pass(TICK);
    stale(hands, 1);
    hands.pass(ROUND_TRIP + TICK);
    let first = ask(hands, &syn(20, 1000, 7, 1));
    assert_eq!(first.window, 0, "a cookie, and its window is shut");
    hands.send(&answer(&first, TcpControl::None, b""));
    assert!(is_let_in(&hands.pass(TICK), &first), "before who is silent");
    assert_eq!(server.counters().slots_used, 1);
    move |hands: &mut Hands<'h>| {
        hands.send(&answer(&first, TcpControl::Rst, b""));
    }
}

#[test]
fn those_in_line_are_asked_as_soon_as_a_handshake_does_not_get_on() {
    host!(server, 1, slots: 8, tasks: 12, bytes: 64, rx: 256, tx: 256, parked: 4, config: with_cookies(1));
    serve(server, 1);
    by_hand(server, |hands| {
        hands.pass(TICK);
        stale(hands, 1);
        hands.pass(TICK);
        hands.send(&syn(9, 1001, 7, 5));
        // Again: it waits once.
        hands.pass(millis(100));
        hands.send(&syn(9, 1001, 7, 5));
        hands.pass(millis(100));
        assert_eq!(server.counters().syns_parked, 1);
        let counters = server.counters();
        assert_eq!((counters.cookies_given, counters.slots_used), (0, 1));
        let seen = hands.pass(millis(60));
        let [reply] = &to(&seen, 1001)[..] else {
            panic!("{seen:?}");
        };
        assert!(reply.is_answer() && reply.window == 0);
        hands.send(&answer(reply, TcpControl::None, b""));
        assert!(is_let_in(&hands.pass(TICK), reply));
    });
}

/// A peer that begins handshakes and resets each in time would never be silent.
#[test]
fn a_handshake_that_is_reset_does_not_get_on_either() {
    host!(server, 1, slots: 8, tasks: 12, bytes: 64, rx: 256, tx: 256, parked: 4, config: with_cookies(1));
    serve(server, 1);
    by_hand(server, |hands| {
        hands.pass(TICK);
        let first = ask(hands, &syn(20, 1, 7, 1));
        hands.send(&syn(20, 2, 7, 1));
        hands.send(&syn(9, 1001, 7, 5));
        hands.pass(TICK);
        assert_eq!(server.counters().syns_parked, 2);
        hands.send(&Seg {
            ack: None,
            ..answer(&first, TcpControl::Rst, b"")
        });
        let seen = hands.pass(TICK);
        let [second] = &to(&seen, 2)[..] else {
            panic!("{seen:?}");
        };
        assert!(second.window > 0, "its turn, and a slot");
        let [honest] = &to(&seen, 1001)[..] else {
            panic!("{seen:?}");
        };
        assert_eq!(honest.window, 0);
        hands.send(&answer(honest, TcpControl::None, b""));
        assert!(is_let_in(&hands.pass(TICK), honest));
    });
}

/// What waited long before it was answered has not been silent so long.
#[test]
fn a_handshake_begins_with_our_answer() {
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 256, tx: 256, parked: 4, config: with_cookies(1));
    serve(server, 1);
    by_hand(server, |hands| {
        hands.pass(TICK);
        let first = hands.open(&syn(20, 1, 7, 1));
        hands.send(&syn(9, 1001, 7, 5));
        hands.send(&syn(9, 1002, 7, 5));
        hands.pass(Duration::from_secs(5));
        hands.send(&answer(&first, TcpControl::Rst, b""));
        let seen = hands.pass(TICK);
        let [second] = &to(&seen, 1001)[..] else {
            panic!("{seen:?}");
        };
        assert!(second.window > 0 && to(&seen, 1002).is_empty());
        hands.send(&answer(second, TcpControl::None, b""));
        hands.pass(Duration::from_secs(1));
        assert_eq!(server.counters().cookies_given, 0);
    });
}

#[test]
fn the_oldest_handshake_of_all_listeners_gives_way() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 256, tx: 256, parked: 4, config: {
        let mut config = with_cookies(1);
        config.half_open_limit = 2;
        config
    });
    serve(server, 2);
    by_hand(server, |hands| {
        hands.pass(TICK);
        // The one of the later listener is older.
        hands.send(&syn(200, 1, 8, 1));
        hands.pass(TICK);
        let younger = ask(hands, &syn(9, 1001, 7, 1));
        hands.pass(ROUND_TRIP);
        let proven = ask(hands, &syn(9, 1002, 7, 1));
        hands.send(&answer(&proven, TcpControl::None, b""));
        assert!(is_let_in(&hands.pass(TICK), &proven));
        hands.send(&hello(&younger));
        let seen = hands.pass(TICK * 2);
        assert_eq!(seen.last().unwrap().payload, b"hello");
        assert_eq!(server.counters().cookies_taken, 1, "it kept its slot");
    });
}

/// A hundred clients of a server that speaks first, which would not ask.
#[test]
fn a_burst_of_those_who_only_listen_is_served_in_doubt_too() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 64, tx: 64, parked: 100, config: with_cookies(1));
    server
        .spawn(Box::pin(async {
            let listener = server.listen(7, Backlog(4)).unwrap();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(b"13:37").await;
            }
        }))
        .unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        stale(hands, 1);
        hands.pass(ROUND_TRIP + TICK);
        for port in 0..50 {
            hands.send(&syn(9, 1000 + port, 7, 5));
        }
        let served = Cell::new(0);
        hands.pass_with(Duration::from_secs(2), |seg| {
            let fin = seg.control == TcpControl::Fin;
            served.set(served.get() + u32::from(seg.payload == b"13:37"));
            let flags = if fin {
                TcpControl::Fin
            } else {
                TcpControl::None
            };
            let mine = seg.to_port >= 1000;
            (mine && (seg.is_answer() || fin || !seg.payload.is_empty()))
                .then(|| answer(seg, flags, b""))
        });
        assert_eq!(served.get(), 50);
        assert_eq!(server.counters().dropped(DropReason::NoSlot), 0);
    });
}

/// A place is given away before our answer has left: its peer would never know.
#[test]
fn nobody_is_put_out_before_it_was_answered() {
    host!(server, 1, slots: 8, tasks: 12, bytes: 64, rx: 256, tx: 256, parked: 4, config: with_cookies(1));
    serve(server, 1);
    by_hand(server, |hands| {
        hands.pass(TICK);
        stale(hands, 1);
        hands.pass(ROUND_TRIP + TICK);
        let proven = ask(hands, &syn(9, 1001, 7, 5));
        // The one that is silent leaves, and in one turn another takes its place
        // and the proven one comes.
        let gone = Seg {
            ack: None,
            seq: TcpSeqNumber(2),
            control: TcpControl::Rst,
            ..syn(200, 1, 7, 1)
        };
        hands.send(&gone);
        hands.send(&syn(9, 1002, 7, 5));
        hands.send(&answer(&proven, TcpControl::None, b""));
        let seen = hands.pass(TICK);
        assert!(is_let_in(&seen, &proven), "{seen:?}");
        let [answered] = &to(&seen, 1002)[..] else {
            panic!("{seen:?}");
        };
        // Put out since; what it says proves that it is there, and is said again.
        hands.send(&hello(answered));
        hands.pass(TICK);
        hands.send(&hello(answered));
        let seen = hands.pass(TICK * 2);
        assert!(seen.iter().any(|seg| seg.payload == b"hello"), "{seen:?}");
    });
}
