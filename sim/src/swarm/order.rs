//! What a swarm is to run: scenarios, seeds, how long faults last, and which part
//! of it is ours. An order says everything that its summary depends on, so two
//! runs of the same order have the same summary, and results of two different
//! orders never add up.
//!
//! Seeds go in chunks, the unit of work, of resuming and of sharding. How long a
//! chunk is follows from the seeds alone.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use cygnet_world::scenario::Scenario;
use cygnet_world::stage::{self, Staging};
use serde_json::{Value, json};
use smoltcp::time::Duration;

use cygnet_world::shard::Shard;

/// The version of the results file.
const VERSION: u64 = 1;
/// A swarm has about so many chunks, unless they would be too long.
const CHUNKS: u64 = 1024;
/// Half a minute of work: nobody minds to lose that.
const MOST_SEEDS: u64 = 4096;

/// What a swarm is to run. See the head of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Names of scenarios, in the order in which they ship.
    pub scenarios: Vec<&'static str>,
    /// Each with each of these.
    pub seeds: Range<u64>,
    /// How long faults last; otherwise what each scenario says.
    pub horizon: Option<Duration>,
    /// Run every seed a second time and compare.
    pub twice: bool,
    /// Which chunks are ours.
    pub shard: Shard,
}

impl Order {
    /// Seeds in a chunk; the last one may have fewer.
    pub fn chunk_seeds(&self) -> u64 {
        let seeds = self.seeds.end - self.seeds.start;
        seeds.div_ceil(CHUNKS).next_power_of_two().min(MOST_SEEDS)
    }

    /// How many chunks there are, in all shards together.
    pub fn chunks(&self) -> u64 {
        let seeds = self.seeds.end - self.seeds.start;
        seeds.div_ceil(self.chunk_seeds())
    }

    /// The chunks of our shard.
    pub fn ours(&self) -> impl Iterator<Item = u64> + use<> {
        let shard = self.shard;
        (0..self.chunks()).filter(move |&chunk| shard.takes(chunk))
    }

    /// The seeds of a chunk.
    pub fn seeds_of(&self, chunk: u64) -> Range<u64> {
        let start = self.seeds.start + chunk * self.chunk_seeds();
        start..self.seeds.end.min(start.saturating_add(self.chunk_seeds()))
    }

    /// How many runs these chunks are.
    pub fn runs(&self, chunks: impl Iterator<Item = u64>) -> u64 {
        let seeds = chunks.map(|chunk| {
            let seeds = self.seeds_of(chunk);
            seeds.end - seeds.start
        });
        seeds.sum::<u64>() * self.scenarios.len() as u64
    }

    /// How long the faults of this scenario last.
    pub fn horizon_of(&self, scenario: &Scenario) -> Duration {
        self.horizon.unwrap_or(scenario.horizon)
    }

    /// The first line of a results file: what must be equal for results to
    /// belong together.
    pub fn header(&self) -> Value {
        json!({
            "swarm": VERSION,
            "program": env!("CARGO_PKG_VERSION"),
            "behaves": behaves(),
            "scenarios": self.scenarios.join(" "),
            "seeds": format!("{}..{}", self.seeds.start, self.seeds.end),
            "for": self.horizon.map_or("as shipped".into(), plain),
            "twice": self.twice,
            "shard": self.shard.to_string(),
        })
    }

    /// The order that a header is of.
    ///
    /// # Errors
    /// One line: it is of another version, or nothing that this program wrote.
    pub fn from_header(header: &Value) -> Result<Order, String> {
        let version = header["swarm"].as_u64();
        let version = version.ok_or("its first line is no header of a swarm")?;
        if version != VERSION {
            return Err(format!(
                "it has version {version} and this program reads {VERSION}"
            ));
        }
        let order = || -> Option<Order> {
            let text = |key: &str| header[key].as_str();
            let (start, end) = text("seeds")?.split_once("..")?;
            let names = text("scenarios")?.split(' ');
            let horizon = match text("for")? {
                "as shipped" => None,
                given => Some(time(given)?),
            };
            Some(Order {
                scenarios: names
                    .map(|name| Scenario::named(name).map(|scenario| scenario.name))
                    .collect::<Option<_>>()?,
                seeds: start.parse().ok()?..end.parse().ok()?,
                horizon,
                twice: header["twice"].as_bool()?,
                shard: text("shard")?.parse().ok()?,
            })
        };
        order()
            .filter(|order| order.seeds.start < order.seeds.end)
            .ok_or_else(|| "its header makes no sense to this program".into())
    }
}

