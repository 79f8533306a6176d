//! Prometheus' text format 0.0.4: one family after the other, each with its help and type.

use core::fmt::{self, Write};

use cygnet::event::Reason;
use cygnet::task::TaskState;

use super::pieces::{Piece, Pieces, Told};
use super::totals::{DROPS, GAUGES, TOTALS, Total};

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

/// The next piece.
pub(super) fn tell(at: &mut Pieces<'_>, to: &mut Piece) -> Result<Told, fmt::Error> {
    let node = at.view.node;
    let next = at.from as usize;
    match at.part {
        0 | 1 => {
            let (all, suffix, kind): (&[Total], _, _) = match at.part {
                0 => (&TOTALS, "_total", "counter"),
                _ => (&GAUGES, "", "gauge"),
            };
            let Some((name, help, get)) = all.get(next) else {
                return Ok(Told::Nothing);
            };
            family(to, &[name, suffix], help, kind)?;
            writeln!(to, "cygnet_{name}{suffix} {}", get(&node.counters()))?;
        }
        2 => {
            family(to, &["frames_dropped_total"], "Frames dropped.", "counter")?;
            return Ok(Told::Part);
        }
        3 => {
            let Some(reason) = DROPS.get(next) else {
                return Ok(Told::Nothing);
            };
            let count = node.counters().dropped[next];
            writeln!(
                to,
                "cygnet_frames_dropped_total{{reason=\"{reason}\"}} {count}"
            )?;
        }
        4 => {
            family(
                to,
                &["tasks_waiting"],
                "Tasks that wait, by reason.",
                "gauge",
            )?;
            return Ok(Told::Part);
        }
        5 => {
            let Some(reason) = REASONS.get(next) else {
                return Ok(Told::Nothing);
            };
            let waits = |state| matches!(state, TaskState::Waiting(why, _) if why == *reason);
            let count = node.waiting().filter(|task| waits(task.state)).count();
            writeln!(to, "cygnet_tasks_waiting{{reason=\"{reason}\"}} {count}")?;
        }
        6 => {
            family(to, &["uptime_seconds"], "Time since the start.", "gauge")?;
            let time = node.now().total_micros();
            let (seconds, micros) = (time / 1_000_000, time % 1_000_000);
            writeln!(to, "cygnet_uptime_seconds {seconds}.{micros:06}")?;
            return Ok(Told::Part);
        }
        _ => return Ok(Told::End),
    }
    at.row(at.from);
    Ok(Told::Row)
}

/// The head of a family, whose name is in two halves.
fn family(to: &mut Piece, name: &[&str], help: &str, kind: &str) -> fmt::Result {
    let (begin, end) = (name[0], name.get(1).unwrap_or(&""));
    writeln!(to, "# HELP cygnet_{begin}{end} {help}")?;
    writeln!(to, "# TYPE cygnet_{begin}{end} {kind}")
}
