//! A slot's life as it happens: what a socket, a program or a deadline does to
//! it. The picture is in [`slots`](crate::net::slots).

use smoltcp::iface::SocketSet;
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpEndpoint;

use crate::event::{Deadline, Event};
use crate::net::config::LONGEST;
use crate::net::deadlines::after;
use crate::net::flow::Flow;
use crate::net::limits::{Pace, TimeLimits};
use crate::net::ports::PortId;
use crate::net::slots::{Armed, Asked, Cut, FAR, NO_PORT, Slot, State, tcp_of};
use crate::net::stack::Inner;

/// smoltcp's TIME-WAIT. While a stream in it is still held, its timer must not
/// run out: that would clear bytes which nobody has read yet.
const TIME_WAIT: Duration = Duration::from_secs(10);
/// An aborted slot must have sent its reset by then.
const LAST_WORD: Duration = Duration::from_secs(1);
/// A silent peer is not asked more often: smoltcp asks without a pause if it may.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// What a socket looked like before smoltcp touched it.
#[derive(Clone, Copy)]
pub(super) struct Before {
    pub(super) state: tcp::State,
    pub(super) unacknowledged: usize,
}

impl Slot<'_> {
    /// Which deadline that ends the connection has passed. A stream that is
    /// held in TIME-WAIT has none, and one whose socket is lent gets none.
    fn passed(&mut self, now: Instant) -> Option<Deadline> {
        if self.set.is_none() || (self.state == State::Open && self.is_time_wait()) {
            return None;
        }
        if self.silent_at <= now {
            return Some(Deadline::Silent);
        }
        if self.state == State::Open
            && self.cut == Cut::No
            && let Some(limit) = self.pace.passed(now)
        {
            return Some(limit);
        }
        match self.state {
            _ if self.give_up > now => None,
            State::HalfOpen => Some(Deadline::Handshake),
            State::Connecting => Some(Deadline::Connect),
            State::Closing | State::Open => Some(Deadline::Close),
            State::Free | State::Lent | State::Queued => None,
        }
    }

    /// The peer's SYN has come, and not yet the acknowledgement of ours.
    #[cold]
    pub(super) fn is_syn_received(&mut self) -> bool {
        self.socket()
            .is_some_and(|socket| socket.state() == tcp::State::SynReceived)
    }

    pub(super) fn is_time_wait(&mut self) -> bool {
        self.socket()
            .is_some_and(|socket| socket.state() == tcp::State::TimeWait)
    }
}

impl Before {
    pub(super) fn of(socket: &tcp::Socket<'_>) -> Self {
        Before {
            state: socket.state(),
            unacknowledged: socket.send_queue(),
        }
    }

    /// Whether our FIN is all that the peer can still acknowledge.
    pub(super) fn only_fin_left(&self) -> bool {
        use tcp::State::{Closing, FinWait1, LastAck};
        self.unacknowledged == 0 && matches!(self.state, FinWait1 | Closing | LastAck)
    }
}

impl<'a> Inner<'a> {
    /// A fresh slot with a fresh socket; if none is free, the oldest in
    /// TIME-WAIT.
    pub(super) fn take_slot(&mut self) -> Option<u32> {
        let index = match self.slots.take() {
            Some(index) => index,
            None => {
                let oldest = self.slots.oldest_time_wait()?;
                self.reclaim(oldest);
                self.slots.take()?
            }
        };
        let slot = self.slots.get(index)?;
        if let Some(set) = (*slot.set).as_mut() {
            self.buffers.renew(index, set);
        }
        let used = self.slots.used();
        self.counters
            .reach(|counters| &mut counters.slots_high, used);
        Some(index)
    }

    pub(super) fn reclaim(&mut self, index: u32) {
        self.counters.count(|counters| &mut counters.reclaimed);
        self.tell(&Event::Reclaimed { slot: index });
        self.free(index);
    }

