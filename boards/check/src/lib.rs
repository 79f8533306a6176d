//! A board in QEMU, for tests: booted by `boards/run`, stopped when dropped, and
//! the network namespace in which its TAP interface lives.
//!
//! Not every machine can do that. Then a test is skipped and says why; with
//! `CYGNET_REQUIRE_ALL=1`, as in CI, it fails instead.

pub mod client;
mod dnsmasq;
pub mod flood;
mod netns;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub use dnsmasq::Dnsmasq;
pub use netns::Netns;
use rustix::process::{Pid, Signal, kill_process};

/// The boards, and the first of them in RTIC.
pub const BOARDS: [&str; 4] = [
    "lm3s6965evb",
    "mps2-an385",
    "riscv-virt",
    "rtic-lm3s6965evb",
];

/// Enough for any step on a slow machine; reached only when something is wrong.
pub const LONG: Duration = Duration::from_secs(150);

/// Says that the calling test does nothing here, or fails if that is forbidden.
pub fn skip(why: &str) {
    let all = std::env::var_os("CYGNET_REQUIRE_ALL").is_some_and(|value| value == "1");
    assert!(!all, "CYGNET_REQUIRE_ALL=1, and {why}");
    // Not `eprintln!`, which the test runner keeps to itself.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Whether a program is there; if not, the test is skipped.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    if !found {
        skip(&format!("it needs the program {program}"));
    }
    found
}

/// Whether the boards can be booted; if not, the test is skipped.
pub fn has_qemu() -> bool {
    has("qemu-system-arm") && has("qemu-system-riscv32")
}

/// The first of four ports in a row that are free.
pub fn four_ports() -> u16 {
    let free = |port: &u16| {
        (0..4).all(|more| std::net::TcpListener::bind(("127.0.0.1", port + more)).is_ok())
    };
    let first = 20_000 + (std::process::id() % 1000 * 10) as u16;
    (first..).step_by(4).find(free).expect("four free ports")
}

/// The script that boots boards.
fn run() -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = here.with_file_name("run");
    run.to_str().expect("a path in UTF-8").to_owned()
}

/// A board that runs.
pub struct Board {
    /// QEMU: `boards/run` becomes it.
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Board {
    /// Boots a board whose hello, echo and report are at `port` of the loopback
    /// and the next two.
    pub fn on_port(name: &str, port: u16) -> Board {
        Board::boot(Command::new(run()).args([name, "--port", &port.to_string()]))
    }

    /// The same with more words for QEMU's user network.
    pub fn on_user(name: &str, port: u16, user: &str) -> Board {
        let port = port.to_string();
        Board::boot(Command::new(run()).args([name, "--port", &port, "--user", user]))
    }

    /// Boots a board on the TAP interface of a namespace.
    pub fn on_tap(name: &str, netns: &Netns) -> Board {
        Board::boot(netns.command(&run()).args([name, "--tap", netns::TAP]))
    }

    fn boot(command: &mut Command) -> Board {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("boards/run");
        let said = Arc::new(Mutex::new(String::new()));
        listen(child.stdout.take().expect("piped"), &said);
        listen(child.stderr.take().expect("piped"), &said);
        let mut board = Board { child, said };
        let start = Instant::now();
        while board.address().is_none() {
            let ended = board.child.try_wait().expect("our child");
            assert!(ended.is_none(), "it ended: {}", board.said());
            assert!(start.elapsed() < 2 * LONG, "no boot: {}", board.said());
            thread::sleep(Duration::from_millis(5));
        }
        board
    }

    /// The last address that it said it has.
    pub fn address(&self) -> Option<String> {
        let said = self.said();
        let mut addresses = said.lines().filter_map(|line| {
            let cidr = line.strip_prefix("the address is ")?;
            Some(cidr.split_once('/')?.0.to_owned())
        });
        addresses.next_back()
    }

    /// Waits until it has another address than this one.
    pub fn moves_from(&self, address: &str) -> String {
        let start = Instant::now();
        loop {
            if let Some(other) = self.address().filter(|other| other != address) {
                return other;
            }
            assert!(start.elapsed() < LONG, "it stays at {address}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it has written this.
    pub fn says(&self, words: &str) {
        let start = Instant::now();
        while !self.said().contains(words) {
            assert!(start.elapsed() < LONG, "not said: {words}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Everything it wrote so far.
    pub fn said(&self) -> String {
        self.said.lock().expect("no panic in a reader").clone()
    }

    /// Processor time of the emulator so far.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("it runs");
        // After the name, which is in parentheses: utime and stime are the
        // twelfth and thirteenth, in hundredths of a second.
        let fields = stat.rsplit(')').next().expect("a name");
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks
            .map(|field| field.parse::<u64>().expect("a number"))
            .sum();
        Duration::from_millis(10 * ticks)
    }

    /// Ctrl-C; how it ended.
    pub fn stop(mut self) -> ExitStatus {
        let pid = Pid::from_raw(self.child.id() as i32).expect("not 0");
        kill_process(pid, Signal::INT).expect("it runs");
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status;
            }
            assert!(start.elapsed() < LONG, "Ctrl-C does not stop it");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(mut from: impl Read + Send + 'static, said: &Arc<Mutex<String>>) {
    let said = Arc::clone(said);
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            let words = String::from_utf8_lossy(&chunk[..count]);
            said.lock().expect("no panic in a reader").push_str(&words);
        }
    });
}
