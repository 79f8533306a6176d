//! What is said of a run that failed: the least plan that still fails the same way,
//! the command that runs it again, who did it and when, the last events, and files.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration as WallTime, Instant as WallClock};

use smoltcp::time::Instant;

use super::diff::{Difference, Lines};
use super::files::{Files, Notes, Wanted};
use super::ids::End;
use super::log::{Arrival, Happening, Violation, Watch};
use super::page::About;
use super::plan::{Blow, Plan};
use super::play::{How, Run, Test, play, way};
use super::setting::Setting;
use super::shrink::shrink;
use super::story::{Story, host_names};

/// The most plans that shrinking runs, and how long it may take.
const SHRINK_RUNS: u64 = 2000;
const SHRINK_TIME: WallTime = WallTime::from_secs(60);

/// Events that are told, and facts.
const LAST_EVENTS: usize = 12;
const FACTS: usize = 12;

/// Events in which two runs are compared, and how often.
const COMPARED: u64 = 200_000;
const TRIES: usize = 5;

/// What is said of a seed whose run broke a rule. `before` is that run.
pub(super) fn of_seed(setting: &Setting, test: Test<'_>, seed: u64, before: &Run) -> String {
    let name = &setting.name;
    let how = || How::drawn(seed).recorded();
    let drawn = play(name, test, how());
    if (drawn.digest, drawn.events) != (before.digest, before.events) {
        return of_two_runs(setting, test, seed);
    }
    let Some(violation) = &drawn.violation else {
        return of_two_runs(setting, test, seed);
    };
    let mut again = vec![("replay", setting.again("CYGNET_SEED", &seed.to_string()))];
    let told = |plan: &Plan| {
        let told = play(name, test, How::told(plan));
        told.violation
            .is_some_and(|other| way(&other) == way(violation))
    };
    let before = drawn.plan.facts();
    let title = format!("seed {seed}");
    if !told(&drawn.plan) {
        let facts = format!("{before}; told as a plan they do not fail the same way");
        let how = how();
        return report(setting, test, &drawn.plan, how, &title, &facts, again);
    }
    let start = WallClock::now();
    let (mut runs, mut cut) = (0, false);
    let open = unended(&drawn.plan);
    let small = shrink(
        drawn.plan.clone(),
        |plan| {
            // A fault that never ends is another test.
            if !unended(plan).is_subset(&open) {
                return Some(false);
            }
            cut = runs >= SHRINK_RUNS || start.elapsed() > SHRINK_TIME;
            runs += 1;
            (!cut).then(|| told(plan))
        },
        |_| (),
    );
    let more = if cut { "; there may be fewer" } else { "" };
    let facts = format!(
        "{} left of {before}, after {runs} runs{more}",
        small.facts()
    );
    let path = setting.out.join(format!("seed-{seed}.plan"));
    again.push(("", setting.again("CYGNET_PLAN", &shown(&path))));
    let how = How::told(&small);
    report(setting, test, &small, how, &title, &facts, again)
}

/// What is said of a plan of the corpus that fails.
pub(super) fn of_plan(setting: &Setting, test: Test<'_>, path: &Path, plan: &Plan) -> String {
    let how = How::told(plan);
    let again = vec![("replay", setting.again("CYGNET_PLAN", &shown(path)))];
    let facts = format!("{} of {}", plan.facts(), shown(path));
    report(setting, test, plan, how, &shown(path), &facts, again)
}

/// What is said of a seed whose runs are not the same.
pub(super) fn of_two_runs(setting: &Setting, test: Test<'_>, seed: u64) -> String {
    let run = || {
        // Names first: a run cannot be told in words without them.
        let names = play(&setting.name, test, How::drawn(seed)).plan;
        let (watch, lines) = Lines::new(Story::new(&names), 0..COMPARED);
        let run = play(&setting.name, test, How::drawn(seed).watched(watch));
        (lines.take(), run)
    };
    let mut text = format!(
        "{}: seed {seed}: two runs of one seed are not the same\n",
        setting.name
    );
    let first = run();
    let difference = (0..TRIES).find_map(|_| Difference::between(&first.0, &run().0));
    match difference {
        Some(Difference { before, a, b }) => {
            let end = || "(the end)".to_owned();
            text += "  the first event that differs\n";
            for line in before {
                let _ = writeln!(text, "      {line}");
            }
            let _ = writeln!(text, "    - {}", a.unwrap_or_else(end));
            let _ = writeln!(text, "    + {}", b.unwrap_or_else(end));
        }
        None => {
            let (events, digest) = (first.1.events, first.1.digest);
            let _ = writeln!(
                text,
                "  events   {events}, digest {digest:032x} now; they differ now and then"
            );
        }
    }
    text += "  why      something in the test is not of this world: a wall clock\n           \
             (std::time::Instant), a thread, the order of a hash map, a random number.\n           \
             Take the time from node.now(), and chance from the world.\n";
    let _ = writeln!(
        text,
        "  replay   {}",
        setting.again("CYGNET_SEED", &seed.to_string())
    );
    text
}

