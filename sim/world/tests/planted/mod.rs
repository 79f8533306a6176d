//! Tests that fail, for the tests of what is said then. All but `calm` and
//! `everything_is_allowed` have one mistake each.

use std::collections::HashMap;
use std::task::Poll;

use cygnet::{Backlog, Node, service};
use cygnet_world::{
    Allow, Bare, Fault, Faults, HostId, Instant, Link, Size, Step, Wait, World, percent, secs, test,
};
use smoltcp::iface::SocketSet;
use smoltcp::wire::IpEndpoint;

const PORT: u16 = 7;

fn echo(node: Node<'static>) {
    let echo = service::echo(node, PORT, Backlog(4));
    node.spawn_named("echo", echo).expect("a free task");
}

/// A server, and a client that runs `program`.
fn pair<F: Future<Output = ()> + 'static>(
    world: &mut World,
    link: Link,
    program: impl Fn(Node<'static>, IpEndpoint) -> F + 'static,
) -> [HostId; 2] {
    let server = world.host("server", echo);
    let target = world.endpoint(server, PORT);
    let client = world.host("client", move |node| {
        let program = program(node, target);
        node.spawn_named("program", program).expect("a free task");
    });
    world.connect(client, server, link);
    [server, client]
}

/// Says these bytes and hears them again; begins anew when it is cut off.
async fn say(node: Node<'static>, target: IpEndpoint, bytes: [u8; 8], patient: bool) {
    loop {
        if let Ok(mut stream) = node.connect(target).await {
            stream.set_read_timeout((!patient).then_some(secs(5)));
            let mut answer = [0; 8];
            if stream.write_all(&bytes).await.is_ok() && stream.read(&mut answer).await == Ok(8) {
                return;
            }
        }
        node.sleep(secs(1)).await;
    }
}

async fn swan(node: Node<'static>, target: IpEndpoint) {
    say(node, target, *b"a swan !", false).await;
}

