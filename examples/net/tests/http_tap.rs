//! The web server and its clients: curl, wrk, ab and a browser, each test in a network
//! namespace of its own. They need root; see `sim/tests/netns/mod.rs` for what happens
//! without.
#![cfg(target_os = "linux")]

#[path = "../../../sim/tests/netns/mod.rs"]
mod netns;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use netns::{Ends, Netns, text};

/// Starts the server and waits until it serves.
fn start(netns: &Netns) -> Ends {
    let mut server = netns.command(env!("CARGO_BIN_EXE_http"));
    let mut server = Ends(server.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    assert!(
        lines
            .next()
            .unwrap()
            .unwrap()
            .starts_with("is 192.168.70.2")
    );
    server
}

/// What curl says to these words.
fn curl(netns: &Netns, words: &[&str]) -> String {
    let done = netns
        .command("curl")
        .args(["-sS", "--max-time", "30"])
        .args(words)
        .output();
    let done = done.unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "curl {words:?}: {errors}");
    text(&done)
}

const AT: &str = "http://192.168.70.2";

fn at(path: &str) -> String {
    format!("{AT}{path}")
}

#[test]
fn curl_gets_pages_json_forms_chunks_and_events() {
    let Some(netns) = Netns::new(&["curl"]) else {
        return;
    };
    let _server = start(&netns);
    let page = curl(&netns, &[&at("/")]);
    assert!(page.contains("<h1>Hello World</h1>"), "{page}");
    let head = curl(&netns, &["-I", &at("/")]);
    assert!(
        head.starts_with("HTTP/1.1 200") && !head.contains("<h1>"),
        "{head}"
    );
    let json = curl(&netns, &[&at("/swans/3")]);
    assert_eq!(json, r#"{"number":3,"swims":true}"#);
    let form = curl(&netns, &["-d", "name=Anna", &at("/names")]);
    assert_eq!(form, "Hello Anna\n");
    let long = curl(&netns, &[&at("/long")]);
    assert!((0..10_000).map(|line| line.to_string()).eq(long.lines()));
    // Its length is not known, so it ends with the connection, which is at once.
    for connection in ["Connection: close", "Connection: keep-alive"] {
        let words = ["-N", "-m", "20", "-H", connection, &at("/events")];
        let events = curl(&netns, &words);
        assert_eq!(events.matches("event:tick").count(), 3, "{events}");
    }
    let code = ["-o", "/dev/null", "-w", "%{http_code}"];
    assert_eq!(
        curl(&netns, &[&code[..], &[&at("/nothing")]].concat()),
        "404"
    );
}

/// A hundred requests over one connection: none waits for an acknowledgement that is delayed
/// by 40 ms.
#[test]
fn requests_over_one_connection_do_not_wait() {
    let Some(netns) = Netns::new(&["curl"]) else {
        return;
    };
    let _server = start(&netns);
    let url = at("/swans/[1-100]");
    let words = [
        "-o",
        "/dev/null",
        "-w",
        "%{num_connects} %{http_code}\n",
        &url,
    ];
    let start = std::time::Instant::now();
    let lines = curl(&netns, &words);
    let took = start.elapsed();
    assert_eq!(lines.lines().next(), Some("1 200"));
    assert_eq!(
        lines.lines().filter(|line| *line == "0 200").count(),
        99,
        "{lines}"
    );
    assert!(took < std::time::Duration::from_secs(4), "{took:?}");
}

#[test]
fn twenty_megabytes_are_uploaded() {
    let Some(netns) = Netns::new(&["curl", "head"]) else {
        return;
    };
    let _server = start(&netns);
    let file = std::env::temp_dir().join(format!("cygnet-upload-{}", std::process::id()));
    std::fs::write(&file, vec![7; 20_000_000]).unwrap();
    let data = format!("@{}", file.display());
    // picoserve does not answer "Expect: 100-continue"; curl sends anyway after a second.
    for expect in ["Expect:", "Expect: 100-continue"] {
        let words = [
            "-X",
            "POST",
            "-H",
            expect,
            "--data-binary",
            &data,
            &at("/upload"),
        ];
        assert_eq!(curl(&netns, &words), "20000000\n");
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn wrk_and_ab_are_answered_without_an_error() {
    let Some(netns) = Netns::new(&["wrk", "ab"]) else {
        return;
    };
    let _server = start(&netns);
    for clients in ["-c1", "-c32"] {
        let words = ["-t1", clients, "-d1s", "--timeout", "20s"];
        let mut wrk = netns.command("wrk");
        let said = text(&wrk.args(words).arg(at("/swans/3")).output().unwrap());
        let requests = said.lines().find(|line| line.contains("requests in"));
        let requests = requests.unwrap_or_else(|| panic!("{said}"));
        println!("wrk {clients}: {}", requests.trim());
        assert!(!requests.trim().starts_with("0 "), "{said}");
        assert!(!said.contains("Socket errors"), "{said}");
        assert!(!said.contains("Non-2xx"), "{said}");
    }
    // It speaks HTTP/1.0, where each answer ends its connection.
    let mut ab = netns.command("ab");
    let ab = ab.args(["-q", "-n", "1000", "-c", "16", &at("/swans/3")]);
    let said = text(&ab.output().unwrap());
    for (name, value) in [("Complete", "1000"), ("Failed", "0")] {
        let name = format!("{name} requests:");
        let line = said.lines().find_map(|line| line.strip_prefix(&name));
        assert_eq!(line.map(str::trim), Some(value), "{said}");
    }
}

/// Its page fetches 24 things at once, while events come and a WebSocket echoes.
#[test]
fn a_browser_shows_the_page_and_all_that_it_asks_for() {
    let Some(netns) = Netns::new(&["chromium"]) else {
        return;
    };
    let _server = start(&netns);
    let name = format!("cygnet-browser-{}", std::process::id());
    let home = std::env::temp_dir().join(name);
    let mut browser = netns.command("chromium");
    browser.args(["--headless=new", "--no-sandbox", "--disable-gpu"]);
    browser.args(["--enable-logging=stderr", &at("/")]);
    browser.arg(format!("--user-data-dir={}", home.display()));
    let mut browser = Ends(browser.stderr(Stdio::piped()).spawn().unwrap());
    let numbers: Vec<String> = (0..24).map(|number| number.to_string()).collect();
    let swans = format!("swans: {}.", numbers.join(" "));
    let mut missing = vec![&*swans, "ticks: 0 1 2.", "echo: a swan."];
    let mut said = BufReader::new(browser.0.stderr.take().unwrap()).lines();
    while !missing.is_empty() {
        // It is ended after a minute.
        let Some(Ok(line)) = said.next() else { break };
        missing.retain(|words| !line.contains(words));
    }
    drop(browser);
    let _ = std::fs::remove_dir_all(home);
    assert_eq!(missing, [""; 0], "the page does not say that");
}

/// The four modes of slowhttptest at once, 12 connections each, for some seconds; curl is served
/// all the while, and afterwards there is a place for as many as before.
#[test]
fn slow_clients_do_not_keep_others_out() {
    let Some(netns) = Netns::new(&["slowhttptest", "curl"]) else {
        return;
    };
    let _server = start(&netns);
    let slow = [
        ("SLOW HEADERS", "-H", "/"),
        ("SLOW BODY", "-B -s 8192 -t POST", "/upload"),
        ("RANGE", "-R -a 10 -b 3000", "/long"),
        ("SLOW READ", "-X -w 512 -y 1024 -n 1 -z 32 -k 3", "/long"),
    ];
    std::thread::scope(|scope| {
        let attacks = slow.map(|(name, mode, path)| {
            let mut attack = netns.command("slowhttptest");
            attack.args(mode.split(' '));
            attack.args("-c 12 -r 12 -i 1 -l 5 -p 20 -u".split(' '));
            attack.arg(at(path));
            (name, scope.spawn(move || text(&attack.output().unwrap())))
        });
        let mut served = 0;
        while !attacks.iter().all(|(_, attack)| attack.is_finished()) {
            let json = curl(&netns, &["-m", "10", &at("/swans/3")]);
            assert_eq!(json, r#"{"number":3,"swims":true}"#);
            served += 1;
        }
        println!("{served} served");
        assert!(served > 20);
        for (name, attack) in attacks {
            let shown = attack.join().unwrap();
            assert!(shown.contains(name), "{shown}");
        }
    });
    let code = ["-m", "20", "-o", "/dev/null", "-w", "%{http_code}\n"];
    let all = ["-Z", "--parallel-immediate", "--parallel-max", "60"];
    let url = at("/swans/[1-60]");
    let codes = curl(&netns, &[&code[..], &all, &[&url]].concat());
    assert_eq!(codes, "200\n".repeat(60));
}
