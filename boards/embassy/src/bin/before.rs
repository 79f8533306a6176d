//! It greets on port 5000, echoes on port 7, and is told on port 79 what to do, two clients
//! each at a time. `reading` is what a sensor says, `calls` how often it was called, and after
//! `call PORT` the firmware calls the machine that it was started on.
#![no_std]
#![no_main]

use core::fmt::Write as _;
use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use console as _; // says where it panicked
use embassy_executor::Spawner;
use embassy_net::tcp::TcpSocket;
use embassy_net::{Config, Ipv4Cidr, Runner, Stack as Net, StackResources, StaticConfigV4};
use embassy_time::{Duration, Instant, Ticker, with_timeout};
use embedded_io_async::{Read, Write};
use static_cell::ConstStaticCell;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const HELLO: u16 = 5000;
const ECHO: u16 = 7;
const CONTROL: u16 = 79;

/// Two clients of each port, and a call.
static MEMORY: ConstStaticCell<StackResources<8>> = ConstStaticCell::new(StackResources::new());

/// What the sensor said last, and how often somebody was served.
static READING: AtomicU32 = AtomicU32::new(0);
static CALLS: AtomicU32 = AtomicU32::new(0);

/// Text of at most so many bytes; what is more is cut off.
#[derive(Default)]
struct Line {
    bytes: [u8; 32],
    length: usize,
}

impl Line {
    fn text(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl core::fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            *self.bytes.get_mut(self.length).ok_or(core::fmt::Error)? = byte;
            self.length += 1;
        }
        Ok(())
    }
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, board::Ethernet>) -> ! {
    runner.run().await
}

/// Ten readings a second; a real one would ask its sensor.
#[embassy_executor::task]
async fn sensor() {
    let mut ticks = Ticker::every(Duration::from_millis(100));
    loop {
        ticks.next().await;
        let phase = (Instant::now().as_millis() / 100 % 60) as u32;
        READING.store(1800 + phase.min(60 - phase) * 10, Relaxed);
    }
}

#[embassy_executor::task(pool_size = 6)]
async fn server(net: Net<'static>, port: u16) {
    let (mut rx, mut tx) = ([0; 1024], [0; 1024]);
    loop {
        let mut socket = TcpSocket::new(net, &mut rx, &mut tx);
        if socket.accept(port).await.is_err() {
            continue;
        }
        CALLS.fetch_add(1, Relaxed);
        let _ = match port {
            HELLO => hello(&mut socket).await,
            ECHO => echo(&mut socket).await,
            _ => control(net, &mut socket).await,
        };
        socket.close();
        let _ = socket.flush().await;
    }
}

async fn hello<S: Read + Write>(socket: &mut S) -> Result<(), S::Error> {
    let mut request = [0; 64];
    while socket.read(&mut request).await? > 0 {
        socket.write_all(b"Hello World\n").await?;
    }
    Ok(())
}

async fn echo<S: Read + Write>(socket: &mut S) -> Result<(), S::Error> {
    let mut text = [0; 256];
    loop {
        match socket.read(&mut text).await? {
            0 => return Ok(()),
            count => socket.write_all(&text[..count]).await?,
        }
    }
}

/// One command after the other, each a line.
async fn control<S: Read + Write>(net: Net<'static>, socket: &mut S) -> Result<(), S::Error> {
    let (mut line, mut length) = ([0; 32], 0);
    while length < line.len() {
        let count = socket.read(&mut line[length..]).await?;
        if count == 0 {
            return Ok(());
        }
        length += count;
        while let Some(end) = line[..length].iter().position(|byte| *byte == b'\n') {
            let mut answer = Line::default();
            let _ = match core::str::from_utf8(&line[..end]).unwrap_or("") {
                "reading" => writeln!(answer, "{}", READING.load(Relaxed)),
                "calls" => writeln!(answer, "{}", CALLS.load(Relaxed)),
                words => match words.strip_prefix("call ").map(str::parse) {
                    Some(Ok(port)) => writeln!(answer, "{}", call(net, port).await),
                    _ => writeln!(answer, "what?"),
                },
            };
            socket.write_all(answer.text()).await?;
            line.copy_within(end + 1..length, 0);
            length -= end + 1;
        }
    }
    Ok(())
}

/// Calls the host and tells it the reading; what came of it.
async fn call(net: Net<'static>, port: u16) -> &'static str {
    let (mut rx, mut tx) = ([0; 256], [0; 256]);
    let mut socket = TcpSocket::new(net, &mut rx, &mut tx);
    let told = async {
        let Ok(()) = socket.connect((HOST, port)).await else {
            return "nobody is there";
        };
        let mut reading = Line::default();
        let _ = writeln!(reading, "reading {}", READING.load(Relaxed));
        let told = socket.write_all(reading.text()).await;
        socket.close();
        let _ = socket.flush().await;
        if told.is_ok() { "told" } else { "cut off" }
    };
    let told = with_timeout(Duration::from_secs(5), told).await;
    told.unwrap_or("nobody answers")
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let device = board::start();
    let config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(ADDRESS, 24),
        gateway: None,
        dns_servers: Default::default(),
    });
    let (net, runner) = embassy_net::new(device, config, MEMORY.take(), board::seed());
    spawner.spawn(network(runner).unwrap());
    spawner.spawn(sensor().unwrap());
    for port in [HELLO, ECHO, CONTROL] {
        for _ in 0..2 {
            spawner.spawn(server(net, port).unwrap());
        }
    }
}
