//! The machine that most hosts are: a real stack and real tasks of this library, and
//! a program that starts anew at every boot. Its memory is never freed, because
//! programs borrow from it for ever; when a world ends, the memory waits for the next
//! world's host of the same number and size.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use cygnet::lab::{Inconsistent, audit, move_in};
use cygnet::{
    Config, HeapError, HeapStorage, HeapTaskStorage, NameStorage, Node, Stack, StaticTurns,
    StorageSizes, Tasks, Turn, UdpStorage,
};
use smoltcp::phy::Device;
use smoltcp::time::Instant;

use super::card::Card;
use super::identity::{Identity, number};
use super::ids::HostId;
use super::log::{HostLog, Log};
use super::machine::{Broken, Entropy, Machine};

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

/// Ports for datagrams, datagrams in each ring, and their bytes; names that are asked for.
const SOCKETS: usize = 8;
const DATAGRAMS: usize = 4;
const BYTES: usize = 600;
const NAMES: usize = 8;

/// SYNs that wait for a slot.
const PARKED: usize = 256;

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
    fn new(id: HostId, size: Size) -> Result<Body, HeapError> {
        let number = number(id);
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
        let who = Identity::new(id, "");
        let config = config(&who);
        let memory = Box::leak(Box::new(memory));
        let stack = Stack::new(memory, &config, Card::default().capabilities())
            .expect("the address and the card are ours");
        let datagrams = Box::leak(Box::new(UdpStorage::<SOCKETS, DATAGRAMS, BYTES>::new()));
        stack.add_datagrams(datagrams).expect("once");
        let names = Box::leak(Box::new(NameStorage::<NAMES>::new()));
        stack.add_names(names).expect("once");
        let stack: &'static Stack<'static> = Box::leak(Box::new(stack));
        let tasks = Tasks::new(Box::leak(Box::new(futures)), ready);
        let node = Node::new(stack, Box::leak(Box::new(tasks)));
        let log: &'static HostLog = Box::leak(Box::default());
        node.set_observer(Some(log));
        Ok(Body { node, log })
    }
}

/// See the [module](self).
pub(super) struct Board {
    turns: Option<StaticTurns>,
    program: Program,
    body: Body,
    number: u32,
    size: Size,
    is_abandoned: bool,
    /// What it was told of its link last.
    link_is_down: bool,
    turns_taken: u64,
    /// How many it had taken when somebody asked whether it rests, and when its tables
    /// were checked.
    turns_before: u64,
    audited: Cell<u64>,
}

impl Board {
    pub(super) fn new(
        id: HostId,
        size: Size,
        program: Program,
        log: Rc<Log>,
    ) -> Result<Self, HeapError> {
        let body = Body::new(id, size)?;
        body.log.attach(id, log);
        Ok(Board {
            turns: None,
            program,
            body,
            number: number(id),
            size,
            is_abandoned: false,
            link_is_down: false,
            turns_taken: 0,
            turns_before: 0,
            audited: Cell::new(0),
        })
    }

    pub(super) fn node(&self) -> Node<'static> {
        self.body.node
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// When a timer of the stack or of a task is due, on the host's own clock.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.turns.as_ref()?.next_deadline()
    }

    /// Looks whether its tables agree.
    pub(super) fn audit(&self) -> Result<(), Inconsistent> {
        self.audited.set(self.turns_taken);
        audit(self.body.node)
    }

    /// Whether its tables are to be checked after this turn. The time that takes grows
    /// with its slots, and a turn's does not: only of a small one, and now and then.
    pub(super) fn is_due_for_audit(&self) -> bool {
        self.is_small() && self.turns_taken - self.audited.get() >= AUDIT_TURNS
    }

    /// Asked now and then: whether it has moved since its tables were checked, and has
    /// come to rest. A large one need not rest.
    pub(super) fn is_due_at_rest(&mut self) -> bool {
        let rests = std::mem::replace(&mut self.turns_before, self.turns_taken) == self.turns_taken;
        (rests || !self.is_small()) && self.audited.get() != self.turns_taken
    }

    fn is_small(&self) -> bool {
        self.size.slots <= 2 * Size::SMALL.slots
    }

    /// The most frames that one turn may receive, and may send.
    pub(super) fn budget(&self) -> (usize, usize) {
        let received = usize::from(FRAMES_PER_TURN);
        let sent = usize::from(FRAMES_PER_SLOT) * self.size.slots;
        (received, received + sent + PARKED)
    }

    /// Leaves everything as it is, for ever.
    pub(super) fn abandon(&mut self) {
        self.is_abandoned = true;
        std::mem::forget(self.turns.take());
    }
}

impl Machine for Board {
    fn boot(&mut self, who: &Identity, mut entropy: Entropy, _: Instant) -> Result<(), Broken> {
        self.power_off();
        self.turns_taken += 1; // as good as one
        let mut secret = [0; 16];
        entropy.fill(&mut secret);
        self.body.node.reboot(secret);
        move_in(self.body.node, &who.addresses);
        self.link_is_down = false;
        self.turns = Some(StaticTurns::new(self.body.node));
        (self.program)(self.body.node);
        Ok(())
    }

    /// A host whose program has ended is still there: its last connections time out in
    /// their own time.
    fn turn(&mut self, card: &mut Card, now: Instant) -> Result<Option<Instant>, Broken> {
        let Some(turns) = self.turns.as_mut() else {
            return Ok(None);
        };
        self.turns_taken += 1;
        if self.link_is_down == card.is_link_up() {
            self.link_is_down = !card.is_link_up();
            self.body.node.set_link(card.is_link_up());
        }
        Ok(match turns.turn(card, now) {
            Turn::Ready => Some(now),
            Turn::Idle(next) => next,
            Turn::Done => turns.next_deadline(),
        })
    }

    /// Every task is dropped.
    fn power_off(&mut self) {
        self.turns = None;
    }

    fn is_done(&self) -> bool {
        self.body.node.waiting().next().is_none()
    }
}

impl Drop for Board {
    /// The tasks end here; the memory waits. After a panic it may be in any
    /// state, and is left alone.
    fn drop(&mut self) {
        self.body.log.detach();
        if self.is_abandoned || std::thread::panicking() {
            return std::mem::forget(self.turns.take());
        }
        self.power_off();
        let key = (self.number, self.size);
        IDLE.with_borrow_mut(|idle| idle.entry(key).or_default().push(self.body));
    }
}

/// A small host is looked at after so many of its turns since it was last: what two tables
/// contradict each other about stays so for longer, as a rule.
const AUDIT_TURNS: u64 = 32;

/// Small limits, so that turns reach them.
const FRAMES_PER_TURN: u16 = 8;
const FRAMES_PER_SLOT: u16 = 2;

fn config(who: &Identity) -> Config {
    // Until it boots, and draws one.
    let mut config = Config::new(who.hardware.0, [1; 16]);
    config.frames_per_turn = FRAMES_PER_TURN;
    config.frames_per_slot = FRAMES_PER_SLOT;
    config
}
