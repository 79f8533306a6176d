//! Who gets in: a SYN that finds a place is answered from a slot, one that finds none
//! waits in line or gets a cookie, whoever acknowledges a cookie has proved that it is
//! there and goes before whoever has not, and those in line are let in as places become
//! free.
//!
//! Not here: the rule for a SYN (`admit.rs`); what a cookie is, and why (`cookie.rs`).

use smoltcp::phy::{Device, TxToken};
use smoltcp::time::{Duration, Instant};

use crate::counters::{DropReason, count};
use crate::event::Event;
use crate::frame::build::{ACK, Bare, SYN, window_of};
use crate::frame::demux::{Control, Segment};
use crate::rules::admit::{Admit, View, admit};
use crate::rules::cookie::{Cookie, Proof, ROUND_TRIP};
use crate::rules::lifecycle::State;
use crate::rules::normalise::{PeerView, first_window};
use crate::stack::connections::Connections;
use crate::stack::engine;
use crate::stack::opening;
use crate::table::host::Host;
use crate::table::slots::SlotId;
use crate::table::syn_queue::SynQueue;
use crate::time::after;

/// A segment and its frame.
type Arrived<'f> = (&'f Segment, &'f [u8]);

/// The gate, and those who wait at it.
pub(crate) struct Gate<'a> {
    pub(crate) queue: SynQueue<'a>,
}

