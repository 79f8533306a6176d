extern crate std;
use super::*;
use heapless::deque::Deque;
use smoltcp::iface::SocketSet;
use std::vec::Vec;

/// Runs `f` on this many slots.
fn with_slots<const N: usize>(f: impl FnOnce(&mut Slots<'_>)) {
    let (mut slots, mut dirty) = ([const { Slot::EMPTY }; N], Deque::<_, N>::new());
    for slot in &mut slots {
        *slot.set = Some(SocketSet::new(&mut [][..]));
    }
    f(&mut Slots::new(&mut slots, dirty.as_mut_view()));
}

/// The number of a slot that is taken.
fn take(slots: &mut Slots<'_>) -> Option<u32> {
    slots.take().map(SlotId::number)
}

#[test]
fn every_slot_can_be_taken_once_and_given_back() {
    with_slots::<3>(|slots| {
        for expected in 0..3 {
            assert_eq!(take(slots), Some(expected));
        }
        assert_eq!((slots.take(), slots.used), (None, 3));
        slots.release(SlotId(1));
        assert_eq!((slots.used, take(slots)), (2, Some(1)));
    });
}

#[test]
fn a_slot_whose_socket_is_away_is_nobodys_until_that_is_back() {
    with_slots::<2>(|slots| {
        assert_eq!((take(slots), take(slots)), (Some(0), Some(1)));
        let key = slots.key(SlotId(1));
        assert!(slots.checked(key).is_some());
        assert!(slots.release(SlotId(0)));
        let set = slots[SlotId(1)].set.take();
        assert!(!slots.release(SlotId(1)));
        assert!(slots.checked(key).is_none());
        let key = slots.key(SlotId(1));
        assert!(slots.checked(key).is_none());
        slots.put_in_order();
        assert_eq!((slots.used, take(slots), take(slots)), (1, Some(0), None));
        *slots[SlotId(1)].set = set;
        slots.is_free(SlotId(1));
        assert_eq!((slots.used, take(slots)), (1, Some(1)));
    });
}

#[test]
fn a_stale_handle_is_told_so() {
    with_slots::<1>(|slots| {
        let id = slots.take().unwrap();
        let key = slots.key(id);
        assert!(slots.checked(key).is_some());
        slots.release(id);
        assert!(slots.checked(key).is_none());
        slots.take();
        assert!(slots.checked(key).is_none());
    });
}

#[test]
fn time_wait_gives_the_oldest_first_and_forgets_the_released() {
    with_slots::<5>(|slots| {
        while let Some(id) = slots.take() {
            slots.begin_closing(id);
        }
        for number in [2, 0, 3, 0] {
            slots.enter_time_wait(SlotId(number));
        }
        assert_eq!(slots.closing, 2);
        slots.release(SlotId(1)); // not in it
        for number in [2, 0, 3] {
            assert_eq!(slots.oldest_time_wait(), Some(SlotId(number)));
            slots.release(SlotId(number));
        }
        assert_eq!((slots.oldest_time_wait(), slots.closing), (None, 1));
    });
}

#[test]
fn a_dirty_slot_is_queued_once_and_a_free_one_never() {
    with_slots::<3>(|slots| {
        slots.mark_dirty(SlotId(2));
        assert_eq!(slots.next_dirty(), None, "it is free");
        while slots.take().is_some() {}
        for number in [2, 0, 2] {
            slots.mark_dirty(SlotId(number));
        }
        assert_eq!(slots.dirty.storage_len(), 2);
        assert_eq!(slots.next_dirty(), Some(SlotId(2)));
        slots.mark_dirty(SlotId(2));
        assert_eq!(slots.next_dirty(), Some(SlotId(0)));
        assert_eq!(slots.next_dirty(), Some(SlotId(2)));
        assert_eq!(slots.next_dirty(), None);
    });
}

#[test]
fn who_waits_for_a_neighbor_is_counted_once() {
    with_slots::<2>(|slots| {
        let id = slots.take().unwrap();
        slots.set_waiting(id, Some(7));
        slots.set_waiting(id, Some(8));
        assert_eq!((slots.waiting, slots[id].waits_since), (1, 8));
        slots.retry_waiting();
        assert_eq!(slots.next_dirty(), Some(id));
        slots.release(id);
        assert_eq!(slots.waiting, 0);
    });
}

#[test]
fn wakers_of_others_are_woken_in_the_order_they_came() {
    with_slots::<4>(|slots| {
        let add = |slots: &mut Slots<'_>, number| {
            slots[SlotId(number)].rx_waker = Some(Waker::noop().clone());
            slots.wake(SlotId(number), true, false);
        };
        let left = |slots: &Slots<'_>| {
            let left = slots.ids().filter(|&id| slots[id].rx_waker.is_some());
            left.map(SlotId::number).collect::<Vec<_>>()
        };
        assert!(!slots.woken && slots.pop_woken().is_none());
        for number in [2, 0, 2, 3] {
            add(slots, number);
        }
        assert!(slots.woken);
        assert!(slots.pop_woken().is_some());
        assert_eq!(left(slots), [0, 3]);
        add(slots, 1);
        add(slots, 0);
        for rest in [&[1, 3][..], &[1], &[]] {
            assert!(slots.pop_woken().is_some());
            assert_eq!(left(slots), rest);
        }
        assert!(!slots.woken && slots.pop_woken().is_none());
    });
}
