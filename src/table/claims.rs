//! Addresses that this host is about to take.
//!
//! Not here: what is said of them, and when (`rules/claim.rs`).

use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, IpCidr};

use crate::rules::claim::{DEFEND_INTERVAL, TAKEN};
use crate::time::after;

/// As many as a host can have.
pub(crate) const PLACES: usize = 4;

/// An address that is about to be taken, or was taken a moment ago.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) cidr: IpCidr,
    /// The number of its next step.
    pub(crate) step: u8,
    pub(crate) due: Instant,
    pub(crate) standing: Standing,
    ticket: u32,
}

/// Whose such an address is, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nobody has answered yet.
    Open,
    Ours,
    /// Somebody else's.
    Contested,
}

/// Addresses that this host is about to take.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    rows: [Option<Row>; PLACES],
    tickets: u32,
    /// Until when no address in use is defended again.
    defended_until: Option<Instant>,
    /// One that another host went on to say it has after it was defended.
    pub(crate) disputed: Option<IpAddress>,
}

impl Claims {
    /// Begins to ask for an address at `due`. `None`: every place is taken.
    pub(crate) fn begin(&mut self, cidr: IpCidr, due: Instant) -> Option<u32> {
        let place = self.rows.iter_mut().find(|row| row.is_none())?;
        // Zero is nobody's.
        self.tickets = self.tickets.wrapping_add(1).max(1);
        *place = Some(Row {
            cidr,
            step: 0,
            due,
            standing: Standing::Open,
            ticket: self.tickets,
        });
        Some(self.tickets)
    }

    /// Announces an address that is in use already, if there is a place.
    pub(crate) fn announce(&mut self, cidr: IpCidr, now: Instant) {
        if let Some(place) = self.rows.iter_mut().find(|row| row.is_none()) {
            *place = Some(Row {
                cidr,
                step: TAKEN,
                due: now,
                standing: Standing::Ours,
                ticket: 0,
            });
        }
    }

    /// Whether an address in use is defended now (RFC 5227, 2.4 (b): "the host can elect to
    /// attempt to defend its address ... by broadcasting one single ARP Announcement").
    pub(crate) fn defends(&mut self, now: Instant) -> bool {
        if self.defended_until.is_some_and(|until| now < until) {
            return false;
        }
        self.defended_until = Some(after(now, DEFEND_INTERVAL));
        true
    }

    /// How one of them stands; `None` when it is over.
    pub(crate) fn standing(&self, ticket: u32) -> Option<Standing> {
        let mut rows = self.rows.iter().flatten();
        let row = rows.find(|row| row.ticket == ticket)?;
        Some(row.standing)
    }

    /// Nobody waits for it any more. One that is ours is still announced.
    pub(crate) fn leave(&mut self, ticket: u32) {
        for place in &mut self.rows {
            place.take_if(|row| row.ticket == ticket && row.standing != Standing::Ours);
        }
    }

    /// When the next step is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.open().map(|row| row.due).min()
    }

    /// One whose step is due.
    pub(crate) fn next(&mut self, now: Instant) -> Option<&mut Option<Row>> {
        let is_due = |row: &Row| row.standing != Standing::Contested && row.due <= now;
        self.rows
            .iter_mut()
            .find(|place| place.as_ref().is_some_and(is_due))
    }

    /// Those that nobody has answered for, and that `are_others`, are somebody else's. True:
    /// there were such.
    pub(crate) fn contest(&mut self, are_others: impl Fn(&IpCidr) -> bool) -> bool {
        let mut lost = false;
        for row in self.rows.iter_mut().flatten() {
            if row.standing == Standing::Open && are_others(&row.cidr) {
                row.standing = Standing::Contested;
                lost = true;
            }
        }
        lost
    }

    fn open(&self) -> impl Iterator<Item = &Row> {
        let rows = self.rows.iter().flatten();
        rows.filter(|row| row.standing != Standing::Contested)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(last: u8) -> IpCidr {
        IpCidr::new(IpAddress::v4(10, 0, 0, last), 24)
    }

    #[test]
    fn each_is_due_by_itself_and_a_full_table_says_so() {
        let mut claims = Claims::default();
        assert_eq!(claims.due(), None);
        for last in 0..PLACES as u8 {
            let at = Instant::from_secs(10 - i64::from(last));
            assert!(claims.begin(cidr(last), at).is_some());
        }
        assert_eq!(claims.begin(cidr(9), Instant::ZERO), None);
        assert_eq!(claims.due(), Some(Instant::from_secs(7)));
        assert!(claims.next(Instant::from_secs(6)).is_none());
        let first = claims.next(Instant::from_secs(7)).unwrap();
        assert_eq!(first.take().unwrap().cidr, cidr(3));
        assert_eq!(claims.due(), Some(Instant::from_secs(8)));
    }

    #[test]
    fn what_is_contested_is_asked_for_no_more_and_stays_until_somebody_has_looked() {
        let mut claims = Claims::default();
        let ticket = claims.begin(cidr(1), Instant::ZERO).unwrap();
        assert!(claims.contest(|_| true));
        assert_eq!(claims.due(), None);
        assert!(claims.next(Instant::from_secs(9)).is_none());
        assert_eq!(claims.standing(ticket), Some(Standing::Contested));
        claims.leave(ticket);
        assert_eq!(claims.standing(ticket), None);
    }

    #[test]
    fn what_is_ours_is_announced_also_when_nobody_waits() {
        let mut claims = Claims::default();
        let ticket = claims.begin(cidr(1), Instant::ZERO).unwrap();
        let row = claims.next(Instant::ZERO).and_then(Option::as_mut);
        row.unwrap().standing = Standing::Ours;
        assert!(!claims.contest(|_| true), "ours");
        claims.leave(ticket);
        assert_eq!(claims.standing(ticket), Some(Standing::Ours));
        let other = claims.begin(cidr(2), Instant::ZERO).unwrap();
        claims.leave(other);
        assert_eq!(claims.standing(other), None);
    }
}
