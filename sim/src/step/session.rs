//! A run that somebody goes through: does what a command says, and says what came of it.
//!
//! Not here: where commands come from (`lines`, `screen`).

use std::path::PathBuf;

use cygnet_world::cursor::{Cursor, Moved};

use super::command::{COMMANDS, Command, Show};
use super::view;

/// See the [module](self).
pub(super) struct Session {
    pub(super) cursor: Cursor,
    /// Where the plan with lost frames is written.
    out: PathBuf,
    /// The worst that was seen at the end of the run: nothing, a violation, a fact that
    /// never came.
    pub(super) status: u8,
}

/// Is told how many events have happened in a long run; `false` stops.
pub(super) type Look<'l> = &'l mut dyn FnMut(u64) -> bool;

impl Session {
    pub(super) fn new(cursor: Cursor, out: PathBuf) -> Session {
        Session {
            cursor,
            out,
            status: 0,
        }
    }

    /// Where the plan with lost frames is written.
    #[cfg(test)]
    pub(super) fn out(&self) -> &std::path::Path {
        &self.out
    }

    /// How many events have happened.
    pub(super) fn events(&self) -> u64 {
        self.cursor.snapshot().events
    }

    /// How many events a run must have to come where a command leads, if that is known.
    pub(super) fn target(&self, command: &Command) -> Option<u64> {
        match command {
            Command::Next(count) => Some(self.events().saturating_add(*count)),
            Command::Back(count) => Some(self.events().saturating_sub(*count)),
            Command::To(event) => Some(event.saturating_add(1)),
            Command::Lose => Some(self.events()),
            _ => None,
        }
    }

    /// Does it, and says what came of it.
    ///
    /// # Errors
    /// One line: the plan cannot be written.
    pub(super) fn run(&mut self, command: &Command, look: Look<'_>) -> Result<Vec<String>, String> {
        let events = self.events();
        let cursor = &mut self.cursor;
        let moved = match command {
            Command::Next(0) | Command::Back(0) => Moved::There,
            Command::Next(1) => cursor.forward(look),
            Command::Next(count) => cursor.to(events.saturating_add(count - 1), look),
            Command::Back(1) => cursor.back(look),
            Command::Back(count) if *count >= events => cursor.to_start(),
            Command::Back(count) => cursor.to(events - count - 1, look),
            Command::To(event) => cursor.to(*event, look),
            Command::Drop => cursor.to_drop(look),
            Command::Start => cursor.to_start(),
            Command::End => cursor.to(u64::MAX, look),
            Command::Lose => return self.lose(look),
            Command::Show(show) => return Ok(self.show(*show)),
            Command::Help => {
                let lines = COMMANDS.iter();
                return Ok(lines
                    .map(|(words, what)| format!("{words:<14} {what}"))
                    .collect());
            }
            Command::Quit => return Ok(Vec::new()),
        };
        Ok(self.arrived(moved, command))
    }

    fn arrived(&mut self, moved: Moved, command: &Command) -> Vec<String> {
        match moved {
            Moved::There => self.here(),
            Moved::Start => vec!["the start: nothing has happened yet".into()],
            Moved::Stopped => {
                let mut lines = self.here();
                lines.push("stopped on the way".into());
                lines
            }
            Moved::End => {
                let mut lines = Vec::new();
                match command {
                    Command::Drop => lines.push("no drop comes any more".into()),
                    Command::To(event) => lines.push(format!(
                        "event {event} never comes: there are {}",
                        self.events()
                    )),
                    _ => (),
                }
                lines.extend(self.here());
                lines.extend(self.end());
                lines
            }
        }
    }

    /// The event that happened last, and what went before it.
    fn here(&self) -> Vec<String> {
        let Some(line) = self.cursor.lines(1).pop() else {
            return vec!["the start: nothing has happened yet".into()];
        };
        let mut lines = line.unheard;
        lines.push(line.text);
        lines
    }

    /// How the run ended.
    pub(super) fn end(&mut self) -> Option<String> {
        let ending = self.cursor.ending()?;
        let events = self.events();
        Some(match (ending.violation, ending.never_came) {
            (Some(violation), _) => {
                self.status = self.status.max(1);
                format!("the end after {events} events, violated: {violation}")
            }
            (None, Some((words, why))) => {
                self.status = 2;
                format!("the end after {events} events; the plan's `{words}`: {why}")
            }
            (None, None) => format!("the end after {events} events; nothing is violated"),
        })
    }

    fn lose(&mut self, look: Look<'_>) -> Result<Vec<String>, String> {
        let Some(lost) = self.cursor.lose(look) else {
            return Ok(vec!["no frame is left that could be lost".into()]);
        };
        let (path, text) = (self.out.display(), self.cursor.plan().to_string());
        std::fs::write(&self.out, text).map_err(|error| format!("{path}: {error}"))?;
        let (key, event) = (self.cursor.key(lost.frame), lost.event);
        Ok(vec![format!(
            "frame {key} will be lost, in event {event}; {path} is the plan of that"
        )])
    }

    fn show(&self, show: Show) -> Vec<String> {
        let here = self.cursor.snapshot();
        let each = |lines: fn(&cygnet_world::cursor::HostView) -> Vec<String>| {
            let mut all = Vec::new();
            for host in &here.hosts {
                all.push(format!("{} ({})", host.name, view::state(host)));
                all.extend(lines(host).into_iter().map(|line| format!("  {line}")));
            }
            all
        };
        match show {
            Show::Where => self.here(),
            Show::Lines(count) => {
                let lines = self.cursor.lines(count).into_iter();
                lines
                    .flat_map(|line| line.unheard.into_iter().chain([line.text]))
                    .collect()
            }
            Show::Tasks => each(view::lists),
            Show::Connections => each(view::connections),
            Show::Queues => match view::queues(&self.cursor, &here) {
                lines if lines.is_empty() => vec!["no frame is on its way".into()],
                lines => lines,
            },
            Show::Plan => self
                .cursor
                .plan()
                .to_string()
                .lines()
                .map(String::from)
                .collect(),
        }
    }
}
