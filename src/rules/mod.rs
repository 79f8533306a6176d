//! Decisions: a rule takes values and returns a value, and touches nothing.

pub(crate) mod addresses;
pub(crate) mod admit;
pub(crate) mod bucket;
#[cfg(feature = "addressing")]
pub(crate) mod claim;
pub(crate) mod config;
pub(crate) mod cookie;
pub(crate) mod guard;
pub(crate) mod isn;
pub(crate) mod keys;
#[cfg(feature = "dhcp")]
pub(crate) mod lease;
pub(crate) mod leaving;
pub(crate) mod lifecycle;
pub(crate) mod limits;
pub(crate) mod normalise;
pub(crate) mod passes;
#[cfg(feature = "udp")]
pub(crate) mod peers;
pub(crate) mod pmtu;
pub(crate) mod secrets;
