//! The screen of `sim step` in a real terminal, that of tmux: keys do what they say, it
//! takes any size, and the terminal is as it was when it ends, by a key, a signal or a
//! panic. Without tmux the test says so and is skipped; with `CYGNET_REQUIRE_ALL=1`, as in
//! CI, it fails instead.
#![cfg(unix)]

mod folder;

use std::io::Write as _;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use folder::Folder;

const PLAN: &str = "cygnet-plan 1
time heal=3s limit=300s
host server serve
host c1 visit
host c2 visit v6 latency=5ms
at 1s cut c1
at 2s join c1
frame c1 up 5 lose
end
";

/// How long something may take to show.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal with a shell in it, and a server of tmux of its own.
struct Tmux {
    folder: Folder,
}

impl Tmux {
    /// Nothing when there is no tmux, said aloud.
    fn new(name: &str, width: u32, height: u32) -> Option<Tmux> {
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
        tmux.folder.write("plan.txt", PLAN);
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

    fn command(&self, words: &[&str]) -> Output {
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

    fn does(&self, words: &[&str]) -> String {
        let output = self.command(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Words as they are; a newline is enter.
    fn types(&self, words: &str) {
        for (index, words) in words.split('\n').enumerate() {
            if index > 0 {
                self.keys(&["Enter"]);
            }
            if !words.is_empty() {
                self.does(&["send-keys", "-l", words]);
            }
        }
    }

    fn keys(&self, keys: &[&str]) {
        self.does(&[&["send-keys"], keys].concat());
    }

    fn rows(&self) -> Vec<String> {
        let text = self.does(&["capture-pane", "-p"]);
        text.lines().map(|row| row.trim_end().to_owned()).collect()
    }

    /// Waits until the terminal shows this.
    #[track_caller]
    fn until(&self, shows: impl Fn(&[String]) -> bool) -> Vec<String> {
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
    fn until_row(&self, begins: &str) -> Vec<String> {
        self.until_rows(&[begins])
    }

    /// Waits until there is a row for each of these that begins so.
    #[track_caller]
    fn until_rows(&self, begins: &[&str]) -> Vec<String> {
        let has = |rows: &[String], begins: &str| rows.iter().any(|row| row.starts_with(begins));
        self.until(|rows| begins.iter().all(|begins| has(rows, begins)))
    }

    /// Starts `sim step` and waits for its screen.
    fn starts(&self, more: &str) {
        self.begins(more, "");
        self.until_row("the start");
    }

    fn begins(&self, before: &str, options: &str) {
        let sim = env!("CARGO_BIN_EXE_sim");
        let line = format!("{before}'{sim}' step plan.txt {options}; echo status $?\n");
        self.types(&line);
    }

    /// The shell's own screen again, with a cursor, echo, and lines.
    #[track_caller]
    fn is_sane(&self, status: &str) {
        self.until_row(status);
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

#[test]
fn keys_go_through_the_run_and_q_leaves_the_terminal_as_it_was() {
    let Some(tmux) = Tmux::new("step-keys", 80, 24) else {
        return;
    };
    tmux.starts("");
    tmux.until_rows(&["nothing has happened yet", "n next  b back  t to  d drop"]);

    tmux.types("nnn");
    tmux.until_rows(&["event 2  0.000000 s", "2 0.000000 c2 spawn 0 visitor"]);
    tmux.types("t120\n");
    // A screen is seen while it is drawn, so all of this is waited for.
    let there = tmux.until_rows(&[
        "event 120  0.",
        "120 0.025250 server spawn 2 echo",
        "[server] c1  c2",
        "server is on",
        "tasks     0 listener running; 2 echo ready",
        "to_read   1 echo (read, #0)",
        "#1 :7 [fd00::3]:",
    ]);
    tmux.keys(&["Left"]);
    tmux.until_row("event 119  0.");
    tmux.keys(&["Right"]);
    tmux.until(|rows| rows == there);
    tmux.keys(&["Tab"]);
    tmux.until_row(" server [c1] c2");

    tmux.types("l");
    tmux.until_row("frame ");
    let plan = tmux.folder.text("plan-lost.txt");
    let mut lost = plan.lines().filter(|line| line.ends_with(" lose"));
    let lost = lost.find(|line| *line != "frame c1 up 5 lose").unwrap();
    let lost = lost.replace("frame ", " link ");
    tmux.types("d");
    tmux.until(|rows| rows.iter().any(|row| row.ends_with(&lost)));

    tmux.types("?");
    tmux.until_row("d                 to the next event in which");
    tmux.types("?");
    // Any size, and back.
    tmux.does(&["resize-window", "-x", "40", "-y", "20"]);
    tmux.until(|rows| rows.len() == 20 && rows[19] == "n next  b back  t to  d drop  l lose  ?");
    tmux.does(&["resize-window", "-x", "10", "-y", "3"]);
    tmux.until(|rows| rows.len() == 3 && rows[2] == "n next  b");
    tmux.types("nbdn");
    tmux.does(&["resize-window", "-x", "80", "-y", "24"]);
    tmux.until(|rows| rows.len() == 24 && rows[23].starts_with("n next  b back"));
    tmux.types("e");
    tmux.until(|rows| {
        rows.iter()
            .any(|row| row.ends_with("; nothing is violated"))
    });
    tmux.types("q");
    tmux.is_sane("status 0");
}

#[test]
fn a_long_way_shows_how_far_it_is_and_stops() {
    let Some(tmux) = Tmux::new("step-far", 80, 24) else {
        return;
    };
    let long = PLAN.replace("heal=3s limit=300s", "heal=90000000s limit=99999999s");
    tmux.folder.write("plan.txt", &long);
    tmux.starts("");
    tmux.types("e");
    tmux.until(|rows| rows[0].starts_with("event ") && rows[0].ends_with("; esc stops"));
    tmux.keys(&["Escape"]);
    tmux.until_row("stopped on the way");
    // It goes on from there, and a key after the way is heard.
    tmux.types("t999999999\n");
    tmux.until(|rows| rows[0].ends_with(" of 1000000000; esc stops"));
    tmux.keys(&["C-c"]);
    tmux.until_row("stopped on the way");
    tmux.keys(&["C-c"]);
    tmux.is_sane("status 0");
    // The way to where it begins is one like the others.
    tmux.begins("clear; ", "--to 999999999");
    tmux.until(|rows| rows[0].ends_with(" of 1000000000; esc stops"));
    tmux.types("q");
    tmux.until_row("stopped on the way");
    tmux.types("q");
    tmux.is_sane("status 0");
    tmux.begins("clear; ", "--to 120");
    tmux.until_row("event 120  0.");
    tmux.types("q");
    tmux.is_sane("status 0");
}

#[test]
fn a_signal_and_a_panic_leave_the_terminal_as_it_was() {
    let Some(tmux) = Tmux::new("step-end", 80, 24) else {
        return;
    };
    tmux.folder
        .write("step.sh", "echo $$ > pid; exec \"$1\" step plan.txt\n");
    let sim = env!("CARGO_BIN_EXE_sim");
    tmux.types(&format!("sh step.sh '{sim}'; echo status $?\n"));
    tmux.until_row("the start");
    let kill = format!("kill -TERM {}", tmux.folder.text("pid").trim());
    let killed = Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(killed.success());
    tmux.is_sane("status 130");

    let test = std::env::current_exe().unwrap();
    let name = "panics_on_a_screen";
    let test = test.display();
    tmux.types(&format!(
        "clear; '{test}' --ignored --exact --nocapture {name}; echo status $?\n"
    ));
    tmux.until(|rows| rows.iter().any(|row| row.contains("a swan sinks")));
    tmux.is_sane("status 101");
}

#[test]
fn without_colors_there_are_none() {
    let Some(tmux) = Tmux::new("step-color", 80, 24) else {
        return;
    };
    for (more, colored) in [("", true), ("NO_COLOR=1 ", false)] {
        tmux.starts(more);
        tmux.types("d");
        tmux.until(|rows| rows.iter().any(|row| row.ends_with(" lose")));
        let screen = tmux.does(&["capture-pane", "-p", "-e"]);
        let colors = ["\x1b[31m", "\x1b[38;5;1m", "\x1b[36m", "\x1b[38;5;6m"];
        assert_eq!(
            colors.iter().any(|color| screen.contains(color)),
            colored,
            "{screen}"
        );
        // Without colors a loss is bold.
        let lost = screen
            .lines()
            .find(|row| row.contains(" link c1 up 5 lose"))
            .unwrap();
        assert_eq!(
            lost.contains("\x1b[1m") || lost.contains("\x1b[1;"),
            !colored,
            "{lost:?}"
        );
        tmux.types("q");
        tmux.until_row("status 0");
        tmux.types("clear\n");
        tmux.until(|rows| rows.first().is_some_and(|row| row == "ready>"));
    }
}

/// Is run in a terminal by a test above.
#[test]
#[ignore = "panics"]
fn panics_on_a_screen() {
    cygnet_sim::step::panic_on_a_screen();
}

/// A terminal that is taken away ends it, also when hangups are ignored: nobody could end it
/// any more.
#[test]
fn a_terminal_that_is_gone_ends_it() {
    let Some(tmux) = Tmux::new("hung-up", 80, 24) else {
        return;
    };
    let sim = env!("CARGO_BIN_EXE_sim");
    tmux.types(&format!(
        "trap '' HUP; {sim} step plan.txt & echo $! >pid; fg\n"
    ));
    tmux.until(|rows| rows.iter().any(|row| row.contains("server")));
    let pid = std::fs::read_to_string(tmux.folder.0.join("pid")).unwrap();
    let of_it = format!("/proc/{}/cmdline", pid.trim());
    let runs = || std::fs::read(&of_it).is_ok_and(|words| !words.is_empty());
    assert!(runs(), "{of_it}");
    tmux.does(&["kill-server"]);
    let start = Instant::now();
    while runs() {
        assert!(start.elapsed() < PATIENCE, "it still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}
