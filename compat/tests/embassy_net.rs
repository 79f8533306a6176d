//! A firmware of embassy-net's and a host of cygnet, on a wire in memory and in virtual time:
//! each is the other's server.

#[path = "executor/mod.rs"]
mod executor;
mod hosts;

use std::cell::Cell;
use std::task::{Context, Waker};

use cygnet::lab::wire::{Wire, WireEnd};
use cygnet::{Node, service};
use cygnet_compat::embassy_executor::{drive_with, now};
use cygnet_compat::embassy_net_driver_reverse::{Interrupt, Reversed};
use embassy_net::tcp::TcpSocket;
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Stack, StackResources, StaticConfigV4};
use embassy_net_driver::{Driver, HardwareAddress, RxToken};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::Timer;
use embedded_io_async::Write;
use executor::{Interrupts, spawn};
use hosts::{LATENCY, lasting, wire};
use smoltcp::wire::IpAddress;

const ALL: usize = 100_000;

fn byte(at: usize) -> u8 {
    (at % 251) as u8
}

struct Chips {
    wire: &'static Wire<16>,
    arrival: &'static Signal<NoopRawMutex, ()>,
    interrupt: &'static Interrupt,
}

impl Interrupts for Chips {
    fn next(&self) -> Option<u64> {
        let next = self.wire.next_delivery()?;
        Some(next.total_micros() as u64)
    }

    fn fire(&self) {
        self.arrival.signal(());
        self.interrupt.fire();
    }
}

fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

type Device = Reversed<'static, WireEnd<'static, 16>, 1514>;

/// Their stack, at 10.0.0.2.
fn theirs(device: Device, spawner: embassy_executor::Spawner) -> Stack<'static> {
    let config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(Ipv4Address::new(10, 0, 0, 2), 24),
        gateway: None,
        dns_servers: Default::default(),
    });
    let resources = leak(StackResources::<4>::new());
    let (stack, mut runner) = embassy_net::new(device, config, resources, 7);
    spawn(spawner, async move { runner.run().await });
    stack
}

fn run<F: Future<Output = ()> + 'static>(
    test: impl FnOnce(Node<'static>, Stack<'static>, &'static Interrupt) -> F,
) {
    let wire: &'static Wire<16> = leak(wire());
    let arrival: &'static Signal<NoopRawMutex, ()> = leak(Signal::new());
    let interrupt: &'static Interrupt = leak(Interrupt::new());
    let chips = Chips {
        wire,
        arrival,
        interrupt,
    };
    executor::run(chips, |spawner| {
        let node = lasting(1);
        let (near, far) = wire.ends();
        spawn(spawner, async move {
            drive_with(node, near, async || arrival.wait().await).await;
        });
        let device = Reversed::new(far, [2, 0, 0, 0, 0, 2], now, interrupt);
        assert!(matches!(
            device.hardware_address(),
            HardwareAddress::Ethernet([2, 0, 0, 0, 0, 2])
        ));
        assert_eq!(device.capabilities().max_transmission_unit, 1514);
        test(node, theirs(device, spawner), interrupt)
    });
}

/// A driver has no more room than it says, whatever its device takes.
#[test]
fn a_frame_that_is_too_long_is_cut() {
    let wire: &'static Wire<16> = leak(wire());
    let (near, far) = wire.ends();
    let late = || smoltcp::time::Instant::from_secs(1);
    let mut driver = Reversed::<_, 60>::new(far, [2; 6], late, leak(Interrupt::new()));
    assert_eq!(driver.capabilities().max_transmission_unit, 60);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(driver.receive(&mut cx).is_none());
    for length in [61, 60] {
        let frame = Vec::from_iter(0..length);
        assert!(near.inject(smoltcp::time::Instant::ZERO, &frame));
        let (received, _room) = driver.receive(&mut cx).unwrap();
        received.consume(|bytes| assert_eq!(bytes, &frame[..60]));
    }
}

fn socket(stack: Stack<'static>) -> TcpSocket<'static> {
    let (rx, tx) = (leak([0; 2048]), leak([0; 2048]));
    TcpSocket::new(stack, rx, tx)
}

#[test]
fn their_client_asks_our_server() {
    run(|node, stack, _| async move {
        let echo = service::echo(node, 7, cygnet::Backlog(2));
        node.spawn(echo).unwrap();
        let mut socket = socket(stack);
        socket
            .connect((Ipv4Address::new(10, 0, 0, 1), 7))
            .await
            .unwrap();
        let (mut reader, mut writer) = socket.split();
        let write = async {
            let all = Vec::from_iter((0..ALL).map(byte));
            writer.write_all(&all).await.unwrap();
            writer.flush().await.unwrap();
        };
        let read = async {
            let (mut piece, mut got) = ([0; 600], 0);
            while got < ALL {
                let count = reader.read(&mut piece).await.unwrap();
                assert!(count > 0, "cut off at {got}");
                let is_good = |(at, is): (usize, &u8)| *is == byte(got + at);
                assert!(piece[..count].iter().enumerate().all(is_good));
                got += count;
            }
        };
        embassy_futures::join::join(write, read).await;
    });
}

#[test]
fn our_client_asks_their_server() {
    run(|node, stack, interrupt| async move {
        let heard = Cell::new(0);
        let serve = async {
            let mut socket = socket(stack);
            socket.accept(7).await.unwrap();
            let mut bytes = [0; 64];
            while let Ok(count @ 1..) = socket.read(&mut bytes).await {
                heard.set(heard.get() + count);
                socket.write_all(&bytes[..count]).await.unwrap();
            }
        };
        let ask = async {
            // The server listens from its first poll on.
            Timer::after_millis(1).await;
            let mut stream = node.connect((IpAddress::v4(10, 0, 0, 2), 7)).await.unwrap();
            let mut bytes = [0; 6];
            for _ in 0..10 {
                let asked = now();
                stream.write_all(b"a swan").await.unwrap();
                assert_eq!(stream.read(&mut bytes).await, Ok(6));
                assert_eq!(&bytes, b"a swan");
                assert_eq!(now() - asked, LATENCY * 2, "each interrupt was heard");
            }
            // A link that is down is seen at once.
            interrupt.set_link(false);
            stack.wait_link_down().await;
            interrupt.set_link(true);
            stack.wait_link_up().await;
            stream.shutdown();
            while stream.read(&mut bytes).await != Ok(0) {}
        };
        embassy_futures::select::select(serve, ask).await;
        assert_eq!(heard.get(), 60);
    });
}
