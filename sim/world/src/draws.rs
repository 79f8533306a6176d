//! Chance. Every draw is a keyed hash of what is drawn for: the seed, the
//! stream (a link and a direction), the kind of fault and the frame's number.
//! So draws do not follow one another: switching one fault off, or one host,
//! shifts nothing else, and a frame's fate can be computed without the fates of
//! the frames before it.

use siphasher::sip::SipHasher13;

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
        let seed = self.seed.expect("a run that replays a plan drew a number");
        keyed(seed, stream, kind as u8, number)
    }

    /// Uniform from 0 to `bound`, without `bound`; 0 when that is 0.
    pub fn below(&self, stream: u64, kind: Kind, number: u64, bound: u64) -> u64 {
        if bound <= 1 {
            return 0;
        }
        ((u128::from(self.draw(stream, kind, number)) * u128::from(bound)) >> 64) as u64
    }

    /// True `ppm` times in a million.
    pub fn happens(&self, stream: u64, kind: Kind, number: u64, ppm: u32) -> bool {
        ppm > 0 && self.below(stream, kind, number, 1_000_000) < u64::from(ppm)
    }
}

/// A number that follows from others, the same on every machine.
pub(super) fn keyed(key: u64, stream: u64, kind: u8, number: u64) -> u64 {
    let mut words = [0; 24];
    for (place, word) in words.chunks_exact_mut(8).zip([stream, kind.into(), number]) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    SipHasher13::new_with_keys(key, 0x6379_676e_6574).hash(&words)
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
    fn rates_are_kept() {
        let draws = Draws::new(1);
        for ppm in [0, 1000, 100_000, 500_000, 1_000_000] {
            let hits = (0..20_000)
                .filter(|&number| draws.happens(0, Kind::Loss, number, ppm))
                .count() as i64;
            let expected = i64::from(ppm) * 20_000 / 1_000_000;
            assert!((hits - expected).abs() <= 300, "{hits} of {expected}");
        }
    }
}
