//! A progress bar on standard error. It appears only on a terminal, and only
//! once the run turns out to be a long one; a trace is progress enough.

use std::io::IsTerminal;
use std::time::Instant as Clock;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::client::Counts;
use crate::cli::LoopbackConfig;

/// A run shorter than this has no progress bar.
const LONG: std::time::Duration = std::time::Duration::from_millis(500);

/// A bar on a terminal, once the run turns out to be a long one.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    wanted: bool,
    start: Clock,
    looks: u32,
    total: u64,
}

impl Progress {
    /// For the run that `config` asks for.
    pub(super) fn new(config: &LoopbackConfig) -> Progress {
        Progress {
            bar: None,
            wanted: !config.trace && std::io::stderr().is_terminal(),
            start: Clock::now(),
            looks: 0,
            total: (config.clients * config.requests) as u64,
        }
    }

    /// Looks, now and then, how far the clients are.
    pub(super) fn tell(&mut self, counts: &Counts) {
        self.looks = self.looks.wrapping_add(1);
        if !self.wanted || !self.looks.is_multiple_of(256) || self.start.elapsed() < LONG {
            return;
        }
        let total = self.total;
        let bar = self.bar.get_or_insert_with(|| {
            let target = ProgressDrawTarget::stderr_with_hz(10);
            let bar = ProgressBar::with_draw_target(Some(total), target);
            let style =
                ProgressStyle::with_template("{bar:32} {pos} of {len} requests, {eta} left");
            style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
        });
        bar.set_position(counts.answered.get());
    }

    /// Takes it off the screen.
    pub(super) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
