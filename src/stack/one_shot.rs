//! Handing one chosen frame to smoltcp. An `Interface` takes frames from a
//! device of its own accord; [`OneShot`] is a device that has just the frame
//! the demux chose, and one of the real device's transmit tokens. What leaves is
//! counted in a [`Tally`], and gets its checksums.
//!
//! A connection speaks IP and nothing below it: its frames go where the peer's
//! came from, so their Ethernet header is read before smoltcp sees them and
//! written here, from a [`Link`]. Nobody need be asked for a hardware address,
//! and to look one up and to route would be a twentieth of what a small request
//! costs.
//!
//! There is one such device for every purpose, so that a board has one copy of
//! what smoltcp makes of it.

use core::cell::Cell;
#[cfg(feature = "segmentation-offload")]
use core::num::NonZeroUsize;

use smoltcp::iface::Interface;
use smoltcp::phy::{Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::HardwareAddress;

use crate::event::{Audience, Event};
use crate::frame::build::scale_of;
use crate::frame::checksum::{self, Checks};
use crate::frame::link::{ETHERNET, Hardware};
use crate::frame::sent::outgoing;
use crate::rules::guard::{Edge, TcpView, learn};

/// What left through a device.
pub(crate) struct Tally<'o> {
    pub(crate) frames: Cell<u64>,
    pub(crate) bytes: Cell<u64>,
    /// A token was asked for, used or not.
    pub(crate) asked: Cell<bool>,
    /// What the last frame carried.
    pub(crate) last: Cell<Carried>,
    /// What the flow at hand knows of itself, as far as the frames that left say.
    pub(crate) view: Cell<TcpView>,
    pub(crate) edge: Cell<Edge>,
    pub(crate) checks: Checks,
    pub(crate) now: Instant,
    pub(crate) audience: Audience<'o>,
}

/// What a frame carried, as far as the next pass cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// An acknowledgement and nothing else.
    PureAck,
    /// Data, up to the last byte there is: smoltcp sets PSH then and only then.
    LastData,
    /// Something else.
    Other,
}

impl<'o> Tally<'o> {
    pub(crate) fn new(checks: Checks) -> Self {
        Tally {
            frames: Cell::new(0),
            bytes: Cell::new(0),
            asked: Cell::new(false),
            last: Cell::new(Carried::Other),
            view: Cell::new(TcpView::NOTHING),
            edge: Cell::new(Edge::NOTHING),
            checks,
            now: Instant::ZERO,
            audience: Audience::NOBODY,
        }
    }

    fn note(&self, frame: &mut [u8]) {
        if cfg!(feature = "counters") {
            self.frames.set(self.frames.get() + 1);
            self.bytes.set(self.bytes.get() + frame.len() as u64);
        }
        if let Some((link, packet)) = frame.split_first_chunk_mut::<14>()
            && [link[12], link[13]] == [0x08, 0x00]
            && let Some(header) = packet.first_chunk_mut::<20>()
            && self.checks.ipv4.tx()
        {
            checksum::fill_header(header);
        }
        let mut carried = Carried::Other;
        if let Some(sent) = outgoing(frame) {
            let scale = || scale_of(frame).unwrap_or(0);
            learn(&self.view, &self.edge, &sent, scale);
            let more = sent.syn | sent.fin | sent.rst;
            carried = match sent.payload {
                0 if !more => Carried::PureAck,
                1.. if sent.psh && !more => Carried::LastData,
                _ => Carried::Other,
            };
            if self.checks.tcp.tx()
                && let Some(segment) = frame.get_mut(sent.start..)
            {
                checksum::fill(sent.pseudo, segment);
            }
        }
        self.last.set(carried);
        if let Some(observer) = self.audience.get() {
            observer.event(self.now, &Event::FrameOut(frame));
        }
    }
}

/// Both ends of an Ethernet header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link<'l> {
    pub(crate) to: &'l Hardware,
    pub(crate) from: &'l Hardware,
}

impl Link<'_> {
    /// Writes the header in front of a packet.
    fn fill(&self, header: &mut [u8], packet: &[u8]) {
        let Some(header) = header.first_chunk_mut::<ETHERNET>() else {
            return;
        };
        let [a, b, c, d, e, f] = *self.to;
        let [g, h, i, j, k, l] = *self.from;
        let kind = match packet.first() {
            #[cfg(feature = "ipv6")]
            Some(version) if version >> 4 == 6 => [0x86, 0xdd],
            _ => [0x08, 0x00],
        };
        *header = [a, b, c, d, e, f, g, h, i, j, k, l, kind[0], kind[1]];
    }
}

/// A receive token for a frame that is already here.
pub(crate) struct OneFrame<'f>(&'f [u8]);

impl RxToken for OneFrame<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Where a frame goes.
pub(crate) enum Tx<T> {
    Device(T),
    /// It is made and thrown away; it has no payload.
    Discard,
}

/// A transmit token whose frame is counted.
pub(crate) struct Counted<'t, 'o, T> {
    tx: Tx<T>,
    link: Option<Link<'t>>,
    tally: &'t Tally<'o>,
}

