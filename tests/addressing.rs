//! Addresses that come and go: asked for before they are used, defended, given up with what
//! is open from them; and a link that goes down and comes up.
#![cfg(all(feature = "lab", feature = "addressing"))]
#[path = "addressing/going.rs"]
mod going;
mod harness;
#[path = "addressing/link.rs"]
mod link;
#[cfg(feature = "ipv6")]
#[path = "addressing/six.rs"]
mod six;

use std::cell::RefCell;
use std::rc::Rc;

use cygnet::lab::wire::Wire;
use cygnet::{Backlog, ClaimError, Node};
use harness::peer::{HOST, HOST_MAC, Hands, arp, by_hand, syn};
use harness::{LAN, run, seconds};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress, IpCidr, Ipv4Address};

const SEC: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(10);
const OTHER: EthernetAddress = EthernetAddress([2, 9, 9, 9, 9, 9]);
const NOBODY: Ipv4Address = Ipv4Address::UNSPECIFIED;
/// An address that the host does not have at first.
const NEW: Ipv4Address = Ipv4Address::new(10, 0, 0, 50);

fn cidr(addr: Ipv4Address) -> IpCidr {
    IpCidr::new(addr.into(), 24)
}

/// What a task saw, and when.
type Log<T> = Rc<RefCell<Vec<(Instant, T)>>>;

/// Claims an address and logs what came of it.
fn claims(node: Node<'_>, addr: IpCidr) -> Log<Result<(), ClaimError>> {
    let log = Log::default();
    let theirs = log.clone();
    let part = async move {
        let result = node.claim_address(addr).await;
        theirs.borrow_mut().push((node.now(), result));
        node.sleep(SEC * 100_000).await;
    };
    node.spawn(Box::pin(part)).unwrap();
    log
}

/// Every ARP packet that the host sent: from whose address, for which one.
fn arps(hands: &mut Hands<'_>, time: Duration) -> Vec<(Instant, Ipv4Address, Ipv4Address)> {
    let (mut seen, until) = (Vec::new(), hands.now + time);
    while hands.now < until {
        hands.raw = Some(Vec::new());
        hands.pass(TICK);
        for frame in hands.raw.take().unwrap() {
            if frame[12..14] != [8, 6] {
                continue;
            }
            let packet = ArpPacket::new_checked(&frame[14..]).unwrap();
            let ArpRepr::EthernetIpv4 {
                source_protocol_addr,
                target_protocol_addr,
                ..
            } = ArpRepr::parse(&packet).unwrap()
            else {
                panic!("{packet:?}");
            };
            seen.push((hands.now, source_protocol_addr, target_protocol_addr));
        }
    }
    seen
}

/// A question of somebody who has no address yet for `addr`.
fn probe(addr: Ipv4Address, from: EthernetAddress) -> Vec<u8> {
    let mut frame = arp(ArpOperation::Request, NOBODY, from);
    frame[38..42].copy_from_slice(&addr.octets());
    frame
}

/// RFC 5227, 2.1.1 and 2.3: three probes from no address, a second or two between them, two
/// seconds of silence, and two announcements.
#[test]
fn an_address_is_probed_for_and_then_announced() {
    host!(node, 1, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024);
    let log = claims(node, cidr(NEW));
    by_hand(node, |hands| {
        hands.mute = true;
        let seen = arps(hands, SEC * 15);
        let from: Vec<_> = seen.iter().map(|(_, from, to)| (*from, *to)).collect();
        let (probe, announcement) = ((NOBODY, NEW), (NEW, NEW));
        assert_eq!(from, [probe, probe, probe, announcement, announcement]);
        let gaps: Vec<_> = seen.windows(2).map(|two| two[1].0 - two[0].0).collect();
        for gap in &gaps[..2] {
            assert!((SEC - TICK..SEC * 2 + TICK).contains(gap), "{gaps:?}");
        }
        for gap in &gaps[2..] {
            assert!((SEC * 2 - TICK..SEC * 2 + TICK).contains(gap), "{gaps:?}");
        }
        // Taken when it is announced, not before.
        let [(when, result)] = log.borrow()[..] else {
            panic!("{log:?}");
        };
        assert_eq!(result, Ok(()));
        assert!(when <= seen[3].0 && when > seen[2].0 + SEC, "{when}");
        // And no wait of a probe is longer than the RFC allows.
        assert!(seen[0].0 <= seconds(1), "{}", seen[0].0);
        assert_eq!(node.config().addresses.last(), Some(&cidr(NEW)));
    });
}

