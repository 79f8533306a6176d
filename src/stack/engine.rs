//! smoltcp, as an engine: a segment into its socket, a SYN into a fresh one, a packet for
//! nobody's socket to the host; and out comes what a slot has to send, in a bounded
//! number of passes. The only caller of smoltcp's `Interface`. What the guard says about
//! a segment is done here, and what smoltcp is shown of it.
//!
//! Not here: whose a frame is, which slots send, and what follows (`core.rs`);
//! connections that begin without a SYN of their peer's (`opening.rs`).

use smoltcp::iface::{Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, TcpSeqNumber};

use crate::counters::{DropReason, count};
use crate::frame::build::Bare;
use crate::frame::demux::{Control, Segment};
use crate::frame::link::{ETHERNET, Hardware};
use crate::frame::one_shot::{Ends, Nothing, OneShot, Tx};
use crate::frame::patch::{self, COPY};
use crate::rules::guard::{Edge, TcpView, Verdict, judge, moved};
use crate::rules::isn;
use crate::rules::lifecycle::{Before, Cut, Settled, State, is_cut, settle};
use crate::rules::limits::patience;
use crate::rules::normalise::{Ours, PeerView, Rewrite, connecting};
use crate::rules::passes::{Again, Passes, SHORTEST, Sent};
use crate::table::host::{Carried, Host, Outlet};
use crate::table::slot::{Slot, Timer, tcp_of};
use crate::time::FAR;

/// After so many acknowledgements of the same smoltcp sends again (RFC 5681, 3.2: three
/// "duplicate ACKs", and the one that they repeat).
const REPEATS: u8 = 4;

/// How long a packet may be on any path that is believed (`pmtu.rs`).
const EVERYWHERE: u16 = 552;

/// smoltcp's interface, through which a host and its connections speak IP.
pub(crate) struct Engine(pub(crate) Interface);

impl Engine {
    pub(crate) fn new(capabilities: &DeviceCapabilities) -> Self {
        Engine(interface(0, Instant::ZERO, capabilities))
    }

    /// Lets smoltcp answer a packet that belongs to no slot, such as a ping, to
    /// where it came from.
    pub(crate) fn answer<T: TxToken>(
        &mut self,
        host: &Host<'_>,
        from: Hardware,
        frame: &[u8],
        token: T,
    ) {
        host.outlet.of_no_flow();
        let mut nobody = SocketSet::new(&mut [][..]);
        let (outlet, tx) = (&host.outlet, Some(Tx::Device(token)));
        let mut device = one_shot(host, outlet, &from, Some(frame), tx);
        self.0
            .poll_ingress_single(host.now, &mut device, &mut nobody);
    }

    /// Gives a segment to the socket of its flow, and says what is to be done about the
    /// slot. `None`: it was dropped.
    #[inline]
    pub(crate) fn deliver<T: TxToken>(
        &mut self,
        host: &mut Host<'_>,
        slot: &mut Slot<'_>,
        arrived: (&Segment, &[u8]),
        token: T,
    ) -> Option<Settled> {
        let (segment, frame) = arrived;
        let Some(socket) = slot.socket() else {
            host.dropped(DropReason::Borrowed);
            return None;
        };
        let before = Before::of(socket);
        let half_open = matches!(slot.state, State::Connecting | State::HalfOpen);
        let is_unanswered =
            matches!(slot.state, State::Connecting) && before.tcp != tcp::State::SynReceived;
        let verdict = match is_unanswered {
            // smoltcp takes no bytes before its SYN is answered.
            true => Verdict::PassEmpty,
            false => judge(segment, &slot.view, &slot.edge, half_open, host.now),
        };
        let is_plain = matches!(verdict, Verdict::Pass)
            && matches!(segment.control, Control::Other)
            && !segment.fin
            && slot.heard.takes_plain(segment, slot.view.snd_max);
        let control = if is_plain {
            // A peer that moves takes its flow with it.
            slot.peer = segment.remote_hardware;
            let token = Tx::Device(token);
            hand(&mut self.0, (host, &host.outlet), slot, frame, token);
            Control::Other
        } else {
            self.look(host, slot, arrived, (verdict, is_unanswered), token)?
        };
        let socket = tcp_of((*slot.set).as_mut()?);
        if slot.clocks.silent_at != FAR {
            slot.clocks.silent_at = patience(host.now, socket.keep_alive());
            slot.questions = 0;
        }
        if segment.payload > 0 || segment.fin {
            slot.clocks.pace.heard(host.tick);
        }
        let mut settled = settle(slot.state, Some(before), socket);
        let after = socket.state();
        if after != before.tcp {
            slot.repeats = 0;
            let known = (&mut slot.view, &mut slot.edge);
            moved(known, (before.tcp, after), segment, frame);
            settled.reset = control == Control::Rst && is_cut(slot.state, &before, after);
            if settled.reset {
                slot.cut = Cut::ByPeer;
            }
        }
        Some(settled)
    }

