//! Tests of a world that fail, each as a person meets it: run by cargo's harness in a
//! process of its own, and what it says.
#![cfg(feature = "bare")]

mod folder;
mod planted;

use folder::Folder;

/// A word behind a label of a report.
fn after<'t>(text: &'t str, label: &str) -> &'t str {
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with(label));
    let line = line.unwrap_or_else(|| panic!("no {label} in {text}"));
    line.trim_start()[label.len()..].trim()
}

#[test]
fn what_fails_fails_again_by_its_seed_and_by_its_plan() {
    let folder = Folder::new("again");
    let said = folder.fails("lost_answers_stop_a_client", &[]);
    assert!(said.contains("completion: "), "{said}");
    assert!(
        after(&said, "where").starts_with("host client, at "),
        "{said}"
    );
    let again = after(&said, "replay");
    let seed = again.strip_prefix("CYGNET_SEED=").unwrap();
    let (seed, command) = seed.split_once(' ').unwrap();
    let profile = ["cargo test ", "cargo test --release "][usize::from(!cfg!(debug_assertions))];
    assert_eq!(command, format!("{profile}lost_answers_stop_a_client"));
    assert_eq!(
        folder.fails("lost_answers_stop_a_client", &[("CYGNET_SEED", seed)]),
        said
    );

    let facts = after(&said, "facts");
    let left: usize = facts.split(' ').next().unwrap().parse().unwrap();
    assert!(
        (1..=6).contains(&left) && facts.contains(" left of "),
        "{said}"
    );
    let plan = format!("lost_answers_stop_a_client/seed-{seed}.plan");
    let path = folder.0.join(&plan);
    let text = folder.text(&plan);
    assert!(
        text.starts_with("cygnet-plan 2\ntest lost_answers_stop_a_client seed "),
        "{text}"
    );
    // What begins must end, or it would be another test.
    let count = |word: &str| text.lines().filter(|line| line.contains(word)).count();
    assert!(count(" crash ") <= count(" boot "), "{text}");
    assert!(count(" pause ") <= count(" resume "), "{text}");
    let told = folder.fails(
        "lost_answers_stop_a_client",
        &[("CYGNET_PLAN", path.to_str().unwrap())],
    );
    assert_eq!(after(&told, "where"), after(&said, "where"));
    // The last events are those of the file, and the capture names them.
    let events = folder.text(&format!("lost_answers_stop_a_client/seed-{seed}.txt"));
    assert_eq!(
        said.lines().last().unwrap().trim(),
        events.lines().last().unwrap()
    );
    let capture = folder
        .0
        .join(format!("lost_answers_stop_a_client/seed-{seed}.pcapng"));
    let bytes = std::fs::read(capture).unwrap();
    assert!(bytes.windows(6).any(|part| part == b"event "));
    // So does the page, which says what went wrong by itself.
    let page = after(&said, "page");
    let name = format!("lost_answers_stop_a_client/seed-{seed}.html");
    assert!(page.ends_with(&name), "{page}");
    let html = folder.text(&name);
    let title = format!("<h1>lost_answers_stop_a_client: seed-{seed}</h1>");
    assert!(html.contains(&title) && html.len() > 20_000);
}

#[test]
fn whoever_asks_for_one_run_finds_its_files() {
    let folder = Folder::new("files");
    let files = ["plan", "html", "pcapng", "txt"].map(|end| format!("calm/seed-7.{end}"));
    let bytes = || {
        files
            .each_ref()
            .map(|name| std::fs::read(folder.0.join(name)).unwrap())
    };
    assert!(folder.run("calm", &[("CYGNET_SEED", "7")]).1);
    let drawn = bytes();
    let path = folder.0.join(&files[0]);
    // A comment in a plan is somebody's.
    let text = folder.text(&files[0]).replace("end\n", "# a swan\nend\n");
    folder.write(&files[0], &text);
    assert!(
        folder
            .run("calm", &[("CYGNET_PLAN", path.to_str().unwrap())])
            .1
    );
    assert_eq!(bytes()[1..], drawn[1..], "told and drawn are one run");
    assert_eq!(folder.text(&files[0]), text);
}

