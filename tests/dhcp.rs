//! A DHCP client against a server of the test's own, in virtual time: leases that are
//! renewed, rebound, refused and lost, servers that lie, links that go down, and what is used
//! until somebody answers.
#![cfg(all(feature = "lab", feature = "dhcp"))]
/// Makes a client without an address, and memory for its datagrams.
macro_rules! client {
    ($node:ident, $number:literal) => {
        client!($node, $number, addresses: [])
    };
    ($node:ident, $number:literal, addresses: $addresses:expr) => {
        let mut storage: cygnet::Storage<'_, 4, 1024, 1024, 4, 8, 0> = cygnet::Storage::new();
        let mut task_storage: cygnet::TaskStorage<8, 2048> = cygnet::TaskStorage::new();
        let mut datagrams: cygnet::UdpStorage<2, 4, 600> = cygnet::UdpStorage::new();
        let stack = cygnet::Stack::new(
            &mut storage,
            &harness::config($number),
            harness::capabilities(),
        )
        .unwrap();
        stack.add_datagrams(&mut datagrams).unwrap();
        let addresses: &[IpCidr] = &$addresses;
        for address in addresses {
            stack.add_address(*address).unwrap();
        }
        let ready = harness::leak(cygnet::ReadySet::<8>::new());
        let tasks = cygnet::Tasks::new(&mut task_storage, ready);
        let $node = cygnet::Node::new(&stack, &tasks);
    };
}

#[path = "dhcp/faults.rs"]
mod faults;
mod harness;
#[path = "dhcp/pelt.rs"]
mod pelt;
#[path = "dhcp/server.rs"]
mod server;
#[path = "dhcp/standby.rs"]
mod standby;

use std::cell::RefCell;

use cygnet::lab::wire::{Faults, Wire};
use cygnet::service::{DhcpConfig, DhcpError, dhcp};
use cygnet::{Node, turns};
use harness::{LAN, next, seconds};
use server::{SERVER, Served, Server, ack};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{DhcpMessageType, IpAddress, IpCidr, Ipv4Address, Ipv4Cidr};

const SEC: Duration = Duration::from_secs(1);
const GIVEN: Ipv4Address = Ipv4Address::new(10, 0, 0, 100);

fn given() -> IpCidr {
    IpCidr::new(GIVEN.into(), 24)
}

/// Lets a client and whoever else is on the wire run, and looks at the client after each turn.
fn watch(
    client: Node<'_>,
    other: Node<'_>,
    wire: &Wire<64>,
    limit: Instant,
    mut look: impl FnMut(Instant),
) {
    let (mut end_a, mut end_b) = wire.ends();
    let mut now = Instant::ZERO;
    turns(client, |client_turns| {
        turns(other, |other_turns| {
            while now < limit {
                let left = client_turns.turn(&mut end_a, now);
                harness::audit(client);
                let right = other_turns.turn(&mut end_b, now);
                look(now);
                let at = next(left, right, wire.next_delivery()).unwrap_or(limit);
                now = at.min(now + SEC).max(now + Duration::from_micros(1));
            }
        })
    })
}

