//! The stack: the only caller of smoltcp's `Interface`.
//!
//! `Interface::poll` looks at every socket for every frame, and one peer can
//! make it loop for ever. So it is never called. Each slot has a socket set
//! with one socket in it; the demux picks the set for a frame; a slot that was
//! touched is dirty and is transmitted at the end of the turn, in a bounded
//! number of passes; a heap says which slot's timer is next. What a frame
//! costs does not depend on how many slots there are.
//!
//! It refuses, and counts: frames that are not for us, SYNs that find no
//! place. It never resets a SYN it has no place for, because the peer's retry
//! is the backlog behind the backlog; a cookie may answer it (`cookie.rs`).
//!
//! Not here: TCP itself (smoltcp), what programs see (`socket`).

use core::task::Waker;

use heapless::deque::DequeView;
use smoltcp::iface::Interface;
use smoltcp::phy::{Device, DeviceCapabilities, RxToken};
use smoltcp::time::{Duration, Instant};

use crate::counters::{Counters, DropReason, Totals};
#[cfg(feature = "observer")]
use crate::event::Audience;
use crate::event::Event;
use crate::rules::addresses::Addresses;
use crate::rules::config::Config;
use crate::rules::cookie::Cookies;
use crate::rules::keys::derive_key;
use crate::rules::limits::tick;
use crate::scheduler::Scheduler;
use crate::stack::one_shot::Tally;
use crate::table::buffers::Buffers;
use crate::table::deadlines::Deadlines;
use crate::table::flows::Flows;
use crate::table::listeners::Listeners;
use crate::table::neighbors::Neighbors;
use crate::table::slots::Slots;
use crate::table::syn_queue::SynQueue;
use crate::table::woken::Woken;

/// When a device that took no more frames is asked again, at the latest.
const DEVICE_RETRY: Duration = Duration::from_millis(1);

/// Everything behind the stack's one `RefCell`.
pub(crate) struct Inner<'a> {
    pub(crate) config: Config,
    pub(crate) addresses: Addresses,
    /// What the host and its connections speak through: IP, and no Ethernet.
    pub(crate) iface: Interface,
    /// Of a device that has no Ethernet either.
    pub(crate) capabilities: DeviceCapabilities,
    pub(crate) buffers: Buffers<'a>,
    pub(crate) slots: Slots<'a>,
    pub(crate) flows: Flows<'a>,
    pub(crate) deadlines: Deadlines<'a>,
    pub(crate) dirty: &'a mut DequeView<u32>,
    pub(crate) listeners: Listeners<'a>,
    pub(crate) syn_queue: SynQueue<'a>,
    /// A slot or a place in a backlog became free since SYNs were let in.
    pub(crate) room_made: bool,
    pub(crate) counters: Totals,
    pub(crate) tally: Tally<'a>,
    pub(crate) now: Instant,
    /// The same for limits.
    pub(crate) tick: u32,
    pub(crate) isn_key: [u8; 16],
    pub(crate) port_key: [u8; 16],
    pub(crate) cookies: Cookies,
    /// Slots whose wakers are not ours and to be woken.
    pub(crate) woken: Woken,
    /// How many ports were drawn so far.
    pub(crate) ports_drawn: u64,
    pub(crate) neighbors: Neighbors,
    /// A neighbor answered in this turn.
    pub(crate) neighbor_news: bool,
    pub(crate) waiting_for_neighbor: u32,
    /// The device took no more frames in this turn.
    pub(crate) device_full: bool,
    /// Slots whose stream is gone but whose peer has not agreed yet.
    pub(crate) closing: u32,
}

impl<'a> Inner<'a> {
    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    #[cfg(feature = "observer")]
    pub(crate) fn set_audience(&mut self, audience: Audience<'a>) {
        self.tally.audience = audience;
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters {
            slots_used: self.slots.used(),
            frames_out: self.tally.frames.get(),
            bytes_out: self.tally.bytes.get(),
            ..self.counters.get()
        }
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        if let Some(observer) = self.tally.audience.get() {
            observer.event(self.now, event);
        }
    }

