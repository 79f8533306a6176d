//! What the tables of the tasks say about each other, checked: rows, the free list,
//! the flags that wakers set, the run queue and the timers.
//!
//! Not here: the streams that tasks wait for (`audit.rs`).

use core::sync::atomic::Ordering;

use crate::event::{Reason, Source, Yield};
use crate::lab::sound::{Inconsistent, ensure, is_in_order};
use crate::task::tasks::{NONE, Tasks};
use crate::task::timer::Timers;
use crate::task::waiting::TaskState;
use crate::task::waker::Ready;

/// Checks every table against the others; not while a task runs.
pub(crate) fn tasks(tasks: &Tasks<'_>) -> Result<(), Inconsistent> {
    let count = tasks.rows.len() as u32;
    let header = |task: u32| &tasks.rows[task as usize].header;
    let named = |task: u32| header(task).name.get().is_some();
    for task in 0..count {
        let lives = !tasks.futures.is_vacant(task);
        let holds = lives == named(task);
        ensure("a row is taken while its task lives", task, holds)?;
    }
    let live = (0..count).filter(|&task| named(task)).count() as u32;
    ensure("live tasks are counted", live, tasks.used.get() == live)?;
    let (mut free, mut next) = (0, tasks.free.get());
    while next != NONE && free <= count {
        free += 1;
        let row = tasks.rows.get(next as usize - 1);
        next = row.map_or(NONE, |row| row.header.polls.get());
    }
    ensure("every other row is free", free, free + live == count)?;
    let is_set = |task: u32| is_set(tasks.ready, task);
    let set = (0..count).filter(|&task| is_set(task)).count();
    let queued = woken(tasks.ready) + tasks.run.borrow().storage_len();
    ensure("a woken task is queued once", 0, set == queued)?;
    for task in 0..count {
        let sleeps = header(task).waits.get() == Some(Yield::of(Reason::Sleep, 1));
        let safe = !sleeps || is_set(task) || is_armed(&tasks.timers, task);
        ensure("a sleep has a timer", task, safe)?;
    }
    ensure(
        "the heap of tasks' deadlines is in order, and none has passed",
        0,
        is_in_order(&tasks.timers.tasks.borrow(), tasks.timers.now.get()),
    )
}

/// Which tasks wait for which stream, and were not woken.
pub(crate) fn waiting_for_streams(tasks: &Tasks<'_>) -> impl Iterator<Item = (u32, Reason, u32)> {
    tasks.waiting().filter_map(|waiting| match waiting.state {
        TaskState::Waiting(reason, Source::Stream(slot)) if !is_set(tasks.ready, waiting.task) => {
            Some((waiting.task, reason, slot))
        }
        _ => None,
    })
}

/// Whether something will wake this task, or the sleeps in it; nothing need
/// wake those that are for ever.
pub(crate) fn is_armed(timers: &Timers<'_>, task: u32) -> bool {
    let armed = timers.tasks.borrow().get(task).is_some();
    armed || timers.has_foreign() || timers.endless.get()
}

/// Whether a task was woken and has not been resumed since.
pub(crate) fn is_set(ready: Ready, task: u32) -> bool {
    let flag = ready.flags.get(task as usize);
    flag.is_some_and(|flag| flag.queued.load(Ordering::Acquire))
}

/// How many tasks stand on the list of those woken.
pub(crate) fn woken(ready: Ready) -> usize {
    let mut number = ready.queue.head.load(Ordering::Acquire);
    let mut count = 0;
    while let Some(flag) = ready.flags.get((number as usize).wrapping_sub(1))
        && count < ready.flags.len()
    {
        count += 1;
        number = flag.next.load(Ordering::Relaxed);
    }
    count
}
