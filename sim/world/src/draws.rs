//! Chance. Every draw is a keyed hash of what is drawn for: the seed, the
//! stream (a link and a direction), the kind of fault and the frame's number.
//! So draws do not follow one another: switching one fault off, or one host,
//! shifts nothing else, and a frame's fate can be computed without the fates of
//! the frames before it.

/// What a draw decides. The numbers are part of every recorded seed: never reuse
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Whether a frame is lost.
    Loss = 0,
    /// Whether a frame arrives twice.
    Duplicate = 1,
    /// How much longer than the least it takes.
    Jitter = 2,
    /// Whether it is held back behind later ones.
    Reorder = 3,
    /// Whether a bit flips.
    Corrupt = 4,
    /// Which bit flips.
    Bit = 5,
    /// Whether it takes very long.
    Spike = 6,
    /// The secret of a host.
    Secret = 7,
    /// What a scenario looks like.
    Scene = 8,
    /// A fault that a test asked for.
    Fault = 9,
    /// What a test asks for itself.
    Pick = 10,
}

/// The source of all chance in a world.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    /// `None` in a run that was told everything.
    seed: Option<u64>,
}

impl Draws {
    /// The draws of this seed.
    pub fn new(seed: u64) -> Self {
        Draws { seed: Some(seed) }
    }

    /// For a run that must not draw.
    pub fn none() -> Self {
        Draws { seed: None }
    }

    /// A number for the `number`th frame of `stream`.
    ///
    /// # Panics
    /// When nothing may be drawn: a replay that draws is not a replay.
    pub fn draw(&self, stream: u64, kind: Kind, number: u64) -> u64 {
        keyed(self.seed(), stream, kind as u8, number)
    }

    fn seed(&self) -> u64 {
        self.seed.expect("a run that replays a plan drew a number")
    }

    /// Uniform from 0 to `bound`, without `bound`; 0 when that is 0.
    pub fn below(&self, stream: u64, kind: Kind, number: u64, bound: u64) -> u64 {
        if bound <= 1 {
            return 0;
        }
        scaled(self.draw(stream, kind, number), bound)
    }
}

/// The draws of one stream: what they have in common is hashed once.
pub(super) struct Stream {
    /// By kind, those of frames.
    begun: [Begun; Kind::Spike as usize + 1],
}

impl Stream {
    /// The draws of this stream.
    ///
    /// # Panics
    /// When nothing may be drawn.
    pub(super) fn new(draws: &Draws, stream: u64) -> Stream {
        let seed = draws.seed();
        let begun = |kind| Sip::new(seed).with(stream).with(kind as u64).begin();
        Stream {
            begun: std::array::from_fn(begun),
        }
    }

    /// See [`Draws::below`].
    #[inline(always)]
    pub(super) fn below(&self, kind: Kind, number: u64, bound: u64) -> u64 {
        if bound <= 1 {
            return 0;
        }
        scaled(self.begun[kind as usize].with(number).value(), bound)
    }

    /// True `ppm` times in a million.
    #[inline]
    pub(super) fn happens(&self, kind: Kind, number: u64, ppm: u32) -> bool {
        ppm > 0 && self.below(kind, number, 1_000_000) < u64::from(ppm)
    }
}

/// From 0 to `bound`, without `bound`, as `number` lies between 0 and 2^64.
fn scaled(number: u64, bound: u64) -> u64 {
    ((u128::from(number) * u128::from(bound)) >> 64) as u64
}

/// A number that follows from others, the same on every machine.
pub(super) fn keyed(key: u64, stream: u64, kind: u8, number: u64) -> u64 {
    let begun = Sip::new(key).with(stream).with(kind.into());
    begun.with(number).value()
}

/// SipHash-1-3 (Aumasson and Bernstein, 2012) of three words. It is written out here
/// because every frame asks several times.
#[derive(Clone, Copy)]
struct Sip([u64; 4]);

