//! Prometheus' text format 0.0.4: one family after the other, each with its help and type.

use core::fmt::Write;
use core::iter::once_with;

use cygnet::Node;
use cygnet::event::Reason;
use cygnet::task::TaskState;

use super::status::{Piece, piece};
use super::totals::{DROPS, GAUGES, TOTALS};

/// Whatever a task may wait for.
const REASONS: [Reason; 12] = [
    Reason::Accept,
    Reason::Connect,
    Reason::Read,
    Reason::Write,
    Reason::Flush,
    Reason::Close,
    Reason::Sleep,
    Reason::Turn,
    Reason::Other,
    Reason::Receive,
    Reason::Send,
    Reason::Config,
];

/// Everything, in pieces.
pub(super) fn of(node: Node<'_>) -> impl Iterator<Item = Piece> {
    let totals = TOTALS.iter().map(move |(name, help, get)| {
        let value = get(&node.counters());
        family(format_args!("{name}_total"), help, "counter", Some(value))
    });
    let gauges = GAUGES.iter().map(move |(name, help, get)| {
        let value = get(&node.counters());
        family(format_args!("{name}"), help, "gauge", Some(value))
    });
    let dropped = || {
        family(
            format_args!("frames_dropped_total"),
            "Frames dropped.",
            "counter",
            None,
        )
    };
    let drops = DROPS.iter().enumerate().map(move |(at, reason)| {
        let count = node.counters().dropped[at];
        piece(|to| {
            writeln!(
                to,
                "cygnet_frames_dropped_total{{reason=\"{reason}\"}} {count}"
            )
        })
    });
    let waiting = || {
        family(
            format_args!("tasks_waiting"),
            "Tasks that wait, by reason.",
            "gauge",
            None,
        )
    };
    let reasons = REASONS.iter().map(move |reason| {
        let waits = |state| matches!(state, TaskState::Waiting(why, _) if why == *reason);
        let count = node.waiting().filter(|task| waits(task.state)).count();
        piece(|to| writeln!(to, "cygnet_tasks_waiting{{reason=\"{reason}\"}} {count}"))
    });
    let time = node.now().total_micros();
    let uptime = move || {
        let mut all = family(
            format_args!("uptime_seconds"),
            "Time since the start.",
            "gauge",
            None,
        );
        let (seconds, micros) = (time / 1_000_000, time % 1_000_000);
        let _ = writeln!(all, "cygnet_uptime_seconds {seconds}.{micros:06}");
        all
    };
    totals
        .chain(gauges)
        .chain(once_with(dropped))
        .chain(drops)
        .chain(once_with(waiting))
        .chain(reasons)
        .chain(once_with(uptime))
}

/// The head of a family, and its value if it has only one.
fn family(name: core::fmt::Arguments<'_>, help: &str, kind: &str, value: Option<u64>) -> Piece {
    piece(|to| {
        writeln!(
            to,
            "# HELP cygnet_{name} {help}\n# TYPE cygnet_{name} {kind}"
        )?;
        match value {
            Some(value) => writeln!(to, "cygnet_{name} {value}"),
            None => Ok(()),
        }
    })
}
