//! Hardware addresses. A connection speaks to where its own frames come from
//! (`one_shot.rs`), and every answer goes where the question came from, so one
//! thing is left for which somebody must be asked: the first SYN of a connection
//! of ours. Whoever sends ARP can turn nothing else elsewhere, and not even that:
//! only the answer to a question that was asked is believed, and the first one.
//!
//! A place holds a question or its answer. Questions of others are answered and
//! forgotten. IPv6's neighbor discovery obeys the same rules.

use smoltcp::phy::{Device, TxToken};

use crate::counters::DropReason;
use crate::frame::build;
use crate::frame::neighbor::read;
use crate::stack::core::Inner;
use crate::table::neighbors::{ASK_AGAIN, AT_THE_LATEST, Lookup};

impl Inner<'_> {
    /// A frame that says, or asks, who owns an address.
    pub(crate) fn neighbor_in<T: TxToken>(&mut self, frame: &[u8], token: T) {
        let Some(claim) = read(frame) else {
            return self.dropped(DropReason::Malformed);
        };
        let Some(ours) = claim.asks_for else {
            if self.neighbors.hear(claim.addr, claim.hardware, self.now) {
                self.neighbor_news = true;
            } else {
                self.dropped(DropReason::Unsolicited);
            }
            return;
        };
        if !self.addresses.has(ours) {
            return self.dropped(DropReason::NotOurs);
        }
        let us = (self.config.hardware_addr, ours);
        if let Some(answer) = build::here(us, (claim.hardware, claim.addr)) {
            self.send(&answer, token);
        }
    }

    /// Finds out where the first SYN of a slot is to go. False as long as nobody
    /// has answered; then the slot is looked at again when somebody does, or when
    /// it is time to ask again.
    pub(crate) fn finds_peer<D: Device + ?Sized>(&mut self, index: u32, device: &mut D) -> bool {
        let now = self.now;
        let Some(token) = device.transmit(now) else {
            self.device_full = true;
            self.mark_dirty(index);
            return false;
        };
        let flow = self.slots.flow(index);
        let hop = flow.and_then(|flow| self.addresses.next_hop(flow.remote_addr()));
        let lookup = hop.map_or(Lookup::Wait, |hop| self.neighbors.look_up(hop, now));
        if let (Lookup::Ask, Some(flow), Some(hop)) = (lookup, flow, hop) {
            let us = (self.config.hardware_addr, flow.local_addr());
            if let Some(question) = build::who_has(us, hop) {
                self.send(&question, token);
            }
        }
        let Some(slot) = self.slots.get(index) else {
            return false;
        };
        if let Lookup::At(hardware) = lookup {
            slot.peer = hardware;
            return true;
        }
        slot.waits_for_neighbor = true;
        slot.waits_since = self.neighbors.epoch;
        self.waiting_for_neighbor += 1;
        let again = match lookup {
            Lookup::Ask => now + AT_THE_LATEST,
            _ => now + ASK_AGAIN,
        };
        let due = slot.due(now).min(again);
        self.deadlines.set(index, Some(due));
        false
    }
}
