//! A future of unknown type in fixed bytes. [`FutureSlots`] owns rows of
//! bytes; `put` writes a future into a vacant row, and from then on the row
//! knows how to poll and drop it through two function pointers.
//!
//! The rule that makes pinning sound: futures are polled only inside
//! [`FutureSlots::pinned`], and when that function ends, by return or by
//! unwinding, every future that is left has been dropped where it lies. Until
//! then the rows are borrowed for `'a`, so they neither move nor go away. A
//! future that was put and never polled is merely forgotten.
//!
//! It refuses: a future too large or too strictly aligned, a row in use, any
//! future while the last ones are being dropped, and polling a row that is
//! being polled.
#![allow(unsafe_code)]

use core::cell::{Cell, UnsafeCell};
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};

use scopeguard::guard;

use crate::initial::initial;
use crate::prefetch::fetch;
use crate::task::header::Header;
use crate::task::spawn_error::{SpawnError, SpawnRefused};

/// The unit of future storage: 16 bytes, aligned to 16; on a 64-bit machine 64 of
/// both, because a future that begins where a cache line does touches fewer.
pub type Chunk = FutureBytes<CHUNK_BYTES>;

const CHUNK_BYTES: usize = match cfg!(target_pointer_width = "64") {
    true => 64,
    false => 16,
};

/// How much of a future is fetched ahead.
const FUTURE_AHEAD: usize = 256;

/// The strictest alignment of a future, the same on every machine.
const ALIGN: usize = 16;

/// What a task's future gives when it ends.
///
/// An `Err` ends the task like any other value, and is counted and reported
/// ([`Event::Done`](crate::event::Event::Done)).
pub trait Outcome {
    /// Whether the task failed.
    fn failed(&self) -> bool;
}

impl Outcome for () {
    fn failed(&self) -> bool {
        false
    }
}

/// Names `!`, which stable Rust allows only as a return type.
pub trait Returns {
    /// What the function returns.
    type Output;
}

impl<T> Returns for fn() -> T {
    type Output = T;
}

/// A task that never ends: `async { loop { … } }`, whose output is `!`.
impl Outcome for <fn() -> ! as Returns>::Output {
    fn failed(&self) -> bool {
        false
    }
}

impl<T, E> Outcome for Result<T, E> {
    fn failed(&self) -> bool {
        self.is_err()
    }
}

/// How to poll and drop the future in a row.
#[derive(Debug)]
struct VTable {
    poll: unsafe fn(*mut (), &mut Context<'_>) -> Poll<bool>,
    drop: unsafe fn(*mut ()),
}

struct Vt<F>(PhantomData<F>);

impl<F> Vt<F>
where
    F: Future,
    F::Output: Outcome,
{
    const TABLE: &'static VTable = &VTable {
        poll: |data, cx| {
            // SAFETY: `Pinned::poll` passes the row that `put` wrote an `F`
            // into, exclusively, and the future is never moved again.
            let future = unsafe { Pin::new_unchecked(&mut *data.cast::<F>()) };
            future.poll(cx).map(|outcome| outcome.failed())
        },
        // SAFETY: as above; `FutureSlots::end` calls it once per future.
        drop: |data| unsafe { data.cast::<F>().drop_in_place() },
    };
}

/// Stands in a row whose future is being polled or dropped.
static BUSY: VTable = VTable {
    poll: |_, _| Poll::Pending,
    drop: |_| (),
};

initial! {
    /// One row's state, kept apart from its bytes: nothing, a future, or `BUSY`,
    /// which only this file changes; and what is known of the task, which is needed
    /// whenever the state is.
    #[derive(Debug)]
    #[repr(C)]
    pub struct RowCell: EMPTY {
        table: Cell<Option<&'static VTable>> = Cell::new(None),
        pub(crate) header: Header = Header::EMPTY,
    }
}

impl RowCell {
    /// The future in this row, unless it is busy.
    fn full(&self) -> Option<&'static VTable> {
        match self.table.get() {
            Some(table) if !core::ptr::eq(table, &BUSY) => Some(table),
            _ => None,
        }
    }
}

