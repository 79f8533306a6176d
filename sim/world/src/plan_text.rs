//! The text of a plan: one fact a line, for people to read and edit.
//!
//! ```text
//! cygnet-plan 1
//! from churn seed 42
//! time heal=10s limit=610s
//! honest
//! host server serve secret=71b3… slots=32 tasks=34 task-bytes=2048 rx=2048 …
//! host c1 visit to=server secret=09aa… lanes=1 visits=all until=10s …
//! at 3s cut c1 up
//! at 4.5s join c1
//! frame c1 up 17 lose
//! frame server down 4 flip 133
//! end
//! ```
//!
//! `#` begins a comment. `up` is from a place to its switch, `down` the other
//! way; a frame's number counts the frames before it on that link that way. The
//! last line is `end`, so that a file that was cut off is noticed.
//!
//! A plan of a test has version 2. It names the links and hosts that the test makes,
//! and `up` is from the first end of a link to its second:
//!
//! ```text
//! cygnet-plan 2
//! test writes_survive_a_reboot seed 33
//! link client-server
//! host client
//! host server
//! at 3s boot server
//! frame client-server up 17 lose
//! end
//! ```
//!
//! ```text
//!   write    a plan to its text
//!   lex      a line to its words and options, and what is wrong with one
//!   read     a text to its plan
//! ```

mod lex;
mod read;
mod write;

pub use lex::PlanError;
pub(super) use write::since_start;

#[cfg(test)]
mod tests;
