//! embassy-net on embassy-executor: a task per connection, each of which
//! accepts, serves and begins again, as embassy-net's own examples do it.
//!
//! embassy wants three things from its board, and here they are as cheap as
//! they can be: a flag that says there is something to poll, a clock with one
//! alarm (only the network's task ever sets it), and a driver that hands frames
//! through.

use std::cell::Cell;
use std::task::{Context, Waker};

use embassy_executor::raw::{Executor, TaskStorage};
use embassy_net::driver::{self, Capabilities, Driver, HardwareAddress, LinkState};
use embassy_net::tcp::TcpSocket;
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use smoltcp::time::Instant;

use contest::host::Host;
use contest::link::{End, MTU, Receive, Send};
use contest::plan::{Plan, Service};
use contest::{CHUNK, REQUEST};

/// What embassy reaches through statics.
struct Board {
    pending: Cell<bool>,
    now: Cell<u64>,
    alarm: Cell<u64>,
    alarm_waker: Cell<Option<Waker>>,
    frame_waker: Cell<Option<Waker>>,
}

// SAFETY: this program has one thread.
unsafe impl Sync for Board {}

embassy_time_driver::time_driver_impl!(static BOARD: Board = Board {
    pending: Cell::new(false),
    now: Cell::new(0),
    alarm: Cell::new(u64::MAX),
    alarm_waker: Cell::new(None),
    frame_waker: Cell::new(None),
});

#[unsafe(export_name = "__pender")]
fn pender(_: *mut ()) {
    BOARD.pending.set(true);
}

impl embassy_time_driver::Driver for Board {
    fn now(&self) -> u64 {
        self.now.get()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        if at <= self.now.get() {
            waker.wake_by_ref();
        } else if at < self.alarm.get() {
            self.alarm.set(at);
            self.alarm_waker.set(Some(waker.clone()));
        }
    }
}

struct Wire(End);

struct Rx<'e>(Receive<'e>);

struct Tx<'e>(Send<'e>);

impl driver::RxToken for Rx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        self.0.take(f)
    }
}

impl driver::TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.0.fill(len, f)
    }
}

impl Driver for Wire {
    type RxToken<'a> = Rx<'a>;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, cx: &mut Context) -> Option<(Rx<'_>, Tx<'_>)> {
        let tokens = self.0.tokens();
        if tokens.is_none() {
            BOARD.frame_waker.set(Some(cx.waker().clone()));
        }
        tokens.map(|(rx, tx)| (Rx(rx), Tx(tx)))
    }

    fn transmit(&mut self, _: &mut Context) -> Option<Tx<'_>> {
        Some(Tx(self.0.sender()))
    }

    fn link_state(&mut self, _: &mut Context) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MTU;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet([2, 0, 0, 0, 0, 1])
    }
}

pub struct Embassy {
    executor: &'static Executor,
}

/// How many sockets is part of a type: a stack for exactly as many as are
/// asked for, when it is one of the usual numbers, or else for a few more.
macro_rules! stack_of_at_least {
    ($count:expr, $driver:expr, $config:expr; $($size:literal)*) => {
        match $count {
            $(0..=$size => {
                let resources = Box::leak(Box::new(StackResources::<$size>::new()));
                embassy_net::new($driver, $config, resources, 1)
            })*
            _ => panic!("at most 8,192 connections with embassy"),
        }
    };
}

impl Embassy {
    pub fn new(plan: Plan, end: &End) -> Self {
        let config = Config::ipv4_static(StaticConfigV4 {
            address: Ipv4Cidr::new(Ipv4Address::new(10, 0, 0, 1), 24),
            gateway: None,
            dns_servers: Default::default(),
        });
        let (stack, runner) = stack_of_at_least!(
            plan.connections, Wire(end.clone()), config;
            1 8 64 256 512 1024 2048 4096 8192
        );
        let executor: &'static Executor = Box::leak(Box::new(Executor::new(std::ptr::null_mut())));
        spawn(executor, || net(runner));
        for _ in 0..plan.connections {
            let buffer = || vec![0; plan.buffer].leak();
            match plan.service() {
                Service::Echo => spawn(executor, || echo(stack, buffer(), buffer())),
                Service::Source => spawn(executor, || source(stack, buffer(), buffer())),
                Service::Sink => spawn(executor, || sink(stack, buffer(), buffer())),
            }
        }
        Embassy { executor }
    }
}

fn spawn<F: Future + 'static>(executor: &'static Executor, future: impl FnOnce() -> F) {
    let storage: &'static TaskStorage<F> = Box::leak(Box::new(TaskStorage::new()));
    let token = storage.spawn(future).expect("a new task");
    executor.spawner().spawn(token);
}

async fn net(mut runner: Runner<'static, Wire>) {
    runner.run().await
}

type Buffer = &'static mut [u8];

async fn echo(stack: Stack<'static>, rx: Buffer, tx: Buffer) {
    loop {
        let mut socket = TcpSocket::new(stack, rx, tx);
        if socket.accept(7).await.is_err() {
            continue;
        }
        let mut chunk = [0; REQUEST];
        while let Ok(count @ 1..) = socket.read(&mut chunk).await {
            if write_all(&mut socket, &chunk[..count]).await.is_err() {
                break;
            }
        }
        socket.close();
        let _ = socket.flush().await;
    }
}

async fn source(stack: Stack<'static>, rx: Buffer, tx: Buffer) {
    let mut socket = TcpSocket::new(stack, rx, tx);
    socket.accept(7).await.expect("a client");
    while write_all(&mut socket, &[b'x'; CHUNK]).await.is_ok() {}
}

async fn sink(stack: Stack<'static>, rx: Buffer, tx: Buffer) {
    let mut socket = TcpSocket::new(stack, rx, tx);
    socket.accept(7).await.expect("a client");
    let mut chunk = [0; CHUNK];
    while let Ok(1..) = socket.read(&mut chunk).await {}
}

async fn write_all(
    socket: &mut TcpSocket<'_>,
    mut bytes: &[u8],
) -> Result<(), embassy_net::tcp::Error> {
    while !bytes.is_empty() {
        let count = socket.write(bytes).await?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// What a connection needs beyond its buffers: its place in the stack and its
/// task.
pub fn connection_bytes() -> usize {
    fn task<F: Future + 'static>(_: fn(Stack<'static>, Buffer, Buffer) -> F) -> usize {
        size_of::<TaskStorage<F>>()
    }
    size_of::<StackResources<2>>() - size_of::<StackResources<1>>() + task(echo)
}

impl Host for Embassy {
    fn turn(&mut self, end: &mut End, now: Instant) -> Option<Instant> {
        let micros = now.total_micros() as u64;
        BOARD.now.set(micros);
        if BOARD.alarm.get() <= micros {
            BOARD.alarm.set(u64::MAX);
            wake(&BOARD.alarm_waker);
        }
        if end.has_frame() {
            wake(&BOARD.frame_waker);
        }
        while BOARD.pending.replace(false) {
            // SAFETY: only here, and no task calls a turn.
            unsafe { self.executor.poll() }
        }
        match BOARD.alarm.get() {
            u64::MAX => None,
            alarm => Some(Instant::from_micros(alarm as i64)),
        }
    }
}

fn wake(waker: &Cell<Option<Waker>>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
