//! A plan in words: who is there, what goes wrong when, and what nobody said and is so
//! by default.
//!
//! Not here: its text (`write`).

use std::fmt::{self, Write as _};

use smoltcp::time::Duration;

use super::read::Reading;
use super::write::{Time, since_start};
use crate::fate::{FrameId, Twist, Way};
use crate::lie::{DnsQuirk, Quirk};
use crate::link::Link;
use crate::plan::{Blow, Caller, DhcpServer, Goodbye, Place, Plan, Role, Strike, Visitor};

/// So many frames are told one by one; the rest is counted.
const FRAMES: usize = 40;

impl Reading {
    /// The plan in words, for who has to run it or to change it.
    pub fn explain(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = self.words(&mut out);
        out
    }

    fn words(&self, out: &mut String) -> fmt::Result {
        let plan = &self.plan;
        let of_test = plan.is_of_test();
        match &plan.from {
            Some((name, seed)) if of_test => write!(out, "A plan of the test {name}, seed {seed}")?,
            Some((name, seed)) => write!(out, "A plan of the scenario {name}, seed {seed}")?,
            None => write!(out, "A plan that was written by hand")?,
        }
        writeln!(out, ", in the text's version {}.", self.version)?;
        if of_test {
            writeln!(
                out,
                "The test makes hosts and links, and says when it ends."
            )?;
        } else {
            let (heal, limit) = (since_start(plan.heal), since_start(plan.limit));
            writeln!(
                out,
                "Faults end at {heal}; everything must be finished at {limit}.{}",
                default(&self.times_left_out)
            )?;
        }
        if plan.honest {
            writeln!(out, "It is honest: no client may ever be reset.")?;
        }
        for (title, is_host) in [("Hosts", true), ("Switches, attackers, links", false)] {
            let places = plan.places.iter().zip(&self.left_out);
            let mut places = places.filter(|(place, _)| place.role.is_host() == is_host);
            if let Some(first) = places.next() {
                writeln!(out, "\n{title}:")?;
                for (place, left_out) in [first].into_iter().chain(places) {
                    self.place(out, place, left_out)?;
                }
            }
        }
        self.strikes(out)?;
        self.frames(out)
    }

    fn place(&self, out: &mut String, place: &Place, left_out: &[String]) -> fmt::Result {
        let plan = &self.plan;
        let Place { name, role, .. } = place;
        let what = match role {
            Role::Switch => "a switch".into(),
            Role::Link => "a link of the test".into(),
            Role::Host => "a host of the test".into(),
            Role::Server(server) => format!(
                "serves echo on port 7: {} connections of {} and {} bytes, {} tasks of {} bytes, \
                 {} may wait for accept, a silent peer is asked after {}",
                server.size.slots,
                server.size.rx_bytes,
                server.size.tx_bytes,
                server.size.tasks,
                server.size.task_bytes,
                server.backlog,
                Time(server.asks)
            ),
            Role::Visitor(visitor) => visit(plan, visitor),
            Role::Caller(caller) => call(plan, caller),
            Role::DnsServer(server) => {
                let quirks: Vec<&str> = server.quirks.iter().map(DnsQuirk::word).collect();
                match quirks.is_empty() {
                    true => "knows the addresses of names".into(),
                    false => format!("answers for names; it {}", quirks.join(", ")),
                }
            }
            Role::DnsClient(client) => format!(
                "asks every server above it for names, {} at a time, about every {}",
                client.lanes,
                Time(client.pause)
            ),
            Role::DhcpServer(server) => dhcp_server(server),
            Role::DhcpClient(client) => format!(
                "has its address from {}{}",
                plan.places[client.to].name,
                match client.link_local {
                    true => ", and one for the link until then",
                    false => "",
                }
            ),
            Role::Attacker(siege) => format!(
                "attacks {} with {}: a frame every {} from {} on, until the faults end",
                plan.places[siege.to].name,
                siege.attack.word(),
                Time(siege.every),
                Time(siege.start)
            ),
        };
        writeln!(out, "  {name}: {what}")?;
        if !role.is_of_test() {
            let to = place.on.map_or("the middle", |on| &*plan.places[on].name);
            writeln!(out, "      its link to {to}: {}", LinkWords(&place.link))?;
        }
        if !left_out.is_empty() {
            writeln!(out, "      default: {}", left_out.join(" "))?;
        }
        Ok(())
    }

    fn strikes(&self, out: &mut String) -> fmt::Result {
        let plan = &self.plan;
        if plan.strikes.is_empty() {
            return writeln!(out, "\nNo host and no link meets a fault.");
        }
        writeln!(out, "\nFaults, by time:")?;
        let mut strikes: Vec<&Strike> = plan.strikes.iter().collect();
        strikes.sort_by_key(|strike| strike.at);
        for Strike { at, place, blow } in strikes {
            let name = &plan.places[*place].name;
            let what = match blow {
                Blow::Crash => "is switched off".into(),
                Blow::Boot => "is switched on, or off and on".into(),
                Blow::Pause => "stands still".into(),
                Blow::Resume => "goes on".into(),
                Blow::Drift(ppm) => format!("has a clock that runs {ppm:+} parts per million off"),
                Blow::Jump(ahead) => format!("has a clock that jumps ahead by {}", Time(*ahead)),
                Blow::Cut { up, down } => match (up, down) {
                    (true, false) => "is cut off: nothing passes away from it (up)".into(),
                    (false, true) => "is cut off: nothing passes towards it (down)".into(),
                    _ => "is cut off, both ways".into(),
                },
                Blow::Join => "is joined again".into(),
                Blow::Unplug => "has its cable pulled, and sees that".into(),
                Blow::Plug => "has its cable put in again".into(),
                Blow::Link(link) => format!("has another link: {}", LinkWords(link)),
            };
            writeln!(out, "  at {} {name} {what}", since_start(*at))?;
        }
        Ok(())
    }

