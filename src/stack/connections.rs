//! Every connection, and the tables that know of it: its slot, flow, deadline, socket, and
//! the listener it came for. What one forgets, all forget, so slots are taken, moved on and
//! given back here alone; and here is what programs ask of their streams.
//!
//! Not here: frames (`engine.rs`), and the rule for a slot whose socket has moved (`lifecycle.rs`).

use smoltcp::iface::SocketSet;
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};

use crate::counters::count;
use crate::event::Event;
use crate::frame::flow::Flow;
use crate::rules::config::LONGEST;
use crate::rules::cookie::Cookies;
use crate::rules::lifecycle::{Before, Cut, State, Step, settle};
use crate::rules::limits::{Pace, TimeLimits, patience};
use crate::table::buffers::Buffers;
use crate::table::deadlines::Deadlines;
use crate::table::flows::Flows;
use crate::table::host::Host;
use crate::table::listeners::{ListenerId, Listeners};
use crate::table::slot::{Asked, NO_LISTENER, QUESTIONS, Timer, tcp_of};
use crate::table::slots::{SlotId, SlotKey, Slots};
use crate::time::FAR;

/// smoltcp's TIME-WAIT. While a stream in it is still held, its timer must not
/// run out: that would clear bytes which nobody has read yet.
const TIME_WAIT: Duration = Duration::from_secs(10);
/// An aborted slot must have sent its reset by then.
const LAST_WORD: Duration = Duration::from_secs(1);
/// A silent peer is not asked more often: smoltcp asks without a pause if it may.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// The connections of one host.
pub(crate) struct Connections<'a> {
    pub(crate) slots: Slots<'a>,
    pub(crate) flows: Flows<'a>,
    pub(crate) deadlines: Deadlines<'a>,
    pub(crate) buffers: Buffers<'a>,
    pub(crate) listeners: Listeners<'a>,
    /// Connections that are nowhere but in their peers' acknowledgements.
    pub(crate) cookies: Cookies,
    /// A slot or a place in a backlog became free since SYNs were let in.
    pub(crate) room_made: bool,
}

impl<'a> Connections<'a> {
    /// The slot that serves a flow.
    #[inline]
    pub(crate) fn find(&mut self, flow: &Flow) -> Option<SlotId> {
        self.slots.find(&self.flows, flow)
    }

    /// Maps a flow to a slot. False: another slot has it.
    pub(crate) fn serve(&mut self, id: SlotId, flow: Flow) -> bool {
        let number = id.number();
        self.flows.insert(self.slots.all(), number, flow)
    }

    /// A fresh slot with a fresh socket; if none is free, the oldest in
    /// TIME-WAIT.
    pub(crate) fn take(&mut self, host: &mut Host<'_>) -> Option<SlotId> {
        let id = match self.slots.take() {
            Some(id) => id,
            None => {
                let oldest = self.slots.oldest_time_wait()?;
                self.reclaim(oldest, host);
                self.slots.take()?
            }
        };
        if let Some(set) = &mut *self.slots[id].set {
            self.buffers.renew(set);
        }
        let used = self.slots.used;
        if let Some(totals) = host.totals.0.first_mut() {
            totals.slots_high = totals.slots_high.max(used);
        }
        Some(id)
    }

    /// Gives a slot to a newer connection.
    pub(crate) fn reclaim(&mut self, id: SlotId, host: &mut Host<'_>) {
        count!(host, reclaimed);
        host.tell(&Event::Reclaimed { slot: id.number() });
        self.free(id, host);
    }

    /// Gives a slot back, from whatever state it is in.
    pub(crate) fn free(&mut self, id: SlotId, host: &mut Host<'_>) {
        let (state, listener) = (self.slots[id].state, self.slots[id].listener);
        if state.is_over() {
            return;
        }
        self.slots.wake_both(id);
        if matches!(state, State::HalfOpen | State::Queued) {
            let queued = state == State::Queued;
            self.listeners.left(listener, &mut self.slots, id, queued);
            self.listeners.wake_if_over(listener);
        }
        self.room_made = true;
        let flow = self.flows.remove(self.slots.all(), id.number());
        host.addresses.left(flow.as_ref());
        match flow {
            _ if !host.config.gives_cookies() => (),
            _ if state == State::HalfOpen => self.cookies.doubt(host.now),
            Some(flow) => self.cookies.over(&flow, host.now),
            None => (),
        }
        self.deadlines.set(id.number(), None);
        if self.slots.release(id) {
            host.tell(&Event::Freed { slot: id.number() });
        }
    }

