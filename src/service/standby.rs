//! What is used until a DHCP server answers: an address that was set, or one that is good on
//! the link alone (RFC 3927). It is asked for as every address is, and gives way to a lease.

use core::pin::Pin;
use core::task::{Context, Poll};

use smoltcp::time::Duration;
use smoltcp::wire::{IpCidr, Ipv4Address, Ipv4Cidr};

use crate::node::Node;
use crate::service::dhcp_config::{DhcpConfig, Fallback};
use crate::socket::Watch;
use crate::task::Sleep;

/// What is used until a server answers.
pub(super) enum Standby<'a> {
    Off,
    Waits(Sleep<'a>),
    Asks(Watch<'a>, Ipv4Cidr),
    Used(Ipv4Cidr, Option<Ipv4Address>),
}

impl<'a> Standby<'a> {
    /// No server has answered yet.
    pub(super) fn begin(&mut self, node: Node<'a>, config: &DhcpConfig<'a>) {
        if matches!(self, Standby::Off) && config.fallback != Fallback::None {
            *self = Standby::Waits(node.sleep(config.fallback_after));
        }
    }

    /// Gets on.
    pub(super) fn poll(&mut self, node: Node<'a>, config: &DhcpConfig<'a>, cx: &mut Context<'_>) {
        loop {
            match self {
                Standby::Waits(sleep) => {
                    if Pin::new(sleep).poll(cx).is_pending() {
                        return;
                    }
                    let cidr = match config.fallback {
                        Fallback::None => return,
                        Fallback::Static(cidr, _) => cidr,
                        Fallback::LinkLocal => link_local(drawn(node)),
                    };
                    *self = Standby::Asks(Watch::claim(node.stack, IpCidr::Ipv4(cidr)), cidr);
                }
                Standby::Asks(claim, cidr) => match claim.poll(cx) {
                    Poll::Pending => return,
                    Poll::Ready(Ok(())) => {
                        let gateway = match config.fallback {
                            Fallback::Static(_, gateway) => gateway,
                            _ => None,
                        };
                        if let Some(gateway) = gateway {
                            let _ = node.stack.set_gateway(gateway.into());
                        }
                        *self = Standby::Used(*cidr, gateway);
                        return;
                    }
                    // Somebody has it: another one, or the same again, in a while.
                    Poll::Ready(Err(_)) => *self = Standby::Waits(node.sleep(PAUSE)),
                },
                _ => return,
            }
        }
    }

    /// A server has answered: what is open goes on to its end, unless the address is the same.
    pub(super) fn retire(&mut self, node: Node<'a>, leased: IpCidr) {
        if let Standby::Used(cidr, gateway) = core::mem::replace(self, Standby::Off) {
            if IpCidr::Ipv4(cidr) != leased {
                node.retire_address(cidr.address().into());
            }
            if let Some(gateway) = gateway {
                node.remove_gateway(gateway.into());
            }
        }
    }

    /// It makes room. False: there is nothing to remove.
    pub(super) fn remove(&mut self, node: Node<'a>) -> bool {
        match core::mem::replace(self, Standby::Off) {
            Standby::Used(cidr, _) => node.remove_address(cidr.address().into()),
            _ => false,
        }
    }
}

/// How long it waits when somebody else has the address.
const PAUSE: Duration = Duration::from_secs(10);

fn drawn(node: Node<'_>) -> u32 {
    let draw = node.stack.with_quiet(|core| core.host.secrets.draw());
    draw as u32
}

/// An address of RFC 3927, 2.1: any but the first and the last 256.
fn link_local(drawn: u32) -> Ipv4Cidr {
    let first = Ipv4Address::new(169, 254, 1, 0).to_bits();
    let addr = Ipv4Address::from_bits(first + drawn % (254 * 256));
    Ipv4Cidr::new(addr, 16)
}