    fn frames(&self, out: &mut String) -> fmt::Result {
        let plan = &self.plan;
        let count = plan.fates.iter().count();
        if count == 0 {
            return writeln!(out, "\nNo frame is lost, late, doubled or damaged.");
        }
        writeln!(out, "\nFrames, by key (link, way, how many went before):")?;
        for (frame, twist) in plan.fates.iter().take(FRAMES) {
            let FrameId { link, way, number } = frame;
            let name = &plan.places[link as usize].name;
            let way = if way == Way::Forth { "up" } else { "down" };
            let what = match twist {
                Twist::Lose => "is lost".into(),
                Twist::Late(time) => format!("comes {} later", Time(time)),
                Twist::Spike(time) => format!("comes {} later, others wait behind it", Time(time)),
                Twist::Hold(time) => format!("is held back {}, others overtake", Time(time)),
                Twist::Twice(time) => format!("comes again {} later", Time(time)),
                Twist::Flip(bit) => format!("has bit {bit} flipped"),
            };
            writeln!(out, "  {name} {way} {number} {what}")?;
        }
        match count.saturating_sub(FRAMES) {
            0 => Ok(()),
            more => writeln!(out, "  and {more} more"),
        }
    }
}

fn default(words: &[String]) -> String {
    match words.is_empty() {
        true => String::new(),
        false => format!(" Default: {}.", words.join(" ")),
    }
}

fn visit(plan: &Plan, visitor: &Visitor) -> String {
    let visits = match visitor.visits {
        u32::MAX => "as often as it can".to_owned(),
        visits => format!("{visits} times"),
    };
    let goodbye = match visitor.goodbye {
        Goodbye::Close => "closes and waits for that",
        Goodbye::Drop => "closes in the background",
        Goodbye::Half => "closes its half first",
        Goodbye::Abort => "resets",
    };
    let patience = visitor.patience.map(|patience| {
        let patience = Time(patience);
        format!("; no byte may come later than after {patience}")
    });
    format!(
        "visits {} over {}, {} at a time, {visits} until {}: {} requests of at most {} bytes, {} \
         apart, then it {goodbye}; first after {}, then every {}{}",
        plan.places[visitor.to].name,
        if visitor.v6 { "IPv6" } else { "IPv4" },
        visitor.lanes,
        since_start(visitor.until),
        visitor.requests,
        visitor.bytes,
        Time(visitor.gap),
        Time(visitor.start),
        Time(visitor.pause),
        patience.unwrap_or_default()
    )
}

fn call(plan: &Plan, caller: &Caller) -> String {
    let who = match caller.lie {
        None => "a stranger".to_owned(),
        Some(lie) => format!("a liar ({})", lie.word()),
    };
    let habits: Vec<&str> = caller.habits.iter().map(|habit| habit.word()).collect();
    let habits = match habits.is_empty() {
        true => String::new(),
        false => format!(" that {}", habits.join(", ")),
    };
    let Some(to) = caller.to else {
        return format!(
            "{who}{habits}, serves echo on port 7: a window of {}; nothing may stand still for {}",
            caller.window,
            Time(caller.patience)
        );
    };
    format!(
        "{who}{habits}, calls {} over {}, {} times until {}: a stream of at most {} bytes, a \
         window of {}; nothing may stand still for {}",
        plan.places[to].name,
        if caller.v6 { "IPv6" } else { "IPv4" },
        caller.visits,
        since_start(caller.until),
        caller.bytes,
        caller.window,
        Time(caller.patience)
    )
}

fn dhcp_server(server: &DhcpServer) -> String {
    let quirks: Vec<&str> = server.quirks.iter().map(Quirk::word).collect();
    let quirks = match quirks.is_empty() {
        true => String::new(),
        false => format!("; until the faults end: {}", quirks.join(", ")),
    };
    format!(
        "gives {} addresses from number {} on, each for {}{quirks}",
        server.count,
        server.first,
        Time(server.lease)
    )
}

struct LinkWords<'l>(&'l Link);

impl fmt::Display for LinkWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Link {
            latency,
            bytes_per_second: rate,
            queue_bytes: queue,
            mtu,
            tells,
            ..
        } = self.0;
        match *latency {
            Duration::ZERO => write!(f, "no delay")?,
            latency => write!(f, "{}", Time(latency))?,
        }
        match rate {
            0 => write!(f, ", as many bytes a second as come")?,
            rate => write!(f, ", {rate} bytes a second and {queue} in its queue")?,
        }
        write!(f, ", frames of at most {mtu} bytes")?;
        match tells {
            true => write!(f, ", who sends longer ones is told"),
            false => Ok(()),
        }
    }
}
