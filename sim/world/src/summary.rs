//! What the seeds of one shard showed, as a file: written when all of them have run, read
//! when the shards are [added up](super::merge).
//!
//! Not here: which seeds those are (`shard`), and what is wrong with a run (`check`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::Hasher as _;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher13 as SipHasher128};

use super::shard::Shard;

/// The first line: what this is, and its version.
const TITLE: &str = "cygnet-shard 1";
/// The end of a file's name.
pub(super) const ENDS: &str = "shard";

/// What some seeds showed. See the [module](self).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Showed {
    pub(super) runs: u64,
    pub(super) events: u64,
    /// Of all runs, in whatever order: a sum.
    pub(super) digest: u128,
    /// What one of all runs must show, and whether one did.
    pub(super) seen: BTreeMap<String, bool>,
    /// Kinds of faults that were asked for, and whether they had an effect.
    pub(super) faults: BTreeMap<String, bool>,
}

impl Showed {
    /// One more run.
    pub(super) fn add(&mut self, seed: u64, digest: u128, events: u64) {
        let mut hasher = SipHasher128::new();
        hasher.write(&seed.to_le_bytes());
        hasher.write(&digest.to_le_bytes());
        self.digest = self.digest.wrapping_add(hasher.finish128().as_u128());
        self.runs += 1;
        self.events += events;
    }

    /// What others showed.
    pub(super) fn merge(&mut self, other: Showed) {
        self.runs += other.runs;
        self.events += other.events;
        self.digest = self.digest.wrapping_add(other.digest);
        for (all, here) in [
            (&mut self.seen, other.seen),
            (&mut self.faults, other.faults),
        ] {
            for (name, had) in here {
                *all.entry(name).or_default() |= had;
            }
        }
    }
}

/// The summary of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) test: String,
    /// The seeds of all shards together.
    pub(super) seeds: Range<u64>,
    pub(super) shard: Shard,
    /// What the first of all seeds does here: a program that does something else is
    /// another program, or does not depend on its seed alone.
    pub(super) behaves: u128,
    pub(super) showed: Showed,
    /// The least seed that failed, and how, in a line.
    pub(super) failed: Option<(u64, String)>,
}

impl Summary {
    /// Where the summary of a shard of this test is.
    pub(super) fn path(folder: &Path, test: &str, shard: Shard) -> PathBuf {
        let name = format!("{}-of-{}.{ENDS}", shard.index(), shard.of());
        folder.join(test).join(name)
    }

