//! Hardware addresses. A connection speaks to where its own frames come from
//! (`handoff.rs`), and every answer goes where the question came from, so one
//! thing is left for which somebody must be asked: the first SYN of a connection
//! of ours. Whoever sends ARP can turn nothing else elsewhere, and not even that:
//! only the answer to a question that was asked is believed, and the first one.
//!
//! A place holds a question or its answer. Questions of others are answered and
//! forgotten. IPv6's neighbor discovery obeys the same rules.

use smoltcp::phy::{Device, TxToken};
use smoltcp::time::{Duration, Instant};
#[cfg(feature = "ipv6")]
use smoltcp::wire::{IPV6_LINK_LOCAL_ALL_NODES, Icmpv6Packet, Ipv6Address, Ipv6Packet};
use smoltcp::wire::{IpAddress, Ipv4Address};

use crate::event::DropReason;
use crate::net::craft;
use crate::net::slots::NOBODY;
use crate::net::stack::Inner;

/// An Ethernet address.
pub(super) type Hardware = [u8; 6];

/// Whether it is one station's: the group bit is not set.
pub(super) fn is_unicast(hardware: Hardware) -> bool {
    hardware[0] & 1 == 0 && hardware != NOBODY
}

/// How many neighbors are known or asked for at a time.
const PLACES: usize = 4;

/// How long an answer is good for (RFC 1122, 2.3.2.1).
const LIFE: Duration = Duration::from_secs(60);

/// When the same is asked again, at the earliest (RFC 1122, 2.3.2.1).
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The same for whoever asked the last time, because those who wait for a place
/// come first.
pub(super) const AT_THE_LATEST: Duration = Duration::from_millis(1_010);

#[derive(Clone, Copy, Debug)]
struct Place {
    addr: IpAddress,
    /// `None` as long as nobody answered.
    hardware: Option<Hardware>,
    since: Instant,
}

/// What the host knows of who is where, and what it has asked.
#[derive(Debug)]
pub(super) struct Neighbors {
    /// Counts answers, and wraps.
    pub(super) epoch: u8,
    places: [Option<Place>; PLACES],
}

/// What to do about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lookup {
    At(Hardware),
    Ask,
    Wait,
}

impl Neighbors {
    pub(super) const NEW: Neighbors = Neighbors {
        epoch: 0,
        places: [None; PLACES],
    };

    /// Where `addr` is. [`Lookup::Ask`] is said to one, once a second.
    fn look_up(&mut self, addr: IpAddress, now: Instant) -> Lookup {
        let open = |place: &Place| place.hardware.is_none() && now < place.since + ASK_AGAIN;
        let its = |place: &&mut Option<Place>| place.is_some_and(|place| place.addr == addr);
        // Its own, or the one that will be missed least.
        let known = self.places.iter_mut().find(its);
        let rank = |place: &Option<Place>| place.map(|place| (open(&place), place.since));
        let Some(place) = (match known {
            Some(place) => Some(place),
            None => self.places.iter_mut().min_by_key(|place| rank(place)),
        }) else {
            return Lookup::Wait;
        };
        match place {
            Some(Place {
                addr: other,
                hardware: Some(hardware),
                since,
            }) if *other == addr && now < *since + LIFE => Lookup::At(*hardware),
            Some(taken) if open(taken) => Lookup::Wait,
            _ => {
                *place = Some(Place {
                    addr,
                    hardware: None,
                    since: now,
                });
                Lookup::Ask
            }
        }
    }

    /// Whether this is the answer to a question.
    fn hear(&mut self, addr: IpAddress, hardware: Hardware, now: Instant) -> bool {
        let asked = |place: &&mut Place| place.addr == addr && place.hardware.is_none();
        let Some(place) = self.places.iter_mut().flatten().find(asked) else {
            return false;
        };
        place.hardware = Some(hardware);
        place.since = now;
        self.epoch = self.epoch.wrapping_add(1);
        true
    }
}

/// What an ARP packet or a neighbor discovery message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Claim {
    /// Who has this address …
    addr: IpAddress,
    hardware: Hardware,
    /// … and whose it asks for; nobody's in an answer.
    asks_for: Option<IpAddress>,
}

