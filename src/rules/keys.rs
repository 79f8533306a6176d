//! Secrets. Everything that a peer must not foresee is a keyed hash (SipHash-1-3),
//! and every use has a key of its own, derived from the one secret of the
//! configuration.
//!
//! What is hashed is short, so it is put together first and hashed in one go: a
//! hash that takes its bytes as they come is three times as long, in flash.

use smoltcp::wire::{IpAddress, IpEndpoint};

/// Two IPv6 addresses and ports, a sequence number, a minute and a class, in whole
/// words.
const ROOM: usize = (2 * 18 + 4 + 4 + 1_usize).next_multiple_of(8);

/// What is to be hashed.
#[derive(Clone, Copy)]
pub(crate) struct HashInput {
    bytes: [u8; ROOM],
    len: usize,
}

impl HashInput {
    pub(crate) const EMPTY: HashInput = HashInput {
        bytes: [0; ROOM],
        len: 0,
    };

    /// Adds bytes; what finds no room is left out, and nothing here is so long.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
            self.len = end;
        }
    }

    /// Two addresses and ports.
    pub(crate) fn between(local: IpEndpoint, remote: IpEndpoint) -> Self {
        let mut input = HashInput::EMPTY;
        for end in [local, remote] {
            match end.addr {
                IpAddress::Ipv4(addr) => input.add(&addr.octets()),
                #[cfg(feature = "ipv6")]
                IpAddress::Ipv6(addr) => input.add(&addr.octets()),
            }
            input.add(&end.port.to_le_bytes());
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

/// One key per use, so that what leaks through one says nothing of the others.
pub(crate) fn derive_key(secret: &[u8; 16], purpose: &[u8]) -> [u8; 16] {
    let mut key = [0; 16];
    for (half, bytes) in key.chunks_exact_mut(8).enumerate() {
        let mut text = HashInput::EMPTY;
        text.add(&[half as u8]);
        text.add(purpose);
        bytes.copy_from_slice(&text.hash(secret).to_le_bytes());
    }
    key
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
            bytes in prop::collection::vec(any::<u8>(), 0..=ROOM),
        ) {
            let mut input = HashInput::EMPTY;
            input.add(&bytes);
            prop_assert_eq!(input.hash(&key), SipHasher13::new_with_key(&key).hash(&bytes));
        }
    }
}
