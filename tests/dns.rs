//! A DNS client against servers of the test's own, in virtual time: servers that are silent,
//! do not know, lie, or have more to say than fits; what is remembered; names that need no
//! server; and a connection to a name.
#![cfg(all(feature = "lab", feature = "dns"))]
/// Makes a host with memory for datagrams and names.
macro_rules! named_host {
    ($node:ident, $number:literal, $addresses:expr) => {
        let mut storage: cygnet::Storage<'_, 8, 2048, 2048, 4, 8, 0> = cygnet::Storage::new();
        let mut task_storage: cygnet::TaskStorage<16, 4096> = cygnet::TaskStorage::new();
        let mut datagrams: cygnet::UdpStorage<6, 4, 600, 12> = cygnet::UdpStorage::new();
        let mut names: cygnet::NameStorage<4> = cygnet::NameStorage::new();
        let stack = cygnet::Stack::new(
            &mut storage,
            &harness::config($number),
            harness::capabilities(),
        )
        .unwrap();
        stack.add_datagrams(&mut datagrams).unwrap();
        stack.add_names(&mut names).unwrap();
        for address in $addresses {
            stack.add_address(IpCidr::new(address.into(), 24)).unwrap();
        }
        let ready = harness::leak(cygnet::ReadySet::<16>::new());
        let tasks = cygnet::Tasks::new(&mut task_storage, ready);
        let $node = cygnet::Node::new(&stack, &tasks);
    };
}

#[path = "dns/answers.rs"]
mod answers;
#[path = "dns/connecting.rs"]
mod connecting;
mod harness;
#[path = "dns/pelt.rs"]
mod pelt;

use std::cell::RefCell;
use std::rc::Rc;

use answers::{Asked, Script, serve};
use cygnet::lab::wire::Wire;
use cygnet::{Family, Node, ResolveError, service, turns};
use harness::{LAN, next, seconds};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpCidr, Ipv4Address};

const SEC: Duration = Duration::from_secs(1);
const ONE: Ipv4Address = Ipv4Address::new(10, 0, 0, 2);
const TWO: Ipv4Address = Ipv4Address::new(10, 0, 0, 3);

type Found = Result<Vec<IpAddress>, ResolveError>;

/// What came of questions, and when.
type Log = Rc<RefCell<Vec<(Instant, Found)>>>;

/// Asks for a name at that time, and logs what came of it.
fn asks(node: Node<'_>, at: i64, name: &'static str, family: Family, log: &Log) {
    let log = log.clone();
    let part = async move {
        node.sleep_until(seconds(at)).await;
        let found = node.resolve(name, family).await;
        let found = found.map(|addresses| addresses.to_vec());
        log.borrow_mut().push((node.now(), found));
    };
    node.spawn(Box::pin(part)).unwrap();
}

