//! Flows. Which slot serves a 4-tuple must cost the same for one connection and
//! for four thousand, and an attacker who chooses ports must not be able to
//! change that. So this is a hash table with a secret key, and the slots of a
//! bucket are chained by index.
//!
//! The hash is universal (NH, Black and others, 1999): sums of words and key
//! words, multiplied in pairs. Whoever does not know the key finds two flows in
//! one bucket no more often than by chance, and nothing that is sent depends on
//! it. A sixth of SipHash's instructions, and the products are those that a
//! microcontroller has.
//!
//! The rule: an entry in each slot and a bucket array, both the caller's; every
//! slot can hold one flow, so the table is never full before the slots are. The
//! entries lie in the slots because whoever finds a slot needs it next. What is
//! hashed has a fixed width and byte order, hence the same key gives the same
//! chains on every architecture.
//!
//! Not here: iteration (its order would follow the key), resizing, and who
//! deserves a slot.

use crate::frame::flow::{Flow, WORDS};
use crate::rules::keys::HashInput;

/// End of a chain.
const NONE: u32 = u32::MAX;

/// Instead of a chain: a slot without a flow.
const VACANT: u32 = u32::MAX - 1;

/// One slot's place in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowEntry {
    next: u32,
    flow: Flow,
}

impl FlowEntry {
    /// For storage: all zeros, so that a static costs no flash.
    pub(crate) const EMPTY: Self = Self {
        next: 0,
        flow: Flow::ZERO,
    };

    /// A slot without a flow.
    const VACANT: Self = Self {
        next: VACANT,
        flow: Flow::ZERO,
    };

    fn is_vacant(&self) -> bool {
        self.next == VACANT
    }

    /// The flow of this slot.
    pub(crate) fn flow(&self) -> Option<Flow> {
        (!self.is_vacant()).then_some(self.flow)
    }
}

/// A slot, as far as the table is concerned.
pub(crate) trait Entry {
    fn entry(&self) -> &FlowEntry;
    fn entry_mut(&mut self) -> &mut FlowEntry;
}

const _: () = assert!(size_of::<FlowEntry>() <= 48);
const _: () = assert!(!core::mem::needs_drop::<Flows<'static>>());

/// The flow is mapped already, or the slot has one, or there is no such slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Occupied;

/// The secret of the table, from one key: pairs of words for the addresses, one
/// pair for the ports, and an odd factor that spreads the sum.
#[derive(Debug)]
struct Secret {
    addresses: [(u32, u32); WORDS],
    ports: (u32, u32),
    factor: u64,
}

impl Secret {
    fn new(key: &[u8; 16]) -> Self {
        let draw = |number: u8| {
            let mut text = HashInput::EMPTY;
            text.add(&[number]);
            text.hash(key)
        };
        let pair = |number| {
            let drawn = draw(number);
            (drawn as u32, (drawn >> 32) as u32)
        };
        Secret {
            addresses: core::array::from_fn(|word| pair(word as u8)),
            ports: pair(4),
            factor: draw(5) | 1,
        }
    }

    fn hash(&self, flow: &Flow) -> u32 {
        let product = |(a, b): (u32, u32), x: u32, y: u32| {
            u64::from(x.wrapping_add(a)) * u64::from(y.wrapping_add(b))
        };
        let mut sum = product(self.ports, flow.ports, 0);
        for word in 0..WORDS {
            if word > 0 && flow.words == 1 {
                break;
            }
            let next = product(self.addresses[word], flow.local[word], flow.remote[word]);
            sum = sum.wrapping_add(next);
        }
        // Folded before it is spread: ports in a row would land in a row.
        ((sum ^ sum >> 32).wrapping_mul(self.factor) >> 32) as u32
    }
}

/// The table: flow to slot and back. Its methods are given the slots, always the
/// same.
#[derive(Debug)]
pub(crate) struct Flows<'a> {
    buckets: &'a mut [u32],
    secret: Secret,
}

impl<'a> Flows<'a> {
    /// An empty table; buckets and entries are reset. Any number of buckets but
    /// 0 works; one per slot keeps chains at one or two.
    pub(crate) fn new(buckets: &'a mut [u32], slots: &mut [impl Entry], key: [u8; 16]) -> Self {
        buckets.fill(NONE);
        for slot in slots {
            *slot.entry_mut() = FlowEntry::VACANT;
        }
        Self {
            buckets,
            secret: Secret::new(&key),
        }
    }

