//! What is held: tables of fixed capacity in the caller's memory. Full is an answer.

pub(crate) mod buffers;
#[cfg(feature = "addressing")]
pub(crate) mod claims;
pub(crate) mod deadlines;
pub(crate) mod flows;
#[cfg(feature = "ipv6")]
pub(crate) mod groups;
#[cfg(feature = "alloc")]
pub(crate) mod heap;
pub(crate) mod host;
pub(crate) mod list;
pub(crate) mod listeners;
pub(crate) mod neighbors;
pub(crate) mod paths;
pub(crate) mod slot;
pub(crate) mod slots;
pub(crate) mod storage;
pub(crate) mod syn_queue;
#[cfg(feature = "addressing")]
pub(crate) mod watchers;
