//! `sim swarm`: many seeds, all cores, as many machines as there are. It may be
//! stopped and killed at any moment and goes on where it was, and its summary is
//! the same bytes whatever happened on the way.
//!
//! ```text
//!   order     what to run: scenarios, seeds, chunks; the header of a file
//!   crew      chunks, run by threads
//!   tally     what runs add up to
//!   results   the file of finished chunks
//!   sum       chunks add up to a summary
//!   merge     `sim swarm-merge`: files add up to the same summary
//!   progress  what a person sees meanwhile
//! ```
//!
//! Not here: what a run is. That is `world::stage`.

use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

mod crew;
mod merge;
mod order;
mod progress;
mod results;
mod sum;
mod tally;

pub use cygnet_world::shard::Shard;
pub use merge::{MergeConfig, merge};
pub use order::Order;

use crew::Crew;
use progress::Progress;
use results::Results;
use sum::Sum;

use crate::host::StopFlag;
use crate::level::Level;
use crate::report::Format;

/// Stopped by a person, as shells say it.
const INTERRUPTED: u8 = 130;
/// How a person says which part it is.
const SAY: &str = "say --shard K/N";
/// How often somebody looks at the clock.
const LOOK: Duration = Duration::from_millis(100);

/// `sim swarm`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct SwarmConfig {
    /// What to run; its shard is the one below, once that is known.
    pub order: Order,
    /// Which part, if not what the scheduler says.
    pub shard: Option<Shard>,
    /// Threads; one for each core if nobody says.
    pub jobs: Option<usize>,
    /// Keep finished chunks here, and go on from there.
    pub results: Option<PathBuf>,
    /// How to print the summary.
    pub format: Format,
}

/// Runs it. Returns the exit status: 0 without violations, 1 with, 130 when it
/// was interrupted.
///
/// # Errors
/// One line: the results file, the scheduler's variables, no threads.
pub fn run(config: &SwarmConfig, level: Level) -> Result<u8, String> {
    let stop = StopFlag::default();
    stop.on_signals().map_err(|error| error.to_string())?;
    let mut order = config.order.clone();
    let mut scheduler = None;
    order.shard = match config.shard {
        Some(shard) => shard,
        None => match Shard::from_environment(|name| std::env::var(name).ok(), SAY)? {
            Some((shard, who)) => {
                scheduler = Some(who);
                shard
            }
            None => Shard::WHOLE,
        },
    };
    let mut sum = Sum::new();
    let mut torn = 0;
    let mut results = None;
    if let Some(path) = &config.results {
        let (file, contents) = Results::open(path, &order)?;
        results = Some(file);
        torn = contents.torn;
        for (chunk, done) in contents.done {
            sum.add(chunk, done);
        }
    }
    let before = sum.tally.clone();
    let turns = 1 + u64::from(order.twice);
    let total = turns * order.runs(order.ours());
    let mut progress = Progress::new(level, turns * before.runs, total);
    if let Some(who) = scheduler {
        progress.say(
            Level::Info,
            &format!("shard {}, says the {who}", order.shard),
        );
    }
    if torn > 0 {
        progress.say(Level::Warn, &format!("{torn} torn lines are ignored"));
    }
    if before.runs > 0 {
        progress.say(
            Level::Info,
            &format!("{} runs were done before", before.runs),
        );
    }

    let missing = sum.missing(&order).collect();
    let jobs = config.jobs.unwrap_or_else(cygnet_world::crew::cores);
    let crew = Crew::new(&order, missing, stop.clone());
    let work = Work {
        sum: &mut sum,
        results: results.as_mut(),
        progress: &mut progress,
    };
    let worked = work.through(&crew, &order, jobs, &stop);
    if let Some(results) = &results {
        results.sync();
    }
    let seconds = (sum.tally.micros - before.micros) / 1_000_000;
    progress.finish(crew.ran(), seconds, jobs);
    worked?;

    if sum.missing(&order).next().is_some() {
        if !stop.is_set() {
            return Err("a thread died; this is a mistake in sim, please report it".into());
        }
        let of = order.runs(order.ours());
        let done = of - order.runs(sum.missing(&order));
        let violated = sum.tally.violated();
        let how = match &results {
            Some(results) => format!(
                "{} has them; to go on: {}",
                results.path().display(),
                again()
            ),
            None => "they are lost; --results FILE would keep them".into(),
        };
        let line = format!("stopped: {done} of {of} runs done, {violated} violations; {how}");
        progress.say(Level::Error, &line);
        return Ok(INTERRUPTED);
    }
    sum.report(&order).show(config.format);
    Ok(u8::from(sum.tally.violated() > 0))
}

/// What happens to each chunk as it is finished.
struct Work<'w> {
    sum: &'w mut Sum,
    results: Option<&'w mut Results>,
    progress: &'w mut Progress,
}

impl Work<'_> {
    fn through(
        mut self,
        crew: &Crew<'_>,
        order: &Order,
        jobs: usize,
        stop: &StopFlag,
    ) -> Result<(), String> {
        std::thread::scope(|scope| {
            let (finished, threads) = crew.start(jobs, scope)?;
            loop {
                let violations = self.sum.tally.violated();
                self.progress.tell(crew.ran(), violations);
                match finished.recv_timeout(LOOK) {
                    Ok((chunk, done)) => {
                        if let Some(results) = &mut self.results {
                            results.append(chunk, &done).inspect_err(|_| stop.set())?;
                        }
                        let seeds = order.seeds_of(chunk);
                        let line = format!("seeds {}..{} done", seeds.start, seeds.end);
                        self.progress.say(Level::Debug, &line);
                        self.progress.failures(order, &done.tally.failures);
                        self.sum.add(chunk, done);
                    }
                    Err(RecvTimeoutError::Timeout) => (),
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            for thread in threads {
                // One that panicked said so, and its chunk is missing.
                let _ = thread.join();
            }
            Ok(())
        })
    }
}

/// The command line of this process, for a shell.
fn again() -> String {
    let words: Vec<String> = std::env::args()
        .map(|word| {
            match word
                .chars()
                .all(|c| c.is_alphanumeric() || "-_./:=%,".contains(c))
            {
                true => word,
                false => format!("'{}'", word.replace('\'', "'\\''")),
            }
        })
        .collect();
    words.join(" ")
}
