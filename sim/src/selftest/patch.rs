//! Patches that plant bugs: `sim/selftest/NAME.patch`.
//!
//! ```text
//! bug: bytes that come with an acknowledgement wake no reader
//! # Only large buffers show it.
//! scenarios: slow
//! seconds: 40
//! shows: twice
//! @@
//!              let readable = socket.can_recv();
//! +            let readable = readable && !(acknowledged && planted());
//! ```
//!
//! `bug:` says what it does, in a line, and may be followed by where to look for
//! it. `part:` instead is what several bugs need and is there before them. After
//! each `@@` come lines as in a diff: those with a space or a minus are looked for,
//! one below the other; those with a minus go, those with a plus come. `planted()`
//! becomes the question whether this bug is planted in this process.
//!
//! A patch names no file and no line: its place is where its lines are, and they
//! must be in one place only. Code that moves to another file, or deeper into a
//! block, or becomes visible elsewhere, keeps its bugs; code that changes loses
//! them, and [`apply`] says which.
//!
//! Not here: files. Texts come in, texts go out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where bugs are looked for unless they say otherwise.
const SCENARIOS: &str = "chaos churn overload reboot partition";

/// How long faults last, and how long visitors come: less than is usual, for bugs
/// show early or need another seed.
const SECONDS: u64 = 15;

/// Texts by their path below the sources' root.
pub(super) type Texts = BTreeMap<PathBuf, String>;

/// How a bug shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// An invariant is violated.
    Violation,
    /// The same plan twice, two digests.
    Twice,
    /// The same plan in two processes, two digests.
    TwoProcesses,
}

/// What a patch says of its bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bug {
    pub(super) name: String,
    /// What it does, in a line.
    pub(super) about: String,
    pub(super) sign: Sign,
    /// Where it is looked for, the same seed in each, one after the other.
    pub(super) scenarios: Vec<String>,
    /// How long faults last at most.
    pub(super) seconds: u64,
}

/// A patch as it was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Patch {
    name: String,
    /// None: a part that bugs need.
    pub(super) bug: Option<Bug>,
    hunks: Vec<Hunk>,
}

#[derive(Debug, PartialEq, Eq)]
struct Hunk {
    /// Of its `@@`, counted from one.
    line: usize,
    lines: Vec<(Mark, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Keep,
    Cut,
    Add,
}

impl Patch {
    /// Reads the patch with this name.
    ///
    /// # Errors
    /// One line: what is wrong, and where.
    pub(super) fn read(name: &str, text: &str) -> Result<Patch, String> {
        let wrong = |line: usize, why: &str| Err(format!("{}: {why}", place(name, line)));
        let mut head: BTreeMap<&str, &str> = BTreeMap::new();
        let mut hunks: Vec<Hunk> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line == "@@" {
                let lines = Vec::new();
                hunks.push(Hunk {
                    line: number,
                    lines,
                });
            } else if let Some(hunk) = hunks.last_mut() {
                let mark = match line.bytes().next() {
                    Some(b'+') => Mark::Add,
                    Some(b'-') => Mark::Cut,
                    Some(b' ') => Mark::Keep,
                    None => continue,
                    _ => return wrong(number, "neither space, plus nor minus"),
                };
                // Empty lines are not looked for.
                if mark == Mark::Add || !line[1..].trim().is_empty() {
                    hunk.lines.push((mark, line[1..].to_owned()));
                }
            } else if !line.starts_with('#') {
                let known = ["bug", "part", "scenarios", "seconds", "shows"];
                match line.split_once(": ") {
                    Some((key, value)) if known.contains(&key) => head.insert(key, value.trim()),
                    _ => return wrong(number, "not `bug: …`, `part: …` or the like"),
                };
            }
        }
        let looked_for = |hunk: &Hunk| hunk.lines.iter().any(|(mark, _)| *mark != Mark::Add);
        if let Some(hunk) = hunks.iter().find(|hunk| !looked_for(hunk)) {
            return wrong(hunk.line, "no line to look for");
        }
        if hunks.is_empty() || head.contains_key("bug") == head.contains_key("part") {
            return wrong(1, "it takes `bug: …` or `part: …`, and a hunk after `@@`");
        }
        let seconds = head.get("seconds").map_or(Ok(SECONDS), |text| text.parse());
        let bug = head.get("bug").map(|about| Bug {
            name: name.to_owned(),
            about: (*about).to_owned(),
            sign: match head.get("shows") {
                Some(&"twice") => Sign::Twice,
                Some(&"in two processes") => Sign::TwoProcesses,
                _ => Sign::Violation,
            },
            scenarios: head
                .get("scenarios")
                .unwrap_or(&SCENARIOS)
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            seconds: seconds.clone().unwrap_or(SECONDS),
        });
        match head.get("shows") {
            None | Some(&"twice" | &"in two processes") if seconds.is_ok() => Ok(Patch {
                name: name.to_owned(),
                bug,
                hunks,
            }),
            _ => wrong(1, "`shows: twice`, `shows: in two processes`, `seconds: N`"),
        }
    }

