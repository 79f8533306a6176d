//! Crates as trees of modules, and where a path leads in them.

use std::collections::{BTreeMap, BTreeSet};

use super::items::{self, Below, Declared, Module, Path};
use super::test_code::without_tests;
use super::tokens::tokens;

/// Sources by path from the root of the repository, with `/`.
pub type Sources = BTreeMap<String, String>;

/// A crate: its name in paths, and its first file.
pub type Root<'a> = (&'a str, &'a str);

pub struct Tree {
    pub files: Vec<File>,
    pub modules: Vec<Placed>,
    crates: BTreeMap<String, usize>,
}

pub struct File {
    pub path: String,
    pub code_lines: usize,
    /// It declares modules and names from elsewhere, nothing else.
    pub facade: bool,
    /// Modules of tests in it: a board's image may name them.
    pub tests: Vec<String>,
}

/// A module in its place.
pub struct Placed {
    pub file: usize,
    pub module: Module,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
}

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Module(usize),
    /// In a module, by its number among the names there.
    Item(usize, usize),
    /// Nothing that is seen there; a macro may have declared it.
    Unseen(usize),
}

impl Tree {
    pub fn new(sources: &Sources, roots: &[Root<'_>]) -> Tree {
        let mut tree = Tree {
            files: Vec::new(),
            modules: Vec::new(),
            crates: BTreeMap::new(),
        };
        for (name, root) in roots {
            if sources.contains_key(*root) {
                let id = tree.file(sources, root, None, true);
                tree.crates.entry((*name).to_owned()).or_insert(id);
            }
        }
        tree
    }

    fn file(&mut self, sources: &Sources, path: &str, parent: Option<usize>, root: bool) -> usize {
        let (tokens, tests) = without_tests(tokens(&sources[path]));
        let lines: BTreeSet<usize> = tokens.iter().flat_map(|t| t.lines.0..=t.lines.1).collect();
        let module = items::module(&tokens);
        let file = self.files.len();
        self.files.push(File {
            path: path.to_owned(),
            code_lines: lines.len(),
            facade: !module.has_code,
            tests,
        });
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let stem = name.trim_end_matches(".rs");
        let inside = match root || stem == "mod" {
            true => dir.to_owned(),
            false => format!("{dir}/{stem}"),
        };
        self.place(sources, module, file, parent, dir, &inside)
    }

    fn place(
        &mut self,
        sources: &Sources,
        mut module: Module,
        file: usize,
        parent: Option<usize>,
        dir: &str,
        inside: &str,
    ) -> usize {
        let below = std::mem::take(&mut module.below);
        let id = self.modules.len();
        self.modules.push(Placed {
            file,
            module,
            parent,
            children: BTreeMap::new(),
        });
        for (name, module) in below {
            let child = match module {
                Below::Inline(module) => {
                    let inside = format!("{inside}/{name}");
                    Some(self.place(sources, module, file, Some(id), &inside, &inside))
                }
                Below::File(path) => {
                    let candidates = match path {
                        Some(path) => vec![joined(dir, &path)],
                        None => vec![
                            format!("{inside}/{name}.rs"),
                            format!("{inside}/{name}/mod.rs"),
                        ],
                    };
                    let there = candidates.iter().find(|path| sources.contains_key(*path));
                    there.map(|path| self.file(sources, path, Some(id), false))
                }
            };
            self.modules[id]
                .children
                .extend(child.map(|child| (name, child)));
        }
        id
    }

    pub fn file_of(&self, target: Target) -> &File {
        let (Target::Module(id) | Target::Item(id, _) | Target::Unseen(id)) = target;
        &self.files[self.modules[id].file]
    }

    /// Where a path in a module leads: nowhere, if out of these crates.
    pub fn resolve(&self, module: usize, path: &Path) -> BTreeSet<Target> {
        let words: Vec<&str> = path.words.iter().map(String::as_str).collect();
        self.walk(module, &words, &mut BTreeSet::new())
    }

    /// Where one word leads that a glob brought.
    pub fn by_glob(&self, module: usize, word: &str) -> BTreeSet<Target> {
        if !self.named(module, word, &mut BTreeSet::new()).is_empty() {
            return BTreeSet::new();
        }
        self.globbed(module, word, &mut BTreeSet::new())
    }

    fn walk(&self, from: usize, words: &[&str], seen: &mut Seen) -> BTreeSet<Target> {
        let mut at = from;
        let mut rest = words;
        let mut found = BTreeSet::new();
        while let [word, more @ ..] = rest {
            match *word {
                "crate" => at = self.root(at),
                "self" => {}
                "super" => at = self.modules[at].parent.unwrap_or(at),
                _ => break,
            }
            rest = more;
            found = BTreeSet::from([Target::Module(at)]);
        }
        if found.is_empty() {
            let (outside, first) = match rest {
                ["", first, ..] => (true, *first),
                [first, ..] => (false, *first),
                [] => return found,
            };
            rest = &rest[1 + usize::from(outside)..];
            if !outside {
                found = self.named(at, first, seen);
                if found.is_empty() {
                    found = self.globbed(at, first, seen);
                }
            }
            if found.is_empty() {
                let of_crate = self.crates.get(first);
                found.extend(of_crate.map(|id| Target::Module(*id)));
            }
        }
        for word in rest {
            let mut next = BTreeSet::new();
            for target in found {
                match target {
                    Target::Module(id) => {
                        let mut names = self.named(id, word, seen);
                        if names.is_empty() {
                            names = self.globbed(id, word, seen);
                        }
                        if names.is_empty() && !self.leads_out(id, word) {
                            names.insert(Target::Unseen(id));
                        }
                        next.extend(names);
                    }
                    // A variant, or what is associated.
                    item => _ = next.insert(item),
                }
            }
            // A word may name a module and a function: the module goes on.
            found = next;
        }
        found
    }

    fn root(&self, mut module: usize) -> usize {
        while let Some(parent) = self.modules[module].parent {
            module = parent;
        }
        module
    }

    /// Whether a module has this name from another crate, or for tests alone.
    fn leads_out(&self, module: usize, word: &str) -> bool {
        let file = &self.files[self.modules[module].file];
        if file.tests.iter().any(|name| name == word) {
            return true;
        }
        let names = &self.modules[module].module.names;
        names
            .iter()
            .any(|(name, declared)| name == word && matches!(declared, Declared::Use(_)))
    }

    fn named(&self, module: usize, word: &str, seen: &mut Seen) -> BTreeSet<Target> {
        let mut found = BTreeSet::new();
        if !seen.insert((module, word.to_owned())) {
            return found;
        }
        let placed = &self.modules[module];
        found.extend(placed.children.get(word).map(|id| Target::Module(*id)));
        for (number, (name, declared)) in placed.module.names.iter().enumerate() {
            if name != word {
                continue;
            }
            match declared {
                Declared::Use(path) => {
                    let words: Vec<&str> = path.words.iter().map(String::as_str).collect();
                    found.extend(self.walk(module, &words, seen));
                }
                _ => _ = found.insert(Target::Item(module, number)),
            }
        }
        seen.remove(&(module, word.to_owned()));
        found
    }

    fn globbed(&self, module: usize, word: &str, seen: &mut Seen) -> BTreeSet<Target> {
        let mut found = BTreeSet::new();
        let mark = (module, format!("*{word}"));
        if !seen.insert(mark.clone()) {
            return found;
        }
        for glob in &self.modules[module].module.globs {
            let words: Vec<&str> = glob.words.iter().map(String::as_str).collect();
            for target in self.walk(module, &words, seen) {
                if let Target::Module(id) = target {
                    found.extend(self.named(id, word, seen));
                    found.extend(self.globbed(id, word, seen));
                }
            }
        }
        seen.remove(&mark);
        found
    }

    /// What an alias stands for, as far as it is ours.
    pub fn behind_alias(&self, target: Target) -> Target {
        let mut at = target;
        for _ in 0..8 {
            let Target::Item(module, number) = at else {
                break;
            };
            let Declared::Alias(path) = &self.modules[module].module.names[number].1 else {
                break;
            };
            let Some(next) = self.resolve(module, path).into_iter().next() else {
                break;
            };
            at = next;
        }
        at
    }
}

type Seen = BTreeSet<(usize, String)>;

/// A path from a folder, without `..`.
fn joined(dir: &str, path: &str) -> String {
    let mut parts: Vec<&str> = dir.split('/').collect();
    for part in path.split('/') {
        match part {
            ".." => _ = parts.pop(),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}
