//! Chance that follows from the entropy of a boot, for programs that have no generator of
//! their own. Not for keys that are to be secret: it is the same in every run of a seed.

/// A generator of numbers: SplitMix64 (Steele, Lea, Flood, 2014), four of them in turn,
/// because entropy has 32 bytes.
#[derive(Clone, Debug)]
pub struct Random {
    states: [u64; 4],
    turn: usize,
}

impl Random {
    /// Numbers that follow from this.
    pub fn new(entropy: [u8; 32]) -> Random {
        let mut states = [0; 4];
        for (state, bytes) in states.iter_mut().zip(entropy.as_chunks::<8>().0) {
            *state = u64::from_le_bytes(*bytes);
        }
        Random { states, turn: 0 }
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        let state = &mut self.states[self.turn];
        self.turn = (self.turn + 1) % 4;
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// Fills this with the next bytes.
    pub fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.next_u64().to_le_bytes()[..part.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        // The first numbers of seed 1234567, as the Java library gives them.
        let mut entropy = [0; 32];
        entropy[..8].copy_from_slice(&1_234_567_u64.to_le_bytes());
        let mut random = Random::new(entropy);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        (0..3).for_each(|_| _ = random.next_u64());
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
        let mut bytes = [0; 11];
        random.fill_bytes(&mut bytes);
        assert_ne!(bytes[8..], [0; 3]);
    }
}
