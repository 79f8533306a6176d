//! What a house must not have, found in a tree of modules.

use std::collections::{BTreeMap, BTreeSet};

use super::plan;
use super::tree::{File, Sources, Target, Tree};

/// What is wrong, by the kind of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A file on no floor.
    Homeless,
    /// An import from a floor above.
    Up,
    /// An import between two folders of one floor that stand beside each other.
    Beside,
    /// Files that import each other, directly or by way of others.
    Circle,
    /// An `impl` away from its type, and from its trait if that is ours.
    Impl,
    /// A `Core` of too many fields.
    Core,
    /// A file of too many lines.
    Long,
    /// More code than the house has room for.
    Much,
    /// A file that no module names: it is compiled by nobody.
    Orphan,
    /// A path that leads nowhere: this test does not see what is there.
    Unseen,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    pub kind: Kind,
    pub file: String,
    pub line: usize,
    pub what: String,
}

/// What a file names of another file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    pub from: String,
    pub to: String,
    pub line: usize,
    pub path: String,
}

/// All arrows between files, and the paths that lead nowhere.
///
/// A method's call names no file. It need not: the value came from a type whose
/// file is named here, or by a file that is, and methods stand with their type.
pub fn arrows(tree: &Tree) -> (BTreeSet<Arrow>, Vec<Violation>) {
    let (mut arrows, mut unseen) = (BTreeSet::new(), Vec::new());
    for (id, placed) in tree.modules.iter().enumerate() {
        let from = &tree.files[placed.file];
        let globbed = placed
            .module
            .words
            .iter()
            .filter(|_| !placed.module.globs.is_empty());
        let globbed = globbed.map(|word| (word, tree.by_glob(id, &word.words[0])));
        let named = placed
            .module
            .paths
            .iter()
            .map(|path| (path, tree.resolve(id, path)));
        for (path, targets) in named.chain(globbed) {
            for target in targets {
                let to = tree.file_of(target);
                if let Target::Unseen(module) = target
                    && !tree.modules[module].module.macros
                {
                    unseen.push(Violation {
                        kind: Kind::Unseen,
                        file: from.path.clone(),
                        line: path.line,
                        what: format!("{path} is not in {}", to.path),
                    });
                } else if from.path != to.path && !from.facade && !to.facade {
                    arrows.insert(Arrow {
                        from: from.path.clone(),
                        to: to.path.clone(),
                        line: path.line,
                        path: path.to_string(),
                    });
                }
            }
        }
    }
    (arrows, unseen)
}

/// Arrows that run up, or beside, and files on no floor.
pub fn floors(tree: &Tree, arrows: &BTreeSet<Arrow>) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in &tree.files {
        if plan::floor(&file.path).is_none() && !file.facade {
            found.push(Violation {
                kind: Kind::Homeless,
                file: file.path.clone(),
                line: 1,
                what: "is on no floor".into(),
            });
        }
    }
    for arrow in arrows {
        let (Some(from), Some(to)) = (plan::floor(&arrow.from), plan::floor(&arrow.to)) else {
            continue;
        };
        let kind = match () {
            () if plan::allowed(&arrow.from, &arrow.to) => continue,
            () if from < to => Kind::Up,
            () if plan::beside(&arrow.from, &arrow.to) => Kind::Beside,
            () => continue,
        };
        found.push(Violation {
            kind,
            file: arrow.from.clone(),
            line: arrow.line,
            what: format!(
                "floor {from} names {} of floor {to}, {}",
                arrow.path, arrow.to
            ),
        });
    }
    found
}

/// Circles of arrows.
pub fn circles(arrows: &BTreeSet<Arrow>) -> Vec<Violation> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for arrow in arrows {
        next.entry(&arrow.from).or_default().insert(&arrow.to);
        next.entry(&arrow.to).or_default();
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = next
        .keys()
        .map(|from| (*from, reach(&next, from)))
        .collect();
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for (from, to) in &reached {
        if !to.contains(from) || !told.insert(*from) {
            continue;
        }
        let circle: BTreeSet<&str> = to
            .iter()
            .copied()
            .filter(|it| reached[it].contains(from))
            .collect();
        told.extend(&circle);
        let names: Vec<&str> = circle.iter().copied().collect();
        let mut what = format!("{} files in a circle: {}", names.len(), names.join(" "));
        let mut pairs = BTreeSet::new();
        for arrow in arrows {
            let inside = circle.contains(&*arrow.from) && circle.contains(&*arrow.to);
            if inside && pairs.insert((&arrow.from, &arrow.to)) {
                what += &format!(
                    "\n    {}:{} -> {} ({})",
                    arrow.from, arrow.line, arrow.to, arrow.path
                );
            }
        }
        found.push(Violation {
            kind: Kind::Circle,
            file: names[0].into(),
            line: 1,
            what,
        });
    }
    found
}

