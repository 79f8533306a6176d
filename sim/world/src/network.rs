//! A world's parts and its clock: hosts, switches and attackers, the links
//! between them, what is going to happen, and what is counted meanwhile.
//!
//! Not here: what happens when something happens (`run`).

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;

use cygnet::Node;
use cygnet::event::Counters;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpEndpoint};

use super::attack::{Attacker, Target};
use super::board::{Board, Size};
use super::draws::{Draws, Kind};
use super::effects::Effects;
use super::fate::{Fates, FrameId, Twist, Way};
use super::host::{Host, Kind as HostKind};
use super::identity::{self, Identity};
use super::ids::{AttackerId, End, HostId, LinkId, SwitchId};
use super::leases::Leases;
use super::link::{Chance, Direction, Link, Rule};
use super::log::{Log, Violation, Watch, Witness};
use super::machine::Machine;
use super::parts::{Intruder, Switch, Wire};
use super::queue::{Queue, What};
use super::trial::Trial;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The condition holds.
    Stopped,
    /// The time is up.
    Limit,
    /// Nothing is left to happen.
    Quiet,
    /// More steps than [`World::set_budget`] allows: something spins.
    Budget,
    /// An invariant does not hold: see [`World::violation`].
    Violated,
}

/// A claim of a test that is looked at after every step until it is seen.
pub(super) struct Claim {
    pub(super) name: &'static str,
    /// In every run, or in one of all.
    pub(super) always: bool,
    pub(super) seen: Rc<Cell<bool>>,
    pub(super) holds: Option<Holds>,
}

/// Whether a claim holds.
pub(super) type Holds = Box<dyn Fn(&World) -> bool>;

