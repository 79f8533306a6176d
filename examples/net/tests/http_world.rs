//! The same web server, unchanged, in a world where 5 % of all frames are lost and the server
//! is switched off and on again.

use cygnet::Node;
use cygnet_world::{Fault, Link, Size, World, millis};
use net_examples::{TASK_BYTES, http};
use smoltcp::time::Instant;
use smoltcp::wire::IpEndpoint;

/// One request over a connection of its own.
async fn ask(node: Node<'_>, server: IpEndpoint, number: u32) -> Result<String, cygnet::Error> {
    let mut stream = node.connect(server).await?;
    stream.set_read_timeout(Some(millis(5_000)));
    let request = format!("GET /swans/{number} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 256]);
    while let count @ 1.. = stream.read(&mut chunk).await? {
        answer.extend_from_slice(&chunk[..count]);
    }
    Ok(String::from_utf8(answer).expect("text"))
}

/// Asks until each of twenty questions was answered.
async fn visit(node: Node<'static>, server: IpEndpoint) {
    for number in 0..20 {
        loop {
            match ask(node, server, number).await {
                Ok(answer) if answer.starts_with("HTTP/1.1 200") => {
                    let json = format!("{{\"number\":{number},\"swims\":true}}");
                    assert!(answer.ends_with(&json), "{answer}");
                    break;
                }
                Ok(answer) => assert_eq!(answer, "", "half an answer"),
                Err(_) => node.sleep(millis(200)).await,
            }
        }
        node.sleep(millis(100)).await;
    }
}

fn run(seed: u64) -> u128 {
    let mut world = World::new(seed);
    let size = Size {
        task_bytes: TASK_BYTES,
        ..Size::SMALL
    };
    let server = world.host_of("server", size, http::start);
    let target = world.endpoint(server, 80);
    let client = world.host("client", move |node| {
        node.spawn(visit(node, target)).expect("a free task");
    });
    let lossy = Link {
        loss: 50_000,
        ..Link::LAN
    };
    world.connect(server, client, lossy);
    world.at(Instant::from_millis(700), Fault::Boot(server));
    world.run_until(Instant::from_secs(900), |world| world.is_done(client));
    assert!(
        world.is_done(client),
        "seed {seed}: a question has no answer"
    );
    let untouched = world.untouched();
    assert!(untouched.is_empty(), "seed {seed}: {untouched:?}");
    world.digest()
}

#[test]
fn every_question_is_answered_although_the_server_is_switched_off() {
    for seed in 0..100 {
        assert_eq!(run(seed), run(seed), "seed {seed}: not the same run twice");
    }
}
