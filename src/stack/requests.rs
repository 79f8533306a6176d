//! What programs ask of a slot: to accept it, to close it, to limit it, to lend its
//! socket.
//!
//! Not here: what frames and deadlines do to it (`lifecycle.rs`).

use smoltcp::iface::SocketSet;
use smoltcp::time::Duration;
use smoltcp::wire::IpEndpoint;

use crate::event::Event;
use crate::frame::flow::Flow;
use crate::rules::config::LONGEST;
use crate::rules::limits::{Pace, TimeLimits};
use crate::stack::core::Inner;
use crate::stack::lifecycle::*;
use crate::table::listeners::ListenerId;
use crate::table::slot::{Asked, Cut, NO_LISTENER, Slot, State, tcp_of};
use crate::time::FAR;

impl<'a> Inner<'a> {
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
    pub(crate) fn remove_listener(&mut self, id: ListenerId) {
        if self.listeners.listener(id).is_none() {
            return;
        }
        self.listeners.close(id);
        let mine = |slot: &&mut Slot<'_>| !slot.is_over() && slot.listener == id.index();
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get(index).filter(mine) else {
                continue;
            };
            // The next listener in its place has nothing to do with them.
            slot.listener = NO_LISTENER;
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
            self.listeners
                .left(id.index(), &mut self.slots, index, queued);
            self.mark_dirty(index);
        }
        self.listeners.remove(id);
    }

    /// What a listener's connections are limited to.
    pub(crate) fn limits(&mut self, id: ListenerId) -> TimeLimits {
        let port = self.listeners.listener(id);
        port.map_or(TimeLimits::DEFAULT, |port| port.limits)
    }

    /// Takes the oldest connection that waits for `accept`.
    pub(crate) fn accept(&mut self, id: ListenerId) -> Option<(u32, u32, IpEndpoint)> {
        let now = self.now;
        let limits = self.limits(id);
        let index = self.listeners.dequeue(id, &mut self.slots)?;
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
        self.listeners.wake_if_over(id.index());
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
}
