//! The host that everything on a stack belongs to: its settings and addresses, what
//! its device can do, the time of the turn; and what is said and counted of it,
//! frames that leave above all.
//!
//! Not here: its connections (`slots.rs`).

use core::cell::Cell;

use smoltcp::phy::{DeviceCapabilities, TxToken};
use smoltcp::time::Instant;

use crate::counters::{Counters, DropReason, Totals, count};
use crate::event::{Audience, Event};
use crate::frame::build::{self, ACK, Bare, Frame, RST, SYN, offer_of, window_of};
use crate::frame::checksum::{self, Checks};
use crate::frame::demux::{Control, Route, Segment, demux};
use crate::frame::flow::Flow;
use crate::frame::link::{ETHERNET, Hardware, IPV4};
use crate::frame::one_shot::{Leaving, Told};
use crate::frame::patch::set_seq;
use crate::frame::sent::outgoing;
use crate::rules::addresses::Addresses;
use crate::rules::bucket::{Bucket, RESET};
use crate::rules::config::Config;
use crate::rules::guard::{Edge, TcpView, learn};
use crate::rules::leaving::InFlight;
use crate::rules::limits::tick;
use crate::rules::normalise::{PeerView, first_window, mss};
use crate::rules::secrets::Secrets;
use crate::table::paths::Paths;

/// A host, without its connections.
pub(crate) struct Host<'a> {
    pub(crate) config: Config,
    pub(crate) addresses: Addresses,
    pub(crate) secrets: Secrets,
    /// Of a device without Ethernet: connections speak IP.
    pub(crate) capabilities: DeviceCapabilities,
    pub(crate) now: Instant,
    /// The same for limits.
    pub(crate) tick: u32,
    pub(crate) totals: Totals,
    /// What no socket sends draws on it.
    pub(crate) bucket: Bucket,
    pub(crate) paths: Paths,
    pub(crate) outlet: Outlet<'a>,
}

impl<'a> Host<'a> {
    // Made where it stays.
    #[inline(always)]
    pub(crate) fn new(config: Config, capabilities: DeviceCapabilities, checks: Checks) -> Self {
        let secret = config.secret;
        Host {
            secrets: Secrets::new(&secret),
            config,
            addresses: Addresses::default(),
            capabilities,
            now: Instant::ZERO,
            tick: tick(Instant::ZERO),
            totals: Totals::default(),
            bucket: Bucket::FULL,
            paths: Paths::default(),
            outlet: Outlet::new(checks),
        }
    }