impl Gate<'_> {
    /// A SYN for a listener, and for no flow.
    #[inline]
    pub(crate) fn syn_in<T: TxToken>(
        &mut self,
        connections: &mut Connections<'_>,
        host: &mut Host<'_>,
        listener: u32,
        (segment, frame): Arrived<'_>,
        token: T,
    ) {
        match admit(&self.view(connections, host, listener)) {
            Admit::Slot => begin(connections, host, listener, (segment, frame), token),
            Admit::Reclaim(idle) => {
                connections.reclaim(idle, host);
                begin(connections, host, listener, (segment, frame), token);
            }
            Admit::Cookie => give_cookie(connections, host, (segment, frame), token),
            Admit::Park(reason) if self.parks(host, frame, reason) => (),
            Admit::Park(reason) | Admit::Drop(reason) => host.dropped(reason),
        }
    }

    /// What there is for a SYN. Most often in a flood the line is full: then nobody is
    /// looked for in it.
    #[inline]
    fn view(
        &mut self,
        connections: &mut Connections<'_>,
        host: &Host<'_>,
        listener: u32,
    ) -> View<SlotId> {
        let doubted = is_in_doubt(connections, host);
        let mut view = View {
            gives_cookies: host.config.gives_cookies(),
            has_line: doubted && self.queue.len > 0 && !self.queue.is_full(),
            backlog_full: !connections.listeners.has_room(listener),
            is_crowded: is_crowded(connections, host),
            has_slot: connections.slots.has_room(),
            idle: None,
            doubts: doubted,
            line_full: self.queue.is_full(),
        };
        if !view.has_line && !view.has_place() {
            if !view.backlog_full {
                view.idle = longest_idle(connections, listener, host);
            }
            view.doubts = doubted || doubts(connections, host);
        }
        view
    }

    /// Lets a frame wait in line. False: its sender waits already, or nobody else can.
    fn parks(&mut self, host: &mut Host<'_>, frame: &[u8], reason: DropReason) -> bool {
        let parks = !self.queue.holds(frame) && self.queue.park(frame, host.now);
        if parks {
            count!(host, syns_parked);
            host.tell(&Event::Parked(reason));
        }
        parks
    }

    /// An acknowledgement that belongs to no flow, at a port that somebody listens
    /// on. If it is a cookie's, its sender gets a slot or waits in line for one;
    /// else it is refused. What else it carries has to be sent again.
    pub(crate) fn proof_in<T: TxToken>(
        &mut self,
        connections: &mut Connections<'_>,
        host: &mut Host<'_>,
        listener: u32,
        (segment, frame): Arrived<'_>,
        token: T,
    ) {
        let waits = self.queue.holds(frame);
        let cookie = match connections.cookies.prove(segment, host.now) {
            Proof::Of(cookie) => cookie,
            Proof::Over => {
                // Late, or a new connection between the same ports, which sends again.
                return host.dropped(DropReason::OldDuplicate);
            }
            // Perhaps more of somebody who waits, was promised a place in line, or was
            // put out: it says again what proves that it is there.
            Proof::Nothing if waits || is_in_doubt(connections, host) => {
                return host.dropped(DropReason::NoSlot);
            }
            Proof::Nothing => return host.refuse(segment, token),
        };
        let bare = Bare {
            flags: ACK,
            seq: cookie.irs + 1,
            ack: cookie.isn + 1,
            window: first_window(cookie.mss, window_of(frame)),
            ..Bare::default()
        };
        let acknowledgement = host.as_its_sender(segment, &bare);
        // Who waits already goes first, and waits once.
        let others = connections.room_made && self.queue.len > 0;
        if !others
            && !waits
            && let Some(id) = slot_for_proven(connections, host, listener)
        {
            let arrived = (segment, &acknowledgement[..]);
            let_in(connections, host, (id, listener), arrived, &cookie, token);
        } else if !self.parks(host, &acknowledgement, DropReason::NoSlot) {
            // It sends again, if it has anything to say.
            host.dropped(DropReason::NoSlot);
        }
    }

    /// Lets those in line in, oldest first, if there is room for them now. Those
    /// whose listener still has none keep their order; a SYN among them gets a
    /// cookie if handshakes do not get on.
    pub(crate) fn admit_parked<D: Device + ?Sized>(
        &mut self,
        connections: &mut Connections<'_>,
        host: &mut Host<'_>,
        device: &mut D,
    ) {
        doubts(connections, host);
        if !core::mem::take(&mut connections.room_made) {
            return;
        }
        for _ in 0..self.queue.len {
            let Some(parked) = self.queue.pop() else {
                return;
            };
            let frame = parked.frame();
            let Some(segment) = host.route_again(frame) else {
                continue; // not our address any more
            };
            let is_syn = segment.control == Control::Syn;
            if is_syn && parked.is_stale(host.now, host.config.handshake_timeout) {
                host.dropped(DropReason::NoSlot);
                continue;
            }
            if connections.find(&segment.flow).is_some() {
                continue; // a repeated SYN got in before
            }
            let Some(token) = device.transmit(host.now) else {
                self.queue.push(parked);
                connections.room_made = true;
                continue;
            };
            let Some(listener) = connections.listeners.find(&segment.flow) else {
                host.refuse(&segment, token);
                continue;
            };
            // Only cookies are acknowledged in line.
            let arrived = (&segment, frame);
            let stays = if host.config.gives_cookies() && !is_syn {
                !proven_in(connections, host, listener, arrived, token)
            } else {
                !self.syn_again(connections, host, listener, arrived, token)
            };
            if stays {
                self.queue.push(parked);
            }
        }
    }

    /// A SYN that waited. False when there is still no place for it.
    fn syn_again<T: TxToken>(
        &mut self,
        connections: &mut Connections<'_>,
        host: &mut Host<'_>,
        listener: u32,
        arrived: Arrived<'_>,
        token: T,
    ) -> bool {
        let mut view = self.view(connections, host, listener);
        view.has_line = false; // it stands in it
        match admit(&view) {
            Admit::Slot => begin(connections, host, listener, arrived, token),
            Admit::Reclaim(idle) => {
                connections.reclaim(idle, host);
                begin(connections, host, listener, arrived, token);
            }
            Admit::Cookie if view.doubts => give_cookie(connections, host, arrived, token),
            _ => return false,
        }
        true
    }

    /// When those in line will be doubted if nothing happens.
    pub(crate) fn doubt_at(
        &self,
        connections: &Connections<'_>,
        host: &Host<'_>,
    ) -> Option<Instant> {
        let waits = self.queue.len > 0 && host.config.gives_cookies();
        if !waits || is_in_doubt(connections, host) {
            return None;
        }
        let (_, age) = connections.oldest_handshake(host.tick)?;
        let left = ROUND_TRIP.total_millis().saturating_sub(age.total_millis());
        // An age may be a millisecond short.
        Some(after(host.now, Duration::from_millis(left + 2)))
    }
}

