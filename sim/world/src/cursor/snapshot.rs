//! What every host is doing at one moment of a run: its tasks and what they wait for, its
//! connections, its queues; and the frames that are on their way.
//!
//! Not here: how that becomes known (`tracker`).

use std::collections::BTreeMap;
use std::fmt;

use cygnet::event::{Reason, Source};
use cygnet::task::TaskState;
use smoltcp::time::Instant;
use smoltcp::wire::IpEndpoint;

use crate::fate::FrameId;
use crate::words::endpoint;

/// A moment of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// How many events have happened; the last one has the number below.
    pub events: u64,
    /// The world's time.
    pub at: Instant,
    /// Whether faults have ended.
    pub healed: bool,
    /// Every host, by number.
    pub hosts: Vec<HostView>,
    /// Frames on their way, by the number of the event that sent them.
    pub flights: BTreeMap<u64, Flight>,
}

impl Snapshot {
    /// Before everything.
    pub(super) fn start() -> Snapshot {
        Snapshot {
            events: 0,
            at: Instant::ZERO,
            healed: false,
            hosts: Vec::new(),
            flights: BTreeMap::new(),
        }
    }
}

/// A frame that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    /// Which.
    pub frame: FrameId,
    /// Copies that have not arrived yet.
    pub copies: usize,
    /// Its bytes.
    pub bytes: usize,
}

/// A host at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostView {
    /// Its name.
    pub name: String,
    /// It is switched off.
    pub is_off: bool,
    /// It stands still.
    pub is_paused: bool,
    /// It is a machine that is no node of this library: its tasks and connections are
    /// its own.
    pub is_machine: bool,
    /// Frames in the ring of its card, which it has not taken yet.
    pub ring: usize,
    /// Frames that it dropped, without those for somebody else.
    pub dropped: u64,
    /// Its tasks, by number.
    pub tasks: BTreeMap<u32, TaskView>,
    /// Its connections, by slot.
    pub connections: BTreeMap<u32, ConnectionView>,
    /// When a machine wants its next turn, on its own clock.
    pub next_turn: Option<Instant>,
    /// What a machine printed last.
    pub printed: String,
}

/// A task at a moment: what `node.waiting()` says of it, in the middle of a turn too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// Its number.
    pub task: u32,
    /// The name given at spawn, or the file where it was spawned.
    pub name: String,
    /// The line where it was spawned, 0 when it has a name.
    pub line: u32,
    /// What it is doing.
    pub state: TaskState,
    /// It was taken from the ready set and gets control soon.
    pub is_woken: bool,
    /// How often it was polled.
    pub polls: u32,
    /// When it was polled last, or spawned, on the host's clock.
    pub last_poll: Instant,
}

/// Which of the lesson's lists a task is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    /// `tasks`: it runs, or will as soon as it may.
    Tasks,
    /// `to_read`: it waits for a connection or for bytes.
    ToRead,
    /// `to_write`: it waits until something has left, or was acknowledged.
    ToWrite,
    /// It waits for no socket.
    Elsewhere,
}

impl List {
    /// All of them.
    pub const ALL: [List; 4] = [List::Tasks, List::ToRead, List::ToWrite, List::Elsewhere];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            List::Tasks => "tasks",
            List::ToRead => "to_read",
            List::ToWrite => "to_write",
            List::Elsewhere => "elsewhere",
        }
    }
}

impl TaskView {
    /// The list that it is in.
    pub fn list(&self) -> List {
        match self.state {
            _ if self.is_woken => List::Tasks,
            TaskState::Ready | TaskState::Running => List::Tasks,
            TaskState::Waiting(Reason::Turn, _) => List::Tasks,
            TaskState::Waiting(Reason::Accept | Reason::Read, _) => List::ToRead,
            TaskState::Waiting(
                Reason::Connect | Reason::Write | Reason::Flush | Reason::Close,
                _,
            ) => List::ToWrite,
            TaskState::Waiting(..) => List::Elsewhere,
        }
    }
}

impl fmt::Display for TaskView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.task, self.name)?;
        if self.line != 0 {
            write!(f, ":{}", self.line)?;
        }
        match self.state {
            TaskState::Ready => f.write_str(" ready")?,
            TaskState::Running => f.write_str(" running")?,
            TaskState::Waiting(reason, Source::None) => write!(f, " ({reason})")?,
            TaskState::Waiting(reason, source) => write!(f, " ({reason}, {source})")?,
        }
        match self.is_woken {
            true => f.write_str(" woken"),
            false => Ok(()),
        }
    }
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Its handshake is not finished.
    Handshake,
    /// It waits for `accept`.
    Backlog,
    /// A task has it, or had it.
    Open,
}

/// A connection at a moment, as its host's own frames and events tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionView {
    /// Its place.
    pub slot: u32,
    /// Our address and port.
    pub local: IpEndpoint,
    /// The peer's.
    pub remote: IpEndpoint,
    /// How far it is.
    pub progress: Progress,
    /// Our FIN has left.
    pub fin_out: bool,
    /// The peer's FIN has come.
    pub fin_in: bool,
    /// Bytes that a task wrote.
    pub written: u64,
    /// Bytes of those that the peer has acknowledged.
    pub acked: u64,
    /// Bytes that we have acknowledged.
    pub received: u64,
    /// Bytes of those that a task read.
    pub read: u64,
}

impl ConnectionView {
    /// Bytes that wait in the receive buffer for a task, as far as we acknowledged them.
    pub fn unread(&self) -> u64 {
        self.received.saturating_sub(self.read)
    }

    /// Bytes in the transmit buffer: not sent, or not acknowledged.
    pub fn unsent(&self) -> u64 {
        self.written.saturating_sub(self.acked)
    }
}

impl fmt::Display for ConnectionView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (slot, local, remote) = (self.slot, endpoint(self.local), endpoint(self.remote));
        let stage = match (self.progress, self.fin_out, self.fin_in) {
            (Progress::Handshake, ..) => "handshake",
            (Progress::Backlog, ..) => "waits for accept",
            (Progress::Open, false, false) => "open",
            (Progress::Open, true, false) => "we ended",
            (Progress::Open, false, true) => "the peer ended",
            (Progress::Open, true, true) => "both ended",
        };
        let (unread, unsent) = (self.unread(), self.unsent());
        let (read, written) = (self.read, self.written);
        write!(
            f,
            "#{slot} :{} {remote} {stage}, read {read} (+{unread}), wrote {written} (-{unsent})",
            local.port()
        )
    }
}