/// Bytes for one future, aligned like a [`Chunk`] and rounded up to it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
#[cfg_attr(not(target_pointer_width = "64"), repr(align(16)))]
pub struct FutureBytes<const BYTES: usize>([MaybeUninit<u8>; BYTES]);

impl<const BYTES: usize> FutureBytes<BYTES> {
    /// Bytes that hold nothing.
    pub const EMPTY: Self = FutureBytes([MaybeUninit::uninit(); BYTES]);

    /// The same memory in chunks.
    pub(crate) fn chunks(rows: &mut [Self]) -> &mut [Chunk] {
        let count = size_of_val(rows) / size_of::<Chunk>();
        const { assert!(align_of::<Self>() == size_of::<Chunk>()) };
        // SAFETY: same address, alignment and size (an alignment divides the size
        // of its type, and a chunk is as large as aligned), and both types are bytes that may be anything.
        unsafe { core::slice::from_raw_parts_mut(rows.as_mut_ptr().cast(), count) }
    }
}

/// Rows of bytes for futures that may borrow for `'a`.
pub(crate) struct FutureSlots<'a> {
    rows: &'a [RowCell],
    bytes: NonNull<Chunk>,
    row_chunks: usize,
    pinned: Cell<bool>,
    ending: Cell<bool>,
    // Invariant in 'a: a shorter life must not be able to put shorter futures.
    borrow: PhantomData<Cell<&'a mut [Chunk]>>,
}

impl<'a> FutureSlots<'a> {
    /// Shares `bytes` among as many rows as `rows` has.
    pub(crate) fn new(rows: &'a [RowCell], bytes: &'a mut [Chunk]) -> Self {
        for row in rows {
            row.table.set(None);
        }
        FutureSlots {
            row_chunks: bytes.len().checked_div(rows.len()).unwrap_or(0),
            rows,
            bytes: NonNull::from(bytes).cast(),
            pinned: Cell::new(false),
            ending: Cell::new(false),
            borrow: PhantomData,
        }
    }

    /// Whether a row holds no future.
    pub(crate) fn is_vacant(&self, index: u32) -> bool {
        let row = self.rows.get(index as usize);
        !matches!(row, Some(row) if row.table.get().is_some())
    }

    /// Whether [`pinned`](Self::pinned) runs.
    pub(crate) fn is_pinned(&self) -> bool {
        self.pinned.get()
    }

    /// Has a row fetched that is polled soon: its state, and of a large future the
    /// beginning. Any number will do.
    #[inline]
    pub(crate) fn fetch(&self, index: u32) {
        fetch(
            self.rows.as_ptr().wrapping_add(index as usize).cast(),
            size_of::<RowCell>(),
        );
        fetch(self.row(index).cast(), FUTURE_AHEAD);
    }

    /// How many bytes a future may need.
    pub(crate) fn row_bytes(&self) -> usize {
        self.row_chunks * size_of::<Chunk>()
    }

    /// Writes `future` into row `index`, or gives it back.
    pub(crate) fn put<F>(&self, index: u32, future: F) -> Result<(), (F, SpawnRefused)>
    where
        F: Future + 'a,
        F::Output: Outcome,
    {
        match self.vacancy(index, size_of::<F>(), align_of::<F>()) {
            Ok(row) => {
                // SAFETY: the row is vacant, so nothing else refers to its
                // bytes; size and alignment were checked with it.
                unsafe { self.row(index).cast::<F>().write(future) };
                row.table.set(Some(Vt::<F>::TABLE));
                Ok(())
            }
            Err(refused) => Err((future, refused)),
        }
    }

    /// The row, if it has room for a future of this size and alignment.
    #[inline(never)]
    fn vacancy(&self, index: u32, size: usize, align: usize) -> Result<&RowCell, SpawnRefused> {
        let row = self.rows.get(index as usize);
        let vacant = row.filter(|row| row.table.get().is_none());
        if vacant.is_some() && (size > self.row_bytes() || align > ALIGN) {
            return Err(SpawnRefused::TooLarge);
        }
        if self.ending.get() {
            return Err(SpawnRefused::Ending);
        }
        vacant.ok_or(SpawnRefused::Full)
    }

