//! The guard. A segment for a view flow must not hurt it merely because its
//! addresses and ports can be guessed, so before smoltcp sees one it is held
//! against what the flow knows: the next byte we expect, the last acknowledgement we
//! sent and its window, and the highest sequence number we used.
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
//! Three more, because smoltcp 0.14 believes what it should not:
//!
//! - it shifts the window of our SYN by the window scale, which no SYN's is (RFC
//!   7323, 2.2), and would write past its receive buffer: until our first scaled
//!   window, nothing that ends past the edge of the one in our SYN is let through;
//! - it cuts off bytes past the edge of its window, which is right, and takes the
//!   FIN behind them, which is not: the peer has to send such a segment again. That
//!   happens to honest peers too: a window is rounded down when it is scaled, so the
//!   edge may move back a little, and smoltcp forgets the edge that it told with a
//!   keep-alive or a probe;
//! - it takes bytes that come after a FIN.
//!
//! What the flow knows comes from our own frames on their way out, and from what
//! smoltcp took.
//!
//! Not here: who has a flow (`flows.rs`), a connection of ours before the peer has
//! answered (smoltcp is exact about that), what a challenge looks like (`build.rs`).

use core::cell::Cell;

use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::TcpSeqNumber;

use crate::counters::DropReason;
use crate::frame::build::{ACK, Bare, offer_of};
use crate::frame::demux::{Control, Segment};
use crate::frame::sent::Outgoing;
use crate::initial::initial;

/// Out-of-window bytes are answered once in this many microseconds, as a power
/// of two: 65 ms, well below any peer's retransmission timer.
const QUIET_MICROS_LOG2: u32 = 16;

initial! {
    /// What our own frames, and what smoltcp took, say of a flow (RFC 9293, 3.3.1).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct TcpView: NOTHING {
        /// The next byte we expect: smoltcp's own number.
        pub(crate) rcv_nxt: TcpSeqNumber = TcpSeqNumber(0),
        /// What we acknowledged last: it may lag behind.
        pub(crate) last_ack: TcpSeqNumber = TcpSeqNumber(0),
        /// One past the highest sequence number we used; zero before the first.
        pub(crate) snd_max: TcpSeqNumber = TcpSeqNumber(0),
        /// The window of our last acknowledgement, as it stands in the header.
        pub(crate) rcv_wnd: u16 = 0,
        /// When bytes outside the window were answered last.
        pub(crate) quiet: u16 = 0,
    }
}

initial! {
    /// What a flow knows of the edge of that window, which most frames only move: apart,
    /// so that they need not carry it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Edge: NOTHING {
        /// When it is [doubted](EdgeOf::Doubted), or only frames of one byte have left
        /// since our SYN: the edge that smoltcp remembers, or one before it.
        pub(crate) sure: TcpSeqNumber = TcpSeqNumber(0),
        /// By how much the window is scaled.
        pub(crate) shift: u8 = 0,
        /// By how much all our windows are scaled, except those of SYNs.
        pub(crate) scale: u8 = 0,
        /// What ends there.
        pub(crate) of: EdgeOf = EdgeOf::Window,
    }
}

/// What an edge is the edge of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum EdgeOf {
    /// A window that smoltcp reads as we do: it cuts off what is past it.
    Window = 0,
    /// The same, but a frame of one byte told of it. Some of those are questions, a
    /// keep-alive or a probe of the peer's window, and what they offer smoltcp
    /// forgets.
    Doubted,
    /// A window behind which smoltcp sees more room than there is, because it
    /// remembers the one of our SYN.
    Syn,
    /// The peer's stream: its FIN is in.
    Stream,
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

impl TcpView {
    /// A peer's SYN is all there is so far.
    pub(crate) fn of_syn(seq: TcpSeqNumber) -> Self {
        TcpView {
            rcv_nxt: seq + 1,
            last_ack: seq + 1,
            ..TcpView::NOTHING
        }
    }

    /// Whether our first frame has left.
    pub(crate) fn spoke(&self) -> bool {
        self.snd_max.0 != 0
    }

    /// A segment that makes smoltcp say where it stands, at most once a second per
    /// connection: one before the window and empty, like a keep-alive. A peer that
    /// meant what was dropped answers with a reset that is exact (RFC 5961, 3.2 and
    /// 4.2).
    #[cold]
    pub(crate) fn challenge(&self) -> Bare {
        Bare {
            flags: ACK,
            seq: TcpSeqNumber(self.rcv_nxt.0.wrapping_sub(1)),
            ack: self.snd_max,
            ..Bare::default()
        }
    }