    /// Changes the texts, each hunk where its lines are.
    fn apply(&self, number: usize, texts: &mut Texts) -> Result<(), String> {
        for hunk in &self.hunks {
            let found = hunk.find(texts);
            let [(path, at)] = &found[..] else {
                return Err(self.lost(hunk, &found, texts));
            };
            // Sites in the core ask their own crate.
            let of = match path.starts_with("src") {
                true => "crate",
                false => "cygnet",
            };
            let asked = format!("{of}::planted::planted({number})");
            let text = texts.get_mut(path).expect("the text it was found in");
            *text = hunk.replaced(text, *at, &asked);
        }
        Ok(())
    }

    /// Why a hunk has no place.
    fn lost(&self, hunk: &Hunk, found: &[(PathBuf, usize)], texts: &Texts) -> String {
        let mut why = match found {
            [] => format!("{}: nowhere stands", place(&self.name, hunk.line)),
            _ => format!("{}: more than once stands", place(&self.name, hunk.line)),
        };
        for line in hunk.before() {
            why += &format!("\n    {line}");
        }
        for (path, at) in found {
            why += &format!("\n  it is in {}:{}", path.display(), at + 1);
        }
        if found.is_empty() {
            for line in hunk.before().filter(|line| line.len() > 8) {
                for (path, text) in texts {
                    if let Some(at) = text.lines().position(|other| bare(other) == line) {
                        why += &format!("\n  `{line}` is in {}:{}", path.display(), at + 1);
                    }
                }
            }
        }
        why
    }
}

impl Hunk {
    /// The lines to look for.
    fn before(&self) -> impl Iterator<Item = &str> {
        let lines = self.lines.iter().filter(|(mark, _)| *mark != Mark::Add);
        lines.map(|(_, line)| bare(line))
    }

    /// Where its lines are: the text, and the first of them, counted from 0.
    fn find(&self, texts: &Texts) -> Vec<(PathBuf, usize)> {
        let before: Vec<&str> = self.before().collect();
        let mut found = Vec::new();
        for (path, text) in texts {
            let lines = text.lines().map(bare).enumerate();
            let lines: Vec<_> = lines.filter(|(_, line)| !line.is_empty()).collect();
            for window in lines.windows(before.len()) {
                if window.iter().map(|(_, line)| line).eq(&before) {
                    found.push((path.clone(), window[0].0));
                }
            }
        }
        found
    }

    /// The text with this hunk at that line.
    fn replaced(&self, text: &str, at: usize, asked: &str) -> String {
        let mut out = String::with_capacity(text.len() + 256);
        let mut push = |line: &str| {
            out.push_str(line);
            out.push('\n');
        };
        let mut lines = text.lines();
        lines.by_ref().take(at).for_each(&mut push);
        for (mark, line) in &self.lines {
            if *mark == Mark::Add {
                push(&line.replace("planted()", asked));
                continue;
            }
            // Empty lines between were not looked for.
            let there = lines.find(|line| !line.trim().is_empty());
            if *mark == Mark::Keep {
                push(there.unwrap_or_default());
            }
        }
        lines.for_each(&mut push);
        out
    }
}

/// A line without what changes when code moves: its indentation, and how far it is
/// visible.
fn bare(line: &str) -> &str {
    let line = line.trim();
    match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with(' ') => rest.trim_start(),
        Some(rest) if rest.starts_with('(') => rest
            .split_once(')')
            .map_or(line, |(_, rest)| rest.trim_start()),
        _ => line,
    }
}

/// Where a patch is, for people.
fn place(name: &str, line: usize) -> String {
    format!(
        "{}:{line}",
        Path::new(FOLDER)
            .join(name)
            .with_extension("patch")
            .display()
    )
}

/// Where patches are, below the sources' root.
pub(super) const FOLDER: &str = "sim/selftest";

