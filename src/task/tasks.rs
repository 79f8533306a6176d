//! Tasks: the lesson's `tasks`, `to_read` and `to_write` in one table. A task is
//! a future in a row of bytes, a flag that its waker sets, and a line that
//! says what it waits for. Ready tasks stand in a FIFO queue, each at most
//! once; a turn resumes those that were woken before it began.
//!
//! Full is an answer: [`Tasks::spawn`] gives the future back.
//!
//! Not here: sockets. A task's line names one, and this file does not look.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::mem::ManuallyDrop;
use core::panic::Location;
use core::task::{Context, Poll, Waker};

use heapless::deque::DequeView;
use smoltcp::time::Instant;

use crate::counters::Counters;
use crate::event::{Audience, Event, Yield};
use crate::prefetch::fetch;
use crate::scheduler::Scheduler;
use crate::task::header::Queued;
use crate::task::slot::{FutureSlots, Outcome, Pinned, RowCell};
use crate::task::spawn_error::SpawnError;
use crate::task::storage::TaskMemory;
use crate::task::timer::Timers;
use crate::task::waiting::{TaskState, Waiting};
use crate::task::waker::{Flag, Ready, is_ours};

/// The list of free tasks ends here; tasks on it are counted from one.
pub(crate) const NONE: u32 = 0;

/// The tasks of one host.
///
/// A [`Node`](crate::Node) spawns them; this says how they are.
///
/// ```
/// use cygnet::{Node, ReadySet, TaskStorage, Tasks};
/// # use cygnet::{Config, Stack, Storage};
/// # let mut ethernet = smoltcp::phy::DeviceCapabilities::default();
/// # ethernet.max_transmission_unit = 1514;
/// # let mut memory: Storage<1, 64, 64> = Storage::new();
/// # let stack = Stack::new(&mut memory, &Config::new([2, 0, 0, 0, 0, 1], [7; 16]), ethernet).unwrap();
///
/// /// Eight tasks, each a future of at most 512 bytes.
/// static READY: ReadySet<8> = ReadySet::new();
/// let mut futures: TaskStorage<8, 512> = TaskStorage::new();
/// let tasks = Tasks::new(&mut futures, &READY);
///
/// let node = Node::new(&stack, &tasks);
/// node.spawn(async { /* accept, read, write */ }).expect("a free task");
/// let large = [0_u8; 4096];
/// let refused = node.spawn(async move { drop(large) }).unwrap_err();
/// println!("{refused}"); // how many bytes it needs, and how many there are
/// assert_eq!(tasks.waiting().count(), 1);
/// // And an event loop runs them.
/// ```
pub struct Tasks<'a> {
    pub(crate) rows: &'a [RowCell],
    pub(crate) futures: FutureSlots<'a>,
    pub(crate) ready: Ready,
    claim: u32,
    pub(crate) run: RefCell<&'a mut DequeView<u32>>,
    pub(crate) free: Cell<u32>,
    pub(crate) used: Cell<u32>,
    pub(crate) counters: TaskCounters,
    audience: Cell<Audience<'a>>,
    pub(crate) timers: Timers<'a>,
}

impl fmt::Debug for Tasks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.waiting()).finish()
    }
}

impl<'a> Tasks<'a> {
    /// Tasks in `storage`, woken through `ready`: a [`ReadySet`](crate::ReadySet) for
    /// as many, or what a `HeapTaskStorage` leaked.
    pub fn new<M: TaskMemory>(storage: &'a mut M, ready: M::Flags) -> Self {
        let (parts, ready) = storage.parts(ready);
        let claim = ready.claim();
        // There are as many tasks as have a flag.
        let count = parts.rows.len().min(ready.len());
        parts.run.clear();
        let rows: &'a [RowCell] = &parts.rows[..count];
        let tasks = Tasks {
            free: Cell::new(NONE),
            rows,
            futures: FutureSlots::new(rows, parts.bytes),
            ready,
            claim,
            run: RefCell::new(parts.run),
            used: Cell::new(0),
            counters: TaskCounters::default(),
            audience: Cell::new(None),
            timers: Timers::new(
                ready,
                &mut parts.heap[..count],
                &mut parts.cells[..count],
                rows,
                parts.foreign,
            ),
        };
        tasks.put_in_order();
        tasks
    }

    /// Lists every task as free, the first one first: the next loop takes them
    /// in the same order as the last. All must be free.
    fn put_in_order(&self) {
        self.free.set(NONE);
        for (index, row) in self.rows.iter().enumerate().rev() {
            row.header.polls.set(self.free.replace(index as u32 + 1));
        }
    }

    #[cfg(feature = "observer")]
    pub(crate) fn set_audience(&self, audience: Audience<'a>) {
        self.audience.set(audience);
    }

