//! Sums of time. They saturate: for ever is not at once.

use smoltcp::time::{Duration, Instant};

/// No deadline.
pub(crate) const FAR: Instant = Instant::from_micros_const(i64::MAX);

/// How long from `now`, without running over the end of time.
#[inline(never)]
pub(crate) fn after(now: Instant, delay: Duration) -> Instant {
    let micros = i64::try_from(delay.total_micros()).unwrap_or(i64::MAX);
    Instant::from_micros(now.total_micros().saturating_add(micros))
}
