//! How streams end: transfers of any size through buffers of any size, over wires that
//! lose, delay and damage, with slow readers and half-closes. Every byte comes, or an error
//! says that it does not; never does a stream end in order with bytes missing.
//!
//! `CYGNET_SEEDS=0..1000000 cargo test --profile checked -p cygnet --features alloc \
//! --test ends -- --nocapture` runs a million.
#![cfg(all(feature = "lab", feature = "alloc"))]
mod harness;

use cygnet::lab::pair;
use cygnet::lab::wire::{Faults, Wire};
use cygnet::{
    Backlog, HeapStorage, HeapTaskStorage, Node, OwnedReadHalf, OwnedWriteHalf, ReadError, Stack,
    StorageSizes, Tasks, TcpStream, TimeLimits, WriteError,
};
use futures_util::future::join;
use harness::{addresses, capabilities, config, pattern, seconds, targets};
use smoltcp::time::{Duration, Instant};
use std::cell::RefCell;

/// Numbers drawn from a seed (SplitMix64).
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % end
    }

    fn micros(&mut self, below: u64) -> Duration {
        Duration::from_micros(self.below(below))
    }

    /// A number whose binary logarithm is as likely to be one as another.
    fn size(&mut self, bits: std::ops::Range<u64>) -> usize {
        let bits = bits.start + self.below(bits.end - bits.start);
        ((1 << bits) + self.below(1 << bits)) as usize
    }
}

/// In which order a program does its two parts.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// It writes all, ends its side, and reads what there is.
    WritesFirst,
    /// It reads to the end, and answers.
    ReadsFirst,
    AtOnce,
}

/// One end of a transfer.
#[derive(Clone, Copy, Debug)]
struct Side {
    rx: usize,
    tx: usize,
    /// Bytes that it writes.
    bytes: usize,
    order: Order,
    /// It reads at most so many bytes, and then does something else so long.
    piece: usize,
    pause: Duration,
}

impl Side {
    fn drawn(draws: &mut Draws, order: Order) -> Side {
        let bytes = match draws.below(100) {
            0 => (1 << 20) + draws.below(1 << 20) as usize,
            _ => draws.size(6..18),
        };
        let is_slow = draws.below(4) == 0;
        Side {
            rx: draws.size(6..20),
            tx: draws.size(6..20),
            bytes,
            order,
            piece: draws.size(4..13),
            pause: match is_slow {
                true => draws.micros(50_000),
                false => Duration::ZERO,
            },
        }
    }

    fn sizes(&self) -> StorageSizes {
        StorageSizes::new(1, self.rx, self.tx)
    }
}

/// What became of a transfer, for either end: what it read until a clean end, and whether
/// everything that it wrote was taken.
type Fate = (Result<usize, ReadError>, Result<(), WriteError>);

async fn exchange(node: Node<'_>, stream: TcpStream<'_>, side: Side) -> Fate {
    let (mut reader, mut writer) = stream.into_split();
    match side.order {
        Order::WritesFirst => {
            let wrote = write(&mut writer, side).await;
            (read(node, &mut reader, side).await, wrote)
        }
        Order::ReadsFirst => {
            let got = read(node, &mut reader, side).await;
            (got, write(&mut writer, side).await)
        }
        Order::AtOnce => join(read(node, &mut reader, side), write(&mut writer, side)).await,
    }
}

async fn write(writer: &mut OwnedWriteHalf<'_>, side: Side) -> Result<(), WriteError> {
    let (mut at, mut buf) = (0, vec![0; 4096]);
    while at < side.bytes {
        let count = buf.len().min(side.bytes - at);
        pattern(at, &mut buf[..count]);
        writer.write_all(&buf[..count]).await?;
        at += count;
    }
    writer.shutdown();
    Ok(())
}

async fn read(
    node: Node<'_>,
    reader: &mut OwnedReadHalf<'_>,
    side: Side,
) -> Result<usize, ReadError> {
    let mut at = 0;
    let (mut buf, mut wish) = (vec![0; side.piece], vec![0; side.piece]);
    loop {
        let count = reader.read(&mut buf).await?;
        if count == 0 {
            return Ok(at);
        }
        pattern(at, &mut wish[..count]);
        assert_eq!(buf[..count], wish[..count], "at {at}");
        at += count;
        // A slow reader is no slower than a day.
        if side.pause > Duration::ZERO && at < 100 * side.piece {
            node.sleep(side.pause).await;
        }
    }
}

/// Room for the tasks of two hosts, which all transfers of a thread use.
struct Rooms {
    futures: [HeapTaskStorage; 2],
    flags: [cygnet::task::Ready; 2],
}

