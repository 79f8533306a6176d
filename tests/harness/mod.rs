//! Two hosts, a wire and virtual time: what every behaviour test starts from.
#![allow(dead_code, unused_macros, unused_imports)]

pub mod peer;
pub mod pelted;

use std::io::Write;

use cygnet::lab::wire::{Wire, WireEnd};
use cygnet::{Backlog, Node, TcpStream, Turn, turns};
use smoltcp::time::{Duration, Instant};

/// Makes one host as locals of the calling function: `$node` is its handle.
/// `$number` is the last byte of its addresses.
#[macro_export]
macro_rules! host {
    ($node:ident, $number:literal, slots: $slots:literal, tasks: $tasks:literal) => {
        host!($node, $number, slots: $slots, tasks: $tasks, bytes: 2048, rx: 1024, tx: 1024)
    };
    ($node:ident, $number:literal, slots: $slots:literal, tasks: $tasks:literal,
     bytes: $bytes:literal, rx: $rx:literal, tx: $tx:literal) => {
        host!($node, $number, slots: $slots, tasks: $tasks, bytes: $bytes, rx: $rx, tx: $tx, parked: 0)
    };
    ($node:ident, $number:literal, slots: $slots:literal, tasks: $tasks:literal,
     bytes: $bytes:literal, rx: $rx:literal, tx: $tx:literal, parked: $parked:literal) => {
        host!($node, $number, slots: $slots, tasks: $tasks, bytes: $bytes, rx: $rx, tx: $tx,
            parked: $parked, config: $crate::harness::config($number))
    };
    ($node:ident, $number:literal, slots: $slots:literal, tasks: $tasks:literal,
     bytes: $bytes:literal, rx: $rx:literal, tx: $tx:literal, parked: $parked:literal,
     config: $config:expr) => {
        // Not a static: tests that share a helper run in threads of their own,
        // and two hosts must never share a ready set.
        host!($node, $number, slots: $slots, tasks: $tasks, bytes: $bytes, rx: $rx, tx: $tx,
            parked: $parked, config: $config,
            ready: $crate::harness::leak(cygnet::ReadySet::<$tasks>::new()))
    };
    ($node:ident, $number:literal, slots: $slots:literal, tasks: $tasks:literal,
     bytes: $bytes:literal, rx: $rx:literal, tx: $tx:literal, parked: $parked:literal,
     config: $config:expr, ready: $ready:expr) => {
        // Nobody waits in line unless a test is about it.
        let mut storage: cygnet::Storage<'_, $slots, $rx, $tx, 4, 8, $parked> =
            cygnet::Storage::new();
        let mut task_storage: cygnet::TaskStorage<$tasks, $bytes> = cygnet::TaskStorage::new();
        let stack = cygnet::Stack::new(
            &mut storage,
            &$config,
            $crate::harness::capabilities(),
        )
        .unwrap();
        for address in $crate::harness::addresses($number) {
            stack.add_address(address).unwrap();
        }
        stack.set_gateway($crate::harness::GATEWAY.into()).unwrap();
        let tasks = cygnet::Tasks::new(&mut task_storage, $ready);
        let $node = cygnet::Node::new(&stack, &tasks);
    };
}

pub mod storm;

use smoltcp::phy::DeviceCapabilities;
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint, Ipv4Address};

/// Whom every host asks to take along what is not for its network.
pub const GATEWAY: Ipv4Address = Ipv4Address::new(10, 0, 0, 254);

pub fn config(number: u8) -> cygnet::Config {
    let mut config = cygnet::Config::new([2, 0, 0, 0, 0, number], [number; 16]);
    config.cookies = false; // nor gets a cookie
    config
}

/// The same, and SYNs that find no place are answered by cookies.
pub fn with_cookies(number: u8) -> cygnet::Config {
    let mut config = config(number);
    config.cookies = true;
    config
}

