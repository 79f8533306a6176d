//! The options of `sim world`, `replay`, `shrink` and `diff`.

use std::ops::Range;
use std::path::PathBuf;

use clap::Args;
use smoltcp::time::Duration;

use super::values::duration;
use crate::report::Format;
use crate::world::scenario::{SCENARIOS, Scenario};
use crate::world::timeline::EVENTS;

/// Where a run's files go, and what is printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keep {
    /// Every frame, for Wireshark.
    pub pcap: Option<PathBuf>,
    /// Every event, a line each.
    pub events: Option<PathBuf>,
    /// A page to look at.
    pub page: Option<PathBuf>,
    /// The events that the page has, if not the last ones.
    pub page_events: Option<Range<u64>>,
    /// A trace for ui.perfetto.dev.
    pub perfetto: Option<PathBuf>,
    /// Print the digest and nothing else.
    pub digest: bool,
    /// How to print the table.
    pub format: Format,
}

/// `sim world`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldConfig {
    /// The scenario's name.
    pub scenario: String,
    /// Decides everything.
    pub seed: u64,
    /// How long faults last, if not as the scenario says.
    pub run_for: Option<Duration>,
    /// Write the plan here.
    pub plan_out: Option<PathBuf>,
    /// The most steps.
    pub budget: Option<u64>,
    /// Files, and what is printed.
    pub keep: Keep,
}

/// `sim replay`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayConfig {
    /// The plan.
    pub plan: PathBuf,
    /// The most steps.
    pub budget: Option<u64>,
    /// Files, and what is printed.
    pub keep: Keep,
}

/// `sim shrink`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ShrinkConfig {
    /// The plan that fails.
    pub plan: PathBuf,
    /// Where to write what is left.
    pub out: Option<PathBuf>,
}

/// `sim diff`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct DiffConfig {
    /// A plan, or a file of events.
    pub a: PathBuf,
    /// The other.
    pub b: PathBuf,
}

#[derive(Args)]
#[command(
    after_help = "A run has a time of faults (--for), then everything heals, everything must\n\
    finish, and no slot or task may be left. Exit status 1: something did not hold.\n\n\
    Scenarios:\n  \
    calm       a healthy network\n  \
    lossy      8 clients, 10 requests a second each; frames lost, doubled, late\n  \
    churn      16 clients that open and close all the time, 10 % loss\n  \
    overload   more clients than slots\n  \
    partition  links cut one way and both ways\n  \
    reboot     hosts crash, stay away, boot, forget everything\n  \
    slow       64 KB/s behind a queue of seconds (bufferbloat)\n  \
    chaos      every fault there is\n  \
    synflood   10,000 SYNs a second from nowhere, 8 slots, 300 honest visits\n  \
    chaos-syn  chaos, and SYNs from nowhere; also: chaos-borrowed, chaos-rst, chaos-ack,\n  \
    \u{20}          chaos-land, chaos-fragment, chaos-arp, chaos-junk\n  \
    strangers  honest peers that are unlike smoltcp\n  \
    liars      peers that obey TCP's rules but for one\n  \
    late       hosts that stop for seconds\n  \
    narrow     paths narrower than their ends, whose routers tell or do not\n  \
    leases     addresses from a server for days: it is gone, forgets, moves; cables are pulled\n  \
    names      names and servers that fail, are silent, truncate, lie, or are gone\n  \
    link-flaps cables pulled for a moment or a minute, of who talks and of who has a lease\n\n\
    Examples:\n  \
    sim world --seed 7                                  one run of chaos\n  \
    sim world --scenario lossy --pcap run.pcapng        then: wireshark run.pcapng\n  \
    sim world --scenario leases --for 315360000s        ten years of addresses\n  \
    sim world --seed 7 --page run.html                  then open run.html in a browser\n  \
    sim world --seed 7 --perfetto run.pftrace           then open it on ui.perfetto.dev\n  \
    sim world --seed 7 --plan-out plan.txt              everything that happens, as text\n  \
    sim replay plan.txt --events events.txt             the same run, each event a line"
)]
pub(super) struct WorldWords {
    /// Decides everything
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// What goes wrong; see below
    #[arg(long, value_name = "NAME", default_value = "chaos", value_parser = scenario)]
    scenario: String,
    /// How long faults last [default: the scenario's own, 10s and more]
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    run_for: Option<Duration>,
    /// Write everything that happens as a plan, to edit, replay and shrink
    #[arg(long, value_name = "FILE")]
    plan_out: Option<PathBuf>,
    #[command(flatten)]
    keep: KeepWords,
}

#[derive(Args)]
#[command(
    after_help = "A plan is text, one fact a line; edit it, and the run changes there.\n\n\
    Examples:\n  \
    sim world --seed 7 --plan-out plan.txt\n  \
    sim replay plan.txt --pcap run.pcapng --page run.html\n  \
    sim plan plan.txt --explain                            what it says, in words\n  \
    sim step plan.txt                                      through it, event by event"
)]
pub(super) struct ReplayWords {
    /// The plan, from `sim world --plan-out` or `sim shrink`
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    #[command(flatten)]
    keep: KeepWords,
}

