//! Memory for tasks: a value with all-zero contents, so that firmware puts it in
//! a static and it costs no flash. Tasks see [`TaskParts`]: slices, in which no size is
//! part of a type.
//!
//! Not here: memory whose size is decided at run time (`heap.rs`).

use heapless::deque::{Deque, DequeView};

use crate::table::deadlines::DeadlineCell;
use crate::task::slot::{Chunk, FutureBytes, RowCell};
use crate::task::timer::ForeignTimer;
use crate::task::waker::Ready;
#[cfg(not(loom))]
use crate::task::waker::ReadySet;

/// What [`Tasks`](crate::Tasks) can be made in: a [`TaskStorage`], or with the feature
/// `alloc` a `HeapTaskStorage`.
#[diagnostic::on_unimplemented(note = "of a box, lend what is in it: `&mut *memory`")]
pub trait TaskMemory {
    /// The flags of as many tasks.
    type Flags;

    /// The parts and the flags, without const parameters.
    #[doc(hidden)]
    fn parts(&mut self, flags: Self::Flags) -> (TaskParts<'_>, Ready);
}

/// Memory for `TASKS` tasks whose futures need at most `BYTES` bytes each, and for `FOREIGN`
/// timers of sleeps that another's waker is to end: see [`Sleep`](crate::task::Sleep).
///
/// Beyond its future a task takes 104 bytes on a 64-bit machine, its flag in
/// the [`ReadySet`](crate::ReadySet) included.
#[derive(Debug)]
pub struct TaskStorage<
    const TASKS: usize,
    const BYTES: usize,
    const FOREIGN: usize = FOREIGN_TIMERS,
> {
    rows: [RowCell; TASKS],
    bytes: [FutureBytes<BYTES>; TASKS],
    run: Deque<u32, TASKS>,
    cells: [DeadlineCell; TASKS],
    heap: [u32; TASKS],
    foreign: [ForeignTimer; FOREIGN],
}

/// How many timers with a waker that is not a task's own a [`TaskStorage`]
/// has, unless it says otherwise. See [`Sleep`](crate::task::Sleep).
pub const FOREIGN_TIMERS: usize = 4;

impl<const TASKS: usize, const BYTES: usize, const FOREIGN: usize>
    TaskStorage<TASKS, BYTES, FOREIGN>
{
    /// Empty storage, all zeros, fit for a static.
    pub const fn new() -> Self {
        const { assert!(TASKS > 0, "an event loop needs at least one task") };
        const { assert!(FOREIGN > 0, "sleeps without a timer of their own share one") };
        const {
            assert!(
                FOREIGN <= u16::MAX as usize,
                "a sleep counts them in two bytes"
            )
        };
        TaskStorage {
            rows: [const { RowCell::EMPTY }; TASKS],
            bytes: [FutureBytes::EMPTY; TASKS],
            run: Deque::new(),
            cells: [DeadlineCell::EMPTY; TASKS],
            heap: [0; TASKS],
            foreign: [const { ForeignTimer::EMPTY }; FOREIGN],
        }
    }
}

#[cfg(not(loom))]
impl<const TASKS: usize, const BYTES: usize, const FOREIGN: usize> TaskMemory
    for TaskStorage<TASKS, BYTES, FOREIGN>
{
    type Flags = &'static ReadySet<TASKS>;

    fn parts(&mut self, flags: Self::Flags) -> (TaskParts<'_>, Ready) {
        let parts = TaskParts {
            rows: &mut self.rows,
            bytes: FutureBytes::chunks(&mut self.bytes),
            run: self.run.as_mut_view(),
            cells: &mut self.cells,
            heap: &mut self.heap,
            foreign: &mut self.foreign,
        };
        (parts, flags.ready())
    }
}

impl<const TASKS: usize, const BYTES: usize, const FOREIGN: usize> Default
    for TaskStorage<TASKS, BYTES, FOREIGN>
{
    fn default() -> Self {
        Self::new()
    }
}

/// The parts of a [`TaskStorage`]. Nobody can name them who is not the core.
///
/// `rows`, `cells` and `heap` have one element per task, `run` room
/// for as many, and `bytes` a whole number of chunks per task.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct TaskParts<'a> {
    pub rows: &'a mut [RowCell],
    pub bytes: &'a mut [Chunk],
    pub run: &'a mut DequeView<u32>,
    pub cells: &'a mut [DeadlineCell],
    pub heap: &'a mut [u32],
    pub foreign: &'a mut [ForeignTimer],
}
