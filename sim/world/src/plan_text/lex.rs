//! The words of a line, and where each of them is, so that whatever is wrong can
//! be pointed at.
//!
//! Not here: what a word means in a plan.

use std::fmt;

use smoltcp::time::Duration;

/// A plan's text is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// The line, from one.
    pub line: usize,
    /// The column, in characters, from one.
    pub column: usize,
    /// What was expected, and what was found.
    pub message: String,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for PlanError {}

/// One word and its place.
#[derive(Clone, Copy)]
pub(super) struct Word<'t> {
    pub(super) text: &'t str,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Word<'_> {
    pub(super) fn wrong(&self, message: String) -> PlanError {
        PlanError {
            line: self.line,
            column: self.column,
            message,
        }
    }

    pub(super) fn number(&self, what: &str, least: u64, most: u64) -> Result<u64, PlanError> {
        match self.text.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            Ok(_) => Err(self.wrong(format!(
                "expected {what} from {least} to {most}, found {}",
                self.text
            ))),
            Err(_) => Err(self.wrong(format!("expected {what}, found {:?}", self.text))),
        }
    }

    /// `3s`, `1.5ms`, `20us`.
    pub(super) fn time(&self) -> Result<Duration, PlanError> {
        let found = self.text;
        if found.starts_with('-') {
            return Err(self.wrong(format!(
                "expected a time, found {found:?}; none is negative"
            )));
        }
        let wrong = || {
            self.wrong(format!(
                "expected a time such as 3s or 20ms, found {found:?}"
            ))
        };
        let units = [("us", 1, 0), ("ms", 1000, 3), ("s", 1_000_000, 6)];
        let unit = units.iter().find(|(unit, ..)| found.ends_with(unit));
        let (unit, micros, digits) = unit.ok_or_else(wrong)?;
        let number = &found[..found.len() - unit.len()];
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(part) || part.len() > (*digits).max(1) {
            return Err(wrong());
        }
        let whole: u64 = whole.parse().map_err(|_| wrong())?;
        let scale = 10_u64.pow(part.len() as u32);
        let part = part.parse::<u64>().map_err(|_| wrong())? * micros / scale;
        // A hundred years: far from the end of the clock.
        let total = whole
            .checked_mul(*micros)
            .and_then(|time| time.checked_add(part));
        let total = total.filter(|&time| time <= 3_155_760_000_000_000);
        total.map(Duration::from_micros).ok_or_else(wrong)
    }
}

/// A line's words, one after another.
pub(super) struct Line<'t> {
    number: usize,
    pub(super) text: &'t str,
    at: usize,
}

impl<'t> Line<'t> {
    pub(super) fn new(number: usize, text: &'t str) -> Self {
        let text = text.split('#').next().unwrap_or_default().trim_end();
        Line {
            number,
            text,
            at: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text[self.at..].trim_start().is_empty()
    }

    /// The next word; `what` says what it should be.
    pub(super) fn word(&mut self, what: &str) -> Result<Word<'t>, PlanError> {
        let rest = &self.text[self.at..];
        let start = self.at + rest.len() - rest.trim_start().len();
        let rest = &self.text[start..];
        let end = start + rest.find(char::is_whitespace).unwrap_or(rest.len());
        let word = Word {
            text: &self.text[start..end],
            line: self.number,
            column: self.text[..start].chars().count() + 1,
        };
        self.at = end;
        match word.text.is_empty() {
            true => Err(word.wrong(format!("expected {what}, found the end of the line"))),
            false => Ok(word),
        }
    }

    pub(super) fn exactly(&mut self, expected: &str) -> Result<(), PlanError> {
        let word = self.word(&format!("`{expected}`"))?;
        match word.text == expected {
            true => Ok(()),
            false => Err(word.wrong(format!("expected `{expected}`, found {:?}", word.text))),
        }
    }

    pub(super) fn number(&mut self, what: &str, least: u64, most: u64) -> Result<u64, PlanError> {
        self.word(what)?.number(what, least, most)
    }

    pub(super) fn done(&mut self) -> Result<(), PlanError> {
        match self.is_empty() {
            true => Ok(()),
            false => {
                let word = self.word("")?;
                Err(word.wrong(format!(
                    "expected the end of the line, found {:?}",
                    word.text
                )))
            }
        }
    }

    /// The rest of the line: `name=value`, or a name alone.
    pub(super) fn options(&mut self, names: &[&str]) -> Result<Options<'t>, PlanError> {
        let mut given: Vec<(&'t str, Word<'t>)> = Vec::new();
        while !self.is_empty() {
            let word = self.word("")?;
            let (name, value) = word.text.split_once('=').unwrap_or((word.text, ""));
            if !names.contains(&name) {
                let known = names.join(", ");
                return Err(word.wrong(format!("expected one of {known}, found {name:?}")));
            }
            if given.iter().any(|(other, _)| *other == name) {
                return Err(word.wrong(format!("{name} is given twice")));
            }
            let before = word.text.chars().count() - value.chars().count();
            let value = Word {
                text: value,
                column: word.column + before,
                ..word
            };
            given.push((name, value));
        }
        let end = Word {
            text: "",
            line: self.number,
            column: self.text.chars().count() + 1,
        };
        Ok(Options { given, end })
    }
}

/// Options of one line.
pub(super) struct Options<'t> {
    given: Vec<(&'t str, Word<'t>)>,
    end: Word<'t>,
}

impl<'t> Options<'t> {
    pub(super) fn take(&mut self, name: &str) -> Option<Word<'t>> {
        let at = self.given.iter().position(|(given, _)| *given == name)?;
        Some(self.given.swap_remove(at).1)
    }

    pub(super) fn must(&mut self, name: &str) -> Result<Word<'t>, PlanError> {
        let missing = format!("expected {name}=…, found the end of the line");
        self.take(name).ok_or_else(|| self.end.wrong(missing))
    }

    pub(super) fn number(&mut self, name: &str, least: u64, most: u64) -> Result<u64, PlanError> {
        self.must(name)?.number(name, least, most)
    }

    pub(super) fn time(&mut self, name: &str) -> Result<Duration, PlanError> {
        self.must(name)?.time()
    }

    pub(super) fn secret(&mut self) -> Result<u64, PlanError> {
        let word = self.must("secret")?;
        let wrong = || word.wrong(format!("expected 16 hex digits, found {:?}", word.text));
        match word.text.len() {
            16 => u64::from_str_radix(word.text, 16).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}