    /// Looks at a socket that smoltcp, a program or a deadline has touched and
    /// moves the slot on.
    pub(super) fn settle(&mut self, index: u32, before: Option<Before>) {
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        let (life, port, now) = (slot.state, slot.port, self.now);
        let Some(socket) = slot.socket() else { return };
        let state = socket.state();
        let gone = state == tcp::State::Closed && socket.remote_endpoint().is_none();
        match life {
            State::Free | State::Lent => (),
            State::HalfOpen => match state {
                tcp::State::SynReceived => (),
                tcp::State::Listen | tcp::State::Closed => self.free(index),
                _ => {
                    slot.state = State::Queued;
                    slot.give_up = FAR;
                    self.tell(&Event::Established { slot: index });
                    self.ports.enqueue(port, &mut self.slots, index);
                }
            },
            State::Queued => {
                if state == tcp::State::Closed {
                    self.free(index);
                }
            }
            State::Connecting => match state {
                tcp::State::SynSent | tcp::State::SynReceived => (),
                tcp::State::Closed => slot.wake_tx(index, &mut self.woken),
                _ => {
                    slot.state = State::Open;
                    slot.give_up = FAR;
                    slot.pace = Pace::begin(&TimeLimits::DEFAULT, now);
                    slot.wake_tx(index, &mut self.woken);
                    self.counters.count(|counters| &mut counters.connects);
                    self.tell(&Event::Established { slot: index });
                }
            },
            State::Open => self.settle_open(index, before, gone),
            State::Closing => self.settle_closing(index, state, gone),
        }
    }

    pub(super) fn settle_open(&mut self, index: u32, before: Option<Before>, gone: bool) {
        let (now, tick) = (self.now, self.tick);
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        let Some(socket) = slot.socket() else { return };
        let (state, queued) = (socket.state(), socket.send_queue());
        let readable = socket.can_recv();
        let moved = before.is_none_or(|before| before.state != state);
        let acknowledged = before.is_some_and(|before| queued < before.unacknowledged);
        if acknowledged {
            slot.pace.taken(queued, tick);
        }
        if moved || acknowledged {
            slot.wake_tx(index, &mut self.woken);
        }
        if moved || readable {
            slot.wake_rx(index, &mut self.woken);
        }
        if moved && state == tcp::State::TimeWait {
            slot.give_up = now + TIME_WAIT;
        }
        if gone {
            // The addresses may be used again while the stream is still held.
            self.flows.remove(self.slots.all(), index);
        }
    }

    /// A stream that nobody holds: what still arrives is read and forgotten,
    /// so that the peer's FIN can arrive too.
    pub(super) fn settle_closing(&mut self, index: u32, state: tcp::State, gone: bool) {
        if gone {
            return self.free(index);
        }
        if state == tcp::State::TimeWait {
            if self.slots.get(index).is_some_and(|slot| !slot.in_time_wait) {
                self.closing = self.closing.saturating_sub(1);
            }
            self.slots.enter_time_wait(index);
            self.room_made = true; // it can be reclaimed
        }
        if let Some(slot) = self.slots.get(index) {
            if state == tcp::State::TimeWait {
                slot.give_up = FAR;
            }
            if let Some(socket) = slot.socket() {
                while matches!(socket.recv(|bytes| (bytes.len(), bytes.len())), Ok(1..)) {}
            }
        }
    }

    /// A reset was delivered: if the socket took it, the peer has cut the
    /// connection. In TIME-WAIT nothing is left to cut (RFC 1337), and a
    /// connection that is not yet one was refused.
    pub(super) fn notice_reset(&mut self, index: u32, before: Before) {
        let over = matches!(before.state, tcp::State::Closed | tcp::State::TimeWait);
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        let took = slot.socket().is_some_and(|socket| {
            matches!(socket.state(), tcp::State::Closed | tcp::State::Listen)
        });
        if took && slot.state != State::Connecting && !over {
            slot.cut = Cut::ByPeer;
            self.counters.count(|counters| &mut counters.resets);
            self.tell(&Event::Reset { slot: index });
        }
    }

