//! A plan as text: every fact that can be read again, none that cannot.

use std::fmt::{self, Write as _};

use smoltcp::time::{Duration, Instant};

use crate::fate::{Twist, Way};
use crate::link::Link;
use crate::plan::{Blow, Caller, DhcpServer, Place, Plan, Role, Server, Strike};

/// The versions of the text that this program reads: 1 has scenarios, 2 has tests too.
/// It writes the least that has what the plan needs. A version is read for ever.
pub(super) const VERSIONS: [&str; 2] = ["1", "2"];

/// As a plan says it.
pub struct Time(pub(super) Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.total_micros();
        match micros {
            0 => f.write_str("0s"),
            _ if micros.is_multiple_of(1_000_000) => write!(f, "{}s", micros / 1_000_000),
            _ if micros.is_multiple_of(1000) => write!(f, "{}ms", micros / 1000),
            _ => write!(f, "{micros}us"),
        }
    }
}

pub fn since_start(at: Instant) -> Time {
    Time(at - Instant::ZERO)
}

struct LinkText<'l>(&'l Link);

impl fmt::Display for LinkText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Link {
            latency,
            bytes_per_second,
            queue_bytes,
            mtu,
            tells,
            ..
        } = self.0;
        let latency = Time(*latency);
        write!(
            f,
            "latency={latency} rate={bytes_per_second} queue={queue_bytes} mtu={mtu}{}",
            if *tells { " tells" } else { "" }
        )
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_test = self.is_of_test();
        writeln!(f, "cygnet-plan {}", VERSIONS[usize::from(of_test)])?;
        if let Some((name, seed)) = &self.from {
            let what = if of_test { "test" } else { "from" };
            writeln!(f, "{what} {name} seed {seed}")?;
        }
        let (heal, limit) = (since_start(self.heal), since_start(self.limit));
        if !of_test {
            writeln!(f, "time heal={heal} limit={limit}")?;
        }
        if self.honest {
            writeln!(f, "honest")?;
        }
        for place in &self.places {
            write_place(f, self, place)?;
        }
        for Strike { at, place, blow } in &self.strikes {
            let name = &self.places[*place].name;
            write!(f, "at {} ", since_start(*at))?;
            match blow {
                Blow::Crash => writeln!(f, "crash {name}")?,
                Blow::Boot => writeln!(f, "boot {name}")?,
                Blow::Pause => writeln!(f, "pause {name}")?,
                Blow::Resume => writeln!(f, "resume {name}")?,
                Blow::Drift(ppm) => writeln!(f, "drift {name} {ppm:+}ppm")?,
                Blow::Jump(ahead) => writeln!(f, "jump {name} {}", Time(*ahead))?,
                Blow::Cut { up, down } => {
                    let way = match (up, down) {
                        (true, false) => "up",
                        (false, true) => "down",
                        _ => "both",
                    };
                    writeln!(f, "cut {name} {way}")?;
                }
                Blow::Join => writeln!(f, "join {name}")?,
                Blow::Unplug => writeln!(f, "unplug {name}")?,
                Blow::Plug => writeln!(f, "plug {name}")?,
                Blow::Link(link) => writeln!(f, "link {name} {}", LinkText(link))?,
            }
        }
        for (frame, twist) in self.fates.iter() {
            let name = &self.places[frame.link as usize].name;
            let way = if frame.way == Way::Forth {
                "up"
            } else {
                "down"
            };
            write!(f, "frame {name} {way} {} {}", frame.number, twist.word())?;
            match twist {
                Twist::Lose => writeln!(f)?,
                Twist::Late(time) | Twist::Spike(time) | Twist::Hold(time) | Twist::Twice(time) => {
                    writeln!(f, " {}", Time(time))?;
                }
                Twist::Flip(bit) => writeln!(f, " {bit}")?,
            }
        }
        writeln!(f, "end")
    }
}

