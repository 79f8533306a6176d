//! `bench/tap`: one host on a TAP against what else there is, from the
//! outside. The same clients ask every server in turn, a moment each, again and
//! again; what is compared is what they did in the same round, and what is said
//! is the median of that. So a machine that is busy with other things slows all
//! of them, and the ratio stays.
//!
//! Speed is shown here and judged by nobody; what the exit status says is that
//! every byte came back right and that no server failed.

use std::time::{Duration, Instant};

use cygnet_sim::host::StopFlag;
use cygnet_sim::report::{Report, Value};
use indicatif::ProgressBar;

use crate::bulk::{self, Moved};
use crate::churn::{Churned, churn};
use crate::client::Clients;
use crate::line::{Line, beside, histogram, machine};
use crate::place;
use crate::progress::{bar, stop_flag};
use crate::server::{Running, Server, Size};
use crate::words::TapConfig;

const SMALL: usize = 1024;
const LARGE: usize = 1 << 20;
const ECHO: u16 = 7;
const DISCARD: u16 = 9;
const CHARGEN: u16 = 19;
/// Clients that ask while very many others are connected and do not.
const FEW: usize = 64;
/// Sockets of a server for short connections.
const CHURN_SOCKETS: usize = 64;
/// Short connections to one server, in all rounds: each leaves a port of the
/// client's side in TIME-WAIT, and beyond 32,000 the kernel searches for one
/// longer than the connection lasts.
const CHURN_MOST: usize = 20_000;
/// Buffers of a connection that says nothing.
const IDLE_BUFFER: usize = 512;
/// Until the last acknowledgement that somebody delayed has come.
const SETTLE: Duration = Duration::from_millis(500);
/// Files that this process needs besides its connections.
const FILES: usize = 64;

/// Runs it. Returns the exit status: 0, or 130 when it was stopped.
///
/// # Errors
/// One line: what is missing, or which server failed and how.
pub fn run(config: &TapConfig) -> Result<u8, String> {
    let stop = stop_flag()?;
    place::enter()?;
    let mut servers = vec![Server::Cygnet, Server::Plain];
    for server in [Server::Lesson, Server::Embassy] {
        match server.missing() {
            None => servers.push(server),
            Some(what) => eprintln!("bench: not measured: {server}: {what}"),
        }
    }
    let files = place::allow_files((config.idle.max(1000) + FILES) as u64);
    let mut bench = Bench {
        config,
        servers,
        idle: config.idle.min(files as usize - FILES),
        stop,
        bar: bar(config.rounds * (5 * (config.clients.len() + 1) + 8) + 1),
        report: machine(Report::new("bench tap")),
        facts: Facts::default(),
    };
    let done = bench.measure();
    bench.bar.finish_and_clear();
    if bench.stop.is_set() {
        eprintln!("bench: stopped");
        return Ok(130);
    }
    done?;
    let facts = bench.facts;
    let report = bench
        .report
        .row("segments in", facts.segments_in)
        .row("segments out", facts.segments_out)
        .row("segments without offload", facts.plain_segments)
        .row("frames refused", facts.refused);
    let _ = report.print(config.format, &mut std::io::stdout().lock());
    Ok(0)
}

/// What the tables of our own servers say, added up.
#[derive(Clone, Copy, Default)]
struct Facts {
    segments_in: u64,
    segments_out: u64,
    plain_segments: u64,
    refused: u64,
}

struct Bench<'c> {
    config: &'c TapConfig,
    servers: Vec<Server>,
    idle: usize,
    stop: StopFlag,
    bar: ProgressBar,
    report: Report,
    facts: Facts,
}

