//! The text of a plan: one fact a line, for people to read and edit.
//!
//! ```text
//! cygnet-plan 1
//! from churn seed 42
//! time heal=10s limit=610s
//! honest
//! host server serve secret=71b3… slots=32 tasks=34 task-bytes=2048 rx=2048 …
//! host c1 visit to=server secret=09aa… lanes=1 visits=all until=10s …
//! at 3s cut c1 up
//! at 4.5s join c1
//! frame c1 up 17 lose
//! frame server down 4 flip 133
//! end
//! ```
//!
//! `#` begins a comment. `up` is from a place to its switch, `down` the other
//! way; a frame's number counts the frames before it on that link that way. The
//! last line is `end`, so that a file that was cut off is noticed.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use smoltcp::time::{Duration, Instant};

use super::attack::Attack;
use super::fate::{Fates, FrameId, Twist, Way};
use super::host::Size;
use super::link::Link;
use super::plan::{Blow, Goodbye, Place, Plan, Role, Server, Siege, Strike, Visitor};

/// The version that this program writes and reads.
const VERSION: &str = "1";

/// The most places of a plan.
const PLACES_MAX: usize = 1 << 14;

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

// ---- writing ------------------------------------------------------------

struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.total_micros();
        match micros {
            0 => f.write_str("0s"),
            _ if micros.is_multiple_of(1_000_000) => write!(f, "{}s", micros / 1_000_000),
            _ if micros.is_multiple_of(1000) => write!(f, "{}ms", micros / 1000),
            _ => write!(f, "{micros}us"),
        }
    }
}

fn since_start(at: Instant) -> Time {
    Time(at - Instant::ZERO)
}

fn goodbye_word(goodbye: Goodbye) -> &'static str {
    match goodbye {
        Goodbye::Close => "close",
        Goodbye::Drop => "drop",
        Goodbye::Half => "half",
        Goodbye::Abort => "abort",
    }
}

struct LinkText<'l>(&'l Link);

impl fmt::Display for LinkText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Link {
            latency,
            bytes_per_second,
            queue_bytes,
            mtu,
            ..
        } = self.0;
        let latency = Time(*latency);
        write!(
            f,
            "latency={latency} rate={bytes_per_second} queue={queue_bytes} mtu={mtu}"
        )
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "cygnet-plan {VERSION}")?;
        if let Some((scenario, seed)) = &self.from {
            writeln!(f, "from {scenario} seed {seed}")?;
        }
        let (heal, limit) = (since_start(self.heal), since_start(self.limit));
        writeln!(f, "time heal={heal} limit={limit}")?;
        if self.honest {
            writeln!(f, "honest")?;
        }
        for place in &self.places {
            self.write_place(f, place)?;
        }
        for Strike { at, place, blow } in &self.strikes {
            let name = &self.places[*place].name;
            write!(f, "at {} ", since_start(*at))?;
            match blow {
                Blow::Crash => writeln!(f, "crash {name}")?,
                Blow::Boot => writeln!(f, "boot {name}")?,
                Blow::Pause => writeln!(f, "pause {name}")?,
                Blow::Resume => writeln!(f, "resume {name}")?,
                Blow::Drift(ppm) => writeln!(f, "drift {name} {ppm:+}ppm")?,
                Blow::Jump(ahead) => writeln!(f, "jump {name} {}", Time(*ahead))?,
                Blow::Cut { up, down } => {
                    let way = match (up, down) {
                        (true, false) => "up",
                        (false, true) => "down",
                        _ => "both",
                    };
                    writeln!(f, "cut {name} {way}")?;
                }
                Blow::Join => writeln!(f, "join {name}")?,
                Blow::Link(link) => writeln!(f, "link {name} {}", LinkText(link))?,
            }
        }
        for (frame, twist) in self.fates.iter() {
            let name = &self.places[frame.link as usize].name;
            let way = if frame.way == Way::Forth {
                "up"
            } else {
                "down"
            };
            write!(f, "frame {name} {way} {} {}", frame.number, twist.word())?;
            match twist {
                Twist::Lose => writeln!(f)?,
                Twist::Late(time) | Twist::Spike(time) | Twist::Hold(time) | Twist::Twice(time) => {
                    writeln!(f, " {}", Time(time))?;
                }
                Twist::Flip(bit) => writeln!(f, " {bit}")?,
            }
        }
        writeln!(f, "end")
    }
}

