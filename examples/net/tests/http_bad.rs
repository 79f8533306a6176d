//! Clients of the web server that lie, in virtual time: heads that are too long, lines that are
//! none, pipelines, bodies that are shorter than said, chunks, WebSocket frames that are torn
//! apart. Each is told what is wrong or is cut off, its slot comes back within the server's
//! limits, and an honest client is served all the while.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use cygnet::{Node, StreamError};
use cygnet_world::{Link, Size, World, millis};
use net_examples::{TASK_BYTES, http};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpEndpoint;

/// The most that anybody may hold a slot: 60 s for a request or a message.
const LIMIT: Instant = Instant::from_micros_const(65_000_000);
/// How a connection ends that is not worth more.
const BAD: Result<(), StreamError> = Err(StreamError::Reset);
const TIME_WAIT: Duration = Duration::from_secs(10);

/// What a liar does after its last piece.
#[derive(Clone, Copy)]
enum Then {
    Reads,
    Finishes,
    Resets,
}

/// What came back, as it is and as text, and how it ended.
struct Told {
    bytes: Vec<u8>,
    answer: String,
    end: Result<(), StreamError>,
}

impl Told {
    /// The status lines, in order.
    fn codes(&self) -> Vec<&str> {
        let lines = self.answer.split("HTTP/1.1 ").skip(1);
        lines.map(|line| &line[..3]).collect()
    }
}

/// Sends piece after piece, each in a segment of its own, and reads to the end.
async fn liar(node: Node<'static>, server: IpEndpoint, pieces: Vec<Vec<u8>>, then: Then) -> Told {
    let mut stream = node.connect(server).await.expect("a place");
    let (reader, writer) = stream.split();
    let writes = async {
        for piece in pieces {
            if writer.write_all(&piece).await.is_err() {
                return;
            }
            node.sleep(millis(30)).await;
        }
        if let Then::Finishes = then {
            writer.shutdown();
        }
    };
    if let Then::Resets = then {
        writes.await;
        stream.abort();
        return Told {
            bytes: Vec::new(),
            answer: String::new(),
            end: BAD,
        };
    }
    let (mut bytes, mut chunk) = (Vec::new(), [0; 256]);
    let reads = async {
        loop {
            match reader.read(&mut chunk).await {
                Ok(0) => break Ok(()),
                Ok(count) => bytes.extend_from_slice(&chunk[..count]),
                Err(error) => break Err(error.into()),
            }
        }
    };
    let ((), end) = futures_util::join!(writes, reads);
    let answer = String::from_utf8_lossy(&bytes).into_owned();
    Told { bytes, answer, end }
}

/// What honest clients know of each other: how many were answered, and whether it is enough.
#[derive(Default)]
struct Honest {
    answers: Cell<i64>,
    enough: Cell<bool>,
}

