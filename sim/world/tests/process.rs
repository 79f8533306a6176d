//! Firmware in processes: it meets every fault, a reboot is a new process, and whatever
//! a process does wrong is a sentence and never a hang, a green run or a child left over.
#![cfg(unix)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration as WallTime;

use cygnet::Node;
use cygnet_world::{
    Fault, Faults, HostId, Instant, Link, Process, Violation, World, millis, percent, secs,
};
use smoltcp::wire::IpEndpoint;

mod children;

/// A test of this binary as a machine.
fn child(name: &str) -> Process {
    let program = std::env::current_exe().expect("this program");
    let process = Process::new(program).arg(format!("children::{name}"));
    ["--exact", "--ignored", "--nocapture", "--test-threads=1"]
        .into_iter()
        .fold(process, Process::arg)
}

async fn talk(node: Node<'static>, target: IpEndpoint) {
    let mut said = 0;
    while said < 6 {
        let mut heard = [0; 4];
        if let Ok(mut stream) = node.connect(target).await {
            stream.set_read_timeout(Some(secs(5)));
            while stream.write_all(b"swan").await.is_ok()
                && stream.read(&mut heard).await == Ok(4)
                && said < 6
            {
                assert_eq!(&heard, b"swan");
                said += 1;
                node.sleep(millis(30)).await;
            }
        }
        node.sleep(millis(200)).await;
    }
}

/// A server in a process, and a client that it must serve.
fn echo(world: &mut World, firmware: Process, loss: u32) -> [HostId; 2] {
    let server = world.machine("server", firmware);
    let target = world.endpoint(server, 7);
    let client = world.host("client", move |node| {
        node.spawn_named("talk", talk(node, target))
            .expect("a free task");
    });
    let link = Link {
        loss,
        duplicate: loss,
        ..Link::LAN
    };
    world.connect(client, server, link);
    [server, client]
}

cygnet_world::test! { seeds = 0..40, fn firmware_in_a_process_serves_through_faults(world: &mut World) {
    let [server, _] = echo(world, child("echoes"), percent(3));
    for faults in [
        Faults::reboots().on(server),
        Faults::crashes().on(server),
        Faults::pauses().on(server),
        Faults::clocks().on(server),
        Faults::partitions().on(server),
    ] {
        let faults = faults.times(0..=1).within(secs(0)..millis(500));
        world.faults(faults.lasting(millis(1)..=millis(900)));
    }
    world.until_done(secs(900));
}}

#[test]
fn a_reboot_is_a_new_process_with_statics_as_they_were_compiled() {
    let mut world = World::new(1);
    let [server, client] = echo(&mut world, child("echoes").env("TELL_PID", "1"), 0);
    world.at(Instant::from_millis(100), Fault::Boot(server));
    world.run_until(Instant::from_secs(600), |world| world.is_done(client));
    assert!(world.is_done(client), "{}", world.waiting());
    let said = |word: &str| {
        let lines = world.printed(server).iter();
        let lines = lines.filter(|line| line.starts_with(word));
        lines.cloned().collect::<Vec<_>>()
    };
    assert_eq!(said("boot"), ["boot 1", "boot 1"]);
    let pids = said("pid");
    assert_ne!(pids[0], pids[1]);
    assert!(said("echo").len() >= 6);
    assert_eq!(said("echo")[0], "echo swan");
}

/// What is violated when a machine is this child.
fn violates(name: &str, patience: u64) -> Violation {
    let mut world = World::new(1);
    let patience = WallTime::from_secs(patience);
    world.machine("server", child(name).patience(patience));
    world.run_for(secs(1));
    let violation = world.violation();
    let violation = violation.unwrap_or_else(|| panic!("{name} violates nothing"));
    assert_eq!(violation.invariant, "machine");
    assert!(
        violation
            .detail
            .starts_with("server: the firmware process-")
    );
    violation
}

#[test]
fn whatever_a_process_does_wrong_is_a_sentence_with_its_host_and_what_to_do() {
    for (name, said) in [
        (
            "panics",
            [
                "ended (exit status: 101) in its turn at 0.003s",
                "the swan sinks",
            ],
        ),
        (
            "exits",
            [
                "ended (exit status: 7) in its turn at 0.002s",
                "It must answer until",
            ],
        ),
        (
            "exits_at_once",
            ["ended (exit status: 3) when it was", "It must answer until"],
        ),
        (
            "writes_garbage",
            ["\"hello, world\\n\\x10", "print to standard output"],
        ),
        (
            "speaks_another_version",
            ["speaks version 2", "this world version 1: build both"],
        ),
        (
            "answers_twice",
            ["what is no message in its turn at", "or twice"],
        ),
    ] {
        let detail = violates(name, 20).detail;
        for part in said {
            assert!(detail.contains(part), "{name}: {part} is not in: {detail}");
        }
        assert_eq!(violates(name, 20).detail, detail);
    }
}

