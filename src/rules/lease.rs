//! A lease, as rules: what of a server's word makes one, and when what is asked again (RFC
//! 2131).
//!
//! The rule: a lease is reckoned from the moment the client asked, so that it ends no later
//! here than at the server (4.4.1). Times that contradict each other are replaced by what
//! the RFC gives for none.
//!
//! Not here: the messages (`frame/dhcp.rs`), and the client (`service/dhcp.rs`).

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpCidr, Ipv4Address, Ipv4Cidr};

use crate::frame::dhcp::{Kind, Reply, Servers};
use crate::time::{FAR, after};

/// An address for some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) cidr: Ipv4Cidr,
    /// Who gave it.
    pub(crate) server: Ipv4Address,
    pub(crate) routers: Servers,
    pub(crate) dns: Servers,
    pub(crate) ntp: Servers,
    /// T1: when it is renewed.
    pub(crate) renew: Instant,
    /// T2: when any server is asked.
    pub(crate) rebind: Instant,
    pub(crate) end: Instant,
}

impl Lease {
    /// The lease that an acknowledgement gives, of a question that left at `asked`. `None`: it
    /// is none.
    pub(crate) fn of(reply: &Reply, server: Ipv4Address, asked: Instant) -> Option<Self> {
        let (addr, seconds) = (reply.yours, reply.lease.filter(|_| is_lease(reply))?);
        let at = |seconds: u32| after(asked, Duration::from_secs(seconds.into()));
        let (renew, rebind) = times(seconds, reply.renew, reply.rebind);
        let for_ever = seconds == u32::MAX;
        Some(Lease {
            cidr: Ipv4Cidr::new(addr, prefix(addr, reply.mask)),
            server,
            routers: reply.routers.clone(),
            dns: reply.dns.clone(),
            ntp: reply.ntp.clone(),
            renew: if for_ever { FAR } else { at(renew) },
            rebind: if for_ever { FAR } else { at(rebind) },
            end: if for_ever { FAR } else { at(seconds) },
        })
    }

    pub(crate) fn address(&self) -> IpCidr {
        IpCidr::Ipv4(self.cidr)
    }
}

/// Where a client is in getting and keeping a lease (RFC 2131, figure 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It asks all servers for an address.
    Selecting,
    /// It asks one server for the address that this one has offered.
    Requesting {
        yours: Ipv4Address,
        server: Ipv4Address,
    },
    /// It asks whether the lease from before the link went down still holds.
    Rebooting,
    /// A server has given an address, and others are asked whether they have it (4.4.1).
    Checking,
    Bound,
    /// T1 is over: it asks the server that gave the lease for more time.
    Renewing,
    /// T2 is over: it asks all servers.
    Rebinding,
    /// Something went wrong, and it waits before it begins anew.
    Pausing,
}

/// What a server's word means to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing: it is an answer to something else, or a lie.
    Nothing,
    /// An offer, to be asked for.
    Offered {
        yours: Ipv4Address,
        server: Ipv4Address,
    },
    /// The lease is given, or longer.
    Given,
    /// It is not, or no more.
    Refused,
}

/// What `reply` means to a client in `state` that holds a lease of `held` from `from`, if it
/// does.
pub(crate) fn heard(
    state: State,
    held: Option<(Ipv4Address, Ipv4Address)>,
    reply: &Reply,
) -> Verdict {
    let Reply {
        kind,
        yours,
        server,
        ..
    } = *reply;
    let (asked, is_right_server) = match (state, held) {
        (State::Selecting, _) => {
            return match server {
                Some(server) if kind == Kind::Offer && is_lease(reply) => {
                    Verdict::Offered { yours, server }
                }
                _ => Verdict::Nothing,
            };
        }
        // Another server's refusal is of something else (4.4.1).
        (
            State::Requesting {
                yours,
                server: asked,
            },
            _,
        ) => (yours, server == Some(asked)),
        (State::Rebooting | State::Rebinding, Some((held, _))) => (held, true),
        (State::Renewing, Some((held, from))) => (held, server.is_none_or(|server| server == from)),
        _ => return Verdict::Nothing,
    };
    match kind {
        _ if !is_right_server => Verdict::Nothing,
        Kind::Ack if yours == asked && is_lease(reply) => Verdict::Given,
        Kind::Nak => Verdict::Refused,
        _ => Verdict::Nothing,
    }
}

/// Whether a host can have such an address, for some time.
fn is_lease(reply: &Reply) -> bool {
    // RFC 1122, 3.2.1.3: what is no single host's.
    let can_be_ours = !matches!(reply.yours.octets()[0], 0 | 127 | 224..);
    can_be_ours && reply.lease.is_some_and(|seconds| seconds > 0)
}

/// T1 and T2 of a lease. Without them, or if they are not in order, half of it and seven
/// eighths (4.4.5).
fn times(lease: u32, renew: Option<u32>, rebind: Option<u32>) -> (u32, u32) {
    let rebind = rebind.unwrap_or(lease - lease / 8);
    let renew = renew.unwrap_or((lease / 2).min(rebind));
    match 0 < renew && renew <= rebind && rebind <= lease {
        true => (renew, rebind),
        false => (lease / 2, lease - lease / 8),
    }
}