/// Runs a client against two servers, at [`ONE`] and [`TWO`]; gives what they were asked.
fn with_servers(scripts: [Script; 2], limit: i64, client: impl FnOnce(Node<'_>)) -> Vec<Asked> {
    named_host!(node, 1, [Ipv4Address::new(10, 0, 0, 1)]);
    named_host!(other, 2, [ONE, TWO]);
    let log = RefCell::new(Vec::new());
    serve(other, ONE, scripts[0], &log);
    serve(other, TWO, scripts[1], &log);
    node.set_dns_servers(&[ONE.into(), TWO.into()]);
    node.spawn(Box::pin(service::dns(node))).unwrap();
    client(node);
    let wire: Wire<64> = Wire::new(LAN);
    let (mut end_a, mut end_b) = wire.ends();
    let mut now = Instant::ZERO;
    turns(node, |node_turns| {
        turns(other, |other_turns| {
            while now < seconds(limit) {
                let left = node_turns.turn(&mut end_a, now);
                harness::audit(node);
                let right = other_turns.turn(&mut end_b, now);
                let at = next(left, right, wire.next_delivery()).unwrap_or(seconds(limit));
                now = at.max(now + Duration::from_micros(1));
            }
        })
    });
    log.into_inner()
}

fn addrs(lasts: &[u8]) -> Found {
    Ok(lasts
        .iter()
        .map(|last| IpAddress::v4(10, 9, 9, *last))
        .collect())
}

fn results(log: &Log) -> Vec<Found> {
    log.borrow()
        .iter()
        .map(|(_, found)| found.clone())
        .collect()
}

/// One question, its answer, and no second question as long as it is good.
#[test]
fn an_answer_is_remembered_as_long_as_it_is_good() {
    let log = Log::default();
    let asked = with_servers([Script::Answer; 2], 200, |node| {
        for at in [1, 2, 59, 62] {
            asks(node, at, "seven.example", Family::V4, &log);
        }
    });
    assert_eq!(results(&log), vec![addrs(&[7]); 4]);
    let when: Vec<_> = asked.iter().map(|asked| asked.at.secs()).collect();
    assert_eq!(when, [1, 62], "sixty seconds");
    assert!(asked.iter().all(|asked| asked.server == ONE));
}

/// Who asks for the same at the same time shares one question; who gives up leaves it to the
/// others.
#[test]
fn one_question_serves_all_who_ask_it() {
    let log = Log::default();
    let asked = with_servers([Script::Late; 2], 20, |node| {
        let hasty = async move {
            node.sleep_until(seconds(1)).await;
            let question = node.resolve("seven.example", Family::V4);
            assert!(node.timeout(SEC / 2, question).await.is_err());
        };
        node.spawn(Box::pin(hasty)).unwrap();
        for _ in 0..3 {
            asks(node, 1, "seven.example", Family::V4, &log);
        }
    });
    assert_eq!(results(&log), vec![addrs(&[7]); 3]);
    assert_eq!(asked.len(), 1);
}

/// A server that is silent, one that does not know, one that answers nonsense, a port that
/// nobody listens on: the next is asked.
#[test]
fn the_next_server_is_asked_when_one_is_no_help() {
    for (script, at_most) in [
        (Script::Silent, 4),
        (Script::Fails(2), 1),
        (Script::Fails(5), 1),
        (Script::Lies, 4),
    ] {
        let log = Log::default();
        let asked = with_servers([script, Script::Answer], 40, |node| {
            asks(node, 1, "seven.example", Family::V4, &log);
        });
        assert_eq!(results(&log), [addrs(&[7])], "{script:?}");
        let took = log.borrow()[0].0 - seconds(1);
        assert!(took <= SEC * at_most, "{script:?} took {took}");
        assert_eq!(asked.last().unwrap().server, TWO);
    }
}

/// A port where nobody is says so at once; a moment later somebody may be there.
#[test]
fn servers_that_are_not_there_yet_are_asked_again_a_moment_later() {
    let log = Log::default();
    with_servers([Script::NotYet; 2], 40, |node| {
        asks(node, 1, "seven.example", Family::V4, &log);
    });
    assert_eq!(results(&log), [addrs(&[7])]);
    assert!(log.borrow()[0].0 < seconds(3));
}

/// When nobody helps, it is said why, in bounded time and with a bounded number of questions.
#[test]
fn when_no_server_helps_it_is_said_why() {
    for (scripts, error) in [
        ([Script::Silent; 2], ResolveError::TimedOut),
        ([Script::Fails(2); 2], ResolveError::Failed),
        ([Script::Silent, Script::Fails(2)], ResolveError::Failed),
        ([Script::Fails(3), Script::Answer], ResolveError::NoName),
        ([Script::Nothing, Script::Answer], ResolveError::NoAddress),
    ] {
        let log = Log::default();
        let asked = with_servers(scripts, 100, |node| {
            asks(node, 1, "seven.example", Family::V4, &log);
        });
        assert_eq!(results(&log), [Err(error)], "{scripts:?}");
        assert!(log.borrow()[0].0 < seconds(30));
        assert!(asked.len() <= 4, "{}", asked.len());
    }
}

/// RFC 5452: neither the number nor the port of a question follows from those before.
#[test]
fn numbers_and_ports_are_not_foreseen() {
    let log = Log::default();
    let asked = with_servers([Script::Fails(2); 2], 300, |node| {
        for at in 0..10 {
            asks(node, at * 20, "seven.example", Family::V4, &log);
        }
    });
    assert_eq!(asked.len(), 40);
    let mut ids: Vec<_> = asked.iter().map(|asked| asked.id).collect();
    let steps: Vec<_> = ids
        .windows(2)
        .map(|two| two[1].wrapping_sub(two[0]))
        .collect();
    ids.sort();
    ids.dedup();
    assert!(ids.len() > 37, "{}", ids.len());
    assert!(steps.windows(2).all(|two| two[0] != two[1]), "{steps:?}");
    let mut ports: Vec<_> = asked.iter().map(|asked| asked.port).collect();
    ports.sort();
    ports.dedup();
    assert!(ports.len() > 37, "{}", ports.len());
}

/// RFC 7766: what does not fit in a datagram is asked for by TCP.
#[test]
fn what_does_not_fit_comes_by_tcp() {
    let log = Log::default();
    let asked = with_servers([Script::Truncated; 2], 40, |node| {
        asks(node, 1, "seven.example", Family::V4, &log);
    });
    assert_eq!(results(&log), [addrs(&[1, 2, 3, 4])]);
    let by_tcp: Vec<_> = asked.iter().map(|asked| asked.by_tcp).collect();
    assert_eq!(by_tcp, [false, true]);
}

/// Aliases that are elsewhere are asked for, and not for ever.
#[test]
fn aliases_are_asked_for() {
    let log = Log::default();
    let asked = with_servers([Script::Alias; 2], 100, |node| {
        asks(node, 1, "alias.example", Family::V4, &log);
        asks(node, 30, "circle.example", Family::V4, &log);
    });
    assert_eq!(results(&log), [addrs(&[7]), Err(ResolveError::Failed)]);
    assert!(asked.len() < 16, "{}", asked.len());
}

/// Without a task, a server or a place for it, nothing waits.
#[test]
fn what_cannot_be_asked_is_said_at_once() {
    named_host!(node, 1, [Ipv4Address::new(10, 0, 0, 1)]);
    let log = Log::default();
    let wire: Wire<64> = Wire::new(LAN);
    let mut end = wire.ends().0;
    asks(node, 0, "a.example", Family::Any, &log);
    turns(node, |turns| turns.turn(&mut end, Instant::ZERO));
    assert_eq!(results(&log), [Err(ResolveError::NoResolver)]);
    log.borrow_mut().clear();
    node.spawn(Box::pin(service::dns(node))).unwrap();
    turns(node, |turns| {
        turns.turn(&mut end, Instant::ZERO);
        asks(node, 0, "not a name", Family::Any, &log);
        asks(node, 0, "a.example", Family::Any, &log);
        for _ in 0..5 {
            turns.turn(&mut end, seconds(1));
        }
    });
    assert_eq!(
        results(&log),
        [Err(ResolveError::BadName), Err(ResolveError::NoServer)]
    );
}

/// An address is its own, and this host is known.
#[test]
fn what_needs_no_server_is_known() {
    named_host!(node, 1, [Ipv4Address::new(10, 0, 0, 1)]);
    let v4 = |text: &str| -> Found { Ok(vec![text.parse().unwrap()]) };
    let nothing: Found = Err(ResolveError::NoAddress);
    for (name, family, wanted) in [
        ("10.1.2.3", Family::Any, v4("10.1.2.3")),
        ("10.1.2.3", Family::V4, v4("10.1.2.3")),
        ("10.1.2.3", Family::V6, nothing.clone()),
        ("localhost", Family::V4, v4("127.0.0.1")),
        ("LocalHost.", Family::V4, v4("127.0.0.1")),
        ("a.localhost", Family::V4, v4("127.0.0.1")),
        #[cfg(feature = "ipv6")]
        ("fe80::1", Family::Any, v4("fe80::1")),
        #[cfg(feature = "ipv6")]
        ("fe80::1", Family::V4, nothing.clone()),
        #[cfg(feature = "ipv6")]
        ("localhost", Family::V6, v4("::1")),
    ] {
        let log = Log::default();
        asks(node, 0, name, family, &log);
        let wire: Wire<64> = Wire::new(LAN);
        let mut end = wire.ends().0;
        turns(node, |turns| turns.turn(&mut end, Instant::ZERO));
        assert_eq!(results(&log), [wanted], "{name} {family:?}");
    }
}

/// More questions than there are places: said; a place that is free again is used.
#[test]
fn too_many_questions_are_said() {
    let log = Log::default();
    with_servers([Script::Silent; 2], 100, |node| {
        for name in [
            "a.example",
            "b.example",
            "c.example",
            "d.example",
            "e.example",
        ] {
            asks(node, 1, name, Family::V4, &log);
        }
        asks(node, 90, "f.example", Family::V4, &log);
    });
    let results = results(&log);
    assert_eq!(results[0], Err(ResolveError::TooMany));
    assert!(
        results[1..]
            .iter()
            .all(|found| *found == Err(ResolveError::TimedOut)),
        "{results:?}"
    );
}
