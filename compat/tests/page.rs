//! The page of a node, over a wire in memory, in virtual time.

mod hosts;

use std::cell::{Cell, RefCell};
use std::future::Future;

use cygnet::lab::pair;
use cygnet::lab::wire::{Faults, Wire};
use cygnet::service::echo;
use cygnet::{Backlog, ConnectionState, HeapStorage, HeapTaskStorage, Node, StorageSizes, Tasks};
use cygnet_compat::page::Page;
use hosts::{LATENCY, stack};
use serde_json::Value;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpAddress;

const SLOTS: usize = 64;
/// What the page gives away at once: a quarter.
const QUARTER: usize = 16;
const BACKLOG: Backlog = Backlog(4);
const SERVER: IpAddress = IpAddress::v4(10, 0, 0, 1);

/// A node of 64 slots that serves echo and its page, and a visitor.
struct Stage {
    server: Node<'static>,
    visitor: Node<'static>,
    wire: Box<Wire<64>>,
}

fn host(slots: usize, number: u8) -> Node<'static> {
    let sizes = StorageSizes {
        parked: 128,
        ..StorageSizes::new(slots, 2048, 2048)
    };
    let memory = Box::leak(Box::new(HeapStorage::new(sizes).unwrap()));
    let futures = HeapTaskStorage::new(128, 2048).unwrap();
    let ready = futures.leak_flags(None).unwrap();
    let stack = Box::leak(Box::new(stack(memory, number)));
    let tasks = Tasks::new(Box::leak(Box::new(futures)), ready);
    Node::new(stack, Box::leak(Box::new(tasks)))
}

impl Stage {
    fn new() -> Stage {
        let (server, visitor) = (host(SLOTS, 1), host(128, 2));
        server
            .spawn_named("echo", Box::pin(echo(server, 7, Backlog(8))))
            .unwrap();
        let page: &'static Page = Box::leak(Box::new(Page::new(SLOTS)));
        let serves = page.serve(server, 80, BACKLOG, move |stream| {
            let serves = page.connection(server, stream);
            println!("a client of the page takes {} bytes", size_of_val(&serves));
            server.spawn_named("http", Box::pin(serves)).unwrap();
        });
        server.spawn_named("http", Box::pin(serves)).unwrap();
        let wire = Box::new(Wire::new(Faults {
            latency: LATENCY,
            ..Faults::NONE
        }));
        Stage {
            server,
            visitor,
            wire,
        }
    }

    fn visit(&self, task: impl Future<Output = ()> + 'static) {
        self.visitor.spawn(Box::pin(task)).unwrap();
    }

    /// Until then, or so many seconds.
    fn run(&self, seconds: i64, mut done: impl FnMut(Instant) -> bool) -> Instant {
        let limit = Instant::from_secs(seconds);
        pair::run(&self.wire, self.server, self.visitor, limit, &mut done)
    }
}

/// Something that a task of the visitor leaves behind.
fn left<T: Default>() -> &'static RefCell<T> {
    Box::leak(Box::default())
}

/// Sends this and reads to the end, or for so long.
async fn ask(node: Node<'static>, request: &[u8], patience: Duration) -> (String, bool) {
    let mut answer = Vec::new();
    let reads = async {
        let Ok(mut stream) = node.connect((SERVER, 80)).await else {
            return;
        };
        if stream.write_all(request).await.is_err() {
            return;
        }
        let mut chunk = [0; 512];
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            answer.extend_from_slice(&chunk[..count]);
        }
    };
    let ended = node.timeout(patience, reads).await.is_ok();
    (String::from_utf8_lossy(&answer).into_owned(), ended)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n")
}

/// The answer to one request.
fn answer(stage: &Stage, path: &'static str) -> String {
    let answer = left::<Option<String>>();
    let visitor = stage.visitor;
    stage.visit(async move {
        let (text, ended) = ask(visitor, get(path).as_bytes(), Duration::from_secs(9)).await;
        assert!(ended, "no end of {text}");
        *answer.borrow_mut() = Some(text);
    });
    stage.run(10, |_| answer.borrow().is_some());
    answer.take().expect("an answer")
}

/// What is in the chunks of an answer.
fn body(answer: &str) -> String {
    let (head, mut rest) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("Transfer-Encoding: chunked"), "{head}");
    let mut body = String::new();
    loop {
        let (length, more) = rest.split_once("\r\n").expect("a length");
        let length = usize::from_str_radix(length, 16).expect("a number");
        if length == 0 {
            return body;
        }
        body += &more[..length];
        rest = &more[length + 2..];
    }
}

