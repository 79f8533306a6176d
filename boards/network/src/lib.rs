//! Which address a board has: the one that the network's DHCP server gives it, and until
//! there is one, 10.0.2.15. It says so on the console whenever that changes.
#![no_std]

use cygnet::service::{self, DhcpConfig, DhcpError};
use cygnet::{Node, UdpStorage};
use smoltcp::time::Duration;
use smoltcp::wire::{Ipv4Address, Ipv4Cidr};

/// What a DHCP client needs of datagrams: a port, room for an answer and the next one.
pub type Datagrams = UdpStorage<1, 2, 548, 2>;

/// Used when no server has answered for three seconds. It is also what QEMU's user network
/// gives, unless it is told otherwise.
const FALLBACK: Ipv4Cidr = Ipv4Cidr::new(Ipv4Address::new(10, 0, 2, 15), 24);
const GATEWAY: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);

/// Asks a DHCP server for an address, for ever, as the host of this name.
pub fn dhcp<'a>(
    node: Node<'a>,
    name: &'a str,
) -> impl Future<Output = Result<(), DhcpError>> + use<'a> {
    let config = DhcpConfig::new().host_name(name);
    service::dhcp(node, config.fallback(FALLBACK, Some(GATEWAY)))
}

/// Says which address the board has, whenever that changes.
pub async fn say(node: Node<'_>) {
    loop {
        node.wait_config_up().await;
        let addresses = node.config().addresses;
        for address in &addresses {
            console::println!("the address is {address}");
        }
        while node.config().addresses == addresses {
            node.sleep(Duration::from_secs(1)).await;
        }
    }
}
