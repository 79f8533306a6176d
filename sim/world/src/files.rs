//! What a run leaves behind: a line for every event, a capture of every frame, a page
//! to look at, a trace. All name the same event by the same number, so that what looks odd in
//! Wireshark is found in the lines, and the other way around.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use smoltcp::time::Instant;

use crate::capture::{CaptureFile, Direction, Epoch};
use crate::frame::is_damaged;
use crate::identity::addresses;
use crate::ids::{End, HostId};
use crate::page::{About, page};
use crate::perfetto::Perfetto;
use crate::plan::Plan;
use crate::story::{Story, host_names};
use crate::timeline::{EVENTS, Timeline};
use crate::verdicts::{Packet, Verdicts};
use crate::{Arrival, Happening, Watch};

/// The first line of a file of events.
pub const EVENTS_HEAD: &str = "cygnet-events 1";

/// What is to be left, and where.
#[derive(Clone, Debug, Default)]
pub struct Wanted<'p> {
    /// Every event, a line each.
    pub events: Option<&'p Path>,
    /// Every frame, for Wireshark.
    pub capture: Option<&'p Path>,
    /// A page to look at.
    pub page: Option<&'p Path>,
    /// The numbers of the events that the page has, if they are all that it should have;
    /// without them it has the last [`EVENTS`].
    pub page_events: Option<Range<u64>>,
    /// A trace for ui.perfetto.dev.
    pub perfetto: Option<&'p Path>,
}

/// Writes what is asked for.
pub struct Files {
    events: Option<(BufWriter<File>, Story)>,
    capture: Option<(CaptureFile, Verdicts)>,
    perfetto: Option<Perfetto<BufWriter<File>>>,
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
    page: RefCell<Option<Page>>,
}

/// A page to be written at the end.
struct Page {
    path: PathBuf,
    file: File,
    timeline: Timeline,
}

impl Notes {
    /// After the run: writes what can be written only then, the page.
    ///
    /// # Errors
    /// What went wrong with any of the files: one line.
    pub fn finish(&self, about: &About<'_>) -> Result<(), String> {
        if let Some(mut made) = self.page.take() {
            let html = page(about, &made.timeline);
            let written = made.file.write_all(html.as_bytes());
            written.map_err(|error| named(&made.path, &error))?;
        }
        self.failed.take().map_or(Ok(()), Err)
    }
}

fn named(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

impl Files {
    /// Opens the files; `None` when none is asked for.
    ///
    /// # Errors
    /// A file cannot be made: one line.
    pub fn open(plan: &Plan, wanted: &Wanted<'_>) -> Result<Option<(Files, Rc<Notes>)>, String> {
        let Wanted {
            events,
            capture,
            page,
            page_events,
            perfetto,
        } = wanted;
        if [events, capture, page, perfetto]
            .iter()
            .all(|path| path.is_none())
        {
            return Ok(None);
        }
        let events = events.map(|path| {
            let file = File::create(path).map_err(|error| named(path, &error))?;
            let mut file = BufWriter::new(file);
            writeln!(file, "{EVENTS_HEAD}").map_err(|error| named(path, &error))?;
            Ok::<_, String>((file, Story::new(plan)))
        });
        let names: Vec<&str> = host_names(plan).collect();
        let capture = capture.map(|path| {
            let file = CaptureFile::create_for(path, &names, Epoch::Virtual);
            let mut file = file.map_err(|error| error.to_string())?;
            file.resolve(names.iter().enumerate().flat_map(|(host, name)| {
                let addresses = addresses(HostId(host)).map(Into::into);
                addresses.map(|address| (address, *name))
            }));
            Ok::<_, String>((file, Verdicts::new(plan)))
        });
        let page = page.map(|path| {
            let range = page_events.clone().unwrap_or(0..u64::MAX);
            Ok::<_, String>(Page {
                path: path.into(),
                file: File::create(path).map_err(|error| named(path, &error))?,
                timeline: Timeline::new(plan, range, EVENTS),
            })
        });
        let perfetto = perfetto.map(|path| {
            let file = File::create(path).map_err(|error| named(path, &error))?;
            Ok::<_, String>(Perfetto::new(plan, BufWriter::new(file)))
        });
        let notes = Rc::new(Notes {
            page: RefCell::new(page.transpose()?),
            ..Notes::default()
        });
        let files = Files {
            events: events.transpose()?,
            capture: capture.transpose()?,
            perfetto: perfetto.transpose()?,
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
        if let Some(page) = &mut *self.notes.page.borrow_mut() {
            page.timeline.happened(number, at, what);
        }
        if let Some(trace) = &mut self.perfetto {
            trace.happened(number, at, what);
        }
        if let Some((file, verdicts)) = &mut self.capture {
            while let Some(packet) = verdicts.next(at) {
                record(file, &packet, &self.notes);
            }
            verdicts.happened(number, at, what);
        }
    }

    fn arrived(&mut self, sent: u64, at: Instant, to: End, how: Arrival) {
        if let Some(trace) = &mut self.perfetto {
            trace.arrived(sent, at, to, how);
        }
        if let Some((_, verdicts)) = &mut self.capture {
            verdicts.arrived(sent, at, to, how);
        }
        if let Some(page) = &mut *self.notes.page.borrow_mut() {
            page.timeline.arrived(sent, at, to, how);
        }
    }

    fn healed(&mut self, at: Instant) {
        if let Some(trace) = &mut self.perfetto {
            trace.healed(at);
        }
        if let Some(page) = &mut *self.notes.page.borrow_mut() {
            page.timeline.healed(at);
        }
    }
}

fn record(file: &mut CaptureFile, packet: &Packet, notes: &Notes) {
    let Packet {
        host,
        at,
        direction,
        frame,
        comment,
        ..
    } = packet;
    if matches!(direction, Direction::In) && is_damaged(frame) {
        notes.damaged.set(notes.damaged.get() + 1);
    }
    file.record(host.number(), *at, *direction, frame, Some(comment));
}

impl Drop for Files {
    fn drop(&mut self) {
        if let Some((file, verdicts)) = &mut self.capture {
            while let Some(packet) = verdicts.rest() {
                record(file, &packet, &self.notes);
            }
        }
        if let Some(Err(error)) = self.perfetto.as_mut().map(Perfetto::finish) {
            *self.notes.failed.borrow_mut() = Some(format!("the trace is incomplete: {error}"));
        }
        if let Some((file, _)) = &mut self.events
            && let Err(error) = file.flush()
        {
            *self.notes.failed.borrow_mut() = Some(format!("the events are incomplete: {error}"));
        }
    }
}
