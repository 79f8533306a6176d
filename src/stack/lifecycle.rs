//! A slot's life as it happens: what a socket, a program or a deadline does to
//! it. The picture is in [`slots`](crate::table::slots).

use smoltcp::iface::SocketSet;
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};

use crate::event::Event;
use crate::rules::limits::{Pace, TimeLimits};
use crate::stack::core::Inner;
use crate::table::slot::{Cut, NO_LISTENER, State, Timer, tcp_of};
use crate::time::{FAR, after};

/// smoltcp's TIME-WAIT. While a stream in it is still held, its timer must not
/// run out: that would clear bytes which nobody has read yet.
const TIME_WAIT: Duration = Duration::from_secs(10);
/// An aborted slot must have sent its reset by then.
pub(crate) const LAST_WORD: Duration = Duration::from_secs(1);
/// A silent peer is not asked more often: smoltcp asks without a pause if it may.
pub(crate) const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// What a socket looked like before smoltcp touched it.
#[derive(Clone, Copy)]
pub(crate) struct Before {
    pub(crate) state: tcp::State,
    pub(crate) unacknowledged: usize,
}

impl Before {
    pub(crate) fn of(socket: &tcp::Socket<'_>) -> Self {
        Before {
            state: socket.state(),
            unacknowledged: socket.send_queue(),
        }
    }

    /// Whether our FIN is all that the peer can still acknowledge.
    pub(crate) fn only_fin_left(&self) -> bool {
        use tcp::State::{Closing, FinWait1, LastAck};
        self.unacknowledged == 0 && matches!(self.state, FinWait1 | Closing | LastAck)
    }
}

impl<'a> Inner<'a> {
    /// A fresh slot with a fresh socket; if none is free, the oldest in
    /// TIME-WAIT.
    pub(crate) fn take_slot(&mut self) -> Option<u32> {
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

    pub(crate) fn reclaim(&mut self, index: u32) {
        self.counters.count(|counters| &mut counters.reclaimed);
        self.tell(&Event::Reclaimed { slot: index });
        self.free(index);
    }

    /// Looks at a socket that smoltcp, a program or a deadline has touched and
    /// moves the slot on.
    pub(crate) fn settle(&mut self, index: u32, before: Option<Before>) {
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        let (life, port, now) = (slot.state, slot.listener, self.now);
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
                    self.listeners.enqueue(port, &mut self.slots, index);
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

    pub(crate) fn settle_open(&mut self, index: u32, before: Option<Before>, gone: bool) {
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
    pub(crate) fn settle_closing(&mut self, index: u32, state: tcp::State, gone: bool) {
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
    pub(crate) fn notice_reset(&mut self, index: u32, before: Before) {
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
    pub(crate) fn expire(&mut self, index: u32) {
        let now = self.now;
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        slot.timer = Timer::Stale;
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

    pub(crate) fn give_up(&mut self, index: u32) {
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
        let (state, port) = (slot.state, slot.listener);
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
            self.listeners.left(port, &mut self.slots, index, queued);
            self.listeners.wake_if_over(port);
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

    /// The longest idle of this listener's connections, if it is idle for
    /// `patience` and so gives way. It looks at every slot, but not again before one can
    /// be. One whose socket is lent is in use.
    #[cold]
    pub(crate) fn longest_idle(&mut self, port: u32, patience: Duration) -> Option<u32> {
        if self.now < self.listeners.at(port)?.none_idle_before {
            return None;
        }
        let mut longest: Option<(u32, u32)> = None;
        for index in 0..self.slots.len() {
            if let Some(slot) = self.slots.get(index)
                && slot.state == State::Open
                && slot.listener == port
                && slot.set.is_some()
            {
                let idles = slot.pace.idles(self.now);
                if longest.is_none_or(|(most, _)| idles > most) {
                    longest = Some((idles, index));
                }
            }
        }
        let (idles, index) = longest.unwrap_or((0, NO_LISTENER));
        let idles = Duration::from_millis(idles.into());
        if idles < patience {
            self.listeners.at(port)?.none_idle_before = after(self.now, patience - idles);
            return None;
        }
        Some(index).filter(|_| longest.is_some())
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
pub(crate) fn patience(now: Instant, set: &mut SocketSet<'_>) -> Instant {
    let interval = tcp_of(set).keep_alive();
    interval.map_or(FAR, |interval| {
        let micros = interval.total_micros().saturating_mul(4);
        Instant::from_micros(now.total_micros().saturating_add_unsigned(micros))
    })
}