impl Plan {
    fn write_place(&self, f: &mut fmt::Formatter<'_>, place: &Place) -> fmt::Result {
        let Place {
            name,
            on,
            link,
            role,
        } = place;
        let mut line = match role {
            Role::Switch => format!("switch {name}"),
            Role::Server(server) => {
                let Server {
                    secret,
                    size,
                    backlog,
                } = server;
                format!(
                    "host {name} serve secret={secret:016x} slots={} tasks={} task-bytes={} \
                     rx={} tx={} backlog={backlog}",
                    size.slots, size.tasks, size.task_bytes, size.rx_bytes, size.tx_bytes
                )
            }
            Role::Attacker(siege) => format!(
                "attacker {name} {} to={} secret={:016x} every={} start={}",
                siege.attack.word(),
                self.places[siege.to].name,
                siege.secret,
                Time(siege.every),
                Time(siege.start),
            ),
            Role::Visitor(visitor) => {
                let mut line = format!(
                    "host {name} visit to={} secret={:016x}{} lanes={} visits=",
                    self.places[visitor.to].name,
                    visitor.secret,
                    if visitor.v6 { " v6" } else { "" },
                    visitor.lanes,
                );
                match visitor.visits {
                    u32::MAX => line += "all",
                    visits => write!(line, "{visits}")?,
                }
                write!(
                    line,
                    " until={} requests={} bytes={} start={} pause={} gap={} goodbye={}",
                    since_start(visitor.until),
                    visitor.requests,
                    visitor.bytes,
                    Time(visitor.start),
                    Time(visitor.pause),
                    Time(visitor.gap),
                    goodbye_word(visitor.goodbye),
                )?;
                line
            }
        };
        if let Some(on) = on {
            write!(line, " on={}", self.places[*on].name)?;
        }
        writeln!(f, "{line} {}", LinkText(link))
    }
}

// ---- reading ------------------------------------------------------------

impl FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Plan, PlanError> {
        let mut plan = Plan {
            from: None,
            heal: Instant::ZERO,
            limit: Instant::ZERO,
            honest: false,
            places: Vec::new(),
            strikes: Vec::new(),
            fates: Fates::default(),
        };
        let mut lines = (1..).zip(text.lines()).filter_map(|(number, text)| {
            let line = Line::new(number, text);
            (!line.is_empty()).then_some(line)
        });
        let Some(mut first) = lines.next() else {
            return Err(PlanError {
                line: 1,
                column: 1,
                message: "expected `cygnet-plan 1`, found an empty file".into(),
            });
        };
        first.exactly("cygnet-plan")?;
        let version = first.word("a version")?;
        if version.text != VERSION {
            let text = version.text;
            return Err(version.wrong(format!(
                "this program reads version {VERSION} of plans, found version {text:?}"
            )));
        }
        first.done()?;
        let (mut timed, mut ended) = (false, false);
        for mut line in lines {
            if ended {
                return Err(line.word("")?.wrong("expected nothing after `end`".into()));
            }
            let word = line.word("a fact")?;
            match word.text {
                "from" => {
                    let name = line.word("a scenario's name")?.text.to_string();
                    line.exactly("seed")?;
                    plan.from = Some((name, line.number("a seed", 0, u64::MAX)?));
                }
                "time" => {
                    let mut options = line.options(&["heal", "limit"])?;
                    plan.heal = Instant::ZERO + options.time("heal")?;
                    plan.limit = Instant::ZERO + options.time("limit")?;
                    if plan.limit < plan.heal {
                        return Err(word.wrong("expected limit not before heal".into()));
                    }
                    timed = true;
                }
                "honest" => plan.honest = true,
                "switch" | "host" | "attacker" => place(&mut plan, word, &mut line)?,
                "at" => strike(&mut plan, &mut line)?,
                "frame" => fate(&mut plan, &mut line)?,
                "end" => ended = true,
                other => {
                    return Err(word.wrong(format!(
                        "expected from, time, honest, switch, host, attacker, at, frame or end, \
                         found {other:?}"
                    )));
                }
            }
            line.done()?;
        }
        let last = text.lines().count().max(1);
        let missing = |what: &str| PlanError {
            line: last,
            column: text.lines().last().map_or(0, |line| line.chars().count()) + 1,
            message: format!("expected {what}, found the end of the file"),
        };
        if !ended {
            return Err(missing("`end` as the last line (was the file cut off?)"));
        }
        if !timed {
            return Err(missing("a line `time heal=… limit=…`"));
        }
        Ok(plan)
    }
}

