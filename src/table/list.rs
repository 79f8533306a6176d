//! A list of slots: free ones, those half-open at one listener or in its queue, those
//! in TIME-WAIT. Its links are in the slots, and a slot is in at most one list at a
//! time, so it takes two numbers and no memory. Its methods are given the slots,
//! always the same.

use crate::table::slot::Slot;

/// A doubly linked list of slots; numbers counted from one, zero is the end.
#[derive(Debug)]
pub(crate) struct List {
    head: u32,
    tail: u32,
}

impl List {
    pub(crate) const EMPTY: List = List { head: 0, tail: 0 };

    pub(crate) fn is_empty(&self) -> bool {
        self.head == 0
    }

    pub(crate) fn first(&self) -> Option<u32> {
        self.head.checked_sub(1)
    }

    /// Puts a slot that is in no list at the end.
    pub(crate) fn push(&mut self, slots: &mut [Slot<'_>], index: u32) {
        self.link(slots, self.tail, index, 0);
    }

    /// The same at the beginning.
    pub(crate) fn push_front(&mut self, slots: &mut [Slot<'_>], index: u32) {
        self.link(slots, 0, index, self.head);
    }

    pub(crate) fn pop(&mut self, slots: &mut [Slot<'_>]) -> Option<u32> {
        let index = self.first()?;
        self.unlink(slots, index);
        Some(index)
    }

    /// Takes out a slot that is in this list.
    pub(crate) fn unlink(&mut self, slots: &mut [Slot<'_>], index: u32) {
        let Some(slot) = slots.get_mut(index as usize) else {
            return;
        };
        let (prev, next) = (slot.prev, slot.next);
        (slot.prev, slot.next) = (0, 0);
        *self.next_of(slots, prev) = next;
        *self.prev_of(slots, next) = prev;
    }

    fn link(&mut self, slots: &mut [Slot<'_>], prev: u32, index: u32, next: u32) {
        *self.next_of(slots, prev) = index + 1;
        *self.prev_of(slots, next) = index + 1;
        if let Some(slot) = slots.get_mut(index as usize) {
            (slot.prev, slot.next) = (prev, next);
        }
    }

    /// What leads on from slot `number`, or from before the first.
    fn next_of<'s>(&'s mut self, slots: &'s mut [Slot<'_>], number: u32) -> &'s mut u32 {
        let slot = linked(slots, number);
        slot.map_or(&mut self.head, |slot| &mut slot.next)
    }

    /// What leads back from slot `number`, or from behind the last.
    fn prev_of<'s>(&'s mut self, slots: &'s mut [Slot<'_>], number: u32) -> &'s mut u32 {
        let slot = linked(slots, number);
        slot.map_or(&mut self.tail, |slot| &mut slot.prev)
    }

    /// How many slots stand in it, if its links agree both ways and all of
    /// them belong there; for `audit`.
    pub(crate) fn count(
        &self,
        slots: &[Slot<'_>],
        belongs: impl Fn(&Slot<'_>) -> bool,
    ) -> Option<u32> {
        let (mut count, mut last, mut number) = (0, 0, self.head);
        while number != 0 {
            let slot = slots.get(number as usize - 1)?;
            // A circle would come back to a slot whose `prev` is another.
            if slot.prev != last || !belongs(slot) {
                return None;
            }
            (count, last, number) = (count + 1, number, slot.next);
        }
        (self.tail == last).then_some(count)
    }
}

/// The slot of this number, counted from one.
pub(crate) fn linked<'s, 'a>(slots: &'s mut [Slot<'a>], number: u32) -> Option<&'s mut Slot<'a>> {
    slots.get_mut((number as usize).checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::rules::lifecycle::State;
    use std::collections::VecDeque;
    use std::vec::Vec;

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
            list.count(&slots, |slot| slot.state == State::Queued)
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

    proptest::proptest! {
        #[test]
        fn a_list_is_a_queue_with_removal(steps in proptest::collection::vec((0u8..4, 0u32..8), 0..200)) {
            let mut slots = [const { Slot::EMPTY }; 8];
            let mut list = List::EMPTY;
            let mut model = VecDeque::new();
            for (step, index) in steps {
                match step {
                    0 if !model.contains(&index) => {
                        list.push(&mut slots, index);
                        model.push_back(index);
                    }
                    1 => assert_eq!(list.pop(&mut slots), model.pop_front()),
                    2 if model.contains(&index) => {
                        list.unlink(&mut slots, index);
                        model.retain(|&other| other != index);
                    }
                    3 if !model.contains(&index) => {
                        list.push_front(&mut slots, index);
                        model.push_front(index);
                    }
                    _ => (),
                }
                assert_eq!(list.first(), model.front().copied());
                assert_eq!(list.is_empty(), model.is_empty());
                assert_eq!(list.count(&slots, |_| true), Some(model.len() as u32));
            }
            let rest: Vec<_> = core::iter::from_fn(|| list.pop(&mut slots)).collect();
            assert_eq!(rest, Vec::from(model));
        }
    }
}
