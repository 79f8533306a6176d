//! The command line as clap reads it: the commands and what all of them
//! understand. Each command's options and what must hold between them have a
//! file of their own; what one value may be is in `values.rs`.

use clap::{ArgAction, Parser, Subcommand};

use super::loopback_words::LoopbackWords;
use super::plan_words::PlanWords;
use super::selftest_words::SelftestWords;
use super::step_words::StepWords;
use super::swarm_words::{MergeWords, SwarmWords};
use super::tap_words::{DigWords, PingWords, TapWords};
use super::world_words::{DiffWords, ReplayWords, ShrinkWords, WorldWords};
use crate::level::Level;

#[derive(Parser)]
#[command(
    name = "sim",
    version,
    about = "Runs cygnet TCP servers: in this process, on a TAP interface, in a world of faults",
    after_help = "Without a command, sim is `sim loopback`: 8 clients, 100 requests each.\n\n\
        Examples:\n  \
        sim                                  a server and its clients, in one process\n  \
        sim loopback --trace --clients 2     watch every task yield and resume\n  \
        sudo sim tap --create                then, elsewhere: nc 192.168.69.2 5000\n  \
        sim world --scenario chaos --seed 7  a network in which everything goes wrong"
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<CommandWords>,
    /// Say more; twice, everything
    #[arg(short, long, global = true, display_order = 100, action = ArgAction::Count)]
    pub(super) verbose: u8,
    /// How much to say; overrides -v [default: info]
    #[arg(
        long,
        global = true,
        display_order = 100,
        value_name = "LEVEL",
        value_enum
    )]
    pub(super) log: Option<Level>,
}

#[derive(Subcommand)]
pub(super) enum CommandWords {
    /// A server and its clients in this process, on virtual time
    Loopback(LoopbackWords),
    /// A server on a TAP interface, for this machine's own nc, curl and ping
    Tap(TapWords),
    /// Asks a host for an echo, from a TAP interface
    Ping(PingWords),
    /// Asks name servers for the addresses of a name, from a TAP interface
    Dig(DigWords),
    /// A network of hosts under faults, one run from one seed
    World(WorldWords),
    /// The run of a plan, to the byte; no random number is drawn
    Replay(ReplayWords),
    /// What a plan says, and everything that is wrong with it
    Plan(PlanWords),
    /// Goes through the run of a plan, event by event, forward and back
    Step(StepWords),
    /// The least of a failing plan that still fails
    Shrink(ShrinkWords),
    /// The first event at which two runs differ
    Diff(DiffWords),
    /// Many seeds of a scenario, on all cores, as many machines as there are
    Swarm(SwarmWords),
    /// The summary of a swarm that ran in several shards
    SwarmMerge(MergeWords),
    /// Plants bugs, one at a time, and shows that each is found
    Selftest(SelftestWords),
}
