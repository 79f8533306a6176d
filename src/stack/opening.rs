//! Connections that begin without a SYN of their peer's: one whose SYN was answered with a
//! cookie, and one of ours. Each begins in an interface of its own, whose first draws give
//! the sequence number.

use smoltcp::phy::TxToken;
use smoltcp::socket::tcp;
use smoltcp::wire::{IpAddress, IpEndpoint, TcpSeqNumber};

use crate::event::Event;
use crate::frame::build::{Bare, SYN, window_of};
use crate::frame::demux::{Segment, is_loopback};
use crate::frame::flow::Flow;
use crate::frame::link::ETHERNET;
use crate::frame::one_shot::Tx;
use crate::rules::cookie::Cookie;
use crate::rules::guard::{Edge, TcpView};
use crate::rules::isn;
use crate::rules::normalise::PeerView;
use crate::stack::connections::Connections;
use crate::stack::engine::{interface, one_shot};
use crate::table::buffers::Buffers;
use crate::table::host::{Host, Outlet};
use crate::table::slot::{Slot, tcp_of};
use crate::table::slots::SlotKey;

/// Brings a fresh slot to where it would be had it answered the SYN and had the
/// acknowledgement come. False: it cannot be.
pub(crate) fn replay<'a, T: TxToken>(
    host: &Host<'_>,
    slot: &mut Slot<'a>,
    buffers: &mut Buffers<'a>,
    (listener, cookie): (u32, &Cookie),
    (segment, acknowledgement): (&Segment, &[u8]),
) -> bool {
    let syn = Bare {
        flags: SYN,
        seq: cookie.irs,
        mss: Some(cookie.mss),
        ..Bare::default()
    };
    let frame = host.as_its_sender(segment, &syn);
    slot.shakes(listener, segment, host);
    // The number of draws depends on what else smoltcp was built for.
    for draws in isn::DRAWS..isn::DRAWS + 3 {
        let Some(set) = (*slot.set).as_mut() else {
            return false;
        };
        buffers.renew(set);
        let seed = isn::seed(cookie.isn, draws);
        let mut scratch = interface(seed, host.now, &host.capabilities);
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

/// Why `connect` cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CannotConnect {
    Unaddressable,
    NoSlot,
    NoPort,
}

/// Takes a slot and sends a SYN in this turn.
pub(crate) fn connect(
    connections: &mut Connections<'_>,
    host: &mut Host<'_>,
    remote: IpEndpoint,
) -> Result<SlotKey, CannotConnect> {
    let addresses = &host.addresses;
    let usable = |addr: IpAddress| {
        addr.is_unicast()
            && !is_loopback(addr)
            && !addresses.is_broadcast(addr)
            && !addresses.has(addr)
    };
    if remote.port == 0 || !usable(remote.addr) || addresses.next_hop(remote.addr).is_none() {
        return Err(CannotConnect::Unaddressable);
    }
    let source = addresses.source(remote.addr);
    let addr = source.ok_or(CannotConnect::Unaddressable)?;
    // At most one port per slot is taken, so this many tries suffice.
    let tries = connections.slots.len() + 1;
    let taken = |flow: &Flow| connections.find(flow).is_some();
    let flow = host
        .secrets
        .dynamic_flow(IpEndpoint { addr, port: 0 }, remote, tries, taken)
        .ok_or(CannotConnect::NoPort)?;
    let id = connections.take(host).ok_or(CannotConnect::NoSlot)?;
    let slot = &mut connections.slots[id];
    slot.owners = 1;
    slot.clocks.give_up = host.now + host.config.connect_timeout;
    let isn = host.secrets.isn(&flow, host.now);
    let connects = slot
        .socket()
        .is_some_and(|socket| begin(host, socket, &flow, isn));
    if !connects || !connections.serve(id, flow) {
        connections.free(id, host);
        return Err(CannotConnect::Unaddressable);
    }
    host.tell(&Event::Connecting {
        slot: id.number(),
        local: flow.local(),
        remote,
    });
    connections.slots.mark_dirty(id);
    Ok(connections.slots.key(id))
}

/// Has a fresh socket begin a connection, with this sequence number.
fn begin(host: &Host<'_>, socket: &mut tcp::Socket<'_>, flow: &Flow, isn: TcpSeqNumber) -> bool {
    let seed = isn::seed(isn, isn::DRAWS);
    let mut scratch = interface(seed, host.now, &host.capabilities);
    let (remote, local) = (flow.remote(), flow.local());
    socket.connect(scratch.context(), remote, local).is_ok()
}
