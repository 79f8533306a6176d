//! `sim tap`: one host on a TAP interface, for the programs of this machine.
//!
//! It ends in order. The first Ctrl-C, SIGTERM or SIGHUP closes the listeners; open
//! streams may finish for a bounded time; then whatever connection is left gets one
//! reset, because an end in order would say that its stream is complete, and silence
//! nothing; then the table is printed. A second signal ends the process at once.
//!
//! Who watches it, on a screen (`--top`) or by `SIGUSR1`, is answered after a turn
//! (`top`).
//!
//! What can be wrong is found before anything is made: the capture file, then
//! the addresses, then memory, and only then the interface.
//!
//! Not here: the services (`services.rs`) and the waiting (`host.rs`).

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use cygnet::event::Observer;
use cygnet::{
    Config, HeapStorage, HeapTaskStorage, NameStorage, Node, Platform, Stack, StorageSizes, Tasks,
    Turn, UdpStorage, turns,
};
use cygnet_world::frame::Sequences;
use signal_hook::consts::SIGUSR1;
use smoltcp::phy::{Device, DeviceCapabilities};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpCidr, Ipv4Address, Ipv4Cidr};

use crate::capture::{self, Capture, Epoch};
use crate::cli::{SOCKETS, Service, TapConfig, Transport};
use crate::greeting::{draining, greeting};
use crate::host::{HostPlatform, Readable, poke};
use crate::level::Level;
use crate::log::Log;
use crate::neighborhood::{Neighborhood, unreached};
use crate::observe::{All, Out};
use crate::report::{Format, Report, Value};
use crate::services::{self, DATAGRAM_BYTES, Stop, TASK_BYTES};
use crate::tap::{Tap, TapStats, addresses_are_free};
use crate::top::{Kept, Watch, check_terminal};
use crate::totals::{Given, host_rows};
use crate::trace::Trace;

/// Frames in one turn: reading, serving and writing come in rows, and a row of 256
/// kept the kernel's code and ours in the caches: 8 % less processor than 64 with
/// 400 clients at once, the same with 64.
const FRAMES_PER_TURN: u16 = 256;

/// Memory for datagrams: a ring holds two turns, and each service waits once.
type Datagrams =
    UdpStorage<SOCKETS, { 2 * FRAMES_PER_TURN as usize }, DATAGRAM_BYTES, { 2 * SOCKETS }>;

/// All zeros, and so not in the program.
static DATAGRAMS: Mutex<Datagrams> = Mutex::new(UdpStorage::new());

/// Resets at the end have this long to leave.
const GOODBYE: Duration = Duration::from_millis(100);

