//! What a switch has learned: behind which link it saw an address last. Every frame asks
//! twice, so it is a table with open addressing. Nobody walks through it, so its order is
//! no matter.

use super::ids::LinkId;

/// A bit that is in no address, so that zero is a free place.
const LEARNED: u64 = 1 << 63;

/// By the six bytes of an address as a little-endian number, and that bit.
#[derive(Default)]
pub(super) struct Learned {
    places: Vec<(u64, LinkId)>,
    known: usize,
}

impl Learned {
    /// The link behind which an address was seen last.
    #[inline]
    pub(super) fn find(&self, address: u64) -> Option<LinkId> {
        let address = address | LEARNED;
        let (found, link) = self.places.get(self.place(address))?;
        (*found == address).then_some(*link)
    }

    /// An address is behind this link.
    #[inline]
    pub(super) fn learn(&mut self, address: u64, link: LinkId) {
        let address = address | LEARNED;
        let place = self.place(address);
        match self.places.get_mut(place) {
            Some(known) if known.0 == address => known.1 = link,
            _ => self.add(address, link),
        }
    }

    /// A new one. At least half of the places stay free.
    #[cold]
    #[inline(never)]
    fn add(&mut self, address: u64, link: LinkId) {
        if 2 * (self.known + 1) > self.places.len() {
            let larger = (2 * self.places.len()).max(16);
            let old = std::mem::replace(&mut self.places, vec![(0, LinkId(0)); larger]);
            for (address, link) in old.into_iter().filter(|(address, _)| *address != 0) {
                let place = self.place(address);
                self.places[place] = (address, link);
            }
        }
        let place = self.place(address);
        self.places[place] = (address, link);
        self.known += 1;
    }

    /// Where an address is, or would be.
    #[inline]
    fn place(&self, address: u64) -> usize {
        let mask = self.places.len().wrapping_sub(1);
        let mixed = address.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut place = (mixed >> 40) as usize & mask;
        while let Some((other, _)) = self.places.get(place)
            && *other != address
            && *other != 0
        {
            place = (place + 1) & mask;
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Beside a map, with addresses that crowd and that move.
    #[test]
    fn an_address_is_where_it_was_seen_last() {
        let (mut learned, mut plain) = (Learned::default(), BTreeMap::new());
        assert_eq!(learned.find(5), None);
        let mut drawn = 1_u64;
        for step in 0..20_000_u64 {
            drawn = drawn
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(99);
            let address = ((drawn >> 33) % (1 + step / 8)) << (drawn >> 60);
            if step % 3 > 0 {
                learned.learn(address, LinkId(step as usize));
                plain.insert(address, LinkId(step as usize));
            }
            assert_eq!(
                learned.find(address),
                plain.get(&address).copied(),
                "{step}"
            );
        }
    }
}
