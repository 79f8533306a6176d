//! Duplicate address detection, as a rule: what is said before an address is used, when,
//! and whose word means that somebody else has it. RFC 5227 for IPv4, RFC 4862, 5.4 for
//! IPv6.
//!
//! Not here: who is told (`claims.rs` of the stack), and what is kept.

use smoltcp::time::Duration;
use smoltcp::wire::IpAddress;

use crate::frame::link::Hardware;
use crate::frame::neighbor::Claim;

/// What a host does about an address that it is about to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It asks who has it.
    Probe,
    /// Nobody has: it takes it, and says so where that is usual.
    Take,
    /// It says once more that it has it.
    Announce,
}

/// Before the first step a random part of this passes (RFC 5227, 1.1, PROBE_WAIT; RFC 4862,
/// 5.4.2, MAX_RTR_SOLICITATION_DELAY), so that hosts that begin together do not ask
/// together.
pub(crate) const FIRST_WAIT: Duration = Duration::from_secs(1);

/// How often at most an address in use is defended (RFC 5227, 1.1, DEFEND_INTERVAL).
pub(crate) const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// The number of the step that takes an address of IPv4; no IPv6 address has so many.
pub(crate) const TAKEN: u8 = 3;

/// The step of this number, and how long until the next: so much, and a random part of so
/// much. `None`: there are no more.
pub(crate) fn step(number: u8, is_ipv4: bool) -> Option<(Step, [Duration; 2])> {
    let wait = |least, more| [Duration::from_secs(least), Duration::from_secs(more)];
    Some(match (is_ipv4, number) {
        // PROBE_NUM, PROBE_MIN and PROBE_MAX.
        (true, 0 | 1) => (Step::Probe, wait(1, 1)),
        // ANNOUNCE_WAIT.
        (true, 2) => (Step::Probe, wait(2, 0)),
        // ANNOUNCE_NUM and ANNOUNCE_INTERVAL.
        (true, TAKEN) => (Step::Take, wait(2, 0)),
        (true, 4) => (Step::Announce, wait(0, 0)),
        // RFC 4861, 10, RETRANS_TIMER; one probe (RFC 4862, 5.1, DupAddrDetectTransmits).
        (false, 0) => (Step::Probe, wait(1, 0)),
        (false, 1) => (Step::Take, wait(0, 0)),
        _ => return None,
    })
}

/// Whether another host than this one shows that `addr` is its own, or that it is about to
/// take it too (RFC 5227, 2.1.1; RFC 4862, 5.4.3).
pub(crate) fn contests(claim: &Claim, ours: Hardware, addr: IpAddress) -> bool {
    let has = claim.addr == addr;
    // Who asks from no address is about to take the one it asks for.
    let asks = claim.asks_for == Some(addr) && !claim.addr.is_unicast();
    claim.hardware != ours && (has || asks)
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Hardware = [2, 0, 0, 0, 0, 1];
    const THEM: Hardware = [2, 0, 0, 0, 0, 2];

    fn addr(last: u8) -> IpAddress {
        IpAddress::v4(10, 0, 0, last)
    }

    #[test]
    fn an_ipv4_address_is_asked_for_three_times_and_announced_twice() {
        let mut number = 0;
        let mut next = |step_wanted, least, most| {
            let (step, [wait, more]) = step(number, true).unwrap();
            assert_eq!(
                (step, wait.secs(), (wait + more).secs()),
                (step_wanted, least, most)
            );
            number += 1;
        };
        next(Step::Probe, 1, 2);
        next(Step::Probe, 1, 2);
        next(Step::Probe, 2, 2);
        next(Step::Take, 2, 2);
        next(Step::Announce, 0, 0);
        assert_eq!(step(5, true), None);
    }

    #[test]
    fn an_ipv6_address_is_asked_for_once() {
        assert!(matches!(step(0, false), Some((Step::Probe, [wait, _])) if wait.secs() == 1));
        assert!(matches!(step(1, false), Some((Step::Take, _))));
        assert_eq!(step(2, false), None);
    }

    #[test]
    fn an_address_is_contested_by_who_has_it_and_by_who_is_about_to_take_it() {
        let claim = |hardware, addr, asks_for| Claim {
            addr,
            hardware,
            asks_for,
        };
        let nobody = IpAddress::v4(0, 0, 0, 0);
        for (contested, claim) in [
            (true, claim(THEM, addr(7), None)),
            (true, claim(THEM, addr(7), Some(addr(1)))),
            (true, claim(THEM, nobody, Some(addr(7)))),
            // Asks for it as for any neighbor.
            (false, claim(THEM, addr(2), Some(addr(7)))),
            (false, claim(THEM, addr(2), None)),
            (false, claim(THEM, nobody, Some(addr(8)))),
            // Our own word, that came back.
            (false, claim(US, addr(7), None)),
            (false, claim(US, nobody, Some(addr(7)))),
        ] {
            assert_eq!(contests(&claim, US, addr(7)), contested, "{claim:?}");
        }
    }
}
