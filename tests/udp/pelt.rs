//! A host with sockets for datagrams, pelted: bytes decide which frames come, whether good,
//! damaged or raw, what the program does with its sockets, and how time passes. After every
//! turn its tables agree; every datagram that it took was read, waits in a ring or was dropped
//! with its socket; and at the end an honest one is echoed. Tests bring random bytes and the
//! corpus, a fuzzer the rest (`fuzz/targets/datagrams.rs`).
#![allow(dead_code, reason = "a fuzzer needs less of it than the tests")]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cygnet::event::DropReason;
use cygnet::lab::wire::{Faults, Wire};
use cygnet::{Config, Hears, Node, ReadySet, Stack, Storage, TaskStorage, Tasks, UdpSocket};
use cygnet::{UdpStorage, turns};
use smoltcp::phy::DeviceCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint};

use crate::harness::pelted::Bytes;

/// Of the echo, which is there all the time.
const ECHO: u16 = 7;

fn addr(number: u8, is_v6: bool) -> IpAddress {
    match is_v6 {
        #[cfg(feature = "ipv6")]
        true => IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, number.into()),
        _ => IpAddress::v4(10, 0, 0, number),
    }
}

/// The ones' complement sum of these bytes, behind what was added before.
fn sum(bytes: &[u8], before: u32) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum = bytes.chunks(2).map(word).fold(before, |a, b| a + b);
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

/// Writes the sums of a frame as they should be, wherever they are.
fn finish(frame: &mut [u8]) {
    let (start, protocol, ends) = match *frame {
        [_, _, _, _, _, _, _, _, _, _, _, _, 8, 0, ..] if frame.len() >= 42 => {
            frame[24..26].fill(0);
            let start = if frame[14] == 0x46 { 38 } else { 34 };
            let header = !sum(&frame[14..start], 0) as u16;
            frame[24..26].copy_from_slice(&header.to_be_bytes());
            (start, frame[23], 26..34)
        }
        // Behind hop-by-hop options.
        [_, _, _, _, _, _, _, _, _, _, _, _, 0x86, 0xdd, ..]
            if frame.len() >= 70 && frame[20] == 0 =>
        {
            (62, 58, 22..54)
        }
        [_, _, _, _, _, _, _, _, _, _, _, _, 0x86, 0xdd, ..] if frame.len() >= 62 => {
            (54, frame[20], 22..54)
        }
        _ => return,
    };
    let length = (frame.len() - start) as u32;
    let (at, before) = match protocol {
        17 => (6, sum(&frame[ends], length + 17)),
        58 => (2, sum(&frame[ends], length + 58)),
        1 | 2 => (2, 0),
        _ => return,
    };
    if frame.len() < start + at + 2 {
        return; // cut off before its sum
    }
    frame[start + at..start + at + 2].fill(0);
    let right = (!sum(&frame[start..], before) as u16).to_be_bytes();
    frame[start + at..start + at + 2].copy_from_slice(&right);
}

/// A packet of this protocol from host 9 to host 1, or from 1 to 9.
fn packet(protocol: u8, body: &[u8], is_v6: bool, is_ours: bool) -> Vec<u8> {
    let (from, to) = if is_ours { (1, 9) } else { (9, 1) };
    let length = body.len() as u16;
    let mut packet = match is_v6 && cfg!(feature = "ipv6") {
        true => {
            let [a, b] = length.to_be_bytes();
            vec![0x60, 0, 0, 0, a, b, protocol, 64]
        }
        false => {
            let [a, b] = (20 + length).to_be_bytes();
            vec![0x45, 0, a, b, 0, 0, 0x40, 0, 64, protocol, 0, 0]
        }
    };
    for number in [from, to] {
        match addr(number, is_v6) {
            IpAddress::Ipv4(addr) => packet.extend(addr.octets()),
            #[cfg(feature = "ipv6")]
            IpAddress::Ipv6(addr) => packet.extend(addr.octets()),
        }
    }
    packet.extend_from_slice(body);
    packet
}

fn datagram(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for number in [from, to, 8 + payload.len() as u16, 0] {
        body.extend(number.to_be_bytes());
    }
    body.extend_from_slice(payload);
    body
}

/// A group that sockets may hear, of a few.
fn group(number: u8, is_v6: bool) -> IpAddress {
    match is_v6 {
        #[cfg(feature = "ipv6")]
        true => IpAddress::v6(0xff15, 0, 0, 0, 0, 0, 0, u16::from(number % 6)),
        _ => IpAddress::v4(239, 0, 0, number % 6),
    }
}

