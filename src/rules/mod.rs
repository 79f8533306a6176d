//! Decisions: a rule takes values and returns a value, and touches nothing.

pub(crate) mod addresses;
pub(crate) mod config;
pub(crate) mod cookie;
pub(crate) mod guard;
pub(crate) mod isn;
pub(crate) mod keys;
pub(crate) mod limits;
