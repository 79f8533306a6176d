//! Flows. Which slot serves a 4-tuple must cost the same for one connection and
//! for four thousand, and an attacker who chooses ports must not be able to
//! change that. So this is a hash table with a secret key: SipHash-1-3 over the
//! flow's bytes picks a bucket, and the slots of a bucket are chained by index.
//!
//! The rule: an entry per slot and a bucket array, both the caller's; every slot
//! can hold one flow, so the table is never full before the slots are. What is
//! hashed has a fixed width and byte order, hence the same key gives the same
//! chains on every architecture.
//!
//! Not here: iteration (its order would follow the key), resizing, and who
//! deserves a slot.

use core::net::IpAddr;

use siphasher::sip::SipHasher13;
use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::net::demux::Flow;

/// End of a chain.
const NONE: u32 = u32::MAX;

/// Instead of a chain: a slot without a flow. A mark of our own, because where
/// an `Option` keeps its own depends on what an address can be, and storage
/// must be all zeros with and without IPv6.
const VACANT: u32 = u32::MAX - 1;

const NOWHERE: IpEndpoint = IpEndpoint {
    addr: IpAddress::v4(0, 0, 0, 0),
    port: 0,
};

/// One slot's place in the table. Storage holds one per slot.
#[derive(Clone, Copy, Debug)]
pub struct FlowEntry {
    flow: Flow,
    next: u32,
}

impl FlowEntry {
    /// For storage: all zeros, so that a static costs no flash.
    pub const EMPTY: Self = Self {
        flow: Flow {
            local: NOWHERE,
            remote: NOWHERE,
        },
        next: 0,
    };

    /// A slot without a flow.
    const VACANT: Self = Self {
        next: VACANT,
        ..Self::EMPTY
    };

    fn flow(&self) -> Option<&Flow> {
        (self.next != VACANT).then_some(&self.flow)
    }
}

const _: () = assert!(size_of::<FlowEntry>() <= 48);
const _: () = assert!(!core::mem::needs_drop::<Flows<'static>>());

/// The flow is mapped already, or the slot has one, or there is no such slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Occupied;

/// The table: flow to slot and back.
#[derive(Debug)]
pub(crate) struct Flows<'a> {
    buckets: &'a mut [u32],
    entries: &'a mut [FlowEntry],
    hasher: SipHasher13,
}

impl<'a> Flows<'a> {
    /// An empty table; both slices are reset. Any number of buckets but 0
    /// works; one per slot keeps chains at one or two.
    pub(crate) fn new(buckets: &'a mut [u32], entries: &'a mut [FlowEntry], key: [u8; 16]) -> Self {
        buckets.fill(NONE);
        entries.fill(FlowEntry::VACANT);
        Self {
            buckets,
            entries,
            hasher: SipHasher13::new_with_key(&key),
        }
    }

    /// The slot that serves `flow`.
    pub(crate) fn find(&self, flow: &Flow) -> Option<u32> {
        let mut slot = *self.buckets.get(self.bucket(flow))?;
        // `NONE` is out of range, so it ends the walk.
        while let Some(entry) = self.entries.get(slot as usize) {
            if entry.flow == *flow {
                return Some(slot);
            }
            slot = entry.next;
        }
        None
    }

    /// Maps `flow` to `slot`.
    pub(crate) fn insert(&mut self, slot: u32, flow: Flow) -> Result<(), Occupied> {
        if self.find(&flow).is_some() {
            return Err(Occupied);
        }
        let bucket = self.bucket(&flow);
        let entry = self.entries.get_mut(slot as usize).ok_or(Occupied)?;
        let head = self.buckets.get_mut(bucket).ok_or(Occupied)?;
        if entry.flow().is_some() {
            return Err(Occupied);
        }
        *entry = FlowEntry { flow, next: *head };
        *head = slot;
        Ok(())
    }

    /// Forgets the flow of `slot` and returns it.
    pub(crate) fn remove(&mut self, slot: u32) -> Option<Flow> {
        let entry = *self.entries.get(slot as usize)?;
        let (flow, next) = (*entry.flow()?, entry.next);
        let bucket = self.bucket(&flow);
        let mut before = *self.buckets.get(bucket)?;
        if before == slot {
            *self.buckets.get_mut(bucket)? = next;
        } else {
            while self.entries.get(before as usize)?.next != slot {
                before = self.entries.get(before as usize)?.next;
            }
            self.entries.get_mut(before as usize)?.next = next;
        }
        *self.entries.get_mut(slot as usize)? = FlowEntry::VACANT;
        Some(flow)
    }

    /// The flow of `slot`.
    pub(crate) fn get(&self, slot: u32) -> Option<Flow> {
        self.entries.get(slot as usize)?.flow().copied()
    }