/// Runs it. Returns the exit status: 0, or 1 when the interface was taken away.
///
/// # Errors
/// One line, or one and the commands that help, about what cannot be had.
pub fn run(config: &TapConfig, level: Level) -> Result<u8, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    if config.top {
        check_terminal()?;
    }
    let pcap = config.pcap.as_deref();
    let out_is_taken = capture::is_on_stdout(pcap);
    let pcap = pcap.map(|path| capture::open(path, &config.name, Epoch::wall_now()));
    let pcap = pcap.transpose()?;
    addresses_are_free(&config.ips).map_err(|error| text(&error))?;
    let listeners = config.serve.len();
    let memory = HeapStorage::new(StorageSizes {
        listeners,
        acceptors: listeners,
        parked: config.parked,
        ..StorageSizes::new(config.slots, config.rx_bytes, config.tx_bytes)
    });
    let memory = memory.map_err(|error| text(&error))?;
    let futures = HeapTaskStorage::new(config.tasks, TASK_BYTES).map_err(|error| text(&error))?;
    let ready = futures
        .leak_flags(Some(poke))
        .map_err(|error| text(&error))?;
    let mut secret = [0; 16];
    entropy(&mut secret)?;
    let tap = match config.create {
        true => Tap::create(&config.name, &config.host_ips, config.offload),
        false => Tap::attach(&config.name, &config.host_ips, config.offload),
    };
    let tap = tap.map_err(|error| text(&error))?;

    let mut stack_config = Config::new(config.mac.0, secret);
    stack_config.frames_per_turn = FRAMES_PER_TURN;
    let capabilities = tap.capabilities();
    let memory = Box::leak(Box::new(memory));
    let stack = Stack::new(memory, &stack_config, capabilities).map_err(|error| text(&error))?;
    // With DHCP the one of IPv4 is asked for when no server has answered.
    let waits = |is_ipv4| config.dhcp.is_some() && is_ipv4;
    for ip in &config.ips {
        if !waits(matches!(ip, IpCidr::Ipv4(_))) {
            stack.add_address(*ip).map_err(|e| format!("{ip}: {e}"))?;
        }
    }
    for gateway in &config.gateways {
        if waits(matches!(gateway, IpAddress::Ipv4(_))) {
            continue;
        }
        let set = stack.set_gateway(*gateway);
        set.map_err(|error| format!("{gateway}: {error}"))?;
    }
    let datagrams = DATAGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let added = stack.add_datagrams(&mut **Box::leak(Box::new(datagrams)));
    added.map_err(|error| text(&error))?;
    let stack: &'static Stack<'static> = Box::leak(Box::new(stack));
    let tasks = Tasks::new(Box::leak(Box::new(futures)), ready);
    let node = Node::new(stack, Box::leak(Box::new(tasks)));
    let epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let epoch = epoch.map_or(0, |since| since.as_secs() as i64);
    let kept = config.top.then(|| Kept::new(config.format));
    let out = match &kept {
        Some(kept) => kept.out(),
        None if out_is_taken => Out::beside(Format::Json),
        None => Out::beside(config.format),
    };
    let out: &'static Out = Box::leak(Box::new(out));
    // Shown when the loop first has nothing to do: then the listeners listen.
    out.line(format_args!("{}", greeting(config)));
    let hood: &'static Neighborhood = Box::leak(Box::new(Neighborhood::new(config, out)));
    if level >= Level::Warn {
        for warning in unreached(config) {
            out.line(format_args!("{warning}"));
        }
    }
    node.set_observer(observer(config, level, (out, hood)));
    let stop: &'static Stop = Box::leak(Box::default());
    for what in &config.serve {
        match what.transport {
            Transport::Tcp if what.service == Service::Http => {
                services::spawn_page(node, what.port, config.backlog, config.slots)?;
            }
            Transport::Tcp => {
                services::spawn(node, *what, config.backlog, config.limits, epoch)?;
            }
            Transport::Udp => services::spawn_datagrams(node, *what, epoch, stop)?,
        }
    }
    for group in &config.hear {
        services::spawn_hears(node, *group, out, stop)?;
    }

    if let Some(name) = &config.dhcp {
        let fallback = config.ips.iter().find_map(|ip| match ip {
            IpCidr::Ipv4(ip) => Some(*ip),
            IpCidr::Ipv6(_) => None,
        });
        let gateway = config.gateways.iter().find_map(|way| match way {
            IpAddress::Ipv4(way) => Some(*way),
            IpAddress::Ipv6(_) => None,
        });
        let fallback = fallback.unwrap_or(Ipv4Cidr::new(Ipv4Address::new(192, 168, 69, 2), 24));
        let name: &'static str = Box::leak(name.clone().into_boxed_str());
        services::spawn_dhcp(node, (name, out), (fallback, gateway), stop)?;
    }

    if let Some(pings) = config.pings {
        services::spawn_pings(node, pings, out, stop)?;
    }
    if let Some(dig) = &config.dig {
        let names = Box::leak(Box::new(NameStorage::<4>::new()));
        stack.add_names(names).map_err(|error| text(&error))?;
        services::spawn_dig(node, Box::leak(dig.clone()), out, stop)?;
    }

    let status = match pcap {
        None => {
            let (over, tap) = drive(config, node, ((out, hood), level, stop, kept), tap)?;
            finish(config, node, &over, tap.stats())?
        }
        Some(file) => {
            let device = Capture::new(tap, file);
            let told = ((out, hood), level, stop, kept);
            let (over, mut taken) = drive(config, node, told, device)?;
            let lacks = taken
                .finish()
                .map_or_else(|error| capture::lacks(&error), |_| 0);
            finish(config, node, &over, taken.get_ref().stats())?.max(lacks)
        }
    };
    Ok(status.max(stop.failed.get().into()))
}

