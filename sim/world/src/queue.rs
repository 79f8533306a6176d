//! What is going to happen, in order: by time; at the same time faults first,
//! then deliveries, then turns, then attackers; among those, hosts by number; then the older
//! one first. Nothing else decides, so the order is the same on every machine.
//!
//! A host has one turn to come, which is often moved: turns are in a tree of their own
//! ([`Turns`]), and all else in a heap.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use smoltcp::time::Instant;

use super::fault::Fault;
use super::ids::{End, LinkId};
use super::turns::Turns;

/// Something that is going to happen. It is moved often, so it is small.
pub(super) enum What {
    /// Something goes wrong, or right again.
    Fault(Box<Fault>),
    /// A frame arrives.
    Deliver {
        link: LinkId,
        to: End,
        frame: Vec<u8>,
        /// The number of the event that sent it.
        sent: u64,
    },
    /// A host takes a turn.
    Turn { host: usize },
    /// An attacker sends its next frame.
    Attack { attacker: usize },
}

/// What of an entry's key is its age, and what the attacker's number.
const AGE_BITS: u32 = 42;
const ATTACKER_BITS: u32 = 20;

/// Class and attacker come before the age.
fn rank(class: u64, attacker: usize) -> u64 {
    let attacker = (attacker as u64).min((1 << ATTACKER_BITS) - 1);
    class << (AGE_BITS + ATTACKER_BITS) | attacker << AGE_BITS
}

/// Attackers come after turns, all others before.
const ATTACK: u64 = 3;

/// A heap moves its entries around, so they are small: what happens is kept beside it
/// and does not move.
struct Entry {
    /// Time, class, attacker, age, in one number.
    key: u128,
    place: u32,
}

impl Entry {
    fn at(&self) -> Instant {
        Instant::from_micros((self.key >> 64) as i64)
    }

    fn is_attack(&self) -> bool {
        self.key as u64 >> (AGE_BITS + ATTACKER_BITS) == ATTACK
    }
}

/// The first one is the greatest.
impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        other.key.cmp(&self.key)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.key == other.key
    }
}

impl Eq for Entry {}

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Entry>,
    turns: Turns,
    /// What happens, by the number in the heap; `None` is free.
    places: Vec<Option<What>>,
    free: Vec<u32>,
    pushed: u64,
    /// Faults that are still to come.
    pub(super) faults: usize,
}

impl Queue {
    /// Plans a host's turn, instead of the one that was planned.
    #[inline]
    pub(super) fn turn(&mut self, at: Instant, host: usize) {
        self.turns.set(host, at);
    }

    pub(super) fn push(&mut self, at: Instant, what: What) {
        let rank = match what {
            What::Turn { host } => return self.turn(at, host),
            What::Fault(_) => {
                self.faults += 1;
                rank(0, 0)
            }
            What::Deliver { .. } => rank(1, 0),
            What::Attack { attacker } => rank(ATTACK, attacker),
        };
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() as u32 - 1
        });
        self.places[place as usize] = Some(what);
        // No world begins before zero.
        let at = at.total_micros().max(0) as u64;
        let key = u128::from(at) << 64 | u128::from(rank | self.pushed);
        self.heap.push(Entry { key, place });
        self.pushed += 1;
    }

    /// Everything that is going to happen but turns, in no order.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> impl Iterator<Item = &What> {
        self.places.iter().flatten()
    }

    /// When the next one happens.
    pub(super) fn next_at(&self) -> Option<Instant> {
        let first = self.heap.peek().map(Entry::at);
        first.into_iter().chain(self.turns.next_at()).min()
    }

    pub(super) fn pop(&mut self) -> Option<(Instant, What)> {
        let first = self
            .heap
            .peek()
            .map(|first| (first.at(), first.is_attack()));
        if let Some(at) = self.turns.next_at()
            && first.is_none_or(|first| (at, false) < first)
        {
            let host = self.turns.pop()?;
            return Some((at, What::Turn { host }));
        }
        let entry = self.heap.pop()?;
        self.free.push(entry.place);
        let what = self.places[entry.place as usize].take()?;
        self.faults -= usize::from(matches!(what, What::Fault(_)));
        Some((entry.at(), what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HostId;

    #[test]
    fn time_then_class_then_host_then_age() {
        let mut queue = Queue::default();
        let at = Instant::from_micros;
        let frame = |byte| What::Deliver {
            link: LinkId(0),
            to: End::Host(HostId(0)),
            frame: vec![byte],
            sent: 0,
        };
        queue.push(at(5), What::Attack { attacker: 1 });
        queue.push(at(5), What::Attack { attacker: 0 });
        queue.push(at(5), What::Turn { host: 1 });
        queue.push(at(9), What::Turn { host: 0 });
        queue.push(at(5), What::Turn { host: 0 });
        queue.push(at(5), frame(1));
        queue.push(at(5), frame(2));
        queue.push(at(5), What::Fault(Box::new(Fault::Crash(HostId(3)))));
        queue.push(at(4), What::Turn { host: 9 });
        queue.push(at(6), frame(3));
        let mut order = Vec::new();
        while let Some((at, what)) = queue.pop() {
            order.push(match what {
                What::Fault(_) => format!("{} fault", at.total_micros()),
                What::Deliver { frame, .. } => format!("{} frame {}", at.total_micros(), frame[0]),
                What::Turn { host } => format!("{} turn {host}", at.total_micros()),
                What::Attack { attacker } => format!("{} attack {attacker}", at.total_micros()),
            });
        }
        let expected = [
            "4 turn 9",
            "5 fault",
            "5 frame 1",
            "5 frame 2",
            "5 turn 0",
            "5 turn 1",
            "5 attack 0",
            "5 attack 1",
            "6 frame 3",
        ];
        assert_eq!(order, expected);
    }
}
