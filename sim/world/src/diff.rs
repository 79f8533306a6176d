//! The first event at which two runs differ.
//!
//! Not here: where runs come from, and who reads the answer.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use smoltcp::time::Instant;

use super::log::{CHECKPOINT_EVENTS, Happening, Watch};
use super::plan::Plan;
use super::stage::{Staging, run};
use super::story::Story;

/// Lines that both have, shown before the first that differs.
const CONTEXT: usize = 3;

/// Where two runs part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The last few lines that both have.
    pub before: Vec<String>,
    /// The first line of one run that the other does not have; `None` at its end.
    pub a: Option<String>,
    /// The same of the other run.
    pub b: Option<String>,
}

impl Difference {
    /// Compares the lines of two runs.
    pub fn between(a: &[String], b: &[String]) -> Option<Difference> {
        let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        if same == a.len() && same == b.len() {
            return None;
        }
        Some(Difference {
            before: a[same.saturating_sub(CONTEXT)..same].to_vec(),
            a: a.get(same).cloned(),
            b: b.get(same).cloned(),
        })
    }
}

/// The events among which the runs of two plans part.
///
/// # Errors
/// How many events there are, when they are all the same.
pub fn stretch(a: &Plan, b: &Plan) -> Result<Range<u64>, u64> {
    let (a, b) = (checkpoints(a), checkpoints(b));
    let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    if same == a.len() && same == b.len() {
        return Err(a.last().map_or(0, |last| last.0));
    }
    // The last stretch that is the same, and the first that is not.
    let from = (same as u64).saturating_sub(1) * CHECKPOINT_EVENTS;
    Ok(from..from + 2 * CHECKPOINT_EVENTS)
}

/// Some lines of the run of a plan.
pub fn lines(plan: &Plan, range: Range<u64>) -> Vec<String> {
    let (watch, lines) = Lines::new(Story::new(plan), range);
    watched(plan, Box::new(watch));
    lines.take()
}

/// The digests at every checkpoint and at the end.
#[derive(Clone, Default)]
struct Digests(Rc<RefCell<Vec<(u64, u128)>>>);

impl Watch for Digests {
    fn happened(&mut self, _: u64, _: Instant, _: &Happening<'_>) {}

    fn checkpoint(&mut self, number: u64, _: Instant, digest: u128) {
        self.0.borrow_mut().push((number, digest));
    }
}

fn checkpoints(plan: &Plan) -> Vec<(u64, u128)> {
    let digests = Digests::default();
    watched(plan, Box::new(digests.clone()));
    digests.0.take()
}

/// The lines of some events.
pub(super) struct Lines {
    story: Story,
    range: Range<u64>,
    lines: Rc<RefCell<Vec<String>>>,
}

impl Lines {
    /// A watch, and where its lines are.
    pub(super) fn new(story: Story, range: Range<u64>) -> (Lines, Rc<RefCell<Vec<String>>>) {
        let lines = Rc::default();
        let watch = Lines {
            story,
            range,
            lines: Rc::clone(&lines),
        };
        (watch, lines)
    }
}

impl Watch for Lines {
    fn happened(&mut self, number: u64, at: Instant, what: &Happening<'_>) {
        if number < self.range.end {
            let line = self.story.line(number, at, what);
            if self.range.contains(&number) {
                self.lines.borrow_mut().push(line);
            }
        }
    }
}

fn watched(plan: &Plan, watch: Box<dyn Watch>) {
    run(
        plan,
        Staging {
            watch: Some(watch),
            ..Staging::default()
        },
    );
}
