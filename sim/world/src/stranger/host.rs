//! A stranger as a machine: it answers who asks for its hardware address, has one
//! conversation after the other, or one with everybody who comes, and says which rule the
//! other has broken.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpAddress;

use super::part::Wrong;
use super::talk::{Stage, Talk};
use crate::card::Card;
use crate::draws::keyed;
use crate::effects::Effects;
use crate::identity::Identity;
use crate::lie::Lie;
use crate::log::Witness;
use crate::machine::{Broken, Entropy, Machine};
use crate::plan::Caller;
use crate::router::too_big;
use crate::segment::{Address, Heard, Segment, hear, here, knock};
use crate::tally::{VisitTally, Why};
use crate::visit::PORT;

/// Conversations that are over, and whose last word may have to be repeated; or that a
/// server has.
const OLD: usize = 4;

/// How many datagrams a knock is, and how long after the last.
const KNOCKS: u16 = 40;
const KNOCK: Duration = Duration::from_millis(500);

/// See the [module](self).
pub(crate) struct Stranger {
    pub(crate) caller: Caller,
    /// Nobody may be reset, or wait for ever.
    pub(crate) honest: bool,
    /// `None`: it is one.
    pub(crate) server: Option<Address>,
    pub(crate) witness: Witness,
    pub(crate) tally: Rc<VisitTally>,
    pub(crate) effects: Rc<RefCell<Effects>>,
    pub(crate) running: Option<Running>,
}

/// What it knows since it was switched on.
pub(crate) struct Running {
    me: Address,
    boots: u64,
    talk: Option<Talk>,
    old: VecDeque<Talk>,
    visits: u32,
    next_at: Instant,
    knock_at: Instant,
    /// When it knocked last, and how many errors came since.
    knocked: Instant,
    errors: i64,
}

impl Machine for Stranger {
    fn boot(&mut self, who: &Identity, mut entropy: Entropy, now: Instant) -> Result<(), Broken> {
        let address = who.addresses[usize::from(self.caller.v6)].address();
        let ip = match (address, self.caller.v6) {
            (IpAddress::Ipv4(_), false) | (IpAddress::Ipv6(_), true) => address,
            _ => return Err(Broken::new("it has no address of that kind")),
        };
        let start = now + self.caller.start;
        self.running = Some(Running {
            me: Address {
                hardware: who.hardware,
                ip,
            },
            boots: entropy.next_u64(),
            talk: None,
            old: VecDeque::new(),
            visits: 0,
            next_at: start,
            knock_at: start,
            knocked: now,
            errors: 0,
        });
        Ok(())
    }

    fn turn(&mut self, card: &mut Card, now: Instant) -> Result<Option<Instant>, Broken> {
        let Some(running) = &mut self.running else {
            return Ok(None);
        };
        let mut turn = Turn {
            caller: &self.caller,
            honest: self.honest,
            server: self.server,
            witness: &self.witness,
            tally: &self.tally,
            effects: &mut self.effects.borrow_mut(),
            running,
            now,
        };
        if let Err((rule, detail)) = turn.take(card) {
            self.witness.violated(rule, detail);
            return Ok(None);
        }
        Ok(turn.next_at())
    }

    fn power_off(&mut self) {
        self.running = None;
    }

    fn is_done(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| {
            let comes = self.witness.now() < self.caller.until;
            running.talk.is_none() && (running.visits >= self.caller.visits || !comes)
        })
    }

    fn waiting(&self) -> String {
        let talk = self.running.as_ref().map(|running| &running.talk);
        match talk {
            None => "off".into(),
            Some(None) => "between two conversations".into(),
            Some(Some(talk)) => format!(
                "{:?}: {} of {} acknowledged, {} heard",
                talk.stage, talk.tx.una, talk.tx.total, talk.rx.rcv
            ),
        }
    }
}

impl Running {
    /// Keeps a conversation besides.
    fn keep(&mut self, talk: Talk) {
        self.old.push_back(talk);
        if self.old.len() > OLD {
            self.old.pop_front();
        }
    }

    /// Whom it would knock at: with whom it talks.
    fn knocks_at(&self) -> Option<Address> {
        let open = |talk: &&Talk| talk.stage == Stage::Open;
        let served = self.old.iter().find(open);
        self.talk.as_ref().or(served).map(|talk| talk.peer)
    }
}

/// A turn of a stranger.
struct Turn<'t> {
    caller: &'t Caller,
    honest: bool,
    server: Option<Address>,
    witness: &'t Witness,
    tally: &'t VisitTally,
    effects: &'t mut Effects,
    running: &'t mut Running,
    now: Instant,
}