impl<'t, 'o, T: TxToken> Counted<'t, 'o, T> {
    pub(crate) fn new(token: T, tally: &'t Tally<'o>) -> Self {
        Counted {
            tx: Tx::Device(token),
            link: None,
            tally,
        }
    }
}

impl<T: TxToken> TxToken for Counted<'_, '_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let Counted { tx, link, tally } = self;
        let start = if link.is_some() { ETHERNET } else { 0 };
        let fill = |buffer: &mut [u8]| {
            let (header, packet) = buffer.split_at_mut(start.min(buffer.len()));
            let out = f(packet);
            if let Some(link) = link {
                link.fill(header, packet);
            }
            tally.note(buffer);
            out
        };
        match tx {
            Tx::Device(token) => token.consume(start + len, fill),
            Tx::Discard => nowhere(start + len, fill),
        }
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        if let Tx::Device(token) = &mut self.tx {
            token.set_meta(meta);
        }
    }
}

/// Enough for any frame without payload.
const ROOM: usize = 128;

#[cold]
fn nowhere<R>(len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut room = [0; ROOM];
    fill(&mut room[..len.min(ROOM)])
}

/// A device from which at most one frame comes, and into which at most one goes.
pub(crate) struct OneShot<'f, 'o, T> {
    pub(crate) frame: Option<&'f [u8]>,
    pub(crate) tx: Option<Tx<T>>,
    /// Between whom the frames go, if they come and go without a header.
    pub(crate) link: Option<Link<'f>>,
    pub(crate) tally: &'f Tally<'o>,
    pub(crate) capabilities: &'f DeviceCapabilities,
}

impl<'f, 'o, T> OneShot<'f, 'o, T> {
    /// For a frame that has come: its packet goes in, an answer goes out.
    #[inline]
    pub(crate) fn of(
        frame: &'f [u8],
        tx: Tx<T>,
        link: Link<'f>,
        tally: &'f Tally<'o>,
        capabilities: &'f DeviceCapabilities,
    ) -> Self {
        OneShot {
            frame: frame.get(ETHERNET..),
            tx: Some(tx),
            link: Some(link),
            tally,
            capabilities,
        }
    }
}

impl<'o, T: TxToken> Device for OneShot<'_, 'o, T> {
    type RxToken<'a>
        = OneFrame<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Counted<'a, 'o, T>
    where
        Self: 'a;

    fn receive(&mut self, now: Instant) -> Option<(OneFrame<'_>, Counted<'_, 'o, T>)> {
        let frame = self.frame.take()?;
        Some((OneFrame(frame), self.transmit(now)?))
    }

    fn transmit(&mut self, _: Instant) -> Option<Counted<'_, 'o, T>> {
        let (link, tally) = (self.link, self.tally);
        tally.asked.set(true);
        let tx = self.tx.take()?;
        Some(Counted { tx, link, tally })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities.clone()
    }
}

/// The longest packet: its length is a number of 16 bits.
const LONGEST_PACKET: usize = u16::MAX as usize;

/// Makes of what a device can do what it can do for packets without a header, as
/// far as packets go: smoltcp reckons with these numbers and does not look where
/// they end.
pub(crate) fn without_ethernet(packets: &mut DeviceCapabilities) {
    let shorter = |most: usize| most.saturating_sub(ETHERNET).min(LONGEST_PACKET);
    packets.medium = Medium::Ip;
    packets.max_transmission_unit = shorter(packets.max_transmission_unit);
    // More of the longest packets than a window holds.
    let burst = packets.max_burst_size;
    packets.max_burst_size = burst.map(|frames| frames.min(LONGEST_PACKET));
    #[cfg(feature = "segmentation-offload")]
    {
        // A device that cuts less than it sends cuts nothing, and one whose packets
        // hold little but headers gets none to cut.
        let mtu = packets.max_transmission_unit;
        let cuts = |most: NonZeroUsize| {
            let most = shorter(most.get());
            NonZeroUsize::new(most).filter(|_| most >= mtu && mtu >= ROOM)
        };
        let segmentation = &mut packets.segmentation;
        segmentation.tcpv4 = segmentation.tcpv4.and_then(cuts);
        segmentation.tcpv6 = segmentation.tcpv6.and_then(cuts);
    }
}

/// A device that is only asked what it can do.
pub(crate) struct CapsOnly<'c>(pub(crate) &'c DeviceCapabilities);

/// There is no token for [`CapsOnly`].
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

impl Device for CapsOnly<'_> {
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

/// An interface below which there is nothing but the peer, whose generator begins
/// at `seed`: it takes every address for its own and every other for a
/// neighbor's, because the demux has looked at them.
pub(crate) fn interface(seed: u64, capabilities: &DeviceCapabilities, now: Instant) -> Interface {
    let mut config = smoltcp::iface::Config::new(HardwareAddress::Ip);
    config.random_seed = seed;
    let mut interface = Interface::new(config, &mut CapsOnly(capabilities), now);
    interface.set_any_ip(true);
    interface
}
