//! A list of slots: free ones, those half-open at one listener or in its queue, those
//! in TIME-WAIT. Its links are in the slots, and a slot is in at most one list at a
//! time, so it takes two numbers and no memory. Its methods are given the slots,
//! always the same.

use crate::table::slot::Slot;

/// A doubly linked list of slots; numbers counted from one, zero is the end.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) head: u32,
    pub(crate) tail: u32,
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

    #[inline(never)]
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
}

/// The slot of this number, counted from one.
pub(crate) fn linked<'s, 'a>(slots: &'s mut [Slot<'a>], number: u32) -> Option<&'s mut Slot<'a>> {
    slots.get_mut((number as usize).checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::lab::sound::length;
    use std::collections::VecDeque;
    use std::vec::Vec;

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
                assert_eq!(length(&list, &slots, |_| true), Some(model.len() as u32));
            }
            let rest: Vec<_> = core::iter::from_fn(|| list.pop(&mut slots)).collect();
            assert_eq!(rest, Vec::from(model));
        }
    }
}