/// Runs once more, keeps everything, and says it.
fn report(
    setting: &Setting,
    test: Test<'_>,
    plan: &Plan,
    how: How<'_>,
    title: &str,
    facts: &str,
    again: Vec<(&str, String)>,
) -> String {
    let stem = match title.strip_prefix("seed ") {
        Some(seed) => format!("seed-{seed}"),
        None => {
            let stem = Path::new(title).file_stem().unwrap_or_default();
            stem.to_string_lossy().into_owned()
        }
    };
    let paths = paths(setting, &stem);
    let kept = open(&paths, plan);
    let lines = Rc::<RefCell<VecDeque<String>>>::default();
    let (kept, mut trouble) = match kept {
        Ok(kept) => (kept, None),
        Err(error) => (None, Some(error)),
    };
    let (files, notes) = kept.unzip();
    let last = Last {
        files,
        story: Story::new(plan),
        lines: Rc::clone(&lines),
    };
    let run = play(&setting.name, test, how.watched(last));
    let name = &setting.name;
    let Some(violation) = &run.violation else {
        return format!("{name}: {title}: it failed, and now it does not");
    };
    if let Some(notes) = notes {
        let about = About {
            title: &format!("{name}: {stem}"),
            plan,
            violation: Some(violation),
        };
        trouble = notes.finish(&about).err();
    }
    let mut rows = Rows(format!("{name}: {title}: {}\n", what(violation)));
    rows.add("where", &place(&run, violation));
    for (label, command) in &again {
        rows.add(label, command);
    }
    rows.add("facts", facts);
    rows.facts(plan);
    match trouble {
        Some(trouble) => rows.add("files", &format!("none: {trouble}")),
        None => {
            for (label, path) in ["plan", "page", "capture", "events"].iter().zip(&paths) {
                rows.add(label, &shown(path));
            }
        }
    }
    rows.add("last", "events");
    for line in &*lines.borrow() {
        rows.add("", line);
    }
    rows.0
}

/// The rows of a report: a label, and what there is to say.
struct Rows(String);

impl Rows {
    fn add(&mut self, label: &str, value: &str) {
        let mut label = label;
        for line in value.lines() {
            let _ = writeln!(self.0, "  {label:<8} {line}");
            label = "";
        }
    }

    /// The first few facts of a plan.
    fn facts(&mut self, plan: &Plan) {
        let said = plan.to_string();
        let is_fact = |line: &&str| line.starts_with("at ") || line.starts_with("frame ");
        let mut said = said.lines().filter(is_fact);
        for fact in said.by_ref().take(FACTS) {
            self.add("", fact);
        }
        match said.count() {
            0 => (),
            more => self.add("", &format!("and {more} more")),
        }
    }
}

/// Where the plan, the page, the capture and the events of a run are left.
fn paths(setting: &Setting, stem: &str) -> [PathBuf; 4] {
    ["plan", "html", "pcapng", "txt"].map(|end| setting.out.join(format!("{stem}.{end}")))
}

/// Writes the plan, unless it is there, perhaps with comments; opens the other files.
fn open(
    [file, page, capture, events]: &[PathBuf; 4],
    plan: &Plan,
) -> Result<Option<(Files, Rc<Notes>)>, String> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let old = std::fs::read_to_string(file).ok();
    let is_there = old.and_then(|text| text.parse().ok()).as_ref() == Some(plan);
    std::fs::create_dir_all(folder)
        .and_then(|()| match is_there {
            true => Ok(()),
            false => std::fs::write(file, plan.to_string()),
        })
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    let wanted = Wanted {
        events: Some(events),
        capture: Some(capture),
        page: Some(page),
        page_events: None,
        perfetto: None,
    };
    Files::open(plan, &wanted)
}

