//! Storage of the size that the options ask for. The core takes its memory as
//! slices, so a host that decides sizes at run time makes vectors and leaks
//! them: a process has one server, and its memory lives as long as it does.
//!
//! Two things cannot be a slice. A heapless queue carries its capacity in its
//! type until a view erases it, so queues come in sizes of powers of two. And
//! a large value that is written in one piece passes over the stack on its way
//! to the heap, so it is made on a thread whose stack is large.
//!
//! Not here: giving memory back.

use std::fmt;

use cygnet::task::{Chunk, FOREIGN_TIMERS, Flag, ForeignTimer, Queue, Ready, RowCell, TaskParts};
use cygnet::{Acceptor, DeadlineCell, Listener, Parked, Slot, SocketPlace, StackParts};
use heapless::deque::{Deque, DequeView};

/// The most slots or tasks that there is a queue for.
pub const CAPACITY_MAX: usize = 1 << 18;

/// How many SYNs may wait for a slot, unless somebody asks for another number
/// ([`leak_parked`]): a burst of that many clients more than there are slots is
/// served as fast as slots become free.
pub const PARKED: usize = 256;

/// What the future of a service or of a client may need.
pub const TASK_BYTES: usize = 2048;

/// This machine does not have that much memory: ask for fewer or smaller things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory {
    what: &'static str,
    count: usize,
    bytes: usize,
}

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NoMemory { what, count, bytes } = self;
        write!(
            f,
            "no memory for {count} {what} of {bytes} bytes each; ask for fewer or smaller ones"
        )
    }
}

impl std::error::Error for NoMemory {}

/// Memory for a stack: `slots` connections with `rx_bytes` and `tx_bytes` of
/// buffer each, `listeners` ports, `acceptors` tasks waiting in `accept`, and
/// [`PARKED`] SYNs waiting for a slot.
///
/// # Errors
/// [`NoMemory`]: ask for less.
pub fn leak_stack(
    slots: usize,
    rx_bytes: usize,
    tx_bytes: usize,
    listeners: usize,
    acceptors: usize,
) -> Result<StackParts<'static>, NoMemory> {
    Ok(StackParts {
        rx: leak_zeros("receive buffers", slots, rx_bytes)?,
        tx: leak_zeros("transmit buffers", slots, tx_bytes)?,
        dirty: leak_queue("slots", slots)?,
        sockets: leak(slots, || SocketPlace::EMPTY),
        slots: leak(slots, || Slot::EMPTY),
        // Four buckets a slot: with fewer, different flows meet in one bucket, and
        // to find out that a flow is another one costs a cache miss in its slot.
        buckets: leak(4 * slots, || 0),
        cells: leak(slots, || DeadlineCell::EMPTY),
        heap: leak(slots, || 0),
        listeners: leak(listeners, || Listener::EMPTY),
        acceptors: leak(acceptors, || Acceptor::EMPTY),
        parked: leak_parked(PARKED),
    })
}

/// Places for `count` SYNs that wait for a slot.
pub fn leak_parked(count: usize) -> &'static mut [Parked] {
    leak(count, || Parked::EMPTY)
}

/// Memory for `tasks` tasks whose futures need at most `bytes` bytes each, and
/// their flags. `hook` runs after every wake that set one.
///
/// # Errors
/// [`NoMemory`]: ask for less.
pub fn leak_tasks(
    tasks: usize,
    bytes: usize,
    hook: Option<fn()>,
) -> Result<(TaskParts<'static>, Ready), NoMemory> {
    let chunks = bytes.div_ceil(size_of::<Chunk>());
    let what = "tasks";
    let no_memory = NoMemory {
        what,
        count: tasks,
        bytes,
    };
    check::<Chunk>(tasks.checked_mul(chunks).ok_or(no_memory)?).ok_or(no_memory)?;
    let parts = TaskParts {
        rows: leak(tasks, || RowCell::EMPTY),
        bytes: vec![Chunk::EMPTY; tasks * chunks].leak(),
        run: leak_queue(what, tasks)?,
        cells: leak(tasks, || DeadlineCell::EMPTY),
        heap: leak(tasks, || 0),
        foreign: leak(FOREIGN_TIMERS, || ForeignTimer::EMPTY),
    };
    let queue: &'static Queue = Box::leak(Box::new(Queue::new(hook)));
    let flags: &'static [Flag] = leak(tasks, Flag::new);
    Ok((parts, Ready::new(queue, flags)))
}

