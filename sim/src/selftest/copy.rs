//! The sources, and a copy of them with every bug in it, built once for all.
//!
//! ```text
//!   src/ sim/ …                what is tested; never changed
//!   target/selftest/           the same with all patches applied
//!   target/selftest/target/    what cargo makes of it
//! ```
//!
//! The copy is brought up to date, not made anew: a file that says the same keeps
//! its age, and cargo builds only what changed. What it builds stays apart: cargo
//! takes two crates that have the same name and place in two workspaces for one, and
//! would link bugs into everything else that is built.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::patch::{self, FOLDER, Patch, Texts};

/// What cargo puts into the folder of what it built.
const BUILT: &str = "CACHEDIR.TAG";

/// Half the time to build it; a hunt takes seconds.
const QUICK: &[&str] = &[
    "profile.release.lto=false",
    "profile.release.codegen-units=16",
    "profile.release.debug=false",
];

/// No source is that long; a capture that somebody left among them is.
const LONGEST: u64 = 1 << 20;

/// A clone of the repository.
pub(super) struct Sources(PathBuf);

impl Sources {
    /// The clone in this folder, or the one that this program was built from.
    ///
    /// # Errors
    /// One line: there is none.
    pub(super) fn find(given: Option<&Path>) -> Result<Sources, String> {
        let sim = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = given.or_else(|| sim.parent()).unwrap_or(sim);
        match root.canonicalize() {
            Ok(root) if root.join(FOLDER).is_dir() && root.join("src/lib.rs").is_file() => {
                Ok(Sources(root))
            }
            _ => Err(format!(
                "bugs are planted in a copy of the sources, and there are none in {}: \
                 give `--sources DIR`, a clone of the repository",
                root.display()
            )),
        }
    }

    /// All patches, by name.
    ///
    /// # Errors
    /// One line: a file cannot be read, or is no patch.
    pub(super) fn patches(&self) -> Result<Vec<Patch>, String> {
        let folder = self.0.join(FOLDER);
        let entries = fs::read_dir(&folder).map_err(|error| at(&folder, &error))?;
        let mut patches = Vec::new();
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.extension().is_some_and(|end| end == "patch") {
                patches.push(path);
            }
        }
        patches.sort();
        let read = |path: &PathBuf| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let text = fs::read_to_string(path).map_err(|error| at(path, &error))?;
            Patch::read(&name, &text)
        };
        patches.iter().map(read).collect()
    }

    /// What patches change, the sources of the core and of `sim`, with all of them
    /// applied.
    ///
    /// # Errors
    /// A file cannot be read, or a patch has no place: all that have none.
    pub(super) fn patched(&self, patches: &[Patch]) -> Result<Texts, String> {
        let mut texts = Texts::new();
        for path in files(&self.0)? {
            let is_source = path.extension().is_some_and(|end| end == "rs");
            let is_ours = path.starts_with("src") || path.starts_with("sim");
            let is_test = path.starts_with("sim/tests");
            if is_ours && is_source && !is_test {
                let whole = self.0.join(&path);
                let text = fs::read_to_string(&whole).map_err(|error| at(&whole, &error))?;
                texts.insert(path, text);
            }
        }
        match patch::apply(patches, &mut texts) {
            Ok(()) => Ok(texts),
            Err(lost) => Err(lost.join("\n")),
        }
    }

    /// Brings the copy up to date and builds it. Returns the program.
    ///
    /// # Errors
    /// A patch has no place, a file cannot be written, or cargo cannot build it.
    pub(super) fn build(&self, patches: &[Patch]) -> Result<PathBuf, String> {
        let patched = self.patched(patches)?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = target.unwrap_or_else(|| self.0.join("target"));
        let target = std::path::absolute(&target).map_err(|error| at(&target, &error))?;
        let copy = target.join("selftest");
        fs::create_dir_all(&copy).map_err(|error| at(&copy, &error))?;
        // Another self-test may be building: one after the other.
        let lock = copy.join(".lock");
        let held = File::create(&lock).and_then(|file| file.lock().map(|()| file));
        let _held = held.map_err(|error| at(&lock, &error))?;
        self.update(&copy, &patched)?;
        let bugs = patches.iter().filter(|patch| patch.bug.is_some()).count();
        eprintln!(
            "sim: building a copy with {bugs} bugs in it: {}",
            copy.display()
        );
        cargo(&copy)
    }

    /// Writes what differs, and removes what is gone.
    fn update(&self, copy: &Path, patched: &Texts) -> Result<(), String> {
        let ours: BTreeSet<PathBuf> = files(&self.0)?.into_iter().collect();
        for path in &ours {
            let (from, to) = (self.0.join(path), copy.join(path));
            let new = match patched.get(path) {
                Some(text) => text.clone().into_bytes(),
                None => fs::read(&from).map_err(|error| at(&from, &error))?,
            };
            if fs::read(&to).is_ok_and(|old| old == new) {
                continue;
            }
            let folder = to.parent().unwrap_or(copy);
            let written = fs::create_dir_all(folder).and_then(|()| fs::write(&to, new));
            written.map_err(|error| at(&to, &error))?;
        }
        for path in files(copy)? {
            if !ours.contains(&path) {
                let gone = copy.join(path);
                fs::remove_file(&gone).map_err(|error| at(&gone, &error))?;
            }
        }
        Ok(())
    }
}

