//! An Ethernet link that costs next to nothing, so that what is counted is the
//! stack: frames stand in a ring and are read and written where they lie, and
//! nothing is lost.

use std::cell::RefCell;
use std::rc::Rc;

use smoltcp::phy::{Device, DeviceCapabilities, RxToken, TxToken};
use smoltcp::time::Instant;

pub const MTU: usize = 1514;

/// What a lane holds before it grows.
const PLACES: usize = 128;

/// One direction: a ring of frames on their way, a power of two of them. It
/// begins at its first place again whenever it is empty: a link of one frame at
/// a time is then one place in the cache, and not all of them in turn.
struct Lane {
    frames: Vec<(usize, Box<[u8; MTU]>)>,
    first: usize,
    count: usize,
}

impl Default for Lane {
    fn default() -> Self {
        Lane {
            frames: (0..PLACES).map(|_| (0, Box::new([0; MTU]))).collect(),
            first: 0,
            count: 0,
        }
    }
}

impl Lane {
    fn place(&mut self, nth: usize) -> &mut (usize, Box<[u8; MTU]>) {
        let mask = self.frames.len() - 1;
        &mut self.frames[(self.first + nth) & mask]
    }

    #[cold]
    fn grow(&mut self) {
        let first = self.first & (self.frames.len() - 1);
        self.frames.rotate_left(first);
        self.first = 0;
        for _ in 0..self.frames.len() {
            self.frames.push((0, Box::new([0; MTU])));
        }
    }
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
        self.receives.borrow().count > 0
    }

    /// Looks at the next frame without taking it.
    pub fn peek<R>(&self, f: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let mut lane = self.receives.borrow_mut();
        (lane.count > 0).then(|| {
            let (len, bytes) = lane.place(0);
            f(&bytes[..*len])
        })
    }

    /// The next frame, and leave to answer it.
    pub fn tokens(&mut self) -> Option<(Receive<'_>, Send<'_>)> {
        self.has_frame()
            .then_some((Receive(&self.receives), Send(&self.sends)))
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
pub struct Receive<'e>(&'e RefCell<Lane>);

/// Leave to send a frame.
pub struct Send<'e>(&'e RefCell<Lane>);

impl Receive<'_> {
    pub fn take<R>(self, f: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut lane = self.0.borrow_mut();
        let (len, bytes) = lane.place(0);
        let out = f(&mut bytes[..*len]);
        lane.count -= 1;
        lane.first = if lane.count == 0 { 0 } else { lane.first + 1 };
        out
    }
}

impl Send<'_> {
    pub fn fill<R>(self, len: usize, f: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut lane = self.0.borrow_mut();
        if lane.count == lane.frames.len() {
            lane.grow();
        }
        let count = lane.count;
        let (place, bytes) = lane.place(count);
        *place = len;
        let out = f(&mut bytes[..len]);
        lane.count += 1;
        out
    }
}

impl RxToken for Receive<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        self.take(|bytes| f(bytes))
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