fn place<'t>(plan: &mut Plan, kind: Word<'t>, line: &mut Line<'t>) -> Result<(), PlanError> {
    let name = line.word("a name")?;
    if plan.place(name.text).is_some() {
        return Err(name.wrong(format!("{:?} is there already", name.text)));
    }
    if plan.places.len() == PLACES_MAX {
        return Err(name.wrong(format!("more than {PLACES_MAX} places")));
    }
    const LINK: [&str; 5] = ["latency", "rate", "queue", "mtu", "on"];
    let (role, mut options) = if kind.text == "switch" {
        (Role::Switch, line.options(&LINK)?)
    } else if kind.text == "attacker" {
        let word = line.word("an attack")?;
        let known = Attack::ALL.map(Attack::word);
        let attack = Attack::ALL
            .into_iter()
            .find(|attack| attack.word() == word.text);
        let attack = attack.ok_or_else(|| {
            let (known, found) = (known.join(", "), word.text);
            word.wrong(format!("expected one of {known}, found {found:?}"))
        })?;
        let words = ["to", "secret", "every", "start"];
        let mut options = line.options(&[&words[..], &LINK].concat())?;
        (Role::Attacker(siege(plan, attack, &mut options)?), options)
    } else {
        let does = line.word("serve or visit")?;
        match does.text {
            "serve" => {
                let words = [
                    "secret",
                    "slots",
                    "tasks",
                    "task-bytes",
                    "rx",
                    "tx",
                    "backlog",
                ];
                let mut options = line.options(&[&words[..], &LINK].concat())?;
                (Role::Server(server(&mut options)?), options)
            }
            "visit" => {
                let words = [
                    "to", "secret", "v6", "lanes", "visits", "until", "requests", "bytes", "start",
                    "pause", "gap", "goodbye",
                ];
                let mut options = line.options(&[&words[..], &LINK].concat())?;
                (Role::Visitor(visitor(plan, &mut options)?), options)
            }
            other => return Err(does.wrong(format!("expected serve or visit, found {other:?}"))),
        }
    };
    let on = match options.take("on") {
        None => None,
        Some(word) => {
            let found = known(plan, word)?;
            if plan.places[found].role != Role::Switch {
                return Err(word.wrong(format!("{:?} is no switch", word.text)));
            }
            Some(found)
        }
    };
    let link = options.link()?;
    plan.places.push(Place {
        name: name.text.into(),
        on,
        link,
        role,
    });
    Ok(())
}

fn server(options: &mut Options<'_>) -> Result<Server, PlanError> {
    let size = Size {
        slots: options.number("slots", 1, 1 << 16)? as usize,
        tasks: options.number("tasks", 1, 1 << 16)? as usize,
        task_bytes: options.number("task-bytes", 64, 1 << 16)? as usize,
        rx_bytes: options.number("rx", 64, 1 << 20)? as usize,
        tx_bytes: options.number("tx", 64, 1 << 20)? as usize,
    };
    Ok(Server {
        secret: options.secret()?,
        size,
        backlog: options.number("backlog", 0, 1 << 15)? as u16,
    })
}

fn siege(plan: &Plan, attack: Attack, options: &mut Options<'_>) -> Result<Siege, PlanError> {
    Ok(Siege {
        attack,
        to: options.server(plan)?,
        secret: options.secret()?,
        every: options.time("every")?,
        start: options.time("start")?,
    })
}

