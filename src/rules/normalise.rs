//! What smoltcp is shown of a segment. It believes every window, throws a good
//! acknowledgement away with a segment that is not in the window, forgets a FIN that
//! comes before its text, and counts what must not be counted. So between the guard and
//! smoltcp stands this: nearly every segment is shown as it is; of the others the numbers
//! are changed, or an acknowledgement, a FIN or a reset is shown without the rest.
//!
//! It needs what the peer's own segments said of the flow, a [`PeerView`], as the guard
//! needs what ours said of it; and smoltcp's own numbers, exactly.
//!
//! The rule: the peer is believed as far as one that means no harm would have meant it,
//! and never farther. No number is made up: an acknowledgement is one that came, a window
//! is the one that came or a smaller one; only for a shut one, with bytes in flight, one
//! is shown.
//!
//! Not here: what may be shown at all (`guard.rs`), how it is written (`patch.rs` and
//! `build.rs`), and when what is late is sent again (smoltcp).

use smoltcp::wire::TcpSeqNumber;

use crate::counters::DropReason;
use crate::frame::build::{ACK, Bare, RST};
use crate::frame::demux::{Control, FIN, Segment};
use crate::initial::initial;
use crate::rules::guard::Verdict;

/// smoltcp's first congestion window: with segments of a tenth of that it obeys RFC 6928
/// by itself.
const FIRST_CWND: u32 = 2048;

initial! {
    /// What the peer's own segments said of a flow, as far as they were believed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct PeerView: NOTHING {
        /// The first number that the peer has not acknowledged.
        pub(crate) snd_una: TcpSeqNumber = TcpSeqNumber(0),
        /// One past the last byte of its stream, if its FIN came early ([`EARLY_END`]).
        end: TcpSeqNumber = TcpSeqNumber(0),
        /// Its last window, and the widest so far, as they stood in the header.
        snd_wnd: u16 = 0,
        max_wnd: u16 = 0,
        /// A segment whose window is not above this is looked at.
        low: u16 = 0,
        /// The longest segment that it takes.
        pub(crate) mss: u16 = 0,
        /// So many bytes from `snd_una` on left again, and none was acknowledged since.
        resent: u16 = 0,
        /// By how much its windows are scaled.
        shift: u8 = 0,
        flags: u8 = 0,
    }
}

/// Our SYN is not acknowledged yet.
const NEW: u8 = 1;
/// Nor is any byte, and segments are so short that the first flight has to be limited.
const YOUNG: u8 = 2;
/// The FIN has come before all bytes have.
const EARLY_END: u8 = 4;
/// A window too small to use was hidden.
const HIDDEN: u8 = 8;
/// The window shut on what was in flight, and something is still.
const SHUT: u8 = 16;
/// Of what left again the peer has a part, and the rest was lost.
const LOST: u8 = 32;

/// What our side of a flow knows: smoltcp's own numbers, and the highest that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ours {
    pub(crate) rcv_nxt: TcpSeqNumber,
    pub(crate) snd_max: TcpSeqNumber,
    /// The widest window that we can offer: 65,535, scaled.
    pub(crate) max_rcv_wnd: u32,
    /// Bytes in the send queue, sent or not.
    pub(crate) queued: usize,
}

/// How smoltcp is shown a segment that it may see, and what it is shown besides.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rewrite {
    AsItIs,
    /// A copy with this acknowledgement and window.
    Numbers(Bare),
    /// This, and not the segment.
    Instead(Bare),
    /// This after the segment, or alone if that is not shown.
    Besides(Bare),
}

impl PeerView {
    /// The peer's SYN has come, with this MSS, as far as it is believed, and this window;
    /// or its SYN-ACK, which acknowledges ours.
    #[cold]
    pub(crate) fn of_syn(
        mss: u16,
        scale: Option<u8>,
        window: u16,
        acked: Option<TcpSeqNumber>,
    ) -> Self {
        // RFC 7323, 2.3: "the shift count MUST be limited to 14".
        let shift = scale.unwrap_or(0).min(14);
        let mut view = PeerView {
            snd_una: acked.unwrap_or_default(),
            // RFC 7323, 2.2: the window of a SYN is not scaled.
            snd_wnd: window >> shift,
            max_wnd: window >> shift,
            mss,
            shift,
            ..PeerView::NOTHING
        };
        view.set(NEW, acked.is_none());
        view.set(YOUNG, first_flight(mss) < FIRST_CWND);
        view.look_closely();
        view
    }

