//! Faults that a test asks for and a seed draws: which host or link, when, how
//! long. What is drawn is a fact of the run's plan, and can be shrunk.
//!
//! Not here: faults at a time that the test knows. That is
//! [`World::at`](super::World::at).

use std::ops::{Range, RangeInclusive};
use std::panic::Location;

use smoltcp::time::{Duration, Instant};

use super::draws::Kind;
use super::fault::Fault;
use super::ids::{HostId, LinkId};
use super::link::Link;
use super::network::World;

/// What can be struck: a host, or a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Struck {
    /// A host; a partition or a bad link strikes the link it hangs on.
    Host(HostId),
    /// A link.
    Link(LinkId),
}

impl From<HostId> for Struck {
    fn from(host: HostId) -> Struck {
        Struck::Host(host)
    }
}

impl From<LinkId> for Struck {
    fn from(link: LinkId) -> Struck {
        Struck::Link(link)
    }
}

#[derive(Clone, Copy, Debug)]
enum What {
    Reboot,
    Crash,
    Pause,
    Clock,
    Partition,
    Rate(Link),
}

impl What {
    fn strikes_hosts(self) -> bool {
        !matches!(self, What::Partition | What::Rate(_))
    }
}

/// Faults of one kind. Once, on any host or link that is there, in the first half
/// minute, for up to five seconds, unless more is said.
#[derive(Clone, Debug)]
pub struct Faults {
    what: What,
    on: Vec<Struck>,
    within: Range<Duration>,
    times: RangeInclusive<u64>,
    lasting: RangeInclusive<Duration>,
}

impl Faults {
    fn new(what: What) -> Faults {
        Faults {
            what,
            on: Vec::new(),
            within: Duration::ZERO..Duration::from_secs(30),
            times: 1..=1,
            lasting: Duration::from_millis(10)..=Duration::from_secs(5),
        }
    }

    /// Power off and at once on again.
    pub fn reboots() -> Faults {
        Faults::new(What::Reboot)
    }

    /// Power off, and on again later.
    pub fn crashes() -> Faults {
        Faults::new(What::Crash)
    }

    /// Hosts that stand still for a while.
    pub fn pauses() -> Faults {
        Faults::new(What::Pause)
    }

    /// Clocks that jump ahead by as long as faults last, or run too fast or too slow.
    pub fn clocks() -> Faults {
        Faults::new(What::Clock)
    }

    /// Links that let nothing pass, one way or both ways.
    pub fn partitions() -> Faults {
        Faults::new(What::Partition)
    }

    /// Links that behave like this for a while.
    pub fn rates(link: Link) -> Faults {
        Faults::new(What::Rate(link))
    }

    /// Strikes this; said again, this or one of those before.
    #[must_use]
    pub fn on(mut self, struck: impl Into<Struck>) -> Faults {
        self.on.push(struck.into());
        self
    }

    /// Begins in this part of the world's time.
    #[must_use]
    pub fn within(self, within: Range<Duration>) -> Faults {
        Faults { within, ..self }
    }

    /// Strikes so many times.
    #[must_use]
    pub fn times(self, times: RangeInclusive<u64>) -> Faults {
        Faults { times, ..self }
    }

    /// Lasts so long.
    #[must_use]
    pub fn lasting(self, lasting: RangeInclusive<Duration>) -> Faults {
        Faults { lasting, ..self }
    }
}

/// Draws that follow one another, in a stream of their own.
struct Luck<'w> {
    world: &'w World,
    stream: u64,
    number: u64,
}

impl Luck<'_> {
    /// From `least` to `most`, both included.
    fn pick(&mut self, least: u64, most: u64) -> u64 {
        self.number += 1;
        let draws = &self.world.draws;
        let bound = (most - least).saturating_add(1);
        least + draws.below(self.stream, Kind::Fault, self.number, bound)
    }

    fn time(&mut self, least: Duration, most: Duration) -> Duration {
        Duration::from_micros(self.pick(least.total_micros(), most.total_micros()))
    }
}

