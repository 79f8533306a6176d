//! A driver written for embassy-net (`embassy-net-driver` 0.2) as a device of
//! cygnet: W5500, ENC28J60, STM32 Ethernet, CYW43, ESP and what else there is.
//!
//! The difference is the waker. smoltcp asks a device; an embassy driver also
//! wants to wake whoever asked in vain. A cygnet program sleeps in
//! [`Platform::wait`](cygnet::Platform::wait) and looks only at its ready set,
//! so the driver must wake a task: the one of [`Bell::task`], which runs the
//! driver's own loop too, where it has one.
//!
//! ```
//! use core::future::pending;
//! use cygnet::{Node, SpawnRefused};
//! use cygnet_compat::embassy_net_driver::{Bell, Driven};
//! # fn start<D: embassy_net_driver::Driver>(
//! #     node: Node<'static>, driver: D, bell: &'static Bell,
//! # ) -> Result<Driven<'static, D>, SpawnRefused> {
//! // `bell` is in a static. The second argument is the driver's runner, if
//! // it has one (`runner.run()`).
//! node.spawn_named("driver", bell.task(pending::<()>()))?;
//! let device = Driven::new(driver, bell);
//! # Ok(device)
//! # }
//! ```
//!
//! A driver that knows whether its link is up says so to the node where the platform hands
//! it on: [`Platform::is_link_up`](cygnet::Platform::is_link_up) is
//! [`Driven::is_link_up`]. A frame sent while it is down is lost, as on any wire.
//!
//! On a Cortex-M3 this takes 0.6 KiB.

use embassy_net_driver::{Checksum, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

pub use crate::bell::Bell;

/// A driver and its bell: a device.
#[derive(Debug)]
pub struct Driven<'b, D> {
    driver: D,
    bell: &'b Bell,
}

impl<'b, D: Driver> Driven<'b, D> {
    /// A device. Its [`Bell::task`] must be spawned, or the loop sleeps through
    /// frames.
    pub fn new(driver: D, bell: &'b Bell) -> Self {
        Driven { driver, bell }
    }

    /// The address for [`Config::new`](cygnet::Config::new); `None` when the
    /// driver is not for Ethernet, which cygnet needs.
    pub fn hardware_addr(&self) -> Option<[u8; 6]> {
        match self.driver.hardware_address() {
            HardwareAddress::Ethernet(address) => Some(address),
            _ => None,
        }
    }

    /// Whether the link is up.
    pub fn is_link_up(&mut self) -> bool {
        self.bell.ask(|cx| self.driver.link_state(cx)) == LinkState::Up
    }

    /// The driver.
    pub fn driver(&mut self) -> &mut D {
        &mut self.driver
    }
}

impl<D: Driver> phy::Device for Driven<'_, D> {
    type RxToken<'t>
        = Received<D::RxToken<'t>>
    where
        Self: 't;
    type TxToken<'t>
        = Room<D::TxToken<'t>>
    where
        Self: 't;

    fn receive(&mut self, _: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let Driven { driver, bell } = self;
        let (received, room) = bell.ask(|cx| driver.receive(cx))?;
        Some((Received(received), Room(room)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Self::TxToken<'_>> {
        let Driven { driver, bell } = self;
        bell.ask(|cx| driver.transmit(cx)).map(Room)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let theirs = self.driver.capabilities();
        let mut ours = DeviceCapabilities::default();
        if self.hardware_addr().is_none() {
            // A stack refuses it for its medium, or, where smoltcp has no word for
            // Ethernet, for its MTU, which is none.
            ours.medium = Medium::Ip;
            return ours;
        }
        ours.max_transmission_unit = theirs.max_transmission_unit;
        ours.max_burst_size = theirs.max_burst_size;
        ours.checksum.ipv4 = checksum(theirs.checksum.ipv4);
        ours.checksum.tcp = checksum(theirs.checksum.tcp);
        ours.checksum.udp = checksum(theirs.checksum.udp);
        ours.checksum.icmpv4 = checksum(theirs.checksum.icmpv4);
        ours
    }
}

fn checksum(theirs: Checksum) -> phy::Checksum {
    match theirs {
        Checksum::Both => phy::Checksum::Both,
        Checksum::Rx => phy::Checksum::Rx,
        Checksum::Tx => phy::Checksum::Tx,
        Checksum::None => phy::Checksum::None,
    }
}

/// A frame that the driver has received.
#[derive(Debug)]
pub struct Received<T>(T);

impl<T: RxToken> phy::RxToken for Received<T> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        self.0.consume(|frame| f(frame))
    }
}

/// Room in the driver for one frame.
#[derive(Debug)]
pub struct Room<T>(T);

impl<T: TxToken> phy::TxToken for Room<T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        self.0.consume(length, f)
    }
}
