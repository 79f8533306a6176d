//! Tasks that wait until something about the host changes: its link, its addresses. That is
//! seldom, so all of them are woken, and look.
//!
//! Not here: what has changed.

use core::task::Waker;

use crate::task::waker::{Parking, wake_ours};

/// More than wait on most hosts. Who finds no place looks in every turn.
const PLACES: usize = 8;

/// Tasks that wait until something about the host changes.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    places: [Option<Waker>; PLACES],
    /// Somebody was woken whose waker is not ours, and still here.
    pub(crate) woken: bool,
}

impl Watchers {
    /// Leaves a waker for the next change. False: every place is taken.
    pub(crate) fn watch(&mut self, parking: &mut Parking<'_>) -> bool {
        let places = &mut self.places;
        let its = places.iter().position(|place| parking.wakes_as(place));
        let place = its.or_else(|| places.iter().position(Option::is_none));
        match place.and_then(|place| places.get_mut(place)) {
            Some(place) => parking.park(place),
            None => return false,
        }
        true
    }

    /// Something has changed.
    pub(crate) fn wake(&mut self) {
        for place in &mut self.places {
            self.woken |= !wake_ours(place);
        }
    }

    /// One of those that are to be woken when the stack is free.
    #[cold]
    pub(crate) fn take_woken(&mut self) -> Option<Waker> {
        let waker = self.places.iter_mut().find_map(Option::take);
        self.woken &= waker.is_some();
        waker
    }
}
