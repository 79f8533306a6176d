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
//! The rule: a flow and a link in each slot and a bucket array, both the caller's;
//! every slot can hold one flow, so the table is never full before the slots are. The
//! flows lie in the slots because whoever finds a slot needs it next. What is
//! hashed has a fixed width and byte order, hence the same key gives the same
//! chains on every architecture.
//!
//! Not here: iteration (its order would follow the key), resizing, and who
//! deserves a slot.

use crate::frame::flow::{Flow, WORDS};
use crate::rules::keys::{HashInput, Use};
use crate::table::slot::Slot;

/// End of a chain.
const NONE: u32 = u32::MAX;

const _: () = assert!(!core::mem::needs_drop::<Flows<'static>>());

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
        let pair = |number| {
            let drawn = draw(key, number);
            (drawn as u32, (drawn >> 32) as u32)
        };
        Secret {
            addresses: core::array::from_fn(|word| pair(word as u8)),
            ports: pair(4),
            factor: draw(key, 5) | 1,
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

#[cfg_attr(target_pointer_width = "32", inline(never))]
fn draw(key: &[u8; 16], number: u8) -> u64 {
    let mut text = HashInput::of(Use::Flows);
    text.add(&[number]);
    text.hash(key)
}

/// The table: flow to slot and back. Its methods are given the slots, always the
/// same.
#[derive(Debug)]
pub(crate) struct Flows<'a> {
    buckets: &'a mut [u32],
    secret: Secret,
}

impl<'a> Flows<'a> {
    /// An empty table for slots without flows; buckets are reset. Any number of buckets
    /// but 0 works; one per slot keeps chains at one or two.
    pub(crate) fn new(buckets: &'a mut [u32], key: [u8; 16]) -> Self {
        buckets.fill(NONE);
        Self {
            buckets,
            secret: Secret::new(&key),
        }
    }

    /// The slot that serves `flow`.
    pub(crate) fn find(&self, slots: &[Slot<'_>], flow: &Flow) -> Option<u32> {
        let mut number = *self.buckets.get(self.bucket(flow))?;
        // `NONE` is out of range, so it ends the walk.
        while let Some(slot) = slots.get(number as usize) {
            if slot.flow == *flow {
                return Some(number);
            }
            number = slot.next_flow;
        }
        None
    }

    /// Maps `flow` to `slot`. False: the flow is mapped already, or the slot has one, or
    /// there is no such slot.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn insert(&mut self, slots: &mut [Slot<'_>], slot: u32, flow: Flow) -> bool {
        let (known, bucket) = (self.find(slots, &flow), self.bucket(&flow));
        if let Some(place) = slots.get_mut(slot as usize)
            && let Some(head) = self.buckets.get_mut(bucket)
            && known.is_none()
            && place.flow().is_none()
        {
            place.flow = flow;
            place.next_flow = core::mem::replace(head, slot);
            return true;
        }
        false
    }

    /// Forgets the flow of `slot` and returns it.
    pub(crate) fn remove(&mut self, slots: &mut [Slot<'_>], slot: u32) -> Option<Flow> {
        let place = slots.get_mut(slot as usize)?;
        let (next, flow) = (place.next_flow, place.flow()?);
        place.flow = Flow::ZERO;
        let mut link = self.buckets.get_mut(self.bucket(&flow))?;
        while *link != slot {
            let before = *link as usize;
            link = &mut slots.get_mut(before)?.next_flow;
        }
        *link = next;
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

    const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    crate::test_list::tests! {
        /// The values come from another implementation, in Python.
        fn the_same_key_gives_the_same_bucket_everywhere() {
            let mut buckets = [0; 1000];
            let flows = Flows::new(&mut buckets, KEY);
            assert_eq!(flows.secret.hash(&flow(0)), 0x757b_c490);
            assert_eq!(flows.bucket(&flow(0)), 458);
            #[cfg(feature = "ipv6")]
            {
                let six = |last| IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, last);
                let (local, remote) = ((six(1), 5000).into(), (six(7), 40000).into());
                let flow = Flow::new(local, remote);
                assert_eq!((flow.local(), flow.remote()), (local, remote));
                assert_eq!(flows.secret.hash(&flow), 0x17a7_ea0f);
                assert_eq!(flows.bucket(&flow), 92);
            }
        }

        fn every_slot_can_hold_a_flow_and_no_more() {
            let (mut buckets, mut slots) = ([0; 3], [const { Slot::EMPTY }; 4]);
            let mut flows = Flows::new(&mut buckets, KEY);
            for slot in 0..4 {
                assert!(flows.insert(&mut slots, slot, flow(slot as u16)));
            }
            assert!(!flows.insert(&mut slots, 4, flow(4)));
            assert!(!flows.insert(&mut slots, u32::MAX, flow(4)));
            assert!(!flows.insert(&mut slots, 3, flow(4)), "slot taken");
            assert_eq!(flows.remove(&mut slots, 3), Some(flow(3)));
            assert!(!flows.insert(&mut slots, 3, flow(0)), "flow mapped");
            assert_eq!(slots[3].flow(), None);
            assert_eq!(flows.remove(&mut slots, 3), None);
            assert_eq!(flows.remove(&mut slots, 4), None);
            assert!(flows.insert(&mut slots, 3, flow(4)));
            assert_eq!(flows.find(&slots, &flow(4)), Some(3));
            assert_eq!(flows.find(&slots, &flow(3)), None);
        }

        fn no_buckets_and_no_slots_are_answered() {
            let mut slots: [Slot<'_>; 0] = [];
            let mut flows = Flows::new(&mut [], KEY);
            assert!(!flows.insert(&mut slots, 0, flow(0)));
            assert_eq!(flows.find(&slots, &flow(0)), None);
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
            let (mut buckets, mut slots) = ([0; 1024], vec::Vec::new());
            slots.resize_with(1024, || Slot::EMPTY);
            let mut flows = Flows::new(&mut buckets, [secret; 16]);
            for number in 0..1024 {
                let mut flow = flow(number % 64 * 2);
                flow.remote[0] = 10 << 24 | u32::from(number / 64) << 16 | 7;
                assert!(flows.insert(&mut slots, number.into(), flow));
            }
            let chain = |&head: &u32| {
                let next = |slot: &u32| slots.get(*slot as usize).map(|entry| entry.next_flow);
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
            let mut slots = [const { Slot::EMPTY }; SLOTS as usize];
            let mut flows = Flows::new(&mut buckets, KEY);
            let mut model = BTreeMap::<u32, u16>::new();
            for (insert, slot, number) in steps {
                if insert {
                    let free = slot < SLOTS
                        && !model.contains_key(&slot)
                        && !model.values().any(|other| *other == number);
                    prop_assert_eq!(flows.insert(&mut slots, slot, flow(number)), free);
                    if free {
                        model.insert(slot, number);
                    }
                } else {
                    prop_assert_eq!(flows.remove(&mut slots, slot), model.remove(&slot).map(flow));
                }
                for number in 0..12 {
                    let slot = model.iter().find(|(_, other)| **other == number);
                    prop_assert_eq!(flows.find(&slots, &flow(number)), slot.map(|(slot, _)| *slot));
                }
                for slot in 0..=SLOTS {
                    let entry = slots.get(slot as usize);
                    let held = entry.and_then(Slot::flow);
                    prop_assert_eq!(held, model.get(&slot).copied().map(flow));
                }
            }
        }
    }
}
