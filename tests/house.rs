//! Keeps the floors: a file imports from its own floor and from floors below,
//! no files import each other in a circle, a type's methods stand in its file,
//! no file, no `Core` and no house grows beyond its measure, and none is left over.
//!
//! `CYGNET_HOUSE=DIR cargo test --test house -- --ignored --nocapture report`
//! prints everything that is wrong in a tree, and how much code each floor has.

mod house {
    pub mod disk;
    mod fixtures;
    pub mod items;
    pub mod plan;
    pub mod rules;
    pub mod test_code;
    pub mod tokens;
    pub mod tree;
}

use std::path::Path;

use house::disk;
use house::rules::{self, Violation};
use house::tree::{Root, Sources, Tree};

/// Everything that is wrong with the core's sources.
fn violations_of_core(tree: &Tree) -> Vec<Violation> {
    let (arrows, mut found) = rules::arrows(tree);
    found.extend(rules::floors(tree, &arrows));
    found.extend(rules::circles(&arrows));
    found.extend(rules::impls(tree));
    found.extend(rules::cores(tree));
    found.extend(rules::much(tree).1);
    found.sort();
    found
}

fn circles_of(sources: &Sources, roots: &[Root<'_>]) -> Vec<Violation> {
    let (arrows, mut found) = rules::arrows(&Tree::new(sources, roots));
    found.extend(rules::circles(&arrows));
    found
}

const CORE: [Root<'static>; 1] = [("cygnet", "src/lib.rs")];

/// Everything that is wrong in the tree at `root`, and a table of code lines.
fn look_at(root: &Path) -> (Vec<Violation>, String) {
    let sources = disk::sources(root);
    let core = Tree::new(&sources, &CORE);
    let mut found = violations_of_core(&core);
    found.extend(rules::orphans(&core, &sources));
    for crates in house::plan::WITHOUT_FLOORS {
        match disk::roots(root, crates) {
            Some(roots) => {
                let roots: Vec<Root<'_>> = roots.iter().map(|(a, b)| (&**a, &**b)).collect();
                found.extend(circles_of(&sources, &roots));
            }
            None => disk::skip(&format!("{crates}/ is not in this package")),
        }
    }
    found.extend(rules::long(sources.iter()));
    found.sort();
    let mut table = String::from("floor  code lines\n");
    for (floor, lines) in rules::code_lines(&core) {
        let floor = floor.map_or("none".into(), |floor| floor.to_string());
        table += &format!("{floor:>5}  {lines}\n");
    }
    let (lines, _) = rules::much(&core);
    table += &format!("counted: {lines}, of {} at most\n", house::plan::CODE_LINES);
    (found, table)
}

fn listed(found: &[Violation]) -> String {
    let mut text = String::new();
    let mut kind = None;
    for violation in found {
        if kind.replace(violation.kind) != Some(violation.kind) {
            let count = found.iter().filter(|it| it.kind == violation.kind).count();
            text += &format!("\n== {:?}: {count}\n", violation.kind);
        }
        text += &format!(
            "{}:{}: {}\n",
            violation.file, violation.line, violation.what
        );
    }
    text
}

#[test]
fn the_house_stands() {
    let (found, table) = look_at(Path::new(env!("CARGO_MANIFEST_DIR")));
    println!("{table}");
    assert!(found.is_empty(), "{}", listed(&found));
}

#[test]
#[ignore = "a report, not a test"]
fn report() {
    let here = || env!("CARGO_MANIFEST_DIR").into();
    let root = std::env::var_os("CYGNET_HOUSE").unwrap_or_else(here);
    let (found, table) = look_at(Path::new(&root));
    println!("{}\n{table}", listed(&found));
    let mut files = Tree::new(&disk::sources(Path::new(&root)), &CORE).files;
    files.sort_by_key(|file| std::cmp::Reverse(file.code_lines));
    println!("code lines  file");
    for file in files {
        println!("{:>10}  {}", file.code_lines, file.path);
    }
}
