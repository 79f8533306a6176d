//! Files in the order in which a frame meets them, from the blocks of code that
//! lackey saw.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::of_core;

/// From a mark to a mark: the core's files that run in between, in the order of
/// their first block.
pub struct Way {
    pub name: &'static str,
    pub files: Vec<String>,
}

/// Names, what was run, the marks.
const WAYS: [(&str, &str, &str, &str); 2] = [
    ("frame to read", "echo", "bytes_given", "bytes_read"),
    ("SYN to accept", "churn", "syn_given", "accepted"),
];

/// The last way of each name.
pub fn ways(folder: &str) -> Vec<Way> {
    let marks = std::fs::read_to_string(format!("{folder}/marks")).expect("marks");
    let address = |name: &str| {
        let found = marks
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        u64::from_str_radix(found.expect("a mark"), 16).expect("an address")
    };
    let all = WAYS.map(|(name, run, from, to)| {
        let blocks = format!("{folder}/{run}.blocks");
        let addresses = between(&blocks, address(from), address(to));
        assert!(
            !addresses.is_empty(),
            "{name}: nothing ran, or marks are missing"
        );
        (name, addresses)
    });
    all.map(|(name, addresses)| Way {
        name,
        files: files(&addresses),
    })
    .into()
}

/// Blocks between the last two such marks, each once.
fn between(blocks: &str, from: u64, to: u64) -> Vec<u64> {
    let (mut last, mut now, mut seen) = (Vec::new(), None::<Vec<u64>>, BTreeSet::new());
    let lines = BufReader::new(File::open(blocks).expect("blocks")).lines();
    for line in lines.map_while(Result::ok) {
        let Some(address) = line.strip_prefix("SB ") else {
            continue;
        };
        let address = u64::from_str_radix(address.trim(), 16).expect("an address");
        if address == from {
            now = Some(Vec::new());
            seen.clear();
        } else if address == to {
            last = now.take().unwrap_or(last);
        } else if let Some(now) = &mut now
            && seen.insert(address)
        {
            now.push(address);
        }
    }
    last
}

/// The files of the core that these are of.
fn files(addresses: &[u64]) -> Vec<String> {
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new("addr2line")
        .arg("-e")
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("addr2line");
    let text: String = addresses
        .iter()
        .map(|address| format!("{address:x}\n"))
        .collect();
    let mut stdin = child.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("addr2line");
    writer.join().expect("a writer").expect("a pipe");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, line) in text.lines().enumerate() {
        // Without a line it is the compiler's own code, which stands in no file.
        let (path, line) = line.rsplit_once(':').unwrap_or((line, "?"));
        if let Some(path) = of_core(path)
            && line != "?"
        {
            found.entry(path).or_insert(place);
        }
    }
    let mut files: Vec<(&str, usize)> = found.into_iter().collect();
    files.sort_by_key(|(_, place)| *place);
    files.into_iter().map(|(path, _)| path.to_owned()).collect()
}
