//! What people see while it runs. An [`Out`] is where lines go; a [`Log`] is an
//! observer that writes the lesson's lines (`Connection from ...`) and, if asked,
//! what goes wrong; [`All`] tells several observers.
//!
//! Not here: the whole story, event by event. That is `trace.rs`.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, BufWriter, Write};

use cygnet::event::{Event, Observer};
use cygnet_world::words::{Stamp, deadline_words, drop_words, endpoint};
use smoltcp::time::Instant;

use crate::level::Level;
use crate::report::Format;
use crate::stdout::Stdout;

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
            Format::Table => Box::new(Stdout),
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
