//! Which groups of IPv6 this host hears, said to routers and to switches that listen: those
//! in which its neighbors ask for it, one for each of its addresses. Everybody hears the
//! group of all nodes, and nobody says so (RFC 3810, 6).

use smoltcp::phy::Device;
use smoltcp::wire::{IpAddress, IpEndpoint, Ipv6Address};

use crate::counters::DropReason;
use crate::frame::flow::Flow;
use crate::frame::link::{Change, solicited_node};
use crate::frame::mld::{query, report};
#[cfg(feature = "groups")]
use crate::stack::joined;
use crate::table::groups::Groups;
use crate::table::host::Host;
use crate::table::neighbors::Neighbors;
use crate::time::after;

/// The host has other addresses. One without an address for the link waits until it is asked
/// before it says which groups it hears.
#[cold]
pub(crate) fn begin(groups: &mut Groups, host: &Host<'_>) {
    if !host.addresses.for_link().is_unspecified() {
        groups.begin(host.now);
    }
}

/// A router asks: it is answered at some time that suits it.
#[cold]
pub(crate) fn hear(neighbors: &mut Neighbors, host: &mut Host<'_>, frame: &[u8]) {
    let (groups, query) = (&mut neighbors.groups, query(frame));
    #[cfg(feature = "groups")]
    let is_answered = query.is_some_and(|query| {
        let (joined, group) = (&mut neighbors.joined, query.group.into());
        let is_heard = joined::asked(joined, host, group, query.patience);
        groups.first = if is_heard { query.first } else { groups.first };
        is_heard
    });
    #[cfg(not(feature = "groups"))]
    let is_answered = false;
    let query = query.filter(|query| {
        let ours = |addr| solicited_node(addr) == query.group;
        query.group.is_unspecified() || addresses(host).any(ours)
    });
    let (Some(query), Some(addr)) = (query, addresses(host).next()) else {
        if !is_answered {
            host.dropped(DropReason::NotUnicast);
        }
        return;
    };
    let us = IpEndpoint::new(addr.into(), 0);
    let drawn = host.secrets.isn(&Flow::new(us, us), host.now).0 as u16;
    let wait = query.patience * u32::from(drawn) / (1 << 16);
    groups.asked(query.first, after(host.now, wait));
}

/// Says of each group that it is heard, once it is time to. False: the device is full.
#[cold]
pub(crate) fn say<D: Device + ?Sized>(
    groups: &mut Groups,
    host: &Host<'_>,
    device: &mut D,
) -> bool {
    let us = host.addresses.for_link();
    while let Some(addr) = addresses(host).nth(groups.next) {
        let Some(token) = device.transmit(host.now) else {
            return false;
        };
        let us = (host.config.hardware_addr, us);
        let heard = solicited_node(addr);
        let change = match groups.begins {
            true => Change::Begins,
            false => Change::None,
        };
        if let Some(frame) = report(us, heard, groups.first, change) {
            host.send(&frame, token);
        }
        groups.next += 1;
    }
    groups.said(host.now);
    true
}

fn addresses(host: &Host<'_>) -> impl Iterator<Item = Ipv6Address> {
    let own = host.addresses.own.iter();
    own.filter_map(|cidr| match cidr.address() {
        IpAddress::Ipv6(addr) => Some(addr),
        IpAddress::Ipv4(_) => None,
    })
}
