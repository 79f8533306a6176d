//! `sim world`, `replay`, `shrink` and `diff`, run as a person runs them.

mod folder;

use folder::Folder;

#[test]
fn a_seed_has_one_digest_in_every_process_and_each_seed_its_own() {
    let folder = Folder::new("digest");
    let digest = |seed| folder.said(&format!("world --for 5s --digest --seed {seed}"));
    let digests: Vec<String> = (0..6).map(digest).collect();
    for (seed, first) in (0..).zip(&digests) {
        assert_eq!(*first, digest(seed), "seed {seed}");
        assert_eq!(first.trim().len(), 32);
        assert_eq!(digests.iter().filter(|other| *other == first).count(), 1);
    }
}

#[test]
fn a_plan_replays_to_the_byte() {
    let folder = Folder::new("replay");
    for scenario in ["chaos", "slow"] {
        folder.said(&format!(
            "world --scenario {scenario} --seed 3 --for 4s --plan-out plan.txt \
             --pcap drawn.pcapng --events drawn.txt"
        ));
        let digest = folder.said("replay plan.txt --digest --pcap told.pcapng --events told.txt");
        assert!(folder.bytes("drawn.pcapng") == folder.bytes("told.pcapng"));
        assert!(folder.bytes("drawn.txt") == folder.bytes("told.txt"));
        let drawn = folder.said(&format!(
            "world --scenario {scenario} --seed 3 --for 4s --digest"
        ));
        assert_eq!(drawn, digest);
        assert_eq!(folder.sim("diff plan.txt plan.txt").status.code(), Some(0));
        assert_eq!(folder.sim("diff plan.txt drawn.txt").status.code(), Some(0));
    }
}

#[test]
fn an_edited_fate_changes_the_run_where_it_says() {
    let folder = Folder::new("edit");
    folder.said("world --scenario lossy --seed 5 --for 5s --plan-out plan.txt");
    let plan = folder.text("plan.txt");
    let lost = plan.lines().find(|line| line.ends_with(" lose")).unwrap();
    let edited: String = plan
        .lines()
        .filter(|line| *line != lost)
        .map(|line| format!("{line}\n"))
        .collect();
    folder.write("edited.txt", &edited);
    let output = folder.sim("diff plan.txt edited.txt");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    // `frame c3 up 17 lose` is `link c3 up 17 lose` among the events.
    let frame = lost.strip_prefix("frame ").unwrap();
    let first = text.lines().find(|line| line.starts_with("- ")).unwrap();
    assert!(first.ends_with(&format!(" link {frame}")), "{text}");
    let second = text.lines().find(|line| line.starts_with("+ ")).unwrap();
    assert!(
        second.ends_with(frame.strip_suffix(" lose").unwrap()),
        "{text}"
    );
}

/// A run that cannot be finished in time, because the server is cut off.
const LATE: &str = "cygnet-plan 1
time heal=9s limit=11s
host server serve secret=00000000000000aa slots=4 tasks=6 task-bytes=2048 rx=512 tx=512 backlog=2 latency=1ms rate=0 queue=1000 mtu=1514
host c1 visit to=server secret=00000000000000bb lanes=1 visits=9 until=9s requests=2 bytes=90 start=1ms pause=10ms gap=0s goodbye=close latency=1ms rate=0 queue=1000 mtu=1514
host c2 visit to=server secret=00000000000000cc lanes=1 visits=9 until=9s requests=2 bytes=90 start=1ms pause=10ms gap=0s goodbye=close latency=1ms rate=0 queue=1000 mtu=1514
at 30ms pause c1
at 40ms cut server both
at 50ms resume c1
at 60ms jump c2 1s
frame c1 up 2 late 3ms
frame c2 up 3 lose
frame c2 up 5 twice 1ms
end
";

