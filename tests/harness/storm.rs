//! A peer and a program that do anything at all, decided by a source of
//! numbers: dice in the storm, a fuzzer's bytes in the fuzz target, a file in
//! the test that replays its corpus. Segments are structured, in and out of
//! every window; the program reads, writes, closes, aborts, lends and limits as it is
//! told, opens its listeners anew, and its host reboots under it; time passes.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use cygnet::{Backlog, Node, TcpListener, TcpStream, TimeLimits, service};
use smoltcp::time::Duration;
use smoltcp::wire::{ArpOperation, EthernetAddress, TcpControl, TcpSeqNumber};

use super::peer::{Hands, Seg, arp, by_hand, mac, mend, syn};

/// Where decisions come from.
pub trait Source {
    /// A number below `sides`, which is at least one.
    fn roll(&mut self, sides: u64) -> u64;

    /// Whether there are decisions left.
    fn is_over(&self) -> bool;

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize]
    }
}

/// SplitMix64: enough to choose what to send. It is over after `left` steps.
pub struct Dice {
    pub state: u64,
    pub left: u64,
}

impl Source for Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.left = self.left.saturating_sub(1);
        ((u128::from(mixed ^ (mixed >> 31)) * u128::from(sides)) >> 64) as u64
    }

    fn is_over(&self) -> bool {
        self.left == 0
    }
}

/// What the peer believes of one of its connections.
#[derive(Clone, Copy)]
struct Belief {
    port: u16,
    /// The host's.
    to_port: u16,
    next: TcpSeqNumber,
    expects: TcpSeqNumber,
}

/// What a program does with a connection.
#[derive(Clone, Copy)]
enum Habit {
    Echo,
    Talk,
    Close,
    Abort,
    HalfClose,
    Peek,
    Lend,
    LendHalf,
    Call,
}

const HABITS: [Habit; 10] = [
    Habit::Echo,
    Habit::Talk,
    Habit::Close,
    Habit::Abort,
    Habit::HalfClose,
    Habit::Peek,
    Habit::Lend,
    Habit::Lend,
    Habit::LendHalf,
    Habit::Call,
];

/// `long` is how long what it reads is lent.
async fn live(node: Node<'_>, mut stream: TcpStream<'_>, habit: Habit, long_loan: Duration) {
    let long = Some(Duration::from_secs(20));
    stream.set_read_timeout(long);
    stream.set_write_timeout(long);
    let mut buf = [0; 100];
    match habit {
        Habit::Echo => service::echo_client(stream).await,
        Habit::Talk => {
            for _ in 0..20 {
                if stream.write_all(&[b'x'; 300]).await.is_err() {
                    return;
                }
            }
            let _ = stream.close().await;
        }
        Habit::Close => drop(stream.close().await),
        Habit::Abort => {
            let _ = stream.read(&mut buf).await;
            stream.abort();
        }
        Habit::HalfClose => {
            stream.shutdown();
            stream.set_keep_alive(Some(Duration::from_secs(3)));
            while let Ok(1..) = stream.read(&mut buf).await {}
        }
        Habit::Peek => {
            while let Ok(bytes @ [_, ..]) = stream.fill_buf().await {
                let half = bytes.len().div_ceil(2);
                if bytes.len() % 3 == 0 {
                    node.sleep(Duration::from_millis(30)).await;
                }
                stream.consume(half);
            }
        }
        // Longer than listeners are patient, and than a boot lasts.
        Habit::Lend => {
            for _ in 0..3 {
                let Ok(bytes @ [_, ..]) = stream.fill_buf().await else {
                    break;
                };
                let done = bytes.len() / 2;
                node.sleep(long_loan).await;
                match done % 3 {
                    0 => return,            // dropped as it is
                    1 => stream.shutdown(), // gives back, too
                    _ => (),
                }
                stream.consume(done);
            }
        }
        Habit::LendHalf => {
            let (mut reader, mut writer) = stream.into_split();
            let lent = matches!(reader.fill_buf().await, Ok([_, ..]));
            let call = node.connect(super::v4(9, CALLED));
            let _ = node.timeout(long_loan / 2, call).await;
            if lent && let Ok(wrote @ 10..) = writer.write_with(|room| (room.len(), 11)).await {
                reader.consume(wrote); // nothing was lent to the writer
            }
            drop(writer);
            node.sleep(long_loan / 2).await;
        }
        Habit::Call => {
            drop(stream);
            let call = node.connect(super::v4(9, CALLED));
            if let Ok(Ok(mut stream)) = node.timeout(Duration::from_secs(20), call).await {
                stream.set_limits(TimeLimits {
                    idle: long,
                    ..TimeLimits::DEFAULT
                });
                let _ = stream.write_all(b"hello").await;
                let _ = stream.readable().await;
            }
        }
    }
}

