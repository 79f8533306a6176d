//! The results file: what was finished survives Ctrl-C, SIGKILL and a full disk.
//! It only grows, one line at a time: a header, then a line for each finished
//! chunk. A line is a checksum, a space, and JSON that needs no other line; one
//! that was torn has the wrong checksum, and its chunk simply was not finished.
//!
//! One process writes a file at a time: it holds a lock as long as it lives.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::Hasher;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use siphasher::sip::SipHasher13;

use super::order::{Order, differences};
use super::tally::Tally;

/// A finished chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Done {
    /// Of the digests of all its runs, in order.
    pub(super) digest: u128,
    pub(super) tally: Tally,
}

/// What a file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) header: Value,
    pub(super) done: BTreeMap<u64, Done>,
    /// Lines with a wrong checksum.
    pub(super) torn: usize,
}

/// A file that finished chunks are appended to.
pub(super) struct Results {
    path: PathBuf,
    file: File,
}

impl Results {
    /// Opens or makes the file, and gives what was finished before.
    ///
    /// # Errors
    /// One line: somebody else writes it, it is of another order, or the system
    /// does not let us.
    pub(super) fn open(path: &Path, order: &Order) -> Result<(Results, Contents), String> {
        let name = path.display();
        let wrong = |error: io::Error| format!("cannot use the results file {name}: {error}");
        let mut options = OpenOptions::new();
        let options = options.read(true).append(true).create(true);
        let mut file = options.open(path).map_err(wrong)?;
        match file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => {
                return Err(format!(
                    "another sim swarm writes {name}; give this one another --results"
                ));
            }
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        if !file.metadata().map_err(wrong)?.is_file() {
            return Err(format!("{name} is no file; give another --results"));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(wrong)?;
        let header = seal(&order.header());
        if header.starts_with(&text) && text != header {
            // New, or its very first line was torn.
            file.set_len(0).map_err(wrong)?;
            file.write_all(header.as_bytes()).map_err(wrong)?;
            text = header;
        }
        let contents = parse(&text).map_err(|why| {
            format!("{name} cannot be gone on with: {why}; give another --results")
        })?;
        let differences = differences(&contents.header, &order.header(), &[]);
        if !differences.is_empty() {
            return Err(format!(
                "{name} is of another swarm: {}; give the same options, or another --results",
                differences.join(", ")
            ));
        }
        let known = Order::from_header(&contents.header);
        known.map_err(|why| format!("{name}: {why}"))?;
        if strange(&contents, order) {
            return Err(format!("{name} has runs that are not of its shard"));
        }
        if !text.ends_with('\n') {
            // What comes next must not become part of the torn line.
            file.write_all(b"\n").map_err(wrong)?;
        }
        let path = path.to_owned();
        Ok((Results { path, file }, contents))
    }

    /// Adds a finished chunk.
    ///
    /// # Errors
    /// One line: the disk is full, or gone.
    pub(super) fn append(&mut self, chunk: u64, done: &Done) -> Result<(), String> {
        let mut json = done.tally.to_json();
        json["chunk"] = json!(chunk);
        json["digest"] = json!(format!("{:032x}", done.digest));
        let line = seal(&json);
        let result = self.file.write_all(line.as_bytes());
        result.map_err(|error| format!("cannot write to {}: {error}", self.path.display()))
    }

    /// Waits until everything is on the disk.
    pub(super) fn sync(&self) {
        // A file system that cannot do this still has the lines.
        let _ = self.file.sync_data();
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Reads a file that somebody else may still be writing.
///
/// # Errors
/// One line: it cannot be read, or is no results file.
pub(super) fn read(path: &Path) -> Result<(Order, Contents), String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let contents = parse(&text).map_err(|why| format!("{name} is no results file: {why}"))?;
    let order = Order::from_header(&contents.header).map_err(|why| format!("{name}: {why}"))?;
    match strange(&contents, &order) {
        true => Err(format!("{name} has runs that are not of its shard")),
        false => Ok((order, contents)),
    }
}

/// Whether there is a chunk that this order does not have.
fn strange(contents: &Contents, order: &Order) -> bool {
    let mut chunks = contents.done.keys().copied();
    chunks.any(|chunk| chunk >= order.chunks() || !order.shard.takes(chunk))
}

fn parse(text: &str) -> Result<Contents, String> {
    let mut lines = text.split_inclusive('\n');
    let header = lines.next().and_then(unseal);
    let header = header.ok_or("its first line is no header of a swarm")?;
    let mut contents = Contents {
        header,
        done: BTreeMap::new(),
        torn: 0,
    };
    for line in lines.filter(|line| *line != "\n") {
        let Some(json) = unseal(line) else {
            contents.torn += 1;
            continue;
        };
        let read = || -> Option<(u64, Done)> {
            let digest = u128::from_str_radix(json["digest"].as_str()?, 16).ok()?;
            let tally = Tally::from_json(&json)?;
            Some((json["chunk"].as_u64()?, Done { digest, tally }))
        };
        let (chunk, done) = read().ok_or("a whole line makes no sense to this program")?;
        match contents.done.get(&chunk) {
            Some(before) if *before != done => {
                return Err("some runs are there twice, and differ".into());
            }
            _ => contents.done.insert(chunk, done),
        };
    }
    Ok(contents)
}

fn checksum(text: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}

fn seal(json: &Value) -> String {
    let json = json.to_string();
    format!("{:016x} {json}\n", checksum(&json))
}

/// The JSON of a whole line, or nothing.
fn unseal(line: &str) -> Option<Value> {
    let (sum, json) = line.strip_suffix('\n')?.split_once(' ')?;
    let sum = u64::from_str_radix(sum, 16).ok()?;
    (sum == checksum(json)).then_some(())?;
    serde_json::from_str(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::order::tests::order;
    use crate::swarm::tally::tests::tally;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let file = format!("cygnet-results-{}-{name}", std::process::id());
            Scratch(std::env::temp_dir().join(file))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn done(chunk: u64) -> Done {
        Done {
            digest: u128::MAX - u128::from(chunk),
            tally: tally(chunk),
        }
    }

    fn open(path: &Path, seeds: u64) -> Result<(Results, Contents), String> {
        Results::open(path, &order(0..seeds))
    }

    #[test]
    fn what_was_appended_is_there_again() {
        let scratch = Scratch::new("again");
        {
            let (mut results, contents) = open(&scratch.0, 10).unwrap();
            assert_eq!(contents.done.len(), 0);
            results.append(7, &done(7)).unwrap();
            results.append(2, &done(2)).unwrap();
            let error = open(&scratch.0, 10).err().unwrap();
            assert!(error.contains("another sim swarm writes"), "{error}");
        }
        let (_, contents) = open(&scratch.0, 10).unwrap();
        assert_eq!(contents.done, BTreeMap::from([(2, done(2)), (7, done(7))]));
    }

    /// Whatever a SIGKILL leaves of the last line, only that chunk is missing,
    /// and what comes after it is whole.
    #[test]
    fn a_file_torn_anywhere_is_gone_on_with() {
        let scratch = Scratch::new("torn");
        {
            let (mut results, _) = open(&scratch.0, 10).unwrap();
            results.append(1, &done(1)).unwrap();
            results.append(2, &done(2)).unwrap();
        }
        let whole = std::fs::read(&scratch.0).unwrap();
        let ends: Vec<usize> = (0..whole.len()).filter(|&at| whole[at] == b'\n').collect();
        for length in 0..whole.len() {
            std::fs::write(&scratch.0, &whole[..length]).unwrap();
            {
                let (mut results, contents) = open(&scratch.0, 10).unwrap();
                let complete = ends[1..].iter().filter(|&&end| end < length).count();
                assert_eq!(contents.done.len(), complete, "{length} bytes");
                results.append(3, &done(3)).unwrap();
            }
            let (_, contents) = open(&scratch.0, 10).unwrap();
            assert_eq!(contents.done.get(&3), Some(&done(3)), "{length} bytes");
        }
    }

    #[test]
    fn a_flipped_bit_is_a_chunk_that_was_not_finished() {
        let scratch = Scratch::new("flipped");
        {
            let (mut results, _) = open(&scratch.0, 10).unwrap();
            results.append(1, &done(1)).unwrap();
            results.append(2, &done(2)).unwrap();
        }
        let text = std::fs::read_to_string(&scratch.0).unwrap();
        let text = text.replacen("\"runs\":1", "\"runs\":9", 1);
        std::fs::write(&scratch.0, text).unwrap();
        let (_, contents) = open(&scratch.0, 10).unwrap();
        assert_eq!((contents.done.len(), contents.torn), (1, 1));
    }

    #[test]
    fn what_is_not_ours_is_refused_and_left_alone() {
        let scratch = Scratch::new("refused");
        for (text, says) in [
            ("my diary\n".to_owned(), "no header of a swarm"),
            ("my diary".to_owned(), "no header of a swarm"),
            (
                seal(&order(0..7).header()),
                "seeds are 0..7 there and 0..10 here",
            ),
            (
                seal(&order(0..10).header()) + &seal(&json!({"chunk": 3})),
                "makes no sense",
            ),
        ] {
            std::fs::write(&scratch.0, &text).unwrap();
            let error = open(&scratch.0, 10).err().unwrap();
            assert!(error.contains(says), "{error}");
            assert!(error.contains("another --results"), "{error}");
            assert_eq!(std::fs::read_to_string(&scratch.0).unwrap(), text);
        }
    }

    #[test]
    fn a_chunk_of_another_shard_is_refused() {
        let scratch = Scratch::new("strange");
        let mut order = order(0..10);
        order.shard = "1/2".parse().unwrap();
        {
            let (mut results, _) = Results::open(&scratch.0, &order).unwrap();
            results.append(1, &done(1)).unwrap();
        }
        let error = Results::open(&scratch.0, &order).err().unwrap();
        assert!(error.contains("runs that are not of its shard"), "{error}");
        assert_eq!(read(&scratch.0).unwrap_err(), error);
    }
}
