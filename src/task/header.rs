//! What is known of one task, beside its future: where it came from, how often it
//! ran and what it waits for. Cells, because a task that runs may ask.

use core::cell::Cell;

use smoltcp::time::Instant;

use crate::event::Yield;
use crate::initial::initial;

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

initial! {
    /// What is known of one task. What a poll touches comes first.
    #[derive(Debug)]
    #[repr(C)]
    pub(crate) struct Header: EMPTY {
        /// What it yielded last; `None` before its first poll and while it runs.
        pub(crate) waits: Cell<Option<Yield>> = Cell::new(None),
        pub(super) last_poll: Cell<Instant> = Cell::new(Instant::ZERO),
        /// Polls so far; while the row is vacant, the next free task.
        pub(crate) polls: Cell<u32> = Cell::new(0),
        /// Where it was spawned; zero if it has a name.
        pub(super) line: Cell<u16> = Cell::new(0),
        pub(super) queued: Cell<Queued> = Cell::new(Queued::No),
        /// `None`: this task is free.
        pub(crate) name: Cell<Option<&'static str>> = Cell::new(None),
        /// The last moment that a sleep of it waits for beside an earlier one. What is
        /// not after now is none.
        pub(super) last: Cell<Instant> = Cell::new(Instant::ZERO),
    }
}
