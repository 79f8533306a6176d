//! What a blow of a plan is in the world that a stage makes of it.
//!
//! Not here: worlds that tests make (`facts`).

use super::fault::Fault;
use super::ids::{HostId, LinkId};
use super::plan::Blow;

/// The fault that strikes a place, whose link and host these are. `None`: it is no host.
pub(super) fn fault_of(blow: Blow, link: LinkId, host: Option<HostId>) -> Option<Fault> {
    let cut = |forth, back| Fault::Partition { link, forth, back };
    Some(match blow {
        Blow::Crash => Fault::Crash(host?),
        Blow::Boot => Fault::Boot(host?),
        Blow::Pause => Fault::Pause(host?),
        Blow::Resume => Fault::Resume(host?),
        Blow::Drift(ppm) => Fault::Drift(host?, ppm),
        Blow::Jump(ahead) => Fault::Jump(host?, ahead),
        Blow::Cut { up, down } => cut(up, down),
        Blow::Join => cut(false, false),
        Blow::Link(to) => Fault::Change(link, to),
        Blow::Unplug => Fault::Unplug(link),
        Blow::Plug => Fault::Plug(link),
    })
}
