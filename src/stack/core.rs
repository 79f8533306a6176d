//! The stack: what comes from the device goes to a connection, a listener or nobody,
//! and what was touched is sent.
//!
//! `Interface::poll` looks at every socket for every frame, and one peer can
//! make it loop for ever. So it is never called. Each slot has a socket set
//! with one socket in it; the demux picks the set for a frame; a slot that was
//! touched is dirty and is transmitted at the end of the turn, in a bounded
//! number of passes; a heap says which slot's timer is next. What a frame
//! costs does not depend on how many slots there are.
//!
//! It refuses, and counts: frames that are not for us, SYNs that find no
//! place. Such a SYN is never reset: the peer's retry is the backlog behind the backlog.
//!
//! Not here: TCP itself (smoltcp), what programs see (`socket`).

use core::task::Waker;

use smoltcp::phy::{Device, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};

use crate::counters::{Counters, DropReason, count};
use crate::event::Event;
use crate::frame::demux::{Control, Route, Segment};
use crate::frame::icmp::too_big;
use crate::frame::link::NOBODY;
use crate::frame::neighbor::read;
#[cfg(feature = "ipv6")]
use crate::frame::patch::{COPY, without_headers};
use crate::prefetch;
use crate::rules::bucket::{ANSWER, Bucket};
use crate::rules::cookie::Cookies;
use crate::rules::lifecycle::{Cut, State, Step};
use crate::rules::passes::Again;
use crate::rules::secrets::Secrets;
use crate::scheduler::Scheduler;
#[cfg(feature = "addressing")]
use crate::stack::addressing;
use crate::stack::connections::Connections;
#[cfg(feature = "udp")]
use crate::stack::datagrams;
use crate::stack::engine::Engine;
use crate::stack::gate::Gate;
#[cfg(feature = "ipv6")]
use crate::stack::groups;
#[cfg(feature = "groups")]
use crate::stack::joined;
use crate::stack::resolve;
use crate::stack::say::say;
use crate::table::beside::Beside;
use crate::table::host::Host;
use crate::table::neighbors::{AT_THE_LATEST, Neighbors};
use crate::table::paths::Paths;
use crate::table::slot::Asked;
use crate::table::slots::SlotId;
use crate::time::{FAR, after};

/// When a device that took no more frames is asked again, at the latest.
const DEVICE_RETRY: Duration = Duration::from_millis(1);

/// A deadline that is served so much later is served after what waits in the device.
const LATE: Duration = Duration::from_millis(100);

/// After so many turns at the latest.
const LATE_TURNS: u8 = 16;

/// What is left after a turn has sent what it could.
pub(crate) struct Transmitted {
    /// There is more to send now.
    pub(crate) more: bool,
    /// Bytes or a FIN of a closed stream are still on their way.
    pub(crate) closing: bool,
    /// When the next slot is due.
    pub(crate) deadline: Option<Instant>,
}

/// Everything behind the stack's one `RefCell`.
pub(crate) struct Core<'a> {
    pub(crate) host: Host<'a>,
    pub(crate) connections: Connections<'a>,
    pub(crate) gate: Gate<'a>,
    pub(crate) engine: Engine,
    pub(crate) neighbors: Neighbors,
    pub(crate) beside: Beside<'a>,
    /// A neighbor answered in this turn.
    pub(crate) neighbor_news: bool,
    /// For how many more turns deadlines wait, because one passed long ago.
    pub(crate) late: u8,
    /// The device took no more frames in this turn.
    pub(crate) device_full: bool,
}

