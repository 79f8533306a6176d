//! The trace itself: packets that name a track, and packets of what happens on one.
//! What cannot be written ends the trace, never the run.
//!
//! Not here: what happens (`perfetto`), and how a message is made of bytes.

use std::io::{self, Write};

use smoltcp::time::Instant;

use super::message::Message;

// Fields of the messages that are written, by message: perfetto/trace/*.proto.
const TRACE_PACKET: u32 = 1;
const PACKET_TIMESTAMP: u32 = 8;
const PACKET_SEQUENCE: u32 = 10;
const PACKET_EVENT: u32 = 11;
const PACKET_TRACK: u32 = 60;
const TRACK_UUID: u32 = 1;
const TRACK_NAME: u32 = 2;
const TRACK_PROCESS: u32 = 3;
const TRACK_THREAD: u32 = 4;
const TRACK_PARENT: u32 = 5;
const TRACK_COUNTER: u32 = 8;
const PROCESS_PID: u32 = 1;
const PROCESS_NAME: u32 = 6;
const THREAD_PID: u32 = 1;
const THREAD_TID: u32 = 2;
const THREAD_NAME: u32 = 5;
const COUNTER_UNIT_NAME: u32 = 6;
const EVENT_NOTE: u32 = 4;
const EVENT_KIND: u32 = 9;
const EVENT_TRACK: u32 = 11;
const EVENT_NAME: u32 = 23;
const EVENT_VALUE: u32 = 30;
const EVENT_FLOW: u32 = 47;
const NOTE_NUMBER: u32 = 3;
const NOTE_TEXT: u32 = 6;
const NOTE_NAME: u32 = 10;

/// Kinds of events.
pub(super) const BEGIN: u64 = 1;
const END: u64 = 2;
pub(super) const INSTANT: u64 = 3;
const COUNTER: u64 = 4;

/// A name of a track, the same in the whole trace.
pub(super) type Uuid = u64;

/// See the [module](self).
pub(super) struct Trace<W: Write> {
    out: W,
    tracks: Uuid,
    threads: u64,
    now: (Instant, u64),
    failed: Option<io::Error>,
}

/// A track of numbers, and the last of them.
#[derive(Clone, Copy)]
pub(super) struct Counter {
    track: Uuid,
    pub(super) value: usize,
}

impl<W: Write> Trace<W> {
    pub(super) fn new(out: W) -> Self {
        Trace {
            out,
            tracks: 0,
            threads: 1 << 20,
            now: (Instant::ZERO, 0),
            failed: None,
        }
    }

    #[cfg(test)]
    pub(super) fn into_inner(self) -> W {
        self.out
    }

    /// What comes next is at this time.
    pub(super) fn at(&mut self, at: Instant) {
        if self.now.0 != at {
            self.now = (at, 0);
        }
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    /// The first failure.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.out.flush(),
        }
    }

    fn write(&mut self, packet: Message) {
        let packet = packet.number(PACKET_SEQUENCE, 1);
        let trace = Message::default().message(TRACE_PACKET, &packet);
        if self.failed.is_none() {
            self.failed = self.out.write_all(trace.bytes()).err();
        }
    }

    fn describe(&mut self, more: impl FnOnce(Message) -> Message) -> Uuid {
        self.tracks += 1;
        let track = Message::default().number(TRACK_UUID, self.tracks);
        let track = more(track);
        self.write(Message::default().message(PACKET_TRACK, &track));
        self.tracks
    }

    pub(super) fn process(&mut self, pid: u64, name: &str) -> Uuid {
        let process = Message::default()
            .number(PROCESS_PID, pid)
            .text(PROCESS_NAME, name);
        self.describe(|track| track.message(TRACK_PROCESS, &process))
    }

    pub(super) fn track(&mut self, parent: Uuid, name: &str) -> Uuid {
        self.describe(|track| track.text(TRACK_NAME, name).number(TRACK_PARENT, parent))
    }

    pub(super) fn counter(&mut self, parent: Uuid, name: &str, unit: &str) -> Counter {
        let counter = Message::default().text(COUNTER_UNIT_NAME, unit);
        let track = self.describe(|track| {
            track
                .text(TRACK_NAME, name)
                .number(TRACK_PARENT, parent)
                .message(TRACK_COUNTER, &counter)
        });
        Counter { track, value: 0 }
    }

    /// Writes an event of a track, at the next nanosecond.
    fn event(&mut self, kind: u64, track: Uuid, more: impl FnOnce(Message) -> Message) {
        let (at, order) = self.now;
        self.now.1 += 1;
        let nanos = (at.total_micros() as u64) * 1000 + order.min(999);
        let event = Message::default()
            .number(EVENT_KIND, kind)
            .number(EVENT_TRACK, track);
        let packet = Message::default()
            .number(PACKET_TIMESTAMP, nanos)
            .message(PACKET_EVENT, &more(event));
        self.write(packet);
    }

    pub(super) fn count(&mut self, counter: Counter) {
        self.event(COUNTER, counter.track, |event| {
            event.number(EVENT_VALUE, counter.value as u64)
        });
    }

    /// A thread of the process `pid`.
    pub(super) fn thread(&mut self, pid: u64, name: &str) -> Uuid {
        self.threads += 1;
        let thread = Message::default()
            .number(THREAD_PID, pid)
            .number(THREAD_TID, self.threads)
            .text(THREAD_NAME, name);
        self.describe(|track| track.message(TRACK_THREAD, &thread))
    }

    /// The end of a slice.
    pub(super) fn end(&mut self, track: Uuid) {
        self.event(END, track, |event| event);
    }

    /// The beginning of a slice, or an instant, with a name and nothing more.
    pub(super) fn plain(&mut self, kind: u64, track: Uuid, name: &str) {
        self.event(kind, track, |event| event.text(EVENT_NAME, name));
    }

    /// The beginning of a slice, or an instant, of an event of the run.
    pub(super) fn noted(&mut self, kind: u64, track: Uuid, note: &Note<'_>, name: &str) {
        self.event(kind, track, |event| note.on(event, name));
    }
}

/// What every event carries.
pub(super) struct Note<'n> {
    pub(super) number: u64,
    pub(super) words: &'n str,
    pub(super) flow: Option<u64>,
}

impl Note<'_> {
    fn on(&self, event: Message, name: &str) -> Message {
        let number = Message::default()
            .text(NOTE_NAME, "event")
            .number(NOTE_NUMBER, self.number);
        let words = Message::default()
            .text(NOTE_NAME, "words")
            .text(NOTE_TEXT, self.words);
        let event = event
            .text(EVENT_NAME, name)
            .message(EVENT_NOTE, &number)
            .message(EVENT_NOTE, &words);
        match self.flow {
            // Number 0 is no flow.
            Some(flow) => event.fixed(EVENT_FLOW, flow + 1),
            None => event,
        }
    }
}
