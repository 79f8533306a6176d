//! The options of `sim swarm` and `sim swarm-merge`, their help, and what they
//! may be.

use std::ops::Range;
use std::path::PathBuf;

use clap::Args;
use smoltcp::time::Duration;

use super::values::{at_least_one, duration};
use super::world_words::scenario;
use crate::report::Format;
use crate::swarm::{MergeConfig, Order, Shard, SwarmConfig};
use crate::world::scenario::SCENARIOS;

#[derive(Args)]
#[command(
    after_help = "The summary depends on seeds, scenarios, --for and --twice alone: not on --jobs,\n\
    not on shards, not on how often it was stopped and went on.\n\n\
    Examples:\n  \
    sim swarm --seeds 0..1000 --scenario chaos             all cores\n  \
    sim swarm --seeds 0..1000000 --results chaos.results   Ctrl-C; the same again goes on\n  \
    sim swarm --seeds 0..1000000 --shard 2/4 --results 2.results\n  \
    sim swarm-merge 1.results 2.results 3.results 4.results\n\n\
    Without --shard, a Slurm array's or a Kubernetes Indexed Job's variables say which\n\
    part it is (for the latter, set SWARM_SHARDS to its completions).\n\
    Exit status: 0 no violation, 1 violations, 2 a mistake, 130 interrupted."
)]
pub(super) struct SwarmWords {
    /// The seeds, from A to before B
    #[arg(long, value_name = "A..B", value_parser = seeds, allow_hyphen_values = true)]
    seeds: Range<u64>,
    /// Which scenarios; repeatable [default: all of them]
    #[arg(long, value_name = "NAME", num_args = 1.., value_parser = scenario)]
    scenario: Vec<String>,
    /// How long faults last [default: as each scenario says]
    #[arg(long = "for", value_name = "TIME", value_parser = horizon)]
    horizon: Option<Duration>,
    /// Run each seed twice and compare
    #[arg(long)]
    twice: bool,
    /// Threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = jobs)]
    jobs: Option<usize>,
    /// Which part of the whole, from 1/N to N/N
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// Keep finished seeds in this file, and go on from it
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// How to print the summary
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Args)]
#[command(
    after_help = "Exit status: 0 no violation, 1 violations or seeds that are missing, 2 a mistake.\n\n\
    Example:\n  \
    sim swarm-merge results/*.results"
)]
pub(super) struct MergeWords {
    /// The results files of all shards
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How to print the summary
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl SwarmWords {
    pub(super) fn check(self) -> Result<SwarmConfig, String> {
        let asked = &self.scenario;
        if let Some((_, twice)) = asked
            .iter()
            .enumerate()
            .find(|(at, name)| asked[..*at].contains(name))
        {
            return Err(format!("--scenario {twice} is given twice"));
        }
        // As they ship: the order in which they are named makes no difference.
        let names = SCENARIOS.iter().map(|scenario| scenario.name);
        let scenarios: Vec<&'static str> = names
            .filter(|name| asked.is_empty() || asked.iter().any(|asked| asked == name))
            .collect();
        Ok(SwarmConfig {
            order: Order {
                scenarios,
                seeds: self.seeds,
                horizon: self.horizon,
                twice: self.twice,
                shard: Shard::WHOLE,
            },
            shard: self.shard,
            jobs: self.jobs,
            results: self.results,
            format: self.format,
        })
    }
}

impl MergeWords {
    pub(super) fn check(self) -> MergeConfig {
        MergeConfig {
            files: self.files,
            format: self.format,
        }
    }
}

/// Years of a thousand cores; chunks of that many still fit into memory.
const MOST_SEEDS: u64 = 100_000_000_000;

/// `A..B`, at least one seed; `_` may stand between digits.
fn seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text:?} is no range of seeds; say A..B, such as 0..1000");
    let (start, end) = text.split_once("..").ok_or_else(wrong)?;
    let number = |text: &str| text.replace('_', "").parse::<u64>().ok();
    let (start, end) = number(start).zip(number(end)).ok_or_else(wrong)?;
    match end.checked_sub(start) {
        None | Some(0) => Err(format!("{text} has no seed; B comes after the last one")),
        Some(1..=MOST_SEEDS) => Ok(start..end),
        Some(_) => Err(format!("{text} are too many; at most {MOST_SEEDS}")),
    }
}

/// Long enough for something to happen, short enough for a run to end.
fn horizon(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        time if time < Duration::from_millis(1) => {
            Err(format!("{text} is too short for any fault; at least 1ms"))
        }
        time => Ok(time),
    }
}

fn jobs(text: &str) -> Result<usize, String> {
    match at_least_one(text)? {
        jobs @ ..=4096 => Ok(jobs),
        _ => Err(format!("{text} is too many; at most 4096")),
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::{Command, Exit, parse};
    use crate::swarm::SwarmConfig;
    use smoltcp::time::Duration;

    fn swarm(words: &str) -> Result<SwarmConfig, Exit> {
        let words = ["sim", "swarm"].into_iter().chain(words.split_whitespace());
        match parse(words)?.command {
            Command::Swarm(config) => Ok(config),
            _ => panic!("not swarm"),
        }
    }

    #[test]
    fn every_flag_is_understood() {
        let config = swarm(
            "--seeds 5..1_000 --scenario chaos --scenario calm --for 2s --twice --jobs 3 \
             --shard 2/4 --results r",
        )
        .unwrap();
        assert_eq!(config.order.seeds, 5..1000);
        assert_eq!(config.order.scenarios, ["calm", "chaos"]);
        assert_eq!(config.order.horizon, Some(Duration::from_secs(2)));
        assert!(config.order.twice);
        assert_eq!(config.jobs, Some(3));
        assert_eq!(config.shard, "2/4".parse().ok());
        let all = swarm("--seeds 0..1").unwrap().order.scenarios;
        assert_eq!(all.len(), crate::world::scenario::SCENARIOS.len());
    }

    #[test]
    fn each_mistake_is_one_clear_line_and_status_2() {
        for (words, says) in [
            ("", "--seeds <A..B>"),
            ("--seeds 7", "say A..B"),
            ("--seeds 0..x", "say A..B"),
            ("--seeds -1..4", "say A..B"),
            ("--seeds 0..18446744073709551616", "say A..B"),
            ("--seeds 5..5", "has no seed"),
            ("--seeds 9..5", "has no seed"),
            ("--seeds 0..18446744073709551615", "at most 100000000000"),
            ("--seeds 0..1 --scenario storm", "known: calm, lossy"),
            ("--seeds 0..1 --scenario calm calm", "given twice"),
            ("--seeds 0..1 --for 5x", "is no duration"),
            ("--seeds 0..1 --for 0", "at least 1ms"),
            ("--seeds 0..1 --jobs 0", "at least 1"),
            ("--seeds 0..1 --jobs 4097", "at most 4096"),
            ("--seeds 0..1 --shard 0/4", "say K/N"),
            ("--seeds 0..1 --shard 5/4", "say K/N"),
            ("--seeds 0..1 --shard four", "say K/N"),
            ("--seeds 0..1 --format xml", "invalid value 'xml'"),
        ] {
            let exit = swarm(words).unwrap_err();
            assert_eq!(exit.status, 2, "{words}");
            assert!(exit.text.contains(says), "{words}: {}", exit.text);
            let one_line = exit.text.starts_with("error: ") && !exit.text.contains('\n');
            assert!(one_line, "{}", exit.text);
        }
        let exit = parse(["sim", "swarm-merge"]).unwrap_err();
        assert!(exit.text.contains("<FILE>"), "{}", exit.text);
    }
}