    /// Runs `f`, in which futures may be polled; then drops every one left.
    ///
    /// # Panics
    /// When called again from inside itself.
    pub(crate) fn pinned<R>(&self, f: impl FnOnce(&Pinned<'_, 'a>) -> R) -> R {
        f(&self.begin())
    }

    fn begin(&self) -> Pinned<'_, 'a> {
        assert!(
            !self.pinned.replace(true),
            "an event loop of this node is already running"
        );
        Pinned(self)
    }

    /// The bytes of a row. `index` is in range wherever a `Row` was found.
    fn row(&self, index: u32) -> *mut () {
        let chunk = first_chunk(index, self.row_chunks);
        self.bytes.as_ptr().wrapping_add(chunk).cast()
    }

    /// Drops the future of a row, whose destructor may put others elsewhere.
    fn end(&self, index: u32, table: &'static VTable) {
        let Some(row) = self.rows.get(index as usize) else {
            return;
        };
        row.table.set(Some(&BUSY));
        let _vacate = guard((), |()| row.table.set(None));
        // SAFETY: `table` was taken out of this row, which is now busy, so the
        // future is dropped exactly once and never polled again.
        unsafe { (table.drop)(self.row(index)) }
    }
}

/// Where a row begins. Of a number that is no row's, as the wakers of others give,
/// it is some number: on a 32-bit machine the product is longer than a word.
fn first_chunk(index: u32, row_chunks: usize) -> usize {
    (index as usize).wrapping_mul(row_chunks)
}

impl FutureSlots<'static> {
    /// Like [`pinned`](Self::pinned), without a function around it. Rows that
    /// are never freed need none: should the scope be forgotten, its futures lie
    /// where they are for ever, and no other scope can begin.
    pub(crate) fn pin(&'static self) -> Pinned<'static, 'static> {
        self.begin()
    }
}

/// Leave to poll, given by [`FutureSlots::pinned`]. At its end every future is dropped;
/// if a destructor unwinds, it goes on with the next.
pub(crate) struct Pinned<'p, 'a>(&'p FutureSlots<'a>);

impl Pinned<'_, '_> {
    /// Polls the future in a row; a finished one is dropped and the row is
    /// vacant when this returns. `None` when there is nothing to poll.
    pub(crate) fn poll(&self, index: u32, cx: &mut Context<'_>) -> Option<Poll<bool>> {
        let row = self.0.rows.get(index as usize)?;
        let table = row.full()?;
        row.table.set(Some(&BUSY));
        // A future that panics has ended, like one that is ready.
        let end = guard((), |()| self.0.end(index, table));
        // SAFETY: the row was full, so `put` wrote the future that `table`
        // belongs to; it is busy now, so this is the only reference; it is
        // dropped in place before its bytes can be reused or freed.
        let polled = unsafe { (table.poll)(self.0.row(index), cx) };
        if polled.is_pending() {
            core::mem::forget(end);
            row.table.set(Some(table));
        }
        Some(polled)
    }
}

/// Places for `PLACES` futures of at most `BYTES` bytes each, for those that are much larger
/// than the others: with them a task's row need not be as large as the largest future of all.
///
/// A future in a place is polled where it lies, by a task whose row holds three words of it.
/// The place is free again when the task has ended. [`Node::spawn_in`](crate::Node::spawn_in)
/// has an example.
///
/// All zeros, and fit for a static, as a [`TaskStorage`](crate::TaskStorage) is.
#[derive(Debug)]
pub struct FuturePlaces<const PLACES: usize, const BYTES: usize> {
    taken: [Cell<bool>; PLACES],
    bytes: [UnsafeCell<FutureBytes<BYTES>>; PLACES],
}

impl<const PLACES: usize, const BYTES: usize> FuturePlaces<PLACES, BYTES> {
    /// Places that are free.
    pub const fn new() -> Self {
        FuturePlaces {
            taken: [const { Cell::new(false) }; PLACES],
            bytes: [const { UnsafeCell::new(FutureBytes::EMPTY) }; PLACES],
        }
    }