/// The peer's port that a program may connect to.
const CALLED: u16 = 1000;

/// Mostly right, sometimes near, seldom anywhere.
fn near(source: &mut impl Source, right: TcpSeqNumber) -> TcpSeqNumber {
    let off = match source.roll(10) {
        0..6 => 0,
        6 => source.roll(3) as i32 - 1,
        7 => source.roll(2000) as i32 - 1000,
        8 => source.roll(200_000) as i32 - 100_000,
        _ => source.roll(1 << 32) as i32,
    };
    TcpSeqNumber(right.0.wrapping_add(off))
}

fn random_segment(source: &mut impl Source, belief: &Belief) -> Seg {
    let payload = vec![7; source.pick(&[0, 0, 1, 10, 100, 600])];
    Seg {
        control: source.pick(&[
            TcpControl::None,
            TcpControl::None,
            TcpControl::Psh,
            TcpControl::Fin,
            TcpControl::Syn,
            TcpControl::Rst,
        ]),
        seq: near(source, belief.next),
        ack: (source.roll(12) > 0).then(|| near(source, belief.expects)),
        window: source.pick(&[0, 1, 100, 2000, 65_535]),
        scale: source.pick(&[None, Some(0), Some(3), Some(14), Some(200)]),
        mss: source.pick(&[None, Some(0), Some(1), Some(500), Some(1460), Some(65_535)]),
        sack: source.roll(2) == 0,
        timestamp: source.roll(4) == 0,
        payload,
        ..syn(9, belief.port, belief.to_port, 0)
    }
}

/// A segment, an ARP packet, or a damaged one of these.
fn random_frame(source: &mut impl Source, beliefs: &mut [Belief]) -> Vec<u8> {
    let index = source.roll(beliefs.len() as u64) as usize;
    let belief = &mut beliefs[index];
    let segment = match source.roll(5) {
        0 => Seg {
            seq: belief.next,
            ..syn(9, belief.port, belief.to_port, 0)
        },
        _ => random_segment(source, belief),
    };
    belief.next = belief.next + segment.payload.len() + segment.control.len();
    let mut frame = segment.frame();
    match source.roll(40) {
        0 => {
            let claims = source.pick(&[mac(segment.from), EthernetAddress([2, 7, 7, 7, 7, 7])]);
            let operation = source.pick(&[ArpOperation::Request, ArpOperation::Reply]);
            frame = arp(operation, segment.from, claims);
        }
        1 => frame[6..12].copy_from_slice(&[2, 7, 7, 7, 7, 7]),
        _ => (),
    }
    if source.roll(10) == 0 {
        let at = source.roll(frame.len() as u64) as usize;
        frame[at] ^= 1 << source.roll(8);
        if source.roll(2) == 0 {
            mend(&mut frame);
        }
    }
    frame
}

fn pause(source: &mut impl Source) -> Duration {
    match source.roll(20) {
        0 => Duration::from_secs(source.roll(40)),
        1..5 => Duration::from_millis(source.roll(2000)),
        _ => Duration::from_micros(source.roll(500)),
    }
}

/// A waker of another executor, or of a combinator.
struct Foreign(Waker);

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
    }
}

/// Polls both, one of them with a waker that is not the task's, until one ends.
async fn either(foreign: impl Future<Output = ()>, own: impl Future<Output = ()>) {
    let (mut foreign, mut own) = (pin!(foreign), pin!(own));
    poll_fn(|cx| {
        let waker = Waker::from(Arc::new(Foreign(cx.waker().clone())));
        let mut other = Context::from_waker(&waker);
        match foreign.as_mut().poll(&mut other) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => own.as_mut().poll(cx),
        }
    })
    .await;
}

