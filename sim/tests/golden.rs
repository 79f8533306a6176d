//! Runs whose digests are written down. They are the same in debug and in
//! release, on every machine; when the core's behaviour changes, they change, and
//! the change is seen in review.

use cygnet_world::scenario::Scenario;
use cygnet_world::stage::{Staging, run};
use smoltcp::time::Duration;

/// Scenario, seed, digest, a line each.
const GOLDEN: &str = include_str!("golden.txt");

const REFRESH: &str = "CYGNET_GOLDEN=write cargo test -p cygnet-sim --test golden";

fn digest(scenario: &str, seed: u64) -> String {
    let scenario = Scenario::named(scenario).unwrap();
    // Ten seconds are enough, but for what takes days.
    let horizon = match scenario.horizon {
        days if days > Duration::from_secs(3600) => days,
        _ => Duration::from_secs(10),
    };
    let plan = scenario.plan(seed, horizon);
    let outcome = run(
        &plan,
        Staging {
            seed: Some(seed),
            ..Staging::default()
        },
    );
    assert_eq!(outcome.violation, None, "{} {seed}", scenario.name);
    format!("{:032x}", outcome.digest)
}

#[test]
fn runs_are_what_they_were() {
    let lines = GOLDEN.lines().map(|line| {
        let mut words = line.split(' ');
        let (scenario, seed) = (words.next().unwrap(), words.next().unwrap());
        format!(
            "{scenario} {seed} {}\n",
            digest(scenario, seed.parse().unwrap())
        )
    });
    let now: String = lines.collect();
    if std::env::var("CYGNET_GOLDEN").as_deref() == Ok("write") {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt");
        std::fs::write(path, &now).unwrap();
        return;
    }
    assert_eq!(now, GOLDEN, "if this is meant: {REFRESH}");
}
