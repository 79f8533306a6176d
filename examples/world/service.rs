//! A test of a network service: the greeting server, a visitor, a network that
//! loses a tenth of all frames, and a power cut in the middle, in a hundred
//! different ways. A seed that fails, fails again.

use cygnet::{Backlog, service};
use cygnet_world::{Fault, Link, World};
use smoltcp::time::{Duration, Instant};

fn run(seed: u64) {
    let mut world = World::new(seed);
    let server = world.host("server", |node| {
        let hello = service::hello(node, 5000, Backlog(4));
        node.spawn(hello).expect("a free task");
    });
    let target = world.endpoint(server, 5000);
    let visitor = world.host("visitor", move |node| {
        let visit = async move {
            let (mut greeted, mut answer) = (0, [0; 12]);
            while greeted < 20 {
                let Ok(mut stream) = node.connect(target).await else {
                    continue; // the server was away
                };
                stream.set_read_timeout(Some(Duration::from_secs(5)));
                while greeted < 20
                    && stream.write_all(b"?").await.is_ok()
                    && stream.read(&mut answer).await == Ok(12)
                {
                    assert_eq!(&answer, b"Hello World\n");
                    greeted += 1;
                    node.sleep(Duration::from_millis(100)).await;
                }
            }
        };
        node.spawn(visit).expect("a free task");
    });
    let bad = Link {
        loss: 100_000, // parts per million
        ..Link::LAN
    };
    world.connect(visitor, server, bad);
    world.at(Instant::from_secs(1), Fault::Boot(server));
    world.run_until(Instant::from_secs(900), |world| world.is_done(visitor));
    assert!(world.is_done(visitor), "seed {seed}: {}", world.waiting());
    assert_eq!(world.violation(), None, "seed {seed}");
    assert!(world.untouched().is_empty(), "seed {seed} proved nothing");
}

pub fn main() {
    (0..100).for_each(run);
}
