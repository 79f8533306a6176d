//! What can happen. Every room reports what it did as an [`Event`]; an
//! [`Observer`] is told each one, and [`Counters`] keep the totals. With no
//! observer an event costs one test of an `Option`.
//!
//! Not here: what to do about it. Events are facts, never requests.

use core::fmt;
use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, IpEndpoint};

pub use crate::counters::{Counters, DropReason};
use crate::worded::worded;

worded! {
    /// Why a task gave control back: the first half of what it yields.
    ///
    /// Numbered from one, so that `None` is zero and task storage all zeros.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    #[repr(u8)]
    pub enum Reason {
        /// A new connection on a listener.
        Accept = 1: "accept",
        /// The answer to our SYN.
        Connect = 2: "connect",
        /// Bytes, or the end of the stream.
        Read = 3: "read",
        /// Room in the transmit buffer.
        Write = 4: "write",
        /// Acknowledgement of everything written.
        Flush = 5: "flush",
        /// Acknowledgement of our FIN.
        Close = 6: "close",
        /// A moment in time.
        Sleep = 7: "sleep",
        /// Another turn: `yield_now`.
        Turn = 8: "turn",
        /// Something cygnet does not know: a channel, a signal.
        Other = 9: "other",
        /// A datagram.
        Receive = 10: "receive",
        /// Room for a datagram.
        Send = 11: "send",
        /// The link or the addresses of the host.
        Config = 12: "config",
    }
}

/// The socket a task waits for: the second half of what it yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// No socket: a timer, a channel.
    None,
    /// The listener on this port.
    Listener(u16),
    /// The stream in this slot.
    Stream(u32),
    /// The socket for datagrams on this port.
    Socket(u16),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::None => f.write_str("-"),
            Source::Listener(port) => write!(f, ":{port}"),
            Source::Stream(slot) => write!(f, "#{slot}"),
            Source::Socket(port) => write!(f, "udp:{port}"),
        }
    }
}

/// What a task yields: a reason and a socket. Kept in eight bytes, because
/// there is one per task; the reason says how to read the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Yield {
    pub(crate) reason: Reason,
    number: u32,
}

impl Yield {
    pub(crate) const OTHER: Yield = Yield::of(Reason::Other, 0);

    /// A reason, and the number that goes with it: a port, a stream's slot,
    /// one of a sleep that ends; zero of everything else.
    pub(crate) const fn of(reason: Reason, number: u32) -> Self {
        Yield { reason, number }
    }

    pub(crate) fn source(self) -> Source {
        match self.reason {
            Reason::Accept => Source::Listener(self.number as u16),
            Reason::Sleep | Reason::Turn | Reason::Other | Reason::Config => Source::None,
            Reason::Receive | Reason::Send => Source::Socket(self.number as u16),
            _ => Source::Stream(self.number),
        }
    }
}

/// Which of a slot's deadlines passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Deadline {
    /// The handshake did not finish.
    Handshake = 0,
    /// Our SYN was not answered.
    Connect = 1,
    /// A closed stream's peer did not finish the close.
    Close = 2,
    /// A read or write timeout that the program set.
    Stream = 3,
    /// A peer that keep-alive asked did not answer.
    Silent = 4,
    /// The peer did not say anything at first.
    FirstByte = 5,
    /// No byte moved in either direction.
    Idle = 6,
    /// The peer took nothing of what was written.
    Stalled = 7,
    /// The whole exchange took too long.
    Exchange = 8,
}

