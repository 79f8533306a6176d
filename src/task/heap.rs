//! Memory for tasks from an allocator, for a host that decides at run time how many
//! there are (feature `alloc`).
//!
//! Futures go back to the allocator with their storage. Flags never do, because a
//! waker may outlive everything else: whoever wants some leaks them, by a name that
//! says so.

use alloc::boxed::Box;
use alloc::vec::Vec;

use heapless::deque::DequeView;

use crate::table::deadlines::DeadlineCell;
use crate::table::heap::{HeapError, filled, queue};
use crate::task::slot::{Chunk, RowCell};
use crate::task::storage::{FOREIGN_TIMERS, TaskMemory, TaskParts};
use crate::task::timer::ForeignTimer;
use crate::task::waker::{Flag, Queue, Ready};

/// A [`TaskStorage`](crate::TaskStorage) whose sizes are decided at run time.
/// [`HeapStorage`](crate::HeapStorage) has an example.
#[derive(Debug)]
pub struct HeapTaskStorage {
    rows: Vec<RowCell>,
    bytes: Vec<Chunk>,
    run: Box<DequeView<u32>>,
    cells: Vec<DeadlineCell>,
    heap: Vec<u32>,
    foreign: Vec<ForeignTimer>,
}

impl HeapTaskStorage {
    /// Empty storage for `tasks` tasks whose futures need at most `bytes` bytes each.
    ///
    /// # Errors
    /// [`HeapError`]: ask for less.
    pub fn new(tasks: usize, bytes: usize) -> Result<Self, HeapError> {
        let run = queue("tasks", tasks)?;
        let chunks = bytes.div_ceil(size_of::<Chunk>()).checked_mul(tasks);
        let chunks = chunks.ok_or(HeapError::NoMemory {
            what: "tasks",
            count: tasks,
            bytes,
        })?;
        Ok(HeapTaskStorage {
            rows: filled("tasks", tasks, || RowCell::EMPTY)?,
            bytes: filled("pieces of tasks", chunks, || Chunk::EMPTY)?,
            run,
            cells: filled("tasks", tasks, || DeadlineCell::EMPTY)?,
            heap: filled("tasks", tasks, || 0)?,
            foreign: filled("timers", FOREIGN_TIMERS, || ForeignTimer::EMPTY)?,
        })
    }

    /// Flags for these tasks, which are never given back: 16 bytes a task on a 64-bit
    /// machine. They may serve another storage of as many tasks, one at a time.
    ///
    /// `hook` runs after every wake that set a flag, as that of
    /// [`ReadySet::with_hook`](crate::ReadySet::with_hook) does.
    ///
    /// # Errors
    /// [`HeapError`]: ask for less.
    pub fn leak_flags(&self, hook: Option<fn()>) -> Result<Ready, HeapError> {
        let flags = filled("flags", self.rows.len(), Flag::new)?;
        Ok(Ready::new(
            Box::leak(Box::new(Queue::new(hook))),
            flags.leak(),
        ))
    }
}

impl TaskMemory for HeapTaskStorage {
    type Flags = Ready;

    fn parts(&mut self, flags: Ready) -> (TaskParts<'_>, Ready) {
        let parts = TaskParts {
            rows: &mut self.rows,
            bytes: &mut self.bytes,
            run: &mut self.run,
            cells: &mut self.cells,
            heap: &mut self.heap,
            foreign: &mut self.foreign,
        };
        (parts, flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_long_as_asked() {
        let mut futures = HeapTaskStorage::new(7, 100).unwrap();
        let flags = futures.leak_flags(None).unwrap();
        let (parts, ready) = futures.parts(flags);
        let chunks = 7 * 100_usize.div_ceil(size_of::<Chunk>());
        assert_eq!((parts.rows.len(), parts.bytes.len()), (7, chunks));
        assert_eq!((parts.foreign.len(), ready.len()), (FOREIGN_TIMERS, 7));
    }

    #[test]
    fn what_cannot_be_had_is_said() {
        for (tasks, bytes) in [(1 << 10, usize::MAX / 64), (2, usize::MAX), (usize::MAX, 1)] {
            assert!(HeapTaskStorage::new(tasks, bytes).is_err());
        }
    }
}
