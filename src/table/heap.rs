//! A stack's memory from an allocator, for a host that decides at run time how much
//! there is of it (feature `alloc`). The core itself takes nothing from it: all of it
//! is had, or refused, before the stack begins, and given back after its end.
//!
//! Zeros for buffers come as the allocator has them, so that pages that nobody touches
//! are never there. A heapless queue carries its capacity in its type until a view
//! erases it, so queues come in powers of two.
//!
//! Not here: memory of tasks (`task/heap.rs`).

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use heapless::deque::{Deque, DequeView};

use crate::prefetch::LINE;
use crate::table::buffers::SocketPlace;
use crate::table::deadlines::DeadlineCell;
use crate::table::listeners::{Acceptor, Listener};
use crate::table::slot::Slot;
use crate::table::storage::{StackMemory, StackParts};
use crate::table::syn_queue::Parked;

/// TCP's window ends at 1 GiB.
const BUFFER_MAX: usize = 1 << 30;

/// Why there is no memory for a stack or for tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeapError {
    /// There can be at most `most` of these, whatever the machine: ask for fewer.
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// As many as there can be.
        most: usize,
    },
    /// The allocator does not give so much: ask for fewer or smaller ones.
    NoMemory {
        /// What it was to be for.
        what: &'static str,
        /// How many of them.
        count: usize,
        /// How many bytes each takes.
        bytes: usize,
    },
}

impl fmt::Display for HeapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeapError::TooMany { what, most } => {
                write!(f, "too many {what}; ask for at most {most}")
            }
            HeapError::NoMemory { what, count, bytes } => write!(
                f,
                "no memory for {count} {what} of {bytes} bytes each; ask for fewer or smaller ones"
            ),
        }
    }
}

impl core::error::Error for HeapError {}

/// How much memory a stack has: what [`Storage`](crate::Storage) says in its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageSizes {
    /// Connections, all that there can be at a time.
    pub slots: usize,
    /// Bytes of each connection's receive buffer.
    pub rx_bytes: usize,
    /// Bytes of each connection's transmit buffer.
    pub tx_bytes: usize,
    /// Ports that listen.
    pub listeners: usize,
    /// Tasks that wait in `accept` at the same time.
    pub acceptors: usize,
    /// SYNs that wait because they found every slot taken.
    pub parked: usize,
}

impl StorageSizes {
    /// So many connections with buffers of so many bytes. Of the rest there is as much
    /// as in a [`Storage`](crate::Storage) that does not say.
    pub const fn new(slots: usize, rx_bytes: usize, tx_bytes: usize) -> Self {
        StorageSizes {
            slots,
            rx_bytes,
            tx_bytes,
            listeners: 4,
            acceptors: 8,
            parked: 4,
        }
    }
}

/// A [`Storage`](crate::Storage) whose sizes are decided at run time.
///
/// ```
/// use cygnet::{Config, HeapStorage, HeapTaskStorage, Node, Stack, StorageSizes, Tasks};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut ethernet = smoltcp::phy::DeviceCapabilities::default();
/// # ethernet.max_transmission_unit = 1514;
/// let connections = std::env::args().count() * 16;
/// let mut memory = HeapStorage::new(StorageSizes {
///     parked: 64,
///     ..StorageSizes::new(connections, 4096, 4096)
/// })?;
/// let mut futures = HeapTaskStorage::new(connections + 1, 2048)?;
/// let ready = futures.leak_flags(None)?;
///
/// let config = Config::new([2, 0, 0, 0, 0, 1], [7; 16]);
/// let stack = Stack::new(&mut memory, &config, ethernet)?;
/// let tasks = Tasks::new(&mut futures, ready);
/// let node = Node::new(&stack, &tasks);
/// # let _ = node;
/// # Ok(())
/// # }
/// ```
///
/// Where a stack has to be `'static`, its memory is leaked before:
/// `Stack::new(Box::leak(Box::new(memory)), …)`.
#[derive(Debug)]
pub struct HeapStorage<'a> {
    rx: Vec<u8>,
    tx: Vec<u8>,
    sockets: Vec<SocketPlace<'a>>,
    slots: Vec<Slot<'a>>,
    buckets: Vec<u32>,
    cells: Vec<DeadlineCell>,
    heap: Vec<u32>,
    dirty: Box<DequeView<u32>>,
    listeners: Vec<Listener>,
    acceptors: Vec<Acceptor>,
    parked: Vec<Parked>,
}

impl HeapStorage<'_> {
    /// Empty storage.
    ///
    /// # Errors
    /// [`HeapError`]: ask for less.
    pub fn new(sizes: StorageSizes) -> Result<Self, HeapError> {
        let slots = sizes.slots;
        Ok(HeapStorage {
            dirty: queue("slots", slots)?,
            rx: buffers("receive buffers", slots, sizes.rx_bytes)?,
            tx: buffers("transmit buffers", slots, sizes.tx_bytes)?,
            sockets: filled("slots", slots, || SocketPlace::EMPTY)?,
            slots: filled("slots", slots, || Slot::EMPTY)?,
            // Four buckets a slot: with fewer, different flows meet in one bucket, and
            // to find out that a flow is another one costs a cache miss in its slot.
            buckets: filled("buckets", 4 * slots, || 0)?,
            cells: filled("slots", slots, || DeadlineCell::EMPTY)?,
            heap: filled("slots", slots, || 0)?,
            listeners: filled("listeners", sizes.listeners, || Listener::EMPTY)?,
            acceptors: filled("acceptors", sizes.acceptors, || Acceptor::EMPTY)?,
            parked: filled("parked SYNs", sizes.parked, || Parked::EMPTY)?,
        })
    }
}

