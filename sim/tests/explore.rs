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

#[test]
fn a_run_past_its_budget_ends_with_a_report() {
    let folder = Folder::new("budget");
    let output = folder.sim("world --scenario calm --budget 500");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("events at "), "{errors}");
    assert!(errors.contains("500 steps and no end"), "{errors}");
}
