//! A run as a trace that ui.perfetto.dev and `trace_processor` read, in the format of
//! TrackEvent: a process for each host, a thread for each task with a slice for each
//! poll, a track beside it for what the task waits for, counters, and arrows from what
//! is sent to what arrives to the task that it wakes.
//!
//! Its time is the world's. Events of one microsecond are a nanosecond apart, in their
//! order. Every one carries its number.
//!
//! Not here: the file (`trace`) and its encoding (`message`).

mod message;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use cygnet::event::Event;
use smoltcp::time::Instant;

use self::trace::{BEGIN, Counter, INSTANT, Note, Trace, Uuid};
use super::cause::Causes;
use super::fate::{FrameId, Way};
use super::fault::Fault;
use super::ids::{End, HostId};
use super::log::{Arrival, Happening, Watch};
use super::passage::Passages;
use super::plan::Plan;
use super::story::{Story, host_names};

/// So many events are known by the frame that they follow from.
const FLOWS: usize = 1 << 18;

/// The process of all links.
const LINKS: u64 = 1 << 16;

/// The process of a host.
fn pid(host: usize) -> u64 {
    host as u64 + 1
}

/// See the [module](self).
pub(super) struct Perfetto<W: Write> {
    trace: Trace<W>,
    story: Story,
    passages: Passages,
    causes: Causes,
    hosts: Vec<Host>,
    links: Vec<String>,
    /// The process of all links, and frames on each, by link and way.
    network: Uuid,
    flights: BTreeMap<(u32, Way), Counter>,
    /// What a frame's arrival takes away from.
    flying: BTreeMap<u64, (FrameId, usize)>,
    /// By which number each frame is followed: that of the event that sent it first.
    flows: BTreeMap<u64, u64>,
}

struct Host {
    process: Uuid,
    frames: Uuid,
    faults: Uuid,
    /// What the host is doing on the track of faults: standing still, being down.
    fault: Option<&'static str>,
    tasks: BTreeMap<u32, Task>,
    slots: BTreeSet<u32>,
    connections: Counter,
    ring: Counter,
}

struct Task {
    thread: Uuid,
    waits: Uuid,
    /// Whether a slice is open: of a poll, of a wait.
    polls: bool,
    is_waiting: bool,
}

impl<W: Write> Perfetto<W> {
    /// For runs of `plan`.
    pub(super) fn new(plan: &Plan, out: W) -> Self {
        let mut trace = Trace::new(out);
        let host = |(number, name)| {
            let process = trace.process(pid(number), name);
            Host {
                process,
                frames: trace.track(process, "frames"),
                faults: trace.track(process, "faults"),
                fault: None,
                tasks: BTreeMap::new(),
                slots: BTreeSet::new(),
                connections: trace.counter(process, "connections", "connections"),
                ring: trace.counter(process, "ring of the card", "frames"),
            }
        };
        let hosts = host_names(plan).enumerate().map(host).collect();
        Perfetto {
            network: trace.process(LINKS, "links"),
            trace,
            story: Story::new(plan),
            passages: Passages::default(),
            causes: Causes::default(),
            hosts,
            links: plan.places.iter().map(|place| place.name.clone()).collect(),
            flights: BTreeMap::new(),
            flying: BTreeMap::new(),
            flows: BTreeMap::new(),
        }
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    /// The first failure.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.trace.finish()
    }

    /// Frames under way on a link, one way: a queue and a cable.
    fn flight(&mut self, frame: FrameId, change: impl FnOnce(&mut usize)) {
        let key = (frame.link, frame.way);
        if !self.flights.contains_key(&key) {
            let name = self.links.get(frame.link as usize);
            let name = name.map_or("a link", String::as_str);
            let way = ["up", "down"][usize::from(frame.way == Way::Back)];
            let name = format!("{name} {way}: under way");
            let counter = self.trace.counter(self.network, &name, "frames");
            self.flights.insert(key, counter);
        }
        if let Some(counter) = self.flights.get_mut(&key) {
            change(&mut counter.value);
            let counter = *counter;
            self.trace.count(counter);
        }
    }

