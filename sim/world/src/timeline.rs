//! What a picture of a run is drawn from: its events with their words, where each
//! frame went, and what led to what. Bounded: the oldest events are let go, but not
//! what still lasts of them.
//!
//! Not here: the picture (`page`).

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use cygnet::event::Event;
use smoltcp::time::Instant;

use super::cause::Causes;
use super::fate::{FrameId, Lost, Way};
use super::fault::Fault;
use super::ids::{End, HostId};
use super::log::{Arrival, Happening, Watch};
use super::passage::Passages;
use super::plan::Plan;
use super::story::Story;

/// So many events are kept, unless somebody wants more or fewer.
pub const EVENTS: usize = 50_000;

/// So many bytes of a frame are kept.
pub const FRAME_BYTES: usize = 96;

/// Faults that began before the first event which is kept, at most.
const OLD_FAULTS: usize = 1 << 10;

/// See the [module](self).
pub struct Timeline {
    story: Story,
    passages: Passages,
    causes: Causes,
    pub(super) entries: VecDeque<Entry>,
    /// The number of the first event that is kept.
    pub(super) first: u64,
    /// The numbers of those that are wanted.
    range: Range<u64>,
    limit: usize,
    /// How many there were, wanted or not.
    pub(super) events: u64,
    pub(super) waits: BTreeMap<(usize, u32), Old>,
    pub(super) faults: VecDeque<Old>,
    pub(super) links: BTreeMap<u32, (End, End)>,
    pub(super) healed: Option<Instant>,
}

/// An event that is not kept, and lasts.
pub(super) struct Old {
    pub(super) number: u64,
    pub(super) at: Instant,
    pub(super) words: String,
}

/// What an event is, as the page draws it; the numbers are those of its script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    In = 0,
    Out = 1,
    Sent = 2,
    Fault = 3,
    Spawned = 4,
    Woken = 5,
    Resumed = 6,
    Yielded = 7,
    Done = 8,
    Dropped = 9,
    Other = 10,
}

/// An event.
pub(super) struct Entry {
    pub(super) at: Instant,
    /// Where; a fault is nowhere.
    pub(super) place: Option<End>,
    pub(super) kind: Kind,
    /// The line of the story, without number, time, and hash.
    pub(super) words: String,
    /// The number of the event that led to it.
    pub(super) cause: Option<u64>,
    pub(super) frame: Option<Frame>,
    pub(super) passage: Option<Passage>,
    task: Option<u32>,
    down: Option<HostId>,
}

/// The first bytes of a frame, and how many it has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Frame {
    pub(super) bytes: usize,
    pub(super) head: Vec<u8>,
}

/// A frame's way through a link.
pub(super) struct Passage {
    pub(super) id: FrameId,
    pub(super) is_twisted: bool,
    pub(super) to: End,
    pub(super) lost: Option<Lost>,
    pub(super) arrivals: Vec<(Instant, Arrival)>,
}

impl Timeline {
    /// For runs of `plan`; keeps the last `limit` of the events with these numbers.
    pub fn new(plan: &Plan, range: Range<u64>, limit: usize) -> Timeline {
        Timeline {
            story: Story::new(plan),
            passages: Passages::default(),
            causes: Causes::default(),
            entries: VecDeque::new(),
            first: range.start,
            range,
            limit: limit.max(1),
            events: 0,
            waits: BTreeMap::new(),
            faults: VecDeque::new(),
            links: BTreeMap::new(),
            healed: None,
        }
    }

    /// The events that are kept.
    pub(super) fn kept(&self) -> Range<u64> {
        self.first..self.first + self.entries.len() as u64
    }

    /// Lets an event go.
    fn forget(&mut self, number: u64, entry: Entry) {
        let old = Old {
            number,
            at: entry.at,
            words: entry.words,
        };
        let task = match entry.place {
            Some(End::Host(host)) => entry.task.map(|task| (host.0, task)),
            _ => None,
        };
        match (entry.kind, task) {
            (Kind::Yielded, Some(task)) => _ = self.waits.insert(task, old),
            (Kind::Woken | Kind::Resumed | Kind::Done, Some(task)) => {
                self.waits.remove(&task);
            }
            (Kind::Fault, _) => {
                if let Some(down) = entry.down {
                    self.waits.retain(|(host, _), _| *host != down.0);
                }
                if self.faults.len() == OLD_FAULTS {
                    self.faults.pop_front();
                }
                self.faults.push_back(old);
            }
            _ => (),
        }
    }
}

