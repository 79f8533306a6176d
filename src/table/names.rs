//! Names that somebody asked for, and what is known of them. A program puts a question here,
//! and a task answers it (`service/dns.rs`), so nothing runs up.
//!
//! The rule: an answer stays as long as it is good, and gives its place to a new question if
//! no other is free; a question keeps its place as long as somebody waits for it.
//!
//! Not here: how an answer is found.

use smoltcp::time::{Duration, Instant};

use crate::frame::dns::{Addresses, Name};
use crate::initial::initial;
use crate::time::after;

/// Which addresses of a name are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Family {
    /// Of either version of IP.
    Any = 0,
    /// Of IPv4.
    V4,
    /// Of IPv6.
    V6,
}

/// The longest that an answer is kept, whatever it says: a day (RFC 8767, 4, gives a week as
/// the most).
const LONGEST: u32 = 86_400;

/// What came of a question. Numbered, so that storage is all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Found {
    /// There is nobody to ask.
    NoServer = 0,
    /// Addresses, which are kept beside this.
    Addresses,
    NoName,
    NoAddress,
    /// Nobody has answered.
    Silence,
    /// All servers say that they do not know.
    Failed,
}

/// Where a question is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum State {
    Free = 0,
    /// Nobody works on it yet.
    Asked,
    /// A task does.
    Taken,
    Answered,
}

initial! {
    /// A question, or its answer. Lives in [`NameStorage`].
    #[derive(Debug)]
    pub struct Row: EMPTY {
        name: Name = Name::new(),
        family: Family = Family::Any,
        state: State = State::Free,
        found: Found = Found::NoServer,
        /// In the order in which they are to be tried.
        addresses: Addresses = Addresses::new(),
        /// How many wait for the answer.
        waits: u16 = 0,
        /// Until when the answer is good.
        until: Instant = Instant::ZERO,
    }
}

/// Memory for `NAMES` names: questions, and answers that are still good. About 400 bytes each.
///
/// A stack has it from [`Stack::add_names`](crate::Stack::add_names).
#[derive(Debug)]
pub struct NameStorage<const NAMES: usize>([Row; NAMES]);

impl<const NAMES: usize> NameStorage<NAMES> {
    /// Empty storage, fit for a static.
    pub const fn new() -> Self {
        const { assert!(NAMES > 0, "names need at least one place") };
        NameStorage([const { Row::EMPTY }; NAMES])
    }

    pub(crate) fn rows(&mut self) -> &mut [Row] {
        &mut self.0
    }
}

impl<const NAMES: usize> Default for NameStorage<NAMES> {
    fn default() -> Self {
        NameStorage::new()
    }
}

/// Every name that somebody asked for.
#[derive(Debug, Default)]
pub(crate) struct Names<'a> {
    pub(crate) rows: &'a mut [Row],
    /// How many tasks answer questions.
    pub(crate) resolvers: u16,
}

