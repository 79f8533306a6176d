//! What happens soon: a ring of spans of time, each with a list in order. Most frames
//! arrive within milliseconds, and a span then holds one or two of them, so that to plan
//! one and to take it costs the same however many are on their way. What is further ahead,
//! or finds a crowd in its span, is planned elsewhere.
//!
//! Not here: what happens (`queue`).

/// How many spans there are, and how long one is: together 16 ms.
const SPANS: u64 = 256;
const SPAN_BITS: u32 = 6;

/// So many are passed on the way to a place in a span's list.
const CROWD: usize = 8;

/// The end of a list, and an empty one.
const NOTHING: u32 = u32::MAX;

/// The first of an empty ring.
const NEVER: (u128, u32) = (u128::MAX, NOTHING);

/// Something that happens: its time and rank in one number, and what comes after it in
/// the same span.
#[derive(Clone, Copy)]
struct Entry {
    key: u128,
    next: u32,
}

/// See the [module](self).
pub(super) struct Wheel {
    /// The first entry of each span.
    firsts: [u32; SPANS as usize],
    /// A bit for each span that has one.
    used: [u64; SPANS as usize / 64],
    /// By the number of what happens.
    entries: Vec<Entry>,
    /// The key and the number of what happens first.
    first: (u128, u32),
}

impl Default for Wheel {
    fn default() -> Self {
        Wheel {
            firsts: [NOTHING; SPANS as usize],
            used: [0; SPANS as usize / 64],
            entries: Vec::new(),
            first: NEVER,
        }
    }
}

/// In which span a time lies, of all there are since zero.
fn span(micros: u64) -> u64 {
    micros >> SPAN_BITS
}

impl Wheel {
    /// Plans number `place`. The upper half of the key is the time in microseconds, no
    /// two keys are equal, and nothing that is planned lies before `now`. False: it does
    /// not happen soon, or there is a crowd.
    pub(super) fn push(&mut self, now: u64, key: u128, place: u32) -> bool {
        let at = (key >> 64) as u64;
        if at < now || span(at) - span(now) >= SPANS {
            return false;
        }
        let index = (span(at) % SPANS) as usize;
        let (mut before, mut next) = (NOTHING, self.firsts[index]);
        let mut passed = 0;
        while let Some(entry) = self.entries.get(next as usize)
            && entry.key < key
        {
            (before, next) = (next, entry.next);
            passed += 1;
            if passed > CROWD {
                return false;
            }
        }
        let number = place as usize;
        if number >= self.entries.len() {
            let vacant = Entry {
                key: 0,
                next: NOTHING,
            };
            self.entries.resize(number + 1, vacant);
        }
        self.entries[number] = Entry { key, next };
        if key < self.first.0 {
            self.first = (key, place);
        }
        match self.entries.get_mut(before as usize) {
            Some(before) => before.next = place,
            None => {
                self.firsts[index] = place;
                self.used[index / 64] |= 1 << (index % 64);
            }
        }
        true
    }

    /// The key of what happens first; the largest one there is if nothing does.
    #[inline]
    pub(super) fn first(&self) -> u128 {
        self.first.0
    }

    /// The number of what happens first, which is not planned any more.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<u32> {
        let (key, place) = self.first;
        let next = self.entries.get(place as usize)?.next;
        let span = span((key >> 64) as u64);
        let index = (span % SPANS) as usize;
        self.firsts[index] = next;
        let first = match next {
            NOTHING => {
                self.used[index / 64] &= !(1 << (index % 64));
                self.first_from(index)
            }
            next => next,
        };
        let entry = self.entries.get(first as usize);
        self.first = entry.map_or(NEVER, |entry| (entry.key, first));
        Some(place)
    }

    /// The first entry from this span on: in the rest of its word, then in the other words,
    /// then in the beginning of its own.
    #[inline]
    fn first_from(&self, here: usize) -> u32 {
        let words = self.used.len();
        let rest = u64::MAX << (here % 64);
        let found = |word: usize, mask: u64| {
            let word = word % words;
            let bits = self.used[word] & mask;
            (bits != 0).then(|| self.firsts[word * 64 + bits.trailing_zeros() as usize])
        };
        let word = here / 64;
        found(word, rest)
            .or_else(|| (word + 1..word + words).find_map(|word| found(word, u64::MAX)))
            .or_else(|| found(word, !rest))
            .unwrap_or(NOTHING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Beside the plain way to find the first.
    #[test]
    fn the_first_one_is_next_wherever_the_ring_begins() {
        let (mut wheel, mut plain) = (Wheel::default(), BTreeMap::new());
        let (mut now, mut drawn, mut refused) = (0_u64, 1_u64, [0; 2]);
        let mut free: Vec<u32> = (0..500).collect();
        for step in 0..100_000_u64 {
            drawn = drawn
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(99);
            // Full and nearly empty in turn, and crowded now and then.
            let grows = drawn >> 60 < if step & 1024 == 0 { 12 } else { 5 };
            if grows && let Some(place) = free.pop() {
                let ahead = match step & 2048 {
                    0 => (drawn >> 20) % 17_000,
                    _ => (drawn >> 20) % 40,
                };
                let key = u128::from(now + ahead) << 64 | u128::from(step);
                if wheel.push(now, key, place) {
                    plain.insert(key, place);
                } else {
                    refused[usize::from(ahead < 16_000)] += 1;
                    free.push(place);
                }
                continue;
            }
            let first = plain.pop_first();
            let key = first.map_or(u128::MAX, |(key, _)| key);
            assert_eq!(wheel.first(), key, "step {step}");
            assert_eq!(wheel.pop(), first.map(|(_, place)| place), "step {step}");
            if let Some((key, place)) = first {
                free.push(place);
                now = (key >> 64) as u64;
            }
        }
        assert!(refused.iter().all(|&count| count > 50), "{refused:?}");
    }

    #[test]
    fn what_is_past_or_far_ahead_is_planned_elsewhere() {
        let mut wheel = Wheel::default();
        let key = |micros: u64| u128::from(micros) << 64;
        let now = 1_000_000;
        assert!(!wheel.push(now, key(now - 1), 0));
        assert!(!wheel.push(now, key(now + (SPANS << SPAN_BITS)), 0));
        assert_eq!((wheel.first(), wheel.pop()), (u128::MAX, None));
        assert!(wheel.push(now, key(now), 0));
        assert_eq!((wheel.first(), wheel.pop()), (key(now), Some(0)));
    }
}
