//! Deadlines. A slot or task due at `t` is served in the first turn at or after
//! `t`, earliest first, ties by id. A busy connection moves its deadline with
//! almost every segment and nearly always to later, so that must cost nothing.
//!
//! The rule: a binary min-heap of ids, ordered by a key that is never later than
//! the wanted time. Moving a deadline later, or cancelling it, writes the wanted
//! time and leaves the heap alone; the entry is corrected when it surfaces.
//! Moving it earlier sifts it up. Each `set` pays for at most one correction,
//! so the corrections of one turn are bounded by the sets since the last.
//!
//! Not here: what a deadline means, and more than one per id: who has several
//! sets the earliest. TCP's timers are smoltcp's.

use smoltcp::time::Instant;

use crate::initial::initial;

/// The wanted time of an id without a deadline.
pub(crate) const NEVER: i64 = i64::MAX;

/// The position of an id that is not in the heap.
const ABSENT: u32 = u32::MAX;

initial! {
    /// One id's deadline. Storage holds one per id, and one `u32` for the heap.
    #[derive(Clone, Copy, Debug)]
    pub struct DeadlineCell: EMPTY {
        /// When the owner wants to be served, in microseconds.
        pub(crate) due: i64 = 0,
        /// Where the heap believes it is; never later than `due` while in the heap.
        pub(crate) key: i64 = 0,
        /// Index in the heap.
        pub(crate) position: u32 = 0,
    }
}

impl DeadlineCell {
    /// No deadline.
    const VACANT: Self = Self {
        due: NEVER,
        key: NEVER,
        position: ABSENT,
    };
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
fn vacate(cells: &mut [DeadlineCell]) {
    cells.fill(DeadlineCell::VACANT);
}

const _: () = assert!(size_of::<DeadlineCell>() <= 24);
const _: () = assert!(!core::mem::needs_drop::<Deadlines<'static>>());

/// Which id is due next.
#[derive(Debug)]
pub(crate) struct Deadlines<'a> {
    /// The first `len` are the heap.
    pub(crate) heap: &'a mut [u32],
    pub(crate) cells: &'a mut [DeadlineCell],
    pub(crate) len: usize,
    /// The top's key, so that most turns look at no cell.
    pub(crate) first: i64,
    /// The top wants to be served later than its key says, or not at all.
    pub(crate) stale: bool,
}

impl<'a> Deadlines<'a> {
    /// No deadlines; the cells are reset. Ids run from 0 to the length of the
    /// slices; if they differ, of the shorter one.
    pub(crate) fn new(heap: &'a mut [u32], cells: &'a mut [DeadlineCell]) -> Self {
        let ids = heap.len().min(cells.len());
        let cells = &mut cells[..ids];
        vacate(cells);
        Self {
            heap,
            cells,
            len: 0,
            first: NEVER,
            stale: false,
        }
    }

    /// Cancels every deadline, and leaves nothing of them.
    pub(crate) fn clear(&mut self) {
        vacate(self.cells);
        self.len = 0;
        (self.first, self.stale) = (NEVER, false);
    }

    /// Sets the deadline of `id`, or cancels it. An id out of range is ignored.
    /// The last representable instant means never.
    pub(crate) fn set(&mut self, id: u32, due: Option<Instant>) {
        let Some(cell) = self.cells.get_mut(id as usize) else {
            return;
        };
        cell.due = due.map_or(NEVER, |due| due.total_micros());
        if cell.position == ABSENT {
            if cell.due != NEVER {
                cell.key = cell.due;
                let end = self.len;
                self.len += 1;
                self.sift_up(end, id);
            }
        } else if cell.due < cell.key {
            cell.key = cell.due;
            let position = cell.position as usize;
            self.sift_up(position, id);
        } else if cell.position == 0 {
            self.stale = true;
        }
    }

    /// The deadline of `id`.
    pub(crate) fn get(&self, id: u32) -> Option<Instant> {
        instant(self.cells.get(id as usize)?.due)
    }

    /// The earliest deadline.
    pub(crate) fn next(&mut self) -> Option<Instant> {
        if self.stale {
            self.settle();
        }
        instant(self.first)
    }

