//! An Ethernet link that costs next to nothing, so that what is counted is the
//! stack: frames are pushed and popped, buffers are reused, nothing is lost.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use smoltcp::phy::{Device, DeviceCapabilities, RxToken, TxToken};
use smoltcp::time::Instant;

pub const MTU: usize = 1514;

/// One direction: frames on their way, and buffers to reuse.
#[derive(Default)]
struct Lane {
    frames: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
}

/// One end of the link. A clone is the same end.
#[derive(Clone)]
pub struct End {
    receives: Rc<RefCell<Lane>>,
    sends: Rc<RefCell<Lane>>,
}

/// Both ends of a new link.
pub fn link() -> (End, End) {
    let (forth, back) = <(Rc<RefCell<Lane>>, Rc<RefCell<Lane>>)>::default();
    let left = End {
        receives: back.clone(),
        sends: forth.clone(),
    };
    let right = End {
        receives: forth,
        sends: back,
    };
    (left, right)
}

impl End {
    /// Whether a frame waits to be received here.
    pub fn has_frame(&self) -> bool {
        !self.receives.borrow().frames.is_empty()
    }

    /// The next frame, and leave to answer it.
    pub fn tokens(&mut self) -> Option<(Receive<'_>, Send<'_>)> {
        let frame = self.receives.borrow_mut().frames.pop_front()?;
        Some((Receive(frame, &self.receives), Send(&self.sends)))
    }

    pub fn sender(&mut self) -> Send<'_> {
        Send(&self.sends)
    }
}

pub fn capabilities() -> DeviceCapabilities {
    let mut capabilities = DeviceCapabilities::default();
    capabilities.max_transmission_unit = MTU;
    capabilities
}

/// A frame that arrived.
pub struct Receive<'e>(Vec<u8>, &'e RefCell<Lane>);

/// Leave to send a frame.
pub struct Send<'e>(&'e RefCell<Lane>);

impl Receive<'_> {
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }

    pub fn give_back(self) {
        self.1.borrow_mut().spare.push(self.0);
    }
}

impl Send<'_> {
    pub fn fill<R>(self, len: usize, f: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut frame = self.0.borrow_mut().spare.pop().unwrap_or_default();
        frame.resize(len, 0);
        let out = f(&mut frame);
        self.0.borrow_mut().frames.push_back(frame);
        out
    }
}

impl RxToken for Receive<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(mut self, f: F) -> R {
        let out = f(self.bytes());
        self.give_back();
        out
    }
}

impl TxToken for Send<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.fill(len, f)
    }
}

impl Device for End {
    type RxToken<'a> = Receive<'a>;
    type TxToken<'a> = Send<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Receive<'_>, Send<'_>)> {
        self.tokens()
    }

    fn transmit(&mut self, _: Instant) -> Option<Send<'_>> {
        Some(self.sender())
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities()
    }
}
