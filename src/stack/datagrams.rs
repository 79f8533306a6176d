//! Datagrams: one that comes goes to the socket that has its port, one of ours to its
//! neighbor. smoltcp sees neither.
//!
//! The rule: a datagram to several, or to an address that is not ours, is for a socket that
//! asked for such (`Hears`). One to a port of nobody's is answered, "port unreachable", as
//! often as the bucket allows (RFC 1122, 4.1.3.1); nothing that was sent to several is. The same
//! word about a datagram of ours is believed if that datagram left.
//!
//! A datagram whose neighbor is not known yet is parked, and its neighbor asked for; nobody
//! else waits for it, and after three questions it is given up.

use smoltcp::phy::{Device, TxToken};
use smoltcp::time::Duration;
use smoltcp::wire::IpAddress;

use crate::counters::{DropReason, count};
use crate::event::Event;
use crate::frame::build;
use crate::frame::demux::refusal;
use crate::frame::flow::Flow;
use crate::frame::link::{EVERYBODY, NOBODY, is_unicast};
use crate::frame::one_shot::Told;
pub(crate) use crate::frame::udp::is_about_datagrams as are_in;
use crate::frame::udp::{HEADER, Heard, Message, Said, read};
use crate::rules::bucket::ANSWER;
use crate::rules::peers::{Target, is_sender, way};
use crate::rules::secrets::FIRST_DYNAMIC_PORT;
use crate::table::binds::{BindId, Binds, Incoming, words};
use crate::table::host::Host;
use crate::table::line::Line;
use crate::table::neighbors::{ASK_AGAIN, AT_THE_LATEST, FOR_ALL, Lookup, Neighbors};
use crate::table::outbox::Outgoing;

/// How long a datagram waits for its neighbor's answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Binds a port, of one address of ours or of all. Of port 0 it is one that nobody can foresee.
pub(crate) fn bind(
    binds: &mut Binds<'_>,
    host: &mut Host<'_>,
    addr: Option<IpAddress>,
    asked: u16,
) -> Result<(BindId, u16), CannotBind> {
    let (at, mut port) = (addr.map(words), asked);
    while binds.is_taken(port, at) || port == 0 {
        if asked != 0 {
            return Err(CannotBind::InUse);
        }
        // Of the dynamic ports (RFC 6335) far more are free than taken.
        port = host.secrets.draw() as u16 | FIRST_DYNAMIC_PORT;
    }
    let id = binds.open(port, at).ok_or(CannotBind::TooMany)?;
    host.tell(&Event::Bound { port });
    Ok((id, port))
}

/// A frame with a datagram in it, or with the word that one was not taken.
pub(crate) fn hear<T: TxToken>(binds: &mut Binds<'_>, host: &mut Host<'_>, frame: &[u8], token: T) {
    let sums = (
        host.outlet.checks.ipv4.rx(),
        host.capabilities.checksum.udp.rx(),
    );
    let taken = read(frame, host.config.hardware_addr, sums)
        .and_then(|heard| take(binds, host, &heard).map(|taken| (heard, taken)));
    match taken {
        Err(reason) => host.dropped(reason),
        Ok((_, true)) => (),
        Ok((heard, false)) if host.may_answer(ANSWER) => {
            let us = host.config.hardware_addr;
            emit(host, &Message::unreachable(&heard, us, frame), token);
        }
        Ok(_) => (),
    }
}

/// Gives it to whom it is for. False: there is nobody, which is to be said.
fn take(binds: &mut Binds<'_>, host: &mut Host<'_>, heard: &Heard<'_>) -> Result<bool, DropReason> {
    let mut refused = refusal(&heard.flow, &host.addresses.own);
    if refused.is_none() && !heard.to_us_alone {
        refused = Some(DropReason::NotUnicast);
    }
    let payload = match heard.said {
        Said::Datagram(payload) | Said::Echo(payload) => payload,
        Said::Unreachable(flow, mark) => {
            let is_known = refused.is_none() && binds.refuse(&flow, mark);
            return is_known.then_some(true).ok_or(DropReason::Unsolicited);
        }
    };
    if refused == Some(DropReason::BadSource) || !is_unicast(heard.hardware) {
        return Err(DropReason::BadSource);
    }
    let number = match refused {
        _ if cfg!(feature = "ping") && matches!(heard.said, Said::Echo(_)) => {
            let asked = binds
                .find_who_pings(&heard.flow)
                .filter(|_| refused.is_none());
            asked.ok_or(DropReason::Unsolicited)?
        }
        None => match binds.find(&heard.flow) {
            Some(number) => number,
            None => return Ok(false),
        },
        Some(reason) => {
            let number = binds.find_who_asked(&heard.flow).ok_or(reason)?;
            if !is_sender(&host.addresses, heard.flow.remote_addr()) {
                return Err(DropReason::BadSource);
            }
            number
        }
    };
    let cell = Incoming {
        flow: heard.flow,
        hardware: heard.hardware,
        ..Incoming::EMPTY
    };
    binds.push(number, cell, payload)?;
    count!(host, datagrams_in);
    Ok(true)
}

