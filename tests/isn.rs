//! Row 5: whoever watches three sequence numbers of bare smoltcp knows all the
//! others. Here is how, and that it does not work on ours.
#![cfg(feature = "lab")]
mod harness;

use std::collections::HashSet;

use cygnet::lab::wire::{Faults, Wire};
use cygnet::{Backlog, Node};
use harness::peer::{HOST, HOST_MAC, Hands, Seg, answer, arp, by_hand, mac, syn};
use harness::*;
use smoltcp::iface::{Config, Interface, SocketSet, SocketStorage};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{ArpOperation, IpAddress, IpCidr, TcpControl};

const TICK: Duration = Duration::from_millis(10);

/// What smoltcp's generator does between two draws.
fn step(state: u64) -> u64 {
    state
        .wrapping_mul(0xbb2e_fcec_3c39_611d)
        .wrapping_add(0x7590_ef39)
}

fn output(state: u64) -> u32 {
    (state >> (29 - (state >> 61))) as u32
}

/// The states that give an output, as ranges: a first state and how many.
fn ranges(seen: u32) -> impl Iterator<Item = (u64, u64)> {
    (0..8u64).flat_map(move |top| {
        let shift = 29 - top;
        (0..1u64 << top).map(move |middle| {
            let low = top << 61 | middle << (shift + 32) | u64::from(seen) << shift;
            (low, 1 << shift)
        })
    })
}

/// The smallest `x` for which `a * x mod m` is in `low..=high`: Euclid's
/// algorithm, with a range in place of a number.
fn first(a: u128, m: u128, low: u128, high: u128) -> Option<u128> {
    if low == 0 {
        return Some(0);
    }
    if a == 0 {
        return None;
    }
    let x = low.div_ceil(a);
    if a * x <= high {
        return Some(x);
    }
    let y = first(m % a, a, (a - high % a) % a, (a - low % a) % a)?;
    Some((low + m * y).div_ceil(a))
}

/// The generator's state after three outputs in a row, if a state gives them.
fn recover(seen: [u32; 3]) -> Option<u64> {
    let a = step(1).wrapping_sub(step(0)).into();
    for (before, unknown) in ranges(seen[0]) {
        for (after, width) in ranges(seen[1]) {
            let mut from = 0;
            while from < unknown {
                // Which x brings `step(before + from + x)` into the range?
                let low = after.wrapping_sub(step(before + from));
                let high = low.wrapping_add(width - 1);
                let x = match low > high {
                    true => Some(0),
                    false => first(a, 1 << 64, low.into(), high.into()),
                };
                let Some(x) = x.filter(|x| u128::from(from) + x < unknown.into()) else {
                    break;
                };
                let second = step(before + from + x as u64);
                if output(second) == seen[1] && output(step(second)) == seen[2] {
                    return Some(step(second));
                }
                from += x as u64 + 1;
            }
        }
    }
    None
}

/// Sequence numbers that a bare smoltcp answers SYNs with.
fn bare_smoltcp(seed: u64) -> [u32; 6] {
    let wire: Wire<8> = Wire::new(Faults::NONE);
    let (mut here, mut there) = wire.ends();
    let mut config = Config::new(HOST_MAC.into());
    config.random_seed = seed;
    let mut iface = Interface::new(config, &mut here, Instant::ZERO);
    iface.update_ip_addrs(|addresses| {
        addresses.push(IpCidr::new(HOST.into(), 24)).unwrap();
    });
    let mut isn = |number: u8| {
        let (mut rx, mut tx) = ([0; 64], [0; 64]);
        let (rx, tx) = (&mut rx[..], &mut tx[..]);
        let mut socket = tcp::Socket::new(tcp::SocketBuffer::new(rx), tcp::SocketBuffer::new(tx));
        socket.listen(7).unwrap();
        let mut storage = [SocketStorage::EMPTY];
        let mut sockets = SocketSet::new(&mut storage[..]);
        sockets.add(socket);
        let syn = syn(number, 1000, 7, 1);
        let question = arp(ArpOperation::Request, syn.from, mac(syn.from));
        assert!(there.inject(Instant::ZERO, &question));
        assert!(there.inject(Instant::ZERO, &syn.frame()));
        for _ in 0..2 {
            iface.poll_ingress_single(Instant::ZERO, &mut here, &mut sockets);
        }
        iface.poll_egress(Instant::ZERO, &mut here, &mut sockets);
        let mut seen = std::iter::from_fn(|| there.take(Instant::ZERO));
        seen.find_map(|frame| Seg::read(&frame)).unwrap().seq.0 as u32
    };
    [9, 10, 11, 12, 13, 14].map(&mut isn)
}

#[test]
fn three_sequence_numbers_of_bare_smoltcp_give_all_others_away() {
    for seed in [1, 7, 0xfeed_beef, u64::MAX] {
        let isns = bare_smoltcp(seed);
        let [a, b, c, rest @ ..] = isns;
        let mut state = recover([a, b, c]).expect("a state");
        for isn in rest {
            state = step(state);
            assert_eq!(output(state), isn, "seed {seed}");
        }
    }
}

