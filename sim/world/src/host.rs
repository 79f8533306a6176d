//! A host of a world: a real stack and real tasks, a network card, a clock that
//! may run wrong, and a program that starts anew at every boot. Its memory is
//! never freed, because programs borrow from it for ever; when a world ends, the
//! memory waits for the next world's host of the same number and size.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use cygnet::{
    Config, HeapError, HeapStorage, HeapTaskStorage, Node, Stack, StaticTurns, StorageSizes, Tasks,
    Turn,
};
use smoltcp::phy::{Device, DeviceCapabilities, RxToken, TxToken};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

use super::draws::keyed;
use super::ids::HostId;
use super::log::{HostLog, Log};

/// How much memory a host has. Start from [`Size::SMALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// Connections.
    pub slots: usize,
    /// Receive buffer of each.
    pub rx_bytes: usize,
    /// Transmit buffer of each.
    pub tx_bytes: usize,
    /// Tasks.
    pub tasks: usize,
    /// What a task's future may need.
    pub task_bytes: usize,
}

impl Size {
    /// 16 connections of 2 KiB and 2 KiB, 24 tasks of 2 KiB.
    pub const SMALL: Size = Size {
        slots: 16,
        rx_bytes: 2048,
        tx_bytes: 2048,
        tasks: 24,
        task_bytes: 2048,
    };
}

