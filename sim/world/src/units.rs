//! Times and rates as tests write them.

use smoltcp::time::Duration;

use super::link::Ppm;

/// So many seconds.
pub const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// So many milliseconds.
pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// So many of a hundred, in parts per million.
pub const fn percent(percent: u32) -> Ppm {
    percent.saturating_mul(10_000)
}