    /// Puts a future into a free place, or gives it back.
    pub(crate) fn put<F: Future>(&'static self, future: F) -> Result<Placed<F>, SpawnError<F>> {
        let fits = size_of::<F>() <= BYTES && align_of::<F>() <= ALIGN;
        let mut all = self.taken.iter().zip(&self.bytes);
        let free = all.find(|(taken, _)| fits && !taken.get());
        let Some((taken, bytes)) = free else {
            return Err(SpawnError {
                future,
                refused: match fits {
                    true => SpawnRefused::Full,
                    false => SpawnRefused::TooLarge,
                },
                needs: size_of::<F>(),
                has: BYTES,
            });
        };
        let data = bytes.get().cast::<F>();
        // SAFETY: the place is free, so nothing else refers to its bytes, which are never
        // freed; size and alignment were looked at.
        unsafe { data.write(future) };
        taken.set(true);
        // SAFETY: it came from a reference.
        let data = unsafe { NonNull::new_unchecked(data) };
        Ok(Placed {
            data,
            taken,
            owns: PhantomData,
        })
    }
}

impl<const PLACES: usize, const BYTES: usize> Default for FuturePlaces<PLACES, BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// A future in a place. If it is forgotten, so are the future and the place: neither is
/// touched again.
#[derive(Debug)]
pub(crate) struct Placed<F> {
    data: NonNull<F>,
    taken: &'static Cell<bool>,
    owns: PhantomData<F>,
}

impl<F> Placed<F> {
    /// Takes a future out again that was never polled.
    pub(crate) fn take_back(self) -> F {
        let this = ManuallyDrop::new(self);
        // SAFETY: `put` wrote it, nobody has pinned it, and `this` is never used again.
        let future = unsafe { this.data.read() };
        this.taken.set(false);
        future
    }
}

// What is pinned lies elsewhere.
impl<F> Unpin for Placed<F> {}

impl<F: Future> Future for Placed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: this is the only reference; the future does not move until it is dropped
        // where it lies, and its place is never freed.
        let future = unsafe { Pin::new_unchecked(self.data.as_mut()) };
        future.poll(cx)
    }
}

impl<F> Drop for Placed<F> {
    fn drop(&mut self) {
        let taken = self.taken;
        let _vacate = guard((), |()| taken.set(false));
        // SAFETY: `put` wrote it, and this is the only place that drops it.
        unsafe { self.data.drop_in_place() };
    }
}

/// A future that stays where it is, beside a value that may move. An async
/// block with `pin!` does the same and holds the future three times.
#[derive(Debug)]
pub(crate) struct PinnedWith<F, T> {
    future: F,
    value: T,
}

impl<F, T> PinnedWith<F, T> {
    pub(crate) fn new(future: F, value: T) -> Self {
        PinnedWith { future, value }
    }

    pub(crate) fn project(self: Pin<&mut Self>) -> (Pin<&mut F>, &mut T) {
        // SAFETY: nothing moves `future` out of a pinned `PinnedWith`: only this
        // function reaches it, there is no `Drop`, and `Unpin` needs `F: Unpin`.
        let PinnedWith { future, value } = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        (unsafe { Pin::new_unchecked(future) }, value)
    }
}

impl Drop for Pinned<'_, '_> {
    fn drop(&mut self) {
        fn drop_rest(slots: &FutureSlots<'_>) {
            for (index, row) in slots.rows.iter().enumerate() {
                if let Some(table) = row.full() {
                    let again = guard((), |()| drop_rest(slots));
                    slots.end(index as u32, table);
                    core::mem::forget(again);
                }
            }
        }
        self.0.ending.set(true);
        let _reopen = guard((), |()| {
            self.0.ending.set(false);
            self.0.pinned.set(false);
        });
        drop_rest(self.0);
    }
}

#[cfg(test)]
#[path = "slot_tests.rs"]
mod tests;
