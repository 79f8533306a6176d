//! Addresses of the host, and which way a packet leaves. smoltcp is told none of
//! them: the demux lets in only what is for one of them, and a connection of ours
//! is given its own here.
//!
//! Not here: hardware addresses (`neighbors.rs`), and whether a frame is for us
//! (`demux.rs`).

use heapless::Vec;
#[cfg(feature = "ipv6")]
use smoltcp::wire::Ipv6Address;
use smoltcp::wire::{IpAddress, IpCidr};

use crate::frame::flow::Flow;
use crate::frame::link::same;

/// Most addresses of a host: with IPv6 it has one of IPv4, one for the link, and
/// one or two for the world.
const MOST: usize = 4;

/// Our addresses, each with its network, and a gateway for each version of IP.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    pub(crate) own: Vec<IpCidr, MOST>,
    gateway: Option<IpAddress>,
    #[cfg(feature = "ipv6")]
    gateway_v6: Option<IpAddress>,
    #[cfg(feature = "addressing")]
    pub(crate) change: Change,
}

/// What of the addresses may change while the host runs.
#[cfg(feature = "addressing")]
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// Addresses that are used only by so many connections that began before.
    pub(crate) retired: [Option<(IpCidr, u32)>; MOST],
    pub(crate) link_is_down: bool,
    pub(crate) dns: Vec<IpAddress, SERVERS>,
    pub(crate) ntp: Vec<IpAddress, SERVERS>,
}

/// How many servers of a kind are kept.
#[cfg(feature = "addressing")]
pub(crate) const SERVERS: usize = 3;

#[cfg(feature = "addressing")]
impl Change {
    #[cold]
    fn left(&mut self, addr: IpAddress) {
        for place in &mut self.retired {
            if let Some((cidr, connections)) = place
                && cidr.address() == addr
            {
                *connections = connections.saturating_sub(1);
                place.take_if(|(_, connections)| *connections == 0);
            }
        }
    }
}

/// What a host's network is: what [`Node::config`](crate::Node::config) gives.
#[cfg(feature = "addressing")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkConfig {
    /// Its addresses, each with its network.
    pub addresses: Vec<IpCidr, MOST>,
    /// Who takes along what is not for these networks, of each version of IP.
    pub gateways: Vec<IpAddress, 2>,
    /// Who answers for names.
    pub dns: Vec<IpAddress, SERVERS>,
    /// Who knows the time.
    pub ntp: Vec<IpAddress, SERVERS>,
    /// Whether the link is up.
    pub is_link_up: bool,
}

#[cfg(feature = "addressing")]
impl NetworkConfig {
    pub(crate) fn of(addresses: &Addresses) -> Self {
        NetworkConfig {
            addresses: addresses.own.clone(),
            gateways: addresses.gateways().collect(),
            dns: addresses.change.dns.clone(),
            ntp: addresses.change.ntp.clone(),
            is_link_up: !addresses.change.link_is_down,
        }
    }

    /// Whether the link is up and there is an address.
    pub fn is_up(&self) -> bool {
        self.is_link_up && !self.addresses.is_empty()
    }
}

impl Addresses {
    pub(crate) fn has(&self, addr: IpAddress) -> bool {
        self.networks().any(|cidr| same(&cidr.address(), &addr))
    }

    /// Every address that is used, also by connections that began before alone.
    fn networks(&self) -> impl Iterator<Item = &IpCidr> {
        let networks = self.own.iter();
        #[cfg(feature = "addressing")]
        let networks = networks.chain(self.change.retired.iter().flatten().map(|(cidr, _)| cidr));
        networks
    }

    pub(crate) fn is_broadcast(&self, addr: IpAddress) -> bool {
        self.own.iter().any(|cidr| match (cidr, addr) {
            (IpCidr::Ipv4(cidr), IpAddress::Ipv4(addr)) => cidr.broadcast() == Some(addr),
            #[cfg(feature = "ipv6")]
            _ => false,
        })
    }

    pub(crate) fn set_gateway(&mut self, gateway: IpAddress) {
        match gateway {
            IpAddress::Ipv4(_) => self.gateway = Some(gateway),
            #[cfg(feature = "ipv6")]
            IpAddress::Ipv6(_) => self.gateway_v6 = Some(gateway),
        }
    }