/// How long the prefix of an address's network is. A server that gives no mask, or one with
/// holes, means the one that an address of its class had.
fn prefix(addr: Ipv4Address, mask: Option<Ipv4Address>) -> u8 {
    let ones = mask.map_or(0, |mask| mask.to_bits().leading_ones());
    let has_holes = mask.is_some_and(|mask| mask.to_bits().count_ones() != ones);
    match addr.octets()[0] {
        _ if ones > 0 && !has_holes => ones as u8,
        0..128 => 8,
        128..192 => 16,
        _ => 24,
    }
}

/// How long the answer to a question is waited for that was asked so often before: four
/// seconds, then twice as long each time up to 64, "randomized by the value of a uniform
/// random number chosen from the range -1 to +1" seconds (4.1).
pub(crate) fn patience(asked: u8, drawn: u32) -> Duration {
    let middle = 4000 << asked.min(4);
    Duration::from_millis(middle - 1000 + u64::from(drawn % 2001))
}

/// When a question is asked again that is to be answered by `until`: after half of what is
/// left, but not more often than once in a minute (4.4.5); and never later than then.
pub(crate) fn ask_again(now: Instant, until: Instant) -> Instant {
    if until <= now {
        return until;
    }
    let half = (until - now) / 2;
    after(now, half.max(Duration::from_secs(60))).min(until)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    fn reply() -> Reply {
        Reply {
            kind: Kind::Ack,
            xid: 7,
            yours: Ipv4Address::new(10, 0, 0, 7),
            server: Some(Ipv4Address::new(10, 0, 0, 1)),
            mask: Some(Ipv4Address::new(255, 255, 255, 0)),
            routers: Servers::new(),
            dns: Servers::new(),
            ntp: Servers::new(),
            lease: Some(80),
            renew: None,
            rebind: None,
        }
    }

    fn lease(reply: &Reply) -> Option<Lease> {
        Lease::of(
            reply,
            Ipv4Address::new(10, 0, 0, 1),
            Instant::from_secs(100),
        )
    }

    #[test]
    fn a_lease_is_reckoned_from_the_question() {
        let lease = lease(&reply()).unwrap();
        let seconds = [lease.renew, lease.rebind, lease.end].map(|at| at.secs());
        assert_eq!(seconds, [140, 170, 180]);
        assert_eq!(lease.cidr.prefix_len(), 24);
    }

    #[test]
    fn times_that_contradict_each_other_are_replaced() {
        for (renew, rebind, wanted) in [
            (Some(10), Some(20), (10, 20)),
            (Some(10), None, (10, 70)),
            (None, Some(20), (20, 20)),
            (None, None, (40, 70)),
            (Some(30), Some(20), (40, 70)),
            (Some(0), Some(20), (40, 70)),
            (Some(10), Some(81), (40, 70)),
            (Some(90), Some(95), (40, 70)),
        ] {
            assert_eq!(times(80, renew, rebind), wanted, "{renew:?} {rebind:?}");
        }
    }

    #[test]
    fn a_lease_for_ever_is_never_renewed_and_one_of_nothing_is_none() {
        let with = |seconds| Reply {
            lease: seconds,
            ..reply()
        };
        let for_ever = lease(&with(Some(u32::MAX))).unwrap();
        assert_eq!((for_ever.renew, for_ever.end), (FAR, FAR));
        assert_eq!(lease(&with(Some(0))), None);
        assert_eq!(lease(&with(None)), None);
    }

    #[test]
    fn an_address_that_cannot_be_a_hosts_is_no_lease() {
        for addr in [
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "127.0.0.1",
            "0.1.2.3",
        ] {
            let yours = addr.parse().unwrap();
            assert_eq!(lease(&Reply { yours, ..reply() }), None, "{addr}");
        }
    }

    #[test]
    fn without_a_mask_the_class_says_how_long_the_prefix_is() {
        for (addr, mask, wanted) in [
            ("10.0.0.7", None, 8),
            ("172.16.0.7", None, 16),
            ("192.168.0.7", None, 24),
            ("10.0.0.7", Some("255.255.0.255"), 8),
            ("10.0.0.7", Some("0.0.0.0"), 8),
            ("10.0.0.7", Some("255.255.255.252"), 30),
            ("10.0.0.7", Some("255.255.255.255"), 32),
        ] {
            let mask = mask.map(|mask| mask.parse().unwrap());
            assert_eq!(
                prefix(addr.parse().unwrap(), mask),
                wanted,
                "{addr} {mask:?}"
            );
        }
    }

    /// What a word of this kind, about this address and from this server, means in each state
    /// of a client that holds 10.0.0.7 of 10.0.0.1.
    #[test]
    fn what_a_word_means_depends_on_what_was_asked() {
        let addr = |last| Ipv4Address::new(10, 0, 0, last);
        let requesting = State::Requesting {
            yours: addr(7),
            server: addr(1),
        };
        let waits = [State::Checking, State::Bound, State::Pausing];
        let asks = [
            requesting,
            State::Rebooting,
            State::Renewing,
            State::Rebinding,
        ];
        let means = |state, kind, yours: u8, server: Option<u8>, lease| {
            let held = (state != requesting).then_some((addr(7), addr(1)));
            let word = Reply {
                kind,
                yours: addr(yours),
                server: server.map(addr),
                lease,
                ..reply()
            };
            heard(state, held, &word)
        };
        let time = Some(80);
        for state in asks {
            let is_asked_of_one = matches!(state, State::Requesting { .. } | State::Renewing);
            let others = if is_asked_of_one {
                Verdict::Nothing
            } else {
                Verdict::Given
            };
            assert_eq!(
                means(state, Kind::Ack, 7, Some(1), time),
                Verdict::Given,
                "{state:?}"
            );
            assert_eq!(
                means(state, Kind::Ack, 7, Some(2), time),
                others,
                "{state:?}"
            );
            let others = if is_asked_of_one {
                Verdict::Nothing
            } else {
                Verdict::Refused
            };
            assert_eq!(means(state, Kind::Nak, 0, Some(1), None), Verdict::Refused);
            assert_eq!(
                means(state, Kind::Nak, 0, Some(2), None),
                others,
                "{state:?}"
            );
            // Another address, no time, or an offer that comes late.
            assert_eq!(means(state, Kind::Ack, 8, Some(1), time), Verdict::Nothing);
            assert_eq!(means(state, Kind::Ack, 7, Some(1), None), Verdict::Nothing);
            assert_eq!(
                means(state, Kind::Ack, 7, Some(1), Some(0)),
                Verdict::Nothing
            );
            assert_eq!(
                means(state, Kind::Offer, 7, Some(1), time),
                Verdict::Nothing
            );
        }
        // RFC 2131, table 3, wants a server's name in each; of one that was asked alone it is
        // clear without.
        assert_eq!(
            means(State::Renewing, Kind::Ack, 7, None, time),
            Verdict::Given
        );
        assert_eq!(
            means(requesting, Kind::Ack, 7, None, time),
            Verdict::Nothing
        );
        for state in waits {
            for kind in [Kind::Offer, Kind::Ack, Kind::Nak] {
                assert_eq!(
                    means(state, kind, 7, Some(1), time),
                    Verdict::Nothing,
                    "{state:?}"
                );
            }
        }
        let offered = Verdict::Offered {
            yours: addr(7),
            server: addr(2),
        };
        let selecting = State::Selecting;
        assert_eq!(means(selecting, Kind::Offer, 7, Some(2), time), offered);
        assert_eq!(
            means(selecting, Kind::Offer, 7, None, time),
            Verdict::Nothing
        );
        assert_eq!(
            means(selecting, Kind::Ack, 7, Some(2), time),
            Verdict::Nothing
        );
        assert_eq!(
            means(selecting, Kind::Nak, 7, Some(2), time),
            Verdict::Nothing
        );
    }

    #[test]
    fn an_answer_is_waited_for_twice_as_long_each_time() {
        for (asked, middle) in [
            (0, 4),
            (1, 8),
            (2, 16),
            (3, 32),
            (4, 64),
            (5, 64),
            (255, 64),
        ] {
            let seconds = |drawn| patience(asked, drawn).total_millis();
            assert_eq!(seconds(0), middle * 1000 - 1000);
            assert_eq!(seconds(2000), middle * 1000 + 1000);
            assert_eq!(seconds(2001), middle * 1000 - 1000);
        }
    }

    #[test]
    fn a_renewal_is_asked_for_again_after_half_of_what_is_left() {
        let again =
            |now, until| ask_again(Instant::from_secs(now), Instant::from_secs(until)).secs();
        assert_eq!(again(0, 1000), 500);
        assert_eq!(again(500, 1000), 750);
        assert_eq!(again(900, 1000), 960, "a minute at least");
        assert_eq!(again(960, 1000), 1000);
        assert_eq!(again(1000, 1000), 1000);
        assert_eq!(again(2000, 1000), 1000);
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_its_times_are_in_order(
            seconds: u32, renew: Option<u32>, rebind: Option<u32>, mask: Option<u32>, yours: u32,
        ) {
            let reply = Reply {
                lease: Some(seconds),
                renew,
                rebind,
                mask: mask.map(Ipv4Address::from_bits),
                yours: Ipv4Address::from_bits(yours),
                ..reply()
            };
            let asked = Instant::from_secs(100);
            if let Some(lease) = lease(&reply) {
                prop_assert!(asked <= lease.renew && lease.renew <= lease.rebind);
                prop_assert!(lease.rebind <= lease.end);
                prop_assert!(lease.cidr.prefix_len() <= 32);
            }
        }
    }
}
