//! The screen of `sim step` in a real terminal, that of tmux: keys do what they say, it
//! takes any size, and the terminal is as it was when it ends, by a key, a signal or a
//! panic. Without tmux the test says so and is skipped; with `CYGNET_REQUIRE_ALL=1`, as in
//! CI, it fails instead.
#![cfg(unix)]

mod folder;
mod tmux;

use std::process::Command;
use std::time::{Duration, Instant};

use tmux::{PATIENCE, Tmux};

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

/// A terminal with a plan in its folder.
fn terminal(name: &str, width: u32, height: u32) -> Option<Tmux> {
    let tmux = Tmux::new(name, width, height)?;
    tmux.folder.write("plan.txt", PLAN);
    Some(tmux)
}

/// Starts `sim step` and waits for its screen.
fn starts(tmux: &Tmux, more: &str) {
    begins(tmux, more, "");
    tmux.until_row("the start");
}

fn begins(tmux: &Tmux, before: &str, options: &str) {
    let sim = env!("CARGO_BIN_EXE_sim");
    let line = format!("{before}'{sim}' step plan.txt {options}; echo status $?\n");
    tmux.types(&line);
}

#[test]
fn keys_go_through_the_run_and_q_leaves_the_terminal_as_it_was() {
    let Some(tmux) = terminal("step-keys", 80, 24) else {
        return;
    };
    starts(&tmux, "");
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
    let Some(tmux) = terminal("step-far", 80, 24) else {
        return;
    };
    let long = PLAN.replace("heal=3s limit=300s", "heal=90000000s limit=99999999s");
    tmux.folder.write("plan.txt", &long);
    starts(&tmux, "");
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
    begins(&tmux, "clear; ", "--to 999999999");
    tmux.until(|rows| rows[0].ends_with(" of 1000000000; esc stops"));
    tmux.types("q");
    tmux.until_row("stopped on the way");
    tmux.types("q");
    tmux.is_sane("status 0");
    begins(&tmux, "clear; ", "--to 120");
    tmux.until_row("event 120  0.");
    tmux.types("q");
    tmux.is_sane("status 0");
}

#[test]
fn a_signal_and_a_panic_leave_the_terminal_as_it_was() {
    let Some(tmux) = terminal("step-end", 80, 24) else {
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
    let Some(tmux) = terminal("step-color", 80, 24) else {
        return;
    };
    for (more, colored) in [("", true), ("NO_COLOR=1 ", false)] {
        starts(&tmux, more);
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
    let Some(tmux) = terminal("hung-up", 80, 24) else {
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
