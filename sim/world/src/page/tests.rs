use smoltcp::time::Instant;

use super::*;
use crate::Duration;
use crate::scenario::Scenario;
use crate::stage::{Outcome, Staging, run};
use crate::timeline::EVENTS;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

/// A run of chaos, its plan with all fates, and its timeline.
fn chaos(seed: u64, range: Range<u64>, limit: usize) -> (Outcome, Plan, Rc<RefCell<Timeline>>) {
    let scenario = Scenario::named("chaos").unwrap();
    let mut plan = scenario.plan(seed, Duration::from_secs(20));
    let timeline = Rc::new(RefCell::new(Timeline::new(&plan, range, limit)));
    let staging = Staging {
        seed: Some(seed),
        record: true,
        watch: Some(Box::new(Rc::clone(&timeline))),
        ..Staging::default()
    };
    let outcome = run(&plan, staging);
    plan.fates = outcome.fates.clone();
    (outcome, plan, timeline)
}

#[test]
fn text_cannot_leave_its_place() {
    let mut html = String::new();
    escape(&mut html, "<script>\"it's\" & more");
    assert_eq!(html, "&lt;script&gt;&quot;it&#39;s&quot; &amp; more");
    let mut json = String::new();
    string(&mut json, "a \"b\"\\\n\u{1}ü");
    assert_eq!(json, r#""a \"b\"\\\n\u0001ü""#);
    let (_, mut plan, timeline) = chaos(1, 0..9, 9);
    plan.places[0].name = "</script><b>".into();
    let about = About {
        title: "</title><b>",
        plan: &plan,
        violation: None,
    };
    let html = page(&about, &timeline.borrow());
    assert!(!html.contains("<b>"));
    assert_eq!(html.matches("</script>").count(), 2);
    assert!(html.contains("<h1>&lt;/title&gt;&lt;b&gt;</h1>"));
}

#[test]
fn base64_is_that_of_the_rfc() {
    for (bytes, text) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(base64(bytes.as_bytes()), text);
    }
    assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
}

#[test]
fn nothing_comes_from_elsewhere_and_no_name_is_left_open() {
    let (_, plan, timeline) = chaos(1, 0..u64::MAX, EVENTS);
    let about = About {
        title: "chaos seed 1",
        plan: &plan,
        violation: None,
    };
    let html = page(&about, &timeline.borrow());
    for outside in ["http:", "https:", "src=", "href=", "url(", "import", "{{"] {
        assert!(!html.contains(outside), "{outside}");
    }
}

/// What the tasks of all hosts wait for after these events, as the events say it.
fn waits<'e>(entries: impl Iterator<Item = &'e Entry>) -> Vec<&'e str> {
    let mut waits = BTreeMap::<(&str, &str), &str>::new();
    for Entry { kind, words, .. } in entries {
        let mut each = words.split(' ');
        let (first, what, who) = (each.next(), each.next(), each.next());
        let task = (first.unwrap(), who.unwrap_or_default());
        match kind {
            Kind::Yielded => _ = waits.insert(task, words),
            Kind::Woken | Kind::Resumed | Kind::Done => _ = waits.remove(&task),
            Kind::Fault if matches!(what, Some("crash" | "boot")) => {
                waits.retain(|(host, _), _| *host != task.1);
            }
            _ => (),
        }
    }
    waits.into_values().collect()
}

#[test]
fn the_oldest_events_go_and_what_lasts_of_them_stays() {
    let (outcome, _, all) = chaos(2, 0..u64::MAX, EVENTS);
    let all = all.borrow();
    let mut lasting = 0;
    let events = all.entries.len();
    for limit in [1, events / 50, events / 10, events / 2, events - 9] {
        let (_, _, timeline) = chaos(2, 0..u64::MAX, limit);
        let timeline = timeline.borrow();
        let from = outcome.events - limit as u64;
        assert_eq!(timeline.events, outcome.events);
        assert_eq!(timeline.kept(), from..outcome.events);
        let same = all.entries.range(from as usize..);
        for (kept, entry) in timeline.entries.iter().zip(same) {
            assert_eq!((kept.at, &kept.words), (entry.at, &entry.words));
        }
        let mut expected = waits(all.entries.range(..from as usize));
        let waits = timeline.waits.values().map(|wait| wait.words.as_str());
        let mut waits: Vec<&str> = waits.collect();
        expected.sort_unstable();
        waits.sort_unstable();
        assert_eq!(waits, expected);
        lasting += waits.len();
        let before = all.entries.range(..from as usize);
        let faults = before.filter(|entry| entry.kind == Kind::Fault).count();
        assert_eq!(timeline.faults.len(), faults);
    }
    assert!(lasting > 5, "{lasting}");
    let (_, _, some) = chaos(2, 50..60, EVENTS);
    assert_eq!(some.borrow().kept(), 50..60);
    assert_eq!(some.borrow().events, outcome.events);
}

