//! Paths that are known to be narrower than our own link, for a while: a route may widen
//! again, and nobody says so (RFC 1191, 6.3, and RFC 8201, 4: ten minutes).
//!
//! Not here: what is believed of it (`pmtu.rs`).

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpAddress;

use crate::frame::link::same;

/// How many paths are known at a time. A connection keeps what it knows of its own.
const PLACES: usize = 4;

const LIFE: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug)]
struct Path {
    remote: IpAddress,
    mtu: u16,
    since: Instant,
}

/// The narrow paths.
#[derive(Debug, Default)]
pub(crate) struct Paths([Option<Path>; PLACES]);

impl Paths {
    /// How long a packet to `remote` may be, as far as is known.
    pub(crate) fn mtu(&self, remote: IpAddress, now: Instant) -> Option<u16> {
        let known = |path: &&Path| same(&path.remote, &remote) && now < path.since + LIFE;
        self.0.iter().flatten().find(known).map(|path| path.mtu)
    }

    /// A packet to `remote` may be so long. It takes the place of what was known of it, or
    /// of what has been known longest.
    pub(crate) fn learn(&mut self, remote: IpAddress, mtu: u16, now: Instant) {
        let rank = |place: &&mut Option<Path>| match place {
            Some(path) if !same(&path.remote, &remote) => path.since.total_micros(),
            _ => i64::MIN,
        };
        if let Some(place) = self.0.iter_mut().min_by_key(rank) {
            *place = Some(Path {
                remote,
                mtu,
                since: now,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> IpAddress {
        IpAddress::v4(10, 0, 0, last)
    }

    fn at(seconds: i64) -> Instant {
        Instant::from_secs(seconds)
    }

    #[test]
    fn a_path_is_known_for_ten_minutes() {
        let mut paths = Paths::default();
        paths.learn(peer(1), 1400, at(5));
        assert_eq!(paths.mtu(peer(1), at(604)), Some(1400));
        assert_eq!(paths.mtu(peer(1), at(605)), None);
        assert_eq!(paths.mtu(peer(2), at(6)), None);
    }

    #[test]
    fn what_is_known_longest_gives_way_and_nobody_has_two_places() {
        let mut paths = Paths::default();
        for last in 1..=4 {
            paths.learn(peer(last), 1400, at(last.into()));
        }
        paths.learn(peer(1), 1280, at(5));
        paths.learn(peer(5), 1300, at(6));
        let known = [1, 2, 3, 4, 5].map(|last| paths.mtu(peer(last), at(7)));
        assert_eq!(
            known,
            [Some(1280), None, Some(1400), Some(1400), Some(1300)]
        );
    }
}
