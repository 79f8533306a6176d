//! A test of many worlds: first every plan that once failed, then seeds, on all
//! cores. A sample of the seeds is run twice. The first seed that fails is shrunk
//! and told.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::crew::{Crew, cores};
use super::finding;
use super::merge::{Merged, merge};
use super::network::World;
use super::plan::Plan;
use super::plan_text::{PlanErrors, line_of};
use super::play::{How, Run, Test, play};
use super::setting::{Asked, Setting};
use super::shard::Shard;
use super::summary::{Showed, Summary};

/// One of so many seeds is run twice.
const TWICE: u64 = 16;

/// Checks a test with each of these seeds. `test` makes a world's hosts and links and
/// runs it, with [`until_done`](World::until_done) for example; each run has a world
/// of its own, on one thread.
///
/// Besides what the test asserts, a run fails by a panic in any task, a task that
/// returns an error, a spawn that is refused, a slot that nobody holds at the end, a
/// host without a link ([`Allow`](super::Allow) allows each), a claim that does not
/// hold, bytes that are not what was written, a turn over its budget, and a second run
/// that differs from the first. All runs together fail by a kind of fault that never
/// had an effect, and by what should be seen sometimes and never is.
///
/// `tests/corpus/NAME/*.plan` of the package are run first. Variables of the
/// environment ask for more or less:
///
/// ```text
///   CYGNET_SEEDS=0..100000   these seeds instead
///   CYGNET_SEED=33           one seed: it fails as it failed, or leaves its plan,
///                            page, capture and events
///   CYGNET_PLAN=FILE         one plan, the same way
///   CYGNET_OUT=FOLDER        leave files there; otherwise in cargo's target folder
///   CYGNET_RESULTS=FOLDER    only a part of the seeds; what came of it is left there.
///                            Slurm, Kubernetes or CYGNET_SHARD=K/N say which part
///   CYGNET_MERGE=FOLDER      no seeds: what all parts have left there is added up
/// ```
///
/// A test binary is a [shard](crate::shard) of many in this way: what one run of all must
/// show is asked of all parts together, when they are added up, and a part that is
/// missing, failed, or is there twice fails the test.
///
/// # Panics
/// When a run fails: with the seed, the command that runs it again, where and when,
/// the facts that are left of it, the last events, and where its plan, page, capture
/// and events are.
#[track_caller]
pub fn check(name: &str, seeds: Range<u64>, test: impl Fn(&mut World) + Sync) {
    let setting = Setting::new(name, seeds, |name| std::env::var(name).ok());
    let checked = setting.map_err(|error| format!("{name}: {error}"));
    if let Err(report) = checked.and_then(|setting| all(&setting, &test)) {
        panic!("{report}");
    }
}

/// Runs what is asked.
///
/// # Errors
/// What is said of the first that fails.
pub(super) fn all(setting: &Setting, test: Test<'_>) -> Result<(), String> {
    match &setting.asked {
        Asked::Plan(path) => {
            let (plan, seed) = replay(setting, test, path)?;
            finding::leave(setting, test, seed, Some((&plan, path)))
        }
        Asked::Seed(seed) => {
            let first = play(&setting.name, test, How::drawn(*seed));
            match fails(setting, test, *seed, first, true) {
                Ok(_) => finding::leave(setting, test, *seed, None),
                Err(failure) => Err(tell(setting, test, *seed, &failure)),
            }
        }
        Asked::Seeds(seeds) => {
            for path in corpus(setting)? {
                let _ = replay(setting, test, &path)?;
            }
            let part = many(setting, test, seeds, Shard::WHOLE)?;
            if let Some((seed, failure)) = &part.failure {
                return Err(tell(setting, test, *seed, failure));
            }
            of_all(setting, seeds, &part.showed)
        }
        Asked::Shard(seeds, shard, folder) => {
            let path = Summary::path(folder, &setting.name, *shard);
            one_of(setting, test, seeds, *shard, &path)
        }
        Asked::Merge(seeds, folder) => {
            let merged = merge(folder, &setting.name, seeds.as_ref());
            merged_all(
                setting,
                merged.map_err(|why| format!("{}: {why}", setting.name))?,
            )
        }
    }
}

/// Runs a part of the seeds and leaves what came of it. What the whole must show is not
/// asked of a part.
fn one_of(
    setting: &Setting,
    test: Test<'_>,
    seeds: &Range<u64>,
    shard: Shard,
    path: &Path,
) -> Result<(), String> {
    let wrong = |error| format!("{}: {}: {error}", setting.name, path.display());
    // Whatever happens from here on, an earlier attempt is not taken for this one.
    Summary::remove(path).map_err(wrong)?;
    for path in corpus(setting)? {
        let _ = replay(setting, test, &path)?;
    }
    let behaves = play(&setting.name, test, How::drawn(seeds.start)).digest;
    let part = many(setting, test, seeds, shard)?;
    let failed = part.failure.as_ref();
    let summary = Summary {
        test: setting.name.clone(),
        seeds: seeds.clone(),
        shard,
        behaves,
        failed: failed.map(|(seed, failure)| (*seed, failure.to_string())),
        showed: part.showed,
    };
    summary.write(path).map_err(wrong)?;
    match failed {
        Some((seed, failure)) => Err(tell(setting, test, *seed, failure)),
        None => Ok(()),
    }
}

