//! The two event loops of a loopback run as one. Both hosts take a turn at the
//! same virtual time; then time goes to what happens next.
//!
//! It cannot hang: when nothing can happen any more, or nothing moves for many
//! turns, it ends and says so.

use cygnet::{Node, Turn, Turns, turns};
use smoltcp::phy::Device;
use smoltcp::time::{Duration, Instant};

use super::client::Job;
use super::progress::Progress;
use crate::host::StopFlag;
use crate::observe::Out;

/// After the last client ended, the server has this long to finish.
const AFTERMATH: Duration = Duration::from_secs(120);

/// How many tasks of a host are listed when a run is stuck.
const LISTED: usize = 20;

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Every client ended.
    Over,
    /// Somebody asked for it.
    Stopped,
    /// Nothing can happen any more, or nothing did for a long time.
    Stuck {
        why: &'static str,
        /// What the tasks wait for, a line each.
        waiting: Vec<String>,
    },
}

/// What a run needs between two turns.
pub(super) struct Run<'r> {
    pub server: Node<'static>,
    pub job: &'static Job,
    pub stop: StopFlag,
    pub out: &'static Out,
    pub next_delivery: &'r dyn Fn() -> Option<Instant>,
    pub progress: Progress,
    /// Turns without anything moving after which it counts as stuck.
    pub patience: u64,
}

impl Run<'_> {
    /// Runs both hosts to the end, and gives the virtual time of it.
    pub(super) fn drive(
        &mut self,
        server: &mut impl Device,
        client: &mut impl Device,
    ) -> (Ending, Instant) {
        turns(self.server, |servers| {
            turns(self.job.node, |clients| {
                self.steps((servers, server), (clients, client))
            })
        })
    }

    fn steps<S: Device, C: Device>(
        &mut self,
        (servers, server): (&mut Turns<'_, 'static>, &mut S),
        (clients, client): (&mut Turns<'_, 'static>, &mut C),
    ) -> (Ending, Instant) {
        let counts = &self.job.counts;
        let mut now = Instant::ZERO;
        let (mut moved, mut quiet) = (0, 0);
        let mut over_at = None;
        loop {
            let left = servers.turn(server, now);
            let right = clients.turn(client, now);
            if right == Turn::Done {
                // No client is left: like the lesson's loop, this one ends when
                // nobody waits any more.
                if over_at.is_none() {
                    self.server.close_listeners();
                    over_at = Some(now + AFTERMATH);
                    now += Duration::from_micros(1);
                    continue;
                }
                if left == Turn::Done || over_at.is_some_and(|at| now >= at) {
                    return (Ending::Over, now);
                }
            }
            if self.stop.is_set() || self.out.is_closed() {
                return (Ending::Stopped, now);
            }
            quiet += 1;
            if counts.progress.get() != moved {
                (moved, quiet) = (counts.progress.get(), 0);
            }
            if quiet > self.patience {
                return (self.stuck("nothing moves, turn after turn"), now);
            }
            self.progress.tell(counts);
            match next(left, right, (self.next_delivery)()) {
                Some(at) => now = at.max(now + Duration::from_micros(1)),
                None if over_at.is_some() => return (Ending::Over, now),
                None => return (self.stuck("nothing can happen any more"), now),
            }
        }
    }

    /// Must be asked while the tasks are still there.
    fn stuck(&self, why: &'static str) -> Ending {
        let mut waiting = Vec::new();
        for (name, node) in [("server", self.server), ("client", self.job.node)] {
            let lines = node.waiting().map(|task| format!("{name} task {task}"));
            waiting.extend(lines.take(LISTED));
            let more = node.waiting().count().saturating_sub(LISTED);
            if more > 0 {
                waiting.push(format!("{name}: and {more} more tasks"));
            }
        }
        Ending::Stuck { why, waiting }
    }
}

/// When something happens next; a host with more to do makes that now.
fn next(left: Turn, right: Turn, delivery: Option<Instant>) -> Option<Instant> {
    let wish = |turn| match turn {
        Turn::Ready => Some(Instant::ZERO),
        Turn::Idle(at) => at,
        Turn::Done => None,
    };
    let wishes = wish(left).into_iter().chain(wish(right)).chain(delivery);
    wishes.min()
}

#[cfg(test)]
mod tests;