#[derive(Args)]
#[command(
    after_help = "Drops kinds of faults, hosts, and halves of the facts that are left, as long as\n\
    the run violates the same invariant. Ctrl-C keeps the best so far.\n\n\
    Example:\n  \
    sim shrink plan.txt      writes plan-min.txt"
)]
pub(super) struct ShrinkWords {
    /// A plan that fails
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Where to write what is left [default: PLAN with -min, here]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args)]
#[command(
    after_help = "Each is a plan, which is run here, or the --events file of a run anywhere.\n\n\
    Example:\n  \
    sim diff plan.txt edited.txt"
)]
pub(super) struct DiffWords {
    /// A plan or a file of events
    #[arg(value_name = "A")]
    a: PathBuf,
    /// The other
    #[arg(value_name = "B")]
    b: PathBuf,
}

#[derive(Args)]
struct KeepWords {
    /// Write every frame of every host to this pcapng file, for Wireshark
    #[arg(long, value_name = "FILE", value_parser = capture_file)]
    pcap: Option<PathBuf>,
    /// Write every event to this file, a line each
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Draw the run as one HTML page that opens from disk: who sent what to whom, what
    /// each task waits for, faults
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// The events that the page has, by number [default: the last 50000]
    #[arg(long, value_name = "A..B", value_parser = events, requires = "page")]
    page_events: Option<Range<u64>>,
    /// Write the run as a trace, for ui.perfetto.dev: polls, waits, counters, and arrows
    /// from what is sent to the task that it wakes
    #[arg(long, value_name = "FILE")]
    perfetto: Option<PathBuf>,
    /// Print the digest of all events and nothing else: equal digests, equal runs
    #[arg(long)]
    digest: bool,
    /// End a run that needs more steps than this [default: 20000000]
    #[arg(long, value_name = "N")]
    budget: Option<u64>,
    /// How to print the table
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl From<KeepWords> for Keep {
    fn from(words: KeepWords) -> Keep {
        Keep {
            pcap: words.pcap,
            events: words.events,
            page: words.page,
            page_events: words.page_events,
            perfetto: words.perfetto,
            digest: words.digest,
            format: words.format,
        }
    }
}

impl From<WorldWords> for WorldConfig {
    fn from(words: WorldWords) -> WorldConfig {
        WorldConfig {
            scenario: words.scenario,
            seed: words.seed,
            run_for: words.run_for,
            plan_out: words.plan_out,
            budget: words.keep.budget,
            keep: words.keep.into(),
        }
    }
}

impl From<ReplayWords> for ReplayConfig {
    fn from(words: ReplayWords) -> ReplayConfig {
        ReplayConfig {
            plan: words.plan,
            budget: words.keep.budget,
            keep: words.keep.into(),
        }
    }
}

impl From<ShrinkWords> for ShrinkConfig {
    fn from(words: ShrinkWords) -> ShrinkConfig {
        ShrinkConfig {
            plan: words.plan,
            out: words.out,
        }
    }
}

impl From<DiffWords> for DiffConfig {
    fn from(words: DiffWords) -> DiffConfig {
        DiffConfig {
            a: words.a,
            b: words.b,
        }
    }
}

/// The name of a scenario.
pub(super) fn scenario(text: &str) -> Result<String, String> {
    match Scenario::named(text) {
        Some(_) => Ok(text.into()),
        None => {
            let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            let known = names.join(", ");
            Err(format!("there is no scenario {text:?}; known: {known}"))
        }
    }
}

/// Where frames go; standard output has what came of the run.
fn capture_file(text: &str) -> Result<PathBuf, String> {
    match text {
        "-" => Err("standard output has the table; give a file, such as run.pcapng".into()),
        file => Ok(file.into()),
    }
}

/// `A..B`, at least one event and no more than a page has.
fn events(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text:?} is no range of events; say A..B, such as 0..10000");
    let (start, end) = text.split_once("..").ok_or_else(wrong)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    let (start, end) = (number(start)?, number(end)?);
    match end.checked_sub(start) {
        None | Some(0) => Err(format!("{text}: no event is in it")),
        Some(events) if events > EVENTS as u64 => Err(format!(
            "{text}: {events} events are too many for a page; it has at most {EVENTS}"
        )),
        Some(_) => Ok(start..end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn a_page_has_some_events_and_not_too_many() {
        assert_eq!(events("5..50005"), Ok(5..50_005));
        for (text, why) in [
            ("7", "say A..B"),
            ("a..b", "say A..B"),
            ("9..9", "no event is in it"),
            ("9..3", "no event is in it"),
            (
                "0..50001",
                "50001 events are too many for a page; it has at most 50000",
            ),
        ] {
            let error = events(text).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn the_help_knows_every_scenario() {
        let cli = super::super::words::Cli::command();
        let world = cli.find_subcommand("world").unwrap();
        let help = world.get_after_help().unwrap().to_string();
        for scenario in SCENARIOS {
            assert!(help.contains(scenario.name), "{}", scenario.name);
            let line = format!("{:<10} {}", scenario.name, scenario.about);
            assert!(
                help.contains(&line) || scenario.name.starts_with("chaos-"),
                "{line}"
            );
        }
    }
}
