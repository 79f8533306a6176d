//! Addresses that come and go while the host runs. One is asked for before it is taken
//! (RFC 5227, RFC 4862, 5.4), and defended while it is used; one that goes is retired, so
//! that its connections end in order, or removed, and they are reset.
//!
//! Not here: the rule for what is said (`rules/claim.rs`), and DHCP.

use smoltcp::phy::{Device, TxToken};
use smoltcp::time::Duration;
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint};

use crate::counters::count;
use crate::event::Event;
use crate::frame::flow::Flow;
use crate::frame::neighbor::Claim;
use crate::frame::probe::{announce, probe};
use crate::rules::claim::{FIRST_WAIT, Step, contests, step};
use crate::rules::lifecycle::State;
use crate::stack::connections::Connections;
use crate::table::claims::{Claims, Row, Standing};
use crate::table::host::Host;
use crate::table::neighbors::Neighbors;
use crate::table::slots::SlotId;
use crate::table::watchers::Watchers;
use crate::time::after;

/// Begins to ask who has an address. `None`: too many are asked for.
#[cold]
pub(crate) fn begin(claims: &mut Claims, host: &Host<'_>, cidr: IpCidr) -> Option<u32> {
    if host.addresses.own.is_full() {
        return None;
    }
    let due = after(host.now, part(FIRST_WAIT, host, cidr, 0));
    claims.begin(cidr, due)
}

/// A random part of `most`, which nobody foresees.
#[inline(never)]
fn part(most: Duration, host: &Host<'_>, cidr: IpCidr, step: u8) -> Duration {
    let end = |port| IpEndpoint::new(cidr.address(), port);
    let flow = Flow::new(end(step.into()), end(0));
    let drawn = host.secrets.isn(&flow, host.now).0 as u16;
    Duration::from_micros((most.total_micros() * u64::from(drawn)) >> 16)
}

/// A frame that says who has an address, held against those that are asked for or used.
/// The token comes back unless it was needed.
#[cold]
pub(crate) fn hear<T: TxToken>(
    (claims, watchers): (&mut Claims, &mut Watchers),
    host: &mut Host<'_>,
    (claim, frame): (Option<&Claim>, &[u8]),
    token: T,
) -> Option<T> {
    let ours = host.config.hardware_addr;
    // A network may bring back what we said ourselves.
    let Some(claim) = claim.filter(|_| frame.get(6..12) != Some(&ours)) else {
        return Some(token);
    };
    if claims.contest(|cidr| contests(claim, ours, cidr.address())) {
        watchers.wake();
    }
    if !host.addresses.has(claim.addr) || claim.hardware == ours {
        return Some(token);
    }
    count!(host, conflicts);
    host.tell(&Event::Conflict {
        addr: claim.addr,
        hardware: claim.hardware,
    });
    if !claims.defends(host.now) {
        // RFC 5227, 2.4 (b): whose address it was decides.
        claims.disputed = Some(claim.addr);
        watchers.wake();
        return Some(token);
    }
    match announce(ours, claim.addr) {
        Some(frame) => host.send(&frame, token),
        None => return Some(token),
    }
    None
}

/// Takes every step that is due. Says whether the device was full, and whether there is an
/// address more, or one less that is asked for.
#[cold]
pub(crate) fn say<D: Device + ?Sized>(
    claims: &mut Claims,
    host: &mut Host<'_>,
    device: &mut D,
) -> (bool, bool) {
    let mut has_changed = false;
    while let Some(place) = claims.next(host.now)
        && let Some(row) = place
    {
        // It went before it was announced, or announced again.
        if row.standing == Standing::Ours && !host.addresses.has(row.cidr.address()) {
            *place = None;
            continue;
        }
        let Some(token) = device.transmit(host.now) else {
            return (true, has_changed);
        };
        let (addr, us) = (row.cidr.address(), host.config.hardware_addr);
        let Some((now, [least, more])) = step(row.step, matches!(addr, IpAddress::Ipv4(_))) else {
            *place = None;
            continue;
        };
        if now == Step::Take {
            let taken = host.addresses.has(addr) || host.addresses.own.push(row.cidr).is_ok();
            row.standing = if taken {
                Standing::Ours
            } else {
                Standing::Contested
            };
            has_changed = true;
        }
        let frame = match now {
            Step::Probe => probe(us, addr),
            _ if row.standing == Standing::Ours => announce(us, addr),
            _ => None,
        };
        if let Some(frame) = frame {
            host.send(&frame, token);
        }
        advance(row, least, more, host);
    }
    (false, has_changed)
}

fn advance(row: &mut Row, least: Duration, more: Duration, host: &Host<'_>) {
    row.step += 1;
    row.due = after(host.now, least + part(more, host, row.cidr, row.step));
}

/// Uses an address no more for anything new. What is open goes on with it, and it is
/// forgotten with the last of that. False: it is no address of ours.
#[cold]
pub(crate) fn retire(connections: &Connections<'_>, host: &mut Host<'_>, addr: IpAddress) -> bool {
    let uses = used_by(connections, addr).count() as u32;
    host.addresses.retire(addr, uses).is_some()
}

/// Forgets an address; what is open from it is reset (RFC 5227, 2.4: "hosts SHOULD
/// actively attempt to reset any existing connections using that address"). False: it is no
/// address of ours.
#[cold]
pub(crate) fn remove(
    connections: &mut Connections<'_>,
    host: &mut Host<'_>,
    addr: IpAddress,
) -> bool {
    let mut was_ours = host.addresses.take(addr).is_some();
    for place in &mut host.addresses.change.retired {
        let retired = place.take_if(|(cidr, _)| cidr.address() == addr);
        was_ours |= retired.is_some();
    }
    for id in connections.slots.ids() {
        if !uses(connections, id, addr) {
            continue;
        }
        match connections.slots[id].state {
            State::Open | State::Closing | State::Queued => {
                connections.abort(connections.slots.key(id));
            }
            // Nobody holds it, or its SYN is not answered: nothing is left to reset.
            _ => connections.free(id, host),
        }
    }
    was_ours
}

fn used_by(connections: &Connections<'_>, addr: IpAddress) -> impl Iterator<Item = SlotId> {
    let ids = connections.slots.ids();
    ids.filter(move |id| uses(connections, *id, addr))
}

fn uses(connections: &Connections<'_>, id: SlotId, addr: IpAddress) -> bool {
    let flow = connections.slots.flow(id);
    flow.is_some_and(|flow| flow.local_addr() == addr)
}

/// Says to a network that the host has come to which addresses it uses.
#[cold]
fn greet(claims: &mut Claims, host: &Host<'_>) {
    for cidr in &host.addresses.own {
        claims.announce(*cidr, host.now);
    }
}

/// The link came up, or went down. True: that is news.
#[cold]
pub(crate) fn set_link(neighbors: &mut Neighbors, host: &mut Host<'_>, is_up: bool) -> bool {
    let is_down = &mut host.addresses.change.link_is_down;
    if *is_down != is_up {
        return false;
    }
    *is_down = !is_up;
    if is_up {
        // It may be another network.
        neighbors.forget();
        greet(&mut neighbors.claims, host);
    }
    true
}
