//! Follows a run event by event and knows what every host does after each. The world may
//! be ahead, because a turn is many events: what it did since then waits here.
//!
//! Not here: running the world (`cursor`).

use std::collections::{BTreeMap, VecDeque};

use cygnet::event::{DropReason, Event};
use cygnet::task::TaskState;
use smoltcp::time::Instant;
use smoltcp::wire::IpEndpoint;

use super::change::{Change, OfHost, Segment};
use super::snapshot::{ConnectionView, HostView, Progress, Snapshot, TaskView};
use crate::fate::FrameId;
use crate::ids::End;
use crate::log::{Arrival, Happening, Watch};
use crate::plan::Plan;
use crate::story::Story;

/// So many lines are kept.
const LINES: usize = 1000;

/// So many segments are kept of those that belong to no connection: whoever finds no
/// place waits for one.
const STRANGERS: usize = 1 << 10;

/// An event that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number.
    pub number: u64,
    /// Its line, as a file of events has it.
    pub text: String,
    /// What came to nobody just before it: frames for a host that is off, or whose ring is
    /// full. They are no events.
    pub unheard: Vec<String>,
    /// A frame was lost or dropped, in this event or just before it.
    pub is_drop: bool,
}

/// What happened in the world and was not looked at yet.
enum Ahead {
    Event {
        line: Line,
        at: Instant,
        change: Change,
    },
    Arrived {
        sent: u64,
        to: End,
        how: Arrival,
    },
    Healed,
}

/// Sequence numbers of a connection: where each direction begins, and where the peer's
/// ends.
#[derive(Clone, Copy, Default)]
struct Numbers {
    /// A task of ours asked for it.
    ours: bool,
    out: Option<u32>,
    into: Option<u32>,
    end: Option<u32>,
}

/// See the [module](self).
pub(super) struct Tracker {
    story: Story,
    pub(super) snapshot: Snapshot,
    pub(super) lines: VecDeque<Line>,
    numbers: BTreeMap<(usize, u32), Numbers>,
    /// The last segments that each host received for no connection.
    strangers: Vec<VecDeque<Segment>>,
    unheard: Vec<String>,
    ahead: VecDeque<Ahead>,
    /// Goes on until so many events have happened,
    target: u64,
    /// or until one of them is a drop.
    hunting: bool,
    /// Frames ahead that will arrive.
    sent_ahead: usize,
}

impl Tracker {
    pub(super) fn new(plan: &Plan) -> Tracker {
        let hosts = plan.places.iter().filter(|place| place.role.is_host());
        let hosts: Vec<HostView> = hosts
            .map(|place| HostView {
                name: place.name.clone(),
                is_machine: place.role.is_machine(),
                ..HostView::default()
            })
            .collect();
        Tracker {
            story: Story::new(plan),
            strangers: vec![VecDeque::new(); hosts.len()],
            snapshot: Snapshot {
                hosts,
                ..Snapshot::start()
            },
            lines: VecDeque::new(),
            numbers: BTreeMap::new(),
            unheard: Vec::new(),
            ahead: VecDeque::new(),
            target: 0,
            hunting: false,
            sent_ahead: 0,
        }
    }

    /// Wants to go where so many events have happened.
    pub(super) fn go_to(&mut self, events: u64) {
        (self.target, self.hunting) = (events, false);
        self.catch_up();
    }

    /// Wants to go to the next drop.
    pub(super) fn hunt(&mut self) {
        (self.target, self.hunting) = (u64::MAX, true);
        self.catch_up();
    }

    /// Stays here.
    pub(super) fn stay(&mut self) {
        (self.target, self.hunting) = (self.snapshot.events, false);
    }

    /// Whether it is where it wants to be.
    pub(super) fn is_there(&self) -> bool {
        self.snapshot.events >= self.target
    }

    /// Whether a frame ahead will arrive.
    pub(super) fn sees_a_frame(&self) -> bool {
        self.sent_ahead > 0
    }

    /// The next frame that will arrive, as far as the world is ahead, and its event.
    pub(super) fn next_frame(&self) -> Option<(u64, FrameId)> {
        self.ahead.iter().find_map(|ahead| match ahead {
            Ahead::Event {
                line,
                change: Change::Sent(flight),
                ..
            } if flight.copies > 0 => Some((line.number, flight.frame)),
            _ => None,
        })
    }

    /// The next event, if the world is ahead.
    pub(super) fn next_line(&self) -> Option<&Line> {
        self.ahead.iter().find_map(|ahead| match ahead {
            Ahead::Event { line, .. } => Some(line),
            _ => None,
        })
    }

