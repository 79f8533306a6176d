//! Whether a list and a heap are sound, by themselves and at one look: links that agree
//! both ways, parents before their children. The audits count with it.
//!
//! Not here: who should stand in them.

use core::fmt;

use smoltcp::time::Instant;

use crate::table::deadlines::{Deadlines, NEVER};
use crate::table::list::List;
use crate::table::slot::Slot;

/// Two tables of a node contradict each other: a bug of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inconsistent {
    /// What should hold and does not.
    pub rule: &'static str,
    /// For which slot, task or listener, if it is about one.
    pub number: u32,
}

impl fmt::Display for Inconsistent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.rule, self.number)
    }
}

impl core::error::Error for Inconsistent {}

/// Says which rule does not hold.
#[inline]
pub(crate) fn ensure(rule: &'static str, number: u32, holds: bool) -> Result<(), Inconsistent> {
    match holds {
        true => Ok(()),
        false => broken(rule, number),
    }
}

/// Apart, because thousands of rules hold for each that does not.
#[cold]
fn broken(rule: &'static str, number: u32) -> Result<(), Inconsistent> {
    Err(Inconsistent { rule, number })
}

/// How many slots stand in a list, if its links agree both ways and all of
/// them belong there.
pub(crate) fn length(
    list: &List,
    slots: &[Slot<'_>],
    belongs: impl Fn(&Slot<'_>) -> bool,
) -> Option<u32> {
    let (mut count, mut last, mut number) = (0, 0, list.head);
    while number != 0 {
        let slot = slots.get(number as usize - 1)?;
        // A circle would come back to a slot whose `prev` is another.
        if slot.prev != last || !belongs(slot) {
            return None;
        }
        (count, last, number) = (count + 1, number, slot.next);
    }
    (list.tail == last).then_some(count)
}

/// Whether every entry of a heap is where it says, not before its parent, not after
/// what its owner wants, and not over at `now`.
pub(crate) fn is_in_order(deadlines: &Deadlines<'_>, now: Instant) -> bool {
    let heap = &deadlines.heap[..deadlines.len];
    let cell = |id: u32| &deadlines.cells[id as usize];
    let first = heap.first().map_or(NEVER, |&id| cell(id).key);
    let known = deadlines.stale || deadlines.first == first;
    known
        && heap.iter().enumerate().all(|(position, &id)| {
            let above = heap[position.saturating_sub(1) / 2];
            cell(id).position as usize == position
                && cell(id).key <= cell(id).due
                && cell(id).due >= now.total_micros()
                && !(position > 0 && deadlines.precedes(id, above))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::lifecycle::State;
    use crate::table::deadlines::DeadlineCell;

    fn at(micros: i64) -> Instant {
        Instant::from_micros(micros)
    }

    #[test]
    fn each_way_to_spoil_a_line_is_seen() {
        let line = |spoil: fn(&mut [Slot<'_>], &mut List)| {
            let mut slots = [const { Slot::EMPTY }; 4];
            let mut list = List::EMPTY;
            for index in 1..4 {
                list.push(&mut slots, index);
            }
            for slot in &mut slots {
                slot.state = State::Queued;
            }
            spoil(&mut slots, &mut list);
            length(&list, &slots, |slot| slot.state == State::Queued)
        };
        assert_eq!(line(|_, _| ()), Some(3));
        assert_eq!(line(|_, list| *list = List::EMPTY), Some(0));
        assert_eq!(line(|slots, list| list.push(slots, 0)), Some(4));
        assert_eq!(line(|slots, _| slots[2].state = State::Open), None);
        assert_eq!(line(|slots, _| slots[2].prev = 4), None);
        assert_eq!(line(|slots, _| slots[2].next = 0), None, "cut short");
        assert_eq!(line(|slots, _| slots[2].next = 9), None, "nowhere");
        assert_eq!(line(|_, list| list.tail = 3), None);
        assert_eq!(line(|slots, _| slots[3].next = 2), None, "a circle");
        assert_eq!(line(|slots, _| slots[3].next = 3), None, "a circle");
    }

    #[test]
    fn each_way_to_spoil_a_heap_is_seen() {
        let is_sound = |now, spoil: fn(&mut Deadlines<'_>)| {
            let (mut heap, mut cells) = ([0; 6], [DeadlineCell::EMPTY; 6]);
            let mut deadlines = Deadlines::new(&mut heap, &mut cells);
            for id in 0..6 {
                deadlines.set(id, Some(at(10 + i64::from(id))));
            }
            spoil(&mut deadlines);
            is_in_order(&deadlines, at(now))
        };
        assert!(is_sound(10, |_| ()));
        assert!(!is_sound(11, |_| ()), "the first was due");
        assert!(!is_sound(10, |deadlines| deadlines.first = 11));
        assert!(is_sound(10, |deadlines| {
            (deadlines.first, deadlines.stale) = (11, true);
        }));
        assert!(!is_sound(10, |deadlines| deadlines.cells[4].position = 5));
        assert!(
            !is_sound(10, |deadlines| deadlines.cells[5].due = 14),
            "before its key"
        );
        assert!(!is_sound(10, |deadlines| {
            deadlines.heap.swap(2, 5); // a child and its parent
            (deadlines.cells[2].position, deadlines.cells[5].position) = (5, 2);
        }));
    }
}
