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
//! A burst of honest peers is served best in its order and with all its options,
//! so its SYNs wait in line (`lobby.rs`) as long as handshakes get on. Once one
//! does not, because it was not answered in a quarter of a second or was reset, for
//! half a minute every SYN that finds no place is answered by a cookie whose window
//! is shut, those in line included; and whoever acknowledges one takes the place of
//! the oldest peer that has not, or waits in line for one, and then its window is
//! opened. So what does not answer holds nothing that somebody who answers needs,
//! however seldom or often it comes.
//!
//! The window is shut because a cookie is a promise: a peer that finds the places
//! taken would otherwise send, be ignored and repeat itself ever more seldom, while
//! one that may not send yet waits for a word from us. A firewall's SYN proxy does
//! the same. When the line is full, no more is promised: SYNs are dropped, and their
//! senders try again.
//!
//! What is lost by a cookie: window scale, SACK and timestamps, and the MSS is
//! one of four. And a peer that waits for us to speak, and whose
//! acknowledgement is lost, waits until it sends something.
//!
//! A segment that the network held back looks like the acknowledgement of a cookie
//! too. So what such a segment carries is not taken: a peer that is there sends it
//! again, and has seldom sent any, because its window was shut; one that is not
//! answers ours with a reset. And the last few connections that are over are
//! remembered, and what looks like more of them is dropped.
//!
//! A wrong acknowledgement costs at most seventeen short hashes, and only while
//! cookies are about. It is answered by a reset as ever, but not while handshakes are
//! doubted: a peer that was put out half-open, and whose first segment was lost,
//! acknowledges with a later sequence number than the one that would prove it.

use smoltcp::iface::SocketSet;
use smoltcp::phy::TxToken;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpListenEndpoint, TcpSeqNumber};

use crate::event::{DropReason, Event};
use crate::net::craft::{self, ACK, Bare, End, SYN, mss_of, window_of};
use crate::net::deadlines::after;
use crate::net::demux::Segment;
use crate::net::flow::Flow;
use crate::net::handoff::{ETHERNET, Link, OneShot, Tally, Way};
use crate::net::isn;
use crate::net::keys::Text;
use crate::net::limits::{Pace, TimeLimits};
use crate::net::slots::{State, tcp_of};
use crate::net::stack::Inner;

/// What a cookie remembers of an MSS: the largest of these that it is not
/// below. A smaller MSS than the first becomes the first.
const CLASSES: [u16; 4] = [216, 536, 1220, 1440];

/// A cookie is good in the minute it was made in and in the next.
const SLOT: Duration = Duration::from_secs(60);

/// An honest peer has finished its handshake by then.
const ROUND_TRIP: Duration = Duration::from_millis(250);

/// How long handshakes are doubted after the last that did not get on. Longer
/// than a half-open connection lasts, which is a sign as long as it does.
const DOUBT: Duration = Duration::from_secs(30);

/// How many connections that are over are remembered while cookies are about.
const OVER: usize = 16;

/// What an acknowledgement without a flow proves.
enum Proof {
    Nothing,
    /// That its sender has been here; its connection is over.
    Over,
    /// That its sender is there.
    Of(Cookie),
}

/// A SYN that was answered and forgotten, as its cookie tells of it.
struct Cookie {
    irs: TcpSeqNumber,
    isn: TcpSeqNumber,
    mss: u16,
}

/// Makes cookies and knows them again.
pub(super) struct Cookies {
    key: [u8; 16],
    /// Somebody may hold one until then.
    until: Instant,
    /// A handshake did not get on lately: others are doubted until then.
    doubt_until: Instant,
    /// The last connections that are over, by a hash of their flow.
    over: [u32; OVER],
    next_over: u8,
}

