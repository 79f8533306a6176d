//! Who gets a slot when there are not enough: SYNs are answered by cookies, and
//! whoever acknowledges one is let in or waits in line.
//!
//! Not here: what a cookie is, and why (`cookie.rs`).

use smoltcp::iface::SocketSet;
use smoltcp::phy::TxToken;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpListenEndpoint;

use crate::counters::DropReason;
use crate::event::Event;
use crate::frame::build::{self, ACK, Bare, End, SYN, mss_of, window_of};
use crate::frame::demux::Segment;
use crate::frame::flow::Flow;
use crate::frame::link::ETHERNET;
use crate::rules::cookie::{Cookie, Proof, ROUND_TRIP};
use crate::rules::isn;
use crate::rules::limits::{Pace, TimeLimits};
use crate::stack::core::Inner;
use crate::stack::one_shot::{self, Link, OneShot, Tally, Tx};
use crate::table::slot::{State, tcp_of};
use crate::time::after;

impl<'a> Inner<'a> {
    /// Whether so many connections are half open that no more get a slot, because
    /// a cookie does.
    #[inline]
    pub(crate) fn is_crowded(&self) -> bool {
        if !self.config.gives_cookies() {
            return false;
        }
        let limit = match self.config.half_open_limit {
            0 => (self.slots.len() / 2).max(1),
            limit => limit.into(),
        };
        self.listeners.half_open() >= limit
    }

    /// Whether handshakes do not get on, so that a SYN which finds no place is
    /// answered by a cookie. Those in line are told as soon as that is so.
    pub(crate) fn doubts(&mut self) -> bool {
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
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.config.gives_cookies() && self.cookies.doubts(self.now)
    }

    /// When those in line will be doubted if nothing happens.
    pub(crate) fn doubt_at(&mut self) -> Option<Instant> {
        let waits = self.syn_queue.len() > 0 && self.config.gives_cookies();
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
        for port in 0..self.listeners.len() {
            if let Some(index) = self.listeners.oldest_half_open(port)
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
    pub(crate) fn give_cookie<T: TxToken>(&mut self, syn: &Segment, frame: &[u8], token: T) {
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
    pub(crate) fn proof_in<T: TxToken>(
        &mut self,
        port: u32,
        segment: &Segment,
        frame: &[u8],
        token: T,
    ) {
        let cookie = match self.cookies.prove(segment, self.now) {
            Proof::Of(cookie) => cookie,
            Proof::Over => {
                // Late, or a new connection between the same ports, which sends again.
                return self.dropped(DropReason::OldDuplicate);
            }
            // Perhaps more of somebody who waits, was promised a place in line, or was
            // put out: it says again what proves that it is there.
            Proof::Nothing if self.is_in_doubt() || self.syn_queue.holds(frame) => {
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
        let Some(acknowledgement) = build::segment(peer, us, &bare) else {
            return;
        };
        // Who waits already goes first, and waits once.
        let others = self.room_made && self.syn_queue.len() > 0;
        let waits = self.syn_queue.holds(frame);
        let slot = match others || waits {
            true => None,
            false => self.slot_for_proven(port),
        };
        match slot {
            Some(index) => {
                self.let_in(index, port, segment, &cookie, &acknowledgement, token);
            }
            None if !waits && self.syn_queue.park(&acknowledgement, self.now) => {
                self.counters.count(|counters| &mut counters.syns_parked);
                self.tell(&Event::Parked(DropReason::NoSlot));
            }
            // It sends again, if it has anything to say.
            None => self.dropped(DropReason::NoSlot),
        }
    }

    /// One that has proved that it is there, and waited in line. False when there
    /// is still no slot for it.
    pub(crate) fn proven_in<T: TxToken>(
        &mut self,
        port: u32,
        segment: &Segment,
        frame: &[u8],
        token: T,
    ) -> bool {
        let Proof::Of(cookie) = self.cookies.prove(segment, self.now) else {
            self.refuse(segment, token); // it has waited for minutes
            return true;
        };
        let Some(index) = self.slot_for_proven(port) else {
            return false;
        };
        self.let_in(index, port, segment, &cookie, frame, token);
        true
    }

    /// A slot for a peer that is there, in place of one that may not be.
    fn slot_for_proven(&mut self, port: u32) -> Option<u32> {
        if !self.listeners.has_room(port) {
            let oldest = self.listeners.oldest_half_open(port)?;
            self.put_out(oldest)?;
        }
        if !self.slots.has_room()
            && let Some((oldest, _)) = self.oldest_handshake()
        {
            self.put_out(oldest)?;
        }
        if !self.slots.has_room()
            && let Some(patience) = self.listeners.reclaim(port)
            && let Some(idle) = self.longest_idle(port, patience)
        {
            self.reclaim(idle);
        }
        self.take_slot()
    }

    /// Forgets a half-open connection. Its acknowledgement brings it back; so not
    /// before our answer has left, which is at the end of this turn.
    fn put_out(&mut self, index: u32) -> Option<()> {
        if !self.slots.get(index)?.view.spoke() {
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
        let frame = build::segment(peer, us, &syn)?;
        // The number of draws depends on what else smoltcp was built for.
        for draws in isn::DRAWS..isn::DRAWS + 3 {
            let seed = isn::seed(cookie.isn, draws);
            let mut scratch = one_shot::interface(seed, &self.capabilities, self.now);
            let slot = self.slots.get(index)?;
            let set = (*slot.set).as_mut()?;
            self.buffers.renew(index, set);
            if !listen(set, &flow) {
                return None;
            }
            let tally = Tally::new(self.tally.checks.clone());
            let link = Link {
                to: &segment.remote_hardware,
                from: &self.config.hardware_addr,
            };
            let mut device =
                OneShot::<T>::of(&frame, Tx::Discard, link, &tally, &self.capabilities);
            scratch.poll_ingress_single(self.now, &mut device, set);
            device.tx = Some(Tx::Discard);
            scratch.poll_egress(self.now, &mut device, set);
            slot.view = tally.view.get();
            slot.edge = tally.edge.get();
            if slot.view.snd_max != cookie.isn + 1 {
                continue;
            }
            (device.frame, device.tx) = (acknowledgement.get(ETHERNET..), Some(Tx::Discard));
            scratch.poll_ingress_single(self.now, &mut device, set);
            slot.state = State::HalfOpen;
            slot.peer = segment.remote_hardware;
            slot.listener = port;
            slot.give_up = after(self.now, self.config.handshake_timeout);
            slot.pace = Pace::begin(&TimeLimits::NONE, self.now);
            self.listeners.admitted(port, &mut self.slots, index);
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

pub(crate) fn listen(set: &mut SocketSet<'_>, flow: &Flow) -> bool {
    let endpoint = IpListenEndpoint {
        addr: Some(flow.local_addr()),
        port: flow.local_port(),
    };
    tcp_of(set).listen(endpoint).is_ok()
}
