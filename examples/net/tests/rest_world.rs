//! The client of a web service, in virtual time, and services that break off: each is an error
//! with a name, and the client waits for nobody longer than it says.

use std::cell::RefCell;
use std::rc::Rc;

use cygnet::{Backlog, Node};
use cygnet_world::{Link, Size, World, secs};
use net_examples::{TASK_BYTES, rest};
use smoltcp::time::{Duration, Instant};

/// How a service ends after it has said something.
#[derive(Clone, Copy)]
enum Then {
    Waits,
    Closes,
    Resets,
}

async fn service(node: Node<'static>, says: &'static str, then: Then) {
    let listener = node.listen(80, Backlog(1)).expect("a free port");
    let (mut stream, _) = listener.accept().await.expect("a client");
    let _ = stream.write_all(says.as_bytes()).await;
    match then {
        Then::Waits => node.sleep(secs(100)).await,
        Then::Closes => drop(stream.close().await),
        Then::Resets => {
            let _ = stream.acknowledged().await;
            stream.abort();
        }
    }
}

/// What the client makes of it, and when.
fn told(says: &'static str, then: Then) -> (String, Duration) {
    let mut world = World::new(1);
    let server = world.host("server", move |node| {
        node.spawn(service(node, says, then)).expect("a free task");
    });
    let url = format!("http://{}/swans", world.address(server));
    let told = Rc::new(RefCell::new(None));
    let told_there = Rc::clone(&told);
    let size = Size {
        task_bytes: TASK_BYTES,
        ..Size::SMALL
    };
    let client = world.host_of("client", size, move |node| {
        let (url, told) = (url.clone(), Rc::clone(&told_there));
        let task = async move {
            let error = rest::run(node, &url).await.expect_err("no service");
            *told.borrow_mut() = Some(format!("{error:?}"));
        };
        node.spawn(task).expect("a free task");
    });
    world.connect(server, client, Link::LAN);
    world.run_until(Instant::from_secs(60), |world| world.is_done(client));
    let at = world.now() - Instant::ZERO;
    // A service that waits does not close its side; ours is given up after 30 s.
    world.run_for(secs(31));
    assert_eq!(world.counters(client).slots_used, 0, "a slot is held");
    (told.take().expect("an end"), at)
}

#[test]
fn services_that_break_off_are_errors_and_nobody_is_waited_for() {
    let half_a_head = "HTTP/1.1 200 OK\r\nContent-";
    let half_a_body = "HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{\"number\"";
    for says in ["", half_a_head, half_a_body] {
        // reqwless 0.14 calls a body that was cut short so.
        let cut = match says == half_a_body {
            true => "Http(BufferTooSmall)",
            false => "Http(ConnectionAborted)",
        };
        for (then, error, most) in [
            (Then::Waits, "Late", secs(20)),
            (Then::Closes, cut, secs(1)),
            (Then::Resets, "Http(Network(ConnectionReset))", secs(1)),
        ] {
            let (said, at) = told(says, then);
            assert_eq!(said, error, "{says:?}");
            assert!(at <= most, "{says:?}: {said} after {at}");
        }
    }
}