/// Accepts for a while; a task for each connection.
async fn accept<'a>(node: Node<'a>, listener: &TcpListener<'a>, source: &'a RefCell<impl Source>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let (habit, limit, long_loan, goes_on) = {
            let mut source = source.borrow_mut();
            (
                source.pick(&HABITS),
                source.pick(&[None, Some(Duration::from_secs(2))]),
                source.pick(&LOANS),
                source.roll(8) > 0,
            )
        };
        stream.set_limits(TimeLimits {
            idle: limit,
            ..TimeLimits::DEFAULT
        });
        // Without a task for it the stream closes.
        let _ = node.spawn(Box::pin(live(node, stream, habit, long_loan)));
        if !goes_on {
            return;
        }
    }
}

/// How long a loan lasts.
const LOANS: [Duration; 4] = [
    Duration::from_millis(5),
    Duration::from_millis(300),
    Duration::from_secs(3),
    Duration::from_secs(20),
];

/// How idle a connection must be to give way.
const PATIENCES: [Option<Duration>; 4] = [
    None,
    Some(Duration::from_millis(2)),
    Some(Duration::from_millis(200)),
    Some(Duration::from_secs(30)),
];

/// Listens, two in line, and listens anew when that is over. The listener before is
/// dropped as late as can be: after a reboot, when the next one is there already.
async fn serve<'a>(node: Node<'a>, port: u16, source: &'a RefCell<impl Source>) {
    let mut last = None;
    loop {
        let Ok(listener) = node.listen(port, Backlog(2)) else {
            last = None;
            node.sleep(Duration::from_millis(1)).await;
            continue;
        };
        listener.reclaim_idle(source.borrow_mut().pick(&PATIENCES));
        drop(last.take());
        either(
            accept(node, &listener, source),
            accept(node, &listener, source),
        )
        .await;
        last = Some(listener);
    }
}

/// Sends what `source` decides, a few frames at a time, and lets time pass; now and
/// then the host reboots. Gives how many frames were sent.
fn rage(node: Node<'_>, hands: &mut Hands<'_>, source: &RefCell<impl Source>) -> u64 {
    let mut beliefs: Vec<Belief> = (0..5)
        .map(|index| Belief {
            port: CALLED + index,
            to_port: [7, 8][usize::from(index) % 2],
            next: TcpSeqNumber(source.borrow_mut().roll(1 << 32) as i32),
            expects: TcpSeqNumber(0),
        })
        .collect();
    let mut frames = 0;
    while !source.borrow().is_over() {
        let many = source.borrow_mut().roll(8) == 0;
        let burst = if many {
            source.borrow_mut().roll(20)
        } else {
            1
        };
        for _ in 0..burst {
            let frame = random_frame(&mut *source.borrow_mut(), &mut beliefs);
            frames += u64::from(hands.try_send_frame(&frame));
        }
        if source.borrow_mut().roll(30) == 0 {
            node.reboot([source.borrow_mut().roll(256) as u8; 16]);
            super::audit(node);
            for belief in &mut beliefs {
                belief.to_port = [7, 8][usize::from(belief.port) % 2];
            }
        }
        let pause = pause(&mut *source.borrow_mut());
        let before = hands.turns;
        for seen in hands.pass(pause) {
            if let Some(belief) = beliefs.iter_mut().find(|one| one.port == seen.to_port) {
                belief.to_port = seen.from_port;
                belief.expects = seen.seq + seen.payload.len() + seen.control.len();
                if let Some(ack) = seen.ack {
                    belief.next = ack; // so that the next one is in the window again
                }
            }
        }
        let turns = hands.turns - before;
        assert!(turns < 5000, "{turns} turns in {pause}");
    }
    frames
}

/// What a storm was.
#[derive(Clone, Copy, Debug, Default)]
pub struct Passed {
    /// Frames that the peer sent.
    pub frames: u64,
    /// Turns that the host took, each within its budget, each with its tables in
    /// order afterwards.
    pub turns: u64,
}

const SLOTS: u64 = 3;
const PARKED: u64 = 2;

