//! Lines for a person who runs a server: who connects to what; which limit passed, and how
//! long it was; how each connection ended, and what it carried; what was dropped.
//!
//! A connection is told as a whole: it is known here from its SYN to when its slot is free.
//! What is for everybody on the link, and what is not for us, is on every network all the
//! time and says nothing about a server: only the trace has it.
//!
//! Not here: every event (`trace.rs`), and where lines go (`observe.rs`).

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;

use cygnet::TimeLimits;
use cygnet::event::{Deadline, DropReason, Event, Observer};
use cygnet_world::words::{Stamp, deadline_words, drop_words, endpoint};
use smoltcp::time::{Duration, Instant};

use crate::level::Level;
use crate::observe::Out;

/// Writes a line for what a person wants to know of a server.
pub struct Log<'o> {
    out: &'o Out,
    level: Level,
    /// Its name and two spaces, where there are several hosts.
    host: String,
    /// What answers at a port.
    services: Vec<(u16, &'static str)>,
    limits: TimeLimits,
    /// The connections by slot.
    open: RefCell<Vec<Option<Seen>>>,
}

/// What is known of a connection.
struct Seen {
    remote: SocketAddr,
    port: u16,
    since: Instant,
    /// We began it.
    is_ours: bool,
    /// A task has it.
    is_held: bool,
    read: usize,
    written: usize,
    end: &'static str,
}

impl<'o> Log<'o> {
    /// Connections and limits that passed from [`Level::Info`] on; closes, resets and drops
    /// from [`Level::Debug`] on.
    pub fn new(out: &'o Out, level: Level) -> Log<'o> {
        Log {
            out,
            level,
            host: String::new(),
            services: Vec::new(),
            limits: TimeLimits::NONE,
            open: RefCell::default(),
        }
    }

    /// One of several hosts.
    #[must_use]
    pub fn of_host(self, name: &str) -> Log<'o> {
        let host = format!("{name}  ");
        Log { host, ..self }
    }

