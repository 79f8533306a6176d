//! One conversation of a stranger with an echo server: it says its stream, hears it
//! again, and ends. Or with who visits it: then it is the echo. It judges what it gets:
//! bytes that were not said, an end before the last of them, numbers that cannot be,
//! silence.
//!
//! ```text
//!   Syn ---SYN-ACK, or the ACK of one---> Open ---all said, heard and ended---> Over
//! ```
//!
//! Not here: frames and addresses, and when the next conversation begins (`host`); when
//! it lies (`telling`).

use smoltcp::time::{Duration, Instant};

use super::flight::Flight;
use super::part::{Part, Wrong};
use super::receiving::Receiving;
use super::sending::{Piece, Sending};
use super::telling::{Last, Telling};
use crate::draws::keyed;
use crate::effects::Effects;
use crate::lie::{Habit, Lie};
use crate::plan::Caller;
use crate::segment::{Address, Segment};
use crate::visit::PORT;

/// How long it waits for an answer to its SYN.
const SYN: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Syn,
    Open,
    /// It is over; the last acknowledgement may have to be repeated.
    Over,
    /// The server has reset it.
    Cut,
}

/// See the [module](self).
pub(super) struct Talk {
    pub(super) caller: Caller,
    honest: bool,
    pub(super) stage: Stage,
    /// Its own port, and the other's.
    pub(super) ports: (u16, u16),
    pub(super) peer: Address,
    pub(super) part: Part,
    flight: Flight,
    pub(super) iss: u32,
    pub(super) irs: u32,
    /// By how much the server's windows are scaled.
    shift: u8,
    /// Both scale their windows.
    pub(super) scales: bool,
    pub(super) tx: Sending,
    pub(super) rx: Receiving,
    pub(super) telling: Telling,
    pub(super) began: Instant,
    /// The first byte of the answer.
    pub(super) answered: Option<Instant>,
    syn_at: Instant,
    syns: u32,
    /// One past the highest number of the server's.
    highest: u64,
    /// When something moved last.
    moved: Instant,
    read_before: bool,
    is_carried: bool,
    /// Segments of the other's with little text.
    tiny: u64,
    /// What it did so far that smoltcp does not.
    pub(super) effects: Effects,
    moved_away: bool,
}

impl Talk {
    /// The conversation with this number, with that server.
    pub(super) fn calls(
        (caller, honest): (Caller, bool),
        number: u64,
        server: Address,
        now: Instant,
    ) -> Talk {
        let draw = |kind| keyed(caller.secret, number, 20, kind);
        let mut talk = Talk::new((caller, honest), number, server, now);
        talk.ports = (1024 + (draw(4).wrapping_add(number) % 60_000) as u16, PORT);
        talk.part = Part::Calls { key: draw(5) };
        talk.tx.total = match caller.lie {
            // There must be enough to lie about.
            Some(_) => caller.bytes.into(),
            None => 1 + draw(1) % u64::from(caller.bytes),
        };
        talk
    }

    /// The same with who sent this SYN.
    pub(super) fn serves(
        who: (Caller, bool),
        number: u64,
        (peer, syn): (Address, &Segment),
        now: Instant,
    ) -> Talk {
        let mut talk = Talk::new(who, number, peer, now);
        talk.ports = (PORT, syn.from_port);
        talk.begins(syn);
        talk
    }

    fn new((caller, honest): (Caller, bool), number: u64, peer: Address, now: Instant) -> Talk {
        let draw = |kind| keyed(caller.secret, number, 20, kind);
        let serves = caller.to.is_none();
        let telling = Telling::new(caller.lie, caller.lossless, serves, draw(2));
        let mss = caller.mss;
        let mut tx = Sending::new(0, u64::from(mss), draw(3));
        tx.counts = caller.habits.has(Habit::Counts);
        tx.recuts = caller.habits.has(Habit::Recuts);
        // A shift of 14 needs a window that is worth it.
        let buffer = match telling.shift() {
            Some(_) => 1 << 20,
            None => caller.window.into(),
        };
        let mut rx = Receiving::new(buffer, caller.reads.into(), mss.into(), now);
        rx.delays = caller.habits.has(Habit::Delays);
        rx.silly = caller.lie == Some(Lie::Silly);
        rx.holds = caller.holds > Duration::ZERO;
        Talk {
            stage: Stage::Syn,
            ports: (0, 0),
            peer,
            part: Part::serves(),
            flight: Flight::default(),
            iss: draw(6) as u32,
            irs: 0,
            shift: 0,
            scales: false,
            tx,
            rx,
            telling,
            began: now,
            answered: None,
            syn_at: now,
            syns: 0,
            highest: 0,
            moved: now,
            read_before: true,
            is_carried: false,
            tiny: 0,
            effects: Effects::default(),
            moved_away: false,
            caller,
            honest,
        }
    }

