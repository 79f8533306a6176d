//! How and when a liar lies: everything else of a conversation is honest. Each lie has
//! the place where it belongs, and is counted when it is told.
//!
//! Not here: what the other side makes of it, which is judged where it is heard; and two
//! lies that are told below TCP (`host`).

use smoltcp::time::{Duration, Instant};

use super::receiving::Receiving;
use super::sending::{How, Piece, Sending};
use crate::lie::Lie;

/// How long a window that was taken back stays so.
const SHUT: Duration = Duration::from_millis(700);

/// How long acknowledgements are missed when the other's window is full.
const MISSED: Duration = Duration::from_millis(300);

/// Between two resets, and between the last and the question whether it was taken.
const RESET: Duration = Duration::from_millis(300);

/// How many resets, as some may be lost.
const RESETS: u32 = 5;

/// What a liar's last words are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// A reset, with a FIN and with so much text beside it.
    Reset { fin: bool, text: u64 },
    /// An acknowledgement, which a connection that is over resets.
    Ask,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Telling {
    lie: Option<Lie>,
    lossless: bool,
    /// Its stream is another's, and must not be cut.
    serves: bool,
    /// What stays as it is, and what is drawn from.
    kind: u64,
    chance: u64,
    /// How often it was told since that was counted.
    pub(super) told: u64,
    /// A window that was taken back, and until when.
    shut: Option<(Instant, u16)>,
    /// The end has been said where it does not belong; a FIN was not heard; or those were
    /// missed that came until then.
    is_told: bool,
    missed: Instant,
    resets: u32,
    last_at: Option<Instant>,
    /// It asked whether its reset was taken.
    pub(super) asked: bool,
}

impl Telling {
    pub(super) fn new(lie: Option<Lie>, lossless: bool, serves: bool, chance: u64) -> Telling {
        Telling {
            lie,
            lossless,
            serves,
            kind: chance,
            chance,
            told: 0,
            shut: None,
            is_told: false,
            missed: Instant::ZERO,
            resets: 0,
            last_at: None,
            asked: false,
        }
    }

    fn is(&self, lie: Lie) -> bool {
        self.lie == Some(lie)
    }

    fn draw(&mut self, bound: u64) -> u64 {
        let next = self.chance.wrapping_mul(6_364_136_223_846_793_005);
        self.chance = next.wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % bound.max(1)
    }

    /// The shift of its SYN, if it lies about that.
    pub(super) fn shift(&self) -> Option<u8> {
        (self.is(Lie::Odd) && self.kind & 8 != 0).then_some(15)
    }

    /// Whether it lets the first text that it gets pass unheard, to see how much comes.
    pub(super) fn is_deaf_at_first(&self) -> bool {
        self.is(Lie::Odd) && self.kind & 16 != 0
    }

    /// The MSS of its SYN, which is `mss`.
    pub(super) fn mss(&mut self, mss: u16) -> Option<u16> {
        if !self.is(Lie::Odd) {
            return Some(mss);
        }
        self.told += 1;
        [Some(65_535), Some(48), Some(1), Some(0), None][self.draw(5) as usize]
    }

    /// Before a turn sends: how far it may, and up to where. Gives what is said out of
    /// turn.
    pub(super) fn begin(
        &mut self,
        tx: &mut Sending,
        rx: &mut Receiving,
        now: Instant,
    ) -> Vec<Piece> {
        let (at, room) = (tx.nxt, tx.edge.saturating_sub(tx.nxt));
        let left = tx.total.saturating_sub(at);
        let is_open = tx.edge > 0 && !self.is_told && tx.may_end;
        match self.lie {
            Some(Lie::Past) => tx.past = 1 + self.kind % (2 * tx.mss),
            Some(Lie::Shrink) if self.shut.is_some_and(|(until, _)| now >= until) => {
                // What says that it is open again may be lost: it waits to be asked.
                let says = self.kind & 2 == 0;
                (self.shut, rx.due) = (None, rx.due || says);
            }
            // The stream ends a little behind what fits into the window.
            Some(Lie::Trimmed) if is_open => {
                // There was no moment for it.
                tx.may_end = left == 0;
                let cuts = !self.serves || left <= tx.mss;
                if at <= tx.total && room < tx.mss && room < left && cuts {
                    self.tell();
                    let more = 1 + self.draw(tx.mss - room);
                    if !self.serves {
                        tx.total = tx.total.min(at + room + more);
                    }
                    return vec![tx.say(at, tx.total, true)];
                }
            }
            Some(Lie::Early) if is_open => return self.early(tx, left, now),
            // Before the first FIN has come it would be no lie.
            Some(Lie::Twice) if tx.max > tx.total && is_open => {
                if tx.una <= tx.total && !(self.lossless && self.kind & 1 == 0) {
                    return Vec::new();
                }
                self.tell();
                let more = 1 + self.draw(tx.mss);
                let again = self.draw(2) == 0;
                let piece = |at, end, fin| Piece {
                    at,
                    end,
                    fin,
                    how: How::New,
                };
                let total = tx.total;
                return vec![
                    piece(total + 1, total + 1 + more, true),
                    piece(total, total + more, again),
                ];
            }
            Some(Lie::Beside) => tx.may_end = false,
            _ => (),
        }
        Vec::new()
    }

