//! One contender, one client, the link between them, and virtual time.

use std::time::{Duration as WallTime, Instant as Clock};

use smoltcp::time::{Duration, Instant};

use crate::client::{Client, Progress};
use crate::host::Host;
use crate::link::End;
use crate::plan::Plan;

/// The measured function.
#[inline(never)]
pub fn server_turn<H: Host>(server: &mut H, end: &mut End, now: Instant) -> Option<Instant> {
    server.turn(end, now)
}

/// What to do about the server's cost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    Nothing,
    /// Callgrind counts what happens inside `server_turn`.
    Count,
    Time,
}

/// How much time passes in a turn of both: so little that 4,096 requests fit
/// into the 10 ms a delayed acknowledgement waits. Every connection count then
/// sees the same frames.
const STEP: Duration = Duration::from_micros(1);

pub struct World<S> {
    server: S,
    client: Client,
    server_end: End,
    client_end: End,
    progress: &'static Progress,
    now: Instant,
    /// When the server wants to be called without a frame.
    due: Option<Instant>,
    /// Time spent in watched turns, and how many there were.
    spent: WallTime,
    turns: u32,
}

/// A world whatever its server is.
pub trait Contest {
    /// Lets client and server talk until that much more was done; returns how
    /// much it was.
    fn advance(&mut self, units: u64, watch: Watch) -> u64;
    /// Nanoseconds in timed turns, and their number, since the last call.
    fn spent(&mut self) -> (f64, u32);
}

impl<S: Host> World<S> {
    /// A world with this server in it and all connections open.
    pub fn new(plan: Plan, server: (S, End), mut end: End) -> Self {
        let progress: &'static Progress = Box::leak(Box::default());
        let mut world = World {
            server: server.0,
            client: Client::new(plan, &mut end, progress),
            server_end: server.1,
            client_end: end,
            progress,
            now: Instant::ZERO,
            due: Some(Instant::ZERO),
            spent: WallTime::ZERO,
            turns: 0,
        };
        world.run(Watch::Nothing, || progress.ready.get());
        world
    }

    fn run(&mut self, watch: Watch, finished: impl Fn() -> bool) {
        loop {
            let client_due = self.client.turn(&mut self.client_end, self.now);
            if finished() {
                return;
            }
            if self.server_end.has_frame() || self.due.is_some_and(|due| due <= self.now) {
                self.serve(watch);
            }
            self.now += STEP;
            if !self.server_end.has_frame() && !self.client_end.has_frame() {
                let next = client_due.into_iter().chain(self.due).min();
                self.now = self.now.max(next.expect("somebody has something to do"));
            }
        }
    }

    fn serve(&mut self, watch: Watch) {
        let (server, end) = (&mut self.server, &mut self.server_end);
        self.due = match watch {
            Watch::Nothing => server.turn(end, self.now),
            Watch::Count => server_turn(server, end, self.now),
            Watch::Time => {
                let start = Clock::now();
                let due = server_turn(server, end, self.now);
                self.spent += start.elapsed();
                due
            }
        };
        self.turns += 1;
    }
}

impl<S: Host> Contest for World<S> {
    fn advance(&mut self, units: u64, watch: Watch) -> u64 {
        let done = &self.progress.done;
        let before = done.get();
        self.run(watch, || done.get() >= before + units);
        done.get() - before
    }

    fn spent(&mut self) -> (f64, u32) {
        let spent = std::mem::take(&mut self.spent);
        (spent.as_nanos() as f64, std::mem::take(&mut self.turns))
    }
}

/// Does that much under the eyes of callgrind; returns how much it was.
pub fn count(world: &mut dyn Contest, plan: Plan, units: u64) -> u64 {
    world.advance(plan.warm_up(), Watch::Nothing);
    world.advance(units, Watch::Count)
}