fn visitor(plan: &Plan, options: &mut Options<'_>) -> Result<Visitor, PlanError> {
    let to = options.server(plan)?;
    let visits = options.must("visits")?;
    let goodbye = options.must("goodbye")?;
    Ok(Visitor {
        secret: options.secret()?,
        to,
        v6: options.take("v6").is_some(),
        lanes: options.number("lanes", 1, 1 << 10)? as u32,
        visits: match visits.text {
            "all" => u32::MAX,
            _ => visits.number("how many visits, or all", 0, u32::MAX.into())? as u32,
        },
        until: Instant::ZERO + options.time("until")?,
        requests: options.number("requests", 0, u32::MAX.into())? as u32,
        bytes: options.number("bytes", 1, 1 << 30)? as u32,
        start: options.time("start")?,
        pause: options.time("pause")?,
        gap: options.time("gap")?,
        goodbye: [Goodbye::Close, Goodbye::Drop, Goodbye::Half, Goodbye::Abort]
            .into_iter()
            .find(|&word| goodbye_word(word) == goodbye.text)
            .ok_or_else(|| {
                let found = goodbye.text;
                goodbye.wrong(format!(
                    "expected close, drop, half or abort, found {found:?}"
                ))
            })?,
    })
}

/// The place that a word names.
fn known(plan: &Plan, word: Word<'_>) -> Result<usize, PlanError> {
    plan.place(word.text).ok_or_else(|| {
        let names: Vec<&str> = plan
            .places
            .iter()
            .map(|place| &*place.name)
            .take(9)
            .collect();
        let known = match names.len() {
            0 => "there is none yet".into(),
            _ => format!("so far there are {}", names.join(", ")),
        };
        word.wrong(format!(
            "expected a host or switch, found {:?}; {known}",
            word.text
        ))
    })
}

fn strike(plan: &mut Plan, line: &mut Line<'_>) -> Result<(), PlanError> {
    let at = Instant::ZERO + line.word("a time")?.time()?;
    let does = line.word("what happens")?;
    let name = line.word("a host or switch")?;
    let place = known(plan, name)?;
    let is_host = plan.places[place].role.is_host();
    let blow = match does.text {
        "cut" => {
            let way = line.word("up, down or both")?;
            let (up, down) = match way.text {
                "up" => (true, false),
                "down" => (false, true),
                "both" => (true, true),
                other => {
                    return Err(way.wrong(format!("expected up, down or both, found {other:?}")));
                }
            };
            Blow::Cut { up, down }
        }
        "join" => Blow::Join,
        "link" => Blow::Link(line.options(&["latency", "rate", "queue", "mtu"])?.link()?),
        "crash" | "boot" | "pause" | "resume" | "drift" | "jump" if !is_host => {
            let (what, name) = (does.text, name.text);
            return Err(does.wrong(format!("{name:?} is no host; only hosts can {what}")));
        }
        "crash" => Blow::Crash,
        "boot" => Blow::Boot,
        "pause" => Blow::Pause,
        "resume" => Blow::Resume,
        "jump" => Blow::Jump(line.word("how far ahead")?.time()?),
        "drift" => {
            let word = line.word("parts per million, such as +500ppm")?;
            let ppm = word
                .text
                .strip_suffix("ppm")
                .and_then(|text| text.parse().ok());
            let found = word.text;
            Blow::Drift(
                ppm.filter(|ppm| (-900_000..=100_000_000).contains(ppm))
                    .ok_or_else(|| {
                        word.wrong(format!(
                            "expected -900000ppm to +100000000ppm, found {found:?}"
                        ))
                    })?,
            )
        }
        other => {
            return Err(does.wrong(format!(
                "expected cut, join, link, crash, boot, pause, resume, drift or jump, \
                 found {other:?}"
            )));
        }
    };
    plan.strikes.push(Strike { at, place, blow });
    Ok(())
}

