//! Every byte a stack owns. [`Storage`] is a plain value with all-zero
//! contents, so that firmware puts it in a static and it costs no flash. A stack
//! sees [`StackParts`]: slices, in which no size is part of a type.
//!
//! Not here: sockets on that memory (`buffers.rs`), and memory whose size is decided
//! at run time (`heap.rs`).

use heapless::deque::{Deque, DequeView};

use crate::table::buffers::SocketPlace;
use crate::table::deadlines::DeadlineCell;
use crate::table::listeners::{Acceptor, Listener};
use crate::table::slot::Slot;
use crate::table::syn_queue::Parked;

/// What a [`Stack`](crate::Stack) can be made in: a [`Storage`], or with the feature
/// `alloc` a `HeapStorage`.
#[diagnostic::on_unimplemented(note = "of a box, lend what is in it: `&mut *memory`")]
pub trait StackMemory<'a> {
    /// The parts, without const parameters.
    #[doc(hidden)]
    fn parts(&'a mut self) -> StackParts<'a>;
}

/// Memory for a stack: `SLOTS` connections with `RX` and `TX` bytes of buffer
/// each, `LISTENERS` listening ports, and places for `ACCEPTORS` tasks that
/// wait in `accept` at the same time, and for `PARKED` SYNs that found every slot
/// taken. A task that waits at several listeners needs a place for each, in however many
/// futures it does so; one of another's executor may need two.
///
/// Beyond the buffers a slot takes at most 804 bytes on a 64-bit machine.
///
/// ```
/// use cygnet::Storage;
/// let mut storage: Storage<8, 1024, 1024> = Storage::new();
/// # let _ = &mut storage;
/// ```
#[derive(Debug)]
pub struct Storage<
    'a,
    const SLOTS: usize,
    const RX: usize,
    const TX: usize,
    const LISTENERS: usize = 4,
    const ACCEPTORS: usize = 8,
    const PARKED: usize = 4,
> {
    rx: Lines<[[u8; RX]; SLOTS]>,
    tx: Lines<[[u8; TX]; SLOTS]>,
    sockets: [SocketPlace<'a>; SLOTS],
    slots: [Slot<'a>; SLOTS],
    buckets: [u32; SLOTS],
    cells: [DeadlineCell; SLOTS],
    heap: [u32; SLOTS],
    dirty: Deque<u32, SLOTS>,
    listeners: [Listener; LISTENERS],
    acceptors: [Acceptor; ACCEPTORS],
    parked: [Parked; PARKED],
}

impl<
    'a,
    const SLOTS: usize,
    const RX: usize,
    const TX: usize,
    const LISTENERS: usize,
    const ACCEPTORS: usize,
    const PARKED: usize,
> Storage<'a, SLOTS, RX, TX, LISTENERS, ACCEPTORS, PARKED>
{
    /// Empty storage, all zeros, fit for a static.
    pub const fn new() -> Self {
        const {
            assert!(SLOTS > 0, "a stack needs at least one slot");
            assert!(RX > 0 && TX > 0, "a connection needs both buffers");
            assert!(RX <= 1 << 30, "TCP's window ends at 1 GiB");
        }
        Storage {
            rx: Lines([[0; RX]; SLOTS]),
            tx: Lines([[0; TX]; SLOTS]),
            sockets: [const { SocketPlace::EMPTY }; SLOTS],
            slots: [const { Slot::EMPTY }; SLOTS],
            buckets: [0; SLOTS],
            cells: [DeadlineCell::EMPTY; SLOTS],
            heap: [0; SLOTS],
            dirty: Deque::new(),
            listeners: [const { Listener::EMPTY }; LISTENERS],
            acceptors: [const { Acceptor::EMPTY }; ACCEPTORS],
            parked: [const { Parked::EMPTY }; PARKED],
        }
    }
}

impl<
    'a,
    const SLOTS: usize,
    const RX: usize,
    const TX: usize,
    const LISTENERS: usize,
    const ACCEPTORS: usize,
    const PARKED: usize,
> StackMemory<'a> for Storage<'a, SLOTS, RX, TX, LISTENERS, ACCEPTORS, PARKED>
{
    fn parts(&'a mut self) -> StackParts<'a> {
        StackParts {
            rx: self.rx.0.as_flattened_mut(),
            tx: self.tx.0.as_flattened_mut(),
            sockets: &mut self.sockets,
            slots: &mut self.slots,
            buckets: &mut self.buckets,
            cells: &mut self.cells,
            heap: &mut self.heap,
            dirty: self.dirty.as_mut_view(),
            listeners: &mut self.listeners,
            acceptors: &mut self.acceptors,
            parked: &mut self.parked,
        }
    }
}

impl<
    const SLOTS: usize,
    const RX: usize,
    const TX: usize,
    const LISTENERS: usize,
    const ACCEPTORS: usize,
    const PARKED: usize,
> Default for Storage<'_, SLOTS, RX, TX, LISTENERS, ACCEPTORS, PARKED>
{
    fn default() -> Self {
        Self::new()
    }
}

/// Begins where a cache line does, on machines that have caches.
#[derive(Debug)]
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
struct Lines<T>(T);

/// The parts of a [`Storage`]. Nobody can name them who is not the core.
///
/// `sockets`, `slots`, `cells` and `heap` have one element per slot, `buckets` one or more
/// (more make chains shorter), and `dirty` room for as many; `rx` and `tx` are shared out
/// evenly.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct StackParts<'a> {
    pub rx: &'a mut [u8],
    pub tx: &'a mut [u8],
    pub sockets: &'a mut [SocketPlace<'a>],
    pub slots: &'a mut [Slot<'a>],
    pub buckets: &'a mut [u32],
    pub cells: &'a mut [DeadlineCell],
    pub heap: &'a mut [u32],
    pub dirty: &'a mut DequeView<u32>,
    pub listeners: &'a mut [Listener],
    pub acceptors: &'a mut [Acceptor],
    pub parked: &'a mut [Parked],
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::prefetch::LINE;

    /// What a segment touches of a slot are three lines, of a socket no line that
    /// belongs to another, and buffers of whole lines begin at one.
    #[cfg(target_pointer_width = "64")]
    #[test]
    fn hot_memory_begins_at_a_line() {
        let mut storage = Storage::<'_, 3, 128, 64>::new();
        let parts = storage.parts();
        let starts = [
            parts.rx.as_ptr() as usize,
            parts.tx.as_ptr() as usize,
            parts.sockets[1..].as_ptr() as usize,
            parts.slots[1..].as_ptr() as usize,
        ];
        assert_eq!(starts.map(|start| start % LINE), [0; 4]);
        const { assert!(Slot::COLD <= 3 * LINE) };
    }

    /// What each slot and each task costs beyond buffers and future. A change
    /// here is felt in every board's RAM.
    #[cfg(target_pointer_width = "64")]
    #[test]
    fn memory_per_slot_is_pinned() {
        let one = size_of::<Storage<'_, 100, 8, 8>>();
        let two = size_of::<Storage<'_, 200, 8, 8>>();
        let slot = (two - one) / 100 - 16;
        // With smoltcp's `alloc`, for which another crate of a build may ask, a set and each
        // buffer take 8 bytes more, and a slot begins where a line does.
        let has_alloc = size_of::<smoltcp::iface::SocketSet<'_>>() > 16;
        let most = if has_alloc { 868 } else { 804 };
        assert!(slot <= most, "a slot takes {slot} bytes beyond its buffers");
        std::println!("{slot} bytes per slot");
    }
}
