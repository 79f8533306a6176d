//! The sensor and mosquitto, which is restarted in the middle, in a network namespace of the
//! test's own. It needs root; see `sim/tests/netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

#[path = "../../../sim/tests/netns/mod.rs"]
mod netns;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use netns::{Ends, Netns};

const READINGS: u32 = 1000;

/// A folder that is gone afterwards.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Starts mosquitto, which keeps in `folder` what it promised, and waits until it listens.
fn mosquitto(netns: &Netns, folder: &Path) -> Ends {
    let config = folder.join("mosquitto.conf");
    let words = format!(
        "listener 1883 0.0.0.0\nallow_anonymous true\nuser root\nlog_dest stderr\n\
            persistence true\npersistence_location {}/\n",
        folder.display()
    );
    std::fs::write(&config, words).unwrap();
    let mut mosquitto = netns.command("mosquitto");
    mosquitto.arg("-c").arg(config).stderr(Stdio::piped());
    let mut mosquitto = Ends(mosquitto.spawn().unwrap());
    let said = BufReader::new(mosquitto.0.stderr.take().unwrap());
    let mut lines = said.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with("running")), "no broker");
    // Whatever it says later must not block it.
    std::thread::spawn(move || lines.for_each(drop));
    mosquitto
}

/// Somebody hears each of a thousand readings, although the broker was away.
#[test]
fn every_reading_is_heard_although_mosquitto_is_restarted() {
    let Some(netns) = Netns::new(&["mosquitto", "mosquitto_sub"]) else {
        return;
    };
    let folder = format!("cygnet-mosquitto-{}", std::process::id());
    let folder = Folder(std::env::temp_dir().join(folder));
    std::fs::create_dir(&folder.0).unwrap();
    let broker = mosquitto(&netns, &folder.0);
    let mut listener = netns.command("stdbuf");
    // With a session that outlives the broker, and a word when it hears.
    listener.args("-oL mosquitto_sub -c -i listener -q 1 -t swans/seen -d".split(' '));
    let mut listener = Ends(listener.stdout(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(listener.0.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("Subscribed")));

    let mut sensor = netns.command(env!("CARGO_BIN_EXE_mqtt"));
    sensor.args(["192.168.70.1", &READINGS.to_string()]);
    let mut sensor = Ends(sensor.stdout(Stdio::piped()).spawn().unwrap());
    let mut readings = lines.filter_map(|line| line.parse::<u32>().ok());
    let mut heard: BTreeSet<u32> = readings.by_ref().take(300).collect();
    drop(broker);
    let _broker = mosquitto(&netns, &folder.0);
    while heard.len() < READINGS as usize {
        heard.insert(readings.next().expect("a reading"));
    }
    assert!(heard.into_iter().eq(0..READINGS));
    let said = std::io::read_to_string(sensor.0.stdout.take().unwrap()).unwrap();
    assert!(sensor.0.wait().unwrap().success());
    println!("{said}");
    assert!(
        said.contains("again") || said.contains("are told; "),
        "{said}"
    );
    assert!(said.ends_with(&format!("{READINGS} are told\n")), "{said}");
}