fn fate(plan: &mut Plan, line: &mut Line<'_>) -> Result<(), PlanError> {
    let place = known(plan, line.word("a host or switch")?)?;
    let way = line.word("up or down")?;
    let frame = FrameId {
        link: place as u32,
        way: match way.text {
            "up" => Way::Forth,
            "down" => Way::Back,
            other => return Err(way.wrong(format!("expected up or down, found {other:?}"))),
        },
        number: line.number("a frame's number", 0, u64::MAX)?,
    };
    let word = line.word("what happens to the frame")?;
    let twist = match word.text {
        "lose" => Twist::Lose,
        "late" => Twist::Late(line.word("a time")?.time()?),
        "spike" => Twist::Spike(line.word("a time")?.time()?),
        "hold" => Twist::Hold(line.word("a time")?.time()?),
        "twice" => Twist::Twice(line.word("a time")?.time()?),
        "flip" => Twist::Flip(line.number("a bit", 0, u64::MAX)?),
        other => {
            return Err(word.wrong(format!(
                "expected lose, late, spike, hold, flip or twice, found {other:?}"
            )));
        }
    };
    match plan.fates.add(frame, twist) {
        true => Ok(()),
        false => Err(word.wrong(format!("this frame is told {:?} already", word.text))),
    }
}

/// One word and its place.
#[derive(Clone, Copy)]
struct Word<'t> {
    text: &'t str,
    line: usize,
    column: usize,
}

impl Word<'_> {
    fn wrong(&self, message: String) -> PlanError {
        PlanError {
            line: self.line,
            column: self.column,
            message,
        }
    }

    fn number(&self, what: &str, least: u64, most: u64) -> Result<u64, PlanError> {
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
    fn time(&self) -> Result<Duration, PlanError> {
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
struct Line<'t> {
    number: usize,
    text: &'t str,
    at: usize,
}

impl<'t> Line<'t> {
    fn new(number: usize, text: &'t str) -> Self {
        let text = text.split('#').next().unwrap_or_default().trim_end();
        Line {
            number,
            text,
            at: 0,
        }
    }

    fn is_empty(&self) -> bool {
        self.text[self.at..].trim_start().is_empty()
    }

    /// The next word; `what` says what it should be.
    fn word(&mut self, what: &str) -> Result<Word<'t>, PlanError> {
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

    fn exactly(&mut self, expected: &str) -> Result<(), PlanError> {
        let word = self.word(&format!("`{expected}`"))?;
        match word.text == expected {
            true => Ok(()),
            false => Err(word.wrong(format!("expected `{expected}`, found {:?}", word.text))),
        }
    }

    fn number(&mut self, what: &str, least: u64, most: u64) -> Result<u64, PlanError> {
        self.word(what)?.number(what, least, most)
    }

    fn done(&mut self) -> Result<(), PlanError> {
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
    fn options(&mut self, names: &[&str]) -> Result<Options<'t>, PlanError> {
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
struct Options<'t> {
    given: Vec<(&'t str, Word<'t>)>,
    end: Word<'t>,
}

impl<'t> Options<'t> {
    fn take(&mut self, name: &str) -> Option<Word<'t>> {
        let at = self.given.iter().position(|(given, _)| *given == name)?;
        Some(self.given.swap_remove(at).1)
    }

    fn must(&mut self, name: &str) -> Result<Word<'t>, PlanError> {
        let missing = format!("expected {name}=…, found the end of the line");
        self.take(name).ok_or_else(|| self.end.wrong(missing))
    }

    fn number(&mut self, name: &str, least: u64, most: u64) -> Result<u64, PlanError> {
        self.must(name)?.number(name, least, most)
    }

    fn time(&mut self, name: &str) -> Result<Duration, PlanError> {
        self.must(name)?.time()
    }

    fn server(&mut self, plan: &Plan) -> Result<usize, PlanError> {
        let server = self.must("to")?;
        let to = known(plan, server)?;
        match plan.places[to].role {
            Role::Server(_) => Ok(to),
            _ => Err(server.wrong(format!("{:?} is no server", server.text))),
        }
    }

    fn secret(&mut self) -> Result<u64, PlanError> {
        let word = self.must("secret")?;
        let wrong = || word.wrong(format!("expected 16 hex digits, found {:?}", word.text));
        match word.text.len() {
            16 => u64::from_str_radix(word.text, 16).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }

    fn link(&mut self) -> Result<Link, PlanError> {
        Ok(Link {
            latency: self.time("latency")?,
            bytes_per_second: self.number("rate", 0, 1 << 40)?,
            queue_bytes: self.number("queue", 0, 1 << 40)?,
            mtu: self.number("mtu", 60, 1514)? as usize,
            ..Link::LAN
        })
    }
}

#[cfg(test)]
mod tests;