    /// Whether a segment that the guard lets pass, without a SYN, FIN or RST, is one of
    /// nearly all: it acknowledges what is in flight, or nothing new, and its window is
    /// wide enough. Then it is shown as it is, and its numbers are taken. Nothing is due
    /// then: whatever is makes all segments others.
    #[inline]
    pub(crate) fn takes_plain(&mut self, segment: &Segment, snd_max: TcpSeqNumber) -> bool {
        let flight = distance(self.snd_una, snd_max) as u32;
        let new = distance(self.snd_una, segment.ack) as u32;
        // One short of all is perhaps all but our FIN.
        let is_plain = segment.has_ack
            && new <= flight
            && flight - new != 1
            // Nor is one that repeats itself, and has no room for a segment.
            && (new > 0
                || segment.payload > 0
                || u32::from(segment.window) << self.shift >= u32::from(self.mss))
            && self.low < segment.window
            && segment.window <= self.max_wnd;
        if is_plain {
            self.snd_una = segment.ack;
            self.snd_wnd = segment.window;
        }
        is_plain
    }

    /// Its window, in bytes.
    #[inline(always)]
    pub(crate) fn window(&self) -> u32 {
        u32::from(self.snd_wnd) << self.shift
    }

    /// How many bytes are in flight, if this is one past the last that ever left.
    pub(crate) fn in_flight(&self, snd_max: TcpSeqNumber) -> u32 {
        distance(self.snd_una, snd_max).max(0) as u32
    }

    /// One past the last byte that the peer has offered to take.
    #[inline]
    pub(crate) fn edge(&self) -> TcpSeqNumber {
        let window = self.window();
        TcpSeqNumber(self.snd_una.0.wrapping_add(window as i32))
    }

    /// What becomes of a segment that the guard has judged and that is not plain.
    #[cold]
    pub(crate) fn hears(
        &mut self,
        segment: &Segment,
        verdict: Verdict,
        ours: &Ours,
    ) -> (Verdict, Rewrite) {
        match segment.control {
            // RFC 9293, 3.10.7.4, looks at a reset before it looks at a SYN, a FIN or
            // text; smoltcp takes none that has anything beside it.
            Control::Rst if verdict == Verdict::Pass => {
                return (verdict, Rewrite::Instead(bare(segment, RST)));
            }
            Control::Other if segment.has_ack => {}
            _ => return (verdict, Rewrite::AsItIs),
        }
        if self.is(NEW) {
            if segment.ack != ours.snd_max {
                return (verdict, Rewrite::AsItIs); // smoltcp resets it
            }
            self.snd_una = segment.ack;
        }
        let flight = distance(self.snd_una, ours.snd_max);
        let new = distance(self.snd_una, segment.ack);
        let carries = segment.payload > 0 || segment.fin;
        if new > flight || (new < 0 && !carries) {
            return (verdict, Rewrite::AsItIs); // it was judged; or says nothing
        }
        // RFC 5961, 5.2: "(SND.UNA - MAX.SND.WND) <= SEG.ACK".
        if new < 0 && new.unsigned_abs() > self.widest() {
            let never = Verdict::Challenge(DropReason::NeverSent);
            return (never, Rewrite::AsItIs);
        }
        let verdict = self.judged_again(segment, verdict, ours.rcv_nxt);
        let taken = verdict == Verdict::Pass;
        // smoltcp takes three of these for a sign to send bytes again at once: when only our
        // FIN is in flight it finds none, and forgets the FIN's timer; answers to probes of a
        // window that shut are no such sign; and it would send a whole segment where the
        // window takes less, and not know it for sent past the edge (RFC 9293, 3.8.6:
        // segments "fit the current window").
        let bytes = usize::from(segment.window) << self.shift;
        let less = bytes < ours.queued.min(self.mss.into()) && segment.window == self.snd_wnd;
        let only_fin = ours.queued == 0 && flight == 1;
        let idle = only_fin || (less && (bytes > 0 || self.is(SHUT)));
        if taken && new == 0 && !carries && idle {
            let repeated = Verdict::Drop(DropReason::RepeatedAck);
            return (repeated, Rewrite::AsItIs);
        }
        // RFC 9293, 3.10.7.4: "If an incoming segment is not acceptable, an acknowledgment
        // should be sent in reply", and smoltcp looks at what it acknowledges before that.
        if new < 0 && verdict == Verdict::PassOnce {
            let before = TcpSeqNumber(ours.rcv_nxt.0.wrapping_sub(1));
            return (verdict, Rewrite::Instead(self.acknowledges(before)));
        }
        if !taken && !self.is_told_more(segment, new, ours) {
            return (verdict, Rewrite::AsItIs);
        }
        if new >= 0 {
            self.believe(segment, flight, new, ours.queued);
        }
        let numbers = self.acknowledges(ours.rcv_nxt);
        let rewrite = match taken {
            true => rewritten(segment, numbers),
            false => Rewrite::Besides(numbers),
        };
        (verdict, rewrite)
    }

