//! One contender, one client, the link between them, and virtual time.

use std::time::{Duration as WallTime, Instant as Clock};

use smoltcp::time::{Duration, Instant};

use crate::client::Progress;
use crate::link::End;

/// One side of the link.
pub trait Host {
    /// Does everything there is to do now; returns when it wants to be called
    /// again without a frame.
    fn turn(&mut self, end: &mut End, now: Instant) -> Option<Instant>;
}

impl<H: Host> Host for &mut H {
    fn turn(&mut self, end: &mut End, now: Instant) -> Option<Instant> {
        H::turn(self, end, now)
    }
}

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

pub struct World<S, C> {
    server: S,
    client: C,
    server_end: End,
    client_end: End,
    progress: &'static Progress,
    now: Instant,
    /// When the server wants to be called without a frame.
    due: Option<Instant>,
    /// Time spent in watched turns, and how many there were.
    pub spent: WallTime,
    pub turns: u32,
}

impl<S: Host, C: Host> World<S, C> {
    pub fn new(server: (S, End), client: (C, End), progress: &'static Progress) -> Self {
        World {
            server: server.0,
            client: client.0,
            server_end: server.1,
            client_end: client.1,
            progress,
            now: Instant::ZERO,
            due: Some(Instant::ZERO),
            spent: WallTime::ZERO,
            turns: 0,
        }
    }

    /// Opens all connections.
    pub fn open(&mut self) {
        let progress = self.progress;
        self.run(Watch::Nothing, || progress.ready.get());
    }

    /// Lets client and server talk until that much more was done; returns how
    /// much it was.
    pub fn advance(&mut self, units: u64, watch: Watch) -> u64 {
        let done = &self.progress.done;
        let before = done.get();
        self.run(watch, || done.get() >= before + units);
        done.get() - before
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
