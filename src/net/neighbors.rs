//! Hardware addresses. A connection speaks to where its own frames come from
//! (`handoff.rs`), so whoever sends ARP cannot turn it elsewhere, and it needs no
//! place in smoltcp's cache of neighbors, which is small (8 by default) and asks
//! for one address a second. What is left for the cache are our own SYNs and
//! answers to pings, and nobody may fill it: it learns from answers to its own
//! questions, and from questions of others as many times a minute as it has
//! places. Everybody else's questions are answered and forgotten.
//!
//! IPv6's neighbor discovery obeys the same rules.

use smoltcp::config::IFACE_NEIGHBOR_CACHE_COUNT;
use smoltcp::phy::TxToken;
use smoltcp::time::{Duration, Instant};
#[cfg(feature = "ipv6")]
use smoltcp::wire::Ipv6Address;
use smoltcp::wire::{EthernetAddress, IpAddress, Ipv4Address};

use crate::event::DropReason;
use crate::net::craft;
use crate::net::stack::Inner;

/// How often questions of others may fill the cache once over.
const MINUTE: Duration = Duration::from_secs(60);

/// What the host knows of who may be believed.
#[derive(Debug)]
pub(super) struct Neighbors {
    /// Counts what the cache learned, and wraps.
    pub(super) epoch: u8,
    /// Questions of others that were learned from since then.
    learned: usize,
    since: Instant,
}

impl Neighbors {
    pub(super) const NEW: Neighbors = Neighbors {
        epoch: 0,
        learned: 0,
        since: Instant::ZERO,
    };

    fn may_learn(&mut self, now: Instant) -> bool {
        if now >= self.since + MINUTE {
            (self.since, self.learned) = (now, 0);
        }
        self.learned += 1;
        self.learned <= IFACE_NEIGHBOR_CACHE_COUNT
    }
}

/// What an ARP packet or a neighbor discovery message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Claim {
    /// Who has this address …
    addr: IpAddress,
    hardware: EthernetAddress,
    /// … and whose it asks for; nobody's in an answer.
    asks_for: Option<IpAddress>,
}

impl Inner<'_> {
    /// A frame that says, or asks, who owns an address.
    pub(super) fn neighbor_in<T: TxToken>(&mut self, frame: &[u8], token: T) {
        let Some(claim) = read(frame) else {
            return self.answer(frame, token);
        };
        let believed = match claim.asks_for {
            None => self.tally.question.get() == Some(claim.addr),
            Some(_) => self.neighbors.may_learn(self.now),
        };
        if believed {
            self.answer(frame, token);
            self.neighbors.epoch = self.neighbors.epoch.wrapping_add(1);
            self.neighbor_news = true;
            return;
        }
        match claim.asks_for {
            None => self.dropped(DropReason::Unsolicited),
            Some(ours) if self.iface.has_ip_addr(ours) && claim.hardware.is_unicast() => {
                let us = (self.config.hardware_addr, ours);
                if let Some(answer) = craft::here(us, (claim.hardware, claim.addr)) {
                    self.send(&answer, token);
                }
            }
            Some(_) => self.dropped(DropReason::NotOurs),
        }
    }
}

fn read(frame: &[u8]) -> Option<Claim> {
    let hardware = |at: usize| Some(EthernetAddress(*frame.get(at..)?.first_chunk()?));
    let v4 = |at: usize| {
        let octets: [u8; 4] = *frame.get(at..)?.first_chunk()?;
        Some(IpAddress::from(Ipv4Address::from(octets)))
    };
    #[cfg(feature = "ipv6")]
    let v6 = |at: usize| {
        let octets: [u8; 16] = *frame.get(at..)?.first_chunk()?;
        Some(IpAddress::from(Ipv6Address::from(octets)))
    };
    match frame.get(12..22)? {
        [0x08, 0x06, .., operation] => Some(Claim {
            hardware: hardware(22)?,
            addr: v4(28)?,
            asks_for: if *operation == 1 { Some(v4(38)?) } else { None },
        }),
        #[cfg(feature = "ipv6")]
        [0x86, 0xdd, ..] => match frame.get(54)? {
            135 => Some(Claim {
                // A question without it names nobody.
                hardware: hardware(80)?,
                addr: v6(22)?,
                asks_for: Some(v6(62)?),
            }),
            _ => Some(Claim {
                hardware: hardware(80)?,
                addr: v6(22)?,
                asks_for: None,
            }),
        },
        _ => None,
    }
}

/// Whose hardware address a frame of ours asks for.
pub(super) fn question(frame: &[u8]) -> Option<IpAddress> {
    read(frame)?.asks_for
}
