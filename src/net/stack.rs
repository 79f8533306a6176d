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
//! place. It never answers a SYN it has no place for, because the peer's retry
//! is the backlog behind the backlog.
//!
//! Not here: TCP itself (smoltcp), what programs see (`socket`).

use core::cell::{Cell, RefCell};
use core::hash::Hasher;

use heapless::deque::DequeView;
use siphasher::sip::SipHasher13;
use smoltcp::iface::{Interface, PollResult, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    EthernetAddress, HardwareAddress, IpAddress, IpCidr, IpEndpoint, IpListenEndpoint,
};

use crate::event::{Counters, Deadline, DropReason, Event, Observer, Yield};
use crate::net::deadlines::Deadlines;
use crate::net::demux::{Control, Flow, Route, Segment, demux};
use crate::net::flows::Flows;
use crate::net::handoff::{Counted, Described, OneShot, Tallied, Tally};
use crate::net::ports::{PortId, Ports};
use crate::net::slots::{FAR, Slot, Slots, State, tcp_of};
use crate::net::storage::{Buffers, StackParts, Storage};

/// How a stack behaves. Start from [`Config::new`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Our Ethernet address.
    pub hardware_addr: EthernetAddress,
    /// Secret for the flow table, sequence numbers and ports. Draw it from the
    /// board's entropy source; whoever knows it can guess sequence numbers. In
    /// a test it is the seed.
    pub secret: [u8; 16],
    /// Most frames received in one turn.
    pub frames_per_turn: u16,
    /// Most frames that one slot sends in one turn.
    pub frames_per_slot: u16,
    /// A handshake that a peer began must finish in this time.
    pub handshake_timeout: Duration,
    /// A handshake that we began must finish in this time.
    pub connect_timeout: Duration,
    /// A closed stream's peer must finish the close in this time.
    pub close_timeout: Duration,
}

impl Config {
    /// 64 frames a turn, 16 a slot, 20 s for a peer's handshake, 75 s for
    /// ours, 30 s for a close.
    pub const fn new(hardware_addr: EthernetAddress, secret: [u8; 16]) -> Self {
        Config {
            hardware_addr,
            secret,
            frames_per_turn: 64,
            frames_per_slot: 16,
            handshake_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(75),
            close_timeout: Duration::from_secs(30),
        }
    }
}

/// A stack cannot be built this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The hardware address is a broadcast or multicast address.
    HardwareAddress,
    /// The device does not speak Ethernet.
    Medium,
    /// An IP address that is not a unicast address.
    Address,
    /// More addresses or routes than smoltcp was built for (its
    /// `iface-max-addr-count-…` and `iface-max-route-count-…` features).
    TooMany,
    /// Not even one slot: some part of the storage is empty.
    Storage,
}

impl core::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            ConfigError::HardwareAddress => "the hardware address must be a unicast address",
            ConfigError::Medium => "the device must be an Ethernet device",
            ConfigError::Address => "an IP address must be a unicast address",
            ConfigError::TooMany => "more addresses or routes than smoltcp was built for",
            ConfigError::Storage => "the storage has no room for a single connection",
        })
    }
}

impl core::error::Error for ConfigError {}

/// How long a slot whose `poll_at` lies in the past is left alone before it
/// is asked again, when asking did not move it.
const REARM: Duration = Duration::from_millis(10);
/// When a device that took no more frames is asked again, at the latest.
const DEVICE_RETRY: Duration = Duration::from_millis(1);
/// smoltcp's TIME-WAIT. While a stream in it is still held, its timer must not
/// run out: that would clear bytes which nobody has read yet.
const TIME_WAIT: Duration = Duration::from_secs(10);
/// An aborted slot must have sent its reset by then.
const LAST_WORD: Duration = Duration::from_secs(1);
/// First of the dynamic ports (RFC 6335).
const FIRST_DYNAMIC_PORT: u16 = 49152;

/// The network stack of one host.
///
/// It is not used directly: a [`Node`](crate::Node) is the handle for
/// programs, and the event loop drives it.
pub struct Stack<'a> {
    inner: RefCell<Inner<'a>>,
    note: Cell<Option<Yield>>,
}

impl core::fmt::Debug for Stack<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Stack").finish_non_exhaustive()
    }
}

