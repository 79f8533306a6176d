//! `sim tap --pcap` is live: another program sees frames as they pass, a process that is
//! killed leaves a file that opens and lacks no more than the last moment, and a disk that
//! is full is said once and in the exit status, while everybody is served. They need root;
//! see `netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

mod folder;
mod netns;

use std::process::Stdio;
use std::time::{Duration, Instant};

use folder::Folder;
use netns::{LONG, Netns, Sim, V4, connect, echo, frames_in, no_tap_is_left, text};
use rustix::process::Signal;

const SIM: &str = env!("CARGO_BIN_EXE_sim");

#[test]
fn another_program_sees_frames_as_they_pass() {
    let Some(netns) = Netns::new(&["tshark", "ping", "sh"]) else {
        return;
    };
    let line = format!("timeout 30 {SIM} tap --create --pcap - | tshark -l -r - -c 20");
    let start = Instant::now();
    let mut shell = netns.command("sh");
    shell.args(["-c", &line]).stdin(Stdio::null());
    shell.stdout(Stdio::piped()).stderr(Stdio::piped());
    let watcher = shell.spawn().unwrap();
    let ping = ["-i", "0.2", "-W", "1", "-c", "1", V4];
    let (mut watcher, mut answers) = (Some(watcher), 0);
    while watcher.as_mut().unwrap().try_wait().unwrap().is_none() {
        assert!(start.elapsed() < LONG, "nobody sees frames");
        let done = netns.command("ping").args(ping).output().unwrap();
        answers += u32::from(done.status.success());
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = watcher.take().unwrap().wait_with_output().unwrap();
    let (seen, said) = (text(&output), String::from_utf8_lossy(&output.stderr));
    assert_eq!(seen.lines().count(), 20, "{seen}{said}");
    assert!(seen.contains("Echo (ping) reply"), "{seen}");
    assert!(answers > 0 && !said.contains("incomplete"), "{said}");
    // What it says is beside the frames; and it ended because nobody looks any more.
    assert!(said.contains("cygnet on cyg0"), "{said}");
    let ended = start.elapsed();
    assert!(
        ended < Duration::from_secs(30),
        "only `timeout` ended it: {ended:?}"
    );
    no_tap_is_left(&netns);
}

#[test]
fn a_capture_of_who_is_killed_opens_and_lacks_only_the_last_moment() {
    let Some(netns) = Netns::new(&["tshark"]) else {
        return;
    };
    let folder = Folder::new("pcap-killed");
    let path = folder.0.join("run.pcapng");
    let mut sim = Sim::start(&netns, &format!("--pcap {}", path.display()));
    let payloads = |path| {
        let frames = frames_in(path);
        let holds = |word: &[u8]| {
            frames
                .iter()
                .any(|frame| frame.windows(4).any(|it| it == word))
        };
        (holds(b"swan"), holds(b"last"))
    };
    netns.inside(|| {
        let mut stream = connect(V4, 7).unwrap();
        echo(&mut stream, b"swan").unwrap();
        // In silence it is written; nobody stops anything.
        let start = Instant::now();
        while !payloads(&path).0 {
            assert!(start.elapsed() < Duration::from_secs(20), "it is not live");
            std::thread::sleep(Duration::from_millis(20));
        }
        for _ in 0..200 {
            echo(&mut stream, b"more").unwrap();
        }
        echo(&mut stream, b"last").unwrap();
        // Nothing comes that would wake it.
        std::thread::sleep(Duration::from_millis(300));
        sim.signal(Signal::KILL);
        sim.end(Duration::from_secs(20));
    });
    assert_eq!(payloads(&path), (true, true));
    let read = netns.does(&format!("tshark -r {}", path.display()));
    assert!(read.lines().count() > 400, "{read}");
    no_tap_is_left(&netns);
}

#[test]
fn the_first_signal_writes_everything() {
    let Some(netns) = Netns::new(&[]) else { return };
    let folder = Folder::new("pcap-signal");
    let path = folder.0.join("run.pcapng");
    let words = format!("--drain 1000s --pcap {}", path.display());
    let mut sim = Sim::start(&netns, &words);
    netns.inside(|| {
        let mut stream = connect(V4, 7).unwrap();
        echo(&mut stream, b"stay").unwrap();
        sim.signal(Signal::TERM);
        while connect(V4, 7).is_ok() {} // it has arrived
        echo(&mut stream, b"swan").unwrap();
        // The turn that answered is over soon, and with it everything is in the file, long
        // before a tenth of a second of silence.
        std::thread::sleep(Duration::from_millis(30));
        sim.signal(Signal::TERM);
        assert_eq!(sim.end(Duration::from_secs(20)).code(), Some(143));
    });
    let frames = frames_in(&path);
    let has_swan = |frame: &&Vec<u8>| frame.windows(4).any(|it| it == b"swan");
    let swans = frames.iter().filter(has_swan).count();
    assert_eq!(swans, 2, "of {} frames: {frames:02x?}", frames.len());
    no_tap_is_left(&netns);
}

#[test]
fn a_full_disk_is_said_once_and_everybody_is_served() {
    let Some(netns) = Netns::new(&[]) else { return };
    let mut sim = Sim::start(&netns, "--pcap /dev/full");
    let complaint = "sim: error: the capture is incomplete: No space left on device";
    netns.inside(|| {
        let start = Instant::now();
        while !sim.stderr().contains(complaint) {
            assert!(start.elapsed() < Duration::from_secs(20), "it is not said");
            std::thread::sleep(Duration::from_millis(20));
        }
        echo(&mut connect(V4, 7).unwrap(), b"swan").unwrap();
    });
    sim.signal(Signal::INT);
    let status = sim.end(Duration::from_secs(20));
    assert_eq!(status.code(), Some(1));
    assert_eq!(sim.stderr().matches("incomplete").count(), 1);
    assert!(sim.stdout().contains("tap cyg0\n"), "the table is there");
    no_tap_is_left(&netns);
}
