//! smoltcp, as an engine: a segment into its socket, a packet for nobody's socket to the
//! host; and out comes what a slot has to send, in a bounded number of passes. What the
//! guard says about a segment is done here, and what smoltcp is shown of it.
//!
//! Not here: how a connection begins (`opening.rs`), whose a frame is, which slots send,
//! and what follows (`core.rs`).

use smoltcp::iface::{Interface, PollResult, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::HardwareAddress;

use crate::counters::DropReason;
use crate::frame::build::{self, Bare, offer_of};
use crate::frame::demux::{Control, Segment};
use crate::frame::link::{ETHERNET, Hardware};
use crate::frame::one_shot::{CapsOnly, Ends, OneShot, Tx};
use crate::frame::patch::{self, COPY};
use crate::rules::guard::{Verdict, answered_with, ended, judge};
use crate::rules::lifecycle::{Before, Cut, Settled, State, is_cut, is_unanswered, settle};
use crate::rules::normalise::{Ours, PeerView, Rewrite, connecting};
use crate::table::host::{Carried, Host, Outlet};
use crate::table::slot::{Slot, Timer, tcp_of};
use crate::time::FAR;

/// How long a slot whose `poll_at` lies in the past is left alone before it
/// is asked again, when asking did not move it. A peer can bring smoltcp
/// there, and gets two acknowledgements each time.
pub(crate) const REARM: Duration = Duration::from_secs(1);

/// smoltcp's shortest retransmission timeout. A connection that is busy need
/// not be asked for its timer after every segment (a tenth of what a small
/// request costs): no timer that begins now is over sooner, and what a slot is
/// armed for is never later than one that began before, unless the slot says so
/// (`Timer::Stale`). Armed too early, it is asked then.
pub(crate) const SHORTEST: Duration = Duration::from_secs(1);

/// What became of a slot that was to send.
pub(crate) struct Sent {
    /// What its socket looked like before.
    pub(crate) before: Before,
    pub(crate) after: tcp::State,
    pub(crate) again: Again,
}

/// When a slot is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// When it is already, unless that is later than this.
    By(Instant),
    /// When smoltcp wants it: its own deadlines are to be asked too.
    At(Instant),
    /// In the next turn.
    Next,
    /// As soon as the device has room.
    DeviceFull,
}

/// How a slot's passes ended, and when smoltcp wants to be asked again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Passes {
    /// There was nothing (more) to send.
    Done(Option<Instant>),
    /// The last frame carried all that was left to send, and an
    /// acknowledgement: whatever timer runs now was asked about before, or
    /// began just now and runs for [`SHORTEST`].
    All,
    /// There is more, and the limit was reached.
    Cut,
    /// There is more, and the device has no room for it.
    DeviceFull,
}

/// smoltcp's interface, through which a host and its connections speak IP.
pub(crate) struct Engine(pub(crate) Interface);