/// Whether so many connections are half open that no more get a slot, because
/// a cookie does.
#[inline]
pub(crate) fn is_crowded(connections: &Connections<'_>, host: &Host<'_>) -> bool {
    if !host.config.gives_cookies() {
        return false;
    }
    let limit = match host.config.half_open_limit {
        0 => (connections.slots.len() / 2).max(1),
        limit => limit.into(),
    };
    connections.listeners.half_open >= limit
}

/// Whether a handshake did not get on lately.
pub(crate) fn is_in_doubt(connections: &Connections<'_>, host: &Host<'_>) -> bool {
    host.config.gives_cookies() && connections.cookies.doubts(host.now)
}

/// Whether handshakes do not get on, so that a SYN which finds no place is
/// answered by a cookie. Those in line are told as soon as that is so.
fn doubts(connections: &mut Connections<'_>, host: &Host<'_>) -> bool {
    if !host.config.gives_cookies() || is_in_doubt(connections, host) {
        return host.config.gives_cookies();
    }
    let oldest = connections.oldest_handshake(host.tick);
    let doubts = oldest.is_some_and(|(_, age)| age >= ROUND_TRIP);
    if doubts {
        connections.cookies.doubt(host.now);
        connections.room_made = true;
    }
    doubts
}

/// Answers a SYN and keeps nothing.
#[inline(never)]
fn give_cookie<T: TxToken>(
    connections: &mut Connections<'_>,
    host: &mut Host<'_>,
    (syn, frame): Arrived<'_>,
    token: T,
) {
    let mut heard = PeerView::NOTHING;
    host.opening(syn, frame, &mut heard);
    let bare = Bare {
        flags: SYN | ACK,
        seq: connections.cookies.isn(syn, heard.mss, host.now),
        ack: syn.seq + 1,
        window: 0,
        mss: Some(host.mss(&syn.flow)),
    };
    connections.cookies.given(host.now);
    count!(host, cookies_given);
    host.reply(syn, &bare, token);
}

/// Puts a SYN into a fresh slot.
#[inline(never)]
fn begin<T: TxToken>(
    connections: &mut Connections<'_>,
    host: &mut Host<'_>,
    listener: u32,
    (segment, frame): Arrived<'_>,
    token: T,
) {
    let Some(id) = connections.take(host) else {
        return host.dropped(DropReason::NoSlot);
    };
    let slot = &mut connections.slots[id];
    let shown = host.opening(segment, frame, &mut slot.heard);
    let frame = shown.as_deref().unwrap_or(frame);
    let isn = match host.config.gives_cookies() {
        true => connections.cookies.isn(segment, slot.heard.mss, host.now),
        false => host.secrets.isn(&segment.flow, host.now),
    };
    let (fresh, arrived) = ((listener, isn), (segment, frame));
    let begins = engine::begin(host, slot, fresh, arrived, token);
    let (listeners, slots) = (&mut connections.listeners, &mut connections.slots);
    listeners.admitted(listener, slots, id);
    if !begins || !connections.serve(id, segment.flow) {
        connections.free(id, host);
        return host.dropped(DropReason::BadSegment);
    }
    count!(host, syns_admitted);
    admitted(host, id, segment);
    connections.slots.mark_dirty(id);
}

fn admitted(host: &Host<'_>, id: SlotId, segment: &Segment) {
    host.tell(&Event::Admitted {
        slot: id.number(),
        local: segment.flow.local(),
        remote: segment.flow.remote(),
    });
}

