//! A TAP interface as the platform of a host: what a board's Ethernet driver, its timer and
//! its "wait for interrupt" are there. Plain and short; `sim/src/tap.rs` is the fast one.

use std::os::fd::AsFd;
use std::time::Instant as Clock;

use cygnet::Platform;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use smoltcp::phy::{self, Device, DeviceCapabilities};
use smoltcp::time::Instant;
use smoltcp::wire::Ipv4Cidr;
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

/// The longest frame: 1,500 bytes of IP and the Ethernet header.
const MTU: usize = 1514;

/// The interface, and the time since it was made.
pub struct Host {
    device: Tap,
    start: Clock,
}

/// The interface alone.
pub struct Tap {
    tap: SyncDevice,
    rx: [u8; MTU],
    tx: [u8; MTU],
}

impl Host {
    /// Makes an interface in which this machine has an address. It vanishes with the process.
    ///
    /// # Errors
    /// The kernel refuses: it needs root.
    pub fn create(name: &str, address: Ipv4Cidr) -> std::io::Result<Host> {
        let make = DeviceBuilder::new().name(name).layer(Layer::L2);
        let make = make.ipv4(address.address(), address.prefix_len(), None);
        let tap = make.build_sync()?;
        tap.set_nonblocking(true)?;
        tap.enabled(true)?;
        Ok(Host {
            device: Tap {
                tap,
                rx: [0; MTU],
                tx: [0; MTU],
            },
            start: Clock::now(),
        })
    }
}

impl Platform for Host {
    type Device = Tap;

    fn device(&mut self) -> &mut Tap {
        &mut self.device
    }

    fn now(&mut self) -> Instant {
        Instant::from_micros(self.start.elapsed().as_micros() as i64)
    }

    fn wait(&mut self, deadline: Option<Instant>) {
        let now = self.now();
        let left = deadline.map(|at| (at.max(now) - now).total_micros() + 1);
        let left = left.map(|micros| Timespec {
            tv_sec: (micros / 1_000_000) as i64,
            tv_nsec: (micros % 1_000_000 * 1_000) as i64,
        });
        let mut frame = [PollFd::from_borrowed_fd(
            self.device.tap.as_fd(),
            PollFlags::IN,
        )];
        // Interrupted: it costs a turn.
        let _ = poll(&mut frame, left.as_ref());
    }
}

impl Device for Tap {
    type RxToken<'a> = Rx<'a>;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Rx<'_>, Tx<'_>)> {
        let length = self.tap.recv(&mut self.rx).ok()?;
        let Tap { tap, rx, tx } = self;
        Some((Rx(&rx[..length]), Tx { tap, frame: tx }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        let Tap { tap, tx, .. } = self;
        Some(Tx { tap, frame: tx })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = phy::Medium::Ethernet;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

/// A frame that came.
pub struct Rx<'a>(&'a [u8]);

/// Room for one that leaves.
pub struct Tx<'a> {
    tap: &'a SyncDevice,
    frame: &'a mut [u8; MTU],
}

impl phy::RxToken for Rx<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl phy::TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let frame = &mut self.frame[..length];
        let out = f(frame);
        // A full queue loses it, as a wire does.
        let _ = self.tap.send(frame);
        out
    }
}
