//! `sim shrink`: the least of a plan that still fails the same way.

use std::io::IsTerminal;
use std::path::PathBuf;

use cygnet_world::shrink::shrink as minimal;
use cygnet_world::stage::{Staging, run};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::files::{read, write};
use crate::cli::ShrinkConfig;
use crate::host::StopFlag;
use crate::stdout;

/// Shrinks a plan and writes what is left. Returns 0, or 1 when the plan does not
/// fail.
///
/// # Errors
/// One line about the plan or a file.
pub fn shrink(config: &ShrinkConfig) -> Result<u8, String> {
    let plan = read(&config.plan)?;
    let path = config.plan.display();
    let Some(violation) = run(&plan, Staging::default()).violation else {
        eprintln!("sim: {path} fails nowhere; there is nothing to shrink");
        return Ok(1);
    };
    let invariant = violation.invariant;
    eprintln!("sim: {path}: {violation}");
    let stop = StopFlag::default();
    stop.on_signals().map_err(|error| error.to_string())?;
    let bar = match std::io::stderr().is_terminal() {
        true => ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10)),
        false => ProgressBar::hidden(),
    };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    let before = plan.facts();
    let fails = |plan: &_| {
        if stop.is_set() {
            return None;
        }
        let violation = run(plan, Staging::default()).violation;
        Some(violation.is_some_and(|violation| violation.invariant == invariant))
    };
    let mut runs = 0;
    let small = minimal(plan, fails, |progress| {
        runs = progress.runs;
        bar.set_message(format!(
            "{}: {} of {before} facts left after {} runs",
            progress.step, progress.facts, progress.runs
        ));
        bar.tick();
    });
    bar.finish_and_clear();
    let out = config.out.clone().unwrap_or_else(|| {
        let mut name = config.plan.file_stem().unwrap_or_default().to_owned();
        name.push("-min.txt");
        PathBuf::from(name)
    });
    write(&out, &small.to_string())?;
    let (facts, out) = (small.facts(), out.display());
    stdout::line(format_args!(
        "{before} facts, {facts} left after {runs} runs: {out}"
    ));
    if stop.is_set() {
        eprintln!("sim: stopped before the end; go on with: sim shrink {out}");
        return Ok(130);
    }
    Ok(0)
}
