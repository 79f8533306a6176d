//! The lesson, visible: every spawn, wake, resume and yield with its reason and
//! its socket, every frame, every byte that a program took or gave, one line
//! each, with the time.
//!
//! ```text
//!     time/s  host    what     who
//!   0.000000  server  spawn    0 hello
//!   0.000000  server  resume   0 hello
//!   0.000000  server  yield    0 hello  (accept, :5000)
//! ```
//!
//! Not here: choosing lines. `grep` does that.

use std::cell::RefCell;
use std::fmt;

use cygnet::event::{Event, Observer};
use smoltcp::time::Instant;

use crate::frame::{Sequences, summary};
use crate::observe::{Out, Stamp, deadline_words, drop_words, endpoint};

/// The longest piece of a payload that a line shows.
const SHOWN: usize = 32;

/// Writes every event of one host.
pub struct Trace<'o> {
    host: &'static str,
    out: &'o Out,
    words: RefCell<Words>,
    sequences: &'o RefCell<Sequences>,
}

impl<'o> Trace<'o> {
    /// A trace of the host with this name. Hosts on the same wire share
    /// `sequences`, so that numbers mean the same on both sides.
    pub fn new(host: &'static str, out: &'o Out, sequences: &'o RefCell<Sequences>) -> Trace<'o> {
        Trace {
            host,
            out,
            words: RefCell::default(),
            sequences,
        }
    }

    /// The line above all others.
    pub fn head(out: &Out) {
        out.line(format_args!("{:>12}  host    what     who", "time/s"));
    }
}

impl Observer for Trace<'_> {
    fn event(&self, now: Instant, event: &Event<'_>) {
        let mut words = self.words.borrow_mut();
        let (what, who) = words.of(event, &mut self.sequences.borrow_mut());
        let host = self.host;
        self.out
            .line(format_args!("{}  {host:<6}  {what:<7}  {who}", Stamp(now)));
    }
}

/// What happened, and with whom, in words.
#[derive(Debug, Default)]
pub struct Words {
    /// The tasks' names by number; a number may be used again.
    names: Vec<String>,
}

impl Words {
    /// The words for one event of a host.
    pub fn of(&mut self, event: &Event<'_>, sequences: &mut Sequences) -> (&'static str, String) {
        match *event {
            Event::FrameIn(frame) => ("recv", summary(frame, sequences)),
            Event::FrameOut(frame) => ("send", summary(frame, sequences)),
            Event::Dropped(reason) => ("drop", drop_words(reason).to_string()),
            Event::Parked(reason) => ("park", drop_words(reason).to_string()),
            Event::Admitted { slot, remote, .. } => {
                ("admit", format!("#{slot} {}", endpoint(remote)))
            }
            Event::Accepted { slot, remote } => {
                let remote = endpoint(remote);
                ("accept", format!("#{slot} Connection from {remote}"))
            }
            Event::Connecting { slot, remote, .. } => {
                ("connect", format!("#{slot} {}", endpoint(remote)))
            }
            Event::Established { slot } => ("open", format!("#{slot}")),
            Event::Read { slot, bytes } => ("read", format!("#{slot} {}", Bytes(bytes))),
            Event::Written { slot, bytes } => ("write", format!("#{slot} {}", Bytes(bytes))),
            Event::Reset { slot } => ("reset", format!("#{slot} by the peer")),
            Event::Expired { slot, deadline } => {
                ("expire", format!("#{slot} {}", deadline_words(deadline)))
            }
            Event::Reclaimed { slot } => ("reclaim", format!("#{slot}")),
            Event::Freed { slot } => ("free", format!("#{slot}")),
            Event::Spawned { task, name, line } => {
                self.name(task, name, line);
                ("spawn", self.task(task))
            }
            Event::Woken { task } => ("wake", self.task(task)),
            Event::Resumed { task } => ("resume", self.task(task)),
            Event::Yielded {
                task,
                reason,
                source,
            } => {
                let task = self.task(task);
                ("yield", format!("{task}  ({reason}, {source})"))
            }
            Event::Done { task, failed } => {
                let how = if failed { "  with an error" } else { "" };
                ("done", format!("{}{how}", self.task(task)))
            }
            ref other => ("event", format!("{other:?}")),
        }
    }

    fn task(&self, task: u32) -> String {
        let name = self.names.get(task as usize).map_or("?", String::as_str);
        format!("{task} {name}")
    }

    fn name(&mut self, task: u32, name: &str, line: u32) {
        let task = task as usize;
        if self.names.len() <= task {
            self.names.resize(task + 1, String::new());
        }
        self.names[task] = match line {
            0 => name.to_owned(),
            line => format!("{name}:{line}"),
        };
    }
}

/// How many bytes, and the first of them as text.
struct Bytes<'b>(&'b [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(SHOWN)];
        let more = if shown.len() < self.0.len() {
            "..."
        } else {
            ""
        };
        let count = self.0.len();
        write!(f, "{count} bytes \"{}\"{more}", shown.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cygnet::event::{Reason, Source};
    use std::io::Write;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Paper(Rc<RefCell<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_says_when_who_and_why() {
        let paper = Paper::default();
        let out = Out::new(Box::new(paper.clone()));
        let sequences = RefCell::default();
        let trace = Trace::new("server", &out, &sequences);
        let at = Instant::from_micros(50);
        Trace::head(&out);
        let (name, line) = ("hello", 0);
        trace.event(
            at,
            &Event::Spawned {
                task: 1,
                name,
                line,
            },
        );
        let (reason, source) = (Reason::Read, Source::Stream(3));
        trace.event(
            at,
            &Event::Yielded {
                task: 1,
                reason,
                source,
            },
        );
        let bytes = b"Hello World\n";
        trace.event(at, &Event::Written { slot: 3, bytes });
        out.flush();
        let text = String::from_utf8(paper.0.borrow().clone()).unwrap();
        assert_eq!(
            text,
            "      time/s  host    what     who\n\
             \x20   0.000050  server  spawn    1 hello\n\
             \x20   0.000050  server  yield    1 hello  (read, #3)\n\
             \x20   0.000050  server  write    #3 12 bytes \"Hello World\\n\"\n"
        );
    }
}
