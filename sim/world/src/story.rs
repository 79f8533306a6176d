//! A world's events as lines that a person reads and a program compares: the
//! number, the time, the host or link, what happened.
//!
//! ```text
//! 1203 1.250000 c1 send 10.0.0.2:50131 > 10.0.0.1:7  ACK  seq 1 ack 1 … =3f0c…
//! 1204 1.250000 link c1 up 17 lose
//! 1205 1.251000 fault cut c1 both
//! ```
//!
//! A frame's line ends with a hash of its bytes, so two lines are the same only
//! if the frames are.

use std::fmt::Write as _;
use std::hash::Hasher as _;

use cygnet::event::Event;
use siphasher::sip::SipHasher13;
use smoltcp::time::Instant;

use super::fate::{FrameId, Twist, Way};
use super::fault::Fault;
use super::ids::{HostId, LinkId};
use super::log::Happening;
use super::plan::Plan;
use crate::frame::Sequences;
use crate::words::Words;

/// Writes the lines of a run of one plan.
pub struct Story {
    hosts: Vec<(String, Words)>,
    links: Vec<String>,
    sequences: Sequences,
}

impl Story {
    /// For runs of `plan`.
    pub fn new(plan: &Plan) -> Story {
        let names = plan.places.iter().map(|place| place.name.clone());
        Story {
            hosts: host_names(plan)
                .map(|name| (name.to_owned(), Words::default()))
                .collect(),
            links: names.collect(),
            sequences: Sequences::default(),
        }
    }

    /// The line of event `number`.
    pub fn line(&mut self, number: u64, at: Instant, what: &Happening<'_>) -> String {
        let mut line = format!("{number} {}.{:06} ", at.secs(), at.micros());
        match what {
            Happening::Host(host, _, event) => {
                let (name, words) = &mut self.hosts[host.0];
                let (what, who) = words.of(event, &mut self.sequences);
                let _ = write!(line, "{name} {what} {who}");
                if let Event::FrameIn(frame) | Event::FrameOut(frame) = event {
                    let mut hasher = SipHasher13::new();
                    hasher.write(frame);
                    let _ = write!(line, " ={:016x}", hasher.finish());
                }
            }
            Happening::Sent {
                frame,
                twists,
                copies,
                ..
            } => {
                let FrameId { link, way, number } = frame;
                let name = &self.links[*link as usize];
                let way = if *way == Way::Forth { "up" } else { "down" };
                let _ = write!(line, "link {name} {way} {number}");
                for twist in *twists {
                    let _ = match twist {
                        Twist::Lose => write!(line, " lose"),
                        Twist::Flip(bit) => write!(line, " flip {bit}"),
                        Twist::Late(time)
                        | Twist::Spike(time)
                        | Twist::Hold(time)
                        | Twist::Twice(time) => {
                            write!(line, " {} {}us", twist.word(), time.total_micros())
                        }
                    };
                }
                if *copies == 0 && !twists.contains(&Twist::Lose) {
                    line += " dropped";
                }
            }
            Happening::Fault(fault) => {
                let _ = write!(line, "fault {}", self.fault(fault));
            }
            Happening::Turned {
                host,
                received,
                sent,
                next,
            } => {
                let name = &self.hosts[host.0].0;
                let _ = write!(line, "{name} turn   {received} in, {sent} out");
                if let Some(at) = next {
                    let _ = write!(line, ", next {}.{:06}", at.secs(), at.micros());
                }
            }
            Happening::Printed { host, line: said } => {
                let name = &self.hosts[host.0].0;
                let _ = write!(line, "{name} print  {said:?}");
            }
        }
        line
    }

    fn fault(&self, fault: &Fault) -> String {
        let host = |host: &HostId| &*self.hosts[host.0].0;
        let link = |link: &LinkId| &*self.links[link.0];
        match fault {
            Fault::Crash(id) => format!("crash {}", host(id)),
            Fault::Boot(id) => format!("boot {}", host(id)),
            Fault::Pause(id) => format!("pause {}", host(id)),
            Fault::Resume(id) => format!("resume {}", host(id)),
            Fault::Drift(id, ppm) => format!("drift {} {ppm:+}ppm", host(id)),
            Fault::Jump(id, ahead) => format!("jump {} {}us", host(id), ahead.total_micros()),
            Fault::Partition {
                link: id,
                forth,
                back,
            } => match (forth, back) {
                (false, false) => format!("join {}", link(id)),
                (true, false) => format!("cut {} up", link(id)),
                (false, true) => format!("cut {} down", link(id)),
                (true, true) => format!("cut {} both", link(id)),
            },
            Fault::Change(id, _) => format!("link {}", link(id)),
            Fault::Unplug(id) => format!("unplug {}", link(id)),
            Fault::Plug(id) => format!("plug {}", link(id)),
        }
    }
}

/// The names of a plan's hosts, by number.
pub fn host_names(plan: &Plan) -> impl Iterator<Item = &str> {
    let hosts = plan.places.iter();
    let hosts = hosts.filter(|place| place.role.is_host());
    hosts.map(|place| &*place.name)
}
