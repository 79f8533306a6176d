//! Timers. A task has one deadline, the earliest of its sleeps; when it
//! passes, the task is woken and the sleeps in it look at the clock. That
//! serves any number of sleeps in one task without a timer for each.
//!
//! A sleep that is not polled then cannot say again when it ends. So a task also
//! remembers the last moment: of two such sleeps each is woken in time, of more
//! those between are woken with the last, and none is forgotten.
//!
//! A combinator may hand a sleep a waker of its own, and then waking the task
//! is not enough. A few timers keep such wakers
//! ([`FOREIGN_TIMERS`](crate::task::FOREIGN_TIMERS)); a sleep that finds none
//! free asks to be polled every turn, which is right, costs the idle, and is
//! counted.
//!
//! Not here: a clock. `now` is what the turn was given.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use smoltcp::time::Instant;

use crate::event::{Reason, Yield};
use crate::initial::initial;
use crate::table::deadlines::{DeadlineCell, Deadlines};
use crate::task::slot::{PinnedWith, RowCell};
use crate::task::waker::Ready;
use crate::time::FAR;

initial! {
    /// A timer with a waker that is not a task's own. Lives in
    /// [`TaskStorage`](crate::task::TaskStorage).
    #[derive(Debug)]
    pub struct ForeignTimer: EMPTY {
        taken: Cell<bool> = Cell::new(false),
        due: Cell<Instant> = Cell::new(Instant::ZERO),
        waker: RefCell<Option<Waker>> = RefCell::new(None),
    }
}

/// The timers of all tasks of one host, and the time of the turn.
pub(crate) struct Timers<'a> {
    pub(crate) now: Cell<Instant>,
    pub(crate) tasks: RefCell<Deadlines<'a>>,
    rows: &'a [RowCell],
    foreign: &'a [ForeignTimer],
    pub(super) foreign_taken: Cell<u32>,
    pub(crate) refused: Cell<u64>,
    /// Somebody sleeps for ever, and so without a timer.
    pub(crate) endless: Cell<bool>,
    ready: Ready,
    /// The task that runs.
    pub(super) current: Cell<Option<u32>>,
    /// What a future of this file said it waits for, in this poll.
    pub(super) note: Cell<Option<Yield>>,
}

impl<'a> Timers<'a> {
    pub(crate) fn new(
        ready: Ready,
        heap: &'a mut [u32],
        cells: &'a mut [DeadlineCell],
        rows: &'a [RowCell],
        foreign: &'a mut [ForeignTimer],
    ) -> Self {
        for timer in foreign.iter_mut() {
            *timer = ForeignTimer::EMPTY;
        }
        Timers {
            now: Cell::new(Instant::ZERO),
            tasks: RefCell::new(Deadlines::new(heap, cells)),
            rows,
            foreign,
            foreign_taken: Cell::new(0),
            refused: Cell::new(0),
            endless: Cell::new(false),
            ready,
            current: Cell::new(None),
            note: Cell::new(None),
        }
    }

    /// All tasks have ended.
    pub(crate) fn clear(&self) {
        self.tasks.borrow_mut().clear();
        self.endless.set(false);
    }

    /// A task has ended; its deadlines go with it.
    pub(crate) fn forget(&self, task: u32) {
        self.tasks.borrow_mut().set(task, None);
        if let Some(row) = self.rows.get(task as usize) {
            row.header.last.set(Instant::ZERO);
        }
    }

    /// Wakes everyone whose deadline has passed.
    pub(super) fn wake_due(&self, now: Instant) {
        // Each foreign timer in its place among the tasks' deadlines.
        while let Some(timer) = self.next_foreign().filter(|timer| timer.due.get() <= now) {
            self.wake_tasks(timer.due.get());
            let waker = timer.waker.take();
            waker.into_iter().for_each(Waker::wake);
        }
        self.wake_tasks(now);
    }

    fn wake_tasks(&self, until: Instant) {
        loop {
            let due = self.tasks.borrow_mut().pop(until);
            let Some(task) = due else { break };
            if let Some(row) = self.rows.get(task as usize) {
                let last = Some(row.header.last.get()).filter(|last| *last > self.now.get());
                self.tasks.borrow_mut().set(task, last);
            }
            self.ready.wake(task);
        }
    }

    /// Whether there are timers with wakers that are not a task's own.
    pub(crate) fn has_foreign(&self) -> bool {
        self.foreign_taken.get() > 0
    }

