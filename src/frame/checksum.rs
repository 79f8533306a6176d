//! The checksums of TCP and of IPv4 headers (RFC 1071), a machine word at a
//! time.
//!
//! smoltcp adds up two bytes at a time, once on the way in and once on the way
//! out, which is a tenth of what a small request costs and half of a large one.
//! So the interface is told that the device does it, and it is done here: the
//! sum does not depend on the size or the order of the words that are added.
//!
//! Not here: what the device really does itself, and all other checksums.

use smoltcp::phy::{Checksum, DeviceCapabilities};

const WORD: usize = size_of::<usize>();

/// What the device leaves to us.
#[derive(Clone, Debug)]
pub(crate) struct Checks {
    /// In the headers of IPv4 packets, TCP or not.
    pub(crate) ipv4: Checksum,
    pub(crate) tcp: Checksum,
}

impl Checks {
    /// Nothing: for a frame that was looked at before, or was made here.
    pub(crate) const NONE: Checks = Checks {
        ipv4: Checksum::None,
        tcp: Checksum::None,
    };

    /// Takes the work over from smoltcp.
    pub(crate) fn take(capabilities: &mut DeviceCapabilities) -> Self {
        let checksum = &mut capabilities.checksum;
        Checks {
            ipv4: core::mem::replace(&mut checksum.ipv4, Checksum::None),
            tcp: core::mem::replace(&mut checksum.tcp, Checksum::None),
        }
    }
}

/// Whether the header of an IPv4 packet is as its sender wrote it.
#[inline]
pub(crate) fn header_is_right(header: &[u8; 20], options: &[u8]) -> bool {
    let options = match options {
        [] => 0,
        _ => sum(options, 0),
    };
    fold(few(header, options)) == u16::MAX
}

/// Writes the checksum of an IPv4 header without options.
#[inline]
pub(crate) fn fill_header(header: &mut [u8; 20]) {
    header[10..12].fill(0);
    let sum = !fold(few(header, 0));
    header[10..12].copy_from_slice(&sum.to_ne_bytes());
}

/// What the addresses of a packet add to a segment's sum.
#[inline]
pub(crate) fn pseudo<const BYTES: usize>(addresses: &[u8; BYTES]) -> usize {
    few(addresses, 0)
}

/// Whether a segment is as its sender wrote it.
#[inline]
pub(crate) fn is_right(pseudo: usize, segment: &[u8]) -> bool {
    tcp(pseudo, segment) == u16::MAX
}

/// Whether an ICMPv4 message is.
#[cold]
pub(crate) fn is_icmp_right(message: &[u8]) -> bool {
    fold(sum(message, 0)) == u16::MAX
}

/// What is missing in the sum of an ICMPv6 message between these addresses: zero if it is as
/// its sender wrote it, its checksum if that is zero so far.
#[cfg(feature = "ipv6")]
#[cold]
pub(crate) fn of_icmpv6(addresses: &[u8; 32], message: &[u8]) -> u16 {
    // The pseudo header's last: the length and the protocol.
    let [a, b] = (message.len() as u16).to_be_bytes();
    let rest = few(&[0, 0, a, b, 0, 0, 0, 58], pseudo(addresses));
    !fold(sum(message, rest))
}

/// What is missing in the sum of a message of this protocol between these addresses: zero if
/// it is as its sender wrote it, its checksum if that is zero so far. ICMP's of IPv4 is of the
/// message alone.
#[cfg(feature = "udp")]
pub(crate) fn of_message(pseudo: usize, protocol: u8, message: &[u8]) -> u16 {
    let (kind, length) = (u16::from(protocol), message.len() as u16);
    let rest = match protocol {
        1 => 0,
        _ => add(
            pseudo,
            usize::from(kind.to_be()) + usize::from(length.to_be()),
        ),
    };
    !fold(sum(message, rest))
}

/// Writes the checksum of a segment, which has at least a header.
pub(crate) fn fill(pseudo: usize, segment: &mut [u8]) {
    if segment.len() >= 18 {
        segment[16..18].fill(0);
        let sum = !tcp(pseudo, segment);
        segment[16..18].copy_from_slice(&sum.to_ne_bytes());
    }
}

