//! What runs add up to: counts, violations, and the first few failures. Tallies
//! add in any order to the same sum, so it does not matter who ran what.

use std::collections::BTreeMap;

use cygnet_world::Effects;
use cygnet_world::stage::Outcome;
use serde_json::{Map, Value, json};

/// So many failures are kept; the rest is counted.
pub(super) const FAILURES: usize = 10;
/// The longest detail of a failure, in characters.
const DETAIL: usize = 300;

/// A run that broke a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Failure {
    pub(super) seed: u64,
    /// Its place in the order.
    pub(super) scenario: usize,
    pub(super) invariant: String,
    /// When, how far, and what: one line.
    pub(super) detail: String,
}

/// See the [module](self).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) runs: u64,
    pub(super) frames: u64,
    pub(super) events: u64,
    /// Virtual time.
    pub(super) micros: u64,
    pub(super) visits: u64,
    /// By reset, by lost patience, for want of room.
    pub(super) cuts: [u64; 3],
    /// How often each fault had an effect, and in how many runs it was asked for
    /// and had none; in the order of [`Effects::rows`].
    pub(super) effects: Vec<(u64, u64)>,
    /// How many runs broke which rule.
    pub(super) violations: BTreeMap<String, u64>,
    /// The first ones, by seed.
    pub(super) failures: Vec<Failure>,
}

/// The names of all faults.
pub(super) fn kinds() -> impl Iterator<Item = &'static str> {
    Effects::default().rows().map(|(name, _)| name)
}

impl Tally {
    /// The tally of no run.
    pub(super) fn new() -> Tally {
        Tally {
            effects: kinds().map(|_| (0, 0)).collect(),
            ..Tally::default()
        }
    }

    /// Counts a run.
    pub(super) fn count(&mut self, scenario: usize, seed: u64, outcome: &Outcome) {
        self.runs += 1;
        self.frames += outcome.frames;
        self.events += outcome.events;
        self.micros += u64::try_from(outcome.ended.total_micros()).unwrap_or(0);
        self.visits += outcome.visits;
        for (sum, cuts) in self.cuts.iter_mut().zip(outcome.cuts) {
            *sum += cuts;
        }
        for ((effects, idle), (name, count)) in self.effects.iter_mut().zip(outcome.effects.rows())
        {
            *effects += count;
            *idle += u64::from(outcome.untouched.contains(&name));
        }
        if let Some(violation) = &outcome.violation {
            self.fail(Failure {
                seed,
                scenario,
                invariant: violation.invariant.into(),
                detail: violation.to_string(),
            });
        }
    }

    /// Counts a failure, and keeps it if it is one of the first.
    pub(super) fn fail(&mut self, mut failure: Failure) {
        failure.detail = line(&failure.detail);
        *self
            .violations
            .entry(failure.invariant.clone())
            .or_default() += 1;
        self.failures.push(failure);
        self.keep_the_first();
    }

    fn keep_the_first(&mut self) {
        self.failures.sort();
        self.failures.truncate(FAILURES);
    }

    /// How many runs broke a rule.
    pub(super) fn violated(&self) -> u64 {
        self.violations.values().sum()
    }

    /// Adds another tally to this one.
    pub(super) fn add(&mut self, other: Tally) {
        self.runs += other.runs;
        self.frames += other.frames;
        self.events += other.events;
        self.micros += other.micros;
        self.visits += other.visits;
        for (sum, cuts) in self.cuts.iter_mut().zip(other.cuts) {
            *sum += cuts;
        }
        for (sum, (effects, idle)) in self.effects.iter_mut().zip(other.effects) {
            *sum = (sum.0 + effects, sum.1 + idle);
        }
        for (invariant, count) in other.violations {
            *self.violations.entry(invariant).or_default() += count;
        }
        self.failures.extend(other.failures);
        self.keep_the_first();
    }

