//! A run as one page of HTML that opens from disk and asks nobody for anything: hosts
//! as lanes, frames as arrows, tasks as bars, faults as bands. Its events have the same
//! numbers as everywhere else. The data is JSON, compressed, in base64; the browser
//! takes it apart.
//!
//! ```text
//!   page/page.html  the frame
//!   page/page.css   how it looks, by day and by night
//!   page/model.js   from data to bars, arrows, bands
//!   page/draw.js    on a canvas
//!   page/page.js    search, keys, mouse
//! ```
//!
//! Not here: what is kept of a run (`timeline`), and files.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use miniz_oxide::deflate::compress_to_vec_zlib;

use super::fate::{FrameId, Lost};
use super::ids::{End, HostId};
use super::lanes::{Lane, lane_of, lanes, lanes_of_link};
use super::log::{Arrival, Violation};
use super::plan::Plan;
use super::timeline::{Entry, Frame, Kind, Old, Timeline};

const FRAME: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPTS: [&str; 3] = [
    include_str!("page/model.js"),
    include_str!("page/draw.js"),
    include_str!("page/page.js"),
];

/// The most facts of a plan that a page has.
const FACTS: usize = 100_000;

/// How hard to compress, of 10: more costs time and gains nearly nothing.
const LEVEL: u8 = 7;

/// What a page says beside the events.
pub struct About<'a> {
    /// What ran: `chaos seed 7`.
    pub title: &'a str,
    /// What happened, with the fates that were drawn.
    pub plan: &'a Plan,
    /// What went wrong.
    pub violation: Option<&'a Violation>,
}

/// The page.
pub fn page(about: &About<'_>, timeline: &Timeline) -> String {
    let data = data(about, timeline);
    let data = base64(&compress_to_vec_zlib(data.as_bytes(), LEVEL));
    let mut html = String::with_capacity(FRAME.len() + data.len() + (1 << 16));
    for part in FRAME.split("{{") {
        let (name, rest) = part.split_once("}}").unwrap_or(("", part));
        match name {
            "title" => escape(&mut html, about.title),
            "style" => html += STYLE,
            "scripts" => SCRIPTS.iter().for_each(|script| html += script),
            "data" => html += &data,
            _ => (),
        }
        html += rest;
    }
    html
}

/// Text within HTML.
fn escape(html: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let [a, b, c] = three.map(u32::from);
        let bits = a << 16 | b << 8 | c;
        for digit in 0..4 {
            let is_there = digit <= chunk.len();
            let value = DIGITS[(bits >> (18 - 6 * digit) & 63) as usize];
            text.push(if is_there { value.into() } else { '=' });
        }
    }
    text
}

/// A string of JSON.
fn string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            c if c < ' ' => _ = write!(json, "\\u{:04x}", c as u32),
            c => json.push(c),
        }
    }
    json.push('"');
}

/// An array of JSON under a name.
fn array<T>(
    json: &mut String,
    name: &str,
    items: impl IntoIterator<Item = T>,
    mut item: impl FnMut(&mut String, T),
) {
    let _ = write!(json, ",\"{name}\":[");
    for (number, each) in items.into_iter().enumerate() {
        if number > 0 {
            json.push(',');
        }
        item(json, each);
    }
    json.push(']');
}

fn number(json: &mut String, number: impl Into<i64>) {
    let _ = write!(json, "{}", number.into());
}

/// A number of what may not be there, or -1.
fn index(of: Option<usize>) -> i64 {
    of.map_or(-1, |of| of as i64)
}

fn data(about: &About<'_>, timeline: &Timeline) -> String {
    let lanes = lanes(about.plan, timeline);
    let mut json = String::from("{\"title\":");
    string(&mut json, about.title);
    let kept = timeline.kept();
    let _ = write!(
        json,
        ",\"first\":{},\"events\":{}",
        kept.start, timeline.events
    );
    if let Some(healed) = timeline.healed {
        let _ = write!(json, ",\"healed\":{}", healed.total_micros());
    }
    if let Some(violation) = about.violation {
        let Violation {
            invariant,
            host,
            at,
            event,
            detail,
        } = violation;
        let place = host.and_then(|host| lane_of(&lanes, End::Host(host)));
        let (lane, at) = (index(place), at.total_micros());
        let _ = write!(
            json,
            ",\"violation\":{{\"event\":{event},\"at\":{at},\"lane\":{lane},\"words\":"
        );
        string(&mut json, &format!("{invariant}: {detail}"));
        json.push('}');
    }
    array(&mut json, "lost", Lost::ALL, |json, lost| {
        string(json, lost.words());
    });
    array(&mut json, "lanes", &lanes, |json, lane| {
        json.push('[');
        string(json, &lane.name);
        let _ = write!(json, ",\"{}\"]", lane.kind());
    });
    let links = about.plan.places.iter().enumerate();
    array(&mut json, "links", links, |json, (link, place)| {
        let ends = lanes_of_link(about.plan, timeline, &lanes, link);
        let [a, b] = ends.map(index);
        json.push('[');
        string(json, &place.name);
        let _ = write!(json, ",{a},{b}]");
    });
    let old = |json: &mut String, old: &Old| {
        let _ = write!(json, "[{},{},", old.number, old.at.total_micros());
        string(json, &old.words);
        json.push(']');
    };
    array(&mut json, "waits", &timeline.waits, |json, (key, wait)| {
        let host = End::Host(HostId(key.0));
        let _ = write!(json, "[{},", index(lane_of(&lanes, host)));
        old(json, wait);
        json.push(']');
    });
    array(&mut json, "oldFaults", &timeline.faults, |json, fault| {
        old(json, fault);
    });
    events(&mut json, timeline, &lanes);
    facts(&mut json, about.plan, timeline, &lanes);
    json.push('}');
    json
}