#[test]
fn a_plan_of_the_corpus_comes_before_every_seed() {
    let folder = Folder::new("corpus");
    let seeds = ("CYGNET_SEEDS", "3..4");
    assert!(folder.run("calm", &[seeds]).1);
    let name = "tests/corpus/calm/once.plan";
    let plan = "cygnet-plan 2\ntest calm seed 1\nlink client-server\nhost server\nhost client\n";
    folder.write(name, &format!("{plan}at 1ms boot server\nend\n"));
    assert!(folder.run("calm", &[seeds]).1);
    // A client that is never there again is none that comes to its end.
    folder.write(name, &format!("{plan}at 0s cut client-server both\nend\n"));
    let said = folder.fails("calm", &[seeds]);
    assert!(
        said.starts_with("calm: tests/corpus/calm/once.plan: "),
        "{said}"
    );
    assert!(after(&said, "replay").starts_with("CYGNET_PLAN=tests/corpus/calm/once.plan "));
}

#[test]
fn what_cannot_be_is_a_sentence_with_its_place() {
    let folder = Folder::new("wrong");
    let head = "cygnet-plan 2\ntest calm seed 1\n";
    let world = format!("{head}link client-server\nhost server\nhost client\n");
    for (text, expected) in [
        (
            "cygnet-plan 3\nend\n".into(),
            ":1:13: this program reads versions 1 and 2 of plans",
        ),
        (
            "cygnet-plan 0\nend\n".into(),
            ":1:13: this program reads versions 1 and 2 of plans, found version \"0\"; say",
        ),
        (
            "cygnet-plan 1\nhost server serve\nend\n".into(),
            ":1: it is a plan of a scenario",
        ),
        (
            "cygnet-plan 1\ntest calm seed 1\nend\n".into(),
            ":2:1: a plan of a test has version 2",
        ),
        (format!("{head}end\n"), ":3:4: expected a line `host NAME`"),
        (world.clone(), ":5:12: expected `end`"),
        (
            world.replace("calm", "other") + "end\n",
            ":2: it is a plan of the test other",
        ),
        (
            format!("{world}host eve\nend\n"),
            ":6: `host eve`: the test makes no host eve",
        ),
        (
            format!("{world}frame client-server up 9000 lose\nend\n"),
            ":6: `frame client-server up 9000`: frame 9000 never comes: ",
        ),
        (
            format!("{world}at 900s boot server\nend\n"),
            ":6: `at 900s`: the run ends at ",
        ),
        (
            format!("{world}at 1s cut server both\nend\n"),
            ":6:7: \"server\" is a host; only links can be cut",
        ),
        (
            format!("{world}frame server up 1 lose\nend\n"),
            ":6:7: \"server\" is a host; frames are counted on links",
        ),
        (
            world.replace("test calm seed 1\n", "") + "test calm seed 1\nend\n",
            ":2:1: expected `test NAME seed NUMBER` above the links",
        ),
        (
            "cygnet-plan 2\nfrom calm seed 1\ntest calm seed 1\nhost a\nend\n".into(),
            ":3:1: expected `test` before every other fact",
        ),
        (
            format!("{world}time heal=1s limit=2s\nend\n"),
            ":6:1: expected link, host, at",
        ),
    ] {
        let path = folder.write("wrong.plan", &text);
        let said = folder.fails("calm", &[("CYGNET_PLAN", &path)]);
        assert!(said.contains(&format!("{path}{expected}")), "{said}");
        for line in said.lines() {
            assert!(line.starts_with(&format!("calm: {path}:")), "{said}");
        }
    }
    let said = folder.fails("calm", &[("CYGNET_PLAN", "nothing.plan")]);
    assert!(said.starts_with("calm: nothing.plan: "), "{said}");
    let said = folder.fails("calm", &[("CYGNET_SEEDS", "5..5")]);
    assert!(said.contains("no seed is in 5..5"), "{said}");
}

