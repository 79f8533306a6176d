//! Lines of a table: what a server did, round by round, and what that is beside
//! another. Two servers are compared within a round, and the median of those
//! ratios is what is said; how far they spread stands beside it.

use std::time::Duration;

use contest::median;
use cygnet_sim::report::{Report, Value};
use hdrhistogram::Histogram;

use crate::server::{Server, python};

const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

/// What one server did, round by round.
pub struct Line {
    pub server: Server,
    pub rates: Vec<f64>,
    pub nanos: Histogram<u64>,
    /// Of the server's processor, and in how many requests.
    pub spent: Duration,
    pub requests: u64,
    /// Of the clients' processor.
    pub asking: Duration,
}

impl Line {
    pub fn new(server: Server) -> Line {
        Line {
            server,
            rates: Vec::new(),
            nanos: histogram(),
            spent: Duration::ZERO,
            requests: 0,
            asking: Duration::ZERO,
        }
    }

    fn note(&self) -> String {
        if self.requests == 0 {
            return String::new();
        }
        let latency = QUANTILES.map(|(name, quantile)| {
            let micros = self.nanos.value_at_quantile(quantile) as f64 / 1000.0;
            format!("{name} {micros:.0} us")
        });
        let each = |time: Duration| time.as_secs_f64() * 1e6 / self.requests as f64;
        let (spent, asking) = (each(self.spent), each(self.asking));
        let latency = latency.join(", ");
        format!("{latency}; {spent:.1} us of processor each, its client {asking:.1} us")
    }
}

/// Adds what the figures depend on besides the servers.
pub fn machine(report: Report) -> Report {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split(": ").nth(1));
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    report
        .row("processor", model.unwrap_or("unknown"))
        .row("processors", processors)
        .row("kernel", read("/proc/sys/kernel/osrelease").trim())
        .row(
            "congestion control",
            read("/proc/sys/net/ipv4/tcp_congestion_control").trim(),
        )
        .row("python", python().unwrap_or("none".into()))
}

pub fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are possible")
}

/// Adds what was measured, and what it is beside the first line's server.
pub fn beside(
    mut report: Report,
    what: &str,
    lines: &[Line],
    value: impl Fn(f64) -> Value,
) -> Report {
    for line in lines {
        let label = format!("{what}: {}", line.server);
        report = report.row_with_note(&label, value(median(&line.rates)), line.note());
        if let Some(each) = (line.spent.as_nanos() as u64).checked_div(line.requests) {
            report = QUANTILES.iter().fold(report, |report, (name, quantile)| {
                let nanos = line.nanos.value_at_quantile(*quantile);
                report.fact(format!("{label} {name}"), Value::Nanos(nanos))
            });
            report = report.fact(format!("{label} processor"), Value::Nanos(each));
        }
    }
    let mirror = lines.iter().find(|line| line.server == Server::Mirror);
    let bounds = mirror.into_iter().flat_map(|mirror| {
        let others = lines
            .iter()
            .filter(|other| matches!(other.server, Server::Lesson | Server::Embassy));
        others.map(move |other| (mirror, other))
    });
    let ours = lines.iter().skip(1).map(|other| (&lines[0], other));
    for (one, other) in ours.chain(bounds) {
        let pairs = one.rates.iter().zip(&other.rates);
        let ratios: Vec<f64> = pairs.map(|(ours, theirs)| ours / theirs).collect();
        let label = format!("{what}: {} / {}", one.server, other.server);
        let spread = format!(
            "{:.2} to {:.2} in {} rounds",
            ratios.iter().copied().fold(f64::MAX, f64::min),
            ratios.iter().copied().fold(0.0, f64::max),
            ratios.len()
        );
        report = report.row_with_note(label, Value::Ratio(median(&ratios)), spread);
    }
    report
}
