//! How much a program says on the way. A line has a level too, and is written when
//! the program says that much.

use clap::ValueEnum;

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
    /// And every close, reset and drop, but for what every network is full of.
    Debug,
    /// And everything.
    Trace,
}