async fn listen(node: Node<'_>) {
    let listener = node.listen(7, Backlog(4)).unwrap();
    while listener.accept().await.is_ok() {}
}

/// The sequence number that answers this SYN, which is forgotten again.
fn isn(hands: &mut Hands<'_>, syn: &Seg) -> u32 {
    hands.send(syn);
    let reply = hands.pass(TICK).into_iter().find(Seg::is_answer).unwrap();
    hands.send(&Seg {
        ack: None,
        seq: reply.ack.unwrap(),
        ..answer(&reply, TcpControl::Rst, b"")
    });
    hands.pass(TICK);
    reply.seq.0 as u32
}

fn unpredictable(cookies: bool) {
    let mut config = config(1);
    config.cookies = cookies;
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 256, tx: 256, parked: 0, config: config);
    server.spawn(Box::pin(listen(server))).unwrap();
    let mut isns = Vec::new();
    by_hand(server, |hands| {
        hands.pass(TICK);
        for n in 0..10_000 {
            // Both: one peer again and again, and another port each time.
            let port = if n % 2 == 0 { 1000 } else { n };
            isns.push(isn(hands, &syn(9, port.max(1), 7, n.into())));
        }
    });
    assert_eq!(isns.iter().collect::<HashSet<_>>().len(), 10_000);
    for three in isns.windows(4).step_by(2500) {
        let guess = recover([three[0], three[1], three[2]]).map(|state| output(step(state)));
        assert_ne!(guess, Some(three[3]));
    }
    // Those of different connections have nothing in common.
    let mut ones = [0; 32];
    for isn in isns.iter().skip(1).step_by(2) {
        (0..32).for_each(|bit| ones[bit] += isn >> bit & 1);
    }
    assert!(
        ones.iter().all(|ones| (2200..2800).contains(ones)),
        "{ones:?}"
    );
}

#[test]
fn ten_thousand_of_ours_give_nothing_away() {
    unpredictable(false);
}

#[test]
fn nor_do_cookies() {
    unpredictable(true);
}

#[test]
fn no_sequence_number_comes_again_after_a_reboot_at_the_same_time() {
    for cookies in [false, true] {
        let mut seen = HashSet::new();
        for boot in 1..=20u8 {
            let mut config = config(1);
            config.cookies = cookies;
            config.secret = [boot; 16];
            host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 256, tx: 256, parked: 0, config: config);
            server.spawn(Box::pin(listen(server))).unwrap();
            by_hand(server, |hands| {
                hands.pass(TICK);
                for port in 0..50 {
                    let isn = isn(hands, &syn(9, 1000 + port, 7, 1));
                    assert!(seen.insert(isn), "{isn} again, {cookies}");
                }
            });
        }
    }
}

#[test]
fn the_next_life_of_a_connection_begins_further_on() {
    host!(server, 1, slots: 4, tasks: 8, bytes: 64, rx: 256, tx: 256);
    server.spawn(Box::pin(listen(server))).unwrap();
    by_hand(server, |hands| {
        hands.pass(TICK);
        let first = isn(hands, &syn(9, 1000, 7, 1));
        hands.pass(Duration::from_secs(100));
        let second = isn(hands, &syn(9, 1000, 7, 1));
        // RFC 6528: a clock of four microseconds.
        let after = second.wrapping_sub(first);
        assert!((25_000_000..25_100_000).contains(&after), "{after}");
    });
}

#[test]
fn an_address_says_nothing_of_the_ports_used_to_another() {
    host!(client, 1, slots: 4, tasks: 64, bytes: 64, rx: 256, tx: 256);
    for target in [9, 10] {
        for n in 0..12 {
            let connect = async move {
                client.sleep(Duration::from_secs(2 * n)).await;
                let _ = client
                    .timeout(Duration::from_secs(1), client.connect(v4(target, 7)))
                    .await;
            };
            client.spawn(Box::pin(connect)).map_err(|_| ()).unwrap();
        }
    }
    by_hand(client, |hands| {
        let seen = hands.pass(Duration::from_secs(40));
        let ports = |target: u8| -> Vec<u16> {
            let to = IpAddress::from(syn(target, 1, 1, 1).from);
            let mut ports: Vec<_> = seen
                .iter()
                .filter(|seg| IpAddress::from(seg.to) == to)
                .map(|seg| seg.from_port)
                .collect();
            ports.dedup();
            ports
        };
        let (one, two) = (ports(9), ports(10));
        assert!(one.len() >= 10 && two.len() >= 10, "{one:?} {two:?}");
        assert!(one.iter().chain(&two).all(|port| *port >= 49152));
        // RFC 6056, algorithm 3: each destination has an offset of its own.
        let offset = one[0].abs_diff(two[0]);
        assert!(offset > 100, "{one:?} {two:?}");
    });
}
