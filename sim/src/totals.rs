//! The counters of one host as rows of a table. What only matters when it
//! happened has no row when it did not.

use cygnet::event::Counters;
use cygnet_world::words::{DROP_REASONS, drop_words};

use crate::report::{Report, Value};

/// What a host was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// Slots.
    pub slots: usize,
    /// Tasks.
    pub tasks: usize,
}

/// Adds the totals of a host.
#[must_use]
pub fn host_rows(report: Report, counters: &Counters, given: Given) -> Report {
    let Given { slots, tasks } = given;
    let mut report = report
        .row_with_note("slots high", counters.slots_high, format!("of {slots}"))
        .row_with_note("tasks high", counters.tasks_high, format!("of {tasks}"))
        .row_unless_zero("syns parked", counters.syns_parked)
        .row_unless_zero("cookies given", counters.cookies_given)
        .row_unless_zero("cookies taken", counters.cookies_taken)
        .row_if_any("slots reclaimed", counters.reclaimed, "")
        .row_unless_zero("deadlines passed", counters.expired)
        .row_unless_zero("rescued", counters.rescued)
        .row_unless_zero("spawns refused", counters.spawns_refused)
        .row_unless_zero("tasks failed", counters.tasks_failed)
        .row_unless_zero("datagrams in", counters.datagrams_in)
        .row_unless_zero("datagrams out", counters.datagrams_out)
        .row("turns", counters.turns)
        .row("polls", counters.polls)
        .row("frames in", counters.frames_in)
        .row("frames out", counters.frames_out)
        .row("bytes in", Value::Bytes(counters.bytes_in))
        .row("bytes out", Value::Bytes(counters.bytes_out));
    for reason in DROP_REASONS {
        let label = format!("dropped {}", drop_words(reason));
        report = report.row_unless_zero(label, counters.dropped(reason));
    }
    report
}
