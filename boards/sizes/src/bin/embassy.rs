//! The same with embassy-net: two tasks that serve hello, two that echo.
#![no_std]
#![no_main]

#[path = "../dummy.rs"]
mod dummy;
#[cfg(feature = "http")]
#[path = "../routes.rs"]
mod routes;

use core::cell::{Cell, RefCell};
use core::task::{Context, Waker};

use cortex_m_rt::{entry, exception};
use critical_section::Mutex;
use dummy::{Dummy, MTU, Rx, Tx};
use embassy_executor::Executor;
use embassy_net::driver::{self, Capabilities, Driver, HardwareAddress, LinkState};
#[cfg(not(feature = "http"))]
use embassy_net::tcp::TcpSocket;
#[cfg(feature = "udp")]
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{Config, Runner, Stack, StackResources};
#[cfg(not(feature = "dhcp"))]
use embassy_net::{Ipv4Address, Ipv4Cidr, StaticConfigV4};
#[cfg(feature = "http")]
use embassy_time_queue_utils::queue_generic::ConstGenericQueue;
use static_cell::{ConstStaticCell, StaticCell};

static RX: ConstStaticCell<[[u8; 1024]; 4]> = ConstStaticCell::new([[0; 1024]; 4]);
static TX: ConstStaticCell<[[u8; 1024]; 4]> = ConstStaticCell::new([[0; 1024]; 4]);
/// Each protocol has a socket of its own.
const SOCKETS: usize = 4
    + cfg!(feature = "udp") as usize
    + cfg!(feature = "dhcp") as usize
    + cfg!(feature = "dns") as usize;
static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
static EXECUTOR: StaticCell<Executor> = StaticCell::new();
static DUMMY: ConstStaticCell<Dummy> = ConstStaticCell::new(Dummy::new());

/// One alarm, which only the network's task sets.
struct Clock {
    millis: Mutex<Cell<u64>>,
    #[cfg(not(feature = "http"))]
    alarm: Mutex<RefCell<Option<(u64, Waker)>>>,
    /// The web server's connections set timers, too.
    #[cfg(feature = "http")]
    queue: Mutex<RefCell<ConstGenericQueue<8>>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    millis: Mutex::new(Cell::new(0)),
    #[cfg(not(feature = "http"))]
    alarm: Mutex::new(RefCell::new(None)),
    #[cfg(feature = "http")]
    queue: Mutex::new(RefCell::new(ConstGenericQueue::new())),
});

impl embassy_time_driver::Driver for Clock {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.millis.borrow(cs).get())
    }

    #[cfg(feature = "http")]
    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            // The tick looks at it in any case.
            let _ = self.queue.borrow_ref_mut(cs).schedule_wake(at, waker);
        });
    }

    #[cfg(not(feature = "http"))]
    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let mut alarm = self.alarm.borrow_ref_mut(cs);
            if alarm.as_ref().is_none_or(|(other, _)| at < *other) {
                *alarm = Some((at, waker.clone()));
            }
        });
    }
}

#[exception]
fn SysTick() {
    critical_section::with(|cs| {
        let millis = CLOCK.millis.borrow(cs);
        millis.set(millis.get() + 1);
        #[cfg(feature = "http")]
        let _ = CLOCK.queue.borrow_ref_mut(cs).next_expiration(millis.get());
        #[cfg(not(feature = "http"))]
        {
            let mut alarm = CLOCK.alarm.borrow_ref_mut(cs);
            if alarm.as_ref().is_some_and(|(at, _)| *at <= millis.get())
                && let Some((_, waker)) = alarm.take()
            {
                waker.wake();
            }
        }
    });
}

struct Card(&'static mut Dummy);

impl driver::RxToken for Rx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl driver::TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        self.fill(length, f)
    }
}

impl Driver for Card {
    type RxToken<'a> = Rx<'a>;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: &mut Context<'_>) -> Option<(Rx<'_>, Tx<'_>)> {
        self.0
            .arrived()
            .then_some((Rx(&mut self.0.rx), Tx(&mut self.0.tx)))
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<Tx<'_>> {
        Some(Tx(&mut self.0.tx))
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MTU;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet([2, 0, 0, 0, 0, 1])
    }
}

#[embassy_executor::task]
async fn net(mut runner: Runner<'static, Card>) -> ! {
    runner.run().await
}

#[cfg(feature = "http")]
#[embassy_executor::task(pool_size = 4)]
async fn web(stack: Stack<'static>, rx: &'static mut [u8], tx: &'static mut [u8]) {
    let (app, mut head) = (routes::app(), [0; routes::HEAD]);
    let server = picoserve::Server::new(&app, &routes::CONFIG, &mut head);
    let never = server.listen_and_serve("http", stack, 80, rx, tx).await;
    never.into_never()
}

