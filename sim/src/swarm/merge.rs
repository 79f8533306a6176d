//! `sim swarm-merge`: the results of all shards add up to the summary that one
//! machine would have printed. What does not belong together is refused, and what
//! is missing is named: a sum of less than everything looks too much like one of
//! everything.

use std::io::Write;
use std::path::PathBuf;

use super::order::differences;
use super::results::read;
use super::sum::Sum;
use crate::level::Level;
use crate::report::Format;
use cygnet_world::shard::Shard;

/// So many missing ranges of seeds are named.
const NAMED: usize = 10;

/// `sim swarm-merge`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct MergeConfig {
    /// The results of every shard.
    pub files: Vec<PathBuf>,
    /// How to print the summary.
    pub format: Format,
}

/// Runs it. Returns the exit status: 0 without violations, 1 with, or when
/// something is missing.
///
/// # Errors
/// One line: a file that cannot be read, or does not belong to the others.
pub fn merge(config: &MergeConfig, level: Level) -> Result<u8, String> {
    let mut sum = Sum::new();
    let mut first = None;
    let mut shards: Vec<(Shard, String)> = Vec::new();
    for path in &config.files {
        let name = path.display().to_string();
        let (order, contents) = read(path)?;
        let (_, header, leader) =
            first.get_or_insert_with(|| (order.clone(), contents.header.clone(), name.clone()));
        let mut different = differences(header, &contents.header, &["shard"]);
        if order.shard.of()
            != shards
                .first()
                .map_or(order.shard.of(), |(shard, _)| shard.of())
        {
            let (theirs, ours) = (shards[0].0, order.shard);
            different.push(format!("shard is {theirs} there and {ours} here"));
        }
        if !different.is_empty() {
            let different = different.join(", ");
            return Err(format!("{name} does not belong to {leader}: {different}"));
        }
        if let Some((shard, other)) = shards.iter().find(|(shard, _)| *shard == order.shard) {
            return Err(format!(
                "{other} and {name} are both shard {shard}; give one of them"
            ));
        }
        shards.push((order.shard, name));
        for (chunk, done) in contents.done {
            sum.add(chunk, done);
        }
    }
    let Some((mut order, ..)) = first else {
        return Err("there is nothing to merge".into());
    };
    let of = shards[0].0.of();
    order.shard = Shard::WHOLE;
    let mut missing = Vec::new();
    for index in 1..=of {
        if shards.iter().any(|(shard, _)| shard.index() == index) {
            continue;
        }
        missing.push(format!("shard {index}/{of} has no file"));
    }
    let seeds = sum.missing_seeds(&order);
    let runs = order.runs(sum.missing(&order));
    if runs > 0 {
        if level >= Level::Error {
            say(&missing);
            let mut named: Vec<String> = seeds
                .iter()
                .take(NAMED)
                .map(|seeds| format!("{seeds:?}"))
                .collect();
            if seeds.len() > NAMED {
                named.push(format!("and {} ranges more", seeds.len() - NAMED));
            }
            let of = order.runs(order.ours());
            let named = named.join(", ");
            say(&[
                format!("{runs} of {of} runs are missing: seeds {named}"),
                "run those shards again with the same options and --results, then merge".into(),
            ]);
        }
        return Ok(1);
    }
    sum.report(&order).show(config.format);
    Ok(u8::from(sum.tally.violated() > 0))
}

fn say(lines: &[String]) {
    for line in lines {
        let _ = writeln!(std::io::stderr(), "sim: {line}");
    }
}
