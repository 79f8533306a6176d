//! Events through `log`: frames at `trace`, what tasks and connections do at
//! `debug`, what somebody should know at `warn`. Counters at `info`, when asked.

use cygnet::event::{Counters, Event, Observer};
use smoltcp::time::Instant;

/// An observer that writes every event to `log`, under the target `cygnet`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log;

impl Observer for Log {
    fn event(&self, now: Instant, event: &Event<'_>) {
        let level = match event {
            Event::FrameIn(_) | Event::FrameOut(_) => log::Level::Trace,
            Event::Dropped(_)
            | Event::Reset { .. }
            | Event::Expired { .. }
            | Event::Done { failed: true, .. } => log::Level::Warn,
            _ => log::Level::Debug,
        };
        match event {
            Event::FrameIn(frame) => say(level, now, format_args!("{} bytes in", frame.len())),
            Event::FrameOut(frame) => say(level, now, format_args!("{} bytes out", frame.len())),
            Event::Read { slot, bytes } => {
                say(level, now, format_args!("#{slot} read {}", bytes.len()));
            }
            Event::Written { slot, bytes } => {
                say(level, now, format_args!("#{slot} written {}", bytes.len()));
            }
            other => say(level, now, format_args!("{other:?}")),
        }
    }
}

fn say(level: log::Level, now: Instant, words: core::fmt::Arguments<'_>) {
    log::log!(target: "cygnet", level, "{now} {words}");
}

/// Writes the totals, in one line.
pub fn counters(counters: &Counters) {
    log::info!(target: "cygnet", "{counters:?}");
}
