//! The way of a frame, from event to event: what a host sends goes into a link, comes
//! to a switch and goes on, comes to a host and is taken from its ring. Each event
//! knows the one before it.
//!
//! Not here: what a task does with it (`cause`).

use std::collections::{BTreeMap, VecDeque};

use cygnet::event::Event;

use super::fault::Fault;
use super::ids::{End, HostId};
use super::log::{Arrival, Happening};

/// Frames that a host without a link has sent; older ones are forgotten.
const UNSENT: usize = 1 << 10;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Passages {
    hosts: BTreeMap<usize, Card>,
    /// What came to a switch last: it is sent on at once.
    forwarded: Option<u64>,
}

/// Numbers of events: frames that are about to go into the link, and frames in the
/// ring, by the event that put them into a link.
#[derive(Debug, Default)]
struct Card {
    out: VecDeque<u64>,
    ring: VecDeque<u64>,
}

impl Passages {
    /// Takes note of an event. Gives the one that led to it: what the host sent, for a
    /// frame in a link; what went into a link, for a frame that a host takes.
    pub(super) fn happened(&mut self, number: u64, what: &Happening<'_>) -> Option<u64> {
        match what {
            Happening::Host(host, _, Event::FrameOut(_)) => {
                let out = &mut self.card(*host).out;
                if out.len() == UNSENT {
                    out.pop_front();
                }
                out.push_back(number);
                None
            }
            Happening::Host(host, _, Event::FrameIn(_)) => self.card(*host).ring.pop_front(),
            Happening::Sent { ends, .. } => match ends.0 {
                End::Host(host) => self.card(host).out.pop_front(),
                End::Switch(_) => self.forwarded,
                End::Attacker(_) => None,
            },
            Happening::Fault(Fault::Crash(host) | Fault::Boot(host)) => {
                *self.card(*host) = Card::default();
                None
            }
            _ => None,
        }
    }

    /// Takes note of what came to the end of a link.
    pub(super) fn arrived(&mut self, sent: u64, to: End, how: Arrival) {
        match (to, how) {
            (End::Host(host), Arrival::Taken) => self.card(host).ring.push_back(sent),
            (End::Switch(_), _) => self.forwarded = Some(sent),
            _ => (),
        }
    }

    fn card(&mut self, host: HostId) -> &mut Card {
        self.hosts.entry(host.0).or_default()
    }
}
