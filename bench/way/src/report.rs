//! What was counted, as a page, and against its limits.

use crate::calls::Calls;
use crate::path::Way;
use crate::{docs, plan};

/// Calls into a file of the core from any other file, for each echo.
const ENTERED: f64 = 120.0;

/// Files of the floors that a reader counts, on each way.
const READ: std::ops::RangeInclusive<u8> = 4..=7;
const FILES: [usize; 2] = [8, 10];

pub fn print(calls: &Calls, ways: &[Way]) {
    let mut between: Vec<_> = calls.between.iter().collect();
    between.sort_by(|a, b| b.1.total_cmp(a.1));
    println!("Calls per echo from one file of src/ into another:");
    for ((from, into), count) in &between {
        println!("{count:>7.2}  {from} -> {into}");
    }
    let sum: f64 = calls.between.values().sum();
    println!("{sum:>7.2}  in all");
    println!(
        "{:>7.2}  with those by way of core and smoltcp",
        calls.entered
    );
    for way in ways {
        println!(
            "\n{}: {} files, {} on floors 4 to 7",
            way.name,
            way.files.len(),
            read(way).len()
        );
        for floor in (0..=9).rev().map(Some).chain([None]) {
            let here = way.files.iter().filter(|file| plan::floor(file) == floor);
            let here: Vec<&str> = here.map(String::as_str).collect();
            if !here.is_empty() {
                let floor = floor.map_or("none".into(), |floor| floor.to_string());
                println!("  floor {floor}: {}", here.join(" "));
            }
        }
        println!("  in order: {}", way.files.join(" "));
    }
}

/// The files of a way that a reader counts.
fn read(way: &Way) -> Vec<&String> {
    let counts = |file: &&String| plan::floor(file).is_some_and(|floor| READ.contains(&floor));
    way.files.iter().filter(counts).collect()
}

/// Whether all is within its limits and as documented; says what is not.
pub fn check(calls: &Calls, ways: &[Way]) -> bool {
    let mut wrong = Vec::new();
    if calls.entered > ENTERED {
        wrong.push(format!(
            "{} calls per echo, of {ENTERED} at most",
            calls.entered
        ));
    }
    for (way, limit) in ways.iter().zip(FILES) {
        let met = read(way);
        if met.len() > limit {
            wrong.push(format!(
                "{}: {} files on floors 4 to 7, of {limit} at most",
                way.name,
                met.len()
            ));
        }
        wrong.extend(compared(way, docs::named(way.name)));
    }
    for wrong in &wrong {
        eprintln!("{wrong}");
    }
    wrong.is_empty()
}

/// The documentation names each file of the floors that a reader counts, in
/// order, and none that is not on the way.
fn compared(way: &Way, named: Result<Vec<String>, String>) -> Vec<String> {
    let named = match named {
        Ok(named) => named,
        Err(why) => return vec![why],
    };
    let mut wrong = Vec::new();
    for file in named.iter().filter(|file| !way.files.contains(file)) {
        wrong.push(format!("{}: {file} is documented, but not on it", way.name));
    }
    let met = read(way);
    let of_those: Vec<&String> = named.iter().filter(|file| met.contains(file)).collect();
    if of_those != met {
        wrong.push(format!(
            "{}: documented {of_those:?}, met {met:?}",
            way.name
        ));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(files: &[&str]) -> Way {
        let files = files.iter().map(|&file| file.into()).collect();
        Way { name: "x", files }
    }

    #[test]
    fn the_documentation_may_leave_out_leaves_and_nothing_else() {
        let way = way(&["src/node.rs", "src/frame/demux.rs", "src/stack/turn.rs"]);
        let said = |files: &[&str]| {
            let files = files.iter().map(|&file| file.into()).collect();
            compared(&way, Ok(files)).len()
        };
        assert_eq!(said(&["src/node.rs", "src/stack/turn.rs"]), 0);
        assert_eq!(
            said(&["src/node.rs", "src/frame/demux.rs", "src/stack/turn.rs"]),
            0
        );
        assert_eq!(said(&["src/stack/turn.rs", "src/node.rs"]), 1);
        assert_eq!(said(&["src/node.rs"]), 1);
        assert_eq!(
            said(&["src/node.rs", "src/stack/turn.rs", "src/gone.rs"]),
            1
        );
        assert_eq!(compared(&way, Err("no block".into())), ["no block"]);
    }
}
