//! Wakers. A waker may outlive every task, every stack and the function that
//! made it, so it may only point at memory that is never freed: a
//! [`ReadySet`], which is a static in firmware and leaked once on a host.
//!
//! Each task has one flag. Waking sets it and, if it was clear, puts the flag
//! on a list that the event loop takes whole, once per turn, and turns around:
//! first woken, first run. A flag that is already set is left alone, so the
//! list can never hold more than one entry per task.
//!
//! The list head is a compare-and-swap where the core has one; where it has
//! only loads and stores (ARMv6-M), a few instructions run in a critical
//! section. Either way [`Waker::wake`] may be called from an interrupt handler
//! or from another thread.
//!
//! Not here: what a flag means. This file knows numbers, not tasks.
#![allow(unsafe_code)]

use core::mem::ManuallyDrop;
use core::task::{RawWaker, RawWakerVTable, Waker};

#[cfg(not(loom))]
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

/// One task's flag. `next` is the number, counted from one, of the flag that
/// was woken just before this one.
#[derive(Debug)]
pub struct Flag {
    pub(crate) next: AtomicU32,
    pub(crate) queued: AtomicBool,
    queue: AtomicPtr<Queue>,
}

/// The list of flags that are set.
#[derive(Debug)]
pub struct Queue {
    /// The last flag woken, counted from one; zero when the list is empty.
    pub(crate) head: AtomicU32,
    /// The first flag of the array that `head` and `next` count in.
    flags: AtomicPtr<Flag>,
    /// How often it was claimed: who claimed it last owns it.
    claims: AtomicU32,
    hook: Option<fn()>,
    /// Who drives the node of these tasks in another's executor, while it rests.
    #[cfg(all(feature = "drive", not(loom)))]
    driver: atomic_waker::AtomicWaker,
}

impl Flag {
    /// A flag that is clear and belongs to no [`Queue`] yet.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Flag {
            next: AtomicU32::new(0),
            queued: AtomicBool::new(false),
            queue: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    fn wake(&'static self) {
        let queue = self.queue.load(Ordering::Acquire);
        // SAFETY: `queue` is null until `Ready::claim` stores a `&'static Queue`.
        let Some(queue) = (unsafe { queue.as_ref() }) else {
            return;
        };
        let first = queue.flags.load(Ordering::Relaxed) as usize;
        let offset = core::ptr::from_ref(self) as usize - first;
        let number = (offset / size_of::<Flag>()) as u32 + 1;
        let is_new = arch::set_and_push(&self.queued, &self.next, &queue.head, number);
        if is_new && let Some(hook) = queue.hook {
            hook();
        }
        #[cfg(all(feature = "drive", not(loom)))]
        if is_new {
            queue.driver.wake();
        }
    }
}

#[cfg(not(loom))]
impl Queue {
    /// An empty list. `hook` runs after every wake that set a flag, on
    /// the thread or in the interrupt handler that woke.
    pub const fn new(hook: Option<fn()>) -> Self {
        Queue {
            head: AtomicU32::new(0),
            flags: AtomicPtr::new(core::ptr::null_mut()),
            claims: AtomicU32::new(0),
            hook,
            #[cfg(feature = "drive")]
            driver: atomic_waker::AtomicWaker::new(),
        }
    }
}

/// The few operations that need more than a load or a store.
#[cfg(any(target_has_atomic = "ptr", loom))]
mod arch {
    use super::{AtomicBool, AtomicU32, Ordering};

    /// Sets `queued`; if it was clear, makes `number` the head of the list.
    pub(super) fn set_and_push(
        queued: &AtomicBool,
        next: &AtomicU32,
        head: &AtomicU32,
        number: u32,
    ) -> bool {
        // A swap even when the flag is set: it orders what the waker's caller
        // wrote before the swap in `clear`, and so before the poll.
        if queued.swap(true, Ordering::AcqRel) {
            return false;
        }
        let mut last = head.load(Ordering::Relaxed);
        loop {
            next.store(last, Ordering::Relaxed);
            match head.compare_exchange_weak(last, number, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => last = now,
            }
        }
    }

    pub(super) fn clear(queued: &AtomicBool) {
        queued.swap(false, Ordering::AcqRel);
    }

    pub(super) fn take(head: &AtomicU32) -> u32 {
        // To look costs less than to swap, and most often there is nothing.
        match head.load(Ordering::Relaxed) {
            0 => 0,
            _ => head.swap(0, Ordering::Acquire),
        }
    }
}

#[cfg(not(any(target_has_atomic = "ptr", loom)))]
mod arch {
    use super::{AtomicBool, AtomicU32, Ordering};

    pub(super) fn set_and_push(
        queued: &AtomicBool,
        next: &AtomicU32,
        head: &AtomicU32,
        number: u32,
    ) -> bool {
        critical_section::with(|_| {
            if queued.load(Ordering::Relaxed) {
                return false;
            }
            queued.store(true, Ordering::Relaxed);
            next.store(head.load(Ordering::Relaxed), Ordering::Relaxed);
            head.store(number, Ordering::Relaxed);
            true
        })
    }

