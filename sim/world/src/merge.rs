//! The summaries of all shards of a test, added up. What does not belong together is
//! refused, and what is missing is named: a sum of less than everything looks too much
//! like one of everything.
//!
//! Not here: what no run showed and one should have. That is for `check`, of shards as
//! of seeds that ran here.

use std::ops::Range;
use std::path::Path;

use super::shard::Shard;
use super::summary::{ENDS, Showed, Summary};

/// So many shards are named.
const NAMED: usize = 10;

/// What all shards of a test came to.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) seeds: Range<u64>,
    pub(super) shards: u64,
    pub(super) showed: Showed,
    /// Which shard failed, with which seed, and how.
    pub(super) failed: Vec<(Shard, u64, String)>,
}

/// Adds up every summary of a test in this folder. `seeds` are those that somebody asked
/// for.
///
/// # Errors
/// What is missing, or does not belong together.
pub(super) fn merge(
    folder: &Path,
    test: &str,
    seeds: Option<&Range<u64>>,
) -> Result<Merged, String> {
    let here = folder.join(test);
    let shown = here.display();
    let wrong = |error| format!("{shown}: {error}: no shard of this test left anything there");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&here).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path.extension().is_some_and(|end| end == ENDS) {
            files.push(path);
        }
    }
    files.sort();
    let mut summaries: Vec<(String, Summary)> = Vec::new();
    for path in files {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?;
        let summary = Summary::read(&text).map_err(|why| format!("{name}: {why}"))?;
        if summary.test != test {
            return Err(format!("{name}: it is of the test {}", summary.test));
        }
        summaries.push((name, summary));
    }
    add(summaries, seeds).map_err(|why| format!("{shown}: {why}"))
}

fn add(summaries: Vec<(String, Summary)>, seeds: Option<&Range<u64>>) -> Result<Merged, String> {
    let Some((leader, first)) = summaries.first().cloned() else {
        return Err("no shard of this test left anything there".into());
    };
    if let Some(seeds) = seeds.filter(|&seeds| *seeds != first.seeds) {
        return Err(format!(
            "{leader} is of the seeds {:?}; CYGNET_SEEDS is {seeds:?}",
            first.seeds
        ));
    }
    let of = first.shard.of();
    let mut merged = Merged {
        seeds: first.seeds.clone(),
        shards: of,
        showed: Showed::default(),
        failed: Vec::new(),
    };
    let mut there: Vec<(Shard, String)> = Vec::new();
    for (name, summary) in summaries {
        let shard = summary.shard;
        for (what, before, now) in [
            (
                "seeds",
                format!("{:?}", first.seeds),
                format!("{:?}", summary.seeds),
            ),
            ("shards", of.to_string(), shard.of().to_string()),
        ] {
            if before != now {
                return Err(format!(
                    "{name} does not belong to {leader}: {what} are {before} there and {now} here"
                ));
            }
        }
        if summary.behaves != first.behaves {
            return Err(format!(
                "{name} does not belong to {leader}: seed {} does not do the same in both. They \
                 are different programs, or something in the test is not of its world: \
                 CYGNET_SEED={} says what",
                first.seeds.start, first.seeds.start
            ));
        }
        if let Some((_, other)) = there.iter().find(|(other, _)| *other == shard) {
            return Err(format!("{other} and {name} are both shard {shard}"));
        }
        there.push((shard, name));
        if let Some((seed, why)) = summary.failed {
            merged.failed.push((shard, seed, why));
        }
        merged.showed.merge(summary.showed);
    }
    let is_there = |index: &u64| there.iter().any(|(shard, _)| shard.index() == *index);
    let missing = of - there.len() as u64;
    if missing > 0 {
        let named = (1..=of).filter(|index| !is_there(index)).take(NAMED);
        let mut named: Vec<String> = named.map(|index| format!("{index}/{of}")).collect();
        if missing > NAMED as u64 {
            named.push(format!("and {} more", missing - NAMED as u64));
        }
        return Err(format!(
            "{missing} of {of} shards are missing: {}. Run them again, then merge",
            named.join(", ")
        ));
    }
    merged.failed.sort_by_key(|(_, seed, _)| *seed);
    let count = merged.seeds.end - merged.seeds.start;
    if merged.failed.is_empty() && merged.showed.runs != count {
        let runs = merged.showed.runs;
        return Err(format!("the shards have {runs} runs, of {count} seeds"));
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::super::summary::tests::summary;
    use super::*;

    fn added(shards: &[&str], change: impl Fn(&mut Summary)) -> Result<Merged, String> {
        let summaries = shards.iter().map(|shard| {
            let mut summary = summary(shard);
            if *shard == shards[shards.len() - 1] {
                change(&mut summary);
            }
            ((*shard).to_owned(), summary)
        });
        add(summaries.collect(), None)
    }

    #[test]
    fn all_shards_are_one_run() {
        let merged = added(&["2/3", "1/3", "3/3"], |_| ()).unwrap();
        let whole = added(&["1/1"], |_| ()).unwrap();
        assert_eq!(merged.showed.digest, whole.showed.digest);
        assert_eq!((merged.showed.runs, merged.shards), (10, 3));
        assert!(merged.failed.is_empty());
        let failed = |summary: &mut Summary| summary.failed = Some((5, "x".into()));
        let merged = added(&["2/2", "1/2"], failed).unwrap();
        assert_eq!(merged.failed, [("1/2".parse().unwrap(), 5, "x".to_owned())]);
    }

    #[test]
    fn what_is_not_everything_is_refused() {
        let none = add(Vec::new(), None).unwrap_err();
        assert!(none.contains("left anything"), "{none}");
        let asked = add(vec![("f".into(), summary("1/1"))], Some(&(0..99))).unwrap_err();
        assert!(asked.contains("0..10; CYGNET_SEEDS is 0..99"), "{asked}");
        type Change = fn(&mut Summary);
        for (shards, change, says) in [
            (
                &["1/3", "3/3"][..],
                (|_| ()) as Change,
                "1 of 3 shards are missing: 2/3.",
            ),
            (&["2/40"], |_| (), "10/40, 11/40, and 29 more"),
            (
                &["1/2", "2/2", "1/2"],
                |_| (),
                "1/2 and 1/2 are both shard 1/2",
            ),
            (&["1/2", "2/3"], |_| (), "shards are 2 there and 3 here"),
            (
                &["1/2", "2/2"],
                |at| at.seeds = 0..11,
                "seeds are 0..10 there and 0..11",
            ),
            (
                &["1/2", "2/2"],
                |at| at.behaves = 7,
                "seed 0 does not do the same",
            ),
            (
                &["1/2", "2/2"],
                |at| at.showed.runs = 4,
                "9 runs, of 10 seeds",
            ),
        ] {
            let error = added(shards, change).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
