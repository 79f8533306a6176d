//! Who runs: tasks, their wakers and their timers.

mod header;
#[cfg(feature = "alloc")]
pub(crate) mod heap;
#[cfg(doctest)]
mod refused;
pub(crate) mod slot;
pub(crate) mod spawn_error;
pub(crate) mod storage;
pub(crate) mod tasks;
#[cfg(all(any(test, feature = "on-target"), not(loom)))]
pub(crate) mod tasks_tests;
pub(crate) mod timer;
pub(crate) mod waiting;
pub(crate) mod waker;

pub use slot::{FuturePlaces, Outcome};
pub use spawn_error::{SpawnError, SpawnRefused};
pub use storage::{FOREIGN_TIMERS, TaskMemory, TaskStorage};
pub use tasks::Tasks;
pub use timer::{Elapsed, Sleep};
pub use waiting::{TaskState, Waiting};
pub use waker::{Ready, ReadySet};