impl Names<'_> {
    /// The place of a question that somebody waits for from now on. `None`: there is none.
    pub(crate) fn ask(&mut self, name: &Name, family: Family, now: Instant) -> Option<u32> {
        let known = self.find(name, family, now);
        let index = known.or_else(|| self.make_room(now))?;
        let row = self.rows.get_mut(index)?;
        if known.is_none() || row.is_stale(now) {
            *row = Row {
                name: name.clone(),
                family,
                state: State::Asked,
                ..Row::EMPTY
            };
        }
        row.waits = row.waits.saturating_add(1);
        Some(index as u32)
    }

    fn find(&self, name: &Name, family: Family, now: Instant) -> Option<usize> {
        let is_it = |row: &Row| {
            row.family == family
                && row.state != State::Free
                && row.name.eq_ignore_ascii_case(name)
                // Who waits for an answer that is over gets it, and nobody else.
                && (!row.is_stale(now) || row.waits == 0)
        };
        self.rows.iter().position(is_it)
    }

    /// A place that is free, or has the answer that will be missed least.
    fn make_room(&self, now: Instant) -> Option<usize> {
        let rows = self.rows.iter().enumerate();
        let unused = rows
            .filter(|(_, row)| row.waits == 0 && !matches!(row.state, State::Asked | State::Taken));
        let left = |row: &Row| match row.state {
            State::Answered if !row.is_stale(now) => row.until,
            _ => Instant::ZERO,
        };
        unused
            .min_by_key(|(_, row)| left(row))
            .map(|(index, _)| index)
    }

    /// What came of a question, if something did.
    pub(crate) fn found(&self, place: u32) -> Option<(Found, &Addresses)> {
        let row = self.rows.get(place as usize)?;
        (row.state == State::Answered).then_some((row.found, &row.addresses))
    }

    /// Somebody waits no more. A question that nobody waits for is none.
    pub(crate) fn leave(&mut self, place: u32) {
        if let Some(row) = self.rows.get_mut(place as usize) {
            row.waits = row.waits.saturating_sub(1);
            if row.waits == 0 && row.state == State::Asked {
                row.state = State::Free;
            }
        }
    }

    /// Whether there is a question that nobody works on.
    pub(crate) fn has_question(&self) -> bool {
        self.rows.iter().any(|row| row.state == State::Asked)
    }

    /// Takes a question that nobody works on.
    pub(crate) fn take(&mut self) -> Option<(u32, Name, Family)> {
        let mut rows = self.rows.iter_mut().enumerate();
        let (index, row) = rows.find(|(_, row)| row.state == State::Asked)?;
        row.state = State::Taken;
        Some((index as u32, row.name.clone(), row.family))
    }

    /// Whether somebody still waits for the answer to a question that was taken.
    pub(crate) fn is_wanted(&self, place: u32) -> bool {
        let row = self.rows.get(place as usize);
        row.is_some_and(|row| row.state == State::Taken && row.waits > 0)
    }

    /// Answers a question that was taken, for so many seconds.
    pub(crate) fn answer(
        &mut self,
        place: u32,
        (found, addresses): (Found, Addresses),
        seconds: u32,
        now: Instant,
    ) {
        if let Some(row) = self.rows.get_mut(place as usize)
            && row.state == State::Taken
        {
            row.until = after(now, Duration::from_secs(seconds.min(LONGEST).into()));
            (row.state, row.found, row.addresses) = (State::Answered, found, addresses);
            if row.waits == 0 && row.is_stale(now) {
                row.state = State::Free;
            }
        }
    }

    /// A question that was taken is not worked on any more.
    pub(crate) fn give_back(&mut self, place: u32) {
        if let Some(row) = self.rows.get_mut(place as usize)
            && row.state == State::Taken
        {
            row.state = if row.waits == 0 {
                State::Free
            } else {
                State::Asked
            };
        }
    }

    /// Forgets what is known; who waits is asked for anew.
    pub(crate) fn forget(&mut self) {
        for row in &mut *self.rows {
            row.until = Instant::ZERO;
            if row.waits == 0 && !matches!(row.state, State::Taken) {
                row.state = State::Free;
            }
        }
    }
}