    /// The gateway for the addresses of its own version.
    #[cfg(feature = "addressing")]
    pub(crate) fn gateways(&self) -> impl Iterator<Item = IpAddress> {
        let gateways = self.gateway.into_iter();
        #[cfg(feature = "ipv6")]
        let gateways = gateways.chain(self.gateway_v6);
        gateways
    }

    /// Has no such gateway any more.
    #[cfg(feature = "addressing")]
    pub(crate) fn remove_gateway(&mut self, gateway: IpAddress) {
        self.gateway.take_if(|it| *it == gateway);
        #[cfg(feature = "ipv6")]
        self.gateway_v6.take_if(|it| *it == gateway);
    }

    /// Does not use an address for anything new; `connections` go on with it. `None`: it
    /// is not in use.
    #[cfg(feature = "addressing")]
    pub(crate) fn retire(&mut self, addr: IpAddress, connections: u32) -> Option<()> {
        let cidr = self.take(addr)?;
        if connections > 0 {
            // When as many are retired as may be in use, the first makes room.
            let places = &mut self.change.retired;
            let place = places.iter().position(Option::is_none).unwrap_or(0);
            places[place] = Some((cidr, connections));
        }
        Some(())
    }

    /// An address that is in use, which is not any more.
    #[cfg(feature = "addressing")]
    pub(crate) fn take(&mut self, addr: IpAddress) -> Option<IpCidr> {
        let index = self.own.iter().position(|cidr| cidr.address() == addr)?;
        // The others stay in their order.
        for at in index + 1..self.own.len() {
            self.own.swap(at - 1, at);
        }
        self.own.pop()
    }

    /// A connection is over: a retired address is forgotten with its last.
    #[inline]
    pub(crate) fn left(&mut self, flow: Option<&Flow>) {
        #[cfg(feature = "addressing")]
        if let Some(flow) = flow {
            self.change.left(flow.local_addr());
        }
        #[cfg(not(feature = "addressing"))]
        let _ = flow;
    }

    /// Who is asked to take a packet to `remote`: itself if it is on a network of
    /// ours, otherwise the gateway.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn next_hop(&self, remote: IpAddress) -> Option<IpAddress> {
        let near = self.networks().any(|cidr| cidr.contains_addr(&remote));
        if near {
            return Some(remote);
        }
        match remote {
            IpAddress::Ipv4(_) => self.gateway,
            #[cfg(feature = "ipv6")]
            IpAddress::Ipv6(_) => self.gateway_v6,
        }
    }

    /// The IPv6 address that is for the link alone, or nobody's.
    #[cfg(feature = "ipv6")]
    pub(crate) fn for_link(&self) -> Ipv6Address {
        let is_for_link = |cidr: &IpCidr| match cidr.address() {
            IpAddress::Ipv6(addr) => Some(addr).filter(Ipv6Address::is_unicast_link_local),
            IpAddress::Ipv4(_) => None,
        };
        let found = self.own.iter().find_map(is_for_link);
        found.unwrap_or(Ipv6Address::UNSPECIFIED)
    }

    /// The address to speak to `remote` from: of those that reach as far, the
    /// first of those that begin most like it (RFC 6724, 5, rules 2 and 8).
    pub(crate) fn source(&self, remote: IpAddress) -> Option<IpAddress> {
        let likeness = |addr: &IpAddress| likeness(*addr, remote);
        let addrs = self.own.iter().map(|cidr| cidr.address()).rev();
        // Of those that are equal, `max_by_key` takes the last.
        let reach = addrs.filter(|addr| likeness(addr).is_some());
        reach.max_by_key(likeness)
    }
}

/// How many bits in a row two addresses share; `None` if they cannot speak to
/// each other.
fn likeness(ours: IpAddress, theirs: IpAddress) -> Option<u32> {
    match (ours, theirs) {
        (IpAddress::Ipv4(ours), IpAddress::Ipv4(theirs)) => {
            Some((ours.to_bits() ^ theirs.to_bits()).leading_zeros())
        }
        #[cfg(feature = "ipv6")]
        (IpAddress::Ipv6(ours), IpAddress::Ipv6(theirs)) => {
            let [ours_is, theirs_is] = [ours, theirs].map(is_for_link);
            let bits = (ours.to_bits() ^ theirs.to_bits()).leading_zeros();
            match ours_is == theirs_is {
                true => Some(1 + bits),
                // A group is heard all the same.
                false => theirs.is_multicast().then_some(0),
            }
        }
        #[cfg(feature = "ipv6")]
        _ => None,
    }
}

