//! A board of your own. The checklist; boards/PORTING.md explains each step:
//!
//! 1. [ ] `memory.x`: flash and RAM.
//! 2. [ ] `src/mac.rs`: the Ethernet controller.
//! 3. [ ] `now`: a clock that never goes back.
//! 4. [ ] `wait`: sleep until a deadline, a frame or a wake.
//! 5. [ ] the interrupt's handler, which only masks the controller's interrupt.
//! 6. [ ] an address, and a secret from the chip's entropy source.
//! 7. [ ] how many connections, and how large: the statics.
//! 8. [ ] what a panic does.
//!
//! Look at boards/lm3s6965evb for one that is filled in.
#![no_std]
#![no_main]

mod mac;

use cortex_m_rt::entry;
use cygnet::{Backlog, Config, Node, Platform, ReadySet, Stack, Storage, TaskStorage, Tasks};
use cygnet::{event_loop, service};
use mac::Mac;
use smoltcp::phy::Device;
use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, IpCidr};
use static_cell::{ConstStaticCell, StaticCell};

/// FILL IN: what is printed on the board; or a locally administered one, 02:…
const ADDRESS: [u8; 6] = [2, 0, 0, 0, 0, 1];

// FILL IN: slots and the bytes of their buffers; tasks, one for each server and
// each connection, and the bytes of the largest future.
static MEMORY: ConstStaticCell<Storage<'static, 4, 1024, 1024>> =
    ConstStaticCell::new(Storage::new());
static FUTURES: ConstStaticCell<TaskStorage<5, 896>> = ConstStaticCell::new(TaskStorage::new());
static READY: ReadySet<5> = ReadySet::new();
static MAC: ConstStaticCell<Mac> = ConstStaticCell::new(Mac::new());
static STACK: StaticCell<Stack<'static>> = StaticCell::new();
static TASKS: StaticCell<Tasks<'static>> = StaticCell::new();

/// The board, as cygnet sees it: three methods.
struct Board {
    mac: &'static mut Mac,
}

impl Platform for Board {
    type Device = Mac;

    fn device(&mut self) -> &mut Mac {
        self.mac
    }

    fn now(&mut self) -> Instant {
        // FILL IN: microseconds from a timer. Mind its wrap: boards/systick.
        Instant::from_micros(0)
    }

    fn wait(&mut self, deadline: Option<Instant>) {
        // FILL IN: a timer that interrupts at the deadline, or at every
        // millisecond.
        while deadline.is_none_or(|deadline| self.now() < deadline) {
            let more = cortex_m::interrupt::free(|_| {
                let more = self.mac.listen() || READY.is_woken();
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
    let mac = MAC.take();
    mac.start(ADDRESS);
    let mut board = Board { mac };

    // FILL IN: 16 bytes from the chip's entropy source. All zeros are refused; a chip that
    // has none says so: `Config::without_entropy`.
    let config = Config::new(ADDRESS, [0; 16]);
    let capabilities = board.mac.capabilities();
    let stack = Stack::new_in(STACK.uninit(), MEMORY.take(), &config, capabilities);
    let stack = stack.expect("an Ethernet device, and a secret");
    let address = IpCidr::new(IpAddress::v4(192, 168, 1, 2), 24); // FILL IN
    stack.add_address(address).expect("a unicast address");
    let tasks = TASKS.init(Tasks::new(FUTURES.take(), &READY));

    let node = Node::new(stack, tasks);
    node.spawn(service::echo(node, 7, Backlog(2)))
        .expect("a free task that is large enough");
    event_loop(&mut board, node);
    loop {
        cortex_m::asm::wfi();
    }
}

/// FILL IN: say where, and restart. A panic is a bug of ours, never a peer's work.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        cortex_m::asm::bkpt();
    }
}
