//! The options of `sim step`.

use std::path::PathBuf;

use clap::Args;

/// `sim step`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepConfig {
    /// The plan.
    pub plan: PathBuf,
    /// What to do, instead of a screen.
    pub commands: Option<String>,
    /// Where to begin.
    pub to: Option<u64>,
    /// Where the plan with lost frames is written.
    pub out: Option<PathBuf>,
}

#[derive(Args)]
#[command(
    after_help = "Event numbers are those of --events files, captures and pages. Going back is the\n\
    same run again, up to there.\n\n\
    Keys on a terminal: n next, b back, N and B ten, t to an event, d to the next drop,\n\
    s start, e end, l lose the next frame, tab another host, ? help, q quit. Each\n\
    host shows the lesson's lists: tasks (ready), to_read, to_write; its connections\n\
    with bytes read (+waiting) and written (-not acknowledged); frames on their way.\n\n\
    Without a terminal, or with --commands, answers are lines. The commands:\n  \
    n [COUNT]    b [COUNT]    to EVENT    drop    start    end    lose\n  \
    tasks    connections    queues    lines [COUNT]    where    plan    help    quit\n\n\
    Examples:\n  \
    sim world --seed 7 --plan-out plan.txt\n  \
    sim step plan.txt                                       on a terminal\n  \
    sim step plan.txt --to 1200                             what page and capture call 1200\n  \
    sim step plan.txt --commands 'to 120; drop; tasks'      anywhere\n  \
    sim step plan.txt --commands 'to 1200; lose; plan'      the same, had that frame been lost\n  \
    echo 'end' | sim step plan.txt                          how it ends\n\n\
    Exit status: 0; 1 at the end of a run that is violated; 2 a mistake, also a fact of\n\
    the plan that never came; 130 interrupted."
)]
pub(super) struct StepWords {
    /// The plan: written by hand, or from `sim world --plan-out` or `sim shrink`
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Do this and print the answers, without a screen
    #[arg(long, value_name = "COMMANDS", conflicts_with = "to")]
    commands: Option<String>,
    /// Begin where this event has just happened
    #[arg(long, value_name = "EVENT")]
    to: Option<u64>,
    /// Where `lose` writes its plan [default: PLAN with -lost, here]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl From<StepWords> for StepConfig {
    fn from(words: StepWords) -> StepConfig {
        StepConfig {
            plan: words.plan,
            commands: words.commands,
            to: words.to,
            out: words.out,
        }
    }
}
