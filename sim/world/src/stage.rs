//! A run of a plan: the world is built, faults strike until they end, then
//! everything must finish, and at last nothing may be left: no slot, no task.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpEndpoint;

use super::attack::Attacker;
use super::blows::fault_of;
use super::board::Size;
use super::caught::caught;
use super::dhcp_client::{self, Tenants};
use super::dhcp_server;
use super::dns_client::{self, Asker};
use super::dns_server::{self, DnsHost};
use super::effects::Effects;
use super::fate::Fates;
use super::ids::{AttackerId, End, HostId, LinkId};
use super::log::{Violation, Watch};
use super::names::Names;
use super::network::{Ended, World};
use super::plan::{Caller, Place, Plan, Role, Siege};
use super::segment::Address;
use super::stranger::Stranger;
use super::tally::VisitTally;
use super::visit::{self, PORT, Visit};

/// How long connections may linger after everything is finished: keep-alive
/// gives a vanished peer up after 80 s, closing takes 30, TIME-WAIT 10.
const LINGER: Duration = Duration::from_secs(180);

/// How often a run looks whether it is finished.
const LOOK: Duration = Duration::from_millis(500);

/// How a plan is run.
#[derive(Default)]
pub struct Staging {
    /// Keep the fates that were drawn.
    pub record: bool,
    /// Draw fates from this seed and the links' rates; otherwise the plan tells.
    pub seed: Option<u64>,
    /// Is shown everything.
    pub watch: Option<Box<dyn Watch>>,
    /// The most steps; a run that needs more is violated. 20 million at first.
    pub budget: Option<u64>,
    /// A bug was planted: it may leave anything in a host's memory, which then
    /// serves no other run if this one is violated or told.
    pub distrust: bool,
    /// Is told the world's time now and then; `false` ends the run.
    pub look: Option<Look>,
}

/// See [`Staging::look`].
pub type Look = Box<dyn FnMut(Instant) -> bool>;

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What must not happen and did.
    pub violation: Option<Violation>,
    /// The digest of everything.
    pub digest: u128,
    /// Events in it.
    pub events: u64,
    /// Frames that hosts sent.
    pub frames: u64,
    /// When it ended, in the world's time.
    pub ended: Instant,
    /// Conversations that went well.
    pub visits: u64,
    /// How long each of the first 16,384 of those took to its first answer, in
    /// the world's microseconds.
    pub latencies: Vec<u64>,
    /// When every slot was free again.
    pub freed: Option<Instant>,
    /// Conversations that were cut off and tried again: resets, lost patience,
    /// no place.
    pub cuts: [u64; 3],
    /// How many frames each fault touched.
    pub effects: Effects,
    /// Faults that were asked for and touched nothing.
    pub untouched: Vec<&'static str>,
    /// The fates that were drawn, if they were recorded.
    pub fates: Fates,
    /// What the plan says and did not happen, in a run that was told it and violates
    /// nothing: the words, as they stand in the plan, and why.
    pub never_came: Option<(String, String)>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Faults strike.
    Faults,
    /// Everything must be finished.
    Finish,
    /// Connections may linger until then.
    Linger(Instant),
    /// Nothing is left to do.
    Over,
}

/// How a phase ended.
enum Reached {
    /// As it should.
    There,
    /// Somebody wants to look.
    Paused,
    /// And so did the run.
    Over,
}

/// A plan on its way.
pub(super) struct Stage<P> {
    plan: P,
    pub(super) world: World,
    phase: Phase,
    /// When the run is looked at next, if it was paused before that.
    next: Option<Instant>,
    tally: Rc<VisitTally>,
    visitors: Vec<HostId>,
    callers: Vec<HostId>,
    /// What those did that smoltcp does not.
    strange: Rc<RefCell<Effects>>,
    servers: Vec<HostId>,
    tenants: Tenants,
    names: Rc<RefCell<Names>>,
    /// The host of each place.
    hosts: Vec<Option<HostId>>,
    look: Option<Look>,
    freed: Option<Instant>,
    /// Nothing was to happen for long when it was looked at last.
    is_idle: bool,
}