    /// Whether it is with who sent this segment.
    pub(super) fn is_with(&self, from: Address, segment: &Segment) -> bool {
        (self.peer.ip, self.ports) == (from.ip, (segment.to_port, segment.from_port))
    }

    /// Whether this is the SYN that it began with.
    pub(super) fn began_with(&self, segment: &Segment) -> bool {
        segment.syn && segment.seq == self.irs && self.stage != Stage::Cut
    }

    /// Hears a segment of the other's.
    ///
    /// # Errors
    /// The other has done what nobody may.
    pub(super) fn hear(&mut self, segment: &Segment, now: Instant) -> Result<(), Wrong> {
        match (self.stage, self.part.is_served()) {
            (Stage::Syn, true) => return self.answer(segment, now),
            (Stage::Syn, false) if segment.rst => {
                self.stage = Stage::Cut;
                return Ok(());
            }
            (Stage::Syn, false) if segment.syn => {
                self.syn_at = now; // again
                return Ok(());
            }
            (Stage::Syn, false) if segment.ack == Some(self.iss.wrapping_add(1)) => {
                (self.stage, self.moved) = (Stage::Open, now);
            }
            (Stage::Syn, false) => return Ok(()),
            _ => (),
        }
        // Numbers are near what is known of them, on a circle of 32 bits.
        let rcv = self.rx.ack();
        let at = rcv as i64 + i64::from(segment.seq.wrapping_sub(self.wire(self.irs, rcv)) as i32);
        let end = at + segment.text.len() as i64;
        if segment.rst {
            // Who has ended its stream may be gone.
            let is_gone = !self.part.is_served() && self.rx.is_over();
            let is_told = self.stage != Stage::Open || self.telling.has_reset() || is_gone;
            self.stage = Stage::Cut;
            return match self.honest && !is_told {
                true => Err((
                    "honest",
                    format!("a conversation was reset at {}", self.heard()),
                )),
                false => Ok(()),
            };
        }
        if segment.syn {
            self.rx.due = true; // its SYN-ACK again
            return Ok(());
        }
        if self.telling.asked {
            return Err(("reset", "a connection that was reset goes on".into()));
        }
        let Some(ack) = segment.ack else {
            return Ok(());
        };
        let una = self.tx.una;
        let ack = una as i64 + i64::from(ack.wrapping_sub(self.wire(self.iss, una)) as i32);
        let is_bare = segment.text.is_empty() && !segment.fin;
        if is_bare && self.telling.misses(&self.tx, now) {
            return Ok(());
        }
        // Behind an edge that went back, as an old acknowledgement says too, numbers do.
        let step = 1 << self.rx.shift;
        let shrinks = matches!(self.caller.lie, Some(Lie::Shrink | Lie::Old));
        if is_bare && !shrinks && at + step <= self.highest.min(self.rx.offered) as i64 {
            let highest = self.highest;
            let detail = format!("an acknowledgement has the number {at}, after {highest}");
            return Err(("numbers", detail));
        }
        // A probe is past the edge, whatever was offered since it left.
        if !is_bare && segment.text.len() != 1 {
            let end = end + i64::from(segment.fin);
            self.highest = self.highest.max(end.max(0) as u64);
        }
        let window = u64::from(segment.window) << self.shift;
        let news = match u64::try_from(ack) {
            Err(_) => false,
            Ok(ack) => {
                let taken = self.tx.acknowledged(ack, window, now);
                taken.map_err(|why| ("numbers", why))?
            }
        };
        self.tx.is_firm(segment.text.len() != 1);
        if news {
            self.moved = now;
        }
        if !is_bare {
            // What an acknowledgement carries costs no segment.
            self.is_carried = news && !self.part.is_served();
            self.text(segment, at, now)?;
        } else if at != rcv as i64 && !self.flight.is_unheard(now) {
            self.rx.due = true; // RFC 9293, 3.10.7.4: it asks whether somebody is there
        }
        Ok(())
    }

