//! Tasks that wait for datagrams, or for room to send one. Each stands in a line, and one
//! event wakes the first of it. One that finds nothing when it looks keeps its turn; one that
//! is dropped after it was woken passes the wake on (`udp.rs`).
//!
//! Not here: what they wait for.

use core::task::Waker;

use crate::initial::initial;
use crate::table::line::Line;
use crate::task::waker::{Parking, wake_ours};

initial! {
    /// A task that waits. Lives in [`UdpStorage`](crate::UdpStorage).
    #[derive(Debug)]
    pub struct Waiter: EMPTY {
        waker: Option<Waker> = None,
        /// It stands in a line. If it does not, and its waker is still here, that is not ours
        /// and is to be woken when the stack is free.
        pub(crate) stands: bool = false,
    }
}

/// Everybody who waits, in lines that others keep.
pub(crate) struct Waiters<'a> {
    pub(crate) places: &'a mut [Waiter],
    pub(crate) links: &'a mut [u32],
    pub(crate) free: Line,
    /// Somebody was woken whose waker is not ours, and still here.
    pub(crate) woken: bool,
}

impl<'a> Waiters<'a> {
    pub(crate) fn new(places: &'a mut [Waiter], links: &'a mut [u32]) -> Self {
        places.fill_with(|| Waiter::EMPTY);
        Waiters {
            free: Line::of_all(links),
            places,
            links,
            woken: false,
        }
    }

    /// Joins a line, or keeps the place that `held` names, counted from one. False: there is
    /// no place.
    pub(crate) fn wait(
        &mut self,
        line: &mut Line,
        held: &mut u32,
        parking: &mut Parking<'_>,
    ) -> bool {
        let is_new = *held == 0;
        if is_new {
            *held = self.free.pop(self.links).map_or(0, |place| place + 1);
        }
        let Some(place) = held.checked_sub(1) else {
            return false;
        };
        let Some(one) = self.places.get_mut(place as usize) else {
            return false;
        };
        if !core::mem::replace(&mut one.stands, true) {
            match is_new {
                true => line.push(self.links, place),
                // It had been woken, and somebody else was faster.
                false => line.push_front(self.links, place),
            }
        }
        parking.park(&mut one.waker);
        true
    }

    /// Leaves, and gives the place back. True: it had been woken, so that somebody else may
    /// have to be. Its waker is to be dropped when the stack is free.
    pub(crate) fn leave(&mut self, line: &mut Line, held: &mut u32) -> (bool, Option<Waker>) {
        let Some(place) = core::mem::take(held).checked_sub(1) else {
            return (false, None);
        };
        let one = self.places.get_mut(place as usize);
        let left = one.map_or(Waiter::EMPTY, |one| core::mem::replace(one, Waiter::EMPTY));
        if left.stands {
            line.unlink(self.links, place);
        }
        self.free.push(self.links, place);
        (!left.stands, left.waker)
    }

    /// Wakes the first in line.
    pub(crate) fn wake_one(&mut self, line: &mut Line) {
        if let Some(place) = line.pop(self.links)
            && let Some(one) = self.places.get_mut(place as usize)
        {
            one.stands = false;
            self.woken |= !wake_ours(&mut one.waker);
        }
    }

    /// Wakes everybody and forgets all lines.
    pub(crate) fn reset(&mut self) {
        for one in &mut *self.places {
            one.stands = false;
            self.woken |= !wake_ours(&mut one.waker);
        }
        self.free = Line::of_all(self.links);
    }

    /// Takes one of those.
    #[cold]
    pub(crate) fn take_woken(&mut self) -> Option<Waker> {
        let woken = |one: &&mut Waiter| !one.stands && one.waker.is_some();
        let found = self.places.iter_mut().find(woken);
        let waker = found.and_then(|one| one.waker.take());
        self.woken = waker.is_some();
        waker
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;

    struct Somebody;

    impl Wake for Somebody {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn who_was_woken_for_nothing_is_first_again() {
        let (mut places, mut links) = ([const { Waiter::EMPTY }; 2], [0; 2]);
        let mut waiters = Waiters::new(&mut places, &mut links);
        let (mut line, mut held) = (Line::EMPTY, [0; 2]);
        let both = [0, 1].map(|_| Waker::from(Arc::new(Somebody)));
        let waits = |waiters: &mut Waiters<'_>, line: &mut Line, held: &mut u32, who: usize| {
            waiters.wait(line, held, &mut Parking::new(&both[who]))
        };
        for (who, held) in held.iter_mut().enumerate() {
            assert!(waits(&mut waiters, &mut line, held, who));
        }
        assert!(!waits(&mut waiters, &mut line, &mut 0, 0), "no place");
        for round in 0..3 {
            waiters.wake_one(&mut line);
            assert!(waiters.woken);
            let woken = waiters.take_woken().unwrap();
            assert!(woken.will_wake(&both[0]), "{round}");
            // It looks, finds nothing, and stays; the last time it does not.
            if round < 2 {
                assert!(waits(&mut waiters, &mut line, &mut held[0], 0));
            }
        }
        waiters.wake_one(&mut line);
        assert!(waiters.take_woken().unwrap().will_wake(&both[1]));
        let left = waiters.leave(&mut line, &mut held[1]);
        assert!(left.0 && left.1.is_none(), "it had been woken");
        assert!(
            waits(&mut waiters, &mut line, &mut 0, 1),
            "its place is free"
        );
    }
}