/// Lets a storm rage until its source is over, and waits until it has passed.
/// Afterwards every slot is free.
pub fn storm(source: impl Source) -> Passed {
    let source = RefCell::new(source);
    let mut config = super::config(1);
    config.cookies = source.borrow_mut().roll(2) == 0;
    config.half_open_limit = source.borrow_mut().roll(3) as u16;
    config.mss_floor = source.borrow_mut().pick(&[0, 500]);
    config.frames_per_turn = source.borrow_mut().pick(&[1, 3, 64]);
    config.frames_per_slot = source.borrow_mut().pick(&[1, 2, 16]);
    let receives = u64::from(config.frames_per_turn);
    // An answer to each, what every slot may send, and what waited in line.
    let sends = receives + SLOTS * u64::from(config.frames_per_slot.max(2)) + PARKED;
    host!(server, 1, slots: 3, tasks: 10, bytes: 64, rx: 512, tx: 512, parked: 2, config: config, ready: ready());
    for port in [7, 8] {
        server
            .spawn(Box::pin(serve(server, port, &source)))
            .unwrap();
    }
    let mut passed = Passed::default();
    by_hand(server, |hands| {
        hands.pass(Duration::from_millis(1));
        passed.frames = rage(server, hands, &source);
        // Three loans and timeouts of 20 s, a close of 30 s, a last word,
        // TIME-WAIT, and again for what was parked.
        let before = hands.turns;
        hands.pass(Duration::from_secs(300));
        let turns = hands.turns - before;
        assert!(turns < 5000, "{turns} turns after the storm");
        passed.turns = hands.turns;
        let (received, sent) = hands.busiest.get();
        assert!(received <= receives, "{received} frames taken in a turn");
        assert!(sent <= sends, "{sent} frames sent in a turn");
        let used = server.counters().slots_used;
        let waiting: Vec<_> = server.waiting().map(|task| task.to_string()).collect();
        assert_eq!(used, 0, "{waiting:?}");
        assert_eq!(waiting.len(), 2, "both listeners: {waiting:?}");
    });
    passed
}

/// Decisions from bytes, as a fuzzer makes them.
pub struct Bytes<'b>(arbitrary::Unstructured<'b>);

impl<'b> Bytes<'b> {
    pub fn new(bytes: &'b [u8]) -> Self {
        Bytes(arbitrary::Unstructured::new(bytes))
    }
}

impl Source for Bytes<'_> {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0.int_in_range(0..=sides - 1).unwrap_or(0)
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whole frames from the fuzzer, each with a length before it, to a host that
/// echoes: with an open connection, and with cookies about.
pub fn hail(mut bytes: Bytes<'_>) {
    let mut config = super::config(1);
    config.cookies = bytes.roll(2) == 0;
    config.half_open_limit = 1;
    host!(server, 1, slots: 3, tasks: 10, bytes: 64, rx: 512, tx: 512, parked: 1, config: config, ready: ready());
    let serve = async {
        let listener = server.listen(7, Backlog(2)).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            let _ = server.spawn(Box::pin(live(server, stream, Habit::Echo, LOANS[0])));
        }
    };
    server.spawn(Box::pin(serve)).unwrap();
    by_hand(server, |hands| {
        hands.pass(Duration::from_millis(1));
        let reply = hands.open(&syn(9, 1000, 7, 1));
        let open = super::peer::answer(&reply, TcpControl::Psh, b"hello").frame();
        while !bytes.is_over() {
            // Bytes of the fuzzer over a good frame, or alone.
            let length = bytes.roll(1514) as usize;
            let mut frame = bytes
                .0
                .bytes(length.min(bytes.0.len()))
                .unwrap_or_default()
                .to_vec();
            if bytes.roll(2) == 0 {
                let mut good = open.clone();
                let at = bytes.roll(good.len() as u64) as usize;
                good.iter_mut()
                    .skip(at)
                    .zip(&frame)
                    .for_each(|(to, from)| *to = *from);
                frame = good;
            }
            if bytes.roll(4) != 0 {
                mend(&mut frame);
            }
            hands.try_send_frame(&frame);
            hands.pass(Duration::from_millis(bytes.roll(3000)));
        }
        hands.pass(Duration::from_secs(400));
        assert_eq!(server.counters().slots_used, 0);
    });
}

/// A ready set for one host after another on this thread.
fn ready() -> &'static cygnet::ReadySet<10> {
    thread_local!(static READY: &'static cygnet::ReadySet<10> = super::leak(cygnet::ReadySet::new()));
    READY.with(|ready| *ready)
}
