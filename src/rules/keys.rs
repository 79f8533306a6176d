//! Secrets. Everything that a peer must not foresee is a keyed hash (SipHash-1-3) under the
//! one secret of the configuration. What is hashed begins with what it is for, so that no two
//! uses ever hash the same, and what leaks through one says nothing of the others.
//!
//! What is hashed is short, so it is put together first and hashed in one go: a
//! hash that takes its bytes as they come is three times as long, in flash.

use crate::frame::flow::{Flow, WORDS};

/// The use, two IPv6 addresses and ports, a sequence number, a minute and a class, in whole
/// words.
const ROOM: usize = (1 + 2 * 18 + 4 + 4 + 1_usize).next_multiple_of(8);

/// What a hash is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// An initial sequence number.
    Isn = 1,
    /// A port of a connection of ours.
    Port = 2,
    /// A number that nobody can foresee.
    #[cfg(feature = "udp")]
    Draw = 3,
    Cookie = 4,
    /// The hash of the table of flows.
    Flows = 5,
}

/// What is to be hashed.
#[derive(Clone, Copy)]
pub(crate) struct HashInput {
    bytes: [u8; ROOM],
    len: usize,
}

impl HashInput {
    /// Nothing but what it is for.
    pub(crate) const fn of(purpose: Use) -> Self {
        let mut bytes = [0; ROOM];
        bytes[0] = purpose as u8;
        HashInput { bytes, len: 1 }
    }

    /// Adds bytes; what finds no room is left out, and nothing here is so long.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
            self.len = end;
        }
    }

    /// The addresses and ports of a flow.
    pub(crate) fn about(purpose: Use, flow: &Flow) -> Self {
        let mut input = HashInput::of(purpose);
        input.add(&flow.ports.to_le_bytes());
        for word in 0..WORDS.min(flow.words as usize) {
            input.add(&flow.local[word].to_le_bytes());
            input.add(&flow.remote[word].to_le_bytes());
        }
        input
    }

    /// The hash under `key`: SipHash-1-3 (Aumasson and Bernstein, 2012), one round
    /// for each word of what is hashed, its length being in the last, and three at the
    /// end.
    #[inline(never)]
    pub(crate) fn hash(&self, key: &[u8; 16]) -> u64 {
        let (words, _) = self.bytes.as_chunks();
        let (full, rest) = words.split_at(self.len / 8);
        let mut state = SipState::new(key);
        for word in full {
            state.round(u64::from_le_bytes(*word));
        }
        let rest = rest.first().map_or(0, |word| u64::from_le_bytes(*word));
        state.round(rest | (self.len as u64) << 56);
        state.0[2] ^= 0xff;
        for _ in 0..3 {
            state.round(0);
        }
        let SipState([v0, v1, v2, v3]) = state;
        v0 ^ v1 ^ v2 ^ v3
    }
}

struct SipState([u64; 4]);

impl SipState {
    fn new(key: &[u8; 16]) -> Self {
        let mut state = [
            0x736f_6d65_7073_6575,
            0x646f_7261_6e64_6f6d,
            0x6c79_6765_6e65_7261,
            0x7465_6462_7974_6573,
        ];
        let (halves, _) = key.as_chunks();
        for (word, half) in state.iter_mut().zip(halves.iter().cycle()) {
            *word ^= u64::from_le_bytes(*half);
        }
        SipState(state)
    }

    // On a small machine flash is scarce, on a large one calls are dear.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn round(&mut self, word: u64) {
        let SipState([v0, v1, v2, v3]) = self;
        *v3 ^= word;
        *v0 = v0.wrapping_add(*v1);
        *v2 = v2.wrapping_add(*v3);
        *v1 = v1.rotate_left(13) ^ *v0;
        *v3 = v3.rotate_left(16) ^ *v2;
        *v0 = v0.rotate_left(32).wrapping_add(*v3);
        *v2 = v2.wrapping_add(*v1);
        *v1 = v1.rotate_left(17) ^ *v2;
        *v3 = v3.rotate_left(21) ^ *v0;
        *v2 = v2.rotate_left(32);
        *v0 ^= word;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use siphasher::sip::SipHasher13;

    proptest! {
        #[test]
        fn the_hash_is_siphash_whatever_the_length(
            key: [u8; 16],
            bytes in prop::collection::vec(any::<u8>(), 0..ROOM),
        ) {
            let mut input = HashInput::of(Use::Cookie);
            input.add(&bytes);
            let all = [&[Use::Cookie as u8], &bytes[..]].concat();
            prop_assert_eq!(input.hash(&key), SipHasher13::new_with_key(&key).hash(&all));
        }
    }
}
