//! A token bucket. What no socket sends costs the peer nothing: without a limit one host's
//! datagrams to closed ports make as many errors, to whomever their source names. So all of
//! that draws on one bucket (RFC 4443, 2.4 (f): "an IPv6 node MUST limit the rate of ICMPv6
//! error messages it originates", and it recommends a token bucket; RFC 1812, 4.3.2.8).
//!
//! It holds the time of a few answers and fills as time passes. That is one number: when it
//! will be full again.
//!
//! Not here: what is not sent without one, and what it was.

use smoltcp::time::Instant;

/// A bucket, full at first and whenever the clock goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// In microseconds.
    full_at: i64,
}

/// What an answer costs that smoltcp makes, an error above all: 800 a second.
pub(crate) const ANSWER: i64 = 1_250;

/// What a reset costs: it is not longer than what it answers, and a scan of all ports ends
/// with one for each.
pub(crate) const RESET: i64 = 125;

/// What the bucket holds: ten answers.
const FULL: i64 = 10 * ANSWER;

impl Bucket {
    pub(crate) const FULL: Bucket = Bucket { full_at: 0 };

    /// Takes so much of it, if there is that much.
    #[inline]
    pub(crate) fn take(&mut self, cost: i64, now: Instant) -> bool {
        let now = now.total_micros();
        // It cannot miss less than nothing, nor more than all: the clock is another one.
        let missing = match self.full_at.wrapping_sub(now) {
            missing @ 0..=FULL => missing,
            _ => 0,
        };
        let there = missing <= FULL - cost;
        if there {
            self.full_at = now.wrapping_add(missing + cost);
        }
        there
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use smoltcp::time::Duration;

    /// How many answers it holds.
    const BURST: i64 = FULL / ANSWER;

    fn taken(bucket: &mut Bucket, at: i64, tries: u32) -> u32 {
        (0..tries)
            .map(|_| u32::from(bucket.take(ANSWER, Instant::from_micros(at))))
            .sum()
    }

    #[test]
    fn a_burst_is_served_and_then_one_at_a_time() {
        let mut bucket = Bucket::FULL;
        assert_eq!(taken(&mut bucket, 0, 1000), BURST as u32);
        assert_eq!(taken(&mut bucket, ANSWER - 1, 1000), 0);
        assert_eq!(taken(&mut bucket, ANSWER, 1000), 1);
        assert_eq!(taken(&mut bucket, 4 * ANSWER, 1000), 3);
        assert_eq!(
            taken(&mut bucket, 100_000_000, 1000),
            BURST as u32,
            "not more than full"
        );
    }

    #[test]
    fn a_reset_costs_a_tenth() {
        let mut bucket = Bucket::FULL;
        let resets = (0..1000).filter(|_| bucket.take(RESET, Instant::ZERO));
        assert_eq!(resets.count(), 100);
        assert_eq!(taken(&mut bucket, ANSWER - RESET, 1), 0);
        assert_eq!(taken(&mut bucket, ANSWER, 1), 1);
    }

    #[test]
    fn a_clock_that_begins_again_finds_it_full() {
        let mut bucket = Bucket::FULL;
        assert_eq!(taken(&mut bucket, 1 << 50, 1000), BURST as u32);
        assert_eq!(taken(&mut bucket, 0, 1000), BURST as u32);
        for at in [i64::MAX, i64::MIN] {
            taken(&mut bucket, at, 1000);
            assert!(taken(&mut bucket, 0, 1000) <= BURST as u32, "{at}");
        }
    }

    proptest! {
        /// Over any time no more than it holds and what it got; and never less than one in
        /// every interval for somebody who asks that seldom.
        #[test]
        fn it_gives_what_it_got_and_no_more(pauses in prop::collection::vec(0u64..20_000, 1..400)) {
            let (mut bucket, mut now, mut given) = (Bucket::FULL, Instant::from_secs(7), 0);
            let began = now;
            for pause in pauses {
                now += Duration::from_micros(pause);
                let there = bucket.take(ANSWER, now);
                given += i64::from(there);
                prop_assert!(there || pause < ANSWER as u64);
                let passed = (now - began).total_micros() as i64;
                prop_assert!(given <= BURST + passed / ANSWER);
            }
        }
    }
}
