//! Two hosts for the examples, so that each of them shows one thing.

use cygnet::lab::pair;
use cygnet::lab::wire::{Faults, Wire};
use cygnet::{Config, Node, ReadySet, Stack, Storage, TaskStorage, Tasks};
use smoltcp::phy::DeviceCapabilities;
use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint};

/// 10.0.0.`number`.
pub fn at(number: u8, port: u16) -> IpEndpoint {
    IpEndpoint::new(IpAddress::v4(10, 0, 0, number), port)
}

fn stack<'a>(memory: &'a mut Storage<'a, 8, 512, 512>, number: u8) -> Stack<'a> {
    let mut ethernet = DeviceCapabilities::default();
    ethernet.max_transmission_unit = 1514;
    let config = Config::new([2, 0, 0, 0, 0, number], [number; 16]);
    let stack = Stack::new(memory, &config, ethernet).expect("an Ethernet device");
    let address = IpCidr::new(at(number, 0).addr, 24);
    stack.add_address(address).expect("a unicast address");
    stack
}

/// Makes hosts 10.0.0.1 and 10.0.0.2, lets `setup` spawn their first tasks, and
/// runs both until no task is left. Returns the virtual time that took.
pub fn run(setup: impl for<'a> FnOnce(Node<'a>, Node<'a>)) -> Instant {
    let ready: &'static [ReadySet<16>; 2] = Box::leak(Box::default());
    let mut memory: [Storage<8, 512, 512>; 2] = [Storage::new(), Storage::new()];
    let mut futures: [TaskStorage<16, 2048>; 2] = [TaskStorage::new(), TaskStorage::new()];
    let [left, right] = &mut memory;
    let stacks = [stack(left, 1), stack(right, 2)];
    let [left, right] = &mut futures;
    let tasks = [Tasks::new(left, &ready[0]), Tasks::new(right, &ready[1])];
    let nodes = [0, 1].map(|index| Node::new(&stacks[index], &tasks[index]));
    setup(nodes[0], nodes[1]);
    let wire: Wire<16> = Wire::new(Faults::default());
    pair::run(&wire, nodes[0], nodes[1], Instant::from_secs(600), |_| {
        false
    })
}
