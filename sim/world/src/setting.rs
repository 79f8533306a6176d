//! Where a test runs: what the environment asks of it, where its corpus is and where
//! it leaves files, and the command that does the same again.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// See the [module](self).
pub(super) struct Setting {
    pub(super) name: String,
    pub(super) asked: Asked,
    /// Plans that once failed, of the package that is tested.
    pub(super) corpus: PathBuf,
    /// Where files are left.
    pub(super) out: PathBuf,
    /// `cargo test …`.
    again: String,
}

/// What is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The corpus and all of these.
    Seeds(Range<u64>),
    /// This one.
    Seed(u64),
    /// What this file says.
    Plan(PathBuf),
}

impl Setting {
    /// What variables of the environment say.
    ///
    /// # Errors
    /// One sentence: a variable makes no sense.
    pub(super) fn new(
        name: &str,
        seeds: Range<u64>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Setting, String> {
        let asked = asked(seeds, &variable)?;
        let package = variable("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from);
        let exe = std::env::current_exe().unwrap_or_default();
        let (target, profile) = built(&exe);
        let out = match variable("CYGNET_OUT") {
            Some(out) => PathBuf::from(out),
            None => target
                .unwrap_or_else(|| package.join("target"))
                .join("cygnet"),
        };
        let mut again = "cargo test".to_owned();
        if let Some(package) = variable("CARGO_PKG_NAME") {
            again += &format!(" -p {package}");
        }
        match profile.as_deref() {
            None | Some("debug") => (),
            Some("release") => again += " --release",
            Some(other) => again += &format!(" --profile {other}"),
        }
        Ok(Setting {
            name: name.into(),
            asked,
            corpus: package.join("tests/corpus").join(name),
            out: out.join(name),
            again: format!("{again} {name}"),
        })
    }

    /// The command that runs this test with a variable set.
    pub(super) fn again(&self, variable: &str, value: &str) -> String {
        format!("{variable}={value} {}", self.again)
    }
}

fn asked(seeds: Range<u64>, variable: impl Fn(&str) -> Option<String>) -> Result<Asked, String> {
    if let Some(path) = variable("CYGNET_PLAN") {
        return Ok(Asked::Plan(path.into()));
    }
    if let Some(text) = variable("CYGNET_SEED") {
        let seed = text.trim().parse().map_err(|_| {
            format!("CYGNET_SEED is {text:?}: give one number, or CYGNET_SEEDS=0..1000")
        })?;
        return Ok(Asked::Seed(seed));
    }
    let seeds = match variable("CYGNET_SEEDS") {
        None => seeds,
        Some(text) => {
            let range = text.trim().split_once("..");
            let range = range.and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
            range.ok_or_else(|| {
                format!("CYGNET_SEEDS is {text:?}: give a range such as 0..100000")
            })?
        }
    };
    match seeds.is_empty() {
        true => Err(format!("no seed is in {seeds:?}: nothing would be tested")),
        false => Ok(Asked::Seeds(seeds)),
    }
}

/// The folder of what cargo built, and the profile, from where a test is: such as
/// `target/debug/deps/kv-0123`.
fn built(exe: &Path) -> (Option<PathBuf>, Option<String>) {
    let deps = exe.ancestors().find(|folder| folder.ends_with("deps"));
    let profile = deps.and_then(Path::parent);
    let name = profile.and_then(Path::file_name);
    let name = name.map(|name| name.to_string_lossy().into_owned());
    (profile.and_then(Path::parent).map(PathBuf::from), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(variables: &[(&str, &str)]) -> Result<Asked, String> {
        asked(0..10, |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_variable_that_makes_no_sense_is_one_sentence_and_no_run() {
        assert_eq!(asks(&[]), Ok(Asked::Seeds(0..10)));
        assert_eq!(asks(&[("CYGNET_SEEDS", "3..9")]), Ok(Asked::Seeds(3..9)));
        assert_eq!(asks(&[("CYGNET_SEED", "7")]), Ok(Asked::Seed(7)));
        for (name, value, said) in [
            ("CYGNET_SEED", "x", "CYGNET_SEED is \"x\": give one number"),
            (
                "CYGNET_SEEDS",
                "9",
                "CYGNET_SEEDS is \"9\": give a range such as 0..100000",
            ),
            ("CYGNET_SEEDS", "5..5", "no seed is in 5..5"),
            ("CYGNET_SEEDS", "9..5", "no seed is in 9..5"),
        ] {
            let error = asks(&[(name, value)]).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn what_cargo_built_says_where_and_how() {
        let (target, profile) = built(Path::new("/a/target/release/deps/kv-01"));
        assert_eq!(target, Some("/a/target".into()));
        assert_eq!(profile.as_deref(), Some("release"));
        assert_eq!(built(Path::new("/a/kv")), (None, None));
    }
}
