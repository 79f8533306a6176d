//! SYN cookies (RFC 4987, 3.6). A flood of SYNs from addresses that do not
//! exist must not hold slots, so above the limit of half-open connections a SYN
//! is answered and forgotten: our sequence number in the answer is a keyed hash
//! of the connection, the peer's sequence number, the minute and a class of
//! MSS. When the acknowledgement of that number comes, the peer has proved that
//! it is there. Then its SYN is made again from the acknowledgement and
//! replayed into a fresh slot, which draws the same number, so the rest fits.
//!
//! Connections that did get a slot begin with such a number too. So the oldest
//! half-open one can be put out when a proven peer needs its slot, and can still
//! come back.
//!
//! A burst of honest peers is not served better by cookies: their handshakes
//! are over in a moment, and then every place is really taken. So cookies begin
//! when half-open connections do not get on.
//!
//! What is lost by a cookie: window scale, SACK and timestamps, and the MSS is
//! one of four. And a peer that waits for us to speak, and whose
//! acknowledgement is lost, waits until it sends something.
//!
//! A copy of a first segment that the network held back looks like one that the
//! cookie was waiting for. So the last few connections that are over are
//! remembered, and such a copy is dropped.
//!
//! A wrong acknowledgement costs at most nine short hashes, and only while
//! cookies are about; then it is answered by a reset as ever.

use smoltcp::iface::SocketSet;
use smoltcp::phy::TxToken;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpListenEndpoint, TcpSeqNumber};

use crate::event::{DropReason, Event};
use crate::net::craft::{self, ACK, Bare, SYN, mss_of};
use crate::net::demux::Segment;
use crate::net::flow::Flow;
use crate::net::handoff::{ETHERNET, Link, OneShot, Tally, Way};
use crate::net::isn;
use crate::net::keys::Text;
use crate::net::slots::{State, tcp_of};
use crate::net::stack::Inner;

/// What a cookie remembers of an MSS: the largest of these that it is not
/// below. A smaller MSS than the first becomes the first.
const CLASSES: [u16; 4] = [216, 536, 1220, 1440];

/// A cookie is good in the minute it was made in and in the next.
const SLOT: Duration = Duration::from_secs(60);

/// An honest peer has finished its handshake by then.
const ROUND_TRIP: Duration = Duration::from_millis(250);

/// How long a flood is believed to go on after its last sign. Half-open
/// connections are a sign, so longer than those last.
const FLOOD: Duration = Duration::from_secs(30);

/// How many connections that are over are remembered while cookies are about.
const OVER: usize = 16;

/// What a segment without a flow proves.
pub(super) enum Proof {
    None,
    /// That its sender is there, for nothing; it was dropped, and counted.
    TooLate,
    /// That its sender is there, and here is its slot.
    Slot(u32),
}

/// Makes cookies and knows them again.
pub(super) struct Cookies {
    key: [u8; 16],
    /// Somebody may hold one until then.
    until: Instant,
    /// Half-open connections did not get on lately: this is no honest burst,
    /// until then.
    flood_until: Instant,
    /// The last connections that are over, by a hash of their flow.
    over: [u32; OVER],
    next_over: u8,
}

impl Cookies {
    pub(super) fn new(key: [u8; 16]) -> Self {
        Cookies {
            key,
            until: Instant::ZERO,
            flood_until: Instant::ZERO,
            over: [0; OVER],
            next_over: 0,
        }
    }

    /// A connection is over. A copy of its first segment that the network held
    /// back must not begin it again, byte for byte.
    pub(super) fn over(&mut self, flow: &Flow, now: Instant) {
        if now <= self.until {
            self.over[usize::from(self.next_over) % OVER] = self.mark(flow);
            self.next_over = self.next_over.wrapping_add(1);
        }
    }

    fn is_over(&self, flow: &Flow) -> bool {
        self.over.contains(&self.mark(flow))
    }

    /// Never zero, which is nobody.
    fn mark(&self, flow: &Flow) -> u32 {
        about(flow, TcpSeqNumber(0)).hash(&self.key) as u32 | 1
    }

    /// The number that answers a SYN.
    pub(super) fn isn(&self, syn: &Segment, mss: u16, now: Instant) -> TcpSeqNumber {
        self.cookie(about(&syn.flow, syn.seq), slot(now), class(mss))
    }