pub fn capabilities() -> DeviceCapabilities {
    let mut capabilities = DeviceCapabilities::default();
    capabilities.max_transmission_unit = 1514;
    capabilities
}

/// 10.0.0.`number`, and fd00::`number` with IPv6.
pub fn addresses(number: u8) -> Vec<IpCidr> {
    #[allow(unused_mut, reason = "grows with IPv6")]
    let mut addresses = vec![IpCidr::new(IpAddress::v4(10, 0, 0, number), 24)];
    #[cfg(feature = "ipv6")]
    addresses.push(IpCidr::new(
        IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, number.into()),
        64,
    ));
    addresses
}

pub fn v4(number: u8, port: u16) -> IpEndpoint {
    IpEndpoint::new(IpAddress::v4(10, 0, 0, number), port)
}

#[cfg(feature = "ipv6")]
pub fn v6(number: u8, port: u16) -> IpEndpoint {
    IpEndpoint::new(IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, number.into()), port)
}

pub fn seconds(seconds: i64) -> Instant {
    Instant::from_secs(seconds)
}

/// Runs both hosts until both are done, nothing is left to happen, or `limit`; after
/// every round of turns their tables are checked. Returns the virtual time.
pub fn run<const F: usize>(wire: &Wire<F>, a: Node<'_>, b: Node<'_>, limit: Instant) -> Instant {
    run_until(wire, a, b, limit, |_| false)
}

/// The same, also until `stop` says so after a round of turns.
pub fn run_until<const F: usize>(
    wire: &Wire<F>,
    a: Node<'_>,
    b: Node<'_>,
    limit: Instant,
    mut stop: impl FnMut(Instant) -> bool,
) -> Instant {
    let (mut end_a, mut end_b) = wire.ends();
    let mut now = Instant::ZERO;
    turns(a, |turns_a| {
        turns(b, |turns_b| {
            loop {
                let left = turns_a.turn(&mut end_a, now);
                let right = turns_b.turn(&mut end_b, now);
                audit(a);
                audit(b);
                if stop(now) || now >= limit || (left, right) == (Turn::Done, Turn::Done) {
                    return now;
                }
                match next(left, right, wire.next_delivery()) {
                    Some(at) => now = at.max(now + Duration::from_micros(1)),
                    None => return now,
                }
            }
        })
    })
}

/// The tables of a host agree: asked after every turn of every harness.
pub fn audit(node: Node<'_>) {
    cygnet::lab::audit(node).unwrap_or_else(|broken| panic!("{broken}"));
}

/// When something happens next; a `Ready` host makes that now.
pub fn next(left: Turn, right: Turn, delivery: Option<Instant>) -> Option<Instant> {
    let wish = |turn| match turn {
        Turn::Ready => Some(Instant::ZERO),
        Turn::Idle(at) => at,
        Turn::Done => None,
    };
    wish(left)
        .into_iter()
        .chain(wish(right))
        .chain(delivery)
        .min()
}

/// One host on a wire with nobody at the other end, and a clock that `wait`
/// moves: what `event_loop` needs. A turn that follows another at once is one
/// microsecond later.
pub struct Alone<'w> {
    end: WireEnd<'w, 1>,
    pub now: Instant,
    asked: bool,
}

impl<'w> Alone<'w> {
    pub fn new(wire: &'w Wire<1>) -> Self {
        Alone {
            end: wire.ends().0,
            now: Instant::ZERO,
            asked: false,
        }
    }

    /// The time when no task was left.
    pub fn run(&mut self, node: Node<'_>) -> Instant {
        cygnet::event_loop(self, node);
        self.now
    }
}

impl<'w> cygnet::Platform for Alone<'w> {
    type Device = WireEnd<'w, 1>;

    fn device(&mut self) -> &mut Self::Device {
        &mut self.end
    }

    fn now(&mut self) -> Instant {
        if std::mem::replace(&mut self.asked, true) {
            self.now += Duration::from_micros(1);
        }
        self.now
    }

