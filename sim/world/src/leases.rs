//! Who was given which address until when, by the word of those that gave it; and what must
//! be so of hosts that have their address from a server:
//!
//! - `lease`: none has an address, or speaks from one, that nobody gave it or whose time is
//!   over;
//! - `twice`: none takes an address although it has just heard another host say that it has
//!   it;
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

use crate::dhcp_message::{self, CLIENT_PORT};

/// The rule that is broken, and how.
pub(super) type Wrong = (&'static str, String);

/// An address that a server gave in answer to a question of this number.
#[derive(Clone, Copy, Debug)]
struct Given {
    hardware: EthernetAddress,
    xid: u32,
    addr: Ipv4Address,
    until: Instant,
}

/// So many are remembered: an answer is not longer on its way than others are given.
const REMEMBERED: usize = 256;

/// A host asks for an address for four seconds at least before it takes it (RFC 5227, 2.1.1);
/// by a clock that is as wrong as it may be.
const ASKS: Duration = Duration::from_millis(3_500);

/// Who asks again so much later begins anew.
const FORGOTTEN: Duration = Duration::from_secs(4);

/// A host that has its address from a server.
#[derive(Debug)]
struct Tenant {
    hardware: EthernetAddress,
    /// What it was given, and has heard that it was.
    given: Vec<(Ipv4Address, Instant)>,
    /// What it has now, and since when it has the newest of them.
    held: Vec<Ipv4Address>,
    since: Instant,
    /// The addresses that it asks for, since when, and when it did last.
    asks: Vec<(Ipv4Address, Instant, Instant)>,
    /// Who said last that it has an address, which, and when.
    contested: Option<(EthernetAddress, Ipv4Address, Instant)>,
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
            contested: None,
            turned: now,
        });
    }

    /// A server answers a question of this number: the address is given until then.
    pub(super) fn give(
        &mut self,
        (hardware, xid): (EthernetAddress, u32),
        addr: Ipv4Address,
        until: Instant,
    ) {
        if self.said.len() == REMEMBERED {
            self.said.pop_front();
        }
        self.said.push_back(Given {
            hardware,
            xid,
            addr,
            until,
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
            tenant.contested = Some((from, addr, now));
        }
        let acked = |message: &dhcp_message::Message| {
            message.kind == DhcpMessageType::Ack && message.hardware == tenant.hardware
        };
        let Some(message) = dhcp_message::read(frame, CLIENT_PORT).filter(acked) else {
            return;
        };
        let said = self.said.iter().filter(|given| {
            (given.hardware, given.xid, given.addr)
                == (message.hardware, message.xid, message.yours)
        });
        if let Some(until) = said.map(|given| given.until).max() {
            tenant.given.retain(|(_, until)| *until >= now);
            tenant.given.push((message.yours, until));
        }
    }

    /// A host's turn is over; it has these addresses.
    ///
    /// # Errors
    /// What it has and must not have.
    pub(super) fn turned<'f>(
        &mut self,
        host: usize,
        addresses: &[IpCidr],
        sent: impl Iterator<Item = &'f [u8]>,
        now: Instant,
    ) -> Result<(), Wrong> {
        let Some(Some(tenant)) = self.tenants.get_mut(host) else {
            return Ok(());
        };
        sent.into_iter()
            .try_for_each(|frame| tenant.said(frame, now))?;
        let has: Vec<Ipv4Address> = addresses.iter().filter_map(leased).collect();
        for &addr in &has {
            tenant.has(addr, now)?;
            if !tenant.held.contains(&addr) {
                tenant.takes(addr, now)?;
                tenant.since = now;
            }
        }
        tenant.held = has;
        tenant.turned = now;
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
        let given = self.given.iter().filter(|(given, _)| *given == addr);
        given.map(|(_, until)| *until).max()
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
        match self.contested {
            Some((from, contested, at))
                if contested == addr
                    && at >= since
                    && at + ASKS >= now
                    // It has had the time to read it.
                    && at < self.turned =>
            {
                let detail = format!("it takes {addr}, and has heard at {at} that {from} has it");
                Err(("twice", detail))
            }
            _ => Ok(()),
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
mod tests {
    use super::*;
    use crate::dhcp_message::{Answer, Message};
    use crate::segment::{Address, here};

    const ADDR: Ipv4Address = Ipv4Address::new(10, 0, 1, 0);
    const CIDR: IpCidr = IpCidr::Ipv4(smoltcp::wire::Ipv4Cidr::new(ADDR, 16));

    fn hardware(number: u8) -> EthernetAddress {
        EthernetAddress([2, 0, 0, 0, 0, number])
    }

    fn at(secs: i64) -> Instant {
        Instant::from_secs(secs)
    }

    /// What the server says to host 2.
    fn ack(xid: u32) -> Vec<u8> {
        let asked = Message {
            kind: DhcpMessageType::Request,
            xid,
            hardware: hardware(2),
            has: None,
            wants: Some(ADDR),
            yours: Ipv4Address::UNSPECIFIED,
            server: None,
            to_all: true,
        };
        let answer = Answer {
            kind: DhcpMessageType::Ack,
            yours: ADDR,
            seconds: 100,
            times: None,
        };
        let from = Address {
            hardware: hardware(1),
            ip: Ipv4Address::new(10, 0, 0, 1).into(),
        };
        answer.frame(from, &asked, true)
    }

    /// ARP of host `number`: from this address, about that one.
    fn says(number: u8, from: Ipv4Address, about: Ipv4Address) -> Vec<u8> {
        let [me, to] = [from, about].map(|ip| Address {
            hardware: hardware(number),
            ip: ip.into(),
        });
        here(me, to)
    }

    /// Host 2, which was given an address until 102 s, and has heard of it.
    fn given() -> Leases {
        let mut leases = Leases::default();
        leases.moves_in(2, hardware(2), at(0));
        leases.give((hardware(2), 7), ADDR, at(102));
        leases.arrives(2, &ack(7), at(1));
        leases
    }

    /// The rule that host 2 breaks when it has these addresses and has said that.
    fn rule(leases: &mut Leases, has: &[IpCidr], said: &[Vec<u8>], now: i64) -> &'static str {
        let said = said.iter().map(Vec::as_slice);
        let turned = leases.turned(2, has, said, at(now));
        turned.err().map_or("", |(rule, _)| rule)
    }

    #[test]
    fn an_address_is_used_as_long_as_it_was_given_and_no_longer() {
        let probe = says(2, Ipv4Address::UNSPECIFIED, ADDR);
        let mut leases = given();
        assert_eq!(rule(&mut leases, &[], std::slice::from_ref(&probe), 2), "");
        assert_eq!(rule(&mut leases, &[CIDR], &[], 7), "");
        assert_eq!(leases.since(2), Some(at(7)));
        assert_eq!(rule(&mut leases, &[CIDR], &[], 102), "");
        assert_eq!(rule(&mut leases, &[CIDR], &[], 103), "lease");
        // Given, and nobody told it; given to it before it was switched off.
        let mut leases = Leases::default();
        leases.moves_in(2, hardware(2), at(0));
        leases.give((hardware(2), 7), ADDR, at(102));
        leases.arrives(2, &ack(8), at(1));
        assert_eq!(rule(&mut leases, &[CIDR], &[], 7), "lease");
        let mut leases = given();
        leases.moves_in(2, hardware(2), at(3));
        assert_eq!(rule(&mut leases, &[CIDR], &[], 7), "lease");
        assert_eq!(leases.since(2), None);
    }

    #[test]
    fn nobody_speaks_from_an_address_that_is_over() {
        let mut leases = given();
        let speaks = [says(2, ADDR, ADDR)];
        assert_eq!(rule(&mut leases, &[], &speaks, 50), "");
        // In the turn in which it ends, and never after.
        assert_eq!(rule(&mut leases, &[], &speaks, 200), "");
        assert_eq!(rule(&mut leases, &[], &speaks, 201), "lease");
        let other = [says(2, Ipv4Address::new(10, 0, 1, 1), ADDR)];
        assert_eq!(rule(&mut given(), &[], &other, 50), "lease");
        let of_the_link = [says(2, Ipv4Address::new(169, 254, 1, 1), ADDR)];
        assert_eq!(rule(&mut given(), &[], &of_the_link, 50), "");
    }

    #[test]
    fn nobody_takes_what_it_has_not_asked_for_or_has_heard_another_say() {
        let probe = [says(2, Ipv4Address::UNSPECIFIED, ADDR)];
        let theirs = says(3, ADDR, ADDR);
        assert_eq!(rule(&mut given(), &[CIDR], &[], 7), "twice");
        for (heard, looked, is_wrong) in [
            // Before it asked, after, and so late that it cannot know.
            (1, 2, false),
            (5, 6, true),
            (7, 6, false),
        ] {
            let mut leases = given();
            if heard < 2 {
                leases.arrives(2, &theirs, at(heard));
            }
            assert_eq!(rule(&mut leases, &[], &probe, 2), "");
            if heard >= 2 {
                leases.arrives(2, &theirs, at(heard));
            }
            assert_eq!(rule(&mut leases, &[], &[], looked), "");
            let wrong = if is_wrong { "twice" } else { "" };
            assert_eq!(rule(&mut leases, &[CIDR], &[], 7), wrong, "{heard}");
        }
    }
}
