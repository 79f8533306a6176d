//! Where a connection goes, in the words of smoltcp and of `core::net`.
//!
//! smoltcp turns a `SocketAddr` into an endpoint only when it has both versions of IP. Here it
//! always can be asked for; without IPv6 an address of that version cannot be reached.

use core::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use smoltcp::wire::{IpAddress, IpEndpoint};

/// What [`Node::connect`](crate::Node::connect) takes: an [`IpEndpoint`], an address and a
/// port, or one of `core::net`'s socket addresses.
///
/// ```
/// use cygnet::ToEndpoint;
/// use core::net::SocketAddr;
/// use smoltcp::wire::{IpAddress, IpEndpoint};
///
/// let theirs: SocketAddr = "192.168.69.1:80".parse().unwrap();
/// let ours = IpEndpoint::new(IpAddress::v4(192, 168, 69, 1), 80);
/// assert_eq!(theirs.to_endpoint(), Some(ours));
/// assert_eq!((ours.addr, 80).to_endpoint(), Some(ours));
/// ```
pub trait ToEndpoint {
    /// The endpoint; `None` where this host does not speak its version of IP.
    fn to_endpoint(self) -> Option<IpEndpoint>;
}

impl ToEndpoint for IpEndpoint {
    fn to_endpoint(self) -> Option<IpEndpoint> {
        Some(self)
    }
}

impl<A: Into<IpAddress>> ToEndpoint for (A, u16) {
    fn to_endpoint(self) -> Option<IpEndpoint> {
        Some(IpEndpoint::new(self.0.into(), self.1))
    }
}

impl ToEndpoint for SocketAddrV4 {
    fn to_endpoint(self) -> Option<IpEndpoint> {
        (*self.ip(), self.port()).to_endpoint()
    }
}

impl ToEndpoint for SocketAddrV6 {
    #[cfg(feature = "ipv6")]
    fn to_endpoint(self) -> Option<IpEndpoint> {
        (*self.ip(), self.port()).to_endpoint()
    }

    #[cfg(not(feature = "ipv6"))]
    fn to_endpoint(self) -> Option<IpEndpoint> {
        None
    }
}

impl ToEndpoint for SocketAddr {
    fn to_endpoint(self) -> Option<IpEndpoint> {
        match self {
            SocketAddr::V4(addr) => addr.to_endpoint(),
            SocketAddr::V6(addr) => addr.to_endpoint(),
        }
    }
}