/// What a router asks about one of these groups, or all, in some version.
fn question(kind: u8, is_v6: bool, code: u8) -> Vec<u8> {
    let asked = group(kind >> 1, is_v6);
    let is_all = kind & 2 == 0;
    let mut frame = vec![1, 0, 0x5e, 0, 0, 1, 2, 0, 0, 0, 0, 9];
    let version = if kind & 4 == 0 {
        &[2, 125, 0, 0][..]
    } else {
        &[]
    };
    match asked {
        IpAddress::Ipv4(asked) => {
            let to = if is_all {
                [224, 0, 0, 1]
            } else {
                asked.octets()
            };
            let length = 32 + version.len() as u8;
            frame.extend([
                8, 0, 0x46, 0, 0, length, 0, 0, 0, 0, 1, 2, 0, 0, 10, 0, 0, 9,
            ]);
            frame.extend(to);
            frame.extend([0x94, 4, 0, 0, 0x11, code, 0, 0]);
            frame.extend(if is_all { [0; 4] } else { asked.octets() });
        }
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(asked) => {
            let all = IpAddress::v6(0xff02, 0, 0, 0, 0, 0, 0, 1);
            let IpAddress::Ipv6(to) = (if is_all { all } else { asked.into() }) else {
                unreachable!()
            };
            let length = 32 + version.len() as u8;
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, length, 0, 1]);
            frame.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
            frame.extend(to.octets());
            frame.extend([58, 0, 5, 2, 0, 0, 1, 0, 130, 0, 0, 0, code, 0, 0, 0]);
            frame.extend(if is_all { [0; 16] } else { asked.octets() });
        }
    }
    frame.extend(version);
    finish(&mut frame);
    frame
}

/// A good frame of one of a few kinds.
fn good(kind: u8, port: u16, payload: &[u8]) -> Vec<u8> {
    let is_v6 = cfg!(feature = "ipv6") && kind & 1 == 1;
    if kind >= 0xe0 {
        return question(kind, is_v6, payload.len() as u8);
    }
    let is_word = kind & 6 == 6;
    let packet = match is_word {
        false => packet(17, &datagram(4000, port, payload), is_v6, false),
        true => {
            let (protocol, words) = if is_v6 { (58, [1, 4]) } else { (1, [3, 3]) };
            let mut body = vec![words[0], words[1], 0, 0, 0, 0, 0, 0];
            body.extend(packet_of_ours(port, payload, is_v6));
            packet(protocol, &body, is_v6, false)
        }
    };
    let ethertype = if is_v6 { [0x86, 0xdd] } else { [8, 0] };
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9];
    frame.extend(ethertype);
    frame.extend(packet);
    if kind & 6 == 4 {
        // To everybody.
        frame[..6].fill(0xff);
        if !is_v6 {
            frame[30..34].fill(0xff);
        }
    }
    finish(&mut frame);
    frame
}

/// A datagram that a connected socket may have sent, with its sum.
fn packet_of_ours(port: u16, payload: &[u8], is_v6: bool) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend(if is_v6 { [0x86, 0xdd] } else { [8, 0] });
    frame.extend(packet(17, &datagram(port, 4000, payload), is_v6, true));
    finish(&mut frame);
    frame.split_off(14)
}

/// Polls a future once.
fn once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Sockets of the program, and what they have read.
struct Program<'a> {
    node: Node<'a>,
    sockets: [Option<UdpSocket<'a>>; 3],
    read: u64,
}

impl Program<'_> {
    /// Does something with one of its sockets.
    fn act(&mut self, bytes: &mut Bytes<'_>) {
        let what = bytes.next();
        let at = usize::from(what % 3);
        let remote = IpEndpoint::new(addr(9, what & 64 != 0), 4000);
        let Some(socket) = &self.sockets[at] else {
            let port = u16::from(bytes.next() % 4);
            self.sockets[at] = match what & 4 {
                0 => self.node.bind(port).ok(),
                _ => self.node.bind((addr(1, what & 64 != 0), port)).ok(),
            };
            return;
        };
        match what >> 3 & 7 {
            0 => self.sockets[at] = None,
            1 => _ = socket.connect(remote),
            2 => _ = socket.hear(Hears::Anything),
            3 => _ = socket.hear(Hears::Ours),
            4 => {
                // Some of them are silent, and so one parks.
                let to = IpEndpoint::new(addr(9 + bytes.next() % 4, what & 64 != 0), 4000);
                _ = once(socket.send_to(b"swan", to));
            }
            5 => _ = once(socket.send(b"swan")),
            6 => _ = socket.hear(Hears::Group(group(bytes.next(), what & 64 != 0))),
            _ => {
                let mut buf = [0; 3];
                let got = once(socket.recv_from(&mut buf));
                self.read += u64::from(matches!(got, Some(Ok(_))));
            }
        }
    }

    /// Reads what is left of each.
    fn empty(&mut self) {
        for socket in self.sockets.iter().flatten() {
            let mut buf = [0; 64];
            // An error is told once, and then what is behind it.
            while let Some(got) = once(socket.recv_from(&mut buf)) {
                self.read += u64::from(got.is_ok());
            }
        }
    }
}

