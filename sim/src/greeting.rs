//! What `sim tap` says at its start, to copy and paste: what runs, and how to talk to it; and
//! at its end: what it waits for.
//!
//! Every command of it works as it is printed: `tests/tap_host_side.rs` does all of them.

use std::fmt::Write;

use cygnet::Node;
use cygnet::event::Source;
use cygnet::task::{TaskState, Waiting};
use smoltcp::time::Duration;
use smoltcp::wire::{IpAddress, IpCidr};

use crate::cli::{Service, TapConfig, Transport};
use crate::log::Time;
use crate::neighborhood::way_to;
use crate::observe::Out;

/// What runs here and how to talk to it, to copy and paste.
pub fn greeting(config: &TapConfig) -> String {
    let ips: Vec<String> = config.ips.iter().map(ToString::to_string).collect();
    let mac = config.mac.0.map(|byte| format!("{byte:02x}"));
    let mut text = format!(
        "cygnet on {} is {} ({}), {} slots",
        config.name,
        ips.join(" and "),
        mac.join(":"),
        config.slots
    );
    let way = way_to(&config.name);
    for what in &config.serve {
        let name = match what.transport {
            Transport::Tcp => what.service.to_string(),
            Transport::Udp => format!("{}/udp", what.service),
        };
        let port = what.port;
        for ip in &config.ips {
            // An address for the link alone is told with the interface that leads there.
            let (ip, scope) = (ip.address(), scope(ip, &way));
            let host = match (ip, scope) {
                (IpAddress::Ipv4(ip), _) => ip.to_string(),
                (IpAddress::Ipv6(ip), None) => format!("[{ip}]"),
                (IpAddress::Ipv6(ip), Some(way)) => format!("[{ip}%25{way}]"),
            };
            let ip = scoped(ip, scope);
            let command = match what.service {
                // Those that speak by datagrams are spoken to first.
                Service::Daytime if what.transport == Transport::Udp => {
                    format!("echo | nc -u -w 1 {ip} {port}")
                }
                _ if what.transport == Transport::Udp => format!("nc -u {ip} {port}"),
                // These two speak first; curl shows what they say.
                Service::Chargen | Service::Daytime => format!("curl telnet://{host}:{port}"),
                Service::Discard => format!("echo swan | nc -N {ip} {port}"),
                Service::Hello | Service::Echo => format!("nc {ip} {port}"),
                // No browser takes the name of an interface.
                Service::Http if scope.is_some() => format!("curl http://{host}:{port}/"),
                Service::Http if port == 80 => format!("http://{host}/ in a browser"),
                Service::Http => format!("http://{host}:{port}/ in a browser"),
            };
            let _ = write!(text, "\n  {name:<8}  {command}");
        }
    }
    if config.dhcp.is_some() {
        text.push_str(
            "\nA DHCP server is asked; in three seconds this address is used, if nobody has it.",
        );
    }
    if config.pings.is_some() || config.dig.is_some() {
        return text;
    }
    for ip in &config.ips {
        let ip = scoped(ip.address(), scope(ip, &way));
        let _ = write!(text, "\n  ping      ping {ip}");
    }
    text.push_str("\nCtrl-C stops.");
    text
}

/// The interface that an address is told with: one that is for the link alone.
fn scope<'w>(ip: &IpCidr, way: &'w str) -> Option<&'w str> {
    match ip.address() {
        IpAddress::Ipv6(ip) if ip.is_unicast_link_local() => Some(way),
        _ => None,
    }
}

fn scoped(ip: IpAddress, scope: Option<&str>) -> String {
    match scope {
        Some(way) => format!("{ip}%{way}"),
        None => ip.to_string(),
    }
}

/// Says what goes on although the end was asked for.
pub fn draining(node: Node<'_>, most: Duration, out: &Out) {
    let holds_stream = |task: &Waiting| {
        matches!(
            task.state,
            TaskState::Waiting(_, Source::Stream(_)) | TaskState::Ready
        )
    };
    let streams = match node.waiting().filter(holds_stream).count() {
        0 => return,
        1 => "1 stream".into(),
        several => format!("{several} streams"),
    };
    out.line(format_args!(
        "draining {streams} for at most {}; again to quit",
        Time(most)
    ));
    out.flush();
}
