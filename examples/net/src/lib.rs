//! What the examples share: a host on a TAP interface of this machine. On a board it is
//! memory in statics and the board's own device instead: see `examples/statics.rs`.

mod bodies;
pub mod http;
pub mod https;
pub mod mqtt;
pub mod rest;
pub mod tap;

use std::error::Error;

use cygnet::{Config, HeapStorage, HeapTaskStorage, NameStorage, Node, Platform, Stack};
use cygnet::{StorageSizes, Tasks, UdpStorage, event_loop, service};
use smoltcp::phy::Device;
use smoltcp::wire::{IpAddress, IpCidr, Ipv4Address, Ipv4Cidr};
use tap::Host;

/// How large a task's future may be. HTTP is the largest here.
pub const TASK_BYTES: usize = 24 * 1024;

/// What an interface is called if nobody says it.
pub const TAP: &str = "cyg-net";
/// This machine's address there. It is the gateway and the name server.
pub const THIS_MACHINE: Ipv4Address = Ipv4Address::new(192, 168, 70, 1);
/// The address of the host that we are.
pub const OURS: Ipv4Address = Ipv4Address::new(192, 168, 70, 2);

/// Creates the interface `tap`, starts `program` on a node there, and runs it until its tasks
/// have ended or the process does.
///
/// # Errors
/// Why there is no interface, or no such node.
pub fn on_tap(tap: &str, program: impl FnOnce(Node<'static>)) -> Result<(), Box<dyn Error>> {
    let memory = HeapStorage::new(StorageSizes::new(64, 16 * 1024, 16 * 1024))?;
    let futures = HeapTaskStorage::new(68, TASK_BYTES)?;
    let ready = futures.leak_flags(None)?;
    let mut host = Host::create(tap, Ipv4Cidr::new(THIS_MACHINE, 24))?;
    let mut secret = [0; 16];
    rustix::rand::getrandom(&mut secret, rustix::rand::GetRandomFlags::empty())?;
    let config = Config::new([2, 0, 0, 0, 0, 0x80], secret);
    let capabilities = host.device().capabilities();
    let stack = Stack::new(Box::leak(Box::new(memory)), &config, capabilities)?;
    stack.add_address(IpCidr::new(IpAddress::Ipv4(OURS), 24))?;
    stack.set_gateway(IpAddress::Ipv4(THIS_MACHINE))?;
    // To ask for names: sockets, datagrams that each may hold, and their bytes.
    stack.add_datagrams(Box::leak(Box::new(UdpStorage::<2, 4, 600>::new())))?;
    stack.add_names(Box::leak(Box::new(NameStorage::<4>::new())))?;
    let tasks = Tasks::new(Box::leak(Box::new(futures)), ready);
    let node = Node::new(Box::leak(Box::new(stack)), Box::leak(Box::new(tasks)));
    node.set_dns_servers(&[IpAddress::Ipv4(THIS_MACHINE)]);
    node.spawn_named("dns", service::dns(node))?;
    program(node);
    println!("is {OURS}; Ctrl-C stops it");
    event_loop(&mut host, node);
    Ok(())
}

/// The end of a program that is not for ever: the process ends, too.
pub fn end<T, E: core::fmt::Debug>(result: Result<T, E>) {
    if let Err(error) = &result {
        eprintln!("{error:?}");
    }
    std::process::exit(i32::from(result.is_err()));
}
