//! `sim bench scale`: very many connections in one server, and requests over all
//! of them, one at a time, in an order that never asks the same part of memory
//! twice in a row. In one process, on virtual time: the network costs nothing, so
//! what is left is the server.
//!
//! It says what a connection takes beyond its buffers, twice: from the sizes of
//! the types, and from what the kernel says this process has. Instructions are
//! counted from outside: only `answer_turn` and what it calls (`bench/scale`).

use std::mem::size_of;
use std::time::Instant as Clock;

use cygnet::{
    Backlog, Config, Node, ReadySet, Stack, Storage, TaskStorage, Tasks, TcpStream, Turn, Turns,
    turns,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use smoltcp::phy::Device;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, IpCidr, Ipv4Address};

use super::crowd::{Cable, Crowd, REQUEST};
use crate::cli::BenchScaleConfig;
use crate::host::StopFlag;
use crate::memory::{leak_stack, leak_tasks};
use crate::report::{Report, Value};

const ADDRESS: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
const PORT: u16 = 7;
const MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
/// Handshakes under way at a time.
const AT_ONCE: usize = 256;
/// What a turn takes, in the server's time.
const TURN: Duration = Duration::from_micros(1);
/// After so many turns in which nothing came of it, something is wrong.
const PATIENCE: u32 = 10_000;
/// Between two looks at the bar and at Ctrl-C.
const LOOK: usize = 1 << 12;

/// Runs it. Returns the exit status: 0, or 130 when it was stopped.
///
/// # Errors
/// One line: what cannot be had, or what went wrong.
pub fn run(config: &BenchScaleConfig) -> Result<u8, String> {
    let stop = StopFlag::default();
    stop.on_signals().map_err(|error| error.to_string())?;
    let report = measure(config, &stop);
    if stop.is_set() {
        eprintln!("sim: stopped");
        return Ok(130);
    }
    let _ = report?.print(config.format, &mut std::io::stdout().lock());
    Ok(0)
}

/// Opens, asks, and says what it took.
fn measure(config: &BenchScaleConfig, stop: &StopFlag) -> Result<Report, String> {
    let mut cable = Cable::default();
    let mut crowd = Crowd::new((ADDRESS, PORT, MAC), config.connections);
    let before = resident();
    let node = server(config, &cable)?;
    let steps = (config.connections + config.requests) as u64;
    let target = ProgressDrawTarget::stderr_with_hz(10);
    let bar = ProgressBar::with_draw_target(Some(steps), target);
    let style = ProgressStyle::with_template("{bar:32} {msg}, {eta} left");
    let bar = style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style));
    let measured = turns(node, |turns| {
        let mut run = Run {
            turns,
            cable: &mut cable,
            crowd: &mut crowd,
            now: Instant::ZERO,
            stop,
            bar: &bar,
        };
        let opened = run.open(config.connections)?;
        let used = resident().saturating_sub(before);
        let asked = run.ask(config.connections, config.requests)?;
        Ok::<_, String>((opened, used, asked))
    });
    bar.finish_and_clear();
    let (opened, used, asked) = measured?;
    let counters = node.counters();
    let buffers = 2 * config.buffer + REQUEST;
    let (connections, requests) = (config.connections as f64, config.requests as f64);
    let each = (used as f64 / connections) as u64;
    Ok(Report::new("bench scale")
        .row("connections", config.connections)
        .row("slots in use", counters.slots_used)
        .row_with_note("accepted in", opened, "all of them, wall clock")
        .row(
            "accepted",
            Value::PerSecond(connections / opened.as_secs_f64()),
        )
        .row("requests", crowd.answered)
        .row_with_note("answered in", asked, "wall clock, the clients' work too")
        .row("answered", Value::PerSecond(requests / asked.as_secs_f64()))
        .row_with_note(
            "memory per connection beyond buffers",
            Value::Bytes(memory() as u64),
            "a slot, a task, its flag, and its future",
        )
        .row_with_note(
            "buffers per connection",
            Value::Bytes(buffers as u64),
            "the socket's two, and the task's for a request",
        )
        .row_with_note(
            "resident memory per connection",
            Value::Bytes(each),
            "what the kernel says, once all are open",
        )
        .row("failures", config.requests as u64 - crowd.answered)
        .row("frames in", counters.frames_in)
        .row("frames out", counters.frames_out))
}

