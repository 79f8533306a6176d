//! Tests of a world, each run as a person runs it: by cargo's harness, in a process of its
//! own, with a folder of its own.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// What asks a test for more or less, and must not come from outside.
const VARIABLES: [&str; 13] = [
    "CYGNET_SEED",
    "CYGNET_SEEDS",
    "CYGNET_PLAN",
    "CYGNET_RESULTS",
    "CYGNET_SHARD",
    "CYGNET_MERGE",
    "CARGO_PKG_NAME",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_ARRAY_TASK_MIN",
    "SLURM_ARRAY_TASK_STEP",
    "SLURM_ARRAY_TASK_COUNT",
    "JOB_COMPLETION_INDEX",
    "SWARM_SHARDS",
];

/// A folder of this test's own, gone at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("cygnet-world-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// What a planted test says when it fails, and whether it passes.
    pub fn run(&self, test: &str, variables: &[(&str, &str)]) -> (String, bool) {
        let (text, passes) = self.prints(test, variables);
        // What the harness says of threads is not the same twice.
        let said = text.split_once("panicked at").unwrap_or_default().1;
        let said = said.split_once('\n').unwrap_or_default().1;
        let said = said.split("\nnote: ").next().unwrap_or_default();
        (said.trim_end().to_owned(), passes)
    }

    /// All that the harness prints, and whether a planted test passes.
    pub fn prints(&self, test: &str, variables: &[(&str, &str)]) -> (String, bool) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--include-ignored", "--exact", &format!("planted::{test}")]);
        for name in VARIABLES {
            command.env_remove(name);
        }
        command.env("CARGO_MANIFEST_DIR", &self.0);
        command.env("CYGNET_OUT", &self.0);
        command.env("RUST_BACKTRACE", "0");
        command.envs(variables.iter().copied()).current_dir(&self.0);
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("running 1 test"), "{text}");
        (text, output.status.success())
    }

    pub fn fails(&self, test: &str, variables: &[(&str, &str)]) -> String {
        let (said, passes) = self.run(test, variables);
        assert!(!passes && !said.is_empty(), "{test} passes");
        said
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let path: &Path = &self.0;
        let _ = std::fs::remove_dir_all(path);
    }
}
