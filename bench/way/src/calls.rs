//! Calls between files, as callgrind counted them.

use std::collections::BTreeMap;

use crate::of_core;

/// Calls for each echo.
pub struct Calls {
    /// From one of the core's files into another, by both.
    pub between: BTreeMap<(String, String), f64>,
    /// Into one of the core's files, from any other file: what a closure is called
    /// by is often a function of `core`, and a device's token by smoltcp.
    pub entered: f64,
}

/// From two runs of so many echoes: what both did besides is not counted.
pub fn per_echo(folder: &str, few: u32, many: u32) -> Calls {
    let [fewer, more] = [few, many].map(|echoes| read(&format!("{folder}/{echoes}.calls")));
    let echoes = f64::from(many - few);
    let mut calls = Calls {
        between: BTreeMap::new(),
        entered: 0.0,
    };
    for ((from, into), count) in more {
        let before = fewer.get(&(from.clone(), into.clone()));
        let count = (count - before.unwrap_or(&0.0)) / echoes;
        if let Some(into) = of_core(&into)
            && count > 0.0
        {
            calls.entered += count;
            if let Some(from) = of_core(&from) {
                calls.between.insert((from.into(), into.into()), count);
            }
        }
    }
    calls
}

/// Calls by the files of caller and callee, if these are two. A call out of code
/// that was inlined is one of the function that it was inlined into: there is
/// hardly any in such a build.
fn read(file: &str) -> BTreeMap<(String, String), f64> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let (mut calls, mut from, mut into) = (BTreeMap::new(), "", None);
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("fl=") {
            from = path;
        } else if let Some(path) = line.strip_prefix("cfi=").or(line.strip_prefix("cfl=")) {
            into = Some(path);
        } else if let Some(numbers) = line.strip_prefix("calls=") {
            // No file said: it is the caller's.
            let into = into.take().unwrap_or(from);
            let count: f64 = numbers
                .split(' ')
                .next()
                .and_then(|n| n.parse().ok())
                .expect("a count");
            if into != from {
                *calls.entry((from.to_owned(), into.to_owned())).or_default() += count;
            }
        }
    }
    calls
}
