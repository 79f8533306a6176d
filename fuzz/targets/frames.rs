//! Frames as they come, to a host with open connections.
#![no_main]

#[path = "../../tests/harness/mod.rs"]
mod harness;

use harness::storm::{Bytes, hail};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hail(Bytes::new(data)));
