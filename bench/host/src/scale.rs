//! `bench/scale`: very many connections in one server, and requests over all
//! of them, one at a time, in an order that never asks the same part of memory
//! twice in a row. In one process, on virtual time: the network costs nothing, so
//! what is left is the server.
//!
//! It says what a connection takes beyond its buffers, twice: from the sizes of
//! the types, and from what the kernel says this process has. Instructions are
//! counted from outside: only `answer_turn` and what it calls (`bench/scale`).

use std::time::Instant as Clock;

use ::cygnet::{Turn, Turns, turns};
use contest::REQUEST;
use contest::client::{OPEN_AT_ONCE, stride};
use contest::link::{End, link};
use contest::plan::{Mode, Plan};
use cygnet_sim::host::StopFlag;
use cygnet_sim::report::{Report, Value};
use indicatif::ProgressBar;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, Ipv4Address};

use crate::crowd::Crowd;
use crate::cygnet::{connection_bytes, server};
use crate::progress::{bar, stop_flag};
use crate::usage::resident;
use crate::words::ScaleConfig;

const ADDRESS: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
const PORT: u16 = 7;
const MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
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
pub fn run(config: &ScaleConfig) -> Result<u8, String> {
    let stop = stop_flag()?;
    let report = measure(config, &stop);
    if stop.is_set() {
        eprintln!("bench: stopped");
        return Ok(130);
    }
    let _ = report?.print(config.format, &mut std::io::stdout().lock());
    Ok(0)
}

/// Opens, asks, and says what it took.
fn measure(config: &ScaleConfig, stop: &StopFlag) -> Result<Report, String> {
    let (mut here, there) = link();
    let mut crowd = Crowd::new(there, (ADDRESS, PORT, MAC), config.connections);
    let before = resident();
    let node = server(Plan {
        mode: Mode::Round,
        connections: config.connections,
        buffer: config.buffer,
    })
    .map_err(|error| error.to_string())?;
    let bar = bar(config.connections + config.requests);
    let measured = turns(node, |turns| {
        let mut run = Run {
            turns,
            end: &mut here,
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
            Value::Bytes(beyond_buffers() as u64),
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

/// Bytes of one connection more, besides its buffers: the socket's two, and the
/// task's own for a request.
fn beyond_buffers() -> usize {
    connection_bytes() - REQUEST
}

struct Run<'r, 't> {
    turns: &'r mut Turns<'t, 'static>,
    end: &'r mut End,
    crowd: &'r mut Crowd,
    now: Instant,
    stop: &'r StopFlag,
    bar: &'r ProgressBar,
}

impl Run<'_, '_> {
    /// Opens all connections, some at a time. Returns how long it took.
    fn open(&mut self, count: usize) -> Result<std::time::Duration, String> {
        self.bar.set_message("connections");
        self.crowd.announce();
        self.settle(opening_turn, |crowd| crowd.open == 0)?;
        let start = Clock::now();
        for first in (0..count).step_by(OPEN_AT_ONCE) {
            let end = (first + OPEN_AT_ONCE).min(count);
            for index in first..end {
                self.crowd.open(index);
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
            self.crowd.ask(index);
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
        turn: fn(&mut Turns<'_, 'static>, &mut End, Instant) -> Turn,
        wanted: impl Fn(&Crowd) -> bool,
    ) -> Result<(), String> {
        for _ in 0..PATIENCE {
            self.now += TURN;
            let turned = turn(self.turns, self.end, self.now);
            self.crowd.receive()?;
            if !self.end.has_frame() && turned != Turn::Ready && wanted(self.crowd) {
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
fn opening_turn(turns: &mut Turns<'_, 'static>, end: &mut End, now: Instant) -> Turn {
    turns.turn(end, now)
}

/// A turn in which a request is answered: what `bench/scale` counts.
#[inline(never)]
fn answer_turn(turns: &mut Turns<'_, 'static>, end: &mut End, now: Instant) -> Turn {
    // Without this both functions would have the same machine code, and the
    // compiler would make one of them: callgrind could not tell them apart.
    std::hint::black_box(turns.turn(end, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cygnet_sim::report::Format;

    #[test]
    fn a_connection_takes_at_most_a_kibibyte_beyond_its_buffers() {
        assert!(beyond_buffers() <= 1024, "{} bytes", beyond_buffers());
    }

    #[test]
    fn every_request_of_a_few_thousand_connections_is_answered() {
        let config = ScaleConfig {
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
}
