//! A server behind a driver of xarxa's that rings once, as theirs do, and never has room for two
//! frames at a time.

mod hosts;

use std::cell::Cell;
use std::task::Waker;

use ::xarxa_driver::{
    Capabilities, Driver, HardwareAddress, LinkState, Medium, NotSupported, PacketBuf,
};
use cygnet::lab::pair::next;
use cygnet::lab::wire::{Wire, WireEnd};
use cygnet::{Backlog, Config, ConfigError, Node, Stack, Storage, Turn, turns};
use cygnet_compat::xarxa_driver::{Bell, Driven};
use hosts::{lasting, wire};
use smoltcp::phy::{Checksum, Device};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpAddress;

const SERVER: [u8; 6] = [2, 0, 0, 0, 0, 1];

thread_local! {
    static NOW: Cell<Instant> = const { Cell::new(Instant::ZERO) };
}

/// A chip at an end of a wire.
struct Chip {
    end: WireEnd<'static, 16>,
    waker: Option<Waker>,
    sends: Option<PacketBuf>,
    came: Option<PacketBuf>,
    medium: Medium,
    link: LinkState,
}

impl Chip {
    fn new(end: WireEnd<'static, 16>) -> Chip {
        Chip {
            end,
            waker: None,
            sends: None,
            came: None,
            medium: Medium::Ethernet,
            link: LinkState::Down,
        }
    }

    /// A frame has left or come. True: somebody was woken for it.
    fn interrupt(&mut self) -> bool {
        let left = self.sends.take().map(|frame| {
            assert!(self.end.inject(NOW.get(), &frame));
        });
        let came = self.came.is_none().then(|| self.end.take(NOW.get()));
        self.came = self.came.take().or(came.flatten().map(|frame| {
            let mut buf = PacketBuf::try_new().unwrap();
            buf.set_len(frame.len());
            buf.copy_from_slice(&frame);
            buf
        }));
        let happened = left.is_some() || self.came.is_some();
        happened && self.waker.take().map(Waker::wake).is_some()
    }
}

impl Driver for Chip {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = 9_000;
        capabilities.checksum.ipv4.rx = true;
        capabilities.checksum.udp.tx = true;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        match self.medium {
            Medium::Ethernet => HardwareAddress::Ethernet(SERVER),
            _ => HardwareAddress::Ip,
        }
    }

    fn link_state(&mut self) -> LinkState {
        self.link
    }

    fn register_waker(&mut self, waker: &Waker) -> Result<(), NotSupported> {
        self.waker = Some(waker.clone());
        Ok(())
    }

    fn receive(&mut self) -> Option<PacketBuf> {
        self.came.take()
    }

    fn can_transmit(&mut self) -> bool {
        self.sends.is_none()
    }

    fn transmit(&mut self, buf: PacketBuf) -> Result<(), PacketBuf> {
        assert!(self.sends.is_none());
        self.sends = Some(buf);
        Ok(())
    }
}

fn leaked_wire() -> &'static Wire<16> {
    Box::leak(Box::new(wire()))
}

#[test]
fn a_device_says_what_its_driver_says() {
    let bell = Bell::new();
    let (end, _other) = leaked_wire().ends();
    let mut device = Driven::new(Chip::new(end), &bell);
    let capabilities = device.capabilities();
    // As long as a buffer of their pool.
    assert_eq!(capabilities.max_transmission_unit, 1514);
    let sums = &capabilities.checksum;
    assert!(matches!(sums.ipv4, Checksum::Tx));
    assert!(matches!(sums.udp, Checksum::Rx));
    assert!(matches!(sums.tcp, Checksum::Both));
    assert!(!device.is_link_up());
    device.driver().link = LinkState::Up;
    assert!(device.is_link_up());
    assert_eq!(device.hardware_addr(), Some(SERVER));
    device.driver().medium = Medium::Ip;
    let config = Config::new(SERVER, [1; 16]);
    let mut memory = Storage::<1, 64, 64>::new();
    let error = Stack::new(&mut memory, &config, device.capabilities()).err();
    let refused = [Some(ConfigError::Medium), Some(ConfigError::Mtu)];
    assert!(refused.contains(&error), "{error:?}");
}

/// What a server gives to whoever asks: two segments.
const GOOD: usize = 2_000;

fn byte(at: usize) -> u8 {
    (at % 251) as u8
}

async fn give(node: Node<'_>) {
    let listener = node.listen(7, Backlog(2)).unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    // Both at once: the chip has room for the first.
    stream.set_nagle(false);
    while let Ok(1) = stream.read(&mut [0]).await {
        let all = Vec::from_iter((0..GOOD).map(byte));
        stream.write_all(&all).await.unwrap();
    }
}

async fn ask(node: Node<'_>, good: &Cell<u32>) {
    let mut stream = node.connect((IpAddress::v4(10, 0, 0, 1), 7)).await.unwrap();
    let mut bytes = [0; 600];
    while good.get() < TIMES {
        stream.write_all(b"?").await.unwrap();
        let mut got = 0;
        while got < GOOD {
            let count = stream.read(&mut bytes).await.unwrap();
            let is_good = |(at, is): (usize, &u8)| *is == byte(got + at);
            assert!(bytes[..count].iter().enumerate().all(is_good));
            got += count;
        }
        good.set(good.get() + 1);
    }
}

/// How often.
const TIMES: u32 = 10;

#[test]
fn a_server_behind_a_driver_of_xarxas_sleeps_and_is_woken() {
    let bell: &'static Bell = Box::leak(Box::default());
    let good: &'static Cell<u32> = Box::leak(Box::default());
    let wire = leaked_wire();
    let (near, mut far) = wire.ends();
    let mut device = Driven::new(Chip::new(near), bell);
    let (server, client) = (lasting(1), lasting(2));
    let hears = bell.task(std::future::pending::<()>());
    server.spawn_named("driver", hears).unwrap();
    server.spawn(give(server)).unwrap();
    client.spawn(ask(client, good)).unwrap();
    let (mut count, mut now) = (0, Instant::ZERO);
    turns(server, |server| {
        turns(client, |client| {
            let mut sleeps = Turn::Ready;
            while good.get() < TIMES && now < Instant::from_secs(60) {
                NOW.set(now);
                // The server takes turns only when it said so, or was woken.
                let is_due = match sleeps {
                    Turn::Idle(until) => until.is_some_and(|until| until <= now),
                    _ => true,
                };
                if device.driver().interrupt() || is_due {
                    sleeps = server.turn(&mut device, now);
                    count += 1;
                }
                if device.driver().interrupt() {
                    sleeps = Turn::Ready;
                }
                let other = client.turn(&mut far, now);
                let at = next([sleeps, other], wire.next_delivery()).unwrap();
                now = at.max(now + Duration::from_micros(1));
            }
        })
    });
    assert_eq!(good.get(), TIMES);
    // Ten times there and back, with acknowledgements that are waited for.
    assert!(now < Instant::from_millis(400), "{now}");
    assert!(count < 150, "{count} turns");
}