/// A client of echo that says something every tenth of a second.
fn keep_busy(stage: &Stage) -> &'static Cell<u32> {
    let echoes: &'static Cell<u32> = Box::leak(Box::default());
    let visitor = stage.visitor;
    stage.visit(async move {
        let mut stream = visitor.connect((SERVER, 7)).await.unwrap();
        loop {
            let mut back = [0; 4];
            stream.write_all(b"swan").await.unwrap();
            let mut got = 0;
            while got < 4 {
                let count = stream.read(&mut back[got..]).await.unwrap();
                assert!(count > 0, "an end");
                got += count;
            }
            assert_eq!(&back, b"swan");
            echoes.set(echoes.get() + 1);
            visitor.sleep(Duration::from_millis(100)).await;
        }
    });
    echoes
}

/// Somebody who looks, for so many seconds: what was told, and when.
fn look(stage: &Stage, seconds: u64) -> &'static RefCell<String> {
    let told = left::<String>();
    let visitor = stage.visitor;
    stage.visit(async move {
        let (text, _) = ask(
            visitor,
            get("/events").as_bytes(),
            Duration::from_secs(seconds),
        )
        .await;
        *told.borrow_mut() = text;
    });
    told
}

/// The objects of the events in an answer.
fn events(answer: &str) -> Vec<Value> {
    assert!(
        answer.contains("Content-Type: text/event-stream"),
        "{answer}"
    );
    let data = answer.split("\n\n").filter_map(|event| {
        let (_, data) = event.split_once("event:status\ndata:")?;
        Some(serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}")))
    });
    data.collect()
}

#[test]
fn the_page_is_one_file_that_asks_for_nothing_else() {
    let stage = Stage::new();
    let page = answer(&stage, "/");
    let (head, page) = page.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("Content-Type: text/html; charset=utf-8"),
        "{head}"
    );
    assert!(
        page.starts_with("<!doctype html>") && page.ends_with("</html>\n"),
        "{page}"
    );
    // Its icon is there too, and so not asked for.
    for outside in ["//", "src=", "@import", "url("] {
        assert!(!page.replace("'self'", "").contains(outside), "{outside}");
    }
    let missing = answer(&Stage::new(), "/swans");
    assert!(missing.starts_with("HTTP/1.1 404 "), "{missing}");
}

#[test]
fn who_asks_sees_themselves_and_who_waits() {
    let stage = Stage::new();
    keep_busy(&stage);
    let answer = answer(&stage, "/status.json");
    let status: Value = serde_json::from_str(&body(&answer)).unwrap();
    let tasks = status["tasks"].as_array().unwrap();
    let has = |name: &str, key: &str, value: &str| {
        tasks
            .iter()
            .any(|task| task["name"] == name && task[key] == value)
    };
    assert!(has("http", "state", "running"), "{status}");
    assert!(has("http", "reason", "accept"), "{status}");
    assert!(has("echo", "reason", "accept"), "{status}");
    assert!(
        tasks.iter().any(|task| task["reason"] == "read"),
        "{status}"
    );
    assert_eq!(status["counters"]["tasks_used"], 4);
    assert_eq!(status["tasks_left_off"], 0);
}

#[test]
fn metrics_are_families_with_help_and_type() {
    let stage = Stage::new();
    let answer = answer(&stage, "/metrics");
    assert!(answer.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8"));
    let metrics = body(&answer);
    let mut family = String::new();
    for line in metrics.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split(' ').next().unwrap().to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family);
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(name.split('{').next(), Some(&*family));
            value.parse::<f64>().unwrap();
        }
    }
    for line in [
        "cygnet_accepts_total 1",
        "cygnet_tasks_waiting{reason=\"accept\"} 2",
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line}: {metrics}");
    }
}

#[test]
fn a_busy_node_is_shown_four_times_a_second() {
    let stage = Stage::new();
    let echoes = keep_busy(&stage);
    let told = look(&stage, 10);
    stage.run(15, |_| !told.borrow().is_empty());
    let events = events(&told.borrow());
    println!(
        "{} refreshes in 10 s, {} echoes",
        events.len(),
        echoes.get()
    );
    let times: Vec<_> = events
        .iter()
        .map(|one| one["micros"].as_i64().unwrap())
        .collect();
    assert!(
        times.windows(2).all(|two| two[1] - two[0] >= 250_000),
        "{times:?}"
    );
    assert!((38..=41).contains(&events.len()), "{times:?}");
    assert!(echoes.get() > 80);
}

