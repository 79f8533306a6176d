use std::collections::BTreeMap;

use smoltcp::time::Duration;

use super::*;
use crate::diff::lines;
use crate::queue::What;
use crate::scenario::{SCENARIOS, Scenario};
use crate::stage::{Staging, run};

const GO: fn(u64) -> bool = |_| true;

/// A plan as it is read from a file: its fates are told.
fn told(scenario: &Scenario, seed: u64, millis: u64) -> Plan {
    let mut plan = scenario.plan(seed, Duration::from_millis(millis));
    let drawn = run(
        &plan,
        Staging {
            seed: Some(seed),
            record: true,
            ..Staging::default()
        },
    );
    plan.fates = drawn.fates;
    plan.to_string().parse().unwrap()
}

fn chaos(seed: u64) -> Plan {
    told(Scenario::named("chaos").unwrap(), seed, 900)
}

/// A number that follows from others.
fn pick(seed: u64, number: u64, below: u64) -> u64 {
    crate::draws::keyed(seed, number, 0, 0) % below.max(1)
}

/// Between two steps the world itself can be asked.
fn agrees_with_the_world(cursor: &Cursor) {
    let (world, here) = (&cursor.stage.as_ref().unwrap().world, cursor.snapshot());
    let mut flying = BTreeMap::new();
    for what in world.queue.waiting() {
        if let What::Deliver { sent, .. } = what {
            *flying.entry(*sent).or_insert(0) += 1;
        }
    }
    let flights = here.flights.iter();
    let flights: BTreeMap<u64, usize> = flights.map(|(sent, one)| (*sent, one.copies)).collect();
    assert_eq!(flights, flying);
    for (host, view) in world.hosts.iter().zip(&here.hosts) {
        assert_eq!(
            (!host.is_up(), host.paused),
            (view.is_off, view.is_paused),
            "{view:?}"
        );
        assert_eq!(host.card.waiting(), view.ring, "{}", view.name);
        let Some(node) = host.node() else {
            assert!(view.is_machine);
            continue;
        };
        let mut waiting: Vec<_> = node.waiting().collect();
        waiting.sort_by_key(|task| task.task);
        assert_eq!(waiting.len(), view.tasks.len(), "{}", view.name);
        for (task, seen) in waiting.iter().zip(view.tasks.values()) {
            assert_eq!(
                (task.task, task.name, task.line),
                (seen.task, &*seen.name, seen.line)
            );
            assert_eq!((task.state, task.polls), (seen.state, seen.polls), "{seen}");
            assert_eq!(task.last_poll, seen.last_poll, "{seen}");
            assert!(!seen.is_woken, "{seen}");
        }
        // What is off keeps its memory as it was until it is on again.
        let slots = node.counters().slots_used as usize;
        let seen = view.connections.len();
        assert!(view.is_off || slots == seen, "{slots} slots: {view:?}");
    }
}

/// Queues are never longer than they can be; adds them up.
fn bounded(cursor: &Cursor, queued: &mut [u64; 3]) {
    let world = &cursor.stage.as_ref().unwrap().world;
    for (host, view) in world.hosts.iter().zip(&cursor.snapshot().hosts) {
        let Some(size) = host.board().map(|board| board.size()) else {
            continue;
        };
        for view in view.connections.values() {
            assert!(view.unread() <= size.rx_bytes as u64, "{view}");
            assert!(view.unsent() <= size.tx_bytes as u64, "{view}");
            // Who connects has its connection at once.
            let waits = view.progress == Progress::Backlog;
            assert!(!waits || view.local.port == 7, "{view}");
            queued[0] += view.unread();
            queued[1] += view.unsent();
            queued[2] += u64::from(waits);
        }
    }
}

#[test]
fn what_is_known_is_what_the_world_says_in_every_scenario() {
    let (mut moments, mut queued) = (0, [0_u64; 3]);
    for scenario in SCENARIOS {
        let millis = if scenario.name == "synflood" { 80 } else { 700 };
        let mut cursor = Cursor::new(told(scenario, 4, millis));
        while cursor.forward(GO) == Moved::There {
            bounded(&cursor, &mut queued);
            if cursor.next_line().is_none() && !cursor.tracker.borrow().has_arrivals() {
                moments += 1;
                agrees_with_the_world(&cursor);
            }
        }
        assert!(cursor.ending().is_some(), "{}", scenario.name);
    }
    assert!(moments > 10_000, "{moments}");
    assert!(queued.iter().all(|&sum| sum > 100), "{queued:?}");
}