/// The server: an echo with a task for each connection.
fn server(config: &BenchScaleConfig, cable: &Cable) -> Result<Node<'static>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let BenchScaleConfig {
        connections,
        buffer,
        ..
    } = *config;
    let parts = leak_stack(connections, buffer, buffer, 1, 1).map_err(|error| text(&error))?;
    // The same run every time: nobody here guesses sequence numbers.
    let stack_config = Config::new(MAC.0, [7; 16]);
    let stack = Stack::from_parts(parts, &stack_config, cable.capabilities());
    let stack = stack.map_err(|error| text(&error))?;
    let address = IpCidr::new(ADDRESS.into(), 24);
    stack.add_address(address).map_err(|error| text(&error))?;
    let tasks = leak_tasks(connections + 1, future_bytes(), None);
    let (parts, ready) = tasks.map_err(|error| text(&error))?;
    let node = Node::new(
        Box::leak(Box::new(stack)),
        Box::leak(Box::new(Tasks::from_parts(parts, ready))),
    );
    let spawned = node.spawn(serve(node)).map(|_| ());
    spawned.map_err(|error| format!("the server cannot be a task: {error}"))?;
    Ok(node)
}

async fn serve(node: Node<'static>) {
    let Ok(listener) = node.listen(PORT, Backlog(AT_ONCE as u16)) else {
        return;
    };
    while let Ok((stream, _)) = listener.accept().await {
        let _ = node.spawn(echo(stream)); // it fits: a test says so
    }
}

/// Sends everything back.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn keeps its argument twice: as it came, and as what it was moved to"
)]
fn echo(mut stream: TcpStream<'static>) -> impl Future<Output = ()> {
    async move {
        let mut chunk = [0; REQUEST];
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            if stream.write_all(&chunk[..count]).await.is_err() {
                break;
            }
        }
    }
}

fn size_after<A, F>(_: fn(A) -> F) -> usize {
    size_of::<F>()
}

fn future_bytes() -> usize {
    size_after(echo).max(size_after(serve))
}

/// Bytes of one connection more, besides its buffers: the socket's two, and the
/// task's own for a request.
pub fn memory() -> usize {
    const MANY: usize = 1024;
    const TWICE: usize = 2 * MANY;
    let slot = size_of::<Storage<TWICE, 0, 0>>() - size_of::<Storage<MANY, 0, 0>>();
    let task = size_of::<TaskStorage<TWICE, 0>>() - size_of::<TaskStorage<MANY, 0>>();
    let flag = size_of::<ReadySet<TWICE>>() - size_of::<ReadySet<MANY>>();
    // A future begins at a multiple of 16 bytes.
    (slot + task + flag) / MANY + future_bytes().next_multiple_of(16) - REQUEST
}

/// What the kernel has given to this process, in bytes; 0 where it does not say.
pub(super) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    1024 * kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0)
}

struct Run<'r, 't> {
    turns: &'r mut Turns<'t, 'static>,
    cable: &'r mut Cable,
    crowd: &'r mut Crowd,
    now: Instant,
    stop: &'r StopFlag,
    bar: &'r ProgressBar,
}

impl Run<'_, '_> {
    /// Opens all connections, some at a time. Returns how long it took.
    fn open(&mut self, count: usize) -> Result<std::time::Duration, String> {
        self.bar.set_message("connections");
        self.crowd.announce(self.cable);
        self.settle(opening_turn, |crowd| crowd.open == 0)?;
        let start = Clock::now();
        for first in (0..count).step_by(AT_ONCE) {
            let end = (first + AT_ONCE).min(count);
            for index in first..end {
                self.crowd.open(self.cable, index);
            }
            self.settle(opening_turn, |crowd| crowd.open == end)?;
            self.bar.set_position(end as u64);
            if self.stop.is_set() {
                return Err(String::new());
            }
        }
        Ok(start.elapsed())
    }

