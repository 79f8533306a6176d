//! One run of a test: its world is made, it runs, and what came of it is told. A
//! panic is a finding like any other.

use super::caught::caught;
use super::log::{Violation, Watch};
use super::network::World;
use super::plan::Plan;

/// What makes a world and runs it.
pub(super) type Test<'t> = &'t (dyn Fn(&mut World) + Sync);

/// How a test is run.
#[derive(Default)]
pub(super) struct How<'p> {
    pub(super) seed: u64,
    /// Told; otherwise drawn from the seed.
    pub(super) plan: Option<&'p Plan>,
    /// Keep the fates that are drawn.
    pub(super) record: bool,
    pub(super) watch: Option<Box<dyn Watch>>,
}

impl How<'static> {
    /// Drawn from this seed.
    pub(super) fn drawn(seed: u64) -> How<'static> {
        How {
            seed,
            ..How::default()
        }
    }
}

impl<'p> How<'p> {
    /// Told this plan.
    pub(super) fn told(plan: &'p Plan) -> How<'p> {
        How {
            seed: plan.from.as_ref().map_or(0, |(_, seed)| *seed),
            plan: Some(plan),
            ..How::default()
        }
    }

    /// And keeps the fates that are drawn.
    pub(super) fn recorded(self) -> How<'p> {
        How {
            record: true,
            ..self
        }
    }

    /// And shows everything.
    pub(super) fn watched(self, watch: impl Watch + 'static) -> How<'p> {
        How {
            watch: Some(Box::new(watch)),
            ..self
        }
    }
}

/// What came of a run.
pub(super) struct Run {
    pub(super) violation: Option<Violation>,
    pub(super) digest: u128,
    pub(super) events: u64,
    /// What happened, and by which names.
    pub(super) plan: Plan,
    /// Claims that one run of all must show, and whether this one did.
    pub(super) seen: Vec<(&'static str, bool)>,
    /// Kinds of faults that were asked for, and whether they had an effect.
    pub(super) faults: Vec<(&'static str, bool)>,
    /// What the plan says and this world does not have: the words, and why.
    pub(super) not_done: Option<(String, String)>,
}

/// Runs a test once.
pub(super) fn play(name: &str, test: Test<'_>, how: How<'_>) -> Run {
    let mut world = World::on_trial(how.seed, how.plan);
    if how.record {
        world.record();
    }
    if let Some(watch) = how.watch {
        world.log.watch(watch);
    }
    let played = caught(|| {
        test(&mut world);
        world.close();
    });
    if let Err(message) = played {
        world.log.violated("panic", message);
        world.abandon();
    }
    world.unwatch();
    Run {
        violation: world.violation(),
        digest: world.digest(),
        events: world.events(),
        plan: world.facts(name, how.seed),
        seen: world.seen_claims(),
        faults: world.faults_asked(),
        not_done: world.not_done(),
    }
}

/// What two violations have in common that are the same mistake: the rule, and where
/// a panic was.
pub(super) fn way(violation: &Violation) -> (&'static str, &str) {
    let place = match violation.invariant {
        "panic" => violation.detail.split(": ").next().unwrap_or_default(),
        _ => "",
    };
    (violation.invariant, place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Faults;
    use crate::link::Link;
    use crate::units::{millis, percent, secs};
    use cygnet::{Backlog, service};

    /// Every fault that a test can ask for.
    fn stormy(world: &mut World) {
        let server = world.host("server", |node| {
            let echo = service::echo(node, 7, Backlog(4));
            node.spawn(echo).expect("a free task");
        });
        let target = world.endpoint(server, 7);
        let client = world.host("client", move |node| {
            let talk = async move {
                for _ in 0..20 {
                    node.sleep(millis(300)).await;
                    let Ok(mut stream) = node.connect(target).await else {
                        continue;
                    };
                    stream.set_read_timeout(Some(secs(3)));
                    let _ = stream.write_all(b"swan").await;
                    let _ = stream.read(&mut [0; 4]).await;
                }
            };
            node.spawn(talk).expect("a free task");
        });
        let bad = Link {
            latency: millis(world.pick(1, 5)),
            jitter: millis(2),
            loss: percent(3),
            duplicate: percent(3),
            reorder: percent(3),
            hold: millis(9),
            corrupt: percent(1),
            spike: percent(1),
            spike_delay: millis(200),
            ..Link::LAN
        };
        let link = world.connect(client, server, bad);
        let worse = Link {
            loss: percent(40),
            bytes_per_second: 9_000,
            ..bad
        };
        for faults in [
            Faults::reboots().on(server),
            // Of a client that crashes its server would not hear: it has no limits.
            Faults::crashes().on(server),
            Faults::pauses(),
            Faults::clocks().times(0..=3),
            Faults::partitions().on(server).on(link),
            Faults::rates(worse),
        ] {
            world.faults(faults.within(secs(0)..secs(9)).lasting(millis(1)..=secs(2)));
        }
        world.until_done(secs(600));
    }

    #[test]
    fn what_was_drawn_can_be_written_read_and_told() {
        let mut kinds = std::collections::BTreeSet::new();
        for seed in 0..30 {
            let drawn = play("stormy", &stormy, How::drawn(seed).recorded());
            assert_eq!(drawn.violation, None, "seed {seed}");
            let text = drawn.plan.to_string();
            let plan: Plan = text
                .parse()
                .unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(plan.to_string(), text);
            kinds.extend(text.lines().map(|line| match line.strip_prefix("at ") {
                Some(strike) => strike.split(' ').nth(1).unwrap().to_owned(),
                None => line.split(' ').nth(4).unwrap_or_default().to_owned(),
            }));
            let told = play("stormy", &stormy, How::told(&plan));
            assert_eq!(
                (told.digest, told.not_done),
                (drawn.digest, None),
                "seed {seed}"
            );
        }
        for kind in [
            "boot", "crash", "pause", "resume", "jump", "drift", "cut", "join", "link", "lose",
            "late", "spike", "hold", "flip", "twice",
        ] {
            assert!(kinds.contains(kind), "{kind} never happened");
        }
    }
}
