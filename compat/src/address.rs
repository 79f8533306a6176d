//! `core::net`'s addresses and ours.
#![allow(dead_code, reason = "each adapter takes some")]

use core::net::{IpAddr, SocketAddr};

use smoltcp::wire::{IpAddress, IpEndpoint, IpListenEndpoint};

/// `None`: an address of IPv6, for which smoltcp was not built.
pub(crate) fn address(addr: IpAddr) -> Option<IpAddress> {
    match addr {
        IpAddr::V4(addr) => Some(IpAddress::Ipv4(addr)),
        #[cfg(feature = "ipv6")]
        IpAddr::V6(addr) => Some(IpAddress::Ipv6(addr)),
        #[cfg(not(feature = "ipv6"))]
        IpAddr::V6(_) => None,
    }
}

pub(crate) fn listen_endpoint(addr: SocketAddr) -> Option<IpListenEndpoint> {
    let ip = (!addr.ip().is_unspecified()).then(|| address(addr.ip()));
    let port = addr.port();
    match ip {
        Some(addr) => addr.map(|addr| IpListenEndpoint {
            addr: Some(addr),
            port,
        }),
        None => Some(port.into()),
    }
}

pub(crate) fn socket_addr(endpoint: IpEndpoint) -> SocketAddr {
    SocketAddr::new(ip_addr(endpoint.addr), endpoint.port)
}

pub(crate) fn ip_addr(addr: IpAddress) -> IpAddr {
    match addr {
        IpAddress::Ipv4(addr) => IpAddr::V4(addr),
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(addr) => IpAddr::V6(addr),
        // Somebody else of this build asks for IPv6, and nobody has such an address here.
        #[allow(unreachable_patterns)]
        _ => IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
    }
}

pub(crate) fn endpoint(addr: SocketAddr) -> Option<IpEndpoint> {
    address(addr.ip()).map(|ip| IpEndpoint::new(ip, addr.port()))
}
