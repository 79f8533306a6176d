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

use core::cell::{Cell, RefCell};
use core::mem::ManuallyDrop;
use core::task::Waker;

use heapless::deque::DequeView;
use smoltcp::iface::Interface;
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpCidr};

#[cfg(feature = "observer")]
use crate::event::Audience;
use crate::event::{Counters, DropReason, Event, Totals, Yield};
use crate::net::addresses::Addresses;
use crate::net::checksum::Checks;
use crate::net::config::{Config, ConfigError};
use crate::net::cookie::Cookies;
use crate::net::deadlines::Deadlines;
use crate::net::flows::Flows;
use crate::net::handoff::{ETHERNET, Tally, without_ethernet};
use crate::net::ingress::Scheduler;
use crate::net::isn;
use crate::net::keys::derive_key;
use crate::net::limits::tick;
use crate::net::lobby::Lobby;
use crate::net::neighbors::{Neighbors, is_unicast};
use crate::net::ports::Ports;
use crate::net::slots::{Slot, Slots};
use crate::net::storage::{Buffers, StackParts, Storage};
use crate::net::woken::Woken;

/// When a device that took no more frames is asked again, at the latest.
const DEVICE_RETRY: Duration = Duration::from_millis(1);

/// The longest packet that every link carries (RFC 791, 3.2).
const LEAST_MTU: usize = 68;

/// The same for IPv6 (RFC 8200, 5).
#[cfg(feature = "ipv6")]
const LEAST_MTU_V6: usize = 1280;

/// The network stack of one host.
///
/// It is not used directly: a [`Node`](crate::Node) is the handle for
/// programs, and the event loop drives it.
///
/// Wakers may do what they like: those that are not a task's own are cloned, woken
/// and dropped while the stack is free, so they may call the node. Its device and its
/// observer may not: see [`Platform::device`](crate::Platform::device).
pub struct Stack<'a> {
    /// Taken for ever once a panic has gone through it: see [`Stack::with`].
    inner: RefCell<Inner<'a>>,
    is_hurt: Cell<bool>,
    note: Cell<Option<Yield>>,
}

impl core::fmt::Debug for Stack<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Stack").finish_non_exhaustive()
    }
}

impl<'a> Stack<'a> {
    /// A stack in `storage`, for a device with these capabilities. It must be an
    /// Ethernet device, whose MTU counts the Ethernet header: mostly 1,514. An MTU
    /// that is larger than the longest packet, of 65,535 bytes, is taken for that.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting to change.
    pub fn new<
        const S: usize,
        const R: usize,
        const T: usize,
        const L: usize,
        const A: usize,
        const P: usize,
    >(
        storage: &'a mut Storage<'a, S, R, T, L, A, P>,
        config: &Config,
        capabilities: DeviceCapabilities,
    ) -> Result<Self, ConfigError> {
        Self::from_parts(storage.parts(), config, capabilities)
    }

