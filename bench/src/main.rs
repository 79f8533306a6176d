//! What one request costs the server: a 64-byte echo on one of `N` open
//! connections, everything the server does for it and nothing else.
//!
//! `cost N REQUESTS active|round` opens N connections and then makes REQUESTS
//! echoes, on one connection or on all in turn. Under callgrind with
//! `--toggle-collect=*server_turn*` only the server's turns are counted; two
//! runs with different REQUESTS give the cost of one by subtraction. See
//! `bench/run`.

use std::cell::{Cell, RefCell};

use cygnet::net::wire::{Faults, Wire, WireEnd};
use cygnet::{Backlog, Config, Node, Stack, Storage, TaskStorage, Tasks, Turn, Turns, turns};
use smoltcp::phy::DeviceCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, IpEndpoint};

const FRAMES: usize = 64;
const SLOTS: usize = 4100;
const TASKS: usize = 4104;
const BUFFER: usize = 256;
const FUTURE: usize = 768;

/// The measured function.
#[inline(never)]
fn server_turn(turns: &mut Turns<'_, '_>, end: &mut WireEnd<'_, FRAMES>, now: Instant) -> Turn {
    turns.turn(end, now)
}

type BigStorage = Storage<'static, SLOTS, BUFFER, BUFFER>;
type BigTasks = TaskStorage<TASKS, FUTURE>;

/// A host whose memory is never given back.
macro_rules! host {
    ($number:literal) => {{
        static READY: cygnet::ReadySet<TASKS> = cygnet::ReadySet::new();
        let storage: &'static mut BigStorage = boxed(BigStorage::new);
        let tasks: &'static mut BigTasks = boxed(BigTasks::new);
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = 1514;
        let config = Config::new(EthernetAddress([2, 0, 0, 0, 0, $number]), [$number; 16]);
        let stack = Stack::new(storage, &config, capabilities).expect("a stack");
        let address = IpCidr::new(IpAddress::v4(10, 0, 0, $number), 24);
        stack.add_address(address).expect("an address");
        let stack: &'static Stack<'static> = Box::leak(Box::new(stack));
        let tasks: &'static Tasks<'static> = Box::leak(Box::new(Tasks::new(tasks, &READY)));
        Node::new(stack, tasks)
    }};
}

fn boxed<T>(make: fn() -> T) -> &'static mut T {
    Box::leak(Box::new(make()))
}

async fn echo(mut stream: cygnet::TcpStream<'static>) {
    let mut buf = [0; 64];
    while let Ok(n @ 1..) = stream.read(&mut buf).await {
        if stream.write_all(&buf[..n]).await.is_err() {
            break;
        }
    }
}

async fn serve(node: Node<'static>) -> Result<(), cygnet::ListenError> {
    let listener = node.listen(7, Backlog(64))?;
    while let Ok((stream, _)) = listener.accept().await {
        if node.spawn(echo(stream)).is_err() {
            panic!("the bench has too few tasks");
        }
    }
    Ok(())
}

/// Opens every connection, then makes the requests one after another.
async fn ask(node: Node<'static>, plan: Plan, done: &Cell<u64>) {
    let streams = RefCell::new(Vec::new());
    for _ in 0..plan.connections {
        let remote = IpEndpoint::new(IpAddress::v4(10, 0, 0, 1), 7);
        streams.borrow_mut().push(node.connect(remote).await.expect("a connection"));
    }
    let mut streams = streams.into_inner();
    let (request, mut answer) = ([b'x'; 64], [0; 64]);
    for number in 0..plan.requests {
        let index = if plan.round { number as usize % streams.len() } else { 0 };
        let stream = &mut streams[index];
        stream.write_all(&request).await.expect("a request");
        let mut got = 0;
        while got < answer.len() {
            got += stream.read(&mut answer[got..]).await.expect("an answer");
        }
        done.set(done.get() + 1);
    }
    std::mem::forget(streams);
}

#[derive(Clone, Copy)]
struct Plan {
    connections: usize,
    requests: u64,
    round: bool,
}

fn run(plan: Plan) -> u64 {
    let (server, client) = (host!(1), host!(2));
    let wire: &'static Wire<FRAMES> = boxed(|| {
        Wire::new(Faults {
            latency: Duration::from_micros(50),
            ..Faults::default()
        })
    });
    let done: &'static Cell<u64> = boxed(|| Cell::new(0));
    server.spawn(serve(server)).expect("a server");
    client.spawn(ask(client, plan, done)).expect("a client");
    let (mut server_end, mut client_end) = wire.ends();
    let mut now = Instant::ZERO;
    turns(server, |server| {
        turns(client, |client| {
            while done.get() < plan.requests {
                let both = [
                    server_turn(server, &mut server_end, now),
                    client.turn(&mut client_end, now),
                ];
                let next = cygnet::pair::next(both, wire.next_delivery());
                now = next.expect("something to do").max(now + Duration::from_micros(1));
            }
        })
    });
    done.get()
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |index: usize| arguments.get(index).and_then(|text| text.parse().ok());
    let (Some(connections), Some(requests)) = (number(1), number(2)) else {
        eprintln!("usage: cygnet-bench CONNECTIONS REQUESTS [active|round]");
        std::process::exit(2);
    };
    let plan = Plan {
        connections: connections as usize,
        requests,
        round: arguments.get(3).is_some_and(|mode| mode == "round"),
    };
    println!("{} requests answered", run(plan));
}
