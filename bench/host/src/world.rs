//! `bench/world`: how fast worlds run, and whether their memory stays what it
//! was. One thread, digest on. Time is what the processor gave this thread, so a
//! busy machine changes little.

use std::cell::RefCell;
use std::rc::Rc;

use cygnet_sim::report::{Report, Value};
use cygnet_sim::world::plan::{Goodbye, Place, Plan, Role, Server, Visitor};
use cygnet_sim::world::scenario::Scenario;
use cygnet_sim::world::stage::{Outcome, Staging, run as stage};
use cygnet_sim::world::{Fates, Link, Size};
use smoltcp::time::{Duration, Instant};

use crate::usage::{processor_time, resident};
use crate::versus;
use crate::words::WorldConfig;

const DAY: Duration = Duration::from_secs(86_400);

/// Runs it. Returns 0, or 1 when a run was violated.
///
/// # Errors
/// One line.
pub fn run(config: &WorldConfig) -> Result<u8, String> {
    if let Some(theirs) = &config.against {
        return versus::run(config, theirs);
    }
    let part = |whole: u64| if config.quick { whole / 10 } else { whole };
    let mut bench = Bench {
        report: Report::new("worlds, one thread, digest on"),
        violated: false,
    };
    bench.frames("churn", part(3000).max(100));
    bench.seconds("lossy", Duration::from_secs(part(4000)));
    let hour = Duration::from_secs(part(3600));
    let (spent, outcome) = bench.timed(&town(500, hour), None, Staging::default());
    bench = bench
        .row("500 hosts for", nanos(hour))
        .row("500 hosts, frames", outcome.frames.into())
        .row("500 hosts, processor time", Value::Nanos(spent));
    let days = if config.quick { 2 } else { 7 };
    let bench = bench.memory(days);
    let _ = bench
        .report
        .print(config.format, &mut std::io::stdout().lock());
    Ok(bench.violated.into())
}

struct Bench {
    report: Report,
    violated: bool,
}

impl Bench {
    fn row(self, label: &str, value: Value) -> Bench {
        Bench {
            report: self.report.row(label, value),
            ..self
        }
    }

    fn add(&mut self, label: &str, value: Value) {
        let report = std::mem::replace(&mut self.report, Report::new(""));
        self.report = report.row(label, value);
    }

    fn timed(&mut self, plan: &Plan, seed: Option<u64>, staging: Staging) -> (u64, Outcome) {
        let before = processor_time();
        let staging = Staging {
            seed,
            budget: Some(u64::MAX),
            ..staging
        };
        let outcome = stage(plan, staging);
        let spent = (processor_time() - before).as_nanos() as u64;
        if let Some(violation) = &outcome.violation {
            eprintln!("bench: violated: {violation}");
            self.violated = true;
        }
        (spent, outcome)
    }

    /// Frames per second of a scenario's first seeds.
    fn frames(&mut self, name: &str, seeds: u64) {
        let scenario = Scenario::named(name).expect("it ships");
        let (mut spent, mut frames) = (0, 0);
        for seed in 0..seeds {
            let plan = scenario.plan(seed, scenario.horizon);
            let (time, outcome) = self.timed(&plan, Some(seed), Staging::default());
            spent += time;
            frames += outcome.frames;
        }
        self.add(&format!("{name}, frames"), frames.into());
        let rate = frames as f64 * 1e9 / spent.max(1) as f64;
        self.add(
            &format!("{name}, frames per second"),
            Value::PerSecond(rate),
        );
    }

    /// How much faster than life a scenario runs.
    fn seconds(&mut self, name: &str, time: Duration) {
        let scenario = Scenario::named(name).expect("it ships");
        let plan = scenario.plan(1, time);
        let (spent, outcome) = self.timed(&plan, Some(1), Staging::default());
        let seconds = outcome.ended.total_micros() as f64 / 1e6;
        let rate = seconds * 1e9 / spent.max(1) as f64;
        self.add(&format!("{name}, visits"), outcome.visits.into());
        self.add(
            &format!("{name}, world seconds per second"),
            Value::PerSecond(rate),
        );
    }

    /// What the process has after the first day and at the end.
    fn memory(mut self, days: u64) -> Bench {
        let seen: Rc<RefCell<Vec<u64>>> = Rc::default();
        let samples = Rc::clone(&seen);
        let mut next = Instant::ZERO + DAY;
        let look = move |now: Instant| {
            if now >= next {
                samples.borrow_mut().push(resident());
                next += DAY;
            }
            true
        };
        let staging = Staging {
            look: Some(Box::new(look)),
            ..Staging::default()
        };
        let plan = week(DAY * days as u32 + Duration::from_secs(60));
        let (spent, outcome) = self.timed(&plan, None, staging);
        let seen = seen.borrow();
        let at = |day: Option<&u64>| Value::Bytes(day.copied().unwrap_or(0));
        let last = format!("memory after day {days}");
        self.row("days simulated", days.into())
            .row("days, frames", outcome.frames.into())
            .row("days, processor time", Value::Nanos(spent))
            .row("memory after day 1", at(seen.first()))
            .row(&last, at(seen.last()))
    }
}

fn nanos(time: Duration) -> Value {
    Value::Nanos(time.total_micros() * 1000)
}

/// A plan without faults.
fn quiet(heal: Duration, server: Server) -> Plan {
    let heal = Instant::ZERO + heal;
    Plan {
        from: None,
        heal,
        limit: heal + Duration::from_secs(600),
        honest: true,
        places: vec![Place {
            name: "server".into(),
            on: None,
            link: Link::LAN,
            role: Role::Server(server),
        }],
        strikes: Vec::new(),
        fates: Fates::default(),
    }
}

fn visitor(number: u64, until: Instant, pause: Duration) -> Visitor {
    Visitor {
        secret: number,
        to: 0,
        v6: false,
        lanes: 1,
        visits: u32::MAX,
        until,
        requests: 2,
        bytes: 100,
        start: Duration::from_millis(number * 577 % pause.total_millis()),
        pause,
        gap: Duration::from_millis(10),
        goodbye: Goodbye::Close,
        patience: None,
    }
}

/// `hosts` hosts behind switches of 24; each comes to the server every five
/// minutes.
fn town(hosts: usize, time: Duration) -> Plan {
    let size = Size {
        slots: 64,
        tasks: 66,
        ..Size::SMALL
    };
    let mut plan = quiet(
        time,
        Server {
            secret: 0,
            size,
            backlog: 16,
            asks: Server::ASKS,
        },
    );
    let pause = Duration::from_secs(300);
    let mut on = None;
    for number in 1..hosts {
        if number % 24 == 1 {
            on = Some(plan.places.len());
            plan.places.push(Place {
                name: format!("s{number}"),
                on: None,
                link: Link::LAN,
                role: Role::Switch,
            });
        }
        plan.places.push(Place {
            name: format!("c{number}"),
            on,
            link: Link::LAN,
            role: Role::Visitor(visitor(number as u64, plan.heal, pause)),
        });
    }
    plan
}

/// Three hosts that come every ten seconds.
fn week(time: Duration) -> Plan {
    let mut plan = quiet(
        time,
        Server {
            secret: 0,
            size: Size::SMALL,
            backlog: 4,
            asks: Server::ASKS,
        },
    );
    for number in 1..4 {
        plan.places.push(Place {
            name: format!("c{number}"),
            on: None,
            link: Link::LAN,
            role: Role::Visitor(visitor(number, plan.heal, Duration::from_secs(10))),
        });
    }
    plan
}
