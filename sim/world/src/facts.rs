//! A test's own world as a plan, and a plan as what it says of such a world. A plan
//! names links and hosts; the test makes them.

use smoltcp::time::Instant;

use super::fate::Way;
use super::fault::Fault;
use super::ids::{HostId, LinkId};
use super::link::Link;
use super::network::World;
use super::plan::{Blow, Place, Plan, Role, Strike};
use super::plan_text::since_start;

impl World {
    /// The plan of this run so far: what it is made of by name, and what happened.
    pub(super) fn facts(&self, test: &str, seed: u64) -> Plan {
        let place = |name: &str, role| Place {
            name: name.into(),
            on: None,
            link: Link::LAN,
            role,
        };
        let links = self.wires.iter().map(|wire| place(&wire.name, Role::Link));
        let hosts = self.hosts.iter().map(|host| place(&host.name, Role::Host));
        let asked = self.trial.asked.iter().filter(|(at, _)| *at <= self.now);
        let mut strikes: Vec<Strike> = asked.map(|(at, fault)| self.fact(*at, fault)).collect();
        strikes.sort_by_key(|strike| strike.at);
        Plan {
            from: Some((test.into(), seed)),
            heal: Instant::ZERO,
            limit: Instant::ZERO,
            honest: false,
            places: links.chain(hosts).collect(),
            strikes,
            fates: self.fates(),
        }
    }

    fn fact(&self, at: Instant, fault: &Fault) -> Strike {
        let of_host = |host: HostId| self.wires.len() + host.0;
        let (place, blow) = match *fault {
            Fault::Crash(host) => (of_host(host), Blow::Crash),
            Fault::Boot(host) => (of_host(host), Blow::Boot),
            Fault::Pause(host) => (of_host(host), Blow::Pause),
            Fault::Resume(host) => (of_host(host), Blow::Resume),
            Fault::Drift(host, ppm) => (of_host(host), Blow::Drift(ppm)),
            Fault::Jump(host, ahead) => (of_host(host), Blow::Jump(ahead)),
            Fault::Partition { link, forth, back } => match (forth, back) {
                (false, false) => (link.0, Blow::Join),
                (up, down) => (link.0, Blow::Cut { up, down }),
            },
            Fault::Change(link, to) => (link.0, Blow::Link(to)),
            Fault::Unplug(link) => (link.0, Blow::Unplug),
            Fault::Plug(link) => (link.0, Blow::Plug),
        };
        Strike { at, place, blow }
    }

    /// What a strike of a plan is here, if there is such a host or link.
    pub(super) fn fault_of(&self, name: &str, blow: Blow) -> Option<Fault> {
        let host = || self.hosts.iter().position(|host| *host.name == *name);
        let link = || {
            self.wires
                .iter()
                .position(|wire| wire.name == name)
                .map(LinkId)
        };
        let cut = |forth, back| {
            Some(Fault::Partition {
                link: link()?,
                forth,
                back,
            })
        };
        match blow {
            Blow::Crash => Some(Fault::Crash(HostId(host()?))),
            Blow::Boot => Some(Fault::Boot(HostId(host()?))),
            Blow::Pause => Some(Fault::Pause(HostId(host()?))),
            Blow::Resume => Some(Fault::Resume(HostId(host()?))),
            Blow::Drift(ppm) => Some(Fault::Drift(HostId(host()?), ppm)),
            Blow::Jump(ahead) => Some(Fault::Jump(HostId(host()?), ahead)),
            Blow::Cut { up, down } => cut(up, down),
            Blow::Join => cut(false, false),
            Blow::Link(to) => Some(Fault::Change(link()?, to)),
            Blow::Unplug => Some(Fault::Unplug(link()?)),
            Blow::Plug => Some(Fault::Plug(link()?)),
        }
    }

    /// What the plan of a run that was told says, and this world does not have: the
    /// word that is wrong, as it stands in the plan, and why.
    pub(super) fn not_done(&self) -> Option<(String, String)> {
        let plan = &self.trial.script.as_ref()?.plan;
        let told = |place: &Place| {
            let mut names = self.hosts.iter().map(|host| &*host.name);
            match place.role {
                Role::Link => self.wires.iter().any(|wire| wire.name == place.name),
                _ => names.any(|name| name == place.name),
            }
        };
        if let Some(place) = plan.places.iter().find(|place| !told(place)) {
            let (name, links) = (&place.name, self.wires.iter().map(|wire| &*wire.name));
            let hosts = self.hosts.iter().map(|host| &*host.name);
            let known: Vec<&str> = links.chain(hosts).collect();
            let (what, known) = (
                ["host", "link"][usize::from(place.role == Role::Link)],
                known.join(", "),
            );
            let why = format!("the test makes no {what} {name}; it makes {known}");
            return Some((format!("{what} {name}"), why));
        }
        self.never_came(plan, |place| {
            let name = &plan.places[place].name;
            self.wires.iter().position(|wire| wire.name == *name)
        })
    }

    /// The first fact of a plan that did not happen, although the run is over: its words
    /// in the plan, and why. `wire` gives the number of a place's link.
    pub(super) fn never_came(
        &self,
        plan: &Plan,
        wire: impl Fn(usize) -> Option<usize>,
    ) -> Option<(String, String)> {
        if let Some(strike) = plan.strikes.iter().find(|strike| strike.at > self.now) {
            let why = format!("the run ends at {}, before that", self.now);
            return Some((format!("at {}", since_start(strike.at)), why));
        }
        for (frame, _) in plan.fates.iter() {
            let name = &plan.places[frame.link as usize].name;
            let link = &self.wires[wire(frame.link as usize)?];
            let way = usize::from(frame.way == Way::Back);
            let (sent, number) = (link.directions[way].frames(), frame.number);
            if number >= sent {
                let way = ["up", "down"][way];
                let why = format!("frame {number} never comes: {sent} are sent on {name} {way}");
                return Some((format!("frame {name} {way} {number}"), why));
            }
        }
        None
    }
}
