//! The places of a run from top to bottom, as a picture shows them: the first host,
//! switches, the other hosts, attackers. And where a link is.

use super::ids::{AttackerId, End, HostId, SwitchId};
use super::plan::{Plan, Role};
use super::timeline::Timeline;

/// A place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) end: End,
    pub(super) name: String,
}

impl Lane {
    /// What it is.
    pub(super) fn kind(&self) -> &'static str {
        match self.end {
            End::Host(_) => "host",
            End::Switch(_) => "switch",
            End::Attacker(_) => "attacker",
        }
    }
}

/// The lanes of a run.
pub(super) fn lanes(plan: &Plan, timeline: &Timeline) -> Vec<Lane> {
    let (mut hosts, mut switches, mut attackers) = (Vec::new(), Vec::new(), Vec::new());
    if !plan.is_of_test() {
        switches.push("middle".to_owned());
    }
    for place in &plan.places {
        match place.role {
            Role::Switch => switches.push(place.name.clone()),
            Role::Attacker(_) => attackers.push(place.name.clone()),
            Role::Link => (),
            _ => hosts.push(place.name.clone()),
        }
    }
    // A test's plan names neither.
    for end in timeline.links.values().flat_map(|(a, b)| [a, b]) {
        match end {
            End::Switch(id) => more(&mut switches, id.0, "switch"),
            End::Attacker(id) => more(&mut attackers, id.0, "attacker"),
            End::Host(_) => (),
        }
    }
    let mut hosts = named(hosts, |number| End::Host(HostId(number)));
    let rest = hosts.split_off(hosts.len().min(1));
    hosts.extend(named(switches, |number| End::Switch(SwitchId(number))));
    hosts.extend(rest);
    hosts.extend(named(attackers, |number| End::Attacker(AttackerId(number))));
    hosts
}

fn more(names: &mut Vec<String>, number: usize, what: &str) {
    while names.len() <= number {
        names.push(format!("{what}{}", names.len() + 1));
    }
}

fn named(names: Vec<String>, end: impl Fn(usize) -> End) -> Vec<Lane> {
    let lane = |(number, name)| Lane {
        end: end(number),
        name,
    };
    names.into_iter().enumerate().map(lane).collect()
}

/// The lane of an end.
pub(super) fn lane_of(lanes: &[Lane], end: End) -> Option<usize> {
    lanes.iter().position(|lane| lane.end == end)
}

/// The lanes at both ends of a link, as far as they are known.
pub(super) fn lanes_of_link(
    plan: &Plan,
    timeline: &Timeline,
    lanes: &[Lane],
    link: usize,
) -> [Option<usize>; 2] {
    if let Some((a, b)) = timeline.links.get(&(link as u32)) {
        return [*a, *b].map(|end| lane_of(lanes, end));
    }
    let named = |name: &str| lanes.iter().position(|lane| lane.name == name);
    match plan.places.get(link) {
        Some(place) if place.role != Role::Link => {
            let on = place
                .on
                .map_or("middle", |on| plan.places[on].name.as_str());
            [named(&place.name), named(on)]
        }
        _ => [None, None],
    }
}
