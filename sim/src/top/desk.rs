//! What lies between the loop and the screen's thread: what is asked, and lines.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cygnet::Connection;

use crate::observe::Out;
use crate::report::Format;

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
    lines: Mutex<VecDeque<String>>,
    /// The screen is over.
    pub(super) is_over: AtomicBool,
    format: Format,
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

    fn lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many of the last lines.
    pub(super) fn last(&self, count: usize) -> Vec<String> {
        let lines = self.lines();
        let first = lines.len().saturating_sub(count);
        lines.range(first..).cloned().collect()
    }
}

struct Keeps(Arc<Kept>);

impl Write for Keeps {
    /// Whole lines, because [`Out`] writes those.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.is_over.load(Ordering::Acquire) {
            return match self.0.format {
                Format::Table => io::stdout().write(bytes),
                Format::Json => io::stderr().write(bytes),
            };
        }
        let mut lines = self.0.lines();
        lines.extend(String::from_utf8_lossy(bytes).lines().map(String::from));
        let many = lines.len().saturating_sub(LINES);
        lines.drain(..many);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.is_over.load(Ordering::Acquire) {
            true => io::stdout().flush(),
            false => Ok(()),
        }
    }
}