    /// For the results file. What is zero is left out.
    pub(super) fn to_json(&self) -> Value {
        let effects: Map<String, Value> = kinds()
            .zip(&self.effects)
            .filter(|(_, both)| **both != (0, 0))
            .map(|(name, (effects, idle))| (name.into(), json!([effects, idle])))
            .collect();
        let failures: Vec<Value> = self
            .failures
            .iter()
            .map(|failure| {
                json!([
                    failure.seed,
                    failure.scenario,
                    failure.invariant,
                    failure.detail
                ])
            })
            .collect();
        json!({
            "runs": self.runs,
            "frames": self.frames,
            "events": self.events,
            "micros": self.micros,
            "visits": self.visits,
            "cuts": self.cuts,
            "effects": effects,
            "violations": self.violations,
            "failures": failures,
        })
    }

    /// From the results file; `None` if it is no tally.
    pub(super) fn from_json(json: &Value) -> Option<Tally> {
        let count = |key: &str| json[key].as_u64();
        let mut tally = Tally {
            runs: count("runs")?,
            frames: count("frames")?,
            events: count("events")?,
            micros: count("micros")?,
            visits: count("visits")?,
            ..Tally::new()
        };
        for (place, cuts) in tally.cuts.iter_mut().enumerate() {
            *cuts = json["cuts"][place].as_u64()?;
        }
        for (name, both) in json["effects"].as_object()? {
            let place = kinds().position(|kind| kind == name)?;
            tally.effects[place] = (both[0].as_u64()?, both[1].as_u64()?);
        }
        for (invariant, count) in json["violations"].as_object()? {
            let before = tally.violations.insert(invariant.clone(), count.as_u64()?);
            before.is_none().then_some(())?;
        }
        for failure in json["failures"].as_array()? {
            tally.failures.push(Failure {
                seed: failure[0].as_u64()?,
                scenario: usize::try_from(failure[1].as_u64()?).ok()?,
                invariant: failure[2].as_str()?.into(),
                detail: failure[3].as_str()?.into(),
            });
        }
        Some(tally)
    }
}

/// One line of bounded length.
fn line(text: &str) -> String {
    let line: String = text.trim_end().replace('\n', "; ");
    match line.char_indices().nth(DETAIL) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn failure(seed: u64) -> Failure {
        Failure {
            seed,
            scenario: 0,
            invariant: ["bytes", "slots"][seed as usize % 2].into(),
            detail: format!("at {seed}"),
        }
    }

    /// One of a kind for each `salt`.
    pub(crate) fn tally(salt: u64) -> Tally {
        let mut tally = Tally {
            runs: salt,
            frames: salt * 3,
            events: salt * 5,
            micros: salt * 7,
            visits: salt + 1,
            cuts: [salt, 0, salt * 2],
            ..Tally::new()
        };
        tally.effects[3] = (salt, 1);
        for seed in salt..salt + 4 {
            tally.fail(failure(seed));
        }
        tally
    }

    #[test]
    fn the_order_of_addition_does_not_matter() {
        let sum = |salts: &[u64]| {
            let mut sum = Tally::new();
            salts.iter().for_each(|&salt| sum.add(tally(salt)));
            sum
        };
        let all = sum(&[1, 20, 300, 4000]);
        assert_eq!(all, sum(&[4000, 300, 20, 1]));
        assert_eq!(all, sum(&[300, 1, 4000, 20]));
        assert_eq!((all.runs, all.violated()), (4321, 16));
        let seeds: Vec<u64> = all.failures.iter().map(|failure| failure.seed).collect();
        assert_eq!(seeds, [1, 2, 3, 4, 20, 21, 22, 23, 300, 301]);
    }

    #[test]
    fn a_tally_survives_the_file() {
        let tally = tally(77);
        assert_eq!(Tally::from_json(&tally.to_json()), Some(tally.clone()));
        for key in ["runs", "cuts", "effects", "violations", "failures"] {
            let mut json = tally.to_json();
            json[key] = json!("swan");
            assert_eq!(Tally::from_json(&json), None, "{key}");
        }
        let mut json = tally.to_json();
        json["effects"] = json!({"eaten": [1, 0]});
        assert_eq!(Tally::from_json(&json), None, "a fault nobody knows");
    }

    #[test]
    fn a_detail_is_one_bounded_line() {
        assert_eq!(line("a\nb\n"), "a; b");
        assert_eq!(line(&"ü".repeat(500)).chars().count(), DETAIL + 3);
    }
}