    pub(super) fn clear(queued: &AtomicBool) {
        queued.store(false, Ordering::Release);
    }

    pub(super) fn take(head: &AtomicU32) -> u32 {
        critical_section::with(|_| {
            let last = head.load(Ordering::Relaxed);
            head.store(0, Ordering::Relaxed);
            last
        })
    }
}

/// Flags for `TASKS` tasks: the only memory that a [`Waker`] points at.
///
/// One set serves one [`Tasks`](crate::task::Tasks) at a time. A second `Tasks`
/// on the same set takes it over; the first one's event loop then panics
/// instead of waiting for wakes that never come.
///
/// ```
/// static READY: cygnet::ReadySet<8> = cygnet::ReadySet::new();
/// ```
#[derive(Debug)]
pub struct ReadySet<const TASKS: usize> {
    queue: Queue,
    flags: [Flag; TASKS],
}

#[cfg(not(loom))]
impl<const TASKS: usize> ReadySet<TASKS> {
    /// A set with every flag clear.
    pub const fn new() -> Self {
        Self::build(None)
    }

    /// The same, with a function that runs after every wake that set a flag:
    /// where a platform sleeps on something an interrupt does not end, the
    /// hook ends it. It may run in an interrupt or inside a stack, so it must not
    /// call a node.
    pub const fn with_hook(hook: fn()) -> Self {
        Self::build(Some(hook))
    }

    const fn build(hook: Option<fn()>) -> Self {
        const { assert!(TASKS > 0, "a ready set needs at least one flag") };
        ReadySet {
            queue: Queue::new(hook),
            flags: [const { Flag::new() }; TASKS],
        }
    }

    /// The set without its const parameter.
    pub const fn ready(&'static self) -> Ready {
        Ready {
            queue: &self.queue,
            flags: &self.flags,
        }
    }

    /// Whether some task was woken and has not run yet.
    ///
    /// For [`Platform::wait`](crate::Platform::wait): with interrupts masked,
    /// look here once more before going to sleep.
    pub fn is_woken(&'static self) -> bool {
        self.ready().is_woken()
    }
}

#[cfg(not(loom))]
impl<const TASKS: usize> Default for ReadySet<TASKS> {
    fn default() -> Self {
        Self::new()
    }
}

/// A [`ReadySet`] of any size.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    pub(crate) queue: &'static Queue,
    pub(crate) flags: &'static [Flag],
}

impl Ready {
    /// A set from leaked parts: a queue and its flags stay together for good.
    #[cfg(any(feature = "alloc", loom))]
    pub(crate) fn new(queue: &'static Queue, flags: &'static [Flag]) -> Self {
        Ready { queue, flags }
    }

    /// How many tasks it has flags for.
    pub fn len(&self) -> usize {
        self.flags.len()
    }

    /// Whether it has no flag at all.
    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }

    /// Whether some task was woken and has not run yet.
    pub fn is_woken(&self) -> bool {
        self.queue.head.load(Ordering::Acquire) != 0
    }

    /// Whoever drives is woken with the next task that is.
    #[cfg(all(feature = "drive", not(loom)))]
    pub(crate) fn wakes(&self, driver: &Waker) {
        self.queue.driver.register(driver);
    }

    /// Nobody is.
    #[cfg(all(feature = "drive", not(loom)))]
    pub(crate) fn forget_driver(&self) {
        drop(self.queue.driver.take());
    }

    /// Ties every flag to its queue, and forgets wakes of earlier owners.
    /// Returns the number of this claim.
    pub(crate) fn claim(&self) -> u32 {
        let first = self.flags.as_ptr().cast_mut();
        self.queue.flags.store(first, Ordering::Relaxed);
        for flag in self.flags {
            let queue = core::ptr::from_ref(self.queue).cast_mut();
            flag.queue.store(queue, Ordering::Release);
        }
        self.forget_wakes();
        let claim = self.queue.claims.load(Ordering::Relaxed).wrapping_add(1);
        self.queue.claims.store(claim, Ordering::Relaxed);
        claim
    }

    /// Whether nobody has claimed the set since `claim`.
    pub(crate) fn is_owned_by(&self, claim: u32) -> bool {
        self.queue.claims.load(Ordering::Relaxed) == claim
    }

    /// Clears every flag that is set, as a turn does: a flag that another
    /// thread may be putting on the list is never cleared, or it could be put
    /// there twice, and the list would go in a circle.
    pub(crate) fn forget_wakes(&self) {
        self.take(|task| self.clear(task));
    }

    /// The waker of one task.
    pub(crate) fn waker(&self, task: u32) -> Option<Waker> {
        let flag: &'static Flag = self.flags.get(task as usize)?;
        // SAFETY: the data is a `&'static Flag`, which is what VTABLE expects;
        // `Flag` is `Sync`, and nothing is freed by any of the functions.
        // Test: `a_waker_outlives_everything`.
        Some(unsafe { Waker::from_raw(raw(flag)) })
    }

    pub(crate) fn wake(&self, task: u32) {
        if let Some(flag) = self.flags.get(task as usize) {
            flag.wake();
        }
    }

    /// Clears one flag; from now on a wake counts for the next poll.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn clear(&self, task: u32) {
        if let Some(flag) = self.flags.get(task as usize) {
            arch::clear(&flag.queued);
        }
    }

    /// The task of a waker of this set, if it would be the first that is woken.
    #[inline]
    pub(crate) fn first_woken(&self, waker: &Waker) -> Option<u32> {
        let task = self.number_of(waker);
        (self.is_own(task, waker) && !self.is_woken()).then_some(task)
    }

    /// Whether this is the task's own waker, and not one that a combinator made.
    pub(crate) fn is_own(&self, task: u32, waker: &Waker) -> bool {
        self.waker(task).is_some_and(|own| own.will_wake(waker))
    }

    /// The task of a waker; of a waker that is not one of these, some number.
    #[inline]
    pub(crate) fn number_of(&self, waker: &Waker) -> u32 {
        let offset = (waker.data() as usize).wrapping_sub(self.flags.as_ptr() as usize);
        (offset / size_of::<Flag>()) as u32
    }

    /// Takes the list and gives the tasks in it, the last one woken first.
    /// Their flags stay set until [`clear`](Self::clear).
    pub(crate) fn take(&self, mut each: impl FnMut(u32)) {
        let mut number = arch::take(&self.queue.head);
        while number != 0 {
            let Some(flag) = self.flags.get(number as usize - 1) else {
                return;
            };
            let next = flag.next.load(Ordering::Relaxed);
            each(number - 1);
            number = next;
        }
    }
}