    /// Takes away what an earlier attempt left.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn remove(path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes it whole, or not at all.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let part = path.with_extension(format!("{}.part", std::process::id()));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&part, self.text())?;
        std::fs::rename(&part, path)
    }

    fn text(&self) -> String {
        let Summary {
            test,
            seeds: Range { start, end },
            shard,
            behaves,
            showed,
            failed,
        } = self;
        let mut text = format!(
            "{TITLE}\ntest {test}\nseeds {start}..{end}\nshard {shard}\nbehaves {behaves:032x}\n\
             runs {}\nevents {}\ndigest {:032x}\n",
            showed.runs, showed.events, showed.digest
        );
        for (word, all) in [("seen", &showed.seen), ("fault", &showed.faults)] {
            for (name, had) in all {
                let had = if *had { "yes" } else { "no" };
                let _ = writeln!(text, "{word} {had} {}", line(name));
            }
        }
        if let Some((seed, why)) = failed {
            let _ = writeln!(text, "failed {seed} {}", line(why));
        }
        let _ = writeln!(text, "end {:016x}", checksum(&text));
        text
    }

    /// Reads one.
    ///
    /// # Errors
    /// Why it is none, in a few words.
    pub(super) fn read(text: &str) -> Result<Summary, String> {
        let version = text.lines().next().unwrap_or_default();
        if version != TITLE {
            return Err(match version.strip_prefix("cygnet-shard ") {
                Some(version) => format!("it has version {version}, and this program reads 1"),
                None => "it is no summary of a shard".into(),
            });
        }
        let torn = || "it is cut off, or was changed".to_owned();
        let body = text
            .strip_suffix('\n')
            .and_then(|text| text.rsplit_once('\n'));
        let (body, end) = body.ok_or_else(torn)?;
        let body = &text[..=body.len()];
        if end != format!("end {:016x}", checksum(body)) {
            return Err(torn());
        }
        // Whoever wrote a right sum wrote this.
        Self::fields(body).ok_or_else(|| "it makes no sense to this program".into())
    }

    fn fields(body: &str) -> Option<Summary> {
        let mut lines = body.lines().skip(1).peekable();
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let test = field("test")?.to_owned();
        let (start, end) = field("seeds")?.split_once("..")?;
        let shard = field("shard")?.parse().ok()?;
        let behaves = u128::from_str_radix(field("behaves")?, 16).ok()?;
        let mut summary = Summary {
            test,
            seeds: start.parse().ok()?..end.parse().ok()?,
            shard,
            behaves,
            showed: Showed {
                runs: field("runs")?.parse().ok()?,
                events: field("events")?.parse().ok()?,
                digest: u128::from_str_radix(field("digest")?, 16).ok()?,
                ..Showed::default()
            },
            failed: None,
        };
        for line in lines {
            let (word, rest) = line.split_once(' ')?;
            let (value, name) = rest.split_once(' ')?;
            let all = match word {
                "seen" => &mut summary.showed.seen,
                "fault" => &mut summary.showed.faults,
                "failed" => {
                    summary.failed = Some((value.parse().ok()?, name.into()));
                    continue;
                }
                _ => return None,
            };
            all.insert(name.into(), value == "yes");
        }
        Some(summary)
    }
}

/// In one line.
fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn checksum(text: &str) -> u64 {
    SipHasher13::new().hash(text.as_bytes())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn summary(shard: &str) -> Summary {
        let mut showed = Showed::default();
        let shard: Shard = shard.parse().unwrap();
        for seed in (0..10).filter(|&seed| shard.takes(seed)) {
            showed.add(seed, u128::from(seed) << 80, 100 + seed);
            *showed.seen.entry("a slow start".into()).or_default() |= seed == 3;
            showed.faults.insert("lost".into(), true);
        }
        Summary {
            test: "a_test".into(),
            seeds: 0..10,
            shard,
            behaves: u128::MAX,
            showed,
            failed: None,
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let mut whole = summary("2/3");
        assert_eq!(Summary::read(&whole.text()), Ok(whole.clone()));
        whole.failed = Some((4, "bytes at 3 s, event 7: two\nlines".into()));
        let read = Summary::read(&whole.text()).unwrap();
        let failed = (4, "bytes at 3 s, event 7: two lines".to_owned());
        assert_eq!(read.failed, Some(failed));
    }

    #[test]
    fn what_is_not_whole_is_none() {
        let text = summary("1/2").text();
        for length in 0..text.len() {
            let error = Summary::read(&text[..length]).unwrap_err();
            assert!(!error.is_empty());
        }
        let changed = text.replacen("runs 5", "runs 6", 1);
        assert!(Summary::read(&changed).unwrap_err().contains("was changed"));
        assert!(
            Summary::read("my diary\n")
                .unwrap_err()
                .contains("no summary")
        );
        let later = text.replacen("cygnet-shard 1", "cygnet-shard 2", 1);
        assert!(Summary::read(&later).unwrap_err().contains("version 2"));
    }

    #[test]
    fn a_sum_does_not_depend_on_the_order() {
        let mut sum = Showed::default();
        for shard in ["3/3", "1/3", "2/3"] {
            sum.merge(summary(shard).showed);
        }
        let whole = summary("1/1").showed;
        assert_eq!((sum.runs, sum.events, sum.digest), (10, 1045, whole.digest));
        assert!(sum.seen["a slow start"] && sum.faults["lost"]);
    }
}