impl<'a> StackMemory<'a> for HeapStorage<'a> {
    fn parts(&'a mut self) -> StackParts<'a> {
        StackParts {
            rx: lines(&mut self.rx),
            tx: lines(&mut self.tx),
            sockets: &mut self.sockets,
            slots: &mut self.slots,
            buckets: &mut self.buckets,
            cells: &mut self.cells,
            heap: &mut self.heap,
            dirty: &mut self.dirty,
            listeners: &mut self.listeners,
            acceptors: &mut self.acceptors,
            parked: &mut self.parked,
        }
    }
}

/// So many of them, if there is memory.
pub(crate) fn filled<T>(
    what: &'static str,
    count: usize,
    make: impl FnMut() -> T,
) -> Result<Vec<T>, HeapError> {
    let bytes = size_of::<T>();
    let mut all = Vec::new();
    let had = all.try_reserve_exact(count);
    had.map_err(|_| HeapError::NoMemory { what, count, bytes })?;
    all.resize_with(count, make);
    Ok(all)
}

/// Zeros for `count` buffers, and a cache line more, see [`lines`].
fn buffers(what: &'static str, count: usize, bytes: usize) -> Result<Vec<u8>, HeapError> {
    if bytes > BUFFER_MAX {
        return Err(HeapError::TooMany {
            what: "bytes in a buffer",
            most: BUFFER_MAX,
        });
    }
    let total = count
        .checked_mul(bytes)
        .and_then(|all| all.checked_add(LINE));
    // Asked for before: `vec!` would end the process, and what reserves does not zero.
    let had = total.filter(|&all| Vec::<u8>::new().try_reserve_exact(all).is_ok());
    had.map(|all| vec![0; all])
        .ok_or(HeapError::NoMemory { what, count, bytes })
}

/// The bytes from where a cache line begins, all but a line of them.
fn lines(bytes: &mut [u8]) -> &mut [u8] {
    let start = bytes.as_ptr().align_offset(LINE).min(LINE);
    let len = bytes.len() - LINE;
    &mut bytes[start..][..len]
}

macro_rules! queue_of_at_least {
    ($count:expr, $($size:literal)*) => {
        match $count {
            $(0..=$size => Ok(Box::<Deque<u32, $size>>::default() as Box<DequeView<u32>>),)*
            _ => Err([$($size),*]),
        }
    };
}

/// A queue with room for all, and for at most twice as many. Without optimization it
/// is twice on the stack before it is on the heap: 2 MiB, when it is the largest.
pub(crate) fn queue(what: &'static str, count: usize) -> Result<Box<DequeView<u32>>, HeapError> {
    let queue = queue_of_at_least!(
        count, 16 32 64 128 256 512 1024 2048 4096 8192 16384 32768 65536 131072 262144
    );
    queue.map_err(|[.., most]| HeapError::TooMany { what, most })
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    const MOST: usize = 1 << 18;

    #[test]
    fn queues_have_room_for_all_and_at_most_twice_that() {
        for count in [1, 16, 17, 1000, 65_536] {
            let queue = queue("things", count).unwrap();
            assert!((count..=(2 * count).max(16)).contains(&queue.storage_capacity()));
        }
        let error = queue("things", MOST + 1).unwrap_err();
        assert_eq!(error.to_string(), "too many things; ask for at most 262144");
    }

    #[test]
    fn what_cannot_be_had_is_said() {
        // Together they are more than a 64-bit machine has addresses for.
        let sizes = StorageSizes::new(1 << 16, BUFFER_MAX, BUFFER_MAX);
        let error = HeapStorage::new(sizes).unwrap_err();
        assert!(matches!(error, HeapError::NoMemory { .. }), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("no memory for 65536 ") && !text.contains('\n'));
        for sizes in [
            StorageSizes::new(1, 64, BUFFER_MAX + 1),
            StorageSizes::new(MOST + 1, 64, 64),
            StorageSizes::new(usize::MAX, usize::MAX, usize::MAX),
        ] {
            let error = HeapStorage::new(sizes).unwrap_err();
            assert!(matches!(error, HeapError::TooMany { .. }), "{error}");
        }
        let parked = usize::MAX;
        let endless = StorageSizes {
            parked,
            ..StorageSizes::new(1, 64, 64)
        };
        assert!(HeapStorage::new(endless).is_err());
    }

    #[test]
    fn parts_are_as_long_as_asked_and_buffers_begin_at_a_line() {
        let mut memory = HeapStorage::new(StorageSizes {
            slots: 3,
            rx_bytes: 64,
            tx_bytes: 128,
            listeners: 2,
            acceptors: 5,
            parked: 6,
        })
        .unwrap();
        let parts = memory.parts();
        let buffers = (parts.rx.len(), parts.tx.len());
        assert_eq!((buffers, parts.slots.len()), ((192, 384), 3));
        let rest = (parts.listeners.len(), parts.acceptors.len());
        assert_eq!((rest, parts.parked.len()), ((2, 5), 6));
        let starts = [parts.rx.as_ptr(), parts.tx.as_ptr()];
        assert_eq!(starts.map(|start| start as usize % LINE), [0, 0]);
    }

    #[test]
    fn the_rest_is_what_a_storage_has() {
        let mut storage = crate::Storage::<'_, 3, 128, 64>::new();
        let mut memory = HeapStorage::new(StorageSizes::new(3, 128, 64)).unwrap();
        let (storage, memory) = (storage.parts(), memory.parts());
        assert_eq!(storage.listeners.len(), memory.listeners.len());
        assert_eq!(storage.acceptors.len(), memory.acceptors.len());
        assert_eq!(storage.parked.len(), memory.parked.len());
    }
}
