//! A fixed scenario: two hosts on a wire that loses, repeats, reorders and
//! damages frames, from one seed. Everything that happens on either is hashed.
//! The same program must give the same digest on every machine; which digest is
//! written in `boards/proof/digest.txt`.
//!
//! It needs 50 KiB, all of it static: the smallest board has 64.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use cygnet::event::Observer;
use cygnet::lab::pair;
use cygnet::lab::wire::{Faults, Wire};
use cygnet::service;
use cygnet::{Backlog, Config, Digest, Node, ReadySet, Stack, Storage, TaskStorage, Tasks};
use smoltcp::phy::DeviceCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint};
use static_cell::{ConstStaticCell, StaticCell};

/// What came out.
pub struct Outcome {
    pub digest: u128,
    pub events: u64,
    /// Virtual time.
    pub end: Instant,
    /// Conversations that went as they must; three.
    pub good: u32,
}

const SERVER: u8 = 1;
const CLIENT: u8 = 2;
const FAULTS: Faults = Faults {
    seed: 69,
    latency: Duration::from_millis(2),
    jitter: Duration::from_millis(3),
    loss_ppm: 40_000,
    duplicate_ppm: 20_000,
    corrupt_ppm: 20_000,
    ..Faults::NONE
};

type Memory = Storage<'static, 4, 512, 512>;
type Futures = TaskStorage<6, 1024>;

static MEMORY: [ConstStaticCell<Memory>; 2] = [const { ConstStaticCell::new(Storage::new()) }; 2];
static FUTURES: [ConstStaticCell<Futures>; 2] =
    [const { ConstStaticCell::new(TaskStorage::new()) }; 2];
static READY: [ReadySet<6>; 2] = [const { ReadySet::new() }; 2];
static STACKS: [StaticCell<Stack<'static>>; 2] = [const { StaticCell::new() }; 2];
static TASKS: [StaticCell<Tasks<'static>>; 2] = [const { StaticCell::new() }; 2];
static WIRE: ConstStaticCell<Wire<6>> = ConstStaticCell::new(Wire::new(FAULTS));
static DIGEST: StaticCell<Digest> = StaticCell::new();
static GOOD: AtomicU32 = AtomicU32::new(0);

/// Runs it, once: its memory is static.
pub fn run() -> Outcome {
    let (server, client) = (host(0, SERVER), host(1, CLIENT));
    let digest: &'static Digest = DIGEST.init(Digest::new());
    for node in [server, client] {
        node.set_observer(Some(digest as &dyn Observer));
    }
    spawn(server.spawn_named("hello", service::hello(server, 5000, Backlog(2))));
    spawn(server.spawn_named("echo", service::echo(server, 7, Backlog(2))));
    spawn(client.spawn_named("greet", greet(client)));
    for length in [3000, 700] {
        spawn(client.spawn_named("repeat", repeat(client, length)));
    }
    // Until the last of the three ends, and whatever is still on its way.
    let limit = Instant::from_secs(600);
    let wire = WIRE.take();
    let end = pair::run(wire, server, client, limit, |_| {
        client.counters().tasks_used == 0 && server.counters().slots_used == 0
    });
    Outcome {
        digest: digest.value(),
        events: digest.events(),
        end,
        good: GOOD.load(Relaxed),
    }
}

fn spawn<E: core::fmt::Debug>(spawned: Result<u32, E>) {
    spawned.expect("a free task that is large enough");
}

/// 10.0.0.`number`.
fn at(number: u8, port: u16) -> IpEndpoint {
    IpEndpoint::new(IpAddress::v4(10, 0, 0, number), port)
}

fn host(index: usize, number: u8) -> Node<'static> {
    let mut ethernet = DeviceCapabilities::default();
    ethernet.max_transmission_unit = 1514;
    let config = Config::new([2, 0, 0, 0, 0, number], [number; 16]);
    let stack = Stack::new(MEMORY[index].take(), &config, ethernet);
    let stack = STACKS[index].init(stack.expect("an Ethernet device"));
    let address = IpCidr::new(at(number, 0).addr, 24);
    stack.add_address(address).expect("a unicast address");
    let tasks = TASKS[index].init(Tasks::new(FUTURES[index].take(), &READY[index]));
    Node::new(stack, tasks)
}

/// Four requests, four times `Hello World`.
async fn greet(node: Node<'_>) -> Result<(), ()> {
    let mut stream = node.connect(at(SERVER, 5000)).await.map_err(drop)?;
    for _ in 0..4 {
        stream.write_all(b"swan").await.map_err(drop)?;
        let mut answer = [0; 12];
        let mut got = 0;
        while got < answer.len() {
            match stream.read(&mut answer[got..]).await.map_err(drop)? {
                0 => return Ok(()),
                count => got += count,
            }
        }
        if &answer != b"Hello World\n" {
            return Ok(());
        }
        node.sleep(Duration::from_millis(50)).await;
    }
    stream.close().await.map_err(drop)?;
    good();
    Ok(())
}

/// `length` bytes there and back, written while reading.
async fn repeat(node: Node<'_>, length: usize) -> Result<(), ()> {
    let mut stream = node.connect(at(SERVER, 7)).await.map_err(drop)?;
    let (mut sent, mut received) = (0, 0);
    while received < length {
        while sent < length && sent - received < 600 {
            let byte = [pattern(sent)];
            sent += stream.write(&byte).await.map_err(drop)?;
        }
        let mut bytes = [0; 64];
        let count = stream.read(&mut bytes).await.map_err(drop)?;
        let right = (received..).zip(&bytes[..count]);
        if count == 0 || !right.into_iter().all(|(at, byte)| *byte == pattern(at)) {
            return Ok(());
        }
        received += count;
    }
    stream.close().await.map_err(drop)?;
    good();
    Ok(())
}

fn pattern(at: usize) -> u8 {
    (at % 251) as u8
}

fn good() {
    GOOD.fetch_add(1, Relaxed);
}
