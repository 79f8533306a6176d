//! What is measured: hello and echo, four connections of 1 KiB each way.
#![no_std]
#![no_main]

#[path = "../dummy.rs"]
mod dummy;
#[cfg(feature = "http")]
#[path = "../routes.rs"]
mod routes;

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m_rt::{entry, exception};
use cygnet::{Backlog, Config, Node, Platform, ReadySet, Stack, Storage, TaskStorage, Tasks};
use cygnet::{TcpStream, event_loop, service};
use dummy::{Dummy, MTU, Rx, Tx};
use smoltcp::phy::{self, Device, DeviceCapabilities};
use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, IpCidr};
use static_cell::{ConstStaticCell, StaticCell};

/// What the largest future needs.
const BYTES: usize = if cfg!(any(feature = "dhcp", feature = "dns")) {
    2048
} else {
    304
};
const _: () = assert!(bytes(echo) <= BYTES && bytes(service::hello_client) <= BYTES);

const fn bytes<F>(_: fn(TcpStream<'static>) -> F) -> usize {
    size_of::<F>()
}

const PLACES: usize = 6 - cfg!(feature = "http") as usize
    + 2 * cfg!(feature = "dns") as usize
    + cfg!(feature = "udp") as usize
    + cfg!(feature = "ping") as usize
    + cfg!(feature = "addressing") as usize;

static MEMORY: ConstStaticCell<Storage<'static, 4, 1024, 1024, 2, 2, 0>> =
    ConstStaticCell::new(Storage::new());
static FUTURES: ConstStaticCell<TaskStorage<PLACES, BYTES>> =
    ConstStaticCell::new(TaskStorage::new());
static READY: ReadySet<PLACES> = ReadySet::new();
static DUMMY: ConstStaticCell<Dummy> = ConstStaticCell::new(Dummy::new());
static STACK: StaticCell<Stack<'static>> = StaticCell::new();
static TASKS: StaticCell<Tasks<'static>> = StaticCell::new();
static MILLIS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    MILLIS.store(MILLIS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// As `service::echo_client`, through 32 bytes instead of 512.
async fn echo(mut stream: TcpStream<'_>) {
    let mut chunk = [0; 32];
    while let Ok(count @ 1..) = stream.read(&mut chunk).await {
        if stream.write_all(&chunk[..count]).await.is_err() {
            break;
        }
    }
}

/// The web server. What serves a connection is ten times as large as other tasks' futures,
/// so there are places for four of that.
#[cfg(feature = "http")]
mod http {
    use super::*;

    type Clients = cygnet::FuturePlaces<4, { bytes(client) }>;

    static CLIENTS: ConstStaticCell<Clients> = ConstStaticCell::new(Clients::new());

    const fn bytes<F>(_: fn(Node<'static>, TcpStream<'static>) -> F) -> usize {
        size_of::<F>()
    }

    async fn client(node: Node<'_>, stream: TcpStream<'_>) {
        let app = routes::app();
        let client = cygnet_compat::picoserve::connection::<{ routes::HEAD }, _>;
        client(node, stream, &app, &routes::CONFIG).await
    }

    pub async fn serve(node: Node<'static>) {
        let Ok(listener) = node.listen(80, Backlog(4)) else {
            return;
        };
        let clients: &'static Clients = CLIENTS.take();
        while let Ok((stream, _)) = listener.accept().await {
            let _ = node.spawn_in(clients, client(node, stream));
        }
    }
}

/// Asks for an address before it takes it, and again when the link was down.
#[cfg(all(feature = "addressing", not(feature = "dhcp")))]
async fn addresses(node: Node<'_>, address: IpCidr) {
    loop {
        node.wait_link_up().await;
        let _ = node.claim_address(address).await;
        node.wait_link_down().await;
        node.remove_address(address.address());
    }
}

#[cfg(feature = "dns")]
static NAMES: ConstStaticCell<cygnet::NameStorage<2>> =
    ConstStaticCell::new(cygnet::NameStorage::new());

#[cfg(feature = "dns")]
async fn asks(node: Node<'_>) {
    let _ = node.resolve("kettle.example", cygnet::Family::Any).await;
}

#[cfg(feature = "udp")]
static DATAGRAMS: ConstStaticCell<cygnet::UdpStorage<2, 2, 576, 3>> =
    ConstStaticCell::new(cygnet::UdpStorage::new());

/// Sends back what comes to port 7.
#[cfg(feature = "udp")]
async fn echo_datagrams(node: Node<'_>) {
    let Ok(socket) = node.bind(7) else { return };
    #[cfg(feature = "groups")]
    let _ = socket.hear(cygnet::Hears::Group(IpAddress::v4(239, 1, 2, 3)));
    let mut buf = [0; 32];
    while let Ok((count, peer)) = socket.recv_from(&mut buf).await {
        let _ = socket.send_to(&buf[..count], peer).await;
    }
}

/// Asks its gateway every second whether it is there.
#[cfg(feature = "ping")]
async fn ping_gateway(node: Node<'_>) {
    let second = smoltcp::time::Duration::from_secs(1);
    let Ok(pings) = node.pings() else { return };
    loop {
        let ping = pings.ping(IpAddress::v4(10, 0, 2, 2), b"swan");
        let there = node.timeout(second, ping).await.is_ok();
        dummy::LEFT.store(there, Ordering::Relaxed);
        node.sleep(second).await;
    }
}

struct Board(&'static mut Dummy);

impl Platform for Board {
    type Device = Dummy;

    fn device(&mut self) -> &mut Dummy {
        self.0
    }

    fn now(&mut self) -> Instant {
        Instant::from_millis(i64::from(MILLIS.load(Ordering::Relaxed)))
    }

    fn wait(&mut self, _: Option<Instant>) {
        if !READY.is_woken() {
            cortex_m::asm::wfi();
        }
    }
}

impl phy::Device for Dummy {
    type RxToken<'a> = Rx<'a>;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Rx<'_>, Tx<'_>)> {
        self.arrived()
            .then_some((Rx(&mut self.rx), Tx(&mut self.tx)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        Some(Tx(&mut self.tx))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

impl phy::RxToken for Rx<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl phy::TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        self.fill(length, f)
    }
}

/// Is told every event and looks at none of them closely.
#[cfg(feature = "observer")]
struct Watch;

#[cfg(feature = "observer")]
impl cygnet::event::Observer for Watch {
    fn event(&self, _: Instant, event: &cygnet::event::Event<'_>) {
        let failed = matches!(event, cygnet::event::Event::Done { failed: true, .. });
        dummy::LEFT.store(failed, Ordering::Relaxed);
    }
}

/// Every total is added up, so that none of them can be left out.
#[cfg(feature = "counters")]
fn total(node: Node<'_>) -> u64 {
    let counters = node.counters();
    let sums = counters.frames_in + counters.bytes_in + counters.frames_out + counters.bytes_out;
    sums + counters.accepts + counters.polls + counters.dropped.iter().sum::<u64>()
}

#[entry]
fn main() -> ! {
    let mut board = Board(DUMMY.take());
    let config = Config::new([2, 0, 0, 0, 0, 1], [7; 16]);
    let capabilities = board.0.capabilities();
    let stack = Stack::new_in(STACK.uninit(), MEMORY.take(), &config, capabilities)
        .unwrap_or_else(|_| panic!());
    let address = IpCidr::new(IpAddress::v4(10, 0, 2, 15), 24);
    #[cfg(not(feature = "addressing"))]
    let _ = stack.add_address(address);
    let tasks = TASKS.init_with(|| Tasks::new(FUTURES.take(), &READY));
    let node = Node::new(stack, tasks);
    #[cfg(all(feature = "addressing", not(feature = "dhcp")))]
    let _ = node.spawn_named("address", addresses(node, address));
    #[cfg(feature = "dns")]
    {
        let _ = stack.add_names(NAMES.take());
        node.set_dns_servers(&[IpAddress::v4(10, 0, 2, 3)]);
        let _ = node.spawn_named("dns", service::dns(node));
        let _ = node.spawn_named("asks", asks(node));
    }
    #[cfg(feature = "dhcp")]
    {
        let IpCidr::Ipv4(address) = address;
        let config = service::DhcpConfig::new().host_name("kettle");
        let dhcp = service::dhcp(node, config.fallback(address, None));
        let _ = node.spawn_named("dhcp", dhcp);
    }
    #[cfg(not(feature = "http"))]
    {
        let _ = node.spawn_named("hello", service::hello(node, 5000, Backlog(2)));
        let echo = service::serve(node, "echo", 7, Backlog(2), echo);
        let _ = node.spawn_named("echo", echo);
    }
    #[cfg(feature = "http")]
    let _ = node.spawn_named("http", http::serve(node));
    #[cfg(feature = "udp")]
    {
        let _ = stack.add_datagrams(DATAGRAMS.take());
        let _ = node.spawn_named("echo udp", echo_datagrams(node));
    }
    #[cfg(feature = "ping")]
    let _ = node.spawn_named("ping", ping_gateway(node));
    #[cfg(feature = "observer")]
    node.set_observer(Some(&Watch));
    event_loop(&mut board, node);
    #[cfg(feature = "counters")]
    dummy::LEFT.store(total(node) > 9, Ordering::Relaxed);
    loop {
        cortex_m::asm::wfi();
    }
}
