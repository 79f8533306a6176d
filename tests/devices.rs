//! Devices as they say that they are: what a stack makes of an MTU that nothing
//! fits into or that is larger than a packet can be, and of another medium.
#![cfg(feature = "lab")]
mod harness;

use std::collections::VecDeque;

use cygnet::{Backlog, Config, ConfigError, Node, ReadySet, Stack, Storage, TaskStorage, Tasks};
use harness::peer::{Seg, answer, syn};
use harness::*;
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpCidr, TcpControl};

/// The smallest and the largest packet that there has to be room for, with their
/// Ethernet header (RFC 791, 3.1 and 3.2; RFC 8200, 5).
const LEAST: usize = 68 + 14;
#[cfg(feature = "ipv6")]
const LEAST_V6: usize = 1280 + 14;
const MOST: usize = 65_535 + 14;

fn with_mtu(mtu: usize) -> DeviceCapabilities {
    let mut capabilities = DeviceCapabilities::default();
    capabilities.max_transmission_unit = mtu;
    capabilities
}

/// A card that keeps what it is given.
struct Card {
    capabilities: DeviceCapabilities,
    arrived: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

impl Card {
    fn new(capabilities: DeviceCapabilities) -> Self {
        Card {
            capabilities,
            arrived: VecDeque::new(),
            sent: Vec::new(),
        }
    }
}

struct Arrived(Vec<u8>);

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Room<'c>(&'c mut Vec<Vec<u8>>);

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.push(frame);
        result
    }
}

impl Device for Card {
    type RxToken<'t> = Arrived;
    type TxToken<'t> = Room<'t>;

