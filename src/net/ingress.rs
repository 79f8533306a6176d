//! Frames on their way in: from the demux to the slot they belong to, to a
//! listener, or to nobody.
//!
//! A SYN that finds no place waits in the lobby or gets a cookie; one that finds
//! no place there either is dropped, never reset: the peer tries again.

use core::task::Waker;

use smoltcp::iface::SocketSet;
use smoltcp::phy::{Device, TxToken};
use smoltcp::socket::tcp;
use smoltcp::wire::TcpSeqNumber;

use crate::event::{DropReason, Event};
use crate::net::checksum::Checks;
use crate::net::cookie::listen;
use crate::net::craft::{self, ACK, Bare, End, Frame, RST, mss_of, raised, scale_of};
use crate::net::deadlines::after;
use crate::net::demux::{Control, Route, Segment, demux};
use crate::net::guard::{Edge, Known, Verdict, answered_with, ended_with, judge};
use crate::net::handoff::{Counted, ETHERNET, Link, OneShot, Way};
use crate::net::isn;
use crate::net::life::{Before, patience};
use crate::net::limits::{Pace, TimeLimits};
use crate::net::neighbors::Hardware;
use crate::net::slots::{FAR, State, tcp_of};
use crate::net::stack::Inner;

/// Who runs the tasks that wait for segments.
pub(crate) trait Scheduler {
    /// This one will be woken in this turn: what it needs to run is fetched meanwhile.
    fn fetch(&self, waker: &Waker);

    /// Wakes it, as [`Waker::wake`] would, before any task runs in this turn. Gives
    /// back one that is not ours.
    fn wake(&self, waker: Waker) -> Option<Waker>;
}

impl<'a> Inner<'a> {
    pub(super) fn frame_in<T: TxToken>(
        &mut self,
        frame: &[u8],
        token: T,
        scheduler: &impl Scheduler,
    ) {
        self.counters.count(|counters| &mut counters.frames_in);
        self.counters
            .add(|counters| &mut counters.bytes_in, frame.len() as u64);
        self.tell(&Event::FrameIn(frame));
        match self.route(frame, &self.tally.checks) {
            Route::Tcp(segment) => self.segment_in(&segment, frame, token, scheduler),
            Route::Neighbor => self.neighbor_in(frame, token),
            Route::Host(from) => self.answer(from, frame, token),
            Route::Refuse(reason) => self.dropped(reason),
        }
    }

    /// Where a frame goes, if its checksums are right.
    #[inline]
    fn route(&self, frame: &[u8], checks: &Checks) -> Route {
        let addrs = self.addresses.own();
        demux(frame, self.config.hardware_addr, addrs, checks)
    }

    /// The segment of a frame that was looked at when it came, or made by hand.
    pub(super) fn route_again(&self, frame: &[u8]) -> Option<Segment> {
        match self.route(frame, &Checks::NONE) {
            Route::Tcp(segment) => Some(segment),
            _ => None,
        }
    }

    fn segment_in<T: TxToken>(
        &mut self,
        segment: &Segment,
        frame: &[u8],
        token: T,
        scheduler: &impl Scheduler,
    ) {
        let known = self.flows.find(self.slots.all(), &segment.flow);
        if let Some(slot) = known {
            self.buffers.fetch(slot);
            if let Some(reader) = self.slots.get(slot).and_then(|slot| slot.rx_waker.as_ref()) {
                scheduler.fetch(reader);
            }
        }
        match known {
            Some(slot) if !self.is_new_life(slot, segment) => {
                self.deliver(slot, segment, frame, token, scheduler);
            }
            _ => self.stranger_in(known, segment, frame, token),
        }
    }