/// Fills `bytes` from the kernel.
fn entropy(bytes: &mut [u8; 16]) -> Result<(), String> {
    let drawn = rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty());
    match drawn {
        Ok(16) => Ok(()),
        Ok(_) => Err("the kernel has too little entropy".into()),
        Err(error) => Err(format!("the kernel gives no entropy: {error}")),
    }
}

fn observer(
    config: &TapConfig,
    level: Level,
    (out, hood): (&'static Out, &'static Neighborhood),
) -> Option<&'static dyn Observer> {
    match level {
        Level::Off => None,
        Level::Trace => {
            Trace::head(out);
            let sequences: &'static std::cell::RefCell<Sequences> = Box::leak(Box::default());
            let trace: &'static Trace<'_> = Box::leak(Box::new(Trace::new("tap", out, sequences)));
            Some(Box::leak(Box::new(All(vec![trace, hood]))))
        }
        level => {
            let streams = config.serve.iter();
            let streams = streams.filter(|what| what.transport == Transport::Tcp);
            let services = streams.map(|what| (what.port, what.service.name()));
            let log = Log::new(out, level).serving(services.collect(), config.limits);
            if level < Level::Warn {
                return Some(Box::leak(Box::new(log)));
            }
            let log: &'static Log<'_> = Box::leak(Box::new(log));
            Some(Box::leak(Box::new(All(vec![log, hood]))))
        }
    }
}

/// How a run ended.
struct Over {
    ran: Duration,
    /// Connections that we reset because they were not over in time.
    reset: u64,
    device_gone: bool,
    /// The least exit status.
    status: u8,
}

fn given(config: &TapConfig) -> Given {
    Given {
        slots: config.slots,
        tasks: config.tasks,
    }
}

/// Where lines go and who hears neighbors; how much is said; what ends services; the screen.
type Told<'t> = (
    (&'t Out, &'t Neighborhood),
    Level,
    &'t Stop,
    Option<Arc<Kept>>,
);

