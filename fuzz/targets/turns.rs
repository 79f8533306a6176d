//! Whole turns: what a peer sends, what the program does and how time passes,
//! all decided by the fuzzer's bytes.
#![no_main]

#[path = "../../tests/harness/mod.rs"]
mod harness;

use harness::storm::{Bytes, storm};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    storm(Bytes::new(data));
});
