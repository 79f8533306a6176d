//! The terminal under a screen: raw while that runs, as it was when it ends, however that
//! happens: by a key, a signal, an error or a panic.
//!
//! Not here: what is drawn, and what is typed (`step`, `top`).

use std::io::{self, IsTerminal, stdout};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

/// Whether there is somebody who looks and types.
pub(crate) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Whether colors are wanted (no-color.org).
pub(crate) fn wants_color() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether a [`Raw`] is there, and no panic has undone it.
pub(crate) fn is_raw() -> bool {
    IS_RAW.load(Ordering::Relaxed)
}

static IS_RAW: AtomicBool = AtomicBool::new(false);

/// A terminal that is a program's own: key by key, on a second screen. Dropped, it is as it
/// was.
pub(crate) struct Raw;

impl Raw {
    pub(crate) fn new() -> io::Result<Raw> {
        enable_raw_mode()?;
        IS_RAW.store(true, Ordering::Relaxed);
        let raw = Raw;
        execute!(stdout(), EnterAlternateScreen)?;
        Ok(raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// Once: a second time would bring the cursor back to where it was before the screen.
fn restore() {
    if !IS_RAW.swap(false, Ordering::Relaxed) {
        return;
    }
    // Whoever took the terminal away does not miss it.
    let _ = disable_raw_mode();
    let _ = execute!(stdout(), LeaveAlternateScreen, Show);
}

/// From now on a panic is told on a terminal that is as it was.
pub(crate) fn restore_at_a_panic() {
    let others = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        restore();
        others(panic);
    }));
}