/// Leaves the files of a run that does not fail, for who asked for that run alone: to
/// look at, and to compare with those of another.
///
/// # Errors
/// One line about a file.
pub(super) fn leave(
    setting: &Setting,
    test: Test<'_>,
    seed: u64,
    told: Option<(&Plan, &Path)>,
) -> Result<(), String> {
    let how = || match told {
        Some((plan, _)) => How::told(plan),
        None => How::drawn(seed).recorded(),
    };
    let plan = match told {
        Some((plan, _)) => plan.clone(),
        None => play(&setting.name, test, how()).plan,
    };
    let stem = told.and_then(|(_, path)| Some(path.file_stem()?.to_string_lossy().into_owned()));
    let stem = stem.unwrap_or_else(|| format!("seed-{seed}"));
    let paths = paths(setting, &stem);
    let name = &setting.name;
    let wrong = |error| format!("{name}: {error}");
    if let Some((files, notes)) = open(&paths, &plan).map_err(wrong)? {
        play(name, test, how().watched(files));
        let about = About {
            title: &format!("{name}: {stem}"),
            plan: &plan,
            violation: None,
        };
        notes.finish(&about).map_err(wrong)?;
    }
    let [plan, page, capture, events] = paths.each_ref().map(|path| shown(path));
    println!("{name}: {stem} passes: {plan}, {page}, {capture}, {events}");
    Ok(())
}

fn what(violation: &Violation) -> String {
    let Violation {
        invariant, detail, ..
    } = violation;
    format!(
        "{invariant}: {}",
        detail.trim_end().replace('\n', "\n           ")
    )
}

/// Who, and when.
fn place(run: &Run, violation: &Violation) -> String {
    let Violation { at, event, .. } = violation;
    let host = violation.host.map(|host| host.number() as usize);
    let host = host.and_then(|host| host_names(&run.plan).nth(host));
    let who = host.map_or("the test itself".into(), |host| format!("host {host}"));
    format!(
        "{who}, at {}.{:06} s, event {event}",
        at.secs(),
        at.micros()
    )
}

/// A path as a person in the current folder types it.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let path = path.strip_prefix(&here).unwrap_or(path);
    path.display().to_string()
}

/// Faults that begin and do not end: what, and where.
fn unended(plan: &Plan) -> BTreeSet<(&'static str, usize)> {
    let mut open = BTreeSet::new();
    for strike in &plan.strikes {
        match strike.blow {
            Blow::Crash => _ = open.insert(("crash", strike.place)),
            Blow::Pause => _ = open.insert(("pause", strike.place)),
            Blow::Cut { .. } => _ = open.insert(("cut", strike.place)),
            Blow::Boot => {
                open.remove(&("crash", strike.place));
                open.remove(&("pause", strike.place));
            }
            Blow::Resume => _ = open.remove(&("pause", strike.place)),
            Blow::Join => _ = open.remove(&("cut", strike.place)),
            Blow::Unplug => _ = open.insert(("unplug", strike.place)),
            Blow::Plug => _ = open.remove(&("unplug", strike.place)),
            // Worse and better again are one after the other.
            Blow::Link(_) => {
                let link = ("link", strike.place);
                if !open.remove(&link) {
                    open.insert(link);
                }
            }
            Blow::Drift(_) | Blow::Jump(_) => (),
        }
    }
    open
}

/// Keeps the last few events, and everything in files.
struct Last {
    files: Option<Files>,
    story: Story,
    lines: Rc<RefCell<VecDeque<String>>>,
}

impl Watch for Last {
    fn happened(&mut self, number: u64, at: Instant, what: &Happening<'_>) {
        if let Some(files) = &mut self.files {
            files.happened(number, at, what);
        }
        let mut lines = self.lines.borrow_mut();
        if lines.len() == LAST_EVENTS {
            lines.pop_front();
        }
        lines.push_back(self.story.line(number, at, what));
    }

    fn arrived(&mut self, sent: u64, at: Instant, to: End, how: Arrival) {
        if let Some(files) = &mut self.files {
            files.arrived(sent, at, to, how);
        }
    }

    fn healed(&mut self, at: Instant) {
        if let Some(files) = &mut self.files {
            files.healed(at);
        }
    }
}
