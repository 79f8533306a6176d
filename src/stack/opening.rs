//! How a connection begins: a SYN into a fresh socket, a cookie's connection brought to
//! where it would be, a SYN of ours. Each through an interface of its own, whose generator
//! begins where our sequence number needs it (`isn.rs`).
//!
//! Not here: who gets in (`gate.rs`), and all segments after that (`engine.rs`).

use smoltcp::phy::TxToken;
use smoltcp::socket::tcp;
use smoltcp::wire::{IpListenEndpoint, TcpSeqNumber};

use crate::frame::build::{self, Bare, SYN, window_of};
use crate::frame::demux::Segment;
use crate::frame::flow::Flow;
use crate::frame::link::ETHERNET;
use crate::frame::one_shot::{Ends, OneShot, Tx};
use crate::rules::cookie::Cookie;
use crate::rules::guard::{Edge, TcpView};
use crate::rules::isn;
use crate::rules::lifecycle::State;
use crate::rules::limits::{Pace, TimeLimits};
use crate::rules::normalise::PeerView;
use crate::stack::engine::{hand, interface};
use crate::table::buffers::Buffers;
use crate::table::host::{Host, Outlet};
use crate::table::slot::{Slot, tcp_of};
use crate::time::after;

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
    hand(
        &mut scratch,
        (host, &host.outlet),
        slot,
        frame,
        Tx::Device(token),
    );
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
        slot.view.rcv_nxt = cookie.irs + 1;
        slot.heard = PeerView::of_syn(
            cookie.mss,
            None,
            window_of(acknowledgement),
            Some(view.snd_max),
        );
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
