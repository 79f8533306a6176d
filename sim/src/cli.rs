//! The command line: from words to two plain structures, [`LoopbackConfig`] and
//! [`TapConfig`], in which everything is checked. What comes out can be run
//! without another look; what cannot be run comes back as one line.
//!
//! Pure: nothing here prints, reads a file or asks the kernel.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use cygnet::TimeLimits;
use smoltcp::time::Duration;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

use crate::offload::Offload;
use crate::report::Format;
use crate::swarm::{MergeConfig, SwarmConfig};

mod bench;
mod selftest_words;
mod swarm_words;
mod values;
mod words;
mod world_words;
pub use bench::{BenchConfig, BenchScaleConfig, BenchTapConfig, BenchWorldConfig};
pub use selftest_words::SelftestConfig;
pub use values::{Ppm, Serve, Service};
use words::{Cli, Words};
pub use world_words::{DiffConfig, Keep, ReplayConfig, ShrinkConfig, WorldConfig};

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// A server and its clients in this process, on virtual time.
    Loopback(LoopbackConfig),
    /// A server on a TAP interface, for the programs of this machine.
    Tap(TapConfig),
    /// One run of a network, from a seed.
    World(WorldConfig),
    /// One run of a network, from a plan.
    Replay(ReplayConfig),
    /// The least of a plan that still fails.
    Shrink(ShrinkConfig),
    /// Where two runs part.
    Diff(DiffConfig),
    /// Many seeds of worlds.
    Swarm(SwarmConfig),
    /// The results of several swarms.
    SwarmMerge(MergeConfig),
    /// What a server costs.
    Bench(BenchConfig),
    /// Planted bugs, found.
    Selftest(SelftestConfig),
}

/// How much to say on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Level {
    /// Nothing.
    Off,
    /// What went wrong.
    Error,
    /// And what looks wrong.
    Warn,
    /// And who connects.
    Info,
    /// And every close, reset and drop.
    Debug,
    /// And everything.
    Trace,
}

/// A checked command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// What to do.
    pub command: Command,
    /// How much to say.
    pub level: Level,
}

/// `sim loopback`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct LoopbackConfig {
    /// Clients, all at once.
    pub clients: usize,
    /// Requests of each client, one after the other.
    pub requests: usize,
    /// Who answers.
    pub service: Service,
    /// Connections the server can hold.
    pub slots: usize,
    /// Tasks the server can hold.
    pub tasks: usize,
    /// Connections that may wait for `accept`.
    pub backlog: usize,
    /// Receive buffer of each connection.
    pub rx_bytes: usize,
    /// Transmit buffer of each connection.
    pub tx_bytes: usize,
    /// Time on the wire, one way.
    pub latency: Duration,
    /// Frames lost.
    pub loss: Ppm,
    /// What decides everything that is random.
    pub seed: u64,
    /// Print every yield, wake and resume.
    pub trace: bool,
    /// Print the digest of all events.
    pub digest: bool,
    /// Write the frames here.
    pub pcap: Option<PathBuf>,
    /// How to print the final table.
    pub format: Format,
}

/// `sim tap`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct TapConfig {
    /// The interface.
    pub name: String,
    /// Make it, instead of attaching to one that exists.
    pub create: bool,
    /// Our addresses; at least one, at most smoltcp's `IFACE_MAX_ADDR_COUNT`.
    pub ips: Vec<IpCidr>,
    /// The way to other networks, for each version of IP at most one.
    pub gateways: Vec<IpAddress>,
    /// The addresses of the host's side: given, or each network's lowest.
    pub host_ips: Vec<IpCidr>,
    /// Our hardware address.
    pub mac: EthernetAddress,
    /// Who answers where; no port twice.
    pub serve: Vec<Serve>,
    /// How long a client may take.
    pub limits: TimeLimits,
    /// Connections the server can hold.
    pub slots: usize,
    /// Tasks the server can hold: one per slot and one per listener.
    pub tasks: usize,
    /// Connections that may wait for `accept`, per listener.
    pub backlog: usize,
    /// SYNs that may wait for a slot.
    pub parked: usize,
    /// Receive buffer of each connection.
    pub rx_bytes: usize,
    /// Transmit buffer of each connection.
    pub tx_bytes: usize,
    /// Whether checksums and segmentation are left to the kernel.
    pub offload: Offload,
    /// How long to look for the next frame before sleeping, when the last ones
    /// came that fast.
    pub spin: Duration,
    /// Write the frames here.
    pub pcap: Option<PathBuf>,
    /// How long open streams may finish after Ctrl-C.
    pub drain: Duration,
    /// Stop by itself after this long.
    pub run_for: Option<Duration>,
    /// How to print the final table.
    pub format: Format,
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
    let mut words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    let mut cli = Cli::try_parse_from(&words).map_err(exit)?;
    if cli.command.is_none() {
        words.push("loopback".into());
        cli = Cli::try_parse_from(&words).map_err(exit)?;
    }
    let level = match (cli.log, cli.verbose) {
        (Some(level), _) => level,
        (None, 0) => Level::Info,
        (None, 1) => Level::Debug,
        (None, _) => Level::Trace,
    };
    let command = match cli.command {
        Some(Words::Tap(words)) => words.check().map(Command::Tap),
        Some(Words::Selftest(words)) => Ok(Command::Selftest(words.check())),
        Some(Words::Loopback(words)) => words.check().map(Command::Loopback),
        Some(Words::World(words)) => Ok(Command::World(words.into())),
        Some(Words::Replay(words)) => Ok(Command::Replay(words.into())),
        Some(Words::Shrink(words)) => Ok(Command::Shrink(words.into())),
        Some(Words::Diff(words)) => Ok(Command::Diff(words.into())),
        Some(Words::Swarm(words)) => words.check().map(Command::Swarm),
        Some(Words::SwarmMerge(words)) => Ok(Command::SwarmMerge(words.check())),
        Some(Words::Bench(words)) => words.check().map(Command::Bench),
        None => Err("say what to do".into()),
    };
    let command = command.map_err(|text| Exit {
        text: mistake(&text),
        status: 2,
    })?;
    Ok(Invocation { command, level })
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
    // "error: the following arguments were not provided:" and "tip: ..." go on.
    if let Some(more) = lines
        .next()
        .filter(|more| line.ends_with(':') || more.starts_with("tip:"))
    {
        line.push_str(if line.ends_with(':') { " " } else { "; " });
        line.push_str(more);
    }
    line.push_str(" (see --help)");
    Exit {
        text: line,
        status: 2,
    }
}

#[cfg(test)]
mod tests;