/// Every file below a folder that may be a source: not in a hidden folder, not
/// built by cargo, not too long.
fn files(root: &Path) -> Result<Vec<PathBuf>, String> {
    fn add(root: &Path, below: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
        for entry in fs::read_dir(root.join(below))? {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, below.join(entry.file_name()));
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if kind.is_file() {
                if entry.metadata()?.len() <= LONGEST {
                    files.push(path);
                }
            } else if kind.is_dir() && !entry.path().join(BUILT).exists() {
                add(root, &path, files)?;
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    add(root, Path::new(""), &mut found).map_err(|error| at(root, &error))?;
    Ok(found)
}

/// Builds the copy. What cargo has to say goes to the terminal.
fn cargo(copy: &Path) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--package", "cygnet-sim"]);
    command.args(["--bin", "sim"]);
    command.args(QUICK.iter().flat_map(|setting| ["--config", setting]));
    command.args(["--message-format", "json-render-diagnostics"]);
    command.arg("--target-dir").arg(copy.join("target"));
    command.current_dir(copy);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let child = command.spawn();
    let mut child = child.map_err(|error| format!("cargo, to build the copy: {error}"))?;
    let said = child.stdout.take().map(BufReader::new);
    let mut program = None;
    for line in said
        .into_iter()
        .flat_map(BufRead::lines)
        .map_while(Result::ok)
    {
        let message: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(path) = message["executable"].as_str() {
            program = Some(PathBuf::from(path));
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    match program {
        Some(program) if status.success() => Ok(program),
        _ => Err(format!(
            "cargo does not build the copy in {}; if that is because of a bug in it, \
             its patch no longer fits what is around it",
            copy.display()
        )),
    }
}

fn at(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_brought_up_to_date_and_what_is_the_same_keeps_its_age() {
        let here = std::env::temp_dir().join(format!("cygnet-copy-{}", std::process::id()));
        let (root, copy) = (here.join("sources"), here.join("sources/target/selftest"));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("Cargo.toml", "[workspace]");
        write("src/lib.rs", "mod swan;");
        write("src/swan.rs", "");
        write(".git/HEAD", "");
        write("target/CACHEDIR.TAG", "");
        write("target/release/sim", "");
        fs::create_dir_all(&copy).unwrap();
        let sources = Sources(root.clone());
        sources.update(&copy, &Texts::new()).unwrap();
        let mut there = files(&copy).unwrap();
        there.sort();
        let names = ["Cargo.toml", "src/lib.rs", "src/swan.rs"].map(PathBuf::from);
        assert_eq!(there, names);

        let age = |path: &str| fs::metadata(copy.join(path)).unwrap().modified().unwrap();
        let before = (age("src/lib.rs"), age("Cargo.toml"));
        fs::remove_file(root.join("src/swan.rs")).unwrap();
        let patched = Texts::from([("src/lib.rs".into(), "mod cygnet;".into())]);
        sources.update(&copy, &patched).unwrap();
        assert!(!copy.join("src/swan.rs").exists());
        let text = fs::read_to_string(copy.join("src/lib.rs")).unwrap();
        assert_eq!((&*text, age("Cargo.toml")), ("mod cygnet;", before.1));
        let changed = age("src/lib.rs");
        sources.update(&copy, &patched).unwrap();
        assert!(age("src/lib.rs") == changed && changed >= before.0);
        fs::remove_dir_all(here).unwrap();
    }
}
