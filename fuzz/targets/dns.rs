//! What a DNS server says, and time.
#![no_main]

#[path = "../../tests/harness/mod.rs"]
mod harness;
#[path = "../../tests/dns/pelt.rs"]
mod pelt;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| pelt::pelt(data));
