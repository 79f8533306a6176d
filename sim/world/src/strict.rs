//! A world on trial: made by a test, from a seed or from a plan, and strict. What
//! is wrong with how it is made, what it leaves behind, and what it never does are
//! violations like any other.
//!
//! Not here: many seeds, and what is said when one fails (`check`).

use std::panic::Location;

use cygnet::event::Reason;
use cygnet::task::{TaskState, Waiting};
use smoltcp::time::Duration;

use super::draws::{Draws, Kind};
use super::fate::{Fates, FrameId};
use super::host::Host;
use super::ids::{End, HostId};
use super::link::{Chance, Link};
use super::network::{Ended, World};
use super::plan::Plan;
use super::trial::{Allow, Script};

/// How long connections may linger after everything is finished: keep-alive
/// gives a vanished peer up after 80 s, closing takes 30, TIME-WAIT 10.
const LINGER: Duration = Duration::from_secs(180);

/// The most steps of a run, unless the test says.
const BUDGET: u64 = 10_000_000;

/// How often a test may run a world in which nothing happens any more.
const QUIET: u32 = 1000;

impl World {
    /// A strict world of this seed, which tells no plan, or does what a plan tells.
    pub(super) fn on_trial(seed: u64, script: Option<&Plan>) -> World {
        let draws = Draws::new(seed);
        let chance = match script {
            None => Chance::Drawn(draws),
            Some(_) => Chance::Told(Fates::default()),
        };
        let mut world = World::with(chance, draws);
        world.trial.is_strict = true;
        world.trial.script = script.map(|plan| Script {
            plan: plan.clone(),
            left: plan.strikes.clone(),
        });
        world.log.forbid_failed_tasks(true);
        world.set_budget(BUDGET);
        world
    }

    /// Allows what would be a violation in [`check`](crate::check()).
    pub fn allow(&mut self, what: Allow) {
        self.trial.allowed.push(what);
        if what == Allow::FailedTasks {
            self.log.forbid_failed_tasks(false);
        }
    }

    pub(super) fn allows(&self, what: Allow) -> bool {
        !self.trial.is_strict || self.trial.allowed.contains(&what)
    }

    /// Tasks of this name need not end: [`until_done`](Self::until_done) does not wait
    /// for them.
    pub fn endless(&mut self, name: &str) {
        self.trial.endless.push(name.into());
    }

    /// A number that the seed decides, from `least` to `most`: for what a test builds.
    /// It is the same in a run that is told a plan.
    pub fn pick(&mut self, least: u64, most: u64) -> u64 {
        self.trial.picks += 1;
        let bound = most.saturating_sub(least).saturating_add(1);
        let draws = &self.draws;
        least + draws.below(0, Kind::Pick, self.trial.picks, bound)
    }

    /// Whether faults come from a plan.
    pub(super) fn is_told_faults(&self) -> bool {
        self.trial.script.is_some()
    }

    /// Says what is wrong with how the world is made, and where. Nothing runs then.
    pub(super) fn complain(&self, wrong: &str, place: &Location<'_>) {
        self.log.acting.set(None);
        self.log.violated("world", format!("{wrong} ({place})"));
    }

    /// A host was added.
    pub(super) fn made_host(&mut self, place: &'static Location<'static>) {
        self.trial.made.push(place);
        if !self.trial.is_strict {
            return;
        }
        let (host, before) = self.hosts.split_last().expect("it was just added");
        if !is_name(&host.name) {
            let wrong = format!("{:?} is no name for a host: give it one word", host.name);
            return self.complain(&wrong, place);
        }
        if let Some(index) = before.iter().position(|other| other.name == host.name) {
            let wrong = format!("two hosts are named {}; the first", host.name);
            self.complain(
                &format!("{wrong}: {}; the second", self.trial.made[index]),
                place,
            );
        }
    }

