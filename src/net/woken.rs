//! Slots whose wakers are to be woken and are not ours. Such a waker may run any
//! code, also some that calls the node, so it is woken as soon as the stack is free:
//! first come, first woken, whichever direction of the slot it waits in. To wake one
//! for nothing is allowed.
//!
//! Not here: our own wakers, which are woken at once, and those that wait in
//! `accept`, which [`Ports`](crate::net::ports) keeps.

use core::task::Waker;

use crate::net::slots::{Slot, Slots};
use crate::task::waker::is_ours;

/// The end of the lists of [`Woken`].
const END: u32 = u32::MAX;

/// Slots with wakers that are not ours and are to be woken.
pub(crate) struct Woken {
    /// The last one that came, and those before it.
    last: u32,
    /// Those that came before these, the first one first.
    first: u32,
}

impl Woken {
    pub(crate) const NONE: Woken = Woken {
        last: END,
        first: END,
    };

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.last == END
    }

    #[cold]
    pub(crate) fn add(&mut self, index: u32, slot: &mut Slot<'_>) {
        if slot.next_woken == 0 {
            slot.next_woken = core::mem::replace(&mut self.last, index + 1);
        }
    }

    /// The wakers of the next slot that are not ours.
    #[cold]
    pub(crate) fn pop(&mut self, slots: &mut Slots<'_>) -> Option<[Option<Waker>; 2]> {
        if self.first == END {
            let mut number = core::mem::replace(&mut self.last, END);
            while let Some(slot) = slots.linked(number) {
                let before = core::mem::replace(&mut slot.next_woken, self.first);
                self.first = core::mem::replace(&mut number, before);
            }
        }
        let slot = slots.linked(self.first)?;
        self.first = core::mem::take(&mut slot.next_woken);
        let all = [&mut slot.rx_waker, &mut slot.tx_waker];
        Some(all.map(|waker| waker.take_if(|waker| !is_ours(waker))))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use smoltcp::iface::SocketSet;
    use std::vec::Vec;

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
        assert!(woken.is_empty() && woken.pop(&mut slots).is_none());
        for index in [2, 0, 2, 3] {
            add(&mut woken, &mut slots, index);
        }
        assert!(!woken.is_empty());
        assert!(woken.pop(&mut slots).is_some());
        assert_eq!(number(&mut slots), [0, 3]);
        add(&mut woken, &mut slots, 1);
        add(&mut woken, &mut slots, 0);
        for left in [&[1, 3][..], &[1], &[]] {
            assert!(woken.pop(&mut slots).is_some());
            assert_eq!(number(&mut slots), left);
        }
        assert!(woken.is_empty() && woken.pop(&mut slots).is_none());
    }
}