    /// Whether a deadline may be at or before `now`: no wanted time is earlier than its
    /// key, and no key than the top's.
    #[inline]
    pub(crate) fn may_be_due(&self, now: Instant) -> bool {
        self.first <= now.total_micros()
    }

    /// Takes the id with the earliest deadline, if that is at or before `now`.
    /// It has no deadline afterwards.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn pop(&mut self, now: Instant) -> Option<u32> {
        if !self.may_be_due(now) {
            return None;
        }
        let top = self.settle().filter(|_| self.may_be_due(now))?;
        self.remove_top();
        Some(top)
    }

    /// Corrects the top until its key is what its owner wants. No other key is
    /// earlier then, and no wanted time is earlier than its key.
    fn settle(&mut self) -> Option<u32> {
        self.stale = false;
        loop {
            let top = *self.heap[..self.len].first()?;
            let cell = &mut self.cells[top as usize];
            if cell.due == NEVER {
                self.remove_top();
            } else if cell.due == cell.key {
                return Some(top);
            } else {
                cell.key = cell.due;
                self.sift_down(top);
            }
        }
    }

    /// Only for a heap that is not empty.
    fn remove_top(&mut self) {
        self.cells[self.heap[0] as usize] = DeadlineCell::VACANT;
        self.len -= 1;
        self.first = NEVER;
        if self.len > 0 {
            self.sift_down(self.heap[self.len]);
        }
    }

    /// Places `id` at `position` or above; whatever is there is overwritten.
    fn sift_up(&mut self, mut position: usize, id: u32) {
        while position > 0 {
            let parent = (position - 1) / 2;
            if !self.precedes(id, self.heap[parent]) {
                break;
            }
            self.place(position, self.heap[parent]);
            position = parent;
        }
        self.place(position, id);
    }

    /// Places `id` at the top or below; what is at the top is overwritten.
    fn sift_down(&mut self, id: u32) {
        let mut position = 0;
        loop {
            let mut child = 2 * position + 1;
            if child >= self.len {
                break;
            }
            let both = child + 1 < self.len;
            if both && self.precedes(self.heap[child + 1], self.heap[child]) {
                child += 1;
            }
            if !self.precedes(self.heap[child], id) {
                break;
            }
            self.place(position, self.heap[child]);
            position = child;
        }
        self.place(position, id);
    }

    /// Ties go to the smaller id: the order must not depend on history.
    pub(crate) fn precedes(&self, a: u32, b: u32) -> bool {
        (self.cells[a as usize].key, a) < (self.cells[b as usize].key, b)
    }

    fn place(&mut self, position: usize, id: u32) {
        self.heap[position] = id;
        let cell = &mut self.cells[id as usize];
        cell.position = position as u32;
        if position == 0 {
            self.first = cell.key;
            // A correction may bring another one up that is to be corrected.
            self.stale = cell.key != cell.due;
        }
    }
}

fn instant(micros: i64) -> Option<Instant> {
    match micros {
        NEVER => None,
        micros => Some(Instant::from_micros(micros)),
    }
}

#[cfg(any(test, feature = "on-target"))]
pub(crate) mod tests {
    #[cfg(test)]
    extern crate std;

    #[cfg(test)]
    use proptest::prelude::*;
    #[cfg(test)]
    use std::collections::BTreeMap;

    use super::*;

    type Vec<T> = heapless::Vec<T, 8>;

    fn at(micros: i64) -> Instant {
        Instant::from_micros(micros)
    }