/// One that has proved that it is there, and waited in line. False when there
/// is still no slot for it.
fn proven_in<T: TxToken>(
    connections: &mut Connections<'_>,
    host: &mut Host<'_>,
    listener: u32,
    arrived: Arrived<'_>,
    token: T,
) -> bool {
    let Proof::Of(cookie) = connections.cookies.prove(arrived.0, host.now) else {
        host.refuse(arrived.0, token); // it has waited for minutes
        return true;
    };
    let Some(id) = slot_for_proven(connections, host, listener) else {
        return false;
    };
    let_in(connections, host, (id, listener), arrived, &cookie, token);
    true
}

/// A slot for a peer that is there, in place of one that may not be.
fn slot_for_proven(
    connections: &mut Connections<'_>,
    host: &mut Host<'_>,
    listener: u32,
) -> Option<SlotId> {
    if !connections.listeners.has_room(listener) {
        let oldest = connections.listeners.oldest_half_open(listener)?;
        let oldest = connections.slots.id(oldest);
        put_out(connections, host, oldest)?;
    }
    if !connections.slots.has_room()
        && let Some((oldest, _)) = connections.oldest_handshake(host.tick)
    {
        put_out(connections, host, oldest)?;
    }
    if !connections.slots.has_room()
        && let Some(idle) = longest_idle(connections, listener, host)
    {
        connections.reclaim(idle, host);
    }
    connections.take(host)
}

/// The longest idle of this listener's connections, if it is idle for as long as
/// the listener wants and so gives way. It looks at every slot, but not again before
/// one can be. One whose socket is lent is in use.
#[cold]
fn longest_idle(
    connections: &mut Connections<'_>,
    listener: u32,
    host: &Host<'_>,
) -> Option<SlotId> {
    let patience = connections.listeners.at(listener)?.reclaim?;
    if host.now < connections.listeners.at(listener)?.none_idle_before {
        return None;
    }
    let mut longest: Option<(u32, SlotId)> = None;
    for id in connections.slots.ids() {
        let slot = &connections.slots[id];
        if slot.state == State::Open && slot.listener == listener && slot.set.is_some() {
            let idles = slot.clocks.pace.idles(host.tick);
            if longest.is_none_or(|(most, _)| idles > most) {
                longest = Some((idles, id));
            }
        }
    }
    let idles = longest.map_or(0, |(idles, _)| idles);
    let idles = Duration::from_millis(idles.into());
    if idles < patience {
        connections.listeners.at(listener)?.none_idle_before = after(host.now, patience - idles);
        return None;
    }
    longest.map(|(_, id)| id)
}

/// Forgets a half-open connection. Its acknowledgement brings it back; so not
/// before our answer has left, which is at the end of this turn.
fn put_out(connections: &mut Connections<'_>, host: &mut Host<'_>, id: SlotId) -> Option<()> {
    if !connections.slots[id].view.spoke() {
        connections.room_made = true;
        return None;
    }
    connections.cookies.given(host.now);
    connections.reclaim(id, host);
    Some(())
}

/// Makes a connection of a fresh slot and says that its peer may send now; if
/// that is lost, it asks. Or gives the slot back.
fn let_in<T: TxToken>(
    connections: &mut Connections<'_>,
    host: &mut Host<'_>,
    (id, listener): (SlotId, u32),
    (segment, acknowledgement): Arrived<'_>,
    cookie: &Cookie,
    token: T,
) {
    let slot = &mut connections.slots[id];
    let buffers = &mut connections.buffers;
    let arrived = (segment, acknowledgement);
    let replayed = opening::replay::<T>(host, slot, buffers, (listener, cookie), arrived);
    let (listeners, slots) = (&mut connections.listeners, &mut connections.slots);
    listeners.admitted(listener, slots, id);
    let serves = connections.serve(id, segment.flow);
    if !replayed || !serves {
        connections.free(id, host);
        return host.dropped(DropReason::BadSegment);
    }
    admitted(host, id, segment);
    count!(host, cookies_taken);
    connections.settle(id, None, host);
    connections.slots.mark_dirty(id);
    let bare = Bare {
        flags: ACK,
        seq: cookie.isn + 1,
        ack: cookie.irs + 1,
        window: connections.buffers.window(),
        ..Bare::default()
    };
    host.reply(segment, &bare, token);
}
