//! One bug: seeds until it shows, then the least plan that still shows it.
//!
//! Most bugs violate an invariant. Three make a run depend on what no run may
//! depend on; those show when the same plan gives two digests, in this process or
//! in two.

use std::path::Path;
use std::process::Command;

use cygnet::planted::{Planted, plant};
use smoltcp::time::Duration;

use crate::cli::SelftestConfig;
use crate::world::plan::Plan;
use crate::world::scenario::Scenario;
use crate::world::shrink::{each_without, shrink};
use crate::world::stage::{Outcome, Staging, run};

/// The most steps of a run: a hundred times what the longest takes.
const BUDGET: u64 = 20_000_000;

/// The most plans that shrinking may run.
const SHRINK_RUNS: u64 = 20_000;

/// How long faults last, and how long visitors come: less than is usual, for bugs
/// show early or need another seed.
fn horizon(bug: Planted) -> Duration {
    match bug {
        Planted::StaleTimer => Duration::from_secs(40),
        _ => Duration::from_secs(15),
    }
}

/// How a bug shows.
#[derive(Clone, Copy)]
enum Sign {
    /// An invariant is violated.
    Violation,
    /// The same plan twice, two digests.
    Twice,
    /// The same plan in two processes, two digests.
    TwoProcesses,
}

fn sign(bug: Planted) -> Sign {
    match bug {
        Planted::OrderLeak | Planted::ClockLeak => Sign::Twice,
        Planted::AddressLeak => Sign::TwoProcesses,
        _ => Sign::Violation,
    }
}

/// Where it is looked for, the same seed in each, one after the other.
fn scenarios(bug: Planted) -> impl Iterator<Item = &'static Scenario> {
    let names: &[&str] = match bug {
        // Only connections that live for half a minute outlive a handshake's deadline.
        Planted::StaleTimer => &["lossy"],
        _ => &["chaos", "churn", "overload", "reboot", "partition"],
    };
    names.iter().filter_map(|name| Scenario::named(name))
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

/// Hunts for one bug and prints a row for [`all`](super::all) to read.
pub(super) fn row(bug: Planted, config: &SelftestConfig) -> Result<u8, String> {
    plant(Some(bug));
    let Some(catch) = hunt(bug, config.seeds)? else {
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
        let path = folder.join(format!("{}.plan", bug.name()));
        let text = format!(
            "# {}: {}\n# shows as: {by}\n{plan}",
            bug.name(),
            bug.about()
        );
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(0)
}

/// Prints the digest of a plan's run in this process.
pub(super) fn digest_of(bug: Planted, path: &Path) -> Result<u8, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let plan: Plan = text.parse().map_err(|error| format!("{error}"))?;
    plant(Some(bug));
    println!("{:032x}", stage(&plan, None, false).digest);
    Ok(0)
}

fn stage(plan: &Plan, seed: Option<u64>, record: bool) -> Outcome {
    let staging = Staging {
        seed,
        record,
        budget: Some(BUDGET),
        ..Staging::default()
    };
    run(plan, staging)
}

fn hunt(bug: Planted, seeds: u64) -> Result<Option<Catch>, String> {
    let scratch = std::env::temp_dir().join(format!("cygnet-{}.plan", std::process::id()));
    let caught = (0..seeds)
        .flat_map(|seed| scenarios(bug).map(move |scenario| (seed, scenario)))
        .find_map(|(seed, scenario)| {
            Some((seed, scenario, try_seed(bug, seed, scenario, &scratch)?))
        });
    let Some((seed, scenario, (plan, by))) = caught else {
        return Ok(None);
    };
    let mut runs = 0;
    let plan = shrink(
        plan,
        |plan| {
            runs += 1;
            (runs <= SHRINK_RUNS).then(|| shows(bug, plan, &scratch).as_deref() == Some(&by))
        },
        |_| (),
    );
    let still = |plan: &Plan| shows(bug, plan, &scratch).as_deref() == Some(&by);
    let minimal = still(&plan) && !each_without(&plan).iter().any(still);
    let _ = std::fs::remove_file(&scratch);
    Ok(Some(Catch {
        by,
        scenario: scenario.name,
        seeds: seed + 1,
        plan,
        minimal,
        runs,
    }))
}

/// Runs a seed; if the bug shows, also without chance, that plan and how it shows.
fn try_seed(
    bug: Planted,
    seed: u64,
    scenario: &Scenario,
    scratch: &Path,
) -> Option<(Plan, String)> {
    let plan = scenario.plan(seed, horizon(bug).min(scenario.horizon));
    let violation = matches!(sign(bug), Sign::Violation);
    if violation {
        stage(&plan, Some(seed), false).violation?;
    }
    let fates = stage(&plan, Some(seed), true).fates;
    let plan = Plan { fates, ..plan };
    let by = shows(bug, &plan, scratch)?;
    Some((plan, by))
}

/// How the bug shows in a run of this plan.
fn shows(bug: Planted, plan: &Plan, scratch: &Path) -> Option<String> {
    match sign(bug) {
        Sign::Violation => stage(plan, None, false)
            .violation
            .map(|violation| violation.invariant.to_owned()),
        Sign::Twice => {
            let [one, two] = [(); 2].map(|()| stage(plan, None, false).digest);
            (one != two).then(|| "digest, run twice".to_owned())
        }
        Sign::TwoProcesses => {
            std::fs::write(scratch, plan.to_string()).ok()?;
            let digest = || {
                let program = std::env::current_exe().ok()?;
                let output = Command::new(program)
                    .args(["selftest", "--bug", bug.name(), "--digest-of"])
                    .arg(scratch)
                    .output()
                    .ok()?;
                output.status.success().then_some(output.stdout)
            };
            let (one, two) = (digest()?, digest()?);
            (one != two).then(|| "digest, two processes".to_owned())
        }
    }
}
