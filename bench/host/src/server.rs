//! The servers that are measured, each a process of its own: `sim tap` with and
//! without offload, the lesson on kernel sockets, embassy-net on its own TAP
//! driver, and a mirror, which is none but bounds them. Only one thing is asked of
//! them: to send back what they receive.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cygnet_sim::tap::TX_QUEUE;
use rustix::process::{Pid, Signal, kill_process};

use crate::place::ip;

/// The lesson's server, as it is in the repository; written to where Python can
/// read it.
const LESSON: &str = include_str!("../../lesson.py");
/// The other programs, from the repository's root, and what builds them.
const SIM: (&str, &str) = ("target/release/sim", "cargo build --release -p cygnet-sim");
const EMBASSY: (&str, &str) = (
    "bench/embassy-tap/target/release/embassy-tap",
    "cargo build --release --manifest-path bench/embassy-tap/Cargo.toml",
);
/// How long a server may take to end.
const GOODBYE: Duration = Duration::from_secs(10);

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// `sim tap`.
    Cygnet,
    /// `sim tap --offload off`.
    Plain,
    /// Python, `select`, kernel sockets, over the loopback.
    Lesson,
    /// `bench/embassy-tap`.
    Embassy,
    /// The least that a server on a TAP can do (`mirror.rs`).
    Mirror,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Server::Cygnet => "cygnet",
            Server::Plain => "offload off",
            Server::Lesson => "lesson.py",
            Server::Embassy => "embassy-net",
            Server::Mirror => "mirror",
        })
    }
}

impl Server {
    /// What is missing to measure it beside our own, and what to do about that.
    pub fn missing(self) -> Option<String> {
        match self {
            Server::Cygnet | Server::Plain | Server::Mirror => None,
            Server::Lesson => python().is_none().then(|| "install python3".into()),
            Server::Embassy => built(EMBASSY).err(),
        }
    }

    /// Where it answers.
    pub fn address(self, port: u16) -> SocketAddr {
        let ip = match self {
            Server::Cygnet => [192, 168, 69, 2],
            Server::Plain => [192, 168, 70, 2],
            Server::Lesson => [127, 0, 0, 1],
            Server::Embassy => [192, 168, 73, 2],
            Server::Mirror => [192, 168, 74, 2],
        };
        SocketAddr::new(ip.into(), port)
    }

    fn command(self, size: Size) -> Result<Command, String> {
        match self {
            Server::Cygnet => sim(size, "cyg0", "192.168.69.2/24", "on"),
            Server::Plain => sim(size, "cyg1", "192.168.70.2/24", "off"),
            Server::Lesson => {
                let mut python = Command::new("python3");
                python.args(["-c", LESSON, "127.0.0.1", "7"]);
                Ok(python)
            }
            Server::Embassy => {
                ip(&["tuntap", "add", "dev", "cyg2", "mode", "tap"])?;
                ip(&["addr", "add", "192.168.73.1/24", "dev", "cyg2"])?;
                // As long a queue as `sim tap --create` gives its own.
                let queue = TX_QUEUE.to_string();
                ip(&["link", "set", "cyg2", "txqueuelen", &queue, "up"])?;
                let program = built(EMBASSY)?;
                let mut embassy = Command::new(program);
                embassy.args(["cyg2", &size.clients.to_string()]);
                Ok(embassy)
            }
            Server::Mirror => {
                let mut mirror = Command::new(this()?);
                mirror.args(["mirror", "cyg3", "192.168.74.1/24"]);
                Ok(mirror)
            }
        }
    }
}

/// What a server is made for.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Connections at a time.
    pub clients: usize,
    /// Bytes of buffer for each, in each direction.
    pub buffer: usize,
}

