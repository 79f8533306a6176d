//! What a fuzzer found worth keeping, again, on any toolchain: every plan of its
//! corpus, whole or broken, through the reader. See `fuzz/README.md`.
mod read_again;

use std::fs;

#[test]
fn what_a_plan_says_is_read_as_it_was_written() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/plans");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 20, "{folder} is nearly empty");
    for file in files {
        println!("{}", file.display());
        read_again::read_again(&fs::read(file).unwrap());
    }
}