    /// Looks at a socket that a program, a deadline or our own frames have touched, and
    /// moves the slot on.
    pub(crate) fn settle(&mut self, id: SlotId, before: Option<Before>, host: &mut Host<'_>) {
        let slot = &mut self.slots[id];
        let state = slot.state;
        let Some(socket) = slot.socket() else {
            return;
        };
        let settled = settle(state, before, socket);
        if let Some(left) = settled.taken {
            self.taken(id, left, host);
        }
        self.slots.wake(id, settled.read, settled.write);
        self.step(id, settled.step, host);
    }

    /// Moves a slot on.
    pub(crate) fn step(&mut self, id: SlotId, step: Step, host: &mut Host<'_>) {
        let slot = &mut self.slots[id];
        let number = id.number();
        match step {
            Step::Stay => (),
            Step::Free => self.free(id, host),
            Step::Queue => {
                slot.state = State::Queued;
                slot.clocks.give_up = FAR;
                let listener = slot.listener;
                host.tell(&Event::Established { slot: number });
                self.listeners.enqueue(listener, &mut self.slots, id);
            }
            Step::Open => {
                slot.state = State::Open;
                slot.clocks.give_up = FAR;
                slot.clocks.pace = Pace::DEFAULT.begin(host.tick);
                count!(host, connects);
                host.tell(&Event::Established { slot: number });
            }
            Step::Hold => slot.clocks.give_up = host.now + TIME_WAIT,
            Step::Forget => {
                let flow = self.flows.remove(self.slots.all(), number);
                host.addresses.left(flow.as_ref());
            }
            Step::Rest => {
                slot.clocks.give_up = FAR;
                self.slots.enter_time_wait(id);
                self.room_made = true; // it can be reclaimed
                self.drain(id);
            }
            Step::Refuse => {
                slot.clocks.give_up = host.now + LAST_WORD;
                self.abort(self.slots.key(id));
            }
        }
    }

    /// Nobody holds the stream: what had come is forgotten, so that the peer's FIN can come.
    fn drain(&mut self, id: SlotId) {
        if let Some(socket) = self.slots[id].socket() {
            socket.set_keep_alive(None); // a close has a deadline
            while matches!(socket.recv(|bytes| (bytes.len(), bytes.len())), Ok(1..)) {}
        }
    }

    // ---- deadlines ------------------------------------------------------

    /// Makes sure the slot is looked at by `at`.
    pub(crate) fn arm(&mut self, id: SlotId, at: Instant) {
        let number = id.number();
        if self.deadlines.get(number).is_none_or(|due| at < due) {
            self.deadlines.set(number, Some(at));
        }
    }

    /// Serves a slot's deadline that has passed, be it its own or one of smoltcp's. A
    /// stream that is held in TIME-WAIT has none that ends it, and one whose socket is
    /// lent gets none.
    pub(crate) fn expire(&mut self, number: u32, host: &mut Host<'_>) {
        let (id, now) = (self.slots.id(number), host.now);
        let slot = &mut self.slots[id];
        slot.timer = Timer::Stale;
        let (read, write) = (slot.clocks.read_at <= now, slot.clocks.write_at <= now);
        if read {
            slot.clocks.read_at = FAR;
        }
        if write {
            slot.clocks.write_at = FAR;
        }
        if slot.clocks.silent_at <= now && slot.questions < QUESTIONS && slot.set.is_some() {
            slot.is_silent_from(now);
        }
        let due = slot.due(host);
        let ends = due.at <= now && slot.set.is_some() && !slot.is_held();
        let spares = ends && slot.spares(due.why);
        self.slots.wake(id, read, write);
        if spares {
            self.slots[id].clocks.give_up = self.closes_by(id, host);
        } else if ends && let Some(deadline) = due.why {
            count!(host, expired);
            host.tell(&Event::Expired {
                slot: number,
                deadline,
            });
            self.give_up(id, host);
        }
        self.slots.mark_dirty(id);
    }

    fn give_up(&mut self, id: SlotId, host: &mut Host<'_>) {
        let slot = &mut self.slots[id];
        match slot.state {
            State::HalfOpen => self.free(id, host),
            State::Closing | State::TimeWait if !matches!(slot.cut, Cut::No) => self.free(id, host),
            State::Connecting | State::Open | State::Closing | State::TimeWait => {
                slot.cut = Cut::ByUs;
                slot.clocks.silent_at = FAR;
                slot.clocks.give_up = match slot.state {
                    State::Closing | State::TimeWait => host.now + LAST_WORD,
                    _ => FAR,
                };
                match slot.state {
                    State::Connecting => self.slots.wake_both(id),
                    _ => self.abort(self.slots.key(id)),
                }
            }
            State::Free | State::Lent | State::Queued => (),
        }
    }

