//! A plan from its text. Nothing is guessed: a word that is not expected is an
//! error with its place.

use std::str::FromStr;

use smoltcp::time::Instant;

use super::lex::{Line, Options, PlanError, Word};
use super::write::VERSIONS;
use crate::attack::Attack;
use crate::board::Size;
use crate::fate::{Fates, FrameId, Twist, Way};
use crate::lie::{Habit, Habits, Lie};
use crate::link::Link;
use crate::plan::{Blow, Caller, Goodbye, Place, Plan, Role, Server, Siege, Strike, Visitor};

/// The most places of a plan.
const PLACES_MAX: usize = 1 << 14;

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
                message: "expected `cygnet-plan 1` or `cygnet-plan 2`, found an empty file".into(),
            });
        };
        first.exactly("cygnet-plan")?;
        let version = first.word("a version")?;
        if !VERSIONS.contains(&version.text) {
            let (known, text) = (VERSIONS.join(" and "), version.text);
            return Err(version.wrong(format!(
                "this program reads versions {known} of plans, found version {text:?}; a \
                 newer one reads it"
            )));
        }
        first.done()?;
        let (mut timed, mut ended, mut of_test) = (false, false, false);
        for mut line in lines {
            if ended {
                return Err(line.word("")?.wrong("expected nothing after `end`".into()));
            }
            let word = line.word("a fact")?;
            match word.text {
                "test" => {
                    if version.text == VERSIONS[0] {
                        let wrong = "a plan of a test has version 2 at least, this one has 1";
                        return Err(word.wrong(wrong.into()));
                    }
                    let begun = timed || plan.honest || !plan.places.is_empty();
                    if begun || plan.from.is_some() {
                        let wrong = "expected `test` before every other fact";
                        return Err(word.wrong(wrong.into()));
                    }
                    let name = line.word("a test's name")?.text.to_string();
                    line.exactly("seed")?;
                    plan.from = Some((name, line.number("a seed", 0, u64::MAX)?));
                    of_test = true;
                }
                "link" | "host" if of_test => {
                    let role = match word.text {
                        "link" => Role::Link,
                        _ => Role::Host,
                    };
                    named(&mut plan, role, &mut line)?;
                }
                "from" | "time" | "honest" | "switch" | "attacker" if of_test => {
                    return Err(word.wrong(format!(
                        "expected link, host, at, frame or end in a plan of a test, found {:?}",
                        word.text
                    )));
                }
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
                        "expected from, test, time, honest, switch, host, attacker, at, frame or end, \
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
        if of_test && !plan.is_of_test() {
            return Err(missing("a line `host NAME`"));
        }
        if !timed && !of_test {
            return Err(missing("a line `time heal=… limit=…`"));
        }
        Ok(plan)
    }
}

/// A place that a test makes: here it has a name and nothing else.
fn named(plan: &mut Plan, role: Role, line: &mut Line<'_>) -> Result<(), PlanError> {
    let name = fresh(plan, line)?;
    if role == Role::Link && plan.places.iter().any(|place| place.role == Role::Host) {
        return Err(name.wrong("expected all links before the first host".into()));
    }
    plan.places.push(Place {
        name: name.text.into(),
        on: None,
        link: Link::LAN,
        role,
    });
    Ok(())
}

/// A name that no place has yet.
fn fresh<'t>(plan: &Plan, line: &mut Line<'t>) -> Result<Word<'t>, PlanError> {
    let name = line.word("a name")?;
    if plan.place(name.text).is_some() {
        return Err(name.wrong(format!("{:?} is there already", name.text)));
    }
    if plan.places.len() == PLACES_MAX {
        return Err(name.wrong(format!("more than {PLACES_MAX} places")));
    }
    Ok(name)
}

fn place<'t>(plan: &mut Plan, kind: Word<'t>, line: &mut Line<'t>) -> Result<(), PlanError> {
    let name = fresh(plan, line)?;
    const LINK: [&str; 6] = ["latency", "rate", "queue", "mtu", "tells", "on"];
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
        let does = line.word("serve, visit, stranger or liar")?;
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
            "stranger" | "liar" => {
                let lie = match does.text {
                    "liar" => Some(lie(line)?),
                    _ => None,
                };
                let words = [
                    "to", "secret", "v6", "waits", "informs", "lossless", "visits", "until",
                    "bytes", "window", "reads", "holds", "mss", "shift", "takes", "patience",
                    "start", "pause",
                ];
                let habits = Habit::ALL.map(Habit::word);
                let mut options = line.options(&[&words[..], &habits, &LINK].concat())?;
                (Role::Caller(caller(plan, lie, &mut options)?), options)
            }
            other => {
                return Err(does.wrong(format!(
                    "expected serve, visit, stranger or liar, found {other:?}"
                )));
            }
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
    let link = link(&mut options)?;
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
        to: server_named(plan, options)?,
        secret: options.secret()?,
        every: options.time("every")?,
        start: options.time("start")?,
    })
}

