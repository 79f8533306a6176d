//! Frames on their way in: from the demux to the slot they belong to, to a
//! listener, or to nobody.
//!
//! A SYN that finds no place waits in the lobby; one that finds none there
//! either is dropped, never reset: the peer tries again.

use smoltcp::iface::SocketSet;
use smoltcp::phy::{Device, TxToken};
use smoltcp::socket::tcp;
use smoltcp::wire::{IpListenEndpoint, TcpSeqNumber};

use crate::event::{DropReason, Event};
use crate::net::craft::{Frame, bare_ack};
use crate::net::demux::{Control, Flow, Route, Segment, demux};
use crate::net::guard::{Known, Verdict, judge};
use crate::net::handoff::OneShot;
use crate::net::life::{Before, patience};
use crate::net::slots::{FAR, State, tcp_of};
use crate::net::stack::Inner;

impl<'a> Inner<'a> {
    pub(super) fn frame_in<T: TxToken>(&mut self, frame: &[u8], token: T) {
        self.counters.frames_in += 1;
        self.counters.bytes_in += frame.len() as u64;
        self.tell(&Event::FrameIn(frame));
        match self.route(frame) {
            Route::Tcp(segment) => self.segment_in(&segment, frame, token),
            Route::General { neighbor } => {
                self.answer(frame, token);
                self.neighbor_news |= neighbor;
            }
            Route::Refuse(reason) => self.dropped(reason),
        }
    }

    fn route(&self, frame: &[u8]) -> Route {
        let verify = self.tally.checks.verify;
        demux(
            frame,
            self.config.hardware_addr,
            self.iface.ip_addrs(),
            verify,
        )
    }

    pub(super) fn segment_in<T: TxToken>(&mut self, segment: &Segment, frame: &[u8], token: T) {
        if let Some(slot) = self.flows.find(&segment.flow) {
            if !self.is_new_life(slot, segment) {
                return self.deliver(slot, segment, frame, token);
            }
            self.reclaim(slot);
        } else if let Some(reason) = segment.refusal(self.iface.ip_addrs()) {
            return self.dropped(reason);
        }
        if segment.control == Control::Syn
            && let Some(port) = self.ports.find(segment.flow.local.port)
        {
            return self.admit(port, segment, frame, token);
        }
        self.answer(frame, token);
    }

