//! A network namespace of its own for a test: made with a unique name, removed
//! at the end, so that tests neither see each other nor this machine's network.
//!
//! Not every machine lets a test do that. Then the test is skipped and says why,
//! past the test runner's capture; with `CYGNET_REQUIRE_ALL=1`, as in CI, it
//! fails instead.
#![allow(dead_code)]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Whether this run may not skip anything.
pub fn require_all() -> bool {
    std::env::var_os("CYGNET_REQUIRE_ALL").is_some_and(|value| value == "1")
}

/// Says that the calling test does nothing here, or fails if that is forbidden.
pub fn skip(why: &str) {
    assert!(!require_all(), "CYGNET_REQUIRE_ALL=1, and {why}");
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    // Not `eprintln!`, which the test runner keeps to itself.
    let _ = writeln!(std::io::stderr(), "skipped {name}: {why}");
}

/// A program that ends with the test.
pub struct Ends(pub Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // Not at once: `timeout`, under which it runs, must take it along.
        let pid = Pid::from_raw(self.0.id() as i32).unwrap();
        let _ = kill_process(pid, Signal::TERM);
        let _ = self.0.wait();
    }
}

/// A namespace with `lo` up.
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes one. `None`, after [`skip`], where that is impossible or one of
    /// the programs that the test needs is missing.
    pub fn new(programs: &[&str]) -> Option<Netns> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let skip = |why: &str| {
            skip(why);
            None
        };
        if !rustix::process::geteuid().is_root() {
            return skip("it needs root to make a network namespace");
        }
        if let Err(error) = File::options().write(true).read(true).open("/dev/net/tun") {
            return skip(&format!("it needs /dev/net/tun: {error}"));
        }
        for program in ["ip", "timeout"].iter().chain(programs) {
            let found = std::env::var_os("PATH").is_some_and(|path| {
                std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
            });
            if !found {
                return skip(&format!("it needs the program {program}"));
            }
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("cygnet-{}-{number}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).output();
        match made {
            Ok(output) if output.status.success() => {}
            other => return skip(&format!("it cannot make a network namespace: {other:?}")),
        }
        let netns = Netns { name };
        let up = netns
            .command("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        assert!(up.unwrap().success());
        Some(netns)
    }

    /// The same for a test that waits long, for other programs' timers or for many streams:
    /// so many seconds. It runs where every test must, and is skipped elsewhere, so that all
    /// of them are done in minutes.
    pub fn patient(programs: &[&str], seconds: u32) -> Option<Netns> {
        if !require_all() {
            let why = "CYGNET_REQUIRE_ALL=1 runs it, as CI does";
            skip(&format!("it takes {seconds} seconds; {why}"));
            return None;
        }
        Netns::new(programs)
    }

    /// A program in the namespace. It is ended after a minute.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]);
        command.args(["timeout", "-k", "1", "60", program]);
        command
    }

    /// Its name, for programs that connect it with another one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a program with these words in the namespace and gives what it prints; it
    /// must succeed.
    pub fn does(&self, line: &str) -> String {
        let mut words = line.split_whitespace();
        let mut command = self.command(words.next().unwrap());
        let done = command.args(words).output().unwrap();
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{line}: {errors}");
        text(&done)
    }

    /// What its kernel has counted under this name, such as `IcmpInDestUnreachs`.
    pub fn counted(&self, name: &str) -> u64 {
        let lines = self.does(&format!("nstat -asz {name}"));
        let mut words = lines.split_whitespace().skip_while(|word| *word != name);
        words.nth(1).map_or(0, |count| count.parse().unwrap())
    }

    /// Runs `f` on a thread in the namespace; what that thread starts is in it
    /// too.
    pub fn inside<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        let file = File::open(format!("/var/run/netns/{}", self.name)).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(file.as_fd(), kind).unwrap();
                f()
            });
            let ended = thread.join();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .status();
    }
}

