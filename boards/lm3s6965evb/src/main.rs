//! The servers on TI's LM3S6965 evaluation board: Cortex-M3, 256 KiB of flash,
//! 64 KiB of RAM. Read it from top to bottom; nothing else is needed.
//!
//! `boards/run lm3s6965evb` runs it in QEMU.
#![no_std]
#![no_main]

mod stellaris;

use cortex_m::interrupt;
use cortex_m_rt::entry;
use cygnet::{Backlog, Config, Node, Platform, ReadySet, Stack, Storage, TaskStorage, Tasks};
use cygnet::{event_loop, service};
use network::Datagrams;
use smoltcp::phy::Device;
use smoltcp::time::{Duration, Instant};
use static_cell::{ConstStaticCell, StaticCell};
use stellaris::Stellaris;
use systick::Clock;

/// The crystal; the processor runs from it after a reset.
const HERTZ: u32 = 12_500_000;
const MAC: [u8; 6] = [0x02, 0, 0, 0x69, 0x65, 0x01];

// Everything the server owns. All zeros, so none of it takes flash.
// Eight connections of 1 KiB each way, four listeners; eight tasks may wait in
// accept, and 32 clients for a slot when all are taken.
static MEMORY: ConstStaticCell<Storage<'static, 8, 1024, 1024, 4, 8, 32>> =
    ConstStaticCell::new(Storage::new());
static FUTURES: ConstStaticCell<TaskStorage<13, 1152>> = ConstStaticCell::new(TaskStorage::new());
static READY: ReadySet<13> = ReadySet::new();
static ETHERNET: ConstStaticCell<Stellaris> = ConstStaticCell::new(Stellaris::new());
static DATAGRAMS: ConstStaticCell<Datagrams> = ConstStaticCell::new(Datagrams::new());
static STACK: StaticCell<Stack<'static>> = StaticCell::new();
static TASKS: StaticCell<Tasks<'static>> = StaticCell::new();

/// The board, as cygnet sees it.
struct Board {
    ethernet: &'static mut Stellaris,
    clock: Clock,
}

impl Platform for Board {
    type Device = Stellaris;

    fn device(&mut self) -> &mut Stellaris {
        self.ethernet
    }

    fn now(&mut self) -> Instant {
        Instant::from_micros(self.clock.micros())
    }

    fn wait(&mut self, deadline: Option<Instant>) {
        while deadline.is_none_or(|deadline| self.now() < deadline) {
            // With interrupts masked none can slip in between the look and the
            // sleep; WFI ends all the same, and then the handler runs.
            let more = interrupt::free(|_| {
                let more = stellaris::listen() || READY.is_woken();
                if !more {
                    cortex_m::asm::wfi();
                }
                more
            });
            if more {
                return;
            }
        }
    }
}

#[entry]
fn main() -> ! {
    console::stack::paint();
    let core = cortex_m::Peripherals::take().expect("taken once");

    // The driver and the platform.
    let ethernet = ETHERNET.take();
    ethernet.start(MAC);
    let clock = Clock::start(core.SYST, HERTZ);
    let mut board = Board { ethernet, clock };

    // This chip has no source of entropy. One that has draws the secret from it:
    // whoever knows the secret can guess sequence numbers.
    let mut config = Config::new(MAC, *b"not a secret yet");
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
    let spawned = node.spawn(network::dhcp(node, "lm3s6965evb"));
    spawned.expect("a free task");
    node.spawn(network::say(node)).expect("a free task");

    console::println!("hello on 5000, echo on 7, report on {}", report::PORT);
    event_loop(&mut board, node);
    console::exit(true)
}

/// The vectors from 0 to the Ethernet controller's; nobody else interrupts.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
pub static __INTERRUPTS: [Option<extern "C" fn()>; stellaris::IRQ as usize + 1] = {
    let mut vectors = [None; stellaris::IRQ as usize + 1];
    vectors[stellaris::IRQ as usize] = Some(ethernet as extern "C" fn());
    vectors
};

extern "C" fn ethernet() {
    stellaris::on_interrupt();
}
