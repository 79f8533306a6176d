//! The options of `sim selftest`.

use std::path::PathBuf;

use clap::Args;

/// `sim selftest`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelftestConfig {
    /// This bug alone.
    pub bug: Option<String>,
    /// The most seeds of each scenario.
    pub seeds: u64,
    /// So many bugs at a time.
    pub jobs: usize,
    /// Write the minimal plans into this folder.
    pub plans: Option<PathBuf>,
    /// The sources to plant bugs in; at first those that this program is built from.
    pub sources: Option<PathBuf>,
    /// Be the process of one bug.
    pub row: bool,
    /// Be the process of one run.
    pub digest_of: Option<PathBuf>,
}

impl SelftestConfig {
    /// Whether this process was started by another one that runs the self-test.
    pub fn is_child(&self) -> bool {
        self.row || self.digest_of.is_some()
    }
}

#[derive(Args)]
#[command(
    after_help = "The bugs are patches in sim/selftest/ of the sources that this program is built\n\
    from. All of them are applied to a copy in target/selftest/, cargo builds it, and\n\
    each bug is hunted in a process of that program. This one has no bugs in it.\n\n\
    Exit status 1 when a bug was not found, or not shrunk to 8 facts."
)]
pub(super) struct SelftestWords {
    /// This bug alone, by its patch's name
    #[arg(long, value_name = "NAME")]
    bug: Option<String>,
    /// The most seeds of each scenario
    #[arg(long, value_name = "N", default_value = "10000", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// So many bugs at a time [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Write the minimal plans into this folder
    #[arg(long, value_name = "DIR")]
    plans: Option<PathBuf>,
    /// Sources to plant bugs in [default: those that this program is built from]
    #[arg(long, value_name = "DIR")]
    sources: Option<PathBuf>,
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
            sources: self.sources,
            row: self.row,
            digest_of: self.digest_of,
        }
    }
}
