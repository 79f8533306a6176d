//! `sim step` without a terminal, as a script runs it: its events are those of `replay`,
//! `lose` leaves a plan, and what makes no sense is one line and status 2.

mod folder;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

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

fn step(folder: &Folder, more: &[&str], commands: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(["step", "plan.txt", "--commands", commands])
        .args(more)
        .current_dir(&folder.0)
        .output()
        .unwrap()
}

fn said(folder: &Folder, commands: &str) -> Vec<String> {
    let output = step(folder, &[], commands);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{commands}: {errors}");
    assert_eq!(errors, "");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// With commands on standard input.
fn fed(folder: &Folder, line: &str, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(line.split_whitespace())
        .current_dir(&folder.0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may have ended before it has read everything.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn planned(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("plan.txt", PLAN);
    folder
}

#[test]
fn its_events_are_those_of_replay() {
    let folder = planned("step-events");
    folder.said("replay plan.txt --events events.txt");
    let text = folder.text("events.txt");
    let events: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(
        said(&folder, "n; n; n 5; b; b 2; to 120; n; start; n"),
        [
            events[0],
            events[1],
            events[6],
            events[5],
            events[3],
            events[120],
            events[121],
            "the start: nothing has happened yet",
            events[0],
        ]
    );
    assert_eq!(
        said(&folder, "to 120; lines 4"),
        [&events[120..121], &events[117..121]].concat()
    );
    let end = said(&folder, "end; where; n");
    let last = events.len() - 1;
    let over = format!("the end after {} events; nothing is violated", events.len());
    assert_eq!(
        end,
        [events[last], &over, events[last], events[last], &over]
    );
    // Drops, each once, in order.
    let drops = said(&folder, "drop; drop");
    let lost = |line: &&&str| {
        let words = [" lose", " dropped", " drop "];
        words.iter().any(|word| line.contains(word)) && !line.ends_with(" not ours")
    };
    assert_eq!(
        said(&folder, "drop; drop; drop")[2],
        "no drop comes any more"
    );
    let expected: Vec<&&str> = events.iter().filter(lost).collect();
    assert_eq!(drops.iter().collect::<Vec<_>>(), expected);
    assert!(
        drops
            .iter()
            .any(|line| line.ends_with(" link c1 up 5 lose")),
        "{drops:?}"
    );
}

#[test]
fn a_moment_is_tasks_connections_and_queues() {
    let folder = planned("step-moment");
    let lines = said(&folder, "to 120; tasks");
    for line in [
        "server (on)",
        "  to_read   1 echo (read, #0)",
        "  to_write  -",
    ] {
        assert!(lines.iter().any(|is| is == line), "{line}: {lines:#?}");
    }
    assert!(
        lines
            .iter()
            .any(|is| is.starts_with("  tasks     0 listener running")),
        "{lines:#?}"
    );
    let lines = said(&folder, "to 120; connections");
    let open = lines.iter().filter(|line| line.contains(" open, read "));
    assert_eq!(open.count(), 4, "{lines:#?}");
    let lines = said(&folder, "to 11; queues");
    let frame = "on its way: c1 up 0, 42 bytes, sent in event 11";
    assert!(lines.contains(&frame.to_owned()), "{lines:#?}");
    assert_eq!(said(&folder, "to 1; queues")[1], "no frame is on its way");
}

#[test]
fn a_lost_frame_makes_a_plan_that_replays_so() {
    let folder = planned("step-lose");
    let before = said(&folder, "to 200; tasks; connections; queues");
    let lines = said(&folder, "to 200; lose; tasks; connections; queues; drop");
    let told = lines[1].strip_prefix("frame ").unwrap();
    let (key, rest) = told.split_once(" will be lost, in event ").unwrap();
    let (event, file) = rest.split_once("; ").unwrap();
    assert_eq!(file, "plan-lost.txt is the plan of that");
    assert_eq!(
        lines[2..lines.len() - 1],
        before[1..],
        "nothing before it is another"
    );
    let lost = lines.last().unwrap();
    assert!(lost.starts_with(&format!("{event} ")), "{lost}");
    assert!(lost.ends_with(&format!(" link {key} lose")), "{lost}");
    // The plan is one, and is a whole one.
    let plan = folder.text("plan-lost.txt");
    assert!(plan.contains(&format!("\nframe {key} lose\n")), "{plan}");
    folder.said("replay plan-lost.txt --events events.txt");
    let events = folder.text("events.txt");
    assert!(events.lines().any(|line| line == lost), "{lost}");
    folder.said("replay plan.txt --events before.txt");
    let output = folder.sim("diff before.txt events.txt");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&format!("+ {lost}\n")), "{text}");

    // Where one wants it, and two of them.
    let output = step(
        &folder,
        &["--out", "two.txt"],
        "to 200; lose; drop; lose; plan",
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let two = folder.text("two.txt");
    assert!(text.ends_with(&two), "{text}");
    assert_eq!(
        two.lines().filter(|line| line.ends_with(" lose")).count(),
        3
    );
    assert_eq!(
        folder.text("plan.txt"),
        PLAN,
        "the plan itself is as it was"
    );
    let output = step(&folder, &["--out", "no/such/two.txt"], "to 200; lose");
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.starts_with("sim: error: no/such/two.txt: "),
        "{errors}"
    );
    assert_eq!(
        said(&folder, "end; lose").last().unwrap(),
        "no frame is left that could be lost"
    );
}

#[test]
fn commands_come_from_standard_input_too() {
    let folder = planned("step-input");
    let output = fed(
        &folder,
        "step plan.txt",
        "to 120; where # there\n\nb\nquit\nn\n",
    );
    assert!(output.status.success());
    let expected = said(&folder, "to 120; where; b").join("\n") + "\n";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    // Without a quit the end of the input is one; an option says where to begin.
    let output = fed(&folder, "step plan.txt --to 120", "b\n");
    let expected = said(&folder, "to 120; b").join("\n") + "\n";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    // What makes no sense is told with its line, and nothing after it is done.
    let output = fed(&folder, "step plan.txt", "n\nswim\nn\n");
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.starts_with("sim: error: line 2: there is no command \"swim\""),
        "{errors}"
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
}

#[test]
fn how_a_run_ends_is_the_exit_status() {
    let folder = planned("step-end");
    let late = PLAN
        .replace("limit=300s", "limit=3001ms")
        .replace("at 2s join c1\n", "");
    folder.write("plan.txt", &late);
    let output = step(&folder, &[], "end");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains(", violated: completion at 3.001000 s, "),
        "{text}"
    );
    assert_eq!(
        step(&folder, &[], "to 20").status.code(),
        Some(0),
        "it was not seen"
    );

    folder.write("plan.txt", &PLAN.replace("up 5", "up 99999"));
    let output = step(&folder, &[], "end");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    let words = "; the plan's `frame c1 up 99999`: frame 99999 never comes: ";
    assert!(text.contains(words), "{text}");
}