/// Runs a plan of a scenario to its end, or to the first violation.
///
/// # Panics
/// When the plan is of a test: only that can make its world.
pub fn run(plan: &Plan, staging: Staging) -> Outcome {
    let Staging {
        record,
        seed,
        watch,
        budget,
        distrust,
        look,
    } = staging;
    let is_told = seed.is_none();
    let mut world = match seed {
        Some(seed) => World::new(seed),
        None => World::told(plan.fates.clone()),
    };
    if record {
        world.record();
    }
    if let Some(watch) = watch {
        world.log.watch(watch);
    }
    world.set_budget(budget.unwrap_or(20_000_000));
    let mut stage = Stage::build(plan, world);
    stage.look = look;
    if let Err(message) = caught(|| stage.go_on(|_| false)) {
        stage.world.log.violated("panic", message);
        stage.world.abandon();
    }
    // A run that is told its fates must fail by itself.
    if distrust && (is_told || stage.world.log.is_violated()) {
        stage.world.abandon();
    }
    stage.world.unwatch();
    stage.world.effects.add(&stage.strange.borrow());
    let never_came = stage.never_came().filter(|_| is_told);
    let Stage { world, tally, .. } = &stage;
    Outcome {
        violation: world.violation(),
        digest: world.digest(),
        events: world.events(),
        frames: world.frames(),
        ended: world.now(),
        visits: tally.visits(),
        latencies: tally.take_latencies(),
        freed: stage.freed,
        cuts: tally.cuts(),
        effects: world.effects(),
        untouched: world.untouched(),
        fates: world.fates(),
        never_came,
    }
}

impl<P: Deref<Target = Plan> + Clone> Stage<P> {
    pub(super) fn build(plan: P, world: World) -> Self {
        let mut stage = Stage {
            plan: plan.clone(),
            world,
            phase: Phase::Faults,
            next: None,
            tally: Rc::default(),
            visitors: Vec::new(),
            callers: Vec::new(),
            strange: Rc::default(),
            servers: Vec::new(),
            tenants: Tenants::default(),
            names: Rc::default(),
            hosts: Vec::new(),
            look: None,
            freed: None,
            is_idle: false,
        };
        let middle = End::Switch(stage.world.switch());
        let mut ends: Vec<End> = Vec::new();
        for place in &plan.places {
            let end = match place.role {
                Role::Switch => End::Switch(stage.world.switch()),
                Role::Attacker(siege) => End::Attacker(stage.attacker(siege)),
                Role::Link | Role::Host => panic!("a test's plan, and no scenario's"),
                _ => End::Host(stage.host(place)),
            };
            let on = place.on.map_or(middle, |on| ends[on]);
            stage.world.connect(end, on, place.link);
            ends.push(end);
            stage.hosts.push(match end {
                End::Host(host) => Some(host),
                End::Switch(_) | End::Attacker(_) => None,
            });
        }
        for strike in &plan.strikes {
            let host = stage.hosts[strike.place];
            if let Some(fault) = fault_of(strike.blow, LinkId(strike.place), host) {
                stage.world.at(strike.at, fault);
            }
        }
        stage
    }