    /// What the guard could not know: where the stream ends.
    fn judged_again(
        &mut self,
        segment: &Segment,
        verdict: Verdict,
        rcv_nxt: TcpSeqNumber,
    ) -> Verdict {
        let end = text_end(segment);
        match verdict {
            // RFC 9293, 3.10.7.4, seventh, of text after a FIN: "Ignore the segment text."
            Verdict::Pass
                if self.is(EARLY_END) && segment.payload > 0 && distance(self.end, end) > 0 =>
            {
                Verdict::Drop(DropReason::AfterEnd)
            }
            // RFC 9293, 3.10.7.4: "Segments with higher beginning sequence numbers SHOULD be
            // held for later processing (SHLD-31)". smoltcp holds the text.
            Verdict::Pass => {
                let early = segment.fin && distance(rcv_nxt, segment.seq) > 0;
                if early && !self.is(EARLY_END) {
                    self.end = end;
                    self.set(EARLY_END, true);
                    self.look_closely();
                }
                verdict
            }
            // RFC 9293, 3.4: the length of a segment counts its FIN, so one behind old text
            // is new.
            Verdict::PassOnce | Verdict::Drop(DropReason::Throttled)
                if is_behind_old_text(segment, rcv_nxt) =>
            {
                Verdict::Pass
            }
            _ => verdict,
        }
    }

    /// Whether a segment that smoltcp does not take says something that is good all the same
    /// (RFC 9293, 3.10.7.4: "special allowance should be made to accept valid ACKs"). The
    /// window in one from before a probe is older than what is known.
    fn is_told_more(&self, segment: &Segment, new: i32, ours: &Ours) -> bool {
        let offset = distance(ours.rcv_nxt, segment.seq);
        let moves = new == 0 && offset >= -1 && segment.window != self.snd_wnd;
        (new > 0 || moves) && offset.unsigned_abs() <= ours.max_rcv_wnd
    }

