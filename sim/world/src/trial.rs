//! What a world knows of the test that makes it: what it allows, what it asked for,
//! and what it is told to do instead.
//!
//! Not here: what is made of that (`strict`).

use std::panic::Location;

use smoltcp::time::Instant;

use super::fault::Fault;
use super::plan::{Plan, Strike};

/// What is a violation unless a test allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allow {
    /// A task found no place.
    RefusedSpawns,
    /// A task returned an error.
    FailedTasks,
    /// A connection has a slot after everything is done.
    LeakedSlots,
    /// A kind of fault was asked for and touched nothing, in any run.
    IdleFaults,
    /// A host hangs on no link.
    Unlinked,
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct Trial {
    pub(super) is_strict: bool,
    /// What happens instead of what the test asks for.
    pub(super) script: Option<Script>,
    /// Faults that were asked for, and when.
    pub(super) asked: Vec<(Instant, Fault)>,
    pub(super) fault_calls: u64,
    pub(super) picks: u64,
    pub(super) endless: Vec<String>,
    pub(super) allowed: Vec<Allow>,
    /// Where hosts were made.
    pub(super) made: Vec<&'static Location<'static>>,
    pub(super) has_run: bool,
    pub(super) quiet: u32,
}

pub(super) struct Script {
    pub(super) plan: Plan,
    /// Strikes whose host or link is not there yet.
    pub(super) left: Vec<Strike>,
}
