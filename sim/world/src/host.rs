//! A host of a world: a machine, its network card, a clock that may run wrong, and
//! whether it is on. Most machines are nodes of this library; of others the world knows
//! what passes their card and what they say.

use std::rc::Rc;

use cygnet::Node;
use smoltcp::time::Instant;

use super::board::Board;
use super::card::Card;
use super::clock::Clock;
use super::identity::Identity;
use super::machine::{Broken, Entropy, Machine};

/// What a host is.
pub(super) enum Kind {
    /// A node of this library, which tells its events itself.
    Node(Box<Board>),
    /// Anything else.
    Other(Box<dyn Machine>),
}

pub(super) struct Host {
    pub(super) name: Rc<str>,
    pub(super) card: Card,
    pub(super) clock: Clock,
    pub(super) paused: bool,
    /// It has its address from a server.
    pub(super) is_tenant: bool,
    /// The cable of its link is pulled, and it sees that.
    pub(super) link_is_down: bool,
    /// The one turn that is planned; one in the queue at another time is stale.
    pub(super) wake_at: Option<Instant>,
    /// What it said so far.
    pub(super) printed: Vec<String>,
    pub(super) kind: Kind,
    who: Identity,
    secret: u64,
    boots: u64,
    is_up: bool,
}

/// The most frames that a turn of a machine of somebody else's may send.
const MOST_SENT: usize = 4096;

impl Host {
    pub(super) fn new(who: Identity, secret: u64, kind: Kind) -> Self {
        Host {
            name: Rc::clone(&who.name),
            card: Card::default(),
            clock: Clock::default(),
            paused: false,
            is_tenant: false,
            link_is_down: false,
            wake_at: None,
            printed: Vec::new(),
            kind,
            who,
            secret,
            boots: 0,
            is_up: false,
        }
    }

    /// The handle to its stack and tasks, if they are of this library.
    pub(super) fn node(&self) -> Option<Node<'static>> {
        Some(self.board()?.node())
    }

    pub(super) fn board(&self) -> Option<&Board> {
        match &self.kind {
            Kind::Node(board) => Some(board),
            Kind::Other(_) => None,
        }
    }

    fn machine(&mut self) -> &mut dyn Machine {
        match &mut self.kind {
            Kind::Node(board) => &mut **board,
            Kind::Other(machine) => &mut **machine,
        }
    }

    /// Whether its tables are to be checked after this turn.
    pub(super) fn is_due_for_audit(&self) -> bool {
        self.board().is_some_and(Board::is_due_for_audit)
    }

    /// Asked now and then: whether its tables are to be checked because it came to rest.
    pub(super) fn is_due_at_rest(&mut self) -> bool {
        match &mut self.kind {
            Kind::Node(board) => board.is_due_at_rest(),
            Kind::Other(_) => false,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.is_up
    }

    /// Whether it is up and has nothing left to do.
    pub(super) fn is_done(&self) -> bool {
        self.is_up
            && match &self.kind {
                Kind::Node(board) => board.is_done(),
                Kind::Other(machine) => machine.is_done(),
            }
    }

    /// Every task and what it waits for, a line each; one line for other machines.
    pub(super) fn waiting(&self) -> String {
        let name = &self.name;
        match &self.kind {
            Kind::Node(board) => {
                let tasks = board.node().waiting();
                tasks.map(|task| format!("{name}: {task}\n")).collect()
            }
            Kind::Other(machine) if self.is_up => format!("{name}: {}\n", machine.waiting()),
            Kind::Other(_) => format!("{name}: off\n"),
        }
    }

    /// Power on: new sequence numbers and ports, no neighbors, the program from
    /// its beginning. The time since power on is zero again.
    ///
    /// # Errors
    /// The machine cannot start.
    pub(super) fn boot(&mut self, now: Instant) -> Result<(), Broken> {
        self.crash();
        let entropy = Entropy::new(self.secret, self.boots);
        self.boots += 1;
        self.clock.restart(now);
        if matches!(self.kind, Kind::Other(_)) {
            self.card = Card::watched();
        }
        let (who, local) = (self.who.clone(), self.clock.local(now));
        let booted = self.machine().boot(&who, entropy, local);
        self.is_up = booted.is_ok();
        booted
    }

    /// Power off: every task is dropped, nothing is sent.
    pub(super) fn crash(&mut self) {
        self.is_up = false;
        self.machine().power_off();
        self.paused = false;
        self.wake_at = None;
        self.card = Card::default();
    }

    /// One turn, if it is up. Gives when it wants the next, on its own clock.
    ///
    /// # Errors
    /// The machine cannot go on.
    pub(super) fn turn(&mut self, now: Instant) -> Option<Result<Option<Instant>, Broken>> {
        if !self.is_up {
            return None;
        }
        let local = self.clock.local(now);
        (self.card.taken, self.card.link_is_down) = (0, self.link_is_down);
        Some(match &mut self.kind {
            Kind::Node(board) => board.turn(&mut self.card, local),
            Kind::Other(machine) => machine.turn(&mut self.card, local),
        })
    }

    /// Looks inside, between two steps: its tables must agree, nothing that it has sent was
    /// without a timer, and its next turn must be planned no later than its first. Gives
    /// the rule that is broken, and how. Costs a look at every slot.
    pub(super) fn audit(&self, now: Instant) -> Result<(), (&'static str, String)> {
        let Some(board) = self.board() else {
            return Ok(());
        };
        let name = &self.name;
        if let Err(wrong) = board.audit() {
            return Err(("tables", format!("{name}: {wrong}")));
        }
        let rescued = board.node().counters().rescued;
        if rescued > 0 {
            let detail = format!("{name} has sent {rescued} times what had no timer");
            return Err(("rescued", detail));
        }
        let Some(due) = board.next_deadline().filter(|_| !self.paused) else {
            return Ok(());
        };
        // A host takes two turns at least a microsecond apart.
        let latest = self.clock.world(due).max(now).total_micros();
        let latest = Instant::from_micros(latest.saturating_add(1));
        match self.wake_at.is_none_or(|planned| planned > latest) {
            true => {
                let detail = format!("{name} has a timer at {due}, and no turn then");
                Err(("deadline", detail))
            }
            false => Ok(()),
        }
    }

    /// The most frames that one turn may receive, and may send.
    pub(super) fn budget(&self) -> (usize, usize) {
        match &self.kind {
            Kind::Node(board) => board.budget(),
            Kind::Other(_) => (usize::MAX, MOST_SENT),
        }
    }

    /// Leaves everything as it is, for ever. What others made must take care of itself.
    pub(super) fn abandon(&mut self) {
        if let Kind::Node(board) = &mut self.kind {
            board.abandon();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Kind::Other(machine) = &mut self.kind
            && !std::thread::panicking()
        {
            machine.power_off();
        }
    }
}
