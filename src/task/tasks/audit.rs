//! What the tables of the tasks say about each other, checked. See
//! [`Node::audit`](crate::Node::audit).

use super::{NONE, Tasks};
use crate::event::Yield;
use crate::net::{Inconsistent, audit::ensure};

impl Tasks<'_> {
    /// Checks every table against the others; not while a task runs.
    pub(crate) fn audit(&self) -> Result<(), Inconsistent> {
        let count = self.rows.len() as u32;
        let named = |task: u32| self.rows[task as usize].header.name.get().is_some();
        for task in 0..count {
            let lives = !self.futures.is_vacant(task);
            ensure(
                "a row is taken while its task lives",
                task,
                lives == named(task),
            )?;
        }
        let live = (0..count).filter(|&task| named(task)).count() as u32;
        ensure("live tasks are counted", live, self.used.get() == live)?;
        let (mut free, mut next) = (0, self.free.get());
        while next != NONE && free <= count {
            free += 1;
            let row = self.rows.get(next as usize - 1);
            next = row.map_or(NONE, |row| row.header.polls.get());
        }
        ensure("every other row is free", free, free + live == count)?;
        let set = (0..count).filter(|&task| self.is_set(task)).count();
        let queued = self.ready.waiting() + self.run.borrow().storage_len();
        ensure("a woken task is queued once", 0, set == queued)?;
        for task in 0..count {
            let waits = self.rows[task as usize].header.waits.get();
            let sleeps = waits.is_some_and(Yield::has_timer);
            let safe = !sleeps || self.is_set(task) || self.timers.is_armed(task);
            ensure("a sleep has a timer", task, safe)?;
        }
        ensure(
            "the heap of tasks' deadlines is in order, and none has passed",
            0,
            self.timers.is_sound(),
        )
    }

    /// Whether a task was woken and has not been resumed since.
    pub(crate) fn is_set(&self, task: u32) -> bool {
        self.ready.is_set(task)
    }
}