/// An address, or a group (RFC 4291, 2.7), that is for the link alone.
#[cfg(feature = "ipv6")]
fn is_for_link(addr: Ipv6Address) -> bool {
    addr.is_unicast_link_local() || addr.is_multicast() && addr.octets()[1] & 0xf <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(addresses: &[&str]) -> Addresses {
        let mut host = Addresses::default();
        for address in addresses {
            assert!(host.own.push(address.parse().unwrap()).is_ok());
        }
        host
    }

    fn addr(text: &str) -> IpAddress {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_near_is_asked_itself_and_the_rest_through_the_gateway() {
        let mut host = host(&["10.0.0.1/24", "192.168.7.1/30"]);
        assert_eq!(host.next_hop(addr("10.0.0.200")), Some(addr("10.0.0.200")));
        assert_eq!(
            host.next_hop(addr("192.168.7.2")),
            Some(addr("192.168.7.2"))
        );
        assert_eq!(host.next_hop(addr("10.0.1.1")), None);
        host.set_gateway(addr("10.0.0.253"));
        host.set_gateway(addr("10.0.0.254"));
        assert_eq!(host.next_hop(addr("10.0.1.1")), Some(addr("10.0.0.254")));
        assert_eq!(host.next_hop(addr("10.0.0.200")), Some(addr("10.0.0.200")));
    }

    #[test]
    fn a_source_is_the_one_most_like_the_destination() {
        let host = host(&["10.0.0.1/24", "192.168.7.1/30", "192.168.9.1/24"]);
        assert_eq!(host.source(addr("192.168.7.2")), Some(addr("192.168.7.1")));
        assert_eq!(host.source(addr("192.168.9.7")), Some(addr("192.168.9.1")));
        assert_eq!(host.source(addr("8.8.8.8")), Some(addr("10.0.0.1")));
        // Both begin like it for 16 bits: the first.
        assert_eq!(
            host.source(addr("192.168.200.1")),
            Some(addr("192.168.7.1"))
        );
        assert_eq!(Addresses::default().source(addr("8.8.8.8")), None);
    }

    #[cfg(feature = "ipv6")]
    #[test]
    fn a_source_reaches_as_far_as_the_destination() {
        let mut host = host(&["fe80::1/64", "10.0.0.1/24", "2001:db8::1/64", "fd00::1/64"]);
        assert_eq!(host.source(addr("fe80::9")), Some(addr("fe80::1")));
        assert_eq!(host.source(addr("2001:db8::9")), Some(addr("2001:db8::1")));
        assert_eq!(host.source(addr("fd00::9")), Some(addr("fd00::1")));
        // More like the one that is for the link alone.
        assert_eq!(host.source(addr("fec0::9")), Some(addr("fd00::1")));
        assert_eq!(host.source(addr("10.0.0.9")), Some(addr("10.0.0.1")));
        // A group of the link, and one that is larger, which is like both.
        assert_eq!(host.source(addr("ff02::fb")), Some(addr("fe80::1")));
        assert_eq!(host.source(addr("ff05::fb")), Some(addr("fd00::1")));
        host.set_gateway(addr("10.0.0.254"));
        assert_eq!(host.next_hop(addr("2001:db8:1::9")), None);
        host.set_gateway(addr("fe80::fe"));
        assert_eq!(host.next_hop(addr("2001:db8:1::9")), Some(addr("fe80::fe")));
        assert_eq!(host.next_hop(addr("8.8.8.8")), Some(addr("10.0.0.254")));
    }

    /// Nobody would answer one that speaks from nowhere.
    #[cfg(feature = "ipv6")]
    #[test]
    fn a_group_is_spoken_to_from_what_there_is() {
        for own in ["fe80::1/64", "2001:db8::1/64"] {
            let host = host(&[own]);
            let own = own.split('/').next().map(addr);
            for group in ["ff01::1", "ff02::fb", "ff05::fb", "ff0e::fb"] {
                assert_eq!(host.source(addr(group)), own, "{group}");
            }
        }
        let host = host(&["fe80::1/64"]);
        assert_eq!(host.source(addr("2001:db8::9")), None);
    }
}
