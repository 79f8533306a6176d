//! One conversation of a stranger with an echo server: it says its stream, hears it
//! again, and ends. It judges what it gets: bytes that were not said, an end before the
//! last of them, numbers that cannot be, silence.
//!
//! ```text
//!   Syn ---SYN-ACK---> Open ---all said, heard and ended---> Over
//! ```
//!
//! Not here: frames and addresses, and when the next conversation begins (`host`); when
//! it lies (`telling`).

use smoltcp::time::{Duration, Instant};

use super::receiving::Receiving;
use super::sending::{How, Piece, Sending};
use super::telling::{Last, Telling};
use crate::draws::keyed;
use crate::effects::Effects;
use crate::lie::{Habit, Lie};
use crate::plan::Caller;
use crate::segment::Segment;
use crate::visit::{PORT, word};

/// The rule that was broken, and how.
pub(super) type Wrong = (&'static str, String);

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
    caller: Caller,
    honest: bool,
    pub(super) stage: Stage,
    pub(super) port: u16,
    key: u64,
    iss: u32,
    irs: u32,
    /// By how much the server's windows are scaled.
    shift: u8,
    pub(super) tx: Sending,
    pub(super) rx: Receiving,
    telling: Telling,
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
    /// Segments of the server with little text.
    tiny: u64,
    /// What it did so far that smoltcp does not.
    pub(super) effects: Effects,
    moved_away: bool,
}

impl Talk {
    pub(super) fn new(caller: Caller, honest: bool, number: u64, now: Instant) -> Talk {
        let draw = |kind| keyed(caller.secret, number, 20, kind);
        let total = 1 + draw(1) % u64::from(caller.bytes);
        let total = match caller.lie {
            // There must be enough to lie about.
            Some(_) => caller.bytes.into(),
            None => total,
        };
        let telling = Telling::new(caller.lie, caller.lossless, draw(2));
        let mss = caller.mss;
        let mut tx = Sending::new(total, u64::from(mss), draw(3));
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
            port: 1024 + (draw(4).wrapping_add(number) % 60_000) as u16,
            key: draw(5),
            iss: draw(6) as u32,
            irs: 0,
            shift: 0,
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
            tiny: 0,
            effects: Effects::default(),
            moved_away: false,
            caller,
            honest,
        }
    }

    /// Hears a segment of the server's.
    ///
    /// # Errors
    /// The server has done what no server may.
    pub(super) fn hear(&mut self, segment: &Segment, now: Instant) -> Result<(), Wrong> {
        if self.stage == Stage::Syn {
            return self.answer(segment, now);
        }
        // Numbers are near what is known of them, on a circle of 32 bits.
        let rcv = self.rx.ack();
        let at = rcv as i64 + i64::from(segment.seq.wrapping_sub(self.wire(self.irs, rcv)) as i32);
        let end = at + segment.text.len() as i64;
        if segment.rst {
            let is_told = self.stage != Stage::Open || self.telling.has_reset();
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
            self.text(segment, at, now)?;
        } else if at != rcv as i64 {
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
            if at < 0 || at >= self.tx.max.min(self.tx.total) as i64 {
                return Err(("bytes", format!("byte {at} of an answer was never said")));
            }
            if byte != word(self.key, at as u64) {
                let detail = format!("byte {at} of an answer is not what was said");
                return Err(("bytes", detail));
            }
        }
        if segment.text.len() < 16 && !segment.fin && !is_probe {
            self.tiny += 1;
        }
        if segment.fin {
            let total = self.tx.total;
            let said = self.tx.max > total;
            if end != total as i64 || !said {
                let detail = format!("the answer ends at {end}, and {total} bytes are said");
                return Err(("end", detail));
            }
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
        (self.stage, self.irs, self.moved) = (Stage::Open, segment.seq, now);
        let is_scaled = self.shift_said().is_some() && segment.shift.is_some();
        self.shift = segment.shift.filter(|_| is_scaled).unwrap_or(0).min(14);
        self.rx.shift = self.shift_said().filter(|_| is_scaled).unwrap_or(0).min(14);
        if self.caller.habits.has(Habit::Plain) {
            self.effects.strange_plain += 1;
        }
        self.tx.mss = self.tx.mss.min(segment.mss.unwrap_or(536).into());
        let window = segment.window.into();
        let taken = self.tx.acknowledged(0, window, now);
        taken.map_err(|why| ("numbers", why))?;
        self.tx.is_firm(true);
        self.rx.due = true;
        Ok(())
    }

    fn shift_said(&self) -> Option<u8> {
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
        self.tx.may_end = !self.caller.waits || self.rx.rcv == self.tx.total;
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

    /// What has neither text nor a FIN.
    fn bare(&self) -> Piece {
        let at = self.tx.nxt;
        let (end, fin, how) = (at, false, How::New);
        Piece { at, end, fin, how }
    }

    fn count(&mut self, piece: Piece) {
        match piece.how {
            How::Counted => self.effects.strange_counts += 1,
            How::Recut => self.effects.strange_recuts += 1,
            How::Past => self.telling.told += 1,
            How::New | How::Again | How::Probe => (),
        }
    }

    fn judge(&mut self, now: Instant) -> Result<(), Wrong> {
        // A program that does not read keeps everything waiting.
        let reads = !self.rx.holds && self.rx.is_read();
        if !reads || !self.read_before {
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

    fn wire(&self, first: u32, number: u64) -> u32 {
        first.wrapping_add(1).wrapping_add(number as u32)
    }

    fn syn(&mut self) -> Segment {
        Segment {
            from_port: self.port,
            to_port: PORT,
            syn: true,
            seq: self.iss,
            window: self.rx.window(0),
            mss: self.telling.mss(self.caller.mss),
            shift: self.shift_said(),
            may_sack: self.caller.habits.has(Habit::Sacks),
            ..Segment::default()
        }
    }

    fn segment(&mut self, piece: Piece, now: Instant) -> Segment {
        let Piece { at, end, fin, .. } = piece;
        let buffer = u64::from(self.caller.window).min(65_535 << self.rx.shift);
        let ack = self.telling.ack(self.rx.ack(), end > at + 1, buffer);
        let mut sacks = [None; 3];
        if self.caller.habits.has(Habit::Sacks) && end == at && !fin {
            let wire = |number| self.wire(self.irs, number);
            for (sack, &(from, to)) in sacks.iter_mut().zip(self.rx.ranges()) {
                *sack = Some((wire(from), wire(to)));
            }
        }
        self.rx.said();
        let offered = self.rx.window(self.rx.shift);
        if self.rx.silly && u64::from(offered) << self.rx.shift < 64 {
            self.telling.told += 1;
        }
        Segment {
            from_port: self.port,
            to_port: PORT,
            fin,
            seq: self.wire(self.iss, at),
            ack: Some(self.wire(self.irs, ack)),
            window: self.telling.window(offered, now),
            sacks,
            text: (at..end).map(|at| word(self.key, at)).collect(),
            ..Segment::default()
        }
    }
}