/// Says what all shards came to, also where the harness shows nothing of what passes.
fn merged_all(setting: &Setting, merged: Merged) -> Result<(), String> {
    let (name, seeds, showed) = (&setting.name, &merged.seeds, &merged.showed);
    if !merged.failed.is_empty() {
        let mut text = String::new();
        for (shard, seed, why) in &merged.failed {
            let again = setting.again("CYGNET_SEED", &seed.to_string());
            text += &format!("{name}: shard {shard}: seed {seed}: {why}\n  replay   {again}\n");
        }
        return Err(text);
    }
    let all = |all: &BTreeMap<String, bool>| match all.is_empty() {
        true => "none asked for".to_owned(),
        false => all.keys().cloned().collect::<Vec<_>>().join(", "),
    };
    of_all(setting, seeds, showed)?;
    let text = format!(
        "{name}: {} shards\n  seeds    {}..{}\n  runs     {}\n  events   {}\n  digest   {:032x}\n  \
         seen     {}\n  faults   {}\n",
        merged.shards,
        seeds.start,
        seeds.end,
        showed.runs,
        showed.events,
        showed.digest,
        all(&showed.seen),
        all(&showed.faults),
    );
    // A reader who went away is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// The plans of the corpus, by name. No folder is no corpus.
fn corpus(setting: &Setting) -> Result<Vec<PathBuf>, String> {
    let folder = &setting.corpus;
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let wrong = |error| format!("{}: {}: {error}", setting.name, folder.display());
    let mut plans = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path.extension().is_some_and(|end| end == "plan") {
            plans.push(path);
        }
    }
    plans.sort();
    Ok(plans)
}

/// Runs a plan from a file. Gives it, and its seed.
fn replay(setting: &Setting, test: Test<'_>, path: &Path) -> Result<(Plan, u64), String> {
    let (name, file) = (&setting.name, path.display());
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {file}: {error}"))?;
    let parsed: Result<Plan, PlanErrors> = text.parse();
    let plan = parsed.map_err(|errors| errors.in_file(&format!("{name}: {file}")))?;
    let seed = match &plan.from {
        Some((test, seed)) if plan.is_of_test() && test == name => *seed,
        Some((test, _)) if plan.is_of_test() => {
            return Err(format!(
                "{name}: {file}:{}: it is a plan of the test {test}",
                line_of(&text, "test")
            ));
        }
        _ => {
            return Err(format!(
                "{name}: {file}:1: it is a plan of a scenario, which makes its own hosts: \
                 `sim replay {file}` runs it"
            ));
        }
    };
    let run = play(name, test, How::told(&plan));
    if run.violation.is_some() {
        return Err(finding::of_plan(setting, test, path, &plan));
    }
    match run.not_done {
        Some((words, why)) => Err(format!(
            "{name}: {file}:{}: `{words}`: {why}. It no longer tests what it did: change it, or \
             take it away",
            line_of(&text, &words)
        )),
        None => Ok((plan, seed)),
    }
}

/// How a seed failed.
enum Failure {
    /// Its run broke a rule.
    Run(Box<Run>),
    /// Two runs of it differ.
    TwoRuns,
}

/// In a line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Run(run) => {
                let violation = run.violation.as_ref().map(ToString::to_string);
                let text = violation.unwrap_or_default();
                f.write_str(text.lines().next().unwrap_or_default())
            }
            Failure::TwoRuns => f.write_str("two runs of one seed are not the same"),
        }
    }
}

fn tell(setting: &Setting, test: Test<'_>, seed: u64, failure: &Failure) -> String {
    match failure {
        Failure::Run(run) => finding::of_seed(setting, test, seed, run),
        Failure::TwoRuns => finding::of_two_runs(setting, test, seed),
    }
}

/// Whether a seed fails; its run is made a second time to see whether that differs.
fn fails(
    setting: &Setting,
    test: Test<'_>,
    seed: u64,
    run: Run,
    twice: bool,
) -> Result<Run, Failure> {
    if twice {
        let again = play(&setting.name, test, How::drawn(seed));
        if (again.digest, again.events) != (run.digest, run.events) {
            return Err(Failure::TwoRuns);
        }
    }
    match run.violation {
        Some(_) => Err(Failure::Run(Box::new(run))),
        None => Ok(run),
    }
}

/// What came of some seeds.
#[derive(Default)]
struct Part {
    failure: Option<(u64, Failure)>,
    showed: Showed,
}

