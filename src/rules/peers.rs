//! Who may speak to whom by datagrams: what a socket may hear, where one goes, and which
//! addresses can be a sender's.
//!
//! Not here: which socket has a port (`binds.rs`).

use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::frame::demux::is_loopback;
use crate::frame::link::{Hardware, NOBODY, group_v4};
use crate::rules::addresses::Addresses;

/// What a socket may hear. See [`UdpSocket::hear`](crate::UdpSocket::hear).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hears {
    /// What is sent to an address of this host, and nothing else: as at first.
    Ours,
    /// Also what is sent to this group; a socket hears two at most. With the feature `groups`
    /// switches and routers are told, without which some deliver no groups; of all sockets of
    /// a host these are eight at most.
    Group(IpAddress),
    /// Also what is sent to everybody, to any group, or to an address that this host does not
    /// have yet, by whomever, also by one without an address: for DHCP and the like.
    Anything,
}

/// Who sent a datagram, and how it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// Its address and port; port 0 if it wants no answer (RFC 768).
    pub endpoint: IpEndpoint,
    /// Where it sent the datagram: an address of ours, or a group.
    pub local: IpAddress,
    /// The hardware address that the frame came from: its own, or a router's.
    pub hardware: [u8; 6],
    /// The datagram was longer than the buffer, and its end is gone.
    pub is_cut: bool,
}

/// Where a datagram goes: an [`IpEndpoint`], or an address and a port; or a [`Peer`], and then
/// it leaves from the address that the peer had sent to, by the way on which that came, and
/// nobody need be asked where the peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub(crate) endpoint: IpEndpoint,
    /// From this address, if it is ours.
    pub(crate) local: Option<IpAddress>,
    /// To this hardware address, or nobody's: to be asked for.
    pub(crate) hardware: Hardware,
}

impl Target {
    /// The same from this address of ours, or from none: `0.0.0.0`, which only everybody on the
    /// link can be sent to from, as a host must that has no address yet.
    pub fn from_local(self, local: IpAddress) -> Self {
        Target {
            local: Some(local),
            ..self
        }
    }
}

impl<T: Into<IpAddress>> From<(T, u16)> for Target {
    fn from(end: (T, u16)) -> Self {
        IpEndpoint::from(end).into()
    }
}

impl From<IpEndpoint> for Target {
    fn from(endpoint: IpEndpoint) -> Self {
        Target {
            endpoint,
            local: None,
            hardware: NOBODY,
        }
    }
}

impl From<Peer> for Target {
    fn from(peer: Peer) -> Self {
        Target {
            endpoint: peer.endpoint,
            local: Some(peer.local),
            hardware: peer.hardware,
        }
    }
}

/// Where a datagram leaves from, and the hardware address it goes to, nobody's if that is to
/// be asked for. `None`: it cannot be sent.
pub(crate) fn way(
    addresses: &Addresses,
    to: &Target,
    bound: Option<IpAddress>,
) -> Option<(IpAddress, Hardware)> {
    let remote = to.endpoint.addr;
    let several = several(addresses, remote);
    // An address that was a group's, or is ours no more, says nothing of the way back.
    let asked = bound.or(to.local.filter(|local| addresses.has(*local)));
    let nobody = match remote {
        IpAddress::Ipv4(_) => IpAddress::v4(0, 0, 0, 0),
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(_) => IpAddress::v6(0, 0, 0, 0, 0, 0, 0, 0),
    };
    let may_be_nobody = several.is_some() && to.local.is_none_or(|local| local == nobody);
    let source = match asked {
        Some(local) => local,
        None if may_be_nobody && to.local.is_some() => nobody,
        None => addresses
            .source(remote)
            .or(may_be_nobody.then_some(nobody))?,
    };
    if source.version() != remote.version() || to.endpoint.port == 0 {
        return None;
    }
    if let Some(hardware) = several {
        return Some((source, hardware));
    }
    let reached = to.hardware != NOBODY || addresses.next_hop(remote).is_some();
    let usable = remote.is_unicast() && !is_loopback(remote) && !addresses.has(remote);
    (reached && usable).then_some((source, to.hardware))
}

/// The hardware address of several: of a group, or of everybody.
fn several(addresses: &Addresses, remote: IpAddress) -> Option<Hardware> {
    match remote {
        IpAddress::Ipv4(remote) if remote.is_multicast() => Some(group_v4(remote)),
        IpAddress::Ipv4(v4) => {
            (v4.is_broadcast() || addresses.is_broadcast(remote)).then_some([0xff; 6])
        }
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(remote) => remote
            .is_multicast()
            .then(|| crate::frame::link::group(remote)),
    }
}

