//! Who hears which groups of IPv4 (RFC 3376, the third version; RFC 2236 and RFC 1112, 6, the
//! two before): the same as `mld.rs` for IPv6.
//!
//! A host speaks the version of the router that asked last. It does not keep silent because
//! another host has spoken for the group: behind a switch that listens it would not hear that.
//!
//! Not here: when something is said (`joined.rs`).

use smoltcp::time::Duration;
use smoltcp::wire::Ipv4Address;

use crate::frame::build::{Frame, raw};
use crate::frame::checksum;
use crate::frame::link::{Change, ETHERNET, Hardware, IPV4, group_v4};

/// Everybody; every router; and every router of the third version.
const HOSTS: Ipv4Address = Ipv4Address::new(224, 0, 0, 1);
const ROUTERS: Ipv4Address = Ipv4Address::new(224, 0, 0, 2);
const ROUTERS_OF_3: Ipv4Address = Ipv4Address::new(224, 0, 0, 22);

/// As the header of IPv4 says it.
const IGMP: u8 = 2;

/// The option "router alert" (RFC 2113).
const ALERT: [u8; 4] = [0x94, 4, 0, 0];

/// The version that a router speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Version {
    First,
    Second,
    #[default]
    Third,
}

/// A question of a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    /// The group that it asks about; unspecified: all.
    pub(crate) group: Ipv4Address,
    pub(crate) version: Version,
    /// Whoever answers does so at some time within that.
    pub(crate) patience: Duration,
}

/// Whether a frame is about groups of IPv4.
#[cold]
pub(crate) fn is_about_groups(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&IPV4) && frame.get(23) == Some(&IGMP)
}

/// Reads a frame that may be a question. RFC 3376, 9.1 and 9.2: what crossed a router, alerts
/// none or goes elsewhere is ignored.
#[cold]
pub(crate) fn query(frame: &[u8]) -> Option<Query> {
    let packet = frame.get(ETHERNET..)?;
    let header = packet.first_chunk::<20>()?;
    let start = usize::from(header[0] & 15) * 4;
    let end = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let (options, message) = (packet.get(20..start)?, packet.get(start..end)?);
    let &[0x11, code, _, _, a, b, c, d, ref more @ ..] = message else {
        return None;
    };
    let version = match (more.len(), code) {
        (0, 0) => Version::First,
        (0, _) => Version::Second,
        (4.., _) => Version::Third,
        _ => return None,
    };
    let [.., d0, d1, d2, d3] = *header;
    let (group, to) = (
        Ipv4Address::new(a, b, c, d),
        Ipv4Address::new(d0, d1, d2, d3),
    );
    let is_alert = options.windows(4).any(|it| it == ALERT) || version == Version::First;
    let is_whole = header[6] & 0x3f == 0 && header[7] == 0;
    let is_local = header[0] >> 4 == 4 && header[8] == 1 && is_whole && is_alert;
    let is_right = checksum::header_is_right(header, options) && checksum::is_icmp_right(message);
    let is_to_us = to == if group.is_unspecified() { HOSTS } else { group };
    if !(is_local && is_right && is_to_us) {
        return None;
    }
    let tenths = match version {
        Version::First => 100,
        // RFC 3376, 4.1.1: from 128 on a number with an exponent.
        Version::Third if code >= 128 => u64::from(code & 15 | 16) << ((code >> 4 & 7) + 3),
        _ => u64::from(code),
    };
    Some(Query {
        group,
        version,
        patience: Duration::from_millis(100 * tenths),
    })
}

/// Says that this host hears a group: that it began to, still does, or has ended, which the
/// first version has no word for. A host without an address says so as nobody (RFC 3376,
/// 4.2.13).
#[cold]
pub(crate) fn report(
    us: (Hardware, Ipv4Address),
    heard: Ipv4Address,
    version: Version,
    change: Change,
) -> Option<Frame> {
    let (to, kind) = match (version, change) {
        (Version::Third, _) => (ROUTERS_OF_3, 0x22),
        (Version::First, Change::Ends) => return None,
        (Version::Second, Change::Ends) => (ROUTERS, 0x17),
        (Version::First, _) => (heard, 0x12),
        (Version::Second, _) => (heard, 0x16),
    };
    let record = [0, 0, 0, 1, change as u8, 0, 0, 0];
    let record = match version {
        Version::Third => &record[..],
        _ => &[],
    };
    let length = (24 + 8 + record.len()) as u8;
    let header = [
        0x46, 0xc0, 0, length, 0, 0, 0x40, 0, 1, IGMP, 0, 0, // no checksum yet
    ];
    let mut frame = raw((us.0, group_v4(to)), IPV4, &header)?;
    let message = ETHERNET + 24;
    for part in [
        &us.1.octets()[..],
        &to.octets(),
        &ALERT,
        &[kind, 0, 0, 0],
        record,
        &heard.octets(),
    ] {
        frame.extend_from_slice(part).ok()?;
    }
    // Each sum is as that of ICMP.
    for (part, at) in [(ETHERNET..message, 10), (message..frame.len(), 2)] {
        let part = frame.get_mut(part)?;
        let sum = checksum::of_message(0, 1, part);
        *part.get_mut(at..)?.first_chunk_mut()? = sum.to_ne_bytes();
    }
    Some(frame)
}
