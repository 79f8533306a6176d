//! `sim loopback`: a server and its clients in one process, two stacks on one
//! wire, on virtual time. Nothing here waits: when both hosts are idle, time
//! jumps to what happens next, and a turn that has more to do takes one
//! microsecond. So a run is a function of its options, and its digest repeats.
//!
//! It cannot hang. When nothing can happen any more, or nothing moves for many
//! turns, it says what every task waits for and fails.
//!
//! Not here: what clients do (`client.rs`), what lines look like (`trace.rs`).

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant as Clock;

use cygnet::event::Observer;
use cygnet::lab::wire::{Faults, Wire};
use cygnet::{
    Config, Digest, HeapError, HeapStorage, HeapTaskStorage, Node, Stack, StorageSizes, Tasks,
    TimeLimits,
};
use cygnet_world::files::{Files, Notes, Wanted};
use cygnet_world::frame::Sequences;
use cygnet_world::page::About;
use cygnet_world::pair::Pair;
use cygnet_world::plan::Plan;
use smoltcp::phy::Device;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint};

mod client;
mod drive;
mod progress;
use client::{Counts, Job};
use drive::{Ending, Run};
use progress::Progress;

use crate::capture::{self, Capture, Epoch};
use crate::cli::values::PARKED;
use crate::cli::{LoopbackConfig, Serve, Transport};
use crate::host::StopFlag;
use crate::level::Level;
use crate::log::Log;
use crate::observe::{All, Out};
use crate::report::{Format, Report, Value};
use crate::services::{self, TASK_BYTES};
use crate::stdout;
use crate::totals::{Given, host_rows};
use crate::trace::Trace;

/// Frames under way in each direction; a full wire makes its sender wait.
const WIRE_FRAMES: usize = 1024;
/// Where the service listens.
const PORT: u16 = 5000;
/// Slots of the client host beyond one per client, for closes under way.
const SPARE_SLOTS: usize = 8;
/// More clients than this connect without a line each.
const CHATTY_CLIENTS: usize = 16;
/// Turns without anything moving after which a run counts as stuck.
const STUCK_TURNS: u64 = 5_000_000;
/// The hosts, as a capture names them.
const NAMES: [(u8, &str); 2] = [(1, "server"), (2, "clients")];
/// A client that is not answered begins anew after this, with another port.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs it. Returns the exit status: 0 when every request was answered and
/// verified, else 1.
///
/// # Errors
/// One line about what cannot be had: memory, a file.
pub fn run(config: &LoopbackConfig, level: Level) -> Result<u8, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let pcap = config.pcap.as_deref();
    let pcap = pcap.map(|path| capture::open(path, "server", Epoch::Virtual));
    let mut pcap = pcap.transpose()?;
    if let Some(file) = &mut pcap {
        file.resolve(NAMES.into_iter().flat_map(|(number, name)| {
            let v6 = [0xfd00, 0, 0, 0, 0, 0, 0, u16::from(number)];
            [(IpAddr::from([10, 0, 0, number]), name), (v6.into(), name)]
        }));
    }
    let stop = StopFlag::default();
    stop.on_signals().map_err(|error| text(&error))?;
    let out_is_taken = capture::is_on_stdout(config.pcap.as_deref());
    let out = match config.digest || out_is_taken {
        // That alone is on standard output.
        true => Out::beside(Format::Json),
        false => Out::beside(config.format),
    };
    let out: &'static Out = Box::leak(Box::new(out));
    let faults = Faults {
        seed: config.seed,
        latency: config.latency,
        loss_ppm: config.loss.0,
        ..Faults::NONE
    };
    let wire: &'static _ = Box::leak(boxed(move || Wire::<WIRE_FRAMES>::new(faults)));
    let picture = Picture::new(config, wire)?;
    let (mut server_end, mut client_end) = wire.ends();

    let (server, clients) = hosts(config, &server_end).map_err(|error| text(&error))?;
    let digest: &'static Digest = Box::leak(Box::new(Digest::new()));
    let watched = picture.as_ref().map(|picture| picture.pair);
    observe(config, level, (server, clients), (out, digest, watched));
    let service = Serve {
        service: config.service,
        transport: Transport::Tcp,
        port: PORT,
    };
    services::spawn(server, service, config.backlog, TimeLimits::DEFAULT, 0)?;
    let job = populate(config, clients)?;

    let mut run = Run {
        server,
        job,
        stop,
        out,
        next_delivery: &|| wire.next_delivery(),
        progress: Progress::new(config),
        patience: STUCK_TURNS,
    };
    let start = Clock::now();
    let mut lacks = 0;
    let (end, now) = match pcap {
        None => run.drive(&mut server_end, &mut client_end),
        Some(file) => {
            let mut captured = Capture::new(server_end, file);
            let end = run.drive(&mut captured, &mut client_end);
            lacks = captured
                .finish()
                .map_or_else(|error| capture::lacks(&error), |_| 0);
            end
        }
    };
    let wall = start.elapsed();
    run.progress.finish();
    out.flush();
    if let Some(picture) = picture {
        picture.finish(config)?;
    }
    let lost = wire.stats().forth.lost + wire.stats().back.lost;
    match config.digest {
        true => stdout::line(format_args!("{:032x}", digest.value())),
        false => {
            let report = report(config, job, server, (lost, now, wall));
            match out_is_taken {
                true => report.show_beside(config.format),
                false => report.show(config.format),
            }
        }
    }
    Ok(verdict(config, job, &end).max(lacks))
}

