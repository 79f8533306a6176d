//! What the tables of a node say about each other, checked: whatever a slot
//! is in, is promised or waits for is written down in several places, and they
//! must agree whenever no turn runs. It looks at every slot, so it is for tests
//! and simulations.
//!
//! Not here: what a connection should do next. That is for whoever watches it.

use smoltcp::time::{Duration, Instant};

use crate::event::Reason;
use crate::frame::demux::Control;
use crate::frame::link::NOBODY;
use crate::lab::sound::{Inconsistent, ensure, is_in_order, length};
use crate::lab::task_audit::{is_armed, tasks, waiting_for_streams};
use crate::node::Node;
use crate::rules::lifecycle::{Cut, State};
use crate::rules::passes::{REARM, SHORTEST};
use crate::stack::connections::Connections;
use crate::stack::core::Core;
use crate::stack::gate::{is_crowded, is_in_doubt};
use crate::table::host::Host;
use crate::table::listeners::Acceptor;
use crate::table::neighbors::AT_THE_LATEST;
use crate::table::slot::{NO_LISTENER, Slot, Timer};
use crate::table::slots::SlotId;
use crate::time::{FAR, after};

/// Limits count in whole ticks from when they are looked at.
const TICKS: Duration = Duration::from_millis(4);

/// Checks what the tables of the stack and the tasks say about each other:
/// lists, counts, timers, who waits for what. For tests, between turns; the
/// time it takes grows with slots and tasks.
///
/// # Errors
/// [`Inconsistent`] is a bug of this crate.
pub fn audit(node: Node<'_>) -> Result<(), Inconsistent> {
    let waiting = tasks(node.tasks)?;
    node.stack.with(|core| Audit(core).all())?;
    #[cfg(feature = "udp")]
    node.stack
        .with(|core| crate::lab::datagram_audit::datagrams(&core.beside.binds))?;
    #[cfg(feature = "groups")]
    node.stack.with(|core| {
        crate::lab::datagram_audit::groups(&core.beside.binds, &core.neighbors.joined)
    })?;
    if waiting == 0 {
        return Ok(());
    }
    for (task, reason, slot) in waiting_for_streams(node.tasks) {
        let sleeps = is_armed(&node.tasks.timers, task);
        let wait = |core: &mut Core<'_>| Audit(core).wait(reason, slot, sleeps);
        node.stack.with(wait)?;
    }
    Ok(())
}

/// A stack that is looked at.
struct Audit<'c, 'a>(&'c mut Core<'a>);

impl Audit<'_, '_> {
    /// Checks every table against the others.
    fn all(&mut self) -> Result<(), Inconsistent> {
        self.lines()?;
        self.backlogs()?;
        for id in self.0.connections.slots.ids() {
            self.slot(id)?;
        }
        self.queue()?;
        ensure(
            "who was to be woken was woken",
            0,
            !self.0.connections.slots.woken && !self.0.connections.listeners.woken,
        )?;
        let deadlines = &self.0.connections.deadlines;
        // They wait for the frames of a host that was away.
        let now = match self.0.late {
            0 => self.0.host.now,
            _ => Instant::ZERO,
        };
        ensure(
            "the heap of slots' deadlines is in order, and none has passed",
            0,
            is_in_order(deadlines, now),
        )
    }

    /// Every slot is used or in the line of free ones, and counted once; one that has
    /// something to send is queued once.
    fn lines(&self) -> Result<(), Inconsistent> {
        let slots = &self.0.connections.slots;
        let in_line = |list, state| length(list, slots.slots, |slot| slot.state == state);
        let free = in_line(&slots.free, State::Free);
        let rest = slots.len() - slots.used;
        ensure("the free line holds every free slot", 0, free == Some(rest))?;
        let time_wait = in_line(&slots.time_wait, State::TimeWait);
        let (mut all, mut closing, mut waits, mut marked) = (0, 0, 0, 0);
        for slot in &*slots.slots {
            match slot.state {
                State::TimeWait => all += 1,
                State::Closing => closing += 1,
                _ => (),
            }
            waits += u32::from(slot.waits_for_neighbor);
            marked += usize::from(slot.dirty);
        }
        let holds = time_wait == Some(all);
        ensure("TIME-WAIT's line holds its slots", 0, holds)?;
        ensure("closing slots are counted", 0, slots.closing == closing)?;
        let counted = slots.waiting == waits;
        ensure("slots that wait for a neighbor are counted", 0, counted)?;
        let mut queued = slots.dirty.iter();
        let dirty = queued.all(|&number| slots[slots.id(number)].dirty);
        let once = dirty && slots.dirty.storage_len() == marked;
        ensure("a dirty slot is queued once", 0, once)
    }

