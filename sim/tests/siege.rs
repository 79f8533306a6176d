//! A flood of SYNs: honest visitors hardly notice.

use cygnet_world::plan::{Plan, Role};
use cygnet_world::scenario::Scenario;
use cygnet_world::stage::{Outcome, Staging, run};
use smoltcp::time::Duration;

fn flood(seed: u64) -> Plan {
    let scenario = Scenario::named("synflood").unwrap();
    scenario.plan(seed, scenario.horizon)
}

fn drawn(plan: &Plan, seed: u64) -> Outcome {
    let outcome = run(
        plan,
        Staging {
            seed: Some(seed),
            ..Staging::default()
        },
    );
    assert_eq!(outcome.violation, None, "seed {seed}");
    outcome
}

/// One seed, or those of `CYGNET_SEEDS=A..B`.
fn seeds() -> std::ops::Range<u64> {
    let asked = std::env::var("CYGNET_SEEDS").ok();
    let range = asked.as_deref().and_then(|text| text.split_once(".."));
    match range.map(|(a, b)| (a.parse(), b.parse())) {
        Some((Ok(a), Ok(b))) => a..b,
        _ => 0..1,
    }
}

fn percentile(outcome: &Outcome, percent: usize) -> u64 {
    let mut sorted = outcome.latencies.clone();
    sorted.sort_unstable();
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

#[test]
fn a_flood_of_syns_costs_honest_visitors_nothing() {
    for seed in seeds() {
        let plan = flood(seed);
        let besieged = drawn(&plan, seed);
        let mut quiet = plan.clone();
        let gone = quiet.places.pop().unwrap();
        assert!(matches!(gone.role, Role::Attacker(_)));
        let quiet = drawn(&quiet, seed);

        let (with, without) = (percentile(&besieged, 99), percentile(&quiet, 99));
        println!(
            "seed {seed}: {} of 300 served, {} SYNs; 99 % within {with} us, quiet {without} us",
            besieged.visits, besieged.effects.attacked
        );
        assert_eq!((besieged.visits, besieged.cuts), (300, [0; 3]));
        assert!(with < 2 * without, "{with} us against {without} us");
        // No slot is held by what is not there.
        let freed = besieged.freed.unwrap();
        assert!(freed <= plan.heal + Duration::from_secs(20), "{freed}");
    }
}
