//! Threads that take work until none is left. A run of a world stays on one thread;
//! runs of many seeds go to all cores. A thread lives as long as its crew: the memory
//! of its worlds' hosts is used again and again.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// As much as the main thread has.
const STACK_BYTES: usize = 8 << 20;

/// To wait for, so that one which panicked takes nobody with it.
pub type Threads<'s> = Vec<ScopedJoinHandle<'s, ()>>;

/// What is to be done, by number, in this order.
pub struct Crew {
    items: Vec<u64>,
    next: AtomicUsize,
}

impl Crew {
    /// A crew for this work.
    pub fn new(items: Vec<u64>) -> Crew {
        Crew {
            items,
            next: AtomicUsize::new(0),
        }
    }

    /// Sets so many threads to work. What they finish comes out here, in no order;
    /// the end comes when all of them are. A thread stops when `work` gives nothing.
    ///
    /// # Errors
    /// The system gives no thread. Those that were started go on.
    pub fn start<'s, T: Send + 's>(
        &'s self,
        jobs: usize,
        scope: &'s Scope<'s, '_>,
        work: impl Fn(u64) -> Option<T> + Clone + Send + 's,
    ) -> io::Result<(Receiver<(u64, T)>, Threads<'s>)> {
        let (sender, receiver) = channel();
        let mut threads = Vec::new();
        for _ in 0..jobs.min(self.items.len()) {
            let (sender, work) = (sender.clone(), work.clone());
            let thread = Builder::new().name("world".into()).stack_size(STACK_BYTES);
            threads.push(thread.spawn_scoped(scope, move || {
                loop {
                    let next = self.next.fetch_add(1, Ordering::Relaxed);
                    let Some(&item) = self.items.get(next) else {
                        return;
                    };
                    let Some(done) = work(item) else { return };
                    if sender.send((item, done)).is_err() {
                        return; // nobody wants to know any more
                    }
                }
            })?);
        }
        Ok((receiver, threads))
    }
}

/// So many threads can run at once.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
