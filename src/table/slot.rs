//! One connection's place: what is known of it, and its socket, in a set of its own.
//! Its life is a rule ([`lifecycle`](crate::rules::lifecycle)).
//!
//! A slot is in at most one list at a time (free, half-open at one listener or
//! in its queue, TIME-WAIT), so one pair of links serves all of them. Generations tell a
//! stale handle from a live one.

use core::mem::ManuallyDrop;
use core::task::Waker;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;

use crate::event::Deadline;
use crate::frame::demux::Segment;
use crate::frame::flow::Flow;
use crate::frame::link::NOBODY;
use crate::initial::initial;
use crate::rules::guard::{Edge, TcpView};
use crate::rules::lifecycle::{Cut, State};
use crate::rules::limits::{Clocks, Due, Pace};
use crate::rules::normalise::PeerView;
use crate::rules::pmtu::in_vain;
use crate::table::host::Host;
use crate::time::after;

/// Whoever has not answered these repeats in a row is given up when its close takes too
/// long: from a first timeout of a second on that is half a minute (RFC 9293, 3.8.3, has no
/// number of tries, but R1 "SHOULD correspond to at least 3 retransmissions").
const ENOUGH: u8 = 4;

/// Nobody is silent who was not asked so often. RFC 9293, 3.8.4: a keep-alive mechanism
/// "MUST NOT interpret failure to respond to any specific probe as a dead connection
/// (MUST-29)", and an answer may be lost as well.
pub(crate) const QUESTIONS: u8 = 2;

/// No listener.
pub(crate) const NO_LISTENER: u32 = u32::MAX;

/// What a program wants of a socket that is lent, for when it is back; or of one whose
/// bytes have to be acknowledged first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Asked {
    Nothing = 0,
    Fin,
    Abort,
}

/// What a slot knows of the time at which it is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Timer {
    /// It is what smoltcp and the limits ask for.
    Exact = 0,
    /// It is not later than the shortest of smoltcp's timers that begins now: as
    /// long as it has not passed, no deadline need be looked at.
    WithinRto,
    /// It may be too late: of several TCP timers the first has passed, or a pass
    /// that began one was not the last. Ask.
    Stale,
}

initial! {
    /// One connection. Lives in [`Storage`](crate::Storage).
    ///
    /// What every segment touches comes first, and on a machine with caches a slot
    /// begins where a line does: of thousands of connections the next one is in no
    /// cache, and a line that is not there costs as much as a hundred instructions.
    #[repr(C)]
    #[cfg_attr(target_pointer_width = "64", repr(align(64)))]
    pub struct Slot<'a>: EMPTY {
        /// The next slot of its bucket, if it has a flow.
        pub(crate) next_flow: u32 = 0,
        /// [`Flow::ZERO`]: it has none.
        pub(crate) flow: Flow = Flow::ZERO,
        pub(crate) generation: u32 = 0,
        /// What the guard holds segments against.
        pub(crate) view: TcpView = TcpView::NOTHING,
        pub(crate) edge: Edge = Edge::NOTHING,
        /// What the peer said.
        pub(crate) heard: PeerView = PeerView::NOTHING,
        pub(crate) state: State = State::Free,
        pub(crate) dirty: bool = false,
        pub(crate) cut: Cut = Cut::No,
        pub(crate) timer: Timer = Timer::Exact,
        /// `None` before the stack starts and while a stream has borrowed it, which
        /// only an open one can.
        pub(crate) set: ManuallyDrop<Option<SocketSet<'a>>> = ManuallyDrop::new(None),
        pub(crate) rx_waker: Option<Waker> = None,
        pub(crate) tx_waker: Option<Waker> = None,
        /// The hardware address that the flow's own frames come from.
        pub(crate) peer: [u8; 6] = NOBODY,
        pub(crate) waits_for_neighbor: bool = false,
        /// What the cache had learned when it began to wait for a neighbor: its epoch
        /// then, for `audit`.
        pub(crate) waits_since: u8 = 0,
        pub(crate) clocks: Clocks = Clocks::EMPTY,
        pub(crate) prev: u32 = 0,
        pub(crate) next: u32 = 0,
        /// The next slot whose waker is to be woken; zero: it is not one of those.
        pub(crate) next_woken: u32 = 0,
        /// The listener it was admitted for; [`NO_LISTENER`] when that is gone, and for a
        /// connection of ours.
        pub(crate) listener: u32 = 0,
        /// How often in a row the same numbers left, while nothing good came.
        pub(crate) repeats: u8 = 0,
        /// How often the way to its peer was asked for; the first time since it answers no
        /// more is zero.
        pub(crate) polls: u8 = 0,
        /// How long its packets may be; zero: as long as the link lets them.
        pub(crate) mtu: u16 = 0,
        /// Owners: one stream, or one or two halves.
        pub(crate) owners: u8 = 0,
        /// While the socket was borrowed, or bytes had to be acknowledged first.
        pub(crate) asked: Asked = Asked::Nothing,
        /// With keep-alive: how many things the peer has to answer, up to [`QUESTIONS`].
        pub(crate) questions: u8 = 0,
        /// Somebody waits for the socket to come back.
        pub(crate) missed: bool = false,
        /// Its close was given more time, and nothing was acknowledged since.
        pub(crate) spared: bool = false,
    }
}