    /// A turn begins.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.set_now(now);
        count!(self, turns);
    }

    #[inline(always)]
    pub(crate) fn set_now(&mut self, now: Instant) {
        self.now = now;
        self.tick = tick(now);
        self.outlet.now = now;
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters {
            frames_out: self.outlet.frames.get(),
            bytes_out: self.outlet.bytes.get(),
            ..self.totals.get()
        }
    }

    #[inline]
    pub(crate) fn tell(&self, event: &Event<'_>) {
        self.tell_with(|| *event);
    }

    /// The same where to put the event together costs something.
    #[inline]
    pub(crate) fn tell_with<'e>(&self, event: impl FnOnce() -> Event<'e>) {
        if self.outlet.audience.is_some() {
            self.outlet.say(&event());
        }
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn dropped(&mut self, reason: DropReason) {
        count!(self, dropped[reason as usize]);
        self.tell(&Event::Dropped(reason));
    }

    /// A frame has come.
    pub(crate) fn heard(&mut self, frame: &[u8]) {
        count!(self, frames_in);
        count!(self, bytes_in, frame.len() as u64);
        self.tell(&Event::FrameIn(frame));
    }

    /// Where a frame goes, if its checksums are right.
    #[inline]
    pub(crate) fn route(&self, frame: &[u8]) -> Route {
        self.route_checked(frame, &self.outlet.checks)
    }

    /// The segment of a frame that was looked at when it came, or made by hand.
    pub(crate) fn route_again(&self, frame: &[u8]) -> Option<Segment> {
        match self.route_checked(frame, &Checks::NONE) {
            Route::Tcp(segment) => Some(segment),
            _ => None,
        }
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn route_checked(&self, frame: &[u8], checks: &Checks) -> Route {
        let addrs = &self.addresses.own;
        demux(frame, self.config.hardware_addr, addrs, checks)
    }

    /// The MSS that smoltcp would offer to this flow's peer.
    pub(crate) fn mss(&self, flow: &Flow) -> u16 {
        let mtu = self.capabilities.max_transmission_unit;
        flow.mss(mtu.min(u16::MAX.into()) as u16)
    }

    /// The SYN as smoltcp is shown it, unless as it is; with the MSS that its sender is taken
    /// for, which goes into `heard` with what else it said.
    #[cold]
    pub(crate) fn opening(
        &self,
        segment: &Segment,
        frame: &[u8],
        heard: &mut PeerView,
    ) -> Option<Frame> {
        let (offer, window) = (offer_of(frame), window_of(frame));
        let is_ipv4 = segment.flow.words == 1;
        let path = self.paths.mtu(segment.flow.remote_addr(), self.now);
        let path = path.map_or(u16::MAX, |mtu| segment.flow.mss(mtu));
        let ceiling = match self.config.mss_ceiling {
            0 => u16::MAX,
            ceiling => ceiling,
        };
        let link = self.mss(&segment.flow).min(path).min(ceiling);
        let mss = mss(offer.mss, is_ipv4, self.config.mss_floor, link);
        let acked = segment.has_ack.then_some(segment.ack);
        *heard = PeerView::of_syn(mss, offer.scale, window, acked);
        let shown = first_window(mss, window);
        if (offer.mss, window) == (Some(mss), shown) {
            return None;
        }
        let bare = Bare {
            flags: if segment.has_ack { SYN | ACK } else { SYN },
            seq: segment.seq,
            ack: segment.ack,
            window: shown,
            mss: None,
        };
        let offer = build::Offer {
            mss: Some(mss),
            ..offer
        };
        let link = (&segment.remote_hardware, &self.config.hardware_addr);
        Some(build::opening(link, &segment.flow, &bare, &offer))
    }

    /// A frame as if from where a segment came from.
    pub(crate) fn as_its_sender(&self, segment: &Segment, bare: &Bare) -> Frame {
        self.as_sent_by(&segment.remote_hardware, &segment.flow, bare)
    }

    /// A frame as if from this peer of a flow.
    #[inline(never)]
    pub(crate) fn as_sent_by(&self, hardware: &Hardware, flow: &Flow, bare: &Bare) -> Frame {
        let link = (hardware, &self.config.hardware_addr);
        build::segment(link, flow, bare)
    }

    /// Answers a segment with one that no socket knows of. It goes where the segment
    /// came from: nobody need be asked, and nothing is kept.
    pub(crate) fn reply<T: TxToken>(&self, segment: &Segment, bare: &Bare, token: T) {
        let link = (&self.config.hardware_addr, &segment.remote_hardware);
        self.send(&build::segment(link, &segment.flow.reversed(), bare), token);
    }

    /// Whether what no socket sends may leave now; else what it would have answered is
    /// dropped.
    #[cold]
    #[inline(never)]
    pub(crate) fn may_answer(&mut self, cost: i64) -> bool {
        let may = self.bucket.take(cost, self.now);
        if !may {
            self.dropped(DropReason::Throttled);
        }
        may
    }

    /// Answers a segment that belongs to nobody (RFC 9293, 3.10.7.1).
    pub(crate) fn refuse<T: TxToken>(&mut self, segment: &Segment, token: T) {
        if !self.may_answer(RESET) {
            return;
        }
        let syn = usize::from(segment.control == Control::Syn);
        let fin = usize::from(segment.fin);
        let bare = match segment.has_ack {
            true => Bare {
                flags: RST,
                seq: segment.ack,
                ..Bare::default()
            },
            false => Bare {
                flags: RST | ACK,
                ack: segment.seq + syn + usize::from(segment.payload) + fin,
                ..Bare::default()
            },
        };
        self.reply(segment, &bare, token);
    }

    /// Sends a frame made by hand.
    pub(crate) fn send<T: TxToken>(&self, frame: &Frame, token: T) {
        self.outlet.of_no_flow();
        let told = Told::new(token, &self.outlet);
        told.consume(frame.len(), |room| room.copy_from_slice(frame));
    }
}

/// What left through the device, and what that says of the flow at hand.
pub(crate) struct Outlet<'o> {
    pub(crate) frames: Cell<u64>,
    pub(crate) bytes: Cell<u64>,
    /// What the last frame carried.
    pub(crate) last: Cell<Carried>,
    pub(crate) view: Cell<TcpView>,
    pub(crate) edge: Cell<Edge>,
    pub(crate) heard: Cell<PeerView>,
    /// Numbers left that had left before, at most so many bytes at a time.
    pub(crate) repeats: Cell<Option<u16>>,
    pub(crate) checks: Checks,
    now: Instant,
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

impl Outlet<'_> {
    /// What leaves now is of no flow: what is known of the last one says nothing of it.
    pub(crate) fn of_no_flow(&self) {
        self.view.set(TcpView::NOTHING);
        self.heard.set(PeerView::NOTHING);
    }

    #[cfg_attr(target_pointer_width = "32", cold)]
    #[inline(never)]
    fn say(&self, event: &Event<'_>) {
        if let Some(observer) = self.audience {
            observer.event(self.now, event);
        }
    }

    /// Nothing has left. Without an audience it is also for what nobody is to see.
    pub(crate) fn new(checks: Checks) -> Self {
        Outlet {
            frames: Cell::new(0),
            bytes: Cell::new(0),
            last: Cell::new(Carried::Other),
            view: Cell::new(TcpView::NOTHING),
            edge: Cell::new(Edge::NOTHING),
            heard: Cell::new(PeerView::NOTHING),
            repeats: Cell::new(None),
            checks,
            now: Instant::ZERO,
            audience: None,
        }
    }
}