impl Watch for Timeline {
    fn happened(&mut self, number: u64, at: Instant, what: &Happening<'_>) {
        self.events = number + 1;
        let line = self.story.line(number, at, what);
        let led = self.passages.happened(number, what);
        let woke = self.causes.happened(number, at, what);
        if let Happening::Sent { frame, ends, .. } = what {
            let (from, to) = *ends;
            let ends = match frame.way {
                Way::Forth => (from, to),
                Way::Back => (to, from),
            };
            self.links.insert(frame.link, ends);
        }
        if number >= self.range.end {
            return;
        }
        let entry = Entry {
            cause: led.or(woke),
            ..entry(at, what, &line)
        };
        if number < self.range.start {
            return self.forget(number, entry);
        }
        if self.entries.len() == self.limit
            && let Some(oldest) = self.entries.pop_front()
        {
            self.first += 1;
            self.forget(self.first - 1, oldest);
        }
        self.entries.push_back(entry);
    }

    fn arrived(&mut self, sent: u64, at: Instant, to: End, how: Arrival) {
        self.passages.arrived(sent, to, how);
        let place = sent.checked_sub(self.first);
        let entry = place.and_then(|place| self.entries.get_mut(place as usize));
        if let Some(passage) = entry.and_then(|entry| entry.passage.as_mut()) {
            passage.arrivals.push((at, how));
        }
    }

    fn healed(&mut self, at: Instant) {
        self.healed = Some(at);
    }
}

fn entry(at: Instant, what: &Happening<'_>, line: &str) -> Entry {
    let words = line.splitn(3, ' ').nth(2).unwrap_or_default();
    let frame = |bytes: &[u8]| Frame {
        bytes: bytes.len(),
        head: bytes[..bytes.len().min(FRAME_BYTES)].to_vec(),
    };
    let mut entry = Entry {
        at,
        place: None,
        kind: Kind::Other,
        words: words.to_owned(),
        cause: None,
        frame: None,
        passage: None,
        task: None,
        down: None,
    };
    match what {
        Happening::Host(host, _, event) => {
            entry.place = Some(End::Host(*host));
            (entry.kind, entry.task) = match **event {
                Event::FrameIn(_) => (Kind::In, None),
                Event::FrameOut(_) => (Kind::Out, None),
                Event::Dropped(_) => (Kind::Dropped, None),
                Event::Spawned { task, .. } => (Kind::Spawned, Some(task)),
                Event::Woken { task } => (Kind::Woken, Some(task)),
                Event::Resumed { task } => (Kind::Resumed, Some(task)),
                Event::Yielded { task, .. } => (Kind::Yielded, Some(task)),
                Event::Done { task, .. } => (Kind::Done, Some(task)),
                _ => (Kind::Other, None),
            };
            if let Event::FrameIn(bytes) | Event::FrameOut(bytes) = event {
                entry.frame = Some(frame(bytes));
                // The page has the bytes themselves.
                if let Some((words, _hash)) = words.rsplit_once(" =") {
                    entry.words = words.to_owned();
                }
            }
        }
        Happening::Sent {
            frame: id,
            ends,
            twists,
            lost,
            bytes,
            ..
        } => {
            entry.kind = Kind::Sent;
            entry.place = Some(ends.0);
            entry.frame = Some(frame(bytes));
            entry.passage = Some(Passage {
                id: *id,
                is_twisted: !twists.is_empty(),
                to: ends.1,
                lost: *lost,
                arrivals: Vec::new(),
            });
        }
        Happening::Turned { host, .. } | Happening::Printed { host, .. } => {
            entry.place = Some(End::Host(*host));
        }
        Happening::Fault(fault) => {
            entry.kind = Kind::Fault;
            if let Fault::Crash(host) | Fault::Boot(host) = fault {
                entry.down = Some(*host);
            }
        }
    }
    entry
}
