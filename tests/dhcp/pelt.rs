//! A host with a DHCP client, pelted: bytes decide what a server says to its questions, whole,
//! damaged or raw, when the link goes down, who says that it has an address, and how time
//! passes. After every turn the host's tables agree, it has no address that nobody gave it or
//! whose time is over, and it comes to rest; and at the end an honest server gives it one.
//! Tests bring random bytes and the corpus, a fuzzer the rest (`fuzz/targets/dhcp.rs`).
#![allow(dead_code, reason = "a fuzzer needs less of it than the tests")]

use cygnet::lab::wire::{Faults, Wire};
use cygnet::service::{DhcpConfig, dhcp};
use cygnet::{Config, Node, ReadySet, Stack, Storage, TaskStorage, Tasks, Turn, UdpStorage, turns};
use smoltcp::phy::DeviceCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, Ipv4Address};

use crate::harness::pelted::{Bytes, PAYLOAD, datagram};

/// A message of a server to everybody, in its frame.
fn frame(message: &[u8], from_port: u16) -> Vec<u8> {
    datagram(from_port, [0xff; 6], ([255; 4], 68), message)
}

/// What a server may say: its kind, the last byte of an address, and options.
fn message(kind: u8, xid: [u8; 4], last: u8, options: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 240];
    message[..4].copy_from_slice(&[2, 1, 6, 0]);
    message[4..8].copy_from_slice(&xid);
    message[16..20].copy_from_slice(&[10, 0, 0, last]);
    message[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    message[236..].copy_from_slice(&[99, 130, 83, 99]);
    message.extend([53, 1, kind]);
    message.extend(options);
    message.push(255);
    message
}

/// An address that a message may give, and the longest time for which it may: a reader that
/// is not sure of its options is not asked.
fn gift(message: &[u8], now: Instant) -> Option<(IpAddress, Instant)> {
    let addr: [u8; 4] = *message.get(16..)?.first_chunk()?;
    let seconds = message.windows(6).filter(|option| option[..2] == [51, 4]);
    let seconds = seconds.filter_map(|option| option[2..].first_chunk().copied());
    let seconds = seconds.map(u32::from_be_bytes).max()?;
    let until = match seconds {
        u32::MAX => Instant::from_micros(i64::MAX),
        _ => now + Duration::from_secs(seconds.into()),
    };
    Some((Ipv4Address::from(addr).into(), until))
}

/// Pelts a host.
///
/// # Panics
/// When something does not hold.
pub fn pelt(bytes: &[u8]) {
    let mut storage: Storage<'_, 1, 64, 64> = Storage::new();
    let mut datagrams: Box<UdpStorage<2, 2, 600, 4>> = Box::default();
    let mut task_storage: TaskStorage<2, 2048> = TaskStorage::new();
    let mut capabilities = DeviceCapabilities::default();
    capabilities.max_transmission_unit = 1514;
    let config = Config::new([2, 0, 0, 0, 0, 1], [1; 16]);
    let stack = Stack::new(&mut storage, &config, capabilities).unwrap();
    stack.add_datagrams(&mut *datagrams).unwrap();
    let ready = crate::harness::leak(ReadySet::<2>::new());
    let tasks = Tasks::new(&mut task_storage, ready);
    let node = Node::new(&stack, &tasks);
    node.spawn(Box::pin(dhcp(node, DhcpConfig::new()))).unwrap();
    let wire: Box<Wire<32>> = Box::new(Wire::new(Faults::default()));
    let (mut host, mut other) = wire.ends();
    let (mut bytes, mut now) = (Bytes(bytes), Instant::ZERO);
    let mut given: Vec<(IpAddress, Instant)> = Vec::new();
    let mut xid = [0; 4];
    turns(node, |turns| {
        // Lets the host come to rest; gives its questions, the kind and what it asks for.
        let mut rest = |now: Instant, given: &[(IpAddress, Instant)], xid: &mut [u8; 4]| {
            let mut asked = Vec::new();
            for turned in 0.. {
                assert!(turned < 64, "it does not come to rest");
                let turn = turns.turn(&mut host, now);
                crate::harness::audit(node);
                for frame in std::iter::from_fn(|| other.take(now)) {
                    if frame.len() > PAYLOAD + 240 && frame[36..38] == [0, 67] {
                        xid.copy_from_slice(&frame[PAYLOAD + 4..PAYLOAD + 8]);
                        asked.push(frame[PAYLOAD..].to_vec());
                    }
                }
                let is_over = match turn {
                    Turn::Ready => false,
                    Turn::Idle(Some(at)) => at > now,
                    _ => true,
                };
                if is_over {
                    break;
                }
            }
            for address in node.config().addresses {
                let mut may = given.iter();
                let may = may.any(|(addr, until)| *addr == address.address() && now <= *until);
                assert!(may, "{address} at {now}: {given:?}");
            }
            asked
        };
        rest(now, &given, &mut xid);
        while !bytes.0.is_empty() {
            match bytes.next() % 8 {
                kind @ 0..=4 => {
                    let count = usize::from(bytes.next() % 48).min(bytes.0.len());
                    let (options, left) = bytes.0.split_at(count);
                    bytes.0 = left;
                    let usual = [
                        51, 4, 0, 0, 1, 0, 54, 4, 10, 0, 0, 9, 1, 4, 255, 255, 255, 0,
                    ];
                    let options = if count == 0 { &usual[..] } else { options };
                    let word = [2, 5, 5, 6, bytes.next()][usize::from(kind)];
                    let mut said = message(word, xid, bytes.next(), options);
                    for _ in 0..bytes.next() % 3 {
                        let at = usize::from(bytes.next()) + 256 * usize::from(bytes.next() & 1);
                        if let Some(place) = said.get_mut(at) {
                            *place = bytes.next();
                        }
                    }
                    given.extend(gift(&said, now));
                    wire.ends().1.inject(now, &frame(&said, 67));
                }
                5 => {
                    // Somebody has an address, or asks for it.
                    let what = bytes.next();
                    let mut arp = vec![0xff; 6];
                    arp.extend([2, 0, 0, 0, 0, 7, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 + (what & 1)]);
                    arp.extend([2, 0, 0, 0, 0, 7, 10, 0, 0, bytes.next()]);
                    arp.extend([0, 0, 0, 0, 0, 0, 10, 0, 0, bytes.next()]);
                    wire.ends().1.inject(now, &arp);
                }
                6 => node.set_link(bytes.next() & 1 == 0),
                _ => now += Duration::from_millis(1 << (bytes.next() % 22)),
            }
            rest(now, &given, &mut xid);
            // Timers are as exact as whoever looks at the clock.
            now += Duration::from_micros(1);
        }
        node.set_link(true);
        let end = now + Duration::from_secs(200);
        while node.config().addresses.is_empty() {
            assert!(now < end, "no address of an honest server");
            for asked in rest(now, &given, &mut xid) {
                let kind = if asked[242] == 1 { 2 } else { 5 };
                let options = [51, 4, 0, 0, 14, 16, 54, 4, 10, 0, 0, 9];
                let said = message(kind, xid, 200, &options);
                given.extend(gift(&said, now));
                wire.ends().1.inject(now, &frame(&said, 67));
            }
            now += Duration::from_millis(100);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_of_dhcp_passes() {
        crate::harness::corpus("dhcp", pelt);
    }

    /// Random bytes find most of it, too: `CYGNET_SEEDS=0..100000` for more.
    #[test]
    fn random_bytes_break_nothing() {
        crate::harness::random(300, pelt);
    }
}
