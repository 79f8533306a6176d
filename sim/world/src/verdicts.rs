//! The packets of a capture, each with what became of it as its comment: lost on which
//! link and why, damaged, dropped by the host that got it. A packet waits until that is
//! known; then they come out in the order in which they went in.
//!
//! Not here: the file (`capture`).

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use cygnet::event::Event;
use smoltcp::time::Instant;

use super::capture::Direction;
use super::fate::{FrameId, Lost, Twist, Way};
use super::ids::{End, HostId};
use super::log::{Arrival, Happening};
use super::passage::Passages;
use super::plan::Plan;
use super::story::host_names;
use super::words::drop_words;

/// So many packets wait at most: after that the oldest goes as it is.
const WAITING: usize = 1 << 14;

/// A packet for the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) host: HostId,
    pub(super) at: Instant,
    pub(super) direction: Direction,
    pub(super) frame: Vec<u8>,
    pub(super) comment: String,
    /// The event that it is, and the events that carried it.
    events: Vec<u64>,
    /// Copies of which nobody knows yet what becomes of them.
    open: usize,
    /// When the last thing became known.
    known: Instant,
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct Verdicts {
    hosts: Vec<String>,
    links: Vec<String>,
    passages: Passages,
    packets: VecDeque<Packet>,
    /// Packets that went out: the number of the first that waits.
    first: u64,
    /// Which packet an event carries.
    carried: BTreeMap<u64, u64>,
    /// What a host took last.
    taken: BTreeMap<usize, u64>,
}

impl Verdicts {
    /// For runs of `plan`.
    pub(super) fn new(plan: &Plan) -> Verdicts {
        Verdicts {
            hosts: host_names(plan).map(str::to_owned).collect(),
            links: plan.places.iter().map(|place| place.name.clone()).collect(),
            ..Verdicts::default()
        }
    }

    /// Takes note of an event.
    pub(super) fn happened(&mut self, number: u64, at: Instant, what: &Happening<'_>) {
        let led = self.passages.happened(number, what);
        match what {
            Happening::Host(host, _, Event::FrameOut(frame)) => {
                self.push(number, at, (*host, Direction::Out), frame, String::new());
            }
            Happening::Host(host, _, Event::FrameIn(frame)) => {
                let sent = led.and_then(|sent| self.packet(sent));
                let sent = sent.map(|packet| format!("; sent as event {}", packet.events[0]));
                let sent = sent.unwrap_or_default();
                self.taken
                    .insert(host.0, self.first + self.packets.len() as u64);
                self.push(number, at, (*host, Direction::In), frame, sent);
            }
            Happening::Host(host, _, Event::Dropped(reason)) => {
                self.note(*host, &format!("; dropped: {}", drop_words(*reason)));
            }
            Happening::Host(host, _, Event::Parked(reason)) => {
                self.note(
                    *host,
                    &format!("; waits for a place: {}", drop_words(*reason)),
                );
            }
            Happening::Sent { .. } => self.sent(number, at, led, what),
            _ => (),
        }
    }

    fn push(
        &mut self,
        number: u64,
        at: Instant,
        (host, direction): (HostId, Direction),
        frame: &[u8],
        words: String,
    ) {
        let packet = self.first + self.packets.len() as u64;
        self.carried.insert(number, packet);
        self.packets.push_back(Packet {
            host,
            at,
            direction,
            frame: frame.to_vec(),
            comment: format!("event {number}{words}"),
            events: vec![number],
            open: usize::from(direction == Direction::Out),
            known: at,
        });
    }

    /// The packet that an event carries, if it still waits.
    fn packet(&mut self, event: u64) -> Option<&mut Packet> {
        let place = self.carried.get(&event)?.checked_sub(self.first)?;
        self.packets.get_mut(place as usize)
    }

    /// What a host says of the packet that it took last.
    fn note(&mut self, host: HostId, words: &str) {
        let taken = self.taken.get(&host.0).copied();
        let place = taken.and_then(|taken| taken.checked_sub(self.first));
        if let Some(packet) = place.and_then(|place| self.packets.get_mut(place as usize)) {
            packet.comment += words;
        }
    }

    fn sent(&mut self, number: u64, at: Instant, led: Option<u64>, what: &Happening<'_>) {
        let Happening::Sent {
            frame,
            ends,
            twists,
            copies,
            lost,
            ..
        } = what
        else {
            return;
        };
        let (Some(led), link) = (led, self.link(*frame)) else {
            return; // an attacker's
        };
        let Some(packet) = self.packet(led) else {
            return;
        };
        if let Some(lost) = lost {
            let why = match lost {
                Lost::Chance => String::new(),
                lost => format!(": {}", lost.words()),
            };
            let _ = write!(packet.comment, "; lost on {link}{why}, event {number}");
        }
        for twist in *twists {
            if let (Twist::Flip(bit), None) = (twist, lost) {
                let _ = write!(
                    packet.comment,
                    "; bit {bit} flipped on {link}, event {number}"
                );
            }
        }
        // What comes to a switch is settled there; what a host sends, here.
        packet.open += copies;
        packet.open -= usize::from(matches!(ends.0, End::Host(_)));
        packet.known = at;
        packet.events.push(number);
        let carried = self.carried.get(&led).copied();
        self.carried.extend(carried.map(|packet| (number, packet)));
    }