    /// What of a segment that is not one of nearly all smoltcp is shown, and what it is
    /// shown besides (`normalise.rs`); gives what it was told to do. `None`: nothing.
    #[cold]
    #[inline(never)]
    fn look<T: TxToken>(
        &mut self,
        host: &mut Host<'_>,
        slot: &mut Slot<'_>,
        (segment, frame): (&Segment, &[u8]),
        (verdict, is_unanswered): (Verdict, bool),
        token: T,
    ) -> Option<Control> {
        let snd_max = slot.view.snd_max;
        let ours = Ours {
            rcv_nxt: slot.view.rcv_nxt,
            snd_max,
            max_rcv_wnd: u32::from(u16::MAX) << slot.edge.scale,
            queued: slot.socket().map_or(0, |socket| socket.send_queue()),
        };
        let (verdict, rewrite) = match is_unanswered {
            true => (verdict, connecting(segment, snd_max)),
            false => slot.heard.hears(segment, verdict, &ours),
        };
        if slot.heard.is_last_again(segment, slot.view.rcv_nxt) {
            // The first may have been damaged where no checksum is.
            slot.peer = segment.remote_hardware;
        }
        match verdict {
            Verdict::Pass => {
                slot.peer = segment.remote_hardware;
                // Probes of a shut window that are answered are not in vain.
                if segment.window == 0 {
                    slot.repeats = 0;
                }
            }
            Verdict::PassEmpty => (),
            Verdict::PassOnce => slot.view.answered(host.now),
            Verdict::Drop(reason) | Verdict::Challenge(reason) => host.dropped(reason),
        }
        let opens = is_unanswered && matches!(segment.control, Control::Syn | Control::SynAck);
        let instead = match (verdict, rewrite) {
            (Verdict::Challenge(_), _) => Some(slot.view.challenge()),
            (_, Rewrite::Instead(bare)) => Some(bare),
            _ => None,
        };
        let made = match instead {
            Some(bare) => Some(host.as_its_sender(segment, &bare)),
            None if opens => host.opening(segment, frame, &mut slot.heard),
            None => None,
        };
        let shown = made.as_deref().unwrap_or(frame);
        match (verdict, rewrite) {
            // Whoever repeats itself is there.
            (Verdict::Drop(DropReason::RepeatedAck), _) => (),
            (Verdict::Drop(_), Rewrite::Besides(_)) => (),
            (Verdict::Drop(_), _) => return None,
            (_, Rewrite::Numbers(numbers)) => patch::with(frame, &numbers, |shown| {
                let token = Tx::Device(token);
                hand(&mut self.0, (host, &host.outlet), slot, shown, token);
            }),
            _ => {
                let token = Tx::Device(token);
                hand(&mut self.0, (host, &host.outlet), slot, shown, token);
            }
        }
        match rewrite {
            Rewrite::Besides(bare) => self.tell::<T>(host, slot, &bare),
            // What was too long for a copy is put right afterwards.
            Rewrite::Numbers(bare) if frame.len() > COPY => {
                self.tell::<T>(host, slot, &bare);
            }
            _ => (),
        }
        if let Some(end) = slot.heard.end_due(slot.view.rcv_nxt) {
            self.tell::<T>(host, slot, &end);
        }
        if slot.heard.take_lost() {
            let repeated = slot.heard.acknowledges(slot.view.rcv_nxt);
            (0..3).for_each(|_| self.tell::<T>(host, slot, &repeated));
        }
        Some(match verdict {
            Verdict::Challenge(_) | Verdict::Drop(_) => Control::Other,
            _ => segment.control,
        })
    }

    /// Tells smoltcp something that a segment said besides, which needs no answer.
    #[cold]
    #[inline(never)]
    pub(crate) fn tell<T: TxToken>(&mut self, host: &Host<'_>, slot: &mut Slot<'_>, bare: &Bare) {
        let seq = slot.view.rcv_nxt;
        let frame = host.as_sent_by(&slot.peer, &slot.flow, &Bare { seq, ..*bare });
        let unseen = Outlet::new(host.outlet.checks.clone());
        hand(&mut self.0, (host, &unseen), slot, &frame, Tx::<T>::Discard);
    }

