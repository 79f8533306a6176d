//! What the examples share: a host on a TAP interface of this machine. On a board it is
//! memory in statics and the board's own device instead: see `examples/statics.rs`.

mod bodies;
pub mod http;
pub mod tap;

use std::error::Error;

use cygnet::event_loop;
use cygnet::{Config, HeapStorage, HeapTaskStorage, Node, Platform, Stack, StorageSizes, Tasks};
use smoltcp::phy::Device;
use smoltcp::wire::{IpCidr, Ipv4Cidr};
use tap::Host;

/// How large a task's future may be. HTTP is the largest here.
pub const TASK_BYTES: usize = 24 * 1024;

/// Creates the interface `tap` with this machine's address in it, starts `program` on a node
/// that has `ours`, and runs it until its tasks have ended.
///
/// # Errors
/// Why there is no interface, or no such node.
pub fn on_tap(
    tap: &str,
    this_machine: Ipv4Cidr,
    ours: Ipv4Cidr,
    program: impl FnOnce(Node<'static>),
) -> Result<(), Box<dyn Error>> {
    let memory = HeapStorage::new(StorageSizes::new(64, 16 * 1024, 16 * 1024))?;
    let futures = HeapTaskStorage::new(68, TASK_BYTES)?;
    let ready = futures.leak_flags(None)?;
    let mut host = Host::create(tap, this_machine)?;
    let mut secret = [0; 16];
    rustix::rand::getrandom(&mut secret, rustix::rand::GetRandomFlags::empty())?;
    let config = Config::new([2, 0, 0, 0, 0, 0x80], secret);
    let capabilities = host.device().capabilities();
    let stack = Stack::new(Box::leak(Box::new(memory)), &config, capabilities)?;
    stack.add_address(IpCidr::Ipv4(ours))?;
    let tasks = Tasks::new(Box::leak(Box::new(futures)), ready);
    let node = Node::new(Box::leak(Box::new(stack)), Box::leak(Box::new(tasks)));
    program(node);
    println!("serves on {ours}; Ctrl-C stops it");
    event_loop(&mut host, node);
    Ok(())
}
