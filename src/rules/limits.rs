//! Time limits. A peer that opens a connection and then does as little as it
//! can holds a slot for as long as it likes, unless a service says how long is
//! enough. What is enough differs from service to service, so it is set on a
//! listener, for every connection it accepts, or on one stream.
//!
//! By default only one thing is limited: bytes that were written and that the
//! peer does not take. A peer that is merely quiet is left alone.
//!
//! Not here: handshakes and closes of peers ([`Config`](crate::Config)),
//! keep-alive, and how long one call may wait (`set_read_timeout`).

use smoltcp::time::{Duration, Instant};

use crate::event::Deadline;
use crate::initial::initial;
use crate::rules::lifecycle::State;
use crate::time::FAR;

/// How long things may take. A connection that is over a limit is reset; its
/// reads and writes fail with `TimedOut`. Exact to two milliseconds; more than
/// 24 days are 24 days.
///
/// ```
/// use cygnet::TimeLimits;
/// use smoltcp::time::Duration;
///
/// let limits = TimeLimits {
///     first_byte: Some(Duration::from_secs(10)),
///     exchange: Some(Duration::from_secs(60)),
///     ..TimeLimits::DEFAULT
/// };
/// # let _ = limits;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimits {
    /// From the beginning of an exchange to the peer's first byte.
    pub first_byte: Option<Duration>,
    /// Without a byte in either direction.
    pub idle: Option<Duration>,
    /// How long a read waits for its bytes; the connection stays, and the read
    /// can be tried again. The read timeout of every stream that is accepted.
    pub between_reads: Option<Duration>,
    /// Bytes that were written, or the FIN behind them, wait this long without the peer
    /// taking any: it keeps its window shut, or is gone.
    pub write_progress: Option<Duration>,
    /// The whole exchange, from when it was accepted or these limits were set, until the
    /// peer has agreed to its close.
    pub exchange: Option<Duration>,
    /// From when the stream was dropped, or the peer acknowledged bytes after that, until
    /// it has agreed; `None` is [`Config::close_timeout`](crate::Config::close_timeout).
    pub close: Option<Duration>,
}

impl TimeLimits {
    /// Nothing but two minutes for bytes that the peer does not take: no less
    /// than TCP asks for (RFC 9293, 3.8.3).
    pub const DEFAULT: TimeLimits = TimeLimits {
        write_progress: Some(Duration::from_secs(120)),
        ..TimeLimits::NONE
    };

    /// Everything may take for ever.
    pub const NONE: TimeLimits = TimeLimits {
        first_byte: None,
        idle: None,
        between_reads: None,
        write_progress: None,
        exchange: None,
        close: None,
    };
}

impl Default for TimeLimits {
    fn default() -> Self {
        TimeLimits::DEFAULT
    }
}

initial! {
    /// The limits of one connection, and how far it is. Times are milliseconds of a
    /// clock that wraps after 49 days, zero is none. What bytes that move touch comes
    /// first.
    #[derive(Clone, Copy, Debug)]
    #[repr(C)]
    pub(crate) struct Pace: EMPTY {
        /// When bytes last moved, in either direction.
        moved: u32 = 0,
        /// Since when written bytes wait.
        waiting: u32 = 0,
        first_byte: u32 = 0,
        /// When the exchange began.
        began: u32 = 0,
        idle: u32 = 0,
        write_progress: u32 = 0,
        exchange: u32 = 0,
        pub(crate) close: u32 = 0,
    }
}

impl Pace {
    /// [`TimeLimits::DEFAULT`].
    pub(crate) const DEFAULT: Pace = Pace {
        write_progress: 120_000,
        ..Pace::EMPTY
    };

    /// With these limits, before it begins.
    pub(crate) fn of(limits: &TimeLimits) -> Pace {
        Pace {
            first_byte: millis(limits.first_byte),
            idle: millis(limits.idle),
            write_progress: millis(limits.write_progress),
            exchange: millis(limits.exchange),
            close: millis(limits.close),
            ..Pace::EMPTY
        }
    }

    /// An exchange begins, in a turn that began at this tick.
    pub(crate) fn begin(self, tick: u32) -> Pace {
        Pace {
            moved: tick,
            began: tick,
            ..self
        }
    }

    /// Bytes or their end came, in a turn that began at this tick.
    pub(crate) fn heard(&mut self, tick: u32) {
        self.moved = tick;
        self.first_byte = 0;
    }

    /// The peer took bytes; `left` are still to be taken.
    pub(crate) fn taken(&mut self, left: usize, tick: u32) {
        self.moved = tick;
        self.waiting = if left == 0 { 0 } else { tick };
    }

    /// There are bytes to be taken.
    pub(crate) fn waits(&mut self, tick: u32) {
        if self.waiting == 0 {
            self.waiting = tick;
        }
    }

    /// How long it has been since it began.
    pub(crate) fn age(&self, tick: u32) -> Duration {
        Duration::from_millis(tick.wrapping_sub(self.began).into())
    }

    /// For how many milliseconds no byte has moved.
    pub(crate) fn idles(&self, tick: u32) -> u32 {
        tick.wrapping_sub(self.moved)
    }

    /// When the first of the limits is reached, and which that is. Of a stream that was
    /// dropped only the whole exchange is limited.
    fn due(&self, dropped: bool, now: Instant, tick: u32) -> (Instant, Deadline) {
        match self.first(dropped, tick) {
            (why, u32::MAX) => (FAR, why),
            (why, 0) => (now, why),
            // A tick may have begun up to two milliseconds ago.
            (why, left) => (now + Duration::from_millis(u64::from(left) + 2), why),
        }
    }

