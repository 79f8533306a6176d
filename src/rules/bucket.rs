//! A token bucket. What no socket sends costs the peer nothing: without a limit one host's
//! datagrams to closed ports make as many errors, to whomever their source names. So all of
//! that draws on one bucket (RFC 4443, 2.4 (f): "an IPv6 node MUST limit the rate of ICMPv6
//! error messages it originates", and it recommends a token bucket; RFC 1812, 4.3.2.8).
//!
//! It holds a few tokens and gets a new one every so often. That is one number: when it
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

/// One token in so many microseconds.
const EVERY: i64 = 1_250;

/// How many tokens there are at most. A scan of a thousand ports is answered in seconds,
/// and nobody gets a thousand answers from us in one.
const BURST: i64 = 10;

impl Bucket {
    pub(crate) const FULL: Bucket = Bucket { full_at: 0 };

    /// Takes a token, if there is one.
    #[inline]
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let now = now.total_micros();
        let missing = self.full_at.saturating_sub(now).max(0);
        let most = BURST * EVERY;
        // It cannot miss more than all: the clock is another one.
        let missing = if missing > most { 0 } else { missing };
        let there = missing <= most - EVERY;
        if there {
            self.full_at = now.saturating_add(missing + EVERY);
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

    fn taken(bucket: &mut Bucket, at: i64, tries: u32) -> u32 {
        (0..tries)
            .map(|_| u32::from(bucket.take(Instant::from_micros(at))))
            .sum()
    }

    #[test]
    fn a_burst_is_served_and_then_one_at_a_time() {
        let mut bucket = Bucket::FULL;
        assert_eq!(taken(&mut bucket, 0, 1000), BURST as u32);
        assert_eq!(taken(&mut bucket, EVERY - 1, 1000), 0);
        assert_eq!(taken(&mut bucket, EVERY, 1000), 1);
        assert_eq!(taken(&mut bucket, 4 * EVERY, 1000), 3);
        assert_eq!(
            taken(&mut bucket, 100_000_000, 1000),
            BURST as u32,
            "not more than full"
        );
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
                let there = bucket.take(now);
                given += i64::from(there);
                prop_assert!(there || pause < EVERY as u64);
                let passed = (now - began).total_micros() as i64;
                prop_assert!(given <= BURST + passed / EVERY);
            }
        }
    }
}