impl World {
    /// Lets the seed draw these faults. In a run that is told a plan, that says what
    /// happens instead.
    #[track_caller]
    pub fn faults(&mut self, faults: Faults) {
        let place = Location::caller();
        self.trial.fault_calls += 1;
        if self.is_told_faults() {
            return;
        }
        match self.drawn(&faults, self.trial.fault_calls) {
            Ok(drawn) => drawn.into_iter().for_each(|(at, fault)| self.at(at, fault)),
            Err(wrong) => self.complain(&wrong, place),
        }
    }

    fn drawn(&self, faults: &Faults, stream: u64) -> Result<Vec<(Instant, Fault)>, String> {
        let Faults {
            what,
            within,
            times,
            lasting,
            ..
        } = faults;
        let subjects = self.subjects(faults)?;
        if within.is_empty() || times.is_empty() || lasting.is_empty() {
            return Err(format!(
                "no fault can strike {times:?} times within {within:?}, lasting {lasting:?}"
            ));
        }
        let mut luck = Luck {
            world: self,
            stream,
            number: 0,
        };
        let mut drawn = Vec::new();
        for _ in 0..luck.pick(*times.start(), *times.end()) {
            let struck = subjects[luck.pick(0, subjects.len() as u64 - 1) as usize];
            let last = within.end - Duration::from_micros(1);
            let begin = Instant::ZERO + luck.time(within.start, last);
            let lasts = luck.time(*lasting.start(), *lasting.end());
            let end = begin + lasts;
            match (*what, struck) {
                (What::Reboot, Struck::Host(host)) => drawn.push((begin, Fault::Boot(host))),
                (What::Crash, Struck::Host(host)) => {
                    drawn.extend([(begin, Fault::Crash(host)), (end, Fault::Boot(host))]);
                }
                (What::Pause, Struck::Host(host)) => {
                    drawn.extend([(begin, Fault::Pause(host)), (end, Fault::Resume(host))]);
                }
                (What::Clock, Struck::Host(host)) => match luck.pick(0, 1) {
                    0 => drawn.push((begin, Fault::Jump(host, lasts))),
                    _ => {
                        let ppm = luck.pick(0, 1_000_000) as i32 - 500_000;
                        let (wrong, right) = (Fault::Drift(host, ppm), Fault::Drift(host, 0));
                        drawn.extend([(begin, wrong), (end, right)]);
                    }
                },
                (What::Partition, Struck::Link(link)) => {
                    let (forth, back) =
                        [(true, true), (true, false), (false, true)][luck.pick(0, 2) as usize];
                    let cut = |forth, back| Fault::Partition { link, forth, back };
                    drawn.extend([(begin, cut(forth, back)), (end, cut(false, false))]);
                }
                (What::Rate(bad), Struck::Link(link)) => {
                    let good = self.wires[link.0].directions[0].built();
                    let (worse, better) = (Fault::Change(link, bad), Fault::Change(link, good));
                    drawn.extend([(begin, worse), (end, better)]);
                }
                (_, Struck::Host(_) | Struck::Link(_)) => (),
            }
        }
        Ok(drawn)
    }

    /// Whom they may strike.
    fn subjects(&self, faults: &Faults) -> Result<Vec<Struck>, String> {
        let hosts = faults.what.strikes_hosts();
        let mut subjects = Vec::new();
        for struck in &faults.on {
            subjects.push(match *struck {
                Struck::Host(host) if !hosts => {
                    let link = self.links[host.0].map(Struck::Link);
                    link.ok_or(
                        "a fault of links strikes a host that has none yet; connect it first",
                    )?
                }
                Struck::Link(_) if hosts => {
                    return Err("a fault of hosts cannot strike a link; say which host".into());
                }
                struck => struck,
            });
        }
        if faults.on.is_empty() {
            match hosts {
                true => {
                    subjects.extend((0..self.hosts.len()).map(|host| Struck::Host(HostId(host))))
                }
                false => {
                    subjects.extend((0..self.wires.len()).map(|link| Struck::Link(LinkId(link))))
                }
            }
        }
        match subjects.is_empty() {
            true => Err("there is nothing yet that these faults could strike".into()),
            false => Ok(subjects),
        }
    }
}