test! { #[ignore = "for another test"] seeds = 0..3, fn calm(world: &mut World) {
    pair(world, Link::LAN, swan);
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..200, fn lost_answers_stop_a_client(world: &mut World) {
    let link = Link { loss: percent(3), duplicate: percent(5), ..Link::LAN };
    let [server, client] = pair(world, link, |node, target| async move {
        for _ in 0..10 {
            say(node, target, *b"a swan !", true).await;
            node.sleep(secs(1)).await;
        }
    });
    let crashes = Faults::crashes().times(1..=4).within(secs(0)..secs(10));
    world.faults(crashes.on(server).lasting(secs(1)..=secs(9)));
    world.faults(Faults::pauses().on(client).within(secs(0)..secs(10)));
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn a_task_panics(world: &mut World) {
    pair(world, Link::LAN, |node, target| async move {
        swan(node, target).await;
        panic!("a swan sinks");
    });
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn the_test_panics(world: &mut World) {
    pair(world, Link::LAN, swan);
    world.until_done(secs(600));
    assert_eq!(world.now(), Instant::ZERO);
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn a_task_fails(world: &mut World) {
    let client = world.host("client", |node| {
        let failing = async { Err::<(), &str>("no swan") };
        node.spawn_named("failing", failing).expect("a free task");
    });
    let switch = world.switch();
    world.connect(client, switch, Link::LAN);
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn a_spawn_is_refused(world: &mut World) {
    let client = world.host_of("client", Size { tasks: 1, ..Size::SMALL }, |node| {
        let _ = node.spawn(node.sleep(secs(1)));
        let _ = node.spawn(node.sleep(secs(1)));
    });
    let switch = world.switch();
    world.connect(client, switch, Link::LAN);
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn a_slot_is_leaked(world: &mut World) {
    pair(world, Link::LAN, |node, target| async move {
        std::mem::forget(node.connect(target).await);
    });
    // The server's task for that connection waits for ever.
    world.endless("echo");
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn a_host_hangs_on_nothing(world: &mut World) {
    world.host("client", |node| drop(node.spawn(node.sleep(secs(1)))));
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn two_hosts_have_one_name(world: &mut World) {
    world.host("server", echo);
    pair(world, Link::LAN, swan);
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn a_machine_hangs_on_nothing(world: &mut World) {
    pair(world, Link::LAN, swan);
    world.machine("stranger", Bare::echo(PORT, 1));
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn a_machine_has_the_name_of_a_host(world: &mut World) {
    pair(world, Link::LAN, swan);
    world.machine("client", Bare::echo(PORT, 1));
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn a_machine_never_ends(world: &mut World) {
    let busy = |_: &mut SocketSet<'static>| -> Step { Box::new(|_, _, _| Wait::Frame) };
    let server = world.machine("stranger", Bare::new(busy));
    let client = world.host("client", |node| drop(node.spawn(node.sleep(secs(1)))));
    world.connect(client, server, Link::LAN);
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn more_is_lost_at_a_machine_than_there_is(world: &mut World) {
    let server = world.machine("stranger", Bare::echo(PORT, 1));
    let client = world.host("client", |node| drop(node.spawn(node.sleep(secs(1)))));
    world.connect(client, server, Link { loss: percent(101), ..Link::LAN });
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn a_name_is_two_words(world: &mut World) {
    world.host("my server", echo);
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn more_is_lost_than_there_is(world: &mut World) {
    pair(world, Link { loss: percent(101), ..Link::LAN }, swan);
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn two_links_for_one_host(world: &mut World) {
    let [_, client] = pair(world, Link::LAN, swan);
    let switch = world.switch();
    world.connect(client, switch, Link::LAN);
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn faults_strike_nothing(world: &mut World) {
    let server = world.host("server", echo);
    let switch = world.switch();
    let link = world.connect(server, switch, Link::LAN);
    world.faults(Faults::reboots().on(link));
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn nobody_is_there(world: &mut World) {
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn nothing_runs(world: &mut World) {
    pair(world, Link::LAN, swan);
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn a_claim_does_not_hold(world: &mut World) {
    pair(world, Link::LAN, swan);
    world.always("only one frame", |world| world.frames() <= 1);
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn a_claim_never_comes_true(world: &mut World) {
    pair(world, Link::LAN, swan);
    world.eventually("an hour passes", |world| world.now() > Instant::from_secs(3600));
    world.eventually("a swan passes", |world| world.frames() > 1);
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn a_task_spins(world: &mut World) {
    pair(world, Link::LAN, |node, _| async move {
        loop {
            node.yield_now().await;
        }
    });
    world.set_budget(10_000);
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn a_test_runs_on(world: &mut World) {
    let server = world.host("server", echo);
    let switch = world.switch();
    world.connect(server, switch, Link::LAN);
    while world.now() < Instant::from_secs(5) {
        world.run_for(secs(1));
    }
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn a_test_goes_on_after_all_is_over(world: &mut World) {
    pair(world, Link::LAN, |_, _| async {});
    world.always("no time passes", |_| false);
    while world.now() < Instant::from_secs(5) {
        world.run_for(secs(1));
    }
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn a_thread_is_waited_for(world: &mut World) {
    pair(world, Link::LAN, |_, _| std::future::poll_fn(|_| Poll::Pending));
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn nothing_is_lost(world: &mut World) {
    let [server, _] = pair(world, Link { loss: 1, ..Link::LAN }, swan);
    world.at(Instant::from_secs(3600), Fault::Boot(server));
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn nobody_gets_there(world: &mut World) {
    pair(world, Link::LAN, swan);
    world.sometimes("the night", |world| world.now() > Instant::from_secs(3600));
    world.sometimes("the beginning", |world| world.now() == Instant::ZERO);
    drop(world.reachable("the end"));
    world.reachable("here").here();
    world.until_done(secs(600));
}}

test! { #[ignore = "for another test"] seeds = 0..3, fn everything_is_allowed(world: &mut World) {
    for allow in [
        Allow::RefusedSpawns,
        Allow::FailedTasks,
        Allow::LeakedSlots,
        Allow::IdleFaults,
        Allow::Unlinked,
    ] {
        world.allow(allow);
    }
    world.host_of("alone", Size { tasks: 1, ..Size::SMALL }, |node| {
        let _ = node.spawn(async { Err::<(), &str>("no swan") });
        let _ = node.spawn(node.sleep(secs(1)));
    });
    pair(world, Link { loss: 1, ..Link::LAN }, |node, target| async move {
        std::mem::forget(node.connect(target).await);
    });
    world.run_for(secs(20));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn a_task_reads_the_wall_clock(world: &mut World) {
    pair(world, Link::LAN, |node, target| async move {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        say(node, target, now.to_le_bytes(), false).await;
    });
    world.until_done(secs(600));
}}

test! { #[ignore = "it fails"] seeds = 0..3, fn a_hash_map_gives_the_order(world: &mut World) {
    pair(world, Link::LAN, |node, target| async move {
        let map: HashMap<u64, u64> = (0..1000).map(|key| (key, key)).collect();
        let first = *map.keys().next().unwrap();
        say(node, target, first.to_le_bytes(), false).await;
    });
    world.until_done(secs(600));
}}