impl Bench<'_> {
    fn measure(&mut self) -> Result<(), String> {
        for &clients in &self.config.clients {
            self.echo(clients, clients)?;
        }
        if let Some(most) = self.most().filter(|&most| most > FEW) {
            self.echo(FEW, most)?;
        }
        self.bulk(
            "bulk down",
            |time| bulk::down(Server::Cygnet.address(CHARGEN), time),
            |time| bulk::down(Server::Plain.address(CHARGEN), time),
        )?;
        self.bulk(
            "bulk up",
            |time| bulk::up(Server::Cygnet.address(DISCARD), time),
            |time| bulk::up(Server::Plain.address(DISCARD), time),
        )?;
        // Before short connections, which leave ports in TIME-WAIT.
        self.idle()?;
        self.churn()
    }

    fn start(&self, servers: &[Server], size: Size) -> Result<Vec<Running>, String> {
        let start = |server: &Server| Running::start(*server, size);
        servers.iter().map(start).collect()
    }

    fn finish(&mut self, running: Vec<Running>) -> Result<(), String> {
        for one in running {
            let server = one.server;
            let table = one.finish()?;
            let count = |key: &str| table[key].as_u64().unwrap_or(0);
            let (segments_in, segments_out) = (count("segments_in"), count("segments_out"));
            match server {
                Server::Cygnet => {
                    self.facts.segments_in += segments_in;
                    self.facts.segments_out += segments_out;
                }
                _ => self.facts.plain_segments += segments_in + segments_out,
            }
            self.facts.refused += count("frames_oversized") + count("frames_with_a_bad_checksum");
        }
        Ok(())
    }

    fn said(&self, what: &str) -> bool {
        self.bar.set_message(what.to_owned());
        self.bar.inc(1);
        self.stop.is_set()
    }

    /// The most clients at a time.
    fn most(&self) -> Option<usize> {
        self.config.clients.iter().copied().max()
    }

    /// Many clients, one request each under way. Those beyond `asking` only are
    /// there.
    fn echo(&mut self, asking: usize, clients: usize) -> Result<(), String> {
        let what = match clients {
            1 => "1 client".to_owned(),
            all if asking == all => format!("{all} clients"),
            all => format!("{asking} of {all} clients"),
        };
        let size = Size {
            clients,
            buffer: SMALL,
        };
        let mut servers = self.servers.clone();
        servers.push(Server::Mirror);
        let running = self.start(&servers, size)?;
        let fail = |server: Server| {
            let what = what.clone();
            move |error: std::io::Error| format!("{server}, {what}: {error}")
        };
        let mut lines: Vec<Line> = servers.iter().map(|server| Line::new(*server)).collect();
        let mut connected = Vec::new();
        for one in &running {
            let server = one.server;
            let mut all = Clients::connect(server.address(ECHO), clients).map_err(fail(server))?;
            let mut nanos = histogram();
            all.ask(self.config.time / 4, &mut nanos)
                .map_err(fail(server))?; // warm
            connected.push(all);
        }
        for round in 0..self.config.rounds {
            for turn in 0..servers.len() {
                if self.said(&what) {
                    return Ok(());
                }
                // Each round begins with another server, so that none always follows
                // a slow one. And whoever runs this
                // with a real-time priority is stopped for 50 ms when 950 ms of a
                // second are used up, by then always in the same server's time.
                let which = (round + turn) % servers.len();
                let (one, line, all) = (&running[which], &mut lines[which], &mut connected[which]);
                std::thread::sleep(self.config.time / 10);
                let before = one.processor();
                let asked = all.ask_some(asking, self.config.time, &mut line.nanos);
                let asked = asked.map_err(fail(one.server))?;
                line.rates.push(asked.rate());
                line.requests += asked.requests;
                line.asking += asked.spent;
                if let (Some(before), Some(after)) = (before, one.processor()) {
                    line.spent += after - before;
                }
            }
        }
        drop(connected);
        self.finish(running)?;
        self.report = beside(take(&mut self.report), &what, &lines, Value::PerSecond);
        Ok(())
    }

    /// One connection, with and without offload.
    fn bulk(
        &mut self,
        what: &str,
        with: impl Fn(Duration) -> std::io::Result<Moved>,
        without: impl Fn(Duration) -> std::io::Result<Moved>,
    ) -> Result<(), String> {
        let size = Size {
            clients: 1,
            buffer: LARGE,
        };
        let running = self.start(&[Server::Cygnet, Server::Plain], size)?;
        let mut lines = [Line::new(Server::Cygnet), Line::new(Server::Plain)];
        for _ in 0..self.config.rounds {
            for line in &mut lines {
                if self.said(what) {
                    return Ok(());
                }
                let moved = match line.server {
                    Server::Cygnet => with(self.config.time),
                    _ => without(self.config.time),
                };
                let moved = moved.map_err(|error| format!("{}, {what}: {error}", line.server))?;
                line.rates.push(moved.rate());
            }
        }
        self.finish(running)?;
        self.report = beside(take(&mut self.report), what, &lines, Value::BytesPerSecond);
        Ok(())
    }

    /// Connect, one request, close.
    fn churn(&mut self) -> Result<(), String> {
        let what = "connections";
        let size = Size {
            clients: CHURN_SOCKETS,
            buffer: SMALL,
        };
        let servers = self.servers.clone();
        let running = self.start(&servers, size)?;
        let mut lines: Vec<Line> = servers.iter().map(|server| Line::new(*server)).collect();
        let mut refusals = vec![0; servers.len()];
        let count = self
            .config
            .churn
            .min(CHURN_MOST / self.config.rounds)
            .max(1);
        for _ in 0..self.config.rounds {
            for (line, refusals) in lines.iter_mut().zip(&mut refusals) {
                if self.said(what) {
                    return Ok(());
                }
                let done = churn(line.server.address(ECHO), count);
                let Churned {
                    connections,
                    refused,
                    time,
                } = done.map_err(|error| format!("{}, {what}: {error}", line.server))?;
                line.rates.push(connections as f64 / time.as_secs_f64());
                *refusals += refused;
            }
        }
        self.finish(running)?;
        self.report = beside(take(&mut self.report), what, &lines, Value::PerSecond);
        let report = take(&mut self.report);
        self.report = lines
            .iter()
            .zip(refusals)
            .fold(report, |report, (line, refused)| {
                let label = format!("{what} refused: {}", line.server);
                match line.server {
                    Server::Cygnet => report.row(label, refused),
                    _ => report.row_unless_zero(label, refused),
                }
            });
        Ok(())
    }

    /// Many connections that say nothing: what they cost while they do.
    fn idle(&mut self) -> Result<(), String> {
        let count = self.idle;
        if count == 0 || self.said(&format!("{count} idle connections")) {
            return Ok(());
        }
        let size = Size {
            clients: count,
            buffer: IDLE_BUFFER,
        };
        let fail = |error: std::io::Error| format!("cygnet, {count} connections: {error}");
        let running = self.start(&[Server::Cygnet], size)?;
        let start = Instant::now();
        let clients = Clients::connect(Server::Cygnet.address(ECHO), count);
        let mut clients = clients.map_err(fail)?;
        let opened = start.elapsed();
        clients
            .ask(Duration::ZERO, &mut histogram())
            .map_err(fail)?;
        std::thread::sleep(SETTLE);
        let (before, start) = (running[0].processor(), Instant::now());
        while start.elapsed() < self.config.idle_time && !self.stop.is_set() {
            std::thread::sleep(Duration::from_millis(50));
        }
        let spent = running[0].processor().zip(before);
        let spent = spent.map_or(Duration::MAX, |(after, before)| after - before);
        let watched = start.elapsed();
        // Every silent connection must still be answered.
        clients
            .ask(Duration::ZERO, &mut histogram())
            .map_err(fail)?;
        drop(clients);
        self.finish(running)?;
        let report = take(&mut self.report);
        self.report = report
            .row("idle connections", count)
            .row_with_note("idle connections opened in", opened, "one after the other")
            .row_with_note(
                "idle connections: processor used",
                spent,
                format!(
                    "in {:.1} s, while none said anything",
                    watched.as_secs_f64()
                ),
            );
        Ok(())
    }
}

/// The report so far, to add to it.
fn take(report: &mut Report) -> Report {
    std::mem::replace(report, Report::new(""))
}
