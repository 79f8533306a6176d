//! Turns measurements into tables and the plot. Reads lines
//!
//! ```text
//! MODE STACK N BUFFER TOTAL UNITS
//! ```
//!
//! and prints what there is, as Markdown. With the compiler's version as an
//! argument it also writes `RESULTS.md` and `cost.svg`. Fails when one active
//! connection pays for the idle ones: cygnet's cost at any two connection
//! counts must not be more than 10 % apart.

mod plot;
mod table;

use std::io::Read;
use std::process::ExitCode;

use table::{table, thousands};

/// The contenders, as the measurements call them, in the order of the columns.
const STACKS: [&str; 3] = ["cygnet", "bare", "embassy"];

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

struct Results(Vec<Measured>);

impl Results {
    /// The costs of one mode: connections, buffer, and one cost per contender.
    fn rows(&self, mode: &str) -> Vec<(u64, u64, [f64; 3])> {
        let of_mode = |stack: &'static str| {
            let wanted = move |one: &&Measured| one.mode == mode && one.stack == stack;
            self.0.iter().filter(wanted)
        };
        let [ours, bare, embassy] = STACKS.map(of_mode);
        let costs = ours.zip(bare).zip(embassy);
        costs
            .map(|((a, b), c)| (a.connections, a.buffer, [a.cost, b.cost, c.cost]))
            .collect()
    }

    /// By how much the costs of one active connection differ, as a fraction.
    fn spread(&self) -> f64 {
        let ours = self.rows("active").into_iter().map(|row| row.2[0]);
        let least = ours.clone().fold(f64::INFINITY, f64::min);
        ours.fold(0.0, f64::max) / least - 1.0
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

    fn wall(&self, out: &mut String) {
        let modes = [
            ("wall-active", "one active of"),
            ("wall-round", "round robin over"),
            ("wall-all", "all at once of"),
        ];
        let mut rows = Vec::new();
        for (mode, name) in modes {
            let measured = self.rows(mode);
            let alone = measured.first().map_or(f64::NAN, |row| row.2[0]);
            for (connections, _, [ours, bare, embassy]) in measured {
                rows.push(vec![
                    format!("{name} {}", thousands(connections as f64)),
                    format!("{:.2}", ours / bare),
                    format!("{:.2}", embassy / bare),
                    format!("{:.2}", ours / alone),
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
                    format!("{:.2}", ours / bare),
                    format!("{:.2}", embassy / bare),
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
        self.wall(&mut out);
        self.ram(&mut out);
        out
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
Instructions are callgrind's and repeat; wall time is this machine's.

- {cpu}, {arch}
- {rustc}, `lto = \"fat\"`
- cygnet and the bare loop: smoltcp {ours}
- embassy-net {embassy}, embassy-executor {executor}: smoltcp {theirs}

",
        cpu = cpu().unwrap_or("unknown processor".into()),
        arch = std::env::consts::ARCH,
        ours = smoltcp.last().unwrap_or(&"?"),
        theirs = smoltcp.first().unwrap_or(&"?"),
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

fn main() -> ExitCode {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .expect("measurements");
    let parsed = text
        .lines()
        .map(|line| Measured::parse(line).unwrap_or_else(|| panic!("not a measurement: {line}")));
    let results = Results(parsed.collect());
    let tables = results.tables();
    print!("{tables}");
    if let Some(rustc) = std::env::args().nth(1) {
        let document = preamble(&rustc) + tables.trim_end() + "\n";
        std::fs::write("RESULTS.md", document).expect("RESULTS.md");
        std::fs::write("cost.svg", plot::draw(&results.rows("active"))).expect("cost.svg");
    }
    let spread = results.spread();
    println!("cygnet, most over least: {:.1} %", spread * 100.0);
    match spread <= 0.1 {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
