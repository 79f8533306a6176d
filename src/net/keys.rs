//! Secrets. Everything that a peer must not foresee is a keyed hash, and every
//! use has a key of its own, derived from the one secret of the configuration.

use core::hash::Hasher;

use siphasher::sip::SipHasher13;
use smoltcp::wire::{IpAddress, IpEndpoint};

/// Adds bytes to a hash. Everybody calls this one function and the next: inlined
/// wherever something is hashed, the rounds took 2 KiB of a board's flash.
#[inline(never)]
pub(super) fn add(hasher: &mut SipHasher13, bytes: &[u8]) {
    hasher.write(bytes);
}

/// What a hash comes to.
#[inline(never)]
pub(super) fn finish(hasher: &SipHasher13) -> u64 {
    hasher.finish()
}

/// Adds an address and a port, in network order, to a hash.
pub(super) fn hash_endpoint(hasher: &mut SipHasher13, endpoint: IpEndpoint) {
    match endpoint.addr {
        IpAddress::Ipv4(addr) => add(hasher, &addr.octets()),
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(addr) => add(hasher, &addr.octets()),
    }
    add(hasher, &endpoint.port.to_le_bytes());
}

/// One key per use, so that what leaks through one says nothing of the others.
pub(super) fn derive_key(secret: &[u8; 16], purpose: &[u8]) -> [u8; 16] {
    let mut key = [0; 16];
    for (half, bytes) in key.chunks_exact_mut(8).enumerate() {
        let mut hasher = SipHasher13::new_with_key(secret);
        add(&mut hasher, &[half as u8]);
        add(&mut hasher, purpose);
        bytes.copy_from_slice(&finish(&hasher).to_le_bytes());
    }
    key
}
