//! Whole networks under faults, repeatable from a seed.

use std::cell::Cell;
use std::rc::Rc;

use cygnet::{Backlog, Node, TcpStream, service};
use cygnet_world::{Ended, Fault, HostId, Link, LinkId, Size, Verdict, World};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpEndpoint;

const PORT: u16 = 7;

fn seconds(seconds: i64) -> Instant {
    Instant::from_secs(seconds)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_world_that_may_run_for_ever_runs_until_nothing_is_left() {
    let mut world = World::new(1);
    let host = world.host("sleeper", |node| {
        node.spawn(node.sleep(Duration::from_secs(3600))).unwrap();
        node.spawn(node.sleep(Duration::MAX)).unwrap();
    });
    assert_eq!(world.run_for(Duration::MAX), Ended::Quiet);
    assert_eq!(world.node(host).now(), seconds(3600));
    world.audit();
    assert!(world.violation().is_none());
}

/// Every fault a link can have, at once.
const CHAOS: Link = Link {
    latency: millis_const(5),
    jitter: millis_const(3),
    bytes_per_second: 1_000_000,
    queue_bytes: 64 << 10,
    loss: 50_000,
    duplicate: 20_000,
    reorder: 50_000,
    hold: millis_const(20),
    corrupt: 30_000,
    spike: 20_000,
    spike_delay: millis_const(300),
    ..Link::LAN
};

/// Faults that touched nothing in any run so far.
#[derive(Default)]
struct Idle(Option<Vec<&'static str>>);

impl Idle {
    fn keep(&mut self, world: &World) {
        let untouched = world.untouched();
        let names = self.0.get_or_insert_with(|| untouched.clone());
        names.retain(|name| untouched.contains(name));
    }

    fn is_empty(&self) {
        assert_eq!(self.0, Some(Vec::new()), "faults without any effect");
    }
}

/// So many seeds, or those of `CYGNET_SEEDS=A..B`.
fn seeds(few: u64) -> std::ops::Range<u64> {
    let asked = std::env::var("CYGNET_SEEDS").ok();
    let range = asked.as_deref().and_then(|text| text.split_once(".."));
    match range.map(|(a, b)| (a.parse(), b.parse())) {
        Some((Ok(a), Ok(b))) => a..b,
        _ => 0..few,
    }
}

const fn millis_const(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The echo service, which asks silent peers whether they are still there: when
/// a peer's last FINs and its reset are all lost, nothing else would tell.
fn echo_server(node: Node<'static>) {
    let client = |mut stream: TcpStream<'static>| async move {
        stream.set_keep_alive(Some(Duration::from_secs(20)));
        service::echo_client(stream).await;
    };
    let server = service::serve(node, "echo", PORT, Backlog(8), client);
    node.spawn(server).expect("a free task");
}

/// Byte `at` of what client `number` says.
fn said(number: usize, at: usize) -> u8 {
    (at * 31 + number * 7 + (at >> 8)) as u8
}

/// Opens a connection, sends `bytes` bytes in pieces and checks what comes back;
/// begins again from the start when the connection is cut.
async fn converse(node: Node<'static>, target: IpEndpoint, number: usize, bytes: usize) {
    while !attempt(node, target, number, bytes).await {
        node.sleep(millis(200 + 10 * number as u64)).await;
    }
}

async fn attempt(node: Node<'static>, target: IpEndpoint, number: usize, bytes: usize) -> bool {
    let Ok(mut stream) = node.connect(target).await else {
        return false;
    };
    stream.set_read_timeout(Some(Duration::from_secs(30)));
    stream.set_write_timeout(Some(Duration::from_secs(30)));
    let (mut sent, mut heard) = (0, 0);
    let mut buffer = [0; 256];
    while heard < bytes {
        let piece = (bytes - sent).min(1 + (sent + number) % 200);
        for (offset, byte) in buffer[..piece].iter_mut().enumerate() {
            *byte = said(number, sent + offset);
        }
        if stream.write_all(&buffer[..piece]).await.is_err() {
            return false;
        }
        sent += piece;
        while heard < sent {
            let Ok(count @ 1..) = stream.read(&mut buffer).await else {
                return false;
            };
            for byte in &buffer[..count] {
                assert_eq!(*byte, said(number, heard), "client {number}, byte {heard}");
                heard += 1;
            }
        }
    }
    // All is said and heard; how the connection ends is the network's business.
    let _ = stream.close().await;
    true
}

/// A server and clients around a switch.
struct Village {
    world: World,
    server: HostId,
    clients: Vec<HostId>,
    links: Vec<LinkId>,
}

fn village(seed: u64, clients: usize, bytes: usize, link: Link) -> Village {
    let mut world = World::new(seed);
    let switch = world.switch();
    let server = world.host("server", echo_server);
    let mut links = vec![world.connect(server, switch, link)];
    let target = world.endpoint(server, PORT);
    let clients = (0..clients)
        .map(|number| {
            let client = world.host("client", move |node| {
                let talk = converse(node, target, number, bytes);
                node.spawn(talk).expect("a free task");
            });
            // Two flips on one path can cancel out in TCP's sixteen-bit sum (seen
            // in 1 of 1,000 seeds), so only the server's link flips bits.
            let link = Link { corrupt: 0, ..link };
            links.push(world.connect(client, switch, link));
            client
        })
        .collect();
    Village {
        world,
        server,
        clients,
        links,
    }
}

impl Village {
    fn all_done(&self) -> impl Fn(&World) -> bool + use<> {
        let clients = self.clients.clone();
        move |world| clients.iter().all(|&client| world.is_done(client))
    }

    /// Faults end, everything must finish, and nothing may be left behind.
    fn settle(&mut self, limit: i64) {
        self.world.heal();
        let done = self.all_done();
        let ended = self.world.run_until(seconds(limit), &done);
        assert_eq!(ended, Ended::Stopped, "{}", self.world.waiting());
        // TIME-WAIT and half of the peers' goodbyes.
        self.world.run_for(Duration::from_secs(120));
        for host in self.clients.iter().chain([&self.server]) {
            let used = self.world.counters(*host).slots_used;
            assert_eq!(used, 0, "{host:?}: {}", self.world.waiting());
        }
        let left = self.world.node(self.server).waiting().count();
        assert_eq!(left, 1, "only the listener: {}", self.world.waiting());
    }
}

#[test]
fn a_healthy_network_serves_everybody() {
    let mut village = village(1, 5, 5000, Link::LAN);
    let done = village.all_done();
    assert_eq!(village.world.run_until(seconds(10), done), Ended::Stopped);
    village.settle(11);
    assert_eq!(village.world.counters(village.server).accepts, 5);
    assert_eq!(village.world.counters(village.server).resets, 0);
}

#[test]
fn under_every_link_fault_all_bytes_are_intact_and_nothing_is_left() {
    let mut idle = Idle::default();
    for seed in seeds(20) {
        println!("seed {seed}");
        let mut village = village(seed, 4, 4000, CHAOS);
        village.world.run_until(seconds(60), village.all_done());
        village.settle(900);
        idle.keep(&village.world);
    }
    idle.is_empty();
}

#[test]
fn the_same_seed_is_the_same_run_and_another_seed_is_another() {
    let run = |seed| {
        let mut village = village(seed, 4, 3000, CHAOS);
        village.world.at(seconds(1), Fault::Boot(village.server));
        village.world.run_until(seconds(20), |_| false);
        (
            village.world.digest(),
            village.world.events(),
            village.world.frames(),
        )
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).0, run(4).0);
}

#[test]
fn a_server_that_crashes_and_boots_serves_again() {
    let mut unheard = 0;
    for seed in seeds(5) {
        let mut village = village(
            seed,
            3,
            20_000,
            Link {
                loss: 10_000,
                ..CHAOS
            },
        );
        let server = village.server;
        for round in 0..3 {
            village
                .world
                .at(seconds(2 + 4 * round), Fault::Crash(server));
            village
                .world
                .at(seconds(3 + 4 * round), Fault::Boot(server));
        }
        village.world.run_until(seconds(15), |_| false);
        village.settle(900);
        let effects = village.world.effects();
        assert_eq!((effects.crashed, effects.rebooted), (3, 3));
        unheard += effects.unheard;
    }
    assert!(unheard > 0, "nobody ever talked to the dead host");
}

#[test]
fn a_partition_stops_one_way_or_both_and_heals() {
    let mut idle = Idle::default();
    for (forth, back) in [(true, false), (false, true), (true, true)] {
        let mut village = village(5, 2, 50_000, CHAOS);
        let link = village.links[0];
        let partition = |forth, back| Fault::Partition { link, forth, back };
        village.world.at(seconds(2), partition(forth, back));
        village.world.run_until(seconds(2), |_| false);
        let before = village.world.counters(village.server);
        village.world.run_until(seconds(12), |_| false);
        let after = village.world.counters(village.server);
        if back {
            let frames = after.frames_in - before.frames_in;
            assert!(frames < 20, "{frames} frames came through"); // those on their way
        } else {
            assert!(after.frames_in > before.frames_in);
        }
        village.settle(900);
        idle.keep(&village.world);
    }
    idle.is_empty();
}

#[test]
fn paused_hosts_and_wrong_clocks_lose_nothing() {
    let mut idle = Idle::default();
    for seed in seeds(5) {
        let mut village = village(seed, 3, 20_000, CHAOS);
        let (server, client) = (village.server, village.clients[0]);
        let world = &mut village.world;
        world.at(seconds(1), Fault::Drift(server, 400_000));
        world.at(seconds(1), Fault::Drift(client, -400_000));
        world.at(seconds(2), Fault::Pause(server));
        world.at(seconds(5), Fault::Resume(server));
        world.at(seconds(6), Fault::Jump(client, Duration::from_secs(3)));
        world.at(seconds(7), Fault::Jump(server, Duration::from_secs(1)));
        world.run_until(seconds(20), |_| false);
        village.settle(900);
        idle.keep(&village.world);
    }
    idle.is_empty();
}

#[test]
fn a_rule_of_the_tests_own_meets_the_third_syn_ack() {
    let mut village = village(0, 5, 100, Link::LAN);
    let seen = Rc::new(Cell::new(0));
    let count = seen.clone();
    // Server to switch is forth. IPv4, TCP, SYN and ACK.
    let rule = move |_, frame: &[u8]| {
        let syn_ack = frame.len() > 47 && frame[12..14] == [8, 0] && frame[47] & 0x12 == 0x12;
        count.set(count.get() + u32::from(syn_ack));
        match syn_ack && count.get() == 3 {
            true => Verdict::Drop,
            false => Verdict::Pass,
        }
    };
    village.world.rule(village.links[0], true, Rc::new(rule));
    let done = village.all_done();
    village.world.run_until(seconds(60), done);
    assert_eq!(village.world.effects().ruled, 1);
    assert_eq!(seen.get(), 6, "five and a retransmission");
    assert!(
        village.world.now() > seconds(1),
        "which comes after a second"
    );
}

#[test]
fn a_world_that_spins_ends_with_its_budget() {
    let mut world = World::new(0);
    world.host("spinner", |node| {
        let spin = async move {
            loop {
                node.yield_now().await;
            }
        };
        node.spawn(spin).expect("a free task");
    });
    world.set_budget(1000);
    assert_eq!(world.run_until(seconds(60), |_| false), Ended::Budget);
    assert!(
        world.now() < seconds(1),
        "time passes, a microsecond a turn"
    );
}

#[test]
fn a_world_where_nothing_happens_is_quiet() {
    let mut world = World::new(0);
    let host = world.host("idle", |_| ());
    assert_eq!(world.run_until(seconds(60), |_| false), Ended::Quiet);
    assert!(world.is_done(host));
}

#[test]
fn a_fault_that_touched_nothing_is_named() {
    let mut world = World::new(0);
    let (a, b) = (world.host("a", |_| ()), world.host("b", |_| ()));
    world.connect(
        a,
        b,
        Link {
            loss: 500_000,
            ..Link::LAN
        },
    );
    world.at(seconds(1), Fault::Crash(b));
    world.run_until(seconds(10), |_| false);
    assert_eq!(world.untouched(), ["lost"]);
}

#[test]
fn a_world_on_memory_used_before_does_the_same() {
    let run = |seed| {
        let mut village = village(seed, 4, 3000, CHAOS);
        village.world.at(seconds(1), Fault::Boot(village.server));
        village.world.run_until(seconds(30), |_| false);
        (village.world.digest(), village.world.events())
    };
    // A thread has its own memory: this one's is fresh.
    let fresh = std::thread::spawn(move || run(11)).join().unwrap();
    run(12);
    run(13);
    assert_eq!(run(11), fresh);
}

#[test]
fn what_was_recorded_can_be_told() {
    let run = |mut world: World| {
        let server = world.host_with_secret("server", Size::SMALL, 1, echo_server);
        let target = world.endpoint(server, PORT);
        let client = world.host_with_secret("client", Size::SMALL, 2, move |node| {
            node.spawn(converse(node, target, 1, 9000))
                .expect("a free task");
        });
        world.connect(server, client, CHAOS);
        world.record();
        world.run_until(seconds(60), |_| false);
        (world.digest(), world.effects(), world.fates())
    };
    let drawn = run(World::new(3));
    assert!(drawn.1.lost > 0 && drawn.1.corrupted > 0 && drawn.1.duplicated > 0);
    assert_eq!(run(World::told(drawn.2.clone())), drawn);
}

#[test]
fn a_rule_of_the_users_own_ends_the_run_with_its_name() {
    let mut village = village(1, 3, 5000, Link::LAN);
    let server = village.server;
    village.world.invariant("few", move |world| {
        let used = world.counters(server).slots_used;
        if used > 2 {
            Err(format!("{used} slots"))
        } else {
            Ok(())
        }
    });
    let ended = village.world.run_until(seconds(10), |_| false);
    assert_eq!(ended, Ended::Violated);
    let violation = village.world.violation().unwrap();
    assert_eq!(
        (violation.invariant, &*violation.detail),
        ("few", "3 slots")
    );
}
