//! What is going to happen, in order: by time; at the same time faults first,
//! then deliveries, then turns, then attackers; among those, hosts by number; then the older
//! one first. Nothing else decides, so the order is the same on every machine.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use smoltcp::time::Instant;

use super::fault::Fault;
use super::ids::{End, LinkId};

/// Something that is going to happen.
pub(super) enum What {
    /// Something goes wrong, or right again.
    Fault(Fault),
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

impl What {
    /// Class and host.
    fn rank(&self) -> (u8, usize) {
        match self {
            What::Fault(_) => (0, 0),
            What::Deliver { .. } => (1, 0),
            What::Turn { host } => (2, *host),
            What::Attack { attacker } => (3, *attacker),
        }
    }
}

/// When, class and host, age. A heap moves its entries around, so they are small:
/// what happens is kept beside it and does not move.
type Key = (Instant, u64, u64);

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<(Key, u32)>>,
    /// What happens, by the number in the heap; `None` is free.
    places: Vec<Option<What>>,
    free: Vec<u32>,
    pushed: u64,
    /// Faults that are still to come.
    pub(super) faults: usize,
}

impl Queue {
    pub(super) fn push(&mut self, at: Instant, what: What) {
        self.faults += usize::from(matches!(what, What::Fault(_)));
        let (class, host) = what.rank();
        let rank = u64::from(class) << 32 | host as u64;
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() as u32 - 1
        });
        self.places[place as usize] = Some(what);
        self.heap.push(Reverse(((at, rank, self.pushed), place)));
        self.pushed += 1;
    }

    /// Everything that is going to happen, in no order.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> impl Iterator<Item = &What> {
        self.places.iter().flatten()
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(((at, ..), _))| *at)
    }

    pub(super) fn pop(&mut self) -> Option<(Instant, What)> {
        let Reverse(((at, ..), place)) = self.heap.pop()?;
        self.free.push(place);
        let what = self.places[place as usize].take()?;
        self.faults -= usize::from(matches!(what, What::Fault(_)));
        Some((at, what))
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
        queue.push(at(5), What::Turn { host: 1 });
        queue.push(at(5), What::Turn { host: 0 });
        queue.push(at(5), frame(1));
        queue.push(at(5), frame(2));
        queue.push(at(5), What::Fault(Fault::Crash(HostId(3))));
        queue.push(at(4), What::Turn { host: 9 });
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
        ];
        assert_eq!(order, expected);
    }
}
