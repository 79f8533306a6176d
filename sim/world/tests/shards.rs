//! A test of one's own as many processes, as a cluster starts them: each takes its part
//! of the seeds and leaves a summary, and these add up to what one process says, or to a
//! failure.

mod folder;

use folder::Folder;

/// Tests that are run in parts.
mod planted {
    use cygnet::{Backlog, service};
    use cygnet_world::{Faults, Instant, Link, World, percent, secs, test};

    fn echo(world: &mut World) {
        let server = world.host("server", |node| {
            let echo = service::echo(node, 7, Backlog(4));
            node.spawn_named("echo", echo).expect("a free task");
        });
        let target = world.endpoint(server, 7);
        let client = world.host("client", move |node| {
            let swan = async move {
                while let Err(_) | Ok(0) = async {
                    let mut stream = node.connect(target).await.map_err(drop)?;
                    stream.set_read_timeout(Some(secs(5)));
                    stream.write_all(b"swan").await.map_err(drop)?;
                    stream.read(&mut [0; 4]).await.map_err(drop)
                }
                .await
                {
                    node.sleep(secs(1)).await;
                }
            };
            node.spawn_named("swan", swan).expect("a free task");
        });
        world.connect(
            client,
            server,
            Link {
                loss: percent(5),
                ..Link::LAN
            },
        );
        world.faults(
            Faults::reboots()
                .on(server)
                .times(0..=1)
                .within(secs(0)..secs(1)),
        );
    }

    // One seed of 0..20 shows it.
    test! { #[ignore = "for another test"] seeds = 0..20, fn a_rare_thing(world: &mut World) {
        echo(world);
        let rare = world.pick(0, 19);
        world.sometimes("a rare number", move |_| rare == 3);
        world.until_done(secs(600));
    }}

    test! { #[ignore = "it fails"] seeds = 0..8, fn nothing_is_ever_seen(world: &mut World) {
        echo(world);
        world.sometimes("the night", |world| world.now() > Instant::from_secs(36_000));
        world.until_done(secs(600));
    }}

    test! { #[ignore = "it fails"] seeds = 0..20, fn some_seeds_fail(world: &mut World) {
        echo(world);
        let number = world.pick(0, 9);
        world.always("not seven", move |_| number != 7);
        world.until_done(secs(600));
    }}

    test! { #[ignore = "it fails"] seeds = 0..8, fn two_programs(world: &mut World) {
        echo(world);
        let more = std::env::var("PLANTED").map_or(0, |more| more.parse().unwrap());
        world.run_for(secs(more));
        world.until_done(secs(600));
    }}
}

fn slurm<'t>(id: &'t str, least: &'t str, of: &'t str) -> Vec<(&'t str, &'t str)> {
    vec![
        ("SLURM_ARRAY_TASK_ID", id),
        ("SLURM_ARRAY_TASK_MIN", least),
        ("SLURM_ARRAY_TASK_COUNT", of),
    ]
}

fn job<'t>(index: &'t str, of: &'t str) -> Vec<(&'t str, &'t str)> {
    vec![("JOB_COMPLETION_INDEX", index), ("SWARM_SHARDS", of)]
}

fn said(shard: &str) -> Vec<(&str, &str)> {
    vec![("CYGNET_SHARD", shard)]
}

/// Runs a part.
fn part(folder: &Folder, test: &str, results: &str, who: &[(&str, &str)]) -> (String, bool) {
    folder.run(test, &[who, &[("CYGNET_RESULTS", results)]].concat())
}

/// What the parts add up to, without the harness's words.
fn merged(folder: &Folder, test: &str, results: &str) -> (String, bool) {
    let (text, passes) = folder.prints(test, &[("CYGNET_MERGE", results)]);
    let lines = text.lines().filter(|line| line.starts_with("  "));
    (lines.map(|line| format!("{line}\n")).collect(), passes)
}

#[test]
fn four_parts_add_up_to_what_one_process_says() {
    let folder = Folder::new("parts");
    let test = "a_rare_thing";
    // As a person, as two kinds of scheduler would start them.
    for who in [
        said("1/4"),
        slurm("11", "10", "4"),
        job("2", "4"),
        job("3", "4"),
    ] {
        let (said, passes) = part(&folder, test, "four", &who);
        assert!(passes, "{who:?}: {said}");
    }
    let (whole, passes) = part(&folder, test, "one", &[]);
    assert!(passes, "{whole}");
    let (sum, passes) = merged(&folder, test, "four");
    assert!(passes, "{sum}");
    assert_eq!((sum.clone(), true), merged(&folder, test, "one"));
    for line in [
        "  seeds    0..20\n  runs     20\n",
        "  seen     a rare number\n  faults   lost, rebooted\n",
    ] {
        assert!(sum.contains(line), "{sum}");
    }
    // Seven of the parts did not see it, and none of them is at fault.
    let parts: Vec<String> = (1..=4)
        .map(|k| folder.text(&format!("four/{test}/{k}-of-4.shard")))
        .collect();
    let blind = parts
        .iter()
        .filter(|text| text.contains("seen no a rare number"));
    assert_eq!(blind.count(), 3);
}