    /// Makes a task of `future`. It runs in the next turn.
    #[track_caller]
    pub(crate) fn spawn<F>(
        &self,
        name: Option<&'static str>,
        future: F,
    ) -> Result<u32, SpawnError<F>>
    where
        F: Future + 'a,
        F::Output: Outcome,
    {
        // Of no free task there is no row.
        let task = self.free.get().wrapping_sub(1);
        match self.futures.put(task, future) {
            Ok(()) => {
                self.spawned(task, name, Location::caller());
                Ok(task)
            }
            Err((future, refused)) => {
                bump(&self.counters.refused);
                Err(SpawnError {
                    future,
                    refused,
                    needs: size_of::<F>(),
                    has: self.futures.row_bytes(),
                })
            }
        }
    }

    /// The first free row has a future. Apart, so that each kind of future does not
    /// bring a copy of it.
    #[inline(never)]
    fn spawned(&self, task: u32, name: Option<&'static str>, place: &'static Location<'static>) {
        let header = &self.rows[task as usize].header;
        self.free.set(header.polls.replace(0));
        header.name.set(name.or(Some(place.file())));
        let line = place.line().min(u16::MAX.into()) as u16;
        header.line.set(if name.is_some() { 0 } else { line });
        header.waits.set(None);
        header.last_poll.set(self.timers.now.get());
        self.used.set(self.used.get() + 1);
        let used = self.used.get();
        self.counters.high.set(self.counters.high.get().max(used));
        self.tell(|| Event::Spawned {
            task,
            name: header.name.get().unwrap_or_default(),
            line: header.line.get().into(),
        });
        self.ready.wake(task);
    }

    /// Sets the time and wakes the tasks whose deadline has passed.
    pub(crate) fn advance(&self, now: Instant) {
        let timers = &self.timers;
        timers.now.set(now);
        if timers.foreign_taken.get() > 0 || timers.tasks.borrow().may_be_due(now) {
            timers.wake_due(now);
        }
    }

    /// When the next timer of a task is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match self.timers.foreign_taken.get() {
            0 => self.timers.tasks.borrow_mut().next(),
            _ => self.timers.next(),
        }
    }

    /// Resumes every task that was woken before now, once, in wake order. In `note` a
    /// socket's future says what its task waits for.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn run_woken(&self, pinned: &Pinned<'_, 'a>, note: &Cell<Option<Yield>>) {
        self.collect_ready();
        while let Some(task) = self.next_ready() {
            self.resume(pinned, task, note);
        }
    }

    /// Moves every task woken so far into the run queue, in wake order.
    ///
    /// # Panics
    /// When another `Tasks` was made with the same ready set.
    pub(super) fn collect_ready(&self) {
        assert!(
            self.ready.is_owned_by(self.claim),
            "two Tasks share one ReadySet: give each its own"
        );
        let mut run = self.run.borrow_mut();
        let mut taken = 0;
        // The list comes last woken first.
        self.ready.take(|task| match self.rows.get(task as usize) {
            Some(row) if matches!(row.header.queued.replace(Queued::Listed), Queued::No) => {
                let _ = run.push_front(task);
                taken += 1;
            }
            Some(_) => (),
            None => self.ready.clear(task), // woken for an earlier owner
        });
        // Who stood in the queue was woken before.
        for _ in 0..taken {
            let Some(task) = run.pop_front() else { break };
            let _ = run.push_back(task);
        }
        if self.audience.get().is_some() {
            for &task in run.iter() {
                self.tell(|| Event::Woken { task });
            }
        }
    }

    /// The next task of this turn.
    pub(super) fn next_ready(&self) -> Option<u32> {
        self.run.borrow_mut().pop_front()
    }

    /// Runs `f`, inside which tasks may be resumed.
    pub(crate) fn pinned<R>(&self, f: impl FnOnce(&Pinned<'_, 'a>) -> R) -> R {
        let _clear = Clear(self);
        self.futures.pinned(f)
    }

    /// Resumes one task.
    pub(super) fn resume(&self, pinned: &Pinned<'_, 'a>, task: u32, note: &Cell<Option<Yield>>) {
        self.unqueue(task);
        let (Some(row), Some(waker)) = (self.rows.get(task as usize), self.ready.waker(task))
        else {
            return;
        };
        let header = &row.header;
        if self.futures.is_vacant(task) {
            return; // a wake for a task that has ended
        }
        header.waits.set(None);
        header.polls.set(header.polls.get().wrapping_add(1));
        header.last_poll.set(self.timers.now.get());
        bump(&self.counters.polls);
        self.tell(|| Event::Resumed { task });
        note.set(None);
        self.timers.note.set(None);
        self.timers.current.set(Some(task));
        let running = Running(self, task);
        // To drop a waker of ours does nothing, and costs a call to say so.
        let waker = ManuallyDrop::new(waker);
        let polled = pinned.poll(task, &mut Context::from_waker(&waker));
        drop(running);
        match polled {
            Some(Poll::Pending) => {
                let waits = note.take().or(self.timers.note.take());
                let waits = waits.unwrap_or(Yield::OTHER);
                header.waits.set(Some(waits));
                self.tell(|| Event::Yielded {
                    task,
                    reason: waits.reason,
                    source: waits.source(),
                });
            }
            Some(Poll::Ready(failed)) => {
                if failed {
                    bump(&self.counters.failed);
                }
                self.tell(|| Event::Done { task, failed });
            }
            None => (),
        }
    }

    /// A task has left the run queue: from now on a wake counts for another poll.
    fn unqueue(&self, task: u32) {
        if let Some(row) = self.rows.get(task as usize)
            && matches!(row.header.queued.replace(Queued::No), Queued::Listed)
        {
            self.ready.clear(task);
        }
    }

    /// Puts a vacant row back on the free list.
    fn release(&self, task: u32) {
        let header = &self.rows[task as usize].header;
        header.name.set(None);
        header.waits.set(None);
        header.polls.set(self.free.replace(task + 1));
        self.timers.forget(task);
        self.used.set(self.used.get().saturating_sub(1));
    }

    /// Every task and what it waits for.
    pub fn waiting(&self) -> impl Iterator<Item = Waiting> + '_ {
        let live = |task: &u32| !self.futures.is_vacant(*task);
        (0..self.rows.len() as u32).filter(live).map(|task| {
            let header = &self.rows[task as usize].header;
            let waits = header.waits.get();
            Waiting {
                task,
                name: header.name.get().unwrap_or_default(),
                line: header.line.get().into(),
                state: match waits {
                    _ if self.timers.current.get() == Some(task) => TaskState::Running,
                    Some(waits) => TaskState::Waiting(waits.reason, waits.source()),
                    None => TaskState::Ready,
                },
                polls: header.polls.get(),
                last_poll: header.last_poll.get(),
            }
        })
    }

    /// The totals of the stack and of the tasks.
    pub(crate) fn counters(&self, stack: Counters) -> Counters {
        Counters {
            tasks_used: self.used.get(),
            tasks_high: self.counters.high.get(),
            spawns_refused: self.counters.refused.get(),
            tasks_failed: self.counters.failed.get(),
            polls: self.counters.polls.get(),
            timers_refused: stack.timers_refused + self.timers.refused.get(),
            ..stack
        }
    }

    fn tell<'e>(&self, event: impl FnOnce() -> Event<'e>) {
        if let Some(observer) = self.audience.get() {
            observer.event(self.timers.now.get(), &event());
        }
    }
}

