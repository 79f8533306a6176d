//! smoltcp, as an engine: a segment into its socket, a SYN into a fresh one, a packet
//! for nobody's socket to the host; and out comes what a slot has to send, in a bounded
//! number of passes. The only caller of smoltcp's `Interface`. What the guard says
//! about a segment is done here.
//!
//! Not here: whose a frame is, which slots send, and what follows (`core.rs`).

use smoltcp::iface::{Interface, PollResult, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpListenEndpoint, TcpSeqNumber};

use crate::counters::DropReason;
use crate::frame::build::{self, ACK, Bare, Frame, SYN, scale_of};
use crate::frame::demux::{Control, Segment};
use crate::frame::flow::Flow;
use crate::frame::link::{ETHERNET, Hardware};
use crate::frame::one_shot::{CapsOnly, Ends, OneShot, Tx};
use crate::rules::cookie::Cookie;
use crate::rules::guard::{Edge, TcpView, Verdict, answered_with, ended_with, judge};
use crate::rules::isn;
use crate::rules::lifecycle::{Before, Cut, Settled, State, settle};
use crate::rules::limits::{Pace, TimeLimits};
use crate::table::buffers::Buffers;
use crate::table::host::{Carried, Host, Outlet};
use crate::table::slot::{Slot, Timer, tcp_of};
use crate::time::{FAR, after};

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
        let mut before = None;
        if let Some(socket) = slot.socket() {
            before = Some(Before::of(socket));
        }
        if slot.view.repeats_all_but_fin(segment)
            && before.is_some_and(|before| before.only_fin_left())
        {
            host.dropped(DropReason::RepeatedAck);
            return None;
        }
        let (mut frame, mut control) = (frame, segment.control);
        let probe;
        let half_open = matches!(slot.state, State::Connecting | State::HalfOpen);
        let is_unanswered = matches!(slot.state, State::Connecting)
            && before.is_none_or(|before| before.tcp != tcp::State::SynReceived);
        let verdict = match is_unanswered {
            // smoltcp takes no bytes before its SYN is answered.
            true => Verdict::PassEmpty,
            false => judge(segment, &slot.view, &slot.edge, half_open, host.now),
        };
        match verdict {
            // A peer that moves takes its flow with it.
            Verdict::Pass => slot.peer = segment.remote_hardware,
            Verdict::PassEmpty => (),
            Verdict::PassOnce => slot.view.answered(host.now),
            Verdict::Drop(reason) => {
                host.dropped(reason);
                return None;
            }
            Verdict::Challenge(reason) => {
                host.dropped(reason);
                probe = challenge(segment, &slot.view, host)?;
                (frame, control) = (&probe, Control::Other);
            }
        }
        let Some(before) = before else {
            host.dropped(DropReason::Borrowed);
            return None;
        };
        hand(&mut self.0, host, slot, frame, token);
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
fn interface(seed: u64, capabilities: &DeviceCapabilities, now: Instant) -> Interface {
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
fn hand<T: TxToken>(
    iface: &mut Interface,
    host: &Host<'_>,
    slot: &mut Slot<'_>,
    frame: &[u8],
    token: T,
) {
    let Some(set) = (*slot.set).as_mut() else {
        return;
    };
    host.outlet.view.set(slot.view);
    host.outlet.edge.set(slot.edge);
    let mut device = OneShot {
        frame: frame.get(ETHERNET..),
        tx: Some(Tx::Device(token)),
        ends: Ends {
            to: &slot.peer,
            from: &host.config.hardware_addr,
        },
        leaving: &host.outlet,
        capabilities: &host.capabilities,
        asked: false,
    };
    iface.poll_ingress_single(host.now, &mut device, set);
    slot.view = host.outlet.view.get();
    slot.edge = host.outlet.edge.get();
}

/// What a segment with which smoltcp's state moved says of its flow.
#[cold]
fn learn(slot: &mut Slot<'_>, states: (tcp::State, tcp::State), segment: &Segment, frame: &[u8]) {
    use tcp::State::{CloseWait, Closing, Established, LastAck, SynReceived, SynSent, TimeWait};
    let (view, edge) = (&mut slot.view, &mut slot.edge);
    match states {
        (SynSent, SynReceived | Established) => {
            answered_with(view, edge, segment.seq, scale_of(frame).is_some());
        }
        (CloseWait | Closing | LastAck | TimeWait, _) => (),
        (_, CloseWait | Closing | LastAck | TimeWait) => ended_with(view, edge, segment),
        _ => (),
    }
}

/// Whether the peer has cut the connection by a reset that the socket took. In
/// TIME-WAIT nothing is left to cut (RFC 1337), and a connection that is not yet one
/// was refused.
fn is_cut(state: State, before: tcp::State, after: tcp::State) -> bool {
    use tcp::State::{Closed, Listen, TimeWait};
    state != State::Connecting && before != TimeWait && matches!(after, Closed | Listen)
}

/// A segment that makes smoltcp say where it stands, at most once a second per
/// connection: one before the window and empty, like a keep-alive. A peer that
/// meant what was dropped answers with a reset that is exact (RFC 5961, 3.2 and
/// 4.2).
#[cold]
fn challenge(segment: &Segment, view: &TcpView, host: &Host<'_>) -> Option<Frame> {
    let bare = Bare {
        flags: ACK,
        seq: TcpSeqNumber(view.rcv_nxt.0.wrapping_sub(1)),
        ack: view.snd_max,
        ..Bare::default()
    };
    let (us, peer) = host.both(segment);
    build::segment(peer, us, &bare)
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

/// A handshake begins: what is known of a fresh slot.
fn shake(host: &Host<'_>, slot: &mut Slot<'_>, listener: u32, segment: &Segment) {
    slot.state = State::HalfOpen;
    slot.listener = listener;
    slot.peer = segment.remote_hardware;
    slot.clocks.give_up = after(host.now, host.config.handshake_timeout);
    slot.clocks.pace = Pace::begin(&TimeLimits::NONE, host.now);
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
    let mut scratch = interface(seed, &host.capabilities, host.now);
    shake(host, slot, listener, segment);
    slot.view = TcpView::of_syn(segment.seq);
    let listens = slot
        .socket()
        .is_some_and(|socket| listen(socket, &segment.flow));
    hand(&mut scratch, host, slot, frame, token);
    listens
        && slot
            .socket()
            .is_some_and(|socket| socket.state() == tcp::State::SynReceived)
}

/// Brings a fresh slot to where it would be had it answered the SYN and had the
/// acknowledgement come. False: it cannot be.
pub(crate) fn replay<'a, T: TxToken>(
    host: &Host<'_>,
    slot: &mut Slot<'a>,
    buffers: &mut Buffers<'a>,
    (listener, cookie): (u32, &Cookie),
    (segment, acknowledgement): (&Segment, &[u8]),
) -> bool {
    let (us, peer) = host.both(segment);
    let syn = Bare {
        flags: SYN,
        seq: cookie.irs,
        mss: Some(cookie.mss),
        ..Bare::default()
    };
    let Some(frame) = build::segment(peer, us, &syn) else {
        return false;
    };
    shake(host, slot, listener, segment);
    // The number of draws depends on what else smoltcp was built for.
    for draws in isn::DRAWS..isn::DRAWS + 3 {
        let Some(set) = (*slot.set).as_mut() else {
            return false;
        };
        buffers.renew(set);
        let seed = isn::seed(cookie.isn, draws);
        let mut scratch = interface(seed, &host.capabilities, host.now);
        if !listen(tcp_of(set), &segment.flow) {
            return false;
        }
        let outlet = Outlet::new(host.outlet.checks.clone());
        let mut device = OneShot {
            frame: frame.get(ETHERNET..),
            tx: Some(Tx::<T>::Discard),
            ends: Ends {
                to: &slot.peer,
                from: &host.config.hardware_addr,
            },
            leaving: &outlet,
            capabilities: &host.capabilities,
            asked: false,
        };
        scratch.poll_ingress_single(host.now, &mut device, set);
        device.tx = Some(Tx::Discard);
        scratch.poll_egress(host.now, &mut device, set);
        let (view, edge): (TcpView, Edge) = (outlet.view.get(), outlet.edge.get());
        if view.snd_max != cookie.isn + 1 {
            continue;
        }
        (device.frame, device.tx) = (acknowledgement.get(ETHERNET..), Some(Tx::Discard));
        scratch.poll_ingress_single(host.now, &mut device, set);
        (slot.view, slot.edge) = (view, edge);
        return true;
    }
    false
}

fn listen(socket: &mut tcp::Socket<'_>, flow: &Flow) -> bool {
    let endpoint = IpListenEndpoint {
        addr: Some(flow.local_addr()),
        port: flow.local_port(),
    };
    socket.listen(endpoint).is_ok()
}

/// Has a fresh socket begin a connection, with this sequence number.
pub(crate) fn connect(
    host: &Host<'_>,
    socket: &mut tcp::Socket<'_>,
    flow: &Flow,
    isn: TcpSeqNumber,
) -> bool {
    let seed = isn::seed(isn, isn::DRAWS);
    let mut scratch = interface(seed, &host.capabilities, host.now);
    let (remote, local) = (flow.remote(), flow.local());
    socket.connect(scratch.context(), remote, local).is_ok()
}
