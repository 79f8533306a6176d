//! The servers of `lm3s6965evb` in [RTIC](https://rtic.rs) 2: the node's turns are one task of
//! RTIC's, which sleeps by its monotonic. A task of a higher priority, which interrupts it at
//! any instruction, hands work over to a task of the node through a channel.
//!
//! `boards/run rtic-lm3s6965evb` runs it in QEMU.
#![no_std]
#![no_main]

mod device;
#[path = "../../lm3s6965evb/src/stellaris.rs"]
mod stellaris;

use core::future::pending;

use cygnet::{Backlog, Config, Node, ReadySet, Sleeper, Stack, Storage, TaskStorage, Tasks};
use cygnet::{drive, service};
use embassy_futures::select::select;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::signal::Signal;
use network::Datagrams;
use rtic_monotonics::systick::prelude::*;
use smoltcp::phy::{Device, DeviceCapabilities};
use smoltcp::time::{Duration, Instant};
use static_cell::{ConstStaticCell, StaticCell};
use stellaris::Stellaris;

/// The crystal; the processor runs from it after a reset.
const HERTZ: u32 = 12_500_000;
const MAC: [u8; 6] = [0x02, 0, 0, 0x69, 0x65, 0x02];

systick_monotonic!(Mono, 1_000);

static MEMORY: ConstStaticCell<Storage<'static, 8, 1024, 1024, 4, 8, 32>> =
    ConstStaticCell::new(Storage::new());
static FUTURES: ConstStaticCell<TaskStorage<13, 1152>> = ConstStaticCell::new(TaskStorage::new());
static READY: ReadySet<13> = ReadySet::new();
static ETHERNET: ConstStaticCell<Stellaris> = ConstStaticCell::new(Stellaris::new());
static DATAGRAMS: ConstStaticCell<Datagrams> = ConstStaticCell::new(Datagrams::new());
static STACK: StaticCell<Stack<'static>> = StaticCell::new();
static TASKS: StaticCell<Tasks<'static>> = StaticCell::new();

/// A frame has come.
static ARRIVAL: Signal<CriticalSectionRawMutex, ()> = Signal::new();
/// From the heart, which may interrupt the network, to a task of the node. A node is not
/// `Send`: its tables are cells, without a lock. A channel has one.
static BEATS: Channel<CriticalSectionRawMutex, u32, 4> = Channel::new();

/// The controller, where it lies.
struct Ethernet(&'static mut Stellaris);

impl Device for Ethernet {
    type RxToken<'t> = stellaris::RxToken<'t>;
    type TxToken<'t> = stellaris::TxToken<'t>;

    fn receive(&mut self, now: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        self.0.receive(now)
    }

    fn transmit(&mut self, now: Instant) -> Option<Self::TxToken<'_>> {
        self.0.transmit(now)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.0.capabilities()
    }
}

/// RTIC's time.
fn now() -> Instant {
    Instant::from_millis(Mono::now().ticks() as i64)
}

/// Sleeps by it, or until a frame comes.
struct Timer;

impl Sleeper for Timer {
    async fn sleep(&mut self, until: Option<Instant>) {
        if stellaris::listen() {
            return;
        }
        let timer = async {
            let Some(at) = until else {
                return pending().await;
            };
            // A tick too late is better than one too early.
            let ticks = (at - Instant::ZERO).total_micros().div_ceil(1_000);
            Mono::delay_until(fugit::Instant::<u64, 1, 1_000>::from_ticks(ticks)).await;
        };
        select(ARRIVAL.wait(), timer).await;
    }
}

/// The node, in the task that drives it: it stays there.
fn node(device: &Stellaris) -> Node<'static> {
    // This chip has no source of entropy. One that has draws the secret from it:
    // whoever knows the secret can guess sequence numbers.
    let mut config = Config::new(MAC, *b"not a secret yet");
    config.handshake_timeout = Duration::from_secs(5);
    let stack = Stack::new_in(
        STACK.uninit(),
        MEMORY.take(),
        &config,
        device.capabilities(),
    );
    let stack = stack.expect("an Ethernet device");
    let added = stack.add_datagrams(DATAGRAMS.take());
    added.expect("it has none yet");
    Node::new(
        stack,
        TASKS.init_with(|| Tasks::new(FUTURES.take(), &READY)),
    )
}

/// A task of the node, woken from another priority.
async fn listen_to_the_heart() {
    loop {
        let beat = BEATS.receive().await;
        if beat.is_power_of_two() {
            console::println!("beat {beat}");
        }
    }
}

#[rtic::app(device = crate::device, peripherals = false, dispatchers = [SSI0, QEI0])]
mod app {
    use super::*;

    #[shared]
    struct Shared {}

    #[local]
    struct Local {}

    #[init]
    fn init(cx: init::Context) -> (Shared, Local) {
        console::stack::paint();
        Mono::start(cx.core.SYST, HERTZ);
        network::spawn().expect("it does not run yet");
        heart::spawn().expect("it does not run yet");
        (Shared {}, Local {})
    }

    #[idle]
    fn idle(_: idle::Context) -> ! {
        loop {
            cortex_m::asm::wfi();
        }
    }

    #[task(priority = 1)]
    async fn network(_: network::Context) {
        let ethernet = ETHERNET.take();
        ethernet.start(MAC);
        let node = node(ethernet);
        let spawned = node.spawn(service::hello(node, 5000, Backlog(4)));
        spawned.expect("a free task");
        let spawned = node.spawn(service::echo(node, 7, Backlog(4)));
        spawned.expect("a free task");
        node.spawn(report::report(node)).expect("a free task");
        let spawned = node.spawn(::network::dhcp(node, "rtic"));
        spawned.expect("a free task");
        node.spawn(::network::say(node)).expect("a free task");
        node.spawn(listen_to_the_heart()).expect("a free task");
        console::println!("hello on 5000, echo on 7, report on {}", report::PORT);
        drive(node, Ethernet(ethernet), now, Timer).await
    }

    #[task(priority = 2)]
    async fn heart(_: heart::Context) {
        let mut beats = 0;
        loop {
            Mono::delay(250.millis()).await;
            beats += 1;
            // Full: the network has not kept up, and will hear the next one.
            let _ = BEATS.try_send(beats);
        }
    }

    #[task(binds = ETH, priority = 3)]
    fn ethernet(_: ethernet::Context) {
        stellaris::on_interrupt();
        ARRIVAL.signal(());
    }
}