    /// Multiply-shift of the hash's upper half: in range for every bucket count,
    /// and no division.
    fn bucket(&self, flow: &Flow) -> usize {
        let high = hash(&self.hasher, flow) >> 32;
        ((high * self.buckets.len() as u64) >> 32) as usize
    }
}

/// Hashes family, local address, remote address, local port, remote port, all
/// in network order: 13 bytes for IPv4 and 37 for IPv6. The family leads, so no
/// two flows share an encoding.
fn hash(hasher: &SipHasher13, flow: &Flow) -> u64 {
    let ports = [flow.local.port, flow.remote.port].map(u16::to_be_bytes);
    match (flow.local.addr.into(), flow.remote.addr.into()) {
        (IpAddr::V4(local), IpAddr::V4(remote)) => {
            let mut bytes = [4; 13];
            bytes[1..5].copy_from_slice(&local.octets());
            bytes[5..9].copy_from_slice(&remote.octets());
            bytes[9..].copy_from_slice(ports.as_flattened());
            hasher.hash(&bytes)
        }
        // A flow has one family, so nothing is mapped in practice.
        (local, remote) => {
            let mut bytes = [6; 37];
            bytes[1..17].copy_from_slice(&sixteen(local));
            bytes[17..33].copy_from_slice(&sixteen(remote));
            bytes[33..].copy_from_slice(ports.as_flattened());
            hasher.hash(&bytes)
        }
    }
}

fn sixteen(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::BTreeMap;
    use std::vec;

    use proptest::prelude::*;
    use smoltcp::wire::IpAddress;

    use super::*;

    fn flow(number: u16) -> Flow {
        Flow {
            local: (IpAddress::v4(192, 168, 69, 1), 5000).into(),
            remote: (IpAddress::v4(10, 0, 0, 7), 40000 + number).into(),
        }
    }

    const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    /// The values come from another implementation of SipHash-1-3, in Python.
    #[test]
    fn the_same_key_gives_the_same_bucket_everywhere() {
        let hasher = SipHasher13::new_with_key(&KEY);
        assert_eq!(hash(&hasher, &flow(0)), 0x7c22_9719_6a0d_05d1);
        let (mut buckets, mut entries) = ([0; 1000], [FlowEntry::EMPTY; 1]);
        let flows = Flows::new(&mut buckets, &mut entries, KEY);
        assert_eq!(flows.bucket(&flow(0)), 484);
        #[cfg(feature = "ipv6")]
        {
            let six = |last| IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, last);
            let flow = Flow {
                local: (six(1), 5000).into(),
                remote: (six(7), 40000).into(),
            };
            assert_eq!(hash(&hasher, &flow), 0x0429_11fa_25d0_e5f2);
            assert_eq!(flows.bucket(&flow), 16);
        }
    }

    #[test]
    fn every_slot_can_hold_a_flow_and_no_more() {
        let (mut buckets, mut entries) = ([0; 3], [FlowEntry::EMPTY; 4]);
        let mut flows = Flows::new(&mut buckets, &mut entries, KEY);
        for slot in 0..4 {
            assert_eq!(flows.insert(slot, flow(slot as u16)), Ok(()));
        }
        assert_eq!(flows.insert(4, flow(4)), Err(Occupied));
        assert_eq!(flows.insert(u32::MAX, flow(4)), Err(Occupied));
        assert_eq!(flows.insert(3, flow(4)), Err(Occupied), "slot taken");
        assert_eq!(flows.remove(3), Some(flow(3)));
        assert_eq!(flows.insert(3, flow(0)), Err(Occupied), "flow mapped");
        assert_eq!((flows.get(3), flows.get(4)), (None, None));
        assert_eq!((flows.remove(3), flows.remove(4)), (None, None));
        assert_eq!(flows.insert(3, flow(4)), Ok(()));
        assert_eq!(flows.find(&flow(4)), Some(3));
        assert_eq!(flows.find(&flow(3)), None);
    }

    #[test]
    fn no_buckets_and_no_slots_are_answered() {
        let mut flows = Flows::new(&mut [], &mut [], KEY);
        assert_eq!(flows.insert(0, flow(0)), Err(Occupied));
        assert_eq!((flows.find(&flow(0)), flows.remove(0)), (None, None));
    }

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
                    prop_assert_eq!(flows.insert(slot, flow(number)).is_ok(), free);
                    if free {
                        model.insert(slot, number);
                    }
                } else {
                    prop_assert_eq!(flows.remove(slot), model.remove(&slot).map(flow));
                }
                for number in 0..12 {
                    let slot = model.iter().find(|(_, other)| **other == number);
                    prop_assert_eq!(flows.find(&flow(number)), slot.map(|(slot, _)| *slot));
                }
                for slot in 0..=SLOTS {
                    prop_assert_eq!(flows.get(slot), model.get(&slot).copied().map(flow));
                }
            }
        }
    }
}
