//! The options of each command and their help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use cygnet_sim::cli::values::{at_least_one, buffer_bytes, duration, host_cidr, places, whole};
use cygnet_sim::report::Format;
use smoltcp::wire::IpCidr;

#[derive(Parser)]
#[command(
    name = "bench",
    about = "Measures a host: on a TAP beside others, with very many connections, in worlds",
    after_help = "bench/tap, bench/scale and bench/world build what each needs and run it."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Requests, bulk, short and idle connections on a TAP, beside other servers
    Tap(TapWords),
    /// Very many connections in this process, and requests over all of them
    Scale(ScaleConfig),
    /// How fast worlds run, and whether their memory stays what it was
    World(WorldConfig),
    /// Turns frames around, for `tap`
    #[command(hide = true)]
    Mirror(MirrorConfig),
}

/// What `tap` starts to compare with: the interface to make and its address.
#[derive(Args)]
pub struct MirrorConfig {
    /// The interface to make
    pub name: String,
    /// The kernel's side of it; every other address of its network is the mirror's
    #[arg(value_parser = host_cidr)]
    pub host: IpCidr,
}

#[derive(Args)]
#[command(
    after_help = "Frames per second under churn, world seconds per second on a lossy network,\n\
    an hour of 500 hosts, a week of three. One thread; times are the processor's.\n\n\
    Examples:\n  \
    bench/world                  everything, about a minute\n  \
    bench/world --quick          a tenth of it\n  \
    bench/world --against SIM    this build and another in turn, about four minutes"
)]
pub struct WorldConfig {
    /// A tenth of everything
    #[arg(long)]
    pub quick: bool,
    /// Compare with another build: the path of its `sim`
    #[arg(long, value_name = "SIM")]
    pub against: Option<PathBuf>,
    /// The `sim` of this build
    #[arg(long, hide = true, default_value = "target/release/sim")]
    pub sim: PathBuf,
    /// How to print the table
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Args)]
#[command(
    after_help = "The clients are in the same process, on virtual time, and cost little; the times \
    are\nthis machine's. Instructions per request, with many connections and with a\n\
    thousand, are counted by bench/scale, which then runs this."
)]
pub struct ScaleConfig {
    /// Connections, all open at once
    #[arg(long, value_name = "N", default_value = "100000", value_parser = places)]
    pub connections: usize,
    /// Requests, over all of them in turn, one at a time
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = at_least_one)]
    pub requests: usize,
    /// Buffer of each connection, in each direction
    #[arg(long, value_name = "BYTES", default_value = "128", value_parser = buffer_bytes)]
    pub buffer: usize,
    /// How to print the table
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Args)]
#[command(
    after_help = "Needs root, because it makes a network namespace and interfaces in it; they go \
    with it.\n\nServers: sim tap, the same without offload, the lesson in Python on kernel \
    sockets\n(bench/lesson.py), embassy-net on its own TAP driver (bench/embassy-tap), and a\n\
    mirror, which only turns the headers of frames around: the least that a server on\n\
    a TAP can do.\n\n\
    The same clients ask all of them in turn; ratios are medians over rounds, so a\n\
    busy machine changes them little.\n\nExamples:\n  \
    bench/tap                         everything, about two minutes\n  \
    bench/tap --quick                 a look, a few seconds\n  \
    bench/tap --clients 64 --idle 0   one load only"
)]
pub struct TapWords {
    /// Clients at a time; repeatable [default: 1 64 400 1000]
    #[arg(long, value_name = "N", num_args = 1.., value_parser = clients)]
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

/// Clients at a time.
fn clients(text: &str) -> Result<usize, String> {
    match at_least_one(text)? {
        count @ ..=1000 => Ok(count),
        _ => Err("the lesson's select cannot have more than about 1000".into()),
    }
}

/// `tap`, each number chosen.
pub struct TapConfig {
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

impl TapWords {
    /// What is left out is as long as it has to be, or short with `--quick`.
    pub fn config(self) -> TapConfig {
        let mut clients = self.clients;
        if clients.is_empty() {
            clients = match self.quick {
                true => vec![1, 64],
                false => vec![1, 64, 400, 1000],
            };
        }
        let quick = |short: u64, long: u64| if self.quick { short } else { long };
        let time = self.time.map(Into::into);
        TapConfig {
            clients,
            rounds: self.rounds.unwrap_or(quick(2, 11) as usize),
            time: time.unwrap_or(Duration::from_millis(quick(50, 300))),
            churn: quick(200, 2000) as usize,
            idle: self.idle.unwrap_or(quick(1_000, 10_000) as usize),
            idle_time: Duration::from_millis(quick(500, 5_000)),
            format: self.format,
        }
    }
}
