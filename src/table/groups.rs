//! When this host says which groups it hears: twice when it begins to (RFC 3810, 6.1), and
//! when a router asks.
//!
//! Not here: which groups these are, and how it is said.

use smoltcp::time::{Duration, Instant};

/// How long after the first time it is said again that a host began to hear a group (RFC
/// 3810, 9.11).
const AGAIN: Duration = Duration::from_secs(1);

/// What is still to be said.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// When; `None`: nothing.
    pub(crate) due: Option<Instant>,
    /// How often all of them.
    rounds: u8,
    /// Of which of the host's addresses next.
    pub(crate) next: usize,
    /// The router that asked last speaks the first version (RFC 3810, 8.2.1).
    pub(crate) first: bool,
    /// The host begins to hear them, and was not asked.
    pub(crate) begins: bool,
}

impl Groups {
    /// The host has a new address, or begins again.
    pub(crate) fn begin(&mut self, now: Instant) {
        *self = Groups {
            due: Some(now),
            rounds: 2,
            next: 0,
            first: self.first,
            begins: true,
        };
    }

    /// A router asks, and `at` is early enough. What is due before then is an answer too.
    pub(crate) fn asked(&mut self, first: bool, at: Instant) {
        self.first = first;
        if self.due.is_none_or(|due| at < due) {
            (self.due, self.rounds, self.begins) = (Some(at), 1, false);
        }
    }

    /// All of them were said.
    pub(crate) fn said(&mut self, now: Instant) {
        self.rounds = self.rounds.saturating_sub(1);
        self.next = 0;
        self.due = (self.rounds > 0).then(|| now + AGAIN);
    }
}