    /// A deadline of this slot has passed: its own, or one of smoltcp's.
    pub(super) fn expire(&mut self, index: u32) {
        let now = self.now;
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        slot.armed = Armed::Perhaps;
        if slot.read_at <= now {
            slot.read_at = FAR;
            slot.wake_rx(index, &mut self.woken);
        }
        if slot.write_at <= now {
            slot.write_at = FAR;
            slot.wake_tx(index, &mut self.woken);
        }
        if let Some(deadline) = slot.passed(now) {
            self.counters.count(|counters| &mut counters.expired);
            self.tell(&Event::Expired {
                slot: index,
                deadline,
            });
            self.give_up(index);
        }
        self.mark_dirty(index);
    }

    pub(super) fn give_up(&mut self, index: u32) {
        let now = self.now;
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        match slot.state {
            State::HalfOpen => self.free(index),
            State::Closing if slot.cut != Cut::No => self.free(index),
            State::Connecting | State::Open | State::Closing => {
                slot.cut = Cut::ByUs;
                slot.silent_at = FAR;
                slot.give_up = if slot.state == State::Closing {
                    now + LAST_WORD
                } else {
                    FAR
                };
                let aborts = slot.state != State::Connecting;
                if let Some(socket) = slot.socket()
                    && aborts
                {
                    socket.abort();
                }
                slot.wake_rx(index, &mut self.woken);
                slot.wake_tx(index, &mut self.woken);
            }
            State::Free | State::Lent | State::Queued => (),
        }
    }

    /// Gives a slot back, from whatever state it is in.
    pub(crate) fn free(&mut self, index: u32) {
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        let (state, port) = (slot.state, slot.port);
        if slot.is_over() {
            return;
        }
        if core::mem::take(&mut slot.waits_for_neighbor) {
            self.waiting_for_neighbor -= 1;
        }
        slot.wake_rx(index, &mut self.woken);
        slot.wake_tx(index, &mut self.woken);
        if state == State::Closing && !slot.in_time_wait {
            self.closing = self.closing.saturating_sub(1);
        }
        if matches!(state, State::HalfOpen | State::Queued) {
            let queued = state == State::Queued;
            self.ports.left(port, &mut self.slots, index, queued);
            self.ports.wake_if_over(port);
        }
        if state == State::HalfOpen {
            self.cookies.doubt(self.now);
        }
        self.room_made = true;
        let flow = self.flows.remove(self.slots.all(), index);
        if self.config.gives_cookies()
            && let Some(flow) = flow.filter(|_| state != State::HalfOpen)
        {
            self.cookies.over(&flow, self.now);
        }
        self.deadlines.set(index, None);
        if self.slots.release(index) {
            self.tell(&Event::Freed { slot: index });
        }
    }

    /// The last owner of a stream has let go.
    pub(crate) fn orphan(&mut self, index: u32, generation: u32) {
        let last_word = self.now + LAST_WORD;
        let timeout = self.close_timeout(index);
        let give_up = self.now + timeout;
        let Some(slot) = self.slots.checked(index, generation) else {
            return;
        };
        if slot.state == State::Connecting {
            return self.free(index);
        }
        slot.state = State::Closing;
        slot.owners = 0;
        // An aborted stream has only its reset left to send.
        slot.give_up = match slot.cut {
            Cut::No => give_up,
            _ => last_word,
        };
        slot.read_at = FAR;
        slot.write_at = FAR;
        slot.silent_at = FAR;
        slot.forget_wakers(index, &mut self.woken);
        if let Some(socket) = slot.socket() {
            socket.close();
        }
        self.closing += 1;
        self.settle(index, None);
        self.mark_dirty(index);
    }

    /// Resets a connection; the slot is freed once the reset has left.
    pub(crate) fn abort(&mut self, index: u32, generation: u32) {
        let Some(slot) = self.slots.checked(index, generation) else {
            return;
        };
        if let Some(socket) = slot.socket() {
            socket.abort();
        } else {
            slot.asked = Asked::Abort;
        }
        slot.cut = Cut::ByUs;
        self.mark_dirty(index);
    }

