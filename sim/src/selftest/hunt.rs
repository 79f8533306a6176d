//! One bug: seeds until it shows, then the least plan that still shows it.
//!
//! Most bugs violate an invariant. Three make a run depend on what no run may
//! depend on; those show when the same plan gives two digests, in this process or
//! in two.

use std::path::Path;
use std::process::{Command, Stdio};

use cygnet_world::plan::Plan;
use cygnet_world::scenario::Scenario;
use cygnet_world::shrink::{each_without, shrink};
use cygnet_world::stage::{Outcome, Staging, run};
use smoltcp::time::Duration;

use super::patch::{Bug, Sign};
use crate::cli::SelftestConfig;

/// The most steps of a run: ten times what the longest takes.
const BUDGET: u64 = 500_000;

/// The most plans that shrinking may run.
const SHRINK_RUNS: u64 = 20_000;

/// The most facts of a plan that a person takes in at a glance.
pub(super) const FACTS: usize = 8;

/// How often a run is repeated that may differ from the first.
const AGAIN: usize = 12;

/// How many catches are looked at for one that small.
const TRIES: usize = 5;

/// Where a bug is looked for, the same seed in each, one after the other.
fn scenarios(bug: &Bug) -> impl Iterator<Item = &'static Scenario> {
    bug.scenarios
        .iter()
        .filter_map(|name| Scenario::named(name))
}

/// A bug that was found.
pub(super) struct Catch {
    /// The invariant that was violated.
    by: String,
    scenario: &'static str,
    /// Seeds of that scenario, the last one included.
    seeds: u64,
    plan: Plan,
    /// Nothing more can be left out.
    minimal: bool,
    /// Plans that shrinking ran.
    runs: u64,
}

impl Catch {
    fn is_good(&self) -> bool {
        self.minimal && self.plan.facts() <= FACTS
    }
}

/// Hunts for the bug that is planted and prints a row for [`all`](super::all) to
/// read.
pub(super) fn row(bug: &Bug, config: &SelftestConfig) -> Result<u8, String> {
    end_with_parent();
    let Some(catch) = hunt(bug, config.seeds) else {
        return Ok(1);
    };
    let Catch {
        by,
        scenario,
        seeds,
        plan,
        minimal,
        runs,
        ..
    } = &catch;
    let facts = plan.facts();
    println!("{by}\t{scenario}\t{seeds}\t{facts}\t{minimal}\t{runs}");
    if let Some(folder) = &config.plans {
        let path = folder.join(format!("{}.plan", bug.name));
        let text = format!("# {}: {}\n# shows as: {by}\n{plan}", bug.name, bug.about);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(0)
}

/// Ends this process when the one that started it is gone, however it ended: only
/// that one holds the other end of our input.
fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(1);
    });
}

/// Prints the digest of a plan's run in this process, and what it violates.
pub(super) fn digest_of(path: &Path) -> Result<u8, String> {
    end_with_parent();
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let plan: Plan = text.parse().map_err(|error| format!("{error}"))?;
    let Outcome {
        digest, violation, ..
    } = stage(&plan, None, false);
    println!(
        "{digest:032x} {}",
        violation.map_or("", |violation| violation.invariant)
    );
    Ok(0)
}

fn stage(plan: &Plan, seed: Option<u64>, record: bool) -> Outcome {
    let staging = Staging {
        seed,
        record,
        budget: Some(BUDGET),
        distrust: true,
        ..Staging::default()
    };
    run(plan, staging)
}

/// The first catch of at most [`FACTS`] facts; if the first few have more, the best
/// of them.
fn hunt(bug: &Bug, seeds: u64) -> Option<Catch> {
    let scratch = std::env::temp_dir().join(format!("cygnet-{}.plan", std::process::id()));
    let caught = (0..seeds)
        .flat_map(|seed| scenarios(bug).map(move |scenario| (seed, scenario)))
        .filter_map(|(seed, scenario)| {
            let (plan, by) = try_seed(bug, seed, scenario, &scratch)?;
            Some(least(bug, plan, by, &scratch, (scenario.name, seed + 1)))
        });
    let mut best: Option<Catch> = None;
    for catch in caught.take(TRIES) {
        let rank = |catch: &Catch| (!catch.minimal, catch.plan.facts());
        if best.as_ref().is_none_or(|best| rank(&catch) < rank(best)) {
            best = Some(catch);
        }
        if best.as_ref().is_some_and(Catch::is_good) {
            break;
        }
    }
    let _ = std::fs::remove_file(&scratch);
    best
}

/// Shrinks a plan that shows a bug in this way.
fn least(
    bug: &Bug,
    plan: Plan,
    by: String,
    scratch: &Path,
    (scenario, seeds): (&'static str, u64),
) -> Catch {
    let still = |plan: &Plan| shows(bug, plan, scratch).as_deref() == Some(&by);
    let mut runs = 0;
    let fails = |plan: &Plan| {
        runs += 1;
        (runs <= SHRINK_RUNS).then(|| still(plan))
    };
    let plan = shrink(plan, fails, |_| ());
    let alone = match bug.sign {
        Sign::Violation => child(bug, &plan, scratch).is_some_and(|said| said.ends_with(&by)),
        _ => still(&plan),
    };
    let minimal = alone && !each_without(&plan).iter().any(still);
    Catch {
        by,
        scenario,
        seeds,
        plan,
        minimal,
        runs,
    }
}

/// Runs a seed; if the bug shows, also without chance, that plan and how it shows.
fn try_seed(bug: &Bug, seed: u64, scenario: &Scenario, scratch: &Path) -> Option<(Plan, String)> {
    let horizon = Duration::from_secs(bug.seconds).min(scenario.horizon);
    let plan = scenario.plan(seed, horizon);
    let violation = matches!(bug.sign, Sign::Violation);
    if violation {
        stage(&plan, Some(seed), false).violation?;
    }
    let fates = stage(&plan, Some(seed), true).fates;
    let plan = Plan { fates, ..plan };
    let by = shows(bug, &plan, scratch)?;
    Some((plan, by))
}

/// How the bug shows in a run of this plan.
fn shows(bug: &Bug, plan: &Plan, scratch: &Path) -> Option<String> {
    match bug.sign {
        Sign::Violation => stage(plan, None, false)
            .violation
            .map(|violation| violation.invariant.to_owned()),
        Sign::Twice => {
            let digest = || Some(stage(plan, None, false).digest);
            differs(digest)?.then(|| "digest, run twice".to_owned())
        }
        Sign::TwoProcesses => {
            let digest = || child(bug, plan, scratch);
            differs(digest)?.then(|| "digest, two processes".to_owned())
        }
    }
}

/// Whether a run is not always the same. Two runs of a small plan may be by chance, and it
/// would not be known whether the bug shows in it.
fn differs<D: PartialEq>(mut digest: impl FnMut() -> Option<D>) -> Option<bool> {
    let first = digest()?;
    for _ in 0..AGAIN {
        if digest()? != first {
            return Some(true);
        }
    }
    Some(false)
}

/// What [`digest_of`] prints, in a process that ran nothing before.
fn child(bug: &Bug, plan: &Plan, scratch: &Path) -> Option<String> {
    std::fs::write(scratch, plan.to_string()).ok()?;
    let program = std::env::current_exe().ok()?;
    let mut command = Command::new(program);
    command.args(["selftest", "--bug", &bug.name, "--digest-of"]);
    command.arg(scratch);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let _held = child.stdin.take();
    let output = child.wait_with_output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim_end().to_owned())
}