    fn wait(&mut self, deadline: Option<Instant>) {
        self.now = deadline.expect("no task is ready and none has a deadline");
        self.asked = false;
    }
}

/// A host that lives as long as the process.
pub fn lasting(number: u8) -> Node<'static> {
    let memory: &'static mut cygnet::Storage<'static, 4, 512, 512> = Box::leak(Box::default());
    let futures: &'static mut cygnet::TaskStorage<6, 2048> = Box::leak(Box::default());
    let ready: &'static cygnet::ReadySet<6> = Box::leak(Box::default());
    let stack = cygnet::Stack::new(memory, &config(number), capabilities()).unwrap();
    for address in addresses(number) {
        stack.add_address(address).unwrap();
    }
    let stack: &'static cygnet::Stack<'static> = Box::leak(Box::new(stack));
    let tasks = cygnet::Tasks::new(futures, ready);
    Node::new(stack, Box::leak(Box::new(tasks)))
}

/// Turns of one host, at times that the test decides.
pub fn alone<R>(node: Node<'_>, f: impl FnOnce(&mut dyn FnMut(Instant) -> Turn) -> R) -> R {
    let wire: Wire<1> = Wire::new(Default::default());
    let (mut end, _other) = wire.ends();
    turns(node, |turns| {
        f(&mut |now| {
            let turn = turns.turn(&mut end, now);
            audit(node);
            turn
        })
    })
}

/// The seeds that `CYGNET_SEEDS=A..B` asks for, or else these.
pub fn seeds(or_else: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let asked = std::env::var("CYGNET_SEEDS").ok();
    let range = asked.as_deref().and_then(|text| text.split_once(".."));
    match range.map(|(from, to)| (from.parse(), to.parse())) {
        Some((Ok(from), Ok(to))) => from..to,
        _ => or_else,
    }
}

/// Says that a test is left out, past the test runner's capture, or fails where nothing
/// may be.
pub fn skip(why: &str) {
    let all = std::env::var_os("CYGNET_REQUIRE_ALL").is_some_and(|value| value == "1");
    assert!(!all, "CYGNET_REQUIRE_ALL=1, and {why}");
    let _ = writeln!(std::io::stderr(), "skipped a test: {why}");
}

/// Every file of a fuzz target's corpus through its code. A package of the registry has
/// none.
pub fn corpus(target: &str, run: fn(&[u8])) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/").to_owned() + target;
    let Ok(files) = std::fs::read_dir(&folder) else {
        return skip(&format!("there is no {folder}"));
    };
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 20, "{folder} is nearly empty");
    for file in files {
        println!("{}", file.display());
        run(&std::fs::read(file).unwrap());
    }
}

/// Random bytes through the code of a fuzz target, so many times or as often as
/// `CYGNET_SEEDS` says.
pub fn random(often: u64, run: fn(&[u8])) {
    for seed in seeds(0..often) {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let byte = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        };
        println!("seed {seed}");
        run(&(0..400).map(byte).collect::<Vec<u8>>());
    }
}

/// Virtual time in milliseconds.
pub fn ms(millis: i64) -> Instant {
    Instant::from_millis(millis)
}

/// Leaks on purpose, where a leak detector sees that it is on purpose.
pub fn leak<T>(value: T) -> &'static T {
    static LEAKED: std::sync::Mutex<Vec<usize>> = std::sync::Mutex::new(Vec::new());
    let value = Box::leak(Box::new(value));
    LEAKED
        .lock()
        .unwrap()
        .push(std::ptr::from_ref(value) as usize);
    value
}

/// Two hosts with four slots each, and room for large test tasks.
#[macro_export]
macro_rules! pair {
    ($server:ident, $client:ident) => {
        host!($server, 1, slots: 4, tasks: 24, bytes: 64, rx: 1024, tx: 1024);
        host!($client, 2, slots: 4, tasks: 24, bytes: 64, rx: 1024, tx: 1024);
    };
}

