//! Chunks of an order, run by threads until none is left.

use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::Scope;

use cygnet_world::crew::{self, Threads};
use cygnet_world::scenario::Scenario;
use cygnet_world::stage::{self, Outcome, Staging};
use siphasher::sip128::{Hasher128, SipHasher13};

use super::order::Order;
use super::results::Done;
use super::sum::REPEAT;
use super::tally::{Failure, Tally};
use crate::host::StopFlag;

/// What a run is.
type RunOne = fn(&Order, &Scenario, u64) -> Outcome;

/// The work, and how far it is.
pub(super) struct Crew<'o> {
    order: &'o Order,
    scenarios: Vec<&'static Scenario>,
    chunks: crew::Crew,
    /// Runs so far, also of chunks that are not finished.
    ran: AtomicU64,
    stop: StopFlag,
    stage: RunOne,
}

impl<'o> Crew<'o> {
    /// A crew for these chunks, which drops its work once `stop` is set.
    pub(super) fn new(order: &'o Order, chunks: Vec<u64>, stop: StopFlag) -> Crew<'o> {
        let named = order
            .scenarios
            .iter()
            .filter_map(|name| Scenario::named(name));
        Crew {
            order,
            scenarios: named.collect(),
            chunks: crew::Crew::new(chunks),
            ran: AtomicU64::new(0),
            stop,
            stage: play,
        }
    }

    /// Runs so far.
    pub(super) fn ran(&self) -> u64 {
        self.ran.load(Ordering::Relaxed)
    }

    /// Sets so many threads to work. What they finish comes out here, in no
    /// order; the end comes when all of them are.
    ///
    /// # Errors
    /// One line: the system gives no thread.
    pub(super) fn start<'s>(
        &'s self,
        jobs: usize,
        scope: &'s Scope<'s, '_>,
    ) -> Result<(Receiver<(u64, Done)>, Threads<'s>), String> {
        let started = self.chunks.start(jobs, scope, |chunk| self.chunk(chunk));
        started.map_err(|error| {
            self.stop.set();
            format!("cannot start {jobs} threads: {error}; give fewer --jobs")
        })
    }

    /// Every seed of a chunk in every scenario; nothing if it had to stop.
    fn chunk(&self, chunk: u64) -> Option<Done> {
        let mut tally = Tally::new();
        let mut hasher = SipHasher13::new();
        let mut first = Vec::new();
        for (seed, place, scenario) in self.runs(chunk) {
            let outcome = self.run(scenario, seed)?;
            hasher.write(scenario.name.as_bytes());
            hasher.write(&seed.to_le_bytes());
            hasher.write(&outcome.digest.to_le_bytes());
            tally.count(place, seed, &outcome);
            if self.order.twice {
                first.push((outcome.digest, outcome.events));
            }
        }
        if self.order.twice {
            self.again(chunk, &first, &mut tally)?;
        }
        Some(Done {
            digest: hasher.finish128().as_u128(),
            tally,
        })
    }

    /// The same runs once more, after a stranger has used the thread's memory.
    fn again(&self, chunk: u64, first: &[(u128, u64)], tally: &mut Tally) -> Option<()> {
        let stranger = !self.order.seeds_of(chunk).start;
        (self.stage)(self.order, self.scenarios[0], stranger);
        for ((seed, place, scenario), before) in self.runs(chunk).zip(first) {
            let outcome = self.run(scenario, seed)?;
            let now = (outcome.digest, outcome.events);
            if now != *before {
                let told =
                    |(digest, events): (u128, u64)| format!("{digest:032x} of {events} events");
                tally.fail(Failure {
                    seed,
                    scenario: place,
                    invariant: REPEAT.into(),
                    detail: format!("{REPEAT}: {}, then {}", told(*before), told(now)),
                });
            }
        }
        Some(())
    }

    fn runs(&self, chunk: u64) -> impl Iterator<Item = (u64, usize, &'static Scenario)> {
        self.order.seeds_of(chunk).flat_map(move |seed| {
            let scenarios = self.scenarios.iter().enumerate();
            scenarios.map(move |(place, scenario)| (seed, place, *scenario))
        })
    }

