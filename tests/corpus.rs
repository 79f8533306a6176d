//! What a fuzzer found worth keeping, again, on any toolchain: every file of its
//! corpus through the code of its target. See `fuzz/README.md`.
mod harness;

use std::fs;

use harness::storm::{Bytes, hail, storm};

fn replay(target: &str, run: fn(Bytes<'_>)) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/").to_owned() + target;
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 20, "{folder} is nearly empty");
    for file in files {
        println!("{}", file.display());
        run(Bytes::new(&fs::read(file).unwrap()));
    }
}

#[test]
fn the_corpus_of_whole_turns_passes() {
    replay("turns", |bytes| {
        storm(bytes);
    });
}

#[test]
fn the_corpus_of_frames_passes() {
    replay("frames", hail);
}
