//! Scenarios: from a name and a seed to a plan. Each has a server, several
//! visitors that check every byte, a time of faults, and a heal after which
//! everything must finish.
//!
//! Not here: fates of frames. Links have rates; a run draws from them.

use smoltcp::time::{Duration, Instant};

use super::attack::Attack;
use super::board::Size;
use super::link::Link;
use super::plan::{Goodbye, Plan, Visitor};
use super::scene::{SERVER, Scene};
use super::scenes;
use super::scenes_net;

/// A scenario that ships.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it shows, in a few words.
    pub about: &'static str,
    /// How long its faults last when nobody says.
    pub horizon: Duration,
    scene: fn(&mut Scene),
}

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "calm",
        about: "a healthy network",
        horizon: Duration::from_secs(10),
        scene: calm,
    },
    Scenario {
        name: "lossy",
        about: "8 clients, 10 requests a second each; frames lost, doubled, late",
        horizon: Duration::from_secs(60),
        scene: lossy,
    },
    Scenario {
        name: "churn",
        about: "16 clients that open and close all the time, 10 % loss",
        horizon: Duration::from_secs(10),
        scene: churn,
    },
    Scenario {
        name: "overload",
        about: "more clients than slots",
        horizon: Duration::from_secs(10),
        scene: overload,
    },
    Scenario {
        name: "partition",
        about: "links cut one way and both ways",
        horizon: Duration::from_secs(60),
        scene: partition,
    },
    Scenario {
        name: "reboot",
        about: "hosts crash, stay away, boot, forget everything",
        horizon: Duration::from_secs(60),
        scene: reboot,
    },
    Scenario {
        name: "slow",
        about: "64 KB/s behind a queue of seconds (bufferbloat)",
        horizon: Duration::from_secs(60),
        scene: slow,
    },
    Scenario {
        name: "chaos",
        about: "every fault there is",
        horizon: Duration::from_secs(60),
        scene: chaos,
    },
    Scenario {
        name: "synflood",
        about: "10,000 SYNs a second from nowhere, 8 slots, 300 honest visits",
        horizon: Duration::from_secs(60),
        scene: synflood,
    },
    Scenario {
        name: "chaos-syn",
        about: "chaos, and SYNs from nowhere",
        horizon: Duration::from_secs(30),
        scene: |scene| besieged(scene, Attack::Syn),
    },
    Scenario {
        name: "chaos-borrowed",
        about: "chaos, and SYNs in the clients' names",
        horizon: Duration::from_secs(30),
        scene: |scene| besieged(scene, Attack::Borrowed),
    },
    Scenario {
        name: "chaos-rst",
        about: "chaos, and resets in the clients' names",
        horizon: Duration::from_secs(30),
        scene: |scene| besieged(scene, Attack::Rst),
    },
    Scenario {
        name: "chaos-ack",
        about: "chaos, and acknowledgements and bytes nobody sent",
        horizon: Duration::from_secs(30),
        scene: |scene| besieged(scene, Attack::Ack),
    },
    Scenario {
        name: "chaos-land",
        about: "chaos, and addresses that cannot be",
        horizon: Duration::from_secs(30),
        scene: |scene| besieged(scene, Attack::Land),
    },
    Scenario {
        name: "chaos-fragment",
        about: "chaos, and pieces of segments",
        horizon: Duration::from_secs(30),
        scene: |scene| besieged(scene, Attack::Fragment),
    },
    Scenario {
        name: "chaos-arp",
        about: "chaos, and ARP of strangers",
        horizon: Duration::from_secs(30),
        scene: |scene| besieged(scene, Attack::Arp),
    },
    Scenario {
        name: "chaos-junk",
        about: "chaos, and bytes without sense",
        horizon: Duration::from_secs(30),
        scene: |scene| besieged(scene, Attack::Junk),
    },
    Scenario {
        name: "strangers",
        about: "honest peers that are unlike smoltcp",
        horizon: Duration::from_secs(10),
        scene: scenes::strangers,
    },
    Scenario {
        name: "liars",
        about: "peers that obey TCP's rules but for one",
        horizon: Duration::from_secs(10),
        scene: scenes::liars,
    },
    Scenario {
        name: "late",
        about: "hosts that stop for seconds",
        horizon: Duration::from_secs(60),
        scene: scenes::late,
    },
    Scenario {
        name: "narrow",
        about: "paths narrower than their ends, whose routers tell or do not",
        horizon: Duration::from_secs(20),
        scene: scenes::narrow,
    },
    Scenario {
        name: "leases",
        about: "addresses from a server for days: it is gone, forgets, moves; cables are pulled",
        horizon: Duration::from_secs(20 * 86_400),
        scene: scenes_net::leases,
    },
    Scenario {
        name: "names",
        about: "names and servers that fail, are silent, truncate, lie, or are gone",
        horizon: Duration::from_secs(900),
        scene: scenes_net::names,
    },
    Scenario {
        name: "link-flaps",
        about: "cables pulled for a moment or a minute, of who talks and of who has a lease",
        horizon: Duration::from_secs(300),
        scene: scenes_net::link_flaps,
    },
];