    /// Ends what tasks of a host do: it is down.
    fn end_tasks(&mut self, host: usize) {
        for task in std::mem::take(&mut self.hosts[host].tasks).into_values() {
            self.end(&task);
        }
    }

    fn end(&mut self, task: &Task) {
        if task.is_waiting {
            self.trace.end(task.waits);
        }
        if task.polls {
            self.trace.end(task.thread);
        }
    }

    fn fault(&mut self, fault: &Fault, what: &Note<'_>) {
        let (host, begins, ends) = match *fault {
            Fault::Crash(host) => (host, Some("down"), true),
            Fault::Boot(host) | Fault::Resume(host) => (host, None, true),
            Fault::Pause(host) => (host, Some("paused"), true),
            Fault::Drift(host, _) | Fault::Jump(host, _) => (host, None, false),
            Fault::Partition { .. } | Fault::Change(..) | Fault::Unplug(_) | Fault::Plug(_) => {
                let network = self.network;
                return self.trace.noted(INSTANT, network, what, what.words);
            }
        };
        let track = self.hosts[host.0].faults;
        if ends && self.hosts[host.0].fault.take().is_some() {
            self.trace.end(track);
        }
        if matches!(fault, Fault::Crash(_) | Fault::Boot(_)) {
            self.end_tasks(host.0);
            self.hosts[host.0].ring.value = 0;
            let ring = self.hosts[host.0].ring;
            self.trace.count(ring);
        }
        self.trace.noted(INSTANT, track, what, what.words);
        if let Some(name) = begins {
            self.hosts[host.0].fault = Some(name);
            self.trace.plain(BEGIN, track, name);
        }
    }

    fn host(&mut self, host: HostId, event: &Event<'_>, what: &Note<'_>) {
        match *event {
            Event::Spawned { task, name, line } => self.spawned(host, task, (name, line)),
            Event::Woken { task } | Event::Resumed { task } => {
                let Some(mut known) = self.hosts[host.0].tasks.remove(&task) else {
                    return;
                };
                if std::mem::take(&mut known.is_waiting) {
                    self.trace.end(known.waits);
                }
                let resumed = matches!(event, Event::Resumed { .. });
                let (kind, name) = [(INSTANT, "wake"), (BEGIN, "poll")][usize::from(resumed)];
                known.polls |= resumed;
                self.trace.noted(kind, known.thread, what, name);
                self.hosts[host.0].tasks.insert(task, known);
            }
            Event::Yielded {
                task,
                reason,
                source,
            } => {
                let Some(mut known) = self.hosts[host.0].tasks.remove(&task) else {
                    return;
                };
                self.end(&known);
                (known.polls, known.is_waiting) = (false, true);
                let name = format!("{reason} {source}");
                self.trace.noted(BEGIN, known.waits, what, &name);
                self.hosts[host.0].tasks.insert(task, known);
            }
            Event::Done { task, .. } => {
                if let Some(known) = self.hosts[host.0].tasks.remove(&task) {
                    self.trace.noted(INSTANT, known.thread, what, "done");
                    self.end(&known);
                }
            }
            Event::Admitted { slot, .. } | Event::Connecting { slot, .. } => {
                self.connections(host, |slots| slots.insert(slot));
                self.of_frames(host, what);
            }
            Event::Freed { slot } => {
                self.connections(host, |slots| slots.remove(&slot));
                self.of_frames(host, what);
            }
            Event::FrameIn(_) => {
                let ring = &mut self.hosts[host.0].ring;
                ring.value = ring.value.saturating_sub(1);
                let ring = *ring;
                self.trace.count(ring);
                self.of_frames(host, what);
            }
            _ => self.of_frames(host, what),
        }
    }

