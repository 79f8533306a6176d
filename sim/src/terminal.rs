//! The terminal under a screen: raw while that runs, as it was when it ends, however that
//! happens: by a key, a signal, an error or a panic.
//!
//! Not here: what is drawn, and what is typed (`step`, `top`).

use std::io::{self, IsTerminal, stdout};
use std::panic;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    matches!(*state(), State::Raw)
}

/// Whose the terminal is. A panic of one thread ends what another has begun, and does not
/// come between its halves.
static STATE: Mutex<State> = Mutex::new(State::Shells);

enum State {
    Shells,
    Raw,
    /// There was a panic. It stays the shell's.
    Undone,
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A terminal that is a program's own: key by key, on a second screen. Dropped, it is as it
/// was.
pub(crate) struct Raw;

impl Raw {
    pub(crate) fn new() -> io::Result<Raw> {
        let mut state = state();
        if matches!(*state, State::Undone) {
            return Err(io::Error::other("something has panicked"));
        }
        enable_raw_mode()?;
        *state = State::Raw;
        let entered = execute!(stdout(), EnterAlternateScreen);
        drop(state);
        let raw = Raw;
        entered.map(|()| raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore(State::Shells);
    }
}

/// Once: a second time would bring the cursor back to where it was before the screen.
fn restore(now: State) {
    let mut state = state();
    let is_raw = matches!(*state, State::Raw);
    if !matches!(*state, State::Undone) {
        *state = now;
    }
    if !is_raw {
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
        restore(State::Undone);
        others(panic);
    }));
}
