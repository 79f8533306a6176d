//! What a stranger sends: which bytes of its stream are due, and when they are repeated.
//! Numbers count bytes from the first one; the FIN has the number behind the last.
//!
//! It obeys RFC 9293, 3.8, as to windows and probes, and has neither a congestion window
//! nor a clock for round trips: what is not acknowledged is sent again after a second,
//! all of it.
//!
//! Not here: what is in a segment besides.

use smoltcp::time::{Duration, Instant};

/// The first timeout, and the longest.
const TIMEOUT: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(8)];

/// How long it waits before it probes a window, at first and at most.
const PROBE: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(4)];

/// A piece of the stream that is to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) at: u64,
    pub(super) end: u64,
    pub(super) fin: bool,
    pub(super) how: How,
}

/// Why a piece is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    New,
    Again,
    /// It is again, and has other boundaries.
    Recut,
    Probe,
    /// A probe that counts.
    Counted,
    /// It ends past the window.
    Past,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Sending {
    /// The first number that is not acknowledged.
    pub(super) una: u64,
    /// The next one to be sent, and one past the highest that was.
    pub(super) nxt: u64,
    pub(super) max: u64,
    /// One past the last number that the peer takes, and its widest window so far.
    pub(super) edge: u64,
    widest: u64,
    /// The edge that was not said with a probe: smoltcp forgets that one.
    firm: u64,
    /// How long the stream is, and whether its end may be sent.
    pub(super) total: u64,
    pub(super) may_end: bool,
    pub(super) mss: u64,
    /// A probe counts as sent.
    pub(super) counts: bool,
    /// What is repeated has other boundaries.
    pub(super) recuts: bool,
    /// So much past the window.
    pub(super) past: u64,
    timeout: Duration,
    again_at: Option<Instant>,
    probe: Duration,
    probe_at: Option<Instant>,
    /// Chance for boundaries.
    chance: u64,
    /// One past the highest number that was sent in the window, and what was not.
    inside: u64,
    outside: Vec<(u64, u64)>,
    /// The end was sent before its turn.
    has_ended: bool,
    /// How often what was sent in the window had to be sent again.
    pub(super) unheard: u32,
}

impl Sending {
    pub(super) fn new(total: u64, mss: u64, chance: u64) -> Sending {
        Sending {
            una: 0,
            nxt: 0,
            max: 0,
            edge: 0,
            widest: 0,
            firm: 0,
            total,
            may_end: false,
            mss,
            counts: false,
            recuts: false,
            past: 0,
            timeout: TIMEOUT[0],
            again_at: None,
            probe: PROBE[0],
            probe_at: None,
            chance,
            inside: 0,
            outside: Vec::new(),
            has_ended: false,
            unheard: 0,
        }
    }

    /// Everything is acknowledged, the end too.
    pub(super) fn is_over(&self) -> bool {
        self.una > self.total
    }

    /// The peer acknowledges all before `ack` and takes `window` more. True if that is
    /// news of bytes.
    ///
    /// # Errors
    /// It was never sent.
    pub(super) fn acknowledged(
        &mut self,
        ack: u64,
        window: u64,
        now: Instant,
    ) -> Result<bool, String> {
        if ack > self.max {
            let max = self.max;
            return Err(format!("it acknowledges {ack}, and {max} were sent"));
        }
        if ack < self.una {
            return Ok(false);
        }
        let news = ack > self.una;
        self.una = ack;
        self.nxt = self.nxt.max(ack);
        let wider = ack + window > self.edge;
        self.edge = ack + window;
        self.widest = self.widest.max(window);
        if news {
            self.timeout = TIMEOUT[0];
            self.again_at = (ack < self.nxt).then(|| now + self.timeout);
        }
        if news || wider {
            (self.probe, self.probe_at) = (PROBE[0], None);
        }
        Ok(news)
    }

    /// The next piece that is due; to be asked until there is none.
    pub(super) fn piece(&mut self, now: Instant) -> Option<Piece> {
        if self.una < self.nxt && self.again_at.is_some_and(|at| now >= at) {
            self.nxt = self.una;
            self.timeout = TIMEOUT[1].min(self.timeout * 2);
            self.again_at = None;
            self.has_ended = false;
            let una = self.una;
            self.outside.retain(|&(_, end)| end > una);
            let was_outside = self.outside.iter().any(|&(at, _)| at <= una);
            self.unheard += u32::from(una < self.inside && !was_outside);
        }
        let limit = self.total.min(self.edge + self.past);
        let piece = match self.nxt < limit {
            true => self.text(limit, now)?,
            false => self.probe(now)?,
        };
        if piece.how != How::Probe {
            self.nxt = piece.end + u64::from(piece.fin);
        }
        if self.has_ended && self.nxt == self.total {
            self.nxt += 1;
        }
        if self.una < self.nxt && self.again_at.is_none() {
            self.again_at = Some(now + self.timeout);
        }
        self.sent(&piece);
        Some(piece)
    }

    fn sent(&mut self, piece: &Piece) {
        let end = piece.end + u64::from(piece.fin);
        self.max = self.max.max(end);
        match end <= self.edge.min(self.firm) {
            true => self.inside = self.inside.max(end),
            false => self.outside.push((piece.at, end)),
        }
    }

    /// The window that was said last was said with a probe, or was not.
    pub(super) fn is_firm(&mut self, is_firm: bool) {
        if is_firm {
            self.firm = self.edge;
        }
    }