    /// The connection that has been half-open longest, at any listener, and how
    /// long that is. It begins with our answer, not with the time in line before.
    pub(crate) fn oldest_handshake(&self, tick: u32) -> Option<(SlotId, Duration)> {
        let mut oldest = None;
        for listener in 0..self.listeners.len() {
            if let Some(number) = self.listeners.oldest_half_open(listener) {
                let id = self.slots.id(number);
                let age = self.slots[id].clocks.pace.age(tick);
                if oldest.is_none_or(|(_, most)| age > most) {
                    oldest = Some((id, age));
                }
            }
        }
        oldest
    }

    // ---- what programs ask ----------------------------------------------

    /// Takes the oldest connection that waits for `accept`.
    pub(crate) fn accept(
        &mut self,
        id: ListenerId,
        host: &mut Host<'_>,
    ) -> Option<(SlotKey, Option<Duration>)> {
        let (pace, read_timeout) = self.listeners.get(id)?.limits;
        let slot_id = self.listeners.dequeue(id, &mut self.slots)?;
        let slot = &mut self.slots[slot_id];
        slot.state = State::Open;
        slot.owners = 1;
        slot.clocks.pace = pace.begin(host.tick);
        count!(host, accepts);
        self.slots.mark_dirty(slot_id);
        self.room_made = true;
        host.tell_with(|| Event::Accepted {
            slot: slot_id.number(),
            remote: self.slots[slot_id].flow.remote(),
        });
        self.listeners.wake_if_over(id.index);
        Some((self.slots.key(slot_id), read_timeout))
    }

    /// One of a stream's owners has let go: the last one closes it in order.
    pub(crate) fn release(&mut self, key: SlotKey, host: &mut Host<'_>) {
        let (id, closes_by) = (key.id, self.closes_by(key.id, host));
        let Some(slot) = self.slots.checked(key) else {
            return;
        };
        slot.owners = slot.owners.saturating_sub(1);
        if slot.owners > 0 {
            return;
        }
        if matches!(slot.state, State::Connecting) {
            return self.free(id, host);
        }
        slot.clocks.read_at = FAR;
        slot.clocks.write_at = FAR;
        slot.clocks.silent_at = FAR;
        // An aborted stream has only its reset left to send.
        slot.clocks.give_up = match slot.cut {
            Cut::No => closes_by,
            _ => host.now + LAST_WORD,
        };
        self.slots.begin_closing(id);
        self.slots.forget_wakers(id);
        self.drain(id);
        self.end(id);
        self.settle(id, None, host);
        self.slots.mark_dirty(id);
    }

    /// Ends our direction. In CLOSE-WAIT not before the peer has acknowledged all bytes:
    /// in LAST-ACK smoltcp is deaf to windows that open.
    fn end(&mut self, id: SlotId) {
        let slot = &mut self.slots[id];
        let Some(socket) = slot.socket() else {
            return;
        };
        if matches!(socket.state(), tcp::State::CloseWait) && socket.send_queue() > 0 {
            // Without a FIN the last piece would wait for the others (RFC 896).
            socket.set_nagle_enabled(false);
            slot.asked = Asked::Fin;
        } else {
            socket.close();
        }
    }

    /// The peer took bytes; `left` are still to be taken.
    pub(crate) fn taken(&mut self, id: SlotId, left: usize, host: &mut Host<'_>) {
        let closes_by = self.closes_by(id, host);
        let slot = &mut self.slots[id];
        slot.clocks.pace.taken(left, host.tick);
        // Who takes bytes is there: a close may take so long without any.
        if matches!(slot.state, State::Closing) && matches!(slot.cut, Cut::No) {
            (slot.clocks.give_up, slot.spared) = (closes_by, false);
        }
        if left == 0 && matches!(slot.asked, Asked::Fin) && slot.set.is_some() {
            slot.asked = Asked::Nothing;
            self.end(id);
        }
    }

    /// Resets a connection, and tells who waits for it; the slot is freed once the reset has
    /// left.
    pub(crate) fn abort(&mut self, key: SlotKey) {
        let Some(slot) = self.slots.checked(key) else {
            return;
        };
        match slot.socket() {
            Some(socket) => socket.abort(),
            None => slot.asked = Asked::Abort,
        }
        slot.cut = Cut::ByUs;
        self.slots.wake_both(key.id);
        self.slots.mark_dirty(key.id);
    }

    /// Resets what a program holds, and what it has closed and the peer has not.
    pub(crate) fn abort_all(&mut self) {
        for id in self.slots.ids() {
            if matches!(self.slots[id].state, State::Open | State::Closing) {
                self.abort(self.slots.key(id));
            }
        }
    }

