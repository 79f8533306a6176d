//! A link that goes down and comes up, gateways, and who waits for them.

use super::*;
use harness::GATEWAY;
use smoltcp::wire::IpAddress;

/// What a task waits for is what it gets, and nothing runs meanwhile.
#[test]
fn tasks_wait_for_a_link_and_for_addresses() {
    host!(node, 1, slots: 2, tasks: 12, bytes: 64, rx: 1024, tx: 1024);
    let seen = Rc::new(RefCell::new(Vec::new()));
    for number in 0..4 {
        let seen = seen.clone();
        let part = async move {
            node.wait_link_down().await;
            seen.borrow_mut().push((number, "down", node.now()));
            node.wait_link_up().await;
            seen.borrow_mut().push((number, "up", node.now()));
            node.wait_config_down().await;
            seen.borrow_mut().push((number, "no address", node.now()));
            node.wait_config_up().await;
            seen.borrow_mut().push((number, "an address", node.now()));
        };
        node.spawn(Box::pin(part)).unwrap();
    }
    by_hand(node, |hands| {
        hands.mute = true;
        let said = |what: &str, now: Instant| {
            let seen = std::mem::take(&mut *seen.borrow_mut());
            assert_eq!(seen.len(), 4, "{what}: {seen:?}");
            let in_time = |at: Instant| at <= now && at + TICK > now;
            assert!(
                seen.iter()
                    .all(|(_, said, at)| *said == what && in_time(*at)),
                "{seen:?}"
            );
        };
        hands.pass(SEC * 10);
        assert!(seen.borrow().is_empty());
        node.set_link(false);
        node.set_link(false);
        assert!(!node.is_link_up());
        hands.pass(TICK / 2);
        said("down", hands.now);
        node.set_link(true);
        hands.pass(TICK / 2);
        said("up", hands.now);
        for addr in node.config().addresses {
            node.remove_address(addr.address());
        }
        hands.pass(TICK / 2);
        said("no address", hands.now);
        let waits = node
            .waiting()
            .filter(|task| format!("{task:?}").contains("Config"));
        assert_eq!(waits.count(), 4);
        let claiming = claims(node, cidr(NEW));
        hands.pass(SEC * 8);
        assert_eq!(claiming.borrow().len(), 1);
        assert_eq!(seen.borrow().len(), 4);
    });
}

/// A wait that is over leaves nothing that runs: an hour takes few turns.
#[test]
fn who_waits_for_a_link_costs_nothing() {
    host!(node, 1, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024);
    node.spawn(Box::pin(async move { node.wait_link_down().await }))
        .unwrap();
    by_hand(node, |hands| {
        hands.pass(SEC);
        let before = hands.turns;
        hands.pass(SEC * 3600);
        assert!(hands.turns - before < 10, "{}", hands.turns - before);
    });
}

/// When the link comes up it may be another network: addresses are announced, and what was
/// known of neighbors is forgotten.
#[test]
fn a_host_whose_link_comes_up_says_which_addresses_it_uses() {
    host!(node, 1, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024);
    by_hand(node, |hands| {
        hands.mute = true;
        hands.pass(SEC);
        node.set_link(false);
        assert_eq!(arps(hands, SEC * 5), []);
        node.set_link(true);
        let seen = arps(hands, SEC * 5);
        let from: Vec<_> = seen.iter().map(|(_, from, to)| (*from, *to)).collect();
        assert_eq!(from, [(HOST, HOST), (HOST, HOST)]);
    });
}

/// An address that goes before it was announced, or announced again, is not announced and
/// does not come back.
#[test]
fn an_address_that_goes_is_announced_no_more() {
    for announced in [0, 1] {
        host!(node, 1, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024);
        by_hand(node, |hands| {
            hands.mute = true;
            hands.pass(SEC);
            node.set_link(false);
            node.set_link(true);
            assert_eq!(arps(hands, SEC * announced).len(), announced as usize);
            assert!(node.remove_address(HOST.into()));
            assert_eq!(arps(hands, SEC * 5), []);
            let left = node.config().addresses;
            assert!(left.iter().all(|own| own.address() != HOST.into()));
        });
    }
}

/// A gateway that goes takes the way to other networks with it.
#[test]
fn a_gateway_that_goes_is_not_used() {
    host!(node, 1, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024);
    assert!(node.config().gateways.contains(&GATEWAY.into()));
    node.remove_gateway(IpAddress::v4(10, 0, 0, 253));
    assert!(
        node.config().gateways.contains(&GATEWAY.into()),
        "another one"
    );
    node.remove_gateway(GATEWAY.into());
    assert!(!node.config().gateways.contains(&GATEWAY.into()));
}

/// More wait than there are places for: those look in every turn, and that is counted.
#[cfg(feature = "counters")]
#[test]
fn who_finds_no_place_to_wait_looks_in_every_turn() {
    host!(node, 1, slots: 2, tasks: 9, bytes: 64, rx: 1024, tx: 1024);
    for _ in 0..9 {
        node.spawn(Box::pin(node.wait_link_down())).unwrap();
    }
    by_hand(node, |hands| {
        hands.pass(Duration::from_micros(50));
        assert!(node.counters().timers_refused > 10);
        node.set_link(false);
        hands.pass(Duration::from_micros(50));
        assert_eq!(node.counters().tasks_used, 0);
    });
}

/// What was known of neighbors is forgotten with the link: it may be another network.
#[test]
fn neighbors_are_asked_for_again_when_the_link_comes_up() {
    host!(node, 1, slots: 2, tasks: 4, bytes: 64, rx: 1024, tx: 1024);
    let nine = Ipv4Address::new(10, 0, 0, 9);
    let connects = move || Box::pin(async move { node.connect(harness::v4(9, 80)).await.is_ok() });
    by_hand(node, |hands| {
        for (flaps, asked) in [(false, 1), (false, 0), (true, 1)] {
            if flaps {
                node.set_link(false);
                node.set_link(true);
            }
            hands.asked.clear();
            node.spawn(Box::pin(async move {
                connects().await;
            }))
            .unwrap();
            hands.pass_with(TICK, |seg| {
                Some(harness::peer::answer(
                    seg,
                    smoltcp::wire::TcpControl::Rst,
                    b"",
                ))
            });
            let questions = hands.asked.iter().filter(|addr| **addr == nine).count();
            assert_eq!(questions, asked, "flaps: {flaps}");
        }
    });
}
