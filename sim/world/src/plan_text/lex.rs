//! The words of a line, and where each of them is, so that whatever is wrong can
//! be pointed at.
//!
//! Not here: what a word means in a plan.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;
use smoltcp::time::Duration;

use super::write::Time;
use super::wrong::{PlanError, PlanErrors, either, nearly};

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
            Err(_) => {
                let range = match most {
                    u64::MAX => String::new(),
                    _ => format!(" from {least} to {most}"),
                };
                Err(self.wrong(format!("expected {what}{range}, found {:?}", self.text)))
            }
        }
    }

    /// It should be one of these.
    pub(super) fn none_of(&self, known: &[&str]) -> PlanError {
        let (either, near) = (either(known), nearly(self.text, known));
        self.wrong(format!("expected {either}, found {:?}{near}", self.text))
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

    /// Where the line ends.
    pub(super) fn end(&self) -> Word<'t> {
        Word {
            text: "",
            line: self.number,
            column: self.text.chars().count() + 1,
        }
    }

    pub(super) fn exactly(&mut self, expected: &str) -> Result<(), PlanError> {
        let word = self.word(&format!("`{expected}`"))?;
        match word.text == expected {
            true => Ok(()),
            false => {
                let near = nearly(word.text, &[expected]);
                let found = word.text;
                Err(word.wrong(format!("expected `{expected}`, found {found:?}{near}")))
            }
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

    /// The rest of the line: `name=value`, or a name alone. What is wrong with it is
    /// among the mistakes of the options.
    pub(super) fn options(&mut self, names: &[&str]) -> Options<'t> {
        let mut given: Vec<(&'t str, Word<'t>)> = Vec::new();
        let mut wrong = Vec::new();
        while let Ok(word) = self.word("") {
            let (name, value) = word.text.split_once('=').unwrap_or((word.text, ""));
            if !names.contains(&name) {
                wrong.push(unknown(&word, name, value, names));
            } else if given.iter().any(|(other, _)| *other == name) {
                wrong.push(word.wrong(format!("{name} is given twice; say it once")));
            } else {
                let before = word.text.chars().count() - value.chars().count();
                let value = Word {
                    text: value,
                    column: word.column + before,
                    ..word
                };
                given.push((name, value));
            }
        }
        Options {
            given,
            end: self.end(),
            wrong,
            left_out: Vec::new(),
        }
    }
}

/// Rates of a link, which no plan has.
const RATES: [&str; 7] = [
    "loss",
    "duplicate",
    "reorder",
    "corrupt",
    "spike",
    "jitter",
    "hold",
];

fn unknown(word: &Word<'_>, name: &str, value: &str, names: &[&str]) -> PlanError {
    if RATES.contains(&name) && names.contains(&"latency") {
        let percent = value.strip_suffix('%').and_then(|text| text.parse().ok());
        let above = match percent.is_some_and(|percent: f64| percent > 100.0) {
            true => format!(", and {value} is above 100 %"),
            false => String::new(),
        };
        return word.wrong(format!(
            "{name} is a rate, and a plan has none{above}: say which frames, such as \
             `frame NAME up 17 lose`; `sim world --plan-out` writes those that it drew"
        ));
    }
    let (known, near) = (names.join(", "), nearly(name, names));
    word.wrong(format!("expected one of {known}, found {name:?}{near}"))
}

/// Options of one line. What is left out has a default, and what is wrong is kept.
pub(super) struct Options<'t> {
    given: Vec<(&'t str, Word<'t>)>,
    end: Word<'t>,
    wrong: Vec<PlanError>,
    left_out: Vec<String>,
}

impl<'t> Options<'t> {
    pub(super) fn take(&mut self, name: &str) -> Option<Word<'t>> {
        let at = self.given.iter().position(|(given, _)| *given == name)?;
        Some(self.given.swap_remove(at).1)
    }

    /// Whether no mistake was found so far.
    pub(super) fn is_right(&self) -> bool {
        self.wrong.is_empty()
    }

    /// Keeps a mistake.
    pub(super) fn refuse(&mut self, error: PlanError) {
        self.wrong.push(error);
    }

    /// Something is missing for which there is no default.
    pub(super) fn missing(&mut self, what: &str) {
        let wrong = format!("expected {what}, found the end of the line");
        self.wrong.push(self.end.wrong(wrong));
    }

    /// Takes note of a default.
    pub(super) fn left_out(&mut self, words: String) {
        self.left_out.push(words);
    }

    /// What this option's word says, or the default, which is `words` in a plan.
    pub(super) fn or<T>(
        &mut self,
        name: &str,
        (default, words): (T, &str),
        read: impl FnOnce(&Word<'t>) -> Result<T, PlanError>,
    ) -> T {
        let Some(word) = self.take(name) else {
            self.left_out.push(format!("{name}={words}"));
            return default;
        };
        read(&word).unwrap_or_else(|error| {
            self.wrong.push(error);
            default
        })
    }

    pub(super) fn number(&mut self, name: &str, least: u64, most: u64, default: u64) -> u64 {
        self.or(name, (default, &default.to_string()), |word| {
            word.number(name, least, most)
        })
    }

    pub(super) fn time(&mut self, name: &str, default: Duration) -> Duration {
        self.or(name, (default, &Time(default).to_string()), Word::time)
    }

    pub(super) fn flag(&mut self, name: &str) -> bool {
        let Some(word) = self.take(name) else {
            return false;
        };
        if !word.text.is_empty() {
            let wrong = format!("{name} has no value; say {name} alone, or leave it out");
            self.wrong.push(word.wrong(wrong));
        }
        true
    }

    /// Sixteen hex digits; otherwise they follow from the name of the place.
    pub(super) fn secret(&mut self, place: &str) -> u64 {
        let mut hasher = SipHasher13::new();
        hasher.write(place.as_bytes());
        let default = hasher.finish();
        self.or("secret", (default, &format!("{default:016x}")), |word| {
            let found = word.text;
            let wrong = || {
                word.wrong(format!(
                    "expected 16 hex digits, found {found:?}; left out, they follow from the name"
                ))
            };
            match found.len() {
                16 => u64::from_str_radix(found, 16).map_err(|_| wrong()),
                _ => Err(wrong()),
            }
        })
    }

    /// Gives the defaults that were taken, and hands the mistakes over.
    pub(super) fn close(self, errors: &mut PlanErrors) -> Vec<String> {
        let mut wrong = self.wrong;
        wrong.sort_by_key(|error| error.column);
        wrong.into_iter().for_each(|error| errors.push(error));
        self.left_out
    }
}
