//! `sim world`, `replay`, `plan`, `shrink` and `diff`: one run of a world, looked at
//! closely.
//!
//! ```text
//!   files    plans from and to files
//!   outcome  what came of a run, as a table
//!   run      sim world, sim replay; told: its lines with -v
//!   plan     sim plan
//!   shrink   sim shrink
//!   diff     sim diff
//! ```

mod diff;
mod files;
mod outcome;
mod plan;
mod run;
mod shrink;
mod told;

pub use diff::diff;
pub use files::read as read_plan;
pub use plan::plan;
pub use run::{replay, world};
pub use shrink::shrink;
