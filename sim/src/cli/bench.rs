//! `sim bench ...`: the options and their help.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::values::{at_least_one, buffer_bytes, duration, host_cidr, places, whole};
use crate::bench::mirror::MirrorConfig;
use crate::report::Format;

/// `sim bench`, checked.
#[derive(Clone, Debug, PartialEq)]
pub enum BenchConfig {
    /// On a TAP interface, against others.
    Tap(BenchTapConfig),
    /// With very many connections, in this process.
    Scale(BenchScaleConfig),
    /// Worlds, on virtual time.
    World(BenchWorldConfig),
    /// What `sim bench tap` starts to compare with.
    Mirror(MirrorConfig),
}

/// `sim bench world`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchWorldConfig {
    /// A tenth of everything.
    pub quick: bool,
    /// How to print the table.
    pub format: Format,
}

/// `sim bench scale`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchScaleConfig {
    /// Connections, all open at once.
    pub connections: usize,
    /// Requests, over all of them in turn.
    pub requests: usize,
    /// Bytes of buffer of a connection, in each direction.
    pub buffer: usize,
    /// How to print the table.
    pub format: Format,
}

/// `sim bench tap`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchTapConfig {
    /// How many clients there are at a time, one after the other.
    pub clients: Vec<usize>,
    /// How often each server is asked.
    pub rounds: usize,
    /// For how long.
    pub time: Duration,
    /// Short connections in a round, at most.
    pub churn: usize,
    /// Connections that say nothing.
    pub idle: usize,
    /// How long they do that.
    pub idle_time: Duration,
    /// How to print the table.
    pub format: Format,
}

#[derive(Subcommand)]
pub(super) enum BenchWords {
    /// Requests, bulk, short and idle connections on a TAP, beside other servers
    Tap(BenchTapWords),
    /// Very many connections in this process, and requests over all of them
    Scale(BenchScaleWords),
    /// How fast worlds run, and whether their memory stays what it was
    World(BenchWorldWords),
    /// Turns frames around, for `sim bench tap`
    #[command(hide = true)]
    Mirror(BenchMirrorWords),
}

#[derive(Args)]
pub(super) struct BenchMirrorWords {
    /// The interface to make
    name: String,
    /// The kernel's side of it
    #[arg(value_parser = host_cidr)]
    host: smoltcp::wire::IpCidr,
}

#[derive(Args)]
#[command(
    after_help = "Frames per second under churn, world seconds per second on a lossy network,\n\
    an hour of 500 hosts, a week of three. One thread; times are the processor's.\n\n\
    Examples:\n  \
    sim bench world            everything, about a minute\n  \
    sim bench world --quick    a tenth of it"
)]
pub(super) struct BenchWorldWords {
    /// A tenth of everything
    #[arg(long)]
    quick: bool,
    /// How to print the table
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Args)]
#[command(
    after_help = "The clients are in the same process, on virtual time, and cost little; the times \
    are\nthis machine's. Instructions per request, with many connections and with a\n\
    thousand, are counted by bench/scale.\n\nExamples:\n  \
    sim bench scale                            100,000 connections, a million requests\n  \
    sim bench scale --connections 1000         the same requests over a thousand"
)]
pub(super) struct BenchScaleWords {
    /// Connections, all open at once
    #[arg(long, value_name = "N", default_value = "100000", value_parser = places)]
    connections: usize,
    /// Requests, over all of them in turn, one at a time
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = at_least_one)]
    requests: usize,
    /// Buffer of each connection, in each direction
    #[arg(long, value_name = "BYTES", default_value = "128", value_parser = buffer_bytes)]
    buffer: usize,
    /// How to print the table
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Args)]
#[command(
    after_help = "Needs root, because it makes a network namespace and interfaces in it; they go \
    with it.\n\nServers: this one, this one without offload, the lesson in Python on kernel \
    sockets\n(bench/lesson.py), embassy-net on its own TAP driver if it was built:\n  \
    cargo build --release --manifest-path bench/embassy-tap/Cargo.toml\nand a mirror, \
    which only turns the headers of frames around: the least that a\nserver on a TAP can do.\n\n\
    The same clients ask all of them in turn; ratios are medians over rounds, so a\n\
    busy machine changes them little.\n\nExamples:\n  \
    sudo sim bench tap                         everything, about two minutes\n  \
    sudo sim bench tap --quick                 a look, a few seconds\n  \
    sudo sim bench tap --clients 64 --idle 0   one load only"
)]
pub(super) struct BenchTapWords {
    /// Clients at a time; repeatable [default: 1 64 400 1000]
    #[arg(long, value_name = "N", num_args = 1.., value_parser = at_least_one)]
    clients: Vec<usize>,
    /// How often each server is asked [default: 11, or 2 with --quick]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    rounds: Option<usize>,
    /// For how long each time [default: 300ms, or 50ms with --quick]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    time: Option<smoltcp::time::Duration>,
    /// Connections that stay open and say nothing [default: 10000, or 1000 with --quick]
    #[arg(long, value_name = "N", value_parser = whole)]
    idle: Option<usize>,
    /// Everything once, too short to say much
    #[arg(long)]
    quick: bool,
    /// How to print the table
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl BenchWords {
    pub(super) fn check(self) -> Result<BenchConfig, String> {
        match self {
            BenchWords::Tap(words) => words.check().map(BenchConfig::Tap),
            BenchWords::Mirror(BenchMirrorWords { name, host }) => {
                Ok(BenchConfig::Mirror(MirrorConfig { name, host }))
            }
            BenchWords::World(words) => Ok(BenchConfig::World(BenchWorldConfig {
                quick: words.quick,
                format: words.format,
            })),
            BenchWords::Scale(words) => Ok(BenchConfig::Scale(BenchScaleConfig {
                connections: words.connections,
                requests: words.requests,
                buffer: words.buffer,
                format: words.format,
            })),
        }
    }
}

impl BenchTapWords {
    fn check(self) -> Result<BenchTapConfig, String> {
        let mut clients = self.clients;
        if clients.is_empty() {
            clients = match self.quick {
                true => vec![1, 64],
                false => vec![1, 64, 400, 1000],
            };
        }
        if let Some(many) = clients.iter().find(|&&count| count > 1000) {
            return Err(format!(
                "--clients {many}: the lesson's select cannot have more than about 1000"
            ));
        }
        let quick = |short: u64, long: u64| if self.quick { short } else { long };
        let time = self.time.map(Into::into);
        Ok(BenchTapConfig {
            clients,
            rounds: self.rounds.unwrap_or(quick(2, 11) as usize),
            time: time.unwrap_or(Duration::from_millis(quick(50, 300))),
            churn: quick(200, 2000) as usize,
            idle: self.idle.unwrap_or(quick(1_000, 10_000) as usize),
            idle_time: Duration::from_millis(quick(500, 5_000)),
            format: self.format,
        })
    }
}
