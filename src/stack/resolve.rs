//! Hardware addresses. A connection speaks to where its own frames come from
//! (`one_shot.rs`), and every answer goes where the question came from, so one
//! thing is left for which somebody must be asked: the first SYN of a connection
//! of ours. Whoever sends ARP can turn nothing else elsewhere, and not even that:
//! only the answer to a question that was asked is believed, and the first one.
//!
//! A place holds a question or its answer. Questions of others are answered and
//! forgotten. IPv6's neighbor discovery obeys the same rules.

use smoltcp::phy::TxToken;
use smoltcp::time::Instant;

use crate::counters::DropReason;
use crate::frame::build;
use crate::frame::flow::Flow;
use crate::frame::link::Hardware;
use crate::frame::neighbor::read;
use crate::table::host::Host;
use crate::table::neighbors::{ASK_AGAIN, AT_THE_LATEST, Lookup, Neighbors};

/// A frame that says, or asks, who owns an address. True: a question of ours is
/// answered.
pub(crate) fn hear<T: TxToken>(
    neighbors: &mut Neighbors,
    host: &mut Host<'_>,
    frame: &[u8],
    token: T,
) -> bool {
    let refused = match read(frame) {
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

/// Where the first SYN of a flow is to go, or when to look again if nobody answers
/// before.
pub(crate) fn find<T: TxToken>(
    neighbors: &mut Neighbors,
    host: &Host<'_>,
    flow: &Flow,
    token: T,
) -> Result<Hardware, Instant> {
    let hop = host.addresses.next_hop(flow.remote_addr());
    let lookup = hop.map_or(Lookup::Wait, |hop| neighbors.look_up(hop, host.now));
    match lookup {
        Lookup::At(hardware) => Ok(hardware),
        Lookup::Wait => Err(host.now + ASK_AGAIN),
        Lookup::Ask => {
            let us = (host.config.hardware_addr, flow.local_addr());
            if let Some(question) = hop.and_then(|hop| build::who_has(us, hop)) {
                host.send(&question, token);
            }
            Err(host.now + AT_THE_LATEST)
        }
    }
}
