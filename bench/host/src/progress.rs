//! How far a run came, on the standard error, and whether it is to stop.

use cygnet_sim::host::StopFlag;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar of `steps`, with what is measured and the time that is left.
pub fn bar(steps: usize) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(10);
    let bar = ProgressBar::with_draw_target(Some(steps as u64), target);
    let style = ProgressStyle::with_template("{bar:32} {msg}, {eta} left");
    style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
}

/// A flag that Ctrl-C sets.
///
/// # Errors
/// One line: what the kernel said.
pub fn stop_flag() -> Result<StopFlag, String> {
    let stop = StopFlag::default();
    stop.on_signals().map_err(|error| error.to_string())?;
    Ok(stop)
}
