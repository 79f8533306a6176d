//! Groups that sockets hear: routers and switches that listen are told of each, by IGMP and
//! MLD.
//!
//! Not here: the groups in which the host's neighbors ask for it (`groups.rs`).

use smoltcp::phy::Device;
use smoltcp::time::Duration;
use smoltcp::wire::{IpAddress, IpCidr, Ipv4Address};

use crate::counters::DropReason;
pub(crate) use crate::frame::igmp::is_about_groups as are_in;
use crate::frame::igmp::{query, report};
#[cfg(feature = "ipv6")]
use crate::frame::mld;
use crate::table::host::Host;
use crate::table::joined::Joined;
use crate::table::neighbors::Neighbors;
use crate::time::after;

/// No answer comes earlier, so that whoever asks without an end is answered ten times a second.
const AT_ONCE: Duration = Duration::from_millis(100);

/// A frame about groups of IPv4: a router may be asking.
#[cold]
pub(crate) fn hear(joined: &mut Joined, host: &mut Host<'_>, frame: &[u8]) {
    let is_answered = query(frame).is_some_and(|query| {
        joined.version = query.version;
        asked(joined, host, query.group.into(), query.patience)
    });
    if !is_answered {
        host.dropped(DropReason::NotUnicast);
    }
}

/// A router asks for a group, or for all. False: nobody here hears such a one.
#[cold]
pub(crate) fn asked(
    joined: &mut Joined,
    host: &mut Host<'_>,
    group: IpAddress,
    patience: Duration,
) -> bool {
    if !joined.hears(group) {
        return false;
    }
    // At some time that suits it (RFC 3376, 5.2; RFC 3810, 6.2).
    let wait = patience * (host.secrets.draw() as u32 >> 16) / (1 << 16);
    joined.asked(group, after(host.now, wait.max(AT_ONCE)));
    true
}

/// Says of groups what is due. False: the device is full.
#[cold]
pub(crate) fn say<D: Device + ?Sized>(
    neighbors: &mut Neighbors,
    host: &Host<'_>,
    device: &mut D,
) -> bool {
    let joined = &mut neighbors.joined;
    let us = host.config.hardware_addr;
    while let Some((group, change)) = joined.next(host.now) {
        let Some(token) = device.transmit(host.now) else {
            return false;
        };
        let frame = match group {
            IpAddress::Ipv4(group) => report((us, source(host)), group, joined.version, change),
            #[cfg(feature = "ipv6")]
            IpAddress::Ipv6(group) => mld::report(
                (us, host.addresses.for_link()),
                group,
                neighbors.groups.first,
                change,
            ),
        };
        if let Some(frame) = frame {
            host.send(&frame, token);
        }
        joined.said(host.now);
    }
    true
}

/// The address that it speaks from, or nobody's.
#[allow(clippy::unnecessary_filter_map, reason = "necessary with IPv6")]
fn source(host: &Host<'_>) -> Ipv4Address {
    let mut own = host.addresses.own.iter().filter_map(|cidr| match cidr {
        IpCidr::Ipv4(cidr) => Some(cidr.address()),
        #[cfg(feature = "ipv6")]
        IpCidr::Ipv6(_) => None,
    });
    own.next().unwrap_or(Ipv4Address::UNSPECIFIED)
}