/// Nobody serves and nobody comes; without a word the run would be green.
#[test]
fn a_host_on_which_nothing_finds_a_place_is_a_violation() {
    let folder = Folder::new("spawns");
    let calm = LATE.lines().filter(|line| !line.starts_with("at "));
    let calm = calm.collect::<Vec<_>>().join("\n") + "\n";
    folder.write("calm.txt", &calm);
    folder.said("replay calm.txt");
    folder.write(
        "small.txt",
        &calm.replace("task-bytes=2048", "task-bytes=64"),
    );
    let output = folder.sim("replay small.txt");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("a spawn was refused"), "{errors}");
}

#[test]
fn a_failing_plan_shrinks_to_what_still_fails() {
    let folder = Folder::new("shrink");
    folder.write("late.txt", LATE);
    let output = folder.sim("replay late.txt");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains("violated: completion at 11.000000 s"),
        "{errors}"
    );
    assert!(errors.contains("sim shrink late.txt"), "{errors}");

    let said = folder.said("shrink late.txt");
    assert!(said.starts_with("10 facts, 3 left after "), "{said}");
    let small = folder.text("late-min.txt");
    assert!(small.contains(" cut server both\n"), "{small}");
    assert_eq!(folder.sim("replay late-min.txt").status.code(), Some(1));
    // No fact can go.
    let facts = |line: &&str| ["host", "at", "frame"].contains(&line.split(' ').next().unwrap());
    let lines: Vec<&str> = small.lines().collect();
    for gone in lines.iter().filter(|line| facts(line)) {
        let rest: Vec<&str> = lines.iter().filter(|line| *line != gone).copied().collect();
        folder.write("less.txt", &(rest.join("\n") + "\n"));
        assert_ne!(
            folder.sim("replay less.txt").status.code(),
            Some(1),
            "{gone}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_one_line_and_status_two() {
    let folder = Folder::new("wrong");
    folder.write("wrong.txt", &LATE.replace("cut server", "cut swan"));
    folder.write("future.txt", &LATE.replace("plan 1", "plan 3"));
    folder.write("short.txt", LATE.strip_suffix("end\n").unwrap());
    for (line, expected) in [
        (
            "replay wrong.txt",
            "wrong.txt:7:13: expected a host or switch, found \"swan\"",
        ),
        (
            "shrink future.txt",
            "future.txt:1:13: this program reads versions 1 and 2",
        ),
        ("replay short.txt", "short.txt:12:24: expected `end`"),
        ("replay nothing.txt", "nothing.txt: "),
        (
            "world --scenario swan",
            "there is no scenario \"swan\"; known: calm, ",
        ),
        ("world --for=-3s", "\"-3s\" is no duration"),
        ("diff wrong.txt short.txt", "wrong.txt:7:13: "),
        (
            "world --plan-out no/such/folder/plan.txt --for 1s",
            "no/such/folder/plan.txt: ",
        ),
    ] {
        let output = folder.sim(line);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {errors}");
        assert!(errors.contains(expected), "{line}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

/// What a person writes.
const SHORT: &str = "cygnet-plan 1
host server serve
host c1 visit
at 3s cut c1 up
at 4s join c1
frame c1 up 17 lose
end
";

#[test]
fn a_short_plan_is_told_in_words_written_whole_and_runs_the_same() {
    let folder = Folder::new("short");
    folder.write("short.txt", SHORT);
    assert_eq!(
        folder.said("plan short.txt"),
        "short.txt: nothing is wrong; 2 hosts, 2 faults, 1 frame, 30 defaults\n"
    );
    let words = folder.said("plan short.txt --explain");
    assert!(words.contains("\nHosts:\n  server: serves echo on port 7: 16 connections"));
    assert!(
        words.contains("      default: to=server secret="),
        "{words}"
    );
    assert!(words.contains("  c1 up 17 is lost\n"), "{words}");
    folder.said("plan short.txt --whole --out whole.txt");
    let defaults = folder.said("plan whole.txt");
    assert!(defaults.ends_with(", 0 defaults\n"), "{defaults}");
    let digest = folder.said("replay short.txt --digest");
    assert_eq!(digest, folder.said("replay whole.txt --digest"));
}

#[test]
fn the_plan_of_the_documentation_can_be_run() {
    let folder = Folder::new("documentation");
    let page = include_str!("../../src/docs/runs.md");
    let plan = page
        .split("```text\n")
        .find(|text| text.starts_with("cygnet-plan 1"));
    let plan = plan.unwrap().split("```").next().unwrap();
    folder.write("plan.txt", plan);
    folder.said("plan plan.txt --explain");
    folder.said("replay plan.txt");
}

#[test]
fn everything_that_is_wrong_with_a_plan_is_told_and_nothing_is_run() {
    let folder = Folder::new("all-wrong");
    folder.write(
        "wrong.txt",
        &SHORT.replace("c1", "swan").replace("visit", "vist"),
    );
    for command in ["plan", "replay", "shrink", "step"] {
        let output = folder.sim(&format!("{command} wrong.txt"));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{command}: {errors}");
        assert!(output.stdout.is_empty());
        assert_eq!(
            errors,
            "sim: error: wrong.txt:3:11: expected serve, visit, stranger, liar, dhcp-server, dhcp-client, dns-server or dns-client, found \"vist\"; \
             did you mean visit?\n",
            "{command}"
        );
    }
    folder.write(
        "wrong.txt",
        &SHORT
            .replace("at 3s cut c1", "at 3 ct c1")
            .replace("up 17", "upp 17"),
    );
    let errors = String::from_utf8(folder.sim("plan wrong.txt").stderr).unwrap();
    assert_eq!(
        errors,
        "sim: error: wrong.txt:4:4: expected a time such as 3s or 20ms, found \"3\"\n\
         sim: error: wrong.txt:6:10: expected up or down, found \"upp\"; did you mean up?\n"
    );
}

/// Each is a sentence with its place and status 2, and never a green run.
#[test]
fn what_no_world_can_have_is_refused() {
    let folder = Folder::new("refused");
    for (from, to, expected) in [
        (
            "plan 1",
            "plan 3",
            "1:13: this program reads versions 1 and 2 of plans, found version \"3\"; a newer one",
        ),
        (
            "plan 1",
            "plan 0",
            "1:13: this program reads versions 1 and 2 of plans, found version \"0\"; say",
        ),
        (
            "host c1",
            "host server",
            "3:6: \"server\" is there already; give this one another name",
        ),
        (
            "visit",
            "visit loss=101%",
            "3:15: loss is a rate, and a plan has none, and 101% is above 100 %: say which frames",
        ),
        (
            "visit",
            "visit loss=1%",
            "3:15: loss is a rate, and a plan has none: say which frames",
        ),
        (
            "visit",
            "visit on=nowhere",
            "3:18: expected a host or switch, found \"nowhere\"",
        ),
        (
            "up 17",
            "up 99999",
            "6: `frame c1 up 99999`: frame 99999 never comes: ",
        ),
        ("at 4s", "at 900s", "5: `at 900s`: the run ends at "),
        (
            SHORT,
            "cygnet-plan 1\nswitch s\nend\n",
            "3:4: expected a line `host NAME serve`: a world without hosts proves nothing",
        ),
        (
            SHORT,
            "cygnet-plan 1\nend\n",
            "2:4: expected a line `host NAME serve`",
        ),
    ] {
        folder.write("plan.txt", &SHORT.replace(from, to));
        let output = folder.sim("replay plan.txt");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{to}: {errors}");
        let first = format!("sim: error: plan.txt:{expected}");
        assert!(
            errors.lines().any(|line| line.starts_with(&first)),
            "{to}: {errors}"
        );
    }
}

#[test]
fn a_run_past_its_budget_ends_with_a_report() {
    let folder = Folder::new("budget");
    let output = folder.sim("world --scenario calm --budget 500");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("events at "), "{errors}");
    assert!(errors.contains("500 steps and no end"), "{errors}");
}
