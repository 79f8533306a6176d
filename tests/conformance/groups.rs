//! Which groups a host of IPv6 says that it hears, when a router asks and when it begins
//! (RFC 3810, and RFC 2710 to routers of the first version).

use super::six::packet;
use super::*;
use smoltcp::wire::{Icmpv6Packet, IpCidr, Ipv6Address};

const ROUTER: Ipv6Address = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfe);
const NODES: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ROUTERS: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
/// In which our address, fd00::1, is asked for.
const OURS: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 1);
const ALERT: [u8; 8] = [58, 0, 5, 2, 0, 0, 1, 0];

/// A query of a router about a group, with its code for a time: below 32,768 in
/// milliseconds.
fn query(group: Ipv6Address, version: u8, code: u16) -> Vec<u8> {
    query_of(ROUTER, group, version, code)
}

fn query_of(router: Ipv6Address, group: Ipv6Address, version: u8, code: u16) -> Vec<u8> {
    let to = if group.is_unspecified() { NODES } else { group };
    let mut message = vec![130, 0, 0, 0];
    message.extend(code.to_be_bytes());
    message.extend([0, 0]);
    message.extend(group.octets());
    if version == 2 {
        message.extend([2, 125, 0, 0]);
    }
    Icmpv6Packet::new_unchecked(&mut message[..]).fill_checksum(&router, &to);
    packet((router, to), (0, 1), &[&ALERT[..], &message].concat())
}

/// What a report says: of which version it is, from whom, to whom, of which group, and the
/// mode of its record.
type Report = (u8, Ipv6Address, Ipv6Address, Ipv6Address, Option<u8>);

fn read(frame: &[u8]) -> Report {
    let address = |at: usize| Ipv6Address::from(*frame[at..].first_chunk::<16>().unwrap());
    let (from, to) = (address(22), address(38));
    let [.., a, b, c, d] = to.octets();
    assert_eq!(frame[..6], [0x33, 0x33, a, b, c, d]);
    assert_eq!((&frame[20..22], &frame[54..62]), (&[0, 1][..], &ALERT[..]));
    assert_eq!(usize::from(frame[19]), frame.len() - 54);
    let message = &frame[62..];
    assert!(Icmpv6Packet::new_unchecked(message).verify_checksum(&from, &to));
    match message[0] {
        131 => (1, from, to, address(70), None),
        143 => {
            assert_eq!((message.len(), &message[4..8]), (28, &[0, 0, 0, 1][..]));
            (2, from, to, address(74), Some(message[8]))
        }
        kind => panic!("{kind}"),
    }
}

fn v6_of(number: u16) -> Ipv6Address {
    Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, number)
}

fn reports(hands: &mut Hands<'_>, time: Duration) -> Vec<Report> {
    hands.others.clear();
    hands.pass(time);
    hands.others.iter().map(|frame| read(frame)).collect()
}

/// RFC 3810, 6.1 and 6.2: "responses are delayed by a random amount of time, in the range
/// [0, [Maximum Response Delay]]", and go to all routers; 8.2.1 for those of version 1.
#[test]
fn a_router_that_asks_is_told_in_time() {
    let nobody = Ipv6Address::UNSPECIFIED;
    let mut waits = Vec::new();
    for (group, version) in [(nobody, 2), (OURS, 2), (nobody, 1), (OURS, 1)] {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
        by_hand(server, |hands| {
            assert_eq!(reports(hands, SEC * 10), [], "nobody asked");
            let expected = match version {
                1 => (1, nobody, OURS, OURS, None),
                _ => (2, nobody, ROUTERS, OURS, Some(2)),
            };
            for _ in 0..3 {
                hands.send_frame(&query(group, version, 1000));
                let mut told = Vec::new();
                for tenth in 0..=11 {
                    let new = reports(hands, SEC / 10);
                    waits.extend(new.iter().map(|_| tenth));
                    told.extend(new);
                }
                assert_eq!(told, [expected], "{group} {version}");
            }
            assert_eq!(reports(hands, SEC * 1000), []);
        });
    }
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 2 && waits.last() <= Some(&10), "{waits:?}");
}

