//! Plans from files, and plans and traces to files; what goes wrong is one line.

use std::path::Path;

use cygnet_world::plan::Plan;

/// Reads a plan.
pub(super) fn read(path: &Path) -> Result<Plan, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let plan: Plan = text.parse().map_err(|error| format!("{name}:{error}"))?;
    match of_scenario(&plan) {
        Ok(()) => Ok(plan),
        Err(error) => Err(format!("{name}: {error}")),
    }
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