#[test]
fn what_makes_no_sense_is_one_line_and_nothing_is_done() {
    let folder = planned("step-wrong");
    for (commands, expected) in [
        (
            "n; swim",
            "there is no command \"swim\"; there are n, b, to, drop, start, end, lose, ",
        ),
        ("to", "to: expected a number, such as `to 120`"),
        ("b -1", "b: expected a number, found \"-1\""),
        ("n 1 2", "n: expected nothing more, found \"2\""),
    ] {
        let output = step(&folder, &[], commands);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(
            errors.starts_with(&format!("sim: error: {expected}")),
            "{errors}"
        );
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(output.stdout.is_empty(), "{commands} did something");
    }
    for (line, expected) in [
        ("step", "<PLAN>"),
        ("step nothing.txt --commands n", "nothing.txt: "),
        ("step plan.txt --to x", "--to <EVENT>"),
        ("step plan.txt --to 1 --commands n", "cannot be used with"),
    ] {
        let output = folder.sim(line);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {errors}");
        assert!(errors.contains(expected), "{line}: {errors}");
    }
    let help = folder.said("step --help");
    for words in [
        "n [COUNT]",
        "drop",
        "lose",
        "tasks",
        "to_read",
        "Keys on a terminal",
        "q quit",
    ] {
        assert!(help.contains(words), "{words}");
    }
    // A reader who goes away is no failure.
    let mut child = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args([
            "step",
            "plan.txt",
            "--commands",
            "end; lines 1000; lines 1000",
        ])
        .current_dir(&folder.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stderr, b"");
}
