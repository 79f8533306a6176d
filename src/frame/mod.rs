//! Bytes and values: frames are read here, and made. No state.

pub(crate) mod build;
pub(crate) mod checksum;
pub(crate) mod demux;
#[cfg(feature = "dhcp")]
pub(crate) mod dhcp;
#[cfg(feature = "dns")]
pub(crate) mod dns;
pub(crate) mod flow;
#[cfg(feature = "ipv6")]
pub(crate) mod headers;
pub(crate) mod icmp;
#[cfg(feature = "groups")]
pub(crate) mod igmp;
pub(crate) mod link;
#[cfg(feature = "ipv6")]
pub(crate) mod mld;
pub(crate) mod neighbor;
pub(crate) mod one_shot;
pub(crate) mod patch;
#[cfg(feature = "addressing")]
pub(crate) mod probe;
pub(crate) mod sent;
#[cfg(feature = "udp")]
pub(crate) mod udp;