impl Scenario {
    /// The one with this name.
    pub fn named(name: &str) -> Option<&'static Scenario> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    /// The plan of this seed; faults last for `horizon`.
    pub fn plan(&self, seed: u64, horizon: Duration) -> Plan {
        let mut scene = Scene::new(self.name, seed, horizon);
        (self.scene)(&mut scene);
        scene.into_plan()
    }
}

/// Loss, doubles and reordering as on a bad radio link.
const BAD: Link = Link {
    latency: Duration::from_millis(2),
    jitter: Duration::from_millis(1),
    loss: 50_000,
    duplicate: 10_000,
    reorder: 20_000,
    hold: Duration::from_millis(8),
    ..Link::LAN
};

fn calm(scene: &mut Scene) {
    scene.plan.honest = true;
    scene.server(Size::SMALL, 8, Link::LAN);
    let visitor = scene.visitor();
    scene.visitors(4, Link::LAN, visitor);
}

fn lossy(scene: &mut Scene) {
    scene.plan.honest = true;
    let link = Link {
        loss: 10_000,
        duplicate: 5_000,
        reorder: 10_000,
        ..BAD
    };
    scene.server(Size::SMALL, 8, Link::LAN);
    let visitor = Visitor {
        // Half a minute: connections outlive every timeout of their beginning.
        requests: 300,
        bytes: 200,
        gap: Duration::from_millis(100),
        ..scene.visitor()
    };
    scene.visitors(8, link, visitor);
}

fn churn(scene: &mut Scene) {
    scene.plan.honest = true;
    // Two such links are on the way: together 10 % are lost.
    let link = Link {
        loss: 50_000,
        duplicate: 20_000,
        reorder: 50_000,
        ..BAD
    };
    scene.server(
        Size {
            slots: 32,
            tasks: 34,
            ..Size::SMALL
        },
        16,
        link,
    );
    for goodbye in [Goodbye::Close, Goodbye::Drop, Goodbye::Half] {
        let visitor = Visitor {
            requests: 1,
            bytes: 100,
            pause: Duration::from_millis(1),
            goodbye,
            ..scene.visitor()
        };
        let count = if goodbye == Goodbye::Close { 6 } else { 5 };
        scene.visitors(count, link, visitor);
    }
    name_again(scene);
}

fn overload(scene: &mut Scene) {
    let link = Link { loss: 5_000, ..BAD };
    scene.server(
        Size {
            slots: 4,
            // One for the listener and three for four slots: some connections are
            // accepted and find no task.
            tasks: 4,
            ..Size::SMALL
        },
        2,
        link,
    );
    let visitor = Visitor {
        lanes: 3,
        pause: Duration::from_millis(20),
        ..scene.visitor()
    };
    scene.visitors(8, Link::LAN, visitor);
}

fn partition(scene: &mut Scene) {
    let link = Link {
        loss: 10_000,
        ..BAD
    };
    scene.server(Size::SMALL, 8, link);
    let visitor = Visitor {
        requests: 10,
        ..scene.visitor()
    };
    scene.visitors(5, link, visitor);
    for place in 0..scene.plan.places.len() {
        scene.cut(place);
    }
}

fn reboot(scene: &mut Scene) {
    let link = Link {
        loss: 10_000,
        ..BAD
    };
    scene.server(Size::SMALL, 8, link);
    let visitor = Visitor {
        requests: 10,
        ..scene.visitor()
    };
    scene.visitors(5, link, visitor);
    for place in [SERVER, SERVER, 1, 2, 3] {
        scene.crash(place);
    }
}

