//! A deterministic network: hosts with real stacks and tasks, links and
//! switches between them, and faults, on virtual time. One seed decides every
//! loss, delay, duplicate and flipped bit; the same seed gives the same run, on
//! every machine.
//!
//! A host is the core as it runs on a board, stepped turn by turn; its frames
//! are real Ethernet frames with checksums on. The world's queue orders what
//! happens by time, then faults before deliveries before turns, then host, then
//! age, and time jumps from one event to the next.
//!
//! ```
//! use cygnet::{Backlog, service};
//! use cygnet_sim::world::{Fault, Link, World};
//! use smoltcp::time::{Duration, Instant};
//!
//! let mut world = World::new(7);
//! let server = world.host("server", |node| {
//!     node.spawn(service::echo(node, 7, Backlog(4))).expect("a free task");
//! });
//! let target = world.endpoint(server, 7);
//! let client = world.host("client", move |node| {
//!     let visit = async move {
//!         let mut stream = node.connect(target).await.expect("a connection");
//!         stream.write_all(b"swan").await.expect("room");
//!         let mut answer = [0; 4];
//!         assert_eq!(stream.read(&mut answer).await, Ok(4));
//!         stream.close().await.expect("an orderly end");
//!     };
//!     node.spawn(visit).expect("a free task");
//! });
//! world.connect(server, client, Link { loss: 200_000, ..Link::LAN });
//! world.run_until(Instant::from_secs(600), |world| world.is_done(client));
//! assert!(world.is_done(client));
//! assert_eq!(world.untouched(), [], "a fault that had no effect proves nothing");
//! ```
//!
//! Not here: an operating system. A world's hosts keep their memory until the
//! process ends.

mod draws;
mod host;
mod link;
mod queue;

use std::collections::BTreeMap;

use cygnet::event::Counters;
use cygnet::{Node, Turn};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpEndpoint};

use draws::Draws;
use host::Host;
use link::Direction;
use queue::{Queue, What};

pub use host::Size;
pub use link::{Effects, Link, Ppm, Rule, Verdict};

/// Names a host of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostId(usize);

/// Names a switch of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchId(usize);

/// Names a link of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkId(usize);

/// What a link can end at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A host, which has one link.
    Host(HostId),
    /// A switch, which has as many as it likes.
    Switch(SwitchId),
}

impl From<HostId> for End {
    fn from(host: HostId) -> End {
        End::Host(host)
    }
}

impl From<SwitchId> for End {
    fn from(switch: SwitchId) -> End {
        End::Switch(switch)
    }
}

/// Something that goes wrong, or right again, at a time of your choice.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Power off: tasks, connections and neighbors are gone, nobody is told.
    Crash(HostId),
    /// Power on, or off and on: the program starts anew.
    Boot(HostId),
    /// The host stands still; its card's ring fills.
    Pause(HostId),
    /// It goes on.
    Resume(HostId),
    /// Its clock runs this many parts per million too fast, or too slow.
    Drift(HostId, i32),
    /// Its clock jumps ahead.
    Jump(HostId, Duration),
    /// Nothing passes from the first end of the link to the second, or back.
    Partition {
        /// The link.
        link: LinkId,
        /// From the first end to the second.
        forth: bool,
        /// From the second end to the first.
        back: bool,
    },
    /// The link behaves like this from now on.
    Change(LinkId, Link),
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The condition holds.
    Stopped,
    /// The time is up.
    Limit,
    /// Nothing is left to happen.
    Quiet,
    /// More events than [`World::set_budget`] allows: something spins.
    Budget,
}

struct Wire {
    ends: [End; 2],
    directions: [Direction; 2],
}

#[derive(Default)]
struct Switch {
    links: Vec<LinkId>,
    /// Behind which link an address was seen last.
    table: BTreeMap<[u8; 6], LinkId>,
}

/// A network of hosts. See the [module](self).
pub struct World {
    now: Instant,
    draws: Draws,
    hosts: Vec<Host>,
    switches: Vec<Switch>,
    wires: Vec<Wire>,
    queue: Queue,
    effects: Effects,
    planned: Effects,
    events: u64,
    budget: u64,
    frames: u64,
}

