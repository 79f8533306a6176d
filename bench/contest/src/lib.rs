//! What the contenders have in common: the client, an in-memory Ethernet link,
//! and virtual time. A contender is a [`host::Host`] and may be in a program of
//! its own, see [`remote`].

pub mod client;
pub mod host;
pub mod link;
pub mod plan;
pub mod remote;
pub mod sockets;
pub mod world;

use smoltcp::wire::{IpAddress, IpCidr};

/// Bytes of a request.
pub const REQUEST: usize = 64;

/// Bytes a program moves at a time in bulk.
pub const CHUNK: usize = 1024;

pub fn address(number: u8) -> IpCidr {
    IpCidr::new(IpAddress::v4(10, 0, 0, number), 24)
}