/// The tasks' share of [`Counters`].
#[derive(Default)]
pub(crate) struct TaskCounters {
    pub(crate) high: Cell<u32>,
    pub(crate) refused: Cell<u64>,
    pub(crate) failed: Cell<u64>,
    pub(crate) polls: Cell<u64>,
}

fn bump(count: &Cell<u64>) {
    if cfg!(feature = "counters") {
        count.set(count.get() + 1);
    }
}

/// The task that runs. Afterwards, also by unwinding, none does, and a row
/// whose future has ended is free.
struct Running<'t, 'a>(&'t Tasks<'a>, u32);

impl Drop for Running<'_, '_> {
    fn drop(&mut self) {
        let Running(tasks, task) = *self;
        tasks.timers.current.set(None);
        if tasks.futures.is_vacant(task) {
            tasks.release(task);
        }
    }
}

impl Scheduler for Tasks<'_> {
    #[inline]
    fn fetch(&self, waker: &Waker) {
        fetch(waker.data().cast(), size_of::<Flag>());
        self.futures.fetch(self.ready.number_of(waker));
    }

    /// Queues a task of ours without its flag, if nobody stands on the list who was
    /// woken before: no atomic operation that other cores could see, which would
    /// be four of them for a small request, a tenth of its time.
    #[inline]
    fn wake(&self, waker: Waker) -> Option<Waker> {
        match self.ready.first_woken(&waker) {
            Some(task) if (task as usize) < self.rows.len() => {
                let row = &self.rows[task as usize];
                if matches!(row.header.queued.get(), Queued::No) {
                    row.header.queued.set(Queued::Here);
                    let _ = self.run.borrow_mut().push_back(task);
                }
                // To drop it does nothing, and costs a call to say so.
                let _ = ManuallyDrop::new(waker);
            }
            _ if is_ours(&waker) => waker.wake(),
            _ => return Some(waker),
        }
        None
    }
}

/// After a scope, also after unwinding, nobody runs, nobody is woken and every
/// row is on the free list.
pub(crate) struct Clear<'t, 'a>(&'t Tasks<'a>);

impl Drop for Clear<'_, '_> {
    fn drop(&mut self) {
        let Clear(tasks) = self;
        if tasks.futures.is_pinned() {
            return; // refused inside a loop that goes on
        }
        while let Some(task) = tasks.next_ready() {
            tasks.unqueue(task);
        }
        tasks.ready.forget_wakes();
        for (task, row) in (0..).zip(tasks.rows) {
            if row.header.name.get().is_some() {
                tasks.release(task);
            }
        }
        tasks.timers.clear();
        tasks.put_in_order();
    }
}

impl Tasks<'static> {
    /// Lets tasks be resumed until the scope is dropped.
    pub(crate) fn pin(&'static self) -> PinnedTasks {
        let clear = Clear(self);
        (self.futures.pin(), clear)
    }
}

/// A scope over tasks that are never freed. The futures end first.
pub(crate) type PinnedTasks = (Pinned<'static, 'static>, Clear<'static, 'static>);
