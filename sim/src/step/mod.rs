//! `sim step`: a debugger of a run. It goes an event forward or back, to an event, to the
//! next drop, and shows what every host does there; the next frame can be lost.
//!
//! ```text
//!   command   what can be said
//!   view      a moment in words
//!   session   does what is said
//!   lines     without a terminal
//!   screen    what a terminal shows, and what keys do; terminal: what is typed
//! ```
//!
//! Not here: the run, and what is known of it. That is `cygnet_world::cursor`.

mod command;
mod lines;
mod screen;
mod session;
mod terminal;
mod view;

use std::path::{Path, PathBuf};

use cygnet_world::cursor::Cursor;

use crate::cli::StepConfig;
use crate::explore::read_plan;
use command::Command;
use screen::Screen;
use session::Session;

/// Goes through a run. Returns 0; 1 or 2 when it came to the end of one that is violated,
/// or in which a fact of the plan never came; 130 when it was interrupted.
///
/// # Errors
/// A line for each mistake in the plan; one about a command, a file, the terminal.
pub fn step(config: &StepConfig) -> Result<u8, String> {
    let plan = read_plan(&config.plan)?;
    let is_screen = config.commands.is_none() && crate::terminal::is_there();
    if is_screen {
        // Before the first run: panics in a run are caught there.
        crate::terminal::restore_at_a_panic();
    }
    let out = config.out.clone().unwrap_or_else(|| lost(&config.plan));
    let mut session = Session::new(Cursor::new(plan), out);
    if let Some(commands) = &config.commands {
        return lines::all(&mut session, commands);
    }
    if !is_screen {
        return lines::from_input(&mut session, config.to);
    }
    let title = config.plan.display().to_string();
    let mut screen = Screen::new(session, title, crate::terminal::wants_color());
    terminal::run(&mut screen, config.to.map(Command::To))
}

/// For the test that a panic leaves a terminal as it was.
#[doc(hidden)]
pub fn panic_on_a_screen() {
    crate::terminal::restore_at_a_panic();
    terminal::panic_while_raw();
}

/// Where a plan with lost frames goes, if nobody says: the plan's name with `-lost`, here.
fn lost(plan: &Path) -> PathBuf {
    let mut name = plan.file_stem().unwrap_or_default().to_owned();
    name.push("-lost.txt");
    PathBuf::from(name)
}
