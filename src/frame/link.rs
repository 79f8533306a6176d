//! The link: what an Ethernet header says, and who has such an address.

use smoltcp::wire::IpAddress;
#[cfg(feature = "udp")]
use smoltcp::wire::Ipv4Address;
#[cfg(feature = "ipv6")]
use smoltcp::wire::Ipv6Address;

/// Bytes of an Ethernet header.
pub(crate) const ETHERNET: usize = 14;

/// No hardware address.
pub(crate) const NOBODY: [u8; 6] = [0; 6];

/// That of every station of a network.
pub(crate) const EVERYBODY: [u8; 6] = [0xff; 6];

/// An Ethernet address.
pub(crate) type Hardware = [u8; 6];

/// Whether it is one station's: the group bit is not set.
pub(crate) fn is_unicast(hardware: Hardware) -> bool {
    hardware[0] & 1 == 0 && hardware != NOBODY
}

/// Whether these are one address. Of two versions of IP that is much to look at.
#[cfg_attr(all(feature = "ipv6", target_pointer_width = "32"), inline(never))]
pub(crate) fn same(one: &IpAddress, other: &IpAddress) -> bool {
    one == other
}

/// Kinds of frames.
pub(crate) const IPV4: [u8; 2] = [0x08, 0x00];
pub(crate) const ARP: [u8; 2] = [0x08, 0x06];
#[cfg(feature = "ipv6")]
pub(crate) const IPV6: [u8; 2] = [0x86, 0xdd];

/// The hardware address of an IPv4 group (RFC 1112, 6.4).
#[cfg(feature = "udp")]
pub(crate) fn group_v4(addr: Ipv4Address) -> Hardware {
    let [_, b, c, d] = addr.octets();
    [1, 0, 0x5e, b & 0x7f, c, d]
}

/// What is said of a group that a host hears, by the mode of the record that says so: of
/// which sources it hears nothing, which is of none (RFC 3376, 4.2.12; RFC 3810, 5.2.12), or of
/// which alone, which is of none when it hears the group no more.
#[cfg(any(feature = "ipv6", feature = "groups"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It still hears it.
    None = 2,
    #[cfg(feature = "groups")]
    Ends = 3,
    Begins = 4,
}

/// The hardware address of an IPv6 group (RFC 2464, 7).
#[cfg(feature = "ipv6")]
pub(crate) fn group(addr: Ipv6Address) -> Hardware {
    let [.., a, b, c, d] = addr.octets();
    [0x33, 0x33, a, b, c, d]
}

/// The group in which the host that has this IPv6 address hears who asks for it (RFC 4291,
/// 2.7.1).
#[cfg(feature = "ipv6")]
pub(crate) fn solicited_node(addr: Ipv6Address) -> Ipv6Address {
    let [.., a, b, c] = addr.octets();
    let ends = [0xff00 | u16::from(a), u16::from_be_bytes([b, c])];
    Ipv6Address::new(0xff02, 0, 0, 0, 0, 1, ends[0], ends[1])
}
