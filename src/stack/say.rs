//! What a host says of its own accord: which groups it hears, which addresses it is about to
//! take, and datagrams. Which of that there is depends on the features.

use smoltcp::phy::Device;

#[cfg(feature = "addressing")]
use crate::stack::addressing;
#[cfg(feature = "udp")]
use crate::stack::datagrams;
#[cfg(feature = "ipv6")]
use crate::stack::groups;
#[cfg(feature = "groups")]
use crate::stack::joined;
use crate::table::beside::Beside;
use crate::table::host::Host;
use crate::table::neighbors::Neighbors;

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) device_full: bool,
    /// The host has other addresses than before.
    pub(crate) has_changed: bool,
}

/// Says what is due. Without any of these features nothing ever is.
#[cold]
#[cfg_attr(
    not(any(feature = "addressing", feature = "ipv6", feature = "udp")),
    allow(unused_mut, unused_variables)
)]
pub(crate) fn say<D: Device + ?Sized>(
    parts: (&mut Neighbors, &mut Beside<'_>),
    host: &mut Host<'_>,
    device: &mut D,
) -> Said {
    let mut said = Said::default();
    #[cfg(feature = "addressing")]
    if parts.0.claims.due().is_some_and(|due| due <= host.now) {
        (said.device_full, said.has_changed) = addressing::say(&mut parts.0.claims, host, device);
    }
    #[cfg(feature = "ipv6")]
    if parts.0.groups.due.is_some_and(|due| due <= host.now) {
        said.device_full |= !groups::say(&mut parts.0.groups, host, device);
    }
    #[cfg(feature = "groups")]
    if parts.0.joined.due().is_some_and(|due| due <= host.now) {
        said.device_full |= !joined::say(parts.0, host, device);
    }
    #[cfg(feature = "udp")]
    if parts.1.sends() {
        said.device_full |= !datagrams::send(&mut parts.1.binds, parts.0, host, device);
    }
    said
}
