//! A DHCP server on the TAP interface of a namespace. It ends when dropped.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::Netns;
use crate::netns::TAP;

/// dnsmasq, which gives addresses from 10.0.2.50 to 10.0.2.60.
pub struct Dnsmasq {
    child: Child,
    leases: PathBuf,
}

impl Dnsmasq {
    /// Starts it.
    pub fn start(netns: &Netns) -> Dnsmasq {
        let leases = format!("cygnet-board-leases-{}", std::process::id());
        let leases = std::env::temp_dir().join(leases);
        let child = netns
            .command("dnsmasq")
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0"])
            .args(["--user=root", "--pid-file=", "--dhcp-authoritative"])
            .args([&format!("--interface={TAP}"), "--bind-interfaces"])
            .arg("--dhcp-range=10.0.2.50,10.0.2.60,2m")
            .arg(format!("--dhcp-leasefile={}", leases.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Dnsmasq {
            child: child.expect("dnsmasq"),
            leases,
        }
    }

    /// Who has which address: a line for each.
    pub fn leases(&self) -> String {
        fs::read_to_string(&self.leases).unwrap_or_default()
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("not 0");
        let _ = kill_process(pid, Signal::TERM);
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.leases);
    }
}