    /// A segment that belongs to no flow, or begins the next life of an old one.
    #[inline(never)]
    fn stranger_in<T: TxToken>(
        &mut self,
        old: Option<u32>,
        segment: &Segment,
        frame: &[u8],
        token: T,
    ) {
        if let Some(old) = old {
            self.reclaim(old);
        } else if let Some(reason) = segment.refusal(self.addresses.own()) {
            return self.dropped(reason);
        }
        let port = self.ports.find(segment.flow.local_port());
        match (port, segment.control) {
            // Behind those who have proved themselves.
            (Some(_), Control::Syn) if self.has_line() => {
                self.give_cookie(segment, frame, token);
            }
            (Some(port), Control::Syn) => match self.place(port) {
                Ok(slot) => self.admit(slot, port, segment, frame, token),
                Err(reason) => self.crowd(port, reason, segment, frame, token),
            },
            (Some(port), Control::Other) if segment.has_ack && self.config.gives_cookies() => {
                self.proof_in(port, segment, frame, token);
            }
            (_, Control::Rst) => (),
            (Some(_), Control::Other) if !segment.has_ack => {
                self.dropped(DropReason::BadSegment);
            }
            _ => self.refuse(segment, token),
        }
    }

    /// Answers a segment that belongs to nobody (RFC 9293, 3.10.7.1). It goes
    /// where the segment came from: nobody need be asked, and nothing is kept.
    pub(super) fn refuse<T: TxToken>(&mut self, segment: &Segment, token: T) {
        let (local, remote) = (segment.flow.local(), segment.flow.remote());
        let syn = usize::from(segment.control == Control::Syn);
        let bare = match segment.has_ack {
            true => Bare {
                flags: RST,
                seq: segment.ack,
                ..Bare::NOTHING
            },
            false => Bare {
                flags: RST | ACK,
                ack: segment.seq + syn + usize::from(segment.payload),
                ..Bare::NOTHING
            },
        };
        let us = (self.config.hardware_addr, local);
        self.send_bare(us, (segment.remote_hardware, remote), &bare, token);
    }

    /// Sends a segment that no socket knows of.
    pub(super) fn send_bare<T: TxToken>(&mut self, from: End, to: End, bare: &Bare, token: T) {
        if let Some(frame) = craft::segment(from, to, bare) {
            self.send(&frame, token);
        }
    }

    /// Sends a frame made by hand.
    pub(super) fn send<T: TxToken>(&mut self, frame: &Frame, token: T) {
        let counted = Counted::new(token, &self.tally);
        counted.consume(frame.len(), |room| room.copy_from_slice(frame));
    }

    /// Lets smoltcp answer a packet that belongs to no slot, such as a ping, to
    /// where it came from.
    fn answer<T: TxToken>(&mut self, from: Hardware, frame: &[u8], token: T) {
        let mut nobody = SocketSet::new(&mut [][..]);
        let mut device = OneShot {
            frame: frame.get(ETHERNET..),
            way: Some(Way::Device(token)),
            link: Some(Link {
                to: &from,
                from: &self.config.hardware_addr,
            }),
            tally: &self.tally,
            capabilities: &self.capabilities,
        };
        let iface = &mut self.iface;
        iface.poll_ingress_single(self.now, &mut device, &mut nobody);
    }

