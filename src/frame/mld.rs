//! Multicast listener discovery (RFC 3810, and RFC 2710, its first version): routers, and
//! switches that listen to them, ask who hears which groups of IPv6, and deliver a group
//! to those who say so. A host that says nothing is not even found by its neighbors: they
//! ask for it in a group.
//!
//! Not here: when something is said (`groups.rs`).

use smoltcp::time::Duration;
use smoltcp::wire::Ipv6Address;

use crate::frame::build::{Frame, raw, sealed};
use crate::frame::icmp::message_v6;
use crate::frame::link::{Change, ETHERNET, Hardware, IPV6, group};

/// Every router that speaks the second version (RFC 3810, 5.2.14).
const ROUTERS: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);

/// Every router, which those of the first version are told that a host has ended (RFC 2710, 3).
#[cfg(feature = "groups")]
const ALL_ROUTERS: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Hop-by-hop options in front of a message: its number, "router alert" (RFC 2711), and
/// two bytes of nothing.
const ALERT: [u8; 8] = [58, 0, 5, 2, 0, 0, 1, 0];

/// A question of a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    /// The group that it asks about; unspecified: all.
    pub(crate) group: Ipv6Address,
    /// It speaks the first version.
    pub(crate) first: bool,
    /// Whoever answers does so at some time within that.
    pub(crate) patience: Duration,
}

/// Reads a frame that may be one. RFC 3810, 6.2: what does not come from the link, or
/// alerts no router, is ignored.
#[cold]
pub(crate) fn query(frame: &[u8]) -> Option<Query> {
    let packet = frame.get(ETHERNET..)?;
    let (header, message) = message_v6(packet, ALERT.len())?;
    let source = Ipv6Address::from(*header.get(8..)?.first_chunk::<16>()?);
    let alert = packet.get(40..48)?;
    let is_alert = alert[..2] == ALERT[..2] && alert[2..].windows(4).any(|it| it == &ALERT[2..6]);
    let (&[130, 0, _, _, c0, c1, _, _], asked) = message.split_first_chunk::<8>()? else {
        return None;
    };
    if !(header[7] == 1 && is_alert && source.is_unicast_link_local()) {
        return None;
    }
    let code = u64::from(u16::from_be_bytes([c0, c1]));
    let (first, millis) = match message.len() {
        24 => (true, code),
        // RFC 3810, 5.1.3: from 32,768 on a number with an exponent.
        28.. if code >= 1 << 15 => (false, (code & 0xfff | 0x1000) << (code >> 12 & 7) << 3),
        28.. => (false, code),
        _ => return None,
    };
    Some(Query {
        group: Ipv6Address::from(*asked.first_chunk::<16>()?),
        first,
        patience: Duration::from_millis(millis),
    })
}

/// Says that this host hears a group: that it began to, still does, or has ended. A host
/// without an address for the link says so as nobody (RFC 3810, 5.2.13): switches listen all
/// the same.
#[cold]
pub(crate) fn report(
    us: (Hardware, Ipv6Address),
    heard: Ipv6Address,
    first: bool,
    change: Change,
) -> Option<Frame> {
    let record = [change as u8, 0, 0, 0];
    let (to, kind, record) = match (first, change) {
        (false, _) => (ROUTERS, 143, &record[..]),
        #[cfg(feature = "groups")]
        (true, Change::Ends) => (ALL_ROUTERS, 132, &[][..]),
        (true, _) => (heard, 131, &[][..]),
    };
    let head = [kind, 0, 0, 0, 0, 0, 0, u8::from(!first)];
    let bytes = (ALERT.len() + head.len() + record.len() + 16) as u8;
    let mut frame = raw((us.0, group(to)), IPV6, &[0x60, 0, 0, 0, 0, bytes, 0, 1])?;
    for part in [
        &us.1.octets()[..],
        &to.octets(),
        &ALERT,
        &head,
        record,
        &heard.octets(),
    ] {
        frame.extend_from_slice(part).ok()?;
    }
    sealed(frame, ETHERNET + 48)
}
