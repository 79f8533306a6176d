//! What lies between the loop and the screen's thread: what is asked, and lines.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cygnet::Connection;

use crate::observe::Out;
use crate::report::Format;
use crate::stdout::Stdout;

/// What the screen asks of the loop.
pub(super) enum Ask {
    /// A moment.
    Look,
    /// A reset.
    Abort(Box<Connection>),
}

/// How many lines are kept.
const LINES: usize = 100;

/// Lines that would go to the terminal while a screen is on it: the last ones are kept for
/// the screen. When that is over they go where they went before.
#[derive(Debug)]
pub struct Kept {
    lines: Mutex<Lines>,
    is_over: AtomicBool,
    format: Format,
}

#[derive(Debug, Default)]
struct Lines {
    all: VecDeque<String>,
    /// So many of the last ones were never on the screen.
    unseen: usize,
}

impl Kept {
    /// For lines beside a report of this format.
    pub fn new(format: Format) -> Arc<Kept> {
        Arc::new(Kept {
            lines: Mutex::default(),
            is_over: AtomicBool::new(false),
            format,
        })
    }

    /// The place for lines.
    pub fn out(self: &Arc<Kept>) -> Out {
        Out::new(Box::new(Keeps(self.clone())))
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many of the last lines, for the screen.
    pub(super) fn last(&self, count: usize) -> Vec<String> {
        let mut lines = self.lines();
        lines.unseen = 0;
        let first = lines.all.len().saturating_sub(count);
        lines.all.range(first..).cloned().collect()
    }

    /// The screen is over: what nobody has seen is written now, and the rest as it comes.
    pub(super) fn over(&self) {
        let mut lines = self.lines();
        self.is_over.store(true, Ordering::Release);
        let first = lines.all.len().saturating_sub(lines.unseen);
        let mut out = self.writer();
        for line in lines.all.drain(..).skip(first) {
            // Whoever went away does not miss it.
            let _ = writeln!(out, "{line}");
        }
        let _ = out.flush();
    }

    fn writer(&self) -> Box<dyn Write> {
        match self.format {
            Format::Table => Box::new(Stdout),
            Format::Json => Box::new(io::stderr()),
        }
    }
}

struct Keeps(Arc<Kept>);

impl Write for Keeps {
    /// Whole lines, because [`Out`] writes those.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lines();
        if self.0.is_over.load(Ordering::Acquire) {
            return self.0.writer().write(bytes);
        }
        let text = String::from_utf8_lossy(bytes);
        let before = lines.all.len();
        lines.all.extend(text.lines().map(String::from));
        lines.unseen += lines.all.len() - before;
        let many = lines.all.len().saturating_sub(LINES);
        lines.all.drain(..many);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.is_over.load(Ordering::Acquire) {
            true => self.0.writer().flush(),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_those_that_were_not_seen_are_known() {
        let kept = Kept::new(Format::Table);
        let out = kept.out();
        for line in 0..LINES + 20 {
            out.line(format_args!("line {line}"));
        }
        out.flush();
        assert_eq!(kept.lines().all.len(), LINES);
        assert_eq!(kept.last(2), ["line 118", "line 119"]);
        assert_eq!(kept.lines().unseen, 0);
        out.line(format_args!("one"));
        out.line(format_args!("more"));
        out.flush();
        assert_eq!(kept.lines().unseen, 2);
        assert_eq!(kept.last(LINES + 1).len(), LINES);
        kept.over();
        assert_eq!(kept.last(1), [""; 0]);
    }
}
