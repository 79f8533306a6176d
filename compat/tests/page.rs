//! The page of a node, over a wire in memory, in virtual time.

mod hosts;
mod stage;

use std::cell::{Cell, RefCell};

use cygnet::ConnectionState;
use serde_json::Value;
use smoltcp::time::{Duration, Instant};
use stage::{BACKLOG, QUARTER, SERVER, Stage, ask, body, get, left};

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

/// With IPv6 both hosts have told their groups by then, and who is not in one has dropped that.
const QUIET: Duration = Duration::from_secs(5);

/// Somebody who looks, for so many seconds: what was told, and when.
fn look(stage: &Stage, seconds: u64) -> &'static RefCell<String> {
    look_after(stage, Duration::ZERO, seconds)
}

/// The same, from a moment on.
fn look_after(stage: &Stage, wait: Duration, seconds: u64) -> &'static RefCell<String> {
    let told = left::<String>();
    let visitor = stage.visitor;
    stage.visit(async move {
        visitor.sleep(wait).await;
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
    let told = look_after(&stage, QUIET, 9);
    let visitor = stage.visitor;
    stage.visit(async move {
        for _ in 0..40 {
            visitor.sleep(Duration::from_millis(300)).await;
            ask(
                visitor,
                get("/status.json").as_bytes(),
                Duration::from_secs(9),
            )
            .await;
        }
    });
    let later = || look_after(&stage, QUIET, 25);
    let (second, third) = (later(), later());
    stage.run(35, |_| !third.borrow().is_empty());
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
    let told = look_after(&stage, QUIET, 9);
    let server = stage.server;
    let mut closed = false;
    let end = stage.run(20, |now| {
        if now > Instant::from_secs(7) && !closed {
            closed = true;
            server.close_listeners();
        }
        !told.borrow().is_empty()
    });
    assert!(end < Instant::from_millis(7500), "{end}");
    assert_eq!(events(&told.borrow()).len(), 1);
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
