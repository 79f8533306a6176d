//! embassy-time in tasks of nodes, in virtual time, and crates that sleep by it.

#[macro_use]
mod hosts;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use ::edge_nal::{UdpBind, UdpSplit};
use cygnet::lab::pair;
use cygnet::{Hears, Node, turns};
use cygnet_compat::edge_nal::Nal;
use cygnet_compat::embassy_time::{Driver, time_driver_impl};
use edge_dhcp::client::Client;
use edge_dhcp::io::client::Lease;
use edge_dhcp::server::{Server, ServerOptions};
use edge_mdns::HostAnswersMdnsHandler;
use edge_mdns::buf::VecBufAccess;
use edge_mdns::domain::base::Ttl;
use edge_mdns::host::Host;
use edge_mdns::io::{IPV4_DEFAULT_SOCKET, Mdns};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Instant, Ticker, Timer, with_timeout};
use futures_util::FutureExt;
use hosts::wire;
use rand_core::TryRng;
use smoltcp::time::Instant as Moment;
use smoltcp::wire::{IpAddress, Ipv4Cidr};

thread_local! {
    static CLOCK: Cell<Moment> = const { Cell::new(Moment::ZERO) };
}

time_driver_impl!(static TIME: Driver<4> = Driver::new(|| CLOCK.get()));

/// Runs both until `done`, ten minutes at most; gives how many turns the first took. A program
/// has one time driver: the tests take turns at it.
fn run(first: Node<'_>, second: Node<'_>, done: impl Fn() -> bool) -> u64 {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    // Who slept in the test before this one has its place still, and is late.
    CLOCK.set(Moment::from_secs(1_000_000));
    assert!(TIME.run(first).now_or_never().is_none());
    first.spawn(TIME.run(first)).unwrap();
    let wire = wire();
    let (mut near, mut far) = wire.ends();
    let mut now = Moment::ZERO;
    let mut count = 0;
    turns(first, |first| {
        turns(second, |second| {
            while !done() && now < Moment::from_secs(600) {
                CLOCK.set(now);
                count += 1;
                let mut turns = || [first.turn(&mut near, now), second.turn(&mut far, now)];
                // One wakes the other: neither may sleep before it has looked again.
                turns();
                let both = turns();
                let Some(next) = pair::next(both, wire.next_delivery()) else {
                    break; // nothing is left to happen
                };
                now = next.max(now + smoltcp::time::Duration::from_micros(1));
            }
        })
    });
    assert!(done());
    count
}

#[test]
fn sleeps_of_embassy_time_end_in_time() {
    hosts!(node, other);
    let (said, done) = (RefCell::new(Vec::new()), Cell::new(0));
    let say = |what: &'static str| said.borrow_mut().push((what, Instant::now().as_micros()));
    node.spawn(async {
        // Earlier than whatever it was asked for before.
        Timer::after_secs(1).await;
        for _ in 0..3 {
            Timer::after_micros(10).await;
            say("short");
        }
        done.set(done.get() + 1);
    })
    .unwrap();
    node.spawn(async {
        let long = Timer::after_secs(60);
        let in_time = with_timeout(Duration::from_secs(2), long).await;
        assert!(in_time.is_err());
        say("timeout");
        Timer::at(Instant::from_secs(100)).await;
        say("late");
        // What has passed.
        Timer::at(Instant::from_secs(1)).await;
        done.set(done.get() + 1);
    })
    .unwrap();
    let count = run(node, other, || done.get() == 2);
    let second = 1_000_000;
    let expected = [
        ("short", second + 10),
        ("short", second + 20),
        ("short", second + 30),
        ("timeout", 2 * second),
        ("late", 100 * second),
    ];
    let said = said.borrow();
    // A sleep ends in the turn of its moment, or in the next at once.
    let names = said.iter().map(|it| it.0).zip(expected.map(|it| it.0));
    assert!(names.clone().all(|(is, was)| is == was), "{said:?}");
    for (is, was) in said.iter().zip(expected) {
        assert!((was.1..was.1 + 9).contains(&is.1), "{is:?} {was:?}");
    }
    assert!(count < 60, "{count} turns");
}

/// A ticker with a turn every second, and nothing between.
#[test]
fn a_node_sleeps_between_the_ticks() {
    hosts!(node, other);
    let ticks = Cell::new(0);
    node.spawn(async {
        let mut ticker = Ticker::every(Duration::from_secs(1));
        loop {
            ticker.next().await;
            ticks.set(ticks.get() + 1);
            assert_eq!(Instant::now().as_secs(), ticks.get());
        }
    })
    .unwrap();
    let count = run(node, other, || ticks.get() == 500);
    assert!(count <= 500 * 4, "{count} turns");
}