    /// The same from parts. With parts of different lengths the shortest
    /// decides how many slots there are.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_parts(
        parts: StackParts<'a>,
        config: &Config,
        mut capabilities: DeviceCapabilities,
    ) -> Result<Self, ConfigError> {
        // Ethernet where smoltcp was built to know of it; otherwise it is not said.
        if capabilities.medium != Medium::default() {
            return Err(ConfigError::Medium);
        }
        if capabilities.max_transmission_unit < ETHERNET + LEAST_MTU {
            return Err(ConfigError::Mtu);
        }
        if !is_unicast(config.hardware_addr) {
            return Err(ConfigError::HardwareAddress);
        }
        let count = parts.count();
        if count == 0 {
            return Err(ConfigError::Storage);
        }
        let mut buffers = Buffers::new(parts.rx, parts.tx, &parts.sockets[..count]);
        let slots = &mut parts.slots[..count];
        for (index, (slot, place)) in slots.iter_mut().zip(parts.sockets).enumerate() {
            let mut set = place.set();
            buffers.renew(index as u32, &mut set);
            *slot = Slot::EMPTY;
            *slot.set = Some(set);
        }
        parts.dirty.clear();
        let flow_key = derive_key(&config.secret, b"flows");
        let isn_key = derive_key(&config.secret, b"isn");
        let port_key = derive_key(&config.secret, b"ports");
        let checks = Checks::take(&mut capabilities);
        without_ethernet(&mut capabilities);
        let iface = isn::interface(0, &capabilities, Instant::ZERO);
        Ok(Stack {
            inner: RefCell::new(Inner {
                config: config.bounded(),
                addresses: Addresses::default(),
                iface,
                capabilities,
                buffers,
                flows: Flows::new(parts.buckets, slots, flow_key),
                slots: Slots::new(slots),
                deadlines: Deadlines::new(&mut parts.heap[..count], &mut parts.cells[..count]),
                dirty: parts.dirty,
                ports: Ports::new(parts.ports, parts.acceptors),
                lobby: Lobby::new(parts.parked),
                room_made: false,
                counters: Totals::default(),
                tally: Tally::new(checks),
                now: Instant::ZERO,
                tick: tick(Instant::ZERO),
                isn_key,
                port_key,
                cookies: Cookies::new(derive_key(&config.secret, b"cookies")),
                woken: Woken::NONE,
                ports_drawn: 0,
                neighbors: Neighbors::NEW,
                neighbor_news: false,
                waiting_for_neighbor: 0,
                device_full: false,
                closing: 0,
            }),
            is_hurt: Cell::new(false),
            note: Cell::new(None),
        })
    }

    /// Gives the host an address, for example `192.168.69.2/24`.
    ///
    /// # Errors
    /// [`ConfigError::Address`], [`ConfigError::TooMany`]; [`ConfigError::Mtu`] for
    /// an IPv6 address on a device that cannot send 1,280 bytes.
    pub fn add_address(&self, address: IpCidr) -> Result<(), ConfigError> {
        if !address.address().is_unicast() {
            return Err(ConfigError::Address);
        }
        self.with(|inner| {
            #[cfg(feature = "ipv6")]
            if matches!(address, IpCidr::Ipv6(_))
                && inner.capabilities.max_transmission_unit < LEAST_MTU_V6
            {
                return Err(ConfigError::Mtu);
            }
            inner
                .addresses
                .add(address)
                .map_err(|_| ConfigError::TooMany)
        })
    }

    /// Sends what is not for the local network to `gateway`, instead of to the one
    /// of the same version of IP that was set before.
    ///
    /// # Errors
    /// [`ConfigError::Address`].
    pub fn set_gateway(&self, gateway: IpAddress) -> Result<(), ConfigError> {
        if !gateway.is_unicast() {
            return Err(ConfigError::Address);
        }
        self.with(|inner| inner.addresses.set_gateway(gateway));
        Ok(())
    }

    /// Forgets everything that a power cycle forgets: connections, listeners,
    /// neighbors, sequence numbers; `secret` is the new boot's. Addresses,
    /// routes and counters stay. Nobody is told: peers find out as they would,
    /// and handles that are left are stale.
    ///
    /// Drop the tasks first, or they see their streams end as reset and their
    /// listeners as closed. The slot of a stream that holds lent bytes
    /// ([`fill_buf`](crate::TcpStream::fill_buf)) is in use until it gives them back.
    pub fn reboot(&self, secret: [u8; 16]) {
        self.with(|inner| inner.reboot(secret));
    }

    /// Runs `f` with the stack to itself, and then wakes those whose wakers may call
    /// the node.
    ///
    /// A panic in `f`, which is one of a device or an observer, leaves tables that
    /// contradict each other. Nobody sees them: the stack stays taken.
    ///
    /// # Panics
    /// When the stack is in use: a device or an observer has called the node.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Inner<'a>) -> R) -> R {
        let (out, woken) = self.with_quiet(|inner| (f(inner), inner.has_woken()));
        if woken {
            self.wake_others();
        }
        out
    }

    /// The same for what wakes nobody, or is followed by [`with`](Self::with).
    pub(crate) fn with_quiet<R>(&self, f: impl FnOnce(&mut Inner<'a>) -> R) -> R {
        let Ok(inner) = self.inner.try_borrow_mut() else {
            self.refuse()
        };
        let mut inner = ManuallyDrop::new(inner);
        let hurt = Hurt(&self.is_hurt);
        let out = f(&mut inner);
        core::mem::forget(hurt);
        drop(ManuallyDrop::into_inner(inner));
        out
    }

    /// The same for what is dropped: after a panic inside the stack there is nothing
    /// to do, and a second panic would end the process.
    pub(crate) fn with_unless_hurt(&self, f: impl FnOnce(&mut Inner<'a>)) {
        if !self.is_hurt.get() {
            self.with(f);
        }
    }

    #[cold]
    #[inline(never)]
    fn refuse(&self) -> ! {
        match self.is_hurt.get() {
            true => panic!("a device or an observer has panicked inside this stack"),
            false => panic!("a device or an observer calls the node that it serves"),
        }
    }

    #[cold]
    #[inline(never)]
    fn wake_others(&self) {
        loop {
            let next = self.inner.borrow_mut().pop_woken();
            let Some(wakers) = next else { break };
            wakers.into_iter().flatten().for_each(Waker::wake);
        }
    }

    /// A socket future says what it waits for; the event loop takes it after
    /// the poll.
    pub(crate) fn leave_note(&self, waits: Yield) {
        self.note.set(Some(waits));
    }

    pub(crate) fn take_note(&self) -> Option<Yield> {
        self.note.take()
    }
}

/// Dropped by a panic alone.
struct Hurt<'s>(&'s Cell<bool>);