    /// Every backlog holds what is admitted and not accepted, and no more than it may.
    fn backlogs(&self) -> Result<(), Inconsistent> {
        let (slots, listeners) = (&self.0.connections.slots, &self.0.connections.listeners);
        let now = self.0.host.now;
        let mut half_open = 0;
        for (number, listener) in (0..).zip(&*listeners.listeners) {
            if listener.port == 0 {
                continue;
            }
            let queued = |slot: &Slot<'_>| slot.state == State::Queued && slot.listener == number;
            let half = |slot: &Slot<'_>| slot.state == State::HalfOpen && slot.listener == number;
            let (mut waiting, mut shaking) = (0, 0);
            for slot in &*slots.slots {
                waiting += u32::from(queued(slot));
                shaking += u32::from(half(slot));
            }
            half_open += shaking;
            let ensure = |rule, holds| ensure(rule, number, holds);
            let line = length(&listener.queue, slots.slots, queued);
            ensure("a backlog's line holds its slots", line == Some(waiting))?;
            let pending = u32::from(listener.pending);
            let counts = pending == waiting + shaking;
            ensure("a backlog counts its slots", counts)?;
            let keeps = listener.pending <= listener.limit;
            ensure("a backlog keeps its limit", keeps)?;
            let line = length(&listener.half_open, slots.slots, half);
            ensure("a handshake stands in its line", line == Some(shaking))?;
            let mine = |one: &&Acceptor| one.waits != 0 && one.listener == number;
            let mut acceptors = listeners.acceptors.iter().filter(mine).peekable();
            let all_asleep = acceptors.peek().is_some() && acceptors.all(Acceptor::sleeps);
            let asleep = waiting > 0 && all_asleep;
            ensure("a waiting connection wakes an acceptor", !asleep)?;
            let patience = listener.reclaim.map(|patience| after(now, patience));
            ensure(
                "who is idle gives way after the listener's own patience",
                listener.none_idle_before <= patience.unwrap_or(Instant::ZERO),
            )?;
        }
        let counted = listeners.half_open;
        ensure("handshakes are counted", counted, counted == half_open)
    }

    /// A slot has a flow that leads to it and is looked at when it must be.
    fn slot(&mut self, id: SlotId) -> Result<(), Inconsistent> {
        let connections = &mut self.0.connections;
        let armed = connections.deadlines.get(id.number());
        let slot = &mut connections.slots[id];
        let (is_away, flow) = (slot.set.is_none(), slot.flow());
        let ensure = |rule, holds| ensure(rule, id.number(), holds);
        if matches!(slot.state, State::Free | State::Lent) {
            let lent = slot.state == State::Lent;
            ensure("a socket is away while its slot is lent", is_away == lent)?;
            ensure("a free slot has no flow", flow.is_none())?;
            return ensure("a free slot has no deadline", armed.is_none());
        }
        let now = self.0.host.now;
        let (held, due) = (slot.is_held(), slot.due(&self.0.host).at);
        let found = flow.is_none_or(|flow| connections.find(&flow) == Some(id));
        let slot = &connections.slots[id];
        ensure("a slot's flow leads to it", found)?;
        let bounded = slot.clocks.give_up != FAR;
        match slot.state {
            State::HalfOpen => ensure("a handshake has a deadline", bounded)?,
            State::Connecting => {
                let over = slot.cut != Cut::No;
                ensure("a connect has a deadline", bounded || over)?;
            }
            State::Closing => ensure("a close has a deadline", bounded)?,
            State::Free | State::Lent | State::Queued | State::Open | State::TimeWait => (),
        }
        let may_be_away = slot.state == State::Open;
        ensure("only a stream's socket is away", may_be_away || !is_away)?;
        let is_accepted = !matches!(slot.state, State::HalfOpen | State::Queued);
        let closes = matches!(slot.state, State::Closing | State::TimeWait);
        let listeners = &connections.listeners.listeners;
        let listener = listeners.get(slot.listener as usize);
        let listener = listener.is_some_and(|listener| listener.port != 0);
        let orphan = is_accepted && slot.listener == NO_LISTENER;
        let knows = listener || orphan || closes;
        ensure("a connection's listener is there", knows)?;
        let may_lack = closes || slot.state == State::Open;
        ensure("a connection has a flow", flow.is_some() || may_lack)?;
        if slot.dirty || (held && slot.clocks.give_up <= now) {
            return Ok(());
        }
        let by = |latest| armed.is_some_and(|armed| armed <= latest);
        let soon = slot.timer != Timer::WithinRto || by(now + SHORTEST);
        ensure("a slot armed soon is looked at soon", soon)?;
        let Some(set) = &*slot.set else {
            // Lent: it comes back dirty.
            let waits = slot.clocks.waits();
            let wakes = waits == FAR || by(waits);
            return ensure("who waits for a lent slot can give up", wakes);
        };
        ensure(
            "a slot's own deadline is armed",
            due == FAR || by(after(due, TICKS)),
        )?;
        let waits = slot.waits_for_neighbor;
        let heard = waits && slot.waits_since != self.0.neighbors.epoch;
        ensure("a neighbor's answer wakes who waits for it", !heard)?;
        if waits && slot.peer == NOBODY {
            return ensure("a neighbor is asked for again", by(now + AT_THE_LATEST));
        }
        // What should have happened already is asked for again at intervals.
        match self.0.engine.0.poll_at(now, set) {
            Some(at) if held && at >= due => Ok(()),
            Some(at) => {
                let latest = if at > now { at } else { now + REARM };
                ensure("a slot's TCP timer is armed", by(latest))
            }
            None => Ok(()),
        }
    }

