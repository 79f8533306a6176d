//! What is wrong with a plan's text: every mistake with its place, what is allowed
//! there, and what to do.
//!
//! Not here: finding mistakes.

use std::fmt;

/// So many mistakes of a text are told; the rest is counted.
const TOLD: usize = 20;

/// One mistake in a plan's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// The line, from one.
    pub line: usize,
    /// The column, in characters, from one.
    pub column: usize,
    /// What was expected, what was found, and what to do.
    pub message: String,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for PlanError {}

/// Everything that is wrong with a plan's text, in the order of its lines; the first 20
/// mistakes with their words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanErrors {
    told: Vec<PlanError>,
    more: usize,
}

impl PlanErrors {
    pub(super) fn push(&mut self, error: PlanError) {
        match self.told.len() < TOLD {
            true => self.told.push(error),
            false => self.more += 1,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// The mistakes that are told.
    pub fn iter(&self) -> impl Iterator<Item = &PlanError> {
        self.told.iter()
    }

    /// A line for each, as compilers write them: the file, the line, the column.
    pub fn in_file(&self, file: &str) -> String {
        let mut lines: Vec<String> = self
            .told
            .iter()
            .map(|error| format!("{file}:{error}"))
            .collect();
        if self.more > 0 {
            lines.push(format!("{file}: and {} mistakes more", self.more));
        }
        lines.join("\n")
    }
}

impl From<PlanError> for PlanErrors {
    fn from(error: PlanError) -> PlanErrors {
        PlanErrors {
            told: vec![error],
            more: 0,
        }
    }
}

impl fmt::Display for PlanErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.told.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{error}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} mistakes more"),
        }
    }
}

impl std::error::Error for PlanErrors {}

/// `a, b or c`.
pub(super) fn either(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// `; did you mean …?`, if one of these words is nearly the same.
pub(super) fn nearly(found: &str, known: &[&str]) -> String {
    let near = known.iter().map(|word| (distance(found, word), word));
    let near = near
        .min()
        .filter(|(far, _)| *far <= 2 && *far < found.len());
    near.map_or(String::new(), |(_, word)| format!("; did you mean {word}?"))
}

/// How many letters must change, come or go.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, letter) in a.chars().take(32).enumerate() {
        let mut corner = std::mem::replace(&mut row[0], index + 1);
        for (place, other) in b.iter().enumerate() {
            let changed = corner + usize::from(letter != *other);
            corner = row[place + 1];
            row[place + 1] = changed.min(corner + 1).min(row[place] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearly_a_word_is_said() {
        for (found, expected) in [
            ("vist", "; did you mean visit?"),
            ("sevre", "; did you mean serve?"),
            ("swan", ""),
            ("v", ""),
            ("", ""),
        ] {
            assert_eq!(nearly(found, &["serve", "visit"]), expected, "{found}");
        }
        assert_eq!(either(&["a", "b", "c"]), "a, b or c");
    }

    #[test]
    fn mistakes_past_the_twentieth_are_counted() {
        let mut errors = PlanErrors::default();
        for line in 1..=23 {
            errors.push(PlanError {
                line,
                column: 1,
                message: "swan".into(),
            });
        }
        let text = errors.in_file("plan.txt");
        assert_eq!(text.lines().count(), 21);
        assert!(
            text.starts_with("plan.txt:1:1: swan\nplan.txt:2:1: "),
            "{text}"
        );
        assert!(text.ends_with("\nplan.txt: and 3 mistakes more"), "{text}");
    }
}
