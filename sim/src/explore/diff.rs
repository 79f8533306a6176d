//! `sim diff`: the first event at which two runs differ. A run is a plan, which
//! is run here, or a file of events, which may come from another machine.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use smoltcp::time::Instant;

use super::watch::EVENTS_HEAD;
use crate::cli::DiffConfig;
use crate::world::plan::Plan;
use crate::world::stage::{Staging, run};
use crate::world::story::Story;
use crate::world::{CHECKPOINT_EVENTS, Happening, Watch};

/// Lines that both have, shown before the first that differs.
const CONTEXT: usize = 3;

enum Run {
    Plan(Box<Plan>),
    Lines(Vec<String>),
}

fn read(path: &Path) -> Result<Run, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    match text.strip_prefix(EVENTS_HEAD) {
        Some(lines) => Ok(Run::Lines(
            lines.trim_start().lines().map(str::to_owned).collect(),
        )),
        None => match text.parse() {
            Ok(plan) => Ok(Run::Plan(Box::new(plan))),
            Err(error) => Err(format!("{name}:{error}")),
        },
    }
}

/// Compares two runs and prints where they part. Returns 0 when they are the
/// same, else 1.
///
/// # Errors
/// One line about a file.
pub fn diff(config: &DiffConfig) -> Result<u8, String> {
    let (a, b) = (read(&config.a)?, read(&config.b)?);
    // Two plans can be long runs: first find the stretch in which they part.
    let range = match (&a, &b) {
        (Run::Plan(a), Run::Plan(b)) => {
            let (a, b) = (checkpoints(a), checkpoints(b));
            let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
            if same == a.len() && same == b.len() {
                println!("the same, all {} events", a.last().map_or(0, |last| last.0));
                return Ok(0);
            }
            // The last stretch that is the same, and the first that is not.
            let from = (same as u64).saturating_sub(1) * CHECKPOINT_EVENTS;
            from..from + 2 * CHECKPOINT_EVENTS
        }
        _ => 0..u64::MAX,
    };
    let (a, b) = (lines(a, &range), lines(b, &range));
    let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    if same == a.len() && same == b.len() {
        println!("the same, all {same} events");
        return Ok(0);
    }
    for line in &a[same.saturating_sub(CONTEXT)..same] {
        println!("  {line}");
    }
    for (sign, lines) in [('-', &a), ('+', &b)] {
        match lines.get(same) {
            Some(line) => println!("{sign} {line}"),
            None => println!("{sign} (the end)"),
        }
    }
    Ok(1)
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
struct Lines {
    story: Story,
    range: Range<u64>,
    lines: Rc<RefCell<Vec<String>>>,
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

fn lines(of: Run, range: &Range<u64>) -> Vec<String> {
    let plan = match of {
        Run::Lines(lines) => return lines,
        Run::Plan(plan) => plan,
    };
    let lines = Rc::default();
    let watch = Lines {
        story: Story::new(&plan),
        range: range.clone(),
        lines: Rc::clone(&lines),
    };
    watched(&plan, Box::new(watch));
    lines.take()
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