impl Cookies {
    pub(super) fn new(key: [u8; 16]) -> Self {
        Cookies {
            key,
            until: Instant::ZERO,
            doubt_until: Instant::ZERO,
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

    /// The SYN whose cookie a segment acknowledges. A peer that may not send yet
    /// asks whether it may by a segment that is empty and one too early.
    fn find(&self, segment: &Segment, now: Instant) -> Option<Cookie> {
        if now > self.until {
            return None;
        }
        let isn = TcpSeqNumber(segment.ack.0.wrapping_sub(1));
        let asks = segment.payload == 0 && !segment.fin;
        for early in 0..=i32::from(asks) {
            let irs = TcpSeqNumber(segment.seq.0.wrapping_sub(1).wrapping_add(early));
            if let Some(mss) = self.mss(&segment.flow, irs, isn, now) {
                return Some(Cookie { irs, isn, mss });
            }
        }
        None
    }

    /// The MSS of the SYN to which `isn` was the answer, if it ever was.
    fn mss(&self, flow: &Flow, irs: TcpSeqNumber, isn: TcpSeqNumber, now: Instant) -> Option<u16> {
        let text = about(flow, irs);
        for minute in [slot(now), slot(now).wrapping_sub(1)] {
            for (class, mss) in CLASSES.iter().enumerate() {
                if self.cookie(text, minute, class as u8) == isn {
                    return Some(*mss);
                }
            }
        }
        None
    }

    /// A handshake was reset or given up.
    pub(super) fn doubt(&mut self, now: Instant) {
        self.doubt_until = after(now, DOUBT);
    }

    /// A connection was forgotten that may come back.
    pub(super) fn given(&mut self, now: Instant) {
        self.until = after(now, SLOT * 2);
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

    /// Whether handshakes do not get on, so that a SYN which finds no place is
    /// answered by a cookie. Those in line are told as soon as that is so.
    pub(super) fn doubts(&mut self) -> bool {
        if !self.config.gives_cookies() {
            return false;
        }
        if !self.is_in_doubt() {
            if self
                .oldest_handshake()
                .is_none_or(|(_, age)| age < ROUND_TRIP)
            {
                return false;
            }
            self.cookies.doubt(self.now);
            self.room_made = true;
        }
        true
    }

    /// Whether a handshake did not get on lately.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.config.gives_cookies() && self.now < self.cookies.doubt_until
    }

    /// When those in line will be doubted if nothing happens.
    pub(super) fn doubt_at(&mut self) -> Option<Instant> {
        let waits = self.lobby.len() > 0 && self.config.gives_cookies();
        if !waits || self.is_in_doubt() {
            return None;
        }
        let (_, age) = self.oldest_handshake()?;
        let left = ROUND_TRIP.total_millis().saturating_sub(age.total_millis());
        // An age may be a millisecond short.
        Some(after(self.now, Duration::from_millis(left + 2)))
    }

    /// The connection that has been half-open longest, at any listener, and how
    /// long that is. It begins with our answer, not with the time in line before.
    fn oldest_handshake(&mut self) -> Option<(u32, Duration)> {
        let mut oldest = None;
        for port in 0..self.ports.len() {
            if let Some(index) = self.ports.oldest_half_open(port)
                && let Some(slot) = self.slots.get(index)
            {
                let age = slot.pace.age(self.now);
                if oldest.is_none_or(|(_, most)| age > most) {
                    oldest = Some((index, age));
                }
            }
        }
        oldest
    }

    /// Answers a SYN and keeps nothing.
    #[inline(never)]
    pub(super) fn give_cookie<T: TxToken>(&mut self, syn: &Segment, frame: &[u8], token: T) {
        let offer = mss_of(frame).max(self.config.mss_floor);
        let bare = Bare {
            flags: SYN | ACK,
            seq: self.cookies.isn(syn, offer, self.now),
            ack: syn.seq + 1,
            window: 0,
            mss: Some(self.our_mss(&syn.flow)),
        };
        self.cookies.given(self.now);
        self.counters.count(|counters| &mut counters.cookies_given);
        let (us, peer) = self.ends(syn);
        self.send_bare(us, peer, &bare, token);
    }

    /// An acknowledgement that belongs to no flow, at a port that somebody listens
    /// on. If it is a cookie's, its sender gets a slot or waits in line for one;
    /// else it is refused. What else it carries has to be sent again.
    pub(super) fn proof_in<T: TxToken>(
        &mut self,
        port: u32,
        segment: &Segment,
        frame: &[u8],
        token: T,
    ) {
        let cookie = match self.prove(segment) {
            Proof::Of(cookie) => cookie,
            Proof::Over => {
                // Late, or a new connection between the same ports, which sends again.
                return self.dropped(DropReason::OldDuplicate);
            }
            // Perhaps more of somebody who waits, was promised a place in line, or was
            // put out: it says again what proves that it is there.
            Proof::Nothing if self.is_in_doubt() || self.lobby.holds(frame) => {
                return self.dropped(DropReason::NoSlot);
            }
            Proof::Nothing => return self.refuse(segment, token),
        };
        let (us, peer) = self.ends(segment);
        let bare = Bare {
            flags: ACK,
            seq: cookie.irs + 1,
            ack: cookie.isn + 1,
            window: window_of(frame),
            ..Bare::NOTHING
        };
        let Some(acknowledgement) = craft::segment(peer, us, &bare) else {
            return;
        };
        // Who waits already goes first, and waits once.
        let others = self.room_made && self.lobby.len() > 0;
        let waits = self.lobby.holds(frame);
        let slot = match others || waits {
            true => None,
            false => self.slot_for_proven(port),
        };
        match slot {
            Some(index) => {
                self.let_in(index, port, segment, &cookie, &acknowledgement, token);
            }
            None if !waits && self.lobby.park(&acknowledgement, self.now) => {
                self.counters.count(|counters| &mut counters.syns_parked);
                self.tell(&Event::Parked(DropReason::NoSlot));
            }
            // It sends again, if it has anything to say.
            None => self.dropped(DropReason::NoSlot),
        }
    }

    /// One that has proved that it is there, and waited in line. False when there
    /// is still no slot for it.
    pub(super) fn proven_in<T: TxToken>(
        &mut self,
        port: u32,
        segment: &Segment,
        frame: &[u8],
        token: T,
    ) -> bool {
        let Proof::Of(cookie) = self.prove(segment) else {
            self.refuse(segment, token); // it has waited for minutes
            return true;
        };
        let Some(index) = self.slot_for_proven(port) else {
            return false;
        };
        self.let_in(index, port, segment, &cookie, frame, token);
        true
    }

    fn prove(&self, segment: &Segment) -> Proof {
        match self.cookies.find(segment, self.now) {
            None => Proof::Nothing,
            Some(_) if self.cookies.is_over(&segment.flow) => Proof::Over,
            Some(cookie) => Proof::Of(cookie),
        }
    }

    /// A slot for a peer that is there, in place of one that may not be.
    fn slot_for_proven(&mut self, port: u32) -> Option<u32> {
        if !self.ports.has_room(port) {
            let oldest = self.ports.oldest_half_open(port)?;
            self.put_out(oldest)?;
        }
        if !self.slots.has_room()
            && let Some((oldest, _)) = self.oldest_handshake()
        {
            self.put_out(oldest)?;
        }
        if !self.slots.has_room()
            && let Some(patience) = self.ports.reclaim(port)
            && let Some(idle) = self.longest_idle(port, patience)
        {
            self.reclaim(idle);
        }
        self.take_slot()
    }

    /// Forgets a half-open connection. Its acknowledgement brings it back; so not
    /// before our answer has left, which is at the end of this turn.
    fn put_out(&mut self, index: u32) -> Option<()> {
        if !self.slots.get(index)?.known.spoke() {
            self.room_made = true;
            return None;
        }
        self.cookies.given(self.now);
        self.reclaim(index);
        Some(())
    }

    /// Makes a connection of a fresh slot and says that its peer may send now; if
    /// that is lost, it asks. Or gives the slot back.
    fn let_in<T: TxToken>(
        &mut self,
        index: u32,
        port: u32,
        segment: &Segment,
        cookie: &Cookie,
        acknowledgement: &[u8],
        token: T,
    ) {
        if self
            .replay::<T>(index, port, segment, cookie, acknowledgement)
            .is_none()
        {
            self.free(index);
            return self.dropped(DropReason::BadSegment);
        }
        self.counters.count(|counters| &mut counters.cookies_taken);
        self.settle(index, None);
        self.mark_dirty(index);
        let bare = Bare {
            flags: ACK,
            seq: cookie.isn + 1,
            ack: cookie.irs + 1,
            window: self.buffers.window(),
            ..Bare::NOTHING
        };
        let (us, peer) = self.ends(segment);
        self.send_bare(us, peer, &bare, token);
    }

    /// Brings a fresh slot to where it would be had it answered the SYN and had the
    /// acknowledgement come.
    fn replay<T: TxToken>(
        &mut self,
        index: u32,
        port: u32,
        segment: &Segment,
        cookie: &Cookie,
        acknowledgement: &[u8],
    ) -> Option<()> {
        let flow = segment.flow;
        let (us, peer) = self.ends(segment);
        let syn = Bare {
            flags: SYN,
            seq: cookie.irs,
            mss: Some(cookie.mss),
            ..Bare::NOTHING
        };
        let frame = craft::segment(peer, us, &syn)?;
        // The number of draws depends on what else smoltcp was built for.
        for draws in isn::DRAWS..isn::DRAWS + 3 {
            let seed = isn::seed(cookie.isn, draws);
            let mut scratch = isn::interface(seed, &self.capabilities, self.now);
            let slot = self.slots.get(index)?;
            let set = (*slot.set).as_mut()?;
            self.buffers.renew(index, set);
            if !listen(set, &flow) {
                return None;
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
            slot.edge = tally.edge.get();
            if slot.known.sent != cookie.isn + 1 {
                continue;
            }
            (device.frame, device.way) = (acknowledgement.get(ETHERNET..), Some(Way::Nowhere));
            scratch.poll_ingress_single(self.now, &mut device, set);
            slot.state = State::HalfOpen;
            slot.peer = segment.remote_hardware;
            slot.port = port;
            slot.give_up = after(self.now, self.config.handshake_timeout);
            slot.pace = Pace::begin(&TimeLimits::NONE, self.now);
            self.ports.admitted(port, &mut self.slots, index);
            let admitted = self.flows.insert(self.slots.all(), index, flow).is_ok();
            self.tell(&Event::Admitted {
                slot: index,
                local: flow.local(),
                remote: flow.remote(),
            });
            return admitted.then_some(());
        }
        None
    }

    /// Both ends of a segment that came: ours, and its sender's.
    fn ends(&self, segment: &Segment) -> (End, End) {
        let us = (self.config.hardware_addr, segment.flow.local());
        (us, (segment.remote_hardware, segment.flow.remote()))
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
