//! Requests that are none, at the page of a node, in virtual time.

mod hosts;
mod stage;

use smoltcp::time::Duration;
use stage::{Stage, ask, body, get, left};

/// What is wrong with a request, how it goes on, and the codes that answer it; none: the
/// connection ends without an answer.
const MALFORMED: [(&str, &[u8], &[&str]); 30] = [
    ("nothing, and waits", b"", &[]),
    ("an empty line", b"\r\n", &["400"]),
    ("a word", b"GET\r\n\r\n", &["400"]),
    ("no version", b"GET /\r\n\r\n", &["400"]),
    ("no path", b"GET  HTTP/1.1\r\n\r\n", &["400"]),
    ("no slash", b"GET status.json HTTP/1.1\r\n\r\n", &["404"]),
    ("four words", b"GET / HTTP/1.1 x\r\n\r\n", &["400"]),
    ("half a line", b"GET / HT", &[]),
    ("half a head", b"GET / HTTP/1.1\r\nHost: x\r\n", &[]),
    ("lines end in LF", b"GET / HTTP/1.1\nHost: x\n\n", &["200"]),
    ("no colon", b"GET / HTTP/1.1\r\nHost\r\n\r\n", &["400"]),
    ("a colon alone", b"GET / HTTP/1.1\r\n:\r\n\r\n", &["200"]),
    ("a zero in the path", b"GET /\0 HTTP/1.1\r\n\r\n", &["404"]),
    (
        "bytes that are no text",
        b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
        &["400"],
    ),
    (
        "bytes as a name",
        b"GET / HTTP/1.1\r\n\xff\xfe: x\r\n\r\n",
        &["200"],
    ),
    ("another method", b"BREW / HTTP/1.1\r\n\r\n", &["405"]),
    (
        "it wants to change",
        b"POST /status.json HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
        &["405"],
    ),
    ("it wants to delete", b"DELETE / HTTP/1.1\r\n\r\n", &["405"]),
    (
        "a hidden path",
        b"GET /../status.json HTTP/1.1\r\n\r\n",
        &["404"],
    ),
    ("percents", b"GET /%2e%2e/%00 HTTP/1.1\r\n\r\n", &["404"]),
    ("percents that end", b"GET /%2 HTTP/1.1\r\n\r\n", &["404"]),
    (
        "a proxy's",
        b"GET http://10.0.0.1/ HTTP/1.1\r\n\r\n",
        &["404"],
    ),
    ("CONNECT", b"CONNECT 10.0.0.2:22 HTTP/1.1\r\n\r\n", &["404"]),
    (
        "a body that is shorter",
        b"GET / HTTP/1.1\r\nContent-Length: 99\r\n\r\nx",
        &["200"],
    ),
    (
        "all the bytes there are",
        b"GET / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n",
        &["200"],
    ),
    (
        "fewer than none",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        &["200"],
    ),
    (
        "chunks that are none",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        &["200"],
    ),
    (
        "TLS",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        &["400"],
    ),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &["404"]),
    ("a path without end", &[b'/'; 3000], &["400"]),
];

/// Each is told what is wrong or is cut off within the page's limits, its slot comes back, and
/// who asks for the page afterwards gets it.
#[test]
fn a_request_that_is_none_ends_in_time_and_hurts_nobody() {
    for (what, request, codes) in MALFORMED {
        let stage = Stage::new();
        let (answers, visitor) = (left::<Vec<String>>(), stage.visitor);
        stage.visit(async move {
            let (text, ended) = ask(visitor, request, Duration::from_secs(6)).await;
            assert!(ended, "{what} is not ended: {text}");
            answers.borrow_mut().push(text);
            let honest = get("/metrics");
            let (text, _) = ask(visitor, honest.as_bytes(), Duration::from_secs(6)).await;
            answers.borrow_mut().push(text);
        });
        let server = stage.server;
        stage.run(60, |_| {
            answers.borrow().len() == 2 && server.counters().slots_used == 0
        });
        let answers = answers.take();
        let lines = answers[0].split("HTTP/1.1 ").skip(1);
        let found: Vec<&str> = lines.map(|line| &line[..3]).collect();
        assert_eq!(found, codes, "{what}: {}", answers[0]);
        assert!(
            body(&answers[1]).contains("\ncygnet_tasks_used 3\n"),
            "{what}"
        );
        let counters = server.counters();
        assert_eq!(
            (counters.slots_used, counters.tasks_failed),
            (0, 0),
            "{what}"
        );
    }
}
