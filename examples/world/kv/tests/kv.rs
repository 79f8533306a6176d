//! Counters keep what they acknowledged, through loss, reboots and partitions.

use std::cell::Cell;
use std::rc::Rc;

use cygnet_world::{Faults, Link, World, millis, percent, secs};
use kv::{Disk, PORT, raise, serve};

cygnet_world::test! { seeds = 0..200, fn what_is_acknowledged_is_kept(world: &mut World) {
    let (disk, acknowledged) = (Disk::default(), Rc::new(Cell::new(0)));
    let (on, answered) = (disk.clone(), acknowledged.clone());
    world.always("what is acknowledged is kept", move |_| on.read(1) >= answered.get());
    let (on, switch) = (disk.clone(), world.switch());
    let server = world.host("server", move |node| {
        on.power_on();
        node.spawn(serve(node, on.clone())).expect("a free task");
    });
    let target = world.endpoint(server, PORT);
    world.connect(server, switch, Link { loss: percent(2), ..Link::LAN });
    let seen = world.reachable("a counter above 30");
    for name in ["ann", "bob"] {
        let (acknowledged, seen) = (acknowledged.clone(), seen.clone());
        let client = world.host(name, move |node| {
            let (acknowledged, seen) = (acknowledged.clone(), seen.clone());
            let task = async move {
                for _ in 0..20 {
                    if raise(node, target, 1).await > 30 { seen.here(); }
                    acknowledged.set(acknowledged.get() + 1);
                    node.sleep(millis(50)).await;
                }
            };
            node.spawn(task).expect("a free task");
        });
        world.connect(client, switch, Link::LAN);
    }
    world.faults(Faults::reboots().on(server).times(0..=2).within(secs(0)..secs(2)));
    world.faults(Faults::partitions().on(server).times(0..=2).within(secs(0)..secs(2)));
    world.until_done(secs(600));
}}
