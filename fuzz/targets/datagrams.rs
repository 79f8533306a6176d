//! Datagrams, to a host whose program binds, connects, listens and sends.
#![no_main]

#[path = "../../tests/harness/mod.rs"]
mod harness;
#[path = "../../tests/udp/pelt.rs"]
mod pelt;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| pelt::pelt(data));