    /// The same where to put the event together costs something.
    pub(crate) fn tell_with<'e>(&self, event: impl FnOnce() -> Event<'e>) {
        if let Some(observer) = self.tally.audience.get() {
            observer.event(self.now, &event());
        }
    }

    #[inline]
    pub(crate) fn has_woken(&self) -> bool {
        !self.woken.is_empty() || self.listeners.has_woken()
    }

    /// Wakers to be woken when the stack is free. `None`: there are no more.
    #[cold]
    pub(crate) fn pop_woken(&mut self) -> Option<[Option<Waker>; 2]> {
        let next = self.slots.pop_woken(&mut self.woken);
        next.or_else(|| Some([self.listeners.take_woken(), None]).filter(|next| next[0].is_some()))
    }

    /// See [`Stack::reboot`].
    pub(crate) fn reboot(&mut self, secret: [u8; 16]) {
        for index in 0..self.slots.len() {
            self.free(index);
            if let Some(slot) = self.slots.get(index) {
                slot.dirty = false;
            }
        }
        self.slots.put_in_order();
        self.deadlines.clear();
        self.listeners.reset();
        self.dirty.clear();
        while self.syn_queue.pop().is_some() {}
        self.config.secret = secret;
        self.isn_key = derive_key(&secret, b"isn");
        self.port_key = derive_key(&secret, b"ports");
        self.cookies = Cookies::new(derive_key(&secret, b"cookies"));
        self.ports_drawn = 0;
        self.neighbor_news = false;
        self.neighbors = Neighbors::NEW;
    }

    /// Sets every total to zero, and the time.
    pub(crate) fn forget_history(&mut self) {
        self.counters = Totals::default();
        self.tally.frames.set(0);
        self.tally.bytes.set(0);
        self.now = Instant::ZERO;
        self.tick = tick(Instant::ZERO);
    }

    pub(crate) fn dropped(&mut self, reason: DropReason) {
        self.counters
            .count(|counters| &mut counters.dropped[reason as usize]);
        self.tell(&Event::Dropped(reason));
    }

    // ---- one turn -------------------------------------------------------

    /// Begins a turn: sets the time and serves the deadlines that passed.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.now = now;
        self.tick = tick(now);
        self.tally.now = now;
        self.counters.count(|counters| &mut counters.turns);
        while let Some(slot) = self.deadlines.pop(now) {
            self.expire(slot);
        }
    }

    /// Receives up to the turn's share of frames. True when there may be more.
    /// Readers are woken through the scheduler.
    pub(crate) fn receive<D: Device + ?Sized>(
        &mut self,
        device: &mut D,
        scheduler: &impl Scheduler,
    ) -> bool {
        self.admit_parked(device);
        for _ in 0..self.config.frames_per_turn.max(1) {
            let Some((rx, tx)) = device.receive(self.now) else {
                return false;
            };
            rx.consume(|frame| self.frame_in(frame, tx, scheduler));
        }
        true
    }

    /// Lets every dirty slot send. True when some could not finish, and could
    /// go on now.
    pub(crate) fn transmit<D: Device + ?Sized>(&mut self, device: &mut D) -> bool {
        if core::mem::take(&mut self.neighbor_news) && self.waiting_for_neighbor > 0 {
            self.wake_neighbor_waiters();
        }
        self.device_full = false;
        // What becomes dirty meanwhile waits for the next turn.
        for _ in 0..self.dirty.storage_len() {
            let Some(slot) = self.dirty.pop_front() else {
                break;
            };
            self.transmit_slot(slot, device);
            if self.device_full {
                return false;
            }
        }
        !self.dirty.is_empty() || (self.room_made && self.syn_queue.len() > 0)
    }

    /// When the next slot's deadline is due. A full device is asked again soon;
    /// its interrupt may end the wait earlier.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        let again = self.device_full.then(|| self.now + DEVICE_RETRY);
        let doubt = self.doubt_at();
        let slots = self.deadlines.next();
        slots.into_iter().chain(again).chain(doubt).min()
    }

    /// Whether bytes or a FIN of a closed stream are still on their way.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing > 0
    }
}
