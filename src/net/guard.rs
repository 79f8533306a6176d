//! The guard. A segment for a known flow must not hurt it merely because its
//! addresses and ports can be guessed, so before smoltcp sees one it is held
//! against what the flow knows: the last acknowledgement we sent, the window
//! that went with it, and the highest sequence number we used.
//!
//! The rules, most of them from RFC 5961:
//!
//! - a reset counts when it is exactly where we expect the next byte; anywhere
//!   else in the window it gets a challenge, outside nothing at all;
//! - a SYN for an open flow gets a challenge: a peer that has forgotten the
//!   connection answers with an exact reset and may then begin anew;
//! - an acknowledgement of what was never sent gets a challenge and is dropped,
//!   or smoltcp would throw queued bytes away;
//! - bytes outside the window are answered a few times a second, not one for
//!   one.
//!
//! What the flow knows comes from our own frames on their way out, and may lag
//! behind smoltcp by an acknowledgement that is still delayed. That costs an
//! honest peer one round trip: it answers the challenge with an exact reset.
//!
//! Not here: who has a flow (`flows.rs`), connections that are not open yet on
//! our side (smoltcp is exact about those), what a challenge looks like
//! (`craft.rs`).

use smoltcp::time::Instant;
use smoltcp::wire::TcpSeqNumber;

use crate::event::DropReason;
use crate::net::demux::{Control, Outgoing, Segment};

/// Out-of-window bytes are answered once in this many microseconds, as a power
/// of two: 65 ms, well below any peer's retransmission timer.
const QUIET_MICROS_LOG2: u32 = 16;

/// What a flow knows of itself. Learned from our own frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The next byte we expect: our last acknowledgement.
    pub(crate) acked: TcpSeqNumber,
    /// One past the highest sequence number we used; zero before the first.
    pub(crate) sent: TcpSeqNumber,
    /// The window of our last acknowledgement, as it stands in the header.
    pub(crate) window: u16,
    /// When bytes outside the window were answered last.
    pub(crate) quiet: u16,
}

/// What is to be done with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// smoltcp may see it. It is in the window.
    Pass,
    /// smoltcp may see it, and limits its answers itself.
    PassEmpty,
    /// smoltcp may see it, and answer. Not again soon.
    PassOnce,
    /// Dropped; smoltcp is made to say where it stands.
    Challenge(DropReason),
    /// Dropped without a word.
    Drop(DropReason),
}

impl Known {
    pub(crate) const NOTHING: Known = Known {
        acked: TcpSeqNumber(0),
        sent: TcpSeqNumber(0),
        window: 0,
        quiet: 0,
    };

    /// A peer's SYN is all there is so far.
    pub(crate) fn of_syn(seq: TcpSeqNumber) -> Self {
        Known {
            acked: seq + 1,
            ..Known::NOTHING
        }
    }

    /// A frame of ours leaves.
    pub(crate) fn learn(&mut self, sent: &Outgoing) {
        if sent.rst {
            return; // its numbers may be the peer's
        }
        let end = sent.seq + sent.payload + usize::from(sent.syn) + usize::from(sent.fin);
        if self.sent.0 == 0 || distance(self.sent, end) > 0 {
            self.sent = end;
        }
        if let Some(ack) = sent.ack {
            self.acked = ack;
            self.window = sent.window;
        }
    }

    /// Whether our first frame has left.
    pub(crate) fn spoke(&self) -> bool {
        self.sent.0 != 0
    }

    /// Whether a segment says no more than that everything but our FIN arrived,
    /// when that is known already. smoltcp 0.14 takes three of them for a sign
    /// to send bytes again at once, finds none, and forgets the timer of the FIN,
    /// which is then never repeated.
    pub(crate) fn repeats_all_but_fin(&self, segment: &Segment) -> bool {
        distance(segment.ack, self.sent) == 1
            && segment.control == Control::Other
            && segment.payload == 0
            && segment.seq == self.acked // else it asks for an answer
            && !segment.fin
    }

    /// Bytes outside the window are answered now.
    pub(crate) fn answered(&mut self, now: Instant) {
        self.quiet = tick(now);
    }
}

/// Judges a segment for a flow whose handshake our side has finished, or in
/// which it has answered the peer's SYN (`half_open`). The window is scaled by
/// `shift`.
#[inline]
pub(crate) fn judge(
    segment: &Segment,
    known: &Known,
    half_open: bool,
    shift: u8,
    now: Instant,
) -> Verdict {
    if segment.control == Control::Other {
        // smoltcp wants an exact acknowledgement of a SYN.
        if !half_open && segment.has_ack && distance(known.sent, segment.ack) > 0 {
            return Verdict::Challenge(DropReason::NeverSent);
        }
        let offset = distance(known.acked, segment.seq) as u32;
        let window = u32::from(known.window) << shift;
        if offset < window {
            return Verdict::Pass;
        }
        return outside(segment, known, now);
    }
    judge_rare(segment, known, half_open, shift)
}

/// What begins outside the window.
#[cold]
fn outside(segment: &Segment, known: &Known, now: Instant) -> Verdict {
    if segment.payload == 0 {
        return match segment.seq == known.acked {
            true => Verdict::Pass,
            false => Verdict::PassEmpty,
        };
    }
    let end = segment.seq + usize::from(segment.payload);
    let begins_before = distance(known.acked, segment.seq) < 0;
    if known.window > 0 && begins_before && distance(known.acked, end) > 0 {
        return Verdict::Pass; // the rest is new
    }
    if known.quiet == tick(now) {
        return Verdict::Drop(DropReason::Throttled);
    }
    Verdict::PassOnce
}

#[cold]
fn judge_rare(segment: &Segment, known: &Known, half_open: bool, shift: u8) -> Verdict {
    let offset = distance(known.acked, segment.seq) as u32;
    match segment.control {
        // Nobody knows yet what we would be challenged about.
        _ if half_open && !known.spoke() && offset != 0 => match segment.control {
            Control::Rst => Verdict::Drop(DropReason::InexactReset),
            _ => Verdict::Pass,
        },
        Control::Rst if offset == 0 => Verdict::Pass,
        Control::Rst if offset < u32::from(known.window) << shift => {
            Verdict::Challenge(DropReason::InexactReset)
        }
        Control::Rst => Verdict::Drop(DropReason::InexactReset),
        // The same SYN again: its answer is under way.
        Control::Syn if half_open && offset == u32::MAX => Verdict::Pass,
        Control::Syn => Verdict::Challenge(DropReason::OpenFlow),
        Control::Other => Verdict::Pass,
    }
}

/// How far `to` lies after `from`; negative when it lies before.
fn distance(from: TcpSeqNumber, to: TcpSeqNumber) -> i32 {
    to.0.wrapping_sub(from.0)
}

/// A clock that stands still for 65 ms at a time, and is never zero.
fn tick(now: Instant) -> u16 {
    ((now.total_micros() >> QUIET_MICROS_LOG2) as u16) | 1 << 15
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
