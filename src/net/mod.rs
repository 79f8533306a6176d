//! How frames move: device to demux to slot to socket, and back.

pub(crate) mod deadlines;
pub(crate) mod demux;
pub(crate) mod flows;
pub(crate) mod handoff;
pub(crate) mod ports;
pub(crate) mod slots;
pub(crate) mod stack;
pub(crate) mod storage;
pub mod wire;

pub use deadlines::DeadlineCell;
pub use flows::FlowEntry;
pub use ports::{Acceptor, Port};
pub use slots::Slot;
pub use stack::{Config, ConfigError, Stack};
pub use storage::{StackParts, Storage};