    /// Text or a FIN.
    fn text(&mut self, segment: &Segment, at: i64, now: Instant) -> Result<(), Wrong> {
        let end = at + segment.text.len() as i64;
        // A probe is one byte, and what a keep-alive carries is none.
        let is_probe = segment.text.len() == 1;
        if end > (self.rx.offered + self.allowance()) as i64 {
            let offered = self.rx.offered;
            return Err((
                "window",
                format!("text up to {end}, and {offered} was offered"),
            ));
        }
        for (at, &byte) in (at..end).zip(&segment.text) {
            let is_new = at >= self.rx.rcv as i64;
            if is_probe && !is_new {
                continue;
            }
            self.part.hears(at, byte, self.tx.max.min(self.tx.total))?;
        }
        if segment.text.len() < 16 && !segment.fin && !is_probe && !self.is_carried {
            self.tiny += 1;
        }
        if segment.fin {
            let total = self.tx.total;
            self.part.ends(end, total, self.tx.max > total)?;
        }
        let (is_text, unit) = (!is_probe && end > at, 1 << self.rx.shift);
        if is_text && self.telling.is_deaf_at_first() && self.flight.text(end, unit, now)? {
            return Ok(());
        }
        let unheard = end.max(0) as u64;
        if self.telling.is_deaf(segment.fin, unheard, &self.rx) {
            self.rx.due = true;
            return Ok(());
        }
        if self.rx.text(at, end, segment.fin, now) {
            self.moved = now;
            self.answered.get_or_insert(now);
        }
        Ok(())
    }

    /// How far past the window text may be: smoltcp probes a scaled window with the least
    /// that it can be shown, and a fast retransmission looks at no window.
    fn allowance(&self) -> u64 {
        let probe = 1 << self.rx.shift;
        let is_exact = self.caller.lossless && self.caller.lie.is_none();
        if is_exact {
            probe
        } else {
            self.tx.mss.max(probe)
        }
    }

    /// The answer to our SYN.
    fn answer(&mut self, segment: &Segment, now: Instant) -> Result<(), Wrong> {
        if segment.ack != Some(self.iss.wrapping_add(1)) {
            return Ok(());
        }
        if segment.rst {
            self.stage = Stage::Cut;
            return match self.honest {
                true => Err(("honest", "a connection was refused".into())),
                false => Ok(()),
            };
        }
        if !segment.syn {
            return Ok(());
        }
        (self.stage, self.moved) = (Stage::Open, now);
        self.begins(segment);
        let window = segment.window.into();
        let taken = self.tx.acknowledged(0, window, now);
        taken.map_err(|why| ("numbers", why))?;
        self.tx.is_firm(true);
        self.rx.due = true;
        Ok(())
    }

    /// What the other's SYN says.
    fn begins(&mut self, syn: &Segment) {
        self.irs = syn.seq;
        self.scales = self.shift_said().is_some() && syn.shift.is_some();
        let scaled = |shift: Option<u8>| shift.filter(|_| self.scales).unwrap_or(0).min(14);
        (self.shift, self.rx.shift) = (scaled(syn.shift), scaled(self.shift_said()));
        if self.caller.habits.has(Habit::Plain) {
            self.effects.strange_plain += 1;
        }
        self.tx.mss = self.tx.mss.min(syn.mss.unwrap_or(536).into());
    }

    pub(super) fn shift_said(&self) -> Option<u8> {
        let plain = self.caller.habits.has(Habit::Plain);
        self.telling
            .shift()
            .or((!plain).then_some(self.caller.shift))
    }

