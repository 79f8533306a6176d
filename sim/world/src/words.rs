//! Events in words: what happened in a host, and with whom.
//!
//! Not here: choosing what is shown, and where it goes.

use std::fmt;
use std::net::SocketAddr;

use cygnet::event::{Deadline, DropReason, Event};
use smoltcp::time::Instant;
use smoltcp::wire::IpEndpoint;

use crate::frame::{Sequences, summary};

/// The longest piece of a payload that a line shows.
const SHOWN: usize = 32;

/// What happened, and with whom, in words.
#[derive(Debug, Default)]
pub struct Words {
    /// The tasks' names by number; a number may be used again.
    names: Vec<String>,
}

impl Words {
    /// The words for one event of a host.
    pub fn of(&mut self, event: &Event<'_>, sequences: &mut Sequences) -> (&'static str, String) {
        match *event {
            Event::FrameIn(frame) => ("recv", summary(frame, sequences)),
            Event::FrameOut(frame) => ("send", summary(frame, sequences)),
            Event::Dropped(reason) => ("drop", drop_words(reason).to_string()),
            Event::Parked(reason) => ("park", drop_words(reason).to_string()),
            Event::Admitted { slot, remote, .. } => {
                ("admit", format!("#{slot} {}", endpoint(remote)))
            }
            Event::Accepted { slot, remote } => {
                let remote = endpoint(remote);
                ("accept", format!("#{slot} Connection from {remote}"))
            }
            Event::Connecting { slot, remote, .. } => {
                ("connect", format!("#{slot} {}", endpoint(remote)))
            }
            Event::Established { slot } => ("open", format!("#{slot}")),
            Event::Read { slot, bytes } => ("read", format!("#{slot} {}", Bytes(bytes))),
            Event::Written { slot, bytes } => ("write", format!("#{slot} {}", Bytes(bytes))),
            Event::Reset { slot } => ("reset", format!("#{slot} by the peer")),
            Event::Conflict { addr, hardware } => {
                let [a, b, c, d, e, f] = hardware;
                let at = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
                ("conflict", format!("{addr} is used by {at} too"))
            }
            Event::Leased { addr, until } => ("lease", format!("{addr} until {until}")),
            Event::LeaseLost { addr } => ("lease", format!("{addr} is given up")),
            Event::Expired { slot, deadline } => {
                ("expire", format!("#{slot} {}", deadline_words(deadline)))
            }
            Event::Reclaimed { slot } => ("reclaim", format!("#{slot}")),
            Event::Freed { slot } => ("free", format!("#{slot}")),
            Event::Bound { port } => ("bind", format!("udp:{port}")),
            Event::Received {
                port,
                remote,
                bytes,
            } => ("take", datagram(port, remote, bytes)),
            Event::Sent {
                port,
                remote,
                bytes,
            } => ("give", datagram(port, remote, bytes)),
            Event::Spawned { task, name, line } => {
                self.name(task, name, line);
                ("spawn", self.task(task))
            }
            Event::Woken { task } => ("wake", self.task(task)),
            Event::Resumed { task } => ("resume", self.task(task)),
            Event::Yielded {
                task,
                reason,
                source,
            } => {
                let task = self.task(task);
                ("yield", format!("{task}  ({reason}, {source})"))
            }
            Event::Done { task, failed } => {
                let how = if failed { "  with an error" } else { "" };
                ("done", format!("{}{how}", self.task(task)))
            }
            ref other => ("event", format!("{other:?}")),
        }
    }

    fn task(&self, task: u32) -> String {
        let name = self.names.get(task as usize).map_or("?", String::as_str);
        format!("{task} {name}")
    }

    fn name(&mut self, task: u32, name: &str, line: u32) {
        let task = task as usize;
        if self.names.len() <= task {
            self.names.resize(task + 1, String::new());
        }
        self.names[task] = match line {
            0 => name.to_owned(),
            line => format!("{name}:{line}"),
        };
    }
}

fn datagram(port: u16, remote: IpEndpoint, bytes: &[u8]) -> String {
    format!("udp:{port} {} {}", endpoint(remote), Bytes(bytes))
}