impl Engine {
    pub(crate) fn new(capabilities: &DeviceCapabilities) -> Self {
        Engine(interface(0, capabilities, Instant::ZERO))
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
        host.outlet.heard.set(PeerView::NOTHING);
        let mut nobody = SocketSet::new(&mut [][..]);
        let mut device = OneShot {
            frame: frame.get(ETHERNET..),
            tx: Some(Tx::Device(token)),
            ends: Ends {
                to: &from,
                from: &host.config.hardware_addr,
            },
            leaving: &host.outlet,
            capabilities: &host.capabilities,
            asked: false,
        };
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
        (segment, frame): (&Segment, &[u8]),
        token: T,
    ) -> Option<Settled> {
        let Some(socket) = slot.socket() else {
            host.dropped(DropReason::Borrowed);
            return None;
        };
        let before = Before::of(socket);
        let half_open = matches!(slot.state, State::Connecting | State::HalfOpen);
        let verdict = match is_unanswered(slot.state, before.tcp) {
            // smoltcp takes no bytes before its SYN is answered.
            true => Verdict::PassEmpty,
            false => judge(segment, &slot.view, &slot.edge, half_open, host.now),
        };
        let is_plain = verdict == Verdict::Pass
            && matches!(segment.control, Control::Other)
            && !segment.fin
            && slot.heard.is_plain(segment, slot.view.snd_max);
        let control = if is_plain {
            // A peer that moves takes its flow with it.
            slot.peer = segment.remote_hardware;
            slot.heard.heard(segment);
            let token = Tx::Device(token);
            hand(&mut self.0, (host, &host.outlet), slot, frame, token);
            Control::Other
        } else {
            self.look(host, slot, (segment, frame), (verdict, &before), token)?
        };
        if let Some(end) = slot.heard.end_due(slot.view.rcv_nxt) {
            self.tell::<T>(host, slot, segment, &end);
        }
        let socket = tcp_of((*slot.set).as_mut()?);
        if slot.clocks.silent_at != FAR {
            slot.clocks.silent_at = patience(host.now, socket);
        }
        if segment.payload > 0 {
            slot.clocks.pace.heard(host.tick);
        }
        let mut settled = settle(slot.state, Some(before), socket);
        let after = socket.state();
        if after != before.tcp {
            learn(slot, (before.tcp, after), segment, frame);
            settled.reset = control == Control::Rst && is_cut(slot.state, before.tcp, after);
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
        (verdict, before): (Verdict, &Before),
        token: T,
    ) -> Option<Control> {
        let snd_max = slot.view.snd_max;
        let is_unanswered = is_unanswered(slot.state, before.tcp);
        let ours = Ours {
            rcv_nxt: slot.view.rcv_nxt,
            snd_max,
            max_rcv_wnd: u32::from(u16::MAX) << slot.edge.scale,
            queued: before.unacknowledged,
        };
        let (verdict, rewrite) = match is_unanswered {
            true => (verdict, connecting(segment, snd_max)),
            false => slot.heard.hears(segment, verdict, &ours),
        };
        let (us, peer) = host.both(segment);
        let made;
        let (mut shown, mut control, mut besides) = (Some(frame), segment.control, None);
        match verdict {
            Verdict::Pass => slot.peer = segment.remote_hardware,
            Verdict::PassEmpty => (),
            Verdict::PassOnce => slot.view.answered(host.now),
            Verdict::Drop(reason) | Verdict::Challenge(reason) => host.dropped(reason),
        }
        match (verdict, rewrite) {
            (Verdict::Drop(_), _) => shown = None,
            (Verdict::Challenge(_), _) => {
                made = build::segment(peer, us, &slot.view.challenge());
                (shown, control) = (made.as_deref(), Control::Other);
            }
            (_, Rewrite::Instead(bare)) => {
                made = build::segment(peer, us, &bare);
                shown = made.as_deref();
            }
            _ if is_unanswered && matches!(control, Control::Syn | Control::SynAck) => {
                (slot.heard, made) = host.opening(segment, frame);
                shown = made.as_deref().or(shown);
            }
            _ => (),
        }
        match rewrite {
            Rewrite::Besides(bare) => besides = Some(bare),
            // What is too long for a copy is put right afterwards.
            Rewrite::Numbers(bare) if frame.len() > COPY => besides = Some(bare),
            _ => (),
        }
        match (shown, verdict) {
            (Some(shown), _) => match rewrite {
                Rewrite::Numbers(numbers) => {
                    hand_copy(&mut self.0, host, slot, (frame, &numbers), token);
                }
                _ => {
                    let token = Tx::Device(token);
                    hand(&mut self.0, (host, &host.outlet), slot, shown, token);
                }
            },
            // Whoever repeats itself is there.
            (None, Verdict::Drop(DropReason::RepeatedAck)) => control = Control::Other,
            _ if besides.is_none() => return None,
            _ => control = Control::Other,
        }
        if let Some(bare) = besides {
            self.tell::<T>(host, slot, segment, &bare);
        }
        Some(control)
    }

    /// Tells smoltcp something that a segment said besides. It has nothing to answer to
    /// that.
    #[cold]
    fn tell<T: TxToken>(
        &mut self,
        host: &Host<'_>,
        slot: &mut Slot<'_>,
        segment: &Segment,
        bare: &Bare,
    ) {
        let (us, peer) = host.both(segment);
        let seq = slot.view.rcv_nxt;
        if let Some(frame) = build::segment(peer, us, &Bare { seq, ..*bare }) {
            let unseen = Outlet::new(host.outlet.checks.clone());
            let token = Tx::<T>::Discard;
            hand(&mut self.0, (host, &unseen), slot, &frame, token);
        }
    }

    /// Lets a slot send what it has. `None`: its socket is away.
    #[inline]
    pub(crate) fn send<D: Device + ?Sized>(
        &mut self,
        host: &Host<'_>,
        slot: &mut Slot<'_>,
        device: &mut D,
    ) -> Option<Sent> {
        let now = host.now;
        let set = (*slot.set).as_mut()?;
        let before = Before::of(tcp_of(set));
        host.outlet.view.set(slot.view);
        host.outlet.edge.set(slot.edge);
        host.outlet.heard.set(slot.heard);
        let passes = passes(&mut self.0, host, &slot.peer, set, device);
        let after = tcp_of(set).state();
        slot.view = host.outlet.view.get();
        slot.edge = host.outlet.edge.get();
        if before.unacknowledged > 0 {
            slot.clocks.pace.waits(host.tick);
        }
        let asks = matches!(slot.timer, Timer::Stale) || slot.clocks.silent_at != FAR;
        if passes == Passes::All && matches!(slot.state, State::Open) && !asks {
            let again = Again::By(match slot.timer {
                Timer::WithinRto => FAR,
                _ => now + SHORTEST,
            });
            slot.timer = Timer::WithinRto;
            return Some(Sent {
                before,
                after,
                again,
            });
        }
        slot.timer = Timer::Exact; // who armed it sees to that
        let poll_at = match passes {
            Passes::DeviceFull => None,
            Passes::Done(poll_at) => poll_at,
            Passes::All | Passes::Cut => self.0.poll_at(now, set),
        };
        let again = match poll_at {
            _ if passes == Passes::DeviceFull => Again::DeviceFull,
            Some(at) if at <= now && passes == Passes::Cut => Again::Next,
            Some(at) if at <= now => Again::At(now + REARM),
            Some(at) => Again::At(at),
            None => Again::At(FAR),
        };
        if matches!(again, Again::DeviceFull | Again::Next) {
            slot.timer = Timer::Stale;
        }
        Some(Sent {
            before,
            after,
            again,
        })
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
        let mut one = OneShot {
            frame: None,
            tx: token.map(Tx::Device),
            ends: Ends {
                to: peer,
                from: &host.config.hardware_addr,
            },
            leaving: outlet,
            capabilities: &host.capabilities,
            asked: false,
        };
        if iface.poll_egress(now, &mut one, set) == PollResult::None {
            return match one.asked && !has_room {
                true => Passes::DeviceFull,
                false => Passes::Done(iface.poll_at(now, set)),
            };
        }
        match outlet.last.get() {
            Carried::LastData => return Passes::All,
            // Most often it was all there was, and to ask costs less than
            // another pass that finds nothing.
            Carried::PureAck => {
                let poll_at = iface.poll_at(now, set);
                if pass > 0 || poll_at.is_none_or(|at| at > now) {
                    return Passes::Done(poll_at);
                }
            }
            Carried::Other => (),
        }
    }
    Passes::Cut
}

/// Hands a frame to a slot's socket.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(target_pointer_width = "64", inline)]
pub(crate) fn hand<T: TxToken>(
    iface: &mut Interface,
    (host, outlet): (&Host<'_>, &Outlet<'_>),
    slot: &mut Slot<'_>,
    frame: &[u8],
    token: Tx<T>,
) {
    let Some(set) = (*slot.set).as_mut() else {
        return;
    };
    outlet.view.set(slot.view);
    outlet.edge.set(slot.edge);
    outlet.heard.set(slot.heard);
    let before = tcp_of(set).recv_queue();
    let mut device = OneShot {
        frame: frame.get(ETHERNET..),
        tx: Some(token),
        ends: Ends {
            to: &slot.peer,
            from: &host.config.hardware_addr,
        },
        leaving: outlet,
        capabilities: &host.capabilities,
        asked: false,
    };
    iface.poll_ingress_single(host.now, &mut device, set);
    slot.view = outlet.view.get();
    slot.edge = outlet.edge.get();
    slot.view.rcv_nxt += tcp_of(set).recv_queue().saturating_sub(before);
}

/// What a segment with which smoltcp's state moved says of its flow.
#[cold]
fn learn(slot: &mut Slot<'_>, states: (tcp::State, tcp::State), segment: &Segment, frame: &[u8]) {
    use tcp::State::{CloseWait, Closing, Established, LastAck, SynReceived, SynSent, TimeWait};
    let (view, edge) = (&mut slot.view, &mut slot.edge);
    match states {
        (SynSent, SynReceived | Established) => {
            answered_with(view, edge, segment.seq, offer_of(frame).scale.is_some());
        }
        (CloseWait | Closing | LastAck | TimeWait, _) => (),
        (_, CloseWait | Closing | LastAck | TimeWait) => ended(view, edge),
        _ => (),
    }
}

/// Hands a copy with other numbers to a slot's socket; the frame if it is too long for
/// that.
#[cold]
#[inline(never)]
fn hand_copy<T: TxToken>(
    iface: &mut Interface,
    host: &Host<'_>,
    slot: &mut Slot<'_>,
    (frame, numbers): (&[u8], &Bare),
    token: T,
) {
    let mut copy = [0; COPY];
    let copy = patch::numbers(frame, numbers.ack, numbers.window, &mut copy);
    let token = Tx::Device(token);
    hand(
        iface,
        (host, &host.outlet),
        slot,
        copy.unwrap_or(frame),
        token,
    );
}

/// How long a peer that is asked may stay silent from now on.
#[inline(never)]
pub(crate) fn patience(now: Instant, socket: &tcp::Socket<'_>) -> Instant {
    let interval = socket.keep_alive();
    interval.map_or(FAR, |interval| {
        let micros = interval.total_micros().saturating_mul(4);
        Instant::from_micros(now.total_micros().saturating_add_unsigned(micros))
    })
}
