//! Whether the tables of hosts agree, looked at while a world runs. To look after every
//! turn takes as long as all the rest together, so a small host is looked at after 32 turns
//! without a look, and when it has come to rest.
//!
//! Not here: what is wrong with a table. That is `cygnet::lab::audit`.

use super::host::Host;
use super::network::World;

impl World {
    /// Reports `tables` when a host's [`audit`](cygnet::lab::audit) finds something,
    /// `deadline` when a host has a timer before its next turn, and `rescued` when it had
    /// none for what it has sent (`Counters::rescued`). Costs a look at every slot of every
    /// host.
    ///
    /// A small host is looked at after 32 turns in which nobody did, without being asked,
    /// and every host of a test at the end of a run.
    pub fn audit(&self) {
        self.log.acting.set(None);
        self.hosts.iter().for_each(|host| self.audit_host(host));
    }

    /// The same for hosts that came to rest since this was called before, and have moved
    /// since anybody looked.
    pub(super) fn audit_rested(&mut self) {
        self.log.acting.set(None);
        for index in 0..self.hosts.len() {
            if self.hosts[index].is_due_at_rest() {
                self.audit_host(&self.hosts[index]);
            }
        }
    }

    /// The same for one host.
    pub(super) fn audit_host(&self, host: &Host) {
        if host.is_up()
            && let Err((rule, detail)) = host.audit(self.now)
        {
            self.log.violated(rule, detail);
        }
    }
}