#[test]
fn a_process_that_says_nothing_is_waited_for_only_so_long() {
    for (name, said) in [
        ("says_nothing", "waits for a thread"),
        ("spins", "never ends its turn"),
    ] {
        let detail = violates(name, 2).detail;
        for part in ["said nothing for 2s in its turn at 0.002s", said] {
            assert!(detail.contains(part), "{name}: {part} is not in: {detail}");
        }
    }
}

#[test]
fn a_process_that_dies_fails_a_test_with_its_seed_and_the_way_to_do_it_again() {
    let failed = catch_unwind(|| {
        cygnet_world::check("a_child_dies", 0..3, |world| {
            echo(world, child("panics"), percent(3));
            world.until_done(secs(60));
        });
    });
    let report = failed
        .expect_err("it dies")
        .downcast::<String>()
        .expect("words");
    for part in [
        "a_child_dies: seed 0: machine: server: the firmware process-",
        "the swan sinks",
        "\n  where    host server, at 0.002050 s, event ",
        "\n  replay   CYGNET_SEED=0 cargo test ",
        "\n  facts    0 left of ",
    ] {
        assert!(report.contains(part), "{part} is not in {report}");
    }
}

#[test]
fn two_runs_that_differ_in_what_firmware_prints_differ() {
    let run = |firmware: Process| {
        let mut world = World::new(1);
        let [_, client] = echo(&mut world, firmware, percent(5));
        world.run_until(Instant::from_secs(600), |world| world.is_done(client));
        assert_eq!(world.violation(), None);
        world.digest()
    };
    assert_eq!(run(child("echoes")), run(child("echoes")));
    let other = || run(child("echoes").env("TELL_PID", "1"));
    assert_ne!(other(), other());
}

#[test]
fn a_program_that_is_not_there_is_a_sentence() {
    let mut world = World::new(1);
    let server = world.machine("server", Process::new("/no/such/firmware"));
    let detail = world.violation().expect("it cannot start").detail;
    let head = "server: the firmware /no/such/firmware cannot be started: ";
    assert!(detail.starts_with(head), "{detail}");
    assert!(
        detail.contains("env!(\"CARGO_BIN_EXE_firmware\")"),
        "{detail}"
    );
    assert!(!world.is_done(server));
    // A program that is none of ours is told too.
    let mut world = World::new(1);
    world.machine("server", Process::new("true"));
    let detail = world.violation().expect("it says nothing").detail;
    assert!(
        detail.contains("the firmware true ended (exit status: 0)"),
        "{detail}"
    );
}

#[test]
fn firmware_may_print_as_much_as_it_likes() {
    let mut world = World::new(1);
    let server = world.machine("server", child("prints_much"));
    world.run_for(millis(1));
    assert_eq!(world.violation(), None);
    let lines = world.printed(server).len();
    assert!((40_000..40_010).contains(&lines), "{lines} lines");
}

/// Whether the process that a machine said it is, is there, perhaps as a zombie.
#[cfg(target_os = "linux")]
fn is_there(pid: &str) -> bool {
    std::path::Path::new("/proc").join(pid).exists()
}

#[cfg(target_os = "linux")]
fn pid(world: &World, server: HostId) -> String {
    let lines = world.printed(server).iter().rev();
    let pid = lines.filter_map(|line| line.strip_prefix("pid ")).next();
    pid.expect("it said so").to_owned()
}

#[test]
#[cfg(target_os = "linux")]
fn no_child_is_left_after_a_crash_a_world_or_a_panic() {
    let mut world = World::new(1);
    let [server, _] = echo(&mut world, child("echoes").env("TELL_PID", "1"), 0);
    world.run_for(millis(50));
    let first = pid(&world, server);
    assert!(is_there(&first));
    world.at(world.now(), Fault::Crash(server));
    world.run_for(millis(50));
    assert!(!is_there(&first), "after a crash");
    world.at(world.now(), Fault::Boot(server));
    world.run_for(millis(50));
    let second = pid(&world, server);
    assert!(is_there(&second));
    drop(world);
    assert!(!is_there(&second), "after the world");

    let mut third = String::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(1);
        let [server, _] = echo(&mut world, child("echoes").env("TELL_PID", "1"), 0);
        world.run_for(millis(50));
        third = pid(&world, server);
        assert!(!is_there(&third), "a panic with a child");
    }));
    assert!(panicked.is_err() && !is_there(&third), "after a panic");
}