    crate::test_list::tests! {
        fn due_ids_come_by_time_then_by_id() {
            let (mut heap, mut cells) = ([0; 6], [DeadlineCell::EMPTY; 6]);
            let mut deadlines = Deadlines::new(&mut heap, &mut cells);
            for (id, due) in [(5, 20), (3, 10), (4, 10), (0, 30), (1, 10), (2, -5)] {
                deadlines.set(id, Some(at(due)));
            }
            let order: Vec<_> = core::iter::from_fn(|| deadlines.pop(at(25))).collect();
            assert_eq!(order, [2, 1, 3, 4, 5]);
            assert_eq!(deadlines.next(), Some(at(30)));
            assert_eq!(deadlines.pop(at(30)), Some(0));
            assert_eq!((deadlines.next(), deadlines.pop(at(99))), (None, None));
        }

        fn moving_later_or_cancelling_leaves_the_heap_alone() {
            let (mut heap, mut cells) = ([0; 4], [DeadlineCell::EMPTY; 4]);
            let mut deadlines = Deadlines::new(&mut heap, &mut cells);
            for id in 0..4 {
                deadlines.set(id, Some(at(10 + i64::from(id))));
            }
            let before: Vec<u32> = deadlines.heap.iter().copied().collect();
            deadlines.set(0, Some(at(100)));
            deadlines.set(0, Some(at(50)));
            deadlines.set(1, None);
            assert_eq!(*deadlines.heap, before[..]);
            assert_eq!(deadlines.len, 4);
            assert_eq!(deadlines.next(), Some(at(12)));
            assert_eq!(deadlines.heap[0], 2, "corrected when it surfaced");
            assert_eq!(deadlines.get(0), Some(at(50)));
            assert_eq!(deadlines.get(1), None);
        }

        fn every_id_can_have_a_deadline_and_no_more() {
            let (mut heap, mut cells) = ([0; 3], [DeadlineCell::EMPTY; 3]);
            let mut deadlines = Deadlines::new(&mut heap, &mut cells);
            for id in [2, 1, 0, 3, u32::MAX] {
                deadlines.set(id, Some(at(i64::from(id))));
                // Cancelled and set again, it must not be there twice.
                deadlines.set(id, None);
                deadlines.set(id, Some(at(i64::from(id))));
            }
            assert_eq!(deadlines.get(3), None);
            let order: Vec<_> = core::iter::from_fn(|| deadlines.pop(at(i64::MAX))).collect();
            assert_eq!(order, [0, 1, 2]);
            let mut nothing = Deadlines::new(&mut [], &mut []);
            nothing.set(0, Some(at(0)));
            assert_eq!(nothing.next(), None);
        }
    }

    #[cfg(test)]
    #[test]
    fn cleared_nobody_is_due_and_everybody_can_be_again() {
        let (mut heap, mut cells) = ([0; 3], [DeadlineCell::EMPTY; 3]);
        let mut deadlines = Deadlines::new(&mut heap, &mut cells);
        for id in 0..3 {
            deadlines.set(id, Some(at(10)));
        }
        deadlines.clear();
        assert_eq!((deadlines.get(1), deadlines.next()), (None, None));
        assert_eq!(deadlines.pop(at(99)), None);
        deadlines.set(1, Some(at(20)));
        assert_eq!((deadlines.pop(at(99)), deadlines.next()), (Some(1), None));
    }

    #[cfg(test)]
    proptest! {
        #[test]
        fn it_is_an_ordered_map(
            steps in prop::collection::vec((0_u8..4, 0_u32..10, 0_i64..30), 0..300),
        ) {
            const IDS: u32 = 9;
            let (mut heap, mut cells) = ([0; IDS as usize], [DeadlineCell::EMPTY; IDS as usize]);
            let mut deadlines = Deadlines::new(&mut heap, &mut cells);
            let mut model = BTreeMap::<u32, i64>::new();
            for (step, id, time) in steps {
                let first = model.iter().map(|(id, due)| (*due, *id)).min();
                match step {
                    0 | 1 => {
                        deadlines.set(id, Some(at(time)));
                        if id < IDS {
                            model.insert(id, time);
                        }
                    }
                    2 => {
                        deadlines.set(id, None);
                        model.remove(&id);
                    }
                    _ => {
                        let due = first.filter(|(due, _)| *due <= time).map(|(_, id)| id);
                        prop_assert_eq!(deadlines.pop(at(time)), due);
                        due.and_then(|id| model.remove(&id));
                    }
                }
                for id in 0..=IDS {
                    prop_assert_eq!(deadlines.get(id), model.get(&id).copied().map(at));
                }
                // Not after every step: laziness must survive several.
                if time % 3 == 0 {
                    prop_assert_eq!(deadlines.next(), model.values().min().copied().map(at));
                }
            }
        }
    }
}