    /// Bytes outside the window are answered now.
    pub(crate) fn answered(&mut self, now: Instant) {
        self.quiet = tick(now);
    }
}

impl Edge {
    /// Bytes from the next one we expect to the edge.
    #[inline]
    pub(crate) fn room(&self, view: &TcpView) -> u32 {
        let taken = distance(view.last_ack, view.rcv_nxt) as u32;
        (u32::from(view.rcv_wnd) << self.shift).saturating_sub(taken)
    }

    /// The window is that of a SYN or a SYN-ACK of ours, which is never scaled.
    fn told_by_syn(&mut self) {
        self.shift = 0;
        self.of = match self.scale {
            0 => EdgeOf::Window,
            _ => EdgeOf::Syn,
        };
    }

    /// A frame of one byte, or of any other number, told of this edge; before, smoltcp
    /// remembered `before`, unless that is doubted already.
    fn told(&mut self, one_byte: bool, before: TcpSeqNumber, edge: TcpSeqNumber) {
        if self.of == EdgeOf::Window || self.shift < self.scale {
            self.sure = before;
        }
        self.of = match self.of {
            _ if !one_byte => EdgeOf::Window,
            EdgeOf::Window => EdgeOf::Doubted,
            of => of,
        };
        if distance(self.sure, edge) < 0 {
            self.sure = edge;
        }
        self.shift = self.scale;
    }
}

/// A frame of ours leaves. `scale` is the one that it tells of, if it is a SYN.
#[inline]
pub(crate) fn learn(
    view: &Cell<TcpView>,
    edge: &Cell<Edge>,
    sent: &Outgoing,
    scale: impl FnOnce() -> u8,
) {
    if sent.rst {
        return; // its numbers may be the peer's
    }
    let mut window = sent.window;
    let one_byte = sent.payload == 1;
    if sent.syn | one_byte | !matches!(edge.get().of, EdgeOf::Window) {
        let scale = sent.syn.then_some(scale);
        window = learn_edge(view, edge, (sent.ack, window), one_byte, scale);
    }
    let mut now = view.get();
    let end = sent.seq + sent.payload + usize::from(sent.syn) + usize::from(sent.fin);
    if now.snd_max.0 == 0 || distance(now.snd_max, end) > 0 {
        now.snd_max = end;
    }
    if let Some(ack) = sent.ack {
        now.last_ack = ack;
    }
    now.rcv_wnd = window;
    view.set(now);
}

/// What a frame that does more than move the edge says of it; gives the window.
#[cold]
#[inline(never)]
fn learn_edge(
    view: &Cell<TcpView>,
    edge: &Cell<Edge>,
    (ack, window): (Option<TcpSeqNumber>, u16),
    one_byte: bool,
    scale: Option<impl FnOnce() -> u8>,
) -> u16 {
    let (view, mut now) = (view.get(), edge.get());
    if now.of == EdgeOf::Stream {
        return 0;
    }
    if let Some(scale) = scale {
        now.scale = scale();
        now.told_by_syn();
    } else {
        // smoltcp shifts the window of our SYN too.
        let before = view.last_ack + (usize::from(view.rcv_wnd) << now.scale);
        let told = ack.unwrap_or(view.last_ack) + (usize::from(window) << now.scale);
        now.told(one_byte, before, told);
    }
    edge.set(now);
    window
}

/// What a segment with which smoltcp's state moved says of its flow.
#[cold]
pub(crate) fn moved(
    (view, edge): (&mut TcpView, &mut Edge),
    states: (tcp::State, tcp::State),
    segment: &Segment,
    frame: &[u8],
) {
    use tcp::State::{CloseWait, Closing, Established, LastAck, SynReceived, SynSent, TimeWait};
    match states {
        (SynSent, SynReceived | Established) => {
            answered_with(view, edge, segment.seq, offer_of(frame).scale.is_some());
        }
        (CloseWait | Closing | LastAck | TimeWait, _) => (),
        (_, CloseWait | Closing | LastAck | TimeWait) => ended(view, edge),
        _ => (),
    }
}