/// Something that happened, in the order it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'e> {
    /// A frame arrived.
    FrameIn(&'e [u8]),
    /// A frame left.
    FrameOut(&'e [u8]),
    /// A frame was dropped.
    Dropped(DropReason),
    /// A SYN, or the acknowledgement of a cookie, found no place, for this reason,
    /// and waits for one.
    Parked(DropReason),
    /// A SYN took a slot.
    Admitted {
        /// The slot.
        slot: u32,
        /// Where it was sent.
        local: IpEndpoint,
        /// Who sent it.
        remote: IpEndpoint,
    },
    /// A task took a connection from a listener's queue.
    Accepted {
        /// The slot.
        slot: u32,
        /// The peer.
        remote: IpEndpoint,
    },
    /// `connect` took a slot.
    Connecting {
        /// The slot.
        slot: u32,
        /// Our address and the port that was chosen.
        local: IpEndpoint,
        /// The peer.
        remote: IpEndpoint,
    },
    /// A handshake finished, ours or the peer's.
    Established {
        /// The slot.
        slot: u32,
    },
    /// The application took these bytes from a stream.
    Read {
        /// The slot.
        slot: u32,
        /// What it took.
        bytes: &'e [u8],
    },
    /// The application gave these bytes to a stream.
    Written {
        /// The slot.
        slot: u32,
        /// What it gave.
        bytes: &'e [u8],
    },
    /// The peer reset a connection.
    Reset {
        /// The slot.
        slot: u32,
    },
    /// Another host says that it has an address of ours.
    Conflict {
        /// The address.
        addr: IpAddress,
        /// Who says so.
        hardware: [u8; 6],
    },
    /// A server gave the host an address, or gave it for longer.
    Leased {
        /// The address.
        addr: IpAddress,
        /// Until then.
        until: Instant,
    },
    /// The host has given up such an address.
    LeaseLost {
        /// The address.
        addr: IpAddress,
    },
    /// A deadline passed.
    Expired {
        /// The slot.
        slot: u32,
        /// Which one.
        deadline: Deadline,
    },
    /// A slot was given to a newer connection: in TIME-WAIT, half-open under
    /// pressure, or idle at a listener that asked for it.
    Reclaimed {
        /// The slot.
        slot: u32,
    },
    /// A slot is free again.
    Freed {
        /// The slot.
        slot: u32,
    },
    /// A port was bound for datagrams.
    Bound {
        /// The port.
        port: u16,
    },
    /// A task took a datagram from a socket, or so much of it.
    Received {
        /// The socket's port.
        port: u16,
        /// Who sent it.
        remote: IpEndpoint,
        /// What it took.
        bytes: &'e [u8],
    },
    /// A task gave a datagram to a socket.
    Sent {
        /// The socket's port.
        port: u16,
        /// Where it is to go.
        remote: IpEndpoint,
        /// What it gave.
        bytes: &'e [u8],
    },
    /// A task was spawned.
    Spawned {
        /// The task.
        task: u32,
        /// The name given at spawn, or the file of the spawn.
        name: &'e str,
        /// The line of the spawn, 0 when a name was given.
        line: u32,
    },
    /// A task was taken from the ready set, in wake order.
    Woken {
        /// The task.
        task: u32,
    },
    /// A task got control.
    Resumed {
        /// The task.
        task: u32,
    },
    /// A task gave control back: `yield (reason, socket)`.
    Yielded {
        /// The task.
        task: u32,
        /// Why.
        reason: Reason,
        /// For which socket.
        source: Source,
    },
    /// A task ended.
    Done {
        /// The task.
        task: u32,
        /// Whether it ended with an `Err`.
        failed: bool,
    },
}

/// Is told every [`Event`] as it happens.
///
/// It runs while the stack or the tasks are busy, so it must not call back into
/// the node that it observes, nor drop a stream or a listener of it; it should count,
/// print or hash, and return.
///
/// # Panics
/// Such a call panics, and says why, before it has changed anything. A panic that
/// comes out of an observer ends the stack: every later call of its node panics too.
pub trait Observer {
    /// Called once per event, in order. `now` is the time given to the turn.
    fn event(&self, now: Instant, event: &Event<'_>);
}

/// Who is told, if anybody. Without the feature `observer` nobody ever is, and
/// nothing is left of the events.
#[cfg(feature = "observer")]
pub(crate) type Audience<'a> = Option<&'a dyn Observer>;
#[cfg(not(feature = "observer"))]
pub(crate) type Audience<'a> = Option<Nobody<'a>>;

/// Of whom there is none.
#[cfg(not(feature = "observer"))]
#[derive(Clone, Copy)]
pub(crate) struct Nobody<'a>(core::convert::Infallible, core::marker::PhantomData<&'a ()>);

#[cfg(not(feature = "observer"))]
impl Nobody<'_> {
    pub(crate) fn event(&self, _: Instant, _: &Event<'_>) {
        match self.0 {}
    }
}