/// Two hosts never draw the same waits, or they would ask at the same moments for ever.
#[test]
fn hosts_that_begin_together_do_not_ask_together() {
    let first_probe = |number: u8| {
        let mut at = None;
        host!(node, 1, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024, parked: 0,
            config: harness::config(number));
        claims(node, cidr(NEW));
        by_hand(node, |hands| {
            hands.mute = true;
            at = arps(hands, SEC * 2).first().map(|(at, ..)| *at);
        });
        at.unwrap()
    };
    let mut firsts: Vec<_> = (1..=8).map(first_probe).collect();
    firsts.sort();
    firsts.dedup();
    assert!(firsts.len() >= 6, "{firsts:?}");
}

/// Until it is taken, an address is answered for by nobody, and no SYN to it is.
#[test]
fn an_address_that_is_asked_for_is_not_used_yet() {
    host!(node, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let _listener = node.listen(7, Backlog(1)).unwrap();
    claims(node, cidr(NEW));
    by_hand(node, |hands| {
        hands.mute = true;
        hands.pass(SEC * 2);
        let mut request = arp(ArpOperation::Request, Ipv4Address::new(10, 0, 0, 9), OTHER);
        request[38..42].copy_from_slice(&NEW.octets());
        let before = hands.arps;
        hands.send_frame(&request);
        let mut early = syn(9, 1000, 7, 1);
        early.to = NEW;
        hands.send(&early);
        assert_eq!(hands.pass(TICK), []);
        assert_eq!(
            hands.arps, before,
            "answered for an address that it has not"
        );
        // The same, once it is taken.
        hands.pass(SEC * 6);
        let before = hands.arps;
        hands.send_frame(&request);
        hands.send(&early);
        let seen = hands.pass(TICK);
        assert_eq!(hands.arps, before + 1);
        assert!(seen.iter().any(|seg| seg.is_answer()), "{seen:?}");
    });
}

/// RFC 5227, 2.1.1: whoever has it shows so, in an answer, a question or an announcement;
/// and whoever is about to take it asks, as we do.
#[test]
fn an_address_of_another_host_is_not_taken() {
    let has = |operation| arp(operation, NEW, OTHER);
    let in_use = [
        has(ArpOperation::Reply),
        has(ArpOperation::Request),
        probe(NEW, OTHER),
    ];
    for frame in in_use {
        for wait in [0, 500, 2000, 3900] {
            host!(node, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
            let log = claims(node, cidr(NEW));
            by_hand(node, |hands| {
                hands.mute = true;
                hands.pass(Duration::from_millis(wait) + TICK);
                hands.send_frame(&frame);
                hands.pass(SEC * 10);
                let results: Vec<_> = log.borrow().iter().map(|(_, result)| *result).collect();
                assert_eq!(results, [Err(ClaimError::InUse)], "after {wait} ms");
                assert!(!node.config().addresses.contains(&cidr(NEW)));
            });
        }
    }
}

/// Our own probe that a network brings back is no conflict, and neither is what others say
/// of other addresses.
#[test]
fn what_does_not_contest_an_address_does_not_lose_it() {
    host!(node, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let log = claims(node, cidr(NEW));
    by_hand(node, |hands| {
        hands.mute = true;
        let nine = Ipv4Address::new(10, 0, 0, 9);
        for _ in 0..60 {
            hands.send_frame(&probe(NEW, HOST_MAC));
            hands.send_frame(&probe(nine, OTHER));
            hands.send_frame(&arp(ArpOperation::Reply, nine, OTHER));
            // Somebody asks where the address is, from one of its own.
            let mut asks = arp(ArpOperation::Request, nine, OTHER);
            asks[38..42].copy_from_slice(&NEW.octets());
            hands.send_frame(&asks);
            hands.pass(TICK * 10);
        }
        hands.pass(SEC * 4);
        assert!(matches!(log.borrow()[..], [(_, Ok(()))]), "{log:?}");
    });
}

/// RFC 5227, 2.4 (b): one announcement, and no more than one in ten seconds.
#[test]
fn an_address_in_use_is_defended_once_in_ten_seconds() {
    host!(node, 1, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024);
    by_hand(node, |hands| {
        hands.mute = true;
        hands.pass(SEC);
        let mut announced = 0;
        for _ in 0..200 {
            hands.send_frame(&arp(ArpOperation::Reply, HOST, OTHER));
            let seen = arps(hands, TICK * 10);
            announced += seen.iter().filter(|(_, from, to)| from == to).count();
        }
        assert_eq!(announced, 2, "in twenty seconds");
        if cfg!(feature = "counters") {
            assert_eq!(node.counters().conflicts, 200);
        }
    });
}

/// Two hosts ask for one address: never do both take it.
#[test]
fn of_two_hosts_that_hear_each_other_at_most_one_takes_an_address() {
    let mut taken = [0; 3];
    for seed in 0..40 {
        host!(a, 1, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024, parked: 0,
            config: harness::config(seed * 2 + 1));
        host!(b, 2, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024, parked: 0,
            config: harness::config(seed * 2 + 2));
        let logs = [claims(a, cidr(NEW)), claims(b, cidr(NEW))];
        let wire: Wire<64> = Wire::new(LAN);
        run(&wire, a, b, seconds(20));
        let have = [a, b].map(|node| node.config().addresses.contains(&cidr(NEW)));
        let count = have.iter().filter(|has| **has).count();
        taken[count] += 1;
        for (log, has) in logs.iter().zip(have) {
            let [(_, result)] = log.borrow()[..] else {
                panic!("{log:?}");
            };
            assert_eq!(result.is_ok(), has);
        }
    }
    assert_eq!(taken[2], 0, "{taken:?}");
    // RFC 5227, 2.1.1: who asks at the same time makes both look for another one.
    assert!(taken[0] + taken[1] == 40);
}

/// A claim that is dropped is over: nothing more is said, and the address is not taken.
#[test]
fn a_claim_that_is_given_up_is_over() {
    host!(node, 1, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024);
    let part = async move {
        let claim = node.claim_address(cidr(NEW));
        assert!(node.timeout(SEC * 2, claim).await.is_err());
        node.sleep(SEC * 1000).await;
    };
    node.spawn(Box::pin(part)).unwrap();
    by_hand(node, |hands| {
        hands.mute = true;
        hands.pass(SEC * 2);
        assert_eq!(arps(hands, SEC * 10), []);
        assert!(!node.config().addresses.contains(&cidr(NEW)));
    });
}

/// What cannot be asked for is said at once.
#[test]
fn what_cannot_be_claimed_is_said_at_once() {
    host!(node, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let results: Rc<RefCell<Vec<_>>> = Rc::default();
    let theirs = results.clone();
    let part = async move {
        for addr in [
            NOBODY,
            Ipv4Address::BROADCAST,
            Ipv4Address::new(224, 0, 0, 1),
        ] {
            let result = node.claim_address(cidr(addr)).await;
            theirs.borrow_mut().push(result);
        }
        for last in 60.. {
            let next = cidr(Ipv4Address::new(10, 0, 0, last));
            if let Err(error) = node.claim_address(next).await {
                theirs.borrow_mut().push(Err(error));
                return;
            }
        }
    };
    node.spawn(Box::pin(part)).unwrap();
    by_hand(node, |hands| {
        hands.mute = true;
        hands.pass(SEC * 60);
    });
    let address = Err(ClaimError::Address);
    let wanted = [address, address, address, Err(ClaimError::TooMany)];
    assert_eq!(results.borrow()[..], wanted);
}