    fn spawned(&mut self, host: HostId, task: u32, (name, line): (&str, u32)) {
        let name = match line {
            0 => name.to_owned(),
            line => format!("{name}:{line}"),
        };
        let name = format!("{task} {name}");
        let thread = self.trace.thread(pid(host.0), &name);
        let process = self.hosts[host.0].process;
        let waits = self.trace.track(process, &format!("{name} waits"));
        let spawned = Task {
            thread,
            waits,
            polls: false,
            is_waiting: false,
        };
        self.hosts[host.0].tasks.insert(task, spawned);
    }

    fn connections(&mut self, host: HostId, change: impl FnOnce(&mut BTreeSet<u32>) -> bool) {
        let known = &mut self.hosts[host.0];
        if change(&mut known.slots) {
            known.connections.value = known.slots.len();
            let connections = known.connections;
            self.trace.count(connections);
        }
    }

    /// What happens in a host's stack.
    fn of_frames(&mut self, host: HostId, what: &Note<'_>) {
        let frames = self.hosts[host.0].frames;
        let name = what.words.split(' ').nth(1).unwrap_or("event");
        self.trace.noted(INSTANT, frames, what, name);
    }
}

impl<W: Write> Watch for Perfetto<W> {
    fn happened(&mut self, number: u64, at: Instant, what: &Happening<'_>) {
        self.trace.at(at);
        let line = self.story.line(number, at, what);
        let words = line.splitn(3, ' ').nth(2).unwrap_or_default();
        let led = self.passages.happened(number, what);
        let led = led.or(self.causes.happened(number, at, what));
        let flow = match what {
            Happening::Host(_, _, Event::FrameOut(_)) => Some(number),
            _ => led.and_then(|led| self.flows.get(&led)).copied(),
        };
        self.flows.extend(flow.map(|flow| (number, flow)));
        if self.flows.len() > FLOWS {
            self.flows.pop_first();
        }
        let note = Note {
            number,
            words,
            flow,
        };
        match what {
            Happening::Host(host, _, event) => self.host(*host, event, &note),
            Happening::Fault(fault) => self.fault(fault, &note),
            Happening::Turned { .. } => (),
            Happening::Printed { host, line } => {
                let frames = self.hosts[host.0].frames;
                self.trace.noted(INSTANT, frames, &note, line);
            }
            Happening::Sent {
                frame,
                copies,
                lost,
                ends,
                ..
            } => {
                if *copies > 0 {
                    self.flying.insert(number, (*frame, *copies));
                }
                self.flight(*frame, |under_way| *under_way += copies);
                if let Some(lost) = lost {
                    let track = match ends.0 {
                        End::Host(host) => self.hosts[host.0].frames,
                        _ => self.network,
                    };
                    self.trace.noted(INSTANT, track, &note, lost.words());
                }
            }
        }
    }

    fn arrived(&mut self, sent: u64, at: Instant, to: End, how: Arrival) {
        self.trace.at(at);
        self.passages.arrived(sent, to, how);
        if let Some((frame, copies)) = self.flying.remove(&sent) {
            if copies > 1 {
                self.flying.insert(sent, (frame, copies - 1));
            }
            self.flight(frame, |under_way| *under_way = under_way.saturating_sub(1));
        }
        let End::Host(host) = to else { return };
        let words = match how {
            Arrival::Taken => {
                self.hosts[host.0].ring.value += 1;
                let ring = self.hosts[host.0].ring;
                return self.trace.count(ring);
            }
            Arrival::Down => "lost: the host is down",
            Arrival::RingFull => "lost: the ring of the card is full",
        };
        let flow = self.flows.get(&sent).copied();
        let note = Note {
            number: sent,
            words,
            flow,
        };
        let frames = self.hosts[host.0].frames;
        self.trace.noted(INSTANT, frames, &note, words);
    }

    fn healed(&mut self, at: Instant) {
        self.trace.at(at);
        for host in 0..self.hosts.len() {
            if self.hosts[host].fault.take().is_some() {
                let track = self.hosts[host].faults;
                self.trace.end(track);
            }
        }
        let network = self.network;
        self.trace.plain(INSTANT, network, "all faults end");
    }
}

#[cfg(test)]
mod tests;
