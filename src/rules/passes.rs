//! When a slot that has sent is looked at again.
//!
//! Not here: smoltcp's own timer (`poll_at`), and a slot's limits (`limits.rs`).

use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};

use crate::rules::lifecycle::Before;
use crate::time::FAR;

/// How long a slot whose `poll_at` lies in the past is left alone before it
/// is asked again, when asking did not move it. A peer can bring smoltcp
/// there, and gets two acknowledgements each time.
pub(crate) const REARM: Duration = Duration::from_secs(1);

/// smoltcp's shortest retransmission timeout. A connection that is busy need
/// not be asked for its timer after every segment (a tenth of what a small
/// request costs): no timer that begins now is over sooner, and what a slot is
/// armed for is never later than one that began before, unless the slot says so
/// (`Timer::Stale`). Armed too early, it is asked then.
pub(crate) const SHORTEST: Duration = Duration::from_secs(1);

/// What became of a slot that was to send.
pub(crate) struct Sent {
    /// What its socket looked like before.
    pub(crate) before: Before,
    pub(crate) after: tcp::State,
    pub(crate) again: Again,
}

/// When a slot is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// When it is already, unless that is later than this.
    By(Instant),
    /// When smoltcp wants it: its own deadlines are to be asked too.
    At(Instant),
    /// In the next turn.
    Next,
    /// As soon as the device has room.
    DeviceFull,
}

/// How a slot's passes ended, and when smoltcp wants to be asked again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passes {
    /// There was nothing (more) to send.
    Done(Option<Instant>),
    /// The last frame carried all that was left to send, and an
    /// acknowledgement: whatever timer runs now was asked about before, or
    /// began just now and runs for [`SHORTEST`].
    All,
    /// There is more, and the limit was reached.
    Cut,
    /// There is more, and the device has no room for it.
    DeviceFull,
}

impl Passes {
    /// When a slot whose passes ended like this is looked at again, if smoltcp wants to be
    /// asked at `poll_at`.
    pub(crate) fn again(self, poll_at: Option<Instant>, now: Instant) -> Again {
        match poll_at {
            _ if self == Passes::DeviceFull => Again::DeviceFull,
            Some(at) if at <= now && self == Passes::Cut => Again::Next,
            Some(at) if at <= now => Again::At(now + REARM),
            Some(at) => Again::At(at),
            None => Again::At(FAR),
        }
    }
}