/// Neither its own connection nor others that look are news.
#[test]
fn a_quiet_node_is_shown_once_however_many_look() {
    let stage = Stage::new();
    let told = look(&stage, 9);
    let visitor = stage.visitor;
    stage.visit(async move {
        for _ in 0..20 {
            visitor.sleep(Duration::from_millis(300)).await;
            ask(
                visitor,
                get("/status.json").as_bytes(),
                Duration::from_secs(9),
            )
            .await;
        }
    });
    let (second, third) = (look(&stage, 25), look(&stage, 25));
    stage.run(30, |_| !third.borrow().is_empty());
    assert_eq!(events(&told.borrow()).len(), 1);
    // A sign of life every ten seconds.
    assert_eq!(events(&second.borrow()).len(), 3);
}

#[test]
fn a_page_has_a_quarter_of_the_slots_and_others_are_told_503() {
    let stage = Stage::new();
    let echoes = keep_busy(&stage);
    let all: Vec<_> = (0..100).map(|_| look(&stage, 8)).collect();
    let (server, mut most) = (stage.server, 0);
    stage.run(20, |_| {
        let held = server
            .connections()
            .filter(|one| one.local.port == 80 && one.state != ConnectionState::TimeWait);
        most = most.max(held.count());
        all.iter().all(|told| !told.borrow().is_empty())
    });
    let is = |told: &&&RefCell<String>, code: &str| told.borrow().starts_with(code);
    let served = all.iter().filter(|told| is(told, "HTTP/1.1 200 ")).count();
    assert_eq!(served, QUARTER);
    let refused: Vec<_> = all
        .iter()
        .filter(|told| is(told, "HTTP/1.1 503 "))
        .collect();
    assert_eq!(refused.len(), 100 - QUARTER);
    for told in refused {
        let told = told.borrow();
        assert!(told.contains("\r\nRetry-After: 2\r\n"), "{told}");
        let (head, body) = told.split_once("\r\n\r\n").unwrap();
        assert!(
            head.ends_with(&format!("Content-Length: {}", body.len())),
            "{told}"
        );
    }
    println!("{} echoes, at most {most} slots", echoes.get());
    // Beside those that are served: the backlog, and one that is told 503.
    assert!(most <= QUARTER + usize::from(BACKLOG.0) + 1, "{most}");
    // One takes 120 ms, and so all of them took no longer.
    assert!(echoes.get() > 60);
    assert_eq!(stage.server.counters().tasks_failed, 0);
}

#[test]
fn who_looks_goes_with_the_listeners() {
    let stage = Stage::new();
    let told = look(&stage, 9);
    let server = stage.server;
    let mut closed = false;
    let end = stage.run(20, |now| {
        if now > Instant::from_secs(2) && !closed {
            closed = true;
            server.close_listeners();
        }
        !told.borrow().is_empty()
    });
    assert!(end < Instant::from_millis(2500), "{end}");
    assert_eq!(events(&told.borrow()).len(), 1);
}

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

/// Who is told 503 and stays, or never asks, is cut off.
#[test]
fn whoever_is_refused_and_stays_holds_a_slot_for_two_seconds() {
    for request in ["GET / HTTP/1.1\r\n\r\n", "GET /"] {
        let stage = Stage::new();
        for _ in 0..QUARTER {
            look(&stage, 20);
        }
        let (server, visitor) = (stage.server, stage.visitor);
        let came: &'static Cell<bool> = Box::leak(Box::default());
        stage.visit(async move {
            visitor.sleep(Duration::from_secs(3)).await;
            let mut stream = visitor.connect((SERVER, 80)).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            came.set(true);
            visitor.sleep(Duration::from_secs(60)).await;
            drop(stream);
        });
        let held = || {
            server
                .connections()
                .filter(|one| one.local.port == 80)
                .count()
        };
        let mut at_most = 0;
        let end = stage.run(15, |_| {
            at_most = at_most.max(held());
            came.get() && at_most > QUARTER && held() == QUARTER
        });
        assert_eq!(at_most, QUARTER + 1);
        assert!(end < Instant::from_millis(5200), "{request:?}: {end}");
    }
}