    /// Bytes or a FIN that have left are not acknowledged, and smoltcp has forgotten their
    /// timer: the rules have a gap. It is shown acknowledgements of what is before them, so
    /// that it sends bytes again, or probes a window that is shut; and it is to ask at once
    /// whether the peer is there, because a FIN alone leaves again only in place of that.
    /// What these frames say of our window was said before.
    #[cold]
    #[inline(never)]
    fn rescue<D: Device + ?Sized>(
        &mut self,
        host: &mut Host<'_>,
        slot: &mut Slot<'_>,
        device: &mut D,
    ) {
        if device.transmit(host.now).is_none() {
            return; // until it is looked at again
        }
        count!(host, rescued);
        let bare = slot.heard.acknowledges(slot.view.rcv_nxt);
        for number in 0..=REPEATS {
            if let Some(set) = (*slot.set).as_mut() {
                let mut asks = Some(Duration::ZERO);
                if number == REPEATS {
                    narrow_passes(EVERYWHERE, host, &slot.peer, set, device);
                    asks = None;
                }
                tcp_of(set).set_keep_alive(asks);
            }
            self.tell::<D::TxToken<'_>>(host, slot, &bare);
        }
    }

    /// Lets a slot send what it has. `None`: its socket is away.
    #[inline]
    pub(crate) fn send<D: Device + ?Sized>(
        &mut self,
        host: &mut Host<'_>,
        slot: &mut Slot<'_>,
        device: &mut D,
    ) -> Option<Sent> {
        let now = host.now;
        let set = (*slot.set).as_mut()?;
        let before = Before::of(tcp_of(set));
        begins(&host.outlet, &slot.view, &slot.edge, &slot.heard);
        host.outlet.last.set(Carried::PureAck);
        host.outlet.repeats.set(None);
        let passes = match slot.mtu {
            0 => passes(&mut self.0, host, &slot.peer, set, device),
            mtu => narrow_passes(mtu, host, &slot.peer, set, device),
        };
        let after = tcp_of(set).state();
        slot.view = host.outlet.view.get();
        slot.edge = host.outlet.edge.get();
        if before.unacknowledged > 0 {
            slot.clocks.pace.waits(host.tick);
        }
        let sent = |again| Sent {
            before,
            after,
            again,
        };
        let hears = slot.clocks.silent_at != FAR;
        if hears && !matches!(host.outlet.last.get(), Carried::PureAck) {
            slot.asks(now);
        }
        let asks = matches!(slot.timer, Timer::Stale) || hears;
        if matches!(passes, Passes::All) && matches!(slot.state, State::Open) && !asks {
            let again = Again::By(match slot.timer {
                Timer::WithinRto => FAR,
                _ => now + SHORTEST,
            });
            slot.timer = Timer::WithinRto;
            return Some(sent(again));
        }
        slot.timer = Timer::Exact; // who armed it sees to that
        let poll_at = match passes {
            Passes::DeviceFull => None,
            Passes::Done(None) if before.unacknowledged > 0 && after != tcp::State::Closed => {
                self.rescue(host, slot, device);
                Some(now)
            }
            Passes::Done(poll_at) => poll_at,
            Passes::All | Passes::Cut => self.0.poll_at(now, (*slot.set).as_mut()?),
        };
        let again = passes.again(poll_at, now);
        if matches!(again, Again::DeviceFull | Again::Next) {
            slot.timer = Timer::Stale;
        }
        Some(sent(again))
    }
}

/// A device with this frame in it, and room for one to this peer.
#[inline]
pub(crate) fn one_shot<'f, 'o, T>(
    host: &'f Host<'_>,
    outlet: &'f Outlet<'o>,
    to: &'f Hardware,
    frame: Option<&'f [u8]>,
    tx: Option<Tx<T>>,
) -> OneShot<'f, T, Outlet<'o>> {
    let from = &host.config.hardware_addr;
    OneShot {
        frame: frame.and_then(|frame| frame.get(ETHERNET..)),
        tx,
        ends: Ends { to, from },
        leaving: outlet,
        capabilities: &host.capabilities,
        asked: false,
    }
}

