//! Frames on their way out: every slot that was touched sends what it has, in a
//! bounded number of passes, and says when it wants to be looked at again.

use smoltcp::iface::{Interface, PollResult, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};

use crate::frame::link::NOBODY;
use crate::stack::core::Inner;
use crate::stack::lifecycle::Before;
use crate::stack::one_shot::{Carried, Link, OneShot, Tally, Tx};
use crate::table::slot::{Cut, State, Timer, tcp_of};
use crate::time::FAR;

/// How long a slot whose `poll_at` lies in the past is left alone before it
/// is asked again, when asking did not move it. A peer can bring smoltcp
/// there, and gets two acknowledgements each time.
pub(crate) const REARM: Duration = Duration::from_secs(1);

/// smoltcp's shortest retransmission timeout. A connection that is busy need
/// not be asked for its timer after every segment (a tenth of what a small
/// request costs): no timer that begins now is over sooner, and what a slot is
/// armed for is never later than one that began before, unless the slot says so
/// (`Timer::Stale`). Timer too early, it is asked then.
pub(crate) const SHORTEST: Duration = Duration::from_secs(1);

impl<'a> Inner<'a> {
    pub(crate) fn transmit_slot<D: Device + ?Sized>(&mut self, index: u32, device: &mut D) {
        let now = self.now;
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        slot.dirty = false;
        if slot.state == State::Free {
            return;
        }
        if core::mem::take(&mut slot.waits_for_neighbor) {
            self.waiting_for_neighbor -= 1;
        }
        if slot.state == State::Connecting && slot.peer == NOBODY && !self.finds_peer(index, device)
        {
            return;
        }
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        // A held stream whose TIME-WAIT is over is left as it is.
        if slot.state == State::Open && slot.give_up <= now && slot.is_time_wait() {
            return;
        }
        let Some(set) = (*slot.set).as_mut() else {
            // Lent: it comes back dirty. Who waits for that may give up before.
            let waits = slot.read_at.min(slot.write_at);
            if waits != FAR {
                self.arm(index, waits);
            }
            return;
        };
        let before = Before::of(tcp_of(set));
        self.tally.view.set(slot.view);
        self.tally.edge.set(slot.edge);
        let mut way_out = WayOut {
            iface: &mut self.iface,
            link: Link {
                to: &slot.peer,
                from: &self.config.hardware_addr,
            },
            tally: &self.tally,
            capabilities: &self.capabilities,
        };
        let limit = self.config.frames_per_slot;
        let (passes, poll_at) = way_out.passes(set, device, now, limit);
        slot.view = self.tally.view.get();
        slot.edge = self.tally.edge.get();
        if before.unacknowledged > 0 {
            slot.pace.waits(self.tick);
        }
        let armed = slot.timer;
        let asks = armed == Timer::Stale || slot.silent_at != FAR;
        if passes == Passes::All && slot.state == State::Open && !asks {
            if armed != Timer::WithinRto {
                slot.timer = Timer::WithinRto;
                self.arm(index, now + SHORTEST);
            }
            return;
        }
        slot.timer = Timer::Exact; // `rearm` sees to it
        self.settle_if_moved(index, Some(before));
        let poll_at = match passes {
            Passes::All => self.poll_at(index),
            _ => poll_at,
        };
        self.rearm(index, passes, poll_at);
    }

    /// Most frames that leave change nothing a slot must react to.
    pub(crate) fn settle_if_moved(&mut self, index: u32, before: Option<Before>) {
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        let open = slot.state == State::Open;
        let Some(socket) = slot.socket() else { return };
        let after = Before::of(socket);
        let moved = before.is_none_or(|before| before.state != after.state);
        if moved && after.state == tcp::State::Closed && open {
            slot.cut = Cut::ByUs;
        }
        if moved || after.state == tcp::State::Closed || slot.state == State::Closing {
            self.settle(index, before);
        }
    }