#[test]
fn a_cursor_sees_the_run_that_replay_runs() {
    for seed in 0..4 {
        let plan = chaos(seed);
        let whole = run(&plan, Staging::default());
        let mut cursor = Cursor::new(plan.clone());
        let mut seen = Vec::new();
        while cursor.forward(GO) == Moved::There {
            let line = cursor.lines(1).pop().unwrap();
            assert_eq!(line.number, seen.len() as u64);
            seen.push(line.text);
        }
        assert_eq!(seen, lines(&plan, 0..u64::MAX));
        assert_eq!(seen.len() as u64, whole.events);
        let stage = cursor.stage.as_ref().unwrap();
        assert_eq!(stage.world.digest(), whole.digest);
        let ending = cursor.ending().unwrap();
        assert_eq!(ending.violation, whole.violation);
        assert_eq!(ending.never_came, None);
    }
}

#[test]
fn back_and_forward_is_the_same_moment_and_to_is_many_steps() {
    for seed in 0..6 {
        let plan = chaos(seed);
        let events = run(&plan, Staging::default()).events;
        let mut stepped = Cursor::new(plan.clone());
        let mut jumped = Cursor::new(plan);
        let mut targets: Vec<u64> = (0..8).map(|number| pick(seed, number, events)).collect();
        targets.sort_unstable();
        for (index, &target) in targets.iter().enumerate() {
            while stepped.events() <= target {
                assert_eq!(stepped.forward(GO), Moved::There);
            }
            // From before and from behind.
            if index % 2 == 1 {
                jumped.to(pick(seed, 99 + target, events), GO);
            }
            assert_eq!(jumped.to(target, GO), Moved::There);
            let here = stepped.snapshot().clone();
            assert_eq!(here.events, target + 1);
            assert_eq!(*jumped.snapshot(), here, "seed {seed}, event {target}");
            assert_eq!(jumped.lines(50), stepped.lines(50));
            let back = jumped.back(GO);
            assert!(back == Moved::There || target == 0, "{back:?}");
            assert_eq!(jumped.snapshot().events, target);
            assert_eq!(jumped.forward(GO), Moved::There);
            assert_eq!(*jumped.snapshot(), here, "seed {seed}, event {target}");
        }
    }
}

#[test]
fn every_drop_is_found_once() {
    let plan = told(Scenario::named("chaos").unwrap(), 1, 6000);
    let mut stepped = Cursor::new(plan.clone());
    let mut expected = Vec::new();
    while stepped.forward(GO) == Moved::There {
        let line = stepped.lines(1).pop().unwrap();
        let words = [" lose", " dropped", " drop "];
        let is_drop = words.iter().any(|word| line.text.contains(word));
        let is_drop = is_drop && !line.text.ends_with(" not ours");
        assert_eq!(
            line.is_drop,
            is_drop || !line.unheard.is_empty(),
            "{line:?}"
        );
        if line.is_drop {
            expected.push(line);
        }
    }
    assert!(expected.len() > 10, "{}", expected.len());
    assert!(expected.iter().any(|line| line.text.contains(" lose")));
    let mut cursor = Cursor::new(plan);
    let mut found = Vec::new();
    while cursor.to_drop(GO) == Moved::There {
        found.push(cursor.lines(1).pop().unwrap());
    }
    assert_eq!(found, expected);
}

#[test]
fn a_frame_for_nobody_is_a_drop_although_it_is_no_event() {
    let text = "cygnet-plan 1\nhost server serve\nhost c1 visit\nat 1s crash server\nend\n";
    let mut cursor = Cursor::new(text.parse().unwrap());
    assert_eq!(cursor.to_drop(GO), Moved::There);
    let line = cursor.lines(1).pop().unwrap();
    assert!(
        line.unheard[0].ends_with(" is lost: server is off"),
        "{line:?}"
    );
    assert!(cursor.snapshot().hosts[0].is_off);
}