    /// The MSS of the SYN to which `isn` was the answer, if it ever was.
    fn find(&self, flow: &Flow, seq: TcpSeqNumber, isn: TcpSeqNumber, now: Instant) -> Option<u16> {
        if now > self.until {
            return None;
        }
        let text = about(flow, seq);
        for minute in [slot(now), slot(now).wrapping_sub(1)] {
            for (class, mss) in CLASSES.iter().enumerate() {
                if self.cookie(text, minute, class as u8) == isn {
                    return Some(*mss);
                }
            }
        }
        None
    }

    /// A connection was forgotten that may come back.
    pub(super) fn given(&mut self, now: Instant) {
        self.until = now + SLOT * 2;
    }

    fn cookie(&self, mut text: Text, minute: u32, class: u8) -> TcpSeqNumber {
        text.add(&minute.to_le_bytes());
        text.add(&[class]);
        TcpSeqNumber(text.hash(&self.key) as i32)
    }
}

fn about(flow: &Flow, seq: TcpSeqNumber) -> Text {
    let mut text = Text::EMPTY;
    text.between(flow.local(), flow.remote());
    text.add(&seq.0.to_le_bytes());
    text
}

fn slot(now: Instant) -> u32 {
    (now.total_micros() as u64 / SLOT.total_micros()) as u32
}

fn class(mss: u16) -> u8 {
    CLASSES
        .iter()
        .skip(1)
        .filter(|&&class| class <= mss)
        .count() as u8
}

impl<'a> Inner<'a> {
    /// Whether so many connections are half open that no more get a slot, because
    /// a cookie does.
    #[inline]
    pub(super) fn is_crowded(&self) -> bool {
        if !self.config.gives_cookies() {
            return false;
        }
        let limit = match self.config.half_open_limit {
            0 => (self.slots.len() / 2).max(1),
            limit => limit.into(),
        };
        self.ports.half_open() >= limit
    }

    /// Whether a SYN that finds no place is answered by a cookie. Not while
    /// half-open connections get on: then the places are taken by honest peers,
    /// a proven one would find none either, and it is better off trying again.
    pub(super) fn gives_cookies(&mut self) -> bool {
        if !self.config.gives_cookies() || self.ports.half_open() == 0 {
            return false;
        }
        if self.now >= self.cookies.flood_until {
            let oldest = self.ports.any_half_open();
            let began = oldest
                .and_then(|index| self.slots.get(index))
                .map(|slot| slot.give_up - self.config.handshake_timeout);
            if began.is_none_or(|began| self.now < began + ROUND_TRIP) {
                return false;
            }
            self.cookies.flood_until = self.now + FLOOD;
        }
        true
    }

    /// Answers a SYN and keeps nothing.
    #[inline(never)]
    pub(super) fn give_cookie<T: TxToken>(&mut self, syn: &Segment, frame: &[u8], token: T) {
        let offer = mss_of(frame).max(self.config.mss_floor);
        let us = (self.config.hardware_addr, syn.flow.local());
        let peer = (syn.remote_hardware, syn.flow.remote());
        let bare = Bare {
            flags: SYN | ACK,
            seq: self.cookies.isn(syn, offer, self.now),
            ack: syn.seq + 1,
            window: self.buffers.window(),
            mss: Some(self.our_mss(&syn.flow)),
        };
        self.cookies.given(self.now);
        self.counters.count(|counters| &mut counters.cookies_given);
        self.send_bare(us, peer, &bare, token);
    }

    /// Whether a segment that belongs to no flow acknowledges a cookie.
    pub(super) fn takes_cookie<T: TxToken>(&mut self, port: u32, segment: &Segment) -> Proof {
        let irs = TcpSeqNumber(segment.seq.0.wrapping_sub(1));
        let isn = TcpSeqNumber(segment.ack.0.wrapping_sub(1));
        let found = self.cookies.find(&segment.flow, irs, isn, self.now);
        let Some(mss) = found else {
            return Proof::None;
        };
        if self.cookies.is_over(&segment.flow) {
            // Late, or a new connection between the same ports, which sends again.
            self.dropped(DropReason::OldDuplicate);
            return Proof::TooLate;
        }
        let Some(index) = self.slot_for_proven(port) else {
            // It sends again, if it has anything to say.
            self.dropped(DropReason::NoSlot);
            return Proof::TooLate;
        };
        let syn = Bare {
            flags: SYN,
            seq: irs,
            mss: Some(mss),
            ..Bare::NOTHING
        };
        if !self.replay::<T>(index, port, segment, &syn, isn) {
            self.free(index);
            self.dropped(DropReason::BadSegment);
            return Proof::TooLate;
        }
        self.counters.count(|counters| &mut counters.cookies_taken);
        Proof::Slot(index)
    }