/// The peer has answered our SYN with its own, and scales windows or not.
fn answered_with(view: &mut TcpView, edge: &mut Edge, seq: TcpSeqNumber, scales: bool) {
    if !scales {
        edge.scale = 0;
    }
    edge.told_by_syn();
    (view.rcv_nxt, view.last_ack) = (seq + 1, seq + 1);
    // smoltcp counts the window of our SYN from the number of the peer's.
    view.rcv_wnd = view.rcv_wnd.saturating_sub(1);
}

/// smoltcp has taken the peer's FIN, which is behind all bytes it took.
fn ended(view: &mut TcpView, edge: &mut Edge) {
    view.rcv_nxt += 1;
    view.rcv_wnd = 0;
    edge.of = EdgeOf::Stream;
}

/// Judges a segment for a flow whose handshake our side has finished, or in
/// which it has answered the peer's SYN (`half_open`).
#[inline]
pub(crate) fn judge(
    segment: &Segment,
    view: &TcpView,
    edge: &Edge,
    half_open: bool,
    now: Instant,
) -> Verdict {
    if matches!(segment.control, Control::Other) {
        // smoltcp wants an exact acknowledgement of a SYN.
        if !half_open && segment.has_ack && distance(view.snd_max, segment.ack) > 0 {
            return Verdict::Challenge(DropReason::NeverSent);
        }
        let offset = distance(view.rcv_nxt, segment.seq) as u32;
        let last = offset.wrapping_add(segment.payload.saturating_sub(1).into());
        if last < edge.room(view) && !segment.fin {
            return Verdict::Pass;
        }
        return outside(segment, view, edge, now);
    }
    judge_rare(segment, view, edge, half_open)
}

/// What does not end inside the window, and what ends the peer's stream.
#[cold]
fn outside(segment: &Segment, view: &TcpView, edge: &Edge, now: Instant) -> Verdict {
    let offset = distance(view.rcv_nxt, segment.seq);
    let window = edge.room(view) as i32;
    if segment.payload == 0 {
        return match offset == 0 || (0..window).contains(&offset) {
            true => Verdict::Pass,
            false => Verdict::PassEmpty,
        };
    }
    let end = offset.wrapping_add(segment.payload.into());
    let past = end > 0 && end > window;
    // RFC 9293, 3.10.7.4, seventh: "This should not occur since a FIN has been
    // received from the remote side. Ignore the segment text."
    if past && edge.of == EdgeOf::Stream {
        return Verdict::Drop(DropReason::AfterEnd);
    }
    // RFC 7323, 2.2: "The window field in a segment where the SYN bit is set (i.e.,
    // a <SYN> or <SYN,ACK>) MUST NOT be scaled."
    let no_room = past && (segment.fin || edge.of == EdgeOf::Syn);
    let asked = edge.of == EdgeOf::Syn && edge.shift > 0;
    let doubted = segment.fin && (asked || edge.of == EdgeOf::Doubted);
    if no_room || (doubted && end > distance(view.rcv_nxt, edge.sure).max(0)) {
        return Verdict::Challenge(DropReason::PastEdge);
    }
    if end > 0 && offset < window && window > 0 {
        return Verdict::Pass; // what of it is new and has room
    }
    if view.quiet == tick(now) {
        return Verdict::Drop(DropReason::Throttled);
    }
    Verdict::PassOnce
}

#[cold]
fn judge_rare(segment: &Segment, view: &TcpView, edge: &Edge, half_open: bool) -> Verdict {
    let offset = distance(view.rcv_nxt, segment.seq) as u32;
    match segment.control {
        // Nobody knows yet what we would be challenged about.
        _ if half_open && !view.spoke() && offset != 0 => match segment.control {
            Control::Rst => Verdict::Drop(DropReason::InexactReset),
            _ => Verdict::Pass,
        },
        Control::Rst if offset == 0 => Verdict::Pass,
        Control::Rst if offset < edge.room(view) => Verdict::Challenge(DropReason::InexactReset),
        Control::Rst => Verdict::Drop(DropReason::InexactReset),
        // The same SYN again: its answer is under way.
        Control::Syn if half_open && offset == u32::MAX => Verdict::Pass,
        // Both connect.
        Control::SynAck if half_open => Verdict::Pass,
        Control::Syn | Control::SynAck => Verdict::Challenge(DropReason::OpenFlow),
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

#[cfg(test)]
#[path = "guard_model_tests.rs"]
mod model_tests;