fn write_place(f: &mut fmt::Formatter<'_>, plan: &Plan, place: &Place) -> fmt::Result {
    let Place {
        name,
        on,
        link,
        role,
    } = place;
    let mut line = match role {
        Role::Link => return writeln!(f, "link {name}"),
        Role::Host => return writeln!(f, "host {name}"),
        Role::Switch => format!("switch {name}"),
        Role::Server(server) => {
            let Server {
                secret,
                size,
                backlog,
                asks,
            } = server;
            let asks = Time(*asks);
            format!(
                "host {name} serve secret={secret:016x} slots={} tasks={} task-bytes={} \
                 rx={} tx={} backlog={backlog} asks={asks}",
                size.slots, size.tasks, size.task_bytes, size.rx_bytes, size.tx_bytes
            )
        }
        Role::Attacker(siege) => format!(
            "attacker {name} {} to={} secret={:016x} every={} start={}",
            siege.attack.word(),
            plan.places[siege.to].name,
            siege.secret,
            Time(siege.every),
            Time(siege.start),
        ),
        Role::DnsServer(server) => {
            let mut line = format!("host {name} dns-server secret={:016x}", server.secret);
            for quirk in server.quirks.iter() {
                line += " ";
                line += quirk.word();
            }
            line
        }
        Role::DnsClient(client) => format!(
            "host {name} dns-client to={} secret={:016x} lanes={} pause={}",
            plan.places[client.to].name,
            client.secret,
            client.lanes,
            Time(client.pause)
        ),
        Role::DhcpServer(server) => dhcp_server_text(name, server),
        Role::DhcpClient(client) => format!(
            "host {name} dhcp-client to={} secret={:016x}{}",
            plan.places[client.to].name,
            client.secret,
            if client.link_local { " link-local" } else { "" }
        ),
        Role::Caller(caller) => caller_text(plan, name, caller),
        Role::Visitor(visitor) => {
            let mut line = format!(
                "host {name} visit to={} secret={:016x}{} lanes={} visits=",
                plan.places[visitor.to].name,
                visitor.secret,
                if visitor.v6 { " v6" } else { "" },
                visitor.lanes,
            );
            match visitor.visits {
                u32::MAX => line += "all",
                visits => write!(line, "{visits}")?,
            }
            write!(
                line,
                " until={} requests={} bytes={} start={} pause={} gap={} goodbye={}",
                since_start(visitor.until),
                visitor.requests,
                visitor.bytes,
                Time(visitor.start),
                Time(visitor.pause),
                Time(visitor.gap),
                visitor.goodbye.word(),
            )?;
            match visitor.patience {
                Some(patience) => write!(line, " patience={}", Time(patience))?,
                None => line.push_str(" patience=none"),
            }
            line
        }
    };
    if let Some(on) = on {
        write!(line, " on={}", plan.places[*on].name)?;
    }
    writeln!(f, "{line} {}", LinkText(link))
}

fn caller_text(plan: &Plan, name: &str, caller: &Caller) -> String {
    let what = match caller.lie {
        None => "stranger".into(),
        Some(lie) => format!("liar {}", lie.word()),
    };
    let to = match caller.to {
        Some(to) => format!("to={}", plan.places[to].name),
        None => "serves".into(),
    };
    let mut line = format!("host {name} {what} {to} secret={:016x}", caller.secret);
    let habits = caller.habits.iter().map(|habit| (true, habit.word()));
    let flags = [
        (caller.v6, "v6"),
        (caller.waits, "waits"),
        (caller.tells, "informs"),
        (caller.lossless, "lossless"),
    ];
    for (_, word) in flags.into_iter().chain(habits).filter(|(is, _)| *is) {
        line += " ";
        line += word;
    }
    line + &format!(
        " visits={} until={} bytes={} window={} reads={} holds={} mss={} shift={} takes={} \
         patience={} start={} pause={}",
        caller.visits,
        since_start(caller.until),
        caller.bytes,
        caller.window,
        caller.reads,
        Time(caller.holds),
        caller.mss,
        caller.shift,
        caller.takes,
        Time(caller.patience),
        Time(caller.start),
        Time(caller.pause),
    )
}

fn dhcp_server_text(name: &str, server: &DhcpServer) -> String {
    let mut line = format!(
        "host {name} dhcp-server secret={:016x} lease={} first={} count={}",
        server.secret,
        Time(server.lease),
        server.first,
        server.count
    );
    for quirk in server.quirks.iter() {
        line += " ";
        line += quirk.word();
    }
    line
}