    /// Gives a frame to the slot it belongs to.
    pub(super) fn deliver<T: TxToken>(
        &mut self,
        index: u32,
        segment: &Segment,
        frame: &[u8],
        token: T,
        scheduler: &impl Scheduler,
    ) {
        let Some(mut slot) = self.slots.get(index) else {
            return;
        };
        if slot.known.repeats_all_but_fin(segment)
            && let Some(socket) = slot.socket()
            && Before::of(socket).only_fin_left()
        {
            return self.dropped(DropReason::RepeatedAck);
        }
        let (mut frame, mut control) = (frame, segment.control);
        let probe;
        let connecting = slot.state == State::Connecting;
        let half_open = connecting | (slot.state == State::HalfOpen);
        let verdict = match connecting && !slot.is_syn_received() {
            // smoltcp takes no bytes before its SYN is answered.
            true => Verdict::PassEmpty,
            false => judge(segment, &slot.known, &slot.edge, half_open, self.now),
        };
        match verdict {
            // A peer that moves takes its flow with it.
            Verdict::Pass => slot.peer = segment.remote_hardware,
            Verdict::PassEmpty => (),
            Verdict::PassOnce => slot.known.answered(self.now),
            Verdict::Drop(reason) => return self.dropped(reason),
            Verdict::Challenge(reason) => {
                let made = challenge(segment, &slot.known, self.config.hardware_addr);
                self.dropped(reason);
                let (Some(made), Some(same)) = (made, self.slots.get(index)) else {
                    return;
                };
                (probe, slot) = (made, same);
                (frame, control) = (&probe, Control::Other);
            }
        }
        let Some(set) = (*slot.set).as_mut() else {
            return self.dropped(DropReason::Borrowed);
        };
        let before = Before::of(tcp_of(set));
        self.tally.known.set(slot.known);
        self.tally.edge.set(slot.edge);
        let mut device = OneShot {
            frame: frame.get(ETHERNET..),
            way: Some(Way::Device(token)),
            link: Some(Link {
                to: &slot.peer,
                from: &self.config.hardware_addr,
            }),
            tally: &self.tally,
            capabilities: &self.capabilities,
        };
        self.iface.poll_ingress_single(self.now, &mut device, set);
        slot.known = self.tally.known.get();
        slot.edge = self.tally.edge.get();
        if slot.silent_at != FAR {
            slot.silent_at = patience(self.now, set);
        }
        if segment.payload > 0 {
            slot.pace.heard(self.tick);
        }
        let socket = tcp_of(set);
        let stays = |state| state == tcp::State::Established;
        if slot.state == State::Open && stays(before.state) && stays(socket.state()) {
            // Nearly all segments: the life of the slot has not moved.
            let queued = socket.send_queue();
            let acknowledged = queued < before.unacknowledged;
            let readable = socket.can_recv();
            if acknowledged {
                slot.pace.taken(queued, self.tick);
                slot.wake_tx(index, &mut self.woken);
            }
            if readable
                && let Some(reader) = slot.rx_waker.take()
                && let Some(foreign) = scheduler.wake(reader)
            {
                slot.rx_waker = Some(foreign);
                self.woken.add(index, slot);
            }
        } else {
            let after = socket.state();
            let (known, edge) = (&mut slot.known, &mut slot.edge);
            learn((known, edge), (before.state, after), segment, frame);
            if control == Control::Rst {
                self.notice_reset(index, before);
            }
            self.settle(index, Some(before));
        }
        self.mark_dirty(index);
    }

    /// Whether a segment begins a new connection on the addresses of one that
    /// is in TIME-WAIT (RFC 9293, 3.10.7.4, and RFC 6191).
    pub(super) fn is_new_life(&mut self, index: u32, segment: &Segment) -> bool {
        segment.control == Control::Syn
            && self.slots.get(index).is_some_and(|slot| {
                // The last byte we acknowledged was the peer's FIN.
                slot.state == State::Closing && slot.in_time_wait && segment.seq >= slot.known.acked
            })
    }

    /// Lets those in line in, oldest first, if there is room for them now. Those
    /// whose listener still has none keep their order; a SYN among them gets a
    /// cookie if handshakes do not get on.
    pub(super) fn admit_parked<D: Device + ?Sized>(&mut self, device: &mut D) {
        let doubts = self.lobby.len() > 0 && self.doubts();
        if !core::mem::take(&mut self.room_made) {
            return;
        }
        for _ in 0..self.lobby.len() {
            let Some(parked) = self.lobby.pop() else {
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
                self.lobby.push(parked);
                self.room_made = true;
                continue;
            };
            let frame = parked.frame();
            let Some(port) = self.ports.find(segment.flow.local_port()) else {
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
                self.lobby.push(parked);
            }
        }
    }

    /// Whether somebody waits who has proved itself, and others may as well.
    fn has_line(&self) -> bool {
        self.is_in_doubt() && self.lobby.len() > 0 && !self.lobby.is_full()
    }

