//! Faults that somebody asked for, and those that had an effect: one that touched
//! nothing proved nothing.

use smoltcp::time::Instant;

use super::effects::Effects;
use super::fault::Fault;
use super::link::Link;
use super::network::World;
use super::queue::What;
use super::trial::Allow;

impl World {
    /// Lets something happen at `at`, or now if that has passed.
    ///
    /// In a run that is told a plan, that says what happens instead.
    pub fn at(&mut self, at: Instant, fault: Fault) {
        if !self.is_told_faults() {
            self.trial.asked.push((at.max(self.now), fault.clone()));
            self.plan_fault(at, fault);
        }
    }

    pub(super) fn plan_fault(&mut self, at: Instant, fault: Fault) {
        let planned = &mut self.planned;
        match &fault {
            Fault::Crash(_) => planned.crashed += 1,
            Fault::Boot(_) => planned.rebooted += 1,
            Fault::Pause(_) => planned.paused += 1,
            Fault::Drift(..) | Fault::Jump(..) => planned.clocked += 1,
            Fault::Partition { forth, back, .. } => {
                planned.partitioned += u64::from(*forth || *back)
            }
            Fault::Change(_, link) => self.plan(&link.clone()),
            Fault::Unplug(_) => planned.unplugged += 1,
            Fault::Resume(_) | Fault::Plug(_) => (),
        }
        self.queue
            .push(at.max(self.now), What::Fault(Box::new(fault)));
    }

    /// How many frames each fault has touched.
    pub fn effects(&self) -> Effects {
        let mut sum = self.effects;
        for wire in &self.wires {
            for direction in &wire.directions {
                sum.add(&direction.effects);
            }
        }
        sum
    }

    /// Faults that were asked for and have had no effect so far.
    pub fn untouched(&self) -> Vec<&'static str> {
        let effects = self.effects();
        let both = self.planned.rows().zip(effects.rows());
        both.filter(|((_, planned), (_, had))| *planned > 0 && *had == 0)
            .map(|((name, _), _)| name)
            .collect()
    }

    /// Kinds of faults that were asked for, unless idle ones are allowed, and whether
    /// they had an effect.
    pub(super) fn faults_asked(&self) -> Vec<(&'static str, bool)> {
        if self.allows(Allow::IdleFaults) {
            return Vec::new();
        }
        let effects = self.effects();
        let both = self.planned.rows().zip(effects.rows());
        both.filter(|((_, planned), _)| *planned > 0)
            .map(|((name, _), (_, had))| (name, had > 0))
            .collect()
    }

    /// Takes note of the faults that a link asks for, so that `untouched` can tell
    /// which never had an effect.
    pub(super) fn plan(&mut self, link: &Link) {
        let planned = &mut self.planned;
        planned.lost += u64::from(link.loss > 0);
        planned.duplicated += u64::from(link.duplicate > 0);
        planned.reordered += u64::from(link.reorder > 0);
        planned.corrupted += u64::from(link.corrupt > 0);
        planned.told += u64::from(link.tells);
        planned.spiked += u64::from(link.spike > 0);
    }
}
