//! The command line: from words to one plain structure for each command, such as
//! [`LoopbackConfig`] and [`TapConfig`], in which everything is checked. What comes out can be run
//! without another look; what cannot be run comes back as one line.
//!
//! Pure: nothing here prints, reads a file or asks the kernel.

use std::ffi::OsString;

use clap::Parser;
use clap::error::ErrorKind;

use crate::level::Level;
use crate::swarm::{MergeConfig, SwarmConfig};

mod loopback_words;
mod plan_words;
mod selftest_words;
mod server_words;
mod step_words;
mod swarm_words;
mod tap_words;
pub mod values;
mod words;
mod world_words;
pub use loopback_words::LoopbackConfig;
pub use plan_words::{PlanConfig, Say};
pub use selftest_words::SelftestConfig;
pub use step_words::StepConfig;
pub use tap_words::{Dig, Pings, SOCKETS, TapConfig};
pub use values::{Loss, Serve, Service, Transport};
use words::{Cli, CommandWords};
pub use world_words::{DiffConfig, Keep, ReplayConfig, ShrinkConfig, WorldConfig};

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// A server and its clients in this process, on virtual time.
    Loopback(LoopbackConfig),
    /// A server on a TAP interface, for the programs of this machine; or who asks one of
    /// them for an echo.
    Tap(Box<TapConfig>),
    /// One run of a network, from a seed.
    World(WorldConfig),
    /// One run of a network, from a plan.
    Replay(ReplayConfig),
    /// What a plan says.
    Plan(PlanConfig),
    /// A run of a plan, event by event.
    Step(StepConfig),
    /// The least of a plan that still fails.
    Shrink(ShrinkConfig),
    /// Where two runs part.
    Diff(DiffConfig),
    /// Many seeds of worlds.
    Swarm(SwarmConfig),
    /// The results of several swarms.
    SwarmMerge(MergeConfig),
    /// Planted bugs, found.
    Selftest(SelftestConfig),
}

impl Command {
    fn tap(config: TapConfig) -> Command {
        Command::Tap(Box::new(config))
    }
}

/// A checked command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// What to do.
    pub command: Command,
    /// How much to say.
    pub level: Level,
}

/// Why there is no [`Invocation`]: print `text` and exit with `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Help or version (for stdout), or one line for stderr.
    pub text: String,
    /// 0 for help and version, 2 for a mistake.
    pub status: u8,
}

/// Reads a command line, the program's name first.
///
/// # Errors
/// [`Exit`]: help, the version, or one line about what is wrong.
pub fn parse<I>(words: I) -> Result<Invocation, Exit>
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    let cli = read(words)?;
    let level = match (cli.log, cli.verbose) {
        (Some(level), _) => level,
        (None, 0) => Level::Info,
        (None, 1) => Level::Debug,
        (None, _) => Level::Trace,
    };
    let command = match cli.command {
        Some(CommandWords::Tap(words)) => words.check().map(Command::tap),
        Some(CommandWords::Ping(words)) => words.check().map(Command::tap),
        Some(CommandWords::Dig(words)) => words.check().map(Command::tap),
        Some(CommandWords::Selftest(words)) => Ok(Command::Selftest(words.check())),
        Some(CommandWords::Loopback(words)) => words.check().map(Command::Loopback),
        Some(CommandWords::World(words)) => Ok(Command::World(words.into())),
        Some(CommandWords::Replay(words)) => Ok(Command::Replay(words.into())),
        Some(CommandWords::Plan(words)) => Ok(Command::Plan(words.into())),
        Some(CommandWords::Step(words)) => Ok(Command::Step(words.into())),
        Some(CommandWords::Shrink(words)) => Ok(Command::Shrink(words.into())),
        Some(CommandWords::Diff(words)) => Ok(Command::Diff(words.into())),
        Some(CommandWords::Swarm(words)) => words.check().map(Command::Swarm),
        Some(CommandWords::SwarmMerge(words)) => Ok(Command::SwarmMerge(words.check())),
        None => Err("say what to do".into()),
    };
    let command = command.map_err(|text| Exit {
        text: mistake(&text),
        status: 2,
    })?;
    Ok(Invocation { command, level })
}

/// What clap makes of the words. Without a command they are meant for `loopback`.
fn read(mut words: Vec<OsString>) -> Result<Cli, Exit> {
    let has_options = words
        .get(1)
        .is_some_and(|word| word.as_encoded_bytes().starts_with(b"-"));
    let error = match Cli::try_parse_from(&words) {
        Ok(cli) if cli.command.is_some() => return Ok(cli),
        Err(error) if error.kind() != ErrorKind::UnknownArgument || !has_options => {
            return Err(exit(error));
        }
        other => other.err(),
    };
    words.insert(words.len().min(1), "loopback".into());
    match (Cli::try_parse_from(&words), error) {
        (Ok(cli), _) => Ok(cli),
        // The other command that follows its options knows them no better.
        (Err(again), Some(first)) if again.kind() == ErrorKind::UnknownArgument => Err(exit(first)),
        (Err(again), _) => Err(exit(again)),
    }
}

fn mistake(text: &str) -> String {
    format!("error: {text}")
}

/// clap explains over several lines; a mistake here is one.
fn exit(error: clap::Error) -> Exit {
    let text = error.to_string();
    if !error.use_stderr() {
        return Exit { text, status: 0 };
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut line = lines
        .next()
        .unwrap_or("error: the options make no sense")
        .to_owned();
    // "error: the following arguments were not provided:", "[possible values: ...]" and
    // "tip: ..." go on.
    let goes_on = |more: &str| more.starts_with("tip:") || more.starts_with("[possible values:");
    if let Some(more) = lines
        .next()
        .filter(|more| line.ends_with(':') || goes_on(more))
    {
        line.push_str(if line.ends_with(':') { " " } else { "; " });
        line.push_str(more);
    }
    // What Rust says of a number that is none does not say what would be one.
    for dark in [
        "invalid digit found in string",
        "cannot parse integer from empty string",
    ] {
        line = line.replace(dark, "give a whole number, such as 7");
    }
    line.push_str(" (see --help)");
    Exit {
        text: line,
        status: 2,
    }
}

#[cfg(test)]
mod tests;
