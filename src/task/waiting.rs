//! What a task waits for, as who watches sees it.

use core::fmt;

use smoltcp::time::Instant;

use crate::event::{Reason, Source};

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// In the queue, not yet polled since it was spawned.
    Ready,
    /// This is the task that asks.
    Running,
    /// It yielded this reason and this socket.
    Waiting(Reason, Source),
}

/// One line of [`Tasks::waiting`](crate::Tasks::waiting): the lesson's `to_read` and `to_write`, made
/// visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The task's number.
    pub task: u32,
    /// The name given at spawn, or the file where it was spawned.
    pub name: &'static str,
    /// The line where it was spawned, 0 when it has a name.
    pub line: u32,
    /// What it is doing.
    pub state: TaskState,
    /// How often it was polled.
    pub polls: u32,
    /// When it was polled last, or spawned.
    pub last_poll: Instant,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.task, self.name)?;
        if self.line != 0 {
            write!(f, ":{}", self.line)?;
        }
        match self.state {
            TaskState::Ready => f.write_str(" ready"),
            TaskState::Running => f.write_str(" running"),
            TaskState::Waiting(reason, source) => write!(f, " ({reason}, {source})"),
        }
    }
}
