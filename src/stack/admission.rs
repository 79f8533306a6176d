//! Who gets a slot: a SYN that finds a place is admitted, one that finds none waits in
//! line or gets a cookie, and those in line are let in as places become free.
//!
//! Not here: how a peer proves that it is there (`place.rs`).

use smoltcp::phy::{Device, TxToken};
use smoltcp::socket::tcp;

use crate::counters::DropReason;
use crate::event::Event;
use crate::frame::build::{mss_of, raised};
use crate::frame::demux::{Control, Segment};
use crate::rules::guard::TcpView;
use crate::rules::isn;
use crate::rules::limits::{Pace, TimeLimits};
use crate::stack::core::Inner;
use crate::stack::one_shot::{self, Link, OneShot, Tx};
use crate::stack::place::listen;
use crate::table::slot::{State, tcp_of};
use crate::time::after;

impl<'a> Inner<'a> {
    /// Lets those in line in, oldest first, if there is room for them now. Those
    /// whose listener still has none keep their order; a SYN among them gets a
    /// cookie if handshakes do not get on.
    pub(crate) fn admit_parked<D: Device + ?Sized>(&mut self, device: &mut D) {
        let doubts = self.syn_queue.len() > 0 && self.doubts();
        if !core::mem::take(&mut self.room_made) {
            return;
        }
        for _ in 0..self.syn_queue.len() {
            let Some(parked) = self.syn_queue.pop() else {
                return;
            };
            let Some(segment) = self.route_again(parked.frame()) else {
                continue; // not our address any more
            };
            let is_syn = segment.control == Control::Syn;
            if is_syn && parked.is_stale(self.now, self.config.handshake_timeout) {
                self.dropped(DropReason::NoSlot);
                continue;
            }
            if self.flows.find(self.slots.all(), &segment.flow).is_some() {
                continue; // a repeated SYN got in before
            }
            let Some(token) = device.transmit(self.now) else {
                self.syn_queue.push(parked);
                self.room_made = true;
                continue;
            };
            let frame = parked.frame();
            let Some(port) = self.listeners.find(segment.flow.local_port()) else {
                self.refuse(&segment, token);
                continue;
            };
            // Only cookies are acknowledged in line.
            let done = if self.config.gives_cookies() && !is_syn {
                self.proven_in(port, &segment, frame, token)
            } else {
                match self.place(port) {
                    Ok(slot) => {
                        self.admit(slot, port, &segment, frame, token);
                        true
                    }
                    Err(_) if doubts => {
                        self.give_cookie(&segment, frame, token);
                        true
                    }
                    Err(_) => false,
                }
            };
            if !done {
                self.syn_queue.push(parked);
            }
        }
    }

    /// Whether somebody waits who has proved itself, and others may as well.
    pub(crate) fn has_line(&self) -> bool {
        self.is_in_doubt() && self.syn_queue.len() > 0 && !self.syn_queue.is_full()
    }

    /// The slot that a SYN for this listener gets, or why it gets none. Inlined
    /// here and below: a flood asks this, and a call costs as much as the answer.
    #[inline]
    pub(crate) fn place(&mut self, port: u32) -> Result<u32, DropReason> {
        if !self.listeners.has_room(port) {
            return Err(DropReason::BacklogFull);
        }
        if self.is_crowded() {
            return Err(DropReason::NoSlot);
        }
        let slot = match self.slots.has_room() {
            true => self.take_slot(),
            false => self.slot_of_idle(port),
        };
        slot.ok_or(DropReason::NoSlot)
    }

