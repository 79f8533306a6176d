//! Why a future did not become a task. It is given back.

use core::fmt;

use crate::worded::worded;

worded! {
    /// Why a future did not become a task.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum SpawnRefused {
        /// Every task is taken: wait for one to end, or raise `TASKS`.
        Full: "every task is taken",
        /// The future needs more bytes, or a stricter alignment than 16, than a
        /// task has: raise `BYTES`, or keep large buffers out of the future.
        TooLarge: "the future does not fit into a task",
        /// The event loop is dropping its last tasks.
        Ending: "the event loop is ending",
    }
}

impl core::error::Error for SpawnRefused {}

/// A future that did not become a task, given back.
pub struct SpawnError<F> {
    /// The future, as it was.
    pub future: F,
    /// Why.
    pub refused: SpawnRefused,
    /// How many bytes the future needs.
    pub needs: usize,
    /// How many bytes a task has.
    pub has: usize,
}

impl<F> From<SpawnError<F>> for SpawnRefused {
    fn from(error: SpawnError<F>) -> Self {
        error.refused
    }
}

impl<F> fmt::Debug for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<F> fmt::Display for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SpawnError { needs, has, .. } = self;
        write!(
            f,
            "{}: it needs {needs} bytes, a task has {has}",
            self.refused
        )
    }
}

impl<F> core::error::Error for SpawnError<F> {}
