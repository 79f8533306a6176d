//! What people see while it runs. An [`Out`] is where lines go; a [`Log`] is an
//! observer that writes the lesson's lines (`Connection from ...`) and, if asked,
//! what goes wrong; [`All`] tells several observers.
//!
//! Not here: the whole story, event by event. That is `trace.rs`.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;

use cygnet::event::{Deadline, DropReason, Event, Observer};
use smoltcp::time::Instant;
use smoltcp::wire::IpEndpoint;

use crate::level::Level;
use crate::report::Format;

/// Where lines go: standard output, or standard error when the output is JSON
/// for a program. Buffered; a reader who goes away is no failure.
pub struct Out {
    writer: RefCell<BufWriter<Box<dyn Write>>>,
    closed: Cell<bool>,
}

impl Out {
    /// The place for lines besides a report of this format.
    pub fn beside(format: Format) -> Out {
        Out::new(match format {
            Format::Table => Box::new(io::stdout()),
            Format::Json => Box::new(io::stderr()),
        })
    }

    /// Lines to this writer.
    pub fn new(writer: Box<dyn Write>) -> Out {
        Out {
            writer: RefCell::new(BufWriter::with_capacity(1 << 16, writer)),
            closed: Cell::new(false),
        }
    }

    /// Writes one line.
    pub fn line(&self, line: fmt::Arguments<'_>) {
        let mut writer = self.writer.borrow_mut();
        if writeln!(writer, "{line}").is_err() {
            self.closed.set(true);
        }
    }

    /// Shows what was written so far.
    pub fn flush(&self) {
        if self.writer.borrow_mut().flush().is_err() {
            self.closed.set(true);
        }
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }
}

/// Several observers as one; each is told in turn.
pub struct All<'o>(pub Vec<&'o dyn Observer>);

impl Observer for All<'_> {
    fn event(&self, now: Instant, event: &Event<'_>) {
        for observer in &self.0 {
            observer.event(now, event);
        }
    }
}

/// Writes a line for what a person wants to know of a server.
pub struct Log<'o> {
    out: &'o Out,
    level: Level,
}

impl<'o> Log<'o> {
    /// Connections from [`Level::Info`] on, resets, deadlines, and drops from
    /// [`Level::Debug`] on.
    pub fn new(out: &'o Out, level: Level) -> Log<'o> {
        Log { out, level }
    }
}

impl Observer for Log<'_> {
    fn event(&self, now: Instant, event: &Event<'_>) {
        let wants = |level| self.level >= level;
        let out = self.out;
        let debug = |what: fmt::Arguments<'_>| {
            if wants(Level::Debug) {
                out.line(format_args!("{} {what}", Stamp(now)));
            }
        };
        match *event {
            Event::Accepted { remote, .. } if wants(Level::Info) => {
                out.line(format_args!("Connection from {}", endpoint(remote)));
            }
            Event::Done { task, failed: true } if wants(Level::Error) => {
                out.line(format_args!("task {task} failed"));
            }
            Event::Reset { slot } => debug(format_args!("#{slot} was reset by the peer")),
            Event::Expired { slot, deadline } => {
                debug(format_args!("#{slot} {}", deadline_words(deadline)));
            }
            Event::Reclaimed { slot } => debug(format_args!("#{slot} left TIME-WAIT early")),
            Event::Freed { slot } => debug(format_args!("#{slot} is free")),
            Event::Dropped(reason) => {
                debug(format_args!("a frame was dropped: {}", drop_words(reason)));
            }
            _ => (),
        }
    }
}

/// A time in seconds, with all its microseconds.
pub struct Stamp(pub Instant);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.total_micros();
        write!(f, "{:>5}.{:06}", micros / 1_000_000, micros % 1_000_000)
    }
}

/// An address and a port as programs take them.
pub fn endpoint(endpoint: IpEndpoint) -> SocketAddr {
    endpoint.into()
}

/// Which deadline passed, in words.
pub fn deadline_words(deadline: Deadline) -> &'static str {
    match deadline {
        Deadline::Handshake => "did not finish its handshake in time",
        Deadline::Connect => "was not answered in time",
        Deadline::Close => "did not finish its close in time",
        Deadline::Stream => "passed a timeout of its stream",
        _ => "passed a deadline",
    }
}

/// Why a frame was dropped, in words.
pub fn drop_words(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Malformed => "malformed",
        DropReason::NotOurs => "not ours",
        DropReason::NotUnicast => "not unicast",
        DropReason::BadSource => "bad source",
        DropReason::Fragment => "fragment",
        DropReason::BacklogFull => "backlog full",
        DropReason::NoSlot => "no slot",
        DropReason::BadSegment => "bad segment",
        DropReason::Borrowed => "borrowed",
        DropReason::Checksum => "checksum",
        DropReason::InexactReset => "inexact reset",
        DropReason::OpenFlow => "SYN for an open flow",
        DropReason::NeverSent => "ACK of data never sent",
        DropReason::Throttled => "out of window",
        DropReason::OldDuplicate => "a connection that is over",
        DropReason::PastEdge => "past the window",
        DropReason::AfterEnd => "after the end",
        DropReason::RepeatedAck => "repeated acknowledgement",
        DropReason::Unsolicited => "unsolicited neighbor",
        _ => "other",
    }
}

/// Every reason, in the order of their numbers.
pub const DROP_REASONS: [DropReason; DropReason::COUNT] = [
    DropReason::Malformed,
    DropReason::NotOurs,
    DropReason::NotUnicast,
    DropReason::BadSource,
    DropReason::Fragment,
    DropReason::BacklogFull,
    DropReason::NoSlot,
    DropReason::BadSegment,
    DropReason::Borrowed,
    DropReason::Checksum,
    DropReason::InexactReset,
    DropReason::OpenFlow,
    DropReason::NeverSent,
    DropReason::Throttled,
    DropReason::RepeatedAck,
    DropReason::Unsolicited,
    DropReason::OldDuplicate,
    DropReason::PastEdge,
    DropReason::AfterEnd,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_words() {
        for (index, reason) in DROP_REASONS.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            assert_ne!(drop_words(reason), "other");
        }
    }

    #[test]
    fn times_are_aligned() {
        let text = Stamp(Instant::from_micros(1_000_050)).to_string();
        assert_eq!(text, "    1.000050");
    }
}