    /// The foreign timer that is due first.
    fn next_foreign(&self) -> Option<&ForeignTimer> {
        if !self.has_foreign() {
            return None;
        }
        let armed = |timer: &&ForeignTimer| timer.taken.get() && timer.waker.borrow().is_some();
        let armed = self.foreign.iter().filter(armed);
        armed.min_by_key(|timer| timer.due.get())
    }

    /// The earliest deadline of any task.
    pub(crate) fn next(&self) -> Option<Instant> {
        let foreign = self.next_foreign().map(|timer| timer.due.get());
        let task = self.tasks.borrow_mut().next();
        foreign.into_iter().chain(task).min()
    }

    /// Arranges that the caller is polled at `due`. `own` is the foreign timer
    /// it holds, if any.
    fn arm(&self, due: Instant, own: &mut Option<usize>, cx: &Context<'_>) {
        self.note
            .set(Some(Yield::of(Reason::Sleep, (due != FAR).into())));
        if own.is_none()
            && let Some(task) = self.current.get()
            && self.ready.is_own(task, cx.waker())
        {
            if due == FAR {
                return self.endless.set(true);
            }
            let mut tasks = self.tasks.borrow_mut();
            let earliest = tasks.get(task);
            if earliest.is_none_or(|earliest| due < earliest) {
                tasks.set(task, Some(due));
            }
            if let (Some(earliest), Some(row)) = (earliest, self.rows.get(task as usize))
                && due != earliest
            {
                let last = &row.header.last;
                last.set(last.get().max(due).max(earliest));
            }
            return;
        }
        if own.is_none() {
            *own = self.foreign.iter().position(|timer| !timer.taken.get());
        }
        let Some(timer) = own.and_then(|index| self.foreign.get(index)) else {
            self.refused.set(self.refused.get() + 1);
            cx.waker().wake_by_ref();
            return;
        };
        if !timer.taken.replace(true) {
            self.foreign_taken.set(self.foreign_taken.get() + 1);
        }
        timer.due.set(due);
        // The old waker goes outside the borrow: its drop may run any code.
        drop(timer.waker.replace(Some(cx.waker().clone())));
    }

    fn disarm(&self, own: Option<usize>) {
        let Some(timer) = own.and_then(|index| self.foreign.get(index)) else {
            return;
        };
        if timer.taken.replace(false) {
            self.foreign_taken.set(self.foreign_taken.get() - 1);
        }
        timer.waker.take();
    }

    pub(crate) fn sleep_until(&'a self, due: Instant) -> Sleep<'a> {
        Sleep {
            timers: self,
            due,
            own: None,
        }
    }

    /// Lets every other ready task run, then goes on in the next turn.
    pub(crate) async fn yield_now(&self) {
        let mut yielded = false;
        poll_fn(|cx| {
            if core::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            self.note.set(Some(Yield::of(Reason::Turn, 0)));
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }
}

/// Waits until a moment. Made by [`Node::sleep`](crate::Node::sleep).
///
/// Ready in the first turn at or after the moment, in the order of the
/// moments. Any number of sleeps in one task share the task's one timer; beyond two,
/// they must be polled when the task is, or may be woken as late as the last. Under
/// a combinator that polls its children with wakers of its own
/// (`FuturesUnordered`), the first
/// [`FOREIGN_TIMERS`](crate::task::FOREIGN_TIMERS) sleeps of a host have a
/// timer each and the next ones are polled every turn.
///
/// # Cancel safety
/// **Safe.** Its timer is given back when it ends or is dropped.
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep<'a> {
    timers: &'a Timers<'a>,
    due: Instant,
    own: Option<usize>,
}

impl fmt::Debug for Sleep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sleep").field(&self.due).finish()
    }
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.timers.now.get() >= this.due {
            this.timers.disarm(this.own.take());
            return Poll::Ready(());
        }
        this.timers.arm(this.due, &mut this.own, cx);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.timers.disarm(self.own);
    }
}

/// The time was up before the future was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is up")
    }
}

impl core::error::Error for Elapsed {}

/// A future and the time it has. Gives the future's output, or [`Elapsed`]
/// once the sleep is over. The future is polled first, so one that is ready in
/// time always wins; either way it is dropped when this ends. Polled after that
/// it is pending, and nobody is woken.
pub(crate) type Timeout<'a, F> = PinnedWith<Option<F>, Sleep<'a>>;

impl<F: Future> Future for Timeout<'_, F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (mut future, sleep) = self.project();
        let Some(running) = future.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let polled = match running.poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => Pin::new(sleep).poll(cx).map(|()| Err(Elapsed)),
        };
        if polled.is_ready() {
            future.set(None);
        }
        polled
    }
}
