//! Firmware with embassy in a world of cygnet hosts.

use std::cell::Cell;
use std::rc::Rc;

use cygnet::Node;
use cygnet_world::{Faults, HostId, Link, Process, World, millis, percent, secs};
use embassy_firmware::PORT;
use smoltcp::wire::IpEndpoint;

/// How many times a client asks.
const TIMES: u8 = 10;

/// Says this on a connection of its own and hears it again. `None` when it is cut off, or
/// waits for a minute.
async fn ask(node: Node<'static>, target: IpEndpoint, words: &[u8]) -> Option<()> {
    let mut stream = node.connect(target).await.ok()?;
    stream.set_read_timeout(Some(secs(60)));
    stream.write_all(words).await.ok()?;
    let (mut heard, mut count) = ([0; 1500], 0);
    while count < words.len() {
        match stream.read(&mut heard[count..]).await {
            Ok(more @ 1..) => count += more,
            _ => return None,
        }
    }
    assert_eq!(&heard[..count], words);
    Some(())
}

/// A client that says so many bytes, each time until it hears them; and how many times it
/// did.
fn client(world: &mut World, name: &str, server: HostId, length: usize) -> (HostId, Rc<Cell<u8>>) {
    let (target, heard) = (world.endpoint(server, PORT), Rc::<Cell<u8>>::default());
    let count = Rc::clone(&heard);
    let client = world.host(name, move |node| {
        let heard = Rc::clone(&count);
        let task = async move {
            while heard.get() < TIMES {
                let words = vec![b'a' + heard.get(); length];
                if ask(node, target, &words).await.is_some() {
                    heard.set(heard.get() + 1);
                }
                node.sleep(millis(100)).await;
            }
        };
        node.spawn_named("talk", task).expect("a free task");
    });
    (client, heard)
}

cygnet_world::test! { seeds = 0..300, fn the_firmware_echoes_through_faults(world: &mut World) {
    let server = world.machine("server", Process::new(env!("CARGO_BIN_EXE_echo")));
    let switch = world.switch();
    world.connect(server, switch, Link { loss: percent(3), ..Link::LAN });
    for name in ["ann", "bob"] {
        let (client, _) = client(world, name, server, 1500);
        world.connect(client, switch, Link::LAN);
    }
    world.faults(Faults::reboots().on(server).times(0..=2).within(secs(0)..secs(2)));
    world.faults(Faults::partitions().on(server).times(0..=1).within(secs(0)..secs(2)));
    world.until_done(secs(900));
}}

cygnet_world::test! { seeds = 0..300, fn what_was_answered_arrives(world: &mut World) {
    let server = world.machine("server", Process::new(env!("CARGO_BIN_EXE_answer")));
    let (client, heard) = client(world, "client", server, 4);
    world.connect(client, server, Link { loss: percent(3), ..Link::LAN });
    // It is asked again when the last answer was heard, and when that was lost.
    world.always("what was answered arrives", move |world| {
        world.printed(server).len() <= usize::from(heard.get()) + 1
    });
    world.until_done(secs(900));
}}
