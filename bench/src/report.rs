//! Turns measurements into tables and the plot. Reads lines from the standard
//! input
//!
//! ```text
//! MODE STACK N BUFFER TOTAL UNITS
//! ```
//!
//! and prints what there is, as Markdown. With the compiler's version as an
//! argument it also writes `RESULTS.md` and `cost.svg`. Fails when one active
//! connection pays for the idle ones, cygnet's costs at any two connection
//! counts being more than 2 % apart, or when a ratio is over its limit.

use std::io::Read;
use std::process::ExitCode;

use crate::table::{table, thousands};
use crate::{plot, ratios};

/// The contenders, as the measurements call them, in the order of the columns.
pub const STACKS: [&str; 3] = ["cygnet", "bare", "embassy"];

struct Measured {
    mode: String,
    stack: String,
    connections: u64,
    buffer: u64,
    /// Per request or byte.
    cost: f64,
}

impl Measured {
    fn parse(line: &str) -> Option<Measured> {
        let [mode, stack, connections, buffer, total, units] =
            line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        Some(Measured {
            mode: mode.into(),
            stack: stack.into(),
            connections: connections.parse().ok()?,
            buffer: buffer.parse().ok()?,
            cost: total.parse::<f64>().ok()? / units.parse::<f64>().ok()?,
        })
    }
}

pub struct Results(Vec<Measured>);

impl Results {
    fn of(&self, mode: &str, stack: &str) -> impl Iterator<Item = &Measured> {
        let wanted = move |one: &&Measured| one.mode == mode && one.stack == stack;
        self.0.iter().filter(wanted)
    }

    /// One cost, if it was measured.
    pub fn cost(&self, mode: &str, stack: &str, connections: u64, buffer: u64) -> Option<f64> {
        let mut found = self.of(mode, stack);
        let found = found.find(|one| (one.connections, one.buffer) == (connections, buffer));
        found.map(|one| one.cost)
    }

    /// The costs of one mode, of what all contenders did: connections, buffer, and one cost per contender.
    fn rows(&self, mode: &str) -> Vec<(u64, u64, [f64; 3])> {
        let row = |one: &Measured| {
            let cost = |stack| self.cost(mode, stack, one.connections, one.buffer);
            let [ours, bare, embassy] = STACKS.map(cost);
            Some((one.connections, one.buffer, [ours?, bare?, embassy?]))
        };
        self.of(mode, STACKS[0]).filter_map(row).collect()
    }

    /// By how much the costs of one active connection differ, as a fraction.
    fn spread(&self) -> f64 {
        let ours = || self.of("active", STACKS[0]).map(|one| one.cost);
        ours().fold(0.0, f64::max) / ours().fold(f64::INFINITY, f64::min) - 1.0
    }

    fn instructions(&self, out: &mut String, mode: &str, title: &str) {
        let rows = self.rows(mode).into_iter().map(|(connections, _, costs)| {
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

    fn bulk(&self, out: &mut String) {
        let mut rows = Vec::new();
        for (mode, name) in [
            ("bulk-down", "server sends"),
            ("bulk-up", "server receives"),
        ] {
            for (_, buffer, costs) in self.rows(mode) {
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

    fn with_ipv6(&self, out: &mut String) {
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
            for (_, _, costs) in self.rows(mode) {
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

    fn wall(&self, out: &mut String) {
        let modes = [
            ("wall-active", "one active of"),
            ("wall-round", "round robin over"),
            ("wall-all", "all at once of"),
        ];
        let mut rows = Vec::new();
        for (mode, name) in modes {
            let alone = self.of(mode, "alone").map(|one| one.cost);
            for ((connections, _, [ours, bare, embassy]), alone) in
                self.rows(mode).into_iter().zip(alone)
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
            for (_, buffer, [ours, bare, embassy]) in self.rows(mode) {
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

    fn ram(&self, out: &mut String) {
        let rows = self.rows("ram").into_iter().map(|(_, _, costs)| {
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

    fn tables(&self) -> String {
        let mut out = String::new();
        self.instructions(&mut out, "active", "One active of N, instructions per echo");
        self.instructions(
            &mut out,
            "round",
            "Round robin over N, instructions per echo",
        );
        self.instructions(&mut out, "all", "All N at once, instructions per echo");
        let churn = "Connect, one echo, close, beside N - 1 others, instructions";
        self.instructions(&mut out, "churn", churn);
        self.bulk(&mut out);
        self.with_ipv6(&mut out);
        self.wall(&mut out);
        self.ram(&mut out);
        out
    }
}

/// Two decimals, or more where they would be zeros.
fn ratio(value: f64) -> String {
    match value {
        0.1.. => format!("{value:.2}"),
        0.01.. => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
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
    let mut tables = results.tables();
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