fn visitor(plan: &Plan, options: &mut Options<'_>) -> Result<Visitor, PlanError> {
    let to = server_named(plan, options)?;
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
        goodbye: Goodbye::ALL
            .into_iter()
            .find(|&word| word.word() == goodbye.text)
            .ok_or_else(|| {
                let found = goodbye.text;
                goodbye.wrong(format!(
                    "expected close, drop, half or abort, found {found:?}"
                ))
            })?,
    })
}

fn lie(line: &mut Line<'_>) -> Result<Lie, PlanError> {
    let word = line.word("a lie")?;
    let found = Lie::ALL.into_iter().find(|lie| lie.word() == word.text);
    found.ok_or_else(|| {
        let (known, found) = (Lie::ALL.map(Lie::word).join(", "), word.text);
        word.wrong(format!("expected one of {known}, found {found:?}"))
    })
}

fn caller(plan: &Plan, lie: Option<Lie>, options: &mut Options<'_>) -> Result<Caller, PlanError> {
    let to = server_named(plan, options)?;
    let mut habits = Habits::default();
    for habit in Habit::ALL {
        if options.take(habit.word()).is_some() {
            habits = habits.with(habit);
        }
    }
    Ok(Caller {
        secret: options.secret()?,
        to,
        v6: options.take("v6").is_some(),
        lie,
        habits,
        visits: options.number("visits", 0, u32::MAX.into())? as u32,
        until: Instant::ZERO + options.time("until")?,
        bytes: options.number("bytes", 1, 1 << 30)? as u32,
        waits: options.take("waits").is_some(),
        window: options.number("window", 1, 1 << 20)? as u32,
        reads: options.number("reads", 0, 1 << 30)? as u32,
        holds: options.time("holds")?,
        mss: options.number("mss", 1, 1460)? as u16,
        shift: options.number("shift", 0, 14)? as u8,
        takes: options.number("takes", 68, 1514)? as u16,
        tells: options.take("informs").is_some(),
        lossless: options.take("lossless").is_some(),
        patience: options.time("patience")?,
        start: options.time("start")?,
        pause: options.time("pause")?,
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

/// The server that `to` names.
fn server_named(plan: &Plan, options: &mut Options<'_>) -> Result<usize, PlanError> {
    let server = options.must("to")?;
    let to = known(plan, server)?;
    match plan.places[to].role {
        Role::Server(_) => Ok(to),
        _ => Err(server.wrong(format!("{:?} is no server", server.text))),
    }
}

fn link(options: &mut Options<'_>) -> Result<Link, PlanError> {
    Ok(Link {
        latency: options.time("latency")?,
        bytes_per_second: options.number("rate", 0, 1 << 40)?,
        queue_bytes: options.number("queue", 0, 1 << 40)?,
        mtu: options.number("mtu", 60, 1514)? as usize,
        tells: options.take("tells").is_some(),
        ..Link::LAN
    })
}

fn strike(plan: &mut Plan, line: &mut Line<'_>) -> Result<(), PlanError> {
    let at = Instant::ZERO + line.word("a time")?.time()?;
    let does = line.word("what happens")?;
    let name = line.word("a host or switch")?;
    let place = known(plan, name)?;
    let is_host = plan.places[place].role.is_host();
    if plan.places[place].role == Role::Host && ["cut", "join", "link"].contains(&does.text) {
        let (what, name) = (does.text, name.text);
        return Err(does.wrong(format!("{name:?} is a host; only links can be {what}")));
    }
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
        "link" => Blow::Link(link(
            &mut line.options(&["latency", "rate", "queue", "mtu", "tells"])?,
        )?),
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
    let name = line.word("a host or switch")?;
    let place = known(plan, name)?;
    if plan.places[place].role == Role::Host {
        let wrong = format!("{:?} is a host; frames are counted on links", name.text);
        return Err(name.wrong(wrong));
    }
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
