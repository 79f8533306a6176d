//! For tests, simulations and examples: two hosts in memory and virtual time, and
//! what the core promises as properties. A board's image contains none of it.

mod faults;
#[cfg(any(test, feature = "on-target"))]
pub mod on_target;
pub mod pair;
#[cfg(any(test, feature = "on-target"))]
#[doc(hidden)]
pub mod properties;
pub mod wire;
