//! Handing one chosen frame to smoltcp. An `Interface` takes frames from a
//! device of its own accord; [`OneShot`] is a device that has just the frame
//! the demux chose, and one of the real device's transmit tokens. Whoever made it is
//! told of what leaves.
//!
//! A connection speaks IP and nothing below it: its frames go where the peer's
//! came from, so their Ethernet header is read before smoltcp sees them and
//! written here, from [`Ends`]. Nobody need be asked for a hardware address,
//! and to look one up and to route would be a twentieth of what a small request
//! costs.
//!
//! There is one such device for every purpose, so that a board has one copy of
//! what smoltcp makes of it.

#[cfg(feature = "segmentation-offload")]
use core::num::NonZeroUsize;

use smoltcp::phy::{Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;

use crate::frame::link::{ETHERNET, Hardware, IPV4};

/// Whoever is told of the frames that leave.
pub(crate) trait Leaving {
    /// A frame leaves; its checksums are to be filled in.
    fn leaves(&self, frame: &mut [u8]);
}

/// Both ends of an Ethernet header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends<'l> {
    pub(crate) to: &'l Hardware,
    pub(crate) from: &'l Hardware,
}

impl Ends<'_> {
    /// Writes the header in front of a packet.
    fn fill(&self, header: &mut [u8], packet: &[u8]) {
        let Some(header) = header.first_chunk_mut::<ETHERNET>() else {
            return;
        };
        let [a, b, c, d, e, f] = *self.to;
        let [g, h, i, j, k, l] = *self.from;
        let kind = match packet.first() {
            #[cfg(feature = "ipv6")]
            Some(version) if version >> 4 == 6 => crate::frame::link::IPV6,
            _ => IPV4,
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

/// A transmit token whose frame somebody is told of.
pub(crate) struct Told<'t, T, L> {
    tx: Tx<T>,
    ends: Option<Ends<'t>>,
    leaving: &'t L,
}

impl<'t, T: TxToken, L: Leaving> Told<'t, T, L> {
    /// For a frame that has its header.
    pub(crate) fn new(token: T, leaving: &'t L) -> Self {
        Told {
            tx: Tx::Device(token),
            ends: None,
            leaving,
        }
    }
}

impl<T: TxToken, L: Leaving> TxToken for Told<'_, T, L> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let Told { tx, ends, leaving } = self;
        let start = if ends.is_some() { ETHERNET } else { 0 };
        let fill = |buffer: &mut [u8]| {
            let (header, packet) = buffer.split_at_mut(start.min(buffer.len()));
            let out = f(packet);
            if let Some(ends) = ends {
                ends.fill(header, packet);
            }
            leaving.leaves(buffer);
            out
        };
        match tx {
            Tx::Device(token) => token.consume(start + len, fill),
            Tx::Discard => Discard.consume(start + len, fill),
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

/// A transmit token for a frame without payload that is made and thrown away.
pub(crate) struct Discard;

impl TxToken for Discard {
    #[cold]
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut room = [0; ROOM];
        f(&mut room[..len.min(ROOM)])
    }
}

/// A device from which at most one frame comes, and into which at most one goes.
pub(crate) struct OneShot<'f, T, L> {
    pub(crate) frame: Option<&'f [u8]>,
    pub(crate) tx: Option<Tx<T>>,
    /// Between whom the frames go.
    pub(crate) ends: Ends<'f>,
    pub(crate) leaving: &'f L,
    pub(crate) capabilities: &'f DeviceCapabilities,
    /// A token was asked for, used or not.
    pub(crate) asked: bool,
}

impl<T: TxToken, L: Leaving> Device for OneShot<'_, T, L> {
    type RxToken<'a>
        = OneFrame<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Told<'a, T, L>
    where
        Self: 'a;

    fn receive(&mut self, now: Instant) -> Option<(OneFrame<'_>, Told<'_, T, L>)> {
        let frame = self.frame.take()?;
        Some((OneFrame(frame), self.transmit(now)?))
    }

    fn transmit(&mut self, _: Instant) -> Option<Told<'_, T, L>> {
        let leaving = self.leaving;
        self.asked = true;
        let (tx, ends) = (self.tx.take()?, Some(self.ends));
        Some(Told { tx, ends, leaving })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities.clone()
    }
}

/// A device that only says what it can do.
pub(crate) struct Nothing<'c>(pub(crate) &'c DeviceCapabilities);

impl Device for Nothing<'_> {
    type RxToken<'a>
        = OneFrame<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Discard
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(OneFrame<'_>, Discard)> {
        None
    }

    fn transmit(&mut self, _: Instant) -> Option<Discard> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.0.clone()
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
