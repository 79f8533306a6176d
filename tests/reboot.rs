//! A host whose memory is never freed, stepped from outside, crashing and
//! coming up again.
#![cfg(feature = "lab")]
mod harness;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use cygnet::lab::wire::{Faults, Wire};
use cygnet::{Backlog, ReadError, StaticTurns, Turn, service};
use harness::*;
use smoltcp::time::{Duration, Instant};

fn secret(boot: u8) -> [u8; 16] {
    [boot; 16]
}

/// Steps both until `until`, or until nothing is left to happen.
fn step(
    wire: &Wire<32>,
    turns: &mut [Option<StaticTurns>; 2],
    mut now: Instant,
    until: Instant,
) -> Instant {
    let (mut left, mut right) = wire.ends();
    while now < until {
        let [a, b] = turns;
        let done = [
            a.as_mut()
                .map_or(Turn::Done, |turns| turns.turn(&mut left, now)),
            b.as_mut()
                .map_or(Turn::Done, |turns| turns.turn(&mut right, now)),
        ];
        let Some(next) = cygnet::lab::pair::next(done, wire.next_delivery()) else {
            return until;
        };
        now = next.max(now + Duration::from_micros(1)).min(until);
    }
    now
}

#[test]
fn a_rebooted_server_serves_again_and_its_old_peers_are_reset() {
    let (server, client) = (lasting(1), lasting(2));
    let wire: Wire<32> = Wire::new(Faults::default());
    let ends = Rc::new(RefCell::new(Vec::new()));
    let told = ends.clone();
    server.spawn(service::echo(server, 7, Backlog(4))).unwrap();
    client
        .spawn(async move {
            for _ in 0..2 {
                let mut stream = client.connect(v4(1, 7)).await.unwrap();
                stream.write_all(b"swan").await.unwrap();
                let mut answer = [0; 4];
                assert_eq!(stream.read(&mut answer).await, Ok(4));
                client.sleep(Duration::from_secs(2)).await; // the crash is at 1 s
                let asked = stream.write_all(b"swan").await;
                let answered = stream.read(&mut answer).await;
                told.borrow_mut().push((asked, answered));
            }
        })
        .unwrap();
    let mut turns = [
        Some(StaticTurns::new(server)),
        Some(StaticTurns::new(client)),
    ];
    let now = step(&wire, &mut turns, Instant::ZERO, seconds(1));
    assert_eq!(server.counters().slots_used, 1);
    turns[0] = None; // power off: every task is dropped
    server.reboot(secret(9));
    assert_eq!(
        (server.counters().slots_used, server.waiting().count()),
        (0, 0)
    );
    server.spawn(service::echo(server, 7, Backlog(4))).unwrap();
    turns[0] = Some(StaticTurns::new(server));
    step(&wire, &mut turns, now, seconds(60));
    let ends = ends.borrow();
    assert_eq!(ends[0].1, Err(ReadError::Reset), "the first boot's stream");
    assert_eq!(ends[1].1, Ok(4), "the second boot's stream");
}

#[test]
fn what_a_boot_leaves_behind_is_told_that_it_is_gone() {
    let (server, client) = (lasting(1), lasting(2));
    let wire: Wire<32> = Wire::new(Faults::default());
    let kept = Rc::new(RefCell::new(None));
    let keep = kept.clone();
    let accepted = Rc::new(Cell::new(false));
    let seen = accepted.clone();
    server
        .spawn(async move {
            let listener = server.listen(7, Backlog(4)).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            seen.set(true);
            *keep.borrow_mut() = Some((listener, stream));
            std::future::pending::<()>().await;
        })
        .unwrap();
    client
        .spawn(async move {
            let stream = client.connect(v4(1, 7)).await.unwrap();
            client.sleep(Duration::from_secs(5)).await;
            drop(stream);
        })
        .unwrap();
    let mut turns = [
        Some(StaticTurns::new(server)),
        Some(StaticTurns::new(client)),
    ];
    step(&wire, &mut turns, Instant::ZERO, seconds(1));
    assert!(accepted.get());
    turns[0] = None;
    server.reboot(secret(9));
    // Somebody outside the tasks still holds the first boot's sockets.
    let (listener, stream) = kept.borrow_mut().take().unwrap();
    assert_eq!(stream.remote_addr(), None);
    let fresh = server.listen(7, Backlog(4)).unwrap();
    drop((listener, stream));
    assert_eq!(
        server.listen(7, Backlog(4)).err(),
        Some(cygnet::ListenError::InUse)
    );
    drop(fresh);
    assert_eq!(server.counters().slots_used, 0);
}

#[test]
fn a_new_boot_has_new_sequence_numbers_and_knows_no_neighbor() {
    let numbers: Vec<_> = [1, 9]
        .into_iter()
        .map(|boot| {
            let (server, client) = (lasting(1), lasting(2));
            client.reboot(secret(boot));
            let wire: Wire<32> = Wire::new(Faults::default());
            client
                .spawn(async move { drop(client.connect(v4(1, 7)).await) })
                .unwrap();
            let seen = RefCell::new(Vec::new());
            let note = |frame: &[u8]| {
                seen.borrow_mut().push(frame.to_vec());
                true
            };
            let (mut left, right) = wire.ends();
            let mut right = right.with_filter(&note);
            let mut turns = (StaticTurns::new(server), StaticTurns::new(client));
            for micros in 0..10 {
                let now = Instant::from_micros(micros);
                turns.0.turn(&mut left, now);
                turns.1.turn(&mut right, now);
            }
            drop(turns);
            let seen = seen.into_inner();
            assert_eq!(
                &seen[0][12..14],
                &[8, 6],
                "first of all it asks who has the address"
            );
            let syn = seen.iter().find(|frame| frame[12..14] == [8, 0]).unwrap();
            (syn[34..36].to_vec(), syn[38..42].to_vec())
        })
        .collect();
    assert_ne!(numbers[0].0, numbers[1].0, "ports");
    assert_ne!(numbers[0].1, numbers[1].1, "sequence numbers");
}