impl Rooms {
    fn new() -> Rooms {
        let futures = [0, 1].map(|_| HeapTaskStorage::new(1, 64).unwrap());
        let flags = [0, 1].map(|host| futures[host].leak_flags(None).unwrap());
        Rooms { futures, flags }
    }
}

/// A transfer both ways. Gives what became of it at the server and at the client; `None`:
/// the client got no connection.
fn transfer(seed: u64, rooms: &mut Rooms) -> (Option<[Fate; 2]>, [Side; 2]) {
    use Order::{AtOnce, ReadsFirst, WritesFirst};
    let mut draws = Draws(seed);
    // Two that write first fill each other's buffers, and two that read first wait.
    let orders = [
        (WritesFirst, ReadsFirst),
        (ReadsFirst, WritesFirst),
        (AtOnce, AtOnce),
        (AtOnce, WritesFirst),
        (ReadsFirst, AtOnce),
    ][draws.below(5) as usize];
    let sides = [
        Side::drawn(&mut draws, orders.0),
        Side::drawn(&mut draws, orders.1),
    ];
    let ppm = [0, 1_000, 20_000][draws.below(3) as usize];
    let wire: Box<Wire<64>> = Box::new(Wire::new(Faults {
        seed,
        latency: draws.micros(50_000),
        jitter: draws.micros(5_000),
        loss_ppm: ppm,
        duplicate_ppm: ppm,
        reorder_ppm: ppm,
        reorder_delay: draws.micros(20_000),
        corrupt_ppm: ppm / 4,
    }));
    let fates = [const { RefCell::new(None) }; 2];
    let mut memory = [0, 1].map(|end: usize| HeapStorage::new(sides[end].sizes()).unwrap());
    let [left, right] = &mut memory;
    let stacks = [(left, 1), (right, 2)].map(|(memory, number)| {
        let stack = Stack::new(memory, &config(number), capabilities()).unwrap();
        for address in addresses(number) {
            stack.add_address(address).unwrap();
        }
        stack
    });
    let [left, right] = &mut rooms.futures;
    let tasks = [
        Tasks::new(left, rooms.flags[0]),
        Tasks::new(right, rooms.flags[1]),
    ];
    let [server, client] = [0, 1].map(|end| Node::new(&stacks[end], &tasks[end]));
    let targets = targets(1, 7);
    let target = targets[draws.below(targets.len() as u64) as usize];
    let ends = [&fates[0], &fates[1]];
    let serve = async move {
        let listener = server.listen(7, Backlog(1)).unwrap();
        // Who writes all before it reads may take none of our bytes for long.
        listener.set_limits(TimeLimits {
            write_progress: Some(Duration::from_secs(3600)),
            ..TimeLimits::DEFAULT
        });
        if let Ok((stream, _)) = listener.accept().await {
            *ends[0].borrow_mut() = Some(exchange(server, stream, sides[0]).await);
        }
    };
    let ask = async move {
        match client.connect(target).await {
            Ok(stream) => {
                *ends[1].borrow_mut() = Some(exchange(client, stream, sides[1]).await);
            }
            Err(_) => server.close_listeners(),
        }
    };
    server.spawn(Box::pin(serve)).unwrap();
    client.spawn(Box::pin(ask)).unwrap();
    let limit = seconds(1_000_000);
    let over = |_: Instant| {
        [server, client]
            .iter()
            .all(|node| node.waiting().next().is_none())
    };
    let end = pair::run(&wire, server, client, limit, over);
    assert!(
        end < limit,
        "seed {seed}: nothing moves any more: {sides:?}"
    );
    let [served, asked] = [0, 1].map(|end| fates[end].take());
    (
        served.zip(asked).map(|(served, asked)| [served, asked]),
        sides,
    )
}

#[test]
fn every_byte_comes_or_an_error_says_that_it_does_not() {
    let mut rooms = Rooms::new();
    let (mut transfers, mut bytes, mut failed) = (0_u64, 0, 0_u64);
    for seed in harness::seeds(0..50) {
        let (fates, sides) = transfer(seed, &mut rooms);
        transfers += 1;
        let Some(fates) = fates else {
            failed += 1;
            println!("seed {seed}: no connection");
            continue;
        };
        for (end, (got, wrote)) in fates.into_iter().enumerate() {
            let written = sides[1 - end].bytes;
            if let Ok(got) = got {
                assert_eq!(
                    got, written,
                    "seed {seed}: a clean end, and bytes are missing"
                );
                bytes += got;
            }
            if got.is_err() || wrote.is_err() {
                failed += 1;
                println!("seed {seed}, end {end}: {got:?}, {wrote:?}");
            }
        }
    }
    println!("{transfers} transfers both ways, {bytes} bytes, {failed} failed and said so");
    assert!(failed * 500 <= transfers, "{failed} of {transfers} failed");
}
