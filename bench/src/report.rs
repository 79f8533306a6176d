//! Turns measurements (see `results`) from the standard input into tables and the
//! plot. Prints what there is, as Markdown. With the compiler's version as an
//! argument it also writes `RESULTS.md` and `cost.svg`. Fails when one active
//! connection pays for the idle ones, cygnet's costs at any two connection
//! counts being more than 2 % apart, or when a ratio is over its limit.

use std::io::Read;
use std::process::ExitCode;

use crate::results::{Measured, Results};
use crate::table::{ratio, table, thousands};
use crate::{plot, ratios};

fn instructions(results: &Results, out: &mut String, mode: &str, title: &str) {
    let rows = results
        .rows(mode)
        .into_iter()
        .map(|(connections, _, costs)| {
            let [a, b, c] = costs.map(thousands);
            vec![thousands(connections as f64), a, b, c]
        });
    table(
        out,
        title,
        &["N", "cygnet", "bare smoltcp", "embassy-net"],
        rows.collect(),
    );
}

fn bulk(results: &Results, out: &mut String) {
    let mut rows = Vec::new();
    for (mode, name) in [
        ("bulk-down", "server sends"),
        ("bulk-up", "server receives"),
    ] {
        for (_, buffer, costs) in results.rows(mode) {
            let [a, b, c] = costs.map(|cost| thousands(cost * 1024.0));
            rows.push(vec![
                format!("{name}, {} KiB buffers", buffer / 1024),
                a,
                b,
                c,
            ]);
        }
    }
    let title = "Bulk over one connection, instructions per KiB";
    table(
        out,
        title,
        &["", "cygnet", "bare smoltcp", "embassy-net"],
        rows,
    );
}

fn datagrams(results: &Results, out: &mut String) {
    let rows = results.of("datagrams", "cygnet");
    let rows = rows.map(|one| vec![thousands(one.connections as f64), thousands(one.cost)]);
    let title = "A datagram of 64 bytes echoed, by sockets that are bound, instructions";
    table(out, title, &["N", "cygnet"], rows.collect());
}

fn with_ipv6(results: &Results, out: &mut String) {
    let mut rows = Vec::new();
    for (mode, name, units) in [
        ("ipv6-active", "one active of 1, per echo", 1.0),
        ("ipv6-all", "8 at once, per echo", 1.0),
        (
            "ipv6-bulk-down",
            "server sends, 4 KiB buffers, per KiB",
            1024.0,
        ),
        (
            "ipv6-bulk-up",
            "server receives, 4 KiB buffers, per KiB",
            1024.0,
        ),
    ] {
        for (_, _, costs) in results.rows(mode) {
            let [a, b, c] = costs.map(|cost| thousands(cost * units));
            rows.push(vec![name.into(), a, b, c]);
        }
    }
    let title = "With IPv6 built in, over IPv4, instructions";
    table(
        out,
        title,
        &["", "cygnet", "bare smoltcp", "embassy-net"],
        rows,
    );
}

fn wall(results: &Results, out: &mut String) {
    let modes = [
        ("wall-active", "one active of"),
        ("wall-round", "round robin over"),
        ("wall-all", "all at once of"),
    ];
    let mut rows = Vec::new();
    for (mode, name) in modes {
        let alone = results.of(mode, "alone").map(|one| one.cost);
        for ((connections, _, [ours, bare, embassy]), alone) in
            results.rows(mode).into_iter().zip(alone)
        {
            rows.push(vec![
                format!("{name} {}", thousands(connections as f64)),
                ratio(ours / bare),
                ratio(embassy / bare),
                ratio(ours / alone),
                thousands(ours),
            ]);
        }
    }
    let head = [
        "",
        "cygnet / bare",
        "embassy / bare",
        "cygnet / cygnet at 1",
        "cygnet, ns per echo",
    ];
    table(
        out,
        "Wall time, medians of one interleaved run",
        &head,
        rows,
    );
    let mut rows = Vec::new();
    for (mode, name) in [
        ("wall-bulk-down", "server sends"),
        ("wall-bulk-up", "server receives"),
    ] {
        for (_, buffer, [ours, bare, embassy]) in results.rows(mode) {
            rows.push(vec![
                format!("{name}, {} KiB buffers", buffer / 1024),
                ratio(ours / bare),
                ratio(embassy / bare),
                thousands(ours * 1024.0),
            ]);
        }
    }
    let head = ["", "cygnet / bare", "embassy / bare", "cygnet, ns per KiB"];
    table(out, "Wall time in bulk", &head, rows);
}