    /// A slot for a peer that is there, in place of one that may not be.
    fn slot_for_proven(&mut self, port: u32) -> Option<u32> {
        if !self.ports.has_room(port) {
            let oldest = self.ports.oldest_half_open(port)?;
            self.put_out(oldest);
        }
        if !self.slots.has_room()
            && let Some(oldest) = self.ports.any_half_open()
        {
            self.put_out(oldest);
        }
        if !self.slots.has_room()
            && let Some(patience) = self.ports.reclaim(port)
            && let Some(idle) = self.longest_idle(port, patience)
        {
            self.reclaim(idle);
        }
        self.take_slot()
    }

    /// Forgets a half-open connection. Its acknowledgement brings it back.
    fn put_out(&mut self, index: u32) {
        self.cookies.given(self.now);
        self.reclaim(index);
    }

    /// Brings a fresh slot to where it would be had it answered the SYN.
    fn replay<T: TxToken>(
        &mut self,
        index: u32,
        port: u32,
        segment: &Segment,
        syn: &Bare,
        isn: TcpSeqNumber,
    ) -> bool {
        let flow = segment.flow;
        let us = (self.config.hardware_addr, flow.local());
        let peer = (segment.remote_hardware, flow.remote());
        let Some(frame) = craft::segment(peer, us, syn) else {
            return false;
        };
        // The number of draws depends on what else smoltcp was built for.
        for draws in isn::DRAWS..isn::DRAWS + 3 {
            let seed = isn::seed(isn, draws);
            let mut scratch = isn::interface(seed, &self.capabilities, self.now);
            let Some(slot) = self.slots.get(index) else {
                return false;
            };
            let Some(set) = (*slot.set).as_mut() else {
                return false;
            };
            self.buffers.renew(index, set);
            if !listen(set, &flow) {
                return false;
            }
            let tally = Tally::new(self.tally.checks.clone());
            let mut device = OneShot::<T> {
                frame: frame.get(ETHERNET..),
                way: Some(Way::Nowhere),
                link: Some(Link {
                    to: &segment.remote_hardware,
                    from: &self.config.hardware_addr,
                }),
                tally: &tally,
                capabilities: &self.capabilities,
            };
            scratch.poll_ingress_single(self.now, &mut device, set);
            device.way = Some(Way::Nowhere);
            scratch.poll_egress(self.now, &mut device, set);
            slot.known = tally.known.get();
            if slot.known.sent == isn + 1 {
                slot.state = State::HalfOpen;
                slot.peer = segment.remote_hardware;
                slot.port = port;
                slot.give_up = self.now + self.config.handshake_timeout;
                self.ports.admitted(port, &mut self.slots, index);
                let admitted = self.flows.insert(self.slots.all(), index, flow).is_ok();
                self.tell(&Event::Admitted {
                    slot: index,
                    local: flow.local(),
                    remote: flow.remote(),
                });
                return admitted;
            }
        }
        false
    }

    /// What smoltcp would offer.
    fn our_mss(&self, flow: &Flow) -> u16 {
        let headers = 20 + ip_header(flow);
        let mtu = self.capabilities.max_transmission_unit;
        mtu.saturating_sub(headers).min(u16::MAX.into()) as u16
    }
}

fn ip_header(flow: &Flow) -> usize {
    match flow.local_addr() {
        smoltcp::wire::IpAddress::Ipv4(_) => 20,
        #[cfg(feature = "ipv6")]
        smoltcp::wire::IpAddress::Ipv6(_) => 40,
    }
}

pub(super) fn listen(set: &mut SocketSet<'_>, flow: &Flow) -> bool {
    let endpoint = IpListenEndpoint {
        addr: Some(flow.local_addr()),
        port: flow.local_port(),
    };
    tcp_of(set).listen(endpoint).is_ok()
}