    /// The FIN before or behind text that it does not belong to.
    fn early(&mut self, tx: &mut Sending, left: u64, now: Instant) -> Vec<Piece> {
        let (total, at) = (tx.total, tx.nxt);
        tx.may_end = false;
        let is_late = left == 0;
        let waits = self.kind.is_multiple_of(3) && !is_late;
        if waits || left > 3 * tx.mss || total >= tx.edge || tx.una < at {
            return Vec::new();
        }
        self.tell();
        let from = match self.draw(2) {
            _ if is_late => total - 1 - self.draw(total.min(tx.mss)),
            // No text at all.
            0 => total,
            _ => total - self.draw(left.min(tx.mss)),
        };
        vec![tx.say_end(from, now)]
    }

    fn tell(&mut self) {
        self.is_told = true;
        self.told += 1;
    }

    /// Whether text up to `end` is not heard, or the first FIN.
    pub(super) fn is_deaf(&mut self, fin: bool, end: u64, rx: &Receiving) -> bool {
        let shut = self.shut.map(|(_, window)| u64::from(window) << rx.shift);
        match self.lie {
            Some(Lie::Repeat) if fin && !self.is_told => {
                self.tell();
                true
            }
            Some(Lie::Shrink) => self.kind & 1 == 0 && shut.is_some_and(|w| end > rx.rcv + w),
            _ => false,
        }
    }

    /// Whether an acknowledgement without text is missed, as if it had been lost: once, when
    /// the other's window is full. Then only old text is left to be said, with an
    /// acknowledgement as old as it is.
    pub(super) fn misses(&mut self, tx: &Sending, now: Instant) -> bool {
        let is_full = tx.nxt == tx.edge && tx.una < tx.nxt;
        let may = self.serves && !self.lossless && !self.is_told;
        if self.is(Lie::Old) && may && is_full {
            (self.is_told, self.missed) = (true, now + MISSED);
        }
        now < self.missed
    }

    /// The acknowledgement of a segment.
    pub(super) fn ack(&mut self, ack: u64, has_text: bool, buffer: u64) -> u64 {
        if !self.is(Lie::Old) || !has_text || ack == 0 {
            return ack;
        }
        self.told += 1;
        // RFC 5961, 5.2: older than the widest window is too old.
        ack - 1 - self.draw(ack.min(buffer))
    }

    /// The window of a segment.
    pub(super) fn window(&mut self, window: u16, now: Instant) -> u16 {
        if self.is(Lie::Shrink) && self.shut.is_none() && window > 0 && self.draw(4) == 0 {
            let rest = [0, self.draw(window.into()) as u16][self.draw(2) as usize];
            self.shut = Some((now + SHUT, rest));
            self.told += 1;
        }
        self.shut.map_or(window, |(_, rest)| rest.min(window))
    }

    /// How often it says an acknowledgement.
    pub(super) fn times(&mut self) -> u32 {
        match self.is(Lie::Repeat) {
            true => {
                self.told += 1;
                4
            }
            false => 1,
        }
    }

    /// Its last words, when all is said and heard.
    pub(super) fn last(&mut self, tx: &Sending, rx: &Receiving, now: Instant) -> Option<Last> {
        let is_all = tx.una == tx.total && rx.rcv == tx.total;
        let is_all = is_all && (rx.is_over() || !self.serves);
        if !self.is(Lie::Beside) || self.asked || !is_all || self.last_at.is_some_and(|at| now < at)
        {
            return None;
        }
        self.last_at = Some(now + RESET);
        self.resets += 1;
        if self.resets <= RESETS {
            self.told += 1;
            return Some(Last::Reset {
                fin: self.kind & 1 == 0,
                text: (self.kind >> 1) % 3 * 10,
            });
        }
        self.asked = true;
        Some(Last::Ask)
    }

    /// Whether it has reset the connection, and whether that was long enough ago.
    pub(super) fn has_reset(&self) -> bool {
        self.resets > 0
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.asked && self.last_at.is_some_and(|at| now >= at)
    }

    /// When something is due without a segment.
    pub(super) fn next_at(&self) -> Option<Instant> {
        let shut = self.shut.map(|(until, _)| until);
        [shut, self.last_at].into_iter().flatten().min()
    }
}
