//! FILL IN: your Ethernet controller, as a smoltcp device.
//!
//! Three places below say what belongs there. What it refuses to do: wait. A
//! frame is there or not, a buffer is free or not; the loop comes again.

use smoltcp::phy::{self, DeviceCapabilities};
use smoltcp::time::Instant;

/// An Ethernet frame without its CRC.
const MTU: usize = 1514;

/// The controller, with memory for one frame each way.
pub struct Mac {
    rx: [u8; MTU],
    tx: [u8; MTU],
}

impl Mac {
    /// For a static: all zeros.
    pub const fn new() -> Self {
        Mac {
            rx: [0; MTU],
            tx: [0; MTU],
        }
    }

    /// FILL IN: reset, address, receiver and transmitter on, interrupt on.
    pub fn start(&mut self, address: [u8; 6]) {
        let _ = address;
    }

    /// FILL IN: let the next frame interrupt, and say whether one waits already,
    /// in this order.
    pub fn listen(&mut self) -> bool {
        false
    }

    /// FILL IN: copy a frame that waits into `rx`; its length without CRC.
    fn fetch(&mut self) -> Option<usize> {
        None
    }

    /// FILL IN: whether one more frame can be given to the controller now.
    fn has_room(&self) -> bool {
        true
    }
}

/// FILL IN: give a frame to the controller. Frames under 60 bytes are padded,
/// by it or here.
fn send(frame: &[u8]) {
    let _ = frame;
}

impl phy::Device for Mac {
    type RxToken<'a> = RxToken<'a>;
    type TxToken<'a> = TxToken<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(RxToken<'_>, TxToken<'_>)> {
        // Without room for an answer the frame waits.
        if !self.has_room() {
            return None;
        }
        let length = self.fetch()?;
        Some((RxToken(&self.rx[..length]), TxToken(&mut self.tx)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<TxToken<'_>> {
        self.has_room().then_some(TxToken(&mut self.tx))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

/// A received frame.
pub struct RxToken<'a>(&'a [u8]);

impl phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Leave to send one frame.
pub struct TxToken<'a>(&'a mut [u8; MTU]);

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let frame = &mut self.0[..length];
        let out = f(frame);
        send(frame);
        out
    }
}
