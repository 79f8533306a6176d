//! Who a host is on the network: its name and its addresses, which follow from its
//! number, so that a machine knows them before the world is complete.

use std::rc::Rc;

use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

use super::ids::HostId;

/// Who a machine is. Every host of a world is in the same two networks, reaches the
/// others without a router, and has no use for DHCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The host's name.
    pub name: Rc<str>,
    /// Its Ethernet address.
    pub hardware: EthernetAddress,
    /// Its IPv4 and its IPv6 address, and how long their prefixes are.
    pub addresses: [IpCidr; 2],
}

impl Identity {
    pub(super) fn new(id: HostId, name: &str) -> Identity {
        let [v4, v6] = addresses(id);
        Identity {
            name: name.into(),
            hardware: hardware(id),
            addresses: [IpCidr::new(v4, 16), IpCidr::new(v6, 64)],
        }
    }
}

/// Hosts are counted from one on the network.
pub(super) fn number(id: HostId) -> u32 {
    id.0 as u32 + 1
}

/// 02:00 and the host's number.
pub(super) fn hardware(id: HostId) -> EthernetAddress {
    let [a, b, c, d] = number(id).to_be_bytes();
    EthernetAddress([2, 0, a, b, c, d])
}

/// 10.0.0.1 and fd00::1 are host 1, 10.0.1.0 and fd00::100 host 256.
pub(super) fn addresses(id: HostId) -> [IpAddress; 2] {
    let number = number(id);
    let [_, _, high, low] = number.to_be_bytes();
    let v6 = IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, (number >> 16) as u16, number as u16);
    [IpAddress::v4(10, 0, high, low), v6]
}