    /// Says this out of turn: what is due is due all the same.
    pub(super) fn say(&mut self, at: u64, end: u64, fin: bool) -> Piece {
        let how = How::New;
        let piece = Piece { at, end, fin, how };
        self.sent(&piece);
        piece
    }

    /// Says the end before its turn, or behind old text: it is not said again unless the
    /// timeout passes.
    pub(super) fn say_end(&mut self, at: u64, now: Instant) -> Piece {
        (self.has_ended, self.may_end) = (true, true);
        if self.nxt == self.total {
            self.nxt += 1;
            self.again_at = Some(now + self.timeout);
        }
        self.say(at, self.total, true)
    }

    fn text(&mut self, limit: u64, now: Instant) -> Option<Piece> {
        let (at, left) = (self.nxt, self.total - self.nxt);
        let mut bytes = self.mss.min(limit - at);
        // RFC 9293, 3.8.6.2.1: nothing that is not worth it, unless it has waited.
        let is_worth_it = bytes == self.mss || bytes == left || bytes >= self.widest / 2;
        if !is_worth_it && self.una == at && !self.waited(now) {
            return None;
        }
        if !is_worth_it && self.una < at {
            return None;
        }
        let mut how = if at < self.max { How::Again } else { How::New };
        if self.recuts && at < self.max && bytes > 1 {
            self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005) | 1;
            bytes = 1 + (self.chance >> 33) % bytes;
            how = How::Recut;
        }
        let end = at + bytes;
        if end > self.edge {
            how = How::Past;
        }
        Some(Piece {
            at,
            end,
            fin: self.may_end && !self.has_ended && end == self.total && end < self.edge,
            how,
        })
    }

    /// All that may be sent is sent.
    fn probe(&mut self, now: Instant) -> Option<Piece> {
        let at = self.nxt;
        let is_end = at == self.total;
        if at > self.total || (is_end && !self.may_end) {
            return None;
        }
        if is_end && at < self.edge {
            let how = if at < self.max { How::Again } else { How::New };
            return Some(Piece {
                at,
                end: at,
                fin: true,
                how,
            });
        }
        // RFC 9293, 3.8.6.1: the window is shut, and nothing is on its way.
        if self.una < at || !self.waited(now) {
            return None;
        }
        Some(Piece {
            at,
            end: at + u64::from(!is_end),
            fin: is_end,
            how: if self.counts {
                How::Counted
            } else {
                How::Probe
            },
        })
    }

    /// Whether what is not worth sending has waited long enough.
    fn waited(&mut self, now: Instant) -> bool {
        match self.probe_at {
            Some(at) if now >= at => {
                self.probe = PROBE[1].min(self.probe * 2);
                self.probe_at = None;
                true
            }
            Some(_) => false,
            None => {
                self.probe_at = Some(now + self.probe);
                false
            }
        }
    }

    /// When something may be due without a segment.
    pub(super) fn next_at(&self) -> Option<Instant> {
        let again = self.again_at.filter(|_| self.una < self.nxt);
        let both = [again, self.probe_at];
        both.into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Instant {
        Instant::from_millis(millis)
    }

    fn pieces(sending: &mut Sending, now: i64) -> Vec<(u64, u64, bool)> {
        let mut pieces = Vec::new();
        while let Some(piece) = sending.piece(at(now)) {
            pieces.push((piece.at, piece.end, piece.fin));
        }
        pieces
    }

    #[test]
    fn a_window_is_kept_and_a_shut_one_is_probed() {
        for counts in [false, true] {
            let mut sending = Sending::new(250, 100, 1);
            (sending.may_end, sending.counts) = (true, counts);
            assert_eq!(sending.acknowledged(0, 200, at(0)), Ok(false));
            assert_eq!(
                pieces(&mut sending, 0),
                [(0, 100, false), (100, 200, false)]
            );
            assert_eq!(sending.acknowledged(200, 0, at(1)), Ok(true));
            assert_eq!(pieces(&mut sending, 1), []);
            assert_eq!(pieces(&mut sending, 301), [(200, 201, false)]);
            assert_eq!(sending.nxt, 200 + u64::from(counts));
            assert_eq!(sending.acknowledged(201, 100, at(400)), Ok(true));
            assert_eq!(pieces(&mut sending, 400), [(201, 250, true)]);
            assert!(sending.acknowledged(252, 0, at(500)).is_err());
            assert_eq!(sending.acknowledged(251, 0, at(500)), Ok(true));
            assert!(sending.is_over());
        }
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again_later_and_later() {
        let mut sending = Sending::new(150, 100, 1);
        sending.may_end = true;
        assert_eq!(sending.acknowledged(0, 1000, at(0)), Ok(false));
        sending.is_firm(true);
        let all = [(0, 100, false), (100, 150, true)];
        assert_eq!(pieces(&mut sending, 0), all);
        assert_eq!(sending.next_at(), Some(at(1000)));
        assert_eq!(pieces(&mut sending, 1000), all);
        assert_eq!(sending.next_at(), Some(at(3000)));
        assert_eq!(sending.acknowledged(100, 1000, at(2000)), Ok(true));
        assert_eq!(pieces(&mut sending, 3000), [(100, 150, true)]);
        assert_eq!(sending.unheard, 2);
    }
}