    /// The slot that serves `flow`.
    pub(crate) fn find(&self, slots: &[impl Entry], flow: &Flow) -> Option<u32> {
        let mut number = *self.buckets.get(self.bucket(flow))?;
        // `NONE` is out of range, so it ends the walk.
        while let Some(slot) = slots.get(number as usize) {
            let entry = slot.entry();
            if entry.flow == *flow {
                return Some(number);
            }
            number = entry.next;
        }
        None
    }

    /// Maps `flow` to `slot`.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn insert(
        &mut self,
        slots: &mut [impl Entry],
        slot: u32,
        flow: Flow,
    ) -> Result<(), Occupied> {
        if self.find(slots, &flow).is_some() {
            return Err(Occupied);
        }
        let bucket = self.bucket(&flow);
        let entry = slots.get_mut(slot as usize).ok_or(Occupied)?.entry_mut();
        let head = self.buckets.get_mut(bucket).ok_or(Occupied)?;
        if !entry.is_vacant() {
            return Err(Occupied);
        }
        *entry = FlowEntry { next: *head, flow };
        *head = slot;
        Ok(())
    }

    /// Forgets the flow of `slot` and returns it.
    pub(crate) fn remove(&mut self, slots: &mut [impl Entry], slot: u32) -> Option<Flow> {
        let entry = *slots.get(slot as usize)?.entry();
        if entry.is_vacant() {
            return None;
        }
        let FlowEntry { next, flow } = entry;
        let bucket = self.bucket(&flow);
        let mut before = *self.buckets.get(bucket)?;
        if before == slot {
            *self.buckets.get_mut(bucket)? = next;
        } else {
            while slots.get(before as usize)?.entry().next != slot {
                before = slots.get(before as usize)?.entry().next;
            }
            slots.get_mut(before as usize)?.entry_mut().next = next;
        }
        *slots.get_mut(slot as usize)?.entry_mut() = FlowEntry::VACANT;
        Some(flow)
    }

    /// Multiply-shift: in range for every bucket count, and no division.
    fn bucket(&self, flow: &Flow) -> usize {
        let hash = u64::from(self.secret.hash(flow));
        ((hash * self.buckets.len() as u64) >> 32) as usize
    }
}

#[cfg(any(test, feature = "on-target"))]
pub(crate) mod tests {
    #[cfg(test)]
    extern crate std;

    #[cfg(test)]
    use proptest::prelude::*;
    use smoltcp::wire::IpAddress;
    #[cfg(test)]
    use std::collections::BTreeMap;
    #[cfg(test)]
    use std::vec;

    use super::*;

    fn flow(number: u16) -> Flow {
        Flow::new(
            (IpAddress::v4(192, 168, 69, 1), 5000).into(),
            (IpAddress::v4(10, 0, 0, 7), 40000 + number).into(),
        )
    }

    impl Entry for FlowEntry {
        fn entry(&self) -> &FlowEntry {
            self
        }

        fn entry_mut(&mut self) -> &mut FlowEntry {
            self
        }
    }

    const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    crate::test_list::tests! {
        /// The values come from another implementation, in Python.
        fn the_same_key_gives_the_same_bucket_everywhere() {
            let (mut buckets, mut entries) = ([0; 1000], [FlowEntry::EMPTY; 1]);
            let flows = Flows::new(&mut buckets, &mut entries, KEY);
            assert_eq!(flows.secret.hash(&flow(0)), 0xbc53_20fa);
            assert_eq!(flows.bucket(&flow(0)), 735);
            #[cfg(feature = "ipv6")]
            {
                let six = |last| IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, last);
                let (local, remote) = ((six(1), 5000).into(), (six(7), 40000).into());
                let flow = Flow::new(local, remote);
                assert_eq!((flow.local(), flow.remote()), (local, remote));
                assert_eq!(flows.secret.hash(&flow), 0x72cd_14b9);
                assert_eq!(flows.bucket(&flow), 448);
            }
        }

