//! Timers. A task has one deadline, the earliest of its sleeps; when it
//! passes, the task is woken and the sleeps in it look at the clock. That
//! serves any number of sleeps in one task without a timer for each.
//!
//! A sleep that is not polled then cannot say again when it ends. So a task also
//! remembers the last moment: of two such sleeps each is woken in time, of more
//! those between are woken with the last, and none is forgotten.
//!
//! A combinator may hand a sleep a waker of its own, and so does another's executor; then
//! waking the task is not enough. Some timers keep such wakers, as many as the
//! [`TaskStorage`](crate::task::TaskStorage) says. Sleeps that find none free share the last
//! one, however many they are: it has the earliest of their moments, and the waker of the
//! one that came last, which keeps the waker of the one before it, and so on. When the
//! moment passes the last is woken, and wakes the one before it; whoever has to wait on
//! joins them again. That costs a poll of each, not one every turn, and is counted.
//!
//! Not here: a clock. `now` is what the turn was given.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use smoltcp::time::Instant;

#[cfg(feature = "drive")]
use crate::driver::Driver;
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
        /// How many sleeps have it: one, but for the last timer.
        sleeps: Cell<u32> = Cell::new(0),
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
    /// Counts how often those that share a timer had to join again.
    round: Cell<u16>,
    pub(crate) refused: Cell<u64>,
    /// Somebody sleeps for ever, and so without a timer.
    pub(crate) endless: Cell<bool>,
    ready: Ready,
    /// The task that runs.
    pub(super) current: Cell<Option<u32>>,
    /// What a future of this file said it waits for, in this poll.
    pub(super) note: Cell<Option<Yield>>,
    #[cfg(feature = "drive")]
    pub(crate) driver: Driver,
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
            round: Cell::new(0),
            refused: Cell::new(0),
            endless: Cell::new(false),
            ready,
            current: Cell::new(None),
            note: Cell::new(None),
            #[cfg(feature = "drive")]
            driver: Driver::new(),
        }
    }

    /// Whether another's executor drives the node, and goes on when no task of it is left.
    #[inline(always)]
    pub(crate) fn is_driven(&self) -> bool {
        #[cfg(feature = "drive")]
        return self.driver.drives.get();
        #[cfg(not(feature = "drive"))]
        false
    }

    /// The time of this turn; between the turns of a driven node that of its driver.
    pub(crate) fn now(&self) -> Instant {
        #[cfg(feature = "drive")]
        if let Some(now) = self.driver.now() {
            self.now.set(now);
        }
        self.now.get()
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
            if self.is_shared(timer) {
                self.next_round();
            }
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
        let armed = |timer: &&ForeignTimer| timer.waker.borrow().is_some();
        let armed = self.foreign.iter().filter(armed);
        armed.min_by_key(|timer| timer.due.get())
    }

    /// The earliest deadline of any task.
    pub(crate) fn next(&self) -> Option<Instant> {
        let foreign = self.next_foreign().map(|timer| timer.due.get());
        let task = self.tasks.borrow_mut().next();
        foreign.into_iter().chain(task).min()
    }

    fn is_shared(&self, timer: &ForeignTimer) -> bool {
        let last = self.foreign.last();
        last.is_some_and(|last| core::ptr::eq(last, timer))
    }

    fn timer(&self, own: &Own) -> Option<&ForeignTimer> {
        self.foreign.get(usize::from(own.timer).wrapping_sub(1))
    }

    fn next_round(&self) {
        self.round.set(self.round.get().wrapping_add(1));
    }

    /// Arranges that the caller is polled at `due`. `own` is the foreign timer
    /// it holds, if any.
    fn arm(&self, due: Instant, own: &mut Own, cx: &Context<'_>) {
        self.note
            .set(Some(Yield::of(Reason::Sleep, (due != FAR).into())));
        if own.timer == 0
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
        let is_new = own.timer == 0;
        if is_new {
            let mut all = self.foreign.iter().zip(1..);
            let free = all.find(|(timer, _)| timer.sleeps.get() == 0);
            own.timer = free.map_or(self.foreign.len() as u16, |(_, number)| number);
        }
        let Some(timer) = self.timer(own) else {
            return;
        };
        if is_new {
            timer.sleeps.set(timer.sleeps.get() + 1);
            self.foreign_taken.set(self.foreign_taken.get() + 1);
        }
        let waker = cx.waker();
        if self.is_shared(timer) {
            let who = (waker.data().addr() >> 3) as u32;
            if !is_new && (own.round, own.who) == (self.round.get(), who) {
                return; // it has joined
            }
            if timer.sleeps.get() > 1 {
                self.refused.set(self.refused.get() + 1);
            }
            own.wake_before();
            (own.round, own.who) = (self.round.get(), who);
            let before = timer.waker.replace(Some(waker.clone()));
            let earlier = before.is_some() && timer.due.get() < due;
            if !earlier {
                timer.due.set(due);
            }
            own.before = before.filter(|before| !before.will_wake(waker));
        } else {
            timer.due.set(due);
            // The old waker goes outside the borrow: its drop may run any code.
            drop(timer.waker.replace(Some(waker.clone())));
        }
        #[cfg(feature = "drive")]
        if self.driver.rests_until().is_some_and(|until| due < until) {
            self.driver.wake();
        }
    }

    fn disarm(&self, own: &mut Own) {
        let Some(timer) = self.timer(own) else {
            return;
        };
        own.timer = 0;
        timer.sleeps.set(timer.sleeps.get().saturating_sub(1));
        self.foreign_taken.set(self.foreign_taken.get() - 1);
        if timer.sleeps.get() == 0 {
            drop(timer.waker.take());
        } else if own.before.is_some() {
            // Nobody else can wake those before it.
            self.next_round();
        }
        own.wake_before();
    }

    pub(crate) fn sleep_until(&'a self, due: Instant) -> Sleep<'a> {
        Sleep {
            timers: self,
            due,
            own: Own::default(),
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
/// (`FuturesUnordered`), and in another's executor, a sleep has one of the
/// timers of the [`TaskStorage`](crate::TaskStorage); those that find none share the last
/// one, and are all polled when the earliest of them ends.
///
/// # Cancel safety
/// **Safe.** Its timer is given back when it ends or is dropped.
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep<'a> {
    timers: &'a Timers<'a>,
    due: Instant,
    own: Own,
}

/// What a sleep holds with a waker that is not a task's.
#[derive(Default)]
struct Own {
    /// The number of its timer, counted from one.
    timer: u16,
    /// When it joined those that share one, and with whose waker.
    round: u16,
    who: u32,
    /// The waker of the one that had joined before it.
    before: Option<Waker>,
}

impl Own {
    fn wake_before(&mut self) {
        self.before.take().into_iter().for_each(Waker::wake);
    }
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
        if this.timers.now() >= this.due {
            this.timers.disarm(&mut this.own);
            return Poll::Ready(());
        }
        this.timers.arm(this.due, &mut this.own, cx);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.timers.disarm(&mut self.own);
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
