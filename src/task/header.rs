//! What is known of one task, beside its future: where it came from, how often it
//! ran and what it waits for. Cells, because a task that runs may ask.

use core::cell::Cell;

use smoltcp::time::Instant;

use crate::event::Yield;

/// What is known of one task. What a poll touches comes first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Header {
    /// What it yielded last; `None` before its first poll and while it runs.
    pub(super) waits: Cell<Option<Yield>>,
    pub(super) last_poll: Cell<Instant>,
    /// Polls so far; while the row is vacant, the next free task.
    pub(super) polls: Cell<u32>,
    pub(super) line: Cell<u32>,
    /// `None`: this task is free.
    pub(super) name: Cell<Option<&'static str>>,
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
        name: Cell::new(None),
    };
}