/// RFC 3810, 5.1.3: a long time is a number with an exponent, here 8,387 s; and 6.2: an
/// answer that is about to be given is not put off by another query.
#[test]
fn a_router_that_can_wait_is_told_later() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    server.spawn(Box::pin(server.sleep(SEC * 100_000))).unwrap();
    let patient = query(Ipv6Address::UNSPECIFIED, 2, u16::MAX);
    by_hand(server, |hands| {
        hands.send_frame(&patient);
        assert_eq!(reports(hands, SEC * 66), []);
        assert_eq!(reports(hands, SEC * 8400).len(), 1);
        hands.send_frame(&query(Ipv6Address::UNSPECIFIED, 2, 1000));
        hands.send_frame(&patient);
        assert_eq!(reports(hands, SEC).len(), 1);
        assert_eq!(reports(hands, SEC * 8400), []);
    });
}

/// RFC 3810, 6.2: what a node does not take for a query; and a group of somebody else.
#[test]
fn what_is_no_query_is_not_answered() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let good = query(Ipv6Address::UNSPECIFIED, 2, 0);
    let changed = |at: usize, byte: u8| {
        let mut frame = good.clone();
        frame[at] = byte;
        frame
    };
    let theirs = Ipv6Address::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 2);
    by_hand(server, |hands| {
        for (what, frame) in [
            ("many hops", changed(21, 2)),
            ("no alert", changed(56, 1)),
            ("damaged", changed(64, good[64] ^ 1)),
            (
                "not of the link",
                query_of(v6_of(9), Ipv6Address::UNSPECIFIED, 2, 0),
            ),
            ("cut off", good[..good.len() - 1].to_vec()),
            ("somebody else's", query(theirs, 2, 0)),
        ] {
            let dropped = server.counters().dropped.iter().sum::<u64>();
            hands.send_frame(&frame);
            assert_eq!(reports(hands, SEC * 10), [], "{what}");
            let after = server.counters().dropped.iter().sum::<u64>();
            assert_eq!(after - dropped, 1, "{what}");
        }
        hands.send_frame(&good);
        assert_eq!(reports(hands, SEC).len(), 1);
    });
}

/// RFC 3810, 6.1: a change "is transmitted [Robustness Variable] times"; from an address
/// of the link, which a router wants to see. A host that boots again begins again.
#[test]
fn a_host_says_twice_that_it_begins_to_hear() {
    let mut storage: cygnet::Storage<'_, 1, 64, 64> = cygnet::Storage::new();
    let mut task_storage: cygnet::TaskStorage<1, 64> = cygnet::TaskStorage::new();
    let stack =
        cygnet::Stack::new(&mut storage, &harness::config(1), harness::capabilities()).unwrap();
    let link = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
    for address in [v6(1, 0).addr, link.into()] {
        stack.add_address(IpCidr::new(address, 64)).unwrap();
    }
    let ready = harness::leak(cygnet::ReadySet::<1>::new());
    let tasks = cygnet::Tasks::new(&mut task_storage, ready);
    let theirs = Ipv6Address::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 2);
    let both = [OURS, theirs].map(|group| (2, link, ROUTERS, group, Some(4)));
    let node = Node::new(&stack, &tasks);
    for _ in 0..2 {
        let stays = node.sleep(SEC * 100_000);
        node.spawn(Box::pin(stays)).unwrap();
        by_hand(node, |hands| {
            hands.now += node.now() - Instant::ZERO;
            assert_eq!(reports(hands, SEC / 2), both);
            assert_eq!(reports(hands, SEC), both);
            assert_eq!(reports(hands, SEC * 1000), []);
        });
        stack.reboot([9; 16]);
    }
}