/// The files of a run that are drawn or told event by event.
struct Picture {
    plan: Plan,
    pair: &'static Pair,
    notes: Rc<Notes>,
}

impl Picture {
    /// Opens what the options ask for, if anything.
    fn new(
        config: &LoopbackConfig,
        wire: &'static Wire<WIRE_FRAMES>,
    ) -> Result<Option<Picture>, String> {
        let plan = Pair::plan(NAMES.map(|(_, name)| name));
        let wanted = Wanted {
            page: config.page.as_deref(),
            perfetto: config.perfetto.as_deref(),
            ..Wanted::default()
        };
        let files = Files::open(&plan, &wanted)?;
        let lost = move || {
            let stats = wire.stats();
            [stats.forth.lost, stats.back.lost]
        };
        Ok(files.map(|(files, notes)| {
            let pair = Pair::new(Box::new(files), Box::new(lost));
            let pair = Box::leak(Box::new(pair));
            Picture { plan, pair, notes }
        }))
    }

    /// Writes what is left to write.
    fn finish(&self, config: &LoopbackConfig) -> Result<(), String> {
        self.pair.finish();
        self.notes.finish(&About {
            title: &format!("loopback: {}", config.service),
            plan: &self.plan,
            violation: None,
        })
    }
}

/// The two hosts: the server with what the options give it, the clients with as
/// much as they need.
fn hosts(
    config: &LoopbackConfig,
    device: &impl Device,
) -> Result<(Node<'static>, Node<'static>), HeapError> {
    let buffers = (config.rx_bytes, config.tx_bytes);
    let server = host(1, config.seed, given(config), buffers, device)?;
    let theirs = Given {
        slots: config.clients + SPARE_SLOTS,
        tasks: config.clients,
    };
    let buffers = (client::ECHO_MAX, client::ECHO_MAX);
    Ok((server, host(2, config.seed, theirs, buffers, device)?))
}

fn given(config: &LoopbackConfig) -> Given {
    Given {
        slots: config.slots,
        tasks: config.tasks,
    }
}

/// Makes every client a task.
fn populate(config: &LoopbackConfig, clients: Node<'static>) -> Result<&'static Job, String> {
    let job: &'static Job = Box::leak(Box::new(Job {
        node: clients,
        server: IpEndpoint::new(IpAddress::v4(10, 0, 0, 1), PORT),
        service: config.service,
        requests: config.requests,
        seed: config.seed,
        counts: Counts::new(),
    }));
    for number in 0..config.clients {
        clients
            .spawn_named("client", client::client(job, number))
            .map_err(|error| format!("a client cannot be a task: {error}"))?;
    }
    Ok(job)
}

/// Host number `number`: 10.0.0.`number` and fd00::`number`.
fn host(
    number: u8,
    seed: u64,
    given: Given,
    (rx, tx): (usize, usize),
    device: &impl Device,
) -> Result<Node<'static>, HeapError> {
    let memory = HeapStorage::new(StorageSizes {
        listeners: 1,
        acceptors: 1,
        parked: PARKED,
        ..StorageSizes::new(given.slots, rx, tx)
    })?;
    let futures = HeapTaskStorage::new(given.tasks, TASK_BYTES)?;
    let ready = futures.leak_flags(None)?;
    let mut secret = [number; 16];
    secret[..8].copy_from_slice(&seed.to_le_bytes());
    let mut config = Config::new([2, 0, 0, 0, 0, number], secret);
    config.connect_timeout = CONNECT_TIMEOUT;
    let memory = Box::leak(Box::new(memory));
    let stack = Stack::new(memory, &config, device.capabilities())
        .expect("the addresses and the device are ours");
    for address in [
        IpCidr::new(IpAddress::v4(10, 0, 0, number), 24),
        IpCidr::new(IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, number.into()), 64),
    ] {
        stack.add_address(address).expect("two unicast addresses");
    }
    let tasks = Tasks::new(Box::leak(Box::new(futures)), ready);
    let stack: &'static Stack<'static> = Box::leak(Box::new(stack));
    Ok(Node::new(stack, Box::leak(Box::new(tasks))))
}