impl Turn<'_> {
    fn take(&mut self, card: &mut Card) -> Result<(), Wrong> {
        while let Some(frame) = card.receive() {
            self.hear(&frame, card)?;
        }
        let now = self.now;
        let comes = self.running.visits < self.caller.visits;
        let begins = comes && now >= self.running.next_at;
        let begins = begins && self.witness.now() < self.caller.until;
        if let (None, true, Some(server)) = (&self.running.talk, begins, self.server) {
            let number = self.number();
            let who = (*self.caller, self.honest);
            self.running.talk = Some(Talk::calls(who, number, server, now));
        }
        let running = &mut *self.running;
        for talk in running.old.iter_mut().chain(&mut running.talk) {
            let mut segments = Vec::new();
            talk.turn(now, &mut segments)?;
            if self.server.is_some() && talk.moves() {
                // The last byte of the address says where it is now.
                running.me.hardware.0[1] ^= 1;
                card.send(here(running.me, running.me));
            }
            self.effects.add(&std::mem::take(&mut talk.effects));
            for segment in segments {
                card.send(segment.frame(running.me, talk.peer));
            }
        }
        self.knock(card);
        self.end();
        Ok(())
    }

    /// The number of the next conversation.
    fn number(&mut self) -> u64 {
        let running = &mut *self.running;
        running.visits += 1;
        running.boots ^ u64::from(running.visits - 1)
    }

    /// Ends a conversation that is over.
    fn end(&mut self) {
        let running = &mut *self.running;
        let ended = |talk: &mut Talk| matches!(talk.stage, Stage::Over | Stage::Cut);
        let Some(talk) = running.talk.take_if(ended) else {
            return;
        };
        match talk.stage {
            Stage::Cut => self.tally.cut(Why::Reset),
            _ => {
                let answered = talk.answered.unwrap_or(self.now);
                self.tally.visited(answered - talk.began);
            }
        }
        let more = keyed(self.caller.secret, running.visits.into(), 21, 0) % 300;
        running.next_at = self.now + self.caller.pause + Duration::from_millis(more);
        running.keep(talk);
    }

    fn hear(&mut self, frame: &[u8], card: &mut Card) -> Result<(), Wrong> {
        let running = &mut *self.running;
        if self.caller.lie == Some(Lie::Narrow) && frame.len() > usize::from(self.caller.takes) {
            let is_mine = frame[..6] == running.me.hardware.0[..];
            self.effects.lied_narrow += u64::from(is_mine);
            let told = match self.caller.tells && is_mine {
                true => too_big(frame, self.caller.takes.into()),
                false => None,
            };
            if let Some(told) = told {
                card.send(told);
            }
            return Ok(());
        }
        match hear(frame, running.me) {
            Some(Heard::Asked(who, ip)) if ip == running.me.ip => {
                card.send(here(running.me, who));
            }
            Some(Heard::Segment(from, segment)) => {
                let serves = self.server.is_none() && segment.syn && segment.ack.is_none();
                // A name is used again.
                let is_new = |talk: &Talk| serves && !talk.began_with(&segment);
                running
                    .old
                    .retain(|talk| !(talk.is_with(from, &segment) && is_new(talk)));
                let mut talks = running.talk.iter_mut().chain(&mut running.old);
                match talks.find(|talk| talk.is_with(from, &segment)) {
                    Some(talk) => talk.hear(&segment, self.now)?,
                    None if serves && segment.to_port == PORT => {
                        let (number, who) = (self.number(), (*self.caller, self.honest));
                        let talk = Talk::serves(who, number, (from, &segment), self.now);
                        self.running.keep(talk);
                    }
                    None => self.refuse((from, &segment), card),
                }
            }
            Some(Heard::Error) => self.error()?,
            _ => (),
        }
        Ok(())
    }

    /// Answers a segment of no conversation (RFC 9293, 3.10.7.1).
    fn refuse(&self, (from, segment): (Address, &Segment), card: &mut Card) {
        if segment.rst {
            return;
        }
        let length = segment.text.len() as u32 + u32::from(segment.syn) + u32::from(segment.fin);
        let reset = Segment {
            from_port: segment.to_port,
            to_port: segment.from_port,
            rst: true,
            seq: segment.ack.unwrap_or(0),
            ack: match segment.ack {
                Some(_) => None,
                None => Some(segment.seq.wrapping_add(length)),
            },
            ..Segment::default()
        };
        card.send(reset.frame(self.running.me, from));
    }

    fn knock(&mut self, card: &mut Card) {
        let is_due = self.now >= self.running.knock_at;
        let Some(peer) = self.running.knocks_at().filter(|_| is_due) else {
            return;
        };
        if self.caller.lie != Some(Lie::Knock) {
            return;
        }
        self.running.knock_at = self.now + KNOCK;
        (self.running.knocked, self.running.errors) = (self.now, 0);
        for number in 0..KNOCKS {
            card.send(knock(self.running.me, peer, 2000 + number));
        }
        self.effects.lied_knock += u64::from(KNOCKS);
    }

    /// RFC 4443, 2.4 (f): errors are limited. Ten at once and 800 a second are as many as
    /// anybody needs.
    fn error(&mut self) -> Result<(), Wrong> {
        self.running.errors += 1;
        let (errors, passed) = (self.running.errors, self.now - self.running.knocked);
        let most = 12 + passed.total_micros() as i64 * 800 / 1_000_000;
        match errors > most {
            true => Err(("errors", format!("{errors} errors in {passed}"))),
            false => Ok(()),
        }
    }

    fn next_at(&self) -> Option<Instant> {
        let Running {
            talk,
            old,
            visits,
            next_at,
            knock_at,
            ..
        } = &*self.running;
        let old = old.iter().filter_map(Talk::next_at).min();
        let comes = talk.is_none() && *visits < self.caller.visits;
        let next = match talk {
            Some(talk) => talk.next_at(),
            None if self.server.is_none() => None,
            None if comes && self.witness.now() < self.caller.until => Some(*next_at),
            None => None,
        };
        let knocks = self.caller.lie == Some(Lie::Knock) && self.running.knocks_at().is_some();
        let knock = knocks.then_some(*knock_at);
        [old, next, knock].into_iter().flatten().min()
    }
}
