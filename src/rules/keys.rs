//! Secrets. Everything that a peer must not foresee is a keyed hash (SipHash-1-3),
//! and every use has a key of its own, derived from the one secret of the
//! configuration.
//!
//! What is hashed is short, so it is put together first and hashed in one go:
//! the hash that takes its bytes as they come is twice as long, in flash and in
//! instructions.

use siphasher::sip::SipHasher13;
use smoltcp::wire::{IpAddress, IpEndpoint};

/// Two IPv6 addresses and ports, a sequence number, a minute and a class.
const ROOM: usize = 2 * 18 + 4 + 4 + 1;

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

    /// Adds two addresses and ports.
    pub(crate) fn between(&mut self, local: IpEndpoint, remote: IpEndpoint) {
        for end in [local, remote] {
            match end.addr {
                IpAddress::Ipv4(addr) => self.add(&addr.octets()),
                #[cfg(feature = "ipv6")]
                IpAddress::Ipv6(addr) => self.add(&addr.octets()),
            }
            self.add(&end.port.to_le_bytes());
        }
    }

    /// The hash under `key`. Not inlined: wherever something is hashed the rounds
    /// would take their kilobyte of a board's flash.
    #[inline(never)]
    pub(crate) fn hash(&self, key: &[u8; 16]) -> u64 {
        SipHasher13::new_with_key(key).hash(self.bytes.get(..self.len).unwrap_or_default())
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