/// The addresses of host `number`, one per IP version that is built in.
pub fn targets(number: u8, port: u16) -> Vec<IpEndpoint> {
    #[allow(unused_mut)]
    let mut targets = vec![v4(number, port)];
    #[cfg(feature = "ipv6")]
    targets.push(v6(number, port));
    targets
}

/// A perfect wire with one millisecond of latency.
pub const LAN: cygnet::lab::wire::Faults = cygnet::lab::wire::Faults {
    latency: Duration::from_millis(1),
    ..cygnet::lab::wire::Faults::NONE
};

/// Runs both parts to their ends, then waits a minute and looks whether every
/// slot of both hosts is free again. Returns when both parts had ended.
pub fn play<'a, 'b, const F: usize>(
    wire: &Wire<F>,
    a: Node<'a>,
    b: Node<'b>,
    part_a: impl Future<Output = ()> + 'a,
    part_b: impl Future<Output = ()> + 'b,
) -> Instant {
    let score = std::rc::Rc::new(Score {
        parts: 0.into(),
        rested: 0.into(),
        ended: Instant::ZERO.into(),
    });
    let (score_a, score_b) = (score.clone(), score.clone());
    a.spawn(Box::pin(async move {
        part_a.await;
        score_a.rest(a).await;
    }))
    .unwrap();
    b.spawn(Box::pin(async move {
        part_b.await;
        score_b.rest(b).await;
    }))
    .unwrap();
    let end = run(wire, a, b, seconds(100 * 3600));
    let waits = a.waiting().chain(b.waiting());
    let waits: Vec<_> = waits.map(|task| format!("{task:?}")).collect();
    assert_eq!(score.rested.get(), 2, "at {end}: {waits:#?}");
    score.ended.get()
}

struct Score {
    parts: std::cell::Cell<u32>,
    rested: std::cell::Cell<u32>,
    ended: std::cell::Cell<Instant>,
}

impl Score {
    async fn rest(&self, node: Node<'_>) {
        self.parts.set(self.parts.get() + 1);
        self.ended.set(self.ended.get().max(node.now()));
        while self.parts.get() < 2 {
            node.sleep(Duration::from_secs(1)).await;
        }
        node.sleep(Duration::from_secs(60)).await;
        assert_eq!(node.counters().slots_used, 0, "a slot leaked");
        self.rested.set(self.rested.get() + 1);
    }
}

/// Polls `future` `polls` times at most, then drops it.
pub async fn give_up_after<F: Future>(polls: u32, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    std::future::poll_fn(move |cx| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        let poll = future.as_mut().poll(cx);
        if poll.is_pending() && left == 0 {
            return std::task::Poll::Ready(None);
        }
        poll.map(Some)
    })
    .await
}

/// Bytes that show a loss, a repetition and a swap.
pub fn pattern(from: usize, buf: &mut [u8]) {
    for (at, byte) in buf.iter_mut().enumerate() {
        let at = from + at;
        *byte = (at ^ (at >> 8) ^ (at >> 16)) as u8;
    }
}

/// Runs `f` with a host of two slots, number 1.
pub fn host_with(f: impl for<'a> FnOnce(Node<'a>)) {
    host!(node, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    f(node);
}

/// Sends back what it reads, until the stream ends.
pub async fn echo(mut stream: TcpStream<'_>) {
    let mut buf = [0; 1024];
    while let Ok(n @ 1..) = stream.read(&mut buf).await {
        if stream.write_all(&buf[..n]).await.is_err() {
            break;
        }
    }
}

/// Serves [`echo`] on port 7; one task for each connection.
pub async fn echo_server(node: Node<'_>, backlog: u16) {
    let listener = node.listen(7, Backlog(backlog)).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = node.spawn(Box::pin(echo(stream)));
    }
}
