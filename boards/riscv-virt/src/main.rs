//! The servers on a 32-bit RISC-V machine with a virtio network card, as QEMU's
//! virt machine is one. Read it from top to bottom; nothing else is needed.
//!
//! `boards/run riscv-virt` runs it in QEMU.
#![no_std]
#![no_main]

mod machine;
mod virtio;

use cygnet::{Backlog, Config, Node, Platform, ReadySet, Stack, Storage, TaskStorage, Tasks};
use cygnet::{event_loop, service};
use network::Datagrams;
use riscv_rt::entry;
use smoltcp::phy::Device;
use smoltcp::time::{Duration, Instant};
use static_cell::{ConstStaticCell, StaticCell};
use virtio::{Frames, Virtio};

// Everything the server owns.
// Eight connections of 1 KiB each way, four listeners; eight tasks may wait in
// accept, and 32 clients for a slot when all are taken.
static MEMORY: ConstStaticCell<Storage<'static, 8, 1024, 1024, 4, 8, 32>> =
    ConstStaticCell::new(Storage::new());
static FUTURES: ConstStaticCell<TaskStorage<13, 1152>> = ConstStaticCell::new(TaskStorage::new());
static READY: ReadySet<13> = ReadySet::new();
static FRAMES: ConstStaticCell<Frames> = ConstStaticCell::new(Frames::new());
static DATAGRAMS: ConstStaticCell<Datagrams> = ConstStaticCell::new(Datagrams::new());
static STACK: StaticCell<Stack<'static>> = StaticCell::new();
static TASKS: StaticCell<Tasks<'static>> = StaticCell::new();

/// The board, as cygnet sees it.
struct Board {
    ethernet: Virtio,
}

impl Platform for Board {
    type Device = Virtio;

    fn device(&mut self) -> &mut Virtio {
        &mut self.ethernet
    }

    fn now(&mut self) -> Instant {
        Instant::from_micros(machine::micros())
    }

    fn wait(&mut self, deadline: Option<Instant>) {
        machine::wake_at(deadline.map(|deadline| deadline.total_micros()));
        while deadline.is_none_or(|deadline| self.now() < deadline) {
            // In this order: a frame that comes after the look interrupts anew.
            machine::acknowledge();
            if self.ethernet.listen() || READY.is_woken() {
                return;
            }
            riscv::asm::wfi();
        }
    }
}

#[entry]
fn main() -> ! {
    console::stack::paint();

    // The driver and the platform.
    let ethernet = Virtio::start(FRAMES.take()).expect("a network card");
    machine::start(ethernet.irq);
    let mut board = Board { ethernet };

    // This machine has no source of entropy. One that has draws the secret from
    // it: whoever knows the secret can guess sequence numbers.
    let mut config = Config::new(board.ethernet.address(), *b"not a secret yet");
    // Of so few slots none is lent for long to a peer that may not exist.
    config.handshake_timeout = Duration::from_secs(5);
    let capabilities = board.ethernet.capabilities();
    // Built where it stays: it does not fit the stack twice.
    let stack = Stack::new_in(STACK.uninit(), MEMORY.take(), &config, capabilities);
    let stack = stack.expect("an Ethernet device");
    let added = stack.add_datagrams(DATAGRAMS.take());
    added.expect("it has none yet");
    let tasks = TASKS.init_with(|| Tasks::new(FUTURES.take(), &READY));

    // The services: the same source as on a host.
    let node = Node::new(stack, tasks);
    let spawned = node.spawn(service::hello(node, 5000, Backlog(4)));
    spawned.expect("a free task");
    let spawned = node.spawn(service::echo(node, 7, Backlog(4)));
    spawned.expect("a free task");
    node.spawn(report::report(node)).expect("a free task");
    // An address, and who says which one it is.
    let spawned = node.spawn(network::dhcp(node, "riscv-virt"));
    spawned.expect("a free task");
    node.spawn(network::say(node)).expect("a free task");

    console::println!("hello on 5000, echo on 7, report on {}", report::PORT);
    event_loop(&mut board, node);
    console::exit(true)
}
