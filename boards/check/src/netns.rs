//! A network namespace with one TAP interface: the board is 10.0.2.15 on it, and
//! this side 10.0.2.2. Removed when dropped.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{has, skip};

/// The interface.
pub(crate) const TAP: &str = "board0";

/// A namespace of its own.
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes one. `None`, after [`skip`], where that is impossible.
    pub fn new() -> Option<Netns> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            skip("it needs root to make a network namespace");
            return None;
        }
        if let Err(error) = File::options().read(true).write(true).open("/dev/net/tun") {
            skip(&format!("it needs /dev/net/tun: {error}"));
            return None;
        }
        if !has("ip") {
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("cygnet-board-{}-{number}", std::process::id());
        if !ip(&["netns", "add", &name]) {
            skip("ip netns add does not work here");
            return None;
        }
        let netns = Netns { name };
        for words in [
            &["tuntap", "add", "dev", TAP, "mode", "tap"][..],
            &["addr", "add", "10.0.2.2/24", "dev", TAP],
            &["link", "set", TAP, "up"],
            &["link", "set", "lo", "up"],
        ] {
            let made = netns.command("ip").args(words).status();
            assert!(made.is_ok_and(|status| status.success()), "ip {words:?}");
        }
        Some(netns)
    }

    /// A program in the namespace; `ip` becomes it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs `f` on a thread in the namespace, with all threads that it starts.
    pub fn inside<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        let file = File::open(format!("/var/run/netns/{}", self.name)).expect("it was made");
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(file.as_fd(), kind).expect("root");
                f()
            });
            let ended = thread.join();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        ip(&["netns", "del", &self.name]);
    }
}

fn ip(words: &[&str]) -> bool {
    let status = Command::new("ip").args(words).status();
    status.is_ok_and(|status| status.success())
}