impl<'a> Stack<'a> {
    /// A stack in `storage`, for a device with these capabilities.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting to change.
    pub fn new<const S: usize, const R: usize, const T: usize, const L: usize, const A: usize>(
        storage: &'a mut Storage<'a, S, R, T, L, A>,
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
        capabilities: DeviceCapabilities,
    ) -> Result<Self, ConfigError> {
        if capabilities.medium != Medium::Ethernet {
            return Err(ConfigError::Medium);
        }
        if !config.hardware_addr.is_unicast() {
            return Err(ConfigError::HardwareAddress);
        }
        let count = parts.count();
        if count == 0 {
            return Err(ConfigError::Storage);
        }
        let mut buffers = Buffers::new(parts.rx, parts.tx, count);
        let slots = &mut parts.slots[..count];
        for (index, (slot, place)) in slots.iter_mut().zip(parts.sockets).enumerate() {
            let place = place.write(smoltcp::iface::SocketStorage::EMPTY);
            let mut set = SocketSet::new(core::slice::from_mut(place));
            buffers.renew(index as u32, &mut set);
            *slot = Slot::EMPTY;
            *slot.set = Some(set);
        }
        parts.dirty.clear();
        let flow_key = derive_key(&config.secret, b"flows");
        let isn_key = derive_key(&config.secret, b"isn");
        let port_key = derive_key(&config.secret, b"ports");
        let iface_config =
            smoltcp::iface::Config::new(HardwareAddress::Ethernet(config.hardware_addr));
        let iface = Interface::new(iface_config, &mut Described(&capabilities), Instant::ZERO);
        Ok(Stack {
            inner: RefCell::new(Inner {
                config: config.clone(),
                iface,
                capabilities,
                buffers,
                slots: Slots::new(slots),
                flows: Flows::new(
                    &mut parts.buckets[..count],
                    &mut parts.flows[..count],
                    flow_key,
                ),
                deadlines: Deadlines::new(&mut parts.heap[..count], &mut parts.cells[..count]),
                dirty: parts.dirty,
                ports: Ports::new(parts.ports, parts.acceptors),
                counters: Counters::default(),
                observer: None,
                now: Instant::ZERO,
                isn_key,
                port_key,
                draws: 0,
                neighbor_news: false,
                waiting_for_neighbor: 0,
                device_full: false,
                closing: 0,
            }),
            note: Cell::new(None),
        })
    }

    /// Gives the host an address, for example `192.168.69.2/24`.
    ///
    /// # Errors
    /// [`ConfigError::Address`], [`ConfigError::TooMany`].
    pub fn add_address(&self, address: IpCidr) -> Result<(), ConfigError> {
        if !address.address().is_unicast() {
            return Err(ConfigError::Address);
        }
        let mut added = false;
        self.inner.borrow_mut().iface.update_ip_addrs(|addresses| {
            added = addresses.push(address).is_ok();
        });
        added.then_some(()).ok_or(ConfigError::TooMany)
    }

    /// Sends what is not for the local network to `gateway`.
    ///
    /// # Errors
    /// [`ConfigError::Address`], [`ConfigError::TooMany`].
    pub fn set_gateway(&self, gateway: IpAddress) -> Result<(), ConfigError> {
        if !gateway.is_unicast() {
            return Err(ConfigError::Address);
        }
        let mut inner = self.inner.borrow_mut();
        let routes = inner.iface.routes_mut();
        let set = match gateway {
            IpAddress::Ipv4(gateway) => routes.add_default_ipv4_route(gateway).map(|_| ()),
            #[cfg(feature = "ipv6")]
            IpAddress::Ipv6(gateway) => routes.add_default_ipv6_route(gateway).map(|_| ()),
        };
        set.map_err(|_| ConfigError::TooMany)
    }

    /// Runs `f` with the stack to itself.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Inner<'a>) -> R) -> R {
        f(&mut self.inner.borrow_mut())
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

/// Everything behind the stack's one `RefCell`.
pub(crate) struct Inner<'a> {
    config: Config,
    iface: Interface,
    capabilities: DeviceCapabilities,
    buffers: Buffers<'a>,
    pub(crate) slots: Slots<'a>,
    flows: Flows<'a>,
    deadlines: Deadlines<'a>,
    dirty: &'a mut DequeView<u32>,
    pub(crate) ports: Ports<'a>,
    counters: Counters,
    observer: Option<&'a dyn Observer>,
    now: Instant,
    isn_key: [u8; 16],
    port_key: [u8; 16],
    /// How many throw-away interfaces and ports were drawn so far.
    draws: u64,
    /// A neighbor answered in this turn.
    neighbor_news: bool,
    waiting_for_neighbor: u32,
    /// The device took no more frames in this turn.
    device_full: bool,
    /// Slots whose stream is gone but whose peer has not agreed yet.
    closing: u32,
}

