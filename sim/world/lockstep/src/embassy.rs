//! The half of an embassy program: an executor, a network driver and a time driver that
//! are in lock step with the world. The program is what it is on a board, but for the
//! executor of its `main` and where its network driver and its entropy come from:
//!
//! ```ignore
//! #[embassy_executor::main(executor = "cygnet_lockstep::embassy::Executor")]
//! async fn main(spawner: Spawner) {
//!     let board = cygnet_lockstep::embassy::board();
//!     // On a board: a chip's driver, and its random generator.
//!     let (device, seed) = (board.device, board.random.next_u64());
//!     let (stack, runner) = embassy_net::new(device, config, resources, seed);
//!     // …
//! }
//! ```
//!
//! `embassy_time` is the world's time by linking this crate: turn off other drivers of
//! it (`std`), and every platform of `embassy-executor` (`platform-std`).
//!
//! Not here: interrupts, and executors of other priorities. One executor, one thread.

mod clock;
mod device;
mod executor;

pub use device::{Device, Received, Room};
pub use executor::{Board, Executor, board, set_done};