    /// Puts a SYN into a fresh slot.
    #[inline(never)]
    pub(crate) fn admit<T: TxToken>(
        &mut self,
        index: u32,
        port: u32,
        segment: &Segment,
        frame: &[u8],
        token: T,
    ) {
        let raised = raised(frame, self.config.mss_floor);
        let frame = raised.as_deref().unwrap_or(frame);
        let mss = mss_of(frame);
        let isn = match self.config.gives_cookies() {
            true => self.cookies.isn(segment, mss, self.now),
            false => isn::initial(&self.isn_key, &segment.flow, self.now),
        };
        let (local, remote) = (segment.flow.local(), segment.flow.remote());
        let seed = isn::seed(isn, isn::DRAWS);
        let mut scratch = one_shot::interface(seed, &self.capabilities, self.now);
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        slot.state = State::HalfOpen;
        slot.listener = port;
        slot.view = TcpView::of_syn(segment.seq);
        slot.peer = segment.remote_hardware;
        slot.give_up = after(self.now, self.config.handshake_timeout);
        slot.pace = Pace::begin(&TimeLimits::NONE, self.now);
        let Some(set) = (*slot.set).as_mut() else {
            return;
        };
        let listening = listen(set, &segment.flow);
        self.tally.view.set(slot.view);
        self.tally.edge.set(slot.edge);
        let link = Link {
            to: &slot.peer,
            from: &self.config.hardware_addr,
        };
        let mut device = OneShot::of(
            frame,
            Tx::Device(token),
            link,
            &self.tally,
            &self.capabilities,
        );
        scratch.poll_ingress_single(self.now, &mut device, set);
        slot.view = self.tally.view.get();
        slot.edge = self.tally.edge.get();
        let state = tcp_of(set).state();
        self.listeners.admitted(port, &mut self.slots, index);
        if !listening
            || state != tcp::State::SynReceived
            || self
                .flows
                .insert(self.slots.all(), index, segment.flow)
                .is_err()
        {
            self.free(index);
            return self.dropped(DropReason::BadSegment);
        }
        self.counters.count(|counters| &mut counters.syns_admitted);
        self.tell(&Event::Admitted {
            slot: index,
            local,
            remote,
        });
        self.mark_dirty(index);
    }

    /// The slot of the longest idle connection, for a SYN. With cookies a peer
    /// has to prove itself first.
    #[inline]
    fn slot_of_idle(&mut self, port: u32) -> Option<u32> {
        if self.config.gives_cookies() {
            return None;
        }
        let patience = self.listeners.reclaim(port)?;
        let idle = self.longest_idle(port, patience)?;
        self.reclaim(idle);
        self.take_slot()
    }

    /// Whether somebody in line for this listener would get a slot now: one that
    /// has proved itself also in place of one that has not.
    pub(crate) fn has_room(&self, port: u32, proven: bool) -> bool {
        let shy = |there| proven && there;
        let here = shy(self.listeners.oldest_half_open(port).is_some());
        let anywhere = shy(self.listeners.half_open() > 0);
        (self.listeners.has_room(port) || here)
            && (self.slots.has_room() || anywhere)
            && (proven || !self.is_crowded())
    }

    /// There is no place for a SYN. It waits in line, because a burst of honest
    /// peers is served best in its order; but it has to prove itself by a cookie if
    /// others do not, or if somebody would give way for it. When the line is full it
    /// is dropped: its sender tries again.
    #[inline]
    pub(crate) fn crowd<T: TxToken>(
        &mut self,
        port: u32,
        reason: DropReason,
        segment: &Segment,
        frame: &[u8],
        token: T,
    ) {
        let gives_way = self.config.gives_cookies() && reason == DropReason::NoSlot && {
            let patience = self.listeners.reclaim(port);
            patience.is_some_and(|patience| self.longest_idle(port, patience).is_some())
        };
        // Most often so in a flood: then nobody is looked for in the line.
        let full = self.syn_queue.is_full();
        let doubts = self.doubts();
        if gives_way || (doubts && !full) {
            self.give_cookie(segment, frame, token);
        } else if doubts
            || full
            || self.syn_queue.holds(frame)
            || !self.syn_queue.park(frame, self.now)
        {
            self.dropped(reason);
        } else {
            self.counters.count(|counters| &mut counters.syns_parked);
            self.tell(&Event::Parked(reason));
        }
    }
}
