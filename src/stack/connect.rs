//! What begins a connection of ours: a SYN, and a port for it.

use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::event::Event;
use crate::frame::demux::is_loopback;
use crate::frame::flow::Flow;
use crate::rules::isn;
use crate::rules::keys::HashInput;
use crate::stack::core::Inner;
use crate::stack::one_shot;
use crate::table::slot::{NO_LISTENER, State};

/// First of the dynamic ports (RFC 6335).
const FIRST_DYNAMIC_PORT: u16 = 49152;

/// Why `connect` cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    Unaddressable,
    NoSlot,
    NoPort,
}

impl<'a> Inner<'a> {
    /// Takes a slot and sends a SYN in this turn.
    pub(crate) fn connect(&mut self, remote: IpEndpoint) -> Result<(u32, u32), OpenError> {
        let usable = |addr: IpAddress| {
            addr.is_unicast()
                && !is_loopback(addr)
                && !self.addresses.is_broadcast(addr)
                && !self.addresses.has(addr)
        };
        if remote.port == 0 || !usable(remote.addr) {
            return Err(OpenError::Unaddressable);
        }
        self.addresses
            .next_hop(remote.addr)
            .ok_or(OpenError::Unaddressable)?;
        let source = self.addresses.source(remote.addr);
        let addr = source.ok_or(OpenError::Unaddressable)?;
        let port = self.dynamic_port(addr, remote).ok_or(OpenError::NoPort)?;
        let local = IpEndpoint { addr, port };
        let flow = Flow::new(local, remote);
        let index = self.take_slot().ok_or(OpenError::NoSlot)?;
        let isn = isn::initial(&self.isn_key, &flow, self.now);
        let seed = isn::seed(isn, isn::DRAWS);
        let mut scratch = one_shot::interface(seed, &self.capabilities, self.now);
        let slot = self.slots.get(index).ok_or(OpenError::NoSlot)?;
        slot.state = State::Connecting;
        slot.listener = NO_LISTENER;
        slot.owners = 1;
        slot.give_up = self.now + self.config.connect_timeout;
        let generation = slot.generation;
        let connected = slot
            .socket()
            .is_some_and(|socket| socket.connect(scratch.context(), remote, local).is_ok());
        if !connected || self.flows.insert(self.slots.all(), index, flow).is_err() {
            self.free(index);
            return Err(OpenError::Unaddressable);
        }
        self.tell(&Event::Connecting {
            slot: index,
            local,
            remote,
        });
        self.mark_dirty(index);
        Ok((index, generation))
    }

    /// A local port that no connection to `remote` uses: a keyed hash of the
    /// destination and a counter (RFC 6056, algorithm 3).
    pub(crate) fn dynamic_port(&mut self, addr: IpAddress, remote: IpEndpoint) -> Option<u16> {
        let range = u32::from(u16::MAX - FIRST_DYNAMIC_PORT) + 1;
        let mut text = HashInput::EMPTY;
        text.between(IpEndpoint { addr, port: 0 }, remote);
        let start = text.hash(&self.port_key) as u32;
        // At most one port per slot is taken, so this many tries suffice.
        let tries = range.min(self.slots.len() + 1);
        for _ in 0..tries {
            self.ports_drawn += 1;
            let offset = start.wrapping_add(self.ports_drawn as u32) % range;
            let port = FIRST_DYNAMIC_PORT + offset as u16;
            let local = IpEndpoint { addr, port };
            if self
                .flows
                .find(self.slots.all(), &Flow::new(local, remote))
                .is_none()
            {
                return Some(port);
            }
        }
        None
    }
}