impl Drop for Hurt<'_> {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// Everything behind the stack's one `RefCell`.
pub(crate) struct Inner<'a> {
    pub(super) config: Config,
    pub(super) addresses: Addresses,
    /// What the host and its connections speak through: IP, and no Ethernet.
    pub(super) iface: Interface,
    /// Of a device that has no Ethernet either.
    pub(super) capabilities: DeviceCapabilities,
    pub(super) buffers: Buffers<'a>,
    pub(crate) slots: Slots<'a>,
    pub(super) flows: Flows<'a>,
    pub(super) deadlines: Deadlines<'a>,
    pub(super) dirty: &'a mut DequeView<u32>,
    pub(crate) ports: Ports<'a>,
    pub(super) lobby: Lobby<'a>,
    /// A slot or a place in a backlog became free since SYNs were let in.
    pub(super) room_made: bool,
    pub(super) counters: Totals,
    pub(super) tally: Tally<'a>,
    pub(super) now: Instant,
    /// The same for limits.
    pub(super) tick: u32,
    pub(super) isn_key: [u8; 16],
    pub(super) port_key: [u8; 16],
    pub(super) cookies: Cookies,
    /// Slots whose wakers are not ours and to be woken.
    pub(super) woken: Woken,
    /// How many ports were drawn so far.
    pub(super) ports_drawn: u64,
    pub(super) neighbors: Neighbors,
    /// A neighbor answered in this turn.
    pub(super) neighbor_news: bool,
    pub(super) waiting_for_neighbor: u32,
    /// The device took no more frames in this turn.
    pub(super) device_full: bool,
    /// Slots whose stream is gone but whose peer has not agreed yet.
    pub(super) closing: u32,
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
    pub(super) fn has_woken(&self) -> bool {
        !self.woken.is_empty() || self.ports.has_woken()
    }

    /// Wakers to be woken when the stack is free. `None`: there are no more.
    #[cold]
    fn pop_woken(&mut self) -> Option<[Option<Waker>; 2]> {
        let next = self.woken.pop(&mut self.slots);
        next.or_else(|| Some([self.ports.take_woken(), None]).filter(|next| next[0].is_some()))
    }

    /// See [`Stack::reboot`].
    fn reboot(&mut self, secret: [u8; 16]) {
        for index in 0..self.slots.len() {
            self.free(index);
            if let Some(slot) = self.slots.get(index) {
                slot.dirty = false;
            }
        }
        self.slots.put_in_order();
        self.deadlines.clear();
        self.ports.reset();
        self.dirty.clear();
        while self.lobby.pop().is_some() {}
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

    pub(super) fn dropped(&mut self, reason: DropReason) {
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
        !self.dirty.is_empty() || (self.room_made && self.lobby.len() > 0)
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
