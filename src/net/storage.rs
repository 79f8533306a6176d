//! Every byte a stack owns. [`Storage`] is a plain value with all-zero
//! contents, so that firmware puts it in a static and it costs no flash;
//! [`StackParts`] is the same as slices, for a host that decides sizes at run
//! time.
//!
//! Here is also the one thing about sockets that safe code cannot say. A
//! smoltcp socket never gives its buffers back, and a socket that was used
//! once keeps traces of its peer; so every connection gets a new socket on the
//! same two buffers. [`Buffers`] remembers where they are and hands them to
//! the next socket after the last one is gone.
//!
//! And it knows where all that lies, so from here it is fetched ahead of its use,
//! on a core that can be asked to.
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use heapless::deque::{Deque, DequeView};
use smoltcp::iface::{SocketSet, SocketStorage};
use smoltcp::socket::tcp;

use crate::net::deadlines::DeadlineCell;
use crate::net::lobby::Parked;
use crate::net::ports::{Acceptor, Port};
use crate::net::slots::Slot;

/// Memory for a stack: `SLOTS` connections with `RX` and `TX` bytes of buffer
/// each, `LISTENERS` listening ports, and places for `ACCEPTORS` tasks that
/// wait in `accept` at the same time, and for `PARKED` SYNs that found every slot
/// taken.
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
    ports: [Port; LISTENERS],
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
            ports: [const { Port::EMPTY }; LISTENERS],
            acceptors: [const { Acceptor::EMPTY }; ACCEPTORS],
            parked: [const { Parked::EMPTY }; PARKED],
        }
    }

    /// The parts, without const parameters.
    pub fn parts(&'a mut self) -> StackParts<'a> {
        StackParts {
            rx: self.rx.0.as_flattened_mut(),
            tx: self.tx.0.as_flattened_mut(),
            sockets: &mut self.sockets,
            slots: &mut self.slots,
            buckets: &mut self.buckets,
            cells: &mut self.cells,
            heap: &mut self.heap,
            dirty: self.dirty.as_mut_view(),
            ports: &mut self.ports,
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

/// A place for one connection's socket, which begins where a cache line does, on
/// machines that have caches.
#[derive(Debug)]
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
pub struct SocketPlace<'a>(MaybeUninit<SocketStorage<'a>>);

impl<'a> SocketPlace<'a> {
    /// A place that holds nothing.
    pub const EMPTY: Self = SocketPlace(MaybeUninit::uninit());

    /// A set of one socket, which is still to come.
    pub(crate) fn set(&'a mut self) -> SocketSet<'a> {
        let place = self.0.write(SocketStorage::EMPTY);
        SocketSet::new(core::slice::from_mut(place))
    }
}

/// The parts of a [`Storage`].
///
/// `sockets`, `slots`, `buckets`, `cells` and `heap` have one element
/// per slot (more buckets make chains shorter), `dirty` room for as many; `rx` and `tx` are shared out evenly.
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
    pub ports: &'a mut [Port],
    pub acceptors: &'a mut [Acceptor],
    pub parked: &'a mut [Parked],
}

impl StackParts<'_> {
    /// How many slots every part has room for.
    pub(crate) fn count(&self) -> usize {
        self.sockets
            .len()
            .min(self.slots.len())
            .min(self.buckets.len())
            .min(self.cells.len())
            .min(self.heap.len())
            .min(self.dirty.storage_capacity())
            .min(self.rx.len())
            .min(self.tx.len())
    }
}

/// Bytes of a cache line.
const LINE: usize = 64;

/// How much of a buffer is fetched ahead: where a small request lies, and where
/// smoltcp begins to write when nothing is left to send.
const BUFFER_AHEAD: usize = 4 * LINE;

/// Has the core fetch what lies there while it does something else. Nothing
/// where it cannot be asked to.
#[inline]
pub(crate) fn fetch(start: *const u8, bytes: usize) {
    for offset in (0..bytes).step_by(LINE) {
        let line = start.wrapping_add(offset);
        #[cfg(all(target_arch = "x86_64", target_feature = "sse", not(miri)))]
        // SAFETY: this is a hint, which reads nothing and for which any address
        // will do; every core with SSE has it.
        unsafe {
            core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(line.cast())
        };
        let _ = line;
    }
}

/// Where the socket and the buffers of every slot are.
///
/// The invariant: slot `n`'s bytes are referred to by the socket in slot `n`'s
/// set and by nothing else. `new` takes the memory away from everybody;
/// `renew` removes and drops the old socket before it makes new slices.
pub(crate) struct Buffers<'a> {
    /// Only to be fetched ahead: the sockets belong to their sets.
    sockets: *const u8,
    rx: NonNull<u8>,
    tx: NonNull<u8>,
    rx_bytes: usize,
    tx_bytes: usize,
    slots: usize,
    memory: PhantomData<&'a mut [u8]>,
}