/// Serves until it is told to stop, then in order.
fn drive<D: Device + Readable>(
    config: &TapConfig,
    node: Node<'static>,
    ((out, hood), level, services, screen): Told<'_>,
    device: D,
) -> Result<(Over, D), String> {
    let text = |error: std::io::Error| format!("cannot wait for frames: {error}");
    let mut host = HostPlatform::new(device).map_err(text)?;
    host.handle_signals().map_err(text)?;
    host.set_spin(config.spin);
    let stop = host.stop_flag();
    let given = given(config);
    let wants_text = host.flag_on(SIGUSR1).map_err(text)?;
    let mut watch = Watch::new(config.name.clone(), given, wants_text);
    if let Some(kept) = screen {
        watch.on_screen(stop.clone(), kept);
    }
    let by_itself = config.run_for.map(|after| Instant::ZERO + after);
    let mut drain_until = None;
    let mut link_is_up = true;
    let mut status = 0;
    turns(node, |turns| {
        loop {
            let now = host.now();
            if by_itself.is_some_and(|at| now >= at) || out.is_closed() {
                stop.set();
            }
            if stop.is_set() && drain_until.is_none() {
                node.close_listeners();
                services.set();
                drain_until = Some(now + config.drain);
                if level >= Level::Info {
                    draining(node, config.drain, out);
                }
            }
            if host.is_link_up() != link_is_up {
                link_is_up = !link_is_up;
                node.set_link(link_is_up);
            }
            if level >= Level::Warn {
                hood.ask(host.device(), now);
            }
            let turn = turns.turn(host.device(), now);
            let sends = watch.serve(node, out);
            // While it ends, at once: a second signal may end it at any moment.
            let notes_due = host.get_ref().notes_due_at();
            if (notes_due.is_some_and(|at| now >= at) || stop.is_set())
                && let Err(error) = host.device().write_notes()
            {
                status = status.max(capture::lacks(&error));
                // A server that is watched by a program ends with it.
                if error.kind() == ErrorKind::BrokenPipe {
                    stop.set();
                }
            }
            match turn {
                Turn::Done => return,
                _ if drain_until.is_some_and(|at| now >= at) => return node.abort_all(),
                Turn::Ready => (),
                Turn::Idle(_) if sends => (),
                Turn::Idle(deadline) => {
                    out.flush();
                    let ours = if stop.is_set() {
                        drain_until
                    } else {
                        by_itself
                    };
                    let notes = host.get_ref().notes_due_at();
                    let asks = hood.is_due_at().filter(|_| level >= Level::Warn);
                    let all = deadline.into_iter().chain(ours).chain(notes).chain(asks);
                    host.wait(all.min());
                }
            }
        }
    });
    let screen = watch.end();
    // The tasks are gone, and with their listeners what nobody accepted.
    let before = node.counters().frames_out;
    let until = host.now() + GOODBYE;
    turns(node, |turns| {
        loop {
            let now = host.now();
            match turns.turn(&mut Deaf(host.device()), now) {
                Turn::Done => return,
                _ if now >= until => return,
                Turn::Ready => (),
                Turn::Idle(deadline) => host.wait(deadline.map(|at| at.min(until)).or(Some(until))),
            }
        }
    });
    out.flush();
    if let Err(error) = &screen {
        eprintln!("sim: {error}");
        status = status.max(1);
    }
    let over = Over {
        ran: host.now() - Instant::ZERO,
        reset: node.counters().frames_out - before,
        device_gone: host.device_gone(),
        status,
    };
    Ok((over, host.into_device()))
}

/// A device that sends and does not hear: who goes on sending to a connection that was
/// reset would be answered by a second one.
struct Deaf<'d, D>(&'d mut D);

impl<D: Device> Device for Deaf<'_, D> {
    type RxToken<'t>
        = D::RxToken<'t>
    where
        Self: 't;
    type TxToken<'t>
        = D::TxToken<'t>
    where
        Self: 't;

    fn receive(&mut self, _now: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        None
    }

    fn transmit(&mut self, now: Instant) -> Option<Self::TxToken<'_>> {
        self.0.transmit(now)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.0.capabilities()
    }
}

fn finish(
    config: &TapConfig,
    node: Node<'static>,
    over: &Over,
    tap: TapStats,
) -> Result<u8, String> {
    let counters = node.counters();
    let given = given(config);
    let report = Report::new(format!("tap {}", config.name))
        .row_with_note(
            "ran for",
            Value::Nanos(over.ran.total_micros() * 1_000),
            "wall clock",
        )
        .row("connections", counters.accepts)
        .row_if_any("resets", counters.resets, "")
        .row_unless_zero("reset at the end", over.reset)
        .row("slots in use", counters.slots_used);
    let report = host_rows(report, &counters, given)
        .row_unless_zero("segments in", tap.rx_segments)
        .row_unless_zero("segments out", tap.tx_segments)
        .row_unless_zero("frames oversized", tap.rx_oversized)
        .row_unless_zero("frames with a bad checksum", tap.rx_bad_checksum)
        .row_unless_zero("frames refused by the kernel", tap.tx_dropped);
    match capture::is_on_stdout(config.pcap.as_deref()) {
        true => report.show_beside(config.format),
        false => report.show(config.format),
    }
    if over.device_gone {
        eprintln!("sim: the TAP {:?} was taken away", config.name);
        return Ok(1);
    }
    Ok(over.status)
}
