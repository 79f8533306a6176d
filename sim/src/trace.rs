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
    /// The tasks' names by number; a number may be used again.
    names: RefCell<Vec<String>>,
    sequences: &'o RefCell<Sequences>,
}

impl<'o> Trace<'o> {
    /// A trace of the host with this name. Hosts on the same wire share
    /// `sequences`, so that numbers mean the same on both sides.
    pub fn new(host: &'static str, out: &'o Out, sequences: &'o RefCell<Sequences>) -> Trace<'o> {
        Trace {
            host,
            out,
            names: RefCell::default(),
            sequences,
        }
    }

    /// The line above all others.
    pub fn head(out: &Out) {
        out.line(format_args!("{:>12}  host    what     who", "time/s"));
    }

    fn line(&self, now: Instant, what: &str, who: fmt::Arguments<'_>) {
        let host = self.host;
        self.out
            .line(format_args!("{}  {host:<6}  {what:<7}  {who}", Stamp(now)));
    }

    fn task(&self, now: Instant, what: &str, task: u32, more: fmt::Arguments<'_>) {
        let names = self.names.borrow();
        let name = names.get(task as usize).map_or("?", String::as_str);
        self.line(now, what, format_args!("{task} {name}{more}"));
    }

    fn name(&self, task: u32, name: &str, line: u32) {
        let mut names = self.names.borrow_mut();
        let task = task as usize;
        if names.len() <= task {
            names.resize(task + 1, String::new());
        }
        names[task] = match line {
            0 => name.to_owned(),
            line => format!("{name}:{line}"),
        };
    }
}

impl Observer for Trace<'_> {
    fn event(&self, now: Instant, event: &Event<'_>) {
        let say = |what: &str, who: fmt::Arguments<'_>| self.line(now, what, who);
        let nothing = format_args!("");
        match *event {
            Event::FrameIn(frame) => {
                let summary = summary(frame, &mut self.sequences.borrow_mut());
                say("recv", format_args!("{summary}"));
            }
            Event::FrameOut(frame) => {
                let summary = summary(frame, &mut self.sequences.borrow_mut());
                say("send", format_args!("{summary}"));
            }
            Event::Dropped(reason) => say("drop", format_args!("{}", drop_words(reason))),
            Event::Parked(reason) => say("park", format_args!("{}", drop_words(reason))),
            Event::Admitted { slot, remote, .. } => {
                say("admit", format_args!("#{slot} {}", endpoint(remote)));
            }
            Event::Accepted { slot, remote } => {
                let remote = endpoint(remote);
                say("accept", format_args!("#{slot} Connection from {remote}"));
            }
            Event::Connecting { slot, remote, .. } => {
                say("connect", format_args!("#{slot} {}", endpoint(remote)));
            }
            Event::Established { slot } => say("open", format_args!("#{slot}")),
            Event::Read { slot, bytes } => say("read", format_args!("#{slot} {}", Bytes(bytes))),
            Event::Written { slot, bytes } => {
                say("write", format_args!("#{slot} {}", Bytes(bytes)));
            }
            Event::Reset { slot } => say("reset", format_args!("#{slot} by the peer")),
            Event::Expired { slot, deadline } => {
                say(
                    "expire",
                    format_args!("#{slot} {}", deadline_words(deadline)),
                );
            }
            Event::Reclaimed { slot } => say("reclaim", format_args!("#{slot}")),
            Event::Freed { slot } => say("free", format_args!("#{slot}")),
            Event::Spawned { task, name, line } => {
                self.name(task, name, line);
                self.task(now, "spawn", task, nothing);
            }
            Event::Woken { task } => self.task(now, "wake", task, nothing),
            Event::Resumed { task } => self.task(now, "resume", task, nothing),
            Event::Yielded {
                task,
                reason,
                source,
            } => self.task(now, "yield", task, format_args!("  ({reason}, {source})")),
            Event::Done { task, failed } => {
                let how = if failed { "  with an error" } else { "" };
                self.task(now, "done", task, format_args!("{how}"));
            }
            _ => (),
        }
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
