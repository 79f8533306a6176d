//! Standard output. A reader who goes away, such as `head`, is no failure. A device that
//! is full is one: what was asked for is not there. It is told once, at the end, and the
//! exit status says so.
//!
//! Not here: lines while something runs (`observe.rs`), and the table (`report.rs`).

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

/// The first failure that is one.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Standard output, whose failures [`end`] tells.
#[derive(Clone, Copy, Debug)]
pub struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        note(io::stdout().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        note(io::stdout().flush())
    }
}

fn note<T>(written: io::Result<T>) -> io::Result<T> {
    if let Err(error) = &written
        && !matches!(
            error.kind(),
            io::ErrorKind::BrokenPipe | io::ErrorKind::Interrupted
        )
    {
        let again = || match error.raw_os_error() {
            Some(number) => io::Error::from_raw_os_error(number),
            None => error.kind().into(),
        };
        let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get_or_insert_with(again);
    }
    written
}

/// Writes one line.
pub fn line(line: fmt::Arguments<'_>) {
    let _ = writeln!(Stdout, "{line}");
}

/// How many characters a line of it has, if it is a terminal.
pub fn columns() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let (columns, _) = ratatui::crossterm::terminal::size().ok()?;
    (columns > 0).then_some(columns.into())
}

/// Writes what is left. Gives the status of a program that would end with `status`:
/// not 0 if something could not be written, which is then told.
pub fn end(status: u8) -> u8 {
    let _ = Stdout.flush();
    let failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner).take();
    match failed {
        None => status,
        Some(error) => {
            let _ = writeln!(
                io::stderr(),
                "sim: error: cannot write to standard output: {error}"
            );
            status.max(1)
        }
    }
}