#[test]
fn the_next_frame_is_lost_and_nothing_before_it_changes() {
    for seed in 0..4 {
        let plan = chaos(seed);
        let before = lines(&plan, 0..u64::MAX);
        let mut cursor = Cursor::new(plan.clone());
        let target = pick(seed, 7, before.len() as u64 * 2 / 3);
        cursor.to(target, GO);
        let here = cursor.snapshot().clone();
        let lost = cursor.lose(GO).unwrap();
        assert_eq!(*cursor.snapshot(), here);
        let key = cursor.key(lost.frame);
        assert!(lost.event > target);
        let after = lines(cursor.plan(), 0..u64::MAX);
        let first = before.iter().zip(&after).position(|(a, b)| a != b);
        assert_eq!(first, Some(lost.event as usize), "{key}");
        let line = &after[lost.event as usize];
        assert!(line.contains(&format!(" link {key} lose")), "{line}");
        // The plan says so, and is a plan.
        let text = cursor.plan().to_string();
        assert!(text.contains(&format!("frame {key} lose\n")), "{text}");
        assert_eq!(cursor.to_drop(GO), Moved::There);
    }
    // Behind the last frame there is none.
    let mut cursor = Cursor::new(chaos(0));
    cursor.to(u64::MAX, GO);
    assert_eq!(cursor.lose(GO), None);
    assert!(cursor.ending().is_some());
}

#[test]
fn the_ends_are_ends() {
    let mut cursor = Cursor::new(chaos(2));
    assert_eq!(cursor.back(GO), Moved::Start);
    assert_eq!(cursor.forward(GO), Moved::There);
    assert_eq!(cursor.back(GO), Moved::Start);
    assert_eq!(*cursor.snapshot(), *Cursor::new(chaos(2)).snapshot());
    assert_eq!(cursor.ending(), None);
    assert_eq!(cursor.to(u64::MAX, GO), Moved::End);
    let last = cursor.snapshot().clone();
    assert_eq!(cursor.forward(GO), Moved::End);
    assert_eq!(*cursor.snapshot(), last);
    assert_eq!(cursor.back(GO), Moved::There);
    assert_eq!(cursor.snapshot().events, last.events - 1);
    assert_eq!(cursor.forward(GO), Moved::There);
    assert_eq!(*cursor.snapshot(), last);
    // Whoever waits may stop, and goes on from there.
    let mut cursor = Cursor::new(told(Scenario::named("churn").unwrap(), 2, 5000));
    let mut heard = Vec::new();
    let moved = cursor.to(u64::MAX, |events| {
        heard.push(events);
        heard.len() < 2
    });
    assert_eq!((moved, heard.len()), (Moved::Stopped, 2));
    assert_eq!(cursor.snapshot().events, heard[1]);
    // Wherever it stops, that is a moment like any other.
    let mut other = Cursor::new(cursor.plan().clone());
    for _ in 0..20 {
        cursor.to(u64::MAX, |_| false);
        let here = cursor.snapshot().clone();
        other.to(here.events - 1, GO);
        assert_eq!(here, *other.snapshot());
    }
    assert_eq!(cursor.to(u64::MAX, GO), Moved::End);
    assert!(cursor.snapshot().events > heard[1]);
}

#[test]
fn a_run_that_fails_ends_where_it_fails() {
    let text = "cygnet-plan 1\ntime heal=2s limit=2010ms\nhost server serve\nhost c1 visit\n\
                at 1s cut server\nframe c1 up 9999 lose\nend\n";
    let plan: Plan = text.parse().unwrap();
    let whole = run(&plan, Staging::default());
    let mut cursor = Cursor::new(plan);
    assert_eq!(cursor.to(u64::MAX, GO), Moved::End);
    let ending = cursor.ending().unwrap();
    assert_eq!(
        ending.violation.as_ref().map(|it| it.invariant),
        Some("completion")
    );
    assert_eq!(ending.violation, whole.violation);
    let text = text.replace("limit=2010ms", "limit=99s");
    let mut cursor = Cursor::new(text.parse().unwrap());
    cursor.to(u64::MAX, GO);
    let (words, why) = cursor.ending().unwrap().never_came.unwrap();
    assert_eq!(words, "frame c1 up 9999");
    assert!(why.contains("never comes"), "{why}");
}
