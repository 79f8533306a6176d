//! What is going to happen, in order: by time; at the same time faults first,
//! then deliveries, then turns; among those, hosts by number; then the older
//! one first. Nothing else decides, so the order is the same on every machine.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use smoltcp::time::Instant;

use super::{End, Fault, LinkId};

/// Something that is going to happen.
pub(super) enum What {
    /// Something goes wrong, or right again.
    Fault(Fault),
    /// A frame arrives.
    Deliver {
        link: LinkId,
        to: End,
        frame: Vec<u8>,
    },
    /// A host takes a turn.
    Turn { host: usize },
}

impl What {
    /// Class and host.
    fn rank(&self) -> (u8, usize) {
        match self {
            What::Fault(_) => (0, 0),
            What::Deliver { .. } => (1, 0),
            What::Turn { host } => (2, *host),
        }
    }
}

type Key = (Instant, (u8, usize), u64);

struct Entry {
    key: Key,
    what: What,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    pushed: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: Instant, what: What) {
        let key = (at, what.rank(), self.pushed);
        self.pushed += 1;
        self.heap.push(Reverse(Entry { key, what }));
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.key.0)
    }

    pub(super) fn pop(&mut self) -> Option<(Instant, What)> {
        let Reverse(Entry { key, what }) = self.heap.pop()?;
        Some((key.0, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::HostId;

    #[test]
    fn time_then_class_then_host_then_age() {
        let mut queue = Queue::default();
        let at = Instant::from_micros;
        let frame = |byte| What::Deliver {
            link: LinkId(0),
            to: End::Host(HostId(0)),
            frame: vec![byte],
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