    /// Takes the numbers of a segment that acknowledges `new` of the numbers in flight.
    fn believe(&mut self, segment: &Segment, flight: i32, new: i32, queued: usize) {
        // A probe is past the edge: smoltcp does not count it.
        let counted = flight.min(distance(self.snd_una, self.edge()));
        let (flight, counted) = (flight - new, counted - new);
        let queued = queued.saturating_sub(new as usize);
        self.snd_una = segment.ack;
        self.snd_wnd = segment.window;
        self.max_wnd = self.max_wnd.max(segment.window);
        let bytes = u32::from(segment.window) << self.shift;
        let useless = bytes > 0 && bytes < self.useful() && (bytes as usize) < queued;
        // RFC 9293, 3.8.6.2.1, (4): "if the override timeout occurs": smoltcp has probed a
        // window that it took for shut, and the probe was taken.
        let probed = self.is(HIDDEN) && new > 0;
        // RFC 9293, 3.8.6: a sender "MUST be robust against window shrinking (MUST-34)", and
        // "MUST probe" a window that shrank to zero (MUST-35); smoltcp does only when nothing
        // is in flight.
        let shut = bytes == 0 && flight > 0 && (counted > 0 || self.is(SHUT));
        // RFC 6582, 3.2: on a partial ACK "retransmit the first unacknowledged segment"; else
        // it waits for a timer that has backed off. What left again was one segment, which
        // nobody acknowledges in pieces.
        let fits = bytes as usize >= queued.min(self.mss.into());
        self.set(LOST, new > 0 && new < self.resent.into() && fits);
        if new > 0 {
            self.resent = 0;
        }
        self.set(HIDDEN, useless && counted <= 0 && flight <= 1 && !probed);
        self.set(SHUT, shut);
        self.set(NEW, false);
        self.set(YOUNG, self.is(YOUNG) && new == 0);
        self.look_closely();
    }

    /// The window that smoltcp is shown.
    fn shown(&self) -> u16 {
        if self.is(SHUT) {
            return 1;
        }
        if self.is(HIDDEN) {
            return 0;
        }
        let most = (first_flight(self.mss) >> self.shift).max(1);
        match self.is(YOUNG) {
            true => most.min(self.snd_wnd.into()) as u16,
            false => self.snd_wnd,
        }
    }

    /// RFC 9293, 3.8.6.2.1, (1) and (3): a window is worth being used if it takes a whole
    /// segment, or half of the most there ever was.
    fn useful(&self) -> u32 {
        u32::from(self.mss).min(self.widest() / 2)
    }

    fn widest(&self) -> u32 {
        u32::from(self.max_wnd) << self.shift
    }

    /// Decides up to which window a segment is no plain one.
    fn look_closely(&mut self) {
        let least = self.useful().div_ceil(1 << self.shift);
        self.low = match self.flags {
            0 if self.resent == 0 => least.saturating_sub(1) as u16,
            _ => u16::MAX,
        };
    }

    /// The FIN that is due when all bytes up to `rcv_nxt` have come, if it came before them.
    #[inline]
    pub(crate) fn end_due(&mut self, rcv_nxt: TcpSeqNumber) -> Option<Bare> {
        match self.is(EARLY_END) && distance(self.end, rcv_nxt) >= 0 {
            true => self.early_end(rcv_nxt),
            false => None,
        }
    }

    #[cold]
    fn early_end(&mut self, rcv_nxt: TcpSeqNumber) -> Option<Bare> {
        self.set(EARLY_END, false);
        self.look_closely();
        let end = Bare {
            flags: ACK | FIN,
            ..self.acknowledges(rcv_nxt)
        };
        // Text that was there before the FIN may go past it: then it was none.
        (self.end == rcv_nxt).then_some(end)
    }

    /// Whether a segment ends where all that came ends, and acknowledges what is
    /// acknowledged: the last one, once more. Who knows both numbers is the peer, once it
    /// has acknowledged our SYN.
    pub(crate) fn is_last_again(&self, segment: &Segment, rcv_nxt: TcpSeqNumber) -> bool {
        let end = text_end(segment) + usize::from(segment.fin);
        let exact = end == rcv_nxt && segment.has_ack && segment.ack == self.snd_una;
        exact && self.snd_una.0 != 0
    }

    /// So many bytes from the first that is not acknowledged on have left again.
    #[cold]
    pub(crate) fn left_again(&mut self, bytes: u16) {
        self.resent = bytes;
        self.look_closely();
    }

    /// Whether the rest of what left again was lost, and is to leave at once; asked once.
    pub(crate) fn take_lost(&mut self) -> bool {
        let lost = self.is(LOST);
        self.set(LOST, false);
        self.look_closely();
        lost
    }