    fn run(&self, scenario: &Scenario, seed: u64) -> Option<Outcome> {
        if self.stop.is_set() {
            return None;
        }
        let outcome = (self.stage)(self.order, scenario, seed);
        self.ran.fetch_add(1, Ordering::Relaxed);
        Some(outcome)
    }
}

fn play(order: &Order, scenario: &Scenario, seed: u64) -> Outcome {
    let plan = scenario.plan(seed, order.horizon_of(scenario));
    let staging = Staging {
        seed: Some(seed),
        ..Staging::default()
    };
    stage::run(&plan, staging)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::order::tests::order;
    use cygnet_world::{Effects, Fates};
    use smoltcp::time::Instant;
    use std::cell::Cell;

    fn outcome(digest: u64) -> Outcome {
        Outcome {
            violation: None,
            digest: digest.into(),
            events: 1,
            frames: 0,
            ended: Instant::ZERO,
            latencies: Vec::new(),
            freed: None,
            visits: 0,
            cuts: [0; 3],
            effects: Effects::default(),
            untouched: Vec::new(),
            never_came: None,
            fates: Fates::default(),
        }
    }

    /// What a crew of `jobs` makes of 16 seeds, each a chunk.
    fn crew(jobs: usize, stage: RunOne, twice: bool, stop: StopFlag) -> Vec<(u64, Done)> {
        let mut order = order(0..16);
        order.twice = twice;
        let mut crew = Crew::new(&order, order.ours().collect(), stop);
        crew.stage = stage;
        let mut done = std::thread::scope(|scope| {
            let (finished, threads) = crew.start(jobs, scope).unwrap();
            let done: Vec<(u64, Done)> = finished.iter().collect();
            for thread in threads {
                let _ = thread.join();
            }
            done
        });
        done.sort_by_key(|(chunk, _)| *chunk);
        done
    }

    #[test]
    fn a_run_that_remembers_the_one_before_is_found() {
        thread_local!(static LAST: Cell<u64> = const { Cell::new(0) });
        // Memory that was not wiped: seed 5 reads what the last run wrote.
        let leaky: RunOne = |_, _, seed| {
            let last = LAST.replace(seed);
            outcome(if seed == 5 { last } else { seed })
        };
        let sound: RunOne = |_, _, seed| outcome(seed);
        let found = crew(1, leaky, true, StopFlag::default());
        let failures = found.iter().flat_map(|(_, done)| &done.tally.failures);
        let failures: Vec<&Failure> = failures.collect();
        assert_eq!(failures.len(), 1);
        assert_eq!((failures[0].seed, &*failures[0].invariant), (5, REPEAT));
        let detail = &failures[0].detail;
        assert!(detail.starts_with("repeat: 0000"), "{detail}");
        assert_eq!(
            found.iter().map(|(_, done)| done.tally.runs).sum::<u64>(),
            16
        );

        let found = crew(2, sound, true, StopFlag::default());
        assert!(found.iter().all(|(_, done)| done.tally.violated() == 0));
        assert_eq!(found, crew(1, sound, false, StopFlag::default()));
    }

    #[test]
    fn a_thread_that_dies_costs_its_own_chunk_only() {
        let fatal: RunOne = |_, _, seed| {
            assert_ne!(seed, 3, "planted");
            outcome(seed)
        };
        let done = crew(2, fatal, false, StopFlag::default());
        let chunks: Vec<u64> = done.iter().map(|(chunk, _)| *chunk).collect();
        let others: Vec<u64> = (0..16).filter(|&chunk| chunk != 3).collect();
        assert_eq!(chunks, others);
    }

    #[test]
    fn a_crew_that_is_told_to_stop_drops_its_work() {
        let stop = StopFlag::default();
        stop.set();
        let sound: RunOne = |_, _, seed| outcome(seed);
        assert_eq!(crew(2, sound, false, stop), []);
    }
}
