//! The options of `sim plan`.

use std::path::PathBuf;

use clap::Args;

/// `sim plan`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanConfig {
    /// The plan.
    pub plan: PathBuf,
    /// How much to say of it.
    pub say: Say,
    /// Where to write that, if not to standard output.
    pub out: Option<PathBuf>,
}

/// How much to say of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// That it can be read.
    Line,
    /// What it is.
    Words,
    /// Its text, with everything that it leaves out.
    Whole,
}

#[derive(Args)]
#[command(
    after_help = "A plan is text, one fact a line. What is left out has a default:\n\n  \
    cygnet-plan 1\n  \
    host server serve               # echo on port 7\n  \
    host c1 visit                   # connects, speaks, checks the echo, comes again\n  \
    at 3s cut c1 up                 # up: away from c1; down: towards it\n  \
    at 4s join c1\n  \
    at 5s boot server               # also: crash, pause, resume, drift, jump, link\n  \
    frame c1 up 17 lose             # also: late, spike, hold, twice TIME; flip BIT\n  \
    end\n\n\
    Everything that is wrong is told at once, a line each, and the exit status is 2.\n\
    The grammar: cargo doc -p cygnet-world --open, module plan_text.\n\n\
    Examples:\n  \
    sim plan plan.txt --explain          hosts, links, faults, frames, defaults, in words\n  \
    sim plan plan.txt --whole            its text, with what it leaves out\n  \
    sim replay plan.txt --page run.html  run it\n  \
    sim step plan.txt                    go through it, event by event"
)]
pub(super) struct PlanWords {
    /// A plan: written by hand, or from `sim world --plan-out`, `sim shrink`, or a test
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Say in words what it is: hosts, links, faults, frames, what is default
    #[arg(long, conflicts_with = "whole")]
    explain: bool,
    /// Print its text with everything that it leaves out
    #[arg(long)]
    whole: bool,
    /// Write that to a file instead
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl From<PlanWords> for PlanConfig {
    fn from(words: PlanWords) -> PlanConfig {
        PlanConfig {
            plan: words.plan,
            say: match (words.explain, words.whole) {
                (true, _) => Say::Words,
                (_, true) => Say::Whole,
                _ => Say::Line,
            },
            out: words.out,
        }
    }
}
