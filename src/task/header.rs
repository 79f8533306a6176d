//! What is known of one task, beside its future: where it came from, how often it
//! ran and what it waits for. Cells, because a task that runs may ask.

use core::cell::Cell;

use smoltcp::time::Instant;

use crate::event::Yield;

/// Whether a task stands in the run queue, and what has to be undone when it
/// leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queued {
    No,
    /// Woken from inside the turn: nothing.
    Here,
    /// Taken from the list of flags: its flag is to be cleared. No other may be,
    /// because it may be on the list, and would be put there twice.
    Listed,
}

/// What is known of one task. What a poll touches comes first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Header {
    /// What it yielded last; `None` before its first poll and while it runs.
    pub(crate) waits: Cell<Option<Yield>>,
    pub(super) last_poll: Cell<Instant>,
    /// Polls so far; while the row is vacant, the next free task.
    pub(crate) polls: Cell<u32>,
    /// Where it was spawned; zero if it has a name.
    pub(super) line: Cell<u16>,
    pub(super) queued: Cell<Queued>,
    /// `None`: this task is free.
    pub(crate) name: Cell<Option<&'static str>>,
    /// The last moment that a sleep of it waits for beside an earlier one. What is
    /// not after now is none.
    pub(super) last: Cell<Instant>,
}

impl Header {
    /// A header of no task.
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "copied into storage, never used in place"
    )]
    pub(super) const EMPTY: Header = Header {
        waits: Cell::new(None),
        last_poll: Cell::new(Instant::ZERO),
        polls: Cell::new(0),
        line: Cell::new(0),
        queued: Cell::new(Queued::No),
        name: Cell::new(None),
        last: Cell::new(Instant::ZERO),
    };
}
