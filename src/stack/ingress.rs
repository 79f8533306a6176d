//! Frames on their way in: from the demux to the slot they belong to, to a
//! listener, or to nobody.
//!
//! A SYN that finds no place waits in line or gets a cookie; one that finds
//! no place there either is dropped, never reset: the peer tries again.

use smoltcp::iface::SocketSet;
use smoltcp::phy::TxToken;
use smoltcp::socket::tcp;
use smoltcp::wire::TcpSeqNumber;

use crate::counters::DropReason;
use crate::event::Event;
use crate::frame::build::{self, ACK, Bare, End, Frame, RST, scale_of};
use crate::frame::checksum::Checks;
use crate::frame::demux::{Control, Route, Segment, demux};
use crate::frame::link::Hardware;
use crate::rules::guard::{Edge, TcpView, Verdict, answered_with, ended_with, judge};
use crate::scheduler::Scheduler;
use crate::stack::core::Inner;
use crate::stack::lifecycle::{Before, patience};
use crate::stack::one_shot::{Counted, Link, OneShot, Tx};
use crate::table::slot::{State, tcp_of};
use crate::time::FAR;

impl<'a> Inner<'a> {
    pub(crate) fn frame_in<T: TxToken>(
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
    pub(crate) fn route_again(&self, frame: &[u8]) -> Option<Segment> {
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
        let view = self.flows.find(self.slots.all(), &segment.flow);
        if let Some(slot) = view {
            self.buffers.fetch(slot);
            if let Some(reader) = self.slots.get(slot).and_then(|slot| slot.rx_waker.as_ref()) {
                scheduler.fetch(reader);
            }
        }
        match view {
            Some(slot) if !self.is_new_life(slot, segment) => {
                self.deliver(slot, segment, frame, token, scheduler);
            }
            _ => self.stranger_in(view, segment, frame, token),
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
        let port = self.listeners.find(segment.flow.local_port());
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
    pub(crate) fn refuse<T: TxToken>(&mut self, segment: &Segment, token: T) {
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
    pub(crate) fn send_bare<T: TxToken>(&mut self, from: End, to: End, bare: &Bare, token: T) {
        if let Some(frame) = build::segment(from, to, bare) {
            self.send(&frame, token);
        }
    }

    /// Sends a frame made by hand.
    pub(crate) fn send<T: TxToken>(&mut self, frame: &Frame, token: T) {
        let counted = Counted::new(token, &self.tally);
        counted.consume(frame.len(), |room| room.copy_from_slice(frame));
    }

    /// Lets smoltcp answer a packet that belongs to no slot, such as a ping, to
    /// where it came from.
    fn answer<T: TxToken>(&mut self, from: Hardware, frame: &[u8], token: T) {
        let mut nobody = SocketSet::new(&mut [][..]);
        let link = Link {
            to: &from,
            from: &self.config.hardware_addr,
        };
        let mut device = OneShot::of(
            frame,
            Tx::Device(token),
            link,
            &self.tally,
            &self.capabilities,
        );
        let iface = &mut self.iface;
        iface.poll_ingress_single(self.now, &mut device, &mut nobody);
    }

    /// Gives a frame to the slot it belongs to.
    pub(crate) fn deliver<T: TxToken>(
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
        if slot.view.repeats_all_but_fin(segment)
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
            false => judge(segment, &slot.view, &slot.edge, half_open, self.now),
        };
        match verdict {
            // A peer that moves takes its flow with it.
            Verdict::Pass => slot.peer = segment.remote_hardware,
            Verdict::PassEmpty => (),
            Verdict::PassOnce => slot.view.answered(self.now),
            Verdict::Drop(reason) => return self.dropped(reason),
            Verdict::Challenge(reason) => {
                let made = challenge(segment, &slot.view, self.config.hardware_addr);
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
        self.iface.poll_ingress_single(self.now, &mut device, set);
        slot.view = self.tally.view.get();
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
                self.woken.add(index, &mut slot.next_woken);
            }
        } else {
            let after = socket.state();
            let (view, edge) = (&mut slot.view, &mut slot.edge);
            learn((view, edge), (before.state, after), segment, frame);
            if control == Control::Rst {
                self.notice_reset(index, before);
            }
            self.settle(index, Some(before));
        }
        self.mark_dirty(index);
    }

    /// Whether a segment begins a new connection on the addresses of one that
    /// is in TIME-WAIT (RFC 9293, 3.10.7.4, and RFC 6191).
    pub(crate) fn is_new_life(&mut self, index: u32, segment: &Segment) -> bool {
        segment.control == Control::Syn
            && self.slots.get(index).is_some_and(|slot| {
                // The last byte we acknowledged was the peer's FIN.
                slot.state == State::Closing
                    && slot.in_time_wait
                    && segment.seq >= slot.view.rcv_nxt
            })
    }
}

/// What a segment with which smoltcp's state moved says of its flow.
#[cold]
fn learn(
    (view, edge): (&mut TcpView, &mut Edge),
    states: (tcp::State, tcp::State),
    segment: &Segment,
    frame: &[u8],
) {
    use tcp::State::{CloseWait, Closing, Established, LastAck, SynReceived, SynSent, TimeWait};
    match states {
        (SynSent, SynReceived | Established) => {
            answered_with(view, edge, segment.seq, scale_of(frame).is_some());
        }
        (CloseWait | Closing | LastAck | TimeWait, _) => (),
        (_, CloseWait | Closing | LastAck | TimeWait) => ended_with(view, edge, segment),
        _ => (),
    }
}

/// A segment that makes smoltcp say where it stands, at most once a second per
/// connection: one before the window and empty, like a keep-alive. A peer that
/// meant what was dropped answers with a reset that is exact (RFC 5961, 3.2 and
/// 4.2).
#[cold]
fn challenge(segment: &Segment, view: &TcpView, us: Hardware) -> Option<Frame> {
    let (local, remote) = (segment.flow.local(), segment.flow.remote());
    let bare = Bare {
        flags: ACK,
        seq: TcpSeqNumber(view.rcv_nxt.0.wrapping_sub(1)),
        ack: view.snd_max,
        ..Bare::NOTHING
    };
    build::segment((segment.remote_hardware, remote), (us, local), &bare)
}
