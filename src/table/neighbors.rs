//! What the host knows of who is where, and what it has asked. A place holds a
//! question or its answer; the first answer to a question is believed.
//!
//! Not here: how they are asked (`resolve.rs`).

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpAddress;

use crate::frame::link::{Hardware, same};
#[cfg(feature = "addressing")]
use crate::table::claims::Claims;
#[cfg(feature = "ipv6")]
use crate::table::groups::Groups;
#[cfg(feature = "groups")]
use crate::table::joined::Joined;
use crate::time::FAR;

/// How many neighbors are known or asked for at a time.
const PLACES: usize = if cfg!(feature = "udp") {
    FOR_ALL
} else {
    FOR_CONNECTIONS
};

/// So many for connections, which know their own once they are open.
pub(crate) const FOR_CONNECTIONS: usize = 4;

/// So many with those for datagrams, of which each that is not an answer needs one.
pub(crate) const FOR_ALL: usize = 16;

/// How long an answer is good for (RFC 1122, 2.3.2.1).
const LIFE: Duration = Duration::from_secs(60);

/// When the same is asked again, at the earliest (RFC 1122, 2.3.2.1).
pub(crate) const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The same for whoever asked the last time, because those who wait for a place
/// come first.
pub(crate) const AT_THE_LATEST: Duration = Duration::from_millis(1_010);

#[derive(Clone, Copy, Debug)]
struct Neighbor {
    addr: IpAddress,
    /// `None` as long as nobody answered.
    hardware: Option<Hardware>,
    since: Instant,
}

/// What the host knows of who is where, and what it has asked.
#[derive(Debug, Default)]
pub(crate) struct Neighbors {
    /// Counts answers, and wraps.
    pub(crate) epoch: u8,
    places: [Option<Neighbor>; PLACES],
    /// In which groups they find this host.
    #[cfg(feature = "ipv6")]
    pub(crate) groups: Groups,
    #[cfg(feature = "groups")]
    pub(crate) joined: Joined,
    #[cfg(feature = "addressing")]
    pub(crate) claims: Claims,
}

/// What to do about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    At(Hardware),
    Ask,
    Wait,
}

impl Neighbors {
    /// Where `addr` is. [`Lookup::Ask`] is said to one, once a second.
    /// Of the places it looks at the first `places`.
    pub(crate) fn look_up(&mut self, addr: IpAddress, now: Instant, places: usize) -> Lookup {
        let holds = |place: &Neighbor| match place.hardware {
            Some(_) => now < place.since + LIFE,
            None => now < place.since + ASK_AGAIN,
        };
        let open = |place: &Neighbor| place.hardware.is_none() && holds(place);
        // Its own, or the one that will be missed least: no time is so late as this bit.
        let rank = |place: &Option<Neighbor>| match place {
            Some(place) if same(&place.addr, &addr) => i64::MIN,
            None => i64::MIN + 1,
            Some(place) => place.since.total_micros() | i64::from(open(place)) << 62,
        };
        let mut least = None;
        for place in self.places.iter_mut().take(places) {
            let rank = rank(place);
            if least.as_ref().is_none_or(|(lowest, _)| rank < *lowest) {
                least = Some((rank, place));
            }
        }
        let Some((_, place)) = least else {
            return Lookup::Wait;
        };
        match place {
            Some(place)
                if holds(place) && (same(&place.addr, &addr) || place.hardware.is_none()) =>
            {
                place.hardware.map_or(Lookup::Wait, Lookup::At)
            }
            _ => {
                *place = Some(Neighbor {
                    addr,
                    hardware: None,
                    since: now,
                });
                Lookup::Ask
            }
        }
    }

    /// What is known of an address is doubted: it is asked for again.
    pub(crate) fn doubt(&mut self, addr: IpAddress) {
        let known = |place: &&mut Option<Neighbor>| {
            place.is_some_and(|place| same(&place.addr, &addr) && place.hardware.is_some())
        };
        if let Some(place) = self.places.iter_mut().find(known) {
            *place = None;
        }
    }

    /// When there is something to say that nobody asked for: never is [`FAR`].
    #[inline(always)]
    pub(crate) fn due(&self) -> Instant {
        let due = FAR;
        #[cfg(feature = "ipv6")]
        let due = due.min(self.groups.due.unwrap_or(FAR));
        #[cfg(feature = "groups")]
        let due = due.min(self.joined.due().unwrap_or(FAR));
        #[cfg(feature = "addressing")]
        let due = due.min(self.claims.due().unwrap_or(FAR));
        due
    }

    /// Nothing is known any more of who is where.
    #[cfg(feature = "addressing")]
    pub(crate) fn forget(&mut self) {
        self.places = [None; PLACES];
    }

    /// Whether this is the answer to a question.
    pub(crate) fn hear(&mut self, addr: IpAddress, hardware: Hardware, now: Instant) -> bool {
        let asked = |place: &&mut Neighbor| same(&place.addr, &addr) && place.hardware.is_none();
        let mut is_answer = false;
        for place in self.places.iter_mut().flatten().filter(asked) {
            (place.hardware, place.since) = (Some(hardware), now);
            is_answer = true;
        }
        self.epoch = self.epoch.wrapping_add(is_answer.into());
        is_answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Hardware = [2, 0, 0, 0, 0, 9];

    fn addr(last: u8) -> IpAddress {
        IpAddress::v4(10, 0, 0, last)
    }

    fn at(millis: i64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn the_same_is_asked_once_a_second_and_known_for_a_minute() {
        let mut known = Neighbors::default();
        assert_eq!(known.look_up(addr(9), at(0), PLACES), Lookup::Ask);
        assert_eq!(known.look_up(addr(9), at(999), PLACES), Lookup::Wait);
        assert_eq!(known.look_up(addr(9), at(1000), PLACES), Lookup::Ask);
        assert!(known.hear(addr(9), AT, at(1500)));
        assert_eq!(known.look_up(addr(9), at(61_499), PLACES), Lookup::At(AT));
        assert_eq!(known.look_up(addr(9), at(61_500), PLACES), Lookup::Ask);
    }

    #[test]
    fn only_the_first_answer_to_a_question_is_believed() {
        let mut known = Neighbors::default();
        assert!(!known.hear(addr(9), AT, at(0)), "nobody asked");
        known.look_up(addr(9), at(0), PLACES);
        assert!(!known.hear(addr(8), AT, at(1)), "for another");
        assert!(known.hear(addr(9), AT, at(2)));
        assert!(!known.hear(addr(9), [6; 6], at(3)), "too late");
        assert_eq!(known.look_up(addr(9), at(4), PLACES), Lookup::At(AT));
    }

    #[test]
    fn more_than_there_are_places_for_wait_and_what_is_known_gives_way() {
        let mut known = Neighbors::default();
        for n in 0..PLACES as u8 {
            assert_eq!(known.look_up(addr(n), at(n.into()), PLACES), Lookup::Ask);
        }
        assert_eq!(known.look_up(addr(99), at(10), PLACES), Lookup::Wait);
        assert!(known.hear(addr(2), AT, at(20)));
        assert_eq!(
            known.look_up(addr(99), at(30), PLACES),
            Lookup::Ask,
            "in its place"
        );
        assert_eq!(known.look_up(addr(98), at(40), PLACES), Lookup::Wait);
        assert!(known.hear(addr(3), AT, at(50)), "others keep theirs");
        // A question that nobody answers holds its place for a second.
        assert_eq!(known.look_up(addr(97), at(60), PLACES), Lookup::Ask);
        assert_eq!(known.look_up(addr(96), at(1000), PLACES), Lookup::Ask);
    }
}