    /// What is due now.
    ///
    /// # Errors
    /// The server has been silent for too long, or has said too much.
    pub(super) fn turn(&mut self, now: Instant, out: &mut Vec<Segment>) -> Result<(), Wrong> {
        match self.stage {
            Stage::Cut => return Ok(()),
            Stage::Syn => {
                if now >= self.syn_at {
                    self.syn_at = now + SYN * (1 << self.syns.min(3));
                    self.syns += 1;
                    out.push(self.syn());
                }
                return self.judge(now);
            }
            Stage::Open | Stage::Over => (),
        }
        if self.rx.holds && now >= self.began + self.caller.holds {
            self.rx.holds = false;
            self.moved = now;
        }
        self.rx.read(now);
        if self.rx.late > 0 {
            self.effects.strange_delays += std::mem::take(&mut self.rx.late);
        }
        self.tx.may_end = match self.part {
            Part::Calls { .. } => !self.caller.waits || self.rx.rcv == self.tx.total,
            Part::Serves { .. } => {
                self.tx.total = self.rx.has_read();
                self.rx.is_over() && self.rx.is_read()
            }
        };
        for piece in self.telling.begin(&mut self.tx, &mut self.rx, now) {
            let segment = self.segment(piece, now);
            out.push(segment);
        }
        while let Some(piece) = self.tx.piece(now) {
            self.count(piece);
            let segment = self.segment(piece, now);
            out.push(segment);
        }
        if self.rx.due {
            let ack = self.segment(self.bare(), now);
            self.effects.strange_sacks += u64::from(ack.sacks[0].is_some());
            out.extend((0..self.telling.times()).map(|_| ack.clone()));
        }
        match self.telling.last(&self.tx, &self.rx, now) {
            Some(Last::Reset { fin, text }) => {
                let piece = self.bare();
                let end = piece.end + text;
                let mut segment = self.segment(Piece { end, fin, ..piece }, now);
                segment.rst = true;
                out.push(segment);
            }
            Some(Last::Ask) => {
                let ask = self.segment(self.bare(), now);
                out.push(ask);
            }
            None => (),
        }
        let is_over = self.tx.is_over() && self.rx.is_over() || self.telling.is_over(now);
        if self.stage == Stage::Open && is_over {
            self.stage = Stage::Over;
        }
        if let Some(lie) = self.caller.lie {
            *lie.row(&mut self.effects) += std::mem::take(&mut self.telling.told);
        }
        self.judge(now)
    }

    fn judge(&mut self, now: Instant) -> Result<(), Wrong> {
        // A program that does not read keeps everything waiting.
        let reads = !self.rx.holds && self.rx.is_read();
        // Who serves waits for what the other says next.
        let owes = self.part.is_served() || self.tx.una < self.tx.max;
        if !reads || !self.read_before || !owes {
            self.moved = now;
        }
        self.read_before = reads;
        let silent = now - self.moved;
        if self.stage != Stage::Over && self.honest && silent > self.caller.patience {
            let (said, total) = (self.tx.una, self.tx.total);
            let detail = format!(
                "nothing has moved for {silent}; {said} of {total} are acknowledged, {} heard",
                self.heard()
            );
            return Err(("progress", detail));
        }
        let seconds = (now - self.began).secs();
        if self.rx.silly && self.tiny > 50 + 20 * seconds {
            let detail = format!("{} segments with little text in {seconds} s", self.tiny);
            return Err(("silly", detail));
        }
        if self.caller.lossless && self.tx.unheard > 0 {
            let una = self.tx.una;
            let detail = format!("{una} was in the window, and had to be sent again");
            return Err(("deaf", detail));
        }
        Ok(())
    }

    /// How much of the answer has come.
    fn heard(&self) -> u64 {
        self.rx.rcv
    }

    /// Whether the moment has come to move to another hardware address.
    pub(super) fn moves(&mut self) -> bool {
        let half = self.tx.una >= self.tx.total / 2 && self.stage == Stage::Open;
        let moves = self.caller.habits.has(Habit::Moves) && half && !self.moved_away;
        self.moved_away |= moves;
        self.effects.strange_moves += u64::from(moves);
        moves
    }

    /// When something is due without a segment.
    pub(super) fn next_at(&self) -> Option<Instant> {
        let gives_up = self.moved + self.caller.patience + Duration::from_micros(1);
        match self.stage {
            Stage::Syn => Some(self.syn_at),
            Stage::Cut => None,
            Stage::Over => self.rx.next_at(),
            Stage::Open => {
                let holds = self.rx.holds.then(|| self.began + self.caller.holds);
                let all = [
                    self.tx.next_at(),
                    self.rx.next_at(),
                    holds,
                    self.telling.next_at(),
                    Some(gives_up),
                ];
                all.into_iter().flatten().min()
            }
        }
    }

    pub(super) fn wire(&self, first: u32, number: u64) -> u32 {
        first.wrapping_add(1).wrapping_add(number as u32)
    }
}
