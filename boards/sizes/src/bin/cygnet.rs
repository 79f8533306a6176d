//! What is measured: hello and echo, four connections of 1 KiB each way.
#![no_std]
#![no_main]

#[path = "../dummy.rs"]
mod dummy;

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m_rt::{entry, exception};
use cygnet::{Backlog, Config, Node, Platform, ReadySet, Stack, Storage, TaskStorage, Tasks};
use cygnet::{event_loop, service};
use dummy::{Dummy, MTU, Rx, Tx};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};
use static_cell::{ConstStaticCell, StaticCell};

static MEMORY: ConstStaticCell<Storage<'static, 4, 1024, 1024, 2, 2>> =
    ConstStaticCell::new(Storage::new());
static FUTURES: ConstStaticCell<TaskStorage<6, 832>> = ConstStaticCell::new(TaskStorage::new());
static READY: ReadySet<6> = ReadySet::new();
static DUMMY: ConstStaticCell<Dummy> = ConstStaticCell::new(Dummy::new());
static STACK: StaticCell<Stack<'static>> = StaticCell::new();
static TASKS: StaticCell<Tasks<'static>> = StaticCell::new();
static MILLIS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    MILLIS.store(MILLIS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
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
        capabilities.medium = Medium::Ethernet;
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

#[entry]
fn main() -> ! {
    let mut board = Board(DUMMY.take());
    let config = Config::new(EthernetAddress([2, 0, 0, 0, 0, 1]), [7; 16]);
    let stack = Stack::new(MEMORY.take(), &config, board.0.capabilities());
    let Ok(stack) = stack else { panic!() };
    let stack = STACK.init(stack);
    let _ = stack.add_address(IpCidr::new(IpAddress::v4(10, 0, 2, 15), 24));
    let tasks = TASKS.init(Tasks::new(FUTURES.take(), &READY));
    let node = Node::new(stack, tasks);
    let _ = node.spawn_named("hello", service::hello(node, 5000, Backlog(2)));
    let _ = node.spawn_named("echo", service::echo(node, 7, Backlog(2)));
    event_loop(&mut board, node);
    loop {
        cortex_m::asm::wfi();
    }
}