    /// The slot that a SYN for this listener gets, or why it gets none. Inlined
    /// here and below: a flood asks this, and a call costs as much as the answer.
    #[inline]
    fn place(&mut self, port: u32) -> Result<u32, DropReason> {
        if !self.ports.has_room(port) {
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
    fn admit<T: TxToken>(
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
        let mut scratch = isn::interface(seed, &self.capabilities, self.now);
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        slot.state = State::HalfOpen;
        slot.port = port;
        slot.known = Known::of_syn(segment.seq);
        slot.peer = segment.remote_hardware;
        slot.give_up = after(self.now, self.config.handshake_timeout);
        slot.pace = Pace::begin(&TimeLimits::NONE, self.now);
        let Some(set) = (*slot.set).as_mut() else {
            return;
        };
        let listening = listen(set, &segment.flow);
        self.tally.known.set(slot.known);
        self.tally.edge.set(slot.edge);
        let mut device = OneShot {
            frame: frame.get(ETHERNET..),
            way: Some(Way::Device(token)),
            link: Some(Link {
                to: &slot.peer,
                from: &self.config.hardware_addr,
            }),
            tally: &self.tally,
            capabilities: &self.capabilities,
        };
        scratch.poll_ingress_single(self.now, &mut device, set);
        slot.known = self.tally.known.get();
        slot.edge = self.tally.edge.get();
        let state = tcp_of(set).state();
        self.ports.admitted(port, &mut self.slots, index);
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
        let patience = self.ports.reclaim(port)?;
        let idle = self.longest_idle(port, patience)?;
        self.reclaim(idle);
        self.take_slot()
    }

    /// Whether somebody in line for this listener would get a slot now: one that
    /// has proved itself also in place of one that has not.
    pub(super) fn has_room(&self, port: u32, proven: bool) -> bool {
        let shy = |there| proven && there;
        let here = shy(self.ports.oldest_half_open(port).is_some());
        let anywhere = shy(self.ports.half_open() > 0);
        (self.ports.has_room(port) || here)
            && (self.slots.has_room() || anywhere)
            && (proven || !self.is_crowded())
    }

    /// There is no place for a SYN. It waits in line, because a burst of honest
    /// peers is served best in its order; but it has to prove itself by a cookie if
    /// others do not, or if somebody would give way for it. When the line is full it
    /// is dropped: its sender tries again.
    #[inline]
    fn crowd<T: TxToken>(
        &mut self,
        port: u32,
        reason: DropReason,
        segment: &Segment,
        frame: &[u8],
        token: T,
    ) {
        let gives_way = self.config.gives_cookies() && reason == DropReason::NoSlot && {
            let patience = self.ports.reclaim(port);
            patience.is_some_and(|patience| self.longest_idle(port, patience).is_some())
        };
        let doubts = self.doubts();
        if gives_way || (doubts && !self.lobby.is_full()) {
            self.give_cookie(segment, frame, token);
        } else if doubts || self.lobby.holds(frame) || !self.lobby.park(frame, self.now) {
            self.dropped(reason);
        } else {
            self.counters.count(|counters| &mut counters.syns_parked);
            self.tell(&Event::Parked(reason));
        }
    }
}

/// What a segment with which smoltcp's state moved says of its flow.
#[cold]
fn learn(
    (known, edge): (&mut Known, &mut Edge),
    states: (tcp::State, tcp::State),
    segment: &Segment,
    frame: &[u8],
) {
    use tcp::State::{CloseWait, Closing, Established, LastAck, SynReceived, SynSent, TimeWait};
    match states {
        (SynSent, SynReceived | Established) => {
            answered_with(known, edge, segment.seq, scale_of(frame).is_some());
        }
        (CloseWait | Closing | LastAck | TimeWait, _) => (),
        (_, CloseWait | Closing | LastAck | TimeWait) => ended_with(known, edge, segment),
        _ => (),
    }
}

/// A segment that makes smoltcp say where it stands, at most once a second per
/// connection: one before the window and empty, like a keep-alive. A peer that
/// meant what was dropped answers with a reset that is exact (RFC 5961, 3.2 and
/// 4.2).
#[cold]
fn challenge(segment: &Segment, known: &Known, us: Hardware) -> Option<Frame> {
    let (local, remote) = (segment.flow.local(), segment.flow.remote());
    let bare = Bare {
        flags: ACK,
        seq: TcpSeqNumber(known.acked.0.wrapping_sub(1)),
        ack: known.sent,
        ..Bare::NOTHING
    };
    craft::segment((segment.remote_hardware, remote), (us, local), &bare)
}