        fn every_slot_can_hold_a_flow_and_no_more() {
            let (mut buckets, mut entries) = ([0; 3], [FlowEntry::EMPTY; 4]);
            let mut flows = Flows::new(&mut buckets, &mut entries, KEY);
            for slot in 0..4 {
                assert_eq!(flows.insert(&mut entries, slot, flow(slot as u16)), Ok(()));
            }
            assert_eq!(flows.insert(&mut entries, 4, flow(4)), Err(Occupied));
            assert_eq!(flows.insert(&mut entries, u32::MAX, flow(4)), Err(Occupied));
            assert_eq!(flows.insert(&mut entries, 3, flow(4)), Err(Occupied), "slot taken");
            assert_eq!(flows.remove(&mut entries, 3), Some(flow(3)));
            assert_eq!(flows.insert(&mut entries, 3, flow(0)), Err(Occupied), "flow mapped");
            assert_eq!(entries[3].flow(), None);
            assert_eq!(flows.remove(&mut entries, 3), None);
            assert_eq!(flows.remove(&mut entries, 4), None);
            assert_eq!(flows.insert(&mut entries, 3, flow(4)), Ok(()));
            assert_eq!(flows.find(&entries, &flow(4)), Some(3));
            assert_eq!(flows.find(&entries, &flow(3)), None);
        }

        fn no_buckets_and_no_slots_are_answered() {
            let mut entries: [FlowEntry; 0] = [];
            let mut flows = Flows::new(&mut [], &mut entries, KEY);
            assert_eq!(flows.insert(&mut entries, 0, flow(0)), Err(Occupied));
            assert_eq!(flows.find(&entries, &flow(0)), None);
        }
    }

    #[cfg(all(test, feature = "ipv6"))]
    #[test]
    fn a_flow_comes_back_with_every_bit_of_its_addresses() {
        let local = (IpAddress::v6(1, 2, 3, 4, 5, 6, 7, 8), 5000).into();
        let remote = (IpAddress::v6(9, 10, 11, 12, 13, 14, 15, 16), 40000).into();
        let flow = Flow::new(local, remote);
        assert_eq!((flow.local(), flow.remote()), (local, remote));
    }

    /// Ports and addresses in a row, as one client or one subnet would send
    /// them, for many secrets: chains stay as long as chance makes them.
    #[cfg(test)]
    #[test]
    fn flows_that_differ_little_are_spread() {
        for secret in 0..50 {
            let (mut buckets, mut entries) = ([0; 1024], vec![FlowEntry::EMPTY; 1024]);
            let mut flows = Flows::new(&mut buckets, &mut entries, [secret; 16]);
            for number in 0..1024 {
                let mut flow = flow(number % 64 * 2);
                flow.remote[0] = 10 << 24 | u32::from(number / 64) << 16 | 7;
                assert_eq!(flows.insert(&mut entries, number.into(), flow), Ok(()));
            }
            let chain = |&head: &u32| {
                let next = |slot: &u32| entries.get(*slot as usize).map(|entry| entry.next);
                core::iter::successors(Some(head), next).count() - 1
            };
            let steps: usize = flows
                .buckets
                .iter()
                .map(chain)
                .map(|n| n * (n + 1) / 2)
                .sum();
            // Chance alone makes it 1.5 in the mean.
            assert!(steps < 1024 * 17 / 10, "{steps} steps with secret {secret}");
        }
    }

    #[cfg(test)]
    proptest! {
        #[test]
        fn it_is_a_map(
            buckets in 1_usize..6,
            steps in prop::collection::vec((any::<bool>(), 0_u32..9, 0_u16..12), 0..200),
        ) {
            const SLOTS: u32 = 8;
            let mut buckets = vec![7; buckets];
            let mut entries = [FlowEntry::EMPTY; SLOTS as usize];
            let mut flows = Flows::new(&mut buckets, &mut entries, KEY);
            let mut model = BTreeMap::<u32, u16>::new();
            for (insert, slot, number) in steps {
                if insert {
                    let free = slot < SLOTS
                        && !model.contains_key(&slot)
                        && !model.values().any(|other| *other == number);
                    prop_assert_eq!(flows.insert(&mut entries, slot, flow(number)).is_ok(), free);
                    if free {
                        model.insert(slot, number);
                    }
                } else {
                    prop_assert_eq!(flows.remove(&mut entries, slot), model.remove(&slot).map(flow));
                }
                for number in 0..12 {
                    let slot = model.iter().find(|(_, other)| **other == number);
                    prop_assert_eq!(flows.find(&entries, &flow(number)), slot.map(|(slot, _)| *slot));
                }
                for slot in 0..=SLOTS {
                    let entry = entries.get(slot as usize);
                    let held = entry.and_then(FlowEntry::flow);
                    prop_assert_eq!(held, model.get(&slot).copied().map(flow));
                }
            }
        }
    }
}
