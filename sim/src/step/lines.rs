//! `sim step` without a terminal: commands from an option or from standard input, answers
//! a line each on standard output.

use std::io::{self, BufRead, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::command::{Command, parse, pieces};
use super::session::Session;
use crate::host::StopFlag;

/// Does what these words say.
///
/// # Errors
/// One line: a command that makes no sense, before anything is done; a file.
pub(super) fn all(session: &mut Session, text: &str) -> Result<u8, String> {
    let commands: Result<Vec<Command>, String> =
        pieces(text).map(|(_, piece)| parse(piece)).collect();
    let stop = stop()?;
    for command in commands? {
        if !one(session, &command, &stop)? {
            break;
        }
    }
    Ok(status(session, &stop))
}

/// Does what standard input says, as it is said; begins at an event, if that is wanted.
///
/// # Errors
/// One line: a command that makes no sense, with its line.
pub(super) fn from_input(session: &mut Session, to: Option<u64>) -> Result<u8, String> {
    let stop = stop()?;
    if let Some(event) = to
        && !one(session, &Command::To(event), &stop)?
    {
        return Ok(status(session, &stop));
    }
    for (number, line) in (1..).zip(io::stdin().lock().lines()) {
        let line = line.map_err(|error| format!("standard input: {error}"))?;
        for (_, piece) in pieces(&line) {
            let command = parse(piece).map_err(|error| format!("line {number}: {error}"))?;
            if !one(session, &command, &stop)? {
                return Ok(status(session, &stop));
            }
        }
    }
    Ok(status(session, &stop))
}

fn stop() -> Result<StopFlag, String> {
    let stop = StopFlag::default();
    stop.on_signals().map_err(|error| error.to_string())?;
    Ok(stop)
}

fn status(session: &Session, stop: &StopFlag) -> u8 {
    match stop.is_set() {
        true => 130,
        false => session.status,
    }
}

/// Does one command. False when it was the last.
fn one(session: &mut Session, command: &Command, stop: &StopFlag) -> Result<bool, String> {
    let bar = bar(session.target(command));
    let lines = session.run(command, &mut |events| {
        bar.set_position(events);
        !stop.is_set()
    });
    bar.finish_and_clear();
    let mut out = io::stdout().lock();
    for line in lines? {
        // A reader who went away has seen enough.
        if writeln!(out, "{line}").is_err() {
            return Ok(false);
        }
    }
    let _ = out.flush();
    Ok(*command != Command::Quit && !stop.is_set())
}

/// A bar of events, on a terminal.
fn bar(target: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let draw = ProgressDrawTarget::stderr_with_hz(10);
    let bar = ProgressBar::with_draw_target(target, draw);
    let words = match target {
        Some(_) => "{bar:32} event {pos} of {len}",
        None => "{spinner} event {pos}",
    };
    let style = ProgressStyle::with_template(words);
    style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
}
