//! A connection's life, as a rule: what a slot does when its socket has moved.
//!
//! ```text
//!           admit                handshake             accept
//!   Free ----------> HalfOpen ---------------> Queued ---------> Open
//!    ^ \                |  handshake deadline,    | reset          |
//!    |  \ connect       |  reset                  |                | stream
//!    |   `-> Connecting-|--------. answered       |                | dropped
//!    |            |     v         `--------------------> Open      v
//!    `------------+---- free <--------------------+----------- Closing, TimeWait
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
//! Not here: who does what is to be done (`connections.rs`).

use smoltcp::socket::tcp;

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
    /// The stream is gone, and the peer has not agreed yet.
    Closing,
    /// The same, and all that is left is TIME-WAIT.
    TimeWait,
}

impl State {
    /// Whether nobody's connection is in the slot: a handle to it is stale.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, State::Free | State::Lent)
    }
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

/// What a socket looked like before something touched it.
#[derive(Clone, Copy)]
pub(crate) struct Before {
    pub(crate) tcp: tcp::State,
    /// Bytes that were written, and a FIN, that the peer has not acknowledged.
    pub(crate) unacknowledged: usize,
}

impl Before {
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn of(socket: &tcp::Socket<'_>) -> Self {
        use tcp::State::{Closing, FinWait1, LastAck};
        let tcp = socket.state();
        let fin = usize::from(matches!(tcp, FinWait1 | Closing | LastAck));
        Before {
            tcp,
            unacknowledged: socket.send_queue() + fin,
        }
    }
}

/// Whether the peer has cut the connection by a reset that the socket took. When both
/// have said their last and every byte was taken, nothing is left to cut (RFC 1337; RFC
/// 9293, 3.10.7.4, tells users of no reset then), and a connection that is not yet one was
/// refused.
pub(crate) fn is_cut(state: State, before: &Before, after: tcp::State) -> bool {
    use tcp::State::{Closed, Closing, LastAck, Listen, TimeWait};
    let is_over = match before.tcp {
        TimeWait => true,
        Closing | LastAck => before.unacknowledged == 1,
        _ => false,
    };
    state != State::Connecting && !is_over && matches!(after, Closed | Listen)
}

/// Where a slot goes from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Stay,
    /// A handshake finished: it waits for `accept`.
    Queue,
    /// A connection of ours is answered.
    Open,
    /// Its stream is held in TIME-WAIT, whose timer must not run out.
    Hold,
    /// TCP is done with it while its stream is held: the addresses may be used again.
    Forget,
    /// Text came that nobody will read.
    Refuse,
    /// Nobody holds it, and TIME-WAIT is all that is left.
    Rest,
    Free,
}

/// What is to be done about a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) read: bool,
    pub(crate) write: bool,
    /// The peer took bytes: how many are left to be taken.
    pub(crate) taken: Option<usize>,
    /// The peer has cut the connection.
    pub(crate) reset: bool,
    pub(crate) step: Step,
}

/// What a slot in `state` does, whose socket was as `before` says; `None`: nobody
/// looked, and it may have moved.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(target_pointer_width = "64", inline)]
pub(crate) fn settle(state: State, before: Option<Before>, socket: &tcp::Socket<'_>) -> Settled {
    let after = Before::of(socket);
    let (moved, acknowledged) = match before {
        Some(before) => (
            before.tcp != after.tcp,
            after.unacknowledged < before.unacknowledged,
        ),
        None => (true, false),
    };
    if !matches!(state, State::Open) {
        return Settled {
            read: false,
            write: state == State::Connecting && has_answer(after.tcp),
            taken: acknowledged.then_some(after.unacknowledged),
            reset: false,
            step: step(state, socket),
        };
    }
    Settled {
        read: moved || socket.can_recv(),
        write: moved || acknowledged,
        taken: acknowledged.then_some(after.unacknowledged),
        reset: false,
        step: match after.tcp {
            tcp::State::Closed if is_gone(socket) => Step::Forget,
            tcp::State::TimeWait if moved => Step::Hold,
            _ => Step::Stay,
        },
    }
}

/// The same for one that nobody reads or writes.
#[cold]
fn step(state: State, socket: &tcp::Socket<'_>) -> Step {
    use tcp::State::{Closed, Listen, SynReceived, TimeWait};
    match (state, socket.state()) {
        (State::HalfOpen, SynReceived) => Step::Stay,
        (State::HalfOpen, Listen | Closed) => Step::Free,
        (State::HalfOpen, _) => Step::Queue,
        (State::Queued, Closed) => Step::Free,
        (State::Connecting, tcp) if tcp != Closed && has_answer(tcp) => Step::Open,
        (State::Closing | State::TimeWait, _) if is_gone(socket) => Step::Free,
        (State::Closing | State::TimeWait, TimeWait) => Step::Rest,
        // RFC 1122, 4.2.2.13: "if new data is received after CLOSE is called, its TCP
        // SHOULD send a RST to show that data was lost".
        (State::Closing, _) if socket.can_recv() => Step::Refuse,
        _ => Step::Stay,
    }
}

/// Whether our SYN was answered, be it by a refusal.
fn has_answer(state: tcp::State) -> bool {
    !matches!(state, tcp::State::SynSent | tcp::State::SynReceived)
}

/// Whether TCP is done with it: a socket that still has a reset to send knows to whom.
fn is_gone(socket: &tcp::Socket<'_>) -> bool {
    socket.state() == tcp::State::Closed && socket.remote_endpoint().is_none()
}
