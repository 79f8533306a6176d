//! Looking inside hosts between steps: their tables must agree, and each must be
//! asked for its next turn no later than its first timer.

use smoltcp::time::Instant;

use super::network::World;

impl World {
    /// Reports `tables` when a host's [`audit`](cygnet::Node::audit) finds something,
    /// and `deadline` when a host has a timer before its next turn. Costs a look at
    /// every slot of every host.
    ///
    /// A small host is looked at after each of its turns, without being asked.
    pub fn audit(&self) {
        (0..self.hosts.len()).for_each(|host| self.audit_host(host));
    }

    /// The same for one host.
    pub(super) fn audit_host(&self, host: usize) {
        let host = &self.hosts[host];
        if !host.is_up() {
            return;
        }
        let name = &host.name;
        if let Err(wrong) = host.node.audit() {
            self.log.violated("tables", format!("{name}: {wrong}"));
        }
        let Some(due) = host.next_deadline().filter(|_| !host.paused) else {
            return;
        };
        // A host takes two turns at least a microsecond apart.
        let latest = host.clock.world(due).max(self.now).total_micros();
        let latest = Instant::from_micros(latest.saturating_add(1));
        if host.wake_at.is_none_or(|planned| planned > latest) {
            let detail = format!("{name} has a timer at {due}, and no turn then");
            self.log.violated("deadline", detail);
        }
    }
}
