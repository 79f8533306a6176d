//! Sources as they lie on the disk.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use super::tree::Sources;

/// The `.rs` files at `root`: those that git knows, where it knows any.
pub fn sources(root: &Path) -> Sources {
    let listed = tracked(root).unwrap_or_else(|| {
        let mut found = Vec::new();
        walk(root, "", &mut found);
        found
    });
    let text = |path: String| Some((path.clone(), std::fs::read_to_string(root.join(path)).ok()?));
    listed.into_iter().filter_map(text).collect()
}

fn tracked(root: &Path) -> Option<Vec<String>> {
    let mut git = Command::new("git");
    git.arg("-C").arg(root);
    git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let output = git.args(["--", "*.rs"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let files: Vec<String> = text.split_terminator('\0').map(String::from).collect();
    // A package that was unpacked inside of another repository is none of its files.
    (output.status.success() && files.iter().any(|it| it == "src/lib.rs")).then_some(files)
}

fn walk(root: &Path, below: &str, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(root.join(below)) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        if entry.path().is_dir() {
            walk(root, &path, found);
        } else if path.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// The crates in a folder: their names in paths, and their first files. `None`
/// where the folder is not there.
pub fn roots(root: &Path, folder: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    root.join(folder).is_dir().then_some(())?;
    while let Some(folder) = left.pop() {
        let at = root.join(&folder);
        if let Ok(manifest) = std::fs::read_to_string(at.join("Cargo.toml")) {
            let name = manifest
                .lines()
                .find_map(|line| line.strip_prefix("name = "));
            let name = name.unwrap_or("?").trim_matches('"').replace('-', "_");
            for file in ["src/lib.rs", "src/main.rs"] {
                if at.join(file).is_file() {
                    found.push((name.clone(), format!("{folder}/{file}")));
                }
            }
        }
        for entry in std::fs::read_dir(at).ok()?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() && name != "target" {
                left.push(format!("{folder}/{name}"));
            }
        }
    }
    found.sort();
    Some(found)
}

/// Says that a part is left out, past the test runner's capture, or fails where
/// nothing may be.
pub fn skip(why: &str) {
    let all = std::env::var_os("CYGNET_REQUIRE_ALL").is_some_and(|value| value == "1");
    assert!(!all, "CYGNET_REQUIRE_ALL=1, and {why}");
    let _ = writeln!(std::io::stderr(), "skipped a part of the house: {why}");
}
