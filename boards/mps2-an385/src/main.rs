//! The servers on Arm's MPS2 board with image AN385: Cortex-M3, 8 MiB of RAM.
//! The same program runs on AN386, a Cortex-M4. Read it from top to bottom;
//! nothing else is needed.
//!
//! `boards/run mps2-an385` runs it in QEMU.
#![no_std]
#![no_main]

mod lan9118;

use cortex_m::interrupt;
use cortex_m_rt::entry;
use cygnet::{Backlog, Config, FuturePlaces, Node, Platform, ReadySet, Stack, Storage};
use cygnet::{TaskStorage, Tasks, event_loop, service};
use cygnet_compat::page::Page;
use lan9118::Lan9118;
use network::Datagrams;
use smoltcp::phy::Device;
use smoltcp::time::{Duration, Instant};
use static_cell::{ConstStaticCell, StaticCell};
use systick::Clock;

/// The oscillator.
const HERTZ: u32 = 25_000_000;
const MAC: [u8; 6] = [0x02, 0, 0, 0x03, 0x85, 0x01];

// Everything the server owns. All zeros, so none of it takes flash.
// Eight connections of 1 KiB each way, four listeners; eight tasks may wait in
// accept, and 32 clients for a slot when all are taken.
const SLOTS: usize = 8;
static MEMORY: ConstStaticCell<Storage<'static, SLOTS, 1024, 1024, 4, 8, 32>> =
    ConstStaticCell::new(Storage::new());
static FUTURES: ConstStaticCell<TaskStorage<14, 1152>> = ConstStaticCell::new(TaskStorage::new());
static READY: ReadySet<14> = ReadySet::new();
// The page has a quarter of the connections, and for each a future that no row has room for.
static PAGE: StaticCell<Page> = StaticCell::new();
static LOOKS: ConstStaticCell<FuturePlaces<{ SLOTS / 4 }, 8192>> =
    ConstStaticCell::new(FuturePlaces::new());
static ETHERNET: ConstStaticCell<Lan9118> = ConstStaticCell::new(Lan9118::new());
static DATAGRAMS: ConstStaticCell<Datagrams> = ConstStaticCell::new(Datagrams::new());
static STACK: StaticCell<Stack<'static>> = StaticCell::new();
static TASKS: StaticCell<Tasks<'static>> = StaticCell::new();

/// The board, as cygnet sees it.
struct Board {
    ethernet: &'static mut Lan9118,
    clock: Clock,
}

impl Platform for Board {
    type Device = Lan9118;

    fn device(&mut self) -> &mut Lan9118 {
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
                let more = self.ethernet.listen() || READY.is_woken();
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
    // A page that shows all of it, live.
    let (page, looks): (&Page, &FuturePlaces<_, _>) = (PAGE.init(Page::new(SLOTS)), LOOKS.take());
    let serves = page.serve(node, 80, Backlog(2), move |stream| {
        let look = page.connection(node, stream);
        // Refused: the future is dropped, and with it the stream closes.
        let _ = node.spawn_in(looks, look);
    });
    node.spawn_named("http", serves).expect("a free task");
    // An address, and who says which one it is.
    let spawned = node.spawn(network::dhcp(node, "mps2-an385"));
    spawned.expect("a free task");
    node.spawn(network::say(node)).expect("a free task");

    console::println!(
        "hello on 5000, echo on 7, report on {}, a page on 80",
        report::PORT
    );
    event_loop(&mut board, node);
    console::exit(true)
}

/// The vectors from 0 to the Ethernet controller's; nobody else interrupts.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
pub static __INTERRUPTS: [Option<extern "C" fn()>; lan9118::IRQ as usize + 1] = {
    let mut vectors = [None; lan9118::IRQ as usize + 1];
    vectors[lan9118::IRQ as usize] = Some(ethernet as extern "C" fn());
    vectors
};

extern "C" fn ethernet() {
    lan9118::on_interrupt();
}