    /// Whether something came since the last event, which is looked at with the next one.
    #[cfg(test)]
    pub(super) fn has_arrivals(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Looks at what is ahead, as far as it wants to go.
    fn catch_up(&mut self) {
        while !self.is_there() && self.next_line().is_some() {
            self.pass_to_event();
            if let Some(Ahead::Event { line, at, change }) = self.ahead.pop_front() {
                if matches!(&change, Change::Sent(flight) if flight.copies > 0) {
                    self.sent_ahead -= 1;
                }
                self.apply(line, at, change);
            }
        }
    }

    /// What came before the next event.
    fn pass_to_event(&mut self) {
        while let Some(next) = self.ahead.pop_front() {
            match next {
                Ahead::Arrived { sent, to, how } => self.arrive(sent, to, how),
                Ahead::Healed => self.heal(),
                event @ Ahead::Event { .. } => return self.ahead.push_front(event),
            }
        }
    }

    fn apply(&mut self, mut line: Line, at: Instant, change: Change) {
        line.unheard = std::mem::take(&mut self.unheard);
        line.is_drop |= !line.unheard.is_empty();
        self.snapshot.events = line.number + 1;
        self.snapshot.at = at;
        match change {
            Change::Host(host, change) => self.host(host, change),
            Change::Sent(flight) if flight.copies > 0 => {
                self.snapshot.flights.insert(line.number, flight);
            }
            Change::Sent(_) | Change::Nothing => (),
        }
        if self.hunting && line.is_drop {
            self.stay();
        }
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn arrive(&mut self, sent: u64, to: End, how: Arrival) {
        let Some(flight) = self.snapshot.flights.get_mut(&sent) else {
            return;
        };
        flight.copies -= 1;
        if flight.copies == 0 {
            self.snapshot.flights.remove(&sent);
        }
        let End::Host(host) = to else { return };
        let host = &mut self.snapshot.hosts[host.0];
        let why = match how {
            Arrival::Taken => {
                host.ring += 1;
                return;
            }
            Arrival::Down => "is off",
            Arrival::RingFull => "has no room in its card's ring",
        };
        let name = &host.name;
        self.unheard
            .push(format!("the frame of event {sent} is lost: {name} {why}"));
    }

    fn heal(&mut self) {
        self.snapshot.healed = true;
        for host in &mut self.snapshot.hosts {
            (host.is_off, host.is_paused) = (false, false);
        }
    }

    fn host(&mut self, index: usize, change: OfHost) {
        let host = &mut self.snapshot.hosts[index];
        match change {
            OfHost::Received(segment) => {
                host.ring = host.ring.saturating_sub(1);
                if let Some(segment) = segment {
                    self.heard(index, &segment);
                }
            }
            OfHost::Sent(segment) => {
                if let Some(segment) = segment {
                    self.said(index, &segment);
                }
            }
            OfHost::Dropped => host.dropped += 1,
            OfHost::Opened {
                slot,
                local,
                remote,
                ours,
            } => {
                // It is admitted for what its host received: a SYN, or the acknowledgement
                // of a cookie, perhaps some time ago.
                let heard = self.strangers[index].iter().rev();
                let mut heard = heard.filter(|last| !ours && last.to == local);
                let last = heard.find(|last| last.from == remote);
                let numbers = Numbers {
                    ours,
                    into: last.map(|last| last.seq.wrapping_add(u32::from(last.syn))),
                    out: last.and_then(|last| last.ack.filter(|_| !last.syn)),
                    end: None,
                };
                self.numbers.insert((index, slot), numbers);
                host.connections.insert(slot, opened(slot, local, remote));
            }
            OfHost::Established(slot) => {
                let ours = self.numbers.get(&(index, slot));
                let ours = ours.is_some_and(|numbers| numbers.ours);
                if let Some(connection) = host.connections.get_mut(&slot) {
                    // Who connects has it at once; who listens must accept it.
                    connection.progress = match ours {
                        true => Progress::Open,
                        false => Progress::Backlog,
                    };
                }
            }
            OfHost::Accepted(slot) => {
                if let Some(connection) = host.connections.get_mut(&slot) {
                    connection.progress = Progress::Open;
                }
            }
            OfHost::Read(slot, bytes) => {
                if let Some(connection) = host.connections.get_mut(&slot) {
                    connection.read += bytes;
                }
            }
            OfHost::Written(slot, bytes) => {
                if let Some(connection) = host.connections.get_mut(&slot) {
                    connection.written += bytes;
                }
            }
            OfHost::Freed(slot) => _ = host.connections.remove(&slot),
            OfHost::Spawned {
                task,
                name,
                line,
                at,
            } => {
                let view = TaskView {
                    task,
                    name,
                    line,
                    state: TaskState::Ready,
                    is_woken: false,
                    polls: 0,
                    last_poll: at,
                };
                host.tasks.insert(task, view);
            }
            OfHost::Woken(task) => {
                if let Some(task) = host.tasks.get_mut(&task) {
                    task.is_woken = true;
                }
            }
            OfHost::Resumed(task, at) => {
                if let Some(task) = host.tasks.get_mut(&task) {
                    (task.is_woken, task.state) = (false, TaskState::Running);
                    task.polls += 1;
                    task.last_poll = at;
                }
            }
            OfHost::Yielded(task, reason, source) => {
                if let Some(task) = host.tasks.get_mut(&task) {
                    task.state = TaskState::Waiting(reason, source);
                }
            }
            OfHost::Done(task) => _ = host.tasks.remove(&task),
            OfHost::Off | OfHost::On => {
                host.is_off = matches!(change, OfHost::Off);
                host.is_paused = false;
                host.ring = 0;
                host.next_turn = None;
                host.tasks.clear();
                host.connections.clear();
            }
            OfHost::Paused(is_paused) => host.is_paused = is_paused,
            OfHost::Turned(next) => host.next_turn = next,
            OfHost::Printed(line) => host.printed = line,
        }
    }

    /// The connection between two endpoints of a host, and its numbers.
    fn between(
        &mut self,
        index: usize,
        local: IpEndpoint,
        remote: IpEndpoint,
    ) -> Option<(&mut ConnectionView, &mut Numbers)> {
        let mut all = self.snapshot.hosts[index].connections.values_mut();
        let found = all.find(|view| (view.local, view.remote) == (local, remote))?;
        let numbers = self.numbers.entry((index, found.slot)).or_default();
        Some((found, numbers))
    }

    fn heard(&mut self, index: usize, segment: &Segment) {
        let Some((view, numbers)) = self.between(index, segment.to, segment.from) else {
            let strangers = &mut self.strangers[index];
            if strangers.len() == STRANGERS {
                strangers.pop_front();
            }
            return strangers.push_back(*segment);
        };
        if segment.syn {
            numbers.into.get_or_insert(segment.seq.wrapping_add(1));
        }
        if segment.fin {
            let end = segment.seq.wrapping_add(segment.bytes);
            numbers.end.get_or_insert(end);
            view.fin_in = true;
        }
        if let (Some(ack), Some(first)) = (segment.ack, numbers.out) {
            let acked = u64::from(ahead(ack, first)).min(view.written);
            view.acked = view.acked.max(acked);
        }
    }

    fn said(&mut self, index: usize, segment: &Segment) {
        let Some((view, numbers)) = self.between(index, segment.from, segment.to) else {
            return;
        };
        if segment.syn {
            numbers.out = Some(segment.seq.wrapping_add(1));
        }
        view.fin_out |= segment.fin;
        if let (Some(ack), Some(first)) = (segment.ack, numbers.into) {
            let past_end = numbers.end.map_or(0, |end| ahead(ack, end).min(1));
            let received = u64::from(ahead(ack, first).saturating_sub(past_end));
            view.received = view.received.max(received);
        }
    }
}

fn opened(slot: u32, local: IpEndpoint, remote: IpEndpoint) -> ConnectionView {
    ConnectionView {
        slot,
        local,
        remote,
        progress: Progress::Handshake,
        fin_out: false,
        fin_in: false,
        written: 0,
        acked: 0,
        received: 0,
        read: 0,
    }
}

/// A frame that a switch sent to everybody, and that was for somebody else, is no loss.
fn is_drop(event: &Event<'_>) -> bool {
    matches!(event, Event::Dropped(reason) if *reason != DropReason::NotOurs)
}

/// How far a sequence number is ahead of another, and zero when it is behind.
fn ahead(number: u32, of: u32) -> u32 {
    let far = number.wrapping_sub(of);
    if (far as i32) < 0 { 0 } else { far }
}

impl Watch for Tracker {
    fn happened(&mut self, number: u64, at: Instant, what: &Happening<'_>) {
        let is_drop = match what {
            Happening::Sent { copies, .. } => *copies == 0,
            Happening::Host(_, _, event) => is_drop(event),
            _ => false,
        };
        let line = Line {
            number,
            text: self.story.line(number, at, what),
            unheard: Vec::new(),
            is_drop,
        };
        let change = Change::of(what);
        if !self.is_there() {
            // No event is ahead: they were all looked at.
            self.pass_to_event();
            return self.apply(line, at, change);
        }
        if matches!(&change, Change::Sent(flight) if flight.copies > 0) {
            self.sent_ahead += 1;
        }
        self.ahead.push_back(Ahead::Event { line, at, change });
    }

    fn arrived(&mut self, sent: u64, _: Instant, to: End, how: Arrival) {
        self.ahead.push_back(Ahead::Arrived { sent, to, how });
    }

    fn healed(&mut self, _: Instant) {
        self.ahead.push_back(Ahead::Healed);
    }
}
