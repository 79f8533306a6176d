//! What client and server agree on: where the server is, how an address becomes a
//! network and a card, and how long a request is.

use smoltcp::wire::{EthernetAddress, Ipv4Address, Ipv4Cidr};

pub const SERVER: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
pub const PORT: u16 = 7;
/// Bytes of a request, and of its answer.
pub const REQUEST: usize = 64;

pub fn cidr(address: Ipv4Address) -> Ipv4Cidr {
    Ipv4Cidr::new(address, 16)
}

pub fn hardware(address: Ipv4Address) -> EthernetAddress {
    let [a, b, c, d] = address.octets();
    EthernetAddress([2, 0, a, b, c, d])
}
