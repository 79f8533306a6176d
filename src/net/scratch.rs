//! Throw-away interfaces. An [`Interface`] is a few hundred bytes and costs
//! almost nothing to make, and what it knows ends with it. Two things want
//! that: a first sequence number of our choice (`isn.rs`), and a hardware
//! address that is one flow's own business.
//!
//! Every address is a neighbor of a scratch interface, so it needs no routes,
//! and it can be introduced to the one peer that it is to speak to.

use smoltcp::iface::{Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use crate::net::craft;
use crate::net::demux::Flow;
use crate::net::handoff::{Chosen, Described};
use crate::net::stack::Inner;

/// Enough for any segment without payload.
const ROOM: usize = 128;

/// Makes throw-away interfaces.
#[derive(Clone, Copy)]
pub(super) struct Scratch<'s> {
    pub(super) us: EthernetAddress,
    pub(super) capabilities: &'s DeviceCapabilities,
    pub(super) now: Instant,
}

impl Scratch<'_> {
    /// An interface with one address, whose generator begins at `seed`.
    pub(super) fn seeded(self, local: IpAddress, seed: u64) -> Interface {
        let mut config = smoltcp::iface::Config::new(HardwareAddress::Ethernet(self.us));
        config.random_seed = seed;
        let mut scratch = Interface::new(config, &mut Described(self.capabilities), self.now);
        scratch.update_ip_addrs(|addresses| {
            let _ = addresses.push(IpCidr::new(local, 0));
        });
        scratch
    }

    /// One that knows the hardware address of this flow's peer.
    #[cold]
    pub(super) fn introduced(self, flow: &Flow, peer: EthernetAddress, seed: u64) -> Interface {
        let mut scratch = self.seeded(flow.local.addr, seed);
        if let Some(frame) = craft::introduction(flow, peer, self.us) {
            let mut nobody = SocketSet::new(&mut [][..]);
            let mut device = Sink {
                frame: Some(&frame),
                capabilities: self.capabilities,
            };
            scratch.poll_ingress_single(self.now, &mut device, &mut nobody);
        }
        scratch
    }
}

impl Inner<'_> {
    /// For throw-away interfaces of this host.
    pub(super) fn scratch(&self) -> Scratch<'_> {
        Scratch {
            us: self.config.hardware_addr,
            capabilities: &self.capabilities,
            now: self.now,
        }
    }
}

/// A device from which at most one frame comes, and into which any number
/// vanish, none of them with a payload.
pub(super) struct Sink<'s> {
    pub(super) frame: Option<&'s [u8]>,
    pub(super) capabilities: &'s DeviceCapabilities,
}

/// Room for a frame that vanishes.
pub(super) struct Vanish;

impl TxToken for Vanish {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut room = [0; ROOM];
        f(&mut room[..len.min(ROOM)])
    }
}

impl Device for Sink<'_> {
    type RxToken<'a>
        = Chosen<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Vanish
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Chosen<'_>, Vanish)> {
        Some((Chosen(self.frame.take()?), Vanish))
    }

    fn transmit(&mut self, _: Instant) -> Option<Vanish> {
        Some(Vanish)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities.clone()
    }
}
