//! A moment of a host, as it can be handed to another thread; and what its counters were in
//! the last second.
//!
//! Not here: its words (`table.rs`, `words.rs`).

use std::collections::VecDeque;

use cygnet::event::{Counters, Source};
use cygnet::task::{TaskState, Waiting};
use cygnet::{Connection, Node};
use smoltcp::time::{Duration, Instant};

/// Rates are of so long.
const WINDOW: Duration = Duration::from_secs(1);

/// What a host is doing, after a turn.
#[derive(Clone, Debug)]
pub struct Moment {
    /// When.
    pub now: Instant,
    /// Totals.
    pub counters: Counters,
    /// Its tasks.
    pub tasks: Vec<Waiting>,
    /// Its connections.
    pub connections: Vec<Connection>,
}

impl Moment {
    /// Now.
    pub fn of(node: Node<'_>) -> Moment {
        Moment {
            now: node.now(),
            counters: node.counters(),
            tasks: node.waiting().collect(),
            connections: node.connections().collect(),
        }
    }

    /// What tasks wait for at a connection: reasons, or nothing.
    pub(super) fn waits_at(&self, slot: u32) -> String {
        let reasons = self.tasks.iter().filter_map(|task| match task.state {
            TaskState::Waiting(reason, Source::Stream(at)) if at == slot => {
                Some(reason.to_string())
            }
            _ => None,
        });
        reasons.collect::<Vec<_>>().join(" ")
    }
}

/// The counters of the last second.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<(Instant, Counters)>);

impl History {
    pub(super) fn add(&mut self, moment: &Moment) {
        self.0.push_back((moment.now, moment.counters));
        // The first one is the last that is a second old, or older.
        while self.0.len() > 2 && self.0[1].0 + WINDOW <= moment.now {
            self.0.pop_front();
        }
    }

    /// How much of it there was in a second.
    pub(super) fn rate(&self, of: impl Fn(&Counters) -> u64) -> u64 {
        let (Some((from, first)), Some((to, last))) = (self.0.front(), self.0.back()) else {
            return 0;
        };
        let grown = of(last).saturating_sub(of(first));
        let micros = (*to - *from).total_micros();
        let rate = u128::from(grown) * 1_000_000 / u128::from(micros.max(1));
        match micros {
            0 => 0,
            _ => u64::try_from(rate).unwrap_or(u64::MAX),
        }
    }
}