/// Asks once a second.
async fn honest(node: Node<'static>, server: IpEndpoint, seen: Rc<Honest>) {
    while !seen.enough.get() {
        let words = "GET /swans/7 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let told = liar(node, server, vec![words.into()], Then::Reads).await;
        let Told { answer, end, .. } = told;
        assert!(answer.ends_with(r#"{"number":7,"swims":true}"#), "{answer}");
        assert_eq!(end, Ok(()));
        seen.answers.set(seen.answers.get() + 1);
        node.sleep(millis(1000)).await;
    }
}

/// Four liars of this kind at a server with six places, beside an honest client, who does not
/// wait for them. Gives what one of them is told.
fn told(pieces: &[impl AsRef<[u8]>], then: Then) -> Told {
    let (told, answers, seconds) = besieged(4, pieces, then);
    let served = answers * 5 >= seconds * 4;
    assert!(served, "{answers} answers in {seconds} s");
    told
}

/// So many liars at a server with six places, until all have ended, and an honest client. Gives
/// what one of them is told, how often the honest one is answered, and in how many seconds.
fn besieged(count: usize, pieces: &[impl AsRef<[u8]>], then: Then) -> (Told, i64, i64) {
    let mut world = World::new(1);
    let size = Size {
        task_bytes: TASK_BYTES,
        slots: 6,
        ..Size::SMALL
    };
    let server = world.host_of("server", size, http::start);
    let target = world.endpoint(server, 80);
    let seen = Rc::new(Honest::default());
    let seen_there = Rc::clone(&seen);
    let visitor = world.host("visitor", move |node| {
        let task = honest(node, target, Rc::clone(&seen_there));
        node.spawn(task).expect("a free task");
    });
    let pieces: Vec<_> = pieces.iter().map(|piece| piece.as_ref().to_vec()).collect();
    let all = Rc::new(RefCell::new(Vec::new()));
    let all_there = Rc::clone(&all);
    let liars = world.host_of("liars", size, move |node| {
        for _ in 0..count {
            let (pieces, all) = (pieces.clone(), Rc::clone(&all_there));
            let task = async move {
                let told = liar(node, target, pieces, then).await;
                all.borrow_mut().push(told);
            };
            node.spawn(task).expect("a free task");
        }
    });
    let switch = world.switch();
    for host in [server, visitor, liars] {
        world.connect(host, switch, Link::LAN);
    }
    world.run_until(LIMIT, |world| world.is_done(liars));
    assert!(world.is_done(liars), "somebody is held for ever");
    let seconds = world.now().secs();
    seen.enough.set(true);
    // Who waits for a place asks again after seconds.
    world.run_for(TIME_WAIT + millis(10_000));
    let counters = world.counters(server);
    assert_eq!((counters.slots_used, counters.tasks_failed), (0, 0));
    let told = all.borrow_mut().pop();
    (told.expect("an end"), seen.answers.get(), seconds)
}

fn head(line: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: x\r\n")
}

/// A bad request is answered, then its connection is reset; the answer arrives.
fn assert_is_bad(name: &str, pieces: &[impl AsRef<[u8]>], codes: &[&str], word: &str) {
    let told = told(pieces, Then::Reads);
    let answer = &told.answer;
    assert_eq!(told.codes(), codes, "{name}: {answer}");
    assert!(answer.ends_with(word), "{name}: {answer}");
    assert_eq!(told.end, BAD, "{name}");
}

#[test]
fn a_head_that_is_none_is_answered_and_ends_the_connection() {
    let get = head("GET /swans/1");
    let long = format!("{get}X: {}\r\n\r\n", "x".repeat(3000));
    let too_long = "Unexpected EOF while reading request";
    assert_is_bad("a long head", &[&long], &["400"], too_long);
    // It sends on while it is answered.
    let pieces: Vec<_> = long.as_bytes().chunks(100).collect();
    assert_is_bad("a long head in pieces", &pieces, &["400"], too_long);
    let no_colon = format!("{get}nonsense\r\n\r\n");
    assert_is_bad("no colon", &[no_colon], &["400"], "No ':' character");
    let hello_of_tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n";
    assert_is_bad("TLS", &[hello_of_tls], &["400"], "Bad Request Line");
    // The end of its patience.
    assert_is_bad("half a head", &[&get], &[], "");
}

#[test]
fn a_pipeline_is_answered_in_order_up_to_what_is_wrong() {
    for requests in [10, 100] {
        let numbers = 0..requests;
        let line = |number| head(&format!("GET /swans/{number}")) + "\r\n";
        let mut words: String = numbers.clone().map(line).collect();
        words += "nonsense\r\n\r\n";
        let Told { answer, end, .. } = told(&[words], Then::Reads);
        let mut bodies = answer.split('{').skip(1);
        for number in numbers {
            let body = bodies
                .next()
                .unwrap_or_else(|| panic!("{number}: {answer}"));
            assert!(body.starts_with(&format!("\"number\":{number},")), "{body}");
        }
        assert!(answer.ends_with("Bad Request Line"), "{answer}");
        assert_eq!(end, BAD);
    }
}

#[test]
fn a_body_of_another_length_than_said_is_answered_within_the_limit() {
    let upload = head("POST /upload");
    let short = "it was cut short\n";
    for length in ["9", "18446744073709551615"] {
        let words = format!("{upload}Content-Length: {length}\r\n\r\nhello");
        assert_is_bad(length, &[words], &["400"], short);
    }
    // No number: there is no body, and what comes is a request that never ends.
    let words = format!("{upload}Content-Length: -3\r\n\r\nhello");
    assert_is_bad("-3", &[words], &["200"], "0\n");
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9999";
    let words = format!("{}{form}\r\n\r\nname=Anna", head("POST /names"));
    assert!(told(&[words], Then::Reads).answer.contains("No space"));
}

/// It reads none; see `Received`.
#[test]
fn a_body_in_chunks_is_refused() {
    let upload = head("POST /upload") + "Transfer-Encoding: chunked\r\n\r\n";
    for chunks in ["5\r\nhello\r\n0\r\n\r\n", "zz\r\nhello", "5\r\nhel"] {
        let words = format!("{upload}{chunks}");
        assert_is_bad(chunks, &[words], &["411", "400"], "Bad Request Line");
    }
}

/// A masked frame of a client (RFC 6455, 5.2) with a short payload.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let masked = payload.iter().zip(mask.iter().cycle());
    let mut frame = vec![first, 0x80 | payload.len() as u8];
    frame.extend(mask);
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}

/// What the echo says to these pieces after it was asked for a WebSocket.
fn echo(pieces: &[impl AsRef<[u8]>], then: Then) -> Told {
    let ask = head("GET /echo")
        + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let pieces = pieces.iter().map(|piece| piece.as_ref());
    let all: Vec<_> = [ask.as_bytes()].into_iter().chain(pieces).collect();
    let mut told = told(&all, then);
    if let Some(end) = told.answer.find("\r\n\r\n") {
        let head = &told.answer[..end];
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        told.bytes.drain(..end + 4);
    }
    told
}

const TEXT: u8 = 0x81;
const MORE: u8 = 0x01;
const LAST: u8 = 0x80;
const CLOSE: u8 = 0x88;

#[test]
fn frames_torn_apart_are_whole_messages() {
    let mut bytes = frame(TEXT, b"a swan");
    // One message in two frames, then the end.
    bytes.extend(frame(MORE, b"two "));
    bytes.extend(frame(LAST, b"swans"));
    bytes.extend(frame(CLOSE, b""));
    let pieces: Vec<_> = bytes.chunks(1).collect();
    let said = echo(&pieces, Then::Reads).bytes;
    assert_eq!(said, b"\x81\x06a swan\x81\x09two swans\x88\x00");
}

/// Of what it cannot read, the echo says so at once; a message that does not go on has a minute.
#[test]
fn frames_that_are_none_are_answered_by_a_close() {
    let half = frame(TEXT, b"a swan")[..9].to_vec();
    let too_long = vec![0x82, 0xff, 128, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    let nested = [frame(MORE, b"x"), frame(TEXT, b"y")].concat();
    let cases = [
        ("half a frame", half, 1001),
        ("silence", vec![], 1001),
        ("2^63 bytes", too_long, 1002),
        ("a kind that is none", frame(0x83, b"x"), 1003),
        ("a second half first", frame(LAST, b"x"), 1002),
        ("a message within one", nested, 1002),
        ("no text", frame(TEXT, &[0xff]), 1007),
    ];
    for (name, bytes, code) in cases {
        let Told { bytes, end, .. } = echo(&[bytes], Then::Reads);
        assert_eq!(bytes[0], CLOSE, "{name}");
        let said = u16::from_be_bytes([bytes[2], bytes[3]]);
        assert_eq!((said, end), (code, Ok(())), "{name}");
    }
}

/// In the middle of a head, of a body, of a frame: nobody is waited for.
#[test]
fn clients_that_leave_in_the_middle_leave_no_slot_behind() {
    let get = head("GET /");
    let body = head("POST /upload") + "Content-Length: 9\r\n\r\nhello";
    for then in [Then::Finishes, Then::Resets] {
        for words in [&get, &body] {
            let told = told(&[words], then);
            let hears = usize::from(matches!(then, Then::Finishes));
            assert_eq!(told.codes(), ["400"][..hears], "{words}");
        }
        let half = &frame(TEXT, b"a swan")[..9];
        let said = echo(&[half], then).bytes;
        assert!(
            said.is_empty() || said[..4] == [CLOSE, 17, 3, 234],
            "{said:?}"
        );
    }
}

/// They have every place, and lose it after their minute.
#[test]
fn half_heads_in_every_place_keep_others_out_for_a_minute_at_most() {
    let (_, answers, seconds) = besieged(6, &[head("GET /")], Then::Reads);
    // One before they have every place, one after.
    assert_eq!((answers, seconds), (2, 60));
}
