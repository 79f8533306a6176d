//! The page of a board: in a browser, read by Prometheus' own tool, with more who look than it
//! has places for; and what it takes of the board.

#[path = "../../../sim/tests/browser/mod.rs"]
#[allow(dead_code)]
mod browser;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use browser::Browser;
use check::client::{connect, echo, noise, page, read_on, report};
use check::{Board, four_ports, has, has_qemu};

/// It has two places for who looks, a quarter of its slots.
#[test]
fn mps2_an385_shows_itself_on_a_page() {
    if !(has_qemu() && has("promtool") && has("chromium")) {
        return;
    }
    let port = four_ports();
    let _board = Board::on_port("mps2-an385", port);
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let event = |text: &str| text.ends_with("}}\n\n");
    let (all, site) = (|_: &str| false, at(port + 3));

    let (html, _) = page(site, "/", all);
    assert!(
        html.contains("<!doctype html>") && html.ends_with("</html>\n"),
        "{html}"
    );
    let (metrics, _) = page(site, "/metrics", all);
    // The lengths of chunks are no metrics.
    let is_metric = |line: &&str| line.starts_with('#') || line.starts_with("cygnet_");
    let metrics: String = metrics
        .lines()
        .filter(is_metric)
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(metrics.contains("cygnet_uptime_seconds "), "{metrics}");
    let mut check = Command::new("promtool");
    let check = check.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut check = check.spawn().expect("promtool");
    let mut input = check.stdin.take().expect("piped");
    input.write_all(metrics.as_bytes()).expect("read");
    drop(input);
    assert!(check.wait().expect("our child").success(), "{metrics}");

    // In a browser, which has its place back when that is closed.
    let mut browser = Browser::open(Command::new("timeout"), &format!("http://{site}/"));
    let is_itself = |row: &String| row.contains(" http open ");
    browser.rows("connections", |rows| rows.iter().any(is_itself));
    let mut other = connect(at(port + 1));
    let waits = |row: &String| row.contains(" read #");
    browser.rows("tasks", |rows| !rows.iter().any(waits));
    other.write_all(b"swan").expect("sent");
    other.read_exact(&mut [0; 4]).expect("an answer");
    browser.rows("tasks", |rows| rows.iter().any(waits));
    drop((browser, other));
    let (mut first, mut looks);
    loop {
        (first, looks) = page(site, "/events", event);
        if first.starts_with("HTTP/1.1 200 ") && !first.contains(r#""reason":"read""#) {
            break;
        }
    }

    // Whoever looks sees itself, and then somebody else.
    assert!(first.contains(r#""state":"running""#), "{first}");
    assert!(!first.contains(r#""reason":"read""#), "{first}");
    let mut other = connect(at(port + 1));
    other.write_all(b"swan").expect("sent");
    other.read_exact(&mut [0; 4]).expect("an answer");
    read_on(&mut looks, |text| {
        text.contains(r#""reason":"read""#) && event(text)
    });

    let (_, second) = page(site, "/events", event);
    let (third, _) = page(site, "/events", all);
    assert!(
        third.starts_with("HTTP/1.1 503 ") && third.contains("\r\nRetry-After: 2\r\n"),
        "{third}"
    );
    drop((looks, second, other));
    echo(at(port + 1), &noise(100_000));
    let report = report(at(port + 2));
    assert_eq!(report.panics, 0);
    println!("mps2-an385 with its page: stack {}", report.stack);
    let built = std::env::var("CARGO_TARGET_DIR");
    let built = built.unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/../target").into());
    let image = format!("{built}/thumbv7m-none-eabi/release/mps2-an385");
    let size = Command::new("size")
        .arg(image)
        .output()
        .expect("size, of binutils");
    println!("{}", String::from_utf8_lossy(&size.stdout));
}