/// How many bytes, and the first of them as text.
struct Bytes<'b>(&'b [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(SHOWN)];
        let more = if shown.len() < self.0.len() {
            "..."
        } else {
            ""
        };
        let count = self.0.len();
        write!(f, "{count} bytes \"{}\"{more}", shown.escape_ascii())
    }
}

/// A time in seconds, with all its microseconds.
pub struct Stamp(pub Instant);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.total_micros();
        write!(f, "{:>5}.{:06}", micros / 1_000_000, micros % 1_000_000)
    }
}

/// An address and a port as programs take them.
pub fn endpoint(endpoint: IpEndpoint) -> SocketAddr {
    endpoint.into()
}

/// Which deadline passed, in words.
pub fn deadline_words(deadline: Deadline) -> &'static str {
    match deadline {
        Deadline::Handshake => "did not finish its handshake in time",
        Deadline::Connect => "was not answered in time",
        Deadline::Close => "did not finish its close in time",
        Deadline::Stream => "passed a timeout of its stream",
        Deadline::Silent => "did not answer when it was asked whether it is there",
        Deadline::FirstByte => "said nothing at first in time",
        Deadline::Idle => "moved no byte in time",
        Deadline::Stalled => "took nothing of what was written in time",
        Deadline::Exchange => "took too long",
        _ => "passed a deadline",
    }
}

/// Why a frame was dropped, in words.
pub fn drop_words(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Malformed => "malformed",
        DropReason::NotOurs => "not ours",
        DropReason::NotUnicast => "not unicast",
        DropReason::BadSource => "bad source",
        DropReason::Fragment => "fragment",
        DropReason::BacklogFull => "backlog full",
        DropReason::NoSlot => "no slot",
        DropReason::BadSegment => "bad segment",
        DropReason::Borrowed => "borrowed",
        DropReason::Checksum => "checksum",
        DropReason::InexactReset => "inexact reset",
        DropReason::OpenFlow => "SYN for an open flow",
        DropReason::NeverSent => "ACK of data never sent",
        DropReason::Throttled => "out of window",
        DropReason::OldDuplicate => "a connection that is over",
        DropReason::PastEdge => "past the window",
        DropReason::AfterEnd => "after the end",
        DropReason::RepeatedAck => "repeated acknowledgement",
        DropReason::Unsolicited => "unsolicited neighbor",
        DropReason::Unread => "unread datagram",
        DropReason::TooLong => "datagram too long",
        DropReason::NoNeighbor => "neighbor silent",
        _ => "other",
    }
}

/// Every reason, in the order of their numbers.
pub const DROP_REASONS: [DropReason; DropReason::COUNT] = [
    DropReason::Malformed,
    DropReason::NotOurs,
    DropReason::NotUnicast,
    DropReason::BadSource,
    DropReason::Fragment,
    DropReason::BacklogFull,
    DropReason::NoSlot,
    DropReason::BadSegment,
    DropReason::Borrowed,
    DropReason::Checksum,
    DropReason::InexactReset,
    DropReason::OpenFlow,
    DropReason::NeverSent,
    DropReason::Throttled,
    DropReason::RepeatedAck,
    DropReason::Unsolicited,
    DropReason::OldDuplicate,
    DropReason::PastEdge,
    DropReason::AfterEnd,
    DropReason::Unread,
    DropReason::TooLong,
    DropReason::NoNeighbor,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_words() {
        for (index, reason) in DROP_REASONS.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            assert_ne!(drop_words(reason), "other");
        }
    }

    #[test]
    fn every_deadline_has_its_own_words() {
        let all = [
            Deadline::Handshake,
            Deadline::Connect,
            Deadline::Close,
            Deadline::Stream,
            Deadline::Silent,
            Deadline::FirstByte,
            Deadline::Idle,
            Deadline::Stalled,
            Deadline::Exchange,
        ];
        let mut words: Vec<&str> = all.map(deadline_words).to_vec();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all.len());
        assert!(!words.contains(&"passed a deadline"));
    }

    #[test]
    fn times_are_aligned() {
        let text = Stamp(Instant::from_micros(1_000_050)).to_string();
        assert_eq!(text, "    1.000050");
    }
}
