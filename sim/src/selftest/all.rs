//! Every bug in a process of its own, so many at a time, and the table.

use std::collections::VecDeque;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::hunt::FACTS;
use super::patch::Bug;
use crate::cli::SelftestConfig;
use crate::stdout;

/// How long one bug may take: a planted bug can make a turn go on for ever.
const PATIENCE: Duration = Duration::from_secs(600);

/// What became of one bug.
struct Row<'b> {
    bug: &'b Bug,
    /// What its process printed, or why there is nothing.
    found: Result<Found, String>,
}

struct Found {
    by: String,
    scenario: String,
    seeds: String,
    facts: usize,
    minimal: bool,
    runs: String,
}

impl Row<'_> {
    fn is_good(&self) -> bool {
        let found = self.found.as_ref();
        found.is_ok_and(|found| found.minimal && found.facts <= FACTS)
    }
}

/// Hunts for these bugs, which are in this program.
pub(super) fn run(program: &Path, all: &[&Bug], config: &SelftestConfig) -> Result<u8, String> {
    if let Some(folder) = &config.plans {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let start = Instant::now();
    let rows = hunt_all(program, all, config)?;
    let bad = rows.iter().filter(|row| !row.is_good()).count();
    let took = start.elapsed().as_secs_f64();
    println!(
        "\n{} of {} bugs found and shrunk, in {took:.0} s",
        rows.len() - bad,
        rows.len()
    );
    Ok(u8::from(bad > 0))
}

fn hunt_all<'b>(
    program: &Path,
    all: &[&'b Bug],
    config: &SelftestConfig,
) -> Result<Vec<Row<'b>>, String> {
    let bar = match std::io::stderr().is_terminal() {
        true => ProgressBar::with_draw_target(
            Some(all.len() as u64),
            ProgressDrawTarget::stderr_with_hz(10),
        ),
        false => ProgressBar::hidden(),
    };
    if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos} of {len} bugs, {msg}") {
        bar.set_style(style);
    }
    line("bug", "caught by", "scenario", "seeds", "facts", "runs");
    let mut waiting: VecDeque<&'b Bug> = all.iter().copied().collect();
    let mut running: Vec<(&'b Bug, Child, Instant)> = Vec::new();
    let mut rows = Vec::new();
    while rows.len() < all.len() {
        while running.len() < config.jobs
            && let Some(bug) = waiting.pop_front()
        {
            running.push((bug, begin(program, bug, config)?, Instant::now()));
        }
        let names: Vec<&str> = running.iter().map(|(bug, ..)| &*bug.name).collect();
        bar.set_message(names.join(", "));
        std::thread::sleep(Duration::from_millis(20));
        let mut still = Vec::new();
        for (bug, mut child, since) in running {
            if since.elapsed() > PATIENCE {
                let _ = child.kill();
            }
            match child.try_wait().map_err(|error| error.to_string())? {
                None => still.push((bug, child, since)),
                Some(status) => {
                    let mut text = String::new();
                    if let Some(mut out) = child.stdout.take() {
                        let _ = out.read_to_string(&mut text);
                    }
                    let found = read(&text).ok_or_else(|| match status.code() {
                        Some(1) => format!("not found in {} seeds", config.seeds),
                        Some(code) => format!("its process ended with {code}"),
                        None => "its process was ended".into(),
                    });
                    let row = Row { bug, found };
                    bar.suspend(|| row.print());
                    rows.push(row);
                    bar.inc(1);
                }
            }
        }
        running = still;
    }
    bar.finish_and_clear();
    Ok(rows)
}

/// The child ends when this process does: see [`hunt::row`](super::hunt::row).
fn begin(program: &Path, bug: &Bug, config: &SelftestConfig) -> Result<Child, String> {
    let mut command = Command::new(program);
    command.args(["selftest", "--row", "--bug", &bug.name, "--seeds"]);
    command.arg(config.seeds.to_string());
    if let Some(folder) = &config.plans {
        command.arg("--plans").arg(folder);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().map_err(|error| error.to_string())
}

/// Reads what [`hunt::row`](super::hunt::row) printed.
fn read(text: &str) -> Option<Found> {
    let mut fields = text.trim_end().split('\t').map(str::to_owned);
    Some(Found {
        by: fields.next()?,
        scenario: fields.next()?,
        seeds: fields.next()?,
        facts: fields.next()?.parse().ok()?,
        minimal: fields.next()?.parse().ok()?,
        runs: fields.next()?,
    })
}

fn line(bug: &str, by: &str, scenario: &str, seeds: &str, facts: &str, runs: &str) {
    stdout::line(format_args!(
        "{bug:27} {by:21} {scenario:9} {seeds:>5} {facts:>5} {runs:>5}"
    ));
}

impl Row<'_> {
    /// A plus behind the facts: more of them can be left out, or they are not
    /// enough.
    fn print(&self) {
        let name = &self.bug.name;
        match &self.found {
            Ok(found) => {
                let facts = format!("{}{}", found.facts, if found.minimal { "" } else { "+" });
                let Found {
                    by,
                    scenario,
                    seeds,
                    runs,
                    ..
                } = found;
                line(name, by, scenario, seeds, &facts, runs);
            }
            Err(why) => stdout::line(format_args!("{name:27} {why}")),
        }
    }
}
