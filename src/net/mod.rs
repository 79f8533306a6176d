//! How frames move: device to demux to slot to socket, and back.

mod addresses;
pub(crate) mod audit;
pub(crate) mod checksum;
pub(crate) mod config;
pub(crate) mod connect;
mod cookie;
mod craft;
pub(crate) mod deadlines;
pub(crate) mod demux;
mod egress;
pub(crate) mod flow;
pub(crate) mod flows;
pub(crate) mod guard;
pub(crate) mod handoff;
pub(crate) mod ingress;
mod isn;
mod keys;
mod life;
pub(crate) mod limits;
pub(crate) mod lobby;
mod neighbors;
pub(crate) mod ports;
#[cfg(any(test, feature = "on-target"))]
#[doc(hidden)]
pub mod promises;
pub(crate) mod slots;
pub(crate) mod stack;
pub(crate) mod storage;
pub mod wire;
pub(crate) mod woken;

pub use audit::Inconsistent;
pub use config::{Config, ConfigError};
pub use deadlines::DeadlineCell;
pub use limits::TimeLimits;
pub use lobby::Parked;
pub use ports::{Acceptor, Port};
pub use slots::Slot;
pub use stack::Stack;
pub use storage::{SocketPlace, StackParts, Storage};
