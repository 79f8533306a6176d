//! What a fuzzer found worth keeping, again, on any toolchain: every file of its
//! corpus through the code of its target. See `fuzz/README.md`.
#![cfg(feature = "lab")]
mod harness;

use harness::corpus;
use harness::storm::{Bytes, hail, storm};

#[test]
fn the_corpus_of_whole_turns_passes() {
    corpus("turns", |bytes| {
        storm(Bytes::new(bytes));
    });
}

#[test]
fn the_corpus_of_frames_passes() {
    corpus("frames", |bytes| hail(Bytes::new(bytes)));
}