#[cfg(not(feature = "http"))]
#[embassy_executor::task(pool_size = 2)]
async fn hello(stack: Stack<'static>, rx: &'static mut [u8], tx: &'static mut [u8]) {
    let mut socket = TcpSocket::new(stack, rx, tx);
    loop {
        if socket.accept(5000).await.is_ok() {
            while let Ok(1..) = socket.read_with(|bytes| (bytes.len(), bytes.len())).await {
                if write_all(&mut socket, b"Hello World\n").await.is_err() {
                    break;
                }
            }
        }
        end(&mut socket).await;
    }
}

#[cfg(not(feature = "http"))]
#[embassy_executor::task(pool_size = 2)]
async fn echo(stack: Stack<'static>, rx: &'static mut [u8], tx: &'static mut [u8]) {
    let mut socket = TcpSocket::new(stack, rx, tx);
    loop {
        if socket.accept(7).await.is_ok() {
            let mut chunk = [0; 32];
            while let Ok(count @ 1..) = socket.read(&mut chunk).await {
                if write_all(&mut socket, &chunk[..count]).await.is_err() {
                    break;
                }
            }
        }
        end(&mut socket).await;
    }
}

/// Sends back what comes to port 7, from two datagrams of 576 bytes each way.
#[cfg(feature = "udp")]
#[embassy_executor::task]
async fn echo_datagrams(stack: Stack<'static>) {
    static RX: ConstStaticCell<[u8; 1152]> = ConstStaticCell::new([0; 1152]);
    static TX: ConstStaticCell<[u8; 1152]> = ConstStaticCell::new([0; 1152]);
    static HEARD: ConstStaticCell<[PacketMetadata; 2]> =
        ConstStaticCell::new([PacketMetadata::EMPTY; 2]);
    static SAID: ConstStaticCell<[PacketMetadata; 2]> =
        ConstStaticCell::new([PacketMetadata::EMPTY; 2]);
    let (heard, said) = (HEARD.take(), SAID.take());
    let mut socket = UdpSocket::new(stack, heard, RX.take(), said, TX.take());
    if socket.bind(7).is_err() {
        return;
    }
    let mut buf = [0; 32];
    while let Ok((count, peer)) = socket.recv_from(&mut buf).await {
        let _ = socket.send_to(&buf[..count], peer).await;
    }
}

#[cfg(feature = "dns")]
#[embassy_executor::task]
async fn asks(stack: Stack<'static>) {
    let _ = stack
        .dns_query("kettle.example", embassy_net::dns::DnsQueryType::A)
        .await;
}

#[cfg(not(feature = "http"))]
async fn end(socket: &mut TcpSocket<'_>) {
    socket.close();
    let _ = socket.flush().await;
    socket.abort();
    let _ = socket.flush().await;
}

#[cfg(not(feature = "http"))]
async fn write_all(
    socket: &mut TcpSocket<'_>,
    mut bytes: &[u8],
) -> Result<(), embassy_net::tcp::Error> {
    while !bytes.is_empty() {
        let count = socket.write(bytes).await?;
        bytes = &bytes[count..];
    }
    Ok(())
}

#[entry]
fn main() -> ! {
    #[cfg(feature = "dhcp")]
    let config = {
        let mut config = embassy_net::DhcpConfig::default();
        config.hostname = "kettle".try_into().ok();
        Config::dhcpv4(config)
    };
    #[cfg(not(feature = "dhcp"))]
    let config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(Ipv4Address::new(10, 0, 2, 15), 24),
        gateway: None,
        dns_servers: Default::default(),
    });
    let resources = RESOURCES.init(StackResources::new());
    let (stack, runner) = embassy_net::new(Card(DUMMY.take()), config, resources, 7);
    let [rx0, rx1, rx2, rx3] = RX.take();
    let [tx0, tx1, tx2, tx3] = TX.take();
    EXECUTOR.init(Executor::new()).run(|spawner| {
        #[cfg(feature = "http")]
        if let Ok(net) = net(runner) {
            spawner.spawn(net);
            for (rx, tx) in [(rx0, tx0), (rx1, tx1), (rx2, tx2), (rx3, tx3)] {
                if let Ok(task) = web(stack, rx, tx) {
                    spawner.spawn(task);
                }
            }
        }
        #[cfg(not(feature = "http"))]
        let tasks = (
            net(runner),
            (hello(stack, rx0, tx0), hello(stack, rx1, tx1)),
            (echo(stack, rx2, tx2), echo(stack, rx3, tx3)),
        );
        #[cfg(not(feature = "http"))]
        if let (Ok(net), (Ok(a), Ok(b)), (Ok(c), Ok(d))) = tasks {
            spawner.spawn(net);
            [a, b].into_iter().for_each(|task| spawner.spawn(task));
            [c, d].into_iter().for_each(|task| spawner.spawn(task));
        }
        #[cfg(feature = "udp")]
        if let Ok(task) = echo_datagrams(stack) {
            spawner.spawn(task);
        }
        #[cfg(feature = "dns")]
        if let Ok(task) = asks(stack) {
            spawner.spawn(task);
        }
    })
}
