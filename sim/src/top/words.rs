//! Numbers, times and limits in few letters.

use cygnet::Limit;
use cygnet::event::{Counters, Deadline};
use cygnet_world::words::{DROP_REASONS, drop_words};
use smoltcp::time::Duration;

/// A time in at most six letters.
pub(super) fn time(time: Duration) -> String {
    let (secs, millis) = (time.secs(), time.total_millis() % 1000);
    match secs {
        0 => format!("{millis}ms"),
        1..=99 => format!("{secs}.{}s", millis / 100),
        100..=5_999 => format!("{}m{:02}s", secs / 60, secs % 60),
        6_000..=359_999 => format!("{}h{:02}m", secs / 3_600, secs / 60 % 60),
        _ => format!("{}d", secs / 86_400),
    }
}

/// A number in at most six letters.
pub(super) fn number(number: u64) -> String {
    let mut unit = 1;
    for letter in ["", "k", "M", "G", "T", "P", "E"] {
        // The first of them up to 99,999 as it is.
        let most = if unit == 1 { 99_999 } else { 9_999 };
        if number / unit <= most {
            return format!("{}{letter}", number / unit);
        }
        unit *= 1_000;
    }
    number.to_string()
}

/// What a limit is called by whoever sets it.
pub(super) fn limit_name(deadline: Deadline) -> &'static str {
    match deadline {
        Deadline::Handshake => "handshake",
        Deadline::Connect => "connect",
        Deadline::Close => "close",
        Deadline::Stream => "wait",
        Deadline::Silent => "keep-alive",
        Deadline::FirstByte => "first-byte",
        Deadline::Idle => "idle",
        Deadline::Stalled => "write",
        Deadline::Exchange => "exchange",
        _ => "limit",
    }
}

/// A limit with its value and what is left of it: `idle 12.0s of 30.0s`.
pub(super) fn limit(limit: &Limit) -> String {
    let name = limit_name(limit.deadline);
    match (limit.left, limit.limit) {
        (Some(left), Some(all)) => format!("{name} {} of {}", time(left), time(all)),
        (Some(left), None) => format!("{name} {}", time(left)),
        (None, Some(all)) => format!("{name} {} stands still", time(all)),
        (None, None) => name.to_owned(),
    }
}

/// Why frames were dropped, and how many, the most first.
pub(super) fn drops(counters: &Counters) -> Vec<(u64, &'static str)> {
    let all = DROP_REASONS.map(|reason| (counters.dropped(reason), drop_words(reason)));
    let mut all: Vec<_> = all.into_iter().filter(|(count, _)| *count > 0).collect();
    all.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_are_short() {
        let of = |millis| time(Duration::from_millis(millis));
        assert_eq!(of(0), "0ms");
        assert_eq!(of(999), "999ms");
        assert_eq!(of(99_999), "99.9s");
        assert_eq!(of(100_000), "1m40s");
        assert_eq!(of(5_999_999), "99m59s");
        assert_eq!(of(6_000_000), "1h40m");
        assert_eq!(of(400_000_000), "4d");
        assert_eq!(number(99_999), "99999");
        assert_eq!(number(100_000), "100k");
        assert_eq!(number(9_999_999), "9999k");
        assert_eq!(number(10_000_000), "10M");
        for shift in 0..64 {
            assert!(number(u64::MAX >> shift).len() <= 6);
        }
    }
}
