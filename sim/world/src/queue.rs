//! What is going to happen, in order: by time; at the same time faults first,
//! then deliveries, then turns, then attackers; among those, hosts by number; then the older
//! one first. Nothing else decides, so the order is the same on every machine.
//!
//! A host has one turn to come, which is often moved: turns are in a tree of their own
//! ([`Turns`]). A turn that a frame calls for is one of this moment: that stands in a
//! short list, and the tree is told once, when the turn is over. All else is in a ring of
//! spans ([`Wheel`]) if it happens soon, and else in a heap.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use smoltcp::time::Instant;

use super::fault::Fault;
use super::ids::{End, LinkId};
use super::turns::Turns;
use super::wheel::Wheel;

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

/// Faults come before deliveries, then turns, and attackers at last.
const FAULT: u64 = 0;
const DELIVER: u64 = 1;
const TURN: u64 = 2;
const ATTACK: u64 = 3;

/// Time comes before rank.
fn key(micros: u64, rank: u64) -> u128 {
    u128::from(micros) << 64 | u128::from(rank)
}

/// A heap moves its entries around, so they are small: what happens is kept beside it
/// and does not move.
struct Entry {
    /// Time, class, attacker, age, in one number.
    key: u128,
    place: u32,
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

/// What is next: when, and where it is kept.
pub(super) struct Next {
    pub(super) at: Instant,
    kept: Kept,
}

#[derive(Clone, Copy)]
enum Kept {
    Wheel,
    Heap,
    Now,
    Tree,
}

/// So many turns of one moment are in the short list; more are in the tree.
const OF_NOW: usize = 64;

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    soon: Wheel,
    heap: BinaryHeap<Entry>,
    turns: Turns,
    /// When the last one happened, in microseconds.
    now: u64,
    /// Hosts with a turn at that moment, the lowest number last. What the tree has of
    /// them is out of date.
    of_now: Vec<usize>,
    /// What happens, by the number in the wheel and in the heap; `None` is free.
    places: Vec<Option<What>>,
    free: Vec<u32>,
    pushed: u64,
    /// Faults that are still to come.
    pub(super) faults: usize,
}

impl Queue {
    /// Plans a host's turn, instead of the one that was planned.
    pub(super) fn turn(&mut self, at: Instant, host: usize) {
        let is_now = at.total_micros() as u64 == self.now;
        if (!is_now && self.of_now.is_empty()) || self.turns.is_set(host, at) {
            return self.turns.set(host, at);
        }
        let place = self.of_now.binary_search_by(|other| host.cmp(other));
        match place {
            Err(place) if is_now && self.of_now.len() < OF_NOW => self.of_now.insert(place, host),
            Err(_) => self.turns.set(host, at),
            Ok(_) if is_now => (),
            Ok(place) => {
                self.of_now.remove(place);
                self.turns.set(host, at);
            }
        }
    }

    /// A host's turn has been taken, and no other is planned.
    pub(super) fn no_turn(&mut self, host: usize) {
        self.turns.clear(host);
    }

    pub(super) fn push(&mut self, at: Instant, what: What) {
        let rank = match what {
            What::Turn { host } => return self.turn(at, host),
            What::Fault(_) => {
                self.faults += 1;
                rank(FAULT, 0)
            }
            What::Deliver { .. } => rank(DELIVER, 0),
            What::Attack { attacker } => rank(ATTACK, attacker),
        };
        self.plan(at, rank, what);
    }

    #[inline]
    fn plan(&mut self, at: Instant, rank: u64, what: What) {
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place as usize] = Some(what);
                place
            }
            None => {
                self.places.push(Some(what));
                self.places.len() as u32 - 1
            }
        };
        // No world begins before zero.
        let key = key(at.total_micros().max(0) as u64, rank | self.pushed);
        self.pushed += 1;
        if !self.soon.push(self.now, key, place) {
            self.heap.push(Entry { key, place });
        }
    }

    /// Everything that is going to happen but turns, in no order.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> impl Iterator<Item = &What> {
        self.places.iter().flatten()
    }

    /// What happens next.
    #[inline]
    pub(super) fn next(&self) -> Option<Next> {
        let soon = self.soon.first();
        let late = self.heap.peek().map_or(u128::MAX, |entry| entry.key);
        let (first, kept) = match soon <= late {
            true => (soon, Kept::Wheel),
            false => (late, Kept::Heap),
        };
        let planned = self.turns.next_at();
        let (turn, turn_kept) = match self.of_now.last() {
            None => (planned, Kept::Tree),
            Some(&host) => {
                let now = Instant::from_micros(self.now as i64);
                let has_other = planned.is_some_and(|at| at <= now);
                let is_later = !has_other || self.turns.first().is_none_or(|other| host < other);
                (Some(now), if is_later { Kept::Now } else { Kept::Tree })
            }
        };
        if let Some(at) = turn
            && key(at.total_micros() as u64, rank(TURN, 0)) < first
        {
            return Some(Next {
                at,
                kept: turn_kept,
            });
        }
        let at = Instant::from_micros((first >> 64) as i64);
        (first != u128::MAX).then_some(Next { at, kept })
    }

    /// Takes what is next. The turn of a host stays where it is until it is planned anew,
    /// or [`no_turn`](Self::no_turn) is said; one of them has to follow.
    #[inline]
    pub(super) fn take(&mut self, next: &Next) -> Option<What> {
        self.now = self.now.max(next.at.total_micros() as u64);
        let place = match next.kept {
            Kept::Now => {
                let host = self.of_now.pop()?;
                return Some(What::Turn { host });
            }
            Kept::Tree => {
                let host = self.turns.first()?;
                return Some(What::Turn { host });
            }
            Kept::Wheel => self.soon.pop()?,
            Kept::Heap => self.heap.pop()?.place,
        };
        self.free.push(place);
        let what = self.places[place as usize].take();
        self.faults -= usize::from(matches!(what, Some(What::Fault(_))));
        what
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
        while let Some(next) = queue.next() {
            let (at, what) = (next.at, queue.take(&next).unwrap());
            order.push(match what {
                What::Fault(_) => format!("{} fault", at.total_micros()),
                What::Deliver { frame, .. } => format!("{} frame {}", at.total_micros(), frame[0]),
                What::Turn { host } => {
                    queue.no_turn(host);
                    format!("{} turn {host}", at.total_micros())
                }
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
