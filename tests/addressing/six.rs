//! The same for IPv6.

use super::*;
use smoltcp::wire::{Ipv6Address, Ipv6Packet};

const LINK: Ipv6Address = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x50);

/// RFC 4862, 5.4: one solicitation from nobody, a second of silence.
#[test]
fn an_ipv6_address_is_asked_for_once() {
    host!(node, 1, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024);
    let log = claims(node, IpCidr::new(LINK.into(), 64));
    by_hand(node, |hands| {
        hands.pass(SEC * 5);
        let asked = hands.others.iter().filter(|frame| {
            let packet = Ipv6Packet::new_checked(&frame[14..]);
            packet.is_ok_and(|packet| {
                packet.src_addr().is_unspecified() && packet.payload()[0] == 135
            })
        });
        assert_eq!(asked.count(), 1);
        let [(when, Ok(()))] = log.borrow()[..] else {
            panic!("{log:?}");
        };
        assert!(when > seconds(1) && when < seconds(2) + TICK, "{when}");
    });
}

/// Two hosts ask for one address of IPv6.
#[test]
fn of_two_hosts_at_most_one_takes_an_ipv6_address() {
    for seed in 0..40 {
        host!(a, 1, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024, parked: 0,
            config: harness::config(seed * 2 + 1));
        host!(b, 2, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024, parked: 0,
            config: harness::config(seed * 2 + 2));
        let addr = IpCidr::new(LINK.into(), 64);
        let _logs = [claims(a, addr), claims(b, addr)];
        let wire: Wire<64> = Wire::new(LAN);
        run(&wire, a, b, seconds(20));
        let have = [a, b].map(|node| node.config().addresses.contains(&addr));
        assert_ne!(have, [true, true], "seed {seed}");
    }
}

/// One that is in use already is not taken: its owner answers.
#[test]
fn an_ipv6_address_in_use_is_not_taken() {
    host!(a, 1, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024);
    host!(b, 2, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024);
    let theirs = harness::v6(1, 0).addr;
    let log = claims(b, IpCidr::new(theirs, 64));
    a.spawn(Box::pin(async move { a.sleep(SEC * 30).await }))
        .unwrap();
    let wire: Wire<64> = Wire::new(LAN);
    run(&wire, a, b, seconds(10));
    assert!(
        matches!(log.borrow()[..], [(_, Err(ClaimError::InUse))]),
        "{log:?}"
    );
}

/// Some networks bring back what was sent to a group (RFC 7527, 2): that is no conflict.
#[test]
fn a_solicitation_of_ours_that_comes_back_is_no_conflict() {
    host!(node, 1, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024);
    let log = claims(node, IpCidr::new(LINK.into(), 64));
    by_hand(node, |hands| {
        for _ in 0..500 {
            hands.pass(TICK);
            for frame in std::mem::take(&mut hands.others) {
                hands.send_frame(&frame);
            }
        }
        assert!(matches!(log.borrow()[..], [(_, Ok(()))]), "{log:?}");
    });
}