    /// A link is about to be added: gives its name.
    pub(super) fn made_link(
        &mut self,
        ends: [End; 2],
        link: &Link,
        place: &Location<'_>,
    ) -> String {
        let [a, b] = ends.map(|end| match end {
            End::Host(host) => self.hosts[host.0].name.to_string(),
            End::Switch(switch) => format!("switch{}", switch.0 + 1),
            End::Attacker(attacker) => format!("attacker{}", attacker.0 + 1),
        });
        let plain = format!("{a}-{b}");
        let taken = |name: &str| {
            let mut hosts = self.hosts.iter();
            self.wires.iter().any(|wire| wire.name == name) || hosts.any(|host| *host.name == *name)
        };
        let mut name = plain.clone();
        for number in 2.. {
            if !taken(&name) {
                break;
            }
            name = format!("{plain}-{number}");
        }
        if self.trial.is_strict {
            if let Some(wrong) = wrong_with(link) {
                self.complain(&format!("the link {name}: {wrong}"), place);
            }
            for end in ends {
                if let End::Host(host) = end
                    && self.links[host.0].is_some()
                {
                    let host = &self.hosts[host.0].name;
                    self.complain(&format!("{host} has a link already; hosts have one"), place);
                }
            }
        }
        self.tell_link(&name);
        name
    }

    /// Gives a new link the fates that the plan has for its name.
    fn tell_link(&mut self, name: &str) {
        let (Some(script), Chance::Told(fates)) = (&self.trial.script, &mut self.chance) else {
            return;
        };
        let link = self.wires.len() as u32;
        let place = script.plan.place(name).map(|place| place as u32);
        let facts = script.plan.fates.iter();
        for (frame, twist) in facts.filter(|(frame, _)| Some(frame.link) == place) {
            fates.add(FrameId { link, ..frame }, twist);
        }
    }

    /// How many spawns of a host found no place so far.
    pub(super) fn refused_spawns(&self, host: HostId) -> u64 {
        let board = self.hosts[host.0].board();
        board.map_or(0, |board| board.node().counters().spawns_refused)
    }

    /// A spawn that found no place, since there were `before` of them. Of a test everyone
    /// counts, of a plan those at a boot: a host on which not even what it is for finds a
    /// place does nothing, and a run of it shows nothing.
    pub(super) fn look_at_spawns(&self, host: HostId, before: u64) {
        let is_allowed = self.trial.is_strict && self.allows(Allow::RefusedSpawns);
        if let (false, Some(board)) = (is_allowed, self.hosts[host.0].board())
            && self.refused_spawns(host) > before
        {
            let tasks = board.size().tasks;
            let detail = format!(
                "a spawn was refused; the host has {tasks} tasks, and this is what they do:\n{}",
                self.waiting()
            );
            self.log.violated("spawn", detail);
        }
    }

    /// Before a run.
    ///
    /// # Panics
    /// When the world is over: a test that goes on would go on for ever.
    pub(super) fn begin_run(&mut self) {
        if !self.trial.is_strict {
            return;
        }
        self.trial.has_run = true;
        assert!(!self.log.is_violated(), "the run is over");
        let Some(script) = &mut self.trial.script else {
            return;
        };
        let left = std::mem::take(&mut script.left);
        let names: Vec<String> = script
            .plan
            .places
            .iter()
            .map(|place| place.name.clone())
            .collect();
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for strike in left {
            match self.fault_of(&names[strike.place], strike.blow) {
                Some(fault) => known.push((strike.at, fault)),
                None => unknown.push(strike),
            }
        }
        for (at, fault) in known {
            self.trial.asked.push((at, fault.clone()));
            self.plan_fault(at, fault);
        }
        if let Some(script) = &mut self.trial.script {
            script.left = unknown;
        }
    }

    /// After a run: what ended it without an end is a violation.
    pub(super) fn end_run(&mut self, ended: Ended) -> Ended {
        if !self.trial.is_strict {
            return ended;
        }
        self.audit();
        match ended {
            Ended::Budget => {
                let steps = self.steps;
                let detail = format!("{steps} steps and no end\n{}", self.waiting());
                self.log.violated("events", detail);
            }
            Ended::Quiet => {
                self.trial.quiet += 1;
                if self.trial.quiet > QUIET {
                    let left = self.waiting();
                    let detail = format!("nothing is left to happen, and the test runs on\n{left}");
                    self.log.violated("quiet", detail);
                }
            }
            _ => (),
        }
        match self.log.is_violated() {
            true => Ended::Violated,
            false => {
                self.log.acting.set(None);
                ended
            }
        }
    }