impl Leaving for Outlet<'_> {
    fn leaves(&self, frame: &mut [u8]) {
        if cfg!(feature = "counters") {
            self.frames.set(self.frames.get() + 1);
            self.bytes.set(self.bytes.get() + frame.len() as u64);
        }
        if let Some((link, packet)) = frame.split_first_chunk_mut::<ETHERNET>()
            && [link[12], link[13]] == IPV4
            && let Some(header) = packet.first_chunk_mut::<20>()
            && self.checks.ipv4.tx()
            // What has options was made by hand, and has it.
            && (!cfg!(feature = "groups") || header[0] == 0x45)
        {
            checksum::fill_header(header);
        }
        let mut carried = Carried::Other;
        if let Some(sent) = outgoing(frame) {
            let snd_max = self.view.get().snd_max;
            let scale = || offer_of(frame).scale.unwrap_or(0);
            learn(&self.view, &self.edge, &sent, scale);
            let more = sent.syn | sent.fin | sent.rst;
            let occupies = sent.payload > 0 || sent.syn || sent.fin;
            if occupies && snd_max.0 != 0 && sent.seq < snd_max {
                let longest = self.repeats.get().max(Some(sent.payload as u16));
                self.repeats.set(longest);
            }
            carried = match sent.payload {
                0 if !more => Carried::PureAck,
                1.. if sent.psh && !more => Carried::LastData,
                _ => Carried::Other,
            };
            if sent.payload == 0 {
                let heard = self.heard.get();
                let flight = InFlight::new(heard.snd_una, snd_max, heard.edge());
                if let Some(seq) = flight.raises(&sent) {
                    set_seq(frame, &sent, seq);
                }
            }
            if self.checks.tcp.tx()
                && let Some(segment) = frame.get_mut(sent.start..)
            {
                checksum::fill(sent.pseudo, segment);
            }
        }
        self.last.set(carried);
        if self.audience.is_some() {
            self.say(&Event::FrameOut(frame));
        }
    }
}