    /// Each limit, since when it counts, and how long it is; zero: it does not, or there
    /// is none.
    #[inline(always)]
    fn all(&self) -> [(Deadline, u32, u32); 4] {
        [
            (Deadline::Exchange, self.began, self.exchange),
            (Deadline::Stalled, self.waiting, self.write_progress),
            (Deadline::FirstByte, self.moved, self.first_byte),
            (Deadline::Idle, self.moved, self.idle),
        ]
    }

    /// The limits that there are, and what is left of those that count, in milliseconds. Of
    /// a stream that was dropped only the whole exchange is limited.
    pub(crate) fn limits(
        &self,
        dropped: bool,
        tick: u32,
    ) -> impl Iterator<Item = (Deadline, u32, Option<u32>)> {
        let all = self.all().into_iter().take(if dropped { 1 } else { 4 });
        let there = all.filter(|&(.., limit)| limit != 0);
        there.map(move |(deadline, since, limit)| {
            let left = limit.saturating_sub(tick.wrapping_sub(since));
            (deadline, limit, (since != 0).then_some(left))
        })
    }

    /// The limit that is reached first, and in how many milliseconds: `u32::MAX` if
    /// there is none.
    #[inline(never)]
    fn first(&self, dropped: bool, tick: u32) -> (Deadline, u32) {
        let mut first = (Deadline::Exchange, u32::MAX);
        for (deadline, since, limit) in self.all() {
            let left = limit.saturating_sub(tick.wrapping_sub(since));
            if since != 0 && limit != 0 && left < first.1 {
                first = (deadline, left);
            }
            if dropped {
                break;
            }
        }
        first
    }
}

/// How long a wait may take, in half of what an `Option` takes: every stream in
/// every task has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaitLimit(pub(crate) u64);

impl WaitLimit {
    pub(crate) const NEVER: WaitLimit = WaitLimit(u64::MAX);
}

impl From<Option<Duration>> for WaitLimit {
    fn from(timeout: Option<Duration>) -> Self {
        WaitLimit(timeout.map_or(u64::MAX, |timeout| timeout.total_micros()))
    }
}

initial! {
    /// Every clock of one connection: what is over at a moment, and its limits.
    #[derive(Clone, Copy, Debug)]
    #[repr(C)]
    pub(crate) struct Clocks: EMPTY {
        /// Handshake, connect or close deadline, whichever the state calls for. In
        /// an open stream in TIME-WAIT: when its timer must not run any more.
        pub(crate) give_up: Instant = Instant::ZERO,
        /// With keep-alive: when a peer that stays silent is given up.
        pub(crate) silent_at: Instant = Instant::ZERO,
        pub(crate) pace: Pace = Pace::EMPTY,
        pub(crate) read_at: Instant = Instant::ZERO,
        pub(crate) write_at: Instant = Instant::ZERO,
    }
}

/// So many intervals a peer that is asked may stay silent.
pub(crate) const PATIENCE: u32 = 4;

/// How long a peer that is asked at this interval may stay silent from now on.
#[inline(never)]
pub(crate) fn patience(now: Instant, keep_alive: Option<Duration>) -> Instant {
    keep_alive.map_or(FAR, |interval| {
        let micros = interval.total_micros().saturating_mul(PATIENCE.into());
        Instant::from_micros(now.total_micros().saturating_add_unsigned(micros))
    })
}

/// What comes first, and when: never is [`FAR`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) at: Instant,
    /// What of the connection ends then; `None`: a wait does.
    pub(crate) why: Option<Deadline>,
}

impl Clocks {
    /// Where what a segment touches ends.
    #[cfg(test)]
    pub(crate) const COLD: usize =
        core::mem::offset_of!(Clocks, pace) + core::mem::offset_of!(Pace, began);

    /// Nothing is ever over.
    pub(crate) fn none() -> Clocks {
        Clocks {
            give_up: FAR,
            read_at: FAR,
            write_at: FAR,
            silent_at: FAR,
            pace: Pace::EMPTY,
        }
    }

    /// When the program that waits for a stream gives up.
    pub(crate) fn waits(&self) -> Instant {
        self.read_at.min(self.write_at)
    }

    /// What comes first. Only a connection that is open or closes, and was not cut, is
    /// `limited`.
    pub(crate) fn due(&self, state: State, limited: bool, now: Instant, tick: u32) -> Due {
        let ends = match state {
            State::HalfOpen => Deadline::Handshake,
            State::Connecting => Deadline::Connect,
            _ => Deadline::Close,
        };
        let mut due = Due {
            at: self.waits(),
            why: None,
        };
        let mut first = |at: Instant, why| {
            if at < due.at {
                due = Due { at, why: Some(why) };
            }
        };
        first(self.silent_at, Deadline::Silent);
        first(self.give_up, ends);
        if limited {
            let (at, why) = self.pace.due(matches!(state, State::Closing), now, tick);
            first(at, why);
        }
        due
    }
}

/// At least one: zero means none.
#[inline(never)]
fn millis(limit: Option<Duration>) -> u32 {
    limit.map_or(0, |limit| {
        limit.total_millis().clamp(1, u32::MAX as u64 / 2) as u32
    })
}

/// The time in milliseconds, never zero. A turn has one, because a division in
/// every segment is felt.
pub(crate) fn tick(now: Instant) -> u32 {
    // Not of a signed number: that division is another function.
    (now.total_micros() as u64 / 1000) as u32 | 1
}