    /// Sends a FIN after what was written.
    pub(crate) fn shutdown(&mut self, key: SlotKey, host: &mut Host<'_>) {
        let Some(slot) = self.slots.checked(key) else {
            return;
        };
        let Some(socket) = slot.socket() else {
            slot.asked = slot.asked.max(Asked::Fin);
            return;
        };
        let before = Before::of(socket);
        self.end(key.id);
        self.settle(key.id, Some(before), host);
        self.slots.mark_dirty(key.id);
    }

    /// The same, and from now on the close has a deadline although the stream is still
    /// held.
    pub(crate) fn close(&mut self, key: SlotKey, host: &mut Host<'_>) {
        self.shutdown(key, host);
        let give_up = self.closes_by(key.id, host);
        if let Some(slot) = self.slots.checked(key)
            && slot.clocks.give_up == FAR
        {
            slot.clocks.give_up = give_up;
            self.arm(key.id, give_up);
        }
    }

    /// When this connection's close has taken too long, if it begins now.
    #[inline(never)]
    fn closes_by(&self, id: SlotId, host: &Host<'_>) -> Instant {
        let timeout = match self.slots[id].clocks.pace.close {
            0 => host.config.close_timeout,
            millis => Duration::from_millis(millis.into()),
        };
        host.now + timeout
    }

    /// Limits a connection from now on.
    pub(crate) fn set_limits(&mut self, key: SlotKey, limits: &TimeLimits, tick: u32) {
        if let Some(slot) = self.slots.checked(key) {
            slot.clocks.pace = Pace::of(limits).begin(tick);
            self.slots.mark_dirty(key.id);
        }
    }

    /// Asks a silent peer every `interval` whether it is still there; four times that without
    /// a frame is the end. smoltcp's own timeout counts from the last one, however long ago.
    pub(crate) fn set_keep_alive(
        &mut self,
        key: SlotKey,
        interval: Option<Duration>,
        now: Instant,
    ) {
        if let Some(slot) = self.slots.checked(key)
            && let Some(socket) = slot.socket()
        {
            let interval = interval.map(|interval| interval.clamp(SHORTEST_INTERVAL, LONGEST));
            socket.set_keep_alive(interval);
            slot.clocks.silent_at = patience(now, socket.keep_alive());
            self.slots.mark_dirty(key.id);
        }
    }

    /// Both ends of a connection, unless it is gone.
    pub(crate) fn flow(&mut self, key: SlotKey) -> Option<Flow> {
        self.slots.checked(key)?;
        self.slots.flow(key.id)
    }

    /// Lends a slot's socket to a stream, whose frames are dropped meanwhile.
    pub(crate) fn lend(&mut self, key: SlotKey) -> Option<SocketSet<'a>> {
        self.slots.checked(key)?.set.take()
    }

    /// Takes it back and does what was asked in between. If the connection is over
    /// meanwhile, the next one can have the slot from now on.
    pub(crate) fn give_back(&mut self, id: SlotId, set: SocketSet<'a>, host: &mut Host<'_>) {
        let slot = &mut self.slots[id];
        debug_assert!(slot.set.is_none(), "a set comes back to where it was lent");
        let socket = tcp_of((*slot.set).insert(set));
        if matches!(slot.state, State::Lent) {
            self.slots.is_free(id);
            self.room_made = true;
            return host.tell(&Event::Freed { slot: id.number() });
        }
        if slot.clocks.silent_at <= host.now {
            // What the peer said meanwhile was dropped.
            slot.clocks.silent_at = patience(host.now, socket.keep_alive());
        }
        let asked = core::mem::replace(&mut slot.asked, Asked::Nothing);
        if core::mem::take(&mut slot.missed) {
            self.slots.wake_both(id);
        }
        let key = self.slots.key(id);
        match asked {
            Asked::Nothing => (),
            Asked::Fin => self.shutdown(key, host),
            Asked::Abort => self.abort(key),
        }
        self.slots.mark_dirty(id);
    }

    /// Resets every connection of a listener that was not accepted, and
    /// forgets the listener, which is none of an earlier boot.
    pub(crate) fn remove_listener(&mut self, listener: ListenerId, now: Instant) {
        if !self.listeners.release(listener) {
            return;
        }
        for id in self.slots.ids() {
            let slot = &mut self.slots[id];
            if slot.state.is_over() || slot.listener != listener.index {
                continue;
            }
            // The next listener in its place has nothing to do with them.
            slot.listener = NO_LISTENER;
            let queued = matches!(slot.state, State::Queued);
            if queued || matches!(slot.state, State::HalfOpen) {
                slot.clocks.give_up = now + LAST_WORD;
                self.abort(self.slots.key(id));
                self.slots.begin_closing(id);
                self.listeners
                    .left(listener.index, &mut self.slots, id, queued);
            }
        }
        self.listeners.remove(listener);
    }
}
