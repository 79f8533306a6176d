//! What a run leaves behind: a line for every event, a capture of every frame.
//! Both name the same event by the same number, so that what looks odd in
//! Wireshark is found in the lines, and the other way around.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::rc::Rc;

use cygnet::event::Event;
use smoltcp::time::Instant;

use crate::capture::{CaptureFile, Direction, Epoch};
use crate::frame::is_damaged;
use crate::plan::Plan;
use crate::story::{Story, host_names};
use crate::{Happening, Watch};

/// The first line of a file of events.
pub const EVENTS_HEAD: &str = "cygnet-events 1";

/// Writes what is asked for.
pub struct Files {
    events: Option<(BufWriter<File>, Story)>,
    capture: Option<CaptureFile>,
    notes: Rc<Notes>,
}

/// What the files' writer has to say after the run.
#[derive(Default)]
pub struct Notes {
    /// The first failure; the run goes on without that file.
    pub failed: RefCell<Option<String>>,
    /// Frames in the capture that a host received damaged: what cannot be read,
    /// or has a wrong checksum.
    pub damaged: Cell<u64>,
}

impl Files {
    /// Opens the files; `None` when none is asked for.
    pub fn open(
        plan: &Plan,
        events: Option<&Path>,
        pcap: Option<&Path>,
    ) -> Result<Option<(Files, Rc<Notes>)>, String> {
        if events.is_none() && pcap.is_none() {
            return Ok(None);
        }
        let named = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        let events = events.map(|path| {
            let mut file = BufWriter::new(File::create(path).map_err(|error| named(path, error))?);
            writeln!(file, "{EVENTS_HEAD}").map_err(|error| named(path, error))?;
            Ok::<_, String>((file, Story::new(plan)))
        });
        let names: Vec<&str> = host_names(plan).collect();
        let capture = pcap.map(|path| {
            let file = CaptureFile::create_for(path, &names, Epoch::Virtual);
            file.map_err(|error| error.to_string())
        });
        let notes = Rc::default();
        let files = Files {
            events: events.transpose()?,
            capture: capture.transpose()?,
            notes: Rc::clone(&notes),
        };
        Ok(Some((files, notes)))
    }
}

impl Watch for Files {
    fn happened(&mut self, number: u64, at: Instant, what: &Happening<'_>) {
        if let Some((file, story)) = &mut self.events
            && let Err(error) = writeln!(file, "{}", story.line(number, at, what))
        {
            *self.notes.failed.borrow_mut() = Some(format!("the events are incomplete: {error}"));
            self.events = None;
        }
        let Some(capture) = &mut self.capture else {
            return;
        };
        let (host, direction, frame) = match what {
            Happening::Host(host, _, Event::FrameIn(frame)) => (host, Direction::In, frame),
            Happening::Host(host, _, Event::FrameOut(frame)) => (host, Direction::Out, frame),
            _ => return,
        };
        if matches!(direction, Direction::In) && is_damaged(frame) {
            self.notes.damaged.set(self.notes.damaged.get() + 1);
        }
        let comment = format!("event {number}");
        capture.record(host.number(), at, direction, frame, Some(&comment));
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if let Some((file, _)) = &mut self.events
            && let Err(error) = file.flush()
        {
            *self.notes.failed.borrow_mut() = Some(format!("the events are incomplete: {error}"));
        }
    }
}
