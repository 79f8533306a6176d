//! What must hold on the board itself, as three images: the core's own tests, a
//! scenario whose digest is the same everywhere, and a count of instructions.
//! They need no network; they run on any board with 64 KiB, and the first two on
//! a host.
#![no_std]

mod cable;
pub mod echoes;
pub mod scenario;