#[test]
fn each_frame_that_comes_was_sent_and_is_the_same_but_for_what_was_flipped() {
    for seed in 1..6 {
        let (outcome, _, timeline) = chaos(seed, 0..u64::MAX, usize::MAX);
        let timeline = timeline.borrow();
        assert_eq!(timeline.first, 0);
        let entries = &timeline.entries;
        let (mut sent, mut woken, mut never) = (0, 0, 0);
        for (number, entry) in entries.iter().enumerate() {
            let cause = entry.cause.map(|cause| &entries[cause as usize]);
            match (entry.kind, cause) {
                (Kind::Sent, Some(cause)) if cause.kind == Kind::Out => {
                    assert_eq!(cause.frame, entry.frame);
                    assert_eq!((cause.at, cause.place), (entry.at, entry.place));
                    sent += 1;
                }
                (Kind::Sent | Kind::In, Some(cause)) => {
                    let passage = cause.passage.as_ref().expect("it came out of a link");
                    assert_eq!(Some(passage.to), entry.place, "event {number}");
                    let came = |(at, _): &(Instant, _)| *at <= entry.at;
                    assert!(passage.arrivals.iter().any(came), "event {number}");
                    if !cause.words.contains(" flip ") {
                        assert_eq!(cause.frame, entry.frame, "event {number}");
                    }
                }
                (Kind::In, None) => panic!("event {number} came from nowhere"),
                (Kind::Woken, Some(cause)) => {
                    assert_eq!((cause.kind, cause.at), (Kind::In, entry.at));
                    assert_eq!(cause.place, entry.place);
                    woken += 1;
                }
                _ => (),
            }
            if let Some(passage) = &entry.passage {
                never += usize::from(passage.arrivals.is_empty() && passage.lost.is_none());
                assert!(passage.lost.is_none() || passage.arrivals.is_empty());
            }
        }
        assert_eq!(
            sent, outcome.frames,
            "every frame of a host goes into a link"
        );
        assert!(woken > 100, "{woken} of seed {seed}");
        assert!(never < 20, "{never} are on their way at the end");
    }
}

#[test]
fn every_fact_that_had_an_effect_names_its_event() {
    let (_, plan, timeline) = chaos(3, 0..u64::MAX, EVENTS);
    let timeline = timeline.borrow();
    let mut json = String::new();
    facts(&mut json, &plan, &timeline, &lanes(&plan, &timeline));
    let facts = json.split("],[").collect::<Vec<_>>();
    let mut seen = 0;
    for fact in facts {
        let fact = fact.trim_start_matches(",\"facts\":[[");
        let (line, numbers) = fact[1..].split_once("\",").unwrap();
        let event: i64 = numbers.split(',').next().unwrap().parse().unwrap();
        if line.starts_with("at ") || line.starts_with("frame ") {
            assert!(event >= 0, "{line}");
            let entry = &timeline.entries[event as usize];
            let words = line.split(' ').collect::<Vec<_>>();
            match words[0] {
                "frame" => {
                    let frame = format!("link {} {} {} ", words[1], words[2], words[3]);
                    assert!(entry.words.starts_with(&frame), "{line}: {}", entry.words);
                    assert!(entry.words.contains(words[4]), "{line}: {}", entry.words);
                }
                _ => assert!(
                    entry
                        .words
                        .starts_with(&format!("fault {} {}", words[2], words[3])),
                    "{line}: {}",
                    entry.words
                ),
            }
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}
