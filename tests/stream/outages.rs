//! A wire that falls silent for a while, in one direction or in both, under a stream
//! that is full in both.

use super::*;
use cygnet::{Turn, turns};

/// smoltcp's retransmission timer begins at a second and doubles, so the next attempt
/// comes at most so long after the wire speaks again, and the outage's length.
const PATIENCE: Duration = Duration::from_secs(3);

/// An outage of 0.2 to 5 s, drawn from a seed, and which ways it silences.
#[derive(Clone, Copy, Debug)]
struct Outage {
    from: Instant,
    until: Instant,
    silent: [bool; 2],
}

impl Outage {
    fn drawn(seed: u64) -> Outage {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut draw = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        let from = Instant::from_micros(1_000_000 + draw(2_000_000) as i64);
        let length = Duration::from_micros(200_000 + draw(4_800_001));
        Outage {
            from,
            until: from + length,
            silent: [[true, false], [false, true], [true, true]][draw(3) as usize],
        }
    }

    fn length(&self) -> Duration {
        self.until - self.from
    }
}

/// Both hosts write without end and read what comes. Gives how long after the outage
/// each of them first read something that the other wrote, or why not.
fn outage(seed: u64) -> [Result<Duration, String>; 2] {
    pair!(server, client);
    let outage = Outage::drawn(seed);
    let wire: Box<Wire<64>> = Box::new(Wire::new(LAN));
    let now = Cell::new(Instant::ZERO);
    let is_out =
        |way: usize| outage.silent[way] && (outage.from..outage.until).contains(&now.get());
    let (forth, back) = (|_: &[u8]| !is_out(0), |_: &[u8]| !is_out(1));
    let (end_a, end_b) = wire.ends();
    let (mut end_a, mut end_b) = (end_a.with_filter(&forth), end_b.with_filter(&back));
    // What each has read, and when it read something first after the outage.
    let read = [const { Cell::new((0_usize, None::<Instant>)) }; 2];
    server
        .spawn(Box::pin(async {
            exchange(one(server).await, server, &read[0], outage).await;
        }))
        .unwrap();
    client
        .spawn(Box::pin(async {
            let target = targets(1, 7)[seed as usize % targets(1, 7).len()];
            let stream = client.connect(target).await.unwrap();
            exchange(stream, client, &read[1], outage).await;
        }))
        .unwrap();
    let limit = outage.until + outage.length() + PATIENCE;
    turns(server, |turns_a| {
        turns(client, |turns_b| {
            while now.get() < limit && read.iter().any(|read| read.get().1.is_none()) {
                let both: [Turn; 2] = [
                    turns_a.turn(&mut end_a, now.get()),
                    turns_b.turn(&mut end_b, now.get()),
                ];
                let Some(at) = next(both[0], both[1], wire.next_delivery()) else {
                    break;
                };
                now.set(at.max(now.get() + Duration::from_micros(1)));
            }
        });
    });
    read.map(|read| {
        let (bytes, first) = read.get();
        let what = || format!("{outage:?}: {bytes} bytes, nothing more by {}", now.get());
        first.map(|at| at - outage.until).ok_or_else(what)
    })
}

async fn exchange(
    stream: TcpStream<'_>,
    node: Node<'_>,
    read: &Cell<(usize, Option<Instant>)>,
    outage: Outage,
) {
    let (mut reader, mut writer) = stream.into_split();
    let write = async {
        let (mut at, mut buf) = (0, [0; 512]);
        loop {
            pattern(at, &mut buf);
            writer.write_all(&buf).await.unwrap();
            at += buf.len();
        }
    };
    let take = async {
        let (mut buf, mut wish) = ([0; 500], [0; 500]);
        loop {
            let count = reader.read(&mut buf).await.unwrap();
            let (at, first) = read.get();
            pattern(at, &mut wish[..count]);
            assert_eq!(buf[..count], wish[..count], "at {at}");
            let after = (node.now() >= outage.until).then_some(node.now());
            read.set((at + count, first.or(after)));
            // Nobody could look at every byte of a wire without a bandwidth.
            node.sleep(millis(1)).await;
        }
    };
    join(write, take).await;
}

/// The longest that it took, of these seeds.
fn outages(seeds: std::ops::Range<u64>) -> Duration {
    let mut longest = Duration::ZERO;
    for seed in seeds {
        for moved in outage(seed) {
            let moved = moved.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
            longest = longest.max(moved);
        }
    }
    longest
}

#[test]
fn after_an_outage_both_directions_move_again_in_time() {
    let longest = outages(0..60);
    assert!(
        longest > Duration::from_millis(500),
        "the wire was never out"
    );
}

/// `CYGNET_SEEDS=0..10000 cargo test --profile checked -p cygnet --test stream -- \\
/// --ignored --nocapture outages`
#[test]
#[ignore = "a survey: takes minutes"]
fn after_thousands_of_outages_both_directions_move_again_in_time() {
    let longest = outages(seeds(0..1000));
    println!("the longest after the wire spoke again: {longest}");
}
