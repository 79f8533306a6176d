//! What a test claims of its world, besides what every world keeps: what always
//! holds, what comes true in every run, and what is seen in one run at least, so that
//! a test cannot pass by never getting there.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use super::network::{Claim, Holds, World};

/// A place in a program that some run must reach. Clones are the same place.
#[derive(Clone)]
pub struct Reached(Rc<Cell<bool>>);

impl Reached {
    /// It is here.
    pub fn here(&self) {
        self.0.set(true);
    }
}

impl fmt::Debug for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reached").field(&self.0.get()).finish()
    }
}

impl World {
    /// Claims that this holds after every step of every run. To say what was seen
    /// instead, use [`invariant`](Self::invariant).
    pub fn always(&mut self, name: &'static str, holds: impl Fn(&World) -> bool + 'static) {
        self.invariant(name, move |world| match holds(world) {
            true => Ok(()),
            false => Err("it does not hold".into()),
        });
    }

    /// Claims that this comes true in every run, before it ends.
    pub fn eventually(&mut self, name: &'static str, holds: impl Fn(&World) -> bool + 'static) {
        self.claim(name, true, Some(Box::new(holds)));
    }

    /// Claims that this is true at some moment of some run: [`check`](crate::check())
    /// fails if no seed shows it.
    pub fn sometimes(&mut self, name: &'static str, holds: impl Fn(&World) -> bool + 'static) {
        self.claim(name, false, Some(Box::new(holds)));
    }

    /// Claims that some run gets to the place where a program says
    /// [`here`](Reached::here).
    pub fn reachable(&mut self, name: &'static str) -> Reached {
        Reached(self.claim(name, false, None))
    }

    fn claim(&mut self, name: &'static str, always: bool, holds: Option<Holds>) -> Rc<Cell<bool>> {
        let seen = Rc::new(Cell::new(false));
        self.claims.push(Claim {
            name,
            always,
            seen: Rc::clone(&seen),
            holds,
        });
        seen
    }

    /// After a step.
    pub(super) fn look_at_claims(&self) {
        for claim in self.claims.iter().filter(|claim| !claim.seen.get()) {
            if claim.holds.as_ref().is_some_and(|holds| holds(self)) {
                claim.seen.set(true);
            }
        }
    }

    /// What should have come true in this run and did not.
    pub(super) fn missed_claim(&self) -> Option<&'static str> {
        let mut claims = self.claims.iter();
        let missed = claims.find(|claim| claim.always && !claim.seen.get());
        missed.map(|claim| claim.name)
    }

    /// What must be seen in one run of all, and whether it was in this one.
    pub(super) fn seen_claims(&self) -> Vec<(&'static str, bool)> {
        let claims = self.claims.iter().filter(|claim| !claim.always);
        claims.map(|claim| (claim.name, claim.seen.get())).collect()
    }
}
