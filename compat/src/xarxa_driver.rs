//! A driver written for xarxa (`xarxa-driver` 0.1, embassy's next network stack) as a device of
//! cygnet. That crate needs Rust 1.95.
//!
//! As with embassy-net's drivers, a task hears when a frame has come: the one of
//! [`Bell::task`].
//!
//! ```
//! use core::future::pending;
//! use cygnet::{Node, SpawnRefused};
//! use cygnet_compat::xarxa_driver::{Bell, Driven};
//! # fn start<D: xarxa_driver::Driver>(
//! #     node: Node<'static>, driver: D, bell: &'static Bell,
//! # ) -> Result<Driven<'static, D>, SpawnRefused> {
//! // `bell` is in a static. The second argument is the driver's runner, if it has one.
//! node.spawn_named("driver", bell.task(pending::<()>()))?;
//! let device = Driven::new(driver, bell);
//! # Ok(device)
//! # }
//! ```
//!
//! Frames lie in xarxa's pool: `packet-buf-count` says how many. Beside those that the driver
//! keeps for frames to come, and those that it sends, there must be one for an answer, without
//! which nothing is received.
//!
//! A chip that filters groups is told of none here: where the host has addresses of IPv6, or
//! hears groups, say so to the driver, by `set_multicast_filter`, before it begins.
//!
//! On a Cortex-M3 this takes 1.6 KiB, the pool's code included, and 1,520 bytes for each buffer.

use smoltcp::phy::{self, Checksum, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use xarxa_driver::config::PACKET_BUF_SIZE;
use xarxa_driver::{ChecksumOffload, Driver, HardwareAddress, LinkState, PacketBuf};

pub use crate::bell::Bell;

/// A driver and its bell: a device.
#[derive(Debug)]
pub struct Driven<'b, D> {
    driver: D,
    bell: &'b Bell,
}

impl<'b, D: Driver> Driven<'b, D> {
    /// A device. Its [`Bell::task`] must be spawned, or the loop sleeps through frames.
    pub fn new(driver: D, bell: &'b Bell) -> Self {
        Driven { driver, bell }
    }

    /// The address for [`Config::new`](cygnet::Config::new); `None` when the driver is not for
    /// Ethernet, which cygnet needs.
    pub fn hardware_addr(&self) -> Option<[u8; 6]> {
        match self.driver.hardware_address() {
            HardwareAddress::Ethernet(address) => Some(address),
            _ => None,
        }
    }

    /// Whether the link is up.
    pub fn is_link_up(&mut self) -> bool {
        self.listen();
        self.driver.link_state() == LinkState::Up
    }

    /// The driver.
    pub fn driver(&mut self) -> &mut D {
        &mut self.driver
    }

    /// Rings from now on, once. A driver that cannot says so; then the platform has to look
    /// again by itself.
    fn listen(&mut self) {
        let Driven { driver, bell } = self;
        let _ = bell.ask(|cx| driver.register_waker(cx.waker()));
    }

    /// What the driver says, and if that is nothing, what it says after it was told whom to
    /// wake: the frame may have come in between.
    fn ask<T>(&mut self, ask: impl Fn(&mut D) -> Option<T>) -> Option<T> {
        ask(&mut self.driver).or_else(|| {
            self.listen();
            ask(&mut self.driver)
        })
    }

    /// A buffer for a frame that the driver will take.
    fn room(&mut self) -> Option<PacketBuf> {
        self.ask(|driver| driver.can_transmit().then(PacketBuf::try_new)?)
    }
}

impl<D: Driver> phy::Device for Driven<'_, D> {
    type RxToken<'t>
        = Received
    where
        Self: 't;
    type TxToken<'t>
        = Room<'t, D>
    where
        Self: 't;

    fn receive(&mut self, _: Instant) -> Option<(Received, Room<'_, D>)> {
        let room = self.room()?;
        let frame = self.ask(Driver::receive)?;
        let driver = &mut self.driver;
        Some((Received(frame), Room { driver, room }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Room<'_, D>> {
        let room = self.room()?;
        let driver = &mut self.driver;
        Some(Room { driver, room })
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
        ours.max_transmission_unit = theirs.max_transmission_unit.min(PACKET_BUF_SIZE);
        ours.checksum.ipv4 = checksum(theirs.checksum.ipv4);
        ours.checksum.tcp = checksum(theirs.checksum.tcp);
        ours.checksum.udp = checksum(theirs.checksum.udp);
        ours.checksum.icmpv4 = checksum(theirs.checksum.icmpv4);
        ours
    }
}

/// What is left for a stack to do.
fn checksum(device: ChecksumOffload) -> Checksum {
    match (device.rx, device.tx) {
        (false, false) => Checksum::Both,
        (false, true) => Checksum::Rx,
        (true, false) => Checksum::Tx,
        (true, true) => Checksum::None,
    }
}

/// A frame that the driver has received.
#[derive(Debug)]
pub struct Received(PacketBuf);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

/// Room in the driver for one frame.
#[derive(Debug)]
pub struct Room<'t, D> {
    driver: &'t mut D,
    room: PacketBuf,
}

impl<D: Driver> phy::TxToken for Room<'_, D> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let Room { driver, mut room } = self;
        room.set_len(length);
        let result = f(&mut room);
        // It has said that it takes one.
        let taken = driver.transmit(room);
        debug_assert!(taken.is_ok());
        result
    }
}
