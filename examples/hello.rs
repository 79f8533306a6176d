//! The lesson: a server that greets every client, a task per client, and a loop
//! that resumes whoever is ready. Both hosts run in this process, on a wire in
//! virtual time.

use cygnet::lab::pair;
use cygnet::lab::wire::{Faults, Wire};
use cygnet::{Backlog, Config, ListenError, Node, ReadySet, Stack, Storage, TaskStorage};
use cygnet::{Tasks, TcpStream};
use smoltcp::phy::DeviceCapabilities;
use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint};

async fn server(node: Node<'_>) -> Result<(), ListenError> {
    let listener = node.listen(5000, Backlog(4))?;
    while let Ok((stream, peer)) = listener.accept().await {
        println!("Connection from {peer}");
        if node.spawn(client(stream)).is_err() {
            println!("No task is free: the stream closes");
        }
    }
    Ok(())
}

async fn client(mut stream: TcpStream<'_>) {
    let mut request = [0; 512];
    while let Ok(1..) = stream.read(&mut request).await {
        if stream.write_all(b"Hello World\n").await.is_err() {
            break;
        }
    }
}

async fn visitor(node: Node<'_>, server: Node<'_>) {
    let remote = IpEndpoint::new(IpAddress::v4(10, 0, 0, 1), 5000);
    let mut stream = node.connect(remote).await.expect("a connection");
    for request in ["who", "is", "there"] {
        stream.write_all(request.as_bytes()).await.expect("room");
        let mut answer = [0; 64];
        let count = stream.read(&mut answer).await.expect("an answer");
        assert_eq!(&answer[..count], b"Hello World\n");
    }
    stream.close().await.expect("an orderly close");
    server.close_listeners(); // nothing else is left to do
}

/// What a host with this number is called.
fn stack<'a>(memory: &'a mut Storage<'a, 4, 512, 512>, number: u8) -> Stack<'a> {
    let mut ethernet = DeviceCapabilities::default();
    ethernet.max_transmission_unit = 1514;
    let config = Config::new([2, 0, 0, 0, 0, number], [number; 16]);
    let stack = Stack::new(memory, &config, ethernet).expect("an Ethernet device");
    let address = IpCidr::new(IpAddress::v4(10, 0, 0, number), 24);
    stack.add_address(address).expect("a unicast address");
    stack
}

/// Says hello three times.
pub fn main() {
    static READY: [ReadySet<8>; 2] = [const { ReadySet::new() }; 2];
    let mut memory: [Storage<4, 512, 512>; 2] = [Storage::new(), Storage::new()];
    let mut futures: [TaskStorage<8, 1024>; 2] = [TaskStorage::new(), TaskStorage::new()];
    let [left, right] = &mut memory;
    let stacks = [stack(left, 1), stack(right, 2)];
    let [left, right] = &mut futures;
    let tasks = [Tasks::new(left, &READY[0]), Tasks::new(right, &READY[1])];
    let (host, guest) = (
        Node::new(&stacks[0], &tasks[0]),
        Node::new(&stacks[1], &tasks[1]),
    );

    host.spawn(server(host)).expect("a free task");
    guest.spawn(visitor(guest, host)).expect("a free task");
    let wire: Wire<16> = Wire::new(Faults::default());
    pair::run(&wire, host, guest, Instant::from_secs(60), |_| false);
    assert_eq!(host.counters().accepts, 1);
}