async fn echo(node: Node<'_>, echoed: &std::cell::Cell<u64>) {
    let socket = node.bind(ECHO).unwrap();
    let mut buf = [0; 64];
    while let Ok((len, peer)) = socket.recv_from(&mut buf).await {
        echoed.set(echoed.get() + 1);
        let _ = socket.send_to(&buf[..len], peer).await;
    }
}

/// Pelts a host.
///
/// # Panics
/// When something does not hold.
pub fn pelt(bytes: &[u8]) {
    let echoed = &std::cell::Cell::new(0);
    let mut storage: Storage<'_, 1, 64, 64> = Storage::new();
    let mut datagrams: UdpStorage<4, 4, 64, 4> = UdpStorage::new();
    let mut task_storage: TaskStorage<2, 1024> = TaskStorage::new();
    let mut capabilities = DeviceCapabilities::default();
    capabilities.max_transmission_unit = 1514;
    let config = Config::new([2, 0, 0, 0, 0, 1], [1; 16]);
    let stack = Stack::new(&mut storage, &config, capabilities).unwrap();
    for is_v6 in [false, cfg!(feature = "ipv6")] {
        let _ = stack.add_address(IpCidr::new(addr(1, is_v6), if is_v6 { 64 } else { 24 }));
    }
    stack.add_datagrams(&mut datagrams).unwrap();
    let ready = crate::harness::leak(ReadySet::<2>::new());
    let tasks = Tasks::new(&mut task_storage, ready);
    let node = Node::new(&stack, &tasks);
    node.spawn(echo(node, echoed)).unwrap();
    let mut program = Program {
        node,
        sockets: [const { None }; 3],
        read: 0,
    };
    let wire: Box<Wire<32>> = Box::new(Wire::new(Faults::default()));
    let (mut host, mut other) = wire.ends();
    let (mut bytes, mut now) = (Bytes(bytes), Instant::ZERO);
    turns(node, |turns| {
        let mut turn = |now: Instant| {
            turns.turn(&mut host, now);
            crate::harness::audit(node);
            std::iter::from_fn(|| other.take(now)).collect::<Vec<_>>()
        };
        turn(now);
        while !bytes.0.is_empty() {
            match bytes.next() % 8 {
                kind @ 0..=3 => {
                    let how = bytes.next();
                    let length = usize::from(bytes.next() % 80);
                    let payload = vec![how; length];
                    let mut frame = match kind {
                        0 => bytes.0[..length.min(bytes.0.len())].to_vec(),
                        _ => good(how, u16::from(how >> 3 & 7), &payload),
                    };
                    for _ in 0..bytes.next() % 4 {
                        let (at, value) = (bytes.next(), bytes.next());
                        if let Some(place) = frame.get_mut(usize::from(at)) {
                            *place = value;
                        }
                    }
                    if kind > 1 {
                        finish(&mut frame);
                    }
                    let (_, sender) = wire.ends();
                    sender.inject(now, &frame);
                }
                4 => now += Duration::from_millis(u64::from(bytes.next()) * 8),
                5 => drop(turn(now)),
                _ => program.act(&mut bytes),
            }
        }
        // Whoever waits for a neighbor gives up, and nothing is left.
        for _ in 0..8 {
            now += Duration::from_secs(1);
            turn(now);
        }
        program.empty();
        let counters = node.counters();
        let read = program.read + echoed.get();
        let unread = counters.dropped(DropReason::Unread);
        assert!(
            (read..=read + unread).contains(&counters.datagrams_in),
            "{counters:?} {read}"
        );
        let (before, (_, sender)) = (echoed.get(), wire.ends());
        for kind in [0, 1] {
            assert!(sender.inject(now, &good(kind, ECHO, b"swan")));
        }
        now += Duration::from_secs(1);
        let back = turn(now);
        let swans = back.iter().filter(|frame| frame.ends_with(b"swan"));
        assert_eq!((echoed.get() - before, swans.count()), (2, 2));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_of_datagrams_passes() {
        crate::harness::corpus("datagrams", pelt);
    }

    /// Random bytes find most of it, too: `CYGNET_SEEDS=0..100000` for more.
    #[test]
    fn random_bytes_break_nothing() {
        crate::harness::random(500, pelt);
    }
}
