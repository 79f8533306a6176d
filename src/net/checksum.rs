//! TCP's checksum (RFC 1071), a machine word at a time.
//!
//! smoltcp adds up two bytes at a time, once on the way in and once on the way
//! out, which is a fifth of what a small request costs and half of a large one.
//! So the interface is told that the device does it, and it is done here: the
//! sum does not depend on the size or the order of the words that are added.
//!
//! Not here: what the device really does itself, and all other checksums.

use smoltcp::phy::{Checksum, DeviceCapabilities};

const WORD: usize = size_of::<usize>();

/// Which of TCP's checksums the device leaves to us.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checks {
    pub(crate) verify: bool,
    pub(crate) fill: bool,
}

impl Checks {
    /// Takes the work over from smoltcp.
    pub(super) fn take(capabilities: &mut DeviceCapabilities) -> Self {
        let tcp = core::mem::replace(&mut capabilities.checksum.tcp, Checksum::None);
        Checks {
            verify: tcp.rx(),
            fill: tcp.tx(),
        }
    }
}

/// What the addresses of a packet add to a segment's sum.
#[inline]
pub(super) fn pseudo(addresses: &[u8]) -> usize {
    sum(addresses, 0)
}

/// Whether a segment is as its sender wrote it.
pub(super) fn is_right(pseudo: usize, segment: &[u8]) -> bool {
    tcp(pseudo, segment) == u16::MAX
}

/// Writes the checksum of a segment, which has at least a header.
pub(super) fn fill(pseudo: usize, segment: &mut [u8]) {
    if let Some(place) = segment.get_mut(16..18) {
        place.fill(0);
        let sum = !tcp(pseudo, segment);
        if let Some(place) = segment.get_mut(16..18) {
            place.copy_from_slice(&sum.to_ne_bytes());
        }
    }
}

/// The folded sum of a segment and its pseudo header, in the machine's order.
fn tcp(pseudo: usize, segment: &[u8]) -> u16 {
    const PROTOCOL: u16 = 6;
    let length = segment.len() as u16;
    let rest = usize::from(PROTOCOL.to_be()) + usize::from(length.to_be());
    fold(sum(segment, add(pseudo, rest)))
}

/// Adds a word. A carry out of it is added at its other end.
#[inline]
fn add(sum: usize, word: usize) -> usize {
    let (sum, carry) = sum.overflowing_add(word);
    sum + usize::from(carry)
}

/// Adds `bytes` to a sum.
#[inline]
fn sum(bytes: &[u8], start: usize) -> usize {
    let (words, mut rest) = bytes.as_chunks::<WORD>();
    let mut sum = words
        .iter()
        .fold(start, |sum, word| add(sum, usize::from_ne_bytes(*word)));
    if let Some((four, after)) = rest.split_first_chunk::<4>() {
        sum = add(sum, u32::from_ne_bytes(*four) as usize);
        rest = after;
    }
    if let Some((two, after)) = rest.split_first_chunk::<2>() {
        sum = add(sum, usize::from(u16::from_ne_bytes(*two)));
        rest = after;
    }
    match rest {
        [odd, ..] => add(sum, usize::from(u16::from_ne_bytes([*odd, 0]))),
        [] => sum,
    }
}

/// Halves a sum until it has 16 bits: the upper half of what a number and the
/// number turned around add up to is the sum of its halves, carry included.
fn fold(sum: usize) -> u16 {
    let sum = sum as u64;
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use proptest::prelude::*;
    use smoltcp::wire::{IpAddress, TcpPacket};

    use super::*;

    #[test]
    fn the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(sum(&bytes, 0)).to_ne_bytes(), [0xdd, 0xf2]);
    }

    #[test]
    fn what_the_device_does_is_left_to_it() {
        for (device, verify, fill) in [
            (Checksum::Both, true, true),
            (Checksum::Rx, true, false),
            (Checksum::Tx, false, true),
            (Checksum::None, false, false),
        ] {
            let mut capabilities = DeviceCapabilities::default();
            capabilities.checksum.tcp = device;
            let checks = Checks::take(&mut capabilities);
            assert_eq!((checks.verify, checks.fill), (verify, fill));
            assert!(!capabilities.checksum.tcp.rx() && !capabilities.checksum.tcp.tx());
        }
    }

    proptest! {
        #[test]
        fn it_is_smoltcps_sum(
            from in any::<[u8; 4]>(),
            to in any::<[u8; 4]>(),
            mut segment in prop::collection::vec(prop::sample::select(std::vec![0, 1, 0x7f, 0xfe, 0xff]), 20..100),
            flip in any::<prop::sample::Index>(),
        ) {
            let addresses: Vec<u8> = [from, to].concat();
            segment[12] = 0x50;
            let pseudo = pseudo(&addresses);
            fill(pseudo, &mut segment);
            prop_assert!(is_right(pseudo, &segment));
            let [from, to] = [from, to].map(|[a, b, c, d]| IpAddress::v4(a, b, c, d));
            prop_assert!(TcpPacket::new_unchecked(&segment).verify_checksum(&from, &to));
            let bit = flip.index(segment.len() * 8);
            segment[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!is_right(pseudo, &segment));
        }
    }
}