/// The events, a column after the other: like stands beside like, which compresses.
fn events(json: &mut String, timeline: &Timeline, lanes: &[Lane]) {
    let entries = || timeline.entries.iter();
    let mut before = 0;
    array(json, "at", entries(), |json, entry| {
        let at = entry.at.total_micros();
        number(json, at - before);
        before = at;
    });
    array(json, "place", entries(), |json, entry| {
        let place = entry.place.and_then(|end| lane_of(lanes, end));
        number(json, index(place));
    });
    array(json, "kind", entries(), |json, entry| {
        number(json, entry.kind as u8);
    });
    array(json, "words", entries(), |json, entry| {
        string(json, &entry.words);
    });
    // How many events ago; 0 is none.
    array(
        json,
        "cause",
        timeline.kept().zip(entries()),
        |json, (event, entry)| {
            let ago = entry.cause.map_or(0, |cause| event - cause);
            number(json, ago as i64);
        },
    );
    let mut known = BTreeMap::<&Frame, usize>::new();
    let mut heads = Vec::new();
    array(json, "frame", entries(), |json, entry| {
        let frame = entry.frame.as_ref();
        let frame = frame.map(|frame| {
            *known.entry(frame).or_insert_with(|| {
                heads.push(frame);
                heads.len() - 1
            })
        });
        number(json, index(frame));
    });
    array(json, "frames", heads, |json, frame| {
        let _ = write!(json, "[{},\"", frame.bytes);
        for byte in &frame.head {
            let _ = write!(json, "{byte:02x}");
        }
        json.push_str("\"]");
    });
    let passages = entries().filter_map(|entry| Some((entry.at, entry.passage.as_ref()?)));
    array(json, "passages", passages, |json, (at, passage)| {
        let to = index(lane_of(lanes, passage.to));
        let lost = passage
            .lost
            .and_then(|lost| Lost::ALL.into_iter().position(|one| one == lost));
        let _ = write!(json, "[{to},{}", index(lost));
        for (arrived, how) in &passage.arrivals {
            let how = match how {
                Arrival::Taken => 0,
                Arrival::Down => 1,
                Arrival::RingFull => 2,
            };
            let _ = write!(json, ",{},{how}", (*arrived - at).total_micros());
        }
        json.push(']');
    });
}

/// The facts of the plan: each line, the event that it became, and its lane.
fn facts(json: &mut String, plan: &Plan, timeline: &Timeline, lanes: &[Lane]) {
    let mut strikes = BTreeMap::<(i64, String), VecDeque<u64>>::new();
    let mut twists = BTreeMap::<FrameId, u64>::new();
    for (event, entry) in timeline.kept().zip(&timeline.entries) {
        match entry {
            Entry {
                kind: Kind::Fault,
                words,
                at,
                ..
            } => {
                // `cut c1 up` of the story's words: what, and where.
                let what = words.split(' ').skip(1).take(2).collect::<Vec<_>>();
                let same = strikes.entry((at.total_micros(), what.join(" ")));
                same.or_default().push_back(event);
            }
            Entry {
                passage: Some(passage),
                ..
            } if passage.is_twisted => _ = twists.insert(passage.id, event),
            _ => (),
        }
    }
    let text = plan.to_string();
    let lines = text
        .lines()
        .skip(1)
        .take_while(|line| *line != "end")
        .take(FACTS);
    let (mut strike, mut fate) = (plan.strikes.iter(), plan.fates.iter());
    array(json, "facts", lines, |json, line| {
        let mut words = line.split(' ');
        let (first, second) = (words.next().unwrap_or_default(), words.next());
        let event = match first {
            "at" => strike.next().and_then(|strike| {
                let what = words.take(2).collect::<Vec<_>>().join(" ");
                let key = (strike.at.total_micros(), what);
                strikes.get_mut(&key)?.pop_front()
            }),
            "frame" => fate
                .next()
                .and_then(|(frame, _)| twists.get(&frame))
                .copied(),
            _ => None,
        };
        let lane = match first {
            "host" | "switch" | "attacker" => lanes
                .iter()
                .position(|lane| Some(lane.name.as_str()) == second),
            _ => None,
        };
        json.push('[');
        string(json, line);
        let _ = write!(
            json,
            ",{},{}]",
            event.map_or(-1, |event| event as i64),
            index(lane)
        );
    });
    let left = text.lines().count().saturating_sub(2 + FACTS);
    let _ = write!(json, ",\"factsLeft\":{left}");
}

#[cfg(test)]
mod tests;
