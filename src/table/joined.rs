//! Groups that sockets hear, so that routers and switches that listen are told: twice when the
//! first socket begins to (RFC 3376, 5.1; RFC 3810, 6.1), twice when the last one has ended,
//! and when a router asks.
//!
//! Not here: how it is said (`igmp.rs`, `mld.rs`), and the groups in which the host's neighbors
//! ask for it (`groups.rs`).

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpAddress;

use crate::frame::igmp::Version;
use crate::frame::link::Change;
use crate::table::binds::{Words, words};

/// How many groups the sockets of a host hear.
const MOST: usize = 8;

/// How often a change is said, and how long after the last time again (RFC 3376, 8.1 and
/// 8.11).
const TIMES: u8 = 2;
const AGAIN: Duration = Duration::from_secs(1);

/// A group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) group: IpAddress,
    /// How many sockets hear it; zero: it is still to be said that none does.
    pub(crate) sockets: u32,
    /// When something is to be said, and how often.
    pub(crate) due: Option<Instant>,
    times: u8,
    /// Nobody asked.
    is_news: bool,
}

/// Every group that sockets hear.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    pub(crate) rows: [Option<Row>; MOST],
    /// As the router of IPv4 that asked last speaks.
    pub(crate) version: Version,
}

impl Joined {
    /// One more socket hears a group. False: there is no place for one more group.
    pub(crate) fn join(&mut self, group: IpAddress, now: Instant) -> bool {
        if is_everybodys(group) {
            return true;
        }
        let is_its = |row: &Option<Row>| row.is_some_and(|row| row.group == group);
        let is_free = |row: &Option<Row>| row.is_none_or(|row| row.sockets == 0);
        let place = self.rows.iter().position(is_its);
        let place = place.or_else(|| self.rows.iter().position(is_free));
        let Some(place) = place.and_then(|place| self.rows.get_mut(place)) else {
            return false;
        };
        match place {
            Some(row) if row.group == group && row.sockets > 0 => row.sockets += 1,
            _ => *place = Some(Row::of(group, 1, now)),
        }
        true
    }

    /// A socket hears these groups no more.
    pub(crate) fn leave(&mut self, groups: &[Words], now: Instant) {
        for row in self.rows.iter_mut().flatten() {
            if row.sockets > 0 && groups.contains(&words(row.group)) {
                row.sockets -= 1;
                if row.sockets == 0 {
                    *row = Row::of(row.group, 0, now);
                }
            }
        }
    }

    /// The host has other addresses, or is on another link: everything is said again.
    pub(crate) fn begin(&mut self, now: Instant) {
        for place in &mut self.rows {
            *place = place
                .filter(|row| row.sockets > 0)
                .map(|row| Row::of(row.group, row.sockets, now));
        }
    }

    /// Whether a socket hears this group, or, if it is unspecified, any of that version of IP.
    pub(crate) fn hears(&self, group: IpAddress) -> bool {
        self.rows.iter().flatten().any(|row| row.is_meant(group))
    }

    /// A router asks for such groups, and `at` is early enough. What is due before then is an
    /// answer too.
    pub(crate) fn asked(&mut self, group: IpAddress, at: Instant) {
        let rows = self.rows.iter_mut().flatten();
        for row in rows.filter(|row| row.is_meant(group)) {
            if row.due.is_none_or(|due| at < due) {
                (row.due, row.times, row.is_news) = (Some(at), 1, false);
            }
        }
    }

    /// When something is to be said.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.rows.iter().flatten().filter_map(|row| row.due).min()
    }

    /// A group of which something is to be said now, and what.
    pub(crate) fn next(&self, now: Instant) -> Option<(IpAddress, Change)> {
        let is_due = |row: &&Row| row.due.is_some_and(|due| due <= now);
        let row = self.rows.iter().flatten().find(is_due)?;
        let change = match (row.sockets, row.is_news) {
            (0, _) => Change::Ends,
            (_, true) => Change::Begins,
            (_, false) => Change::None,
        };
        Some((row.group, change))
    }

    /// What was [`next`](Self::next) was said.
    pub(crate) fn said(&mut self, now: Instant) {
        let is_due =
            |row: &Option<Row>| row.is_some_and(|row| row.due <= Some(now) && row.due.is_some());
        let Some(place) = self.rows.iter_mut().find(|row| is_due(row)) else {
            return;
        };
        if let Some(row) = place {
            row.times = row.times.saturating_sub(1);
            row.due = (row.times > 0).then(|| now + AGAIN);
        }
        *place = place.filter(|row| row.sockets > 0 || row.due.is_some());
    }
}

impl Row {
    /// Whether a router means it that asks for a group, or for all.
    fn is_meant(&self, group: IpAddress) -> bool {
        let is_its = match group.is_unspecified() {
            true => self.group.version() == group.version(),
            false => self.group == group,
        };
        is_its && self.sockets > 0
    }

    /// It is news.
    fn of(group: IpAddress, sockets: u32, now: Instant) -> Self {
        Row {
            group,
            sockets,
            due: Some(now),
            times: TIMES,
            is_news: true,
        }
    }
}

/// Whether everybody hears it anyway, or it does not leave its host, so that nobody says so
/// (RFC 3376, 5; RFC 3810, 6).
pub(crate) fn is_everybodys(group: IpAddress) -> bool {
    match group {
        IpAddress::Ipv4(group) => group.octets() == [224, 0, 0, 1],
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(group) => {
            let [_, flags_and_scope, ..] = group.octets();
            let nodes = [0xff02, 0, 0, 0, 0, 0, 0, 1];
            flags_and_scope & 15 < 2 || group.segments() == nodes
        }
    }
}