    fn host(&mut self, place: &Place) -> HostId {
        let plan = self.plan.clone();
        let world = &mut self.world;
        match place.role {
            Role::Server(server) => {
                let program = move |node| visit::serve(node, server);
                let id = world.host_with_secret(&place.name, server.size, server.secret, program);
                self.servers.push(id);
                id
            }
            Role::Visitor(visitor) => {
                let size = Size {
                    slots: 2 * visitor.lanes as usize + 2,
                    tasks: visitor.lanes as usize + 1,
                    ..match plan.places[visitor.to].role {
                        Role::Server(server) => server.size,
                        _ => Size::SMALL,
                    }
                };
                let server = self.hosts[visitor.to].expect("a server comes before its visitors");
                let address = match visitor.v6 {
                    false => world.address(server),
                    true => world.address_v6(server),
                };
                let visit = Rc::new(Visit {
                    visitor,
                    target: IpEndpoint::new(address, PORT),
                    honest: plan.honest,
                    ahead: size.rx_bytes + size.tx_bytes / 2,
                    witness: world.witness(),
                    tally: Rc::clone(&self.tally),
                });
                let program = move |node| visit::visit(node, &visit);
                let id = world.host_with_secret(&place.name, size, visitor.secret, program);
                self.visitors.push(id);
                id
            }
            Role::Caller(caller) => {
                let id = self.caller(&place.name, caller);
                // Who serves has never anything to do.
                self.callers.extend(caller.to.map(|_| id));
                id
            }
            Role::DhcpServer(server) => {
                let effects = Rc::clone(&self.strange);
                dhcp_server::add(world, &place.name, server, (plan.heal, effects))
            }
            Role::DhcpClient(client) => {
                let program = move |node| dhcp_client::program(node, client);
                let size = dhcp_client::SIZE;
                let id = world.host_with_secret(&place.name, size, client.secret, program);
                world.has_address_from_server(id);
                self.tenants.push(id);
                id
            }
            Role::DnsServer(server) => {
                let host = DnsHost {
                    server,
                    names: Rc::clone(&self.names),
                    witness: world.witness(),
                    effects: Rc::clone(&self.strange),
                };
                dns_server::add(world, &place.name, host)
            }
            Role::DnsClient(client) => {
                let above = plan.places.iter().zip(&self.hosts);
                let servers = above.filter(|(place, _)| matches!(place.role, Role::DnsServer(_)));
                let servers = servers.filter_map(|(_, host)| Some(world.address((*host)?)));
                let asker = Asker {
                    client,
                    servers: servers.collect(),
                    until: plan.heal,
                    names: Rc::clone(&self.names),
                    witness: world.witness(),
                    tally: Rc::clone(&self.tally),
                };
                let id = dns_client::add(world, &place.name, asker);
                self.visitors.push(id);
                id
            }
            _ => unreachable!("it is no host"),
        }
    }

    fn caller(&mut self, name: &str, caller: Caller) -> HostId {
        let world = &mut self.world;
        let server = caller.to.map(|server| {
            let server = self.hosts[server].expect("a server comes before its callers");
            let ip = match caller.v6 {
                false => world.address(server),
                true => world.address_v6(server),
            };
            let hardware = world.target(server, PORT, &[]).hardware;
            Address { hardware, ip }
        });
        let stranger = Stranger {
            caller,
            honest: self.plan.honest,
            server,
            witness: world.witness(),
            tally: Rc::clone(&self.tally),
            effects: Rc::clone(&self.strange),
            running: None,
        };
        if let Some(lie) = caller.lie {
            *lie.row(&mut world.planned) += 1;
        }
        for habit in caller.habits.iter() {
            *habit.row(&mut world.planned) += 1;
        }
        world.machine_with_secret(name, caller.secret, stranger)
    }

    /// It uses the names of all visitors.
    fn attacker(&mut self, siege: Siege) -> AttackerId {
        let server = self.hosts[siege.to].expect("a server comes before its attackers");
        let target = self.world.target(server, PORT, &self.visitors);
        self.world.attacker(Attacker {
            attack: siege.attack,
            secret: siege.secret,
            every: siege.every,
            from: Instant::ZERO + siege.start,
            until: self.plan.heal,
            target,
        })
    }

    /// Runs until it is over (true), or until `pause`, which is asked between two steps.
    pub(super) fn go_on(&mut self, mut pause: impl FnMut(&World) -> bool) -> bool {
        loop {
            let reached = match self.phase {
                Phase::Faults => self.reach(self.plan.heal, |_| false, &mut pause),
                Phase::Finish => self.reach(self.plan.limit, Self::is_done, &mut pause),
                Phase::Linger(limit) => self.reach(limit, Self::is_free, &mut pause),
                Phase::Over => return true,
            };
            self.phase = match reached {
                Reached::Paused => return false,
                Reached::Over => Phase::Over,
                Reached::There => self.end_phase(),
            };
        }
    }