#[test]
fn what_no_part_has_seen_fails_the_sum() {
    let folder = Folder::new("unseen");
    for who in ["1/2", "2/2"] {
        let (said, passes) = part(&folder, "nothing_is_ever_seen", "r", &said(who));
        assert!(passes, "{said}");
    }
    let said = folder.fails("nothing_is_ever_seen", &[("CYGNET_MERGE", "r")]);
    assert!(
        said.contains("never seen with any seed of 0..8: the night"),
        "{said}"
    );
}

#[test]
fn a_part_that_failed_fails_the_sum_with_the_command_that_shows_it() {
    let folder = Folder::new("failed");
    let mut failed = 0;
    for who in ["1/3", "2/3", "3/3"] {
        failed += usize::from(!part(&folder, "some_seeds_fail", "r", &said(who)).1);
    }
    assert!((1..3).contains(&failed), "{failed} of three");
    let said = folder.fails("some_seeds_fail", &[("CYGNET_MERGE", "r")]);
    let lines = said
        .lines()
        .filter(|line| line.starts_with("some_seeds_fail: shard "));
    assert_eq!(lines.count(), failed, "{said}");
    let again = said.split_once("CYGNET_SEED=").unwrap().1;
    let seed = again.split_once(' ').unwrap().0;
    let says = folder.fails("some_seeds_fail", &[("CYGNET_SEED", seed)]);
    assert!(says.contains("not seven"), "{says}");
}

#[test]
fn what_is_missing_twice_torn_or_of_another_program_is_no_sum() {
    let folder = Folder::new("refused");
    let (test, merge) = ("two_programs", [("CYGNET_MERGE", "r")]);
    let says = |says: &str| {
        let said = folder.fails(test, &merge);
        assert!(said.contains(says), "{said}");
    };
    says("no shard of this test left anything there");
    for who in ["1/2", "2/2"] {
        assert!(part(&folder, test, "r", &said(who)).1);
    }
    assert!(merged(&folder, test, "r").1);
    let asked = folder.fails(test, &[merge[0], ("CYGNET_SEEDS", "0..9")]);
    assert!(
        asked.contains("of the seeds 0..8; CYGNET_SEEDS is 0..9"),
        "{asked}"
    );

    let second = "r/two_programs/2-of-2.shard";
    let text = folder.text(second);
    folder.write("r/two_programs/copy.shard", &text);
    says("are both shard 2/2");
    std::fs::remove_file(folder.0.join("r/two_programs/copy.shard")).unwrap();
    folder.write(second, &text[..text.len() - 9]);
    says("2-of-2.shard: it is cut off, or was changed");
    std::fs::remove_file(folder.0.join(second)).unwrap();
    says("1 of 2 shards are missing: 2/2. Run them again, then merge");

    let other = [&said("2/2")[..], &[("PLANTED", "30")]].concat();
    assert!(part(&folder, test, "r", &other).1);
    says("seed 0 does not do the same in both");
    let wrong = [("CYGNET_SHARD", "2/2"), ("PLANTED", "x")];
    assert!(!part(&folder, test, "r", &wrong).1);
    assert!(
        folder.text(second).contains("failed "),
        "a panic is a failed seed"
    );

    // What an earlier attempt left is gone as soon as another begins, which ends here
    // before its first seed.
    assert!(part(&folder, test, "r", &said("2/2")).1);
    folder.write("tests/corpus/two_programs/torn.plan", "cygnet-plan\n");
    assert!(!part(&folder, test, "r", &said("2/2")).1);
    says("1 of 2 shards are missing: 2/2");
}

#[test]
fn a_part_that_is_none_runs_nothing_and_leaves_nothing() {
    let folder = Folder::new("none");
    for (who, says) in [
        (said("3/2"), "is no part; say K/N"),
        (said("0/2"), "is no part; say K/N"),
        (said("1/0"), "is no part; say K/N"),
        (said("swan"), "is no part; say K/N"),
        (
            said("21/30"),
            "no seed of 0..20 is in shard 21/30: nothing would be tested",
        ),
        (
            slurm("4", "0", "4"),
            "task 4 of a Slurm array of 4 from 0 is no part of it",
        ),
        (
            slurm("0", "0", "0"),
            "SLURM_ARRAY_TASK_COUNT is 0: nobody has a part",
        ),
        (
            slurm("x", "0", "4"),
            "SLURM_ARRAY_TASK_ID is \"x\", no number",
        ),
        (
            job("4", "4"),
            "JOB_COMPLETION_INDEX 4 is none of SWARM_SHARDS 4, from 0",
        ),
        (job("0", "0"), "SWARM_SHARDS is 0: nobody has a part"),
        (job("-1", "4"), "no number"),
        (
            job("1", "4")[..1].to_vec(),
            "set SWARM_SHARDS to the job's completions too",
        ),
        (
            [slurm("0", "0", "4"), job("0", "4")].concat(),
            "are both set",
        ),
        (
            vec![("CYGNET_SEEDS", "9..9")],
            "no seed is in 9..9: nothing would be tested",
        ),
        (
            vec![("CYGNET_SEED", "9")],
            "CYGNET_SEED and CYGNET_RESULTS are both set",
        ),
    ] {
        let (said, passes) = part(&folder, "a_rare_thing", "r", &who);
        assert!(!passes && said.contains(says), "{who:?}: {said}");
    }
    assert!(!folder.0.join("r").exists());
    let said = folder.fails("a_rare_thing", &said("1/2"));
    assert!(
        said.contains("CYGNET_SHARD is set and CYGNET_RESULTS is not"),
        "{said}"
    );
}
