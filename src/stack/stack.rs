//! The handle to a stack: it is made, and then lent to one at a time.
//!
//! Not here: what is in it (`core.rs`).

use core::cell::{Cell, RefCell, RefMut};
use core::mem::{ManuallyDrop, MaybeUninit};
use core::task::Waker;

use scopeguard::guard;
use smoltcp::phy::{Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, IpCidr};

#[cfg(feature = "drive")]
use crate::driver::Driver;
use crate::event::Yield;
use crate::frame::checksum::Checks;
use crate::frame::link::{ETHERNET, is_unicast};
use crate::frame::one_shot::without_ethernet;
#[cfg(feature = "ipv6")]
use crate::rules::config::LEAST_MTU_V6;
use crate::rules::config::{Config, ConfigError, LEAST_MTU};
use crate::rules::cookie::Cookies;
use crate::scheduler::Scheduler;
use crate::stack::connections::Connections;
use crate::stack::core::{Core, Transmitted};
use crate::stack::engine::Engine;
use crate::stack::gate::Gate;
use crate::table::beside::Beside;
use crate::table::buffers::Buffers;
use crate::table::deadlines::Deadlines;
use crate::table::flows::Flows;
use crate::table::host::Host;
use crate::table::listeners::Listeners;
#[cfg(feature = "dns")]
use crate::table::names::NameStorage;
use crate::table::neighbors::Neighbors;
use crate::table::slots::Slots;
use crate::table::storage::{StackMemory, StackParts};
use crate::table::syn_queue::SynQueue;
#[cfg(feature = "udp")]
use crate::table::udp_storage::UdpStorage;

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
    core: RefCell<Core<'a>>,
    is_hurt: Cell<bool>,
    pub(crate) note: Cell<Option<Yield>>,
    #[cfg(feature = "drive")]
    driver: Cell<Option<&'a Driver>>,
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
    pub fn new<M: StackMemory<'a>>(
        storage: &'a mut M,
        config: &Config,
        capabilities: DeviceCapabilities,
    ) -> Result<Self, ConfigError> {
        Self::from_parts(storage.parts(), config, capabilities, |stack| stack)
    }

    /// The same where it will lie: it is not made on the program's stack first and then
    /// moved, which takes flash and a kilobyte of that stack.
    ///
    /// # Errors
    /// As [`new`](Self::new); `place` is as it was.
    ///
    /// ```
    /// use core::mem::MaybeUninit;
    /// use cygnet::{Config, Stack, Storage};
    /// use smoltcp::phy::{DeviceCapabilities, Medium};
    ///
    /// // On a board these two are statics: `STACK.uninit()` of a `StaticCell` is such a place.
    /// let mut memory = Storage::<1, 536, 536, 1, 1, 0>::new();
    /// let mut place = MaybeUninit::uninit();
    /// let config = Config::new([2, 0, 0, 0, 0, 1], [7; 16]);
    /// let mut ethernet = DeviceCapabilities::default();
    /// ethernet.medium = Medium::Ethernet;
    /// ethernet.max_transmission_unit = 1514;
    /// let stack: &mut Stack<'_> = Stack::new_in(&mut place, &mut memory, &config, ethernet)?;
    /// # let _ = stack;
    /// # Ok::<(), cygnet::ConfigError>(())
    /// ```
    pub fn new_in<'s, M: StackMemory<'a>>(
        place: &'s mut MaybeUninit<Self>,
        storage: &'a mut M,
        config: &Config,
        capabilities: DeviceCapabilities,
    ) -> Result<&'s mut Self, ConfigError> {
        Self::from_parts(storage.parts(), config, capabilities, |stack| {
            place.write(stack)
        })
    }

    /// The same without a size in a type: one function, however many sizes there are. The
    /// stack is handed to `put` as soon as it is made, so that it can be made there.
    fn from_parts<R>(
        parts: StackParts<'a>,
        config: &Config,
        mut capabilities: DeviceCapabilities,
        put: impl FnOnce(Self) -> R,
    ) -> Result<R, ConfigError> {
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
        if u128::from_ne_bytes(config.secret) == 0 {
            return Err(ConfigError::Secret);
        }
        if parts.slots.is_empty() || parts.rx.is_empty() || parts.tx.is_empty() {
            return Err(ConfigError::Storage);
        }
        let checks = Checks::take(&mut capabilities);
        without_ethernet(&mut capabilities);
        let secret = config.secret;
        let buffers = Buffers::new(parts.rx, parts.tx, parts.sockets, parts.slots);
        Ok(put(Stack {
            core: RefCell::new(Core {
                connections: Connections {
                    flows: Flows::new(parts.buckets, secret),
                    slots: Slots::new(parts.slots, parts.dirty),
                    deadlines: Deadlines::new(parts.heap, parts.cells),
                    buffers,
                    listeners: Listeners::new(parts.listeners, parts.acceptors),
                    cookies: Cookies::new(&secret),
                    room_made: false,
                },
                gate: Gate {
                    queue: SynQueue::new(parts.parked),
                },
                engine: Engine::new(&capabilities),
                host: Host::new(config.bounded(), capabilities, checks),
                neighbors: Neighbors::default(),
                beside: Beside::default(),
                neighbor_news: false,
                late: 0,
                device_full: false,
            }),
            is_hurt: Cell::new(false),
            note: Cell::new(None),
            #[cfg(feature = "drive")]
            driver: Cell::new(None),
        }))
    }

    /// Gives the host an address, for example `192.168.69.2/24`.
    ///
    /// # Errors
    /// [`ConfigError::Address`], [`ConfigError::TooMany`]; [`ConfigError::Mtu`] for
    /// an IPv6 address on a device that cannot send 1,280 bytes.
    pub fn add_address(&self, address: IpCidr) -> Result<(), ConfigError> {
        self.may_have(address)?;
        self.with(|core| {
            let added = core.host.addresses.own.push(address);
            added.map_err(|_| ConfigError::TooMany)?;
            core.has_changed();
            Ok(())
        })
    }

    /// Whether the host can have such an address.
    pub(crate) fn may_have(&self, address: IpCidr) -> Result<(), ConfigError> {
        if !address.address().is_unicast() {
            return Err(ConfigError::Address);
        }
        #[cfg(feature = "ipv6")]
        if matches!(address, IpCidr::Ipv6(_)) {
            let mtu = self.with_quiet(|core| core.host.capabilities.max_transmission_unit);
            if mtu < LEAST_MTU_V6 {
                return Err(ConfigError::Mtu);
            }
        }
        Ok(())
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
        self.with(|core| core.host.addresses.set_gateway(gateway));
        Ok(())
    }

    /// Gives the host memory for datagrams, once: without it nothing can be bound.
    ///
    /// # Errors
    /// [`ConfigError::Datagrams`]: it has such memory already.
    #[cfg(feature = "udp")]
    pub fn add_datagrams<const S: usize, const D: usize, const B: usize, const W: usize>(
        &self,
        storage: &'a mut UdpStorage<S, D, B, W>,
    ) -> Result<(), ConfigError> {
        let binds = storage.binds();
        self.with(|core| match core.beside.binds.len() {
            0 => {
                core.beside.binds = binds;
                Ok(())
            }
            _ => Err(ConfigError::Datagrams),
        })
    }

    /// Gives the host memory for names, once: without it nothing can be resolved.
    ///
    /// # Errors
    /// [`ConfigError::Names`]: it has such memory already.
    #[cfg(feature = "dns")]
    pub fn add_names<const NAMES: usize>(
        &self,
        storage: &'a mut NameStorage<NAMES>,
    ) -> Result<(), ConfigError> {
        let rows = storage.rows();
        self.with(|core| match core.beside.names.rows.len() {
            0 => {
                core.beside.names.rows = rows;
                Ok(())
            }
            _ => Err(ConfigError::Names),
        })
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
        self.with(|core| core.reboot(secret));
    }

    /// Runs `f` with the stack to itself, and then wakes those whose wakers may call
    /// the node.
    ///
    /// A panic in `f`, which is one of a device or an observer, leaves tables that
    /// contradict each other. Nobody sees them: the stack stays taken.
    ///
    /// # Panics
    /// When the stack is in use: a device or an observer has called the node.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Core<'a>) -> R) -> R {
        let (core, out) = self.run(f);
        self.leave(core);
        out
    }

    /// The same for what wakes nobody, or is followed by [`with`](Self::with).
    pub(crate) fn with_quiet<R>(&self, f: impl FnOnce(&mut Core<'a>) -> R) -> R {
        #[cfg(feature = "drive")]
        {
            let (mut core, out) = self.run(f);
            let driver = self.must_hear(&mut core);
            drop(core);
            driver.into_iter().for_each(Driver::wake);
            out
        }
        #[cfg(not(feature = "drive"))]
        self.run(f).1
    }

    /// From now on this driver hears of what happens between its turns.
    #[cfg(feature = "drive")]
    pub(crate) fn set_driver(&self, driver: &'a Driver) {
        self.driver.set(Some(driver));
    }

    /// The driver, if it rests and there is something to do earlier than it knows.
    #[cfg(feature = "drive")]
    fn must_hear(&self, core: &mut Core<'a>) -> Option<&'a Driver> {
        let driver = self.driver.get()?;
        let until = driver.rests_until()?;
        let sends = !core.connections.slots.dirty.is_empty() || core.beside.sends();
        let admits = core.connections.room_made && core.gate.queue.len > 0;
        let wakes = sends || admits || core.next_deadline().is_some_and(|due| due < until);
        wakes.then_some(driver)
    }

    #[inline]
    fn run<R>(&self, f: impl FnOnce(&mut Core<'a>) -> R) -> (RefMut<'_, Core<'a>>, R) {
        #[cfg(feature = "drive")]
        let now = self.driver.get().and_then(Driver::now);
        let mut core = ManuallyDrop::new(self.enter());
        #[cfg(feature = "drive")]
        if let Some(now) = now {
            core.host.set_now(now);
        }
        let hurt = guard((), |()| self.is_hurt.set(true));
        let out = f(&mut core);
        core::mem::forget(hurt);
        (ManuallyDrop::into_inner(core), out)
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn enter(&self) -> RefMut<'_, Core<'a>> {
        self.core.try_borrow_mut().unwrap_or_else(|_| self.refuse())
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn leave(&self, core: RefMut<'_, Core<'a>>) {
        #[cfg(feature = "drive")]
        let mut core = core;
        #[cfg(feature = "drive")]
        let driver = self.must_hear(&mut core);
        let connections = &core.connections;
        let woken = connections.slots.woken || connections.listeners.woken;
        let woken = woken || core.beside.is_woken();
        drop(core);
        if woken {
            self.wake_others();
        }
        #[cfg(feature = "drive")]
        driver.into_iter().for_each(Driver::wake);
    }

    /// The same for what is dropped: after a panic inside the stack there is nothing
    /// to do, and a second panic would end the process.
    pub(crate) fn with_unless_hurt(&self, f: impl FnOnce(&mut Core<'a>)) {
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
            let next = self.core.borrow_mut().pop_woken();
            let Some(wakers) = next else { break };
            wakers.into_iter().flatten().for_each(Waker::wake);
        }
    }

    /// A turn begins.
    pub(crate) fn begin(&self, now: Instant) {
        self.with_quiet(|core| core.begin(now));
    }

    /// Receives the turn's share of frames. True when there may be more.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn receive<D: Device + ?Sized>(
        &self,
        device: &mut D,
        scheduler: &impl Scheduler,
    ) -> bool {
        self.with(|core| core.receive(device, scheduler))
    }

    /// Sends what the turn has left to be sent.
    pub(crate) fn transmit<D: Device + ?Sized>(&self, device: &mut D) -> Transmitted {
        self.with(|core| core.transmit(device))
    }

    /// A socket future says what it waits for; the event loop takes it after
    /// the poll.
    pub(crate) fn leave_note(&self, waits: Yield) {
        self.note.set(Some(waits));
    }
}