fn ram(results: &Results, out: &mut String) {
    let rows = results.rows("ram").into_iter().map(|(_, _, costs)| {
        let [a, b, c] = costs.map(thousands);
        vec!["bytes".into(), a, b, c]
    });
    let title = "Memory per connection beyond its two buffers";
    table(
        out,
        title,
        &["", "cygnet", "bare smoltcp", "embassy-net"],
        rows.collect(),
    );
}

fn tables(results: &Results) -> String {
    let mut out = String::new();
    instructions(
        results,
        &mut out,
        "active",
        "One active of N, instructions per echo",
    );
    instructions(
        results,
        &mut out,
        "round",
        "Round robin over N, instructions per echo",
    );
    instructions(
        results,
        &mut out,
        "all",
        "All N at once, instructions per echo",
    );
    let churn = "Connect, one echo, close, beside N - 1 others, instructions";
    instructions(results, &mut out, "churn", churn);
    bulk(results, &mut out);
    with_ipv6(results, &mut out);
    datagrams(results, &mut out);
    wall(results, &mut out);
    ram(results, &mut out);
    out
}

/// What is above the tables of `RESULTS.md`.
fn preamble(rustc: &str) -> String {
    let smoltcp = versions("smoltcp");
    let [embassy_net, executor] = ["embassy-net", "embassy-executor"].map(versions);
    format!(
        "# What a connection costs a server

Written by `bench/run --all`. One client, an in-memory Ethernet link, virtual
time; only the server's turns are measured, after every connection was opened
and used once. A request is an echo of 64 bytes and buffers are 256 bytes where
nothing else is said; in bulk a program moves 1,024 bytes at a time.
Instructions are callgrind's and repeat. Wall time varies; the contenders take
turns, each in a process of its own, and ratios are what to look at. Memory is
the sum of the sizes of the types that one more connection takes: with cygnet a
slot, a task, its flag and the future; with bare smoltcp a socket; with
embassy-net a socket and a task with the future.

- {cpu}, {arch}
- {rustc}, `lto = \"fat\"`
- cygnet and the bare loop: smoltcp {ours}, each with a build of its own. Both have
  the same protocols: IPv4 (and IPv6 where it is said), Reno, answers to ping;
  cygnet's has the feature `medium-ip`, the bare one `medium-ethernet`
- embassy-net {embassy}, embassy-executor {executor}: smoltcp {theirs}
- the client: smoltcp {client}, so that it shares no code with a contender

",
        cpu = cpu().unwrap_or("unknown processor".into()),
        arch = std::env::consts::ARCH,
        ours = smoltcp.last().unwrap_or(&"?"),
        theirs = smoltcp.get(1).unwrap_or(&"?"),
        client = smoltcp.first().unwrap_or(&"?"),
        embassy = embassy_net.join(" "),
        executor = executor.join(" "),
    )
}

/// The versions of a crate in the lock file, ascending.
fn versions(name: &str) -> Vec<&'static str> {
    let packages = include_str!("../Cargo.lock").split("[[package]]");
    let value = |package: &'static str, key: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim_matches([' ', '=', '"']))
    };
    packages
        .filter(|package| value(package, "name") == Some(name))
        .filter_map(|package| value(package, "version"))
        .collect()
}

fn cpu() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().into())
}

/// Prints the tables; writes the files when there is a version to put in them.
/// With `check` every ratio must have been measured.
pub fn report(rustc: Option<&str>, check: bool) -> ExitCode {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .expect("measurements");
    let parsed = text
        .lines()
        .map(|line| Measured::parse(line).unwrap_or_else(|| panic!("not a measurement: {line}")));
    let results = Results(parsed.collect());
    let mut tables = tables(&results);
    let held = ratios::hold(&mut tables, &results, check);
    print!("{tables}");
    if let Some(rustc) = rustc {
        let document = preamble(rustc) + tables.trim_end() + "\n";
        std::fs::write("RESULTS.md", document).expect("RESULTS.md");
        std::fs::write("cost.svg", plot::draw(&results.rows("active"))).expect("cost.svg");
    }
    let spread = results.spread();
    println!("cygnet, most over least: {:.1} %", spread * 100.0);
    if spread > 0.02 {
        eprintln!("one active connection pays for idle ones: more than 2 % apart");
        return ExitCode::FAILURE;
    }
    match held {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