    /// Nobody waits for a place that is there, and no SYN while handshakes do not
    /// get on.
    fn queue(&self) -> Result<(), Inconsistent> {
        let Core {
            connections,
            host,
            gate,
            ..
        } = &*self.0;
        let (mut welcome, mut doubted) = (false, false);
        let doubts = is_in_doubt(connections, host);
        for parked in gate.queue.iter() {
            if let Some(segment) = host.route_again(parked.frame())
                && let Some(listener) = connections.listeners.find(&segment.flow)
            {
                let proven = segment.control != Control::Syn;
                welcome |= has_room(connections, host, listener, proven);
                doubted |= doubts && !proven;
            }
        }
        let made = connections.room_made;
        let ensure = |rule, broken: bool| ensure(rule, 0, made || !broken);
        ensure("a SYN waits only while there is no place", welcome)?;
        ensure("a SYN waits only while handshakes get on", doubted)
    }

    /// A task sleeps until a stream is ready: it has left its waker, and the
    /// stream is not ready. One that sleeps also until a moment may have dropped the
    /// future of the stream and not what it noted.
    fn wait(&mut self, reason: Reason, number: u32, sleeps: bool) -> Result<(), Inconsistent> {
        let ensure = |rule, holds| ensure(rule, number, holds);
        let connections = &mut self.0.connections;
        let is_there = number < connections.slots.len();
        ensure("a task waits for a slot that is there", is_there)?;
        let id = connections.slots.id(number);
        let slot = &connections.slots[id];
        let parked = match reason {
            Reason::Read => slot.rx_waker.is_some(),
            _ => slot.tx_waker.is_some(),
        };
        let waits = parked && !slot.state.is_over();
        ensure("a task's waker is where it waits", waits || sleeps)?;
        let socket = connections.slots[id].socket();
        let ready = socket.is_some_and(|socket| match reason {
            Reason::Read => socket.can_recv(),
            Reason::Write => socket.can_send(),
            _ => false,
        });
        let woken = !ready || !waits;
        ensure("a stream that is ready wakes who waits for it", woken)
    }
}

/// Whether somebody in line for this listener would get a slot now: one that
/// has proved itself also in place of one that has not.
fn has_room(connections: &Connections<'_>, host: &Host<'_>, listener: u32, proven: bool) -> bool {
    let listeners = &connections.listeners;
    let here = proven && listeners.oldest_half_open(listener).is_some();
    let anywhere = proven && listeners.half_open > 0;
    (listeners.has_room(listener) || here)
        && (connections.slots.has_room() || anywhere)
        && (proven || !is_crowded(connections, host))
}
