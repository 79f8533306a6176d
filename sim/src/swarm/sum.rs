//! Chunks add up: which are done, which are missing, and the summary of all. The
//! summary depends on nothing but the order: not on how many threads, machines
//! and attempts it took.

use std::collections::BTreeMap;
use std::ops::Range;

use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

use super::order::Order;
use super::results::Done;
use super::tally::{Failure, Tally, kinds};
use crate::report::Report;
use cygnet_world::Effects;

/// What is done so far.
pub(super) struct Sum {
    pub(super) tally: Tally,
    digests: BTreeMap<u64, u128>,
}

impl Sum {
    pub(super) fn new() -> Sum {
        Sum {
            tally: Tally::new(),
            digests: BTreeMap::new(),
        }
    }

    /// Adds a chunk; one that is there already stays as it is.
    pub(super) fn add(&mut self, chunk: u64, done: Done) {
        if self.digests.insert(chunk, done.digest).is_none() {
            self.tally.add(done.tally);
        }
    }

    pub(super) fn has(&self, chunk: u64) -> bool {
        self.digests.contains_key(&chunk)
    }

    /// The order's own chunks that are not done.
    pub(super) fn missing<'s>(&'s self, order: &Order) -> impl Iterator<Item = u64> + use<'s> {
        order.ours().filter(|&chunk| !self.has(chunk))
    }

    /// The seeds of the chunks that are not done, neighbors together.
    pub(super) fn missing_seeds(&self, order: &Order) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for chunk in self.missing(order) {
            let seeds = order.seeds_of(chunk);
            match ranges.last_mut().filter(|last| last.end == seeds.start) {
                Some(last) => last.end = seeds.end,
                None => ranges.push(seeds),
            }
        }
        ranges
    }

    /// One digest over all runs: of the chunks' digests, in order.
    fn digest(&self) -> u128 {
        let mut hasher = SipHasher13::new();
        for (chunk, digest) in &self.digests {
            hasher.write(&chunk.to_le_bytes());
            hasher.write(&digest.to_le_bytes());
        }
        hasher.finish128().as_u128()
    }

    /// The summary.
    pub(super) fn report(&self, order: &Order) -> Report {
        let tally = &self.tally;
        let [resets, patience, room] = tally.cuts;
        let mut report = Report::new(format!("swarm: {order}"))
            .row("runs", tally.runs)
            .row("frames", tally.frames)
            .row("events", tally.events)
            .row("virtual seconds", tally.micros / 1_000_000)
            .row_with_note("visits", tally.visits, "conversations that went well")
            .row_if_any("resets", resets, "conversations cut off by one")
            .row_if_any("lost patience", patience, "conversations given up")
            .row_if_any("no room", room, "conversations that could not begin");
        let (mut silent, mut absent) = (Vec::new(), Vec::new());
        for (name, &(effects, idle)) in kinds().zip(&tally.effects) {
            // No scenario has rules of its own (`World::rule`), and few have attackers, liars
            // and strangers: that these had no effect says nothing.
            if name == "ruled" || (Effects::is_rare(name) && (effects, idle) == (0, 0)) {
                continue;
            }
            match (effects, idle) {
                (0, 0) => absent.push(name),
                (0, _) => silent.push(name),
                _ => (),
            }
            let note = match idle {
                0 => String::new(),
                _ => format!("none in {idle} runs that asked for it"),
            };
            report = report.row_if_any(format!("effect {name}"), effects, note);
        }
        let listed = |names: Vec<&str>| match names.is_empty() {
            true => "none".into(),
            false => names.join(", "),
        };
        report = report
            .row("not asked for", listed(absent))
            .row("never in effect", listed(silent))
            .row("violations", tally.violated());
        for (invariant, &count) in &tally.violations {
            report = report.row(format!("violation {invariant}"), count);
        }
        for (number, failure) in tally.failures.iter().enumerate() {
            report = report.row(format!("failure {}", number + 1), told(order, failure));
        }
        report.row("digest", format!("{:032x}", self.digest()))
    }
}

/// A failure as the command that reproduces it, and what happens then: a line
/// that a shell takes as it is.
pub(super) fn told(order: &Order, failure: &Failure) -> String {
    let Failure { seed, detail, .. } = failure;
    let scenario = order.scenarios[failure.scenario.min(order.scenarios.len() - 1)];
    let horizon = order.for_words();
    let command = match failure.invariant.as_str() {
        REPEAT => format!(
            "sim swarm --scenario {scenario} --seeds {seed}..{}{horizon} --twice --jobs 1",
            seed.saturating_add(1)
        ),
        _ => format!("sim world --scenario {scenario} --seed {seed}{horizon}"),
    };
    format!("{command}  # {detail}")
}

/// The same seed must give the same run.
pub(super) const REPEAT: &str = "repeat";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Format;
    use crate::swarm::order::tests::order;
    use crate::swarm::tally::tests::tally;

    fn sum(chunks: impl Iterator<Item = u64>) -> Sum {
        let mut sum = Sum::new();
        for chunk in chunks {
            let done = Done {
                digest: u128::from(chunk) << 70 | 3,
                tally: tally(chunk),
            };
            sum.add(chunk, done.clone());
            sum.add(chunk, done); // counts once
        }
        sum
    }

    fn text(sum: &Sum) -> String {
        let mut text = Vec::new();
        let report = sum.report(&order(0..10));
        report.print(Format::Table, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_summary_does_not_depend_on_the_order_of_chunks() {
        let forth = text(&sum(0..10));
        assert_eq!(forth, text(&sum((0..10).rev())));
        assert_ne!(forth, text(&sum(1..10)));
        for row in [
            "swarm: calm, seeds 0..10, faults for 1500ms\n",
            "  runs               45\n",
            "  effect corrupted   45  none in 10 runs that asked for it\n",
            "  violation slots    20\n",
            "  failure 1         sim world --scenario calm --seed 0 --for 1500ms  # at 0\n",
        ] {
            assert!(forth.contains(row), "{row:?} is not in\n{forth}");
        }
    }

    #[test]
    fn a_row_of_zero_is_json_only() {
        let zero = "effect duplicated";
        assert!(!text(&sum(0..10)).contains(zero));
        let mut json = Vec::new();
        let report = sum(0..10).report(&order(0..10));
        report.print(Format::Json, &mut json).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["effect_duplicated"], 0);
    }

    #[test]
    fn a_run_that_does_not_repeat_is_run_twice() {
        let failure = Failure {
            seed: 7,
            scenario: 0,
            invariant: REPEAT.into(),
            detail: "a, then b".into(),
        };
        let mut order = order(0..10);
        order.horizon = None;
        let line = "sim swarm --scenario calm --seeds 7..8 --twice --jobs 1  # a, then b";
        assert_eq!(told(&order, &failure), line);
    }

    #[test]
    fn missing_chunks_are_ranges_of_seeds() {
        let sum = sum([0, 1, 4, 5, 9].into_iter());
        assert_eq!(sum.missing_seeds(&order(100..110)), [102..104, 106..109]);
        assert_eq!(sum.missing_seeds(&order(100..102)), []);
    }
}
