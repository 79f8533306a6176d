//! Where a test runs: what the environment asks of it, where its corpus is and where
//! it leaves files, and the command that does the same again.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::shard::Shard;

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
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The corpus and all of these.
    Seeds(Range<u64>),
    /// The corpus and this part of these; what came of it is left in a folder.
    Shard(Range<u64>, Shard, PathBuf),
    /// What shards have left in a folder; of these seeds, if somebody said which.
    Merge(Option<Range<u64>>, PathBuf),
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
    let one = [
        "CYGNET_PLAN",
        "CYGNET_SEED",
        "CYGNET_MERGE",
        "CYGNET_RESULTS",
    ];
    let mut set = one.into_iter().filter(|name| variable(name).is_some());
    if let (Some(a), Some(b)) = (set.next(), set.next()) {
        return Err(format!(
            "{a} and {b} are both set, and ask for different things"
        ));
    }
    if variable("CYGNET_SHARD").is_some() && variable("CYGNET_RESULTS").is_none() {
        return Err(
            "CYGNET_SHARD is set and CYGNET_RESULTS is not: say in which folder the part leaves \
             what came of it, or nobody will know of the others"
                .into(),
        );
    }
    if let Some(path) = variable("CYGNET_PLAN") {
        return Ok(Asked::Plan(path.into()));
    }
    if let Some(text) = variable("CYGNET_SEED") {
        let seed = text.trim().parse().map_err(|_| {
            format!("CYGNET_SEED is {text:?}: give one number, or CYGNET_SEEDS=0..1000")
        })?;
        return Ok(Asked::Seed(seed));
    }
    let wanted = match variable("CYGNET_SEEDS") {
        None => None,
        Some(text) => {
            let range = text.trim().split_once("..");
            let range = range.and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
            Some(range.ok_or_else(|| {
                format!("CYGNET_SEEDS is {text:?}: give a range such as 0..100000")
            })?)
        }
    };
    if let Some(folder) = variable("CYGNET_MERGE") {
        return Ok(Asked::Merge(wanted, folder.into()));
    }
    let seeds = wanted.unwrap_or(seeds);
    if seeds.is_empty() {
        return Err(format!("no seed is in {seeds:?}: nothing would be tested"));
    }
    match variable("CYGNET_RESULTS") {
        None => Ok(Asked::Seeds(seeds)),
        Some(folder) => Ok(Asked::Shard(seeds, shard(variable)?, folder.into())),
    }
}

/// Which part this process is: what a person says, then what a scheduler says; the whole.
fn shard(variable: impl Fn(&str) -> Option<String>) -> Result<Shard, String> {
    if let Some(text) = variable("CYGNET_SHARD") {
        let shard = text.trim().parse();
        return shard.map_err(|why| format!("CYGNET_SHARD: {why}"));
    }
    let said = Shard::from_environment(variable, "set CYGNET_SHARD=K/N")?;
    Ok(said.map_or(Shard::WHOLE, |(shard, _)| shard))
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
            ("CYGNET_SHARD", "1/2", "CYGNET_RESULTS is not"),
        ] {
            let error = asks(&[(name, value)]).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_part_is_asked_for_by_a_folder_and_said_by_a_person_or_a_scheduler() {
        let results = ("CYGNET_RESULTS", "r");
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "3"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
        ];
        let job = [("JOB_COMPLETION_INDEX", "1"), ("SWARM_SHARDS", "4")];
        let part = |variables: &[(&str, &str)]| -> Result<String, String> {
            let asked = asks(&[&[results], variables].concat())?;
            let Asked::Shard(seeds, shard, folder) = asked else {
                return Ok(format!("{asked:?}"));
            };
            assert_eq!(folder, Path::new("r"));
            Ok(format!("{shard} of {seeds:?}"))
        };
        assert_eq!(part(&[]), Ok("1/1 of 0..10".into()));
        assert_eq!(part(&slurm), Ok("4/4 of 0..10".into()));
        let seeds = ("CYGNET_SEEDS", "5..50");
        assert_eq!(part(&[job[0], job[1], seeds]), Ok("2/4 of 5..50".into()));
        let said = ("CYGNET_SHARD", "1/2");
        assert_eq!(part(&[job[0], job[1], said]), Ok("1/2 of 0..10".into()));
        // Who only happens to run in a job runs everything.
        assert_eq!(asks(&slurm), Ok(Asked::Seeds(0..10)));
        let merge = ("CYGNET_MERGE", "r");
        assert_eq!(asks(&[merge]), Ok(Asked::Merge(None, "r".into())));
        let error = |variables: &[(&str, &str)]| part(variables).unwrap_err();
        for (variables, says) in [
            (
                &[("CYGNET_SHARD", "3/2")][..],
                "CYGNET_SHARD: \"3/2\" is no part",
            ),
            (&[("CYGNET_SHARD", "")], "is no part; say K/N"),
            (&[job[0]], "or set CYGNET_SHARD=K/N"),
            (
                &[job[0], ("SWARM_SHARDS", "1")],
                "is none of SWARM_SHARDS 1",
            ),
            (&[job[0], ("SWARM_SHARDS", "0")], "SWARM_SHARDS is 0"),
            (&[job[0], ("SWARM_SHARDS", "-4")], "no number"),
            (&[slurm[0], ("SLURM_ARRAY_TASK_COUNT", "x")], "no number"),
            (&[slurm[0], slurm[1], job[0]], "are both set"),
            (
                &[("CYGNET_SEED", "1")],
                "CYGNET_SEED and CYGNET_RESULTS are both set",
            ),
            (&[merge], "CYGNET_MERGE and CYGNET_RESULTS are both set"),
            (&[("CYGNET_SEEDS", "9..9")], "no seed is in 9..9"),
        ] {
            assert!(error(variables).contains(says), "{}", error(variables));
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
