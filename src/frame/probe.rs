//! Questions and announcements about an address that is not in use yet (RFC 5227, 2.1.1 and
//! 2.3; RFC 4862, 5.4.2).

#[cfg(feature = "ipv6")]
use smoltcp::wire::Ipv6Address;
use smoltcp::wire::{IpAddress, Ipv4Address};

use crate::frame::build::{Frame, who_has};
#[cfg(feature = "ipv6")]
use crate::frame::build::{message, put, sealed};
use crate::frame::link::{EVERYBODY, Hardware};
#[cfg(feature = "ipv6")]
use crate::frame::link::{group, solicited_node};

/// The question who has an address, from nobody's.
pub(crate) fn probe(us: Hardware, addr: IpAddress) -> Option<Frame> {
    match addr {
        IpAddress::Ipv4(_) => who_has((us, Ipv4Address::UNSPECIFIED.into()), addr, EVERYBODY),
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(addr) => {
            let (from, to) = (Ipv6Address::UNSPECIFIED, solicited_node(addr));
            let mut frame = message((&us, &group(to)), (from, to), 24);
            put(&mut frame, &[135, 0, 0, 0, 0, 0, 0, 0]);
            put(&mut frame, &addr.octets());
            sealed(frame, 54)
        }
    }
}

/// Says to everybody who has an IPv4 address; the neighbors of an IPv6 address ask.
pub(crate) fn announce(us: Hardware, addr: IpAddress) -> Option<Frame> {
    match addr {
        IpAddress::Ipv4(_) => who_has((us, addr), addr, EVERYBODY),
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::neighbor::{Claim, read};

    const US: Hardware = [2, 0, 0, 0, 0, 1];

    #[test]
    fn what_is_asked_and_announced_reads_so() {
        let addr = IpAddress::v4(10, 0, 0, 7);
        let claim = Claim {
            addr: IpAddress::v4(0, 0, 0, 0),
            hardware: US,
            asks_for: Some(addr),
        };
        assert_eq!(read(&probe(US, addr).unwrap()), Some(claim));
        let claim = Claim { addr, ..claim };
        assert_eq!(read(&announce(US, addr).unwrap()), Some(claim));
    }

    #[cfg(feature = "ipv6")]
    #[test]
    fn an_ipv6_address_is_asked_for_as_the_rfc_wants() {
        // RFC 4861, 7.1.1: from nobody, to the group, and without an option: else not read.
        let addr = IpAddress::v6(0xfe80, 0, 0, 0, 0, 0, 0, 7);
        let claim = read(&probe(US, addr).unwrap()).unwrap();
        assert_eq!(claim.asks_for, Some(addr));
        assert!(claim.addr.is_multicast());
        assert_eq!(announce(US, addr), None);
    }
}