impl<'a> Buffers<'a> {
    /// Shares the memory out evenly among as many slots as there are sockets.
    pub(crate) fn new(rx: &'a mut [u8], tx: &'a mut [u8], sockets: &[SocketPlace<'a>]) -> Self {
        let slots = sockets.len();
        Buffers {
            sockets: sockets.as_ptr().cast(),
            rx_bytes: rx.len().checked_div(slots).unwrap_or(0),
            tx_bytes: tx.len().checked_div(slots).unwrap_or(0),
            rx: NonNull::from(rx).cast(),
            tx: NonNull::from(tx).cast(),
            slots,
            memory: PhantomData,
        }
    }

    /// A segment has come for this slot. When the next connection is one of
    /// thousands, its socket and its buffers are in no cache; used one after the
    /// other they are also waited for one after the other. Asked for here, as soon
    /// as the slot is known, they come at the same time.
    #[inline]
    pub(crate) fn fetch(&self, slot: u32) {
        let slot = slot as usize;
        let piece = |start: *const u8, bytes| start.wrapping_add(slot * bytes);
        let socket = size_of::<SocketPlace<'_>>();
        fetch(piece(self.sockets, socket), socket);
        fetch(piece(self.rx.as_ptr(), self.rx_bytes), BUFFER_AHEAD);
        fetch(piece(self.tx.as_ptr(), self.tx_bytes), BUFFER_AHEAD);
    }

    /// The window that an empty receive buffer offers before it is scaled.
    pub(crate) fn window(&self) -> u16 {
        self.rx_bytes.min(u16::MAX.into()) as u16
    }

    /// Puts a new socket with slot `slot`'s buffers into `set`, which must be
    /// the set this slot was always renewed with. False when there is no such
    /// slot; then the set is as it was. So a set that had a socket once is never
    /// without one.
    pub(crate) fn renew(&mut self, slot: u32, set: &mut SocketSet<'a>) -> bool {
        let slot = slot as usize;
        if slot >= self.slots {
            return false;
        }
        let old = set.iter().next().map(|(handle, _)| handle);
        if let Some(handle) = old {
            set.remove(handle);
        }
        let piece = |start: NonNull<u8>, bytes: usize| {
            // SAFETY: `start` is the beginning of memory that `new` borrowed
            // for 'a and that holds `bytes` for each slot, so the piece is
            // inside it; the only other slice over it belonged to the socket
            // that was removed and dropped above (the invariant).
            // Test: `a_thousand_sockets_on_the_same_buffers`, under a sanitizer.
            unsafe { core::slice::from_raw_parts_mut(start.add(slot * bytes).as_ptr(), bytes) }
        };
        let rx = piece(self.rx, self.rx_bytes);
        let tx = piece(self.tx, self.tx_bytes);
        set.add(tcp::Socket::new(
            tcp::SocketBuffer::new(rx),
            tcp::SocketBuffer::new(tx),
        ));
        true
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::net::slots::tcp_of;

    #[test]
    fn a_thousand_sockets_on_the_same_buffers() {
        let (mut rx, mut tx) = ([0; 3 * 64], [0; 3 * 32]);
        let mut places = [SocketStorage::EMPTY, SocketStorage::EMPTY];
        let [first, second] = &mut places;
        let mut sets = [
            SocketSet::new(core::slice::from_mut(first)),
            SocketSet::new(core::slice::from_mut(second)),
        ];
        let three = [const { SocketPlace::EMPTY }; 3];
        let mut buffers = Buffers::new(&mut rx, &mut tx, &three);
        for round in 0..1000 {
            for (slot, set) in sets.iter_mut().enumerate() {
                assert!(buffers.renew(slot as u32, set));
                let socket = tcp_of(set);
                assert_eq!((socket.recv_capacity(), socket.send_capacity()), (64, 32));
                assert_eq!(socket.keep_alive(), None);
                socket.set_keep_alive(Some(smoltcp::time::Duration::from_millis(round + 1)));
            }
        }
        assert!(!buffers.renew(3, &mut sets[0]));
        assert_eq!(sets[0].iter().count(), 1, "it keeps its socket");
    }

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
        assert!(slot <= 804, "a slot takes {slot} bytes beyond its buffers");
        std::println!("{slot} bytes per slot");
    }
}
