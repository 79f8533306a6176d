//! Plans from files, and plans and traces to files; what goes wrong is one line.

use std::path::Path;

use cygnet_world::plan::Plan;

/// Reads a plan.
pub(super) fn read(path: &Path) -> Result<Plan, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    text.parse().map_err(|error| format!("{name}:{error}"))
}

/// Writes a file whole.
pub(super) fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