/// Whether a waker is of a [`ReadySet`]: to clone, wake or drop it runs none but
/// our own code, and the set's hook. Another's may run anything, also what calls a
/// node; so it is never touched while a node's tables are in use.
#[inline]
pub(crate) fn is_ours(waker: &Waker) -> bool {
    core::ptr::eq(waker.vtable(), &VTABLE)
}

/// Wakes who waits at `place`, if the waker is ours. False: it is not, and still
/// there.
pub(crate) fn wake_ours(place: &mut Option<Waker>) -> bool {
    let Some(waker) = place.take_if(|waker| is_ours(waker)) else {
        return place.is_none();
    };
    waker.wake();
    true
}

/// A waker on its way to where it waits, made before the tables are taken and
/// dropped after they were given back: another's is cloned before, and the one
/// that it takes the place of is dropped behind.
pub(crate) struct Parking<'w> {
    waker: &'w Waker,
    /// Whether there may be a spare one.
    foreign: bool,
    spare: ManuallyDrop<Option<Waker>>,
}

impl<'w> Parking<'w> {
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn new(waker: &'w Waker) -> Self {
        let mut parking = Parking {
            waker,
            foreign: !is_ours(waker),
            spare: ManuallyDrop::new(None),
        };
        if parking.foreign {
            parking.clone_first();
        }
        parking
    }

    #[cold]
    fn clone_first(&mut self) {
        *self.spare = Some(self.waker.clone());
    }

    /// Whether who waits at `place` is the same.
    pub(crate) fn wakes_as(&self, place: &Option<Waker>) -> bool {
        place.as_ref().is_some_and(|it| it.will_wake(self.waker))
    }

    /// Leaves the waker at `place`, once.
    pub(crate) fn park(&mut self, place: &mut Option<Waker>) {
        if self.foreign || place.is_some() {
            self.replace(place);
        } else {
            *place = Some(self.waker.clone());
        }
    }

    #[cold]
    fn replace(&mut self, place: &mut Option<Waker>) {
        if place.as_ref().is_some_and(|it| it.will_wake(self.waker)) {
            return;
        }
        let waker = self.spare.take().unwrap_or_else(|| self.waker.clone());
        *self.spare = place.replace(waker);
        self.foreign = true;
    }

    #[cold]
    fn drop_spare(&mut self) {
        self.spare.take();
    }
}

impl Drop for Parking<'_> {
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn drop(&mut self) {
        if self.foreign {
            self.drop_spare();
        }
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, |_| ());

fn raw(flag: &'static Flag) -> RawWaker {
    RawWaker::new(core::ptr::from_ref(flag).cast(), &VTABLE)
}

fn clone(data: *const ()) -> RawWaker {
    RawWaker::new(data, &VTABLE)
}

fn wake(data: *const ()) {
    // SAFETY: `data` came from `Ready::waker`, so it is a live &'static Flag.
    let flag: &'static Flag = unsafe { &*data.cast::<Flag>() };
    flag.wake();
}

#[cfg(all(any(test, feature = "on-target"), not(loom)))]
#[path = "waker_tests.rs"]
pub(crate) mod tests;

#[cfg(all(test, loom))]
#[path = "waker_loom_tests.rs"]
mod loom_tests;
