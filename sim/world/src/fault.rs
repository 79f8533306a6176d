//! Faults that strike at a time that somebody chose. What happens to single
//! frames is a twist, see `fate`.

use smoltcp::time::Duration;

use super::ids::{HostId, LinkId};
use super::link::Link;

/// Something that goes wrong, or right again, at a time of your choice.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Power off: tasks, connections and neighbors are gone, nobody is told.
    Crash(HostId),
    /// Power on, or off and on: the program starts anew.
    Boot(HostId),
    /// The host stands still; its card's ring fills.
    Pause(HostId),
    /// It goes on.
    Resume(HostId),
    /// Its clock runs this many parts per million too fast, or too slow.
    Drift(HostId, i32),
    /// Its clock jumps ahead.
    Jump(HostId, Duration),
    /// Nothing passes from the first end of the link to the second, or back.
    Partition {
        /// The link.
        link: LinkId,
        /// From the first end to the second.
        forth: bool,
        /// From the second end to the first.
        back: bool,
    },
    /// The link behaves like this from now on.
    Change(LinkId, Link),
    /// The link's cable is pulled: nothing passes, and hosts at its ends see that it is down.
    Unplug(LinkId),
    /// It is put in again.
    Plug(LinkId),
}

impl Fault {
    /// Kind, whom it strikes, and how, as numbers for a digest.
    pub(super) fn code(&self) -> (u64, u64, u64) {
        match *self {
            Fault::Crash(host) => (0, host.0 as u64, 0),
            Fault::Boot(host) => (1, host.0 as u64, 0),
            Fault::Pause(host) => (2, host.0 as u64, 0),
            Fault::Resume(host) => (3, host.0 as u64, 0),
            Fault::Drift(host, ppm) => (4, host.0 as u64, i64::from(ppm) as u64),
            Fault::Jump(host, ahead) => (5, host.0 as u64, ahead.total_micros()),
            Fault::Partition { link, forth, back } => {
                (6, link.0 as u64, u64::from(forth) | u64::from(back) << 1)
            }
            Fault::Change(link, _) => (7, link.0 as u64, 0),
            Fault::Unplug(link) => (8, link.0 as u64, 0),
            Fault::Plug(link) => (9, link.0 as u64, 0),
        }
    }
}
