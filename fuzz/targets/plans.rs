//! Text as a plan of `sim world`.
#![no_main]

#[path = "../../sim/tests/read_again/mod.rs"]
mod read_again;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| read_again::read_again(data));
