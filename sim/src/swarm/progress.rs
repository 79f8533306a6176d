//! What a person sees while a swarm runs, on standard error: a bar on a
//! terminal, otherwise a line now and then; and the first failures at once.
//!
//! Not here: the summary, which knows nothing of this machine's clock.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant as Clock};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::order::Order;
use super::sum::told;
use super::tally::{FAILURES, Failure};
use crate::level::Level;

/// How often a line is written where there is no terminal: at first every few
/// seconds, in a run of days every few minutes.
const LINE_EVERY: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(600)];

/// See the [module](self).
pub(super) struct Progress {
    level: Level,
    bar: Option<ProgressBar>,
    start: Clock,
    line: Clock,
    /// Runs that were done before.
    before: u64,
    total: u64,
    /// Failures that were told.
    told: usize,
}

impl Progress {
    /// For `total` runs, of which `before` were done earlier.
    pub(super) fn new(level: Level, before: u64, total: u64) -> Progress {
        let wanted = level >= Level::Info && std::io::stderr().is_terminal();
        let bar = wanted.then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(10);
            let bar = ProgressBar::with_draw_target(Some(total), target).with_position(before);
            bar.reset_eta();
            let words = "{bar:32} {human_pos} of {human_len} runs, {rate}, {eta} left{msg}";
            match ProgressStyle::with_template(words) {
                Ok(style) => bar.with_style(style.with_key("rate", rate)),
                Err(_) => bar,
            }
        });
        Progress {
            level,
            bar,
            start: Clock::now(),
            line: Clock::now(),
            before,
            total,
            told: 0,
        }
    }

    /// `ran` runs were done since the start.
    pub(super) fn tell(&mut self, ran: u64, violations: u64) {
        let position = self.before + ran;
        if let Some(bar) = &self.bar {
            bar.set_position(position);
            if violations > 0 {
                bar.set_message(format!(", {violations} violations"));
            }
        } else if self.line.elapsed() >= self.patience() {
            self.line = Clock::now();
            let rate = self.rate(ran);
            let left = (self.total - position.min(self.total)) as f64 / rate.max(1e-9);
            let left = HumanDuration(Duration::from_secs(left as u64));
            let total = self.total;
            self.say(
                Level::Info,
                &format!(
                    "{position} of {total} runs, {rate:.1}/s, {left} left, {violations} violations"
                ),
            );
        }
    }

    /// Tells the first failures that turn up; the summary has the first by seed.
    pub(super) fn failures(&mut self, order: &Order, failures: &[Failure]) {
        for failure in failures {
            self.told += 1;
            if self.told <= FAILURES {
                self.say(Level::Error, &told(order, failure));
            } else if self.told == FAILURES + 1 {
                self.say(Level::Error, "more failures are only counted");
            }
        }
    }

    /// Writes a line, above the bar if there is one. A reader who went away is no
    /// failure of the swarm.
    pub(super) fn say(&self, level: Level, line: &str) {
        if level > self.level {
            return;
        }
        match &self.bar {
            Some(bar) => bar.println(line),
            None => {
                let _ = writeln!(std::io::stderr(), "sim: {line}");
            }
        }
    }

    /// Takes the bar off the screen and says how fast it was.
    pub(super) fn finish(&mut self, ran: u64, virtual_seconds: u64, jobs: usize) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if ran == 0 {
            return;
        }
        let seconds = self.start.elapsed().as_secs_f64();
        let rate = self.rate(ran);
        let ratio = virtual_seconds as f64 / seconds.max(1e-9);
        let threads = if jobs == 1 { "thread" } else { "threads" };
        self.say(
            Level::Info,
            &format!("{ran} runs in {seconds:.1} s, {rate:.1}/s, {ratio:.0} virtual seconds a second, {jobs} {threads}"),
        );
    }

    fn patience(&self) -> Duration {
        let [least, most] = LINE_EVERY;
        (self.start.elapsed() / 10).clamp(least, most)
    }

    fn rate(&self, ran: u64) -> f64 {
        ran as f64 / self.start.elapsed().as_secs_f64().max(1e-9)
    }
}

/// Without the four decimals that a bar gives by itself.
fn rate(state: &ProgressState, out: &mut dyn fmt::Write) {
    let _ = write!(out, "{:.1}/s", state.per_sec());
}
