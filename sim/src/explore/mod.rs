//! `sim world`, `replay`, `shrink` and `diff`: one run of a world, looked at
//! closely.
//!
//! ```text
//!   watch    every event to a file for people, every frame to one for Wireshark
//!   outcome  what came of a run, as a table
//!   run      sim world, sim replay
//!   shrink   sim shrink
//!   diff     sim diff
//! ```

mod diff;
mod outcome;
mod run;
mod shrink;
mod watch;

pub use diff::diff;
pub use run::{replay, world};
pub use shrink::shrink;

use std::path::Path;

use crate::world::plan::Plan;

/// Reads a plan.
fn read(path: &Path) -> Result<Plan, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    text.parse().map_err(|error| format!("{name}:{error}"))
}

/// Writes a file whole.
fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
