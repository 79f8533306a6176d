//! One connection's life.
//!
//! ```text
//!           admit                handshake             accept
//!   Free ----------> HalfOpen ---------------> Queued ---------> Open
//!    ^ \                |  handshake deadline,    | reset          |
//!    |  \ connect       |  reset                  |                | stream
//!    |   `-> Connecting-|--------. answered       |                | dropped
//!    |            |     v         `--------------------> Open      v
//!    `------------+---- free <--------------------+----------- Closing
//!    |                   |    closed, TIME-WAIT over, reclaimed, deadline
//!    `------------------ Lent
//!         give_back          its socket is away
//! ```
//!
//! A loan is a state. While `fill_buf` or a closure holds an open slot's socket,
//! nobody reclaims it; and when the connection is over before the socket is back, a
//! reboot being the way to that, the slot is `Lent`: no flow, no deadline, in no
//! list, with a new generation, and nobody's until `give_back`. So a
//! socket never comes back into another connection's life.
//!
//! A slot is in at most one list at a time (free, half-open at one listener or
//! in its queue, TIME-WAIT), so one pair of links serves all of them. Generations tell a
//! stale handle from a live one.
//!
//! Not here: when a slot moves. [`Stack`](crate::Stack) decides that.

use core::mem::ManuallyDrop;
use core::task::Waker;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;

use crate::event::Deadline;
use crate::frame::link::NOBODY;
use crate::rules::guard::{Edge, TcpView};
use crate::rules::limits::Pace;
use crate::table::flows::{Entry, FlowEntry};
use crate::table::woken::Woken;
use crate::task::waker::{is_ours, wake_ours};

/// No listener.
pub(crate) const NO_LISTENER: u32 = u32::MAX;

/// Where a slot is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    Free = 0,
    /// The connection is over, and a stream still has the socket.
    Lent,
    HalfOpen,
    Queued,
    Connecting,
    Open,
    Closing,
}

/// Whether a connection was cut before both sides had closed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cut {
    No = 0,
    /// By us: a deadline passed, or the program aborted it.
    ByUs,
    /// The peer has reset it.
    ByPeer,
}

/// What a program wants of a socket that is lent, for when it is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Asked {
    Nothing = 0,
    Fin,
    Abort,
}

/// What a slot knows of the time it is timer for.
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

/// One connection. Lives in [`Storage`](crate::Storage).
///
/// What every segment touches comes first, and on a machine with caches a slot
/// begins where a line does: of thousands of connections the next one is in no
/// cache, and a line that is not there costs as much as a hundred instructions.
#[repr(C)]
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
pub struct Slot<'a> {
    pub(crate) entry: FlowEntry,
    pub(crate) generation: u32,
    /// What the guard holds segments against.
    pub(crate) view: TcpView,
    pub(crate) edge: Edge,
    pub(crate) state: State,
    pub(crate) dirty: bool,
    pub(crate) cut: Cut,
    pub(crate) timer: Timer,
    /// `None` before the stack starts and while a stream has borrowed it, which
    /// only an open one can.
    pub(crate) set: ManuallyDrop<Option<SocketSet<'a>>>,
    pub(crate) rx_waker: Option<Waker>,
    pub(crate) tx_waker: Option<Waker>,
    /// The hardware address that the flow's own frames come from.
    pub(crate) peer: [u8; 6],
    pub(crate) waits_for_neighbor: bool,
    /// What the cache had learned when it began to wait for a neighbor: its epoch
    /// then, for `audit`.
    pub(crate) waits_since: u8,
    /// Handshake, connect or close deadline, whichever the state calls for. In
    /// an open stream in TIME-WAIT: when its timer must not run any more.
    pub(crate) give_up: Instant,
    pub(crate) read_at: Instant,
    pub(crate) write_at: Instant,
    /// With keep-alive: when a peer that stays silent is given up.
    pub(crate) silent_at: Instant,
    /// The limits that the service set.
    pub(crate) pace: Pace,
    pub(crate) prev: u32,
    pub(crate) next: u32,
    /// The next slot in [`Woken`]; zero: it is not in there.
    pub(crate) next_woken: u32,
    /// The listener it was admitted for; [`NO_LISTENER`] when that is gone, and for a
    /// connection of ours.
    pub(crate) listener: u32,
    /// Owners: one stream, or one or two halves.
    pub(crate) owners: u8,
    pub(crate) in_time_wait: bool,
    /// While the socket was borrowed.
    pub(crate) asked: Asked,
    /// Somebody waits for the socket to come back.
    pub(crate) missed: bool,
}

impl core::fmt::Debug for Slot<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Slot").field("state", &self.state).finish()
    }
}