    /// What it has acknowledged, and its window, in a segment that says nothing else.
    pub(crate) fn acknowledges(&self, rcv_nxt: TcpSeqNumber) -> Bare {
        Bare {
            flags: ACK,
            seq: rcv_nxt,
            ack: self.snd_una,
            window: self.shown(),
            ..Bare::default()
        }
    }

    fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn set(&mut self, flag: u8, on: bool) {
        self.flags = self.flags & !flag | if on { flag } else { 0 };
    }
}

/// A segment that smoltcp takes, with these numbers.
fn rewritten(segment: &Segment, numbers: Bare) -> Rewrite {
    let fin = if segment.fin { FIN } else { 0 };
    let flags = numbers.flags | fin;
    if is_behind_old_text(segment, numbers.seq) {
        return Rewrite::Instead(Bare { flags, ..numbers });
    }
    match (numbers.ack, numbers.window) {
        same if same == (segment.ack, segment.window) => Rewrite::AsItIs,
        _ if segment.payload > 0 => Rewrite::Numbers(numbers),
        _ => Rewrite::Instead(Bare {
            flags,
            seq: segment.seq,
            ..numbers
        }),
    }
}

/// What smoltcp is shown of a segment before our SYN was answered: it looks at other flags
/// only together with the right acknowledgement, and RFC 9293, 3.10.7.3, at the
/// acknowledgement first: "If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset".
#[cold]
pub(crate) fn connecting(segment: &Segment, snd_max: TcpSeqNumber) -> Rewrite {
    match (segment.control, segment.ack == snd_max) {
        _ if !segment.has_ack => Rewrite::AsItIs,
        (Control::Rst, true) => Rewrite::Instead(bare(segment, RST)),
        (Control::Rst, false) | (_, true) => Rewrite::AsItIs,
        (_, false) => Rewrite::Instead(bare(segment, 0)),
    }
}

/// The MSS that a peer's SYN is taken for: what it offers, or what it means to offer none
/// (RFC 9293, 3.7.1: "536 for IPv4 or 1220 for IPv6", MUST-15), not below our floor, and not
/// above what our own link carries (RFC 5681, 2: "the largest segment that the sender can
/// transmit").
#[cold]
pub(crate) fn mss(offer: Option<u16>, is_ipv4: bool, floor: u16, link: u16) -> u16 {
    let unsaid = if is_ipv4 { 536 } else { 1220 };
    let offer = offer.filter(|&mss| mss > 0).unwrap_or(unsaid);
    offer.max(floor).min(link)
}

/// The window that its SYN is shown with, which is never scaled.
#[cold]
pub(crate) fn first_window(mss: u16, window: u16) -> u16 {
    match first_flight(mss) {
        most if most < FIRST_CWND => window.min(most as u16),
        _ => window,
    }
}

/// RFC 6928, 2: "min (10*MSS, max (2*MSS, 14600))", for segments so short that it matters.
fn first_flight(mss: u16) -> u32 {
    u32::from(mss) * 10
}

/// The same number and acknowledgement, nothing but these flags beside it, and no text.
fn bare(segment: &Segment, flags: u8) -> Bare {
    Bare {
        flags: flags | if segment.has_ack { ACK } else { 0 },
        seq: segment.seq,
        ack: segment.ack,
        ..Bare::default()
    }
}

/// Whether a FIN is all that is new of a segment.
fn is_behind_old_text(segment: &Segment, rcv_nxt: TcpSeqNumber) -> bool {
    segment.fin && segment.payload > 0 && text_end(segment) == rcv_nxt
}

fn text_end(segment: &Segment) -> TcpSeqNumber {
    segment.seq + usize::from(segment.payload)
}

/// How far `to` lies after `from`; negative when it lies before.
fn distance(from: TcpSeqNumber, to: TcpSeqNumber) -> i32 {
    to.0.wrapping_sub(from.0)
}

#[cfg(test)]
#[path = "normalise_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "normalise_model_tests.rs"]
mod model_tests;
