//! Memory for tasks: a value with all-zero contents, so that firmware puts it in
//! a static and it costs no flash, and the same in parts, for a host that decides
//! sizes at run time.

use core::cell::Cell;

use heapless::deque::{Deque, DequeView};
use smoltcp::time::Instant;

use crate::event::Yield;
use crate::net::deadlines::DeadlineCell;
use crate::task::slot::{Chunk, FutureBytes, RowCell};
use crate::task::timer::ForeignTimer;

/// What is known of one task. Lives in [`TaskStorage`].
#[derive(Debug)]
pub struct Header {
    /// `None`: this task is free.
    pub(super) name: Cell<Option<&'static str>>,
    pub(super) line: Cell<u32>,
    /// Polls so far; while the row is vacant, the next free task.
    pub(super) polls: Cell<u32>,
    pub(super) last_poll: Cell<Instant>,
    /// What it yielded last; `None` before its first poll and while it runs.
    pub(super) waits: Cell<Option<Yield>>,
}

impl Header {
    /// A header of no task.
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "copied into storage, never used in place"
    )]
    pub const EMPTY: Header = Header {
        name: Cell::new(None),
        line: Cell::new(0),
        polls: Cell::new(0),
        last_poll: Cell::new(Instant::ZERO),
        waits: Cell::new(None),
    };
}

/// Memory for `TASKS` tasks whose futures need at most `BYTES` bytes each.
///
/// Beyond its future a task takes 96 bytes on a 64-bit machine, its flag in
/// the [`ReadySet`](crate::ReadySet) included.
#[derive(Debug)]
pub struct TaskStorage<const TASKS: usize, const BYTES: usize> {
    headers: [Header; TASKS],
    rows: [RowCell; TASKS],
    bytes: [FutureBytes<BYTES>; TASKS],
    run: Deque<u32, TASKS>,
    cells: [DeadlineCell; TASKS],
    heap: [u32; TASKS],
    foreign: [ForeignTimer; FOREIGN_TIMERS],
}

/// How many timers with a waker that is not a task's own a [`TaskStorage`]
/// serves. See [`Sleep`](crate::task::Sleep).
pub const FOREIGN_TIMERS: usize = 4;

impl<const TASKS: usize, const BYTES: usize> TaskStorage<TASKS, BYTES> {
    /// Empty storage, all zeros, fit for a static.
    pub const fn new() -> Self {
        const { assert!(TASKS > 0, "an event loop needs at least one task") };
        TaskStorage {
            headers: [const { Header::EMPTY }; TASKS],
            rows: [const { RowCell::EMPTY }; TASKS],
            bytes: [FutureBytes::EMPTY; TASKS],
            run: Deque::new(),
            cells: [DeadlineCell::EMPTY; TASKS],
            heap: [0; TASKS],
            foreign: [const { ForeignTimer::EMPTY }; FOREIGN_TIMERS],
        }
    }

    pub(super) fn parts(&mut self) -> TaskParts<'_> {
        TaskParts {
            headers: &mut self.headers,
            rows: &mut self.rows,
            bytes: FutureBytes::chunks(&mut self.bytes),
            run: self.run.as_mut_view(),
            cells: &mut self.cells,
            heap: &mut self.heap,
            foreign: &mut self.foreign,
        }
    }
}

impl<const TASKS: usize, const BYTES: usize> Default for TaskStorage<TASKS, BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// The parts of a [`TaskStorage`], for a host that decides sizes at run time.
///
/// `headers`, `rows`, `cells` and `heap` have one element per task, `run` room
/// for as many, and `bytes` a whole number of chunks per task.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct TaskParts<'a> {
    pub headers: &'a mut [Header],
    pub rows: &'a mut [RowCell],
    pub bytes: &'a mut [Chunk],
    pub run: &'a mut DequeView<u32>,
    pub cells: &'a mut [DeadlineCell],
    pub heap: &'a mut [u32],
    pub foreign: &'a mut [ForeignTimer],
}