impl<'a> Slot<'a> {
    /// A slot before the stack starts, all zeros.
    pub const EMPTY: Slot<'a> = Slot {
        entry: FlowEntry::EMPTY,
        generation: 0,
        view: TcpView::NOTHING,
        edge: Edge::NOTHING,
        state: State::Free,
        dirty: false,
        cut: Cut::No,
        timer: Timer::Exact,
        set: ManuallyDrop::new(None),
        rx_waker: None,
        tx_waker: None,
        peer: NOBODY,
        waits_for_neighbor: false,
        waits_since: 0,
        give_up: Instant::ZERO,
        read_at: Instant::ZERO,
        write_at: Instant::ZERO,
        silent_at: Instant::ZERO,
        pace: Pace::EMPTY,
        prev: 0,
        next: 0,
        next_woken: 0,
        listener: 0,
        owners: 0,
        in_time_wait: false,
        asked: Asked::Nothing,
        missed: false,
    };

    /// Where what a segment touches ends.
    #[cfg(test)]
    pub(crate) const COLD: usize = core::mem::offset_of!(Slot<'static>, prev);

    /// The socket, unless it is borrowed.
    pub(crate) fn socket(&mut self) -> Option<&mut tcp::Socket<'a>> {
        Some(tcp_of((*self.set).as_mut()?))
    }

    /// Whether nobody's connection is in it: a handle to it is stale.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Free | State::Lent)
    }

    /// Wakes the reader of slot `index`, which this is: at once if its waker is
    /// ours, and when the stack is free if it is another's.
    pub(crate) fn wake_rx(&mut self, index: u32, woken: &mut Woken) {
        if !wake_ours(&mut self.rx_waker) {
            woken.add(index, &mut self.next_woken);
        }
    }

    /// The same for its writer.
    pub(crate) fn wake_tx(&mut self, index: u32, woken: &mut Woken) {
        if !wake_ours(&mut self.tx_waker) {
            woken.add(index, &mut self.next_woken);
        }
    }

    /// Forgets who waits. To drop another's waker may run any code, and to wake it
    /// for nothing is allowed.
    pub(crate) fn forget_wakers(&mut self, index: u32, woken: &mut Woken) {
        for waker in [&mut self.rx_waker, &mut self.tx_waker] {
            waker.take_if(|waker| is_ours(waker));
        }
        if self.rx_waker.is_some() || self.tx_waker.is_some() {
            woken.add(index, &mut self.next_woken);
        }
    }

    /// The earliest of the slot's own deadlines, [`FAR`] when it has none. The
    /// limits of a stream that was cut, or is held in TIME-WAIT, mean nothing any
    /// more.
    pub(crate) fn due(&mut self, now: Instant) -> Instant {
        let own = self.give_up.min(self.silent_at);
        let own = own.min(self.read_at).min(self.write_at);
        let is_limited = self.state == State::Open && self.cut == Cut::No;
        match is_limited && !self.is_time_wait() {
            true => own.min(self.pace.due(now)),
            false => own,
        }
    }
}

impl Entry for Slot<'_> {
    fn entry(&self) -> &FlowEntry {
        &self.entry
    }

    fn entry_mut(&mut self) -> &mut FlowEntry {
        &mut self.entry
    }
}

/// The one socket of a set: the first, which is there from the stack's start on,
/// and another one in its place after each connection.
pub(crate) fn tcp_of<'s, 'a>(set: &'s mut SocketSet<'a>) -> &'s mut tcp::Socket<'a> {
    set.get_mut(SocketHandle::default())
}

impl Slot<'_> {
    /// Which deadline that ends the connection has passed. A stream that is
    /// held in TIME-WAIT has none, and one whose socket is lent gets none.
    pub(crate) fn passed(&mut self, now: Instant) -> Option<Deadline> {
        if self.set.is_none() || (self.state == State::Open && self.is_time_wait()) {
            return None;
        }
        if self.silent_at <= now {
            return Some(Deadline::Silent);
        }
        if self.state == State::Open
            && self.cut == Cut::No
            && let Some(limit) = self.pace.passed(now)
        {
            return Some(limit);
        }
        match self.state {
            _ if self.give_up > now => None,
            State::HalfOpen => Some(Deadline::Handshake),
            State::Connecting => Some(Deadline::Connect),
            State::Closing | State::Open => Some(Deadline::Close),
            State::Free | State::Lent | State::Queued => None,
        }
    }

    /// The peer's SYN has come, and not yet the acknowledgement of ours.
    #[cold]
    pub(crate) fn is_syn_received(&mut self) -> bool {
        self.socket()
            .is_some_and(|socket| socket.state() == tcp::State::SynReceived)
    }

    pub(crate) fn is_time_wait(&mut self) -> bool {
        self.socket()
            .is_some_and(|socket| socket.state() == tcp::State::TimeWait)
    }
}
