//! A plan from its text. What is left out has a default, which is told; nothing else is
//! guessed: a word that is not expected is a mistake with its place. A line that is
//! wrong does not hide what is wrong with the others.

use std::collections::BTreeSet;
use std::str::FromStr;

use smoltcp::time::{Duration, Instant};

use super::lex::{Line, Word};
use super::write::VERSIONS;
use super::wrong::{PlanError, PlanErrors, either};
use crate::fate::Fates;
use crate::plan::{Plan, Role};

/// The facts of a plan of a scenario, and of a test.
const FACTS: [&str; 8] = [
    "from", "time", "honest", "switch", "host", "attacker", "at", "frame",
];
const FACTS_OF_TEST: [&str; 5] = ["link", "host", "at", "frame", "end"];

/// Faults end then, if the text does not say when.
const HEAL: Duration = Duration::from_secs(10);
/// And so long after that everything must be finished: retransmissions back off to a
/// minute, and a client may lose patience a few times more.
const AFTER: Duration = Duration::from_secs(600);

/// A plan, and what its text did not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The plan.
    pub plan: Plan,
    /// The version of the text.
    pub version: u32,
    /// Options of the line `time` that have their defaults, as a plan says them.
    pub times_left_out: Vec<String>,
    /// The same of each place.
    pub left_out: Vec<Vec<String>>,
}

/// Reads the text of a plan, and remembers what has a default.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(text: &str) -> Result<Reading, PlanErrors> {
    let mut lines = (1..).zip(text.lines()).filter_map(|(number, text)| {
        let line = Line::new(number, text);
        (!line.is_empty()).then_some(line)
    });
    let version = header(lines.next())?;
    let mut reader = Reader::new(version);
    for mut line in lines {
        if let Err(error) = reader.line(&mut line) {
            reader.errors.push(error);
        }
    }
    reader.finish(text)
}

impl FromStr for Plan {
    type Err = PlanErrors;

    fn from_str(text: &str) -> Result<Plan, PlanErrors> {
        Ok(read(text)?.plan)
    }
}

/// The version, from the first line. Without it nothing is known of the others.
fn header(first: Option<Line<'_>>) -> Result<u32, PlanError> {
    let Some(mut first) = first else {
        return Err(PlanError {
            line: 1,
            column: 1,
            message: "expected `cygnet-plan 1` or `cygnet-plan 2`, found an empty file".into(),
        });
    };
    first.exactly("cygnet-plan")?;
    let version = first.word("a version, 1 or 2")?;
    if !VERSIONS.contains(&version.text) {
        let (known, text) = (VERSIONS.join(" and "), version.text);
        let what = match text.parse::<u64>() {
            Ok(number) if number > 0 => "a newer one reads it",
            _ => "say `cygnet-plan 1`, or 2 for a plan of a test",
        };
        return Err(version.wrong(format!(
            "this program reads versions {known} of plans, found version {text:?}; {what}"
        )));
    }
    first.done()?;
    Ok(version.text.parse().unwrap_or(1))
}

/// A plan on its way from its text.
pub(super) struct Reader {
    pub(super) plan: Plan,
    pub(super) errors: PlanErrors,
    pub(super) left_out: Vec<Vec<String>>,
    /// Visits and calls without an `until`: they end with the faults.
    pub(super) until_heal: BTreeSet<usize>,
    /// Places whose lines are wrong: what they are is not known for sure.
    pub(super) vague: BTreeSet<usize>,
    times_left_out: Vec<String>,
    version: u32,
    timed: bool,
    ended: bool,
    of_test: bool,
}

impl Reader {
    fn new(version: u32) -> Reader {
        Reader {
            plan: Plan {
                from: None,
                heal: Instant::ZERO + HEAL,
                limit: Instant::ZERO + HEAL + AFTER,
                honest: false,
                places: Vec::new(),
                strikes: Vec::new(),
                fates: Fates::default(),
            },
            errors: PlanErrors::default(),
            left_out: Vec::new(),
            until_heal: BTreeSet::new(),
            vague: BTreeSet::new(),
            times_left_out: Vec::new(),
            version,
            timed: false,
            ended: false,
            of_test: false,
        }
    }

