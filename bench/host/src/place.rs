//! Where a TAP is measured: a network namespace of its own, with nothing in it
//! but a loopback, so that neither this machine's traffic nor its firewall is
//! part of the figures. The thread that asks for it moves in, and what it starts
//! is in it too. The namespace has no name any more once it is entered: it goes
//! with the last process in it, however that one ends.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// What is set for the namespace: ports for many short connections, and no
/// chatter of IPv6.
const SETTINGS: [(&str, &str); 2] = [
    ("ipv4/ip_local_port_range", "1024 65535"),
    ("ipv6/conf/all/disable_ipv6", "1"),
];

/// Moves this thread into a new network namespace.
///
/// # Errors
/// One line: what is missing, and what to do.
pub fn enter() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        let program = std::env::args().next().unwrap_or("bench".into());
        return Err(format!(
            "tap makes a network namespace and needs root for it; say: sudo {program} tap"
        ));
    }
    File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .map_err(|error| {
            format!("there is no TAP driver (/dev/net/tun: {error}); load it: sudo modprobe tun")
        })?;
    let name = format!("cygnet-bench-{}", std::process::id());
    ip(&["netns", "add", &name])?;
    let path = Path::new("/var/run/netns").join(&name);
    let moved = File::open(path).and_then(|file| {
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(file.as_fd(), kind).map_err(Into::into)
    });
    ip(&["netns", "del", &name])?;
    moved.map_err(|error| format!("cannot enter a network namespace: {error}"))?;
    ip(&["link", "set", "lo", "up"])?;
    for (setting, value) in SETTINGS {
        // A kernel may lack one of these; that changes the figures little.
        let _ = std::fs::write(format!("/proc/sys/net/{setting}"), value);
    }
    Ok(())
}

/// Runs `ip` with these words.
///
/// # Errors
/// One line: that it is not installed, or what it said.
pub fn ip(words: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(words).output();
    let output = output.map_err(|error| format!("cannot run ip ({error}); install iproute2"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "ip {}: {}",
            words.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

/// Asks for leave to open `count` files, and returns how many may be.
pub fn allow_files(count: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: Some(current.map_or(count, |now| now.max(count))),
        maximum: maximum.map(|most| most.max(count)), // root may raise it
    };
    if setrlimit(Resource::Nofile, wanted).is_err() {
        let most = Rlimit {
            current: maximum,
            maximum,
        };
        let _ = setrlimit(Resource::Nofile, most);
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