    /// Lets smoltcp answer a frame that belongs to no slot: ARP, ping, a reset
    /// for a closed port.
    pub(super) fn answer<T: TxToken>(&mut self, frame: &[u8], token: T) {
        let mut nobody = SocketSet::new(&mut [][..]);
        let mut device = OneShot::new(frame, token, &self.tally, &self.capabilities);
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
    ) {
        let Some(slot) = self.slots.get(index) else {
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
        if slot.state == State::Connecting {
            slot.known.acked = segment.seq + 1; // if it is the answer to our SYN
        } else {
            let half_open = slot.state == State::HalfOpen;
            match judge(segment, &slot.known, half_open, self.window_shift, self.now) {
                Verdict::Pass => (),
                Verdict::PassOnce => slot.known.answered(self.now),
                Verdict::Drop(reason) => return self.dropped(reason),
                Verdict::Challenge(reason) => {
                    let made = challenge(frame, segment, &slot.known);
                    self.dropped(reason);
                    let Some(made) = made else { return };
                    probe = made;
                    (frame, control) = (&probe, Control::Other);
                }
            }
        }
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        let Some(set) = (*slot.set).as_mut() else {
            return self.dropped(DropReason::Borrowed);
        };
        let Some(socket) = tcp_of(set) else { return };
        let before = Before::of(socket);
        self.tally.known.set(slot.known);
        let mut device = OneShot::new(frame, token, &self.tally, &self.capabilities);
        let iface = &mut self.iface;
        iface.poll_ingress_single(self.now, &mut device, set);
        slot.known = self.tally.known.get();
        if slot.silent_at != FAR {
            slot.silent_at = patience(self.now, set);
        }
        let established = tcp_of(set).filter(|socket| {
            slot.state == State::Open
                && before.state == tcp::State::Established
                && socket.state() == tcp::State::Established
        });
        match established {
            // Nearly all segments: the life of the slot has not moved.
            Some(socket) => {
                let acknowledged = socket.send_queue() < before.unacknowledged;
                let readable = socket.can_recv();
                if acknowledged {
                    slot.wake_tx();
                }
                if readable {
                    slot.wake_rx();
                }
            }
            None => {
                if control == Control::Rst {
                    self.notice_reset(index, before);
                }
                self.settle(index, Some(before));
            }
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

    /// Lets a SYN wait for a place, or drops it, never resets it: the peer tries
    /// again.
    fn park(&mut self, frame: &[u8], reason: DropReason) {
        if !self.lobby.park(frame, self.now) {
            return self.dropped(reason);
        }
        self.counters.syns_parked += 1;
        self.tell(&Event::Parked(reason));
    }

    /// Lets parked SYNs in, oldest first, if there is room for them now. Those
    /// whose listener still has none keep their order.
    pub(super) fn admit_parked<D: Device + ?Sized>(&mut self, device: &mut D) {
        if !core::mem::take(&mut self.room_made) {
            return;
        }
        for _ in 0..self.lobby.len() {
            let Some(parked) = self.lobby.pop() else {
                return;
            };
            if parked.is_stale(self.now, self.config.handshake_timeout) {
                self.dropped(DropReason::NoSlot);
                continue;
            }
            let frame = parked.frame();
            let Route::Tcp(segment) = self.route(frame) else {
                continue;
            };
            if self.flows.find(&segment.flow).is_some() {
                continue; // a repeated SYN got in before
            }
            // Without its listener the peer's next SYN is answered by a reset.
            let Some(port) = self.ports.find(segment.flow.local.port) else {
                continue;
            };
            match device.transmit(self.now) {
                Some(token) if self.ports.has_room(port) && self.slots.has_room() => {
                    self.admit(port, &segment, frame, token);
                }
                Some(_) => {
                    self.lobby.push(parked);
                }
                None => {
                    self.lobby.push(parked);
                    self.room_made = true;
                }
            }
        }
    }

    /// Takes a slot for a SYN, or lets it wait for one.
    pub(super) fn admit<T: TxToken>(
        &mut self,
        port: u32,
        segment: &Segment,
        frame: &[u8],
        token: T,
    ) {
        if !self.ports.has_room(port) {
            return self.park(frame, DropReason::BacklogFull);
        }
        let Some(index) = self.take_slot() else {
            return self.park(frame, DropReason::NoSlot);
        };
        let mut scratch = self.scratch_interface(&segment.flow);
        let Flow { local, remote } = segment.flow;
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        slot.state = State::HalfOpen;
        slot.port = port;
        slot.known = Known::of_syn(segment.seq);
        slot.give_up = self.now + self.config.handshake_timeout;
        let Some(set) = (*slot.set).as_mut() else {
            return;
        };
        let Some(socket) = tcp_of(set) else { return };
        let endpoint = IpListenEndpoint {
            addr: Some(local.addr),
            port: local.port,
        };
        let listening = socket.listen(endpoint).is_ok();
        self.tally.known.set(slot.known);
        let mut device = OneShot::new(frame, token, &self.tally, &self.capabilities);
        scratch.poll_ingress_single(self.now, &mut device, set);
        slot.known = self.tally.known.get();
        let state = tcp_of(set).map(|socket| socket.state());
        self.ports.admitted(port);
        if !listening
            || state != Some(tcp::State::SynReceived)
            || self.flows.insert(index, segment.flow).is_err()
        {
            self.free(index);
            return self.dropped(DropReason::BadSegment);
        }
        self.counters.syns_admitted += 1;
        self.tell(&Event::Admitted {
            slot: index,
            local,
            remote,
        });
        self.mark_dirty(index);
    }
}

/// A segment that makes smoltcp say where it stands, at most once a second per
/// connection: one before the window and empty, like a keep-alive. A peer that
/// meant what was dropped answers with a reset that is exact (RFC 5961, 3.2 and
/// 4.2).
#[cold]
fn challenge(frame: &[u8], segment: &Segment, known: &Known) -> Option<Frame> {
    let before = TcpSeqNumber(known.acked.0.wrapping_sub(1));
    bare_ack(frame, &segment.flow, before, known.sent)
}
