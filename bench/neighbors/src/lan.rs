//! A network of hosts on one link, in virtual time: every frame arrives a moment
//! later at whom it is for, or at all of them. Nothing is lost, and computing
//! takes no time, so what slows a host down is what it waits for.

use std::collections::VecDeque;

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::EthernetAddress;

/// How long a frame is on its way.
const LATENCY: Duration = Duration::from_millis(5);

/// Whoever is on the link.
pub trait Host {
    /// Does everything there is to do now; returns when it wants to be called
    /// again without a frame.
    fn turn(&mut self, card: &mut Card, now: Instant) -> Option<Instant>;
}

/// A host's card.
pub struct Card {
    address: EthernetAddress,
    now: Instant,
    inbox: VecDeque<(Instant, Vec<u8>)>,
    outbox: Vec<Vec<u8>>,
}

impl Card {
    pub fn new(address: EthernetAddress) -> Self {
        Card {
            address,
            now: Instant::ZERO,
            inbox: VecDeque::new(),
            outbox: Vec::new(),
        }
    }

    fn next(&self) -> Option<Instant> {
        self.inbox.front().map(|(at, _)| *at)
    }
}

impl Device for Card {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Leave<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Frame, Leave<'_>)> {
        self.next().filter(|at| *at <= self.now)?;
        let (_, frame) = self.inbox.pop_front()?;
        Some((Frame(frame), Leave(&mut self.outbox)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Leave<'_>> {
        Some(Leave(&mut self.outbox))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

/// A frame that arrived.
pub struct Frame(Vec<u8>);

/// Leave to send one.
pub struct Leave<'c>(&'c mut Vec<Vec<u8>>);

impl RxToken for Frame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Leave<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.push(frame);
        result
    }
}

/// Lets them talk until then.
pub fn run(hosts: &mut [(&mut dyn Host, Card)], until: Instant) {
    let mut due = vec![Some(Instant::ZERO); hosts.len()];
    loop {
        let wish = |(due, (_, card)): (&Option<Instant>, &(_, Card))| {
            due.iter().copied().chain(card.next()).min()
        };
        let Some(now) = due.iter().zip(&*hosts).filter_map(wish).min() else {
            return;
        };
        if now >= until {
            return;
        }
        for index in 0..hosts.len() {
            let (host, card) = &mut hosts[index];
            if due[index].into_iter().chain(card.next()).all(|at| at > now) {
                continue;
            }
            card.now = now;
            // A host that wants more time now gets it a microsecond later.
            due[index] = host
                .turn(card, now)
                .map(|at| at.max(now + Duration::from_micros(1)));
            for frame in std::mem::take(&mut card.outbox) {
                deliver(hosts, index, frame, now + LATENCY);
            }
        }
    }
}

fn deliver(hosts: &mut [(&mut dyn Host, Card)], from: usize, frame: Vec<u8>, at: Instant) {
    let to = EthernetAddress::from_bytes(&frame[..6]);
    for (index, (_, card)) in hosts.iter_mut().enumerate() {
        if index != from && (to == card.address || to.is_broadcast()) {
            card.inbox.push_back((at, frame.clone()));
        }
    }
}