    /// Asks, one request at a time. Returns how long it took.
    fn ask(&mut self, count: usize, requests: usize) -> Result<std::time::Duration, String> {
        self.bar.set_message("requests");
        let (stride, mut index) = (stride(count), 0);
        let start = Clock::now();
        for done in 0..requests {
            if done % LOOK == 0 {
                self.bar.set_position((count + done) as u64);
                if self.stop.is_set() {
                    return Err(String::new());
                }
            }
            self.crowd.ask(self.cable, index);
            let wanted = self.crowd.answered + 1;
            self.settle(answer_turn, |crowd| crowd.answered == wanted)?;
            index = (index + stride) % count;
        }
        Ok(start.elapsed())
    }

    /// Takes turns until what is wanted has come and the server has nothing more
    /// to do.
    fn settle(
        &mut self,
        turn: fn(&mut Turns<'_, 'static>, &mut Cable, Instant) -> Turn,
        wanted: impl Fn(&Crowd) -> bool,
    ) -> Result<(), String> {
        for _ in 0..PATIENCE {
            self.now += TURN;
            let turned = turn(self.turns, self.cable, self.now);
            self.crowd.receive(self.cable)?;
            if self.cable.is_empty() && turned != Turn::Ready && wanted(self.crowd) {
                return Ok(());
            }
        }
        Err(format!(
            "nothing moves: {} connections are open, {} requests were answered",
            self.crowd.open, self.crowd.answered
        ))
    }
}

/// A turn in which connections are opened.
#[inline(never)]
fn opening_turn(turns: &mut Turns<'_, 'static>, cable: &mut Cable, now: Instant) -> Turn {
    turns.turn(cable, now)
}

/// A turn in which a request is answered: what `bench/scale` counts.
#[inline(never)]
fn answer_turn(turns: &mut Turns<'_, 'static>, cable: &mut Cable, now: Instant) -> Turn {
    // Without this both functions would have the same machine code, and the
    // compiler would make one of them: callgrind could not tell them apart.
    std::hint::black_box(turns.turn(cable, now))
}

/// A step that visits each of `count` once in `count` steps, far apart.
fn stride(count: usize) -> usize {
    fn gcd(a: usize, b: usize) -> usize {
        if b == 0 { a } else { gcd(b, a % b) }
    }
    let golden = count * 618 / 1000;
    let mut steps = golden.max(1)..;
    steps.find(|&step| gcd(step, count) == 1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Format;

    #[test]
    fn a_connection_takes_at_most_a_kibibyte_beyond_its_buffers() {
        assert!(memory() <= 1024, "{} bytes", memory());
    }

    #[test]
    fn every_request_of_a_few_thousand_connections_is_answered() {
        let config = BenchScaleConfig {
            connections: 3000,
            requests: 6000,
            buffer: 128,
            format: Format::Json,
        };
        let report = measure(&config, &StopFlag::default()).unwrap();
        let mut text = Vec::new();
        report.print(config.format, &mut text).unwrap();
        let table: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(table["requests"], 6000, "{table}");
        assert_eq!(table["slots_in_use"], 3000, "{table}");
        assert_eq!(table["failures"], 0, "{table}");
    }

    #[test]
    fn a_stride_visits_everybody() {
        for count in [1, 2, 3, 1000, 4096] {
            let mut seen = vec![false; count];
            let mut at = 0;
            for _ in 0..count {
                seen[at] = true;
                at = (at + stride(count)) % count;
            }
            assert!(seen.into_iter().all(|seen| seen), "{count}");
        }
    }
}
