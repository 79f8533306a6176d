#![doc = include_str!("plan_text/grammar.md")]
//!
//! ```text
//!   write    a plan to its text
//!   lex      a line to its words and options
//!   wrong    what is wrong, with its place
//!   read     a text to its plan: its lines
//!   place    hosts, switches and attackers; strike: what happens to them and to frames
//!   explain  a plan in words
//! ```

mod explain;
mod lex;
mod net;
mod place;
mod read;
mod strike;
mod write;
mod wrong;

pub use read::{Reading, read};
pub(super) use write::since_start;
pub use wrong::{PlanError, PlanErrors};

/// The line of a plan's text that begins with these words, counted from one.
pub fn line_of(text: &str, words: &str) -> usize {
    let begins = |line: &str| {
        let mut line = line.split_whitespace();
        words
            .split_whitespace()
            .all(|word| line.next() == Some(word))
    };
    1 + text.lines().position(begins).unwrap_or(0)
}

#[cfg(test)]
mod tests;