/// Applies all patches together: parts first, then bugs, which are numbered from
/// one in their order. Each finds its place in what those before it left.
///
/// # Errors
/// For each patch that has no place, what was looked for.
pub(super) fn apply(patches: &[Patch], texts: &mut Texts) -> Result<(), Vec<String>> {
    let parts = patches.iter().filter(|patch| patch.bug.is_none());
    let bugs = patches.iter().filter(|patch| patch.bug.is_some());
    let all = parts.map(|part| (0, part)).chain((1..).zip(bugs));
    let lost: Vec<String> = all
        .filter_map(|(number, patch)| patch.apply(number, texts).err())
        .collect();
    match lost.is_empty() {
        true => Ok(()),
        false => Err(lost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "impl Slots {\n    pub(super) fn free(&mut self) {\n        \
        self.used -= 1;\n\n        self.wake();\n    }\n}\n";

    const PATCH: &str = "bug: a slot is not free\n@@\n     fn free(&mut self) {\n-        \
        self.used -= 1;\n+        if !planted() {\n+            self.used -= 1;\n+        }\n";

    fn texts(files: &[(&str, &str)]) -> Texts {
        let owned = |(path, text): &(&str, &str)| (PathBuf::from(path), (*text).to_owned());
        files.iter().map(owned).collect()
    }

    fn lost(texts: &mut Texts) -> String {
        let patch = Patch::read("kept", PATCH).unwrap();
        apply(&[patch], texts).unwrap_err().join("\n")
    }

    #[test]
    fn a_patch_finds_its_lines_wherever_they_have_moved() {
        let patch = || Patch::read("kept", PATCH).unwrap();
        let moved = SOURCE.replace("pub(super) fn", "fn").replace("    ", "  ");
        for (path, text) in [("src/net/slots.rs", SOURCE), ("src/table/slots.rs", &moved)] {
            let mut texts = texts(&[("src/lib.rs", "mod slots;\n"), (path, text)]);
            apply(&[patch(), patch()][..1], &mut texts).unwrap();
            let text = &texts[Path::new(path)];
            assert!(text.contains("if !crate::planted::planted(1) {"), "{text}");
            assert_eq!(text.matches("self.used -= 1;").count(), 1);
            assert!(text.ends_with("self.wake();\n    }\n}\n") || path != "src/net/slots.rs");
        }
        let mut texts = texts(&[("sim/src/slots.rs", SOURCE)]);
        apply(&[patch()], &mut texts).unwrap();
        assert!(texts[Path::new("sim/src/slots.rs")].contains("cygnet::planted::planted(1)"));
    }

    #[test]
    fn a_patch_without_a_place_says_what_it_looked_for() {
        let changed = SOURCE.replace("-= 1", "-= 2");
        let said = lost(&mut texts(&[("src/slots.rs", &changed)]));
        assert!(
            said.contains("sim/selftest/kept.patch:2: nowhere stands"),
            "{said}"
        );
        assert!(said.contains("\n    self.used -= 1;"), "{said}");
        assert!(
            said.contains("`fn free(&mut self) {` is in src/slots.rs:2"),
            "{said}"
        );
    }

    #[test]
    fn a_patch_with_two_places_names_both() {
        let said = lost(&mut texts(&[("src/a.rs", SOURCE), ("src/b.rs", SOURCE)]));
        assert!(said.contains("more than once"), "{said}");
        assert!(
            said.contains("src/a.rs:2") && said.contains("src/b.rs:2"),
            "{said}"
        );
    }

    #[test]
    fn parts_come_first_and_bugs_are_numbered_in_their_order() {
        let part = "part: a flag\n@@\n self.wake();\n+self.flag = false;\n";
        let bug = "bug: a flag stays\n@@\n-self.flag = false;\n+self.flag = planted();\n";
        let patches = [("a", PATCH), ("b", bug), ("c", part)]
            .map(|(name, text)| Patch::read(name, text).unwrap());
        let mut texts = texts(&[("src/slots.rs", SOURCE)]);
        apply(&patches, &mut texts).unwrap();
        let text = &texts[Path::new("src/slots.rs")];
        assert!(text.contains("!crate::planted::planted(1)"), "{text}");
        assert!(
            text.contains("self.flag = crate::planted::planted(2);"),
            "{text}"
        );
    }

    #[test]
    fn a_patch_that_is_none_is_refused() {
        for (text, why) in [
            ("bug: x\n", "a hunk"),
            ("@@\n x\n", "`bug: …` or `part: …`"),
            ("bug: x\npart: x\n@@\n x\n", "`bug: …` or `part: …`"),
            ("bug: x\n@@\n+x\n", ":2: no line to look for"),
            ("bug: x\n@@\nx\n", ":3: neither"),
            ("bug: x\nfile: src/x.rs\n@@\n x\n", ":2: not"),
            ("bug: x\nseconds: soon\n@@\n x\n", "`seconds: N`"),
            ("bug: x\nshows: once\n@@\n x\n", "`shows: twice`"),
        ] {
            let said = Patch::read("swan", text).unwrap_err();
            assert!(said.contains(why), "{text:?}: {said}");
        }
    }
}
