//! Connections that begin without a SYN of their peer's: one whose SYN was answered with a
//! cookie, and one of ours. Each begins in an interface of its own, whose first draws give
//! the sequence number.

use smoltcp::phy::TxToken;
use smoltcp::socket::tcp;
use smoltcp::wire::TcpSeqNumber;

use crate::frame::build::{self, Bare, SYN, window_of};
use crate::frame::demux::Segment;
use crate::frame::flow::Flow;
use crate::frame::link::ETHERNET;
use crate::frame::one_shot::Tx;
use crate::rules::cookie::Cookie;
use crate::rules::guard::{Edge, TcpView};
use crate::rules::isn;
use crate::rules::normalise::PeerView;
use crate::stack::engine::{interface, one_shot};
use crate::table::buffers::Buffers;
use crate::table::host::{Host, Outlet};
use crate::table::slot::{Slot, tcp_of};

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
    slot.shakes(listener, segment, host.now, host.config.handshake_timeout);
    // The number of draws depends on what else smoltcp was built for.
    for draws in isn::DRAWS..isn::DRAWS + 3 {
        let Some(set) = (*slot.set).as_mut() else {
            return false;
        };
        buffers.renew(set);
        let seed = isn::seed(cookie.isn, draws);
        let mut scratch = interface(seed, host, &host.capabilities);
        if tcp_of(set).listen(segment.flow.listens()).is_err() {
            return false;
        }
        let outlet = Outlet::new(host.outlet.checks.clone());
        let tx = Some(Tx::<T>::Discard);
        let mut device = one_shot(host, &outlet, &slot.peer, Some(&frame), tx);
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

/// Has a fresh socket begin a connection, with this sequence number.
pub(crate) fn connect(
    host: &Host<'_>,
    socket: &mut tcp::Socket<'_>,
    flow: &Flow,
    isn: TcpSeqNumber,
) -> bool {
    let seed = isn::seed(isn, isn::DRAWS);
    let mut scratch = interface(seed, host, &host.capabilities);
    let (remote, local) = (flow.remote(), flow.local());
    socket.connect(scratch.context(), remote, local).is_ok()
}