    fn link(&self, frame: FrameId) -> String {
        let name = self.links.get(frame.link as usize);
        let name = name.map_or("a link", String::as_str);
        let way = ["up", "down"][usize::from(frame.way == Way::Back)];
        format!("{name} {way}")
    }

    /// Takes note of what came to the end of a link.
    pub(super) fn arrived(&mut self, sent: u64, at: Instant, to: End, how: Arrival) {
        self.passages.arrived(sent, to, how);
        let host = match to {
            End::Host(host) => self.hosts.get(host.0).cloned(),
            _ => None,
        };
        let Some(packet) = self.packet(sent) else {
            return;
        };
        packet.open = packet.open.saturating_sub(1);
        packet.known = at;
        let why = match how {
            Arrival::Taken => return,
            Arrival::Down => "the host is down",
            Arrival::RingFull => "the ring of its card is full",
        };
        let host = host.unwrap_or_default();
        let _ = write!(packet.comment, "; lost at {host}: {why}");
    }

    /// The next packet of which everything is known at `now`.
    pub(super) fn next(&mut self, now: Instant) -> Option<Packet> {
        let packet = self.packets.front()?;
        let is_known = packet.open == 0 && packet.known < now;
        match is_known || self.packets.len() > WAITING {
            true => self.pop(),
            false => None,
        }
    }

    /// The next packet, at the end.
    pub(super) fn rest(&mut self) -> Option<Packet> {
        let mut packet = self.pop()?;
        if packet.open > 0 {
            packet.comment += "; still on its way at the end";
        }
        Some(packet)
    }

    fn pop(&mut self) -> Option<Packet> {
        let packet = self.packets.pop_front()?;
        self.first += 1;
        for event in &packet.events {
            self.carried.remove(event);
        }
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use crate::stage::{Staging, run};
    use crate::{Duration, Watch};
    use std::cell::RefCell;
    use std::rc::Rc;

    /// What comes out, and the frames that went in, in their order.
    #[derive(Default)]
    struct Seen {
        verdicts: Verdicts,
        packets: Vec<Packet>,
        frames: Vec<u64>,
        most: usize,
    }

    impl Watch for Seen {
        fn happened(&mut self, number: u64, at: Instant, what: &Happening<'_>) {
            while let Some(packet) = self.verdicts.next(at) {
                self.packets.push(packet);
            }
            self.verdicts.happened(number, at, what);
            self.most = self.most.max(self.verdicts.packets.len());
            if let Happening::Host(_, _, Event::FrameIn(_) | Event::FrameOut(_)) = what {
                self.frames.push(number);
            }
        }

        fn arrived(&mut self, sent: u64, at: Instant, to: End, how: Arrival) {
            self.verdicts.arrived(sent, at, to, how);
        }
    }

    #[test]
    fn every_loss_is_told_once_and_no_packet_leaves_its_place() {
        for (scenario, seed) in [("chaos", 2), ("chaos", 3), ("partition", 1), ("slow", 1)] {
            let scenario = Scenario::named(scenario).unwrap();
            let plan = scenario.plan(seed, Duration::from_secs(20));
            let seen = Rc::new(RefCell::new(Seen {
                verdicts: Verdicts::new(&plan),
                ..Seen::default()
            }));
            let staging = Staging {
                seed: Some(seed),
                watch: Some(Box::new(Rc::clone(&seen))),
                ..Staging::default()
            };
            let outcome = run(&plan, staging);
            let seen = &mut *seen.borrow_mut();
            while let Some(packet) = seen.verdicts.rest() {
                seen.packets.push(packet);
            }
            let numbers = seen.packets.iter().map(|packet| packet.events[0]);
            assert_eq!(numbers.collect::<Vec<_>>(), seen.frames);
            assert!(seen.most < 2000, "{} wait", seen.most);
            assert!(seen.verdicts.carried.is_empty());
            let said = |words: &str| {
                let packets = seen.packets.iter();
                packets
                    .map(|packet| packet.comment.matches(words).count() as u64)
                    .sum::<u64>()
            };
            let effects = outcome.effects;
            let links = effects.lost
                + effects.partitioned
                + effects.overflowed
                + effects.oversized
                + effects.ruled;
            assert_eq!(said("; lost on "), links);
            assert_eq!(said(": the link is cut, event"), effects.partitioned);
            assert_eq!(
                said(": the link's queue is full, event"),
                effects.overflowed
            );
            assert_eq!(
                said(": longer than the link's MTU, event"),
                effects.oversized
            );
            assert_eq!(said(": the host is down"), effects.unheard);
            assert_eq!(said(": the ring of its card is full"), effects.overrun);
            assert_eq!(said(" flipped on "), effects.corrupted);
            assert!(said("; sent as event ") > 100);
            assert!(said("; dropped: ") > 0);
        }
    }
}
