//! `sim diff`: the first event at which two runs differ. A run is a plan, which
//! is run here, or a file of events, which may come from another machine.

use std::path::Path;

use cygnet_world::diff::{Difference, lines, stretch};
use cygnet_world::files::EVENTS_HEAD;
use cygnet_world::plan::Plan;

use super::files;
use crate::cli::DiffConfig;
use crate::stdout;

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
        None => Ok(Run::Plan(Box::new(files::read(path)?))),
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
        (Run::Plan(a), Run::Plan(b)) => match stretch(a, b) {
            Ok(range) => range,
            Err(events) => {
                stdout::line(format_args!("the same, all {events} events"));
                return Ok(0);
            }
        },
        _ => 0..u64::MAX,
    };
    let [a, b] = [a, b].map(|run| match run {
        Run::Lines(lines) => lines,
        Run::Plan(plan) => lines(&plan, range.clone()),
    });
    let Some(Difference { before, a, b }) = Difference::between(&a, &b) else {
        stdout::line(format_args!("the same, all {} events", a.len()));
        return Ok(0);
    };
    for line in before {
        stdout::line(format_args!("  {line}"));
    }
    for (sign, line) in [('-', a), ('+', b)] {
        stdout::line(format_args!(
            "{sign} {}",
            line.as_deref().unwrap_or("(the end)")
        ));
    }
    Ok(1)
}