/// An interface below which there is nothing but the peer, whose generator begins
/// at `seed`: it takes every address for its own and every other for a
/// neighbor's, because the demux has looked at them.
pub(crate) fn interface(seed: u64, now: Instant, capabilities: &DeviceCapabilities) -> Interface {
    let mut config = smoltcp::iface::Config::new(HardwareAddress::Ip);
    config.random_seed = seed;
    let mut interface = Interface::new(config, &mut Nothing(capabilities), now);
    interface.set_any_ip(true);
    interface
}

/// Lets one socket send until it has nothing left or the limit is reached. A
/// second bare acknowledgement in a row is no progress: smoltcp can be brought
/// to send those for ever, and the loop ends there.
fn passes<D: Device + ?Sized>(
    iface: &mut Interface,
    host: &Host<'_>,
    peer: &Hardware,
    set: &mut SocketSet<'_>,
    device: &mut D,
) -> Passes {
    let (now, outlet) = (host.now, &host.outlet);
    for pass in 0..host.config.frames_per_slot.max(2) {
        let token = device.transmit(now);
        let has_room = token.is_some();
        let mut one = one_shot(host, outlet, peer, None, token.map(Tx::Device));
        let is_over = iface.poll_egress(now, &mut one, set) == PollResult::None;
        match outlet.last.get() {
            _ if is_over && one.asked && !has_room => return Passes::DeviceFull,
            Carried::LastData if !is_over => return Passes::All,
            Carried::Other if !is_over => continue,
            _ => (),
        }
        // Of an acknowledgement most often it was all there was, and to ask costs less
        // than another pass that finds nothing.
        let poll_at = iface.poll_at(now, set);
        if is_over || pass > 0 || poll_at.is_none_or(|at| at > now) {
            return Passes::Done(poll_at);
        }
    }
    Passes::Cut
}

/// The same over a path that is narrower than the link.
#[cold]
#[inline(never)]
fn narrow_passes<D: Device + ?Sized>(
    mtu: u16,
    host: &Host<'_>,
    peer: &Hardware,
    set: &mut SocketSet<'_>,
    device: &mut D,
) -> Passes {
    let mut narrow = host.capabilities.clone();
    narrow.max_transmission_unit = mtu.into();
    let mut iface = interface(0, host.now, &narrow);
    passes(&mut iface, host, peer, set, device)
}

/// What leaves from now on is of this flow.
#[cfg_attr(target_pointer_width = "32", inline(never))]
fn begins(outlet: &Outlet<'_>, view: &TcpView, edge: &Edge, heard: &PeerView) {
    outlet.view.set(*view);
    outlet.edge.set(*edge);
    outlet.heard.set(*heard);
}

/// How many bytes nobody has read yet.
fn unread(set: &mut SocketSet<'_>) -> usize {
    let socket = set.get_mut::<tcp::Socket<'_>>(SocketHandle::default());
    socket.recv_queue()
}

/// Hands a frame to a slot's socket, and counts what of it that took.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(target_pointer_width = "64", inline)]
fn hand<T: TxToken>(
    iface: &mut Interface,
    (host, outlet): (&Host<'_>, &Outlet<'_>),
    slot: &mut Slot<'_>,
    frame: &[u8],
    token: Tx<T>,
) {
    let Some(set) = (*slot.set).as_mut() else {
        return;
    };
    let before = unread(set);
    begins(outlet, &slot.view, &slot.edge, &slot.heard);
    let mut device = one_shot(host, outlet, &slot.peer, Some(frame), Some(token));
    iface.poll_ingress_single(host.now, &mut device, set);
    slot.view = outlet.view.get();
    slot.view.rcv_nxt += unread(set).saturating_sub(before);
    slot.edge = outlet.edge.get();
}

/// Answers a SYN from a fresh slot, with this sequence number. False: smoltcp does
/// not like it.
pub(crate) fn begin<T: TxToken>(
    host: &Host<'_>,
    slot: &mut Slot<'_>,
    (listener, isn): (u32, TcpSeqNumber),
    (segment, frame): (&Segment, &[u8]),
    token: T,
) -> bool {
    let seed = isn::seed(isn, isn::DRAWS);
    let mut scratch = interface(seed, host.now, &host.capabilities);
    slot.shakes(listener, segment, host);
    slot.view = TcpView::of_syn(segment.seq);
    let listens = slot
        .socket()
        .is_some_and(|socket| socket.listen(segment.flow.listens()).is_ok());
    let token = Tx::Device(token);
    hand(&mut scratch, (host, &host.outlet), slot, frame, token);
    listens
        && slot
            .socket()
            .is_some_and(|socket| socket.state() == tcp::State::SynReceived)
}