impl Core<'_> {
    pub(crate) fn counters(&self) -> Counters {
        Counters {
            slots_used: self.connections.slots.used,
            ..self.host.counters()
        }
    }

    /// Wakers to be woken when the stack is free. `None`: there are no more.
    #[cold]
    pub(crate) fn pop_woken(&mut self) -> Option<[Option<Waker>; 2]> {
        let connections = &mut self.connections;
        connections.slots.pop_woken().or_else(|| {
            let acceptor = connections.listeners.take_woken();
            let other = acceptor.or_else(|| self.beside.take_woken());
            other.map(|waker| [Some(waker), None])
        })
    }

    /// See [`Stack::reboot`](crate::Stack::reboot).
    pub(crate) fn reboot(&mut self, secret: [u8; 16]) {
        let (connections, host) = (&mut self.connections, &mut self.host);
        for id in connections.slots.ids() {
            connections.free(id, host);
        }
        connections.slots.put_in_order();
        connections.deadlines.clear();
        connections.listeners.reset();
        connections.cookies = Cookies::new(&secret);
        host.config.secret = secret;
        host.secrets = Secrets::new(&secret);
        host.bucket = Bucket::FULL;
        host.paths = Paths::default();
        self.late = 0;
        while self.gate.queue.pop().is_some() {}
        self.neighbor_news = false;
        self.neighbors = Neighbors::default();
        self.beside.reset();
        self.has_changed();
    }

    /// The addresses or the link are others than before.
    pub(crate) fn has_changed(&mut self) {
        self.beside.wake_watchers();
        #[cfg(feature = "ipv6")]
        groups::begin(&mut self.neighbors.groups, &self.host);
        #[cfg(feature = "groups")]
        self.neighbors.joined.begin(self.host.now);
    }

    // ---- one turn -------------------------------------------------------

    /// Begins a turn: sets the time and serves the deadlines that passed. If that was long
    /// ago, this host was away, and what came meanwhile counts first.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.host.begin(now);
        if let Some(due) = self.connections.deadlines.next()
            && due <= now
        {
            if self.late == 0 && after(due, LATE) < now {
                self.late = LATE_TURNS;
            }
            if self.late == 0 {
                self.expire();
            }
        }
    }

    fn expire(&mut self) {
        let now = self.host.now;
        while let Some(number) = self.connections.deadlines.pop(now) {
            self.connections.expire(number, &mut self.host);
        }
    }

    /// Receives up to the turn's share of frames. True when there may be more.
    /// Readers are woken through the scheduler.
    pub(crate) fn receive<D: Device + ?Sized>(
        &mut self,
        device: &mut D,
        scheduler: &impl Scheduler,
    ) -> bool {
        if self.gate.queue.len > 0 {
            let (connections, host) = (&mut self.connections, &mut self.host);
            self.gate.admit_parked(connections, host, device);
        } else {
            self.connections.room_made = false;
        }
        let more = self.receive_some(device, scheduler);
        if self.late > 0 {
            self.late = if more { self.late - 1 } else { 0 };
            if self.late == 0 {
                self.expire();
            }
        }
        more
    }

    #[inline]
    fn receive_some<D: Device + ?Sized>(
        &mut self,
        device: &mut D,
        scheduler: &impl Scheduler,
    ) -> bool {
        for _ in 0..self.host.config.frames_per_turn.max(1) {
            let Some((rx, tx)) = device.receive(self.host.now) else {
                return false;
            };
            rx.consume(|frame| self.frame_in(frame, tx, scheduler));
        }
        true
    }

    /// Lets every dirty slot send, and says what is left.
    pub(crate) fn transmit<D: Device + ?Sized>(&mut self, device: &mut D) -> Transmitted {
        Transmitted {
            more: self.transmit_dirty(device),
            closing: self.connections.slots.closing > 0,
            deadline: self.next_deadline(),
        }
    }

    /// True when some could not finish, and could go on now.
    fn transmit_dirty<D: Device + ?Sized>(&mut self, device: &mut D) -> bool {
        if core::mem::take(&mut self.neighbor_news) {
            self.connections.slots.retry_waiting();
        }
        self.device_full = false;
        if self.beside.sends() || self.neighbors.due() <= self.host.now {
            let parts = (&mut self.neighbors, &mut self.beside);
            let said = say(parts, &mut self.host, device);
            self.device_full = said.device_full;
            if said.has_changed {
                self.has_changed();
            }
        }
        // What becomes dirty meanwhile waits for the next turn.
        for _ in 0..self.connections.slots.dirty.storage_len() {
            let Some(id) = self.connections.slots.next_dirty() else {
                break;
            };
            self.transmit_slot(id, device);
            if self.device_full {
                return false;
            }
        }
        !self.connections.slots.dirty.is_empty()
            || (self.connections.room_made && self.gate.queue.len > 0)
    }

    /// When the next slot's deadline is due. A full device is asked again soon;
    /// its interrupt may end the wait earlier.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        let mut first = self.neighbors.due();
        let mut wish = |at: Option<Instant>| first = first.min(at.unwrap_or(FAR));
        wish(self.connections.deadlines.next());
        wish(self.beside.due());
        wish(self.device_full.then(|| self.host.now + DEVICE_RETRY));
        if self.gate.queue.len > 0 {
            wish(self.gate.doubt_at(&self.connections, &self.host));
        }
        (first != FAR).then_some(first)
    }

    // ---- frames in ------------------------------------------------------

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn frame_in<T: TxToken>(&mut self, frame: &[u8], token: T, scheduler: &impl Scheduler) {
        self.host.heard(frame);
        #[cfg(feature = "udp")]
        if datagrams::are_in(frame) {
            return datagrams::hear(&mut self.beside.binds, &mut self.host, frame, token);
        }
        match self.host.route(frame) {
            Route::Tcp(segment) => self.segment_in(&segment, frame, token, scheduler),
            Route::Neighbor => {
                let claim = read(frame);
                #[cfg(feature = "addressing")]
                let Some(token) = addressing::hear(
                    (&mut self.neighbors.claims, &mut self.beside.watchers),
                    &mut self.host,
                    (claim.as_ref(), frame),
                    token,
                ) else {
                    return;
                };
                let (neighbors, host) = (&mut self.neighbors, &mut self.host);
                self.neighbor_news |= resolve::hear(neighbors, host, claim, token);
            }
            Route::Host(from) => match too_big(frame) {
                Some(message) => {
                    resolve::narrow(&mut self.connections, &mut self.host, &message);
                }
                None if self.host.may_answer(ANSWER) => {
                    self.engine.answer(&self.host, from, frame, token);
                }
                None => (),
            },
            #[cfg(feature = "ipv6")]
            Route::Query => groups::hear(&mut self.neighbors, &mut self.host, frame),
            #[cfg(feature = "ipv6")]
            Route::Refuse(DropReason::Fragment) => self.headed_in(frame, token, scheduler),
            #[cfg(feature = "groups")]
            Route::Refuse(_) if joined::are_in(frame) => {
                joined::hear(&mut self.neighbors.joined, &mut self.host, frame);
            }
            Route::Refuse(reason) => self.host.dropped(reason),
        }
    }

    /// A segment with other headers in front of it, which smoltcp need not see; or one
    /// that is in pieces.
    #[cfg(feature = "ipv6")]
    #[cold]
    #[inline(never)]
    fn headed_in<T: TxToken>(&mut self, frame: &[u8], token: T, scheduler: &impl Scheduler) {
        let mut copy = [0; COPY];
        let route = without_headers(frame, &mut copy).map(|frame| (self.host.route(frame), frame));
        match route {
            Some((Route::Tcp(segment), frame)) => {
                self.segment_in(&segment, frame, token, scheduler);
            }
            Some((Route::Refuse(reason), _)) => self.host.dropped(reason),
            _ => self.host.dropped(DropReason::Fragment),
        }
    }

    fn segment_in<T: TxToken>(
        &mut self,
        segment: &Segment,
        frame: &[u8],
        token: T,
        scheduler: &impl Scheduler,
    ) {
        let (connections, host) = (&mut self.connections, &mut self.host);
        let Some(id) = connections.slots.find(&connections.flows, &segment.flow) else {
            return self.stranger_in(None, segment, frame, token);
        };
        let mut slot = &mut connections.slots[id];
        if prefetch::ON {
            connections.buffers.fetch(id);
            slot.rx_waker
                .iter()
                .for_each(|reader| scheduler.fetch(reader));
        }
        if matches!(segment.control, Control::Syn)
            && matches!(slot.state, State::TimeWait)
            // The last byte we acknowledged was the peer's FIN (RFC 9293, 3.10.7.4,
            // and RFC 6191).
            && segment.seq >= slot.view.rcv_nxt
        {
            return self.stranger_in(Some(id), segment, frame, token);
        }
        let arrived = (segment, frame);
        let Some(settled) = self.engine.deliver(host, slot, arrived, token) else {
            return;
        };
        if settled.reset {
            count!(host, resets);
            host.tell(&Event::Reset { slot: id.number() });
        }
        if let Some(left) = settled.taken {
            slot.clocks.pace.taken(left, host.tick);
            slot.repeats = 0;
            if matches!(slot.state, State::Closing) || !matches!(slot.asked, Asked::Nothing) {
                connections.taken(id, left, host);
                slot = &mut connections.slots[id];
            }
        }
        let reader = match settled.read {
            true => slot.rx_waker.take(),
            false => None,
        };
        if settled.write && slot.tx_waker.is_some() {
            connections.slots.wake(id, false, true);
        }
        if let Some(reader) = reader
            && let Some(foreign) = scheduler.wake(reader)
        {
            connections.slots[id].rx_waker = Some(foreign);
            connections.slots.wake_others(id);
        }
        if !matches!(settled.step, Step::Stay) {
            connections.step(id, settled.step, host);
        }
        connections.slots.mark_dirty(id);
    }

    /// A segment that belongs to no flow, or begins the next life of an old one.
    #[inline(never)]
    fn stranger_in<T: TxToken>(
        &mut self,
        old: Option<SlotId>,
        segment: &Segment,
        frame: &[u8],
        token: T,
    ) {
        let (connections, host) = (&mut self.connections, &mut self.host);
        if let Some(old) = old {
            connections.reclaim(old, host);
        } else if let Some(reason) = segment.refusal(&host.addresses.own) {
            return host.dropped(reason);
        }
        let listener = connections.listeners.find(&segment.flow);
        match (listener, segment.control) {
            (Some(listener), Control::Syn) => {
                let arrived = (segment, frame);
                self.gate
                    .syn_in(connections, host, listener, arrived, token);
            }
            (Some(listener), Control::Other) if segment.has_ack && host.config.gives_cookies() => {
                let arrived = (segment, frame);
                self.gate
                    .proof_in(connections, host, listener, arrived, token);
            }
            (_, Control::Rst) => (),
            (Some(_), Control::Other) if !segment.has_ack => {
                host.dropped(DropReason::BadSegment);
            }
            _ => host.refuse(segment, token),
        }
    }

    // ---- frames out -----------------------------------------------------

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn transmit_slot<D: Device + ?Sized>(&mut self, id: SlotId, device: &mut D) {
        let (connections, host) = (&mut self.connections, &mut self.host);
        let now = host.now;
        let (neighbors, full) = (&mut self.neighbors, &mut self.device_full);
        let mut slot = &mut connections.slots[id];
        match slot.state {
            State::Free | State::Lent => return,
            State::Connecting if slot.peer == NOBODY => {
                if !resolve::seek(connections, neighbors, host, id, (device, full)) {
                    return;
                }
                slot = &mut connections.slots[id];
            }
            // It is asked whether the peer, or the way to it, is another one.
            _ if slot.waits_for_neighbor => {
                resolve::seek(connections, neighbors, host, id, (device, full));
                slot = &mut connections.slots[id];
            }
            _ => (),
        }
        // A held stream whose TIME-WAIT is over is left as it is.
        if slot.clocks.give_up <= now && slot.is_held() {
            return;
        }
        let Some(sent) = self.engine.send(host, slot, device) else {
            // Lent: it comes back dirty. Who waits for that may give up before.
            let waits = slot.clocks.waits();
            if waits != FAR {
                connections.arm(id, waits);
            }
            return;
        };
        if let Some(bytes) = host.outlet.repeats.get()
            && slot.sent_again(bytes)
        {
            resolve::doubt(connections, neighbors, host, id);
            slot = &mut connections.slots[id];
        }
        let (before, after) = (sent.before, sent.after);
        if let Again::By(at) = sent.again {
            if at != FAR {
                connections.arm(id, at);
            }
            return;
        }
        let moved = before.tcp != after;
        if moved && after == tcp::State::Closed && matches!(slot.state, State::Open) {
            slot.cut = Cut::ByUs;
        }
        // Most frames that leave change nothing a slot must react to.
        let closes = matches!(slot.state, State::Closing | State::TimeWait);
        if moved || closes || after == tcp::State::Closed {
            connections.settle(id, Some(before), host);
        }
        if matches!(connections.slots[id].state, State::Free | State::Lent) {
            return;
        }
        let slot = &mut connections.slots[id];
        match sent.again {
            Again::At(at) => {
                let over = at != FAR && at >= slot.clocks.give_up;
                let at = match over && slot.is_held() {
                    true => FAR,
                    false => at,
                };
                let mut due = slot.due(host).at.min(at);
                // First the peer itself is asked, then everybody.
                if slot.waits_for_neighbor && slot.polls < 2 {
                    due = due.min(now + AT_THE_LATEST);
                }
                let due = (due != FAR).then_some(due);
                connections.deadlines.set(id.number(), due);
            }
            again => {
                self.device_full |= again == Again::DeviceFull;
                connections.slots.mark_dirty(id);
            }
        }
    }
}
