//! What came of a run, as a table.

use cygnet_world::plan::Plan;
use cygnet_world::stage::Outcome;
use hdrhistogram::Histogram;

use crate::report::{Report, Value};

/// The rows of a run.
pub(super) fn report(title: &str, plan: &Plan, outcome: &Outcome) -> Report {
    let nanos = outcome.ended.total_micros().unsigned_abs() * 1000;
    let [resets, patience, full] = outcome.cuts;
    let mut report = Report::new(title)
        .row("hosts and switches", plan.places.len())
        .row_with_note("time", Value::Nanos(nanos), "the world's")
        .row("events", outcome.events)
        .row("frames", outcome.frames)
        .row("conversations", outcome.visits)
        .row_unless_zero("cut off by a reset", resets)
        .row_unless_zero("given up", patience)
        .row_unless_zero("found no place", full);
    let mut nanos = Histogram::<u64>::new_with_bounds(1, 3_600_000_000_000, 3)
        .expect("an hour in three digits is possible");
    for micros in &outcome.latencies {
        nanos.saturating_record(micros * 1000);
    }
    report = report.latency("first answer", &nanos, "the world's clock");
    for (name, count) in outcome.effects.rows() {
        report = report.row_unless_zero(name, count);
    }
    if !outcome.untouched.is_empty() {
        let names = outcome.untouched.join(", ");
        report = report.row("asked for, without effect", names);
    }
    let report = report.row("digest", format!("{:032x}", outcome.digest));
    match &outcome.violation {
        // For people it is on standard error, with what to do.
        Some(violation) => report.fact("violation", violation.to_string()),
        None => report,
    }
}