/// The folded sum of a segment and its pseudo header, in the machine's order.
#[inline(always)]
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
fn sum(mut bytes: &[u8], start: usize) -> usize {
    let mut sum = start;
    while let Some((part, rest)) = bytes.split_first_chunk::<{ 8 * WORD }>() {
        (sum, bytes) = (block(part, sum), rest);
    }
    while WORD > 4
        && let Some((part, rest)) = bytes.split_first_chunk::<{ 2 * WORD }>()
    {
        (sum, bytes) = (block(part, sum), rest);
    }
    while let Some((part, rest)) = bytes.split_first_chunk::<4>() {
        (sum, bytes) = (block(part, sum), rest);
    }
    if let Some((two, rest)) = bytes.split_first_chunk::<2>() {
        let two = u16::from_ne_bytes(*two);
        (sum, bytes) = (add(sum, usize::from(two)), rest);
    }
    match bytes {
        [odd, ..] => add(sum, usize::from(u16::from_ne_bytes([*odd, 0]))),
        [] => sum,
    }
}

/// Adds bytes of a known number: in a loop where flash is scarce, and without a branch where
/// branches are dear.
#[inline]
fn few<const BYTES: usize>(bytes: &[u8; BYTES], start: usize) -> usize {
    match cfg!(target_pointer_width = "32") {
        true => sum(bytes, start),
        false => block(bytes, start),
    }
}

/// Adds a multiple of four bytes: without a branch, because their number is
/// known when this is compiled.
#[inline]
fn block<const BYTES: usize>(bytes: &[u8; BYTES], start: usize) -> usize {
    const { assert!(BYTES.is_multiple_of(4)) };
    let (mut sum, mut carry) = (start, false);
    let (words, rest) = bytes.as_chunks::<WORD>();
    for word in words {
        (sum, carry) = sum.carrying_add(usize::from_ne_bytes(*word), carry);
    }
    if let [a, b, c, d, ..] = *rest {
        let half = u32::from_ne_bytes([a, b, c, d]) as usize;
        (sum, carry) = sum.carrying_add(half, carry);
    }
    sum + usize::from(carry)
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
    use proptest::prelude::*;
    use smoltcp::wire::{IpAddress, Ipv4Packet, TcpPacket};

    use super::*;

    #[test]
    fn the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(sum(&bytes, 0)).to_ne_bytes(), [0xdd, 0xf2]);
    }

    #[test]
    fn the_work_is_taken_over_from_smoltcp_as_the_device_left_it() {
        for device in [Checksum::Both, Checksum::Rx, Checksum::Tx, Checksum::None] {
            let (rx, tx) = (device.rx(), device.tx());
            let mut capabilities = DeviceCapabilities::default();
            capabilities.checksum.tcp = device;
            let checks = Checks::take(&mut capabilities);
            assert_eq!((checks.tcp.rx(), checks.tcp.tx()), (rx, tx));
            assert!(checks.ipv4.rx() && checks.ipv4.tx());
            for smoltcp in [capabilities.checksum.ipv4, capabilities.checksum.tcp] {
                assert!(!smoltcp.rx() && !smoltcp.tx());
            }
        }
    }

    #[test]
    fn an_ipv4_header_is_smoltcps_too() {
        let mut header = [0x45; 20];
        fill_header(&mut header);
        assert!(header_is_right(&header, &[]));
        assert!(Ipv4Packet::new_unchecked(&header[..]).verify_checksum());
        header[3] ^= 1;
        assert!(!header_is_right(&header, &[]));
    }

    proptest! {
        #[test]
        fn it_is_smoltcps_sum(
            from in any::<[u8; 4]>(),
            to in any::<[u8; 4]>(),
            mut segment in prop::collection::vec(prop::sample::select(std::vec![0, 1, 0x7f, 0xfe, 0xff]), 20..200),
            flip in any::<prop::sample::Index>(),
        ) {
            let addresses: [u8; 8] = [from, to].as_flattened().try_into().unwrap();
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