impl Inner<'_> {
    /// A frame that says, or asks, who owns an address.
    pub(super) fn neighbor_in<T: TxToken>(&mut self, frame: &[u8], token: T) {
        let Some(claim) = read(frame) else {
            return self.dropped(DropReason::Malformed);
        };
        let Some(ours) = claim.asks_for else {
            if self.neighbors.hear(claim.addr, claim.hardware, self.now) {
                self.neighbor_news = true;
            } else {
                self.dropped(DropReason::Unsolicited);
            }
            return;
        };
        if !self.addresses.has(ours) {
            return self.dropped(DropReason::NotOurs);
        }
        let us = (self.config.hardware_addr, ours);
        if let Some(answer) = craft::here(us, (claim.hardware, claim.addr)) {
            self.send(&answer, token);
        }
    }

    /// Finds out where the first SYN of a slot is to go. False as long as nobody
    /// has answered; then the slot is looked at again when somebody does, or when
    /// it is time to ask again.
    pub(super) fn finds_peer<D: Device + ?Sized>(&mut self, index: u32, device: &mut D) -> bool {
        let now = self.now;
        let Some(token) = device.transmit(now) else {
            self.device_full = true;
            self.mark_dirty(index);
            return false;
        };
        let flow = self.slots.flow(index);
        let hop = flow.and_then(|flow| self.addresses.next_hop(flow.remote_addr()));
        let lookup = hop.map_or(Lookup::Wait, |hop| self.neighbors.look_up(hop, now));
        if let (Lookup::Ask, Some(flow), Some(hop)) = (lookup, flow, hop) {
            let us = (self.config.hardware_addr, flow.local_addr());
            if let Some(question) = craft::who_has(us, hop) {
                self.send(&question, token);
            }
        }
        let Some(slot) = self.slots.get(index) else {
            return false;
        };
        if let Lookup::At(hardware) = lookup {
            slot.peer = hardware;
            return true;
        }
        slot.waits_for_neighbor = true;
        slot.waits_since = self.neighbors.epoch;
        self.waiting_for_neighbor += 1;
        let again = match lookup {
            Lookup::Ask => now + AT_THE_LATEST,
            _ => now + ASK_AGAIN,
        };
        let due = slot.due(now).min(again);
        self.deadlines.set(index, Some(due));
        false
    }
}

/// Reads a frame that is one of the two; `None` if it is not as it should be.
fn read(frame: &[u8]) -> Option<Claim> {
    match *frame.get(12..14)? {
        [0x08, 0x06] => read_arp(frame.get(14..)?.first_chunk()?),
        #[cfg(feature = "ipv6")]
        [0x86, 0xdd] => read_ndisc(frame),
        _ => None,
    }
}

/// RFC 826: Ethernet, IPv4.
fn read_arp(packet: &[u8; 28]) -> Option<Claim> {
    let (head, ends) = packet.split_first_chunk::<8>()?;
    let &[a, b, c, d, e, f, s0, s1, s2, s3, .., t0, t1, t2, t3] = ends else {
        return None;
    };
    let target = IpAddress::from(Ipv4Address::new(t0, t1, t2, t3));
    let asks_for = match *head {
        [0, 1, 8, 0, 6, 4, 0, 1] => Some(target),
        [0, 1, 8, 0, 6, 4, 0, 2] => None,
        _ => return None,
    };
    let hardware = [a, b, c, d, e, f];
    is_unicast(hardware).then_some(Claim {
        addr: Ipv4Address::new(s0, s1, s2, s3).into(),
        hardware,
        asks_for,
    })
}

/// RFC 4861: neighbor solicitations, answered where they came from, and
/// advertisements. What came through a router is neither (7.1).
#[cfg(feature = "ipv6")]
fn read_ndisc(frame: &[u8]) -> Option<Claim> {
    let [_, _, _, _, _, _, a, b, c, d, e, f, _, _, ..] = *frame else {
        return None;
    };
    let packet = Ipv6Packet::new_checked(frame.get(14..)?).ok()?;
    let (source, destination) = (packet.src_addr(), packet.dst_addr());
    let message = packet.payload();
    let right = Icmpv6Packet::new_checked(message).ok()?;
    let is_right = right.verify_checksum(&source, &destination);
    if packet.hop_limit() != 255 || !is_right || right.msg_code() != 0 {
        return None;
    }
    let target: [u8; 16] = *message.get(8..)?.first_chunk()?;
    let target = IpAddress::from(Ipv6Address::from(target));
    let options = message.get(24..)?;
    let (addr, hardware, asks_for) = match *message.first()? {
        // Who asks without an address is about to take it: everybody is told (7.2.4).
        135 if source.is_unspecified() => {
            let everybody = IPV6_LINK_LOCAL_ALL_NODES;
            return Some(Claim {
                addr: everybody.into(),
                hardware: craft::group(everybody),
                asks_for: Some(target),
            });
        }
        135 => (source.into(), [a, b, c, d, e, f], Some(target)),
        136 => (target, link_layer(options)?, None),
        _ => return None,
    };
    is_unicast(hardware).then_some(Claim {
        addr,
        hardware,
        asks_for,
    })
}