#[test]
fn whatever_must_not_be_is_found_and_named() {
    let folder = Folder::new("must-not");
    for (test, expected) in [
        ("a_task_panics", "panic: panicked at "),
        ("the_test_panics", "where    the test itself, at "),
        ("a_task_fails", "task: the task failing returned an error"),
        (
            "a_spawn_is_refused",
            "spawn: a spawn was refused; the host has 1 tasks",
        ),
        (
            "a_slot_is_leaked",
            "slots: client holds 1 slots, and no task has them",
        ),
        (
            "a_host_hangs_on_nothing",
            "world: the host client has no link: connect it (",
        ),
        (
            "two_hosts_have_one_name",
            "world: two hosts are named server; the first: ",
        ),
        (
            "a_machine_hangs_on_nothing",
            "world: the host stranger has no link: connect it (",
        ),
        (
            "a_machine_has_the_name_of_a_host",
            "world: two hosts are named client; the first: ",
        ),
        ("a_machine_never_ends", "stranger: waits for a frame"),
        (
            "more_is_lost_at_a_machine_than_there_is",
            "world: the link client-stranger: loss is 1010000 parts per million, above 100 %",
        ),
        (
            "a_name_is_two_words",
            "world: \"my server\" is no name for a host: give it one word",
        ),
        (
            "more_is_lost_than_there_is",
            "world: the link client-server: loss is 1010000 parts",
        ),
        (
            "two_links_for_one_host",
            "world: client has a link already; hosts have one",
        ),
        (
            "faults_strike_nothing",
            "world: a fault of hosts cannot strike a link; say which host",
        ),
        (
            "nobody_is_there",
            "world: the world has no hosts: nothing was tested",
        ),
        (
            "nothing_runs",
            "world: the world never ran: call until_done",
        ),
        ("a_claim_does_not_hold", "only one frame: it does not hold"),
        (
            "a_claim_never_comes_true",
            "an hour passes: it never came true",
        ),
        ("a_task_spins", "events: 10000 steps and no end"),
        (
            "a_test_runs_on",
            "quiet: nothing is left to happen, and the test runs on",
        ),
        (
            "a_test_goes_on_after_all_is_over",
            "no time passes: it does not hold",
        ),
        (
            "a_thread_is_waited_for",
            "a task waits for what is not of this world",
        ),
    ] {
        let said = folder.fails(test, &[]);
        assert!(said.starts_with(&format!("{test}: seed 0: ")), "{said}");
        assert!(said.contains(expected), "{said}");
        let again = folder.fails(test, &[("CYGNET_SEED", "0")]);
        assert_eq!(again, said);
    }
    for (test, expected) in [
        (
            "nothing_is_lost",
            "had no effect with any seed of 0..3: lost, rebooted",
        ),
        (
            "nobody_gets_there",
            "never seen with any seed of 0..3: the end, the night",
        ),
    ] {
        let said = folder.fails(test, &[]);
        assert!(said.contains(expected), "{said}");
        assert!(
            after(&said, "replay").starts_with("CYGNET_SEEDS=0..3 cargo test"),
            "{said}"
        );
    }
    assert!(folder.run("everything_is_allowed", &[]).1);
}

#[test]
fn what_is_not_of_this_world_is_named_by_the_first_event_that_differs() {
    let folder = Folder::new("twice");
    for test in ["a_task_reads_the_wall_clock", "a_hash_map_gives_the_order"] {
        let said = folder.fails(test, &[("CYGNET_SEED", "0")]);
        assert!(
            said.contains("two runs of one seed are not the same"),
            "{said}"
        );
        assert!(said.contains("std::time::Instant"), "{said}");
        let (a, b) = (after(&said, "- "), after(&said, "+ "));
        assert_ne!(a, b, "{said}");
        assert!(a.contains(" write #"), "{said}");
    }
}
