//! The turns that are to come, one of each host: a tournament. Each host has a leaf, and
//! a match knows the time of its winner, the earlier one, and the host with the lower
//! number of two at the same time. To move a turn is to play the matches above its leaf
//! again, until one has the same winner's time as before.

use smoltcp::time::Instant;

/// No turn.
const NEVER: i64 = i64::MAX;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Turns {
    /// Matches from 1 on, the final first; then as many leaves as there are matches, and
    /// one more. The two below match `n` are `2 n` and `2 n + 1`.
    times: Vec<i64>,
}

impl Turns {
    /// Moves a host's turn to this moment, from whatever it was.
    pub(super) fn set(&mut self, host: usize, at: Instant) {
        while self.leaves() <= host {
            self.grow();
        }
        // The last representable instant is as good as never.
        self.put(self.leaves() + host, at.total_micros());
    }

    /// When the next turn is.
    pub(super) fn next_at(&self) -> Option<Instant> {
        let first = self.times.get(1).filter(|&&time| time != NEVER);
        first.map(|&time| Instant::from_micros(time))
    }

    /// Whose turn is next.
    pub(super) fn first(&self) -> Option<usize> {
        let first = self.next_at()?.total_micros();
        let mut at = 1;
        while at < self.leaves() {
            at = 2 * at + usize::from(self.times[2 * at] != first);
        }
        Some(at - self.leaves())
    }

    /// Whether a host's turn is at this moment.
    pub(super) fn is_set(&self, host: usize, at: Instant) -> bool {
        let leaf = self.times.get(self.leaves() + host);
        leaf.is_some_and(|&time| time == at.total_micros())
    }

    /// A host has no turn any more.
    pub(super) fn clear(&mut self, host: usize) {
        if host < self.leaves() {
            self.put(self.leaves() + host, NEVER);
        }
    }

    fn leaves(&self) -> usize {
        self.times.len() / 2
    }

    fn put(&mut self, leaf: usize, time: i64) {
        let (mut at, mut winner) = (leaf, time);
        while self.times[at] != winner {
            self.times[at] = winner;
            if at == 1 {
                return;
            }
            winner = winner.min(self.times[at ^ 1]);
            at /= 2;
        }
    }

    /// Twice as many leaves.
    fn grow(&mut self) {
        let before = self.leaves();
        let leaves = (2 * before).max(1);
        let old = std::mem::replace(&mut self.times, vec![NEVER; 2 * leaves]);
        for (host, &time) in old[before..].iter().enumerate() {
            self.put(leaves + host, time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Beside the plain way to find the first.
    #[test]
    fn the_first_turn_is_next_and_of_two_the_host_with_the_lower_number() {
        let (mut turns, mut plain) = (Turns::default(), BTreeMap::new());
        let mut drawn = 1_u64;
        for step in 0..20_000 {
            drawn = drawn
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(99);
            let (host, time) = ((drawn >> 40) as usize % 37, (drawn >> 50) as i64 % 50);
            if step % 3 < 2 {
                turns.set(host, Instant::from_micros(time));
                plain.insert(host, time);
                continue;
            }
            let first = plain.iter().map(|(&host, &time)| (time, host)).min();
            let next = turns.next_at().map(|at| at.total_micros());
            assert_eq!(next, first.map(|(time, _)| time), "step {step}");
            let host = first.map(|(_, host)| host);
            assert_eq!(turns.first(), host, "step {step}");
            if let Some(host) = host {
                assert!(turns.is_set(host, next.map(Instant::from_micros).unwrap()));
                turns.clear(host);
                plain.remove(&host);
            }
        }
    }
}
