//! Lines of places in a table: who waits, what is to leave, what is free. The links are a
//! slice of numbers beside the table, so that one code serves them all; a place is in at most
//! one line at a time. Its methods are given the links, always the same.

/// A line, first to last; places are counted from one, zero is the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) head: u32,
    tail: u32,
}

impl Line {
    pub(crate) const EMPTY: Line = Line { head: 0, tail: 0 };

    /// Every place of a table.
    pub(crate) fn of_all(links: &mut [u32]) -> Line {
        let mut line = Line::EMPTY;
        (0..links.len() as u32).for_each(|place| line.push(links, place));
        line
    }

    pub(crate) fn first(&self) -> Option<u32> {
        self.head.checked_sub(1)
    }

    /// Who stands behind this one.
    pub(crate) fn behind(links: &[u32], place: u32) -> Option<u32> {
        links.get(place as usize)?.checked_sub(1)
    }

    /// Puts a place that is in no line behind all others.
    pub(crate) fn push(&mut self, links: &mut [u32], place: u32) {
        let last = core::mem::replace(&mut self.tail, place + 1);
        *self.link(links, last) = place + 1;
        *self.link(links, place + 1) = 0;
    }

    /// The same before all others.
    pub(crate) fn push_front(&mut self, links: &mut [u32], place: u32) {
        *self.link(links, place + 1) = self.head;
        self.head = place + 1;
        if self.tail == 0 {
            self.tail = self.head;
        }
    }

    pub(crate) fn pop(&mut self, links: &mut [u32]) -> Option<u32> {
        let first = self.first()?;
        self.head = links.get(first as usize).copied()?;
        if self.head == 0 {
            self.tail = 0;
        }
        Some(first)
    }

    /// Takes a place out of this line. It costs as much as there is before it.
    pub(crate) fn unlink(&mut self, links: &mut [u32], place: u32) {
        let (mut before, mut at) = (0, self.head);
        while at != 0 {
            let next = *self.link(links, at);
            if at == place + 1 {
                *self.link(links, before) = next;
                if next == 0 {
                    self.tail = before;
                }
                return;
            }
            (before, at) = (at, next);
        }
    }

    /// What leads on from a place, counted from one, or from before the first.
    fn link<'l>(&'l mut self, links: &'l mut [u32], number: u32) -> &'l mut u32 {
        let place = (number as usize).checked_sub(1);
        let link = place.and_then(|place| links.get_mut(place));
        link.unwrap_or(&mut self.head)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    proptest::proptest! {
        #[test]
        fn a_line_is_a_queue_with_removal(steps in proptest::collection::vec((0u8..4, 0u32..6), 0..200)) {
            let (mut links, mut line, mut model) = ([7; 6], Line::EMPTY, VecDeque::new());
            for (step, place) in steps {
                match step {
                    0 if !model.contains(&place) => {
                        line.push(&mut links, place);
                        model.push_back(place);
                    }
                    1 if !model.contains(&place) => {
                        line.push_front(&mut links, place);
                        model.push_front(place);
                    }
                    2 => assert_eq!(line.pop(&mut links), model.pop_front()),
                    // Also one that is not in it.
                    3 => {
                        line.unlink(&mut links, place);
                        model.retain(|&other| other != place);
                    }
                    _ => (),
                }
                let next = |place: &u32| Line::behind(&links, *place);
                let all: Vec<u32> = core::iter::successors(line.first(), next).collect();
                assert_eq!(all, Vec::from(model.clone()));
            }
        }
    }
}