/// Whether what was sent to several, or to an address that is not ours, can be this sender's
/// (RFC 1122, 3.2.1.3). A host without an address is one: who asked hears it. Our own word that
/// comes back is none.
pub(crate) fn is_sender(addresses: &Addresses, remote: IpAddress) -> bool {
    let is_one = remote.is_unicast() || remote.is_unspecified();
    is_one && !is_loopback(remote) && !addresses.is_broadcast(remote) && !addresses.has(remote)
}

#[cfg(test)]
mod tests {
    use super::*;
    use smoltcp::wire::IpCidr;

    fn addr(text: &str) -> IpAddress {
        text.parse().unwrap()
    }

    fn host() -> Addresses {
        let mut host = Addresses::default();
        let own: [&str; if cfg!(feature = "ipv6") { 3 } else { 2 }] = [
            "10.0.0.1/24",
            "192.168.7.1/24",
            #[cfg(feature = "ipv6")]
            "fd00::1/64",
        ];
        for own in own {
            host.own.push(own.parse::<IpCidr>().unwrap()).unwrap();
        }
        host
    }

    const AT: Hardware = [2, 0, 0, 0, 0, 9];

    fn to(remote: &str) -> Target {
        (addr(remote), 9).into()
    }

    #[test]
    fn one_that_asked_is_answered_from_where_it_asked() {
        let peer = Peer {
            endpoint: (addr("10.0.0.9"), 9).into(),
            local: addr("192.168.7.1"),
            hardware: AT,
            is_cut: false,
        };
        let host = host();
        let found = way(&host, &peer.into(), None);
        assert_eq!(found, Some((addr("192.168.7.1"), AT)));
        let from = way(&host, &peer.into(), Some(addr("10.0.0.1")));
        assert_eq!(from, Some((addr("10.0.0.1"), AT)), "as it is bound");
        // What went to everybody, or to an address that is gone: as to anybody.
        for local in ["10.0.0.255", "255.255.255.255", "224.0.0.251", "10.0.0.7"] {
            let peer = Peer {
                local: addr(local),
                ..peer
            };
            let found = way(&host, &peer.into(), None);
            assert_eq!(found, Some((addr("10.0.0.1"), AT)), "{local}");
        }
    }

    #[test]
    fn some_addresses_cannot_be_sent_to() {
        let host = host();
        let usable = [("10.0.0.9", true), ("192.168.7.9", true)];
        let not = ["10.0.1.9", "127.0.0.1", "0.0.0.0", "10.0.0.1"].map(|it| (it, false));
        for (remote, is_right) in usable.into_iter().chain(not) {
            assert_eq!(
                way(&host, &to(remote), None).is_some(),
                is_right,
                "{remote}"
            );
        }
        let port_zero = (addr("10.0.0.9"), 0);
        assert_eq!(way(&host, &port_zero.into(), None), None);
        #[cfg(feature = "ipv6")]
        assert_eq!(way(&host, &to("fd00::9"), Some(addr("10.0.0.1"))), None);
        #[cfg(feature = "ipv6")]
        assert_eq!(way(&host, &to("fd01::9"), None), None, "no gateway");
    }

    #[test]
    fn several_are_sent_to_at_once() {
        let host = host();
        let found = |remote| way(&host, &to(remote), None);
        let ours = addr("10.0.0.1");
        assert_eq!(found("10.0.0.255"), Some((ours, [0xff; 6])));
        assert_eq!(found("255.255.255.255").map(|it| it.1), Some([0xff; 6]));
        let hardware = found("224.129.2.3").map(|it| it.1);
        assert_eq!(hardware, Some([1, 0, 0x5e, 1, 2, 3]), "23 bits");
        #[cfg(feature = "ipv6")]
        assert_eq!(
            found("ff05::102").map(|it| it.1),
            Some([0x33, 0x33, 0, 0, 1, 2])
        );
    }

    #[test]
    fn a_host_without_an_address_speaks_to_everybody_alone() {
        let nobody = addr("0.0.0.0");
        let none = Addresses::default();
        let everybody = to("255.255.255.255");
        assert_eq!(way(&none, &everybody, None), Some((nobody, [0xff; 6])));
        assert_eq!(way(&none, &to("10.0.0.9"), None), None);
        // Also one that has an address, if it says so.
        let as_nobody = everybody.from_local(nobody);
        assert_eq!(way(&host(), &as_nobody, None), Some((nobody, [0xff; 6])));
        let to_one = to("10.0.0.9").from_local(nobody);
        assert_eq!(
            way(&host(), &to_one, None).map(|it| it.0),
            Some(addr("10.0.0.1"))
        );
    }

    #[test]
    fn our_own_word_that_comes_back_is_nobodys() {
        for (remote, is_one) in [
            ("10.0.0.9", true),
            ("0.0.0.0", true),
            ("10.0.0.1", false),
            ("10.0.0.255", false),
            ("255.255.255.255", false),
            ("224.0.0.1", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(is_sender(&host(), addr(remote)), is_one, "{remote}");
        }
    }
}