    fn receive(&mut self, _: Instant) -> Option<(Arrived, Room<'_>)> {
        let frame = self.arrived.pop_front()?;
        Some((Arrived(frame), Room(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Room<'_>> {
        Some(Room(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities.clone()
    }
}

/// A host with one connection's worth of everything, on a card of its own. `f`
/// gives it frames and sees what it sends.
fn on_card(
    capabilities: DeviceCapabilities,
    config: &Config,
    f: impl FnOnce(Node<'_>, &mut dyn FnMut(&[Seg], Duration) -> Vec<Vec<u8>>),
) {
    let mut storage = Box::new(Storage::<2, 1024, 0x2_0000, 1, 1, 0>::new());
    let mut tasks = TaskStorage::<4, 256>::new();
    let stack = Stack::new(&mut *storage, config, capabilities.clone()).unwrap();
    let address = IpCidr::new(IpAddress::v4(10, 0, 0, 1), 24);
    stack.add_address(address).unwrap();
    let tasks = Tasks::new(&mut tasks, leak(ReadySet::new()));
    let node = Node::new(&stack, &tasks);
    let mut card = Card::new(capabilities);
    let mut now = Instant::ZERO;
    cygnet::turns(node, |turns| {
        f(node, &mut |segments, time| {
            card.arrived.extend(segments.iter().map(Seg::frame));
            let until = now + time;
            while now < until {
                turns.turn(&mut card, now);
                cygnet::lab::audit(node).unwrap();
                now += Duration::from_millis(1);
            }
            std::mem::take(&mut card.sent)
        });
    });
}

/// As an entropy source leaves it that is not ready.
#[test]
fn a_secret_that_nobody_drew_is_refused() {
    let mac = [2, 0, 0, 0, 0, 1];
    let stands = |config: Config| {
        let mut memory: Storage<1, 64, 64> = Storage::new();
        Stack::new(&mut memory, &config, with_mtu(MOST)).map(drop)
    };
    let zeros = stands(Config::new(mac, [0; 16]));
    assert_eq!(zeros, Err(ConfigError::Secret));
    let mut last = [0; 16];
    last[15] = 1;
    assert_eq!(stands(Config::new(mac, last)), Ok(()));
    assert_eq!(stands(Config::without_entropy(mac)), Ok(()));
}

fn result(capabilities: DeviceCapabilities) -> Result<(), ConfigError> {
    let mut storage = Storage::<1, 64, 64>::new();
    Stack::new(&mut storage, &config(1), capabilities).map(drop)
}

#[test]
fn an_mtu_that_no_packet_fits_into_is_refused() {
    for mtu in [0, 1, 14, 53, 54, 68, LEAST - 1] {
        assert_eq!(result(with_mtu(mtu)), Err(ConfigError::Mtu), "{mtu}");
    }
    assert_eq!(result(DeviceCapabilities::default()), Err(ConfigError::Mtu));
    for mtu in [LEAST, 590, 1514, MOST, MOST + 1, usize::MAX] {
        assert_eq!(result(with_mtu(mtu)), Ok(()), "{mtu}");
    }
    let text = ConfigError::Mtu.to_string();
    assert!(text.contains("82") && text.contains("1294"), "{text}");
}

#[cfg(feature = "ipv6")]
#[test]
fn an_ipv6_address_wants_an_mtu_of_its_own() {
    let address = IpCidr::new(IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 1), 64);
    for (mtu, expected) in [
        (LEAST, Err(ConfigError::Mtu)),
        (LEAST_V6 - 1, Err(ConfigError::Mtu)),
        (LEAST_V6, Ok(())),
        (usize::MAX, Ok(())),
    ] {
        let mut storage = Storage::<1, 64, 64>::new();
        let stack = Stack::new(&mut storage, &config(1), with_mtu(mtu)).unwrap();
        assert_eq!(stack.add_address(address), expected, "{mtu}");
        let v4 = IpCidr::new(IpAddress::v4(10, 0, 0, 1), 24);
        assert_eq!(stack.add_address(v4), Ok(()), "{mtu}");
    }
}

/// Opens a connection to a host that speaks `bytes` bytes and closes, as a peer
/// that takes all of it at once; gives the host's MSS and its longest frame.
fn heard(capabilities: DeviceCapabilities, config: &Config, bytes: usize) -> (u16, usize) {
    let mut heard = (0, 0);
    on_card(capabilities, config, |node, pass| {
        node.spawn(Box::pin(async move {
            let listener = node.listen(7, Backlog(4)).unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4];
            assert_eq!(stream.read(&mut request).await, Ok(4));
            stream.write_all(&vec![7; bytes]).await.unwrap();
            stream.close().await.unwrap();
        }))
        .unwrap();
        pass(&[], Duration::from_millis(1));
        let mut begin = syn(9, 1000, 7, 1);
        begin.mss = Some(u16::MAX);
        begin.scale = Some(7);
        let mut frames = pass(&[begin], Duration::from_millis(1));
        let reply = Seg::read(&frames.pop().unwrap()).unwrap();
        assert!(reply.is_answer());
        let mut longest = 0;
        let mut next = answer(&reply, TcpControl::Psh, b"swan");
        let mut came = 0;
        while came < bytes {
            next.window = u16::MAX;
            let frames = pass(&[next.clone()], Duration::from_millis(2));
            assert!(!frames.is_empty(), "{came} of {bytes}");
            for frame in &frames {
                longest = longest.max(frame.len());
                let seg = Seg::read(frame).unwrap();
                came += seg.payload.len();
                next = answer(&seg, TcpControl::None, b"");
            }
        }
        heard = (reply.mss.unwrap(), longest);
    });
    heard
}

#[test]
fn the_smallest_mtu_serves() {
    assert_eq!(heard(with_mtu(LEAST), &config(1), 500), (28, LEAST));
}

#[test]
fn an_mtu_without_end_is_the_longest_packet() {
    // One more than a length field holds, and what devices without one say.
    for mtu in [MOST, MOST + 1, MOST + 40, usize::MAX] {
        let seen = heard(with_mtu(mtu), &config(1), 200_000);
        assert_eq!(seen, (65_495, MOST), "{mtu}");
    }
}

#[test]
fn a_burst_without_end_overflows_nothing() {
    for burst in [1, usize::from(u16::MAX), usize::MAX / 1460, usize::MAX] {
        for mtu in [LEAST, 1514, usize::MAX] {
            let mut capabilities = with_mtu(mtu);
            capabilities.max_burst_size = Some(burst);
            heard(capabilities, &config(1), 500);
        }
    }
}

#[cfg(all(feature = "cookies", feature = "counters"))]
#[test]
fn cookies_say_the_same_mss() {
    for (mtu, mss) in [(LEAST, 28), (1514, 1460), (usize::MAX, 65_495)] {
        let mut config = with_cookies(1);
        config.half_open_limit = 1;
        on_card(with_mtu(mtu), &config, |node, pass| {
            node.spawn(Box::pin(echo_server(node, 8))).unwrap();
            pass(&[], Duration::from_millis(1));
            pass(&[syn(200, 1, 7, 1)], Duration::from_millis(300));
            let frames = pass(&[syn(9, 1000, 7, 1)], Duration::from_millis(1));
            let replies: Vec<_> = frames.iter().filter_map(|frame| Seg::read(frame)).collect();
            assert_eq!(node.counters().cookies_given, 1);
            assert_eq!(replies.last().unwrap().mss, Some(mss), "{mtu}");
        });
    }
}

/// Tests are built with smoltcp's `medium-ethernet`, so a device can say what it
/// is. Where nobody asks for that, there is no word for Ethernet; what is refused
/// then is tested in `compat`.
#[test]
fn a_device_of_another_medium_is_refused() {
    let mut capabilities = with_mtu(1514);
    capabilities.medium = Medium::Ethernet;
    assert_eq!(result(capabilities.clone()), Ok(()));
    capabilities.medium = Medium::Ip;
    assert_eq!(result(capabilities), Err(ConfigError::Medium));
}

#[cfg(feature = "segmentation-offload")]
#[test]
fn segments_that_a_device_cuts_are_between_a_frame_and_a_packet() {
    use std::num::NonZeroUsize;
    for (most, longest) in [
        (1, 1514),
        (53, 1514),
        (55, 1514),
        (1513, 1514),
        (4014, 4014),
        (MOST, MOST),
        (MOST + 1, MOST),
        (usize::MAX, MOST),
    ] {
        let mut capabilities = with_mtu(1514);
        capabilities.segmentation.tcpv4 = NonZeroUsize::new(most);
        let seen = heard(capabilities, &config(1), 4_000_000);
        assert_eq!(seen, (1460, longest), "{most}");
    }
    let mut capabilities = with_mtu(LEAST);
    capabilities.segmentation.tcpv4 = NonZeroUsize::new(usize::MAX);
    assert_eq!(heard(capabilities, &config(1), 500), (28, LEAST));
}