/// Not random.
struct Counts(u8);

impl TryRng for Counts {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0 = self.0.wrapping_add(1);
        Ok(self.0.into())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.try_next_u32().map(u64::from)
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        dst.fill_with(|| self.0);
        Ok(())
    }
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Its server and its client, which retries by embassy-time; the first request is lost.
#[test]
fn edge_dhcp_gives_and_takes_an_address() {
    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    hosts!(server, 1);
    hosts!(client, 2, bare);
    let done = Cell::new(false);
    server
        .spawn(async {
            server.sleep(hosts::LATENCY * 10).await;
            let nal = Nal::new(server);
            let mut bound = UdpBind::bind(&nal, at("0.0.0.0:67")).await.unwrap();
            let mut leases = Server::<_, 4>::new_with_et(SERVER);
            let mut gateway = [SERVER];
            let options = ServerOptions::new(SERVER, Some(&mut gateway));
            let mut bytes = [0; 1472];
            let run = edge_dhcp::io::server::run(&mut leases, &options, &mut bound, &mut bytes);
            run.await.unwrap();
        })
        .unwrap();
    client
        .spawn(async {
            let nal = Nal::new(client);
            let mut bound = UdpBind::bind(&nal, at("0.0.0.0:68")).await.unwrap();
            let mut asks = Client::new(Counts(0), [2, 0, 0, 0, 0, 2]);
            let mut bytes = [0; 1472];
            let (mut lease, network) = Lease::new(&mut asks, &mut bound, &mut bytes).await.unwrap();
            assert_eq!(lease.ip.octets(), [10, 0, 0, 50]);
            assert_eq!(network.gateway, Some(SERVER));
            let cidr = Ipv4Cidr::new(lease.ip, 24);
            client.claim_address(cidr.into()).await.unwrap();
            // From one address to another now.
            let renewed = lease.renew(&mut asks, &mut bound, &mut bytes).await;
            assert_eq!(renewed.ok(), Some(true));
            done.set(true);
        })
        .unwrap();
    run(server, client, || done.get());
}

/// It waits until its socket is readable, so that its buffer is others' meanwhile.
#[test]
fn edge_mdns_says_who_it_is() {
    const GROUP: (IpAddress, u16) = (IpAddress::v4(224, 0, 0, 251), 5353);
    hosts!(server, client);
    let done = Cell::new(false);
    server
        .spawn(async {
            let nal = Nal::new(server);
            let any = Some(Ipv4Addr::UNSPECIFIED);
            let bound = edge_mdns::io::bind(&nal, IPV4_DEFAULT_SOCKET, any, None);
            let mut bound = bound.await.unwrap();
            let (receive, send) = bound.split();
            let buffers = [(); 2].map(|()| VecBufAccess::<NoopRawMutex, 512>::new());
            let [rx, tx] = &buffers;
            let signal = Signal::<NoopRawMutex, ()>::new();
            let mut mdns = Mdns::new(any, None, receive, send, rx, tx, Counts(0), &signal);
            mdns.wait_readable(true);
            let host = Host {
                hostname: "kettle",
                ipv4: [10, 0, 0, 1].into(),
                ipv6: Ipv6Addr::UNSPECIFIED,
                ttl: Ttl::from_secs(60),
            };
            mdns.run(HostAnswersMdnsHandler::new(&host)).await.unwrap();
        })
        .unwrap();
    client
        .spawn(async {
            let socket = client.bind(5353).unwrap();
            socket.hear(Hears::Group(GROUP.0)).unwrap();
            let mut heard = [0; 512];
            // What it says of itself when it begins.
            let (count, _) = socket.recv_from(&mut heard).await.unwrap();
            assert!(heard[..count].ends_with(&[10, 0, 0, 1]));
            let asked = client.now();
            let question = b"\0\0\0\0\0\x01\0\0\0\0\0\0\x06kettle\x05local\0\0\x01\0\x01";
            socket.send_to(question, GROUP).await.unwrap();
            let (count, peer) = socket.recv_from(&mut heard).await.unwrap();
            assert!(heard[..count].ends_with(&[10, 0, 0, 1]));
            assert_eq!((peer.endpoint.port, peer.local), (5353, GROUP.0));
            assert_eq!((client.now() - asked).total_millis(), 20);
            done.set(true);
        })
        .unwrap();
    run(server, client, || done.get());
}