impl World {
    /// An empty world.
    pub fn new(seed: u64) -> Self {
        World {
            now: Instant::ZERO,
            draws: Draws::new(seed),
            hosts: Vec::new(),
            switches: Vec::new(),
            wires: Vec::new(),
            queue: Queue::default(),
            effects: Effects::default(),
            planned: Effects::default(),
            events: 0,
            budget: 100_000_000,
            frames: 0,
        }
    }

    /// Adds a small host that boots at once and runs `program`.
    ///
    /// # Panics
    /// When this machine has no memory for it.
    pub fn host(
        &mut self,
        name: &'static str,
        program: impl Fn(Node<'static>) + 'static,
    ) -> HostId {
        self.host_of(name, Size::SMALL, program)
    }

    /// Adds a host of this size.
    ///
    /// # Panics
    /// When this machine has no memory for it.
    pub fn host_of(
        &mut self,
        name: &'static str,
        size: Size,
        program: impl Fn(Node<'static>) + 'static,
    ) -> HostId {
        let id = HostId(self.hosts.len());
        let number = id.0 as u32 + 1;
        let host = Host::new(number, name, size, Box::new(program));
        self.hosts
            .push(host.unwrap_or_else(|error| panic!("{name}: {error}")));
        self.boot(id);
        id
    }

    /// Adds a switch.
    pub fn switch(&mut self) -> SwitchId {
        self.switches.push(Switch::default());
        SwitchId(self.switches.len() - 1)
    }

    /// Puts a link between two ends.
    pub fn connect(&mut self, a: impl Into<End>, b: impl Into<End>, link: Link) -> LinkId {
        let id = LinkId(self.wires.len());
        let ends = [a.into(), b.into()];
        for end in ends {
            if let End::Switch(switch) = end {
                self.switches[switch.0].links.push(id);
            }
        }
        let stream = 2 * id.0 as u64;
        self.wires.push(Wire {
            ends,
            directions: [
                Direction::new(link, stream),
                Direction::new(link, stream + 1),
            ],
        });
        self.plan(&link);
        id
    }

    /// A host's IPv4 address.
    pub fn address(&self, host: HostId) -> IpAddress {
        host::address(host.0 as u32 + 1)
    }

    /// A port of a host.
    pub fn endpoint(&self, host: HostId, port: u16) -> IpEndpoint {
        IpEndpoint::new(self.address(host), port)
    }

    /// The handle to a host, to look at its tasks and counters.
    pub fn node(&self, host: HostId) -> Node<'static> {
        self.hosts[host.0].node
    }

    /// A host's totals, over all its boots.
    pub fn counters(&self, host: HostId) -> Counters {
        self.node(host).counters()
    }

    /// Whether a host is up and has no task left.
    pub fn is_done(&self, host: HostId) -> bool {
        self.hosts[host.0].is_up() && self.node(host).waiting().next().is_none()
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Lets something happen at `at`, or now if that has passed.
    pub fn at(&mut self, at: Instant, fault: Fault) {
        let planned = &mut self.planned;
        match &fault {
            Fault::Crash(_) => planned.crashed += 1,
            Fault::Boot(_) => planned.rebooted += 1,
            Fault::Pause(_) => planned.paused += 1,
            Fault::Drift(..) | Fault::Jump(..) => planned.clocked += 1,
            Fault::Partition { forth, back, .. } => {
                planned.partitioned += u64::from(*forth || *back)
            }
            Fault::Change(_, link) => self.plan(&link.clone()),
            Fault::Resume(_) => (),
        }
        self.queue.push(at.max(self.now), What::Fault(fault));
    }

    /// Gives a link a rule of your own, for frames from its first end to its
    /// second (`forth`) or back: "the third SYN-ACK", "the first window probe".
    pub fn rule(&mut self, link: LinkId, forth: bool, rule: Rule) {
        self.planned.ruled += 1;
        self.wires[link.0].directions[usize::from(!forth)].rule = Some(rule);
    }

    /// Ends every fault: links without loss, duplication, reordering, corruption,
    /// spikes, partitions and rules; hosts up and running, clocks right. Faults
    /// that are still planned stay planned.
    pub fn heal(&mut self) {
        for wire in &mut self.wires {
            for direction in &mut wire.directions {
                direction.link = direction.link.healed();
                direction.blocked = false;
                direction.rule = None;
            }
        }
        for index in 0..self.hosts.len() {
            let host = &mut self.hosts[index];
            host.clock.set_drift(self.now, 0);
            if host.is_up() {
                host.paused = false;
                self.wake(index, self.now);
            } else {
                self.boot(HostId(index));
            }
        }
    }

    /// Runs until `stop` says so after an event, nothing is left to happen, or
    /// `limit`.
    pub fn run_until(&mut self, limit: Instant, mut stop: impl FnMut(&World) -> bool) -> Ended {
        loop {
            if stop(self) {
                return Ended::Stopped;
            }
            match self.queue.next_at() {
                None => return Ended::Quiet,
                Some(at) if at > limit => {
                    self.now = self.now.max(limit);
                    return Ended::Limit;
                }
                Some(_) if self.events >= self.budget => return Ended::Budget,
                Some(_) => self.step(),
            }
        }
    }

    /// Runs for this long.
    pub fn run_for(&mut self, time: Duration) -> Ended {
        self.run_until(self.now + time, |_| false)
    }

    /// How many events a world may have before a run ends with
    /// [`Ended::Budget`]; a hundred million at first.
    pub fn set_budget(&mut self, events: u64) {
        self.budget = events;
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Frames that hosts have sent so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// How many frames each fault has touched.
    pub fn effects(&self) -> Effects {
        let mut sum = self.effects;
        for wire in &self.wires {
            for direction in &wire.directions {
                sum.add(&direction.effects);
            }
        }
        sum
    }

    /// Faults that were asked for and have had no effect so far.
    pub fn untouched(&self) -> Vec<&'static str> {
        let effects = self.effects();
        let both = self.planned.rows().zip(effects.rows());
        both.filter(|((_, planned), (_, had))| *planned > 0 && *had == 0)
            .map(|((name, _), _)| name)
            .collect()
    }

    /// A digest of every event of every host.
    pub fn digest(&self) -> u128 {
        use siphasher::sip128::{Hasher128, SipHasher13};
        use std::hash::Hasher as _;
        let mut hasher = SipHasher13::new();
        for host in &self.hosts {
            hasher.write(&host.digest.value().to_le_bytes());
            hasher.write(&host.digest.events().to_le_bytes());
        }
        hasher.finish128().as_u128()
    }

    /// Every task of every host and what it waits for, a line each.
    pub fn waiting(&self) -> String {
        let lines = self.hosts.iter().flat_map(|host| {
            let line = move |task| format!("{}: {task}\n", host.name);
            host.node.waiting().map(line)
        });
        lines.collect()
    }

    // What a link asks for, so that `untouched` can tell what never came.
    fn plan(&mut self, link: &Link) {
        let planned = &mut self.planned;
        planned.lost += u64::from(link.loss > 0);
        planned.duplicated += u64::from(link.duplicate > 0);
        planned.reordered += u64::from(link.reorder > 0);
        planned.corrupted += u64::from(link.corrupt > 0);
        planned.spiked += u64::from(link.spike > 0);
    }

    fn step(&mut self) {
        let Some((at, what)) = self.queue.pop() else {
            return;
        };
        self.now = at;
        self.events += 1;
        match what {
            What::Fault(fault) => self.strike(fault),
            What::Deliver { link, to, frame } => self.deliver(link, to, frame),
            What::Turn { host } => {
                if self.hosts[host].wake_at == Some(at) {
                    self.hosts[host].wake_at = None;
                    self.turn(host);
                }
            }
        }
    }

    fn strike(&mut self, fault: Fault) {
        let now = self.now;
        match fault {
            Fault::Crash(host) => {
                self.hosts[host.0].crash();
                self.effects.crashed += 1;
            }
            Fault::Boot(host) => {
                self.boot(host);
                self.effects.rebooted += 1;
            }
            Fault::Pause(host) => {
                self.hosts[host.0].paused = true;
                self.effects.paused += 1;
            }
            Fault::Resume(host) => {
                self.hosts[host.0].paused = false;
                self.wake(host.0, now);
            }
            Fault::Drift(host, ppm) => {
                self.hosts[host.0].clock.set_drift(now, ppm);
                self.effects.clocked += 1;
                self.wake(host.0, now);
            }
            Fault::Jump(host, ahead) => {
                self.hosts[host.0].clock.jump(now, ahead);
                self.effects.clocked += 1;
                self.wake(host.0, now);
            }
            Fault::Partition { link, forth, back } => {
                let [there, here] = &mut self.wires[link.0].directions;
                (there.blocked, here.blocked) = (forth, back);
            }
            Fault::Change(link, to) => {
                for direction in &mut self.wires[link.0].directions {
                    direction.link = to;
                }
            }
        }
    }

    fn boot(&mut self, host: HostId) {
        self.hosts[host.0].boot(self.now, &self.draws);
        self.wake(host.0, self.now);
    }

    /// Plans a turn, unless an earlier one is planned.
    fn wake(&mut self, host: usize, at: Instant) {
        let at = at.max(self.now);
        let planned = &mut self.hosts[host].wake_at;
        if planned.is_none_or(|planned| at < planned) {
            *planned = Some(at);
            self.queue.push(at, What::Turn { host });
        }
    }

    fn turn(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        if host.paused {
            return;
        }
        let Some(turn) = host.turn(self.now) else {
            return;
        };
        let clock = host.clock;
        for frame in std::mem::take(&mut host.card.outbox) {
            self.frames += 1;
            let link = self.link_of(HostId(index));
            self.send(link, End::Host(HostId(index)), &frame);
        }
        match turn {
            Turn::Ready => self.wake(index, self.now + Duration::from_micros(1)),
            Turn::Idle(Some(local)) => {
                let at = clock.world(local).max(self.now + Duration::from_micros(1));
                self.wake(index, at);
            }
            Turn::Idle(None) | Turn::Done => (),
        }
    }

    fn link_of(&self, host: HostId) -> Option<LinkId> {
        let mine = |wire: &Wire| wire.ends.contains(&End::Host(host));
        self.wires.iter().position(mine).map(LinkId)
    }

    fn send(&mut self, link: Option<LinkId>, from: End, frame: &[u8]) {
        let Some(link) = link else { return };
        let Wire { ends, directions } = &mut self.wires[link.0];
        let way = usize::from(ends[0] != from);
        let to = ends[1 - way];
        for (at, frame) in directions[way].send(self.now, frame, &self.draws) {
            self.queue.push(at, What::Deliver { link, to, frame });
        }
    }

    fn deliver(&mut self, link: LinkId, to: End, frame: Vec<u8>) {
        match to {
            End::Host(HostId(index)) => {
                let host = &mut self.hosts[index];
                if !host.is_up() {
                    self.effects.unheard += 1;
                } else if !host.card.deliver(frame) {
                    self.effects.overrun += 1;
                } else if !host.paused {
                    self.wake(index, self.now);
                }
            }
            End::Switch(SwitchId(index)) => self.forward(index, link, &frame),
        }
    }

    /// A learning switch: to where the address was seen, or to everywhere else.
    fn forward(&mut self, switch: usize, from: LinkId, frame: &[u8]) {
        let (Some(Ok(to)), Some(Ok(source))) = (
            frame.get(..6).map(<[u8; 6]>::try_from),
            frame.get(6..12).map(<[u8; 6]>::try_from),
        ) else {
            return;
        };
        let Switch { links, table } = &mut self.switches[switch];
        if source[0] & 1 == 0 {
            table.insert(source, from);
        }
        let targets = match table.get(&to) {
            Some(&link) => vec![link],
            None => links.clone(),
        };
        for link in targets.into_iter().filter(|link| *link != from) {
            self.send(Some(link), End::Switch(SwitchId(switch)), frame);
        }
    }
}
