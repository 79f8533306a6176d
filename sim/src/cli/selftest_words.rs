//! The options of `sim selftest`.

use std::path::PathBuf;

use clap::Args;
use cygnet::planted::Planted;

/// `sim selftest`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelftestConfig {
    /// This bug alone.
    pub bug: Option<Planted>,
    /// The most seeds of each scenario.
    pub seeds: u64,
    /// So many bugs at a time.
    pub jobs: usize,
    /// Write the minimal plans into this folder.
    pub plans: Option<PathBuf>,
    /// Be the process of one bug.
    pub row: bool,
    /// Be the process of one run.
    pub digest_of: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "Needs a program that can plant bugs:\n  \
    cargo run --release --features selftest -- selftest\n\n\
    Exit status 1 when a bug was not found, or not shrunk to 8 facts.")]
pub(super) struct SelftestWords {
    /// This bug alone
    #[arg(long, value_name = "NAME", value_parser = bug)]
    bug: Option<Planted>,
    /// The most seeds of each scenario
    #[arg(long, value_name = "N", default_value = "10000", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// So many bugs at a time [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Write the minimal plans into this folder
    #[arg(long, value_name = "DIR")]
    plans: Option<PathBuf>,
    #[arg(long, hide = true, requires = "bug")]
    row: bool,
    #[arg(long, hide = true, requires = "bug")]
    digest_of: Option<PathBuf>,
}

impl SelftestWords {
    pub(super) fn check(self) -> SelftestConfig {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        SelftestConfig {
            bug: self.bug,
            seeds: self.seeds,
            jobs: self.jobs.map_or_else(cores, usize::from),
            plans: self.plans,
            row: self.row,
            digest_of: self.digest_of,
        }
    }
}

fn bug(name: &str) -> Result<Planted, String> {
    let names = || Planted::ALL.iter().map(|bug| bug.name());
    Planted::named(name)
        .ok_or_else(|| format!("one of: {}", names().collect::<Vec<_>>().join(", ")))
}
