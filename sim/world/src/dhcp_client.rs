//! A host that has its address from a DHCP server: the task of the core, and what must be so
//! of the host.
//!
//! Not here: what that is (`leases`).

use std::cell::Cell;

use cygnet::Node;
use cygnet::lab::move_in;
use cygnet::service::{self, DhcpConfig};
use smoltcp::time::{Duration, Instant};

use super::board::Size;
use super::ids::HostId;
use super::network::World;
use super::plan::DhcpClient;

/// The memory of such a host.
pub(super) const SIZE: Size = Size {
    slots: 2,
    rx_bytes: 512,
    tx_bytes: 512,
    tasks: 4,
    ..Size::SMALL
};

/// Asks for an address, and keeps it.
pub(super) fn program(node: Node<'static>, client: DhcpClient) {
    move_in(node, &[]);
    let config = DhcpConfig::new().host_name("kettle");
    let config = match client.link_local {
        true => config.link_local(),
        false => config,
    };
    // A plan may give a host no task at all; then it has no address, and that is told.
    let _ = node.spawn_named("dhcp", Box::pin(service::dhcp(node, config)));
}

impl World {
    /// This host has its address from a server from now on.
    pub(super) fn has_address_from_server(&mut self, host: HostId) {
        self.hosts[host.0].is_tenant = true;
        let hardware = super::identity::hardware(host);
        let now = self.now;
        self.leases.borrow_mut().moves_in(host.0, hardware, now);
    }

    /// Since when nothing has gone wrong with anybody, if nothing is wrong now.
    fn calm_since(&self) -> Option<Instant> {
        let mut hosts = self.hosts.iter();
        let mut ways = self.wires.iter().flat_map(|wire| &wire.directions);
        let is_well = hosts.all(|host| host.is_up() && !host.paused)
            && ways.all(|way| !way.blocked && !way.unplugged);
        is_well.then_some(self.struck)
    }

    /// After a host's turn: it has no address that it must not have.
    pub(super) fn look_at_lease(&self, index: usize) {
        let host = &self.hosts[index];
        let Some(node) = host.node().filter(|_| host.is_tenant) else {
            return;
        };
        let (addresses, sent) = (node.config().addresses, &host.card.outbox);
        let sent = sent.iter().map(Vec::as_slice);
        let time = (self.now, || self.calm_since());
        let mut leases = self.leases.borrow_mut();
        let turned = leases.turned(index, &addresses, sent, time);
        if let Err((rule, detail)) = turned {
            self.log.violated(rule, format!("{}: {detail}", host.name));
        }
    }
}

/// How long a host may have no address after the faults end: it may have asked a moment
/// before, and asks again after 64 s and a second (RFC 2131, 4.1); then it asks whether
/// somebody else has what it was given.
const WITHOUT: Duration = Duration::from_secs(90);

/// And one that had an address then and loses it: it asks at once.
const AGAIN: Duration = Duration::from_secs(60);

/// The hosts of a run that have their address from a server.
#[derive(Default)]
pub(super) struct Tenants(Vec<Tenant>);

struct Tenant {
    host: HostId,
    /// It has none since then.
    without: Cell<Option<Instant>>,
    has_had_one: Cell<bool>,
}

impl Tenants {
    pub(super) fn push(&mut self, host: HostId) {
        self.0.push(Tenant {
            host,
            without: Cell::new(None),
            has_had_one: Cell::new(false),
        });
    }

    /// Looked at from the end of the faults on: whether all have had the time to lose an
    /// address, and have one.
    pub(super) fn are_housed(&self, world: &World, healed: Instant) -> bool {
        let is_over = self.0.is_empty() || world.now() > healed + WITHOUT + AGAIN;
        let housed = self
            .0
            .iter()
            .filter(|tenant| tenant.is_housed(world, healed));
        housed.count() == self.0.len() && is_over
    }
}

impl Tenant {
    fn is_housed(&self, world: &World, healed: Instant) -> bool {
        let (host, now) = (self.host.0, world.now());
        if world.leases.borrow().since(host).is_some() {
            self.without.set(None);
            self.has_had_one.set(true);
            return true;
        }
        let since = self.without.get().unwrap_or(now.max(healed));
        self.without.set(Some(since));
        let most = if self.has_had_one.get() {
            AGAIN
        } else {
            WITHOUT
        };
        if now - since > most {
            let name = &world.hosts[host].name;
            let detail = format!("{name} has no address since {since}, and all is well");
            world.log.violated("address", detail);
        }
        false
    }
}
