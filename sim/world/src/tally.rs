//! What the visitors of a run count: conversations that went well, how long each
//! took to its first answer, and why the others were cut off.

use std::cell::{Cell, RefCell};

use cygnet::{ConnectError, ReadError, WriteError};
use smoltcp::time::Duration;

/// So many latencies are kept: a run of a week has hundreds of thousands.
const LATENCIES: usize = 1 << 14;

/// Why a conversation was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// By a reset, or an end before the last word.
    Reset,
    /// By the visitor, out of patience.
    TimedOut,
    /// It never began: no slot, no port.
    Full,
}

impl From<ConnectError> for Why {
    fn from(error: ConnectError) -> Why {
        match error {
            ConnectError::Refused => Why::Reset,
            ConnectError::TimedOut => Why::TimedOut,
            _ => Why::Full,
        }
    }
}

impl From<ReadError> for Why {
    fn from(error: ReadError) -> Why {
        match error {
            ReadError::TimedOut => Why::TimedOut,
            _ => Why::Reset,
        }
    }
}

impl From<WriteError> for Why {
    fn from(error: WriteError) -> Why {
        match error {
            WriteError::TimedOut => Why::TimedOut,
            _ => Why::Reset,
        }
    }
}

/// What visitors count.
#[derive(Debug, Default)]
pub(super) struct VisitTally {
    visits: Cell<u64>,
    latencies: RefCell<Vec<u64>>,
    cuts: [Cell<u64>; 3],
}

impl VisitTally {
    pub(super) fn visited(&self, latency: Duration) {
        self.visits.set(self.visits.get() + 1);
        let mut latencies = self.latencies.borrow_mut();
        if latencies.len() < LATENCIES {
            latencies.push(latency.total_micros());
        }
    }

    pub(super) fn cut(&self, why: Why) {
        let count = &self.cuts[why as usize];
        count.set(count.get() + 1);
    }

    pub(super) fn visits(&self) -> u64 {
        self.visits.get()
    }

    /// The latencies of visits so far, which are forgotten.
    pub(super) fn take_latencies(&self) -> Vec<u64> {
        self.latencies.take()
    }

    /// How often each [`Why`] was the reason.
    pub(super) fn cuts(&self) -> [u64; 3] {
        self.cuts.each_ref().map(Cell::get)
    }
}
