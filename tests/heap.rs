//! Hosts whose memory has the size that somebody asks for at run time, and goes back
//! to the allocator when they end. Nothing here is leaked but flags.
#![cfg(all(feature = "lab", feature = "alloc"))]

use cygnet::lab::pair;
use cygnet::lab::wire::{Faults, Wire};
use cygnet::task::Ready;
use cygnet::{
    Backlog, Config, ConfigError, HeapStorage, HeapTaskStorage, Node, Stack, StorageSizes, Tasks,
    service,
};
use smoltcp::phy::DeviceCapabilities;
use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint};

const AT: IpEndpoint = IpEndpoint {
    addr: IpAddress::v4(10, 0, 0, 1),
    port: 7,
};

fn stack<'a>(memory: &'a mut HeapStorage<'a>, number: u8) -> Result<Stack<'a>, ConfigError> {
    let mut ethernet = DeviceCapabilities::default();
    ethernet.max_transmission_unit = 1514;
    let config = Config::new([2, 0, 0, 0, 0, number], [number; 16]);
    let stack = Stack::new(memory, &config, ethernet)?;
    stack.add_address(IpCidr::new(IpAddress::v4(10, 0, 0, number), 24))?;
    Ok(stack)
}

async fn ask(node: Node<'_>, length: usize) {
    let mut stream = node.connect(AT).await.unwrap();
    let request: Vec<u8> = (0..length).map(|at| at as u8).collect();
    stream.write_all(&request).await.unwrap();
    let (mut answer, mut got) = (vec![0; length], 0);
    while got < length {
        got += stream.read(&mut answer[got..]).await.unwrap();
    }
    assert_eq!(answer, request);
}

/// As many clients as there are slots, with requests as long as a buffer.
fn everybody_is_served(sizes: StorageSizes, futures: &mut [HeapTaskStorage; 2], flags: [Ready; 2]) {
    let clients = sizes.slots;
    let mut memory = [0, 1].map(|_| HeapStorage::new(sizes).unwrap());
    let [left, right] = &mut memory;
    let stacks = [stack(left, 1).unwrap(), stack(right, 2).unwrap()];
    let [left, right] = futures;
    let tasks = [Tasks::new(left, flags[0]), Tasks::new(right, flags[1])];
    let [server, client] = [0, 1].map(|index| Node::new(&stacks[index], &tasks[index]));
    let backlog = Backlog(clients as u16);
    assert!(server.spawn(service::echo(server, 7, backlog)).is_ok());
    for _ in 0..clients {
        assert!(client.spawn(ask(client, sizes.rx_bytes)).is_ok());
    }
    assert!(
        client.spawn(async {}).is_err(),
        "one task more than asked for"
    );
    let wire: Wire<64> = Wire::new(Faults::default());
    let limit = Instant::from_secs(600);
    let all = |_: Instant| client.waiting().next().is_none();
    let end = pair::run(&wire, server, client, limit, all);
    assert!(end < limit, "{sizes:?}");
}

#[test]
fn as_many_are_served_as_there_was_asked_memory_for() {
    for (slots, bytes) in [(1, 64), (3, 100), (17, 3000), (300, 1000)] {
        let tasks = [slots + 1, slots];
        let mut futures = tasks.map(|count| HeapTaskStorage::new(count, 2048).unwrap());
        let flags = [0, 1].map(|host| futures[host].leak_flags(None).unwrap());
        let sizes = StorageSizes::new(slots, bytes, bytes);
        // The second run is on futures and flags of the first.
        for _ in 0..2 {
            everybody_is_served(sizes, &mut futures, flags);
        }
    }
}

#[test]
fn a_stack_without_slots_or_buffers_is_refused() {
    for sizes in [
        StorageSizes::new(0, 64, 64),
        StorageSizes::new(4, 0, 64),
        StorageSizes::new(4, 64, 0),
    ] {
        let mut memory = HeapStorage::new(sizes).unwrap();
        let refused = stack(&mut memory, 1).map(|_| ()).unwrap_err();
        assert_eq!(refused, ConfigError::Storage);
    }
}
