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

use cygnet::event::{Event, Observer};
use cygnet_world::frame::Sequences;
use cygnet_world::words::{Stamp, Words};
use smoltcp::time::Instant;

use crate::observe::Out;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::tests::Paper;
    use cygnet::event::{Reason, Source};

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
        let text = paper.text();
        assert_eq!(
            text,
            "      time/s  host    what     who\n\
             \x20   0.000050  server  spawn    1 hello\n\
             \x20   0.000050  server  yield    1 hello  (read, #3)\n\
             \x20   0.000050  server  write    #3 12 bytes \"Hello World\\n\"\n"
        );
    }
}