/// A rule that must hold after every step, and its name.
type Invariant = (&'static str, Box<dyn Fn(&World) -> Result<(), String>>);

/// A network of hosts. See the [module](super).
pub struct World {
    pub(super) now: Instant,
    pub(super) chance: Chance,
    /// What secrets, and whatever else is no frame's fate, are drawn from.
    pub(super) draws: Draws,
    pub(super) trial: Trial,
    pub(super) log: Rc<Log>,
    /// Every twist so far, when asked for.
    pub(super) recorded: Option<Vec<(FrameId, Twist)>>,
    pub(super) invariants: Vec<Invariant>,
    pub(super) claims: Vec<Claim>,
    pub(super) hosts: Vec<Host>,
    /// The link of each host.
    pub(super) links: Vec<Option<LinkId>>,
    pub(super) switches: Vec<Switch>,
    pub(super) attackers: Vec<Intruder>,
    pub(super) wires: Vec<Wire>,
    pub(super) queue: Queue,
    pub(super) effects: Effects,
    /// When a fault struck last.
    pub(super) struck: Instant,
    pub(super) planned: Effects,
    /// What servers gave to hosts that have their address from one.
    pub(super) leases: Rc<RefCell<Leases>>,
    pub(super) steps: u64,
    pub(super) budget: u64,
    pub(super) frames: u64,
}

impl World {
    /// An empty world in which this seed decides every fate.
    pub fn new(seed: u64) -> Self {
        let draws = Draws::new(seed);
        Self::with(Chance::Drawn(draws), draws)
    }

    /// An empty world in which these frames meet these twists, and no others.
    /// No random number is drawn, whatever rates its links have.
    ///
    /// Hosts need [`host_with_secret`](Self::host_with_secret) here, and machines
    /// [`machine_with_secret`](Self::machine_with_secret).
    pub fn told(fates: Fates) -> Self {
        Self::with(Chance::Told(fates), Draws::none())
    }

    pub(super) fn with(chance: Chance, draws: Draws) -> Self {
        World {
            now: Instant::ZERO,
            chance,
            draws,
            trial: Trial::default(),
            log: Rc::default(),
            recorded: None,
            invariants: Vec::new(),
            claims: Vec::new(),
            hosts: Vec::new(),
            links: Vec::new(),
            switches: Vec::new(),
            attackers: Vec::new(),
            wires: Vec::new(),
            queue: Queue::default(),
            effects: Effects::default(),
            struck: Instant::ZERO,
            planned: Effects::default(),
            leases: Rc::default(),
            steps: 0,
            budget: 100_000_000,
            frames: 0,
        }
    }

    /// Adds a small host that boots at once and runs `program`.
    ///
    /// # Panics
    /// When this machine has no memory for it.
    #[track_caller]
    pub fn host(&mut self, name: &str, program: impl Fn(Node<'static>) + 'static) -> HostId {
        self.host_of(name, Size::SMALL, program)
    }

    /// Adds a host of this size.
    ///
    /// # Panics
    /// When this machine has no memory for it.
    #[track_caller]
    pub fn host_of(
        &mut self,
        name: &str,
        size: Size,
        program: impl Fn(Node<'static>) + 'static,
    ) -> HostId {
        let secret = self.draw_secret();
        self.host_with_secret(name, size, secret, program)
    }

    /// Adds a host whose sequence numbers and ports, at every boot, follow from
    /// `secret`.
    ///
    /// # Panics
    /// When this machine has no memory for it.
    #[track_caller]
    pub fn host_with_secret(
        &mut self,
        name: &str,
        size: Size,
        secret: u64,
        program: impl Fn(Node<'static>) + 'static,
    ) -> HostId {
        let id = HostId(self.hosts.len());
        let log = Rc::clone(&self.log);
        let board = Board::new(id, size, Box::new(program), log);
        let board = board.unwrap_or_else(|error| panic!("{name}: {error}"));
        self.add(name, secret, HostKind::Node(Box::new(board)))
    }

    /// Adds a host that is a machine of your own, another stack for example, or
    /// firmware in a process. It boots at once.
    #[track_caller]
    pub fn machine(&mut self, name: &str, machine: impl Machine + 'static) -> HostId {
        let secret = self.draw_secret();
        self.machine_with_secret(name, secret, machine)
    }

    /// The same, with entropy that follows from `secret` at every boot.
    #[track_caller]
    pub fn machine_with_secret(
        &mut self,
        name: &str,
        secret: u64,
        machine: impl Machine + 'static,
    ) -> HostId {
        self.add(name, secret, HostKind::Other(Box::new(machine)))
    }

    fn draw_secret(&self) -> u64 {
        let stream = self.hosts.len() as u64 + 1;
        self.draws.draw(stream, Kind::Secret, 0)
    }

    #[track_caller]
    fn add(&mut self, name: &str, secret: u64, kind: HostKind) -> HostId {
        let id = HostId(self.hosts.len());
        let who = Identity::new(id, name);
        if matches!(kind, HostKind::Other(_)) {
            self.log.silent(identity::addresses(id));
        }
        self.hosts.push(Host::new(who, secret, kind));
        self.links.push(None);
        self.made_host(Location::caller());
        self.boot(id);
        id
    }

    /// Adds a switch.
    pub fn switch(&mut self) -> SwitchId {
        self.switches.push(Switch::default());
        SwitchId(self.switches.len() - 1)
    }

    /// Adds an attacker.
    pub fn attacker(&mut self, attacker: Attacker) -> AttackerId {
        let id = AttackerId(self.attackers.len());
        self.planned.attacked += 1;
        self.queue
            .push(attacker.from.max(self.now), What::Attack { attacker: id.0 });
        self.attackers.push(Intruder {
            attacker,
            link: None,
            sent: 0,
        });
        id
    }

    /// What an attacker may know of a host: it uses the names of `clients`.
    pub fn target(&self, host: HostId, port: u16, clients: &[HostId]) -> Target {
        let v4 = |host: &HostId| match self.address(*host) {
            IpAddress::Ipv4(address) => address,
            IpAddress::Ipv6(_) => unreachable!("the first address is IPv4"),
        };
        Target {
            hardware: identity::hardware(host),
            address: v4(&host),
            port,
            clients: clients.iter().map(v4).collect(),
        }
    }

    /// Puts a link between two ends. Its name is made of theirs: `client-server`.
    #[track_caller]
    pub fn connect(&mut self, a: impl Into<End>, b: impl Into<End>, link: Link) -> LinkId {
        let id = LinkId(self.wires.len());
        let ends = [a.into(), b.into()];
        let name = self.made_link(ends, &link, Location::caller());
        for end in ends {
            match end {
                End::Switch(switch) => self.switches[switch.0].links.push(id),
                End::Host(host) => self.links[host.0] = Some(id),
                End::Attacker(attacker) => self.attackers[attacker.0].link = Some(id),
            }
        }
        self.wires.push(Wire {
            name,
            ends,
            directions: [Way::Forth, Way::Back].map(|way| Direction::new(link, id.0 as u32, way)),
        });
        self.plan(&link);
        id
    }

    /// A host's IPv4 address.
    pub fn address(&self, host: HostId) -> IpAddress {
        identity::addresses(host)[0]
    }

    /// A host's IPv6 address.
    pub fn address_v6(&self, host: HostId) -> IpAddress {
        identity::addresses(host)[1]
    }

    /// A port of a host.
    pub fn endpoint(&self, host: HostId, port: u16) -> IpEndpoint {
        IpEndpoint::new(self.address(host), port)
    }

    /// The handle to a host, to look at its tasks and counters.
    ///
    /// # Panics
    /// When the host is a [`machine`](Self::machine): it has no tasks of this library.
    #[track_caller]
    pub fn node(&self, host: HostId) -> Node<'static> {
        let Host { name, .. } = &self.hosts[host.0];
        let node = self.hosts[host.0].node();
        node.unwrap_or_else(|| panic!("{name} is a machine and has no node: ask is_done, printed"))
    }

    /// A host's totals, over all its boots.
    ///
    /// # Panics
    /// When the host is a [`machine`](Self::machine): nobody counts what it does.
    #[track_caller]
    pub fn counters(&self, host: HostId) -> Counters {
        self.node(host).counters()
    }

    /// What a [`machine`](Self::machine) has printed so far, over all its boots: the
    /// place for claims about what it believes.
    pub fn printed(&self, host: HostId) -> &[String] {
        &self.hosts[host.0].printed
    }

    /// Whether a host is up and has no task left, or says so itself if it is a machine.
    pub fn is_done(&self, host: HostId) -> bool {
        self.hosts[host.0].is_done()
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Gives a link a rule of your own, for frames from its first end to its
    /// second (`forth`) or back: "the third SYN-ACK", "the first window probe".
    pub fn rule(&mut self, link: LinkId, forth: bool, rule: Rule) {
        self.planned.ruled += 1;
        self.wires[link.0].directions[usize::from(!forth)].rule = Some(rule);
    }

    /// Ends every fault: links as they were built, without loss, duplication, reordering, corruption,
    /// spikes, partitions and rules; hosts up and running, clocks right. Faults
    /// that are still planned stay planned.
    pub fn heal(&mut self) {
        self.log.healed();
        self.struck = self.now;
        for link in 0..self.wires.len() {
            self.plug(LinkId(link), true);
        }
        for wire in &mut self.wires {
            for direction in &mut wire.directions {
                direction.heal();
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

    /// Runs until `stop` says so after a step, nothing is left to happen, an
    /// invariant is violated, or `limit`.
    pub fn run_until(&mut self, limit: Instant, stop: impl FnMut(&World) -> bool) -> Ended {
        self.begin_run();
        let ended = self.go_on(limit, stop);
        self.end_run(ended)
    }

    fn go_on(&mut self, limit: Instant, mut stop: impl FnMut(&World) -> bool) -> Ended {
        loop {
            if self.log.is_violated() {
                return Ended::Violated;
            }
            if stop(self) {
                return Ended::Stopped;
            }
            match self.queue.next() {
                None => return Ended::Quiet,
                Some(next) if next.at > limit => {
                    self.pass(limit);
                    return Ended::Limit;
                }
                Some(_) if self.steps >= self.budget => return Ended::Budget,
                Some(next) => self.step(&next),
            }
            for (name, holds) in &self.invariants {
                if let Err(detail) = holds(self) {
                    self.log.violated(name, detail);
                }
            }
            self.look_at_claims();
        }
    }

    /// Runs for this long.
    pub fn run_for(&mut self, time: Duration) -> Ended {
        let time = i64::try_from(time.total_micros()).unwrap_or(i64::MAX);
        let limit = self.now.total_micros().saturating_add(time);
        self.run_until(Instant::from_micros(limit), |_| false)
    }

    /// How many steps (frames that arrive, turns, faults) a world may have
    /// before a run ends with [`Ended::Budget`]; a hundred million at first.
    pub fn set_budget(&mut self, steps: u64) {
        self.budget = steps;
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Events so far: what hosts and links did, and faults.
    pub fn events(&self) -> u64 {
        self.log.events()
    }

    /// Adds a rule of your own that must hold after every step. The run ends
    /// with the first one that does not.
    pub fn invariant(
        &mut self,
        name: &'static str,
        holds: impl Fn(&World) -> Result<(), String> + 'static,
    ) {
        self.invariants.push((name, Box::new(holds)));
    }

    /// For programs: the world's time, and a way to report a violation.
    pub fn witness(&self) -> Witness {
        Witness(Rc::clone(&self.log))
    }

    /// The first violation of an invariant, if there was one.
    ///
    /// Besides those of [`invariant`](Self::invariant) and of witnesses there
    /// are: `bytes` (what is read was written, in order and once) and `budget`
    /// (no turn takes or sends more frames than it may).
    pub fn violation(&self) -> Option<Violation> {
        self.log.violation()
    }

    /// Shows everything that happens from now on to `watch`, until
    /// [`unwatch`](Self::unwatch).
    pub fn watch(&mut self, watch: impl Watch + 'static) {
        self.log.watch(Box::new(watch));
    }

    /// Drops the watch, after a last checkpoint.
    pub fn unwatch(&mut self) {
        self.log.unwatch();
    }

    /// Keeps every twist from now on, for [`fates`](Self::fates).
    pub fn record(&mut self) {
        self.recorded.get_or_insert_default();
    }

    /// What happened to which frame since [`record`](Self::record): a world that
    /// is [`told`](Self::told) these does the same.
    pub fn fates(&self) -> Fates {
        self.recorded.iter().flatten().copied().collect()
    }

    /// Lets time pass in which nothing happens.
    pub(super) fn pass(&mut self, until: Instant) {
        self.now = self.now.max(until);
        self.log.now.set(self.now);
    }

    /// After a panic: the hosts' memory may be in any state and is left alone.
    pub(super) fn abandon(&mut self) {
        for host in &mut self.hosts {
            host.abandon();
        }
    }

    /// Frames that hosts have sent so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// A digest of every event of every host and link, and of every fault.
    pub fn digest(&self) -> u128 {
        self.log.digest()
    }

    /// Every task of every host and what it waits for, a line each; machines have one.
    pub fn waiting(&self) -> String {
        let mut lines = String::new();
        for host in &self.hosts {
            lines += &host.waiting();
        }
        lines
    }
}