/// Runs a client against a server until then; gives what the server was asked.
fn served(server: Server, limit: i64, look: impl FnMut(Node<'_>, Instant)) -> Vec<Served> {
    served_with(DhcpConfig::new(), server, LAN, limit, look)
}

fn served_with(
    config: DhcpConfig<'_>,
    server: Server,
    faults: Faults,
    limit: i64,
    mut look: impl FnMut(Node<'_>, Instant),
) -> Vec<Served> {
    let name = config;
    client!(node, 1);
    let ours = |addr: Ipv4Address| IpCidr::new(addr.into(), 24);
    let owned = server.owned.map_or(ours(SERVER), ours);
    client!(other, 2, addresses: [ours(SERVER), owned]);
    let log = RefCell::new(Vec::new());
    server.start(other, &log);
    node.spawn(Box::pin(async move { dhcp(node, name).await.unwrap() }))
        .unwrap();
    let wire: Wire<64> = Wire::new(faults);
    watch(node, other, &wire, seconds(limit), |now| {
        // Never longer than it was given, by the server's clock.
        let until = log.borrow().iter().filter_map(|served| served.until).max();
        assert!(
            !has(node, given()) || Some(now) <= until,
            "{now}, {until:?}"
        );
        look(node, now);
    });
    log.into_inner()
}

fn kinds(served: &[Served]) -> Vec<DhcpMessageType> {
    served.iter().map(|served| served.kind).collect()
}

fn has(node: Node<'_>, address: IpCidr) -> bool {
    node.config().addresses.contains(&address)
}

use DhcpMessageType::{Decline, Discover, Request};

/// RFC 2131, 3.1: discover, request, and a check that nobody else has it (3.1, 5).
#[test]
fn an_address_is_asked_for_checked_and_used() {
    let mut first = None;
    let seen = served(Server::honest(3600), 30, |node, now| {
        if has(node, given()) {
            first.get_or_insert((now, node.config()));
        }
    });
    assert_eq!(kinds(&seen), [Discover, Request]);
    assert_eq!(seen[1].wants, Some(GIVEN));
    assert_eq!(seen[1].server, Some(SERVER));
    assert_eq!(seen[0].xid, seen[1].xid);
    assert!(
        seen.iter()
            .all(|asked| asked.broadcast && asked.from.is_unspecified())
    );
    let (when, config) = first.expect("an address");
    assert!(when < seconds(8), "{when}");
    assert_eq!(config.gateways[..], [IpAddress::v4(10, 0, 0, 1)]);
    assert_eq!(
        config.dns[..],
        [IpAddress::v4(10, 0, 0, 3), IpAddress::v4(10, 0, 0, 4)]
    );
}

/// RFC 2131, 4.4.5: at T1 the server is asked, from the address, and the lease is longer.
#[test]
fn a_lease_is_renewed_at_half_of_its_time() {
    let seen = served(Server::honest(1000), 5000, |node, now| {
        assert!(now < seconds(10) || has(node, given()), "{now}");
    });
    assert_eq!(kinds(&seen[..2]), [Discover, Request]);
    assert!(seen.len() >= 8, "{seen:?}");
    for (asked, before) in seen[2..].iter().zip(&seen[1..]) {
        assert_eq!((asked.kind, asked.has), (Request, Some(GIVEN)));
        assert_eq!((asked.wants, asked.server), (None, None), "RFC 2131, 4.3.2");
        assert!(!asked.to_all && asked.from == GIVEN);
        let passed = (asked.at - before.at).secs();
        assert!((499..=501).contains(&passed), "{passed}");
        assert_ne!(asked.xid, before.xid, "a number is used once");
    }
}

/// RFC 2131, 4.4.5: the server is gone; at T2 all are asked, and at the end the address is
/// given up.
#[test]
fn a_lease_that_nobody_renews_is_rebound_and_then_given_up() {
    let mut given_up = None;
    let mut server = Server::honest(1000);
    server.silent_after = Some(seconds(10));
    let seen = served(server, 1200, |node, now| {
        if now > seconds(10) && !has(node, given()) {
            given_up.get_or_insert(now);
        }
    });
    let renewals: Vec<_> = seen[2..]
        .iter()
        .filter(|asked| asked.has.is_some())
        .collect();
    let (rebinding, renewing): (Vec<_>, Vec<_>) = renewals.iter().partition(|asked| asked.to_all);
    let at = |asked: &&&&Served| (asked.at - seen[1].at).secs();
    assert!(
        renewing
            .iter()
            .all(|asked| (499..875).contains(&at(&asked))),
        "{renewing:?}"
    );
    assert!(
        rebinding
            .iter()
            .all(|asked| (874..1000).contains(&at(&asked))),
        "{rebinding:?}"
    );
    assert!(renewing.len() >= 3 && !rebinding.is_empty());
    // Never longer than it was given, counted from the question.
    let end = given_up.expect("it is given up") - seen[1].at;
    assert!(end <= SEC * 1000 && end > SEC * 998, "{end}");
    // And it goes on asking.
    assert!(
        seen.iter()
            .any(|asked| asked.kind == Discover && asked.at > seconds(1000))
    );
}

/// Another server's refusal says nothing of this one's offer; this one's does.
#[test]
fn only_the_server_that_was_asked_can_refuse() {
    let mut server = Server::honest(3600);
    server.also = Some(|asked| {
        let mut nak = ack(asked, 60);
        nak.message_type = DhcpMessageType::Nak;
        nak.server_identifier = Some(Ipv4Address::new(10, 0, 0, 66));
        nak
    });
    let mut used = false;
    let seen = served(server, 20, |node, _| used |= has(node, given()));
    assert!(used, "a stray refusal (RFC 2131, 4.4.1)");
    assert_eq!(kinds(&seen), [Discover, Request]);

    let mut server = Server::honest(3600);
    server.refuses = 2;
    let mut used = None;
    let seen = served(server, 60, |node, now| {
        if has(node, given()) {
            used.get_or_insert(now);
        }
    });
    assert_eq!(
        kinds(&seen),
        [Discover, Request, Discover, Request, Discover, Request]
    );
    assert!(
        used.expect("at last") > seconds(20),
        "ten seconds after each refusal"
    );
}

/// RFC 2131, 3.1, 5: somebody else has the address: it is declined, and another asked for ten
/// seconds later at the earliest.
#[test]
fn an_address_that_somebody_has_is_declined() {
    let mut server = Server::honest(3600);
    server.owned = Some(GIVEN);
    server.after_decline = Some(Ipv4Address::new(10, 0, 0, 101));
    let other = IpCidr::new(IpAddress::v4(10, 0, 0, 101), 24);
    let mut used = None;
    let seen = served(server, 60, |node, now| {
        assert!(!has(node, given()));
        if has(node, other) {
            used.get_or_insert(now);
        }
    });
    assert_eq!(
        kinds(&seen),
        [Discover, Request, Decline, Discover, Request]
    );
    let decline = &seen[2];
    assert_eq!(
        (decline.wants, decline.server, decline.has),
        (Some(GIVEN), Some(SERVER), None)
    );
    assert!(seen[3].at >= decline.at + SEC * 10);
    assert!(used.is_some());
}

/// Nobody answers: it goes on asking, each time later, up to 64 seconds.
#[test]
fn nobody_answers_and_the_questions_become_rarer() {
    let mut server = Server::honest(3600);
    server.silent_after = Some(Instant::ZERO);
    let seen = served(server, 1000, |_, _| ());
    assert!(seen.iter().all(|asked| asked.kind == Discover));
    let gaps: Vec<_> = seen
        .windows(2)
        .map(|two| (two[1].at - two[0].at).secs())
        .collect();
    for (gap, middle) in gaps.iter().zip([4, 8, 16, 32, 64, 64, 64]) {
        assert!((middle - 1..=middle + 1).contains(gap), "{gaps:?}");
    }
    assert!(
        gaps[4..].iter().all(|gap| (63..=65).contains(gap)),
        "{gaps:?}"
    );
    // How long it has asked is said (RFC 2131, table 1).
    assert!(seen.last().unwrap().secs > 900);
}

/// What cannot run says why.
#[test]
fn what_cannot_run_says_why() {
    let error = |config: DhcpConfig<'static>, storage: bool, bound: bool| {
        client!(node, 1);
        let result = std::rc::Rc::new(RefCell::new(None));
        let theirs = result.clone();
        let mut bare: cygnet::Storage<'_, 4, 1024, 1024, 4, 8, 0> = cygnet::Storage::new();
        let plain =
            cygnet::Stack::new(&mut bare, &harness::config(3), harness::capabilities()).unwrap();
        let mut tasks: cygnet::TaskStorage<2, 2048> = cygnet::TaskStorage::new();
        let ready = harness::leak(cygnet::ReadySet::<2>::new());
        let tasks = cygnet::Tasks::new(&mut tasks, ready);
        let plain = cygnet::Node::new(&plain, &tasks);
        let node = if storage { node } else { plain };
        let _taken = bound.then(|| node.bind(68).unwrap());
        let task = async move { *theirs.borrow_mut() = Some(dhcp(node, config).await) };
        node.spawn(Box::pin(task)).unwrap();
        let wire: Wire<64> = Wire::new(LAN);
        let mut end = wire.ends().0;
        turns(node, |turns| {
            turns.turn(&mut end, Instant::ZERO);
        });
        result.take().unwrap()
    };
    let config = DhcpConfig::new();
    assert_eq!(error(config, false, false), Err(DhcpError::Bind));
    assert_eq!(error(config, true, true), Err(DhcpError::Bind));
    for name in [
        "two words",
        "b\u{fc}ro",
        "a_b",
        "0123456789012345678901234567890123456789012345678901234567890123",
    ] {
        assert_eq!(
            error(config.host_name(name), true, false),
            Err(DhcpError::HostName),
            "{name}"
        );
    }
}
