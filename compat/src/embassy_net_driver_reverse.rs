//! The other way round: a device of smoltcp's, or an end of the laboratory's wire, as a driver
//! for embassy-net (`embassy-net-driver` 0.2). So a firmware of embassy-net's has hosts of cygnet
//! to talk to in a test, and runs on a device that was written for cygnet.
//!
//! ```
//! use cygnet_compat::embassy_net_driver_reverse::{Interrupt, Reversed};
//! use smoltcp::phy::Device;
//! use smoltcp::time::Instant;
//! # fn now() -> Instant { Instant::ZERO }
//!
//! static INTERRUPT: Interrupt = Interrupt::new();
//!
//! fn driver<D: Device>(device: D) -> impl embassy_net_driver::Driver {
//!     let hardware_addr = [2, 0, 0, 0, 0, 1];
//!     // For `embassy_net::new`.
//!     Reversed::<D, 1514>::new(device, hardware_addr, now, &INTERRUPT)
//! }
//!
//! /// The device's interrupt.
//! fn interrupt() {
//!     INTERRUPT.fire();
//! }
//! # let _ = interrupt;
//! # fn start<D: Device>(device: D) { driver(device); }
//! ```

use core::cell::RefCell;
use core::task::{Context, Waker};

use critical_section::Mutex;
use embassy_net_driver::{
    Capabilities, Checksum, Driver, HardwareAddress, LinkState, RxToken, TxToken,
};
use smoltcp::phy::{self, Device};
use smoltcp::time::Instant;

/// What a device's interrupt says: embassy-net asks a driver once, and then wants to be woken.
#[derive(Debug)]
pub struct Interrupt(Mutex<RefCell<State>>);

#[derive(Debug)]
struct State {
    waker: Option<Waker>,
    link_is_down: bool,
}

impl Interrupt {
    /// A interrupt that nobody hears yet, at a link that is up.
    pub const fn new() -> Self {
        Interrupt(Mutex::new(RefCell::new(State {
            waker: None,
            link_is_down: false,
        })))
    }

    /// A frame may have come, or there is room to send again.
    pub fn fire(&self) {
        self.tell(|_| ());
    }

    /// Says whether the link is up.
    pub fn set_link(&self, is_up: bool) {
        self.tell(|state| state.link_is_down = !is_up);
    }

    fn tell(&self, f: impl FnOnce(&mut State)) {
        let waker = critical_section::with(|cs| {
            let mut state = self.0.borrow_ref_mut(cs);
            f(&mut state);
            state.waker.take()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// From now on this one hears, and whoever did before is woken to see it. True: the link is
    /// up.
    fn hear(&self, waker: &Waker) -> bool {
        let (before, is_up) = critical_section::with(|cs| {
            let mut state = self.0.borrow_ref_mut(cs);
            let is_known = state.waker.as_ref().is_some_and(|it| it.will_wake(waker));
            let before = (!is_known).then(|| state.waker.replace(waker.clone()));
            (before.flatten(), !state.link_is_down)
        });
        if let Some(before) = before {
            before.wake();
        }
        is_up
    }
}

impl Default for Interrupt {
    fn default() -> Self {
        Interrupt::new()
    }
}

/// A device as a driver, with room for one frame of at most so many bytes, because embassy-net
/// may write into what it has received.
#[derive(Debug)]
pub struct Reversed<'b, D, const MTU: usize> {
    device: D,
    hardware_addr: [u8; 6],
    clock: fn() -> Instant,
    interrupt: &'b Interrupt,
    frame: [u8; MTU],
}

impl<'b, D: Device, const MTU: usize> Reversed<'b, D, MTU> {
    /// A driver for Ethernet. Devices are asked with a time, which most of them do not look at:
    /// `clock` says it.
    pub fn new(
        device: D,
        hardware_addr: [u8; 6],
        clock: fn() -> Instant,
        interrupt: &'b Interrupt,
    ) -> Self {
        Reversed {
            device,
            hardware_addr,
            clock,
            interrupt,
            frame: [0; MTU],
        }
    }

    /// The device.
    pub fn device(&mut self) -> &mut D {
        &mut self.device
    }
}

impl<D: Device, const MTU: usize> Driver for Reversed<'_, D, MTU> {
    type RxToken<'t>
        = Received<'t, D::RxToken<'t>>
    where
        Self: 't;
    type TxToken<'t>
        = Room<D::TxToken<'t>>
    where
        Self: 't;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        // First: the frame may come while the device is asked.
        self.interrupt.hear(cx.waker());
        let (token, room) = self.device.receive((self.clock)())?;
        let frame = &mut self.frame;
        Some((Received { token, frame }, Room(room)))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Self::TxToken<'_>> {
        self.interrupt.hear(cx.waker());
        self.device.transmit((self.clock)()).map(Room)
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        match self.interrupt.hear(cx.waker()) {
            true => LinkState::Up,
            false => LinkState::Down,
        }
    }

    fn capabilities(&self) -> Capabilities {
        let ours = self.device.capabilities();
        let mut theirs = Capabilities::default();
        theirs.max_transmission_unit = ours.max_transmission_unit.min(MTU);
        theirs.max_burst_size = ours.max_burst_size;
        theirs.checksum.ipv4 = checksum(ours.checksum.ipv4);
        theirs.checksum.tcp = checksum(ours.checksum.tcp);
        theirs.checksum.udp = checksum(ours.checksum.udp);
        theirs.checksum.icmpv4 = checksum(ours.checksum.icmpv4);
        theirs
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.hardware_addr)
    }
}

fn checksum(ours: phy::Checksum) -> Checksum {
    match ours {
        phy::Checksum::Both => Checksum::Both,
        phy::Checksum::Rx => Checksum::Rx,
        phy::Checksum::Tx => Checksum::Tx,
        phy::Checksum::None => Checksum::None,
    }
}

/// A frame that the device has received.
#[derive(Debug)]
pub struct Received<'t, T> {
    token: T,
    frame: &'t mut [u8],
}

impl<T: phy::RxToken> RxToken for Received<'_, T> {
    /// A frame that is longer than the driver has room for is cut, and a stack drops it.
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        let Received { token, frame } = self;
        token.consume(|bytes| {
            let count = bytes.len().min(frame.len());
            let frame = &mut frame[..count];
            frame.copy_from_slice(&bytes[..count]);
            f(frame)
        })
    }
}

/// Room in the device for one frame.
#[derive(Debug)]
pub struct Room<T>(T);

impl<T: phy::TxToken> TxToken for Room<T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        self.0.consume(length, f)
    }
}
