//! picoserve over a wire in memory, in virtual time.

#[macro_use]
mod hosts;

use std::cell::RefCell;

use cygnet::lab::pair;
use cygnet::{Backlog, Node, ReadError, TcpStream};
use cygnet_compat::picoserve::serve;
use hosts::wire;
use picoserve::Router;
use picoserve::extract::Form;
use picoserve::routing::{get, post};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpAddress;

static CONFIG: picoserve::Config = picoserve::Config::const_default().keep_connection_alive();

#[derive(serde::Deserialize)]
struct Swan {
    name: String,
}

/// Asks, and reads until the answer ends with `end`.
async fn ask(stream: &mut TcpStream<'_>, request: &str, end: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut answer, mut chunk) = (String::new(), [0; 300]);
    while !answer.ends_with(end) {
        match stream.read(&mut chunk).await.unwrap() {
            0 => panic!("{answer:?} does not end with {end:?}"),
            count => answer += std::str::from_utf8(&chunk[..count]).unwrap(),
        }
    }
    answer
}

async fn client(node: Node<'_>, answers: &RefCell<Vec<String>>) {
    let mut stream = node
        .connect((IpAddress::v4(10, 0, 0, 1), 80))
        .await
        .unwrap();
    let began = node.now();
    for _ in 0..10 {
        let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        ask(&mut stream, get, "\r\n\r\nHello World\n").await;
    }
    // Head and body leave together: no request waits for an acknowledgement.
    let took = node.now() - began;
    assert!(took < Duration::from_millis(10 * 2 * 10 + 1), "{took}");
    let form = "POST /swan HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\
        Content-Type: application/x-www-form-urlencoded\r\n\r\nname=Anna";
    let answer = ask(&mut stream, form, "\r\n\r\nAnna swims").await;
    answers.borrow_mut().push(answer);
    assert_eq!(stream.read(&mut [0; 9]).await, Ok(0), "an orderly end");
    stream.close().await.unwrap();
}

#[test]
fn requests_over_one_connection_do_not_wait_for_acknowledgements() {
    let app = Router::new()
        .route("/", get(|| async { "Hello World\n" }))
        .route(
            "/swan",
            post(|Form(swan): Form<Swan>| async move { format!("{} swims", swan.name) }),
        );
    let answers = RefCell::new(Vec::new());
    hosts!(server, visitor);
    let http = serve::<2048, _>(server, 80, Backlog(2), &app, &CONFIG);
    server.spawn(http).unwrap();
    visitor.spawn(client(visitor, &answers)).unwrap();
    let wire = wire();
    pair::run(&wire, server, visitor, Instant::from_secs(60), |_| {
        !answers.borrow().is_empty() && server.counters().slots_used == 0
    });
    assert_eq!(answers.borrow().len(), 1);
    let failed = server.counters().tasks_failed + server.counters().spawns_refused;
    assert_eq!(failed, 0);
}

/// Its connection is aborted, but a reset would overtake the answer.
#[test]
fn the_answer_to_a_bad_request_arrives_before_its_reset() {
    let app = Router::new().route("/", get(|| async { "Hello World\n" }));
    let end = RefCell::new(None);
    hosts!(server, visitor);
    let http = serve::<2048, _>(server, 80, Backlog(2), &app, &CONFIG);
    server.spawn(http).unwrap();
    let client = async {
        let target = (IpAddress::v4(10, 0, 0, 1), 80);
        let mut stream = visitor.connect(target).await.unwrap();
        ask(&mut stream, "no request\r\n\r\n", "Bad Request Line").await;
        *end.borrow_mut() = Some(stream.read(&mut [0; 9]).await);
    };
    visitor.spawn(client).unwrap();
    let wire = wire();
    pair::run(&wire, server, visitor, Instant::from_secs(60), |_| {
        end.borrow().is_some() && server.counters().slots_used == 0
    });
    assert_eq!(end.take(), Some(Err(ReadError::Reset)));
}
