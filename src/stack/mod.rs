//! Where rules and tables meet, and frames move: device to demux to slot to socket,
//! and back. The only caller of smoltcp's `Interface`.

#[cfg(feature = "addressing")]
pub(crate) mod addressing;
pub(crate) mod connections;
pub(crate) mod core;
#[cfg(feature = "udp")]
pub(crate) mod datagrams;
pub(crate) mod engine;
pub(crate) mod gate;
#[cfg(feature = "ipv6")]
pub(crate) mod groups;
#[cfg(feature = "groups")]
pub(crate) mod joined;
pub(crate) mod opening;
pub(crate) mod resolve;
pub(crate) mod say;
#[allow(
    clippy::module_inception,
    reason = "the handle is called as what it is"
)]
pub(crate) mod stack;
