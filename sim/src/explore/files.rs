//! Plans from files, and plans and traces to files; what goes wrong is one line, or one
//! for each mistake in a plan.

use std::path::Path;

use cygnet_world::plan::Plan;
use cygnet_world::plan_text::{self, Reading, line_of};

/// Reads a plan that this program can run.
///
/// # Errors
/// A line for each mistake in the plan, or one about the file.
pub fn read(path: &Path) -> Result<Plan, String> {
    let (reading, _) = read_any(path)?;
    match of_scenario(&reading.plan) {
        Ok(()) => Ok(reading.plan),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// Reads any plan, and gives its text too.
pub(super) fn read_any(path: &Path) -> Result<(Reading, String), String> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    match plan_text::read(&text) {
        Ok(reading) => Ok((reading, text)),
        Err(errors) => Err(errors.in_file(&name)),
    }
}

/// A fact of a plan that did not happen: the file, the line, the words, and why.
pub(super) fn never_came(path: &Path, (words, why): &(String, String)) -> String {
    let line = std::fs::read_to_string(path).map_or(1, |text| line_of(&text, words));
    let name = path.display();
    format!("{name}:{line}: `{words}`: {why}. Change it, or take it away")
}

/// Whether this program can run a plan.
///
/// # Errors
/// What to do with one that it cannot.
pub(super) fn of_scenario(plan: &Plan) -> Result<(), String> {
    match &plan.from {
        Some((test, _)) if plan.is_of_test() => Err(format!(
            "this is a plan of the test {test}, which runs it with \
             CYGNET_PLAN=FILE cargo test {test}"
        )),
        _ => Ok(()),
    }
}

/// Writes a file whole.
pub(super) fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