fn sim(size: Size, name: &str, address: &str, offload: &str) -> Result<Command, String> {
    let mut sim = Command::new(built(SIM)?);
    // A few slots more for connections that are closing.
    let slots = size.clients + 64;
    let (slots, backlog) = (slots.to_string(), slots.min(256).to_string());
    let bytes = size.buffer.to_string();
    sim.args(["tap", "--create", "--name", name, "--ip", address])
        .args([
            "--offload",
            offload,
            "--slots",
            &slots,
            "--backlog",
            &backlog,
        ])
        .args(["--rx", &bytes, "--tx", &bytes, "--log", "off"])
        .args(["--serve", "echo:7", "discard:9", "chargen:19"])
        .args(["--format", "json", "--drain", "0"]);
    Ok(sim)
}

fn this() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("where is this program? {error}"))
}

/// Where a program of the repository is: from this one's folder up, or in the
/// folder that it was started in.
fn built((path, make): (&str, &str)) -> Result<PathBuf, String> {
    // bench/target/release/host
    let root = this()?.ancestors().nth(4).map(PathBuf::from);
    let places = [root, std::env::current_dir().ok()];
    let mut programs = places.into_iter().flatten().map(|place| place.join(path));
    let program = programs.find(|program| program.is_file());
    program.ok_or_else(|| format!("{path} is not there; say: {make}"))
}

/// Python's version, if it is here.
pub fn python() -> Option<String> {
    let output = Command::new("python3").arg("--version").output().ok()?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(version)
}

/// A server that runs. Dropping it ends it.
pub struct Running {
    /// Which.
    pub server: Server,
    child: Child,
}

impl Running {
    /// Starts it and waits until it says that it is ready.
    ///
    /// # Errors
    /// One line: what is missing, or what the server said.
    pub fn start(server: Server, size: Size) -> Result<Running, String> {
        let mut command = server.command(size)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let is_sim = matches!(server, Server::Cygnet | Server::Plain);
        if is_sim {
            command.stderr(Stdio::piped());
        }
        let child = command.spawn();
        let child = child.map_err(|error| format!("cannot start {server}: {error}"))?;
        let mut running = Running { server, child };
        // `sim` keeps its standard output for the table.
        let ready = match is_sim {
            true => heard(running.child.stderr.as_mut(), "Ctrl-C stops."),
            false => heard(running.child.stdout.as_mut(), ""),
        };
        ready.map_err(|said| format!("{server} did not start: {}", said.trim()))?;
        Ok(running)
    }

    /// How much processor it used so far.
    pub fn processor(&self) -> Option<Duration> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()?;
        // Nanoseconds come first; utime and stime only have hundredths of a second.
        let nanos = threads.flatten().map(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        });
        Some(Duration::from_nanos(nanos.sum::<Option<u64>>()?))
    }

    /// Ends it, and returns its table.
    ///
    /// # Errors
    /// One line: how it ended instead.
    pub fn finish(mut self) -> Result<serde_json::Value, String> {
        let server = self.server;
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            let _ = kill_process(pid, Signal::INT);
        }
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if start.elapsed() < GOODBYE => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                _ => return Err(format!("{server} does not end")),
            }
        };
        if !matches!(server, Server::Cygnet | Server::Plain) {
            return Ok(serde_json::Value::Null);
        }
        let mut table = String::new();
        if let Some(stdout) = &mut self.child.stdout {
            let _ = stdout.read_to_string(&mut table);
        }
        match serde_json::from_str(&table) {
            Ok(table) if status.success() => Ok(table),
            _ => Err(format!("{server} ended with {status}")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if self.server == Server::Embassy {
            let _ = ip(&["link", "del", "cyg2"]);
        }
    }
}

/// Reads lines until one has this text. What was said instead is the error.
fn heard(from: Option<&mut impl Read>, text: &str) -> Result<(), String> {
    let mut said = String::new();
    let Some(from) = from else { return Err(said) };
    let mut lines = BufReader::new(from);
    loop {
        let mut line = String::new();
        match lines.read_line(&mut line) {
            Ok(1..) if line.contains(text) => return Ok(()),
            Ok(1..) => said.push_str(&line),
            _ => return Err(said),
        }
    }
}
