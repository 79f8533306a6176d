//! The client of a web service, which finds it by name, each test in a network namespace of its
//! own. They need root; see `sim/tests/netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

#[path = "../../../sim/tests/nameserver/mod.rs"]
mod nameserver;
#[path = "../../../sim/tests/netns/mod.rs"]
mod netns;
mod peer;

use nameserver::Ways;
use net_examples::THIS_MACHINE;
use netns::{Netns, text};

/// What the client says of this answer, and of its errors.
fn told(netns: &Netns, url: &str) -> (String, String) {
    let mut client = netns.command(env!("CARGO_BIN_EXE_rest-client"));
    let done = client.arg(url).output().unwrap();
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.success(), errors.is_empty(), "{errors}");
    (text(&done), errors)
}

#[test]
fn a_service_is_found_by_name_and_a_swan_swims() {
    let Some(netns) = Netns::new(&[]) else {
        return;
    };
    let (names, asked) = netns.inside(|| {
        let names = nameserver::serve("0.0.0.0:53", Ways::Knows(THIS_MACHINE));
        let asked = peer::serve(8000, |first| match first {
            "GET /swans/3 HTTP/1.1" => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
                format!("{head}26\r\n\r\n{{\"number\":3,\"swims\":false}}")
            }
            _ => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        });
        (names, asked)
    });
    let (said, errors) = told(&netns, "http://swans.example:8000/swans");
    assert_eq!(errors, "", "{said}");
    assert!(said.contains("number: 3, swims: false"), "{said}");
    assert!(said.ends_with("it swims: 204\n"), "{said}");
    assert!(names.udp() >= 1);
    let (first, _) = asked.recv().unwrap();
    assert_eq!(first, "GET /swans/3 HTTP/1.1");
    let (first, body) = asked.recv().unwrap();
    assert_eq!(first, "PUT /swans/3 HTTP/1.1");
    assert_eq!(body, r#"{"number":3,"swims":true}"#);
}

/// Each is an error with a name, soon.
#[test]
fn services_that_are_none_are_errors() {
    let Some(netns) = Netns::new(&[]) else {
        return;
    };
    netns.inside(|| {
        nameserver::serve("0.0.0.0:53", Ways::Fails);
        let garbage = |_: &str| "\u{7}\u{8}\u{9}\r\n\r\n".repeat(9);
        peer::serve(8001, garbage);
        peer::serve(8002, |_| {
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes".into()
        });
        peer::serve(8003, |_| {
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".into()
        });
        peer::serve(8004, |_| {
            format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(9000))
        });
    });
    for (url, error) in [
        ("http://swans.example:8000", "Http(Dns)"),
        (
            "http://192.168.70.1:8000",
            "Http(Network(ConnectionRefused))",
        ),
        ("http://192.168.70.1:8001", "Http(Codec)"),
        ("http://192.168.70.1:8002", "NoSwan("),
        ("http://192.168.70.1:8003", "Status(404)"),
        ("http://192.168.70.1:8004", "Http(BufferTooSmall)"),
    ] {
        let (_, errors) = told(&netns, url);
        assert!(errors.starts_with(error), "{url}: {errors}");
    }
}