/// Sends a message; gives the mark of a datagram.
fn emit<T: TxToken>(host: &Host<'_>, message: &Message<'_>, token: T) -> u32 {
    host.outlet.of_no_flow();
    let sums = host.capabilities.checksum.udp.tx();
    let told = Told::new(token, &host.outlet);
    let mark = told.consume(message.len(), |frame| message.write(frame, sums));
    mark.unwrap_or(0)
}

/// Why a port is not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CannotBind {
    InUse,
    TooMany,
}

/// Why a datagram is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CannotSend {
    /// Not now: there is no room.
    NoRoom,
    TooLong,
    Unaddressable,
}

/// Takes a datagram that leaves at the end of this turn, if its neighbor is known.
pub(crate) fn give(
    binds: &mut Binds<'_>,
    host: &Host<'_>,
    id: BindId,
    to: &Target,
    payload: &[u8],
) -> Result<(), CannotSend> {
    let room = binds.room();
    let bind = binds.get(id).ok_or(CannotSend::Unaddressable)?;
    let bound = match bind.is_connected {
        true => Some(bind.flow.local_addr()),
        false => bind.bound(),
    };
    let (source, hardware) = way(&host.addresses, to, bound).ok_or(CannotSend::Unaddressable)?;
    let flow = Flow::new((source, bind.port).into(), to.endpoint);
    let headers = HEADER + if flow.words == 1 { 20 } else { 40 };
    let most = host
        .capabilities
        .max_transmission_unit
        .saturating_sub(headers);
    if payload.len() > most.min(room) {
        return Err(CannotSend::TooLong);
    }
    let outgoing = Outgoing {
        flow,
        hardware,
        bytes: payload.len() as u16,
        hops: bind.hops,
        pings: bind.pings,
        of: (id.index, id.generation),
        ..Outgoing::EMPTY
    };
    match binds.outbox.push(outgoing, payload) {
        true => Ok(()),
        false => Err(CannotSend::NoRoom),
    }
}

/// Sends what can leave. False: the device is full.
pub(crate) fn send<D: Device + ?Sized>(
    binds: &mut Binds<'_>,
    neighbors: &mut Neighbors,
    host: &mut Host<'_>,
    device: &mut D,
) -> bool {
    let now = host.now;
    let is_due = binds.outbox.due.is_some_and(|due| due <= now);
    let looks = is_due || binds.outbox.epoch != neighbors.epoch;
    if looks {
        (binds.outbox.due, binds.outbox.epoch) = (None, neighbors.epoch);
    }
    let mut next = binds.outbox.line.first();
    while let Some(place) = next
        && let Some((outgoing, payload)) = binds.outbox.at(place)
    {
        next = Line::behind(binds.outbox.links, place);
        if outgoing.parked && !looks {
            continue;
        }
        if outgoing.parked && now >= outgoing.since + PATIENCE {
            give_up(binds, host, place);
            continue;
        }
        let Some(token) = device.transmit(now) else {
            if looks {
                binds.outbox.due = Some(now);
            }
            return false;
        };
        let (of, flow, us) = (outgoing.of, outgoing.flow, host.config.hardware_addr);
        let (mut hardware, mut again, mut question) = (outgoing.hardware, PATIENCE, None);
        if hardware == NOBODY
            && let Some(hop) = host.addresses.next_hop(flow.remote_addr())
        {
            match neighbors.look_up(hop, now, FOR_ALL) {
                Lookup::At(found) => hardware = found,
                Lookup::Wait => again = ASK_AGAIN,
                Lookup::Ask => {
                    question = build::who_has((us, flow.local_addr()), hop, EVERYBODY);
                    again = AT_THE_LATEST;
                }
            }
        }
        if hardware == NOBODY {
            if let Some(question) = question {
                host.send(&question, token);
            }
            park(binds, host, place, again);
            continue;
        }
        let ends = (us, hardware);
        let mut message = match cfg!(feature = "ping") && outgoing.pings {
            true => Message::echo(ends, &flow, payload),
            false => Message::datagram(ends, &flow, payload),
        };
        message.hops = outgoing.hops;
        let mark = emit(host, &message, token);
        binds.left(of, mark);
        count!(host, datagrams_out);
        done(binds, place);
    }
    true
}

/// A datagram waits for its neighbor, and is looked at again by then; for it another one may
/// have to go.
fn park(binds: &mut Binds<'_>, host: &mut Host<'_>, place: u32, again: Duration) {
    let (outbox, again) = (&mut binds.outbox, host.now + again);
    outbox.due = Some(outbox.due.map_or(again, |due| due.min(again)));
    if let Some(other) = outbox.park(place, host.now) {
        give_up(binds, host, other);
    }
}

fn give_up(binds: &mut Binds<'_>, host: &mut Host<'_>, place: u32) {
    host.dropped(DropReason::NoNeighbor);
    done(binds, place);
}

#[cfg_attr(target_pointer_width = "64", inline)]
fn done(binds: &mut Binds<'_>, place: u32) {
    binds.outbox.remove(place);
    binds.wake_sender();
}