/// Boxes a value that would be too large for the caller's stack.
///
/// # Panics
/// When no thread can be started.
pub fn boxed<T: Send + 'static>(make: impl FnOnce() -> T + Send + 'static) -> Box<T> {
    // A debug build moves the value several times before it reaches the box.
    // Pages of the stack that are not touched cost nothing.
    let stack = (1 << 20) + 8 * size_of::<T>();
    let maker = std::thread::Builder::new().stack_size(stack);
    let made = maker
        .spawn(move || Box::new(make()))
        .expect("no thread to build on");
    made.join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn leak<T>(count: usize, make: impl FnMut() -> T) -> &'static mut [T] {
    let all: Vec<T> = std::iter::repeat_with(make).take(count).collect();
    all.leak()
}

/// What the buffers of all slots are aligned to: a cache line.
const LINE: usize = 64;

/// Zeros straight from the kernel: pages that nobody touches are never there.
fn leak_zeros(
    what: &'static str,
    count: usize,
    bytes: usize,
) -> Result<&'static mut [u8], NoMemory> {
    let no_memory = NoMemory { what, count, bytes };
    let total = count.checked_mul(bytes).ok_or(no_memory)?;
    let longer = total.checked_add(LINE).ok_or(no_memory)?;
    check::<u8>(longer).ok_or(no_memory)?;
    let zeros = vec![0; longer].leak();
    let start = zeros.as_ptr().align_offset(LINE).min(LINE);
    Ok(&mut zeros[start..][..total])
}

/// Whether the allocator would give that much: `vec!` would end the process.
fn check<T>(count: usize) -> Option<()> {
    Vec::<T>::new().try_reserve_exact(count).ok()
}

macro_rules! queue_of_at_least {
    ($count:expr, $($size:literal)*) => {
        match $count {
            $(0..=$size => Some(Box::leak(boxed(Deque::<u32, $size>::new)).as_mut_view()),)*
            _ => None,
        }
    };
}

fn leak_queue(what: &'static str, count: usize) -> Result<&'static mut DequeView<u32>, NoMemory> {
    let queue: Option<&'static mut DequeView<u32>> = queue_of_at_least!(
        count, 16 32 64 128 256 512 1024 2048 4096 8192 16384 32768 65536 131072 262144
    );
    queue.ok_or(NoMemory {
        what,
        count,
        bytes: size_of::<u32>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_have_room_for_all_and_at_most_twice_that() {
        for count in [1, 16, 17, 1000, 65_536, CAPACITY_MAX] {
            let queue = leak_queue("things", count).unwrap();
            assert!((count..=(2 * count).max(16)).contains(&queue.storage_capacity()));
        }
        assert!(leak_queue("things", CAPACITY_MAX + 1).is_err());
    }

    #[test]
    fn what_cannot_be_had_is_one_line() {
        let error = leak_stack(CAPACITY_MAX, usize::MAX / 2, 64, 1, 1).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("no memory for 262144 receive buffers of "));
        assert!(!text.contains('\n'));
        assert!(leak_tasks(CAPACITY_MAX, usize::MAX / 64, None).is_err());
    }

    #[test]
    fn parts_are_as_long_as_asked() {
        let stack = leak_stack(3, 64, 128, 2, 5).unwrap();
        assert_eq!((stack.rx.len(), stack.tx.len()), (192, 384));
        assert_eq!((stack.slots.len(), stack.listeners.len()), (3, 2));
        let starts = [stack.rx.as_ptr(), stack.tx.as_ptr()];
        assert_eq!(starts.map(|start| start as usize % LINE), [0, 0]);
        let (tasks, ready) = leak_tasks(7, 100, None).unwrap();
        let chunks = 7 * 100_usize.div_ceil(size_of::<Chunk>());
        assert_eq!((tasks.rows.len(), tasks.bytes.len()), (7, chunks));
        assert_eq!(ready.len(), 7);
    }
}
