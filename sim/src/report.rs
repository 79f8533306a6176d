//! The table at the end of a run. One list of rows, two forms: aligned text with
//! numbers that a person reads, and JSON with the numbers as they are. A row's
//! key in JSON is its label with the unit behind it, so that `latency_p99_ns`
//! cannot be taken for microseconds.
//!
//! Not here: what the numbers are. Whoever makes a row knows; whoever counts time
//! says in the note which clock it was.

use std::io::{self, Write};

use hdrhistogram::Histogram;
use serde::ser::{SerializeMap, Serializer};

use crate::stdout::{self, Stdout};

/// How to print a [`Report`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// An aligned table.
    #[default]
    Table,
    /// One JSON object.
    Json,
}

/// What a row says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A number of things.
    Count(u64),
    /// A number of bytes.
    Bytes(u64),
    /// A time in nanoseconds.
    Nanos(u64),
    /// Things per second.
    PerSecond(f64),
    /// Bytes per second.
    BytesPerSecond(f64),
    /// How many times as much.
    Ratio(f64),
    /// Words.
    Text(String),
}

impl From<u64> for Value {
    fn from(count: u64) -> Value {
        Value::Count(count)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Value {
        Value::Count(count as u64)
    }
}

impl From<u32> for Value {
    fn from(count: u32) -> Value {
        Value::Count(count.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<std::time::Duration> for Value {
    fn from(time: std::time::Duration) -> Value {
        Value::Nanos(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }
}

struct Row {
    label: String,
    value: Value,
    note: String,
    /// The table says it elsewhere.
    json_only: bool,
}

/// A titled table. Rows keep their order.
///
/// ```
/// use cygnet_sim::report::{Format, Report, Value};
///
/// let report = Report::new("loopback")
///     .row("connections", 8u64)
///     .row_with_note("throughput", Value::PerSecond(61_500.0), "wall clock");
/// let mut text = Vec::new();
/// report.print(Format::Table, &mut text)?;
/// assert_eq!(String::from_utf8(text).unwrap(), "\
/// loopback
///   connections         8
///   throughput   61.5 k/s  wall clock
/// ");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Report {
    title: String,
    rows: Vec<Row>,
}

impl Report {
    /// A table without rows.
    pub fn new(title: impl Into<String>) -> Report {
        Report {
            title: title.into(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    #[must_use]
    pub fn row(self, label: impl Into<String>, value: impl Into<Value>) -> Report {
        self.row_with_note(label, value, "")
    }

    /// Adds a row with a remark, which only the table shows.
    #[must_use]
    pub fn row_with_note(
        mut self,
        label: impl Into<String>,
        value: impl Into<Value>,
        note: impl Into<String>,
    ) -> Report {
        self.rows.push(Row {
            label: label.into(),
            value: value.into(),
            note: note.into(),
            json_only: false,
        });
        self
    }

    /// Adds a row that only JSON has, because the table says it in a note.
    #[must_use]
    pub fn fact(mut self, label: impl Into<String>, value: impl Into<Value>) -> Report {
        self.rows.push(Row {
            label: label.into(),
            value: value.into(),
            note: String::new(),
            json_only: true,
        });
        self
    }

    /// Adds a row unless it would say zero: for the many counters that are
    /// interesting only when something happened.
    #[must_use]
    pub fn row_unless_zero(self, label: impl Into<String>, value: impl Into<Value>) -> Report {
        match value.into() {
            Value::Count(0) | Value::Bytes(0) | Value::Nanos(0) => self,
            value => self.row(label, value),
        }
    }

    /// Adds a row that the table has only when something happened, and JSON always.
    #[must_use]
    pub fn row_if_any(
        self,
        label: impl Into<String>,
        value: impl Into<Value>,
        note: impl Into<String>,
    ) -> Report {
        match value.into() {
            value @ (Value::Count(0) | Value::Bytes(0) | Value::Nanos(0)) => {
                self.fact(label, value)
            }
            value => self.row_with_note(label, value, note),
        }
    }

    /// Adds the percentiles of a histogram of nanoseconds; `clock` says whose.
    /// An empty histogram adds nothing.
    #[must_use]
    pub fn latency(self, label: &str, nanos: &Histogram<u64>, clock: &str) -> Report {
        if nanos.is_empty() {
            return self;
        }
        let quantiles = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];
        let mut report = self;
        for (name, quantile) in quantiles {
            let value = Value::Nanos(nanos.value_at_quantile(quantile));
            report = report.row_with_note(format!("{label} {name}"), value, clock);
        }
        report.row_with_note(format!("{label} max"), Value::Nanos(nanos.max()), clock)
    }

    /// Writes the report and a final newline.
    ///
    /// # Errors
    /// What the writer said; a closed pipe is the usual one and no failure.
    pub fn print(&self, format: Format, out: &mut impl Write) -> io::Result<()> {
        match format {
            Format::Table => self.print_table(None, out),
            Format::Json => self.print_json(out),
        }
    }

    /// Writes the report to standard output; on a terminal no word is cut in two.
    pub fn show(&self, format: Format) {
        // Whoever went away misses it, and what else goes wrong is told at the end.
        let _ = match format {
            Format::Table => self.print_table(stdout::columns(), &mut Stdout),
            Format::Json => self.print_json(&mut Stdout),
        };
    }

    /// Writes the report to standard error, because standard output has something else.
    pub fn show_beside(&self, format: Format) {
        let _ = self.print(format, &mut io::stderr());
    }

    /// Lines are at most as wide as that, where words allow it.
    fn print_table(&self, columns: Option<usize>, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", self.title)?;
        let rows: Vec<&Row> = self.rows.iter().filter(|row| !row.json_only).collect();
        let texts: Vec<String> = rows.iter().map(|row| human(&row.value)).collect();
        let width = |text: &str| text.chars().count();
        let labels = rows.iter().map(|row| width(&row.label)).max().unwrap_or(0);
        // Words are not aligned with numbers: they may be long.
        let numbers = rows.iter().zip(&texts);
        let numbers = numbers.filter(|(row, _)| !matches!(row.value, Value::Text(_)));
        let numbers = numbers.map(|(_, text)| width(text)).max().unwrap_or(0);
        for (row, text) in rows.iter().zip(&texts) {
            let line = match row.value {
                Value::Text(_) => format!("{text}  {}", row.note),
                _ => format!("{text:>numbers$}  {}", row.note),
            };
            let room = columns.map_or(usize::MAX, |all| all.saturating_sub(labels + 4));
            let mut label = row.label.as_str();
            for line in wrapped(line.trim_end(), room) {
                writeln!(out, "{}", format!("  {label:labels$}  {line}").trim_end())?;
                label = "";
            }
        }
        Ok(())
    }

    fn print_json(&self, out: &mut impl Write) -> io::Result<()> {
        let mut json = serde_json::Serializer::pretty(&mut *out);
        // Streamed, so that the rows keep their order.
        let mut map = json.serialize_map(Some(self.rows.len() + 1))?;
        map.serialize_entry("report", &self.title)?;
        for Row { label, value, .. } in &self.rows {
            let key = key(label, value);
            match value {
                Value::Count(n) | Value::Bytes(n) | Value::Nanos(n) => {
                    map.serialize_entry(&key, n)?;
                }
                Value::PerSecond(rate) | Value::BytesPerSecond(rate) | Value::Ratio(rate) => {
                    map.serialize_entry(&key, rate)?;
                }
                Value::Text(text) => map.serialize_entry(&key, text)?,
            }
        }
        map.end()?;
        writeln!(out)
    }
}

/// `latency p99.9` in nanoseconds is `latency_p99_9_ns`.
fn key(label: &str, value: &Value) -> String {
    let words = label.split(|c: char| !c.is_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let mut key = words.join("_").to_ascii_lowercase();
    let unit = match value {
        Value::Bytes(_) if !key.contains("bytes") => "_bytes",
        Value::Nanos(_) => "_ns",
        Value::PerSecond(_) => "_per_second",
        Value::BytesPerSecond(_) => "_bytes_per_second",
        Value::Ratio(_) => "_ratio",
        Value::Count(_) | Value::Bytes(_) | Value::Text(_) => "",
    };
    key.push_str(unit);
    key
}

/// The lines of a text, cut at spaces so that each has at most `room` characters; a word
/// that is longer has a line of its own.
fn wrapped(text: &str, room: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while rest.chars().count() > room {
        let words = rest.len() - rest.trim_start().len();
        let fits = rest
            .char_indices()
            .nth(room)
            .and_then(|(end, last)| rest[..end + last.len_utf8()].rfind(' '))
            .filter(|&at| at >= words);
        let Some(at) = fits.or_else(|| rest[words..].find(' ').map(|at| words + at)) else {
            break;
        };
        lines.push(rest[..at].trim_end());
        rest = rest[at..].trim_start();
    }
    lines.push(rest);
    lines
}

fn human(value: &Value) -> String {
    match value {
        Value::Count(n) => thousands(*n),
        Value::Bytes(n) if *n < 10_240 => format!("{} B", thousands(*n)),
        Value::Bytes(n) => scaled(*n as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"]),
        Value::Nanos(n) => scaled(*n as f64, 1000.0, &["ns", "us", "ms", "s"]),
        Value::PerSecond(rate) => scaled(*rate, 1000.0, &["/s", "k/s", "M/s", "G/s"]),
        Value::BytesPerSecond(rate) => {
            scaled(*rate, 1024.0, &["B/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s"])
        }
        Value::Ratio(ratio) => format!("{ratio:.2} x"),
        Value::Text(text) => text.clone(),
    }
}

/// Three significant digits in the largest unit that leaves one before the point.
fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut unit = 0;
    // 999.5 would print as 1000.
    while value >= 999.5 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let digits = match value {
        _ if value == value.trunc() => 0,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {}", units[unit])
}

fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(report: &Report, format: Format) -> String {
        let mut out = Vec::new();
        report.print(format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn sample() -> Report {
        let mut nanos = Histogram::new(3).unwrap();
        for i in 1..=1000 {
            nanos.record(i * 1_000).unwrap();
        }
        Report::new("loopback")
            .row("requests", 1_234_567u64)
            .row("bytes in", Value::Bytes(3 << 20))
            .row_unless_zero("resets", 0u64)
            .row_with_note("wall time", Value::Nanos(1_500_000_000), "wall clock")
            .row("64 clients: ours / theirs", Value::Ratio(1.5))
            .latency("latency", &nanos, "virtual")
            .latency("nothing", &Histogram::new(3).unwrap(), "virtual")
            .fact("only for programs", 7u64)
            .row("digest", "0011aa")
    }

    #[test]
    fn the_table_is_aligned_and_for_people() {
        let expected = "loopback\n\
            \x20 requests                   1,234,567\n\
            \x20 bytes in                       3 MiB\n\
            \x20 wall time                     1.50 s  wall clock\n\
            \x20 64 clients: ours / theirs     1.50 x\n\
            \x20 latency p50                   500 us  virtual\n\
            \x20 latency p90                   900 us  virtual\n\
            \x20 latency p99                   990 us  virtual\n\
            \x20 latency p99.9                 999 us  virtual\n\
            \x20 latency max                  1.00 ms  virtual\n\
            \x20 digest                     0011aa\n";
        assert_eq!(printed(&sample(), Format::Table), expected);
    }

    #[test]
    fn a_narrow_table_breaks_between_words() {
        let report = Report::new("world")
            .row("frames", 7u64)
            .row_with_note("time", Value::Nanos(9), "the clock of the world")
            .row("asked for", "jumps, an_effect_of_a_very_long_name, losses");
        let mut out = Vec::new();
        report.print_table(Some(34), &mut out).unwrap();
        let expected = "world\n\
            \x20 frames        7\n\
            \x20 time       9 ns  the clock of\n\
            \x20            the world\n\
            \x20 asked for  jumps,\n\
            \x20            an_effect_of_a_very_long_name,\n\
            \x20            losses\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        for room in 0..40 {
            let lines = wrapped("  swans fly  over", room);
            assert_eq!(lines.join(" ").split_whitespace().count(), 3, "{lines:?}");
        }
    }

    #[test]
    fn json_has_raw_numbers_in_order() {
        let text = printed(&sample(), Format::Json);
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["report"], "loopback");
        assert_eq!(parsed["requests"], 1_234_567);
        assert_eq!(parsed["bytes_in"], 3 << 20);
        assert_eq!(parsed["wall_time_ns"], 1_500_000_000u64);
        assert_eq!(parsed["64_clients_ours_theirs_ratio"], 1.5);
        assert_eq!(parsed["only_for_programs"], 7);
        assert!(parsed["latency_p99_9_ns"].is_u64());
        let position = |key| text.find(key).unwrap();
        assert!(position("requests") < position("bytes_in"));
        assert!(position("latency_p50_ns") < position("digest"));
    }

    #[test]
    fn numbers_have_three_digits_and_the_right_unit() {
        let bytes = |n| human(&Value::Bytes(n));
        assert_eq!(
            [bytes(0), bytes(10_239), bytes(10_240)],
            ["0 B", "10,239 B", "10 KiB"]
        );
        let nanos = |n| human(&Value::Nanos(n));
        assert_eq!(
            [nanos(999), nanos(1_234), nanos(99_960)],
            ["999 ns", "1.23 us", "100 us"]
        );
        assert_eq!([nanos(999_700), nanos(75_000_000_000)], ["1.00 ms", "75 s"]);
        assert_eq!(
            [thousands(0), thousands(999), thousands(1_000)],
            ["0", "999", "1,000"]
        );
    }
}
