//! A host that is watched while it runs: by a screen (`sim tap --top`), or as text, which
//! `SIGUSR1` prints.
//!
//! The screen has a thread of its own, because a terminal may be slow and a server must not
//! wait for it. The thread asks for a moment, at most four times a second, and the loop
//! answers after its next turn; nothing of it runs while nobody asks.
//!
//! ```text
//!   watch     the loop's side; desk: what lies between it and the screen
//!   moment    a moment of a host; rates
//!   words     numbers and times in few letters
//!   table     tasks and connections as tables
//!   text      a moment as lines
//!   screen    what a terminal shows, and what keys do
//!   terminal  the screen's thread
//! ```

mod desk;
mod moment;
mod screen;
mod table;
mod terminal;
mod text;
mod watch;
mod words;

pub use desk::Kept;
pub use watch::{Watch, check_terminal, panic_under_a_screen};
