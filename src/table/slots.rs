//! All slots, and the lists in which they stand: free, half-open at one listener or in
//! its queue, TIME-WAIT.
//!
//! Not here: what a slot is, and its life (`slot.rs`).

use crate::frame::flow::Flow;
use crate::frame::link::NOBODY;
use crate::rules::guard::{Edge, TcpView};
use crate::table::list::List;
use crate::table::slot::*;
use crate::table::woken::{END, Woken};
use crate::task::waker::is_ours;
use crate::time::FAR;
use core::task::Waker;

/// All slots, the free ones, and those in TIME-WAIT.
pub(crate) struct Slots<'a> {
    slots: &'a mut [Slot<'a>],
    pub(crate) free: List,
    pub(crate) time_wait: List,
    used: u32,
}

impl<'a> Slots<'a> {
    /// All slots free. Each must have been given its socket set.
    pub(crate) fn new(slots: &'a mut [Slot<'a>]) -> Self {
        let mut this = Slots {
            slots,
            free: List::EMPTY,
            time_wait: List::EMPTY,
            used: 0,
        };
        this.put_in_order();
        this
    }

    /// Lists every slot as free, the first one first, whatever happened before:
    /// a new boot takes them in the same order as the first. All must be free, but
    /// for those whose socket is still away.
    pub(crate) fn put_in_order(&mut self) {
        let mut free = List::EMPTY;
        for index in 0..self.len() {
            let is_free = |slot: &mut Slot<'_>| slot.state == State::Free;
            if self.get(index).is_some_and(is_free) {
                self.push(&mut free, index);
            }
        }
        self.free = free;
    }

    pub(crate) fn len(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(crate) fn used(&self) -> u32 {
        self.used
    }

    pub(crate) fn get(&mut self, index: u32) -> Option<&mut Slot<'a>> {
        self.slots.get_mut(index as usize)
    }

    /// All of them, for the table of flows.
    pub(crate) fn all(&mut self) -> &mut [Slot<'a>] {
        self.slots
    }

    /// The flow of a slot.
    pub(crate) fn flow(&self, index: u32) -> Option<Flow> {
        self.slots.get(index as usize)?.entry.flow()
    }

    /// The slot, if it is still the one that the handle was made for.
    pub(crate) fn checked(&mut self, index: u32, generation: u32) -> Option<&mut Slot<'a>> {
        self.get(index)
            .filter(|slot| slot.generation == generation && !slot.is_over())
    }

    /// Takes a free slot and gives it a clean line.
    pub(crate) fn take(&mut self) -> Option<u32> {
        let mut free = core::mem::replace(&mut self.free, List::EMPTY);
        let index = self.pop(&mut free);
        self.free = free;
        let slot = self.slots.get_mut(index? as usize)?;
        // Its taker says what it is; until then it can be given back.
        slot.state = State::Connecting;
        slot.give_up = FAR;
        slot.read_at = FAR;
        slot.write_at = FAR;
        slot.silent_at = FAR;
        slot.view = TcpView::NOTHING;
        slot.edge = Edge::NOTHING;
        slot.peer = NOBODY;
        slot.owners = 0;
        slot.waits_for_neighbor = false;
        slot.in_time_wait = false;
        slot.cut = Cut::No;
        slot.timer = Timer::Exact;
        slot.asked = Asked::Nothing;
        slot.missed = false;
        self.used += 1;
        index
    }

    /// Whether a slot is free or can be reclaimed.
    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty() || !self.time_wait.is_empty()
    }

    /// The slot that has been in TIME-WAIT longest without an owner.
    pub(crate) fn oldest_time_wait(&self) -> Option<u32> {
        self.time_wait.head.checked_sub(1)
    }

    /// Puts a slot at the end of the TIME-WAIT line, once.
    pub(crate) fn enter_time_wait(&mut self, index: u32) {
        let Some(slot) = self.get(index) else { return };
        if !core::mem::replace(&mut slot.in_time_wait, true) {
            let mut list = core::mem::replace(&mut self.time_wait, List::EMPTY);
            self.push(&mut list, index);
            self.time_wait = list;
        }
    }

    /// Gives a slot back; handles to it are stale from now on. It must not be
    /// in a listener's queue any more. False: its socket is away, and it is free
    /// when that is back.
    pub(crate) fn release(&mut self, index: u32) -> bool {
        let waits = self.get(index).is_some_and(|slot| slot.in_time_wait);
        if waits {
            let mut list = core::mem::replace(&mut self.time_wait, List::EMPTY);
            self.unlink(&mut list, index);
            self.time_wait = list;
        }
        let Some(slot) = self.get(index).filter(|slot| !slot.is_over()) else {
            return true;
        };
        slot.generation = slot.generation.wrapping_add(1);
        if slot.set.is_none() {
            slot.state = State::Lent;
            return false;
        }
        self.is_free(index);
        true
    }

    /// A connection is over and its socket is here: the next one may have the slot.
    pub(crate) fn is_free(&mut self, index: u32) {
        let Some(slot) = self.get(index) else { return };
        slot.state = State::Free;
        // Last freed, first used: its memory is still in the cache.
        let mut free = core::mem::replace(&mut self.free, List::EMPTY);
        self.push_front(&mut free, index);
        self.free = free;
        self.used -= 1;
    }

    pub(crate) fn push(&mut self, list: &mut List, index: u32) {
        let number = index + 1;
        let last = list.tail;
        match self.linked(last) {
            Some(tail) => tail.next = number,
            None => list.head = number,
        }
        list.tail = number;
        if let Some(slot) = self.get(index) {
            (slot.prev, slot.next) = (last, 0);
        }
    }

    fn push_front(&mut self, list: &mut List, index: u32) {
        let number = index + 1;
        let first = list.head;
        match self.linked(first) {
            Some(head) => head.prev = number,
            None => list.tail = number,
        }
        list.head = number;
        if let Some(slot) = self.get(index) {
            (slot.prev, slot.next) = (0, first);
        }
    }

    pub(crate) fn pop(&mut self, list: &mut List) -> Option<u32> {
        let index = list.head.checked_sub(1)?;
        self.unlink(list, index);
        Some(index)
    }

    pub(crate) fn unlink(&mut self, list: &mut List, index: u32) {
        let Some(slot) = self.get(index) else { return };
        let (prev, next) = (slot.prev, slot.next);
        (slot.prev, slot.next) = (0, 0);
        match self.linked(prev) {
            Some(before) => before.next = next,
            None => list.head = next,
        }
        match self.linked(next) {
            Some(after) => after.prev = prev,
            None => list.tail = prev,
        }
    }

    /// The wakers of the next slot that are not ours.
    #[cold]
    pub(crate) fn pop_woken(&mut self, woken: &mut Woken) -> Option<[Option<Waker>; 2]> {
        if woken.first == END {
            let mut number = core::mem::replace(&mut woken.last, END);
            while let Some(slot) = self.linked(number) {
                let before = core::mem::replace(&mut slot.next_woken, woken.first);
                woken.first = core::mem::replace(&mut number, before);
            }
        }
        let slot = self.linked(woken.first)?;
        woken.first = core::mem::take(&mut slot.next_woken);
        let all = [&mut slot.rx_waker, &mut slot.tx_waker];
        Some(all.map(|waker| waker.take_if(|waker| !is_ours(waker))))
    }

    /// How many slots stand in a list, if its links agree both ways and all of
    /// them belong there; for `audit`.
    pub(crate) fn line(&self, list: &List, belongs: impl Fn(&Slot<'a>) -> bool) -> Option<u32> {
        let (mut count, mut last, mut number) = (0, 0, list.head);
        while number != 0 {
            let slot = self.slots.get(number as usize - 1)?;
            // A circle would come back to a slot whose `prev` is another.
            if slot.prev != last || !belongs(slot) {
                return None;
            }
            (count, last, number) = (count + 1, number, slot.next);
        }
        (list.tail == last).then_some(count)
    }

    /// The slot of this number, counted from one.
    pub(crate) fn linked(&mut self, number: u32) -> Option<&mut Slot<'a>> {
        self.slots.get_mut((number as usize).checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use smoltcp::iface::SocketSet;
    use std::collections::VecDeque;
    use std::vec::Vec;

    fn slots<'a>(memory: &'a mut [Slot<'a>]) -> Slots<'a> {
        for slot in &mut *memory {
            *slot.set = Some(SocketSet::new(&mut [][..]));
        }
        Slots::new(memory)
    }

    #[test]
    fn every_slot_can_be_taken_once_and_given_back() {
        let mut memory = [const { Slot::EMPTY }; 3];
        let mut slots = slots(&mut memory);
        for expected in 0..3 {
            let index = slots.take().unwrap();
            assert_eq!(index, expected);
            slots.get(index).unwrap().state = State::Open;
        }
        assert_eq!((slots.take(), slots.used()), (None, 3));
        slots.release(1);
        slots.release(1);
        assert_eq!(slots.used(), 2, "a second release changes nothing");
        assert_eq!(slots.take(), Some(1));
    }

    #[test]
    fn a_slot_in_which_nothing_began_can_be_given_back() {
        let mut memory = [const { Slot::EMPTY }; 1];
        let mut slots = slots(&mut memory);
        assert_eq!(slots.take(), Some(0));
        slots.release(0);
        assert_eq!((slots.used(), slots.take()), (0, Some(0)));
    }

    #[test]
    fn a_slot_whose_socket_is_away_is_nobodys_until_that_is_back() {
        let mut memory = [const { Slot::EMPTY }; 2];
        let mut slots = slots(&mut memory);
        assert_eq!((slots.take(), slots.take()), (Some(0), Some(1)));
        let slot = slots.get(1).unwrap();
        slot.state = State::Open;
        let generation = slot.generation;
        let set = slot.set.take();
        assert!(slots.release(0));
        assert!(!slots.release(1));
        assert!(slots.checked(1, generation).is_none());
        assert!(slots.checked(1, generation + 1).is_none());
        slots.put_in_order();
        assert_eq!(
            (slots.used(), slots.take(), slots.take()),
            (1, Some(0), None)
        );
        *slots.get(1).unwrap().set = set;
        slots.is_free(1);
        assert_eq!((slots.used(), slots.take()), (1, Some(1)));
    }

    #[test]
    fn a_stale_handle_is_told_so() {
        let mut memory = [const { Slot::EMPTY }; 1];
        let mut slots = slots(&mut memory);
        let index = slots.take().unwrap();
        let slot = slots.get(index).unwrap();
        slot.state = State::Open;
        let generation = slot.generation;
        assert!(slots.checked(index, generation).is_some());
        slots.release(index);
        assert!(slots.checked(index, generation).is_none());
        slots.take();
        slots.get(index).unwrap().state = State::Open;
        assert!(slots.checked(index, generation).is_none());
    }

    #[test]
    fn time_wait_gives_the_oldest_first_and_forgets_the_released() {
        let mut memory = [const { Slot::EMPTY }; 5];
        let mut slots = slots(&mut memory);
        for _ in 0..5 {
            let index = slots.take().unwrap();
            slots.get(index).unwrap().state = State::Closing;
        }
        for index in [2, 0, 3, 0] {
            slots.enter_time_wait(index);
        }
        slots.release(1); // not in it
        assert_eq!(slots.oldest_time_wait(), Some(2));
        slots.release(2);
        assert_eq!(slots.oldest_time_wait(), Some(0));
        slots.release(0);
        slots.release(3);
        assert_eq!(slots.oldest_time_wait(), None);
    }

    #[test]
    fn each_way_to_spoil_a_line_is_seen() {
        let line = |spoil: fn(&mut Slots<'_>, &mut List)| {
            let mut memory = [const { Slot::EMPTY }; 4];
            let mut slots = slots(&mut memory);
            let mut list = List::EMPTY;
            while let Some(index) = slots.take() {
                slots.get(index).unwrap().state = State::Queued;
                if index > 0 {
                    slots.push(&mut list, index);
                }
            }
            spoil(&mut slots, &mut list);
            slots.line(&list, |slot| slot.state == State::Queued)
        };
        assert_eq!(line(|_, _| ()), Some(3));
        assert_eq!(line(|_, list| *list = List::EMPTY), Some(0));
        assert_eq!(line(|slots, list| slots.push(list, 0)), Some(4));
        assert_eq!(line(|slots, _| slots.slots[2].state = State::Open), None);
        assert_eq!(line(|slots, _| slots.slots[2].prev = 4), None);
        assert_eq!(line(|slots, _| slots.slots[2].next = 0), None, "cut short");
        assert_eq!(line(|slots, _| slots.slots[2].next = 9), None, "nowhere");
        assert_eq!(line(|_, list| list.tail = 3), None);
        assert_eq!(line(|slots, _| slots.slots[3].next = 2), None, "a circle");
        assert_eq!(line(|slots, _| slots.slots[3].next = 3), None, "a circle");
    }

    proptest::proptest! {
        #[test]
        fn a_list_is_a_queue_with_removal(steps in proptest::collection::vec((0u8..3, 0u32..8), 0..200)) {
            let mut memory = [const { Slot::EMPTY }; 8];
            let mut slots = slots(&mut memory);
            while slots.take().is_some() {}
            let mut list = List::EMPTY;
            let mut model = VecDeque::new();
            for (step, index) in steps {
                match step {
                    0 if !model.contains(&index) => {
                        slots.push(&mut list, index);
                        model.push_back(index);
                    }
                    1 => assert_eq!(slots.pop(&mut list), model.pop_front()),
                    2 if model.contains(&index) => {
                        slots.unlink(&mut list, index);
                        model.retain(|&other| other != index);
                    }
                    _ => (),
                }
                assert_eq!(list.first(), model.front().copied());
                assert_eq!(list.is_empty(), model.is_empty());
            }
            let mut rest = Vec::new();
            while let Some(index) = slots.pop(&mut list) {
                rest.push(index);
            }
            assert_eq!(rest, Vec::from(model));
        }
    }

    #[test]
    fn wakers_of_others_are_woken_in_the_order_they_came() {
        let mut memory = [const { Slot::EMPTY }; 4];
        for slot in &mut memory {
            *slot.set = Some(SocketSet::new(&mut [][..]));
        }
        let mut slots = Slots::new(&mut memory);
        let mut woken = Woken::NONE;
        let add = |woken: &mut Woken, slots: &mut Slots<'_>, index| {
            let slot = slots.get(index).unwrap();
            slot.rx_waker = Some(Waker::noop().clone());
            slot.wake_rx(index, woken);
        };
        let number = |slots: &mut Slots<'_>| {
            let left = |index: &u32| slots.get(*index).unwrap().rx_waker.is_some();
            (0..4).filter(left).collect::<Vec<_>>()
        };
        assert!(woken.is_empty() && slots.pop_woken(&mut woken).is_none());
        for index in [2, 0, 2, 3] {
            add(&mut woken, &mut slots, index);
        }
        assert!(!woken.is_empty());
        assert!(slots.pop_woken(&mut woken).is_some());
        assert_eq!(number(&mut slots), [0, 3]);
        add(&mut woken, &mut slots, 1);
        add(&mut woken, &mut slots, 0);
        for left in [&[1, 3][..], &[1], &[]] {
            assert!(slots.pop_woken(&mut woken).is_some());
            assert_eq!(number(&mut slots), left);
        }
        assert!(woken.is_empty() && slots.pop_woken(&mut woken).is_none());
    }
}
