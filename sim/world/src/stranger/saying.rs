//! The segments of a conversation, as they leave.
//!
//! Not here: which are due, and when (`talk`).

use smoltcp::time::Instant;

use super::sending::{How, Piece};
use super::talk::Talk;
use crate::lie::Habit;
use crate::segment::Segment;

impl Talk {
    /// What has neither text nor a FIN.
    pub(super) fn bare(&self) -> Piece {
        let at = self.tx.nxt;
        let (end, fin, how) = (at, false, How::New);
        Piece { at, end, fin, how }
    }

    pub(super) fn count(&mut self, piece: Piece) {
        match piece.how {
            How::Counted => self.effects.strange_counts += 1,
            How::Recut => self.effects.strange_recuts += 1,
            How::Past => self.telling.told += 1,
            How::New | How::Again | How::Probe => (),
        }
    }

    pub(super) fn syn(&mut self) -> Segment {
        let served = self.part.is_served();
        Segment {
            from_port: self.ports.0,
            to_port: self.ports.1,
            syn: true,
            seq: self.iss,
            ack: (!served).then_some(self.irs.wrapping_add(1)),
            window: self.rx.window(0),
            mss: self.telling.mss(self.caller.mss),
            shift: self.shift_said().filter(|_| served || self.scales),
            may_sack: self.caller.habits.has(Habit::Sacks),
            ..Segment::default()
        }
    }

    pub(super) fn segment(&mut self, piece: Piece, now: Instant) -> Segment {
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
            from_port: self.ports.0,
            to_port: self.ports.1,
            fin,
            seq: self.wire(self.iss, at),
            ack: Some(self.wire(self.irs, ack)),
            window: self.telling.window(offered, now),
            sacks,
            text: (at..end).map(|at| self.part.says(at)).collect(),
            ..Segment::default()
        }
    }
}
