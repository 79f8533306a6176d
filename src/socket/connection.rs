//! Every connection of a host, as who watches sees it: who it is with, how far it is, what
//! waits in its buffers, and which of its limits is how near.
//!
//! It is a copy. Nothing of it is kept anywhere: it is put together when it is asked for,
//! so an image that never asks has none of it.
//!
//! Not here: what tasks wait for (`task/waiting.rs`), and totals (`counters.rs`).

use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpEndpoint;

use crate::event::Deadline;
use crate::rules::lifecycle::{Cut, State};
use crate::rules::limits::PATIENCE;
use crate::socket::listener::NOBODY;
use crate::stack::core::Core;
use crate::stack::stack::Stack;
use crate::table::host::Host;
use crate::table::slot::Slot;
use crate::table::slots::SlotKey;
use crate::time::FAR;
use crate::worded::worded;

worded! {
    /// How far a connection is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    #[non_exhaustive]
    pub enum ConnectionState {
        /// A peer's SYN has a slot, and our answer is not acknowledged yet.
        Handshake: "handshake",
        /// It waits in a listener's queue for `accept`.
        Queued: "queued",
        /// Our SYN is not answered yet.
        Connecting: "connecting",
        /// A task has its stream.
        Open: "open",
        /// A task has its stream, and TCP is done with it: who the peer was is forgotten.
        Over: "over",
        /// The stream is gone, and the peer has not agreed yet.
        Closing: "closing",
        /// The same, and all that is left is TIME-WAIT: the slot can be had.
        TimeWait: "TIME-WAIT",
    }
}

/// A limit that a connection has, or that a task has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What the event is called when it passes.
    pub deadline: Deadline,
    /// How long it takes in all; `None` of [`Deadline::Stream`], which the stream knows.
    pub limit: Option<Duration>,
    /// What is left of that; `None` while its clock stands still.
    pub left: Option<Duration>,
}

/// How many kinds of limits there are.
const LIMITS: usize = 8;

/// One line of [`Node::connections`](crate::Node::connections).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connection {
    pub(crate) key: SlotKey,
    /// Its slot: `#3` of events, and of what tasks wait for.
    pub slot: u32,
    /// The peer; `0.0.0.0:0` when that is forgotten.
    pub peer: IpEndpoint,
    /// Our end of it.
    pub local: IpEndpoint,
    /// What [`TcpListener::set_name`](crate::TcpListener::set_name) called the listener that
    /// it came to, if that is still there.
    pub listener: Option<&'static str>,
    /// How far it is.
    pub state: ConnectionState,
    /// What TCP calls that (RFC 9293, 3.3.2). `None` while a task holds bytes of it
    /// ([`fill_buf`](crate::TcpStream::fill_buf)), and then nothing is `unread` or
    /// `unacknowledged`.
    pub tcp: Option<tcp::State>,
    /// How long it has been since its handshake began; of a stream, since it was accepted
    /// or connected, or limits were set on it.
    pub age: Duration,
    /// For how long no byte has moved in either direction.
    pub idle: Duration,
    /// Bytes that came and that no task has read.
    pub unread: u32,
    /// Bytes that tasks wrote and the peer has not acknowledged.
    pub unacknowledged: u32,
    /// So many of those have not left yet.
    pub unsent: u32,
    /// How many bytes the peer may send, as our last frame said.
    pub receive_window: u32,
    /// How many bytes we may send from the first that is not acknowledged on, as the peer's
    /// last frame said.
    pub send_window: u32,
    limits: [Option<Limit>; LIMITS],
}

impl Connection {
    /// What limits it, and what is left of each limit.
    pub fn limits(&self) -> impl Iterator<Item = Limit> + '_ {
        self.limits.iter().flatten().copied()
    }
}

/// The connections of a stack, in the order of their slots.
pub(crate) fn connections<'a>(stack: &'a Stack<'a>) -> impl Iterator<Item = Connection> + use<'a> {
    let slots = stack.with_quiet(|core| core.connections.slots.len());
    (0..slots).filter_map(|slot| stack.with_quiet(|core| look(core, slot)))
}

