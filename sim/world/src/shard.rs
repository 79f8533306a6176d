//! A part of many seeds: `K/N`, the `K`th of `N` machines, counted from 1. Chunks of
//! seeds go to the shards in turn, so that all of them end at about the same time.
//!
//! Schedulers say which part a job is in its environment, which is read here and
//! nowhere else: for `sim swarm` and for every test. What a person says goes before the
//! environment; two schedulers at once are a mistake.

use std::fmt;
use std::str::FromStr;

/// A part of many seeds. See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    index: u64,
    of: u64,
}

impl Shard {
    /// Everything.
    pub const WHOLE: Shard = Shard { index: 1, of: 1 };

    /// The `index`th of `of`, counted from 1; `None` if there is no such part.
    pub fn new(index: u64, of: u64) -> Option<Shard> {
        (1..=of).contains(&index).then_some(Shard { index, of })
    }

    /// Which one it is, from 1.
    pub fn index(self) -> u64 {
        self.index
    }

    /// How many there are.
    pub fn of(self) -> u64 {
        self.of
    }

    /// Whether this chunk is its business.
    pub fn takes(self, chunk: u64) -> bool {
        chunk % self.of == self.index - 1
    }

    /// What the scheduler says that this job is, and which scheduler that was: a task of
    /// a Slurm array, or of a Kubernetes Indexed Job with `SWARM_SHARDS` set to its
    /// completions. `say` is how a person can say it instead.
    ///
    /// # Errors
    /// One line: variables that make no sense, or only half of them.
    pub fn from_environment(
        variable: impl Fn(&str) -> Option<String>,
        say: &str,
    ) -> Result<Option<(Shard, &'static str)>, String> {
        let number = |name: &str| -> Result<Option<u64>, String> {
            let Some(text) = variable(name) else {
                return Ok(None);
            };
            let number = text.trim().parse();
            number.map_or_else(
                |_| Err(format!("{name} is {text:?}, no number")),
                |n| Ok(Some(n)),
            )
        };
        let count = |name: &str, without: String| match number(name)? {
            Some(0) => Err(format!("{name} is 0: nobody has a part; {say}")),
            of => of.ok_or(without),
        };
        let slurm = number("SLURM_ARRAY_TASK_ID")?;
        let kubernetes = number("JOB_COMPLETION_INDEX")?;
        match (slurm, kubernetes) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(format!(
                "SLURM_ARRAY_TASK_ID and JOB_COMPLETION_INDEX are both set; {say}"
            )),
            (Some(id), None) => {
                let least = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
                let step = number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
                let of = count(
                    "SLURM_ARRAY_TASK_COUNT",
                    format!("SLURM_ARRAY_TASK_ID is set and SLURM_ARRAY_TASK_COUNT is not; {say}"),
                )?;
                // An array with gaps, such as 1,3,7, says its least id and its
                // size, and with that nobody can tell which one 7 is.
                let place = id.checked_sub(least).filter(|place| place % step == 0);
                let shard = place.and_then(|place| Shard::new((place / step).checked_add(1)?, of));
                let shard = shard.ok_or_else(|| {
                    format!(
                        "task {id} of a Slurm array of {of} from {least} is no part of it; \
                         use --array=1-{of}, or {say}"
                    )
                })?;
                Ok(Some((shard, "Slurm array")))
            }
            (None, Some(index)) => {
                let of = count(
                    "SWARM_SHARDS",
                    format!(
                        "JOB_COMPLETION_INDEX is set; set SWARM_SHARDS to the job's \
                         completions too, or {say}"
                    ),
                )?;
                let shard = Shard::new(index.saturating_add(1), of).ok_or_else(|| {
                    format!("JOB_COMPLETION_INDEX {index} is none of SWARM_SHARDS {of}, from 0")
                })?;
                Ok(Some((shard, "Kubernetes job")))
            }
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let wrong = || format!("{text:?} is no part; say K/N, from 1/4 to 4/4");
        let (index, of) = text.split_once('/').ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<u64>().ok();
        let (index, of) = number(index).zip(number(of)).ok_or_else(wrong)?;
        Shard::new(index, of).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Result<Option<(Shard, &'static str)>, String> {
        let variable = |name: &str| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).into())
        };
        Shard::from_environment(variable, "say --shard K/N")
    }

    #[test]
    fn every_chunk_has_exactly_one_shard() {
        for of in 1..6 {
            for chunk in 0..30 {
                let takers = (1..=of).filter(|&k| Shard::new(k, of).unwrap().takes(chunk));
                assert_eq!(takers.count(), 1);
            }
        }
    }

    #[test]
    fn a_part_is_counted_from_one() {
        assert_eq!("2/4".parse(), Ok(Shard { index: 2, of: 4 }));
        for wrong in ["0/4", "5/4", "1/0", "1", "/", "a/b", "-1/4", "1/4/2"] {
            let error = wrong.parse::<Shard>().unwrap_err();
            assert!(error.contains("say K/N"), "{error}");
        }
    }

    #[test]
    fn schedulers_say_which_part_it_is() {
        assert_eq!(given(&[]), Ok(None));
        let slurm = |id, least, count| {
            given(&[
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_MIN", least),
                ("SLURM_ARRAY_TASK_COUNT", count),
            ])
            .map(|found| found.unwrap().0.to_string())
        };
        assert_eq!(slurm("1", "1", "4").unwrap(), "1/4");
        assert_eq!(slurm("3", "0", "4").unwrap(), "4/4");
        assert!(slurm("7", "1", "3").unwrap_err().contains("--array=1-3"));
        assert!(slurm("x", "1", "3").unwrap_err().contains("no number"));
        assert!(slurm("1", "1", "0").unwrap_err().contains("COUNT is 0"));
        assert!(slurm("0", "1", "3").unwrap_err().contains("no part of it"));
        let last = u64::MAX.to_string();
        assert!(
            slurm(&last, "0", "3")
                .unwrap_err()
                .contains("no part of it")
        );
        let stepped = [
            ("SLURM_ARRAY_TASK_ID", "20"),
            ("SLURM_ARRAY_TASK_MIN", "0"),
            ("SLURM_ARRAY_TASK_STEP", "10"),
            ("SLURM_ARRAY_TASK_COUNT", "3"),
        ];
        assert_eq!(given(&stepped).unwrap().unwrap().0.to_string(), "3/3");
        let job = [("JOB_COMPLETION_INDEX", "0"), ("SWARM_SHARDS", "8")];
        assert_eq!(given(&job).unwrap().unwrap().0.to_string(), "1/8");
        assert!(given(&job[..1]).unwrap_err().contains("SWARM_SHARDS"));
        let beyond = [("JOB_COMPLETION_INDEX", "8"), ("SWARM_SHARDS", "8")];
        assert!(given(&beyond).unwrap_err().contains("none of"));
        let nobody = [("JOB_COMPLETION_INDEX", "0"), ("SWARM_SHARDS", "0")];
        assert!(given(&nobody).unwrap_err().contains("SWARM_SHARDS is 0"));
        let both = [("JOB_COMPLETION_INDEX", "0"), ("SLURM_ARRAY_TASK_ID", "1")];
        assert!(given(&both).unwrap_err().contains("--shard"));
    }
}
