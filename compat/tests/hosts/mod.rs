//! Two hosts, 10.0.0.1 and 10.0.0.2, and a wire of 10 ms.
#![allow(dead_code, unused_macros)]

use cygnet::lab::wire::{Faults, Wire};
use cygnet::{Config, Node, ReadySet, Stack, StackMemory, Storage, TaskStorage, Tasks};
use smoltcp::phy::DeviceCapabilities;
use smoltcp::time::Duration;
use smoltcp::wire::{IpAddress, IpCidr};

pub const LATENCY: Duration = Duration::from_millis(10);

pub fn wire() -> Wire<16> {
    Wire::new(Faults {
        latency: LATENCY,
        ..Faults::NONE
    })
}

/// Without an address.
pub fn bare<'a>(memory: &'a mut impl StackMemory<'a>, number: u8) -> Stack<'a> {
    let config = Config::new([2, 0, 0, 0, 0, number], [number; 16]);
    let mut capabilities = DeviceCapabilities::default();
    capabilities.max_transmission_unit = 1514;
    Stack::new(memory, &config, capabilities).unwrap()
}

pub fn stack<'a>(memory: &'a mut impl StackMemory<'a>, number: u8) -> Stack<'a> {
    let stack = bare(memory, number);
    let address = IpCidr::new(IpAddress::v4(10, 0, 0, number), 24);
    stack.add_address(address).unwrap();
    #[cfg(feature = "ipv6")]
    stack
        .add_address(format!("fe80::{number}/64").parse().unwrap())
        .unwrap();
    stack
}

/// A node in memory that is never freed.
pub fn lasting(number: u8) -> Node<'static> {
    let memory: &'static mut Storage<'static, 4, 2048, 2048> = Box::leak(Box::default());
    let futures: &'static mut TaskStorage<4, 2048> = Box::leak(Box::default());
    let ready: &'static ReadySet<4> = Box::leak(Box::default());
    let stack: &'static Stack<'static> = Box::leak(Box::new(stack(memory, number)));
    Node::new(stack, Box::leak(Box::new(Tasks::new(futures, ready))))
}

/// Makes nodes of these names.
macro_rules! hosts {
    ($first:ident, $second:ident) => {
        hosts!($first, 1);
        hosts!($second, 2);
    };
    ($name:ident, $number:literal) => {
        hosts!($name, $number, stack);
    };
    ($name:ident, $number:literal, $make:ident) => {
        let mut memory = cygnet::Storage::<'_, 4, 2048, 2048>::new();
        let mut futures: Box<cygnet::TaskStorage<4, 16384>> = Box::default();
        let mut datagrams: Box<cygnet::UdpStorage<4, 4, 1472>> = Box::default();
        let mut names: cygnet::NameStorage<2> = cygnet::NameStorage::new();
        let stack = $crate::hosts::$make(&mut memory, $number);
        stack.add_datagrams(&mut datagrams).unwrap();
        stack.add_names(&mut names).unwrap();
        let ready: &'static cygnet::ReadySet<4> = Box::leak(Box::default());
        let tasks = cygnet::Tasks::new(&mut *futures, ready);
        let $name = cygnet::Node::new(&stack, &tasks);
    };
}
