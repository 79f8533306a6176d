//! Where rules and tables meet, and frames move: device to demux to slot to socket,
//! and back. The only caller of smoltcp's `Interface`.

pub(crate) mod admission;
pub(crate) mod audit;
pub(crate) mod connect;
pub(crate) mod core;
pub(crate) mod egress;
pub(crate) mod ingress;
pub(crate) mod lifecycle;
pub(crate) mod one_shot;
pub(crate) mod place;
pub(crate) mod requests;
pub(crate) mod resolve;
#[allow(
    clippy::module_inception,
    reason = "the handle is called as what it is"
)]
pub(crate) mod stack;