/// Boxes a value that would be too large for the caller's stack.
///
/// # Panics
/// When no thread can be started.
fn boxed<T: Send + 'static>(make: impl FnOnce() -> T + Send + 'static) -> Box<T> {
    // A debug build moves the value several times before it reaches the box.
    // Pages of the stack that are not touched cost nothing.
    let stack = (1 << 20) + 8 * size_of::<T>();
    let maker = std::thread::Builder::new().stack_size(stack);
    let made = maker
        .spawn(move || Box::new(make()))
        .expect("no thread to build on");
    made.join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Sets the observers that the options ask for.
fn observe(
    config: &LoopbackConfig,
    level: Level,
    (server, clients): (Node<'static>, Node<'static>),
    (out, digest, watched): (&'static Out, &'static Digest, Option<&'static Pair>),
) {
    let mut on_server: Vec<&'static dyn Observer> = Vec::new();
    let mut on_clients: Vec<&'static dyn Observer> = Vec::new();
    if config.trace || level == Level::Trace {
        let sequences: &'static RefCell<Sequences> = Box::leak(Box::default());
        Trace::head(out);
        on_server.push(Box::leak(Box::new(Trace::new("server", out, sequences))));
        on_clients.push(Box::leak(Box::new(Trace::new("client", out, sequences))));
    } else if level >= Level::Debug
        || config.clients <= CHATTY_CLIENTS && level >= Level::Info && !config.digest
    {
        let services = vec![(PORT, config.service.name())];
        let log = Log::new(out, level).serving(services, TimeLimits::DEFAULT);
        on_server.push(Box::leak(Box::new(log)));
    }
    if config.digest {
        on_server.push(digest);
        on_clients.push(digest);
    }
    if let Some([server, clients]) = watched.map(Pair::observers) {
        on_server.push(Box::leak(Box::new(server)));
        on_clients.push(Box::leak(Box::new(clients)));
    }
    for (node, mut observers) in [(server, on_server), (clients, on_clients)] {
        node.set_observer(match observers.len() {
            0 => None,
            1 => observers.pop(),
            _ => Some(Box::leak(Box::new(All(observers)))),
        });
    }
}

/// Prints what failed, if anything, and gives the exit status.
fn verdict(config: &LoopbackConfig, job: &Job, end: &Ending) -> u8 {
    let counts = &job.counts;
    let asked = (config.clients * config.requests) as u64;
    let answered = counts.answered.get();
    match end {
        Ending::Over if answered == asked && counts.failures.get() == 0 => return 0,
        Ending::Over => {
            let first = counts.first.borrow();
            let why = first.as_deref().unwrap_or("no client says why");
            eprintln!("sim: {answered} of {asked} requests were answered; {why}");
        }
        Ending::Stopped => eprintln!("sim: stopped after {answered} of {asked} requests"),
        Ending::Stuck { why, waiting } => {
            eprintln!("sim: stuck after {answered} of {asked} requests: {why}");
            for line in waiting {
                eprintln!("  {line}");
            }
        }
    }
    1
}

fn report(
    config: &LoopbackConfig,
    job: &Job,
    server: Node<'static>,
    (lost, now, wall): (u64, Instant, std::time::Duration),
) -> Report {
    let counts = &job.counts;
    let (ours, theirs) = (server.counters(), job.node.counters());
    let title = format!("loopback: {} on virtual time", config.service);
    let asked = config.clients * config.requests;
    let report = Report::new(title)
        .row("clients", config.clients)
        .row("connections", counts.connections.get())
        .row_with_note(
            "requests",
            counts.answered.get(),
            format!("of {asked}, verified"),
        )
        .row("sent", Value::Bytes(counts.sent.get()))
        .row("received", Value::Bytes(counts.received.get()))
        .row("failures", counts.failures.get())
        .row_if_any("retries", counts.retries.get(), "")
        .row_if_any("client resets", theirs.resets, "seen by clients")
        .row_if_any("resets", ours.resets, "seen by the server")
        .row_unless_zero("lost on the wire", lost);
    let report = host_rows(report, &ours, given(config));
    let virtual_micros = u64::try_from(now.total_micros()).unwrap_or(0);
    let seconds = wall.as_secs_f64().max(1e-9);
    let payload = (counts.sent.get() + counts.received.get()) as f64;
    report
        .latency("latency", &counts.latency.borrow(), "virtual clock")
        .row_with_note(
            "virtual time",
            Value::Nanos(virtual_micros * 1_000),
            "virtual clock",
        )
        .row_with_note("wall time", wall, "wall clock")
        .row_with_note(
            "throughput",
            Value::PerSecond(counts.answered.get() as f64 / seconds),
            "requests, wall clock",
        )
        .row_with_note(
            "payload rate",
            Value::BytesPerSecond(payload / seconds),
            "both ways, wall clock",
        )
}
