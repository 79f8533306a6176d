//! Hardware addresses. smoltcp's cache of neighbors is small (8 by default) and
//! asks for one address a second, so more peers than it holds would starve, and
//! whoever sends ARP could fill it or turn connections elsewhere. Two rules:
//!
//! - a flow whose peer the cache does not know is served through a scratch
//!   interface that is told the hardware address its own frames came from. It
//!   is that flow's business and redirects no other;
//! - the cache learns from answers to its own questions, and from questions of
//!   others as many times a minute as it has places. Everybody else's questions
//!   are answered and forgotten. Nothing that contradicts an open flow is
//!   learned.
//!
//! A peer that moves to another hardware address takes its flow with it, by
//! segments that the guard lets pass; then the cache is emptied.
//!
//! IPv6's neighbor discovery obeys the same rules.

use smoltcp::config::IFACE_NEIGHBOR_CACHE_COUNT;
use smoltcp::iface::SocketSet;
use smoltcp::phy::TxToken;
use smoltcp::time::{Duration, Instant};
#[cfg(feature = "ipv6")]
use smoltcp::wire::Ipv6Address;
use smoltcp::wire::{EthernetAddress, IpAddress, Ipv4Address};

use crate::event::DropReason;
use crate::net::handoff::OneShot;
use crate::net::slots::{NOBODY, State};
use crate::net::stack::Inner;

/// How often questions of others may fill the cache once over.
const MINUTE: Duration = Duration::from_secs(60);
/// The cache is emptied at most this often.
const SETTLE: Duration = Duration::from_secs(1);

/// What the host knows of who may be believed.
#[derive(Debug)]
pub(super) struct Neighbors {
    /// Counts what the cache learned, from one to 255: a slot that holds the
    /// same number need not ask it.
    pub(super) epoch: u8,
    /// Questions of others that were learned from since then.
    learned: usize,
    since: Instant,
    flushed: Instant,
}

impl Neighbors {
    pub(super) const NEW: Neighbors = Neighbors {
        epoch: 1,
        learned: 0,
        since: Instant::ZERO,
        flushed: Instant::ZERO,
    };

    /// The cache has changed.
    pub(super) fn news(&mut self) {
        self.epoch = self.epoch.wrapping_add(1).max(1);
    }

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
            None => self.tally.question.get() == Some(claim.addr) && !self.contradicts(&claim),
            Some(_) => self.neighbors.may_learn(self.now) && !self.contradicts(&claim),
        };
        if believed {
            self.answer(frame, token);
            self.neighbors.news();
            self.neighbor_news = true;
            return;
        }
        match claim.asks_for {
            None => self.dropped(DropReason::Unsolicited),
            Some(ours) if self.iface.has_ip_addr(ours) => {
                let mut scratch = self.scratch().seeded(ours, 0);
                let mut nobody = SocketSet::new(&mut [][..]);
                let mut device = OneShot::new(frame, token, &self.tally, &self.capabilities);
                scratch.poll_ingress_single(self.now, &mut device, &mut nobody);
            }
            Some(_) => self.dropped(DropReason::NotOurs),
        }
    }

    /// Whether an open flow knows better. Asked as often as the cache may learn,
    /// because it looks at every slot.
    fn contradicts(&mut self, claim: &Claim) -> bool {
        (0..self.slots.len()).any(|index| {
            let Some(flow) = self.flows.get(index) else {
                return false;
            };
            self.next_hop(flow.remote.addr) == Some(claim.addr)
                && self.slots.get(index).is_some_and(|slot| {
                    matches!(slot.state, State::Queued | State::Open | State::Closing)
                        && slot.peer != claim.hardware
                })
        })
    }

    fn next_hop(&self, remote: IpAddress) -> Option<IpAddress> {
        let on_link = |addr| {
            self.iface
                .ip_addrs()
                .iter()
                .any(|cidr| cidr.contains_addr(addr))
        };
        let of_family = |gateway: &IpAddress| gateway.version() == remote.version();
        match on_link(&remote) {
            true => Some(remote),
            false => self.gateways.iter().flatten().copied().find(of_family),
        }
    }

    /// The peer of this flow has another hardware address than before.
    #[cold]
    pub(super) fn peer_moved(&mut self, index: u32, to: EthernetAddress) {
        if to == NOBODY {
            return; // who is known stays known
        }
        if let Some(slot) = self.slots.get(index) {
            slot.peer = to;
            slot.unknown_since = self.neighbors.epoch;
        }
        if self.now >= self.neighbors.flushed + SETTLE {
            self.neighbors.flushed = self.now;
            self.iface.update_ip_addrs(|_| ()); // empties the cache
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
