//! A host with a DNS client, pelted: bytes decide what a server says to its questions, whole,
//! damaged or raw, and how time passes. After every turn the host's tables agree and it comes
//! to rest; every question has an answer or an error in time, and no address that nobody said;
//! and at the end an honest server is believed. Tests bring random bytes and the corpus, a
//! fuzzer the rest (`fuzz/targets/dns.rs`).
#![allow(dead_code, reason = "a fuzzer needs less of it than the tests")]

use std::cell::RefCell;

use cygnet::lab::wire::{Faults, Wire};
use cygnet::{Config, Family, NameStorage, Node, ReadySet, Stack, Storage, TaskStorage};
use cygnet::{Tasks, Turn, UdpStorage, service, turns};
use smoltcp::phy::DeviceCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpCidr};

use crate::harness::pelted::{Bytes, PAYLOAD, datagram};

/// Nothing takes longer: nine names in a row, each asked twice of one server, and by TCP.
const LONGEST: Duration = Duration::from_secs(9 * (3 + 6 + 5 + 5 + 1));

/// The answer to a question of this frame, in its frame: these words behind the number, and
/// this behind the question.
fn answer(question: &[u8], head: [u8; 10], records: &[u8]) -> Vec<u8> {
    let (number, asked) = (&question[PAYLOAD..PAYLOAD + 2], &question[PAYLOAD + 12..]);
    let said = [number, &head, asked, records].concat();
    let port = u16::from_be_bytes([question[34], question[35]]);
    datagram(53, [2, 0, 0, 0, 0, 1], ([10, 0, 0, 1], port), &said)
}

/// The hardware address of the server, for who asks.
const HERE: [u8; 42] = [
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 9, 10, 0, 0,
    9, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1,
];

/// Asks for one name after the other, and notes what came of each.
async fn ask(node: Node<'_>, found: &RefCell<Vec<Option<IpAddress>>>) {
    for number in 0.. {
        let name = format!("n{number}.test");
        let asked = node.now();
        let answer = node.resolve(&name, Family::V4).await;
        assert!(
            node.now() - asked <= LONGEST,
            "{name}: {asked} to {}",
            node.now()
        );
        let first = answer.ok().map(|addresses| addresses[0]);
        found.borrow_mut().push(first);
        node.sleep(Duration::from_millis(100)).await;
    }
}