impl core::fmt::Debug for Slot<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Slot").field("state", &self.state).finish()
    }
}

impl<'a> Slot<'a> {
    /// Where what a segment touches ends.
    #[cfg(test)]
    pub(crate) const COLD: usize = core::mem::offset_of!(Slot<'static>, clocks) + Clocks::COLD;

    /// The flow it serves.
    pub(crate) fn flow(&self) -> Option<Flow> {
        (self.flow.words != 0).then_some(self.flow)
    }

    /// The socket, unless it is borrowed.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn socket(&mut self) -> Option<&mut tcp::Socket<'a>> {
        Some(tcp_of(self.set.as_mut()?))
    }

    /// Whether its connection is over but for TIME-WAIT.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn is_time_wait(&mut self) -> bool {
        let socket = self.socket();
        socket.is_some_and(|socket| socket.state() == tcp::State::TimeWait)
    }

    /// Whether its stream is held in TIME-WAIT.
    pub(crate) fn is_held(&mut self) -> bool {
        matches!(self.state, State::Open) && self.is_time_wait()
    }

    /// A handshake begins: what is known of a fresh slot.
    pub(crate) fn shakes(&mut self, listener: u32, segment: &Segment, host: &Host<'_>) {
        self.state = State::HalfOpen;
        self.listener = listener;
        self.peer = segment.remote_hardware;
        self.clocks.give_up = after(host.now, host.config.handshake_timeout);
        self.clocks.pace = Pace::EMPTY.begin(host.tick);
    }

    /// Its numbers have left again, at most so many bytes at a time. True: the way to its
    /// peer is doubted, because it was not for the first time in a row; or it was a SYN or
    /// a FIN alone, which have not so many tries.
    #[cold]
    pub(crate) fn sent_again(&mut self, bytes: u16) -> bool {
        self.repeats = self.repeats.saturating_add(1);
        self.heard.left_again(bytes);
        let mtu = in_vain(self.repeats, bytes, self.flow.words == 1);
        self.mtu = mtu.unwrap_or(self.mtu);
        self.repeats > 1 || bytes == 0
    }

    /// Whether a close that takes too long is given as much time again, once: something is
    /// in flight and has left less often than five times, because smoltcp's timer has backed
    /// off that far.
    pub(crate) fn spares(&mut self, why: Option<Deadline>) -> bool {
        let closes = matches!(self.state, State::Closing) && matches!(self.cut, Cut::No);
        let untried = self.repeats < ENOUGH && self.heard.snd_una != self.view.snd_max;
        let over = closes && untried && matches!(why, Some(Deadline::Close));
        over && !core::mem::replace(&mut self.spared, true)
    }

    /// With keep-alive: something left that the peer has to answer, and an interval for it.
    #[cold]
    pub(crate) fn asks(&mut self, now: Instant) {
        if self.questions < QUESTIONS {
            self.questions += 1;
            self.is_silent_from(now);
        }
    }

    /// It is not silent before an interval has passed. smoltcp probes a window that is
    /// shut more and more seldom.
    #[cold]
    pub(crate) fn is_silent_from(&mut self, now: Instant) {
        let interval = self.socket().and_then(|socket| socket.keep_alive());
        let interval = interval.unwrap_or_default();
        self.clocks.silent_at = self.clocks.silent_at.max(after(now, interval));
    }

    /// What of it is due first. The limits of a stream that was cut, or is held in
    /// TIME-WAIT, mean nothing any more.
    pub(crate) fn due(&mut self, host: &Host<'_>) -> Due {
        let is_open = matches!(self.state, State::Open | State::Closing);
        let is_limited = is_open && matches!(self.cut, Cut::No);
        let is_limited = is_limited && !self.is_time_wait();
        self.clocks.due(self.state, is_limited, host.now, host.tick)
    }
}

/// The one socket of a set: the first, which is there from the stack's start on,
/// and another one in its place after each connection.
#[inline]
pub(crate) fn tcp_of<'s, 'a>(set: &'s mut SocketSet<'a>) -> &'s mut tcp::Socket<'a> {
    set.get_mut(SocketHandle::default())
}
