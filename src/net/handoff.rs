//! Handing one chosen frame to smoltcp. An `Interface` takes frames from a
//! device of its own accord; [`OneShot`] is a device that has just the frame
//! the demux chose, and the real device's transmit token for the answer.
//! [`Tallied`] is the real device on the way out. Both count what leaves in a
//! [`Tally`], and finish its checksum.

use core::cell::Cell;

use smoltcp::phy::{Device, DeviceCapabilities, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::IpAddress;

use crate::event::{Event, Observer};
use crate::net::checksum::{self, Checks};
use crate::net::demux::outgoing;
use crate::net::guard::Known;
use crate::net::neighbors::question;

/// What left through a device.
pub(crate) struct Tally<'o> {
    pub(crate) frames: Cell<u64>,
    pub(crate) bytes: Cell<u64>,
    /// A token was asked for, used or not.
    pub(crate) asked: Cell<bool>,
    /// The device had no room for a frame.
    pub(crate) exhausted: Cell<bool>,
    /// What the last frame carried.
    pub(crate) last: Cell<Carried>,
    /// What the flow at hand knows of itself, as far as the frames that left say.
    pub(crate) known: Cell<Known>,
    /// Whose hardware address was asked for last.
    pub(crate) question: Cell<Option<IpAddress>>,
    pub(crate) checks: Checks,
    pub(crate) now: Instant,
    pub(crate) observer: Option<&'o dyn Observer>,
}

/// What a frame carried, as far as the next pass cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// An acknowledgement and nothing else.
    Nothing,
    /// Data, up to the last byte there is: smoltcp sets PSH then and only then.
    All,
    /// Something else.
    Other,
}

impl<'o> Tally<'o> {
    pub(crate) fn new(checks: Checks) -> Self {
        Tally {
            frames: Cell::new(0),
            bytes: Cell::new(0),
            asked: Cell::new(false),
            exhausted: Cell::new(false),
            last: Cell::new(Carried::Other),
            known: Cell::new(Known::NOTHING),
            question: Cell::new(None),
            checks,
            now: Instant::ZERO,
            observer: None,
        }
    }

    fn note(&self, frame: &mut [u8]) {
        self.frames.set(self.frames.get() + 1);
        self.bytes.set(self.bytes.get() + frame.len() as u64);
        if let Some((link, packet)) = frame.split_first_chunk_mut::<14>()
            && [link[12], link[13]] == [0x08, 0x00]
            && let Some(header) = packet.first_chunk_mut::<20>()
            && self.checks.ipv4.tx()
        {
            checksum::fill_header(header);
        }
        let mut carried = Carried::Other;
        if let Some(sent) = outgoing(frame) {
            let mut known = self.known.get();
            known.learn(&sent);
            self.known.set(known);
            let more = sent.syn | sent.fin | sent.rst;
            carried = match sent.payload {
                0 if !more => Carried::Nothing,
                1.. if sent.psh && !more => Carried::All,
                _ => Carried::Other,
            };
            if self.checks.tcp.tx()
                && let Some(segment) = frame.get_mut(sent.start..)
            {
                checksum::fill(sent.pseudo, segment);
            }
        } else if let Some(addr) = question(frame) {
            self.question.set(Some(addr));
        }
        self.last.set(carried);
        if let Some(observer) = self.observer {
            observer.event(self.now, &Event::FrameOut(frame));
        }
    }
}

/// A transmit token whose frame is counted.
pub(crate) struct Counted<'t, 'o, T> {
    token: T,
    tally: &'t Tally<'o>,
}

impl<T: TxToken> TxToken for Counted<'_, '_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let tally = self.tally;
        self.token.consume(len, |buffer| {
            let out = f(buffer);
            tally.note(buffer);
            out
        })
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.token.set_meta(meta);
    }
}

impl<'t, 'o, T> Counted<'t, 'o, T> {
    pub(crate) fn new(token: T, tally: &'t Tally<'o>) -> Self {
        Counted { token, tally }
    }
}

/// A receive token for a frame that is already here.
pub(crate) struct Chosen<'f>(pub(crate) &'f [u8]);

impl RxToken for Chosen<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// A device with one frame and one answer.
pub(crate) struct OneShot<'f, 'o, T: TxToken> {
    frame: &'f [u8],
    token: Option<Counted<'f, 'o, T>>,
    capabilities: &'f DeviceCapabilities,
}

impl<'f, 'o, T: TxToken> OneShot<'f, 'o, T> {
    pub(crate) fn new(
        frame: &'f [u8],
        token: T,
        tally: &'f Tally<'o>,
        capabilities: &'f DeviceCapabilities,
    ) -> Self {
        OneShot {
            frame,
            token: Some(Counted { token, tally }),
            capabilities,
        }
    }
}

impl<'o, T: TxToken> Device for OneShot<'_, 'o, T> {
    type RxToken<'a>
        = Chosen<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Counted<'a, 'o, T>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Chosen<'_>, Counted<'_, 'o, T>)> {
        let token = self.token.take()?;
        Some((Chosen(self.frame), token))
    }

    fn transmit(&mut self, _: Instant) -> Option<Counted<'_, 'o, T>> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities.clone()
    }
}

/// The real device, counted, with nothing to receive.
pub(crate) struct Tallied<'d, 'o, D: Device + ?Sized> {
    pub(crate) device: &'d mut D,
    pub(crate) tally: &'d Tally<'o>,
}

impl<'o, D: Device + ?Sized> Device for Tallied<'_, 'o, D> {
    type RxToken<'a>
        = Chosen<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Counted<'a, 'o, D::TxToken<'a>>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Chosen<'_>, Self::TxToken<'_>)> {
        None
    }

    fn transmit(&mut self, now: Instant) -> Option<Self::TxToken<'_>> {
        let tally = self.tally;
        tally.asked.set(true);
        let token = self.device.transmit(now);
        tally.exhausted.set(token.is_none());
        token.map(|token| Counted { token, tally })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.device.capabilities()
    }
}

/// A device that is only asked what it can do.
pub(crate) struct Described<'c>(pub(crate) &'c DeviceCapabilities);

/// There is no token for [`Described`].
pub(crate) enum NoToken {}

impl RxToken for NoToken {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, _: F) -> R {
        match self {}
    }
}

impl TxToken for NoToken {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _: usize, _: F) -> R {
        match self {}
    }
}

impl Device for Described<'_> {
    type RxToken<'a>
        = NoToken
    where
        Self: 'a;
    type TxToken<'a>
        = NoToken
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(NoToken, NoToken)> {
        None
    }

    fn transmit(&mut self, _: Instant) -> Option<NoToken> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.0.clone()
    }
}