    fn line<'t>(&mut self, line: &mut Line<'t>) -> Result<(), PlanError> {
        let word = line.word("a fact")?;
        if self.ended {
            return Err(word.wrong("expected nothing after `end`; move it to the end".into()));
        }
        match word.text {
            "test" => self.test(word, line)?,
            "link" | "host" if self.of_test => self.named(word.text == "link", line)?,
            "from" | "time" | "honest" | "switch" | "attacker" if self.of_test => {
                let (known, found) = (either(&FACTS_OF_TEST), word.text);
                return Err(word.wrong(format!(
                    "expected {known} in a plan of a test, found {found:?}"
                )));
            }
            "from" => {
                let name = line.word("a scenario's name")?.text.to_string();
                line.exactly("seed")?;
                self.plan.from = Some((name, line.number("a seed", 0, u64::MAX)?));
            }
            "time" => self.time(word, line)?,
            "honest" => self.plan.honest = true,
            "switch" | "host" | "attacker" => self.place(word, line)?,
            "at" => self.strike(line)?,
            "frame" => self.fate(line)?,
            "link" if self.version > 1 => {
                self.of_test = true;
                let wrong = "expected `test NAME seed NUMBER` above the links of a test";
                return Err(word.wrong(wrong.into()));
            }
            "end" => self.ended = true,
            _ if self.of_test => return Err(word.none_of(&FACTS_OF_TEST)),
            _ => return Err(word.none_of(&[&FACTS[..], &["test", "end"]].concat())),
        }
        line.done()
    }

    fn test(&mut self, word: Word<'_>, line: &mut Line<'_>) -> Result<(), PlanError> {
        if self.version < 2 {
            let wrong = "a plan of a test has version 2 at least, this one has 1";
            return Err(word.wrong(wrong.into()));
        }
        let plan = &self.plan;
        let begun = self.timed || self.of_test || plan.honest || !plan.places.is_empty();
        if begun || plan.from.is_some() {
            return Err(word.wrong("expected `test` before every other fact".into()));
        }
        // Whatever else is wrong with this line, the others are those of a test.
        self.of_test = true;
        let name = line.word("a test's name")?.text.to_string();
        line.exactly("seed")?;
        self.plan.from = Some((name, line.number("a seed", 0, u64::MAX)?));
        Ok(())
    }

    fn time(&mut self, word: Word<'_>, line: &mut Line<'_>) -> Result<(), PlanError> {
        let mut options = line.options(&["heal", "limit"]);
        let heal = options.time("heal", HEAL);
        let limit = options.time("limit", heal + AFTER);
        self.plan.heal = Instant::ZERO + heal;
        self.plan.limit = Instant::ZERO + limit;
        self.timed = true;
        let before = limit < heal && options.is_right();
        self.times_left_out = options.close(&mut self.errors);
        match before {
            true => Err(word.wrong("expected limit not before heal".into())),
            false => Ok(()),
        }
    }

    fn finish(mut self, text: &str) -> Result<Reading, PlanErrors> {
        let plan = &mut self.plan;
        for &place in &self.until_heal {
            match &mut plan.places[place].role {
                Role::Visitor(visitor) => visitor.until = plan.heal,
                Role::Caller(caller) => caller.until = plan.heal,
                _ => (),
            }
        }
        let last = text.lines().count().max(1);
        let missing = |what: &str| PlanError {
            line: last,
            column: text.lines().last().map_or(0, |line| line.chars().count()) + 1,
            message: format!("expected {what}, found the end of the file"),
        };
        if !self.ended {
            let end = missing("`end` as the last line (was the file cut off?)");
            self.errors.push(end);
        }
        let has_host = plan.places.iter().any(|place| place.role.is_host());
        if self.of_test {
            (plan.heal, plan.limit) = (Instant::ZERO, Instant::ZERO);
            if !has_host && self.vague.is_empty() {
                self.errors.push(missing("a line `host NAME`"));
            }
        } else if !has_host && self.vague.is_empty() && self.ended {
            let host = "a line `host NAME serve`: a world without hosts proves nothing";
            self.errors.push(missing(host));
        }
        if !self.timed && !self.of_test {
            self.times_left_out = vec!["heal=10s".into(), "limit=610s".into()];
        }
        match self.errors.is_empty() {
            true => Ok(Reading {
                plan: self.plan,
                version: self.version,
                times_left_out: self.times_left_out,
                left_out: self.left_out,
            }),
            false => Err(self.errors),
        }
    }
}