/// What a host runs. Called at every boot; it spawns the first tasks.
pub(super) type Program = Box<dyn Fn(Node<'static>)>;

/// SYNs that wait for a slot.
const PARKED: usize = 256;
/// Frames that a network card holds for a host that does not look.
const RING: usize = 16;

/// What is never freed.
#[derive(Clone, Copy)]
struct Body {
    node: Node<'static>,
    log: &'static HostLog,
}

thread_local! {
    /// Bodies of worlds that ended, by number and size: addresses follow from
    /// the number, so they stay.
    static IDLE: RefCell<BTreeMap<(u32, Size), Vec<Body>>> = const { RefCell::new(BTreeMap::new()) };
}

impl Body {
    fn new(number: u32, size: Size) -> Result<Body, HeapError> {
        let idle = IDLE.with_borrow_mut(|idle| idle.get_mut(&(number, size))?.pop());
        if let Some(body) = idle {
            cygnet::lab::start_over(body.node, [0; 16]);
            return Ok(body);
        }
        let memory = HeapStorage::new(StorageSizes {
            listeners: 8,
            acceptors: size.tasks,
            parked: PARKED,
            ..StorageSizes::new(size.slots, size.rx_bytes, size.tx_bytes)
        })?;
        let futures = HeapTaskStorage::new(size.tasks, size.task_bytes)?;
        let ready = futures.leak_flags(None)?;
        let config = config(number);
        let memory = Box::leak(Box::new(memory));
        let stack = Stack::new(memory, &config, Card::default().capabilities())
            .expect("the address and the card are ours");
        for cidr in [
            IpCidr::new(address(number), 16),
            IpCidr::new(address_v6(number), 64),
        ] {
            stack.add_address(cidr).expect("two unicast addresses");
        }
        let stack: &'static Stack<'static> = Box::leak(Box::new(stack));
        let tasks = Tasks::new(Box::leak(Box::new(futures)), ready);
        let node = Node::new(stack, Box::leak(Box::new(tasks)));
        let log: &'static HostLog = Box::leak(Box::default());
        node.set_observer(Some(log));
        Ok(Body { node, log })
    }
}

pub(super) struct Host {
    pub(super) name: Rc<str>,
    pub(super) node: Node<'static>,
    pub(super) card: Card,
    pub(super) clock: Clock,
    pub(super) paused: bool,
    /// The one turn that is planned; others in the queue are stale.
    pub(super) wake_at: Option<Instant>,
    turns: Option<StaticTurns>,
    program: Program,
    body: Body,
    number: u32,
    size: Size,
    secret: u64,
    boots: u64,
    is_abandoned: bool,
}

impl Host {
    pub(super) fn new(
        id: HostId,
        name: &str,
        size: Size,
        secret: u64,
        program: Program,
        log: Rc<Log>,
    ) -> Result<Self, HeapError> {
        let number = number(id);
        let body = Body::new(number, size)?;
        body.log.attach(id, log);
        Ok(Host {
            name: name.into(),
            node: body.node,
            card: Card::default(),
            clock: Clock::default(),
            paused: false,
            wake_at: None,
            turns: None,
            program,
            body,
            number,
            size,
            secret,
            boots: 0,
            is_abandoned: false,
        })
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    pub(super) fn is_up(&self) -> bool {
        self.turns.is_some()
    }

    /// Power on: new sequence numbers and ports, no neighbors, the program from
    /// its beginning. The time since power on is zero again.
    pub(super) fn boot(&mut self, now: Instant) {
        self.crash();
        let mut secret = [0; 16];
        for (half, bytes) in (0..).zip(secret.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&keyed(self.secret, self.boots, half, 0).to_le_bytes());
        }
        self.boots += 1;
        self.node.reboot(secret);
        self.clock.restart(now);
        self.turns = Some(StaticTurns::new(self.node));
        (self.program)(self.node);
    }

    /// Power off: every task is dropped, nothing is sent.
    pub(super) fn crash(&mut self) {
        self.turns = None;
        self.paused = false;
        self.wake_at = None;
        self.card = Card::default();
    }

    /// One turn; `None` when the host is down. A host whose program has ended
    /// is still there: its last connections time out in their own time.
    pub(super) fn turn(&mut self, now: Instant) -> Option<Turn> {
        let local = self.clock.local(now);
        let turns = self.turns.as_mut()?;
        self.card.taken = 0;
        Some(match turns.turn(&mut self.card, local) {
            Turn::Done => Turn::Idle(turns.next_deadline()),
            other => other,
        })
    }

    /// Looks inside, between two steps: its tables must agree, and its next turn must
    /// be planned no later than its first timer. Gives the rule that is broken, and
    /// how. Costs a look at every slot.
    pub(super) fn audit(&self, now: Instant) -> Result<(), (&'static str, String)> {
        let name = &self.name;
        if let Err(wrong) = cygnet::lab::audit(self.node) {
            return Err(("tables", format!("{name}: {wrong}")));
        }
        let Some(due) = self.next_deadline().filter(|_| !self.paused) else {
            return Ok(());
        };
        // A host takes two turns at least a microsecond apart.
        let latest = self.clock.world(due).max(now).total_micros();
        let latest = Instant::from_micros(latest.saturating_add(1));
        match self.wake_at.is_none_or(|planned| planned > latest) {
            true => {
                let detail = format!("{name} has a timer at {due}, and no turn then");
                Err(("deadline", detail))
            }
            false => Ok(()),
        }
    }

    /// When a timer of the stack or of a task is due, on the host's own clock.
    fn next_deadline(&self) -> Option<Instant> {
        self.turns.as_ref()?.next_deadline()
    }

    /// Whether its tables may be checked after each turn: the time that takes grows
    /// with its slots, and a turn's does not.
    pub(super) fn is_small(&self) -> bool {
        self.size.slots <= 2 * Size::SMALL.slots
    }

    /// The most frames that one turn may receive, and may send.
    pub(super) fn budget(&self) -> (usize, usize) {
        let config = config(self.number);
        let received = usize::from(config.frames_per_turn);
        let sent = usize::from(config.frames_per_slot) * self.size.slots;
        (received, received + sent + PARKED)
    }
}

impl Host {
    /// Leaves everything as it is, for ever.
    pub(super) fn abandon(&mut self) {
        self.is_abandoned = true;
        std::mem::forget(self.turns.take());
    }
}

impl Drop for Host {
    /// The tasks end here; the memory waits. After a panic it may be in any
    /// state, and is left alone.
    fn drop(&mut self) {
        self.body.log.detach();
        if self.is_abandoned || std::thread::panicking() {
            return std::mem::forget(self.turns.take());
        }
        self.crash();
        let key = (self.number, self.size);
        IDLE.with_borrow_mut(|idle| idle.entry(key).or_default().push(self.body));
    }
}

/// Hosts are counted from one on the network.
fn number(id: HostId) -> u32 {
    id.0 as u32 + 1
}

/// Small limits, so that turns reach them.
fn config(number: u32) -> Config {
    let mut config = Config::new(hardware(number).0, [0; 16]);
    config.frames_per_turn = 8;
    config.frames_per_slot = 2;
    config
}

/// 02:00 and the host's number.
fn hardware(number: u32) -> EthernetAddress {
    let [a, b, c, d] = number.to_be_bytes();
    EthernetAddress([2, 0, a, b, c, d])
}

/// 10.0.0.1 is host 1, 10.0.1.0 host 256.
fn address(number: u32) -> IpAddress {
    let [_, _, high, low] = number.to_be_bytes();
    IpAddress::v4(10, 0, high, low)
}

/// fd00::1 is host 1.
fn address_v6(number: u32) -> IpAddress {
    IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, (number >> 16) as u16, number as u16)
}