/// In what two headers differ, such as `seeds are 0..10 there and 0..20 here`.
pub(super) fn differences(theirs: &Value, ours: &Value, but: &[&str]) -> Vec<String> {
    let keys = ours.as_object().into_iter().flatten();
    keys.filter(|(key, ours)| !but.contains(&key.as_str()) && theirs[key.as_str()] != **ours)
        .map(|(key, ours)| {
            let word = |value: &Value| match value {
                Value::String(text) => text.clone(),
                value => value.to_string(),
            };
            let (theirs, ours) = (word(&theirs[key.as_str()]), word(ours));
            match key.as_str() {
                "behaves" => "it was written by a program that behaves differently".into(),
                "scenarios" | "seeds" => format!("{key} are {theirs} there and {ours} here"),
                "for" | "twice" => format!("--{key} is {theirs} there and {ours} here"),
                _ => format!("{key} is {theirs} there and {ours} here"),
            }
        })
        .collect()
}

/// The digest of one short run: a core or a world that was changed gives another,
/// and then results from before do not go with those from after.
fn behaves() -> String {
    static DIGEST: OnceLock<u128> = OnceLock::new();
    let digest = DIGEST.get_or_init(|| {
        let plan = Scenario::named("chaos").map(|chaos| chaos.plan(0, Duration::from_secs(5)));
        let staging = Staging {
            seed: Some(0),
            ..Staging::default()
        };
        plan.map_or(0, |plan| stage::run(&plan, staging).digest)
    });
    format!("{digest:032x}")
}

fn plain(time: Duration) -> String {
    match time.total_micros() {
        micros if micros % 1_000_000 == 0 => format!("{}s", micros / 1_000_000),
        micros if micros % 1_000 == 0 => format!("{}ms", micros / 1_000),
        micros => format!("{micros}us"),
    }
}

/// What [`plain`] wrote.
fn time(text: &str) -> Option<Duration> {
    let units = [("us", 1), ("ms", 1_000), ("s", 1_000_000)];
    units.into_iter().find_map(|(unit, micros)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(micros).map(Duration::from_micros)
    })
}

impl Order {
    /// The options that say how long faults last, with a space before them.
    pub(super) fn for_words(&self) -> String {
        self.horizon
            .map_or(String::new(), |time| format!(" --for {}", plain(time)))
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.seeds;
        write!(f, "{}, seeds {start}..{end}", self.scenarios.join(" "))?;
        if let Some(horizon) = self.horizon {
            write!(f, ", faults for {}", plain(horizon))?;
        }
        if self.twice {
            write!(f, ", each twice")?;
        }
        if self.shard != Shard::WHOLE {
            write!(f, ", shard {}", self.shard)?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn order(seeds: Range<u64>) -> Order {
        Order {
            scenarios: vec!["calm"],
            seeds,
            horizon: Some(Duration::from_millis(1_500)),
            twice: false,
            shard: Shard::WHOLE,
        }
    }

    #[test]
    fn chunks_are_all_seeds_once_in_order() {
        for (seeds, chunk_seeds) in [
            (0..1, 1),
            (7..1031, 1),
            (0..1025, 2),
            (0..20_000, 32),
            (5..5_000_000, 4096),
            (0..1_000_000_000, 4096),
            (u64::MAX - 9..u64::MAX, 1),
        ] {
            let order = order(seeds.clone());
            assert_eq!(order.chunk_seeds(), chunk_seeds, "{seeds:?}");
            let mut next = seeds.start;
            for chunk in order.ours() {
                let seeds = order.seeds_of(chunk);
                assert!(seeds.start == next && seeds.end > next);
                next = seeds.end;
            }
            assert_eq!(next, seeds.end);
            assert_eq!(order.runs(order.ours()), seeds.end - seeds.start);
        }
    }

    #[test]
    fn a_header_is_an_order() {
        let mut order = order(3..40);
        order.shard = "2/4".parse().unwrap();
        assert_eq!(Order::from_header(&order.header()), Ok(order.clone()));
        for micros in [1, 2_000, 60_000_000] {
            order.horizon = Some(Duration::from_micros(micros));
            assert_eq!(Order::from_header(&order.header()), Ok(order.clone()));
        }
        order.horizon = None;
        assert_eq!(Order::from_header(&order.header()), Ok(order.clone()));
        for (key, value, says) in [
            ("swarm", json!(2), "version 2 and this program reads 1"),
            ("swarm", json!(null), "no header of a swarm"),
            ("seeds", json!("9..3"), "makes no sense"),
            ("scenarios", json!("calm storm"), "makes no sense"),
        ] {
            let mut header = order.header();
            header[key] = value;
            let error = Order::from_header(&header).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn what_differs_is_named() {
        let (a, mut b) = (order(0..10), order(0..20));
        b.twice = true;
        assert_eq!(
            differences(&a.header(), &b.header(), &[]),
            [
                "seeds are 0..10 there and 0..20 here",
                "--twice is false there and true here"
            ]
        );
        let mut other = a.header();
        other["behaves"] = json!("00");
        let found = differences(&other, &a.header(), &[]);
        assert!(found[0].contains("behaves differently"), "{found:?}");
    }
}
