//! What people see while it runs. An [`Out`] is where lines go; [`All`] tells several
//! observers.
//!
//! Not here: what is said of a server (`log.rs`), and the whole story, event by event
//! (`trace.rs`).

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, BufWriter, Write};

use cygnet::event::{Event, Observer};
use smoltcp::time::Instant;

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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::rc::Rc;

    /// What was written, kept.
    #[derive(Clone, Default)]
    pub(crate) struct Paper(Rc<RefCell<Vec<u8>>>);

    impl Paper {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.borrow().clone()).unwrap()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
