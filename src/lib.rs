//! cygnet
#![no_std]

#[cfg(test)]
extern crate std;

pub mod digest;
pub mod event;
mod event_loop;
pub mod net;
mod node;
pub mod pair;
pub mod service;
mod socket;
pub mod task;

pub use digest::Digest;
pub use event_loop::{Platform, Turn, Turns, event_loop, turns};
pub use net::{Config, ConfigError, Stack, Storage};
pub use node::Node;
pub use socket::*;
pub use task::{Elapsed, ReadySet, Sleep, SpawnError, SpawnRefused, TaskStorage, Tasks};
