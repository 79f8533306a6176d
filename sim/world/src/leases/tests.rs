//! The rules, one by one.

use super::*;
use crate::dhcp_message::{Answer, Message};
use crate::segment::{Address, here};

const ADDR: Ipv4Address = Ipv4Address::new(10, 0, 1, 0);
const CIDR: IpCidr = IpCidr::Ipv4(smoltcp::wire::Ipv4Cidr::new(ADDR, 16));

fn hardware(number: u8) -> EthernetAddress {
    EthernetAddress([2, 0, 0, 0, 0, number])
}

fn at(secs: i64) -> Instant {
    Instant::from_secs(secs)
}

/// What the server says to host 2.
fn ack(xid: u32) -> Vec<u8> {
    let asked = Message {
        kind: DhcpMessageType::Request,
        xid,
        hardware: hardware(2),
        has: None,
        wants: Some(ADDR),
        yours: Ipv4Address::UNSPECIFIED,
        server: None,
        to_all: true,
    };
    let answer = Answer {
        kind: DhcpMessageType::Ack,
        yours: ADDR,
        seconds: 100,
        times: None,
    };
    let from = Address {
        hardware: hardware(1),
        ip: Ipv4Address::new(10, 0, 0, 1).into(),
    };
    answer.frame(from, &asked, true)
}

/// ARP of host `number`: from this address, about that one.
fn says(number: u8, from: Ipv4Address, about: Ipv4Address) -> Vec<u8> {
    let [me, to] = [from, about].map(|ip| Address {
        hardware: hardware(number),
        ip: ip.into(),
    });
    here(me, to)
}

/// Host 2, which was given an address until 102 s, and has heard of it.
fn given() -> Leases {
    let mut leases = Leases::default();
    leases.moves_in(2, hardware(2), at(0));
    leases.give((hardware(2), 7), ADDR, (at(1), at(102)));
    leases.arrives(2, &ack(7), at(1));
    leases
}

/// The rule that host 2 breaks when it has these addresses and has said that.
fn rule(leases: &mut Leases, has: &[IpCidr], said: &[Vec<u8>], now: i64) -> &'static str {
    rule_in(None, leases, has, said, now)
}

/// The same when nothing is wrong since then.
fn rule_in(
    calm: Option<i64>,
    leases: &mut Leases,
    has: &[IpCidr],
    said: &[Vec<u8>],
    now: i64,
) -> &'static str {
    let said = said.iter().map(Vec::as_slice);
    let turned = leases.turned(2, has, said, (at(now), || calm.map(at)));
    turned.err().map_or("", |(rule, _)| rule)
}

#[test]
fn an_address_is_used_as_long_as_it_was_given_and_no_longer() {
    let probe = says(2, Ipv4Address::UNSPECIFIED, ADDR);
    let mut leases = given();
    assert_eq!(rule(&mut leases, &[], std::slice::from_ref(&probe), 2), "");
    assert_eq!(rule(&mut leases, &[CIDR], &[], 7), "");
    assert_eq!(leases.since(2), Some(at(7)));
    assert_eq!(rule(&mut leases, &[CIDR], &[], 102), "");
    assert_eq!(rule(&mut leases, &[CIDR], &[], 103), "lease");
    // Given, and nobody told it; given to it before it was switched off.
    let mut leases = Leases::default();
    leases.moves_in(2, hardware(2), at(0));
    leases.give((hardware(2), 7), ADDR, (at(1), at(102)));
    leases.arrives(2, &ack(8), at(1));
    assert_eq!(rule(&mut leases, &[CIDR], &[], 7), "lease");
    let mut leases = given();
    leases.moves_in(2, hardware(2), at(3));
    assert_eq!(rule(&mut leases, &[CIDR], &[], 7), "lease");
    assert_eq!(leases.since(2), None);
}

#[test]
fn nobody_speaks_from_an_address_that_is_over() {
    let mut leases = given();
    let speaks = [says(2, ADDR, ADDR)];
    assert_eq!(rule(&mut leases, &[], &speaks, 50), "");
    // In the turn in which it ends, and never after.
    assert_eq!(rule(&mut leases, &[], &speaks, 200), "");
    assert_eq!(rule(&mut leases, &[], &speaks, 201), "lease");
    let other = [says(2, Ipv4Address::new(10, 0, 1, 1), ADDR)];
    assert_eq!(rule(&mut given(), &[], &other, 50), "lease");
    let of_the_link = [says(2, Ipv4Address::new(169, 254, 1, 1), ADDR)];
    assert_eq!(rule(&mut given(), &[], &of_the_link, 50), "");
}

#[test]
fn nobody_takes_what_it_has_not_asked_for_or_has_heard_another_say() {
    let probe = [says(2, Ipv4Address::UNSPECIFIED, ADDR)];
    let theirs = says(3, ADDR, ADDR);
    assert_eq!(rule(&mut given(), &[CIDR], &[], 7), "twice");
    for (heard, looked, is_wrong) in [
        // Before it asked, after, and so late that it cannot know.
        (1, 2, false),
        (5, 6, true),
        (7, 6, false),
    ] {
        let mut leases = given();
        if heard < 2 {
            leases.arrives(2, &theirs, at(heard));
        }
        assert_eq!(rule(&mut leases, &[], &probe, 2), "");
        if heard >= 2 {
            leases.arrives(2, &theirs, at(heard));
        }
        assert_eq!(rule(&mut leases, &[], &[], looked), "");
        let wrong = if is_wrong { "twice" } else { "" };
        assert_eq!(rule(&mut leases, &[CIDR], &[], 7), wrong, "{heard}");
    }
}

#[test]
fn nobody_loses_an_address_that_could_be_renewed() {
    let probe = [says(2, Ipv4Address::UNSPECIFIED, ADDR)];
    for (calm, lost, broken) in [
        (Some(1), 99, "kept"),
        // Something was wrong when it was to be renewed, or is still.
        (Some(60), 99, ""),
        (None, 99, ""),
        // It was refused.
        (Some(1), 60, ""),
    ] {
        let mut leases = given();
        assert_eq!(rule(&mut leases, &[], &probe, 2), "");
        assert_eq!(rule(&mut leases, &[CIDR], &[], 7), "");
        let rule = rule_in(calm, &mut leases, &[], &[], lost);
        assert_eq!(rule, broken, "{calm:?} {lost}");
    }
}