/// Resets it, if it is still there and a task has its stream, or had.
pub(crate) fn abort(core: &mut Core<'_>, key: SlotKey) -> bool {
    let connections = &mut core.connections;
    let slot = connections.slots.checked(key);
    let can = slot.is_some_and(|slot| matches!(slot.state, State::Open | State::Closing));
    if can {
        connections.abort(key);
    }
    can
}

fn look(core: &mut Core<'_>, number: u32) -> Option<Connection> {
    let (connections, host) = (&mut core.connections, &core.host);
    let id = connections.slots.id(number);
    let key = connections.slots.key(id);
    let slot = &mut connections.slots[id];
    let flow = slot.flow();
    let state = match slot.state {
        State::Free | State::Lent => return None,
        State::HalfOpen => ConnectionState::Handshake,
        State::Queued => ConnectionState::Queued,
        State::Connecting => ConnectionState::Connecting,
        State::Open if flow.is_none() => ConnectionState::Over,
        State::Open => ConnectionState::Open,
        State::Closing => ConnectionState::Closing,
        State::TimeWait => ConnectionState::TimeWait,
    };
    let (mut unread, mut unacknowledged) = (0, 0);
    let tcp = slot.socket().map(|socket| {
        (unread, unacknowledged) = (socket.recv_queue() as u32, socket.send_queue() as u32);
        socket.state()
    });
    let flight = slot.heard.in_flight(slot.view.snd_max);
    let (mut age, mut idle) = (
        slot.clocks.pace.age(host.tick),
        Duration::from_millis(slot.clocks.pace.idles(host.tick).into()),
    );
    if matches!(slot.state, State::Connecting) {
        age = match slot.clocks.give_up {
            FAR => Duration::ZERO, // it is refused, and its task has not looked yet
            until => host.now - (until - host.config.connect_timeout),
        };
        idle = age;
    }
    let all = &connections.listeners.listeners;
    Some(Connection {
        key,
        slot: number,
        peer: flow.map_or(NOBODY, |flow| flow.remote()),
        local: flow.map_or(NOBODY, |flow| flow.local()),
        listener: all.get(slot.listener as usize).and_then(|one| one.name),
        state,
        tcp,
        age,
        idle,
        unread,
        unacknowledged,
        unsent: unacknowledged.saturating_sub(flight),
        receive_window: slot.edge.room(&slot.view),
        send_window: slot.heard.window(),
        limits: limits(slot, host),
    })
}

/// Those that count in its state, as [`Slot::due`] does.
fn limits(slot: &mut Slot<'_>, host: &Host<'_>) -> [Option<Limit>; LIMITS] {
    let now = host.now;
    let is_cut = !matches!(slot.cut, Cut::No);
    let is_limited = matches!(slot.state, State::Open | State::Closing) && !is_cut;
    let is_limited = is_limited && !slot.is_time_wait();
    let keep_alive = slot.socket().and_then(|socket| socket.keep_alive());
    let (clocks, config) = (&slot.clocks, &host.config);
    let till = |at: Instant, deadline, limit| {
        let left = Some(match at > now {
            true => at - now,
            false => Duration::ZERO,
        });
        (at != FAR).then_some(Limit {
            deadline,
            limit,
            left,
        })
    };
    let close = match clocks.pace.close {
        0 => config.close_timeout,
        millis => Duration::from_millis(millis.into()),
    };
    let (deadline, limit) = match slot.state {
        State::HalfOpen => (Deadline::Handshake, config.handshake_timeout),
        State::Connecting => (Deadline::Connect, config.connect_timeout),
        _ => (Deadline::Close, close),
    };
    let silent = keep_alive.map(|interval| interval * PATIENCE);
    let waits = till(clocks.waits(), Deadline::Stream, None);
    let ends = till(clocks.give_up, deadline, Some(limit));
    let silent = till(clocks.silent_at, Deadline::Silent, silent);
    let mut all = [
        waits,
        ends.filter(|_| !is_cut),
        silent,
        None,
        None,
        None,
        None,
        None,
    ];
    if is_limited {
        let dropped = matches!(slot.state, State::Closing);
        for (place, (deadline, limit, left)) in all[3..]
            .iter_mut()
            .zip(clocks.pace.limits(dropped, host.tick))
        {
            let millis = |millis: u32| Duration::from_millis(millis.into());
            *place = Some(Limit {
                deadline,
                limit: Some(millis(limit)),
                left: left.map(millis),
            });
        }
    }
    all
}
