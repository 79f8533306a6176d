//! Everything in statics, as on a board: the memory of the stack, of the tasks
//! and of their wakers, and a platform with its three methods. The device here
//! is one end of a wire that nobody else holds, and time is made up.

use cygnet::lab::wire::{Faults, Wire, WireEnd};
use cygnet::{Backlog, Config, Node, Platform, ReadySet, Stack, Storage, TaskStorage};
use cygnet::{Tasks, event_loop, service};
use smoltcp::phy::Device;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpCidr};
use static_cell::{ConstStaticCell, StaticCell};

// All zeros: none of it takes flash. `nm` shows them in `.bss`.
static MEMORY: ConstStaticCell<Storage<'static, 4, 1024, 1024>> =
    ConstStaticCell::new(Storage::new());
static FUTURES: ConstStaticCell<TaskStorage<6, 1024>> = ConstStaticCell::new(TaskStorage::new());
static READY: ReadySet<6> = ReadySet::new();

/// What a port to a board has to fill in.
struct Board {
    ethernet: WireEnd<'static, 4>,
    clock: Instant,
}

impl Platform for Board {
    type Device = WireEnd<'static, 4>;

    fn device(&mut self) -> &mut Self::Device {
        &mut self.ethernet
    }

    fn now(&mut self) -> Instant {
        self.clock // a timer's counter
    }

    fn wait(&mut self, deadline: Option<Instant>) {
        // A board masks interrupts, looks at READY.is_woken() and waits for one.
        // With nobody on the wire only a deadline can end the wait.
        self.clock = deadline.expect("a timer is running");
    }
}

/// Stops serving after a minute, so that the example ends.
async fn closing_time(node: Node<'static>) {
    node.sleep(Duration::from_secs(60)).await;
    node.close_listeners();
}

/// Boots, serves nobody for a minute, and ends.
pub fn main() {
    static WIRE: StaticCell<Wire<4>> = StaticCell::new();
    static STACK: StaticCell<Stack<'static>> = StaticCell::new();
    static TASKS: StaticCell<Tasks<'static>> = StaticCell::new();

    let wire: &'static Wire<4> = WIRE.init(Wire::new(Faults::default()));
    let mut board = Board {
        ethernet: wire.ends().0,
        clock: Instant::ZERO,
    };
    let secret = [7; 16]; // from the board's entropy source
    let config = Config::new([2, 0, 0, 0, 0, 1], secret);
    let capabilities = board.ethernet.capabilities();
    let stack = Stack::new_in(STACK.uninit(), MEMORY.take(), &config, capabilities);
    let stack = stack.expect("an Ethernet device");
    let address = IpCidr::new(IpAddress::v4(10, 0, 0, 1), 24);
    stack.add_address(address).expect("a unicast address");
    let tasks = TASKS.init(Tasks::new(FUTURES.take(), &READY));

    let node = Node::new(stack, tasks);
    let hello = service::hello(node, 5000, Backlog(2));
    node.spawn(hello).expect("a free task");
    node.spawn(closing_time(node)).expect("a free task");
    event_loop(&mut board, node);
    println!("closed at {}", board.clock);
}
