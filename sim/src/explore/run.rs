//! `sim world`: one run from a seed. `sim replay`: one run from a plan, in which
//! nothing is drawn.

use std::cell::Cell;
use std::io::IsTerminal;
use std::rc::Rc;
use std::time::Duration as WallTime;

use cygnet_world::files::{Files, Notes, Wanted};
use cygnet_world::page::About;
use cygnet_world::plan::Plan;
use cygnet_world::scenario::Scenario;
use cygnet_world::stage::{Outcome, Staging, run};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::files::{never_came, read, write};
use super::outcome::report;
use super::told::Told;
use crate::cli::{Keep, ReplayConfig, WorldConfig};
use crate::host::StopFlag;
use crate::level::Level;
use crate::observe::Out;
use crate::report::Format;
use crate::stdout;

/// Runs a scenario. Returns 0, or 1 for a violation.
///
/// # Errors
/// One line about a file or a name.
pub fn world(config: &WorldConfig, level: Level) -> Result<u8, String> {
    let scenario = Scenario::named(&config.scenario)
        .ok_or_else(|| format!("there is no scenario {:?}", config.scenario))?;
    let horizon = config.run_for.unwrap_or(scenario.horizon);
    let plan = scenario.plan(config.seed, horizon);
    let staging = Staging {
        seed: Some(config.seed),
        record: config.plan_out.is_some() || config.keep.page.is_some(),
        budget: config.budget,
        ..Staging::default()
    };
    let title = format!("{} seed {}", scenario.name, config.seed);
    let done = perform(&title, &plan, staging, (&config.keep, level))?;
    if let Some(path) = &config.plan_out {
        write(path, &told(&plan, &done.0).to_string())?;
    }
    let again = match &config.plan_out {
        Some(path) => format!("sim shrink {}", path.display()),
        None => {
            let for_time = match config.run_for {
                Some(time) => format!(" --for {}us", time.total_micros()),
                None => String::new(),
            };
            let (name, seed) = (scenario.name, config.seed);
            format!("sim world --scenario {name} --seed {seed}{for_time} --plan-out plan.txt")
        }
    };
    Ok(finish(&title, &plan, &done, &config.keep, &again))
}

/// Runs a plan. Returns 0, or 1 for a violation.
///
/// # Errors
/// One line about the plan or a file.
pub fn replay(config: &ReplayConfig, level: Level) -> Result<u8, String> {
    let plan = read(&config.plan)?;
    let staging = Staging {
        budget: config.budget,
        ..Staging::default()
    };
    let title = config.plan.display().to_string();
    let done = perform(&title, &plan, staging, (&config.keep, level))?;
    let again = format!("sim shrink {title}");
    let status = finish(&title, &plan, &done, &config.keep, &again);
    match &done.0.never_came {
        // A plan that says what does not happen does not test what it says.
        Some(fact) => Err(never_came(&config.plan, fact)),
        None => Ok(status),
    }
}

/// What came of a run, and how many damaged frames its capture has.
type Done = (Outcome, u64);

/// A plan with the fates that were drawn, if they were.
fn told(plan: &Plan, outcome: &Outcome) -> Plan {
    let mut told = plan.clone();
    for (frame, twist) in outcome.fates.iter() {
        told.fates.add(frame, twist);
    }
    told
}

/// Runs with files, a progress bar, and an ear for Ctrl-C.
fn perform(
    title: &str,
    plan: &Plan,
    mut staging: Staging,
    (keep, level): (&Keep, Level),
) -> Result<Done, String> {
    let wanted = Wanted {
        events: keep.events.as_deref(),
        capture: keep.pcap.as_deref(),
        page: keep.page.as_deref(),
        page_events: keep.page_events.clone(),
        perfetto: keep.perfetto.as_deref(),
    };
    let files = Files::open(plan, &wanted)?;
    let mut notes = None;
    if let Some((files, about)) = files {
        staging.watch = Some(Box::new(files));
        notes = Some(about);
    }
    let format = if keep.digest {
        Format::Json
    } else {
        keep.format
    };
    let out: &'static Out = Box::leak(Box::new(Out::beside(format)));
    if level >= Level::Debug {
        let told = Told::new(plan, level, out, staging.watch.take());
        staging.watch = Some(Box::new(told));
    }
    let stop = StopFlag::default();
    stop.on_signals().map_err(|error| error.to_string())?;
    let bar = match level {
        Level::Debug | Level::Trace => ProgressBar::hidden(),
        _ => bar(plan),
    };
    let look = bar.clone();
    let stopped = Rc::new(Cell::new(false));
    let was_stopped = Rc::clone(&stopped);
    staging.look = Some(Box::new(move |now| {
        look.set_position(now.secs().unsigned_abs());
        was_stopped.set(stop.is_set());
        !stop.is_set()
    }));
    let outcome = run(plan, staging);
    out.flush();
    bar.finish_and_clear();
    let notes: Rc<Notes> = notes.unwrap_or_default();
    notes.finish(&About {
        title,
        plan: &told(plan, &outcome),
        violation: outcome.violation.as_ref(),
    })?;
    if stopped.get() {
        eprintln!(
            "sim: stopped after {} events, before the end",
            outcome.events
        );
        std::process::exit(130);
    }
    Ok((outcome, notes.damaged.get()))
}

/// A bar of the world's seconds, on a terminal.
fn bar(plan: &Plan) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let target = ProgressDrawTarget::stderr_with_hz(10);
    let seconds = plan.heal.secs().unsigned_abs().max(1);
    let bar = ProgressBar::with_draw_target(Some(seconds), target);
    bar.enable_steady_tick(WallTime::from_millis(200));
    let style = ProgressStyle::with_template("{bar:32} {pos} of {len} s, {eta} left");
    style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
}

fn finish(title: &str, plan: &Plan, done: &Done, keep: &Keep, again: &str) -> u8 {
    let (outcome, damaged) = done;
    if keep.digest {
        stdout::line(format_args!("{:032x}", outcome.digest));
    } else {
        let report = report(title, plan, outcome);
        let report = report.row_unless_zero("damaged in the capture", *damaged);
        report.show(keep.format);
    }
    let Some(violation) = &outcome.violation else {
        return 0;
    };
    eprintln!("sim: violated: {violation}\nsim: next: {again}");
    1
}
