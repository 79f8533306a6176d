//! A real terminal, that of tmux, with a shell in it: what a person sees, and types. Without
//! tmux the test says so and is skipped; with `CYGNET_REQUIRE_ALL=1`, as in CI, it fails
//! instead.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::Write as _;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::folder::Folder;

/// How long something may take to show.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal with a shell in it, and a server of tmux of its own.
pub struct Tmux {
    pub folder: Folder,
}

impl Tmux {
    /// Nothing when there is no tmux, said aloud.
    pub fn new(name: &str, width: u32, height: u32) -> Option<Tmux> {
        if Command::new("tmux").arg("-V").output().is_err() {
            let all = std::env::var_os("CYGNET_REQUIRE_ALL").is_some_and(|value| value == "1");
            let why = "there is no tmux: apt-get install tmux";
            assert!(!all, "CYGNET_REQUIRE_ALL=1, and {why}");
            let _ = writeln!(std::io::stderr(), "skipped: {why}");
            return None;
        }
        let tmux = Tmux {
            folder: Folder::new(name),
        };
        let (width, height) = (width.to_string(), height.to_string());
        let size = ["-x", &width, "-y", &height];
        tmux.does(
            &[
                &["-f", "/dev/null", "new-session", "-d"][..],
                &size,
                &["sh"],
            ]
            .concat(),
        );
        tmux.types("PS1='ready> '; clear\n");
        tmux.until(|rows| rows.first().is_some_and(|row| row == "ready>"));
        Some(tmux)
    }

    pub fn command(&self, words: &[&str]) -> Output {
        Command::new("tmux")
            .arg("-S")
            .arg(self.folder.0.join("tmux"))
            .arg("-u")
            .args(words)
            .current_dir(&self.folder.0)
            .env_remove("TMUX")
            .env_remove("NO_COLOR")
            .env("TERM", "screen-256color")
            .output()
            .unwrap()
    }

    pub fn does(&self, words: &[&str]) -> String {
        let output = self.command(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Words as they are; a newline is enter.
    pub fn types(&self, words: &str) {
        for (index, words) in words.split('\n').enumerate() {
            if index > 0 {
                self.keys(&["Enter"]);
            }
            if !words.is_empty() {
                self.does(&["send-keys", "-l", words]);
            }
        }
    }

    pub fn keys(&self, keys: &[&str]) {
        self.does(&[&["send-keys"], keys].concat());
    }

    pub fn rows(&self) -> Vec<String> {
        let text = self.does(&["capture-pane", "-p"]);
        text.lines().map(|row| row.trim_end().to_owned()).collect()
    }

    /// Waits until the terminal shows this.
    #[track_caller]
    pub fn until(&self, shows: impl Fn(&[String]) -> bool) -> Vec<String> {
        let start = Instant::now();
        loop {
            let rows = self.rows();
            if shows(&rows) {
                return rows;
            }
            assert!(start.elapsed() < PATIENCE, "{rows:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    pub fn until_row(&self, begins: &str) -> Vec<String> {
        self.until_rows(&[begins])
    }

    /// Waits until there is a row for each of these that begins so.
    #[track_caller]
    pub fn until_rows(&self, begins: &[&str]) -> Vec<String> {
        let has = |rows: &[String], begins: &str| rows.iter().any(|row| row.starts_with(begins));
        self.until(|rows| begins.iter().all(|begins| has(rows, begins)))
    }

    /// The shell's own screen again, with a cursor, echo, and lines.
    #[track_caller]
    pub fn is_sane(&self, status: &str) {
        self.until(|rows| rows.iter().any(|row| row.ends_with(status)));
        let is = self.does(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]);
        assert_eq!(
            is, "0 1\n",
            "the other screen is gone, and the cursor is there"
        );
        self.types(
            "clear; stty -a | tr ' ;' '\\n\\n' | grep -cx -e icanon -e echo -e isig -e icrnl\n",
        );
        self.until(|rows| rows.first().is_some_and(|row| row == "4"));
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.command(&["kill-server"]);
    }
}
