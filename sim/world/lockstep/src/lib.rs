//! Firmware that is compiled for the host and runs as one machine of a deterministic
//! network world (`cygnet-world`). It is a process of its own, so its statics are as
//! they are on a board: a reboot is a new process.
//!
//! World and firmware are in lock step: the world sends a turn, with the time and the
//! frames that arrived, and waits for the answer, with frames to send and the moment of
//! the next turn. Nothing else moves time.
//!
//! ```no_run
//! use cygnet_lockstep::{Answer, Firmware};
//!
//! let (mut firmware, boot) = Firmware::start().unwrap();
//! println!("{} is {:02x?}", boot.name, boot.hardware);
//! while let Some(turn) = firmware.turn() {
//!     let frames = turn.frames; // what a real program makes of them
//!     firmware.answer(Answer { frames, next: None, is_done: true });
//! }
//! ```
//!
//! What firmware prints, to standard output or error, is told as lines of its host. It
//! must not take the time, or chance, from elsewhere: two runs of a seed would differ,
//! and the world's tests say so.
//!
//! The feature `embassy` has the half of an embassy program: an executor, a network driver
//! and a time driver.
//!
//! # On the wire
//!
//! Descriptor 0 of the process is a stream socket, in both directions; other languages
//! need no more than this. Numbers are little-endian. A message is the length of what
//! follows it (4 bytes), its kind (1 byte) and its fields:
//!
//! | kind | from | message | fields |
//! |---|---|---|---|
//! | 1 | world | boot | `cygnet` (6 bytes), version (2), Ethernet address (6), IPv4 address (4) and prefix (1), IPv6 address (16) and prefix (1), entropy (32), time (8), name (2 bytes of length, then UTF-8) |
//! | 129 | firmware | ready | `cygnet` (6 bytes), version (2) |
//! | 2 | world | turn | its number (4), time (8), number of frames (2), each with its length (2) |
//! | 130 | firmware | answer | number of the turn (4), next turn (8), 1 if it has nothing left to do (1), number of frames (2), each with its length (2) |
//!
//! Times are microseconds on the machine's own clock; a next turn of 2⁶⁴ − 1 is none.
//! Frames are Ethernet frames without their checksum, 14 to 1514 bytes. A world that is
//! over, or cuts the power, closes the socket. Version 1 is the only one; a change makes
//! another.
#![deny(unsafe_code)]
#![warn(missing_docs)]

#[cfg(all(unix, feature = "embassy"))]
pub mod embassy;
#[cfg(unix)]
mod firmware;
mod message;
mod random;

#[cfg(unix)]
pub use firmware::{Firmware, Refused};
pub use message::{Answer, Boot, FRAME_BYTES, Message, NoMessage, Turn, VERSION};
pub use random::Random;