/// Why `connect` cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    Unaddressable,
    NoSlot,
    NoPort,
}

/// What a socket looked like before smoltcp touched it.
#[derive(Clone, Copy)]
struct Before {
    state: tcp::State,
    unacknowledged: usize,
}

impl<'a> Inner<'a> {
    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn set_observer(&mut self, observer: Option<&'a dyn Observer>) {
        self.observer = observer;
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters {
            slots_used: self.slots.used(),
            ..self.counters
        }
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        if let Some(observer) = self.observer {
            observer.event(self.now, event);
        }
    }

    fn dropped(&mut self, reason: DropReason) {
        self.counters.dropped[reason as usize] += 1;
        self.tell(&Event::Dropped(reason));
    }

    // ---- one turn -------------------------------------------------------

    /// Begins a turn: sets the time and serves the deadlines that passed.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.now = now;
        self.counters.turns += 1;
        while let Some(slot) = self.deadlines.pop(now) {
            self.expire(slot);
        }
    }

    /// Receives up to the turn's share of frames. True when there may be more.
    pub(crate) fn receive<D: Device + ?Sized>(&mut self, device: &mut D) -> bool {
        for _ in 0..self.config.frames_per_turn {
            let Some((rx, tx)) = device.receive(self.now) else {
                return false;
            };
            rx.consume(|frame| self.frame_in(frame, tx));
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
        for _ in 0..self.dirty.storage_len() {
            let Some(slot) = self.dirty.pop_front() else {
                break;
            };
            self.transmit_slot(slot, device);
            if self.device_full {
                return false;
            }
        }
        !self.dirty.is_empty()
    }

    /// When the next slot's deadline is due. A full device is asked again soon;
    /// its interrupt may end the wait earlier.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        let again = self.device_full.then(|| self.now + DEVICE_RETRY);
        self.deadlines.next().into_iter().chain(again).min()
    }

    /// Whether bytes or a FIN of a closed stream are still on their way.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing > 0
    }

    // ---- frames in ------------------------------------------------------

    fn frame_in<T: TxToken>(&mut self, frame: &[u8], token: T) {
        self.counters.frames_in += 1;
        self.counters.bytes_in += frame.len() as u64;
        self.tell(&Event::FrameIn(frame));
        match demux(frame, self.config.hardware_addr, self.iface.ip_addrs()) {
            Route::Tcp(segment) => self.segment_in(&segment, frame, token),
            Route::General { neighbor } => {
                self.answer(frame, token);
                self.neighbor_news |= neighbor;
            }
            Route::Refuse(reason) => self.dropped(reason),
        }
    }

    fn segment_in<T: TxToken>(&mut self, segment: &Segment, frame: &[u8], token: T) {
        if let Some(slot) = self.flows.find(&segment.flow) {
            if !self.is_new_life(slot, segment) {
                return self.deliver(slot, segment, frame, token);
            }
            self.reclaim(slot);
        }
        if segment.control == Control::Syn
            && let Some(port) = self.ports.find(segment.flow.local.port)
        {
            return self.admit(port, segment, frame, token);
        }
        self.answer(frame, token);
    }

    /// Lets smoltcp answer a frame that belongs to no slot: ARP, ping, a reset
    /// for a closed port.
    fn answer<T: TxToken>(&mut self, frame: &[u8], token: T) {
        let mut nobody = SocketSet::new(&mut [][..]);
        hand(
            &mut self.iface,
            &mut self.counters,
            self.observer,
            (self.now, &self.capabilities),
            frame,
            token,
            &mut nobody,
        );
    }

    /// Gives a frame to the slot it belongs to.
    fn deliver<T: TxToken>(&mut self, index: u32, segment: &Segment, frame: &[u8], token: T) {
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        let Some(mut set) = slot.set.take() else {
            return self.dropped(DropReason::Borrowed);
        };
        if segment.seq > slot.last_seq {
            slot.last_seq = segment.seq;
        }
        let before = before(&mut set);
        hand(
            &mut self.iface,
            &mut self.counters,
            self.observer,
            (self.now, &self.capabilities),
            frame,
            token,
            &mut set,
        );
        *slot.set = Some(set);
        self.settle(index, before);
        self.mark_dirty(index);
    }

    /// Whether a segment begins a new connection on the addresses of one that
    /// is in TIME-WAIT (RFC 9293, 3.10.7.4, and RFC 6191).
    fn is_new_life(&mut self, index: u32, segment: &Segment) -> bool {
        segment.control == Control::Syn
            && self.slots.get(index).is_some_and(|slot| {
                slot.state == State::Closing && slot.in_time_wait && segment.seq > slot.last_seq
            })
    }

    /// Takes a slot for a SYN. A SYN that finds no place is dropped, never
    /// reset: the peer tries again.
    fn admit<T: TxToken>(&mut self, port: u32, segment: &Segment, frame: &[u8], token: T) {
        if !self.ports.has_room(port) {
            return self.dropped(DropReason::BacklogFull);
        }
        let Some(index) = self.take_slot() else {
            return self.dropped(DropReason::NoSlot);
        };
        let mut scratch = self.scratch_interface(&segment.flow);
        let Flow { local, remote } = segment.flow;
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        slot.state = State::HalfOpen;
        slot.port = port;
        slot.last_seq = segment.seq;
        slot.give_up = self.now + self.config.handshake_timeout;
        let Some(set) = (*slot.set).as_mut() else {
            return;
        };
        let Some(socket) = tcp_of(set) else { return };
        let endpoint = IpListenEndpoint {
            addr: Some(local.addr),
            port: local.port,
        };
        let listening = socket.listen(endpoint).is_ok();
        hand(
            &mut scratch,
            &mut self.counters,
            self.observer,
            (self.now, &self.capabilities),
            frame,
            token,
            set,
        );
        let state = tcp_of(set).map(|socket| socket.state());
        self.ports.admitted(port);
        if !listening
            || state != Some(tcp::State::SynReceived)
            || self.flows.insert(index, segment.flow).is_err()
        {
            self.free(index);
            return self.dropped(DropReason::BadSegment);
        }
        self.counters.syns_admitted += 1;
        self.tell(&Event::Admitted {
            slot: index,
            local,
            remote,
        });
        self.mark_dirty(index);
    }

    /// A fresh slot with a fresh socket; if none is free, the oldest in
    /// TIME-WAIT.
    fn take_slot(&mut self) -> Option<u32> {
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
        self.counters.slots_high = self.counters.slots_high.max(used);
        Some(index)
    }

    fn reclaim(&mut self, index: u32) {
        self.counters.reclaimed += 1;
        self.tell(&Event::Reclaimed { slot: index });
        self.free(index);
    }

    /// An interface for one segment only, so that its one random draw, the
    /// initial sequence number, comes from a keyed hash of the connection and
    /// not from a generator that a peer can follow (RFC 6528).
    fn scratch_interface(&mut self, flow: &Flow) -> Interface {
        self.draws += 1;
        let mut hasher = SipHasher13::new_with_key(&self.isn_key);
        hash_endpoint(&mut hasher, flow.local);
        hash_endpoint(&mut hasher, flow.remote);
        hasher.write(&self.now.total_micros().to_le_bytes());
        hasher.write(&self.draws.to_le_bytes());
        let hardware = HardwareAddress::Ethernet(self.config.hardware_addr);
        let mut config = smoltcp::iface::Config::new(hardware);
        config.random_seed = hasher.finish();
        let mut scratch = Interface::new(config, &mut Described(&self.capabilities), self.now);
        scratch.update_ip_addrs(|addresses| {
            let _ = addresses.extend_from_slice(self.iface.ip_addrs());
        });
        scratch
    }

    // ---- connections out ------------------------------------------------

    /// Takes a slot and sends a SYN in this turn.
    pub(crate) fn connect(&mut self, remote: IpEndpoint) -> Result<(u32, u32), OpenError> {
        let usable = |addr: IpAddress| addr.is_unicast() && !addr.is_unspecified();
        if remote.port == 0 || !usable(remote.addr) || self.is_broadcast(remote.addr) {
            return Err(OpenError::Unaddressable);
        }
        let source = self.iface.get_source_address(&remote.addr);
        let source = source.filter(|addr| self.iface.has_ip_addr(*addr) && *addr != remote.addr);
        let addr = source.ok_or(OpenError::Unaddressable)?;
        let port = self.dynamic_port(addr, remote).ok_or(OpenError::NoPort)?;
        let local = IpEndpoint { addr, port };
        let flow = Flow { local, remote };
        let index = self.take_slot().ok_or(OpenError::NoSlot)?;
        let mut scratch = self.scratch_interface(&flow);
        let slot = self.slots.get(index).ok_or(OpenError::NoSlot)?;
        slot.state = State::Connecting;
        slot.owners = 1;
        slot.give_up = self.now + self.config.connect_timeout;
        let generation = slot.generation;
        let connected = slot
            .socket()
            .is_some_and(|socket| socket.connect(scratch.context(), remote, local).is_ok());
        if !connected || self.flows.insert(index, flow).is_err() {
            self.free(index);
            return Err(OpenError::Unaddressable);
        }
        self.tell(&Event::Connecting {
            slot: index,
            remote,
        });
        self.mark_dirty(index);
        Ok((index, generation))
    }

    fn is_broadcast(&self, addr: IpAddress) -> bool {
        self.iface.ip_addrs().iter().any(|cidr| match (cidr, addr) {
            (IpCidr::Ipv4(cidr), IpAddress::Ipv4(addr)) => cidr.broadcast() == Some(addr),
            #[cfg(feature = "ipv6")]
            _ => false,
        })
    }

    /// A local port that no connection to `remote` uses: a keyed hash of the
    /// destination and a counter (RFC 6056, algorithm 3).
    fn dynamic_port(&mut self, addr: IpAddress, remote: IpEndpoint) -> Option<u16> {
        let range = u32::from(u16::MAX - FIRST_DYNAMIC_PORT) + 1;
        let mut hasher = SipHasher13::new_with_key(&self.port_key);
        hash_endpoint(&mut hasher, IpEndpoint { addr, port: 0 });
        hash_endpoint(&mut hasher, remote);
        let start = hasher.finish() as u32;
        // At most one port per slot is taken, so this many tries suffice.
        let tries = range.min(self.slots.len() + 1);
        for _ in 0..tries {
            self.draws += 1;
            let offset = start.wrapping_add(self.draws as u32) % range;
            let port = FIRST_DYNAMIC_PORT + offset as u16;
            let local = IpEndpoint { addr, port };
            if self.flows.find(&Flow { local, remote }).is_none() {
                return Some(port);
            }
        }
        None
    }

    // ---- a slot's life --------------------------------------------------

    /// Looks at a socket that smoltcp, a program or a deadline has touched and
    /// moves the slot on.
    fn settle(&mut self, index: u32, before: Option<Before>) {
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        let (life, port) = (slot.state, slot.port);
        let Some(socket) = slot.socket() else { return };
        let state = socket.state();
        let gone = state == tcp::State::Closed && socket.remote_endpoint().is_none();
        match life {
            State::Free => (),
            State::HalfOpen => match state {
                tcp::State::SynReceived => (),
                tcp::State::Listen | tcp::State::Closed => {
                    self.reset_by_peer(index);
                    self.free(index);
                }
                _ => {
                    slot.state = State::Queued;
                    slot.give_up = FAR;
                    self.tell(&Event::Established { slot: index });
                    self.ports.enqueue(port, &mut self.slots, index);
                }
            },
            State::Queued => {
                if state == tcp::State::Closed {
                    self.reset_by_peer(index);
                    self.free(index);
                }
            }
            State::Connecting => match state {
                tcp::State::SynSent | tcp::State::SynReceived => (),
                tcp::State::Closed => slot.wake_tx(),
                _ => {
                    slot.state = State::Open;
                    slot.give_up = FAR;
                    slot.wake_tx();
                    self.counters.connects += 1;
                    self.tell(&Event::Established { slot: index });
                }
            },
            State::Open => self.settle_open(index, before, gone),
            State::Closing => self.settle_closing(index, state, gone),
        }
    }

    fn settle_open(&mut self, index: u32, before: Option<Before>, gone: bool) {
        let now = self.now;
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        let Some(socket) = slot.socket() else { return };
        let (state, queued) = (socket.state(), socket.send_queue());
        let readable = socket.can_recv();
        let moved = before.is_none_or(|before| before.state != state);
        if moved || before.is_some_and(|before| queued < before.unacknowledged) {
            slot.wake_tx();
        }
        if moved || readable {
            slot.wake_rx();
        }
        if moved && state == tcp::State::TimeWait {
            slot.give_up = now + TIME_WAIT;
        }
        if moved && state == tcp::State::Closed {
            let was_last_ack = before.is_some_and(|before| before.state == tcp::State::LastAck);
            let timed_out = self.slots.get(index).is_some_and(|slot| slot.timed_out);
            if gone && !was_last_ack && !timed_out {
                self.reset_by_peer(index);
            }
        }
        if gone {
            // The addresses may be used again while the stream is still held.
            self.flows.remove(index);
        }
    }

    /// A stream that nobody holds: what still arrives is read and forgotten,
    /// so that the peer's FIN can arrive too.
    fn settle_closing(&mut self, index: u32, state: tcp::State, gone: bool) {
        if gone {
            return self.free(index);
        }
        if state == tcp::State::TimeWait {
            if self.slots.get(index).is_some_and(|slot| !slot.in_time_wait) {
                self.closing = self.closing.saturating_sub(1);
            }
            self.slots.enter_time_wait(index);
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

    fn reset_by_peer(&mut self, index: u32) {
        self.counters.resets += 1;
        self.tell(&Event::Reset { slot: index });
    }

    /// A deadline of this slot has passed: its own, or one of smoltcp's.
    fn expire(&mut self, index: u32) {
        let now = self.now;
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        if slot.read_at <= now {
            slot.read_at = FAR;
            slot.wake_rx();
        }
        if slot.write_at <= now {
            slot.write_at = FAR;
            slot.wake_tx();
        }
        if slot.give_up <= now {
            let quiet = slot.is_time_wait();
            let deadline = match slot.state {
                State::HalfOpen => Some(Deadline::Handshake),
                State::Connecting => Some(Deadline::Connect),
                State::Closing => Some(Deadline::Close),
                State::Open if !quiet => Some(Deadline::Close),
                _ => None,
            };
            if let Some(deadline) = deadline {
                self.counters.expired += 1;
                self.tell(&Event::Expired {
                    slot: index,
                    deadline,
                });
                self.give_up(index);
            }
        }
        self.mark_dirty(index);
    }

    fn give_up(&mut self, index: u32) {
        let now = self.now;
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        match slot.state {
            State::HalfOpen => self.free(index),
            State::Closing if slot.timed_out => self.free(index),
            State::Connecting | State::Open | State::Closing => {
                slot.timed_out = true;
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
                slot.wake_rx();
                slot.wake_tx();
            }
            State::Free | State::Queued => (),
        }
    }

    /// Gives a slot back, from whatever state it is in.
    pub(crate) fn free(&mut self, index: u32) {
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        let (state, port) = (slot.state, slot.port);
        if state == State::Free {
            return;
        }
        if core::mem::take(&mut slot.waits_for_neighbor) {
            self.waiting_for_neighbor -= 1;
        }
        if state == State::Closing && !slot.in_time_wait {
            self.closing = self.closing.saturating_sub(1);
        }
        if matches!(state, State::HalfOpen | State::Queued) {
            let queued = state == State::Queued;
            self.ports.left(port, &mut self.slots, index, queued);
            self.ports.wake_if_over(port);
        }
        self.flows.remove(index);
        self.deadlines.set(index, None);
        self.slots.release(index);
        self.tell(&Event::Freed { slot: index });
    }

    /// The last owner of a stream has let go.
    pub(crate) fn orphan(&mut self, index: u32, generation: u32) {
        let give_up = self.now + self.config.close_timeout;
        let last_word = self.now + LAST_WORD;
        let Some(slot) = self.slots.checked(index, generation) else {
            return;
        };
        if slot.state == State::Connecting {
            return self.free(index);
        }
        slot.state = State::Closing;
        slot.owners = 0;
        // An aborted stream has only its reset left to send.
        slot.give_up = if slot.timed_out { last_word } else { give_up };
        slot.read_at = FAR;
        slot.write_at = FAR;
        slot.rx_waker = None;
        slot.tx_waker = None;
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
            slot.abort_asked = true;
        }
        slot.timed_out = true;
        self.mark_dirty(index);
    }

    /// Resets every connection of a listener that was not accepted, and
    /// forgets the listener.
    pub(crate) fn remove_listener(&mut self, id: PortId) {
        self.ports.close(id);
        let mine = |slot: &&mut Slot<'_>| {
            matches!(slot.state, State::HalfOpen | State::Queued) && slot.port == id.index()
        };
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get(index).filter(mine) else {
                continue;
            };
            let queued = slot.state == State::Queued;
            slot.state = State::Closing;
            slot.give_up = self.now + LAST_WORD;
            slot.timed_out = true;
            if let Some(socket) = slot.socket() {
                socket.abort();
            }
            self.closing += 1;
            self.ports.left(id.index(), &mut self.slots, index, queued);
            self.mark_dirty(index);
        }
        self.ports.remove(id);
    }

    /// Takes the oldest connection that waits for `accept`.
    pub(crate) fn accept(&mut self, id: PortId) -> Option<(u32, u32, IpEndpoint)> {
        let index = self.ports.dequeue(id, &mut self.slots)?;
        let remote = self.flows.get(index)?.remote;
        let slot = self.slots.get(index)?;
        slot.state = State::Open;
        slot.owners = 1;
        let generation = slot.generation;
        self.counters.accepts += 1;
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
            slot.fin_asked = true;
            return;
        };
        let before = Before::of(socket);
        socket.close();
        self.settle(index, Some(before));
        self.mark_dirty(index);
    }

    /// From now on the close has a deadline although the stream is still held.
    pub(crate) fn arm_close(&mut self, index: u32) {
        let give_up = self.now + self.config.close_timeout;
        if let Some(slot) = self.slots.get(index)
            && slot.give_up == FAR
        {
            slot.give_up = give_up;
            self.arm(index, give_up);
        }
    }

    /// Lends a slot's socket to a stream, whose frames are dropped meanwhile.
    pub(crate) fn lend(&mut self, index: u32, generation: u32) -> Option<SocketSet<'a>> {
        self.slots.checked(index, generation)?.set.take()
    }

    /// Takes it back and does what was asked in between.
    pub(crate) fn give_back(&mut self, index: u32, set: SocketSet<'a>) {
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        *slot.set = Some(set);
        let generation = slot.generation;
        let abort = core::mem::take(&mut slot.abort_asked);
        let fin = core::mem::take(&mut slot.fin_asked);
        if abort {
            self.abort(index, generation);
        } else if fin {
            self.shutdown(index, generation);
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
            && slot.state != State::Free
            && !core::mem::replace(&mut slot.dirty, true)
        {
            // One entry per slot at most, and room for every slot.
            let _ = self.dirty.push_back(index);
        }
    }

    // ---- frames out -----------------------------------------------------

    fn transmit_slot<D: Device + ?Sized>(&mut self, index: u32, device: &mut D) {
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
        // A held stream whose TIME-WAIT is over is left as it is.
        if slot.state == State::Open && slot.is_time_wait() && slot.give_up <= now {
            return;
        }
        let Some(mut set) = slot.set.take() else {
            return;
        };
        let before = before(&mut set);
        let tally = Tally::new(now, self.observer);
        let passes = passes(
            &mut self.iface,
            &mut set,
            &mut Tallied {
                device,
                tally: &tally,
            },
            now,
            self.config.frames_per_slot,
        );
        let poll_at = self.iface.poll_at(now, &set);
        *slot.set = Some(set);
        self.counters.frames_out += u64::from(tally.frames.get());
        self.counters.bytes_out += tally.bytes.get();
        if passes == Passes::NoNeighbor {
            slot.waits_for_neighbor = true;
            self.waiting_for_neighbor += 1;
        }
        self.settle_if_moved(index, before);
        self.rearm(index, passes, poll_at);
    }

    /// Most frames that leave change nothing a slot must react to.
    fn settle_if_moved(&mut self, index: u32, before: Option<Before>) {
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        let timed_out = slot.state == State::Open;
        let Some(socket) = slot.socket() else { return };
        let after = Before::of(socket);
        let moved = before.is_none_or(|before| before.state != after.state);
        if moved && after.state == tcp::State::Closed && timed_out {
            slot.timed_out = true;
        }
        if moved || after.state == tcp::State::Closed || slot.state == State::Closing {
            self.settle(index, before);
        }
    }

    /// Decides when the slot is looked at again.
    fn rearm(&mut self, index: u32, passes: Passes, poll_at: Option<Instant>) {
        let now = self.now;
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        if slot.state == State::Free {
            return;
        }
        let quiet = slot.state == State::Open && slot.is_time_wait();
        let timer = match (poll_at, passes) {
            (_, Passes::DeviceFull) => {
                self.device_full = true;
                self.mark_dirty(index);
                return;
            }
            (Some(at), Passes::Cut) if at <= now => {
                self.mark_dirty(index);
                return;
            }
            (Some(at), _) if at <= now => now + REARM,
            (Some(at), _) => at,
            (None, _) => FAR,
        };
        let timer = if quiet && timer >= slot.give_up {
            FAR
        } else {
            timer
        };
        let due = slot.due().min(timer);
        self.deadlines.set(index, (due != FAR).then_some(due));
    }

    /// Somebody answered: whoever waited for a neighbor tries again.
    fn wake_neighbor_waiters(&mut self) {
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

impl Slot<'_> {
    fn is_time_wait(&mut self) -> bool {
        self.socket()
            .is_some_and(|socket| socket.state() == tcp::State::TimeWait)
    }
}

impl Before {
    fn of(socket: &tcp::Socket<'_>) -> Self {
        Before {
            state: socket.state(),
            unacknowledged: socket.send_queue(),
        }
    }
}

fn before(set: &mut SocketSet<'_>) -> Option<Before> {
    tcp_of(set).map(|socket| Before::of(socket))
}

/// How a slot's passes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passes {
    /// There was nothing (more) to send.
    Done,
    /// There is more, and the limit was reached.
    Cut,
    /// The link address of the next hop is not known yet.
    NoNeighbor,
    /// There is more, and the device has no room for it.
    DeviceFull,
}

