//! A run in lines, with `-v`: what a person wants to know of each host; with `-vv`: every
//! event, as `--events` has it.

use cygnet::TimeLimits;
use cygnet::event::Observer as _;
use cygnet_world::plan::Plan;
use cygnet_world::story::Story;
use cygnet_world::{Arrival, End, Happening, Watch};
use smoltcp::time::Instant;

use crate::level::Level;
use crate::log::Log;
use crate::observe::Out;

/// Writes lines, and shows everything to whoever watches besides.
pub(super) struct Told {
    out: &'static Out,
    /// Of every host, by number; none where every event is told.
    logs: Vec<Log<'static>>,
    story: Story,
    tells_all: bool,
    besides: Option<Box<dyn Watch>>,
}

impl Told {
    pub(super) fn new(
        plan: &Plan,
        level: Level,
        out: &'static Out,
        besides: Option<Box<dyn Watch>>,
    ) -> Told {
        let hosts = plan.places.iter().filter(|place| place.role.is_host());
        // Whoever serves in a plan serves echo there.
        let log = |name: &str| {
            let log = Log::new(out, level).of_host(name);
            log.serving(vec![(7, "echo")], TimeLimits::DEFAULT)
        };
        Told {
            out,
            logs: hosts.map(|host| log(&host.name)).collect(),
            story: Story::new(plan),
            tells_all: level >= Level::Trace,
            besides,
        }
    }

    fn line(&mut self, number: u64, at: Instant, what: &Happening<'_>) {
        let line = self.story.line(number, at, what);
        self.out.line(format_args!("{line}"));
    }
}

impl Watch for Told {
    fn happened(&mut self, number: u64, at: Instant, what: &Happening<'_>) {
        match what {
            Happening::Host(host, _, event) if !self.tells_all => {
                if let Some(log) = self.logs.get(host.number() as usize) {
                    log.event(at, event);
                }
            }
            // A fault explains what follows.
            Happening::Fault(_) => self.line(number, at, what),
            _ if self.tells_all => self.line(number, at, what),
            _ => (),
        }
        if let Some(besides) = &mut self.besides {
            besides.happened(number, at, what);
        }
    }

    fn arrived(&mut self, sent: u64, at: Instant, to: End, how: Arrival) {
        if let Some(besides) = &mut self.besides {
            besides.arrived(sent, at, to, how);
        }
    }

    fn healed(&mut self, at: Instant) {
        if let Some(besides) = &mut self.besides {
            besides.healed(at);
        }
    }

    fn checkpoint(&mut self, number: u64, at: Instant, digest: u128) {
        if let Some(besides) = &mut self.besides {
            besides.checkpoint(number, at, digest);
        }
    }
}