    /// Runs until every host is at rest: no fault is on its way to a host that is
    /// down, and no task is left but those that wait in `accept`, and
    /// [`endless`](Self::endless) ones. Violates `completion` when that takes longer
    /// than `time`.
    pub fn until_done(&mut self, time: Duration) -> Ended {
        let limit = self.now + time;
        let ended = self.run_until(limit, World::is_at_rest);
        if ended == Ended::Stopped || ended == Ended::Violated || self.is_at_rest() {
            return ended;
        }
        let why = match ended {
            Ended::Quiet => "nothing is left to happen, and it is not done",
            _ => "it is not done in time",
        };
        let mut detail = format!("{why}\n{}", self.waiting());
        let foreign = |task: Waiting| matches!(task.state, TaskState::Waiting(Reason::Other, _));
        let mut nodes = self.hosts.iter().filter_map(Host::node);
        if nodes.any(|node| node.waiting().any(foreign)) {
            detail +=
                "a task waits for what is not of this world: a thread, another crate's timer\n";
        }
        let busy = self.hosts.iter().position(|host| !self.rests(host));
        self.log.acting.set(busy.map(HostId));
        self.log.violated("completion", detail);
        Ended::Violated
    }

    fn is_at_rest(&self) -> bool {
        // Clients come last, as a rule, and are busy.
        self.hosts.iter().rev().all(|host| self.rests(host))
    }

    fn rests(&self, host: &Host) -> bool {
        match host.is_up() && !host.paused {
            true => match host.node() {
                Some(node) => node.waiting().all(|task| self.may_stay(&task)),
                None => host.is_done(),
            },
            false => self.queue.faults == 0,
        }
    }

    fn may_stay(&self, task: &Waiting) -> bool {
        matches!(task.state, TaskState::Waiting(Reason::Accept, _))
            || self.trial.endless.iter().any(|name| name == task.name)
    }

    /// After the test: what must not be left, and what must have been.
    pub(super) fn close(&mut self) {
        if self.log.is_violated() {
            return;
        }
        if self.hosts.is_empty() {
            let detail = "the world has no hosts: nothing was tested".into();
            return self.log.violated("world", detail);
        }
        if !self.trial.has_run || self.steps == 0 {
            let detail = "the world never ran: call until_done, run_for or run_until".into();
            return self.log.violated("world", detail);
        }
        let unlinked = self.links.iter().position(Option::is_none);
        if let (Some(index), false) = (unlinked, self.allows(Allow::Unlinked)) {
            let wrong = format!(
                "the host {} has no link: connect it",
                self.hosts[index].name
            );
            return self.complain(&wrong, self.trial.made[index]);
        }
        if !self.allows(Allow::LeakedSlots) && self.is_at_rest() {
            self.look_at_slots();
        }
        if let (Some(name), false) = (self.missed_claim(), self.log.is_violated()) {
            self.log.violated(name, "it never came true".into());
        }
    }

    /// Waits until connections are gone, which takes its time, and looks for slots that
    /// stay.
    fn look_at_slots(&mut self) {
        let leaks = |world: &World, host: usize| {
            let Some(node) = world.hosts[host].node() else {
                return false;
            };
            let mut tasks = node.waiting();
            world.hosts[host].is_up()
                && node.counters().slots_used > 0
                // An endless task may hold a stream for ever.
                && tasks.all(|task| matches!(task.state, TaskState::Waiting(Reason::Accept, _)))
        };
        let leak = |world: &World| (0..world.hosts.len()).find(|&host| leaks(world, host));
        if leak(self).is_none() {
            return;
        }
        let limit = self.now + LINGER;
        self.run_until(limit, |world| leak(world).is_none() || !world.is_at_rest());
        if let (Some(host), true) = (leak(self), self.is_at_rest()) {
            let (id, name) = (HostId(host), &self.hosts[host].name);
            let slots = self.counters(id).slots_used;
            self.log.acting.set(Some(id));
            let detail = format!("{name} holds {slots} slots, and no task has them");
            self.log.violated("slots", detail);
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '#' || c == '=')
}

/// What is wrong with a link.
fn wrong_with(link: &Link) -> Option<String> {
    let rates = [
        ("loss", link.loss),
        ("duplicate", link.duplicate),
        ("reorder", link.reorder),
        ("corrupt", link.corrupt),
        ("spike", link.spike),
    ];
    if let Some((name, ppm)) = rates.into_iter().find(|(_, ppm)| *ppm > 1_000_000) {
        return Some(format!("{name} is {ppm} parts per million, above 100 %"));
    }
    let mtu = link.mtu;
    (!(60..=1514).contains(&mtu)).then(|| format!("mtu is {mtu}, not 60 to 1514"))
}