/// Lets one socket send until it has nothing left or the limit is reached. A
/// second bare acknowledgement in a row is no progress: smoltcp can be brought
/// to send those for ever, and the loop ends there.
fn passes<D: Device + ?Sized>(
    iface: &mut Interface,
    set: &mut SocketSet<'_>,
    device: &mut Tallied<'_, D>,
    now: Instant,
    limit: u16,
) -> Passes {
    for pass in 0..limit {
        device.tally.look.set(pass > 0);
        device.tally.tokens.set(0);
        if iface.poll_egress(now, device, set) == PollResult::None {
            let asked = device.tally.tokens.get() > 0;
            return match (asked, device.tally.exhausted.get()) {
                (true, true) => Passes::DeviceFull,
                (true, false) => Passes::NoNeighbor,
                (false, _) => Passes::Done,
            };
        }
        if device.tally.pure_ack.get() {
            return Passes::Done;
        }
    }
    Passes::Cut
}

/// Hands one frame to an interface and counts the answer.
fn hand<T: TxToken>(
    iface: &mut Interface,
    counters: &mut Counters,
    observer: Option<&dyn Observer>,
    (now, capabilities): (Instant, &DeviceCapabilities),
    frame: &[u8],
    token: T,
    set: &mut SocketSet<'_>,
) {
    let tally = Tally::new(now, observer);
    let mut device = OneShot {
        frame,
        token: Some(Counted::new(token, &tally)),
        capabilities,
    };
    iface.poll_ingress_single(now, &mut device, set);
    counters.frames_out += u64::from(tally.frames.get());
    counters.bytes_out += tally.bytes.get();
}

fn hash_endpoint(hasher: &mut SipHasher13, endpoint: IpEndpoint) {
    match endpoint.addr {
        IpAddress::Ipv4(addr) => hasher.write(&addr.octets()),
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(addr) => hasher.write(&addr.octets()),
    }
    hasher.write(&endpoint.port.to_le_bytes());
}

/// One key per use, so that what leaks through one says nothing of the others.
fn derive_key(secret: &[u8; 16], purpose: &[u8]) -> [u8; 16] {
    let mut key = [0; 16];
    for (half, bytes) in key.chunks_exact_mut(8).enumerate() {
        let mut hasher = SipHasher13::new_with_key(secret);
        hasher.write(&[half as u8]);
        hasher.write(purpose);
        bytes.copy_from_slice(&hasher.finish().to_le_bytes());
    }
    key
}