/// Pelts a host.
///
/// # Panics
/// When something does not hold.
pub fn pelt(bytes: &[u8]) {
    let found = &RefCell::new(Vec::new());
    let mut storage: Storage<'_, 2, 1024, 64> = Storage::new();
    let mut datagrams: Box<UdpStorage<2, 2, 600, 4>> = Box::default();
    let mut names: NameStorage<2> = NameStorage::new();
    let mut task_storage: TaskStorage<2, 2048> = TaskStorage::new();
    let mut capabilities = DeviceCapabilities::default();
    capabilities.max_transmission_unit = 1514;
    let config = Config::new([2, 0, 0, 0, 0, 1], [1; 16]);
    let stack = Stack::new(&mut storage, &config, capabilities).unwrap();
    let us = IpCidr::new(IpAddress::v4(10, 0, 0, 1), 24);
    stack.add_address(us).unwrap();
    stack.add_datagrams(&mut *datagrams).unwrap();
    stack.add_names(&mut names).unwrap();
    let ready = crate::harness::leak(ReadySet::<2>::new());
    let tasks = Tasks::new(&mut task_storage, ready);
    let node = Node::new(&stack, &tasks);
    node.set_dns_servers(&[IpAddress::v4(10, 0, 0, 9)]);
    node.spawn(Box::pin(service::dns(node))).unwrap();
    node.spawn(Box::pin(ask(node, found))).unwrap();
    let wire: Box<Wire<32>> = Box::new(Wire::new(Faults::default()));
    let (mut host, mut other) = wire.ends();
    let (mut bytes, mut now) = (Bytes(bytes), Instant::ZERO);
    let (mut said, mut believed): (Vec<u8>, usize) = (Vec::new(), 0);
    turns(node, |turns| {
        // Lets the host come to rest; gives its last question.
        let mut rest = |now: Instant| {
            let mut asked = None;
            for turned in 0.. {
                assert!(turned < 64, "it does not come to rest");
                let turn = turns.turn(&mut host, now);
                crate::harness::audit(node);
                for frame in std::iter::from_fn(|| other.take(now)) {
                    if frame[12..14] == [8, 6] {
                        wire.ends().1.inject(now, &HERE);
                    } else if frame[23] == 17 && frame[36..38] == [0, 53] {
                        asked = Some(frame.to_vec());
                    }
                }
                let is_over = match turn {
                    Turn::Ready => false,
                    Turn::Idle(Some(at)) => at > now,
                    _ => true,
                };
                if is_over && wire.next_delivery().is_none() {
                    break;
                }
            }
            asked
        };
        let mut question = None;
        while !bytes.0.is_empty() {
            question = rest(now).or(question);
            match (bytes.next() % 8, &question) {
                (kind @ 0..=5, Some(question)) => {
                    let flags = [0x81, 0x80 | (bytes.next() % 4)];
                    let head = match kind {
                        0..=3 => [
                            flags[0],
                            flags[1],
                            0,
                            1,
                            0,
                            1 + bytes.next() % 3,
                            0,
                            0,
                            0,
                            0,
                        ],
                        4 => [flags[0] | 2, flags[1], 0, 1, 0, 0, 0, 0, 0, 0],
                        _ => [(); 10].map(|()| bytes.next()),
                    };
                    let mut records = Vec::new();
                    for _ in 0..kind.min(3) {
                        let (name, kind, seconds) = (bytes.next(), bytes.next(), bytes.next());
                        let data = match kind % 3 {
                            0 => vec![0, 1, 0, 1, 0, 0, 0, seconds, 0, 4, 10, 9, name, kind],
                            1 => vec![0, 5, 0, 1, 0, 0, 0, seconds, 0, 2, 0xc0, 12 + name % 8],
                            _ => {
                                let count = usize::from(seconds % 32).min(bytes.0.len());
                                let (raw, left) = bytes.0.split_at(count);
                                bytes.0 = left;
                                raw.to_vec()
                            }
                        };
                        let pointer = if name & 1 == 0 { 12 } else { 12 + name / 2 };
                        records.extend([0xc0, pointer]);
                        records.extend(data);
                    }
                    let mut frame = answer(question, head, &records);
                    for _ in 0..bytes.next() % 3 {
                        let at = PAYLOAD + usize::from(bytes.next());
                        if let Some(place) = frame.get_mut(at) {
                            *place = bytes.next();
                        }
                    }
                    said.extend(&frame);
                    wire.ends().1.inject(now, &frame);
                }
                (6, _) => now += Duration::from_millis(50),
                _ => now += Duration::from_millis(1 << (bytes.next() % 15)),
            }
            rest(now);
            for addr in found.borrow()[believed..].iter().flatten() {
                let octets = match addr {
                    IpAddress::Ipv4(addr) => addr.octets(),
                    #[cfg(feature = "ipv6")]
                    IpAddress::Ipv6(addr) => panic!("{addr} was not asked for"),
                };
                let mut all = said.windows(4);
                assert!(all.any(|four| four == octets), "nobody said {addr}");
            }
            believed = found.borrow().len();
        }
        let honest = [0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 9, 9, 9];
        let end = now + LONGEST * 2;
        while found.borrow().last() != Some(&Some(IpAddress::v4(10, 9, 9, 9))) {
            assert!(now < end, "an honest server is not believed");
            if let Some(question) = rest(now) {
                let head = [0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
                let frame = answer(&question, head, &[&[0xc0, 12][..], &honest].concat());
                wire.ends().1.inject(now, &frame);
            }
            now += Duration::from_millis(50);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_of_dns_passes() {
        crate::harness::corpus("dns", pelt);
    }

    /// Random bytes find most of it, too: `CYGNET_SEEDS=0..100000` for more.
    #[test]
    fn random_bytes_break_nothing() {
        crate::harness::random(300, pelt);
    }
}