impl Row {
    /// Whether its answer is no good any more.
    fn is_stale(&self, now: Instant) -> bool {
        matches!(self.state, State::Answered) && self.until <= now
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::frame::dns::name;
    use smoltcp::wire::IpAddress;

    fn at(seconds: i64) -> Instant {
        Instant::from_secs(seconds)
    }

    fn named(text: &str) -> Name {
        name(text).unwrap()
    }

    fn addresses() -> (Found, Addresses) {
        let addresses = [IpAddress::v4(10, 0, 0, 7)].into_iter().collect();
        (Found::Addresses, addresses)
    }

    fn known(names: &Names<'_>, place: u32) -> Option<(Found, Addresses)> {
        names
            .found(place)
            .map(|(found, addresses)| (found, addresses.clone()))
    }

    #[test]
    fn a_question_is_taken_answered_and_good_for_a_while() {
        let mut storage = NameStorage::<2>::new();
        let mut names = Names {
            rows: storage.rows(),
            resolvers: 1,
        };
        let place = names.ask(&named("a.example"), Family::V4, at(0)).unwrap();
        assert_eq!(names.found(place), None);
        let (taken, name, family) = names.take().unwrap();
        assert_eq!((taken, family), (place, Family::V4));
        assert_eq!(name, named("a.example"));
        assert_eq!(names.take(), None, "once");
        // Another who asks for it waits for the same.
        assert_eq!(
            names.ask(&named("A.EXAMPLE"), Family::V4, at(1)),
            Some(place)
        );
        names.answer(place, addresses(), 10, at(2));
        assert_eq!(known(&names, place), Some(addresses()));
        names.leave(place);
        names.leave(place);
        // Good for ten seconds, without a question.
        assert_eq!(
            names.ask(&named("a.example"), Family::V4, at(11)),
            Some(place)
        );
        assert_eq!(known(&names, place), Some(addresses()));
        names.leave(place);
        let again = names.ask(&named("a.example"), Family::V4, at(12)).unwrap();
        assert_eq!(names.found(again), None, "asked again");
        assert!(names.take().is_some());
    }

    #[test]
    fn who_waits_for_an_answer_that_is_over_at_once_gets_it() {
        let mut storage = NameStorage::<2>::new();
        let mut names = Names {
            rows: storage.rows(),
            resolvers: 1,
        };
        let place = names.ask(&named("a"), Family::Any, at(0)).unwrap();
        names.take();
        names.answer(place, addresses(), 0, at(5));
        assert_eq!(known(&names, place), Some(addresses()));
        let other = names.ask(&named("a"), Family::Any, at(5)).unwrap();
        assert_ne!(other, place, "a new question");
        names.leave(place);
    }

    #[test]
    fn families_are_questions_of_their_own_and_full_says_so() {
        let mut storage = NameStorage::<2>::new();
        let mut names = Names {
            rows: storage.rows(),
            resolvers: 1,
        };
        let first = names.ask(&named("a"), Family::V4, at(0)).unwrap();
        assert!(names.ask(&named("a"), Family::V6, at(0)).is_some());
        assert_eq!(names.ask(&named("b"), Family::V4, at(0)), None);
        // One that is given up makes room.
        names.leave(first);
        assert!(names.ask(&named("b"), Family::V4, at(0)).is_some());
    }

    #[test]
    fn the_answer_that_is_over_first_makes_room() {
        let mut storage = NameStorage::<2>::new();
        let mut names = Names {
            rows: storage.rows(),
            resolvers: 1,
        };
        for (text, seconds) in [("long", 100), ("short", 10)] {
            let place = names.ask(&named(text), Family::V4, at(0)).unwrap();
            names.take();
            names.answer(place, addresses(), seconds, at(0));
            names.leave(place);
        }
        let place = names.ask(&named("new"), Family::V4, at(1)).unwrap();
        assert_eq!(names.found(place), None);
        let kept = names.ask(&named("long"), Family::V4, at(1)).unwrap();
        assert_eq!(known(&names, kept), Some(addresses()));
    }

    #[test]
    fn a_question_of_a_task_that_is_gone_is_asked_again() {
        let mut storage = NameStorage::<1>::new();
        let mut names = Names {
            rows: storage.rows(),
            resolvers: 1,
        };
        let place = names.ask(&named("a"), Family::V4, at(0)).unwrap();
        assert!(names.take().is_some());
        names.give_back(place);
        assert!(names.is_wanted(place) || names.take().is_some());
        names.leave(place);
        names.give_back(place);
        assert!(names.ask(&named("b"), Family::V4, at(0)).is_some());
    }
}