    /// Resets every connection of a listener that was not accepted, and
    /// forgets the listener, which is none of an earlier boot.
    pub(crate) fn remove_listener(&mut self, id: PortId) {
        if self.ports.port(id).is_none() {
            return;
        }
        self.ports.close(id);
        let mine = |slot: &&mut Slot<'_>| !slot.is_over() && slot.port == id.index();
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get(index).filter(mine) else {
                continue;
            };
            // The next listener in its place has nothing to do with them.
            slot.port = NO_PORT;
            let queued = slot.state == State::Queued;
            if !queued && slot.state != State::HalfOpen {
                continue;
            }
            slot.state = State::Closing;
            slot.give_up = self.now + LAST_WORD;
            slot.cut = Cut::ByUs;
            if let Some(socket) = slot.socket() {
                socket.abort();
            }
            self.closing += 1;
            self.ports.left(id.index(), &mut self.slots, index, queued);
            self.mark_dirty(index);
        }
        self.ports.remove(id);
    }

    /// What a listener's connections are limited to.
    pub(crate) fn limits(&mut self, id: PortId) -> TimeLimits {
        let port = self.ports.port(id);
        port.map_or(TimeLimits::DEFAULT, |port| port.limits)
    }

    /// Takes the oldest connection that waits for `accept`.
    pub(crate) fn accept(&mut self, id: PortId) -> Option<(u32, u32, IpEndpoint)> {
        let now = self.now;
        let limits = self.limits(id);
        let index = self.ports.dequeue(id, &mut self.slots)?;
        let remote = self.slots.flow(index)?.remote();
        let slot = self.slots.get(index)?;
        slot.state = State::Open;
        slot.owners = 1;
        slot.pace = Pace::begin(&limits, now);
        let generation = slot.generation;
        self.counters.count(|counters| &mut counters.accepts);
        self.mark_dirty(index);
        self.room_made = true;
        self.tell(&Event::Accepted {
            slot: index,
            remote,
        });
        self.ports.wake_if_over(id.index());
        Some((index, generation, remote))
    }

    /// Sends a FIN after what was written.
    pub(crate) fn shutdown(&mut self, index: u32, generation: u32) {
        let Some(slot) = self.slots.checked(index, generation) else {
            return;
        };
        let Some(socket) = slot.socket() else {
            slot.asked = slot.asked.max(Asked::Fin);
            return;
        };
        let before = Before::of(socket);
        socket.close();
        self.settle(index, Some(before));
        self.mark_dirty(index);
    }

    /// How long this connection's close may take.
    fn close_timeout(&mut self, index: u32) -> Duration {
        match self.slots.get(index).map_or(0, |slot| slot.pace.close) {
            0 => self.config.close_timeout,
            millis => Duration::from_millis(millis.into()),
        }
    }

    /// Limits a connection from now on.
    pub(crate) fn set_limits(&mut self, index: u32, generation: u32, limits: &TimeLimits) {
        let now = self.now;
        let Some(slot) = self.slots.checked(index, generation) else {
            return;
        };
        slot.pace = Pace::begin(limits, now);
        self.mark_dirty(index);
    }

    /// The longest idle of this listener's connections, if it is idle for
    /// `patience` and so gives way. It looks at every slot, but not again before one can
    /// be. One whose socket is lent is in use.
    #[cold]
    pub(super) fn longest_idle(&mut self, port: u32, patience: Duration) -> Option<u32> {
        if self.now < self.ports.at(port)?.none_idle_before {
            return None;
        }
        let mut longest: Option<(u32, u32)> = None;
        for index in 0..self.slots.len() {
            if let Some(slot) = self.slots.get(index)
                && slot.state == State::Open
                && slot.port == port
                && slot.set.is_some()
            {
                let idles = slot.pace.idles(self.now);
                if longest.is_none_or(|(most, _)| idles > most) {
                    longest = Some((idles, index));
                }
            }
        }
        let (idles, index) = longest.unwrap_or((0, NO_PORT));
        let idles = Duration::from_millis(idles.into());
        if idles < patience {
            self.ports.at(port)?.none_idle_before = after(self.now, patience - idles);
            return None;
        }
        Some(index).filter(|_| longest.is_some())
    }

    /// From now on the close has a deadline although the stream is still held.
    pub(crate) fn arm_close(&mut self, index: u32) {
        let give_up = self.now + self.close_timeout(index);
        if let Some(slot) = self.slots.get(index)
            && slot.give_up == FAR
        {
            slot.give_up = give_up;
            self.arm(index, give_up);
        }
    }

    /// Asks a silent peer every `interval` whether it is still there; four
    /// times that without a frame from it is the end. smoltcp's own timeout
    /// does not serve: it counts from the last frame, however long ago.
    pub(crate) fn set_keep_alive(
        &mut self,
        index: u32,
        generation: u32,
        interval: Option<Duration>,
    ) {
        let now = self.now;
        let Some(slot) = self.slots.checked(index, generation) else {
            return;
        };
        let Some(set) = (*slot.set).as_mut() else {
            return;
        };
        let interval = interval.map(|interval| interval.clamp(SHORTEST_INTERVAL, LONGEST));
        tcp_of(set).set_keep_alive(interval);
        slot.silent_at = patience(now, set);
        self.mark_dirty(index);
    }

    /// Both ends of a connection, unless it is gone.
    pub(crate) fn flow(&mut self, index: u32, generation: u32) -> Option<Flow> {
        self.slots.checked(index, generation)?;
        self.slots.flow(index)
    }

    /// Lends a slot's socket to a stream, whose frames are dropped meanwhile.
    pub(crate) fn lend(&mut self, index: u32, generation: u32) -> Option<SocketSet<'a>> {
        self.slots.checked(index, generation)?.set.take()
    }

    /// Takes it back and does what was asked in between. If the connection is over
    /// meanwhile, the next one can have the slot from now on.
    pub(crate) fn give_back(&mut self, index: u32, set: SocketSet<'a>) {
        let now = self.now;
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        debug_assert!(slot.set.is_none(), "a set comes back to where it was lent");
        let set = (*slot.set).insert(set);
        if slot.state == State::Lent {
            self.slots.is_free(index);
            self.room_made = true;
            return self.tell(&Event::Freed { slot: index });
        }
        if slot.silent_at <= now {
            // What the peer said meanwhile was dropped.
            slot.silent_at = patience(now, set);
        }
        if core::mem::take(&mut slot.missed) {
            slot.wake_rx(index, &mut self.woken);
            slot.wake_tx(index, &mut self.woken);
        }
        let generation = slot.generation;
        match core::mem::replace(&mut slot.asked, Asked::Nothing) {
            Asked::Nothing => (),
            Asked::Fin => self.shutdown(index, generation),
            Asked::Abort => self.abort(index, generation),
        }
        self.mark_dirty(index);
    }

    /// Makes sure the slot is looked at by `at`.
    pub(crate) fn arm(&mut self, index: u32, at: Instant) {
        if self.deadlines.get(index).is_none_or(|due| at < due) {
            self.deadlines.set(index, Some(at));
        }
    }

    /// The slot has something to send, or its deadlines have moved.
    pub(crate) fn mark_dirty(&mut self, index: u32) {
        if let Some(slot) = self.slots.get(index)
            && !slot.is_over()
            && !core::mem::replace(&mut slot.dirty, true)
        {
            // One entry per slot at most, and room for every slot.
            let _ = self.dirty.push_back(index);
        }
    }
}

/// How long a peer that is asked may stay silent from now on.
pub(super) fn patience(now: Instant, set: &mut SocketSet<'_>) -> Instant {
    let interval = tcp_of(set).keep_alive();
    interval.map_or(FAR, |interval| {
        let micros = interval.total_micros().saturating_mul(4);
        Instant::from_micros(now.total_micros().saturating_add_unsigned(micros))
    })
}