pub(super) fn hardware_of(id: HostId) -> EthernetAddress {
    hardware(number(id))
}

pub(super) fn addresses(id: HostId) -> [IpAddress; 2] {
    [address(number(id)), address_v6(number(id))]
}

/// What a host believes the time to be: the time since it booted, drifting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    world: Instant,
    local: Instant,
    /// Parts per million too fast, or too slow.
    drift: i32,
}

impl Default for Clock {
    fn default() -> Self {
        Clock {
            world: Instant::ZERO,
            local: Instant::ZERO,
            drift: 0,
        }
    }
}

impl Clock {
    const MILLION: i128 = 1_000_000;

    fn restart(&mut self, now: Instant) {
        (self.world, self.local) = (now, Instant::ZERO);
    }

    /// From `now` on it runs this much too fast.
    pub(super) fn set_drift(&mut self, now: Instant, drift: i32) {
        let local = self.local(now);
        *self = Clock {
            world: now,
            local,
            drift: drift.max(-900_000),
        };
    }

    /// It jumps ahead: the core's time never goes back.
    pub(super) fn jump(&mut self, now: Instant, ahead: Duration) {
        let local = self.local(now) + ahead;
        (self.world, self.local) = (now, local);
    }

    pub(super) fn local(&self, now: Instant) -> Instant {
        let passed = i128::from(now.total_micros() - self.world.total_micros());
        let local = passed * (Self::MILLION + i128::from(self.drift)) / Self::MILLION;
        Instant::from_micros(self.local.total_micros().saturating_add(clamp(local)))
    }

    /// When the world's time is such that this clock shows at least `local`.
    pub(super) fn world(&self, local: Instant) -> Instant {
        let rate = Self::MILLION + i128::from(self.drift);
        let ahead = i128::from(local.total_micros()) - i128::from(self.local.total_micros());
        let passed = (ahead * Self::MILLION + rate - 1).div_euclid(rate);
        Instant::from_micros(self.world.total_micros().saturating_add(clamp(passed)))
    }
}

fn clamp(micros: i128) -> i64 {
    micros.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// A network card: frames in, frames out.
#[derive(Debug, Default)]
pub(super) struct Card {
    inbox: VecDeque<Vec<u8>>,
    pub(super) outbox: Vec<Vec<u8>>,
    /// Frames that the host took in this turn.
    pub(super) taken: usize,
}

impl Card {
    /// Takes a frame from the link. False when nobody has emptied the ring.
    pub(super) fn deliver(&mut self, frame: Vec<u8>) -> bool {
        let room = self.inbox.len() < RING;
        if room {
            self.inbox.push_back(frame);
        }
        room
    }
}

pub(super) struct Received(Vec<u8>);
pub(super) struct Room<'c>(&'c mut Vec<Vec<u8>>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let out = f(&mut frame);
        self.0.push(frame);
        out
    }
}

impl Device for Card {
    type RxToken<'a> = Received;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Room<'_>)> {
        let frame = self.inbox.pop_front()?;
        self.taken += 1;
        Some((Received(frame), Room(&mut self.outbox)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Room<'_>> {
        Some(Room(&mut self.outbox))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_on_a_wrong_clock_comes_at_the_first_moment_it_is_reached() {
        let at = Instant::from_micros;
        for drift in [-900_000, -100_000, -1, 0, 1, 50_000, 3_000_000] {
            let mut clock = Clock::default();
            clock.restart(at(1000));
            clock.set_drift(at(5000), drift);
            for micros in [4001, 4999, 1_000_000, 123_456_789] {
                let world = clock.world(at(micros));
                assert!(clock.local(world) >= at(micros), "{drift} {micros}");
                let before = world - Duration::from_micros(1);
                assert!(clock.local(before) < at(micros), "{drift} {micros}");
            }
        }
    }

    #[test]
    fn a_jump_goes_ahead_and_time_never_back() {
        let mut clock = Clock::default();
        let mut last = clock.local(Instant::ZERO);
        for step in 1..100 {
            let now = Instant::from_micros(step * 1000);
            match step % 3 {
                0 => clock.set_drift(now, -500_000),
                1 => clock.jump(now, Duration::from_millis(step as u64)),
                _ => clock.set_drift(now, 200_000),
            }
            assert!(clock.local(now) >= last);
            last = clock.local(now);
        }
    }
}
