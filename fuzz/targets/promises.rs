//! Bytes as a frame for the demux, or as a flow and a segment for the guard.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| cygnet::lab::properties::kept(data));
