//! For tests, simulations and examples: two hosts in memory and virtual time, what
//! the core promises as properties, and whether a node's tables agree. A board's image
//! contains none of it.

mod audit;
#[cfg(feature = "udp")]
mod datagram_audit;
mod faults;
#[cfg(any(test, feature = "on-target"))]
pub mod on_target;
pub mod pair;
#[cfg(any(test, feature = "on-target"))]
#[doc(hidden)]
pub mod properties;
#[cfg(all(test, not(loom)))]
mod rescue_tests;
pub(crate) mod sound;
mod start_over;
pub(crate) mod task_audit;
pub mod wire;

pub use audit::audit;
pub use sound::Inconsistent;
pub use start_over::{move_in, start_over};