    /// When smoltcp wants the slot to be looked at again.
    pub(crate) fn poll_at(&mut self, index: u32) -> Option<Instant> {
        let slot = self.slots.get(index)?;
        let set = (*slot.set).as_ref()?;
        self.iface.poll_at(self.now, set)
    }

    /// Decides when the slot is looked at again.
    pub(crate) fn rearm(&mut self, index: u32, passes: Passes, poll_at: Option<Instant>) {
        let now = self.now;
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        if slot.state == State::Free {
            return;
        }
        let timer = match (poll_at, passes) {
            (_, Passes::DeviceFull) => {
                self.device_full = true;
                slot.timer = Timer::Stale;
                self.mark_dirty(index);
                return;
            }
            (Some(at), Passes::Cut) if at <= now => {
                slot.timer = Timer::Stale;
                self.mark_dirty(index);
                return;
            }
            (Some(at), _) if at <= now => now + REARM,
            (Some(at), _) => at,
            (None, _) => FAR,
        };
        let over = timer != FAR && timer >= slot.give_up;
        let timer = match over && slot.state == State::Open && slot.is_time_wait() {
            true => FAR,
            false => timer,
        };
        let due = slot.due(now).min(timer);
        self.deadlines.set(index, (due != FAR).then_some(due));
    }

    /// Somebody answered: whoever waited for a neighbor tries again.
    pub(crate) fn wake_neighbor_waiters(&mut self) {
        for index in 0..self.slots.len() {
            if self
                .slots
                .get(index)
                .is_some_and(|slot| slot.waits_for_neighbor)
            {
                self.mark_dirty(index);
            }
        }
    }
}

/// How a slot's passes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passes {
    /// There was nothing (more) to send.
    Done,
    /// The last frame carried all that was left to send, and an
    /// acknowledgement: whatever timer runs now was asked about before, or
    /// began just now and runs for [`SHORTEST`].
    All,
    /// There is more, and the limit was reached.
    Cut,
    /// There is more, and the device has no room for it.
    DeviceFull,
}

/// How a slot's frames leave.
struct WayOut<'w, 'o> {
    iface: &'w mut Interface,
    link: Link<'w>,
    tally: &'w Tally<'o>,
    capabilities: &'w DeviceCapabilities,
}

impl WayOut<'_, '_> {
    /// Lets one socket send until it has nothing left or the limit is reached. A
    /// second bare acknowledgement in a row is no progress: smoltcp can be brought
    /// to send those for ever, and the loop ends there.
    fn passes<D: Device + ?Sized>(
        &mut self,
        set: &mut SocketSet<'_>,
        device: &mut D,
        now: Instant,
        limit: u16,
    ) -> (Passes, Option<Instant>) {
        let tally = self.tally;
        for pass in 0..limit.max(2) {
            let token = device.transmit(now);
            let has_room = token.is_some();
            let mut one = OneShot {
                frame: None,
                tx: token.map(Tx::Device),
                link: Some(self.link),
                tally,
                capabilities: self.capabilities,
            };
            tally.asked.set(false);
            if self.iface.poll_egress(now, &mut one, set) == PollResult::None {
                let end = match tally.asked.get() && !has_room {
                    true => Passes::DeviceFull,
                    false => Passes::Done,
                };
                return (end, self.iface.poll_at(now, set));
            }
            match tally.last.get() {
                Carried::LastData => return (Passes::All, None),
                Carried::PureAck if pass > 0 => {
                    return (Passes::Done, self.iface.poll_at(now, set));
                }
                // Most often it was all there was, and to ask costs less than
                // another pass that finds nothing.
                Carried::PureAck => {
                    let poll_at = self.iface.poll_at(now, set);
                    if poll_at.is_none_or(|at| at > now) {
                        return (Passes::Done, poll_at);
                    }
                }
                Carried::Other => (),
            }
        }
        (Passes::Cut, self.iface.poll_at(now, set))
    }
}