impl Part {
    fn merge(&mut self, other: Part) {
        self.showed.merge(other.showed);
        let least = self.failure.as_ref().map_or(u64::MAX, |(seed, _)| *seed);
        if let Some((seed, failure)) = other.failure
            && seed <= least
        {
            self.failure = Some((seed, failure));
        }
    }

    fn add(&mut self, seed: u64, run: &Run) {
        let showed = &mut self.showed;
        showed.add(seed, run.digest, run.events);
        for (all, here) in [
            (&mut showed.seen, &run.seen),
            (&mut showed.faults, &run.faults),
        ] {
            for &(name, had) in here {
                match all.get_mut(name) {
                    Some(before) => *before |= had,
                    None => drop(all.insert(name.into(), had)),
                }
            }
        }
    }
}

/// Runs this shard's part of the seeds.
fn many(
    setting: &Setting,
    test: Test<'_>,
    seeds: &Range<u64>,
    shard: Shard,
) -> Result<Part, String> {
    let (name, count) = (&setting.name, seeds.end - seeds.start);
    // The least seed that fails is wanted, so seeds go up; a list of all could be long.
    let size = count.div_ceil(1 << 16);
    let chunks = count.div_ceil(size);
    let ours: Vec<u64> = (0..chunks).filter(|&chunk| shard.takes(chunk)).collect();
    let wanted = ours.len();
    if ours.is_empty() {
        return Err(format!(
            "{name}: no seed of {seeds:?} is in shard {shard}: nothing would be tested; at most \
             {chunks} shards have one"
        ));
    }
    let crew = Crew::new(ours);
    let least = AtomicU64::new(u64::MAX);
    let work = |chunk: u64| {
        let mut part = Part::default();
        let start = seeds.start + chunk * size;
        for seed in start..seeds.end.min(start.saturating_add(size)) {
            if seed > least.load(Ordering::Relaxed) {
                return None;
            }
            let run = play(&setting.name, test, How::drawn(seed));
            let twice = (seed - seeds.start).is_multiple_of(TWICE);
            match fails(setting, test, seed, run, twice) {
                Ok(run) => part.add(seed, &run),
                Err(failure) => {
                    least.fetch_min(seed, Ordering::Relaxed);
                    part.failure = Some((seed, failure));
                    break;
                }
            }
        }
        Some(part)
    };
    let (mut all, mut parts) = (Part::default(), 0);
    let started = std::thread::scope(|scope| {
        let (finished, threads) = crew.start(cores(), scope, work)?;
        for (_, part) in finished {
            parts += 1;
            all.merge(part);
        }
        threads.into_iter().for_each(|thread| drop(thread.join()));
        std::io::Result::Ok(())
    });
    started.map_err(|error| format!("{name}: no thread to run it: {error}"))?;
    if all.failure.is_none() && parts < wanted {
        return Err(format!(
            "{name}: a thread died; this is a mistake in cygnet-world"
        ));
    }
    Ok(all)
}

/// What no run showed, and one should have.
fn of_all(setting: &Setting, seeds: &Range<u64>, all: &Showed) -> Result<(), String> {
    let never = |all: &BTreeMap<String, bool>| {
        let never = all.iter().filter(|(_, seen)| !**seen);
        let names = never.map(|(name, _)| name.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    let (unseen, idle) = (never(&all.seen), never(&all.faults));
    let (name, range) = (&setting.name, format!("{}..{}", seeds.start, seeds.end));
    let again = setting.again("CYGNET_SEEDS", &range);
    match (unseen.is_empty(), idle.is_empty()) {
        (true, true) => Ok(()),
        (false, _) => Err(format!(
            "{name}: never seen with any seed of {range}: {unseen}\n  replay   {again}"
        )),
        (true, false) => Err(format!(
            "{name}: faults that were asked for and had no effect with any seed of {range}: \
             {idle}\n  replay   {again}\n  or       world.allow(Allow::IdleFaults)"
        )),
    }
}

/// Declares a test that is [checked](crate::check()) with these seeds:
///
/// ```
/// use cygnet_world::{Link, World, percent, secs};
///
/// cygnet_world::test! { seeds = 0..100, fn an_echo_comes_back(world: &mut World) {
///     // hosts, links, faults
///     # let host = |node: cygnet::Node<'static>| drop(node.spawn(node.sleep(secs(1))));
///     # let (server, client) = (world.host("server", host), world.host("client", host));
///     world.connect(client, server, Link { loss: percent(1), ..Link::LAN });
///     world.until_done(secs(600));
/// }}
/// ```
#[macro_export]
macro_rules! test {
    ($(#[$meta:meta])* seeds = $seeds:expr, fn $name:ident($world:ident: $type:ty) $body:block) => {
        #[test]
        $(#[$meta])*
        fn $name() {
            $crate::check(stringify!($name), $seeds, |$world: $type| $body);
        }
    };
}
