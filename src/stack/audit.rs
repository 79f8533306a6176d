//! What the tables of a stack say about each other, checked: whatever a slot
//! is in, is promised or waits for is written down in several places, and they
//! must agree whenever no turn runs. It looks at every slot, so it is for tests
//! and simulations; firmware that does not call it does not contain it.
//!
//! Not here: what a connection should do next. That is for whoever watches it.

use smoltcp::time::{Duration, Instant};

use crate::event::{Inconsistent, Reason, ensure};
use crate::frame::demux::Control;
use crate::stack::core::Inner;
use crate::stack::egress::{REARM, SHORTEST};
use crate::table::neighbors::AT_THE_LATEST;
use crate::table::slot::{Cut, NO_LISTENER, Slot, State, Timer};
use crate::time::{FAR, after};

/// Limits count in whole ticks from when they are looked at.
const TICKS: Duration = Duration::from_millis(3);

impl Inner<'_> {
    /// Checks every table against the others.
    pub(crate) fn audit(&mut self) -> Result<(), Inconsistent> {
        self.audit_lines()?;
        self.audit_ports()?;
        for index in 0..self.slots.len() {
            self.audit_slot(index)?;
        }
        self.audit_dirty()?;
        self.audit_syn_queue()?;
        ensure("who was to be woken was woken", 0, !self.has_woken())?;
        ensure(
            "the heap of slots' deadlines is in order, and none has passed",
            0,
            self.deadlines.is_sound(self.now),
        )
    }

    fn count(&mut self, is: impl Fn(&Slot<'_>) -> bool) -> u32 {
        let all = 0..self.slots.len();
        all.filter(|&index| self.slots.get(index).is_some_and(|slot| is(slot)))
            .count() as u32
    }

    /// Every slot is used or in the line of free ones, and counted once.
    fn audit_lines(&mut self) -> Result<(), Inconsistent> {
        let is_free = |slot: &Slot<'_>| slot.state == State::Free;
        let free = self.slots.line(&self.slots.free, is_free);
        let rest = self.slots.len() - self.slots.used();
        ensure("the free line holds every free slot", 0, free == Some(rest))?;
        let waits = |slot: &Slot<'_>| slot.state == State::Closing && slot.in_time_wait;
        let line = self.slots.line(&self.slots.time_wait, waits);
        let all = self.count(waits);
        ensure("TIME-WAIT's line holds its slots", 0, line == Some(all))?;
        let closing = self.count(|slot| slot.state == State::Closing && !slot.in_time_wait);
        ensure("closing slots are counted", 0, self.closing == closing)?;
        let waiting = self.count(|slot| slot.waits_for_neighbor);
        ensure(
            "slots that wait for a neighbor are counted",
            0,
            self.waiting_for_neighbor == waiting,
        )
    }

    /// Every backlog holds what is admitted and not accepted, and no more than it may.
    fn audit_ports(&mut self) -> Result<(), Inconsistent> {
        let mut half_open = 0;
        for number in 0..self.listeners.len() {
            if self.listeners.look(number).is_none() {
                continue;
            }
            let queued = |slot: &Slot<'_>| slot.state == State::Queued && slot.listener == number;
            let half = |slot: &Slot<'_>| slot.state == State::HalfOpen && slot.listener == number;
            let (waiting, shaking) = (self.count(queued), self.count(half));
            half_open += shaking;
            let Some(port) = self.listeners.look(number) else {
                continue;
            };
            let line = self.slots.line(port.queue, queued);
            ensure(
                "a backlog's line holds its slots",
                number,
                line == Some(waiting),
            )?;
            let waits = u32::from(port.pending);
            ensure(
                "a backlog counts its slots",
                number,
                waits == waiting + shaking,
            )?;
            ensure(
                "a backlog keeps its limit",
                number,
                port.pending <= port.limit,
            )?;
            let line = self.slots.line(port.half_open, half);
            ensure(
                "a handshake stands in its line",
                number,
                line == Some(shaking),
            )?;
            let asleep = waiting > 0 && port.all_asleep;
            ensure("a waiting connection wakes an acceptor", number, !asleep)?;
            let patience = port.reclaim.map(|patience| after(self.now, patience));
            ensure(
                "who is idle gives way after the listener's own patience",
                number,
                port.none_idle_before <= patience.unwrap_or(Instant::ZERO),
            )?;
        }
        let counted = self.listeners.half_open();
        ensure("handshakes are counted", counted, counted == half_open)
    }

    /// A slot has a flow that leads to it and is looked at when it must be.
    fn audit_slot(&mut self, index: u32) -> Result<(), Inconsistent> {
        let now = self.now;
        let (flow, armed) = (self.slots.flow(index), self.deadlines.get(index));
        let found = flow.is_none_or(|flow| self.flows.find(self.slots.all(), &flow) == Some(index));
        let Some(slot) = self.slots.get(index) else {
            return Ok(());
        };
        let ensure = |rule, holds| ensure(rule, index, holds);
        ensure("a slot's flow leads to it", found)?;
        let bounded = slot.give_up != FAR;
        let is_away = slot.set.is_none();
        match slot.state {
            State::Free | State::Lent => {
                let lent = slot.state == State::Lent;
                ensure("a socket is away while its slot is lent", is_away == lent)?;
                ensure("a free slot has no flow", flow.is_none())?;
                return ensure("a free slot has no deadline", armed.is_none());
            }
            State::HalfOpen => ensure("a handshake has a deadline", bounded)?,
            State::Connecting => {
                let over = slot.cut != Cut::No;
                ensure("a connect has a deadline", bounded || over)?;
            }
            State::Closing => ensure("a close has a deadline", bounded || slot.in_time_wait)?,
            State::Queued | State::Open => (),
        }
        let may_be_away = slot.state == State::Open;
        ensure("only a stream's socket is away", may_be_away || !is_away)?;
        let is_accepted = !matches!(slot.state, State::HalfOpen | State::Queued);
        let listener = self.listeners.look(slot.listener).is_some();
        let orphan = is_accepted && slot.listener == NO_LISTENER;
        let knows = listener || orphan || slot.state == State::Closing;
        ensure("a connection's listener is there", knows)?;
        let may_lack = matches!(slot.state, State::Open | State::Closing);
        ensure("a connection has a flow", flow.is_some() || may_lack)?;
        let held = slot.state == State::Open && slot.is_time_wait();
        if slot.dirty || (held && slot.give_up <= now) {
            return Ok(());
        }
        let due = slot.due(now);
        let waits = slot.waits_for_neighbor;
        let heard = waits && slot.waits_since != self.neighbors.epoch;
        let by = |latest| armed.is_some_and(|armed| armed <= latest);
        let soon = slot.timer != Timer::WithinRto || by(now + SHORTEST);
        ensure("a slot armed soon is looked at soon", soon)?;
        if slot.set.is_none() {
            // Lent: it comes back dirty.
            let waits = slot.read_at.min(slot.write_at);
            let wakes = waits == FAR || by(waits);
            return ensure("who waits for a lent slot can give up", wakes);
        }
        ensure(
            "a slot's own deadline is armed",
            due == FAR || by(after(due, TICKS)),
        )?;
        ensure("a neighbor's answer wakes who waits for it", !heard)?;
        if waits {
            return ensure("a neighbor is asked for again", by(now + AT_THE_LATEST));
        }
        // What should have happened already is asked for again at intervals.
        match self.poll_at(index) {
            Some(at) if held && at >= due => Ok(()),
            Some(at) => {
                let latest = if at > now { at } else { now + REARM };
                ensure("a slot's TCP timer is armed", by(latest))
            }
            None => Ok(()),
        }
    }

    /// A slot that has something to send stands in the queue once.
    fn audit_dirty(&mut self) -> Result<(), Inconsistent> {
        let marked = self.count(|slot| slot.dirty) as usize;
        let mut all = true;
        for &index in self.dirty.iter() {
            all &= self.slots.get(index).is_some_and(|slot| slot.dirty);
        }
        let once = all && marked == self.dirty.iter().count();
        ensure("a dirty slot is queued once", 0, once)
    }

    /// Nobody waits for a place that is there, and no SYN while handshakes do not
    /// get on.
    fn audit_syn_queue(&mut self) -> Result<(), Inconsistent> {
        let (mut welcome, mut doubted) = (false, false);
        let doubts = self.is_in_doubt();
        for parked in self.syn_queue.iter() {
            if let Some(segment) = self.route_again(parked.frame())
                && let Some(port) = self.listeners.find(segment.flow.local_port())
            {
                let proven = segment.control != Control::Syn;
                welcome |= self.has_room(port, proven);
                doubted |= doubts && !proven;
            }
        }
        let ensure = |rule, broken: bool| ensure(rule, 0, self.room_made || !broken);
        ensure("a SYN waits only while there is no place", welcome)?;
        ensure("a SYN waits only while handshakes get on", doubted)
    }
}

impl Inner<'_> {
    /// A task sleeps until a stream is ready: it has left its waker, and the
    /// stream is not ready. One that sleeps also until a moment may have dropped the
    /// future of the stream and not what it noted.
    pub(crate) fn audit_wait(
        &mut self,
        reason: Reason,
        index: u32,
        sleeps: bool,
    ) -> Result<(), Inconsistent> {
        let Some(slot) = self.slots.get(index) else {
            return ensure("a task waits for a slot that is there", index, false);
        };
        let parked = match reason {
            Reason::Read => slot.rx_waker.is_some(),
            _ => slot.tx_waker.is_some(),
        };
        let waits = parked && !slot.is_over();
        ensure("a task's waker is where it waits", index, waits || sleeps)?;
        let ready = slot.socket().is_some_and(|socket| match reason {
            Reason::Read => socket.can_recv(),
            Reason::Write => socket.can_send(),
            _ => false,
        });
        ensure(
            "a stream that is ready wakes who waits for it",
            index,
            !ready || !waits,
        )
    }
}