    /// Whether every client has done what it came for.
    fn is_done(&self) -> bool {
        let mut all = self.visitors.iter().chain(&self.callers);
        let are_done = all.all(|&id| self.world.is_done(id));
        self.tenants.are_housed(&self.world, self.plan.heal) && are_done
    }

    /// Whether every slot is free again.
    fn is_free(&self) -> bool {
        let mut all = self.servers.iter().chain(&self.visitors);
        all.all(|&id| self.world.counters(id).slots_used == 0)
    }

    /// What a phase must have brought, and the next one.
    fn end_phase(&mut self) -> Phase {
        self.world.audit();
        match self.phase {
            Phase::Faults => {
                self.world.heal();
                Phase::Finish
            }
            Phase::Finish if self.is_done() => Phase::Linger(self.world.now() + LINGER),
            Phase::Finish => {
                let left = self.world.waiting();
                self.world.log.violated("completion", left);
                Phase::Over
            }
            Phase::Linger(_) => {
                self.freed = self.is_free().then(|| self.world.now());
                self.look_at_what_is_left();
                Phase::Over
            }
            Phase::Over => Phase::Over,
        }
    }

    fn look_at_what_is_left(&self) {
        for &id in self.servers.iter().chain(&self.visitors) {
            let used = self.world.counters(id).slots_used;
            if used > 0 {
                let name = &self.world.hosts[id.0].name;
                let detail = format!("{name} holds {used} slots\n{}", self.world.waiting());
                return self.world.log.violated("slots", detail);
            }
        }
        for &id in &self.servers {
            let tasks = self.world.node(id).waiting().count();
            if tasks > 1 {
                let detail = format!("{tasks} tasks, not one\n{}", self.world.waiting());
                return self.world.log.violated("tasks", detail);
            }
        }
    }

    /// Runs until `done`, which is looked at now and then, or `limit`.
    fn reach(
        &mut self,
        limit: Instant,
        done: impl Fn(&Self) -> bool,
        mut pause: impl FnMut(&World) -> bool,
    ) -> Reached {
        loop {
            let next = match self.next.take() {
                Some(next) => next,
                None if done(self) || self.world.now() >= limit => break,
                None => {
                    if let Some(look) = &mut self.look
                        && !look(self.world.now())
                    {
                        return Reached::Over;
                    }
                    limit.min(self.world.now() + self.until_look())
                }
            };
            match self.world.run_until(next, &mut pause) {
                Ended::Stopped => {
                    self.next = Some(next);
                    return Reached::Paused;
                }
                Ended::Limit => self.world.audit_rested(),
                // Nothing will ever happen again, or not before the heal.
                Ended::Quiet if done(self) => (),
                Ended::Quiet => self.world.pass(limit),
                Ended::Violated => return Reached::Over,
                Ended::Budget => {
                    let (steps, waiting) = (self.world.steps(), self.world.waiting());
                    let detail = format!("{steps} steps and no end\n{waiting}");
                    self.world.log.violated("events", detail);
                    return Reached::Over;
                }
            }
        }
        match self.world.log.is_violated() {
            true => Reached::Over,
            false => Reached::There,
        }
    }

    /// How long until it is looked at again: where nothing happens for long there is nothing
    /// to see, and only then.
    fn until_look(&mut self) -> Duration {
        let now = self.world.now();
        let next = self.world.queue.next().map_or(now, |next| next.at);
        let looks = (next.total_micros() - now.total_micros()) / LOOK.total_micros() as i64;
        // Whoever asks whether a host rests must ask twice.
        let was_idle = std::mem::replace(&mut self.is_idle, looks > 1);
        let looks = if was_idle { looks } else { 1 };
        LOOK * looks.clamp(1, i64::from(u32::MAX)) as u32
    }

    /// What the plan says and did not happen, in a run to the end.
    pub(super) fn never_came(&self) -> Option<(String, String)> {
        let is_whole = self.freed.is_some() && !self.world.log.is_violated();
        is_whole.then(|| self.world.never_came(&self.plan, Some))?
    }
}