fn slow(scene: &mut Scene) {
    scene.plan.honest = true;
    let link = Link {
        latency: Duration::from_millis(30),
        bytes_per_second: 64_000,
        queue_bytes: 256 << 10,
        loss: 1_000,
        ..Link::LAN
    };
    let size = Size {
        rx_bytes: 16 << 10,
        tx_bytes: 16 << 10,
        ..Size::SMALL
    };
    scene.server(size, 8, link);
    let visitor = Visitor {
        requests: 4,
        bytes: 60_000,
        ..scene.visitor()
    };
    scene.visitors(6, Link::LAN, visitor);
}

fn chaos(scene: &mut Scene) {
    let mut link = Link {
        latency: scene.millis(0, 20) + Duration::from_micros(50),
        jitter: scene.millis(0, 5),
        bytes_per_second: [0, 20_000, 1_000_000][scene.draw(3) as usize],
        queue_bytes: scene.pick(1_600, 12_000),
        loss: scene.pick(0, 80_000) as u32,
        duplicate: scene.pick(0, 40_000) as u32,
        reorder: scene.pick(0, 60_000) as u32,
        hold: scene.millis(1, 40),
        // Two flips on one path can cancel out in TCP's sixteen-bit sum, so only
        // the server's link flips bits.
        corrupt: scene.pick(0, 30_000) as u32,
        spike: scene.pick(0, 20_000) as u32,
        spike_delay: scene.millis(20, 900),
        ..Link::LAN
    };
    let size = Size {
        slots: scene.pick(2, 16) as usize,
        tasks: 24,
        rx_bytes: 256 << scene.pick(0, 4),
        tx_bytes: 256 << scene.pick(0, 4),
        ..Size::SMALL
    };
    let backlog = scene.pick(1, 8) as u16;
    scene.server(size, backlog, link);
    link.corrupt = 0;
    for _ in 0..scene.pick(2, 5) {
        // Now and then a crowd, so that queues and rings fill.
        let lanes = if scene.draw(8) == 0 { 12 } else { 3 };
        let visitor = Visitor {
            lanes: scene.pick(1, lanes) as u32,
            requests: scene.pick(1, 8) as u32,
            bytes: 1 << scene.pick(3, 12),
            pause: scene.millis(1, 800),
            gap: scene.millis(0, 200),
            goodbye: Goodbye::ALL[scene.draw(4) as usize],
            ..scene.visitor()
        };
        scene.visitors(1, link, visitor);
    }
    name_again(scene);
    let places = scene.plan.places.len() as u64;
    for _ in 0..scene.pick(2, 8) {
        let place = scene.draw(places) as usize;
        match scene.draw(5) {
            0 => scene.cut(place),
            1 => scene.crash(place),
            2 => scene.pause(place, Duration::from_secs(8)),
            3 => scene.clock(place),
            _ => scene.worse_link(place),
        }
    }
}

fn synflood(scene: &mut Scene) {
    scene.plan.honest = true;
    let link = Link {
        latency: Duration::from_micros(200),
        ..Link::LAN
    };
    let size = Size {
        slots: 8,
        tasks: 10,
        ..Size::SMALL
    };
    scene.server(size, 8, link);
    let horizon = scene.plan.heal - Instant::ZERO;
    let visitor = Visitor {
        visits: 30,
        requests: 1,
        bytes: 200,
        pause: horizon / 31,
        ..scene.visitor()
    };
    scene.visitors(10, link, visitor);
    scene.attacker(Attack::Syn, Duration::from_micros(100), horizon / 12);
}

/// Chaos with an attacker who knows the clients' addresses.
fn besieged(scene: &mut Scene, attack: Attack) {
    chaos(scene);
    let every = scene.pick(1_000, 50_000);
    scene.attacker(attack, Duration::from_micros(every), Duration::ZERO);
}

/// Gives visitors that were added in groups names from `c1` on.
fn name_again(scene: &mut Scene) {
    for (number, place) in scene.plan.places.iter_mut().enumerate().skip(1) {
        place.name = format!("c{number}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan_and_names_are_one_of_a_kind() {
        for scenario in SCENARIOS {
            let named = Scenario::named(scenario.name).map(|found| found.about);
            assert_eq!(named, Some(scenario.about));
            for seed in 0..50 {
                let plan = scenario.plan(seed, scenario.horizon);
                assert_eq!(plan, scenario.plan(seed, scenario.horizon));
                for (index, place) in plan.places.iter().enumerate() {
                    assert_eq!(plan.place(&place.name), Some(index), "{}", scenario.name);
                }
                assert!(plan.strikes.iter().all(|strike| strike.at <= plan.heal));
            }
        }
    }
}
