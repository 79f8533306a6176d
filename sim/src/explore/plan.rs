//! `sim plan`: whether a plan can be read, and what it says: in a line, in words, or
//! whole, with what it leaves out.

use std::io::Write;

use super::files::{read_any, write};
use crate::cli::{PlanConfig, Say};
use crate::stdout::Stdout;

/// Reads a plan and says what it is. Returns 0.
///
/// # Errors
/// A line for each mistake in the plan, or one about a file.
pub fn plan(config: &PlanConfig) -> Result<u8, String> {
    let (reading, _) = read_any(&config.plan)?;
    let plan = &reading.plan;
    let text = match config.say {
        Say::Words => reading.explain(),
        Say::Whole => plan.to_string(),
        Say::Line => {
            let hosts = plan.places.iter().filter(|place| place.role.is_host());
            let (hosts, faults) = (hosts.count(), plan.strikes.len());
            let frames = plan.fates.iter().count();
            let defaults = reading.left_out.iter().map(Vec::len).sum::<usize>();
            let counted = [
                (hosts, "host"),
                (faults, "fault"),
                (frames, "frame"),
                (defaults + reading.times_left_out.len(), "default"),
            ];
            let words = counted.map(|(count, what)| counted_words(count, what));
            let name = config.plan.display();
            format!("{name}: nothing is wrong; {}\n", words.join(", "))
        }
    };
    match &config.out {
        Some(path) => write(path, &text)?,
        // A reader who went away is no failure.
        None => _ = Stdout.write_all(text.as_bytes()),
    }
    Ok(0)
}

fn counted_words(count: usize, what: &str) -> String {
    let (first, rest) = what.split_once(' ').unwrap_or((what, ""));
    let space = if rest.is_empty() { "" } else { " " };
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {first}s{space}{rest}"),
    }
}
