//! Who was given which address until when, by the word of those that gave it; and what must
//! be so of hosts that have their address from a server:
//!
//! - `lease`: none has an address, or speaks from one, that nobody gave it or whose time is
//!   over;
//! - `twice`: none takes an address although it has just heard another host say that it has
//!   it, and no two have one for longer after each has heard the other;
//! - `kept`: none loses an address at the end of its time while nothing has kept it from its
//!   server since before it should have asked for more;
//! - `number`: none asks by a number that was answered long ago (RFC 2131, 4.1);
//! - `address`: each has one soon after the faults end (`stage` looks at that).
//!
//! Time is the world's. A server keeps an address for a fiftieth longer than it says, because
//! clocks differ; what is over then is over by every clock.

use std::collections::VecDeque;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    ArpPacket, ArpRepr, DhcpMessageType, EthernetAddress, EthernetFrame, EthernetProtocol, IpCidr,
    Ipv4Address, Ipv4Packet,
};

use crate::dhcp_message::{self, CLIENT_PORT, SERVER_PORT};

/// The rule that is broken, and how.
pub(super) type Wrong = (&'static str, String);

/// An address that a server gave in answer to a question of this number.
#[derive(Clone, Copy, Debug)]
struct Given {
    hardware: EthernetAddress,
    xid: u32,
    addr: Ipv4Address,
    time: Time,
}

/// From when until when an address is given.
type Time = (Instant, Instant);

/// So many are remembered: an answer is not longer on its way than others are given.
const REMEMBERED: usize = 256;

/// A host asks for an address for four seconds at least before it takes it (RFC 5227, 2.1.1);
/// by a clock that is as wrong as it may be.
const ASKS: Duration = Duration::from_millis(3_500);

/// So long it is known who said that it has an address; and so long after each of two has
/// heard that of the other, both may still have it.
const REMEMBERS: Duration = Duration::from_secs(3600);
const SETTLED: Duration = Duration::from_secs(30);

/// A question that was answered is not asked again so much later.
const ANSWERED: Duration = Duration::from_secs(150);

/// Who asks again so much later begins anew.
const FORGOTTEN: Duration = Duration::from_secs(4);

/// A host that has its address from a server.
#[derive(Debug)]
struct Tenant {
    hardware: EthernetAddress,
    /// What it was given, and has heard that it was.
    given: Vec<(Ipv4Address, Time)>,
    /// What it has now, and since when it has the newest of them.
    held: Vec<Ipv4Address>,
    since: Instant,
    /// The addresses that it asks for, since when, and when it did last.
    asks: Vec<(Ipv4Address, Instant, Instant)>,
    /// Who said that it has which address, and when for the last time.
    contested: Vec<(EthernetAddress, Ipv4Address, Instant)>,
    /// When a server has refused it something last.
    refused: Instant,
    /// Its last turn.
    turned: Instant,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Leases {
    said: VecDeque<Given>,
    /// By the number of the host.
    tenants: Vec<Option<Tenant>>,
}

impl Leases {
    /// This host has its address from a server from now on. Nobody has given it any.
    pub(super) fn moves_in(&mut self, host: usize, hardware: EthernetAddress, now: Instant) {
        if self.tenants.len() <= host {
            self.tenants.resize_with(host + 1, || None);
        }
        self.tenants[host] = Some(Tenant {
            hardware,
            given: Vec::new(),
            held: Vec::new(),
            since: now,
            asks: Vec::new(),
            contested: Vec::new(),
            refused: Instant::ZERO,
            turned: now,
        });
    }

    /// A server answers a question of this number: the address is given until then.
    pub(super) fn give(
        &mut self,
        (hardware, xid): (EthernetAddress, u32),
        addr: Ipv4Address,
        time: Time,
    ) {
        if self.said.len() == REMEMBERED {
            self.said.pop_front();
        }
        self.said.push_back(Given {
            hardware,
            xid,
            addr,
            time,
        });
    }

    /// A frame comes to a host.
    pub(super) fn arrives(&mut self, host: usize, frame: &[u8], now: Instant) {
        let Some(Some(tenant)) = self.tenants.get_mut(host) else {
            return;
        };
        if let Some((from, addr, _)) = arp(frame)
            && from != tenant.hardware
            && !addr.is_unspecified()
        {
            tenant
                .contested
                .retain(|(who, what, at)| (*who, *what) != (from, addr) && *at + REMEMBERS > now);
            tenant.contested.push((from, addr, now));
        }
        let ours = |message: &dhcp_message::Message| message.hardware == tenant.hardware;
        let Some(message) = dhcp_message::read(frame, CLIENT_PORT).filter(ours) else {
            return;
        };
        if message.kind == DhcpMessageType::Nak {
            tenant.refused = now;
        }
        if message.kind != DhcpMessageType::Ack {
            return;
        }
        let said = self.said.iter().filter(|given| {
            (given.hardware, given.xid, given.addr)
                == (message.hardware, message.xid, message.yours)
        });
        if let Some(given) = said.max_by_key(|given| given.time.1) {
            tenant
                .given
                .retain(|(_, (_, until))| *until + FORGOTTEN >= now);
            tenant.given.push((given.addr, given.time));
        }
    }

    /// A host's turn is over; it has these addresses. `calm` says since when nothing has
    /// gone wrong with anybody, if nothing is wrong now.
    ///
    /// # Errors
    /// What it has and must not have.
    pub(super) fn turned<'f>(
        &mut self,
        host: usize,
        addresses: &[IpCidr],
        sent: impl Iterator<Item = &'f [u8]>,
        (now, calm): (Instant, impl FnOnce() -> Option<Instant>),
    ) -> Result<(), Wrong> {
        let Some(Some(tenant)) = self.tenants.get_mut(host) else {
            return Ok(());
        };
        for frame in sent {
            tenant.said(frame, now)?;
            asks(&self.said, frame, now)?;
        }
        let has: Vec<Ipv4Address> = addresses.iter().filter_map(leased).collect();
        for &addr in &has {
            tenant.has(addr, now)?;
            if !tenant.held.contains(&addr) {
                tenant.takes(addr, now)?;
                tenant.since = now;
            }
        }
        let mut held = std::mem::replace(&mut tenant.held, has).into_iter();
        tenant.turned = now;
        if let Some(lost) = held.find(|addr| !tenant.held.contains(addr)) {
            return tenant.loses(lost, now, calm());
        }
        self.shares(host, now)
    }

    /// Whether a host and another have one address, although each has heard that of the other.
    fn shares(&self, host: usize, now: Instant) -> Result<(), Wrong> {
        let Some(Some(tenant)) = self.tenants.get(host) else {
            return Ok(());
        };
        for (from, addr, at) in &tenant.contested {
            let mut others = self.tenants.iter().flatten();
            let other = others.find(|other| other.hardware == *from);
            let since = other.map_or(Instant::ZERO, |other| other.since.max(tenant.since));
            let both = |one: &Tenant| one.held.contains(addr);
            let heard = other.and_then(|other| other.heard(tenant.hardware, *addr));
            if let (Some(other), Some(theirs)) = (other, heard)
                && both(tenant)
                && both(other)
                && theirs.min(*at) >= since
                && theirs.max(*at) + SETTLED < now
            {
                let detail = format!("it has {addr}, as {from}, and each has heard the other");
                return Err(("twice", detail));
            }
        }
        Ok(())
    }

    /// Since when a host has an address that it was given.
    pub(super) fn since(&self, host: usize) -> Option<Instant> {
        let tenant = self.tenants.get(host)?.as_ref()?;
        (!tenant.held.is_empty()).then_some(tenant.since)
    }
}

impl Tenant {
    fn until(&self, addr: Ipv4Address) -> Option<Instant> {
        self.time(addr).map(|(_, until)| until)
    }

    /// When it heard last that another has an address.
    fn heard(&self, from: EthernetAddress, addr: Ipv4Address) -> Option<Instant> {
        let heard = |(who, what, _): &&(_, _, _)| (*who, *what) == (from, addr);
        self.contested.iter().find(heard).map(|(.., at)| *at)
    }

    /// The longest time for which it was given an address.
    fn time(&self, addr: Ipv4Address) -> Option<Time> {
        let given = self.given.iter().filter(|(given, _)| *given == addr);
        given.map(|(_, time)| *time).max_by_key(|(_, until)| *until)
    }

    /// It has an address no more. One that was refused is lost before its end.
    fn loses(&self, addr: Ipv4Address, now: Instant, calm: Option<Instant>) -> Result<(), Wrong> {
        let (Some((from, until)), Some(calm)) = (self.time(addr), calm) else {
            return Ok(());
        };
        let time = until - from;
        let is_at_end = now + time / 25 >= until && self.refused + FORGOTTEN < now;
        match is_at_end && calm < from + time * 2 / 5 {
            true => Err((
                "kept",
                format!("it loses {addr}, given at {from}, and all is well since {calm}"),
            )),
            false => Ok(()),
        }
    }

    fn has(&self, addr: Ipv4Address, now: Instant) -> Result<(), Wrong> {
        match self.until(addr) {
            Some(until) if now <= until => Ok(()),
            Some(until) => Err((
                "lease",
                format!("it has {addr} at {now}, which it was given until {until}"),
            )),
            None => Err(("lease", format!("it has {addr}, which nobody gave it"))),
        }
    }

    /// It has an address that it had not before.
    fn takes(&mut self, addr: Ipv4Address, now: Instant) -> Result<(), Wrong> {
        let at = self.asks.iter().position(|(asked, ..)| *asked == addr);
        let Some((_, since, _)) = at.map(|at| self.asks.swap_remove(at)) else {
            let detail = format!("it takes {addr} and has asked nobody whether it is free");
            return Err(("twice", detail));
        };
        let mut heard = self.contested.iter().filter(|(_, contested, at)| {
            // It has had the time to read it.
            *contested == addr && *at >= since && *at + ASKS >= now && *at < self.turned
        });
        match heard.next() {
            Some((from, _, at)) => {
                let detail = format!("it takes {addr}, and has heard at {at} that {from} has it");
                Err(("twice", detail))
            }
            None => Ok(()),
        }
    }

    /// It sends a frame. What it says in the turn in which a lease ends it may still say.
    fn said(&mut self, frame: &[u8], now: Instant) -> Result<(), Wrong> {
        let speaks = match arp(frame) {
            Some((_, from, asked)) if from.is_unspecified() => {
                self.asks.retain(|(.., last)| *last + FORGOTTEN > now);
                match self.asks.iter_mut().find(|(before, ..)| *before == asked) {
                    Some((.., last)) => *last = now,
                    None => self.asks.push((asked, now, now)),
                }
                return Ok(());
            }
            Some((_, from, _)) => from,
            None => match source(frame) {
                Some(from) => from,
                None => return Ok(()),
            },
        };
        let is_leased = leased(&IpCidr::new(speaks.into(), 32)).is_some();
        match self.until(speaks) {
            _ if !is_leased || speaks.is_unspecified() => Ok(()),
            Some(until) if self.turned <= until => Ok(()),
            Some(until) => Err((
                "lease",
                format!("it speaks from {speaks} at {now}, which it was given until {until}"),
            )),
            None => Err((
                "lease",
                format!("it speaks from {speaks}, which nobody gave it"),
            )),
        }
    }
}

/// A host sends a frame: perhaps a question to servers, by a number that was answered before.
fn asks(said: &VecDeque<Given>, frame: &[u8], now: Instant) -> Result<(), Wrong> {
    let Some(message) = dhcp_message::read(frame, SERVER_PORT) else {
        return Ok(());
    };
    let (hardware, xid) = (message.hardware, message.xid);
    let mut before = said.iter();
    let before = before.find(|given| (given.hardware, given.xid) == (hardware, xid));
    match before.map(|given| given.time.0) {
        Some(at) if at + ANSWERED < now => Err((
            "number",
            format!("it asks by number {xid:08x}, which was answered at {at}"),
        )),
        _ => Ok(()),
    }
}

/// An address that a host can have from a server alone: those for the link it draws itself.
fn leased(cidr: &IpCidr) -> Option<Ipv4Address> {
    match cidr {
        IpCidr::Ipv4(cidr) if !cidr.address().is_link_local() => Some(cidr.address()),
        _ => None,
    }
}

/// Who says that it has which address, and whose it asks for.
fn arp(frame: &[u8]) -> Option<(EthernetAddress, Ipv4Address, Ipv4Address)> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    if ethernet.ethertype() != EthernetProtocol::Arp {
        return None;
    }
    let packet = ArpPacket::new_checked(ethernet.payload()).ok()?;
    match ArpRepr::parse(&packet).ok()? {
        ArpRepr::EthernetIpv4 {
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
            ..
        } => Some((
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
        )),
        _ => None,
    }
}

/// Where an IPv4 packet comes from.
fn source(frame: &[u8]) -> Option<Ipv4Address> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    if ethernet.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let packet = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
    Some(packet.src_addr())
}

#[cfg(test)]
mod tests;