impl Sip {
    fn new(key: u64) -> Sip {
        let keys = [key, 0x6379_676e_6574];
        Sip([
            keys[0] ^ 0x736f_6d65_7073_6575,
            keys[1] ^ 0x646f_7261_6e64_6f6d,
            keys[0] ^ 0x6c79_6765_6e65_7261,
            keys[1] ^ 0x7465_6462_7974_6573,
        ])
    }

    #[inline(always)]
    fn with(mut self, word: u64) -> Sip {
        self.0[3] ^= word;
        self.round();
        self.0[0] ^= word;
        self
    }

    /// The hash, after three words. The last block is how many bytes they have.
    #[inline(always)]
    fn value(self) -> u64 {
        let mut end = self.with(24 << 56);
        end.0[2] ^= 0xff;
        end.round();
        end.round();
        end.round();
        end.0[0] ^ end.0[1] ^ end.0[2] ^ end.0[3]
    }

    #[inline(always)]
    fn round(&mut self) {
        *self = self.begin().end();
    }

    /// What of a round does not depend on the word that goes in, which is part of the last
    /// of the four.
    #[inline(always)]
    fn begin(self) -> Begun {
        let [mut a, mut b, c, d] = self.0;
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        Begun([a, b, c, d])
    }
}

/// A hash in the midst of a round.
#[derive(Clone, Copy)]
struct Begun([u64; 4]);

impl Begun {
    /// The hash of a last word. See [`Sip::with`].
    #[inline(always)]
    fn with(mut self, word: u64) -> Sip {
        self.0[3] ^= word;
        let mut sip = self.end();
        sip.0[0] ^= word;
        sip
    }

    #[inline(always)]
    fn end(self) -> Sip {
        let [mut a, mut b, mut c, mut d] = self.0;
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        Sip([a, b, c, d])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic = "drew a number"]
    fn a_replay_cannot_draw() {
        Draws::none().draw(0, Kind::Loss, 0);
    }

    #[test]
    fn a_draw_is_the_same_everywhere_and_every_time() {
        let draws = Draws::new(7);
        assert_eq!(draws.draw(3, Kind::Loss, 5), draws.draw(3, Kind::Loss, 5));
        assert_ne!(draws.draw(3, Kind::Loss, 5), draws.draw(3, Kind::Spike, 5));
        assert_ne!(draws.draw(3, Kind::Loss, 5), draws.draw(4, Kind::Loss, 5));
        assert_ne!(
            draws.draw(3, Kind::Loss, 5),
            Draws::new(8).draw(3, Kind::Loss, 5)
        );
    }

    #[test]
    fn a_draw_is_the_hash_of_what_it_is_drawn_for() {
        for number in 0..1000_u64 {
            let (key, stream, kind) = (number << 50 | 7, number / 3, number as u8);
            let words = [stream, kind.into(), number].map(u64::to_le_bytes);
            let hasher = siphasher::sip::SipHasher13::new_with_keys(key, 0x6379_676e_6574);
            assert_eq!(
                keyed(key, stream, kind, number),
                hasher.hash(&words.concat())
            );
        }
    }

    #[test]
    fn a_stream_draws_what_all_draw() {
        let draws = Draws::new(7);
        for (stream, kind) in [(0, Kind::Loss), (9, Kind::Jitter), (1 << 40, Kind::Spike)] {
            let begun = Stream::new(&draws, stream);
            for number in (0..100).chain([u64::MAX]) {
                let bound = 1 << 50 | number;
                assert_eq!(
                    begun.below(kind, number, bound),
                    draws.below(stream, kind, number, bound)
                );
            }
        }
    }

    #[test]
    fn rates_are_kept() {
        let stream = Stream::new(&Draws::new(1), 0);
        for ppm in [0, 1000, 100_000, 500_000, 1_000_000] {
            let hits = (0..20_000)
                .filter(|&number| stream.happens(Kind::Loss, number, ppm))
                .count() as i64;
            let expected = i64::from(ppm) * 20_000 / 1_000_000;
            assert!((hits - expected).abs() <= 300, "{hits} of {expected}");
        }
    }
}
