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

/// Checks every table against the others; not while a task runs. Gives how many tasks
/// wait for streams, woken or not.
pub(crate) fn tasks(tasks: &Tasks<'_>) -> Result<u32, Inconsistent> {
    let count = tasks.rows.len() as u32;
    let (mut live, mut set, mut streams) = (0, 0, 0);
    for (task, row) in (0..count).zip(tasks.rows) {
        let (named, is_set) = (row.header.name.get().is_some(), is_set(tasks.ready, task));
        let holds = named != tasks.futures.is_vacant(task);
        ensure("a row is taken while its task lives", task, holds)?;
        live += u32::from(named);
        set += usize::from(is_set);
        let Some(waits) = row.header.waits.get() else {
            continue;
        };
        let sleeps = waits == Yield::of(Reason::Sleep, 1);
        let safe = !sleeps || is_set || is_armed(&tasks.timers, task);
        ensure("a sleep has a timer", task, safe)?;
        streams += u32::from(matches!(waits.source(), Source::Stream(_)));
    }
    ensure("live tasks are counted", live, tasks.used.get() == live)?;
    let (mut free, mut next) = (0, tasks.free.get());
    while next != NONE && free <= count {
        free += 1;
        let row = tasks.rows.get(next as usize - 1);
        next = row.map_or(NONE, |row| row.header.polls.get());
    }
    ensure("every other row is free", free, free + live == count)?;
    let queued = woken(tasks.ready) + tasks.run.borrow().storage_len();
    ensure("a woken task is queued once", 0, set == queued)?;
    ensure(
        "the heap of tasks' deadlines is in order, and none has passed",
        0,
        is_in_order(&tasks.timers.tasks.borrow(), tasks.timers.now.get()),
    )?;
    Ok(streams)
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