    /// These services have these ports and these limits.
    #[must_use]
    pub fn serving(self, services: Vec<(u16, &'static str)>, limits: TimeLimits) -> Log<'o> {
        Log {
            services,
            limits,
            ..self
        }
    }

    fn line(&self, level: Level, now: Instant, what: fmt::Arguments<'_>) {
        let host = &self.host;
        if self.level >= Level::Debug && level >= Level::Info {
            self.say(level, format_args!("{}  {host}{what}", Stamp(now)));
        } else {
            self.say(level, format_args!("{host}{what}"));
        }
    }

    fn say(&self, level: Level, line: fmt::Arguments<'_>) {
        if self.level >= level {
            self.out.line(line);
        }
    }

    /// Ours and the peer's end, in words.
    fn ends(&self, seen: &Seen) -> String {
        let (remote, port) = (seen.remote, seen.port);
        if seen.is_ours {
            return format!("to {remote}");
        }
        let service = self.services.iter().find(|(at, _)| *at == port);
        let name = service.map_or("", |(_, name)| name);
        format!("{remote} to {name}:{port}")
    }

    /// A connection is over.
    fn closed(&self, now: Instant, seen: &Seen) {
        let Seen { read, written, .. } = seen;
        let (end, tenths) = (seen.end, (now - seen.since).total_millis() / 100);
        let (whole, tenth) = (tenths / 10, tenths % 10);
        self.line(
            Level::Debug,
            now,
            format_args!(
                "{} {end} after {whole}.{tenth} s: {read} bytes in, {written} bytes out",
                self.ends(seen)
            ),
        );
    }

    /// The option that a deadline is of, and its value.
    fn limit(&self, deadline: Deadline) -> Option<(&'static str, Duration)> {
        let (name, limit) = match deadline {
            Deadline::FirstByte => ("first-byte", self.limits.first_byte),
            Deadline::Idle => ("idle", self.limits.idle),
            Deadline::Stalled => ("write", self.limits.write_progress),
            Deadline::Exchange => ("exchange", self.limits.exchange),
            Deadline::Close => ("close", self.limits.close),
            _ => return None,
        };
        Some((name, limit?))
    }

    fn expired(&self, now: Instant, seen: Option<&Seen>, slot: u32, deadline: Deadline) {
        let who = seen.map_or_else(|| format!("#{slot}"), |seen| self.ends(seen));
        let words = deadline_words(deadline);
        match self.limit(deadline) {
            Some((name, limit)) => {
                let limit = Time(limit);
                let what = format_args!("{who} {words}: the limit {name}={limit} passed");
                self.line(Level::Info, now, what);
            }
            None => self.line(Level::Debug, now, format_args!("{who} {words}")),
        }
    }
}

impl Observer for Log<'_> {
    fn event(&self, now: Instant, event: &Event<'_>) {
        let mut open = self.open.borrow_mut();
        let open = &mut *open;
        match *event {
            Event::Admitted {
                slot,
                local,
                remote,
            } => begin(open, slot, now, (local.port, endpoint(remote), false)),
            Event::Connecting { slot, remote, .. } => {
                begin(open, slot, now, (remote.port, endpoint(remote), true));
            }
            Event::Accepted { slot, remote } => {
                let ends = seen(open, slot).map(|seen| {
                    seen.is_held = true;
                    self.ends(seen)
                });
                let ends = ends.unwrap_or_else(|| endpoint(remote).to_string());
                self.line(Level::Info, now, format_args!("Connection from {ends}"));
            }
            Event::Read { slot, bytes } => {
                _ = seen(open, slot).map(|seen| seen.read += bytes.len());
            }
            Event::Written { slot, bytes } => {
                _ = seen(open, slot).map(|seen| seen.written += bytes.len());
            }
            Event::Done { task, failed: true } => {
                self.line(Level::Error, now, format_args!("task {task} failed"));
            }
            Event::Reset { slot } => {
                _ = seen(open, slot).map(|seen| seen.end = "was reset by the peer");
            }
            Event::Expired { slot, deadline } => {
                let seen = seen(open, slot);
                self.expired(now, seen.as_deref(), slot, deadline);
                _ = seen.map(|seen| seen.end = "was cut off by a limit");
            }
            Event::Reclaimed { slot } => {
                _ = seen(open, slot).map(|seen| seen.end = "made room for a newer one");
            }
            Event::Freed { slot } => {
                let over = open.get_mut(slot as usize).and_then(Option::take);
                if let Some(seen) = over.filter(|seen| seen.is_held) {
                    self.closed(now, &seen);
                }
            }
            // On every network, all the time.
            Event::Dropped(DropReason::NotUnicast | DropReason::NotOurs) => (),
            Event::Dropped(reason) => {
                let what = format_args!("a frame was dropped: {}", drop_words(reason));
                self.line(Level::Debug, now, what);
            }
            _ => (),
        }
    }
}

/// The connection in a slot.
fn seen(open: &mut [Option<Seen>], slot: u32) -> Option<&mut Seen> {
    open.get_mut(slot as usize)?.as_mut()
}

fn begin(
    open: &mut Vec<Option<Seen>>,
    slot: u32,
    now: Instant,
    (port, remote, is_ours): (u16, SocketAddr, bool),
) {
    let slot = slot as usize;
    if open.len() <= slot {
        open.resize_with(slot + 1, || None);
    }
    open[slot] = Some(Seen {
        remote,
        port,
        since: now,
        is_ours,
        is_held: is_ours,
        read: 0,
        written: 0,
        end: "closed",
    });
}

/// A time as options take it.
pub(crate) struct Time(pub Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.total_micros();
        match micros {
            1.. if micros.is_multiple_of(60_000_000) && micros > 120_000_000 => {
                write!(f, "{}m", micros / 60_000_000)
            }
            _ if micros.is_multiple_of(1_000_000) => write!(f, "{}s", micros / 1_000_000),
            _ if micros.is_multiple_of(1_000) => write!(f, "{}ms", micros / 1_000),
            _ => write!(f, "{micros}us"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::tests::Paper;
    use smoltcp::wire::{IpAddress, IpEndpoint};

    const PEER: IpEndpoint = IpEndpoint::new(IpAddress::v4(10, 0, 0, 2), 50_000);
    const US: IpEndpoint = IpEndpoint::new(IpAddress::v4(10, 0, 0, 1), 7);

    /// What a log of this level says of these events, a millisecond apart.
    fn said(level: Level, events: &[Event<'_>]) -> String {
        let (paper, limits) = (
            Paper::default(),
            TimeLimits {
                first_byte: Some(Duration::from_millis(1_500)),
                ..TimeLimits::DEFAULT
            },
        );
        let out = Out::new(Box::new(paper.clone()));
        let log = Log::new(&out, level).serving(vec![(7, "echo")], limits);
        for (at, event) in (0..).zip(events) {
            log.event(Instant::from_millis(at), event);
        }
        out.flush();
        paper.text()
    }

    const OPENED: [Event<'_>; 4] = [
        Event::Admitted {
            slot: 3,
            local: US,
            remote: PEER,
        },
        Event::Accepted {
            slot: 3,
            remote: PEER,
        },
        Event::Read {
            slot: 3,
            bytes: b"swan",
        },
        Event::Written {
            slot: 3,
            bytes: b"swans",
        },
    ];

    #[test]
    fn a_connection_is_told_from_its_service_to_its_end() {
        let freed = Event::Freed { slot: 3 };
        let all = |more: &[Event<'static>]| [&OPENED[..], more, &[freed]].concat();
        let from = "Connection from 10.0.0.2:50000 to echo:7\n";
        assert_eq!(said(Level::Warn, &all(&[])), "");
        assert_eq!(said(Level::Info, &all(&[])), from);
        let carried = "4 bytes in, 5 bytes out\n";
        for (more, end) in [
            (&[][..], "closed after 0.0 s"),
            (
                &[Event::Reset { slot: 3 }],
                "was reset by the peer after 0.0 s",
            ),
            (
                &[Event::Reclaimed { slot: 3 }],
                "made room for a newer one after 0.0 s",
            ),
        ] {
            let text = said(Level::Debug, &all(more));
            let line = format!("  10.0.0.2:50000 to echo:7 {end}: {carried}");
            assert!(text.ends_with(&line), "{text}");
        }
        // Twice nothing: a slot that was never a connection's, and one that is no more.
        let text = said(Level::Debug, &[freed, freed, Event::Reset { slot: 9 }]);
        assert_eq!(text, "");
    }

    #[test]
    fn a_limit_that_passed_has_its_name_and_its_value() {
        let passed = |deadline| {
            let events = [&OPENED[..], &[Event::Expired { slot: 3, deadline }]].concat();
            let text = said(Level::Info, &events);
            text.lines().last().unwrap().to_owned()
        };
        assert_eq!(
            passed(Deadline::FirstByte),
            "10.0.0.2:50000 to echo:7 said nothing at first in time: the limit \
             first-byte=1500ms passed"
        );
        let line = passed(Deadline::Stalled);
        assert!(line.ends_with("the limit write=120s passed"), "{line}");
        // No option says how long a handshake may take.
        assert!(passed(Deadline::Handshake).starts_with("Connection from"));
    }

    #[test]
    fn what_is_for_everybody_on_the_link_is_no_news() {
        let drops = [
            DropReason::NotUnicast,
            DropReason::NotOurs,
            DropReason::Checksum,
        ];
        let text = said(Level::Debug, &drops.map(Event::Dropped));
        assert_eq!(text, "    0.002000  a frame was dropped: checksum\n");
    }
}
