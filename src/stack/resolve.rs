//! Hardware addresses. A connection speaks to where its own frames come from
//! (`one_shot.rs`), and every answer goes where the question came from, so two
//! things are left for which somebody must be asked: the first SYN of a connection
//! of ours, and a peer that does not answer any more. Whoever sends ARP can turn
//! nothing else elsewhere, and not even that: only the answer to a question that was
//! asked is believed, and the first one.
//!
//! How wide the way is, a router may say; that is believed as far as `pmtu.rs` allows.
//!
//! A place holds a question or its answer. Questions of others are answered and
//! forgotten. IPv6's neighbor discovery obeys the same rules.

use smoltcp::phy::{Device, TxToken};

use crate::counters::DropReason;
use crate::frame::build::{self, Frame};
use crate::frame::icmp::TooBig;
use crate::frame::link::{EVERYBODY, NOBODY};
use crate::frame::neighbor::Claim;
use crate::rules::lifecycle::State;
use crate::rules::pmtu::narrowed;
use crate::stack::connections::Connections;
use crate::table::host::Host;
use crate::table::neighbors::{ASK_AGAIN, AT_THE_LATEST, FOR_CONNECTIONS, Lookup, Neighbors};
use crate::table::slots::SlotId;

/// A frame that says, or asks, who owns an address. True: a question of ours is
/// answered.
pub(crate) fn hear<T: TxToken>(
    neighbors: &mut Neighbors,
    host: &mut Host<'_>,
    claim: Option<Claim>,
    token: T,
) -> bool {
    let refused = match claim {
        None => DropReason::Malformed,
        Some(claim) => match claim.asks_for {
            None if neighbors.hear(claim.addr, claim.hardware, host.now) => return true,
            None => DropReason::Unsolicited,
            Some(ours) if host.addresses.has(ours) => {
                let us = (host.config.hardware_addr, ours);
                if let Some(answer) = build::here(us, (claim.hardware, claim.addr)) {
                    host.send(&answer, token);
                }
                return false;
            }
            Some(_) => DropReason::NotOurs,
        },
    };
    host.dropped(refused);
    false
}

/// What is known of the way to a peer that does not answer is forgotten, and asked for
/// (RFC 1122, 2.3.2.1): it, or its gateway, may have moved, or a frame of its own was
/// damaged where no checksum is. Of this peer itself first, because a question to everybody
/// costs all of a network a frame.
#[cold]
pub(crate) fn doubt(
    connections: &mut Connections<'_>,
    neighbors: &mut Neighbors,
    host: &Host<'_>,
    id: SlotId,
) {
    let flow = connections.slots.flow(id);
    if let Some(hop) = flow.and_then(|flow| host.addresses.next_hop(flow.remote_addr())) {
        neighbors.doubt(hop);
        let slot = &mut connections.slots[id];
        slot.polls = slot.waits_for_neighbor.into();
        connections.slots.set_waiting(id, Some(neighbors.epoch));
        connections.slots.mark_dirty(id);
    }
}

/// Finds out where the frames of a slot are to go, and asks if need be. False as long as
/// nobody has answered, or the device is full, which is then noted.
#[cold]
#[inline(never)]
pub(crate) fn seek<D: Device + ?Sized>(
    connections: &mut Connections<'_>,
    neighbors: &mut Neighbors,
    host: &Host<'_>,
    id: SlotId,
    (device, device_full): (&mut D, &mut bool),
) -> bool {
    connections.slots.set_waiting(id, None);
    let Some(token) = device.transmit(host.now) else {
        *device_full = true;
        connections.slots.mark_dirty(id);
        return false;
    };
    let mut question = None;
    let finds = find(connections, neighbors, host, id, &mut question);
    if let Some(question) = question {
        host.send(&question, token);
    }
    finds
}

/// Finds out where the frames of a slot are to go. False as long as nobody has
/// answered; then the slot is looked at again when somebody does, or when it is time to
/// ask again, and `question` is to be sent.
fn find(
    connections: &mut Connections<'_>,
    neighbors: &mut Neighbors,
    host: &Host<'_>,
    id: SlotId,
    question: &mut Option<Frame>,
) -> bool {
    let Some(flow) = connections.slots.flow(id) else {
        return false;
    };
    let hop = host.addresses.next_hop(flow.remote_addr());
    let lookup = hop.map_or(Lookup::Wait, |hop| {
        neighbors.look_up(hop, host.now, FOR_CONNECTIONS)
    });
    let again = match lookup {
        Lookup::At(hardware) => {
            connections.slots[id].peer = hardware;
            return true;
        }
        Lookup::Wait => host.now + ASK_AGAIN,
        Lookup::Ask => {
            let us = (host.config.hardware_addr, flow.local_addr());
            let slot = &mut connections.slots[id];
            let to = if slot.polls == 0 {
                slot.peer
            } else {
                EVERYBODY
            };
            slot.polls = slot.polls.saturating_add(1);
            *question = hop.and_then(|hop| build::who_has(us, hop, to));
            host.now + AT_THE_LATEST
        }
    };
    connections.slots.set_waiting(id, Some(neighbors.epoch));
    // Whoever has somewhere to send to goes on meanwhile.
    if connections.slots[id].peer == NOBODY {
        let due = connections.slots[id].due(host).at.min(again);
        connections.deadlines.set(id.number(), Some(due));
    }
    false
}

/// A router says that a packet of ours was too big.
#[cold]
pub(crate) fn narrow(connections: &mut Connections<'_>, host: &mut Host<'_>, message: &TooBig) {
    let Some(id) = connections.find(&message.flow) else {
        return host.dropped(DropReason::Unsolicited);
    };
    let slot = &mut connections.slots[id];
    let link = host.capabilities.max_transmission_unit as u16;
    let mtu = if slot.mtu == 0 { link } else { slot.mtu };
    let flight = (slot.heard.snd_una, slot.view.snd_max);
    let is_open = matches!(slot.state, State::Open | State::Closing);
    let Some(mtu) = narrowed(message, mtu, flight).filter(|_| is_open) else {
        return host.dropped(DropReason::Unsolicited);
    };
    slot.mtu = mtu;
    host.paths.learn(message.flow.remote_addr(), mtu, host.now);
}
