//! Another host of the same memory, for a simulation that makes many: a boot forgets
//! connections and secrets, and this what a boot keeps.

use smoltcp::time::Instant;
use smoltcp::wire::IpCidr;

use crate::counters::Totals;
use crate::node::Node;
use crate::rules::addresses::Addresses;

/// As [`Node::reboot`], and forgets every total and the time too. Tasks must have
/// ended.
pub fn start_over(node: Node<'_>, secret: [u8; 16]) {
    node.stack.with(|core| {
        core.host.begin(Instant::ZERO);
        core.host.totals = Totals::default();
        core.host.outlet.frames.set(0);
        core.host.outlet.bytes.set(0);
    });
    let (tasks, timers) = (&node.tasks.counters, &node.tasks.timers);
    tasks.high.set(node.tasks.used.get());
    for total in [&tasks.refused, &tasks.failed, &tasks.polls, &timers.refused] {
        total.set(0);
    }
    timers.now.set(Instant::ZERO);
    node.reboot(secret);
}

/// The host has these addresses and nothing else that says where it is: no router, no
/// server, and a link that is up. A boot keeps what was set before it; this is the firmware
/// that sets it anew.
pub fn move_in(node: Node<'_>, addresses: &[IpCidr]) {
    node.stack.with(|core| {
        core.host.addresses = Addresses::default();
        core.host.addresses.own.extend(addresses.iter().copied());
    });
}