fn reach<'a>(next: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let (mut found, mut left) = (BTreeSet::new(), vec![from]);
    while let Some(at) = left.pop() {
        for to in &next[at] {
            if found.insert(*to) {
                left.push(to);
            }
        }
    }
    found
}

/// Traits whose methods run without being named, as inherent ones do.
const UNNAMED: [&str; 3] = ["Drop", "Deref", "DerefMut"];

/// `impl`s in a wrong file.
pub fn impls(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (id, placed) in tree.modules.iter().enumerate() {
        let here = &tree.files[placed.file].path;
        for header in &placed.module.impls {
            let ours = |path| -> BTreeSet<&str> {
                let targets = tree.resolve(id, path).into_iter();
                targets
                    .map(|it| &*tree.file_of(tree.behind_alias(it)).path)
                    .collect()
            };
            let of_type = ours(&header.on);
            let of_trait = header.of.as_ref().map(ours).unwrap_or_default();
            let (name, may) = match &header.of {
                None => (header.on.to_string(), of_type),
                Some(name) if !of_trait.is_empty() => (
                    format!("{name} for {}", header.on),
                    of_type.union(&of_trait).copied().collect(),
                ),
                Some(name) if UNNAMED.contains(&name.words.last().map_or("", |it| it)) => {
                    (format!("{name} for {}", header.on), of_type)
                }
                Some(_) => continue,
            };
            let open = |file: &str| plan::OPEN.iter().any(|place| file.starts_with(place));
            let inside = open(here) && may.iter().all(|file| open(file));
            if !may.is_empty() && !may.contains(&**here) && !inside {
                let may: Vec<&str> = may.into_iter().collect();
                found.push(Violation {
                    kind: Kind::Impl,
                    file: here.clone(),
                    line: header.on.line,
                    what: format!("impl {name} belongs to {}", may.join(" or ")),
                });
            }
        }
    }
    found
}

/// A state that was opened instead of made of parts.
pub fn cores(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for placed in &tree.modules {
        for (name, line, fields) in &placed.module.fields {
            if name == "Core" && *fields > plan::CORE_FIELDS {
                found.push(Violation {
                    kind: Kind::Core,
                    file: tree.files[placed.file].path.clone(),
                    line: *line,
                    what: format!("Core has {fields} fields, of {} at most", plan::CORE_FIELDS),
                });
            }
        }
    }
    found
}

/// Files of too many lines.
pub fn long<'a>(files: impl Iterator<Item = (&'a String, &'a String)>) -> Vec<Violation> {
    let files = files.map(|(path, source)| (path, source.lines().count()));
    let long = files.filter(|(_, lines)| *lines > plan::FILE_LINES);
    let violation = |(path, lines): (&String, usize)| Violation {
        kind: Kind::Long,
        file: path.clone(),
        line: lines,
        what: format!("{lines} lines, of {} at most", plan::FILE_LINES),
    };
    long.map(violation).collect()
}

/// Code lines by floor; files on no floor come last.
pub fn code_lines(tree: &Tree) -> BTreeMap<Option<u8>, usize> {
    let mut lines = BTreeMap::new();
    for file in &tree.files {
        *lines.entry(plan::floor(&file.path)).or_default() += file.code_lines;
    }
    lines
}

/// Code lines that count against the limit.
pub fn much(tree: &Tree) -> (usize, Vec<Violation>) {
    let counted = tree
        .files
        .iter()
        .filter(|file| !plan::UNCOUNTED.iter().any(|it| file.path.starts_with(it)));
    let lines = counted.map(|file| file.code_lines).sum();
    let violation = Violation {
        kind: Kind::Much,
        file: "src".into(),
        line: 0,
        what: format!("{lines} code lines, of {} at most", plan::CODE_LINES),
    };
    let found = (lines > plan::CODE_LINES).then_some(violation);
    (lines, found.into_iter().collect())
}

/// Files in `src` that no module names.
pub fn orphans(tree: &Tree, sources: &Sources) -> Vec<Violation> {
    let named = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        let name = name.trim_end_matches(".rs");
        let is = |file: &File| file.path == path || file.tests.iter().any(|test| test == name);
        // By a `#[path]` of a module of tests, most likely.
        name.ends_with("_tests") || tree.files.iter().any(is)
    };
    let of_core = sources.keys().filter(|path| path.starts_with("src/"));
    let violation = |path: &String| Violation {
        kind: Kind::Orphan,
        file: path.clone(),
        line: 1,
        what: "is named by no module: delete it, or declare it".into(),
    };
    of_core.filter(|path| !named(path)).map(violation).collect()
}