/// The target link-layer address among options (RFC 4861, 4.6.1).
#[cfg(feature = "ipv6")]
fn link_layer(mut options: &[u8]) -> Option<Hardware> {
    loop {
        match *options {
            [2, 1, a, b, c, d, e, f, ..] => return Some([a, b, c, d, e, f]),
            [_, words, ..] if words > 0 => options = options.get(usize::from(words) * 8..)?,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    const AT: Hardware = [2, 0, 0, 0, 0, 9];

    fn addr(last: u8) -> IpAddress {
        IpAddress::v4(10, 0, 0, last)
    }

    fn at(millis: i64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn the_same_is_asked_once_a_second_and_known_for_a_minute() {
        let mut known = Neighbors::NEW;
        assert_eq!(known.look_up(addr(9), at(0)), Lookup::Ask);
        assert_eq!(known.look_up(addr(9), at(999)), Lookup::Wait);
        assert_eq!(known.look_up(addr(9), at(1000)), Lookup::Ask);
        assert!(known.hear(addr(9), AT, at(1500)));
        assert_eq!(known.look_up(addr(9), at(61_499)), Lookup::At(AT));
        assert_eq!(known.look_up(addr(9), at(61_500)), Lookup::Ask);
    }

    #[test]
    fn only_the_first_answer_to_a_question_is_believed() {
        let mut known = Neighbors::NEW;
        assert!(!known.hear(addr(9), AT, at(0)), "nobody asked");
        known.look_up(addr(9), at(0));
        assert!(!known.hear(addr(8), AT, at(1)), "for another");
        assert!(known.hear(addr(9), AT, at(2)));
        assert!(!known.hear(addr(9), [6; 6], at(3)), "too late");
        assert_eq!(known.look_up(addr(9), at(4)), Lookup::At(AT));
    }

    #[test]
    fn more_than_there_are_places_for_wait_and_what_is_known_gives_way() {
        let mut known = Neighbors::NEW;
        for n in 0..PLACES as u8 {
            assert_eq!(known.look_up(addr(n), at(n.into())), Lookup::Ask);
        }
        assert_eq!(known.look_up(addr(99), at(10)), Lookup::Wait);
        assert!(known.hear(addr(2), AT, at(20)));
        assert_eq!(known.look_up(addr(99), at(30)), Lookup::Ask, "in its place");
        assert_eq!(known.look_up(addr(98), at(40)), Lookup::Wait);
        assert!(known.hear(addr(3), AT, at(50)), "others keep theirs");
        // A question that nobody answers holds its place for a second.
        assert_eq!(known.look_up(addr(97), at(60)), Lookup::Ask);
        assert_eq!(known.look_up(addr(96), at(1000)), Lookup::Ask);
    }

    #[test]
    fn arp_is_about_one_station_on_ethernet_with_ipv4() {
        let frame = |head: [u8; 8], sender: Hardware| {
            let mut frame = std::vec![0; 14 + 28];
            frame[12..14].copy_from_slice(&[8, 6]);
            frame[14..22].copy_from_slice(&head);
            frame[22..28].copy_from_slice(&sender);
            frame[28..32].copy_from_slice(&[10, 0, 0, 9]);
            frame[38..42].copy_from_slice(&[10, 0, 0, 1]);
            frame
        };
        let (asks, tells) = ([0, 1, 8, 0, 6, 4, 0, 1], [0, 1, 8, 0, 6, 4, 0, 2]);
        let claim = Claim {
            addr: addr(9),
            hardware: AT,
            asks_for: None,
        };
        assert_eq!(read(&frame(tells, AT)), Some(claim));
        let asks_for = Some(addr(1));
        assert_eq!(read(&frame(asks, AT)), Some(Claim { asks_for, ..claim }));
        for (index, byte) in [(1, 6), (2, 0x86), (4, 8), (5, 16), (7, 3)] {
            let mut head = tells;
            head[index] = byte;
            assert_eq!(read(&frame(head, AT)), None, "{head:?}");
        }
        for nobody in [NOBODY, [0xff; 6], [1, 0, 0x5e, 0, 0, 1]] {
            assert_eq!(read(&frame(tells, nobody)), None);
        }
        assert_eq!(read(&frame(tells, AT)[..41]), None);
    }

    proptest! {
        #[test]
        fn arbitrary_frames_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..120), kind in 0..3,
        ) {
            let mut bytes = bytes;
            if bytes.len() > 54 {
                match kind {
                    0 => (bytes[12], bytes[13]) = (8, 6),
                    1 => (bytes[12], bytes[13], bytes[14], bytes[21]) = (0x86, 0xdd, 0x60, 255),
                    _ => (),
                }
            }
            let _ = read(&bytes);
        }
    }
}
