extern crate std;
use super::*;
use core::cell::RefCell;
use core::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::vec::Vec;

/// Writes its number down when dropped; a flag makes the drop panic.
struct Tell<'t>(&'t RefCell<Vec<u32>>, u32, bool);
impl Drop for Tell<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1);
        assert!(!self.2, "a destructor that panics");
    }
}

fn noop() -> Context<'static> {
    Context::from_waker(core::task::Waker::noop())
}

#[expect(clippy::declare_interior_mutable_const, reason = "as above")]
const ROWS: [RowCell; 3] = [RowCell::EMPTY; 3];

/// 64 bytes for each.
const CHUNKS: [Chunk; 192 / CHUNK_BYTES] = [Chunk::EMPTY; 192 / CHUNK_BYTES];

#[test]
fn the_largest_future_fits_and_one_byte_more_does_not() {
    let rows = ROWS;
    let mut bytes = CHUNKS;
    let slots = FutureSlots::new(&rows, &mut bytes);
    assert_eq!(slots.row_bytes(), 64);
    let fits = poll_fn({
        let load = [1u8; 64];
        move |_| {
            assert_eq!(load[63], 1);
            Poll::Ready(())
        }
    });
    assert_eq!(size_of_val(&fits), 64);
    assert!(slots.put(0, fits).is_ok());
    let large = poll_fn({
        let load = [1u8; 65];
        move |_| {
            assert_eq!(load[64], 1);
            Poll::Ready(())
        }
    });
    let (back, refused) = slots.put(1, large).err().unwrap();
    assert_eq!(refused, SpawnRefused::TooLarge);
    assert_eq!(size_of_val(&back), 65);
}

#[test]
fn a_number_that_is_no_rows_overflows_nothing() {
    assert_eq!(first_chunk(7, 52), 364);
    // What `u32::MAX` times 52 is where a word has 32 bits.
    assert_eq!(first_chunk(u32::MAX, 52) as u32, 52_u32.wrapping_neg());
    for index in [0, 1, u32::MAX - 1, u32::MAX] {
        for row_chunks in [usize::MAX, usize::MAX / 2 + 1, 1 << (usize::BITS - 1)] {
            first_chunk(index, row_chunks);
        }
    }
    let rows = ROWS;
    let mut bytes = CHUNKS;
    let slots = FutureSlots::new(&rows, &mut bytes);
    for index in [0, 2, 3, u32::MAX / 2, u32::MAX] {
        slots.fetch(index);
    }
}

#[test]
fn a_future_that_wants_more_alignment_comes_back() {
    #[repr(align(32))]
    struct Wide;
    let rows = ROWS;
    let mut bytes = CHUNKS;
    let slots = FutureSlots::new(&rows, &mut bytes);
    let wide = async {
        let wide = Wide;
        pending::<()>().await;
        let _ = &wide;
    };
    assert_eq!(slots.put(0, wide).err().unwrap().1, SpawnRefused::TooLarge);
}

#[test]
fn a_finished_future_is_dropped_at_once_and_its_row_is_vacant() {
    let told = RefCell::new(Vec::new());
    let rows = ROWS;
    let mut bytes = CHUNKS;
    let slots = FutureSlots::new(&rows, &mut bytes);
    slots.pinned(|pinned| {
        for number in 0..5 {
            let tell = Tell(&told, number, false);
            let future = async move {
                let tell = tell;
                if tell.1 % 2 == 0 { Ok(()) } else { Err(()) }
            };
            assert!(slots.put(1, future).is_ok());
            let failed = number % 2 == 1;
            assert_eq!(pinned.poll(1, &mut noop()), Some(Poll::Ready(failed)));
            assert_eq!(told.borrow().len() as u32, number + 1);
            assert_eq!(pinned.poll(1, &mut noop()), None);
        }
    });
}

#[test]
fn the_end_drops_every_future_even_when_destructors_panic() {
    let told = RefCell::new(Vec::new());
    let rows = ROWS;
    let mut bytes = CHUNKS;
    let slots = FutureSlots::new(&rows, &mut bytes);
    for number in 0..3 {
        let tell = Tell(&told, number, number == 1);
        let future = async move {
            let _tell = tell;
            pending::<()>().await;
        };
        assert!(slots.put(number, future).is_ok());
    }
    let result = catch_unwind(AssertUnwindSafe(|| {
        slots.pinned(|pinned| {
            for row in 0..3 {
                assert_eq!(pinned.poll(row, &mut noop()), Some(Poll::Pending));
            }
        })
    }));
    assert!(result.is_err());
    assert_eq!(*told.borrow(), [0, 1, 2]);
    assert!(slots.put(0, async {}).is_ok(), "open again afterwards");
}

#[test]
fn a_future_that_panics_is_dropped_and_so_are_the_others() {
    let told = RefCell::new(Vec::new());
    let rows = ROWS;
    let mut bytes = CHUNKS;
    let slots = FutureSlots::new(&rows, &mut bytes);
    for number in 0..3 {
        let tell = Tell(&told, number, false);
        let future = async move {
            let tell = tell;
            assert!(tell.1 != 1, "a task that panics");
            pending::<()>().await;
        };
        assert!(slots.put(number, future).is_ok());
    }
    let result = catch_unwind(AssertUnwindSafe(|| {
        slots.pinned(|pinned| {
            for row in 0..3 {
                pinned.poll(row, &mut noop());
            }
        })
    }));
    assert!(result.is_err());
    let mut all = told.borrow().clone();
    all.sort();
    assert_eq!(all, [0, 1, 2]);
}

#[test]
fn nothing_is_put_while_the_last_ones_are_dropped() {
    struct SpawnOnDrop<'t, 's>(&'t FutureSlots<'s>, &'t Cell<Option<SpawnRefused>>);
    impl Drop for SpawnOnDrop<'_, '_> {
        fn drop(&mut self) {
            self.1.set(self.0.put(0, async {}).err().map(|back| back.1));
        }
    }
    let seen = Cell::new(None);
    let rows = ROWS;
    let mut bytes = CHUNKS;
    let slots = FutureSlots::new(&rows, &mut bytes);
    let on_drop = SpawnOnDrop(&slots, &seen);
    let future = async move {
        let _on_drop = on_drop;
        pending::<()>().await;
    };
    assert!(slots.put(2, future).is_ok());
    slots.pinned(|pinned| assert!(pinned.poll(2, &mut noop()).is_some()));
    assert_eq!(seen.get(), Some(SpawnRefused::Ending));
}

#[test]
#[should_panic(expected = "already running")]
fn a_second_scope_inside_the_first_is_refused() {
    let rows = ROWS;
    let mut bytes = CHUNKS;
    let slots = FutureSlots::new(&rows, &mut bytes);
    slots.pinned(|_| slots.pinned(|_| ()));
}