/// What a program wrote, as text.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A `sim` that runs in a namespace until it is told to stop, or the test ends.
pub struct Sim {
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Sim {
    /// Starts `sim tap --create` and waits until it serves.
    pub fn start(netns: &Netns, words: &str) -> Sim {
        Sim::start_under(netns, "", words)
    }

    /// The same under another program, which becomes `sim`.
    pub fn start_under(netns: &Netns, program: &str, words: &str) -> Sim {
        Sim::spawn_under(netns, program, &format!("tap --create {words}")).serving()
    }

    /// Waits until it serves.
    pub fn serving(self) -> Sim {
        let sim = self;
        let start = Instant::now();
        while !(sim.stdout().contains("Ctrl-C stops") || sim.stderr().contains("Ctrl-C stops")) {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "sim does not start: {}",
                sim.stderr()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        sim
    }

    /// Starts `sim` with these words. `ip netns exec` becomes the program it
    /// runs, so the child is `sim` itself. `CYGNET_SIM` names another build of
    /// it, to compare with.
    pub fn spawn(netns: &Netns, words: &str) -> Sim {
        Sim::spawn_under(netns, "", words)
    }

    fn spawn_under(netns: &Netns, program: &str, words: &str) -> Sim {
        let sim = std::env::var_os("CYGNET_SIM");
        let sim = sim.unwrap_or_else(|| option_env!("CARGO_BIN_EXE_sim").unwrap_or("sim").into());
        let mut child = Command::new("ip")
            .args(["netns", "exec", &netns.name])
            .args(program.split_whitespace())
            .arg(sim)
            .args(words.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let readers = vec![
            reader(child.stdout.take().unwrap(), &stdout),
            reader(child.stderr.take().unwrap(), &stderr),
        ];
        Sim {
            child,
            stdout,
            stderr,
            readers,
        }
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for the end, at most this long.
    pub fn end(&mut self, within: Duration) -> ExitStatus {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                start.elapsed() < within,
                "sim does not end: {}",
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        status
    }

    /// Ctrl-C, and the table as JSON.
    pub fn finish(mut self) -> serde_json::Value {
        self.signal(Signal::INT);
        let status = self.end(Duration::from_secs(30));
        assert!(status.success(), "{status}: {}", self.stderr());
        serde_json::from_str(&self.stdout()).expect("the table is JSON")
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let ended = self.child.try_wait();
            eprintln!("sim ended: {ended:?}; it said: {}", self.stderr());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn reader(mut from: impl Read + Send + 'static, to: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let to = Arc::clone(to);
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            let text = String::from_utf8_lossy(&chunk[..count]);
            to.lock().unwrap().push_str(&text);
        }
    })
}

/// Our addresses in these tests.
pub const V4: &str = "192.168.69.2";
pub const V6: &str = "fd69::2";
/// Enough for any step on a slow machine; reached only when something is wrong.
pub const LONG: Duration = Duration::from_secs(100);

/// A connection whose every step must end in time.
pub fn connect(ip: &str, port: u16) -> std::io::Result<TcpStream> {
    let address = SocketAddr::new(ip.parse().unwrap(), port);
    patient(TcpStream::connect_timeout(&address, LONG)?)
}

/// As [`connect`], and the kernel never offers more than about so many bytes: what is
/// set later would take back what a SYN has offered.
pub fn connect_narrow(ip: &str, port: u16, bytes: usize) -> std::io::Result<TcpStream> {
    let address = SocketAddr::new(ip.parse().unwrap(), port);
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, bytes)?;
    rustix::net::connect(&socket, &address)?;
    patient(socket.into())
}

/// Every step must end in time, and leaves at once.
fn patient(stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_read_timeout(Some(LONG))?;
    stream.set_write_timeout(Some(LONG))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One message there and back.
pub fn echo(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    stream.write_all(message)?;
    let mut answer = vec![0; message.len()];
    stream.read_exact(&mut answer)?;
    assert_eq!(answer, message);
    Ok(())
}

/// The frames of a capture.
pub fn frames_in(path: &std::path::Path) -> Vec<Vec<u8>> {
    use pcap_file::pcapng::{Block, PcapNgReader};
    let mut reader = PcapNgReader::new(File::open(path).unwrap()).unwrap();
    let mut frames = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block.unwrap() {
            frames.push(packet.data.to_vec());
        }
    }
    frames
}

/// How many frames a capture holds, and the ports, source first, of each RST segment of
/// IPv4 among them.
pub fn resets_in(path: &std::path::Path) -> (usize, Vec<(u16, u16)>) {
    let (frames, mut resets) = (frames_in(path), Vec::new());
    for bytes in &frames {
        // Ethernet 14, IPv4 20 without options, TCP flags at 13.
        let tcp = bytes.get(12..14) == Some(&[8, 0]) && bytes.get(23) == Some(&6);
        if tcp && bytes[47] & 4 != 0 {
            let port = |at| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            resets.push((port(34), port(36)));
        }
    }
    (frames.len(), resets)
}

/// `cyg0` went with its `sim`.
pub fn no_tap_is_left(netns: &Netns) {
    let links = text(&netns.command("ip").args(["link"]).output().unwrap());
    assert!(!links.contains("cyg0"), "{links}");
}
