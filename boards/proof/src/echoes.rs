//! What an echo costs the server, in instructions: client and server on one
//! board, a cable in memory, a clock that stands still. Each turn of the
//! server receives one request of 64 bytes and sends one answer, which carries
//! the acknowledgement; only these turns are counted.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use cygnet::{Backlog, Config, Node, ReadySet, Stack, Storage, TaskStorage, Tasks};
use cygnet::{TcpStream, Turn, service, turns};
use smoltcp::phy::Device;
use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint};
use static_cell::{ConstStaticCell, StaticCell};

use crate::cable::{Cable, End};

/// Requests that are counted, shared out among the connections in turns.
pub const ECHOES: u32 = 400;
const REQUEST: usize = 64;
const SERVER: IpAddress = IpAddress::v4(10, 0, 0, 1);

/// Everything two hosts with `N` connections need; a run uses it up. `TASKS`
/// is one more.
pub struct Hosts<const N: usize, const TASKS: usize> {
    memory: [ConstStaticCell<Storage<'static, N, 256, 64>>; 2],
    server: ConstStaticCell<TaskStorage<TASKS, 832>>,
    client: ConstStaticCell<TaskStorage<1, 1792>>,
    server_ready: ReadySet<TASKS>,
    client_ready: ReadySet<1>,
    stacks: [StaticCell<Stack<'static>>; 2],
    tasks: [StaticCell<Tasks<'static>>; 2],
    cable: ConstStaticCell<Cable>,
}

impl<const N: usize, const TASKS: usize> Hosts<N, TASKS> {
    /// For a static.
    #[allow(clippy::new_without_default, reason = "only ever a static")]
    pub const fn new() -> Self {
        Hosts {
            memory: [const { ConstStaticCell::new(Storage::new()) }; 2],
            server: ConstStaticCell::new(TaskStorage::new()),
            client: ConstStaticCell::new(TaskStorage::new()),
            server_ready: ReadySet::new(),
            client_ready: ReadySet::new(),
            stacks: [const { StaticCell::new() }; 2],
            tasks: [const { StaticCell::new() }; 2],
            cable: ConstStaticCell::new(Cable::new()),
        }
    }

    fn stack(&'static self, index: usize, end: &End<'_>) -> &'static Stack<'static> {
        let number = index as u8 + 1;
        let config = Config::new([2, 0, 0, 0, 0, number], [number; 16]);
        let stack = Stack::new(self.memory[index].take(), &config, end.capabilities());
        let stack = self.stacks[index].init(stack.expect("an Ethernet device"));
        let address = IpCidr::new(IpAddress::v4(10, 0, 0, number), 24);
        stack.add_address(address).expect("a unicast address");
        stack
    }

    /// Instructions of the server per echo, on one connection after the other.
    /// `count` reads a counter of instructions that only grows.
    pub fn run(&'static self, mut count: impl FnMut() -> u64) -> u64 {
        let (mut near, mut far) = self.cable.take().ends();
        let tasks = Tasks::new(self.server.take(), &self.server_ready);
        let server = Node::new(self.stack(0, &near), self.tasks[0].init(tasks));
        let tasks = Tasks::new(self.client.take(), &self.client_ready);
        let client = Node::new(self.stack(1, &far), self.tasks[1].init(tasks));
        let echo = service::echo(server, 7, Backlog(N as u16));
        server.spawn(echo).expect("a free task");
        let asked = ask::<N>(client);
        client
            .spawn(asked)
            .expect("a free task that is large enough");

        let now = Instant::from_secs(1);
        let nothing = (0..16).map(|_| cost(&mut count, || ())).min().unwrap_or(0);
        let mut total = 0;
        turns(server, |server| {
            turns(client, |client| {
                while client.turn(&mut far, now) != Turn::Done {
                    let cost = cost(&mut count, || _ = server.turn(&mut near, now));
                    if MEASURING.load(Relaxed) {
                        total += cost.saturating_sub(nothing);
                    }
                }
            })
        });
        total / u64::from(ECHOES)
    }
}

/// Between the first request and the last.
static MEASURING: AtomicBool = AtomicBool::new(false);

/// What `f` takes.
fn cost(count: &mut impl FnMut() -> u64, f: impl FnOnce()) -> u64 {
    let start = count();
    f();
    count() - start
}

/// Opens the connections, asks once on each, and then on one after the other.
async fn ask<const N: usize>(node: Node<'_>) -> Result<(), ()> {
    let mut streams = [const { None }; N];
    for place in &mut streams {
        let stream = node.connect(IpEndpoint::new(SERVER, 7)).await;
        request(place.insert(stream.map_err(drop)?)).await?;
    }
    MEASURING.store(true, Relaxed);
    let mut left = ECHOES;
    'all: loop {
        for stream in streams.iter_mut().flatten() {
            if left == 0 {
                break 'all;
            }
            request(stream).await?;
            left -= 1;
        }
    }
    MEASURING.store(false, Relaxed);
    for stream in streams.into_iter().flatten() {
        stream.abort();
    }
    Ok(())
}

/// 64 bytes there and back.
async fn request(stream: &mut TcpStream<'_>) -> Result<(), ()> {
    let mut bytes = [b'x'; REQUEST];
    stream.write_all(&bytes).await.map_err(drop)?;
    let mut got = 0;
    while got < REQUEST {
        match stream.read(&mut bytes[got..]).await.map_err(drop)? {
            0 => return Err(()),
            count => got += count,
        }
    }
    Ok(())
}
